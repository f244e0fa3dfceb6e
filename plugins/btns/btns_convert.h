/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */

/**
 * @defgroup btns_convert btns_convert
 * strongSwan's types to the core's plain ones.
 * @{ @ingroup btns
 */

#ifndef BTNS_CONVERT_H_
#define BTNS_CONVERT_H_

#include <daemon.h>

#include "btns/core.h"

/**
 * Convert an address, without its port.
 *
 * @param host		address, may be NULL
 * @param out		address, family 0 if there is none
 * @return			TRUE if out is an address
 */
bool btns_addr_from_host(host_t *host, btns_addr_t *out);

/**
 * Convert an address back, with port 0.
 *
 * @param addr		address
 * @return			allocated address, NULL if it is none
 */
host_t *btns_addr_to_host(const btns_addr_t *addr);

/**
 * Convert a traffic selector.
 *
 * @param ts		traffic selector
 * @param out		plain selector
 * @return			FALSE if its type is neither IPv4 nor IPv6
 */
bool btns_ts_from_selector(traffic_selector_t *ts, btns_ts_t *out);

/**
 * Convert a list of traffic selectors. Those that cannot be converted are left
 * out.
 *
 * @param list		list of traffic_selector_t*
 * @param out		array of at least as many elements
 * @param count		number of elements in out
 * @return			FALSE if one could not be converted
 */
bool btns_ts_from_list(linked_list_t *list, btns_ts_t *out, size_t *count);

/**
 * When a CHILD_SA carried traffic last, as the kernel tells.
 *
 * @param child_sa	CHILD_SA
 * @return			as btns_now(), 0 if never
 */
int64_t btns_last_use(child_sa_t *child_sa);

/**
 * Time for the core's limits.
 *
 * @return			milliseconds of the monotonic clock
 */
static inline int64_t btns_now()
{
	timeval_t now;

	time_monotonic(&now);
	return (int64_t)now.tv_sec * 1000 + now.tv_usec / 1000;
}

/**
 * View a chunk as the core sees octets.
 */
static inline btns_bytes_t btns_bytes(chunk_t chunk)
{
	return (btns_bytes_t){ .ptr = chunk.ptr, .len = chunk.len };
}

/**
 * View the core's octets as a chunk. Nobody may write through it.
 */
static inline chunk_t btns_chunk(btns_bytes_t bytes)
{
	return chunk_create((u_char*)bytes.ptr, bytes.len);
}

/**
 * The canonical SubjectPublicKeyInfo of a key. Nobody may write through it.
 */
static inline chunk_t btns_key_spki(const btns_key_t *key)
{
	return chunk_create((u_char*)key->spki, key->spki_len);
}

/**
 * Count the authentication rounds that a peer has done.
 */
u_int btns_count_rounds(ike_sa_t *ike_sa);

/**
 * Create the identity of a key, "btns:sha256:<hex>" as ID_KEY_ID: the
 * PUBLICKEY ID of RFC 5386.
 *
 * @param fingerprint	BTNS_FINGERPRINT_LEN octets
 * @return				allocated identity
 */
identification_t *btns_publickey_id(const uint8_t *fingerprint);

#endif /** BTNS_CONVERT_H_ @}*/
