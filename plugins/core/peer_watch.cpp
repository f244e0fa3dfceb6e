/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
#include "peer_watch.h"

namespace btns
{

PeerWatch::Before PeerWatch::came(uint64_t root, const std::string &connection, const Address &address,
								  const std::optional<Fingerprint> &fingerprint)
{
	went(root);
	if (there_.size() >= there_max)
	{
		// nobody said that they went
		*this = PeerWatch();
	}
	const Key key{connection, address};
	const auto [place, fresh] = places_.try_emplace(key);
	there_.try_emplace(root, key);
	Place &here = place->second;
	Before before;
	if (!fresh)
	{
		before.fingerprint = here.last;
		before.changed = here.there == 0 && here.last && here.last != fingerprint;
	}
	if (!fresh && here.there == 0)
	{
		empty_.erase(here.left);
	}
	here.there++;
	here.last = fingerprint;
	return before;
}

void PeerWatch::went(uint64_t root)
{
	const auto peer = there_.find(root);
	if (peer == there_.end())
	{
		return;
	}
	const auto place = places_.find(peer->second);
	if (place->second.there == 1)
	{
		place->second.left = empty_.insert(empty_.end(), peer->second);
	}
	place->second.there--;
	there_.erase(peer);
	if (empty_.size() > watched_max)
	{
		places_.erase(empty_.front());
		empty_.pop_front();
	}
}

} // namespace btns
