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
/** A request is a header; attributes may follow in later versions, and whoever does not know a tag skips it. */
constexpr size_t request_max = 64;
/** The longest answer: identities, a key, two bindings. */
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
	/** answers */
	channel = 65,
	error = 66,
	done = 67,
	/** unasked: something changed. id is the watch's. An error with id 0 is unasked, too: the daemon hangs up */
	event = 68,
};

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
};

} // namespace btns::wire

#endif /* BTNS_WIRE_H_ */
