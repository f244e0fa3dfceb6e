/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
#include "peer_watch.h"

namespace btns
{

void PeerWatch::went(const std::string &connection, const Address &address, const Fingerprint &key)
{
	const Place place{connection, address};
	const auto known = places_.find(place);
	if (known != places_.end())
	{
		known->second.key = key;
		order_.splice(order_.end(), order_, known->second.order);
		return;
	}
	order_.push_back(place);
	try
	{
		places_.emplace(place, Left{key, std::prev(order_.end())});
	}
	catch (...)
	{
		order_.pop_back();
		throw;
	}
	if (places_.size() > watched_max)
	{
		places_.erase(order_.front());
		order_.pop_front();
	}
}

std::optional<Fingerprint> PeerWatch::came(const std::string &connection, const Address &address,
										   const std::optional<Fingerprint> &key)
{
	const auto known = places_.find({connection, address});
	if (known == places_.end())
	{
		return std::nullopt;
	}
	const Fingerprint before = known->second.key;
	order_.erase(known->second.order);
	places_.erase(known);
	return before == key ? std::nullopt : std::optional(before);
}

} // namespace btns
