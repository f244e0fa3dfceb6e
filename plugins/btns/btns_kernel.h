/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */

/**
 * @defgroup btns_kernel btns_kernel
 * Strangers leave before somebody else's CHILD_SA is installed, and touch
 * nobody else's SA in the kernel.
 * @{ @ingroup btns
 */

#ifndef BTNS_KERNEL_H_
#define BTNS_KERNEL_H_

#include "btns_latches.h"
#include "btns_worker.h"

typedef struct btns_kernel_t btns_kernel_t;

/**
 * When an authenticated peer gets addresses or selectors that a BTNS peer has,
 * the hooks queue the BTNS IKE_SA for being closed, but cannot wait for it.
 * What comes next in the same thread, and with no lock held, is the
 * installation of the first SA in the kernel: it waits here. That no SA of
 * somebody else is replaced or deleted is seen to here, too: see btns_spis_t.
 *
 * And that nobody shares a reqid with a stranger. Before 6.0, whoever rekeys or
 * authenticates again asks for the reqid of the CHILD_SA that was, and charon
 * grants it, whoever has got it in between. From 6.0 on charon keeps a reqid for
 * who will ask for it.
 *
 * And that connections that are latched get no packets of somebody else's SA: see
 * btns_latches_t. The reqid that they are latched to is kept for them.
 */
struct btns_kernel_t {

	/**
	 * Put charon's own methods back, if they are still ours, and destroy it.
	 */
	void (*destroy)(btns_kernel_t *this);
};

/**
 * Create it, and put it in front of add_sa, update_sa, del_sa and release_reqid,
 * and where charon keeps no reqids of alloc_reqid, of charon->kernel.
 *
 * @param worker	worker, used until destroy
 * @param latches	latches, used until destroy
 */
btns_kernel_t *btns_kernel_create(btns_worker_t *worker,
								  btns_latches_t *latches);

#endif /** BTNS_KERNEL_H_ @}*/
