/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
/**
 * @file reqids.h
 * Whose CHILD_SAs have which reqid: the number that ties policies to SAs in the kernel.
 */
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>

#include "btns/core.h"

namespace btns
{

/**
 * A reqid that two peers share sends the packets of one in the SA of the other, so a stranger shares none with anybody
 * else. Not thread-safe: looking, asking the daemon for a reqid and taking it are one step for the caller.
 */
class Reqids
{
public:
	struct Holder
	{
		btns_holder_t kind = BTNS_HOLDER_AUTHENTICATED;
		/** identity of a stranger, else empty */
		std::string identity;
		bool operator==(const Holder &) const = default;
	};

	/**
	 * May this holder have this reqid, which it asks for, beside those who have it?
	 *
	 * @param own_trap	if a trap has it, that is one of the holder's own connection
	 */
	[[nodiscard]] bool may_share(uint32_t reqid, const Holder &holder, bool own_trap) const;
	/** FALSE, and nothing happened, if it is a stranger and somebody else but a trap has it. Strong exception
	 * guarantee.
	 */
	bool take(uint32_t reqid, const Holder &holder);
	/** Who gives a reqid back may not be who took it; once it was given back as often as taken nobody has it. */
	void release(uint32_t reqid, const Holder &holder);
	/** From now on it is not known who has what: strangers get none that they ask for. */
	void lose_track() { lost_track_ = true; }
	[[nodiscard]] size_t size() const { return holders_.size(); }

private:
	[[nodiscard]] bool is_free_for(uint32_t reqid, const Holder &holder, bool own_trap) const;

	/** each as often as it has it */
	std::multimap<uint32_t, Holder> holders_;
	bool lost_track_ = false;
};

} // namespace btns
