/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */

/**
 * @defgroup btns_rogue_payloads btns_rogue_payloads
 * IKEv2 payloads out of octets that a script wrote.
 * @{ @ingroup btns_rogue
 */

#ifndef BTNS_ROGUE_PAYLOADS_H_
#define BTNS_ROGUE_PAYLOADS_H_

#include <daemon.h>

#include <encoding/payloads/payload.h>

/**
 * Make a payload that charon knows, of well-formed octets.
 *
 * @param item		payload type in one octet, then the payload's body without
 *					its generic header
 * @return			NULL if charon does not know the type or cannot parse the
 *					body
 */
payload_t *btns_rogue_payload_create(chunk_t item);

/**
 * Make a payload that is sent as it is: header, lengths, next payload type and
 * whatever follows may lie. To be the last one of a message, whose order must
 * not be touched.
 *
 * @param item		payload type in one octet, which the payload before it
 *					announces, then all octets including the header
 * @return			NULL if there is no type
 */
payload_t *btns_rogue_raw_create(chunk_t item);

#endif /** BTNS_ROGUE_PAYLOADS_H_ @}*/
