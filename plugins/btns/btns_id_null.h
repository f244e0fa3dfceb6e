/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */

/**
 * @defgroup btns_id_null btns_id_null
 * The identity of those who have none: ID_NULL (RFC 7619, section 2.2).
 * @{ @ingroup btns
 */

#ifndef BTNS_ID_NULL_H_
#define BTNS_ID_NULL_H_

#include <library.h>

/**
 * ID type ID_NULL, which strongSwan's own enum does not have.
 */
#define BTNS_ID_NULL ((id_type_t)13)

/**
 * TRUE if an identity is ID_NULL, and has no octets as that must not have any.
 *
 * @param id		identity, NULL is none
 */
bool btns_id_null_is(identification_t *id);

/**
 * Have an identity that is ID_NULL compare as RFC 7619, appendix A, says: by
 * the type only. strongSwan's does not match, nor equal, itself, because no
 * octets are never the same as no octets. Clones of it compare as it does. Does
 * nothing to other identities.
 *
 * @param id		identity that no other thread uses
 */
void btns_id_null_mend(identification_t *id);

#endif /** BTNS_ID_NULL_H_ @}*/
