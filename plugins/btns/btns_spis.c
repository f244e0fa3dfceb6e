/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */

#include "btns_spis.h"

#include <collections/hashtable.h>
#include <threading/mutex.h>

typedef struct private_btns_spis_t private_btns_spis_t;
typedef struct entry_t entry_t;

/**
 * Private data of a btns_spis_t.
 */
struct private_btns_spis_t {

	/**
	 * Public interface
	 */
	btns_spis_t public;

	/**
	 * Outbound SAs, entry_t => entry_t
	 */
	hashtable_t *sas;

	/**
	 * Lock for sas
	 */
	mutex_t *mutex;
};

/**
 * An outbound SA.
 */
struct entry_t {

	/**
	 * Destination, its port does not matter
	 */
	host_t *dst;

	/**
	 * SPI, in network order
	 */
	uint32_t spi;

	/**
	 * ESP or AH, as an IP protocol
	 */
	uint8_t proto;

	/**
	 * BTNS peer that has it, NULL if it is somebody else's
	 */
	identification_t *owner;
};

static u_int hash(const void *key)
{
	const entry_t *entry = key;

	return chunk_hash_inc(entry->dst->get_address(entry->dst),
						  chunk_hash(chunk_from_thing(entry->spi)));
}

static bool equals(const void *key, const void *other_key)
{
	const entry_t *entry = key, *other = other_key;

	return entry->spi == other->spi && entry->proto == other->proto &&
		   entry->dst->ip_equals(entry->dst, other->dst);
}

static void entry_destroy(entry_t *entry)
{
	entry->dst->destroy(entry->dst);
	DESTROY_IF(entry->owner);
	free(entry);
}

/**
 * Find an SA. To be called with the lock.
 */
static entry_t *find(private_btns_spis_t *this, kernel_ipsec_sa_id_t *id,
					 host_t *dst)
{
	entry_t key = {
		.dst = dst,
		.spi = id->spi,
		.proto = id->proto,
	};

	return this->sas->get(this->sas, &key);
}

/**
 * TRUE if a BTNS peer may not touch an SA. NULL is an SA that is not known, or
 * an owner that is no BTNS peer.
 */
static bool is_foreign(entry_t *entry, identification_t *owner)
{
	return entry && owner &&
		   !(entry->owner && owner->equals(owner, entry->owner));
}

/**
 * Note an SA, instead of what was known of it. To be called with the lock.
 */
static void put(private_btns_spis_t *this, kernel_ipsec_sa_id_t *id,
				host_t *dst, identification_t *owner)
{
	entry_t *entry, *old;

	INIT(entry,
		.dst = dst->clone(dst),
		.spi = id->spi,
		.proto = id->proto,
		.owner = owner ? owner->clone(owner) : NULL,
	);
	old = this->sas->remove(this->sas, entry);
	if (old)
	{
		entry_destroy(old);
	}
	this->sas->put(this->sas, entry, entry);
}

METHOD(btns_spis_t, claim, bool,
	private_btns_spis_t *this, kernel_ipsec_sa_id_t *id,
	identification_t *owner)
{
	bool foreign;

	this->mutex->lock(this->mutex);
	foreign = is_foreign(find(this, id, id->dst), owner);
	if (!foreign)
	{
		put(this, id, id->dst, owner);
	}
	this->mutex->unlock(this->mutex);
	return !foreign;
}

/**
 * Forget an SA, unless it is somebody else's, or give it another destination.
 */
static bool change(private_btns_spis_t *this, kernel_ipsec_sa_id_t *id,
				   identification_t *owner, host_t *dst)
{
	entry_t *entry;
	bool foreign;

	this->mutex->lock(this->mutex);
	entry = find(this, id, id->dst);
	foreign = is_foreign(entry, owner);
	if (entry && !foreign)
	{
		this->sas->remove(this->sas, entry);
		if (dst)
		{
			put(this, id, dst, entry->owner);
		}
		entry_destroy(entry);
	}
	this->mutex->unlock(this->mutex);
	return !foreign;
}

METHOD(btns_spis_t, release, bool,
	private_btns_spis_t *this, kernel_ipsec_sa_id_t *id,
	identification_t *owner)
{
	return change(this, id, owner, NULL);
}

METHOD(btns_spis_t, move, bool,
	private_btns_spis_t *this, kernel_ipsec_sa_id_t *id,
	identification_t *owner, host_t *dst)
{
	return change(this, id, owner, dst);
}

METHOD(btns_spis_t, destroy, void,
	private_btns_spis_t *this)
{
	enumerator_t *enumerator;
	entry_t *entry;

	enumerator = this->sas->create_enumerator(this->sas);
	while (enumerator->enumerate(enumerator, NULL, &entry))
	{
		entry_destroy(entry);
	}
	enumerator->destroy(enumerator);
	this->sas->destroy(this->sas);
	this->mutex->destroy(this->mutex);
	free(this);
}

/*
 * Described in header.
 */
btns_spis_t *btns_spis_create()
{
	private_btns_spis_t *this;

	INIT(this,
		.public = {
			.claim = _claim,
			.release = _release,
			.move = _move,
			.destroy = _destroy,
		},
		.sas = hashtable_create(hash, equals, 32),
		.mutex = mutex_create(MUTEX_TYPE_DEFAULT),
	);
	return &this->public;
}
