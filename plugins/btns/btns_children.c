/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */

#include "btns_children.h"
#include "btns_narrow.h"

#include <threading/rwlock.h>

typedef struct private_btns_children_t private_btns_children_t;

/**
 * Private data of a btns_children_t.
 */
struct private_btns_children_t {

	/**
	 * Public interface
	 */
	btns_children_t public;

	/**
	 * Held for reading while a child is selected, for writing while children
	 * are replaced. Comes before the lock of a peer configuration.
	 */
	rwlock_t *lock;
};

/**
 * The one instance: the methods we stand in front of have no user data.
 */
static private_btns_children_t *instance;

/**
 * peer_cfg_t.select_child_cfg of charon's own peer configurations
 */
static child_cfg_t *(*charons_select)(peer_cfg_t *this, linked_list_t *my_ts,
							linked_list_t *other_ts, linked_list_t *my_hosts,
							linked_list_t *other_hosts,
							linked_list_t *my_labels,
							linked_list_t *other_labels);

/**
 * peer_cfg_t.replace_child_cfgs of charon's own peer configurations
 */
static enumerator_t *(*charons_replace)(peer_cfg_t *this, peer_cfg_t *other);

/**
 * Stands in front of peer_cfg_t.select_child_cfg.
 */
static child_cfg_t *select_child_cfg(peer_cfg_t *cfg, linked_list_t *my_ts,
							linked_list_t *other_ts, linked_list_t *my_hosts,
							linked_list_t *other_hosts,
							linked_list_t *my_labels,
							linked_list_t *other_labels)
{
	child_cfg_t *child;

	instance->lock->read_lock(instance->lock);
	child = charons_select(cfg, my_ts, other_ts, my_hosts, other_hosts,
						   my_labels, other_labels);
	instance->lock->unlock(instance->lock);
	return child;
}

/**
 * Stands in front of peer_cfg_t.replace_child_cfgs.
 */
static enumerator_t *replace_child_cfgs(peer_cfg_t *cfg, peer_cfg_t *other)
{
	enumerator_t *enumerator;

	instance->lock->write_lock(instance->lock);
	enumerator = charons_replace(cfg, other);
	instance->lock->unlock(instance->lock);
	return enumerator;
}

METHOD(btns_children_t, protect, void,
	private_btns_children_t *this, peer_cfg_t *cfg)
{
	if (!charons_select)
	{
		charons_select = cfg->select_child_cfg;
		charons_replace = cfg->replace_child_cfgs;
	}
	if (cfg->select_child_cfg == charons_select &&
		cfg->replace_child_cfgs == charons_replace)
	{
		cfg->select_child_cfg = select_child_cfg;
		cfg->replace_child_cfgs = replace_child_cfgs;
	}
}

METHOD(btns_children_t, let_go, void,
	private_btns_children_t *this, peer_cfg_t *cfg)
{
	if (cfg->select_child_cfg == select_child_cfg &&
		cfg->replace_child_cfgs == replace_child_cfgs)
	{
		cfg->select_child_cfg = charons_select;
		cfg->replace_child_cfgs = charons_replace;
	}
}

METHOD(btns_children_t, destroy, void,
	private_btns_children_t *this)
{
	instance = NULL;
	this->lock->destroy(this->lock);
	free(this);
}

/*
 * Described in header.
 */
bool btns_has_child(ike_sa_t *ike_sa, child_cfg_t *child)
{
	peer_cfg_t *cfg = ike_sa->get_peer_cfg(ike_sa);
	peer_cfg_create_t data = {};
	ike_cfg_t *ike_cfg = cfg->get_ike_cfg(cfg);
	enumerator_t *enumerator;
	child_cfg_t *current;
	peer_cfg_t *copy;
	bool found = FALSE;

	/* to have an empty one take them over is how to look at them with the lock */
	copy = peer_cfg_create(cfg->get_name(cfg), ike_cfg->get_ref(ike_cfg),
						   &data);
	enumerator = copy->replace_child_cfgs(copy, cfg);
	while (!found && enumerator->enumerate(enumerator, &current, NULL))
	{
		found = child->equals(child, current) ||
				btns_narrow_is(child, current, ike_sa);
	}
	enumerator->destroy(enumerator);
	copy->destroy(copy);
	return found;
}

/*
 * Described in header.
 */
btns_children_t *btns_children_create()
{
	private_btns_children_t *this;

	INIT(this,
		.public = {
			.protect = _protect,
			.let_go = _let_go,
			.destroy = _destroy,
		},
		.lock = rwlock_create(RWLOCK_TYPE_DEFAULT),
	);
	instance = this;
	return &this->public;
}
