/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */

/**
 * @defgroup btns_latches btns_latches
 * What connection latching (RFC 5660) hears of charon's SAs.
 * @{ @ingroup btns
 */

#ifndef BTNS_LATCHES_H_
#define BTNS_LATCHES_H_

#include <daemon.h>

#include "btns/core.h"

typedef struct btns_latches_t btns_latches_t;

/**
 * Tells the core of SAs before they get into the kernel and after they have
 * left it. Without latches it does nothing that costs.
 */
struct btns_latches_t {

	/**
	 * Bus listener: which CHILD_SA a thread has in its hands, and which peers
	 * are dead.
	 */
	listener_t listener;

	/**
	 * An SA is about to be added to the kernel, with the IKE_SA in the thread's
	 * hands. May wait. Not to be called in a hook.
	 *
	 * @param ike_sa	IKE_SA
	 * @param id		SA
	 * @param data		SA
	 * @param reason	set to why not
	 * @return			FALSE if it must not be added
	 */
	bool (*may_add)(btns_latches_t *this, ike_sa_t *ike_sa,
					kernel_ipsec_sa_id_t *id, kernel_ipsec_add_sa_t *data,
					btns_reason_t *reason);

	/**
	 * An SA of the CHILD_SA that the thread has in its hands has got other
	 * addresses in the kernel.
	 *
	 * @param id		SA, as it was before
	 * @param data		what is new
	 */
	void (*moved)(btns_latches_t *this, kernel_ipsec_sa_id_t *id,
				  kernel_ipsec_update_sa_t *data);

	/**
	 * A reqid is given back: if the thread destroys a CHILD_SA, nothing of it is
	 * in the kernel any more.
	 */
	void (*gone)(btns_latches_t *this);

	/**
	 * TRUE if connections are latched to SAs with this reqid.
	 */
	bool (*is_latched)(btns_latches_t *this, uint32_t reqid);

	/**
	 * Destroy a btns_latches_t.
	 */
	void (*destroy)(btns_latches_t *this);
};

/**
 * Create it.
 *
 * @param core		core, used until destroy
 */
btns_latches_t *btns_latches_create(btns_core_t *core);

#endif /** BTNS_LATCHES_H_ @}*/
