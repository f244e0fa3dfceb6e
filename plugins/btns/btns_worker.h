/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */

/**
 * @defgroup btns_worker btns_worker
 * The one thread for what hooks may not do.
 * @{ @ingroup btns
 */

#ifndef BTNS_WORKER_H_
#define BTNS_WORKER_H_

#include "btns_pad.h"

#include <kernel/kernel_listener.h>

typedef struct btns_worker_t btns_worker_t;
typedef struct btns_rejection_t btns_rejection_t;

/**
 * Seconds between two looks at the configuration, of which charon tells nobody
 * that it changed, and at who is idle. Of the host's addresses the kernel tells.
 */
#define BTNS_AUDIT_INTERVAL 2

/**
 * A peer or CHILD_SA that was refused, or a BTNS IKE_SA that has to go.
 */
struct btns_rejection_t {

	/**
	 * What the core knows of the peer; connection and key may be missing
	 */
	btns_peer_info_t peer;

	/**
	 * Why
	 */
	btns_reason_t reason;
};

/**
 * Called by the worker, without any lock, for each rejection.
 */
typedef void (*btns_rejection_cb_t)(void *user, const btns_rejection_t *info);

/**
 * Deletes IKE_SAs, reports rejections, watches the configuration, finds idle
 * peers.
 */
struct btns_worker_t {

	/**
	 * Hears when the host's addresses change: they are reserved.
	 */
	kernel_listener_t listener;

	/**
	 * Close an IKE_SA soon and report the reason. Callable in any hook. An
	 * IKE_SA that is queued already is not queued again.
	 *
	 * @param sa		unique ID of the IKE_SA
	 * @param reason	reason
	 */
	void (*evict)(btns_worker_t *this, uint32_t sa, btns_reason_t reason);

	/**
	 * An IKE_SA was rekeyed: if it is to be closed, so is the new one. Callable
	 * in any hook.
	 *
	 * @param from		unique ID of the old IKE_SA
	 * @param to		unique ID of the new IKE_SA
	 */
	void (*rekeyed)(btns_worker_t *this, uint32_t from, uint32_t to);

	/**
	 * Report that a peer was refused. Callable in any hook. What the queue
	 * does not hold is counted only.
	 *
	 * @param ike_sa	IKE_SA of the peer
	 * @param reason	reason
	 */
	void (*reject)(btns_worker_t *this, ike_sa_t *ike_sa, btns_reason_t reason);

	/**
	 * Set who hears of rejections.
	 *
	 * @param cb		callback, NULL for nobody
	 * @param user		passed to cb
	 */
	void (*set_callback)(btns_worker_t *this, btns_rejection_cb_t cb,
						 void *user);

	/**
	 * Have the configuration looked at and audited soon. Callable in any hook.
	 */
	void (*audit)(btns_worker_t *this);

	/**
	 * Have strangers make room soon, because charon nears ikesa_limit. Callable
	 * in any hook.
	 */
	void (*shed)(btns_worker_t *this);

	/**
	 * Have the core asked soon what became of peers, if somebody listens; else
	 * that has time. Callable in any hook.
	 */
	void (*tell)(btns_worker_t *this);

	/**
	 * Set who hears what became of peers.
	 *
	 * @param cb		callback, NULL for nobody
	 * @param listens	does somebody listen to cb? Must not wait
	 * @param user		passed to both
	 */
	void (*set_peer_callback)(btns_worker_t *this, btns_peer_event_cb_t cb,
							  bool (*listens)(void *user), void *user);

	/**
	 * Wait until all IKE_SAs that were to be closed when this was called are
	 * closed. Not to be called in a hook, nor with an IKE_SA checked out that is
	 * to be closed. Returns at once if there are none.
	 *
	 * @param ms		most milliseconds to wait
	 */
	void (*wait_closed)(btns_worker_t *this, u_int ms);

	/**
	 * Stop the thread and destroy a btns_worker_t.
	 */
	void (*destroy)(btns_worker_t *this);
};

/**
 * Create the worker and start its thread.
 *
 * @param core		core, used until destroy
 * @param pad		PAD, used until destroy
 * @return			worker, NULL if the thread could not be started
 */
btns_worker_t *btns_worker_create(btns_core_t *core, btns_pad_t *pad);

#endif /** BTNS_WORKER_H_ @}*/
