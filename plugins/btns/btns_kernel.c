/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */

#include "btns_kernel.h"

#include <threading/rwlock.h>

/**
 * Most milliseconds that an installation waits. The worker needs a few, unless
 * another thread has the stranger's IKE_SA in its hands.
 */
#define MAX_WAIT 2000

typedef struct private_btns_kernel_t private_btns_kernel_t;

/**
 * Private data of a btns_kernel_t.
 */
struct private_btns_kernel_t {

	/**
	 * Public interface
	 */
	btns_kernel_t public;

	/**
	 * charon's own method
	 */
	status_t (*add_sa)(kernel_interface_t *this, kernel_ipsec_sa_id_t *id,
					   kernel_ipsec_add_sa_t *data);

	/**
	 * Worker, NULL once destroyed
	 */
	btns_worker_t *worker;

	/**
	 * Lock for worker; read while it is waited for
	 */
	rwlock_t *lock;
};

/**
 * The one instance: the method we stand in front of has no user data.
 */
static private_btns_kernel_t *instance;

/**
 * Stands in front of kernel_interface_t.add_sa.
 */
static status_t add_sa(kernel_interface_t *kernel, kernel_ipsec_sa_id_t *id,
					   kernel_ipsec_add_sa_t *data)
{
	ike_sa_t *ike_sa;

	ike_sa = charon->bus->get_sa(charon->bus);
	if (ike_sa && !btns_pad_is_flagged(ike_sa->get_peer_cfg(ike_sa)))
	{
		instance->lock->read_lock(instance->lock);
		if (instance->worker)
		{
			instance->worker->wait_closed(instance->worker, MAX_WAIT);
		}
		instance->lock->unlock(instance->lock);
	}
	return instance->add_sa(kernel, id, data);
}

METHOD(btns_kernel_t, destroy, void,
	private_btns_kernel_t *this)
{
	this->lock->write_lock(this->lock);
	this->worker = NULL;
	this->lock->unlock(this->lock);
	if (charon->kernel->add_sa == add_sa)
	{
		charon->kernel->add_sa = this->add_sa;
		instance = NULL;
		this->lock->destroy(this->lock);
		free(this);
	}
}

/*
 * Described in header.
 */
btns_kernel_t *btns_kernel_create(btns_worker_t *worker)
{
	private_btns_kernel_t *this;

	INIT(this,
		.public = {
			.destroy = _destroy,
		},
		.add_sa = charon->kernel->add_sa,
		.worker = worker,
		.lock = rwlock_create(RWLOCK_TYPE_DEFAULT),
	);
	instance = this;
	charon->kernel->add_sa = add_sa;
	return &this->public;
}
