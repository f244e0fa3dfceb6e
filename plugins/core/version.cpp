/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
#include "version.h"

#include <algorithm>
#include <array>

namespace btns
{

namespace
{

constexpr size_t max_number_digits = 3;
constexpr std::array<std::string_view, 3> prerelease_marks{"dr", "rc", "beta"};

/** Take a decimal number without leading zeros off the front. */
std::optional<std::string_view> take_number(std::string_view &text)
{
	const size_t digits = std::min(text.find_first_not_of("0123456789"), text.size());
	if (digits == 0 || digits > max_number_digits || (digits > 1 && text.front() == '0'))
	{
		return std::nullopt;
	}
	const auto number = text.substr(0, digits);
	text.remove_prefix(digits);
	return number;
}

bool take(std::string_view &text, std::string_view prefix)
{
	if (!text.starts_with(prefix))
	{
		return false;
	}
	text.remove_prefix(prefix.size());
	return true;
}

bool is_version(std::string_view text)
{
	const auto major = take_number(text);
	if (!major || major->size() != 1 || major->front() < '5')
	{
		return false;
	}
	if (!take(text, ".") || !take_number(text) || !take(text, ".") || !take_number(text))
	{
		return false;
	}
	if (text.empty())
	{
		return true;
	}
	const bool marked = std::ranges::any_of(prerelease_marks, [&](std::string_view mark) { return take(text, mark); });
	return marked && take_number(text) && text.empty();
}

} // namespace

std::optional<std::string_view> find_version(Bytes image)
{
	const std::string_view text(reinterpret_cast<const char *>(image.data()), image.size());
	std::optional<std::string_view> found;
	size_t start = text.find('\0');
	while (start != std::string_view::npos)
	{
		const size_t end = text.find('\0', start + 1);
		if (end == std::string_view::npos)
		{
			break;
		}
		const auto candidate = text.substr(start + 1, end - start - 1);
		if (is_version(candidate))
		{
			if (found && *found != candidate)
			{
				return std::nullopt;
			}
			found = candidate;
		}
		start = end;
	}
	return found;
}

} // namespace btns
