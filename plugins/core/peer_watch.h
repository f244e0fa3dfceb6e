/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
/**
 * @file peer_watch.h
 * Has whoever comes to an address the key of who was there before?
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

/** Addresses that a peer has left and that are remembered. */
constexpr size_t watched_max = 4096;

/** Remembers the last key of each connection and address that a peer has left. Not thread-safe. */
class PeerWatch
{
public:
	/** A peer went that had signed with a key. */
	void went(const std::string &connection, const Address &address, const Fingerprint &key);

	/** A peer came. The key of who was there before, if it had one and this is another one, or none. */
	std::optional<Fingerprint> came(const std::string &connection, const Address &address,
									const std::optional<Fingerprint> &key);

	[[nodiscard]] size_t size() const { return places_.size(); }

private:
	using Place = std::pair<std::string, Address>;

	struct Left
	{
		Fingerprint key;
		std::list<Place>::iterator order;
	};

	std::map<Place, Left> places_;
	/** the longest left first */
	std::list<Place> order_;
};

} // namespace btns
