/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
/**
 * @file name_pool.h
 * Text that many have in common: names of connections and algorithms.
 */
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "cursor.h"

namespace btns
{

/** NULL for an empty text. */
using Name = std::shared_ptr<const std::string>;

/** "" for NULL. */
inline std::string_view text_of(const Name &name)
{
	return name ? std::string_view(*name) : std::string_view("");
}

/** Of a name that is octets and no text. */
inline Bytes octets_of(const Name &name)
{
	const std::string_view text = text_of(name);
	return {reinterpret_cast<const uint8_t *>(text.data()), text.size()};
}

/** Each text once, for as long as somebody has it. Not thread-safe. */
class NamePool
{
public:
	Name get(std::string_view text)
	{
		if (text.empty())
		{
			return nullptr;
		}
		const auto found = names_.find(text);
		if (found != names_.end())
		{
			if (Name name = found->second.lock())
			{
				return name;
			}
		}
		if (names_.size() >= limit_)
		{
			std::erase_if(names_, [](const auto &entry) { return entry.second.expired(); });
			limit_ = 2 * names_.size() + 64;
		}
		Name name = std::make_shared<const std::string>(text);
		names_.insert_or_assign(*name, name);
		return name;
	}

	[[nodiscard]] size_t size() const { return names_.size(); }

private:
	size_t limit_ = 64;
	std::map<std::string, std::weak_ptr<const std::string>, std::less<>> names_;
};

} // namespace btns
