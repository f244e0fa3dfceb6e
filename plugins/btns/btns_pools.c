/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */

#include "btns_pools.h"
#include "btns_convert.h"
#include "btns_vici_plugin.h"

#include <attributes/attribute_provider.h>
#include <attributes/mem_pool.h>
#include <collections/hashtable.h>
#include <threading/rwlock.h>

typedef struct private_btns_pools_t private_btns_pools_t;

/**
 * The vici plugin's attribute provider: its public part, then its first
 * private members.
 */
typedef struct {
	attribute_provider_t provider;
	void (*destroy)(void *this);
	vici_dispatcher_t *dispatcher;
	hashtable_t *pools;
	rwlock_t *lock;
} vici_attrs_t;

/**
 * The first member of what its hashtable has.
 */
typedef struct {
	mem_pool_t *vips;
} vici_pool_t;

/**
 * Private data of a btns_pools_t.
 */
struct private_btns_pools_t {

	/**
	 * Public interface
	 */
	btns_pools_t public;

	/**
	 * The vici plugin's attribute provider
	 */
	vici_attrs_t *attrs;
};

/**
 * Add a number to an address in network byte order.
 */
static void add(uint8_t *address, size_t len, uint64_t number)
{
	while (len-- && number)
	{
		number += address[len];
		address[len] = number;
		number >>= 8;
	}
}

METHOD(btns_pools_t, get, bool,
	private_btns_pools_t *this, char *name, btns_range_t *range)
{
	vici_pool_t *pool;
	btns_addr_t base;
	host_t *host;
	bool found = FALSE;

	this->attrs->lock->read_lock(this->attrs->lock);
	pool = this->attrs->pools->get(this->attrs->pools, name);
	if (pool && pool->vips)
	{
		host = pool->vips->get_base(pool->vips);
		if (btns_addr_from_host(host, &base))
		{
			memset(range, 0, sizeof(*range));
			range->family = base.family;
			memcpy(range->from, base.bytes, sizeof(range->from));
			memcpy(range->to, base.bytes, sizeof(range->to));
			/* the base may be the network's own address, which is not counted */
			add(range->to, base.family == 4 ? 4 : 16,
				pool->vips->get_size(pool->vips));
			found = memcmp(range->from, range->to, sizeof(range->to)) <= 0;
		}
	}
	this->attrs->lock->unlock(this->attrs->lock);
	return found;
}

METHOD(btns_pools_t, destroy, void,
	private_btns_pools_t *this)
{
	free(this);
}

/*
 * Described in header.
 */
btns_pools_t *btns_pools_create()
{
	private_btns_pools_t *this;
	btns_vici_plugin_t *vici;
	vici_attrs_t *attrs;

	vici = btns_vici_plugin_find();
	attrs = vici ? vici->attrs : NULL;
	/* that the dispatcher stands where it is expected, and that functions are
	 * where they have to be, tells that this is what it seems to be */
	if (!attrs || attrs->dispatcher != vici->dispatcher ||
		!btns_same_object(attrs->provider.acquire_address,
						  vici->plugin.get_name) ||
		!attrs->pools || !attrs->lock ||
		!btns_same_object(attrs->pools->get, hashtable_create) ||
		!btns_same_object(attrs->lock->read_lock, rwlock_create))
	{
		return NULL;
	}
	INIT(this,
		.public = {
			.get = _get,
			.destroy = _destroy,
		},
		.attrs = attrs,
	);
	return &this->public;
}
