/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */

#include "btns_faults.h"

#include <btns/core.h>

/**
 * Octets of options that are kept
 */
#define MAX_OPTION 128

/**
 * Name of the hook that the thread is in, NULL for none
 */
static __thread const char *inside;

/**
 * Log a call of a manager, if it comes from inside of a hook.
 */
static void note(const char *manager, const char *method)
{
	if (inside)
	{
		DBG1(DBG_CFG, "btns: TEST BUILD, %s.%s() inside of %s()", manager,
			 method, inside);
	}
}

/**
 * Define hook_NAME(), which stands in front of a listener's method.
 */
#define HOOK(name, params, args) \
	static bool (*our_##name) params; \
	static bool hook_##name params \
	{ \
		static bool seen; \
		const char *outer = inside; \
		bool stay; \
		if (!seen) \
		{ \
			seen = TRUE; \
			DBG1(DBG_CFG, "btns: TEST BUILD, watching " #name "()"); \
		} \
		inside = #name; \
		stay = our_##name args; \
		inside = outer; \
		return stay; \
	}

HOOK(alert,
	 (listener_t *this, ike_sa_t *ike_sa, alert_t alert, va_list list),
	 (this, ike_sa, alert, list))
HOOK(ike_state_change,
	 (listener_t *this, ike_sa_t *ike_sa, ike_sa_state_t state),
	 (this, ike_sa, state))
HOOK(message,
	 (listener_t *this, ike_sa_t *ike_sa, message_t *message, bool incoming,
	  bool plain),
	 (this, ike_sa, message, incoming, plain))
HOOK(ike_updown,
	 (listener_t *this, ike_sa_t *ike_sa, bool up), (this, ike_sa, up))
HOOK(ike_rekey,
	 (listener_t *this, ike_sa_t *old, ike_sa_t *new), (this, old, new))
HOOK(ike_update,
	 (listener_t *this, ike_sa_t *ike_sa, host_t *local, host_t *remote),
	 (this, ike_sa, local, remote))
HOOK(child_updown,
	 (listener_t *this, ike_sa_t *ike_sa, child_sa_t *child_sa, bool up),
	 (this, ike_sa, child_sa, up))
HOOK(child_rekey,
	 (listener_t *this, ike_sa_t *ike_sa, child_sa_t *old, child_sa_t *new),
	 (this, ike_sa, old, new))
HOOK(children_migrate,
	 (listener_t *this, ike_sa_t *ike_sa, ike_sa_id_t *new, uint32_t unique),
	 (this, ike_sa, new, unique))
HOOK(authorize,
	 (listener_t *this, ike_sa_t *ike_sa, bool final, bool *success),
	 (this, ike_sa, final, success))
HOOK(narrow,
	 (listener_t *this, ike_sa_t *ike_sa, child_sa_t *child_sa,
	  narrow_hook_t type, linked_list_t *local, linked_list_t *remote),
	 (this, ike_sa, child_sa, type, local, remote))
HOOK(assign_vips,
	 (listener_t *this, ike_sa_t *ike_sa, bool assign), (this, ike_sa, assign))

/**
 * All hooks that our listener has
 */
#define HOOKS(DO) \
	DO(alert) DO(ike_state_change) DO(message) DO(ike_updown) DO(ike_rekey) \
	DO(ike_update) DO(child_updown) DO(child_rekey) DO(children_migrate) \
	DO(authorize) DO(narrow) DO(assign_vips)

/**
 * Define watched_NAME(), which stands in front of a manager's method.
 */
#define CALL(ret, manager, name, params, args) \
	static ret (*charons_##name) params; \
	static ret watched_##name params \
	{ \
		note(manager, #name); \
		return charons_##name args; \
	}

CALL(enumerator_t*, "credmgr", create_cert_enumerator,
	 (credential_manager_t *this, certificate_type_t cert, key_type_t key,
	  identification_t *id, bool trusted),
	 (this, cert, key, id, trusted))
CALL(enumerator_t*, "credmgr", create_shared_enumerator,
	 (credential_manager_t *this, shared_key_type_t type,
	  identification_t *first, identification_t *second),
	 (this, type, first, second))
CALL(certificate_t*, "credmgr", get_cert,
	 (credential_manager_t *this, certificate_type_t cert, key_type_t key,
	  identification_t *id, bool trusted),
	 (this, cert, key, id, trusted))
CALL(shared_key_t*, "credmgr", get_shared,
	 (credential_manager_t *this, shared_key_type_t type,
	  identification_t *me, identification_t *other),
	 (this, type, me, other))
CALL(private_key_t*, "credmgr", get_private,
	 (credential_manager_t *this, key_type_t type, identification_t *id,
	  auth_cfg_t *auth),
	 (this, type, id, auth))
CALL(enumerator_t*, "credmgr", create_trusted_enumerator,
	 (credential_manager_t *this, key_type_t type, identification_t *id,
	  bool online),
	 (this, type, id, online))

CALL(ike_sa_t*, "ike_sa_manager", checkout,
	 (ike_sa_manager_t *this, ike_sa_id_t *id), (this, id))
CALL(ike_sa_t*, "ike_sa_manager", checkout_by_id,
	 (ike_sa_manager_t *this, uint32_t id), (this, id))
CALL(ike_sa_t*, "ike_sa_manager", checkout_by_name,
	 (ike_sa_manager_t *this, char *name, bool child), (this, name, child))
CALL(ike_sa_t*, "ike_sa_manager", checkout_by_config,
	 (ike_sa_manager_t *this, peer_cfg_t *cfg), (this, cfg))
CALL(enumerator_t*, "ike_sa_manager", create_enumerator,
	 (ike_sa_manager_t *this, bool wait), (this, wait))
CALL(enumerator_t*, "ike_sa_manager", create_id_enumerator,
	 (ike_sa_manager_t *this, identification_t *me, identification_t *other,
	  int family),
	 (this, me, other, family))
CALL(bool, "ike_sa_manager", check_uniqueness,
	 (ike_sa_manager_t *this, ike_sa_t *ike_sa, bool force),
	 (this, ike_sa, force))

#define CREDMGR_CALLS(DO) \
	DO(create_cert_enumerator) DO(create_shared_enumerator) DO(get_cert) \
	DO(get_shared) DO(get_private) DO(create_trusted_enumerator)

#define IKE_SA_MANAGER_CALLS(DO) \
	DO(checkout) DO(checkout_by_id) DO(checkout_by_name) \
	DO(checkout_by_config) DO(create_enumerator) DO(create_id_enumerator) \
	DO(check_uniqueness)

/**
 * Identity that somebody asks for, empty for none
 */
static char asks_for[MAX_OPTION];

/**
 * credential_manager_t.create_public_enumerator
 */
static enumerator_t *(*charons_create_public_enumerator)(
						credential_manager_t *this, key_type_t type,
						identification_t *id, auth_cfg_t *auth, bool online);

/**
 * Stands in front of it, and asks for somebody else first.
 */
static enumerator_t *watched_create_public_enumerator(
						credential_manager_t *this, key_type_t type,
						identification_t *id, auth_cfg_t *auth, bool online)
{
	identification_t *other;
	certificate_t *cert;

	note("credmgr", "create_public_enumerator");
	if (asks_for[0])
	{
		other = identification_create_from_string(asks_for);
		cert = charons_get_cert(this, CERT_ANY, KEY_ANY, other, TRUE);
		DBG1(DBG_CFG, "btns: TEST BUILD, %s for '%Y'",
			 cert ? "a certificate" : "no certificate", other);
		DESTROY_IF(cert);
		other->destroy(other);
	}
	return charons_create_public_enumerator(this, type, id, auth, online);
}

/**
 * Group that another listener grants, empty for none
 */
static char grants[MAX_OPTION];

/**
 * Grants it.
 */
static bool grant(listener_t *this, ike_sa_t *ike_sa, bool final, bool *success)
{
	auth_cfg_t *auth;

	if (grants[0] && !final)
	{
		auth = ike_sa->get_auth_cfg(ike_sa, FALSE);
		auth->add(auth, AUTH_RULE_GROUP,
				  identification_create_from_string(grants));
	}
	return TRUE;
}

/**
 * The other listener
 */
static listener_t granting = {
	.authorize = grant,
};

/**
 * Listener that is watched, NULL for none
 */
static listener_t *watched;

/**
 * Read an option of tests.
 */
static void read_option(const char *name, char value[MAX_OPTION])
{
	snprintf(value, MAX_OPTION, "%s",
			 lib->settings->get_str(lib->settings, "%s.plugins.btns.%s", "",
									lib->ns, name));
}

/*
 * Described in header.
 */
void btns_faults_configure()
{
	char value[MAX_OPTION], function[64] = "";
	u_int count = 1;

	read_option("asks_for", asks_for);
	read_option("grants", grants);
	read_option("fault", value);
	sscanf(value, "%63[^:]:%u", function, &count);
	btns_fault(function[0] ? function : NULL, count);
	DBG1(DBG_CFG, "btns: TEST BUILD, '%s' fails %u times", function, count);
}

/*
 * Described in header.
 */
void btns_faults_watch(listener_t *listener)
{
#define WATCH_HOOK(name) \
	if (listener->name) \
	{ \
		our_##name = listener->name; \
		listener->name = hook_##name; \
	}
#define WATCH_CREDMGR(name) \
	charons_##name = lib->credmgr->name; \
	lib->credmgr->name = watched_##name;
#define WATCH_IKE_SA_MANAGER(name) \
	charons_##name = charon->ike_sa_manager->name; \
	charon->ike_sa_manager->name = watched_##name;
	charon->bus->add_listener(charon->bus, &granting);
	HOOKS(WATCH_HOOK)
	CREDMGR_CALLS(WATCH_CREDMGR)
	WATCH_CREDMGR(create_public_enumerator)
	IKE_SA_MANAGER_CALLS(WATCH_IKE_SA_MANAGER)
	watched = listener;
}

/*
 * Described in header.
 */
void btns_faults_unwatch()
{
#define UNWATCH_CREDMGR(name) lib->credmgr->name = charons_##name;
#define UNWATCH_IKE_SA_MANAGER(name) \
	charon->ike_sa_manager->name = charons_##name;
	if (watched)
	{
		charon->bus->remove_listener(charon->bus, &granting);
		CREDMGR_CALLS(UNWATCH_CREDMGR)
		UNWATCH_CREDMGR(create_public_enumerator)
		IKE_SA_MANAGER_CALLS(UNWATCH_IKE_SA_MANAGER)
		watched = NULL;
	}
}
