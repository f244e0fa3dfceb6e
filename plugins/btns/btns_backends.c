/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */

#include "btns_backends.h"
#include "btns_id_null.h"

#include <threading/rwlock.h>

typedef struct private_btns_backends_t private_btns_backends_t;

/**
 * Private data of a btns_backends_t.
 */
struct private_btns_backends_t {

	/**
	 * Public interface
	 */
	btns_backends_t public;

	/**
	 * charon's own backend manager
	 */
	backend_manager_t *inner;

	/**
	 * PAD, NULL once removed: then flagged entries are yielded to nobody
	 */
	btns_pad_t *pad;

	/**
	 * Core, valid as long as there is a PAD
	 */
	btns_core_t *core;

	/**
	 * Lock for pad; read while it is used
	 */
	rwlock_t *lock;
};

METHOD(backend_manager_t, get_ike_cfg, ike_cfg_t*,
	private_btns_backends_t *this, host_t *me, host_t *other,
	ike_version_t version)
{
	bool full;

	this->lock->read_lock(this->lock);
	full = version == IKEV2 && this->pad &&
		   this->pad->is_full(this->pad, me, other, version);
	this->lock->unlock(this->lock);
	if (full)
	{	/* charon answers NO_PROPOSAL_CHOSEN, before any Diffie-Hellman */
		return NULL;
	}
	return this->inner->get_ike_cfg(this->inner, me, other, version);
}

METHOD(backend_manager_t, create_ike_cfg_enumerator, enumerator_t*,
	private_btns_backends_t *this, host_t *me, host_t *other,
	ike_version_t version)
{
	return this->inner->create_ike_cfg_enumerator(this->inner, me, other,
												  version);
}

METHOD(backend_manager_t, get_peer_cfg_by_name, peer_cfg_t*,
	private_btns_backends_t *this, char *name)
{
	return this->inner->get_peer_cfg_by_name(this->inner, name);
}

METHOD(backend_manager_t, add_backend, void,
	private_btns_backends_t *this, backend_t *backend)
{
	this->inner->add_backend(this->inner, backend);
}

METHOD(backend_manager_t, remove_backend, void,
	private_btns_backends_t *this, backend_t *backend)
{
	this->inner->remove_backend(this->inner, backend);
}

/**
 * The peer may ask for somebody who has no name: that is to fit the connections
 * whose local identity is that, too.
 */
static void mend(private_btns_backends_t *this, identification_t *my_id)
{
	this->lock->read_lock(this->lock);
	if (this->pad && btns_id_null_is(my_id) && btns_null_is_on(this->core))
	{
		btns_id_null_mend(my_id);
	}
	this->lock->unlock(this->lock);
}

/**
 * Remove all entries that have the flag, or count them.
 */
static u_int flagged(linked_list_t *list, bool remove)
{
	enumerator_t *enumerator;
	peer_cfg_t *cfg;
	u_int count = 0;

	enumerator = list->create_enumerator(list);
	while (enumerator->enumerate(enumerator, &cfg))
	{
		if (btns_pad_is_flagged(cfg))
		{
			count++;
			if (remove)
			{
				list->remove_at(list, enumerator);
				cfg->destroy(cfg);
			}
		}
	}
	enumerator->destroy(enumerator);
	return count;
}

/**
 * The IKE_SA whose responder is looking for a configuration, NULL if none is.
 */
static ike_sa_t *get_responder(ike_version_t version)
{
	ike_sa_t *ike_sa;
	ike_sa_id_t *id;

	ike_sa = charon->bus->get_sa(charon->bus);
	if (!ike_sa || version != IKEV2 || ike_sa->get_version(ike_sa) != IKEV2 ||
		ike_sa->get_peer_cfg(ike_sa))
	{
		return NULL;
	}
	id = ike_sa->get_id(ike_sa);
	return id->is_initiator(id) ? NULL : ike_sa;
}

CALLBACK(destroy_list, void,
	linked_list_t *list)
{
	list->destroy_offset(list, offsetof(peer_cfg_t, destroy));
}

METHOD(backend_manager_t, create_peer_cfg_enumerator, enumerator_t*,
	private_btns_backends_t *this, host_t *me, host_t *other,
	identification_t *my_id, identification_t *other_id, ike_version_t version)
{
	enumerator_t *enumerator;
	linked_list_t *list;
	peer_cfg_t *cfg;
	ike_sa_t *ike_sa;

	if (get_responder(version))
	{
		mend(this, my_id);
	}
	enumerator = this->inner->create_peer_cfg_enumerator(this->inner, me, other,
													my_id, other_id, version);
	if (!me && !other && !my_id && !other_id)
	{	/* a list for somebody who is no peer */
		return enumerator;
	}
	/* drain it, so that nothing below runs with the backends locked */
	list = linked_list_create();
	while (enumerator->enumerate(enumerator, &cfg))
	{
		list->insert_last(list, cfg->get_ref(cfg));
	}
	enumerator->destroy(enumerator);

	if (flagged(list, FALSE))
	{
		ike_sa = get_responder(version);
		this->lock->read_lock(this->lock);
		if (this->pad && ike_sa && other_id)
		{
			this->pad->decide(this->pad, ike_sa, BTNS_ROLE_RESPONDER, version,
							  other_id, list);
		}
		else
		{
			flagged(list, TRUE);
		}
		this->lock->unlock(this->lock);
	}
	return enumerator_create_cleaner(list->create_enumerator(list),
									 (void*)destroy_list, list);
}

METHOD(btns_backends_t, remove_, void,
	private_btns_backends_t *this)
{
	this->lock->write_lock(this->lock);
	this->pad = NULL;
	this->lock->unlock(this->lock);
	if (charon->backends == &this->public.manager)
	{
		charon->backends = this->inner;
		this->lock->destroy(this->lock);
		free(this);
	}
}

METHOD(backend_manager_t, destroy, void,
	private_btns_backends_t *this)
{
	this->inner->destroy(this->inner);
	this->lock->destroy(this->lock);
	free(this);
}

/*
 * Described in header.
 */
btns_backends_t *btns_backends_create(btns_pad_t *pad, btns_core_t *core)
{
	private_btns_backends_t *this;

	INIT(this,
		.public = {
			.manager = {
				.get_ike_cfg = _get_ike_cfg,
				.create_ike_cfg_enumerator = _create_ike_cfg_enumerator,
				.create_peer_cfg_enumerator = _create_peer_cfg_enumerator,
				.get_peer_cfg_by_name = _get_peer_cfg_by_name,
				.add_backend = _add_backend,
				.remove_backend = _remove_backend,
				.destroy = _destroy,
			},
			.remove = _remove_,
		},
		.inner = charon->backends,
		.pad = pad,
		.core = core,
		.lock = rwlock_create(RWLOCK_TYPE_DEFAULT),
	);
	charon->backends = &this->public.manager;
	return &this->public;
}
