/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
/**
 * @file latch_sas.h
 * All SAs that are in the kernel, or are about to be, as far as latches are concerned: the SAD of RFC 5660 2.3.
 */
#pragma once

#include <map>
#include <memory>
#include <span>
#include <vector>

#include "interval_index.h"
#include "latch.h"
#include "latch_database.h"
#include "policy.h"

namespace btns
{

/** What a policy of a socket has to demand to get an SA's protection. */
struct LatchDemand
{
	uint32_t reqid = 0;
	btns_mode_t mode = BTNS_MODE_NONE;
	/** outer addresses; they matter in tunnel mode and BEET only */
	Address outer_local;
	Address outer_remote;

	bool operator==(const LatchDemand &) const = default;
};

/** Not thread-safe. */
class LatchSas
{
public:
	/** One pair of SAs: a CHILD_SA. */
	struct Entry
	{
		/** charon's unique ID of the CHILD_SA */
		uint32_t child = 0;
		LatchDemand demand;
		std::vector<btns_ts_t> local;
		std::vector<btns_ts_t> remote;
		/** nothing if it is not known who the peer is: then it is congruent to none */
		std::optional<Congruence> congruence;
		/** of the peer's key, if it used one */
		std::optional<Fingerprint> peer_key;
		/** what latches had from it when they were established, last */
		std::shared_ptr<const Channel> channel;

		/** As the latch database sees it; points into this. */
		[[nodiscard]] LatchSa facts() const;
		/** May its policies in the kernel take a flow? Of an open local end (family 0, port 0) any. */
		[[nodiscard]] bool covers(const Flow &flow) const;
	};

	/** Replaces the one with the same ID. Strong exception guarantee. */
	Entry &put(Entry entry);
	/** Nothing happens if there is none. */
	void remove(uint32_t child) noexcept { entries_.erase(child); }
	/** NULL if there is none. */
	[[nodiscard]] Entry *find(uint32_t child);
	/** Is there one with this reqid? */
	[[nodiscard]] bool has_reqid(uint32_t reqid) const { return reqids_.contains(reqid); }
	/** Call visitor(const Entry &) for each that covers a flow, maybe several times, until it returns FALSE. */
	template <typename Visitor>
	void for_each_covering(const Flow &flow, Visitor &&visitor) const
	{
		index_.for_each_overlap(host_range(flow.remote), [&](const Range & /*range*/, const Entry *entry)
								{ return !entry->covers(flow) || visitor(*entry); });
	}
	[[nodiscard]] size_t size() const { return entries_.size(); }

private:
	/** In the index as long as it lives. */
	class Indexed
	{
	public:
		Indexed(LatchSas &sas, Entry entry);
		~Indexed();
		Indexed(const Indexed &) = delete;
		Indexed &operator=(const Indexed &) = delete;
		Indexed(Indexed &&) = delete;
		Indexed &operator=(Indexed &&) = delete;

		Entry entry;

	private:
		void remove_ranges();

		LatchSas &sas_;
	};

	/** what policies take: the addresses of the peer's side */
	IntervalIndex<const Entry *> index_;
	/** how many have each */
	std::map<uint32_t, size_t> reqids_;
	std::map<uint32_t, std::unique_ptr<Indexed>> entries_;
};

} // namespace btns
