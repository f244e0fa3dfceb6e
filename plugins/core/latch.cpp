/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
#include "latch.h"

#include "channel_identity.h"

namespace btns
{

const char *to_text(LatchState state)
{
	switch (state)
	{
	case LatchState::listener:
		return "listener";
	case LatchState::larval:
		return "larval";
	case LatchState::established:
		return "established";
	case LatchState::broken:
		return "broken";
	case LatchState::closed:
		break;
	}
	return "closed";
}

const char *to_code(LatchReason reason)
{
	switch (reason)
	{
	case LatchReason::conflict:
		return "conflict";
	case LatchReason::peer_dead:
		return "peer-dead";
	case LatchReason::cleared:
		return "cleared";
	case LatchReason::released:
		return "released";
	case LatchReason::socket_gone:
		return "socket-gone";
	case LatchReason::administrator:
		return "administrator";
	case LatchReason::not_established:
		return "not-established";
	case LatchReason::shutdown:
		return "shutdown";
	case LatchReason::none:
		break;
	}
	return "none";
}

const char *to_text(LatchReason reason)
{
	switch (reason)
	{
	case LatchReason::conflict:
		return "an SA of another peer, or of another quality, covers the connection, or a policy takes it past its SAs";
	case LatchReason::peer_dead:
		return "the peer is dead or has restarted";
	case LatchReason::cleared:
		return "the conflicting SAs have gone";
	case LatchReason::released:
		return "its owner has released it, or has gone";
	case LatchReason::socket_gone:
		return "the connection has ended";
	case LatchReason::administrator:
		return "the administrator has closed it";
	case LatchReason::not_established:
		return "no SA came in time, or what came is not what was asked for";
	case LatchReason::shutdown:
		return "the daemon ends, or connection latching does";
	case LatchReason::none:
		break;
	}
	return "nothing has happened to it";
}

Congruence congruence_of(const Channel &channel, bool narrow)
{
	Congruence congruence;
	congruence.peer = peer_identity(channel);
	congruence.local = local_identity(channel);
	congruence.mode = channel.mode;
	congruence.confidentiality = channel.confidentiality;
	congruence.integrity = channel.integrity;
	if (narrow)
	{
		// never empty, whatever has no name: that would be any suite
		congruence.suite = channel.encryption_algorithm + '/' + channel.integrity_algorithm;
	}
	return congruence;
}

} // namespace btns
