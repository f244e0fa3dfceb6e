/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
/**
 * @file peer_watch.h
 * Has whoever is at an address the key that was there before?
 */
#pragma once

#include <list>
#include <map>
#include <optional>
#include <string>

#include "address.h"
#include "key.h"

namespace btns
{

/** Addresses without a peer that are remembered. */
constexpr size_t watched_max = 4096;

/** Peers that are there, at most. */
constexpr size_t there_max = 2 * 65536;

/** Remembers the last key of each connection and address. Not thread-safe. */
class PeerWatch
{
public:
	/** What was there before. */
	struct Before
	{
		/** no peer is left there, and the last one had another key, or this one has none */
		bool changed = false;
		std::optional<Fingerprint> fingerprint;
	};

	/**
	 * A peer came. Beside one that is still there another one is no change: a NAT has many behind one address.
	 *
	 * @param root	the same for went(), and for nobody else
	 */
	Before came(uint64_t root, const std::string &connection, const Address &address,
				const std::optional<Fingerprint> &fingerprint);
	/** It went, from wherever it was by then. */
	void went(uint64_t root);

	[[nodiscard]] size_t size() const { return places_.size(); }

private:
	using Key = std::pair<std::string, Address>;

	struct Place
	{
		std::optional<Fingerprint> last;
		/** peers that are there */
		size_t there = 0;
		/** in order, if nobody is there */
		std::list<Key>::iterator left;
	};

	std::map<Key, Place> places_;
	/** places where nobody is any more, the longest first */
	std::list<Key> empty_;
	/** by root; the places of those who are there stay */
	std::map<uint64_t, Key> there_;
};

} // namespace btns
