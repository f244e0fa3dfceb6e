/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
/*
 * One connection latch (RFC 5660 2.2) with the steps that the daemon takes, the kernel between them, and everybody who can
 * do something at the same time: IKE with SAs of several peers, the latch's owner, dead peer detection.
 *
 * The daemon has a lock; what it does while it holds that is several steps for the kernel, which lets packets pass at any
 * time. Policies do not tell peers apart: what demands protection lets pass what any SA protects that is there. So no SA of
 * somebody else may be there while a latch holds.
 *
 * `ci/test model` checks it, and that with each of these faults the claim named behind it does not hold:
 *
 * FAULT_NO_BREAK_FIRST: the SA is installed, then the latch is broken: `held`
 * FAULT_STRANGERS_MAY: a stranger's SA is neither refused nor breaks the latch: `held`
 * FAULT_NO_SECOND_LOOK: SAs that came after the first look at them do not count: `held`
 * FAULT_LATE_CLEAR: what waited has its policy back when somebody else may have broken it again: `held`
 * FAULT_NO_ALERT: nobody is told that a latch is BROKEN: `told`
 * FAULT_REOPEN: what was CLOSED is ESTABLISHED again when the conflict is cleared: `final`
 */

#define NOBODY 255
/* SAs are numbered as their peers are: two that are authenticated, and a stranger */
#define SAS 3
#define IS_STRANGER(sa) (sa == 2)

mtype:state = { NONE, LARVAL, ESTABLISHED, BROKEN, CLOSED };
mtype:policy = { OPEN, PROTECT, BLOCK };

/* the kernel */
mtype:policy policy = OPEN;
bool has_socket = true;
bool connected = false;
bool installed[SAS];

/* the daemon: the latch database, and which SAs are there or about to be */
bool locked = false;
mtype:state state = NONE;
byte latched = NOBODY;
bool does_wait;
bool is_dead = false;
bool known[SAS];
bool breaks[SAS];

/* ALERT(BROKEN): its owner has to hear of it, and there is something for it to hear */
bool is_unheard = false;
bool is_told = false;
bool owner_is_gone = false;

#define HOLDS ((state == ESTABLISHED || state == BROKEN) && latched != NOBODY && !is_dead)
#define CONFLICTS(sa) (HOLDS && sa != latched)
#define IS_CLEARED (!breaks[0] && !breaks[1] && !breaks[2])
#define ALL_ARE_OF(peer) ((!known[0] || peer == 0) && (!known[1] || peer == 1) && (!known[2] || peer == 2))

/* What must never be: the packets of a flow under an SA of somebody else, or in the clear. */
#define PASSES(sa) (has_socket && connected && policy == PROTECT && installed[sa])
#define PASSES_WRONGLY ((PASSES(0) && latched != 0) || (PASSES(1) && latched != 1) || (PASSES(2) && latched != 2))
#define PASSES_IN_CLEAR (has_socket && connected && policy == OPEN)

ltl held { [] (!(latched != NOBODY && PASSES_WRONGLY) && !(PASSES_IN_CLEAR && state != CLOSED)) }
ltl told { [] (is_unheard -> <> (!is_unheard || owner_is_gone)) }
ltl final { [] (state == CLOSED -> [] (state == CLOSED)) }
/* what holds does not hold because nothing happens */
ltl never_established { [] (state != ESTABLISHED) }
ltl never_cleared { [] (state == BROKEN -> [] (state != ESTABLISHED)) }

inline become_broken()
{
	state = BROKEN;
	is_unheard = true;
#ifndef FAULT_NO_ALERT
	is_told = true;
#endif
}

inline become_closed()
{
	state = CLOSED;
#ifndef FAULT_REOPEN
	breaks[0] = false;
	breaks[1] = false;
	breaks[2] = false;
#endif
}

/* The packets of a BROKEN latch stop: those of one that waits are blocked, else the connection is reset. Ends the lock. */
inline enforce()
{
	if
	:: does_wait -> policy = BLOCK
	:: else ->
		has_socket = false;
		atomic { become_closed() }
	fi;
	locked = false
}

/* A CHILD_SA is negotiated, installed, and deleted or expires; so often. */
proctype Sa(byte sa; byte rounds)
{
	do
	:: rounds > 0 ->
		rounds--;
#ifndef FAULT_STRANGERS_MAY
		/* narrow(): a proposal is refused as early as possible */
		atomic {
			!locked;
			if
			:: IS_STRANGER(sa) && CONFLICTS(sa) -> goto next
			:: else
			fi
		};
#endif
#ifdef FAULT_NO_BREAK_FIRST
		installed[sa] = true;
#endif
		/* before it is installed, since a latch may have been made meanwhile */
		atomic {
			!locked;
			if
#ifdef FAULT_STRANGERS_MAY
			:: IS_STRANGER(sa) -> goto install
#else
			:: IS_STRANGER(sa) && CONFLICTS(sa) -> goto next
#endif
			:: else
			fi;
			/* who makes a latch sees it from here on */
			known[sa] = true;
			if
			:: CONFLICTS(sa) && state == ESTABLISHED ->
				breaks[sa] = does_wait;
				become_broken();
				locked = true
			:: CONFLICTS(sa) && state == BROKEN ->
				breaks[sa] = does_wait;
				goto install
			:: else -> goto install
			fi
		};
		enforce();
install:	installed[sa] = true;
		/* it is used for a while */
		installed[sa] = false;
		atomic {
			!locked;
			known[sa] = false;
			if
			:: breaks[sa] -> breaks[sa] = false
			:: else -> goto next
			fi;
			if
#ifdef FAULT_REOPEN
			:: IS_CLEARED && !is_dead -> state = ESTABLISHED
#else
			:: IS_CLEARED && HOLDS -> state = ESTABLISHED
#endif
			:: else -> goto next
			fi;
#ifndef FAULT_LATE_CLEAR
			locked = true
#endif
		};
		policy = PROTECT;
		locked = false;
next:		skip
	:: else -> break
	od
}

/* An application latches a connection, and at some time releases it, or is killed, or neither. */
proctype Owner()
{
	byte found = NOBODY;

	atomic { !locked -> state = LARVAL };
	/* no packet leaves before this */
	policy = PROTECT;
	/* look at the SAs that are there, or wait for one in vain */
	if
	:: known[0] -> found = 0
	:: known[1] -> found = 1
	:: known[2] -> found = 2
	:: true
	fi;
	/* connect(): its local end is known */
	connected = true;
	atomic {
		!locked;
		if
		:: found == NOBODY ->
			has_socket = false;
			become_closed();
			goto made
#ifndef FAULT_NO_SECOND_LOOK
		:: found != NOBODY && !ALL_ARE_OF(found) ->
			/* born BROKEN */
			become_broken();
			locked = true
#endif
		:: else ->
			latched = found;
			state = ESTABLISHED;
			goto made
		fi
	};
	enforce();
made:
	if
	:: true -> skip
	:: true ->
		/* RELEASE_LATCH() */
		owner_is_gone = true;
		atomic {
			!locked -> locked = true;
			become_closed()
		};
		policy = OPEN;
		locked = false
	:: true ->
		/* it is killed: unless the daemon has a copy of the socket, that has gone before the daemon knows */
		owner_is_gone = true;
		if
		:: !does_wait -> has_socket = false
		:: else
		fi;
		atomic { !locked -> locked = true };
		has_socket = false;
		atomic {
			become_closed();
			locked = false
		}
	fi
}

/* It takes the alerts that there are. */
proctype Listener()
{
end:	do
	:: atomic { is_told -> is_told = false; is_unheard = false }
	od
}

/* At some time, or never, the latched peer is found dead. */
proctype DeadPeerDetection()
{
	atomic {
		!locked;
		if
		:: HOLDS -> is_dead = true
		:: else -> goto done
		fi;
		if
		:: state == ESTABLISHED ->
			become_broken();
			locked = true
		:: else ->
			is_unheard = true;
			is_told = true;
			goto done
		fi
	};
	enforce();
done:	skip
}

init {
	atomic {
		if
		:: does_wait = true
		:: does_wait = false
		fi;
		run Sa(0, 1);
		run Sa(1, 2);
		run Sa(2, 1);
		run Owner();
		run Listener();
		run DeadPeerDetection()
	}
}
