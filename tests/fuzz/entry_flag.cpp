/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
/* btns_entry_flag(): lines are group names, an empty line begins the next round. Against a plain reading of them. */
#include <algorithm>
#include <array>
#include <cctype>
#include <vector>

#include "fuzz.h"

namespace
{

using btns::fuzz::require;

/** Groups by round. */
std::vector<std::vector<std::string>> read_rounds(const std::string &text)
{
	std::vector<std::vector<std::string>> rounds(1);
	size_t start = 0;
	while (start < text.size())
	{
		const size_t end = std::min(text.find('\n', start), text.size());
		if (end == start)
		{
			rounds.emplace_back();
		}
		else
		{
			rounds.back().push_back(text.substr(start, end - start));
		}
		start = end + 1;
	}
	return rounds;
}

std::string lower(std::string text)
{
	std::ranges::transform(text, text.begin(),
						   [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c; });
	return text;
}

bool is_pin(const std::string &group)
{
	static const std::string prefix = "btns:sha256:";
	return group.starts_with(prefix) && group.size() == prefix.size() + 64 &&
		   group.find_first_not_of("0123456789abcdef", prefix.size()) == std::string::npos;
}

btns_flag_t expected_flag(const std::vector<std::string> &reserved)
{
	if (reserved.size() != 1)
	{
		return reserved.empty() ? BTNS_FLAG_NONE : BTNS_FLAG_BROKEN;
	}
	const std::string &group = reserved.front();
	if (group == "btns")
	{
		return BTNS_FLAG_ANY;
	}
	if (group == "btns:null")
	{
		return BTNS_FLAG_NULL;
	}
	if (group == "btns:known")
	{
		return BTNS_FLAG_KNOWN;
	}
	return is_pin(group) ? BTNS_FLAG_KEY : BTNS_FLAG_BROKEN;
}

} // namespace

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const auto groups = read_rounds(btns::fuzz::Input(data, size).text());
	std::vector<std::vector<const char *>> pointers;
	std::vector<btns_round_t> rounds;
	std::vector<std::string> reserved;
	for (const auto &round : groups)
	{
		auto &names = pointers.emplace_back();
		for (const std::string &group : round)
		{
			names.push_back(group.c_str());
			if (const std::string name = lower(group); name == "btns" || name.starts_with("btns:"))
			{
				reserved.push_back(name);
			}
		}
	}
	for (const auto &names : pointers)
	{
		btns_round_t &round = rounds.emplace_back();
		round.groups = names.data();
		round.group_count = names.size();
	}
	btns_entry_t entry{};
	entry.name = "fuzzed";
	entry.rounds = rounds.data();
	entry.round_count = rounds.size();

	std::array<uint8_t, BTNS_FINGERPRINT_LEN> key{};
	const btns_flag_t flag = btns_entry_flag(&entry, key.data());
	require(flag == expected_flag(reserved), "the flag is what the one reserved group says");
	if (flag == BTNS_FLAG_KEY)
	{
		std::array<char, BTNS_KEY_ID_LEN> id{};
		btns_key_id(key.data(), id.data());
		require(reserved.front() == id.data(), "the pinned key is the one in the group");
	}
	return 0;
}
