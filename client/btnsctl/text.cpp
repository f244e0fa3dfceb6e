/* SPDX-License-Identifier: MIT */
#include "text.h"

#include <langinfo.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <optional>
#include <system_error>
#include <utility>

namespace btnsctl
{

namespace
{

/** Octets of a character and its code point; nothing if the text does not begin with valid UTF-8 (RFC 3629). */
std::optional<std::pair<size_t, char32_t>> read_utf8(std::string_view text)
{
	const auto octet = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
	const unsigned char first = octet(0);
	const size_t length = first < 0x80	 ? 1
						  : first < 0xc2 ? 0
						  : first < 0xe0 ? 2
						  : first < 0xf0 ? 3
						  : first < 0xf5 ? 4
										 : 0;
	if (length == 0 || length > text.size())
	{
		return std::nullopt;
	}
	char32_t point = length == 1 ? first : first & (0x7fU >> length);
	for (size_t i = 1; i < length; i++)
	{
		if ((octet(i) & 0xc0) != 0x80)
		{
			return std::nullopt;
		}
		point = point << 6 | (octet(i) & 0x3f);
	}
	constexpr std::array<char32_t, 5> smallest{0, 0, 0x80, 0x800, 0x10000};
	if (point < smallest.at(length) || point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff))
	{
		return std::nullopt;
	}
	return std::pair(length, point);
}

/** Does it do something to a terminal or to its reader, rather than show something? */
bool is_harmful(char32_t point)
{
	constexpr std::array<std::pair<char32_t, char32_t>, 17> ranges{{
		{0x00, 0x1f},	  // C0 controls
		{0x5c, 0x5c},	  // backslash
		{0x7f, 0x9f},	  // DEL, C1 controls
		{0xad, 0xad},	  // soft hyphen
		{0x34f, 0x34f},	  // combining grapheme joiner
		{0x61c, 0x61c},	  // Arabic letter mark
		{0x115f, 0x1160}, // Hangul fillers
		{0x17b4, 0x17b5}, // Khmer inherent vowels
		{0x180b, 0x180e}, // Mongolian selectors
		{0x200b, 0x200f}, // zero width, direction
		{0x2028, 0x202e}, // separators, direction
		{0x2060, 0x206f}, // invisible operators, direction
		{0x3164, 0x3164}, // Hangul filler
		{0xe000, 0xf8ff}, // private use
		{0xfe00, 0xfe0f}, // variation selectors
		{0xfeff, 0xfeff}, // byte order mark
		{0xfff0, 0xffff}, // specials
	}};
	return point >= 0xe0000 ||
		   std::ranges::any_of(ranges, [point](const auto &r) { return point >= r.first && point <= r.second; });
}

template <typename... Args>
std::string format(const char *how, Args... args)
{
	std::array<char, 64> out{};
	const int length = std::snprintf(out.data(), out.size(), how, args...);
	return {out.data(), static_cast<size_t>(std::clamp<int>(length, 0, out.size() - 1))};
}

} // namespace

std::string safe(std::string_view text, bool utf8)
{
	std::string out;
	while (!text.empty())
	{
		const auto read = read_utf8(text);
		if (!read)
		{
			out += format("\\x%02x", static_cast<unsigned>(static_cast<unsigned char>(text[0])));
			text.remove_prefix(1);
			continue;
		}
		const auto [length, point] = *read;
		if (point == U'\\')
		{
			out += "\\\\";
		}
		else if (point < 0x80 && is_harmful(point))
		{
			out += format("\\x%02x", static_cast<unsigned>(point));
		}
		else if (is_harmful(point) || (!utf8 && point >= 0x80))
		{
			out += format("\\u{%x}", static_cast<unsigned>(point));
		}
		else
		{
			out += text.substr(0, length);
		}
		text.remove_prefix(length);
	}
	return out;
}

bool is_utf8()
{
	// NOLINTNEXTLINE(concurrency-mt-unsafe): main() sets the locale before there is another thread
	return std::strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
}

std::string error_text(int error)
{
	return std::generic_category().message(error);
}

std::string environment(const char *name)
{
	// NOLINTNEXTLINE(concurrency-mt-unsafe): nothing here changes the environment
	const char *value = std::getenv(name);
	return value != nullptr ? value : "";
}

std::string duration(int64_t seconds)
{
	const auto n = [](int64_t number) { return static_cast<long long>(number); };
	if (seconds < 0)
	{
		return "in the future";
	}
	if (seconds < 60)
	{
		return format("%llds", n(seconds));
	}
	if (seconds < 3600)
	{
		return format("%lldm %llds", n(seconds / 60), n(seconds % 60));
	}
	if (seconds < 86400)
	{
		return format("%lldh %lldm", n(seconds / 3600), n(seconds % 3600 / 60));
	}
	return format("%lldd %lldh", n(seconds / 86400), n(seconds % 86400 / 3600));
}

std::string timestamp(int64_t seconds)
{
	const auto when = static_cast<time_t>(seconds);
	struct tm local
	{};
	std::array<char, 32> out{};
	if (localtime_r(&when, &local) == nullptr || std::strftime(out.data(), out.size(), "%F %T", &local) == 0)
	{
		return "?";
	}
	return out.data();
}

std::string join(const std::vector<std::string> &words, std::string_view between)
{
	std::string text;
	for (const std::string &word : words)
	{
		if (&word != &words.front())
		{
			text += between;
		}
		text += word;
	}
	return text;
}

std::string to_hex(std::string_view octets)
{
	constexpr std::string_view digits = "0123456789abcdef";
	std::string hex;
	for (const char c : octets)
	{
		const auto octet = static_cast<unsigned char>(c);
		hex += digits[octet >> 4];
		hex += digits[octet & 15];
	}
	return hex;
}

bool is_hex(std::string_view text)
{
	return !text.empty() && std::ranges::all_of(text, [](unsigned char c) { return std::isxdigit(c) != 0; });
}

} // namespace btnsctl
