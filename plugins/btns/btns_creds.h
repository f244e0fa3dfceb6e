/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */

/**
 * @defgroup btns_creds btns_creds
 * Credential set that trusts the key a stranger presented.
 * @{ @ingroup btns
 */

#ifndef BTNS_CREDS_H_
#define BTNS_CREDS_H_

#include "btns_pad.h"

#include <credentials/credential_set.h>

typedef struct btns_creds_t btns_creds_t;

/**
 * Offers one key for one IKE_SA, only while the AUTH payload that has to
 * verify with it is being processed, or afterwards for its PUBLICKEY ID, which
 * charon looks up on reauthentication.
 */
struct btns_creds_t {

	/**
	 * Implements the credential set's interface.
	 */
	credential_set_t set;

	/**
	 * Destroy a btns_creds_t.
	 */
	void (*destroy)(btns_creds_t *this);
};

/**
 * Create the credential set.
 *
 * @param core		core, used until destroy
 * @param pad		PAD, used until destroy
 */
btns_creds_t *btns_creds_create(btns_core_t *core, btns_pad_t *pad);

#endif /** BTNS_CREDS_H_ @}*/
