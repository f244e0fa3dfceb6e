/* SPDX-License-Identifier: MIT */
#include "answer.h"

#include <netinet/in.h>

#include <algorithm>
#include <bitset>
#include <cstring>
#include <utility>

namespace btns::client
{

namespace
{

using Bytes = std::span<const uint8_t>;
using wire::Tag;

/** Reads octets from front to back and never past the end; a read that does not fit yields nothing. */
class Reader
{
public:
	explicit Reader(Bytes bytes) : rest_(bytes) {}

	[[nodiscard]] bool at_end() const { return rest_.empty(); }

	std::optional<Bytes> take(size_t count)
	{
		if (count > rest_.size())
		{
			return std::nullopt;
		}
		const Bytes taken = rest_.first(count);
		rest_ = rest_.subspan(count);
		return taken;
	}

	/** @param size	octets, at most 8 */
	std::optional<uint64_t> number(size_t size)
	{
		const auto octets = take(size);
		if (!octets)
		{
			return std::nullopt;
		}
		uint64_t value = 0;
		for (const uint8_t octet : *octets)
		{
			value = value << 8 | octet;
		}
		return value;
	}

private:
	Bytes rest_;
};

/** The number that an attribute is, if it has that size and is not greater than `last`. */
std::optional<uint64_t> number(Bytes value, size_t size, uint64_t last)
{
	const auto found = value.size() == size ? Reader(value).number(size) : std::nullopt;
	return found && *found <= last ? found : std::nullopt;
}

bool read_text(Bytes value, std::string &out)
{
	if (value.size() > wire::text_max || std::ranges::find(value, 0) != value.end())
	{
		return false;
	}
	out.assign(value.begin(), value.end());
	return true;
}

/** As much of a text as fits, whole characters, and NUL. */
bool read_text(Bytes value, std::span<char> out)
{
	std::string text;
	if (!read_text(value, text))
	{
		return false;
	}
	size_t length = std::min(text.size(), out.size() - 1);
	while (length < text.size() && length > 0 && (static_cast<uint8_t>(text[length]) & 0xc0) == 0x80)
	{
		length--;
	}
	std::ranges::copy(text.substr(0, length), out.begin());
	out[length] = '\0';
	return true;
}

bool read_address(Bytes value, sockaddr_storage &out)
{
	Reader reader(value);
	const auto port = reader.number(2);
	if (port && value.size() == 2 + 4)
	{
		sockaddr_in in{};
		in.sin_family = AF_INET;
		in.sin_port = htons(static_cast<uint16_t>(*port));
		std::memcpy(&in.sin_addr, value.data() + 2, 4);
		std::memcpy(&out, &in, sizeof(in));
		return true;
	}
	if (port && value.size() == 2 + 16)
	{
		sockaddr_in6 in{};
		in.sin6_family = AF_INET6;
		in.sin6_port = htons(static_cast<uint16_t>(*port));
		std::memcpy(&in.sin6_addr, value.data() + 2, 16);
		std::memcpy(&out, &in, sizeof(in));
		return true;
	}
	return false;
}

bool read_digest(Bytes value, std::span<uint8_t, 32> out)
{
	if (value.size() != out.size())
	{
		return false;
	}
	std::ranges::copy(value, out.begin());
	return true;
}

template <typename T>
bool read_enum(Bytes value, T last, T &out)
{
	const auto found = number(value, 1, static_cast<uint64_t>(last));
	out = static_cast<T>(found.value_or(0));
	return found.has_value();
}

/** A method of a later version is one that is not known. */
bool read_method(Bytes value, btns_method_t &out)
{
	if (!read_enum(value, BTNS_METHOD_MULTIPLE, out))
	{
		out = BTNS_METHOD_UNKNOWN;
	}
	return value.size() == 1;
}

bool read_mode(Bytes value, btns_mode_t &out)
{
	if (!read_enum(value, BTNS_MODE_BEET, out))
	{
		out = BTNS_MODE_NONE;
	}
	return value.size() == 1;
}

bool read_flags(Bytes value, btns_info_t &info)
{
	const auto flags = number(value, 1, UINT8_MAX);
	const auto bit = [&](unsigned at) { return flags && (*flags >> at & 1) != 0 ? 1 : 0; };
	info.confidentiality = bit(0);
	info.integrity = bit(1);
	info.local_nat = bit(2);
	info.peer_nat = bit(3);
	return flags.has_value();
}

bool read_established(Bytes value, int64_t &out)
{
	const auto found = number(value, 8, INT64_MAX);
	out = static_cast<int64_t>(found.value_or(0));
	return found.has_value();
}

bool read_fingerprint(Bytes value, int &has, uint8_t (&out)[BTNS_KEY_FINGERPRINT_LEN])
{
	has = read_digest(value, out) ? 1 : 0;
	return has != 0;
}

bool read_binding(Bytes value, Binding &binding)
{
	Digest digest;
	if (!read_digest(value, digest))
	{
		return false;
	}
	binding.value = digest;
	return true;
}

/** DER, of which there is some. */
bool read_octets(Bytes value, std::vector<uint8_t> &out)
{
	out.assign(value.begin(), value.end());
	return !value.empty();
}

/** One attribute of a channel. */
bool read_fact(Tag tag, Bytes value, Facts &facts)
{
	btns_info_t &info = facts.info;
	switch (tag)
	{
	case Tag::protection:
		return read_enum(value, BTNS_AMBIGUOUS, info.protection);
	case Tag::reason:
		return read_text(value, facts.reason);
	case Tag::flags:
		return read_flags(value, info);
	case Tag::mode:
		return read_mode(value, info.mode);
	case Tag::encryption_algorithm:
		return read_text(value, info.encryption_algorithm);
	case Tag::integrity_algorithm:
		return read_text(value, info.integrity_algorithm);
	case Tag::local_method:
		return read_method(value, info.local_method);
	case Tag::peer_method:
		return read_method(value, info.peer_method);
	case Tag::asserted_id:
		return read_text(value, info.asserted_id);
	case Tag::authorized_id:
		return read_text(value, info.authorized_id);
	case Tag::local_fingerprint:
		return read_fingerprint(value, info.has_local_fingerprint, info.local_fingerprint);
	case Tag::peer_fingerprint:
		return read_fingerprint(value, info.has_peer_fingerprint, info.peer_fingerprint);
	case Tag::inner_local:
		return read_address(value, info.inner_local);
	case Tag::inner_peer:
		return read_address(value, info.inner_peer);
	case Tag::outer_local:
		return read_address(value, info.outer_local);
	case Tag::outer_peer:
		return read_address(value, info.outer_peer);
	case Tag::established:
		return read_established(value, info.established);
	case Tag::peer_key:
		return read_octets(value, facts.peer_key);
	case Tag::endpoints_binding:
		return read_binding(value, facts.endpoints);
	case Tag::endpoints_reason:
		return read_text(value, facts.endpoints.reason);
	case Tag::unique_binding:
		return read_binding(value, facts.unique);
	case Tag::unique_reason:
		return read_text(value, facts.unique.reason);
	case Tag::peer_certificate:
		return read_octets(value, facts.peer_certificate);
	case Tag::trust_anchor:
		return read_octets(value, facts.trust_anchor);
	default:
		return true;
	}
}

/** Do the facts fit together? What is said to be unprotected has no bindings, whatever else was said. */
bool is_consistent(const Facts &facts)
{
	return facts.info.protection == BTNS_PROTECTED ||
		   (!facts.endpoints.value && !facts.unique.value && facts.peer_key.empty() && facts.peer_certificate.empty() &&
			facts.trust_anchor.empty() && facts.info.confidentiality == 0 && facts.info.integrity == 0 &&
			facts.info.has_peer_fingerprint == 0);
}

/** Call use(tag, value), which may say FALSE, for each attribute; FALSE if anything is wrong. */
template <typename Use>
bool each_attribute(Reader &reader, Use &&use)
{
	std::bitset<64> seen;
	while (!reader.at_end())
	{
		const auto tag = reader.number(2);
		const auto length = reader.number(2);
		const auto value = length ? reader.take(*length) : std::nullopt;
		if (!tag || !value)
		{
			return false;
		}
		if (*tag < seen.size())
		{
			if (seen[*tag])
			{
				return false;
			}
			seen[*tag] = true;
		}
		if (!use(static_cast<Tag>(*tag), *value))
		{
			return false;
		}
	}
	return true;
}

bool read_channel(Reader &reader, Answer &answer)
{
	Facts facts;
	bool first = true;
	const bool is_read = each_attribute(reader,
										[&](Tag tag, Bytes value)
										{
											// an empty message says nothing about protection, and neither does this
											const bool in_order = first == (tag == Tag::protection);
											first = false;
											return in_order && read_fact(tag, value, facts);
										});
	if (!is_read || first || !is_consistent(facts))
	{
		return false;
	}
	answer.facts = std::move(facts);
	return true;
}

bool read_flag(Bytes value, unsigned at, int &out)
{
	const auto flags = number(value, 1, UINT8_MAX);
	out = flags && (*flags >> at & 1) != 0 ? 1 : 0;
	return flags.has_value();
}

/** One of an enumeration that begins with 1. */
template <typename T>
bool read_enum_from_1(Bytes value, T last, T &out)
{
	return read_enum(value, last, out) && out != T{};
}

/** A reason of a later version is one that is not known. */
bool read_reason(Bytes value, btns_latch_reason_t &out)
{
	if (!read_enum(value, BTNS_LATCH_REASON_SHUTDOWN, out))
	{
		out = BTNS_LATCH_REASON_NONE;
	}
	return value.size() == 1;
}

bool read_number(Bytes value, uint32_t &out)
{
	const auto found = number(value, 4, UINT32_MAX);
	out = static_cast<uint32_t>(found.value_or(0));
	return found.has_value();
}

/** One attribute of a latch. */
bool read_latch_fact(Tag tag, Bytes value, LatchFacts &latch)
{
	btns_latch_info_t &info = latch.info;
	int ready = 0;
	switch (tag)
	{
	case Tag::latch_state:
		return read_enum_from_1(value, BTNS_LATCH_CLOSED, info.state);
	case Tag::latch_reason:
		return read_reason(value, info.reason);
	case Tag::latch_number:
		return read_number(value, latch.number) && latch.number != 0;
	case Tag::latch_flags:
		if (!read_flag(value, 0, info.indeterminate) || !read_flag(value, 1, ready))
		{
			return false;
		}
		latch.ready = ready != 0;
		return true;
	case Tag::latch_protocol:
		info.protocol = static_cast<int>(number(value, 1, UINT8_MAX).value_or(0));
		return value.size() == 1;
	case Tag::want_flags:
		return read_flag(value, 0, info.wants_confidentiality) && read_flag(value, 1, info.wants_narrow);
	case Tag::want_auth:
		return read_enum(value, BTNS_LATCH_AUTHENTICATED, info.wants_auth);
	case Tag::want_disposition:
		return read_enum(value, BTNS_LATCH_WAIT, info.disposition);
	case Tag::want_mode:
		return read_enum(value, BTNS_MODE_BEET, info.wants_mode);
	case Tag::want_peer_key:
		return read_fingerprint(value, info.wants_peer_key, info.peer_key);
	case Tag::want_timeout:
		return read_number(value, info.timeout);
	case Tag::inner_local:
		return read_address(value, info.local);
	case Tag::inner_peer:
		return read_address(value, info.peer);
	default:
		return true;
	}
}

bool read_latched(Reader &reader, Answer &answer)
{
	LatchFacts latch;
	Facts channel;
	bool first = true;
	const bool is_read =
		each_attribute(reader,
					   [&](Tag tag, Bytes value)
					   {
						   const bool in_order = first == (tag == Tag::latch_state);
						   first = false;
						   return in_order && read_latch_fact(tag, value, latch) && read_fact(tag, value, channel);
					   });
	if (!is_read || first || !is_consistent(channel))
	{
		return false;
	}
	if (channel.info.protection == BTNS_PROTECTED)
	{
		latch.channel = std::move(channel);
	}
	// nothing is held to somebody of whom nothing is known
	if (latch.info.state == BTNS_LATCH_ESTABLISHED && !latch.channel)
	{
		return false;
	}
	answer.latch = std::move(latch);
	return true;
}

bool read_error(Reader &reader, Answer &answer)
{
	bool found = false;
	return each_attribute(reader,
						  [&](Tag tag, Bytes value)
						  {
							  if (tag == Tag::error)
							  {
								  // those after are the library's own
								  found = read_enum(value, BTNS_EKERNEL, answer.error) && answer.error != BTNS_OK;
							  }
							  return tag != Tag::error || found;
						  }) &&
		   found;
}

bool read_event(Reader &reader, Answer &answer)
{
	bool found = false;
	return each_attribute(reader,
						  [&](Tag tag, Bytes value)
						  {
							  switch (tag)
							  {
							  case Tag::event:
								  found = read_enum_from_1(value, BTNS_EVENT_LATCH_BORN, answer.event) &&
										  answer.event != BTNS_EVENT_CLOSED;
								  return found;
							  case Tag::latch_reason:
								  return read_reason(value, answer.reason);
							  case Tag::latch_number:
								  return read_number(value, answer.born);
							  default:
								  return true;
							  }
						  }) &&
		   found;
}

} // namespace

std::optional<Answer> read_answer(std::span<const uint8_t> message)
{
	Reader reader(message);
	const auto version = reader.number(1);
	const auto type = reader.number(1);
	const auto zero = reader.number(2);
	const auto id = reader.number(4);
	if (message.size() > wire::answer_max || version != wire::version || !type || zero != 0U || !id)
	{
		return std::nullopt;
	}
	Answer answer;
	answer.type = static_cast<wire::Type>(*type);
	answer.id = static_cast<uint32_t>(*id);
	bool is_read = false;
	switch (answer.type)
	{
	case wire::Type::channel:
		is_read = read_channel(reader, answer);
		break;
	case wire::Type::error:
		is_read = read_error(reader, answer);
		break;
	case wire::Type::done:
		is_read = each_attribute(reader, [](Tag, Bytes) { return true; });
		break;
	case wire::Type::event:
		is_read = read_event(reader, answer);
		break;
	case wire::Type::latched:
		is_read = read_latched(reader, answer);
		break;
	default:
		break;
	}
	return is_read ? std::optional(std::move(answer)) : std::nullopt;
}

} // namespace btns::client
