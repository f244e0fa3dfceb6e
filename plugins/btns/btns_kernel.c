/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */

#include "btns_kernel.h"
#include "btns_convert.h"
#include "btns_spis.h"

#include <collections/linked_list.h>

#include <threading/mutex.h>
#include <threading/rwlock.h>

/**
 * Most milliseconds that an installation waits. The worker needs a few, unless
 * another thread has the stranger's IKE_SA in its hands.
 */
#define MAX_WAIT 2000

typedef struct private_btns_kernel_t private_btns_kernel_t;
typedef struct given_back_t given_back_t;

/**
 * A reqid that charon gives back.
 */
struct given_back_t {

	/**
	 * The reqid
	 */
	uint32_t reqid;

#ifndef BTNS_KERNEL_REFS_REQIDS
	/**
	 * What charon says with it
	 */
	mark_t mark_in;
	mark_t mark_out;
	uint32_t if_id_in;
	uint32_t if_id_out;
	sec_label_t *label;

	/**
	 * Whose it was
	 */
	btns_reqid_holder_t holder;
#endif
};

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

	status_t (*alloc_reqid)(kernel_interface_t *this,
							linked_list_t *local_ts, linked_list_t *remote_ts,
							mark_t mark_in, mark_t mark_out, uint32_t if_id_in,
							uint32_t if_id_out, sec_label_t *label,
							uint32_t *reqid);
#ifdef BTNS_KERNEL_REFS_REQIDS
	status_t (*release_reqid)(kernel_interface_t *this, uint32_t reqid);
#else
	status_t (*release_reqid)(kernel_interface_t *this, uint32_t reqid,
							  mark_t mark_in, mark_t mark_out,
							  uint32_t if_id_in, uint32_t if_id_out,
							  sec_label_t *label);

	/**
	 * Who has which reqid
	 */
	btns_reqids_t *reqids;

	/**
	 * Lock for reqids. Held across charon's own methods, which lock nothing but
	 * their own table: between looking and taking nobody else may get a reqid.
	 */
	mutex_t *mutex;
#endif

	/**
	 * Whose outbound SAs there are
	 */
	btns_spis_t *spis;

	/**
	 * Latches, NULL once destroyed
	 */
	btns_latches_t *latches;

	/**
	 * Reqids that were given back and are kept, because connections are latched
	 * to them, given_back_t*
	 */
	linked_list_t *kept;

	/**
	 * Lock for kept
	 */
	mutex_t *kept_mutex;

	/**
	 * Worker, NULL once destroyed
	 */
	btns_worker_t *worker;

	/**
	 * Lock for worker and latches; read while they are waited for
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
 * TRUE if a peer may make others go: an authenticated one strangers, and a BTNS
 * peer those without a key.
 *
 * @param owner		as by get_sa()
 */
static bool may_evict(identification_t *owner)
{
	chunk_t key = chunk_from_str("btns:sha256:");
	chunk_t id;

	if (!owner)
	{
		return TRUE;
	}
	id = owner->get_encoding(owner);
	return id.len > key.len && memeq(id.ptr, key.ptr, key.len);
}

/**
 * Wait for strangers to go before an authenticated peer's SA is installed, or
 * say why a stranger's is not.
 */
static void prepare(ike_sa_t *ike_sa, btns_reason_t refused)
{
	instance->lock->read_lock(instance->lock);
	if (instance->worker)
	{
		if (refused)
		{
			instance->worker->reject(instance->worker, ike_sa, refused);
		}
		else
		{
			instance->worker->wait_closed(instance->worker, MAX_WAIT);
		}
	}
	instance->lock->unlock(instance->lock);
}

/**
 * Have latches dealt with before an SA is installed.
 *
 * @return				FALSE if it must not be, and says why
 */
static bool may_add(ike_sa_t *ike_sa, kernel_ipsec_sa_id_t *id,
					kernel_ipsec_add_sa_t *data)
{
	btns_reason_t reason = BTNS_REASON_NONE;
	bool ok = TRUE;

	instance->lock->read_lock(instance->lock);
	if (instance->latches)
	{
		ok = instance->latches->may_add(instance->latches, ike_sa, id, data,
										&reason);
	}
	instance->lock->unlock(instance->lock);
	if (!ok)
	{
		prepare(ike_sa, reason ?: BTNS_REASON_LATCHED);
	}
	return ok;
}

/**
 * TRUE if connections are latched to SAs with a reqid.
 */
static bool is_latched(uint32_t reqid)
{
	bool latched = FALSE;

	instance->lock->read_lock(instance->lock);
	if (instance->latches)
	{
		latched = instance->latches->is_latched(instance->latches, reqid);
	}
	instance->lock->unlock(instance->lock);
	return latched;
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
	if (ike_sa && may_evict(owner))
	{
		prepare(ike_sa, BTNS_REASON_NONE);
	}
	if (ike_sa && !may_add(ike_sa, id, data))
	{
		return FAILED;
	}
	if (!data->inbound &&
		!instance->spis->claim(instance->spis, id, owner))
	{
		prepare(ike_sa, BTNS_REASON_CHILD_SPI);
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
	status_t status;

	get_sa(&owner);
	if (!instance->spis->move(instance->spis, id, owner, data->new_dst))
	{
		return FAILED;
	}
	status = instance->update_sa(kernel, id, data);
	instance->lock->read_lock(instance->lock);
	if (status == SUCCESS && instance->latches)
	{
		instance->latches->moved(instance->latches, id, data);
	}
	instance->lock->unlock(instance->lock);
	return status;
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
 * Give a reqid back to charon.
 */
static status_t give_back(const given_back_t *this)
{
#ifdef BTNS_KERNEL_REFS_REQIDS
	return instance->release_reqid(charon->kernel, this->reqid);
#else
	status_t status;

	instance->mutex->lock(instance->mutex);
	status = instance->release_reqid(charon->kernel, this->reqid, this->mark_in,
									 this->mark_out, this->if_id_in,
									 this->if_id_out, this->label);
	btns_reqids_release(instance->reqids, this->reqid, &this->holder);
	instance->mutex->unlock(instance->mutex);
	return status;
#endif
}

/**
 * Destroy a reqid that was kept.
 */
static void given_back_destroy(given_back_t *this)
{
#ifndef BTNS_KERNEL_REFS_REQIDS
	DESTROY_IF(this->label);
	free((void*)this->holder.identity.ptr);
#endif
	free(this);
}

/**
 * Give back what was kept and is not needed any more.
 *
 * @param all		what is needed, too
 */
static void give_back_kept(bool all)
{
	linked_list_t *done = linked_list_create();
	enumerator_t *enumerator;
	given_back_t *kept;

	instance->kept_mutex->lock(instance->kept_mutex);
	enumerator = instance->kept->create_enumerator(instance->kept);
	while (enumerator->enumerate(enumerator, &kept))
	{
		if (all || !is_latched(kept->reqid))
		{
			instance->kept->remove_at(instance->kept, enumerator);
			done->insert_last(done, kept);
		}
	}
	enumerator->destroy(enumerator);
	instance->kept_mutex->unlock(instance->kept_mutex);
	while (done->remove_first(done, (void**)&kept) == SUCCESS)
	{
		give_back(kept);
		given_back_destroy(kept);
	}
	done->destroy(done);
}

#ifdef BTNS_KERNEL_REFS_REQIDS

/**
 * Stands in front of kernel_interface_t.alloc_reqid, so that what was kept is
 * given back before selectors are compared with it.
 */
static status_t alloc_reqid(kernel_interface_t *kernel,
							linked_list_t *local_ts, linked_list_t *remote_ts,
							mark_t mark_in, mark_t mark_out, uint32_t if_id_in,
							uint32_t if_id_out, sec_label_t *label,
							uint32_t *reqid)
{
	give_back_kept(FALSE);
	return instance->alloc_reqid(kernel, local_ts, remote_ts, mark_in, mark_out,
								 if_id_in, if_id_out, label, reqid);
}

#else

/**
 * Say who it is that gets or gives back a reqid in this thread.
 *
 * @param holder	set to who it is, valid as long as the IKE_SA is
 * @return			its IKE_SA, NULL for a trap
 */
static ike_sa_t *get_holder(btns_reqid_holder_t *holder)
{
	identification_t *owner;
	ike_sa_t *ike_sa;

	memset(holder, 0, sizeof(*holder));
	ike_sa = get_sa(&owner);
	holder->kind = !ike_sa ? BTNS_HOLDER_TRAP
				   : owner ? BTNS_HOLDER_STRANGER
						   : BTNS_HOLDER_AUTHENTICATED;
	if (owner)
	{
		holder->identity = btns_bytes(owner->get_encoding(owner));
	}
	return ike_sa;
}

/**
 * TRUE if all traps that have a reqid, and there is one, are for the same kind
 * of peers.
 */
static bool is_trap_for(uint32_t reqid, bool stranger)
{
	enumerator_t *enumerator;
	child_sa_t *child_sa;
	peer_cfg_t *cfg;
	bool found = FALSE, same = TRUE;

	enumerator = charon->traps->create_enumerator(charon->traps);
	while (enumerator->enumerate(enumerator, &cfg, &child_sa))
	{
		if (child_sa->get_reqid(child_sa) == reqid)
		{
			found = TRUE;
			same = same && btns_pad_is_flagged(cfg) == stranger;
		}
	}
	enumerator->destroy(enumerator);
	return found && same;
}

/**
 * Stands in front of kernel_interface_t.alloc_reqid. Who wants a certain reqid
 * but may not share it gets another one.
 */
static status_t alloc_reqid(kernel_interface_t *kernel,
							linked_list_t *local_ts, linked_list_t *remote_ts,
							mark_t mark_in, mark_t mark_out, uint32_t if_id_in,
							uint32_t if_id_out, sec_label_t *label,
							uint32_t *reqid)
{
	btns_reqid_holder_t holder;
	ike_sa_t *ike_sa;
	status_t status;
	uint32_t wanted = *reqid;
	bool own_trap = TRUE, shared = FALSE;

	give_back_kept(FALSE);
	ike_sa = get_holder(&holder);
	if (ike_sa && may_evict(btns_pad_is_flagged(ike_sa->get_peer_cfg(ike_sa)) ?
							ike_sa->get_other_id(ike_sa) : NULL))
	{	/* strangers that have to go may have the reqid of these selectors */
		prepare(ike_sa, BTNS_REASON_NONE);
	}
	if (ike_sa && wanted)
	{
		own_trap = is_trap_for(wanted, holder.kind == BTNS_HOLDER_STRANGER);
	}
	instance->mutex->lock(instance->mutex);
	if (ike_sa && wanted &&
		!btns_reqids_may_share(instance->reqids, wanted, &holder, own_trap))
	{
		*reqid = 0;
	}
	status = instance->alloc_reqid(kernel, local_ts, remote_ts, mark_in,
								   mark_out, if_id_in, if_id_out, label, reqid);
	if (status == SUCCESS)
	{
		shared = btns_reqids_take(instance->reqids, *reqid,
								  &holder) != BTNS_STATUS_OK &&
				 holder.kind == BTNS_HOLDER_STRANGER;
		if (shared)
		{
			instance->release_reqid(kernel, *reqid, mark_in, mark_out,
									if_id_in, if_id_out, label);
			status = FAILED;
		}
	}
	instance->mutex->unlock(instance->mutex);
	if (shared)
	{
		prepare(ike_sa, BTNS_REASON_CHILD_REQID);
	}
	else if (wanted && status == SUCCESS && *reqid != wanted)
	{
		DBG1(DBG_CHD, "btns: reqid %u is somebody else's by now, the CHILD_SA "
			 "gets %u", wanted, *reqid);
	}
	return status;
}

#endif /* !BTNS_KERNEL_REFS_REQIDS */

/**
 * TRUE if it was a trap that gave a reqid back.
 */
static bool is_from_trap(const given_back_t *this)
{
#ifdef BTNS_KERNEL_REFS_REQIDS
	return FALSE;
#else
	return this->holder.kind == BTNS_HOLDER_TRAP;
#endif
}

/**
 * Keep a reqid: charon grants it to whoever comes with the same selectors. Once
 * is enough, and the first peer that gives it back is whom connections are
 * latched to: whoever had it later broke them before.
 *
 * @return			FALSE if it is kept already
 */
static bool keep(const given_back_t *from)
{
	enumerator_t *enumerator;
	given_back_t *this;
	bool found = FALSE;

	instance->kept_mutex->lock(instance->kept_mutex);
	enumerator = instance->kept->create_enumerator(instance->kept);
	while (!found && enumerator->enumerate(enumerator, &this))
	{
		found = this->reqid == from->reqid &&
				(is_from_trap(from) || !is_from_trap(this));
	}
	enumerator->destroy(enumerator);
	if (!found)
	{
		INIT(this);
		*this = *from;
#ifndef BTNS_KERNEL_REFS_REQIDS
		this->label = from->label ? from->label->clone(from->label) : NULL;
		this->holder.identity = btns_bytes(chunk_clone(
								chunk_create((u_char*)from->holder.identity.ptr,
											 from->holder.identity.len)));
#endif
		instance->kept->insert_last(instance->kept, this);
	}
	instance->kept_mutex->unlock(instance->kept_mutex);
	return !found;
}

/**
 * Stands in front of kernel_interface_t.release_reqid.
 */
static status_t release_reqid(kernel_interface_t *kernel, uint32_t reqid
#ifndef BTNS_KERNEL_REFS_REQIDS
							  , mark_t mark_in, mark_t mark_out,
							  uint32_t if_id_in, uint32_t if_id_out,
							  sec_label_t *label
#endif
							  )
{
	given_back_t this = {
		.reqid = reqid,
#ifndef BTNS_KERNEL_REFS_REQIDS
		.mark_in = mark_in,
		.mark_out = mark_out,
		.if_id_in = if_id_in,
		.if_id_out = if_id_out,
		.label = label,
#endif
	};

#ifndef BTNS_KERNEL_REFS_REQIDS
	get_holder(&this.holder);
#endif
	instance->lock->read_lock(instance->lock);
	if (instance->latches)
	{
		instance->latches->gone(instance->latches);
	}
	instance->lock->unlock(instance->lock);
	give_back_kept(FALSE);
	if (is_latched(reqid) && keep(&this))
	{
		return SUCCESS;
	}
	return give_back(&this);
}


/**
 * TRUE if all methods are still ours, so that nobody else calls them.
 */
static bool is_ours()
{
	return charon->kernel->add_sa == add_sa &&
		   charon->kernel->update_sa == update_sa &&
		   charon->kernel->alloc_reqid == alloc_reqid &&
		   charon->kernel->release_reqid == release_reqid &&
		   charon->kernel->del_sa == del_sa;
}

METHOD(btns_kernel_t, destroy, void,
	private_btns_kernel_t *this)
{
	this->lock->write_lock(this->lock);
	this->worker = NULL;
	this->latches = NULL;
	this->lock->unlock(this->lock);
	if (is_ours())
	{
		charon->kernel->add_sa = this->add_sa;
		charon->kernel->update_sa = this->update_sa;
		charon->kernel->del_sa = this->del_sa;
		charon->kernel->alloc_reqid = this->alloc_reqid;
		charon->kernel->release_reqid = this->release_reqid;
		give_back_kept(TRUE);
		this->kept->destroy(this->kept);
		this->kept_mutex->destroy(this->kept_mutex);
#ifndef BTNS_KERNEL_REFS_REQIDS
		btns_reqids_destroy(this->reqids);
		this->mutex->destroy(this->mutex);
#endif
		instance = NULL;
		this->spis->destroy(this->spis);
		this->lock->destroy(this->lock);
		free(this);
	}
}

/*
 * Described in header.
 */
btns_kernel_t *btns_kernel_create(btns_worker_t *worker,
								  btns_latches_t *latches)
{
	private_btns_kernel_t *this;

	INIT(this,
		.public = {
			.destroy = _destroy,
		},
		.add_sa = charon->kernel->add_sa,
		.update_sa = charon->kernel->update_sa,
		.del_sa = charon->kernel->del_sa,
		.alloc_reqid = charon->kernel->alloc_reqid,
		.release_reqid = charon->kernel->release_reqid,
		.spis = btns_spis_create(),
		.latches = latches,
		.kept = linked_list_create(),
		.kept_mutex = mutex_create(MUTEX_TYPE_DEFAULT),
		.worker = worker,
		.lock = rwlock_create(RWLOCK_TYPE_DEFAULT),
	);
	instance = this;
#ifndef BTNS_KERNEL_REFS_REQIDS
	/* without the table no stranger gets a CHILD_SA */
	this->reqids = btns_reqids_create();
	this->mutex = mutex_create(MUTEX_TYPE_DEFAULT);
#endif
	charon->kernel->alloc_reqid = alloc_reqid;
	charon->kernel->release_reqid = release_reqid;
	charon->kernel->add_sa = add_sa;
	charon->kernel->update_sa = update_sa;
	charon->kernel->del_sa = del_sa;
	return &this->public;
}
