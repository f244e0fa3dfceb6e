/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
/**
 * @file packed_selectors.h
 * Traffic selectors of a CHILD_SA where there are many of them: 14 octets for one over IPv4.
 */
#pragma once

#include <algorithm>
#include <cstring>
#include <memory>
#include <span>
#include <vector>

#include "btns/core.h"

namespace btns
{

/** Of both sides; does not change. */
class PackedSelectors
{
public:
	/** Of one side; charon has fewer than fit into a message. */
	static constexpr size_t most = UINT16_MAX;

	/** Those beyond `most` are left out. Throws std::bad_alloc. */
	PackedSelectors(std::span<const btns_ts_t> remote, std::span<const btns_ts_t> local)
		: remote_count_(static_cast<uint16_t>(std::min(remote.size(), most))),
		  local_count_(static_cast<uint16_t>(std::min(local.size(), most)))
	{
		remote = remote.first(remote_count_);
		local = local.first(local_count_);
		octets_ = std::make_unique<uint8_t[]>(size_of(remote) + size_of(local));
		uint8_t *at = octets_.get();
		for (const auto side : {remote, local})
		{
			for (const btns_ts_t &ts : side)
			{
				write(at, ts);
			}
		}
	}

	/** Call visitor(selector) for each remote one. */
	template <typename Visitor>
	void for_each_remote(Visitor &&visitor) const
	{
		const uint8_t *at = octets_.get();
		for (size_t i = 0; i < remote_count_; i++)
		{
			visitor(read(at));
		}
	}
	[[nodiscard]] std::vector<btns_ts_t> remote() const
	{
		const uint8_t *at = octets_.get();
		return read(at, remote_count_);
	}
	[[nodiscard]] std::vector<btns_ts_t> local() const
	{
		const uint8_t *at = octets_.get();
		for (size_t i = 0; i < remote_count_; i++)
		{
			at += size_of(*at);
		}
		return read(at, local_count_);
	}

private:
	static size_t address_size(uint8_t family) { return family == 4 ? 4 : sizeof(btns_ts_t::from); }
	static size_t size_of(uint8_t family)
	{
		return sizeof(btns_ts_t::family) + sizeof(btns_ts_t::protocol) + sizeof(btns_ts_t::from_port) +
			   sizeof(btns_ts_t::to_port) + 2 * address_size(family);
	}
	static size_t size_of(std::span<const btns_ts_t> selectors)
	{
		size_t size = 0;
		for (const btns_ts_t &ts : selectors)
		{
			size += size_of(ts.family);
		}
		return size;
	}

	/** Call copy(member, octets) for what is kept of a selector, the family first. */
	template <typename Selector, typename Copy>
	static void each_member(Selector &ts, Copy &&copy)
	{
		copy(&ts.family, sizeof(ts.family));
		copy(&ts.protocol, sizeof(ts.protocol));
		copy(&ts.from_port, sizeof(ts.from_port));
		copy(&ts.to_port, sizeof(ts.to_port));
		copy(ts.from, address_size(ts.family));
		copy(ts.to, address_size(ts.family));
	}

	static void write(uint8_t *&at, const btns_ts_t &ts)
	{
		each_member(ts,
					[&at](const auto *from, size_t size)
					{
						std::memcpy(at, from, size);
						at += size;
					});
	}

	static btns_ts_t read(const uint8_t *&at)
	{
		btns_ts_t ts{};
		each_member(ts,
					[&at](auto *to, size_t size)
					{
						std::memcpy(to, at, size);
						at += size;
					});
		return ts;
	}

	static std::vector<btns_ts_t> read(const uint8_t *&at, size_t count)
	{
		std::vector<btns_ts_t> selectors;
		selectors.reserve(count);
		for (size_t i = 0; i < count; i++)
		{
			selectors.push_back(read(at));
		}
		return selectors;
	}

	uint16_t remote_count_;
	uint16_t local_count_;
	/** remote ones first; each begins with its family, which tells its length */
	std::unique_ptr<uint8_t[]> octets_;
};

} // namespace btns
