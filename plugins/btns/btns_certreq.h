/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */

/**
 * @defgroup btns_certreq btns_certreq
 * @{ @ingroup btns
 */

#ifndef BTNS_CERTREQ_H_
#define BTNS_CERTREQ_H_

#include <encoding/message.h>

#include "btns/core.h"

/**
 * Create a CERTREQ payload without a body, for an encoding that charon has no
 * name for (RFC 7670, section 3).
 *
 * @param encoding		CERT encoding
 * @return				payload, NULL if charon's are not as expected
 */
payload_t *btns_certreq_create(u_int encoding);

/**
 * Get the encoding of a CERTREQ payload, which charon only tells if it knows it.
 *
 * @return				CERT encoding, 0 if charon's are not as expected
 */
u_int btns_certreq_encoding(payload_t *certreq);

/**
 * Find out which raw public keys a message asks for, and take the requests out
 * of it: charon does nothing about them but to log that.
 *
 * @return				mask of btns_encoding_bit_t
 */
u_int btns_certreq_take(ike_sa_t *ike_sa, message_t *message);

#endif /** BTNS_CERTREQ_H_ @}*/
