/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */

/**
 * @defgroup btns_pad btns_pad
 * charon's peer configurations as the core's PAD.
 * @{ @ingroup btns
 */

#ifndef BTNS_PAD_H_
#define BTNS_PAD_H_

#include <daemon.h>

#include "btns/core.h"
#include "btns_pools.h"
#include "btns_vouch.h"

typedef struct btns_pad_t btns_pad_t;
typedef struct btns_question_t btns_question_t;

/**
 * A peer whose entry is looked for. The functions are asked if the answer
 * depends on theirs, not more than once.
 */
struct btns_question_t {

	/**
	 * Look at the key that the peer presents.
	 *
	 * @param key		gets the key
	 * @param reason	gets the reason if there is none
	 * @return			TRUE if there is one
	 */
	bool (*get_key)(btns_question_t *this, btns_key_t *key,
					btns_reason_t *reason);

	/**
	 * Does some other credential speak for the peer?
	 *
	 * @param key		its key, NULL if there is none
	 */
	bool (*is_vouched)(btns_question_t *this, const btns_key_t *key);

	/**
	 * Is there room for one more stranger?
	 *
	 * @return			BTNS_REASON_NONE if there is
	 */
	btns_reason_t (*get_limit)(btns_question_t *this);

	/**
	 * Our role
	 */
	btns_role_t role;

	/**
	 * IKE version
	 */
	ike_version_t version;

	/**
	 * Asserted identity
	 */
	identification_t *id;

	/**
	 * How the peer authenticates
	 */
	btns_auth_t auth;

	/**
	 * Rounds that it has done
	 */
	u_int rounds_done;

	/**
	 * Its address
	 */
	host_t *other;

	/**
	 * IKE configuration in use, for an initiator
	 */
	ike_cfg_t *ike_cfg;

	/**
	 * Called with each step, NULL for nobody
	 */
	btns_step_cb_t step;

	/**
	 * User data for step
	 */
	void *step_user;

	/**
	 * What is_vouched() found, for step
	 */
	btns_voucher_t voucher;
};

/**
 * Collects the facts for the core's PAD lookups, and keeps the core's view of
 * the configuration in step with charon's.
 */
struct btns_pad_t {

	/**
	 * Describe the configuration to the core, if it changed since the last
	 * time. Takes locks of the backends, not to be called in a bus hook.
	 *
	 * @param addresses		TRUE to look for changed addresses of the host, too
	 * @return				TRUE if it did change
	 */
	bool (*update)(btns_pad_t *this, bool addresses);

	/**
	 * Who begins an IKE_SA between these addresses is a stranger or nobody, and
	 * there is no room for strangers: counted and logged. Not to be called in a
	 * bus hook.
	 *
	 * @param me		our address
	 * @param other		the peer's
	 * @param version	IKE version
	 * @return			TRUE to refuse the peer
	 */
	bool (*is_full)(btns_pad_t *this, host_t *me, host_t *other,
					ike_version_t version);

	/**
	 * Decide which of the offered peer configurations the peer of an IKE_SA,
	 * whose IKE_AUTH message is being processed, may get. Arms the IKE_SA if
	 * it is a stranger's. Not to be called in a bus hook.
	 *
	 * @param ike_sa		IKE_SA, checked out by this thread
	 * @param role			our role
	 * @param version		IKE version
	 * @param id			asserted identity
	 * @param offered		peer_cfg_t*, with references, as charon would offer
	 *						them; what is not allowed is removed and destroyed
	 * @return				TRUE if the peer is a stranger and armed
	 */
	bool (*decide)(btns_pad_t *this, ike_sa_t *ike_sa, btns_role_t role,
				   ike_version_t version, identification_t *id,
				   linked_list_t *offered);

	/**
	 * Decide for a peer that is not there, as decide() would. Changes nothing.
	 * Not to be called in a bus hook.
	 *
	 * @param question		peer
	 * @param me			our address
	 * @param my_id			identity that the peer asks for, may be NULL
	 * @param connection	connection that is used, for an initiator
	 * @param found			gets the configurations that it may get, with
	 *						references
	 * @param reason		gets the reason why it can be no stranger
	 * @return				choice
	 */
	btns_choice_t (*suppose)(btns_pad_t *this, btns_question_t *question,
							 host_t *me, identification_t *my_id,
							 char *connection, linked_list_t *found,
							 btns_reason_t *reason);

	/**
	 * Have the next update() describe the configuration anew, whether it has
	 * changed or not.
	 */
	void (*forget)(btns_pad_t *this);

	/**
	 * Set where the ranges of virtual IP pools come from.
	 *
	 * @param pools		pools, adopted; NULL for nowhere
	 */
	void (*set_pools)(btns_pad_t *this, btns_pools_t *pools);

	/**
	 * Destroy a btns_pad_t.
	 */
	void (*destroy)(btns_pad_t *this);
};

/**
 * What remote.groups makes of a peer configuration. Takes no locks.
 *
 * @param cfg		peer configuration, NULL is not flagged
 * @param key		gets the pinned key for BTNS_FLAG_KEY, may be NULL
 * @return			flag
 */
btns_flag_t btns_pad_flag(peer_cfg_t *cfg, uint8_t *key);

/**
 * TRUE if a peer configuration has a reserved group in any round.
 */
static inline bool btns_pad_is_flagged(peer_cfg_t *cfg)
{
	return btns_pad_flag(cfg, NULL) != BTNS_FLAG_NONE;
}

/**
 * An initiator has no PAD lookup: the rules are applied to the responder's
 * identity and how it authenticates once AUTH is verified, where no lock of the
 * bus is held. Not to be called in a bus hook.
 *
 * @param ike_sa	IKE_SA, checked out by this thread
 * @param id		identity that the responder asserts
 * @return			TRUE if we initiate with a connection for strangers, and the
 *					responder is one and armed
 */
bool btns_pad_decide_initiator(btns_pad_t *pad, ike_sa_t *ike_sa,
							   identification_t *id);

/**
 * Create the PAD.
 *
 * @param core		core, used until destroy
 * @param inner		charon's own backend manager, used until destroy
 * @return			PAD
 */
btns_pad_t *btns_pad_create(btns_core_t *core, backend_manager_t *inner);

#endif /** BTNS_PAD_H_ @}*/
