/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
#include "channel_identity.h"

#include <string_view>

namespace btns
{

namespace
{

using Octets = std::vector<uint8_t>;

void append(Octets &out, Bytes octets)
{
	// its length first: what differs never reads the same
	for (int shift = 24; shift >= 0; shift -= 8)
	{
		out.push_back(static_cast<uint8_t>(octets.size() >> shift));
	}
	out.insert(out.end(), octets.begin(), octets.end());
}

void append(Octets &out, std::string_view text)
{
	append(out, Bytes(reinterpret_cast<const uint8_t *>(text.data()), text.size()));
}

void append(Octets &out, const std::optional<Fingerprint> &key)
{
	append(out, key ? Bytes(*key) : Bytes());
}

} // namespace

Fingerprint peer_identity(const Channel &channel)
{
	Octets out{static_cast<uint8_t>(channel.peer_method)};
	append(out, std::string_view(channel.asserted_id));
	append(out, std::string_view(channel.authorized_id));
	append(out, channel.peer_fingerprint);
	append(out, Bytes(channel.peer_key));
	return fingerprint(out);
}

Fingerprint local_identity(const Channel &channel)
{
	Octets out{static_cast<uint8_t>(channel.local_method)};
	append(out, channel.local_fingerprint);
	return fingerprint(out);
}

} // namespace btns
