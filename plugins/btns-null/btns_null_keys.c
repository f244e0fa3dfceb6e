/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */

#include "btns_null_keys.h"
#include "btns_id_null.h"
#include "btns_null_local.h"

#include <threading/rwlock.h>

typedef struct private_btns_null_keys_t private_btns_null_keys_t;
typedef struct key_enumerator_t key_enumerator_t;

/**
 * Private data of a btns_null_keys_t.
 */
struct private_btns_null_keys_t {

	/**
	 * Public interface
	 */
	btns_null_keys_t public;

	/**
	 * Whom to ask, NULL once destroyed
	 */
	btns_nulls_t *nulls;

	/**
	 * Credential manager's own methods
	 */
	enumerator_t *(*create_shared_enumerator)(credential_manager_t *credmgr,
								shared_key_type_t type, identification_t *me,
								identification_t *other);
	shared_key_t *(*get_shared)(credential_manager_t *credmgr,
								shared_key_type_t type, identification_t *me,
								identification_t *other);
};

/**
 * The one instance: the methods we stand in front of have no user data.
 */
static private_btns_null_keys_t *instance;

/**
 * Enumerator over the key of nobody.
 */
struct key_enumerator_t {

	/**
	 * Implements the enumerator interface
	 */
	enumerator_t public;

	/**
	 * Key, NULL if there is none
	 */
	shared_key_t *key;

	/**
	 * It was enumerated
	 */
	bool done;
};

METHOD(enumerator_t, key_enumerate, bool,
	key_enumerator_t *this, va_list args)
{
	shared_key_t **key;
	id_match_t *me, *other;

	VA_ARGS_VGET(args, key, me, other);
	if (this->done || !this->key)
	{
		return FALSE;
	}
	this->done = TRUE;
	if (key)
	{
		*key = this->key;
	}
	if (me)
	{
		*me = ID_MATCH_ANY;
	}
	if (other)
	{
		*other = ID_MATCH_ANY;
	}
	return TRUE;
}

METHOD(enumerator_t, key_destroy, void,
	key_enumerator_t *this)
{
	DESTROY_IF(this->key);
	free(this);
}

/**
 * Enumerate a key, adopted, or none at all.
 */
static enumerator_t *key_enumerator_create(shared_key_t *key)
{
	key_enumerator_t *this;

	INIT(this,
		.public = {
			.enumerate = enumerator_enumerate_default,
			.venumerate = _key_enumerate,
			.destroy = _key_destroy,
		},
		.key = key,
	);
	return &this->public;
}

/**
 * Create the key of nobody.
 */
static shared_key_t *create_key()
{
	return shared_key_create(SHARED_IKE, chunk_empty);
}

/**
 * Stands in front of credential_manager_t.create_shared_enumerator, which the
 * peer's AUTH payload is verified with.
 */
static enumerator_t *create_shared_enumerator(credential_manager_t *credmgr,
								shared_key_type_t type, identification_t *me,
								identification_t *other)
{
	ike_sa_t *ike_sa;

	ike_sa = type == SHARED_IKE ? charon->bus->get_sa(charon->bus) : NULL;
	if (ike_sa && instance->nulls && ike_sa->get_version(ike_sa) == IKEV2)
	{
		switch (instance->nulls->ask(instance->nulls, ike_sa, other))
		{
			case BTNS_NULL_NOBODY:
				return key_enumerator_create(create_key());
			case BTNS_NULL_REFUSED:
				return key_enumerator_create(NULL);
			case BTNS_NULL_SOMEBODY:
				break;
		}
	}
	return instance->create_shared_enumerator(credmgr, type, me, other);
}

/**
 * Stands in front of credential_manager_t.get_shared, which our own AUTH payload
 * is made with.
 */
static shared_key_t *get_shared(credential_manager_t *credmgr,
								shared_key_type_t type, identification_t *me,
								identification_t *other)
{
	auth_cfg_t *auth;
	ike_sa_t *ike_sa;

	ike_sa = type == SHARED_IKE ? charon->bus->get_sa(charon->bus) : NULL;
	switch (ike_sa && instance->nulls ? btns_null_local(ike_sa) : BTNS_NULL_LOCAL_NO)
	{
		case BTNS_NULL_LOCAL_YES:
			/* else it would not be the identity that is configured, and another
			 * round would have to follow; and it is kept as one of the peers
			 * whose IKE_SAs must be found again */
			auth = ike_sa->get_auth_cfg(ike_sa, TRUE);
			btns_id_null_mend(auth->get(auth, AUTH_RULE_IDENTITY));
			btns_id_null_mend(ike_sa->get_my_id(ike_sa));
			return create_key();
		case BTNS_NULL_LOCAL_BAD:
			DBG1(DBG_IKE, "btns-null: NULL authentication, local.id = \"{13}:\", is "
				 "not possible beside other rounds or with a peer that uses EAP");
			return NULL;
		case BTNS_NULL_LOCAL_NO:
			break;
	}
	return instance->get_shared(credmgr, type, me, other);
}

METHOD(btns_null_keys_t, destroy, void,
	private_btns_null_keys_t *this)
{
	this->nulls = NULL;
	if (lib->credmgr->get_shared == get_shared &&
		lib->credmgr->create_shared_enumerator == create_shared_enumerator)
	{
		lib->credmgr->get_shared = this->get_shared;
		lib->credmgr->create_shared_enumerator = this->create_shared_enumerator;
		instance = NULL;
		free(this);
	}
	/* else somebody came in front of us and still calls us: all is passed on */
}

/*
 * Described in header.
 */
btns_null_keys_t *btns_null_keys_create(btns_nulls_t *nulls)
{
	private_btns_null_keys_t *this;

	INIT(this,
		.public = {
			.destroy = _destroy,
		},
		.nulls = nulls,
		.create_shared_enumerator = lib->credmgr->create_shared_enumerator,
		.get_shared = lib->credmgr->get_shared,
	);
	instance = this;
	lib->credmgr->create_shared_enumerator = create_shared_enumerator;
	lib->credmgr->get_shared = get_shared;
	return &this->public;
}
