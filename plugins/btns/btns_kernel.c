/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */

#include "btns_kernel.h"
#include "btns_spis.h"

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
	 * charon's own methods
	 */
	status_t (*add_sa)(kernel_interface_t *this, kernel_ipsec_sa_id_t *id,
					   kernel_ipsec_add_sa_t *data);
	status_t (*update_sa)(kernel_interface_t *this, kernel_ipsec_sa_id_t *id,
						  kernel_ipsec_update_sa_t *data);
	status_t (*del_sa)(kernel_interface_t *this, kernel_ipsec_sa_id_t *id,
					   kernel_ipsec_del_sa_t *data);

	/**
	 * Whose outbound SAs there are
	 */
	btns_spis_t *spis;

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
 * The one instance: the methods we stand in front of have no user data.
 */
static private_btns_kernel_t *instance;

/**
 * Get the IKE_SA that the thread has in its hands.
 *
 * @param owner		its identity if it is a BTNS peer's, else NULL
 */
static ike_sa_t *get_sa(identification_t **owner)
{
	ike_sa_t *ike_sa;

	ike_sa = charon->bus->get_sa(charon->bus);
	*owner = ike_sa && btns_pad_is_flagged(ike_sa->get_peer_cfg(ike_sa)) ?
										ike_sa->get_other_id(ike_sa) : NULL;
	return ike_sa;
}

/**
 * Wait for strangers to go before an authenticated peer's SA is installed, or
 * say why a stranger's is not.
 */
static void prepare(ike_sa_t *ike_sa, bool refused)
{
	instance->lock->read_lock(instance->lock);
	if (instance->worker)
	{
		if (refused)
		{
			instance->worker->reject(instance->worker, ike_sa,
									 BTNS_REASON_CHILD_SPI);
		}
		else
		{
			instance->worker->wait_closed(instance->worker, MAX_WAIT);
		}
	}
	instance->lock->unlock(instance->lock);
}

/**
 * Stands in front of kernel_interface_t.add_sa.
 */
static status_t add_sa(kernel_interface_t *kernel, kernel_ipsec_sa_id_t *id,
					   kernel_ipsec_add_sa_t *data)
{
	identification_t *owner;
	ike_sa_t *ike_sa;

	ike_sa = get_sa(&owner);
	if (ike_sa && !owner)
	{
		prepare(ike_sa, FALSE);
	}
	if (!data->inbound &&
		!instance->spis->claim(instance->spis, id, owner))
	{
		prepare(ike_sa, TRUE);
		return FAILED;
	}
	return instance->add_sa(kernel, id, data);
}

/**
 * Stands in front of kernel_interface_t.update_sa.
 */
static status_t update_sa(kernel_interface_t *kernel, kernel_ipsec_sa_id_t *id,
						  kernel_ipsec_update_sa_t *data)
{
	identification_t *owner;

	get_sa(&owner);
	if (!instance->spis->move(instance->spis, id, owner, data->new_dst))
	{
		return FAILED;
	}
	return instance->update_sa(kernel, id, data);
}

/**
 * Stands in front of kernel_interface_t.del_sa.
 */
static status_t del_sa(kernel_interface_t *kernel, kernel_ipsec_sa_id_t *id,
					   kernel_ipsec_del_sa_t *data)
{
	identification_t *owner;

	get_sa(&owner);
	if (!instance->spis->release(instance->spis, id, owner))
	{
		return SUCCESS;
	}
	return instance->del_sa(kernel, id, data);
}

/**
 * TRUE if all methods are still ours, so that nobody else calls them.
 */
static bool is_ours()
{
	return charon->kernel->add_sa == add_sa &&
		   charon->kernel->update_sa == update_sa &&
		   charon->kernel->del_sa == del_sa;
}

METHOD(btns_kernel_t, destroy, void,
	private_btns_kernel_t *this)
{
	this->lock->write_lock(this->lock);
	this->worker = NULL;
	this->lock->unlock(this->lock);
	if (is_ours())
	{
		charon->kernel->add_sa = this->add_sa;
		charon->kernel->update_sa = this->update_sa;
		charon->kernel->del_sa = this->del_sa;
		instance = NULL;
		this->spis->destroy(this->spis);
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
		.update_sa = charon->kernel->update_sa,
		.del_sa = charon->kernel->del_sa,
		.spis = btns_spis_create(),
		.worker = worker,
		.lock = rwlock_create(RWLOCK_TYPE_DEFAULT),
	);
	instance = this;
	charon->kernel->add_sa = add_sa;
	charon->kernel->update_sa = update_sa;
	charon->kernel->del_sa = del_sa;
	return &this->public;
}
