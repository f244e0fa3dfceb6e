/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
#include "app_wire.h"

#include <algorithm>
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

	void add_text(wire::Tag tag, std::string_view text)
	{
		if (const std::string clean = app_text(text, wire::text_max); !clean.empty())
		{
			add(tag, Bytes(reinterpret_cast<const uint8_t *>(clean.data()), clean.size()));
		}
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
	if (!channel.peer_key.empty())
	{
		writer.add(Tag::peer_key, channel.peer_key);
	}
	writer.add_binding(Tag::endpoints_binding, Tag::endpoints_reason, channel.endpoints);
	writer.add_binding(Tag::unique_binding, Tag::unique_reason, channel.unique);
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
	while (!cursor.at_end())
	{
		const auto tag = cursor.number(2);
		const auto length = cursor.number(2);
		if (!tag || !length || !cursor.take(*length))
		{
			return std::nullopt;
		}
	}
	return AppRequest{static_cast<uint8_t>(*type), static_cast<uint32_t>(*id)};
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
