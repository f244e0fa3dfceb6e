/* SPDX-License-Identifier: MIT */
#include "options.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <span>

namespace btnsrun
{

namespace
{

/** So that a library of another version does not read it. */
constexpr std::string_view version = "1";
constexpr std::string_view digits = "0123456789abcdef";

std::string to_hex(std::span<const uint8_t> octets)
{
	std::string out;
	for (const uint8_t octet : octets)
	{
		out += digits[octet >> 4];
		out += digits[octet & 15];
	}
	return out;
}

std::optional<std::string> from_hex(std::string_view text)
{
	std::string out;
	if (text.size() % 2 != 0)
	{
		return std::nullopt;
	}
	for (size_t at = 0; at < text.size(); at += 2)
	{
		const size_t high = digits.find(text[at]);
		const size_t low = digits.find(text[at + 1]);
		if (high == std::string_view::npos || low == std::string_view::npos)
		{
			return std::nullopt;
		}
		out += static_cast<char>(high << 4 | low);
	}
	return out;
}

std::string to_hex(std::string_view text)
{
	return to_hex(std::span(reinterpret_cast<const uint8_t *>(text.data()), text.size()));
}

std::optional<uint32_t> number(std::string_view text, uint32_t last)
{
	uint32_t value = 0;
	const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
	return error == std::errc() && end == text.data() + text.size() && value <= last ? std::optional(value)
																					 : std::nullopt;
}

/** Takes values off a text, with colons between them; remembers whether one was wrong. */
class Fields
{
public:
	explicit Fields(std::string_view text) : rest_(text) {}

	std::string_view next()
	{
		if (ended_)
		{
			good = false;
			return {};
		}
		const size_t colon = rest_.find(':');
		const std::string_view field = rest_.substr(0, colon);
		ended_ = colon == std::string_view::npos;
		rest_.remove_prefix(ended_ ? rest_.size() : colon + 1);
		return field;
	}
	uint32_t next_number(uint32_t last)
	{
		const auto found = number(next(), last);
		good = good && found;
		return found.value_or(0);
	}
	std::string next_text()
	{
		const auto found = from_hex(next());
		good = good && found;
		return found.value_or("");
	}
	[[nodiscard]] bool all_read() const { return good && ended_; }

	bool good = true;

private:
	std::string_view rest_;
	bool ended_ = false;
};

constexpr uint32_t timeout_max = 600000;

} // namespace

bool Options::operator==(const Options &other) const
{
	return encode(*this) == encode(other);
}

std::string encode(const Options &options)
{
	const btns_latch_options_t &latch = options.latch;
	std::string out(version);
	for (const uint32_t value :
		 {static_cast<uint32_t>(options.report), static_cast<uint32_t>(options.loopback),
		  static_cast<uint32_t>(latch.confidentiality), static_cast<uint32_t>(latch.auth),
		  static_cast<uint32_t>(latch.disposition), static_cast<uint32_t>(latch.narrow), latch.timeout})
	{
		out.append(":").append(std::to_string(value));
	}
	out.append(":").append(latch.has_peer_key != 0 ? to_hex(latch.peer_key) : "");
	for (const std::string &text : {options.socket, options.log, options.except})
	{
		out.append(":").append(to_hex(text));
	}
	return out;
}

std::optional<Options> decode(std::string_view text)
{
	Fields fields(text);
	Options out;
	if (fields.next() != version)
	{
		return std::nullopt;
	}
	out.report = fields.next_number(1) != 0;
	out.loopback = fields.next_number(1) != 0;
	out.latch.confidentiality = static_cast<int>(fields.next_number(1));
	out.latch.auth = static_cast<btns_latch_auth_t>(fields.next_number(BTNS_LATCH_AUTHENTICATED));
	out.latch.disposition = static_cast<btns_latch_disposition_t>(fields.next_number(BTNS_LATCH_WAIT));
	out.latch.narrow = static_cast<int>(fields.next_number(1));
	out.latch.timeout = fields.next_number(timeout_max);
	const std::string key = fields.next_text();
	out.latch.has_peer_key = key.empty() ? 0 : 1;
	fields.good = fields.good && (key.empty() || key.size() == sizeof(out.latch.peer_key));
	std::copy_n(key.begin(), std::min(key.size(), sizeof(out.latch.peer_key)), out.latch.peer_key);
	out.socket = fields.next_text();
	out.log = fields.next_text();
	out.except = fields.next_text();
	return fields.all_read() && parse_exceptions(out.except) ? std::optional(std::move(out)) : std::nullopt;
}

bool parse_peer_key(std::string_view text, btns_latch_options_t &out)
{
	constexpr std::string_view group = "btns:";
	constexpr std::string_view digest = "sha256:";
	if (text.starts_with(group))
	{
		text.remove_prefix(group.size());
	}
	if (!text.starts_with(digest))
	{
		return false;
	}
	std::string hex(text.substr(digest.size()));
	std::ranges::transform(hex, hex.begin(),
						   [](char digit)
						   { return digit >= 'A' && digit <= 'F' ? static_cast<char>(digit + 32) : digit; });
	const auto key = from_hex(hex);
	if (!key || key->size() != sizeof(out.peer_key))
	{
		return false;
	}
	std::ranges::copy(*key, out.peer_key);
	out.has_peer_key = 1;
	return true;
}

} // namespace btnsrun
