/* SPDX-License-Identifier: MIT */
/**
 * @file wire.h
 * What applications and the daemon say to each other on the application socket: an AF_UNIX socket of type
 * SOCK_SEQPACKET, so that a message is whole or not there. docs/application-socket.md describes it.
 *
 * A message is a header of 8 octets and attributes. Numbers are in network byte order.
 *
 *     header     version (1), type (1), zero (2), id (4)
 *     attribute  tag (2), length (2), octets
 */
#ifndef BTNS_WIRE_H_
#define BTNS_WIRE_H_

#include <stddef.h>
#include <stdint.h>

namespace btns::wire
{

constexpr uint8_t version = 1;
constexpr size_t header_len = 8;
constexpr size_t attribute_header_len = 4;
/** A request is a header, and what is asked for a latch. Whoever does not know a tag skips it, except in a request of
 * type latch: less than an application has asked for must not become of that. */
constexpr size_t request_max = 128;
/** What the first daemons take; a longer one ends the connection to them. */
constexpr size_t request_max_1_0 = 64;
/** The longest answer: identities, a key, two bindings, two certificates. */
constexpr size_t answer_max = 8192;
/** Longest text, octets; longer ones are cut by who sends them. */
constexpr size_t text_max = 255;

/** The id of a request comes back in its answer. */
enum class Type : uint8_t
{
	/** request, with one descriptor as SCM_RIGHTS: what protects this socket? Answered by channel or error */
	find = 1,
	/** the same, and events of it from now on; the id names the watch, and no other one of this client has it */
	watch = 2,
	/** request: no more events. id is the watch's; answered by done or error */
	unwatch = 3,
	/** request, with a descriptor: latch this connection, or listener. The id names the latch from then on, and no
	 * other latch or watch of this client has it; the daemon's own names have the first bit. Answered by latched or
	 * error. Daemons that know nothing of latches answer these five with BTNS_EINVAL */
	latch = 4,
	/** request, with the descriptor: how is the latch now? connect() may have been called. id is the latch's; answered
	 * by latched or error */
	latch_connected = 5,
	/** request, with a descriptor: which latch of this client has this connection? Answered by latched, with its
	 * number, or error */
	latch_find = 6,
	/** request: how is the latch? id is the latch's; answered by latched or error */
	latch_inquire = 7,
	/** request, with the descriptor or none: end the latch, and take the kernel's policy from the socket. id is the
	 * latch's; answered by done or error */
	latch_release = 8,
	/** answers */
	channel = 65,
	error = 66,
	done = 67,
	/** unasked: something changed. id is the watch's or the latch's. An error with id 0 is unasked, too: the daemon
	 * hangs up */
	event = 68,
	/** answer */
	latched = 69,
};

/** Set in the numbers of latches that the daemon has named: those that a listener has given birth to. */
constexpr uint32_t daemons_number = 0x80000000;

enum class Tag : uint16_t
{
	/** btns_error_t, 1 octet; in error */
	error = 1,
	/** btns_event_type_t, 1 octet; in event */
	event = 2,
	/** btns_protection_t, 1 octet; in channel, always, first */
	protection = 16,
	/** UTF-8 without NUL: why it is unprotected or ambiguous */
	reason = 17,
	/** 1 octet: bit 0 confidentiality, bit 1 integrity, bit 2 local NAT, bit 3 peer NAT */
	flags = 18,
	/** btns_mode_t, 1 octet */
	mode = 19,
	encryption_algorithm = 20,
	integrity_algorithm = 21,
	/** btns_method_t, 1 octet each */
	local_method = 22,
	peer_method = 23,
	/** text */
	asserted_id = 24,
	authorized_id = 25,
	/** 32 octets each */
	local_fingerprint = 26,
	peer_fingerprint = 27,
	/** port (2) and address (4 or 16) each */
	inner_local = 28,
	inner_peer = 29,
	outer_local = 30,
	outer_peer = 31,
	/** seconds since 1970-01-01 UTC, 8 octets */
	established = 32,
	/** SubjectPublicKeyInfo, DER */
	peer_key = 33,
	/** 32 octets each, or the sentence why there is none */
	endpoints_binding = 34,
	endpoints_reason = 35,
	unique_binding = 36,
	unique_reason = 37,
	/** X.509, DER; left out if the answer would be too long */
	peer_certificate = 38,
	trust_anchor = 39,
	/** btns_latch_state_t, 1 octet; in latched, always, first. What protects it follows as in channel if it was
	 * established: as it was then */
	latch_state = 40,
	/** btns_latch_reason_t, 1 octet; in latched and in events of latches */
	latch_reason = 41,
	/** the number of the latch, 4 octets; in latched if the id is not that. In an event the one that was born, if it is
	 * this client's */
	latch_number = 42,
	/** 1 octet: bit 0 the suite is indeterminate, bit 1 connect() may be called; in latched */
	latch_flags = 43,
	/** IP protocol, 1 octet; in latched */
	latch_protocol = 44,
	/** what is asked for; in latch, and in latched. 1 octet: bit 0 confidentiality, bit 1 narrow */
	want_flags = 48,
	/** btns_latch_auth_t, btns_latch_disposition_t, btns_mode_t: 1 octet each */
	want_auth = 49,
	want_disposition = 50,
	want_mode = 51,
	/** 32 octets */
	want_peer_key = 52,
	/** milliseconds, 4 octets */
	want_timeout = 53,
	/** port (2) and address (4 or 16), of a socket that is about to be connected; in latch. One that is not connected,
	 * and has no destination, is about to listen */
	destination = 54,
};

/** Longest time that SAs may be asked to take, milliseconds. */
constexpr uint32_t timeout_max = 600000;

} // namespace btns::wire

#endif /* BTNS_WIRE_H_ */
