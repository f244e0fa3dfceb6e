/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
#include "app_wire.h"

#include <algorithm>
#include <bitset>
#include <string_view>

namespace btns
{

namespace
{

/** Writes a message; what cannot be sent in one is a mistake of ours and left out. */
class Writer
{
public:
	Writer(wire::Type type, uint32_t id)
	{
		octets_.reserve(512);
		number(wire::version, 1);
		number(static_cast<uint64_t>(type), 1);
		number(0, 2);
		number(id, 4);
	}

	void add(wire::Tag tag, Bytes value)
	{
		if (value.size() > UINT16_MAX || octets_.size() + wire::attribute_header_len + value.size() > wire::answer_max)
		{
			return;
		}
		number(static_cast<uint64_t>(tag), 2);
		number(value.size(), 2);
		octets_.insert(octets_.end(), value.begin(), value.end());
	}

	void add(wire::Tag tag, uint64_t value, unsigned size)
	{
		number(static_cast<uint64_t>(tag), 2);
		number(size, 2);
		number(value, size);
	}

	/** Unless there are none. */
	void add_some(wire::Tag tag, Bytes value)
	{
		if (!value.empty())
		{
			add(tag, value);
		}
	}

	void add_text(wire::Tag tag, std::string_view text)
	{
		const std::string clean = app_text(text, wire::text_max);
		add_some(tag, Bytes(reinterpret_cast<const uint8_t *>(clean.data()), clean.size()));
	}

	void add_address(wire::Tag tag, const Address &address, uint16_t port)
	{
		const btns_addr_t octets = to_abi(address);
		AppMessage value{static_cast<uint8_t>(port >> 8), static_cast<uint8_t>(port)};
		value.insert(value.end(), octets.bytes, octets.bytes + (address.family == 4 ? 4 : 16));
		add(tag, value);
	}

	void add_binding(wire::Tag tag, wire::Tag reason, const BindingAnswer &binding)
	{
		if (binding.value)
		{
			add(tag, *binding.value);
		}
		else
		{
			add_text(reason, unavailable_text(binding.why));
		}
	}

	AppMessage take() { return std::move(octets_); }

private:
	void number(uint64_t value, unsigned size)
	{
		for (unsigned left = size; left > 0; left--)
		{
			octets_.push_back(static_cast<uint8_t>(value >> 8 * (left - 1)));
		}
	}

	AppMessage octets_;
};

void add_channel(Writer &writer, const Channel &channel)
{
	using wire::Tag;
	const uint64_t flags = (channel.confidentiality ? 1U : 0U) | (channel.integrity ? 2U : 0U) |
						   (channel.local.nat ? 4U : 0U) | (channel.peer.nat ? 8U : 0U);
	writer.add(Tag::flags, flags, 1);
	writer.add(Tag::mode, channel.mode, 1);
	writer.add_text(Tag::encryption_algorithm, channel.encryption_algorithm);
	writer.add_text(Tag::integrity_algorithm, channel.integrity_algorithm);
	writer.add(Tag::local_method, channel.local_method, 1);
	writer.add(Tag::peer_method, channel.peer_method, 1);
	writer.add_text(Tag::asserted_id, channel.asserted_id);
	writer.add_text(Tag::authorized_id, channel.authorized_id);
	if (channel.local_fingerprint)
	{
		writer.add(Tag::local_fingerprint, *channel.local_fingerprint);
	}
	if (channel.peer_fingerprint)
	{
		writer.add(Tag::peer_fingerprint, *channel.peer_fingerprint);
	}
	if (channel.local.address.family != 0)
	{
		writer.add_address(Tag::outer_local, channel.local.address, channel.local.port);
	}
	if (channel.peer.address.family != 0)
	{
		writer.add_address(Tag::outer_peer, channel.peer.address, channel.peer.port);
	}
	writer.add(Tag::established, static_cast<uint64_t>(channel.established), 8);
	writer.add_some(Tag::peer_key, channel.peer_key);
	writer.add_binding(Tag::endpoints_binding, Tag::endpoints_reason, channel.endpoints);
	writer.add_binding(Tag::unique_binding, Tag::unique_reason, channel.unique);
	// last, so that it is they that there is no room for
	writer.add_some(Tag::peer_certificate, channel.certificate());
	writer.add_some(Tag::trust_anchor, channel.trust_anchor());
}

btns_latch_state_t to_public(LatchState state)
{
	switch (state)
	{
	case LatchState::listener:
		return BTNS_LATCH_LISTENER;
	case LatchState::larval:
		return BTNS_LATCH_LARVAL;
	case LatchState::established:
		return BTNS_LATCH_ESTABLISHED;
	case LatchState::broken:
		return BTNS_LATCH_BROKEN;
	case LatchState::closed:
		break;
	}
	return BTNS_LATCH_CLOSED;
}

btns_latch_reason_t to_public(LatchReason reason)
{
	switch (reason)
	{
	case LatchReason::none:
		break;
	case LatchReason::conflict:
		return BTNS_LATCH_REASON_CONFLICT;
	case LatchReason::peer_dead:
		return BTNS_LATCH_REASON_PEER_DEAD;
	case LatchReason::cleared:
		return BTNS_LATCH_REASON_CLEARED;
	case LatchReason::released:
		return BTNS_LATCH_REASON_RELEASED;
	case LatchReason::socket_gone:
		return BTNS_LATCH_REASON_SOCKET_GONE;
	case LatchReason::administrator:
		return BTNS_LATCH_REASON_ADMINISTRATOR;
	case LatchReason::not_established:
		return BTNS_LATCH_REASON_NOT_ESTABLISHED;
	case LatchReason::shutdown:
		return BTNS_LATCH_REASON_SHUTDOWN;
	}
	return BTNS_LATCH_REASON_NONE;
}

void add_wants(Writer &writer, const LatchRequest &request)
{
	using wire::Tag;
	writer.add(Tag::want_flags, (request.confidentiality ? 1U : 0U) | (request.narrow ? 2U : 0U), 1);
	writer.add(Tag::want_auth, request.auth == LatchAuth::authenticated ? BTNS_LATCH_AUTHENTICATED : BTNS_LATCH_ANY, 1);
	writer.add(Tag::want_disposition,
			   request.disposition == LatchDisposition::wait ? BTNS_LATCH_WAIT : BTNS_LATCH_RESET, 1);
	writer.add(Tag::want_mode, request.mode, 1);
	if (request.peer_key)
	{
		writer.add(Tag::want_peer_key, *request.peer_key);
	}
	writer.add(Tag::want_timeout, request.timeout, 4);
}

/** One side of a latch, unless nothing is known of it. A port at any address has that of IPv6. */
void add_side(Writer &writer, wire::Tag tag, const Address &address, uint16_t port)
{
	if (address.family != 0 || port != 0)
	{
		writer.add_address(tag, address.family != 0 ? address : Address{6, 0}, port);
	}
}

/** A destination that somebody could be at. */
std::optional<Endpoint> destination_of(Bytes value)
{
	Cursor cursor(value);
	const auto port = cursor.number(2);
	btns_addr_t octets{};
	const Bytes rest = cursor.rest();
	if (!port || *port == 0 || (rest.size() != 4 && rest.size() != 16))
	{
		return std::nullopt;
	}
	octets.family = rest.size() == 4 ? 4 : 6;
	std::ranges::copy(rest, octets.bytes);
	const auto address = to_address(octets);
	if (!address || address->value == 0)
	{
		return std::nullopt;
	}
	return Endpoint{*address, static_cast<uint16_t>(*port), false};
}

/** Take a number that is at most `last`; values beyond are those of later versions. */
template <typename Use>
btns_error_t take_number(Bytes value, uint32_t last, Use &&use)
{
	const auto number = value.size() == 1 ? Cursor(value).number(1) : std::nullopt;
	if (!number || *number > last)
	{
		return number ? BTNS_ENOTSUP : BTNS_EINVAL;
	}
	use(static_cast<uint32_t>(*number));
	return BTNS_OK;
}

btns_error_t take_timeout(Bytes value, uint32_t &timeout)
{
	const auto number = value.size() == 4 ? Cursor(value).number(4) : std::nullopt;
	if (!number || *number > wire::timeout_max)
	{
		return BTNS_EINVAL;
	}
	timeout = static_cast<uint32_t>(*number);
	return BTNS_OK;
}

btns_error_t take_key(Bytes value, std::optional<Fingerprint> &key)
{
	Fingerprint taken{};
	if (value.size() != taken.size())
	{
		return BTNS_EINVAL;
	}
	std::ranges::copy(value, taken.begin());
	key = taken;
	return BTNS_OK;
}

/** Take one attribute of a request for a latch: what is not understood is not passed over. */
btns_error_t take_want(wire::Tag tag, Bytes value, AppRequest &request)
{
	using wire::Tag;
	LatchRequest &latch = request.latch;
	switch (tag)
	{
	case Tag::want_flags:
		return take_number(value, 3,
						   [&](uint32_t flags)
						   {
							   latch.confidentiality = (flags & 1) != 0;
							   latch.narrow = (flags & 2) != 0;
						   });
	case Tag::want_auth:
		return take_number(value, BTNS_LATCH_AUTHENTICATED,
						   [&](uint32_t auth)
						   { latch.auth = auth == BTNS_LATCH_ANY ? LatchAuth::any : LatchAuth::authenticated; });
	case Tag::want_disposition:
		return take_number(value, BTNS_LATCH_WAIT,
						   [&](uint32_t disposition) {
							   latch.disposition =
								   disposition == BTNS_LATCH_WAIT ? LatchDisposition::wait : LatchDisposition::reset;
						   });
	case Tag::want_mode:
		return take_number(value, BTNS_MODE_BEET, [&](uint32_t mode) { latch.mode = static_cast<btns_mode_t>(mode); });
	case Tag::want_peer_key:
		return take_key(value, latch.peer_key);
	case Tag::want_timeout:
		return take_timeout(value, latch.timeout);
	case Tag::destination:
		request.destination = destination_of(value);
		return request.destination ? BTNS_OK : BTNS_EINVAL;
	default:
		return BTNS_ENOTSUP;
	}
}

/** Octets of the UTF-8 character (RFC 3629) that a text begins with, 0 if there is none or it is a control character.
 */
size_t character(std::string_view text)
{
	const auto octet = [text](size_t at) { return static_cast<uint8_t>(text[at]); };
	const uint8_t first = octet(0);
	if (first < 0x80)
	{
		return first >= 0x20 && first != 0x7f ? 1 : 0;
	}
	const size_t length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
	if (first < 0xc2 || first > 0xf4 || length > text.size())
	{
		return 0;
	}
	for (size_t at = 1; at < length; at++)
	{
		if ((octet(at) & 0xc0) != 0x80)
		{
			return 0;
		}
	}
	// neither longer than needed, nor a surrogate, nor beyond U+10FFFF, nor one of the controls from U+0080
	const uint8_t second = octet(1);
	const bool wrong = (first == 0xc2 && second < 0xa0) || (first == 0xe0 && second < 0xa0) ||
					   (first == 0xed && second >= 0xa0) || (first == 0xf0 && second < 0x90) ||
					   (first == 0xf4 && second >= 0x90);
	return wrong ? 0 : length;
}

} // namespace

std::optional<AppRequest> parse_app_request(Bytes message)
{
	Cursor cursor(message);
	const auto version = cursor.number(1);
	const auto type = cursor.number(1);
	const auto zero = cursor.number(2);
	const auto id = cursor.number(4);
	if (message.size() > wire::request_max || version != wire::version || !type || zero != 0U || !id)
	{
		return std::nullopt;
	}
	AppRequest request;
	request.type = static_cast<uint8_t>(*type);
	request.id = static_cast<uint32_t>(*id);
	std::bitset<64> seen;
	while (!cursor.at_end())
	{
		const auto tag = cursor.number(2);
		const auto length = cursor.number(2);
		const auto value = length ? cursor.take(*length) : std::nullopt;
		if (!tag || !value)
		{
			return std::nullopt;
		}
		if (request.type != static_cast<uint8_t>(wire::Type::latch) || request.error != BTNS_OK)
		{
			continue;
		}
		if (*tag >= seen.size() || !seen[*tag])
		{
			request.error = take_want(static_cast<wire::Tag>(*tag), *value, request);
		}
		else
		{
			request.error = BTNS_EINVAL;
		}
		if (*tag < seen.size())
		{
			seen[*tag] = true;
		}
	}
	return request;
}

AppMessage app_channel_message(uint32_t id, const Flow &flow, const ChannelAnswer &answer)
{
	using wire::Tag;
	Writer writer(wire::Type::channel, id);
	const bool is_protected = answer.protection == BTNS_PROTECTED && answer.channel;
	// protected by nothing that is known is not protected
	const btns_protection_t protection =
		is_protected || answer.protection != BTNS_PROTECTED ? answer.protection : BTNS_UNPROTECTED;
	writer.add(Tag::protection, protection, 1);
	writer.add_address(Tag::inner_local, flow.local, flow.local_port);
	writer.add_address(Tag::inner_peer, flow.remote, flow.remote_port);
	if (is_protected)
	{
		add_channel(writer, *answer.channel);
	}
	else
	{
		writer.add_text(Tag::reason, answer.reason);
	}
	return writer.take();
}

AppMessage app_error_message(uint32_t id, btns_error_t error)
{
	Writer writer(wire::Type::error, id);
	writer.add(wire::Tag::error, error, 1);
	return writer.take();
}

AppMessage app_done_message(uint32_t id)
{
	return Writer(wire::Type::done, id).take();
}

AppMessage app_event_message(uint32_t id, btns_event_type_t event)
{
	Writer writer(wire::Type::event, id);
	writer.add(wire::Tag::event, event, 1);
	return writer.take();
}

AppMessage app_latched_message(uint32_t id, const LatchAnswer &answer, uint32_t number)
{
	using wire::Tag;
	Writer writer(wire::Type::latched, id);
	// held to a peer that is not known: no application may take that for a latch
	const bool established = answer.state == LatchState::established;
	const LatchState state = established && !answer.channel ? LatchState::broken : answer.state;
	writer.add(Tag::latch_state, to_public(state), 1);
	writer.add(Tag::latch_reason, to_public(answer.reason), 1);
	if (number != 0)
	{
		writer.add(Tag::latch_number, number, 4);
	}
	writer.add(Tag::latch_flags, (answer.indeterminate ? 1U : 0U) | (answer.ready ? 2U : 0U), 1);
	writer.add(Tag::latch_protocol, answer.tuple.protocol, 1);
	add_wants(writer, answer.request);
	add_side(writer, Tag::inner_local, answer.tuple.local, answer.tuple.local_port);
	add_side(writer, Tag::inner_peer, answer.tuple.remote, answer.tuple.remote_port);
	if (answer.channel)
	{
		writer.add(Tag::protection, BTNS_PROTECTED, 1);
		add_channel(writer, *answer.channel);
	}
	return writer.take();
}

AppMessage app_alert_message(uint32_t id, btns_event_type_t event, LatchReason reason, uint32_t born)
{
	Writer writer(wire::Type::event, id);
	writer.add(wire::Tag::event, event, 1);
	writer.add(wire::Tag::latch_reason, to_public(reason), 1);
	if (born != 0)
	{
		writer.add(wire::Tag::latch_number, born, 4);
	}
	return writer.take();
}

btns_error_t to_error(LatchOutcome outcome)
{
	switch (outcome)
	{
	case LatchOutcome::made:
		return BTNS_OK;
	case LatchOutcome::not_available:
		break;
	case LatchOutcome::bad_socket:
		return BTNS_ESOCKET;
	case LatchOutcome::exists:
		return BTNS_EEXIST;
	case LatchOutcome::full:
		return BTNS_EBUSY;
	case LatchOutcome::unprotected:
		return BTNS_EUNPROTECTED;
	case LatchOutcome::conflict:
		return BTNS_ECONFLICT;
	case LatchOutcome::not_wanted:
		return BTNS_EREFUSED;
	case LatchOutcome::kernel:
		return BTNS_EKERNEL;
	case LatchOutcome::no_such:
		return BTNS_EUNAVAILABLE;
	}
	return BTNS_ENOTSUP;
}

std::optional<btns_event_type_t> alert_event(const LatchAlert &alert)
{
	if (alert.born != 0)
	{
		return BTNS_EVENT_LATCH_BORN;
	}
	switch (alert.state)
	{
	case LatchState::established:
		return BTNS_EVENT_LATCH_RESTORED;
	case LatchState::broken:
		return BTNS_EVENT_LATCH_BROKEN;
	case LatchState::closed:
		// who has closed the socket knows
		return alert.reason == LatchReason::socket_gone ? std::nullopt : std::optional(BTNS_EVENT_LATCH_CLOSED);
	case LatchState::listener:
	case LatchState::larval:
		break;
	}
	return std::nullopt;
}

std::string app_text(std::string_view text, size_t max)
{
	std::string out;
	while (!text.empty())
	{
		const size_t length = character(text);
		if (out.size() + std::max<size_t>(length, 1) > max)
		{
			break;
		}
		out.append(length > 0 ? text.substr(0, length) : "?");
		text.remove_prefix(std::max<size_t>(length, 1));
	}
	return out;
}

} // namespace btns
