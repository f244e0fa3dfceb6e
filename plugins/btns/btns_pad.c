/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */

#include "btns_pad.h"
#include "btns_children.h"
#include "btns_compat.h"
#include "btns_convert.h"
#include "btns_id_null.h"
#include "btns_vouch.h"

#include <collections/array.h>
#include <threading/mutex.h>

typedef struct private_btns_pad_t private_btns_pad_t;
typedef struct entry_t entry_t;
typedef struct addrs_t addrs_t;
typedef struct view_t view_t;

/**
 * One peer configuration of a view.
 */
struct entry_t {

	/**
	 * Peer configuration, with a reference: so its address is not reused
	 */
	peer_cfg_t *cfg;

	/**
	 * child_cfg_t*, with references, as they were
	 */
	array_t *children;

	/**
	 * Ranges of its virtual IP pools, as far as they are known
	 */
	btns_range_t *pools;

	/**
	 * Number of these
	 */
	u_int pool_count;

	/**
	 * What its groups make of it
	 */
	btns_flag_t flag;

	/**
	 * Pinned key for BTNS_FLAG_KEY
	 */
	uint8_t key[BTNS_FINGERPRINT_LEN];

	/**
	 * Whether the linter lets it pass
	 */
	bool usable;
};

/**
 * The host's own addresses at one time. Immutable, shared by views.
 */
struct addrs_t {

	/**
	 * host_t*
	 */
	array_t *hosts;

	/**
	 * Reference count
	 */
	refcount_t ref;
};

/**
 * All peer configurations at one time. Immutable.
 */
struct view_t {

	/**
	 * entry_t, in charon's order
	 */
	array_t *entries;

	/**
	 * The host's own addresses
	 */
	addrs_t *addrs;

	/**
	 * entry_t that have a flag, by the address of their configuration
	 */
	array_t *flagged;

	/**
	 * Identities of the entries that have none, by their place in entries
	 */
	btns_names_t *names;

	/**
	 * Reference count
	 */
	refcount_t ref;
};

/**
 * Private data of a btns_pad_t.
 */
struct private_btns_pad_t {

	/**
	 * Public interface
	 */
	btns_pad_t public;

	/**
	 * Core
	 */
	btns_core_t *core;

	/**
	 * charon's own backend manager
	 */
	backend_manager_t *inner;

	/**
	 * Where the ranges of virtual IP pools come from, NULL for nowhere
	 */
	btns_pools_t *pools;

	/**
	 * Protects child configurations from reloads
	 */
	btns_children_t *children;

	/**
	 * The view that the core knows, NULL before the first one
	 */
	view_t *view;

	/**
	 * The core is to be told once more, though nothing has changed
	 */
	bool forgotten;

	/**
	 * Lock for view, forgotten and pools. Never held while a backend is called.
	 */
	mutex_t *mutex;
};

CALLBACK(destroy_child, void,
	child_cfg_t *child, int idx, void *user)
{
	child->destroy(child);
}

CALLBACK(destroy_entry, void,
	entry_t *entry, int idx, void *user)
{
	array_destroy_function(entry->children, (void*)destroy_child, NULL);
	free(entry->pools);
	entry->cfg->destroy(entry->cfg);
	free(entry);
}

/**
 * Release a reference to addresses.
 */
static void addrs_put(addrs_t *addrs)
{
	if (ref_put(&addrs->ref))
	{
		array_destroy_offset(addrs->hosts, offsetof(host_t, destroy));
		free(addrs);
	}
}

/**
 * Release a reference to a view.
 */
static void view_put(view_t *view)
{
	if (view && ref_put(&view->ref))
	{
		array_destroy_function(view->entries, (void*)destroy_entry, NULL);
		addrs_put(view->addrs);
		array_destroy(view->flagged);
		btns_names_destroy(view->names);
		free(view);
	}
}

/**
 * Get a reference to the view in force, may be NULL.
 */
static view_t *view_get(private_btns_pad_t *this)
{
	view_t *view;

	this->mutex->lock(this->mutex);
	view = this->view;
	if (view)
	{
		ref_get(&view->ref);
	}
	this->mutex->unlock(this->mutex);
	return view;
}

/**
 * TRUE if a group could be one of ours: whatever starts with btns.
 */
static bool maybe_reserved(chunk_t group)
{
	return group.len >= 4 && strncasecmp((char*)group.ptr, "btns", 4) == 0;
}

/**
 * Groups and other properties of the rounds of a peer_cfg, in plain types.
 */
typedef struct {
	btns_round_t *rounds;
	u_int count;
} rounds_t;

static void rounds_destroy(rounds_t *this)
{
	u_int i;
	size_t j;

	for (i = 0; i < this->count; i++)
	{
		for (j = 0; j < this->rounds[i].group_count; j++)
		{
			free((char*)this->rounds[i].groups[j]);
		}
		free((void*)this->rounds[i].groups);
	}
	free(this->rounds);
}

/**
 * How a round has to be authenticated.
 */
static btns_class_t get_class(auth_cfg_t *auth)
{
	switch ((uintptr_t)auth->get(auth, AUTH_RULE_AUTH_CLASS))
	{
		case AUTH_CLASS_ANY:
			return BTNS_CLASS_ANY;
		case AUTH_CLASS_PUBKEY:
			return BTNS_CLASS_PUBKEY;
		case AUTH_CLASS_PSK:
			return BTNS_CLASS_PSK;
		case AUTH_CLASS_EAP:
			return BTNS_CLASS_EAP;
		default:
			return BTNS_CLASS_OTHER;
	}
}

/**
 * Collect the properties of one round.
 */
static void collect_round(auth_cfg_t *auth, btns_round_t *round)
{
	enumerator_t *enumerator;
	identification_t *id;
	auth_rule_t rule;
	const char **groups = NULL;
	chunk_t encoding;
	void *value;

	memset(round, 0, sizeof(*round));
	round->auth = get_class(auth);
	id = auth->get(auth, AUTH_RULE_IDENTITY);
	round->any_id = !id || id->get_type(id) == ID_ANY;

	enumerator = auth->create_enumerator(auth);
	while (enumerator->enumerate(enumerator, &rule, &value))
	{
		switch (rule)
		{
			case AUTH_RULE_CA_CERT:
			case AUTH_RULE_CA_IDENTITY:
			case AUTH_RULE_IM_CERT:
				round->cacerts = TRUE;
				break;
			case AUTH_RULE_SUBJECT_CERT:
				round->certs = TRUE;
				break;
			case AUTH_RULE_GROUP:
				id = value;
				encoding = id->get_encoding(id);
				groups = realloc(groups, (round->group_count + 1) *
												sizeof(*groups));
				/* a group of %any has no octets */
				groups[round->group_count++] = strndup(
								encoding.len ? (char*)encoding.ptr : "",
								encoding.len);
				break;
			default:
				break;
		}
	}
	enumerator->destroy(enumerator);
	round->groups = groups;
}

/**
 * Collect the remote rounds of a peer_cfg.
 */
static void collect_rounds(peer_cfg_t *cfg, rounds_t *this)
{
	enumerator_t *enumerator;
	auth_cfg_t *auth;

	memset(this, 0, sizeof(*this));
	enumerator = cfg->create_auth_cfg_enumerator(cfg, FALSE);
	while (enumerator->enumerate(enumerator, &auth))
	{
		this->rounds = realloc(this->rounds,
							   (this->count + 1) * sizeof(*this->rounds));
		collect_round(auth, &this->rounds[this->count++]);
	}
	enumerator->destroy(enumerator);
}

/**
 * Most groups that start with btns, and octets of one, for which
 * btns_pad_flag() needs no allocation
 */
#define MAX_GROUPS 4
#define MAX_GROUP_LEN 96

/**
 * Collect the groups of all rounds that could be ours, as strings.
 *
 * @return			number of groups, MAX_GROUPS + 1 if they do not fit
 */
static u_int collect_reserved(peer_cfg_t *cfg,
							  char groups[MAX_GROUPS][MAX_GROUP_LEN + 1])
{
	enumerator_t *rounds, *rules;
	identification_t *id;
	auth_cfg_t *auth;
	auth_rule_t rule;
	chunk_t group;
	u_int count = 0;

	rounds = cfg->create_auth_cfg_enumerator(cfg, FALSE);
	while (count <= MAX_GROUPS && rounds->enumerate(rounds, &auth))
	{
		rules = auth->create_enumerator(auth);
		while (count <= MAX_GROUPS && rules->enumerate(rules, &rule, &id))
		{
			if (rule != AUTH_RULE_GROUP)
			{
				continue;
			}
			group = id->get_encoding(id);
			if (!maybe_reserved(group))
			{
				continue;
			}
			if (count == MAX_GROUPS || group.len > MAX_GROUP_LEN)
			{
				count = MAX_GROUPS + 1;
				break;
			}
			memcpy(groups[count], group.ptr, group.len);
			groups[count++][group.len] = '\0';
		}
		rules->destroy(rules);
	}
	rounds->destroy(rounds);
	return count;
}

/*
 * Described in header.
 */
btns_flag_t btns_pad_flag(peer_cfg_t *cfg, uint8_t *key)
{
	char groups[MAX_GROUPS][MAX_GROUP_LEN + 1];
	const char *pointers[MAX_GROUPS];
	uint8_t ignored[BTNS_FINGERPRINT_LEN];
	btns_round_t round = {
		.groups = pointers,
	};
	btns_entry_t entry = {
		.rounds = &round,
		.round_count = 1,
	};
	btns_flag_t flag;
	rounds_t collected = {};
	u_int i;

	if (!cfg)
	{
		return BTNS_FLAG_NONE;
	}
	round.group_count = collect_reserved(cfg, groups);
	if (!round.group_count)
	{
		return BTNS_FLAG_NONE;
	}
	entry.name = cfg->get_name(cfg);
	if (round.group_count <= MAX_GROUPS)
	{
		for (i = 0; i < round.group_count; i++)
		{
			pointers[i] = groups[i];
		}
	}
	else
	{
		collect_rounds(cfg, &collected);
		entry.rounds = collected.rounds;
		entry.round_count = collected.count;
	}
	flag = btns_entry_flag(&entry, key ?: ignored);
	rounds_destroy(&collected);
	return flag;
}

/**
 * Note the ranges of an entry's virtual IP pools.
 */
static void add_pools(private_btns_pad_t *this, entry_t *entry)
{
	enumerator_t *enumerator;
	btns_range_t range;
	char *name;

	enumerator = entry->cfg->create_pool_enumerator(entry->cfg);
	while (enumerator->enumerate(enumerator, &name))
	{
		if (this->pools->get(this->pools, name, &range))
		{
			entry->pools = realloc(entry->pools, (entry->pool_count + 1) *
														sizeof(range));
			entry->pools[entry->pool_count++] = range;
		}
	}
	enumerator->destroy(enumerator);
}

/**
 * Take references to all peer and child configurations. The addresses are still
 * to be set.
 */
static view_t *view_create(private_btns_pad_t *this)
{
	enumerator_t *enumerator, *children;
	entry_t *current;
	child_cfg_t *child;
	peer_cfg_t *cfg;
	view_t *view;
	int i;

	INIT(view,
		.entries = array_create(0, 0),
		.flagged = array_create(0, 0),
		.ref = 1,
	);
	/* while this enumerator is open no backend replaces children; their own one
	 * begins to read before it has their lock */
	enumerator = this->inner->create_peer_cfg_enumerator(this->inner, NULL,
												NULL, NULL, NULL, IKE_ANY);
	while (enumerator->enumerate(enumerator, &cfg))
	{
		INIT(current,
			.cfg = cfg->get_ref(cfg),
			.children = array_create(0, 0),
		);
		array_insert(view->entries, ARRAY_TAIL, current);
		this->children->protect(this->children, cfg);
		children = cfg->create_child_cfg_enumerator(cfg);
		while (children->enumerate(children, &child))
		{
			array_insert(current->children, ARRAY_TAIL, child->get_ref(child));
		}
		children->destroy(children);
	}
	enumerator->destroy(enumerator);

	this->mutex->lock(this->mutex);
	for (i = 0; this->pools && i < array_count(view->entries); i++)
	{
		array_get(view->entries, i, &current);
		add_pools(this, current);
	}
	this->mutex->unlock(this->mutex);
	return view;
}

/**
 * Ask for the host's own addresses.
 */
static addrs_t *addrs_create()
{
	enumerator_t *enumerator;
	addrs_t *addrs;
	host_t *host;

	INIT(addrs,
		.hosts = array_create(0, 0),
		.ref = 1,
	);
	enumerator = charon->kernel->create_address_enumerator(charon->kernel,
														   ADDR_TYPE_ALL);
	while (enumerator->enumerate(enumerator, &host))
	{
		array_insert(addrs->hosts, ARRAY_TAIL, host->clone(host));
	}
	enumerator->destroy(enumerator);
	return addrs;
}

/**
 * Compare the addresses of two times.
 */
static bool same_addresses(addrs_t *a, addrs_t *b)
{
	host_t *x, *y;
	int i;

	if (array_count(a->hosts) != array_count(b->hosts))
	{
		return FALSE;
	}
	for (i = 0; i < array_count(a->hosts); i++)
	{
		array_get(a->hosts, i, &x);
		array_get(b->hosts, i, &y);
		if (!x->ip_equals(x, y))
		{
			return FALSE;
		}
	}
	return TRUE;
}

/**
 * TRUE if a peer configuration still has the child configurations it had. To be
 * called while no backend can replace them.
 */
static bool same_children(entry_t *entry)
{
	enumerator_t *enumerator;
	child_cfg_t *child, *current;
	bool same = TRUE;
	int i = 0;

	enumerator = entry->cfg->create_child_cfg_enumerator(entry->cfg);
	while (same && enumerator->enumerate(enumerator, &child))
	{
		same = array_get(entry->children, i++, &current) && current == child;
	}
	enumerator->destroy(enumerator);
	return same && i == array_count(entry->children);
}

/**
 * TRUE if charon has just the peer and child configurations that a view has: as
 * the view holds references, equal pointers are the same configuration. Needs
 * no memory for each of them, since this is what most look-ups find.
 */
static bool same_peer_cfgs(private_btns_pad_t *this, view_t *view)
{
	enumerator_t *enumerator;
	entry_t *current;
	peer_cfg_t *cfg;
	bool same = TRUE;
	int i = 0;

	/* see view_create() */
	enumerator = this->inner->create_peer_cfg_enumerator(this->inner, NULL,
												NULL, NULL, NULL, IKE_ANY);
	while (same && enumerator->enumerate(enumerator, &cfg))
	{
		same = array_get(view->entries, i++, &current) &&
			   current->cfg == cfg && same_children(current);
	}
	enumerator->destroy(enumerator);
	return same && i == array_count(view->entries);
}

/**
 * TRUE if the pools of a peer configuration still have the ranges they had.
 */
static bool same_pools(private_btns_pad_t *this, entry_t *entry)
{
	entry_t now = {
		.cfg = entry->cfg,
	};
	bool same;

	add_pools(this, &now);
	same = now.pool_count == entry->pool_count &&
		   (!now.pool_count || memeq(now.pools, entry->pools,
									 now.pool_count * sizeof(*now.pools)));
	free(now.pools);
	return same;
}

/**
 * TRUE if a view is still what charon has, but for the host's addresses.
 */
static bool is_current(private_btns_pad_t *this, view_t *view)
{
	entry_t *current;
	bool same;
	int i;

	same = same_peer_cfgs(this, view);
	this->mutex->lock(this->mutex);
	same = same && !this->forgotten;
	for (i = 0; same && this->pools && i < array_count(view->entries); i++)
	{
		array_get(view->entries, i, &current);
		same = same_pools(this, current);
	}
	this->mutex->unlock(this->mutex);
	return same;
}

/**
 * Append the selectors of one side of a child configuration, but dynamic ones.
 */
static void collect_ts(child_cfg_t *child, bool local, btns_ts_t **ts,
					   size_t *count)
{
	linked_list_t *list;
	traffic_selector_t *current;

	list = btns_configured_ts(child, local);
	while (list->remove_first(list, (void**)&current) == SUCCESS)
	{
		if (!current->is_dynamic(current))
		{
			*ts = realloc(*ts, (*count + 1) * sizeof(**ts));
			if (btns_ts_from_selector(current, &(*ts)[*count]))
			{
				(*count)++;
			}
		}
		current->destroy(current);
	}
	list->destroy(list);
}

/**
 * Collect the literal addresses of a list like "192.0.2.1, 10.0.0.0/8, %any".
 *
 * @return			TRUE if the list covers all addresses
 */
static bool collect_addresses(char *list, btns_range_t **ranges, size_t *count)
{
	enumerator_t *enumerator;
	bool any = FALSE;
	char *token;

	enumerator = enumerator_create_token(list ?: "%any", ",", " ");
	while (enumerator->enumerate(enumerator, &token))
	{
		if (strpfx(token, "%any") || streq(token, "0.0.0.0/0") ||
			streq(token, "::/0"))
		{
			any = TRUE;
			continue;
		}
		if (*token == '%')
		{	/* %name: from there, but also from anywhere else */
			any = TRUE;
			token++;
		}
		*ranges = realloc(*ranges, (*count + 1) * sizeof(**ranges));
		if (btns_range_parse(token, &(*ranges)[*count]) == BTNS_STATUS_OK)
		{
			(*count)++;
		}
	}
	enumerator->destroy(enumerator);
	return any;
}

/**
 * Describe our own rounds of a peer configuration.
 */
static void describe_local(peer_cfg_t *cfg, btns_entry_t *entry)
{
	enumerator_t *enumerator;
	btns_class_t class;
	auth_cfg_t *auth;

	enumerator = cfg->create_auth_cfg_enumerator(cfg, TRUE);
	while (enumerator->enumerate(enumerator, &auth))
	{
		class = get_class(auth);
		if (!entry->local_rounds++)
		{
			entry->local_auth = class;
		}
		entry->local_null = entry->local_null || (class == BTNS_CLASS_PSK &&
						btns_id_null_is(auth->get(auth, AUTH_RULE_IDENTITY)));
	}
	enumerator->destroy(enumerator);
}

/**
 * Describe one peer configuration to the core.
 */
static bool describe_entry(btns_config_t *config, entry_t *current)
{
	enumerator_t *enumerator;
	child_cfg_t *child;
	peer_cfg_t *cfg = current->cfg;
	ike_cfg_t *ike_cfg = cfg->get_ike_cfg(cfg);
	const char **pools = NULL;
	btns_ts_t *local = NULL, *remote = NULL;
	btns_range_t *ranges = NULL;
	btns_entry_t entry = {
		.name = cfg->get_name(cfg),
		.ike_version = cfg->get_ike_version(cfg),
		.mobike = btns_uses_mobike(cfg),
	};
	btns_status_t status;
	rounds_t rounds;
	char *pool;
	int i;

	describe_local(cfg, &entry);
	collect_rounds(cfg, &rounds);
	entry.rounds = rounds.rounds;
	entry.round_count = rounds.count;

	enumerator = cfg->create_pool_enumerator(cfg);
	while (enumerator->enumerate(enumerator, &pool))
	{
		pools = realloc(pools, (entry.pool_count + 1) * sizeof(*pools));
		pools[entry.pool_count++] = pool;
	}
	enumerator->destroy(enumerator);
	entry.pools = pools;

	for (i = 0; i < array_count(current->children); i++)
	{
		array_get(current->children, i, &child);
		collect_ts(child, TRUE, &local, &entry.local_ts_count);
		collect_ts(child, FALSE, &remote, &entry.remote_ts_count);
	}
	entry.local_ts = local;
	entry.remote_ts = remote;

	entry.any_remote = collect_addresses(ike_cfg->get_other_addr(ike_cfg),
										 &ranges, &entry.addr_count);
	if (current->pool_count)
	{	/* what a pool has is the peers' as their own addresses are */
		ranges = realloc(ranges, (entry.addr_count + current->pool_count) *
																sizeof(*ranges));
		memcpy(ranges + entry.addr_count, current->pools,
			   current->pool_count * sizeof(*ranges));
		entry.addr_count += current->pool_count;
	}
	entry.addrs = ranges;

	current->flag = btns_entry_flag(&entry, current->key);
	status = btns_config_add(config, &entry);

	rounds_destroy(&rounds);
	free(pools);
	free(local);
	free(remote);
	free(ranges);
	return status == BTNS_STATUS_OK;
}

/**
 * Kinds of identities that somebody can be known by.
 */
static const auth_rule_t id_rules[] = {
	AUTH_RULE_IDENTITY,
	AUTH_RULE_EAP_IDENTITY,
	AUTH_RULE_XAUTH_IDENTITY,
	AUTH_RULE_AAA_IDENTITY,
};

/**
 * Add the identities in all rounds of an entry.
 */
static bool add_names(btns_names_t *names, uint32_t index, peer_cfg_t *cfg)
{
	enumerator_t *enumerator;
	identification_t *id;
	auth_cfg_t *auth;
	bool success = TRUE;
	int i;

	enumerator = cfg->create_auth_cfg_enumerator(cfg, FALSE);
	while (success && enumerator->enumerate(enumerator, &auth))
	{
		for (i = 0; success && i < countof(id_rules); i++)
		{
			id = auth->get(auth, id_rules[i]);
			if (id && id->get_type(id) != ID_ANY)
			{
				success = btns_names_add(names, index, id->get_type(id),
										 btns_bytes(id->get_encoding(id))) ==
																BTNS_STATUS_OK;
			}
		}
	}
	enumerator->destroy(enumerator);
	return success;
}

/**
 * For array_bsearch(): order of entries by the address of their configuration.
 */
static int compare_entries(const void *a, const void *b)
{
	const entry_t *x = a, *y = b;

	return x->cfg < y->cfg ? -1 : x->cfg > y->cfg;
}

/**
 * The same for array_sort().
 */
static int sort_entries(const void *a, const void *b, void *user)
{
	return compare_entries(a, b);
}

/**
 * Prepare a view whose entries were described for look-ups.
 */
static bool view_index(view_t *view)
{
	entry_t *entry;
	int i;

	view->names = btns_names_create();
	for (i = 0; view->names && i < array_count(view->entries); i++)
	{
		array_get(view->entries, i, &entry);
		if (entry->flag)
		{
			array_insert(view->flagged, ARRAY_TAIL, entry);
		}
		else if (!add_names(view->names, i, entry->cfg))
		{
			return FALSE;
		}
	}
	array_sort(view->flagged, sort_entries, NULL);
	return view->names && btns_names_seal(view->names) == BTNS_STATUS_OK;
}

/**
 * Describe a view to the core and put it into force there.
 */
static bool commit(private_btns_pad_t *this, view_t *view)
{
	btns_config_t *config;
	btns_addr_t addr;
	entry_t *entry;
	host_t *host;
	int i;

	config = btns_config_begin(this->core);
	if (!config)
	{
		return FALSE;
	}
	for (i = 0; i < array_count(view->entries); i++)
	{
		array_get(view->entries, i, &entry);
		if (!describe_entry(config, entry))
		{
			btns_config_abort(config);
			return FALSE;
		}
	}
	for (i = 0; i < array_count(view->addrs->hosts); i++)
	{
		array_get(view->addrs->hosts, i, &host);
		if (btns_addr_from_host(host, &addr) &&
			btns_config_own_address(config, &addr) != BTNS_STATUS_OK)
		{
			btns_config_abort(config);
			return FALSE;
		}
	}
	if (!view_index(view))
	{
		btns_config_abort(config);
		return FALSE;
	}
	if (btns_config_commit(this->core, config) != BTNS_STATUS_OK)
	{
		return FALSE;
	}
	for (i = 0; i < array_count(view->entries); i++)
	{
		array_get(view->entries, i, &entry);
		entry->usable = btns_config_usable(this->core, i);
	}
	return TRUE;
}

CALLBACK(log_finding, void,
	void *user, const char *name, btns_severity_t severity, const char *text)
{
	DBG1(DBG_CFG, "btns: connection '%s': %s: %s", name,
		 severity == BTNS_SEVERITY_ERROR ? "error" : "warning", text);
}

METHOD(btns_pad_t, update, bool,
	private_btns_pad_t *this, bool addresses)
{
	view_t *view, *old;
	addrs_t *addrs;

	old = view_get(this);
	if (addresses || !old)
	{
		addrs = addrs_create();
	}
	else
	{
		addrs = old->addrs;
		ref_get(&addrs->ref);
	}
	if (old && is_current(this, old) &&
		(addrs == old->addrs || same_addresses(addrs, old->addrs)))
	{
		addrs_put(addrs);
		view_put(old);
		return FALSE;
	}
	view_put(old);

	view = view_create(this);
	view->addrs = addrs;
	this->mutex->lock(this->mutex);
	/* two threads may have seen the change: the core and the view have to be
	 * of the same one */
	old = this->view;
	this->forgotten = FALSE;
	this->view = commit(this, view) ? view : NULL;
	if (this->view)
	{
		view = NULL;
	}
	this->mutex->unlock(this->mutex);
	view_put(old);
	if (view)
	{	/* without a view nobody is a stranger */
		view_put(view);
		DBG1(DBG_CFG, "btns: taking over the configuration failed, no "
			 "stranger is admitted");
	}
	else
	{
		btns_config_new_findings(this->core, (void*)log_finding, NULL);
	}
	return TRUE;
}

/**
 * How an identity relates to one configured identity.
 */
static btns_match_t match_identity(identification_t *id,
								   identification_t *configured)
{
	chunk_t encoding;

	if (configured->get_type(configured) == ID_ANY)
	{
		return BTNS_MATCH_ANY;
	}
	if (id->matches(id, configured) > ID_MATCH_ANY ||
		configured->matches(configured, id) > ID_MATCH_ANY)
	{
		return BTNS_MATCH_SPECIFIC;
	}
	/* the same name in another type is still somebody's name */
	encoding = configured->get_encoding(configured);
	if (encoding.len && chunk_equals(encoding, id->get_encoding(id)))
	{
		return BTNS_MATCH_SPECIFIC;
	}
	return BTNS_MATCH_NONE;
}

/**
 * How an identity relates to a peer configuration: the best over all rounds
 * and all kinds of identities.
 */
static btns_match_t match_entry(identification_t *id, peer_cfg_t *cfg)
{
	identification_t *configured;
	enumerator_t *enumerator;
	btns_match_t match, best = BTNS_MATCH_NONE;
	auth_cfg_t *auth;
	int i;

	enumerator = cfg->create_auth_cfg_enumerator(cfg, FALSE);
	while (enumerator->enumerate(enumerator, &auth))
	{
		for (i = 0; i < countof(id_rules); i++)
		{
			configured = auth->get(auth, id_rules[i]);
			if (configured)
			{
				match = match_identity(id, configured);
			}
			else
			{	/* only an IKE identity that is absent stands for anybody */
				match = id_rules[i] == AUTH_RULE_IDENTITY ? BTNS_MATCH_ANY
														  : BTNS_MATCH_NONE;
			}
			best = max(best, match);
		}
	}
	enumerator->destroy(enumerator);
	return best;
}

/**
 * A claimed identity and where it is looked for.
 */
typedef struct {

	/**
	 * View
	 */
	view_t *view;

	/**
	 * Identity
	 */
	identification_t *id;

	/**
	 * Entry that has it, NULL if none was found
	 */
	entry_t *entry;
} claimed_t;

CALLBACK(names_claimed, bool,
	claimed_t *this, uint32_t index)
{
	entry_t *entry;

	if (!array_get(this->view->entries, index, &entry))
	{
		return TRUE;
	}
	if (match_entry(this->id, entry->cfg) != BTNS_MATCH_SPECIFIC)
	{
		return FALSE;
	}
	this->entry = entry;
	return TRUE;
}

/**
 * TRUE if any entry without a flag names an identity, whatever charon offers.
 *
 * @param name			gets the name of its connection, which is the view's;
 *						unchanged if there is none
 */
static bool is_named(view_t *view, identification_t *id, char **name)
{
	claimed_t claimed = {
		.view = view,
		.id = id,
	};
	bool relaxed, named;

	/* in other modes, equal names have the same parts */
	relaxed = streq("relaxed", lib->settings->get_str(lib->settings,
										"%s.rdn_matching", NULL, lib->ns));
	named = btns_names_find(view->names, id->get_type(id),
							btns_bytes(id->get_encoding(id)), relaxed,
							(void*)names_claimed, &claimed);
	if (claimed.entry)
	{
		*name = claimed.entry->cfg->get_name(claimed.entry->cfg);
	}
	return named;
}

/**
 * Find the entry of a peer configuration with a flag.
 */
static entry_t *find_flagged(view_t *view, peer_cfg_t *cfg)
{
	entry_t key = {
		.cfg = cfg,
	}, *entry;

	return array_bsearch(view->flagged, &key, compare_entries,
						 &entry) == -1 ? NULL : entry;
}

/**
 * Find the entry that has taken the place of one that is gone: who initiates
 * again after a reload does so with the configuration of the old IKE_SA.
 */
static entry_t *find_successor(view_t *view, peer_cfg_t *cfg,
							   btns_candidate_t *candidate)
{
	entry_t *entry;
	int i;

	for (i = 0; i < array_count(view->flagged); i++)
	{
		array_get(view->flagged, i, &entry);
		if (entry->flag == candidate->flag &&
			memeq(entry->key, candidate->key, sizeof(entry->key)) &&
			streq(entry->cfg->get_name(entry->cfg), cfg->get_name(cfg)))
		{
			return entry;
		}
	}
	return NULL;
}

/**
 * Fill in a candidate.
 */
static void describe_candidate(view_t *view, identification_t *id,
							   btns_role_t role, peer_cfg_t *cfg,
							   btns_candidate_t *candidate)
{
	entry_t *entry;

	memset(candidate, 0, sizeof(*candidate));
	candidate->match = match_entry(id, cfg);
	candidate->offered = TRUE;
	candidate->flag = btns_pad_flag(cfg, candidate->key);
	if (candidate->flag)
	{
		entry = find_flagged(view, cfg);
		if (!entry && role == BTNS_ROLE_INITIATOR)
		{
			entry = find_successor(view, cfg, candidate);
		}
		candidate->usable = entry && entry->usable;
	}
}

/**
 * Remove all configurations of a list but the last ones.
 */
static void keep_last(linked_list_t *list, u_int count)
{
	peer_cfg_t *cfg;

	while (list->get_count(list) > count &&
		   list->remove_first(list, (void**)&cfg) == SUCCESS)
	{
		cfg->destroy(cfg);
	}
}

/**
 * TRUE if a trap for any destination made us initiate to a reserved one.
 */
static bool goes_to_reserved(private_btns_pad_t *this, ike_cfg_t *ike_cfg,
							 host_t *other)
{
	btns_range_t *ranges = NULL;
	btns_addr_t addr;
	size_t count = 0;
	bool any;

	any = collect_addresses(ike_cfg->get_other_addr(ike_cfg), &ranges, &count);
	free(ranges);
	return any && (!btns_addr_from_host(other, &addr) ||
				   btns_is_reserved(this->core, &addr));
}

/**
 * A look-up in the PAD on its way.
 */
typedef struct {

	/**
	 * Who is looked up
	 */
	btns_question_t *question;

	/**
	 * View that is looked into
	 */
	view_t *view;

	/**
	 * What is known of the peer
	 */
	btns_claim_t claim;

	/**
	 * Its key, if it was looked at
	 */
	btns_key_t key;

	/**
	 * Entries that were offered
	 */
	peer_cfg_t **cfgs;

	/**
	 * The same as the core sees them
	 */
	btns_candidate_t *candidates;

	/**
	 * Number of both
	 */
	size_t count;

	/**
	 * Those to yield, in order
	 */
	size_t *order;

	/**
	 * What was decided
	 */
	btns_verdict_t verdict;

	/**
	 * Connection that names the asserted identity, NULL if none does
	 */
	char *known_by;
} lookup_t;

/**
 * Ask the core, and look up what it wants to know on the way: an
 * authenticated peer whose name is known costs no look-up.
 */
static btns_choice_t lookup(private_btns_pad_t *this, lookup_t *lookup)
{
	btns_question_t *question = lookup->question;
	btns_claim_t *claim = &lookup->claim;

	if (btns_pad_lookup(claim, lookup->candidates, lookup->count,
						lookup->order, &lookup->verdict) != BTNS_STATUS_OK)
	{
		return BTNS_CHOICE_NONE;
	}
	if (lookup->verdict.choice == BTNS_CHOICE_ASK_AGAIN)
	{
		claim->key_known = TRUE;
		if (claim->auth != BTNS_AUTH_NULL)
		{
			if (question->get_key(question, &lookup->key, &claim->key_reason))
			{
				claim->fingerprint = lookup->key.fingerprint;
			}
			claim->vouched = question->is_vouched(question,
								claim->fingerprint ? &lookup->key : NULL) ?
															BTNS_YES : BTNS_NO;
		}
		claim->limit = question->get_limit(question);
		if (claim->role == BTNS_ROLE_INITIATOR &&
			goes_to_reserved(this, question->ike_cfg, question->other))
		{
			claim->limit = BTNS_REASON_DESTINATION_RESERVED;
		}
		if (btns_pad_lookup(claim, lookup->candidates, lookup->count,
							lookup->order, &lookup->verdict) != BTNS_STATUS_OK)
		{
			return BTNS_CHOICE_NONE;
		}
	}
	return lookup->verdict.choice;
}

/**
 * Tell how it was decided.
 */
static void explain(private_btns_pad_t *this, lookup_t *lookup)
{
	btns_question_t *question = lookup->question;
	const char **names;
	char known_by[256] = "";
	btns_lookup_names_t described = {
		.known_by = known_by,
		.vouched_by = question->voucher.text,
		.key = &lookup->key,
	};
	int i;

	names = calloc(lookup->count + 1, sizeof(*names));
	for (i = 0; i < lookup->count; i++)
	{
		names[i] = lookup->cfgs[i]->get_name(lookup->cfgs[i]);
	}
	described.names = names;
	if (lookup->claim.named_by_secret)
	{
		snprintf(known_by, sizeof(known_by), "a shared secret");
	}
	else if (lookup->known_by)
	{
		snprintf(known_by, sizeof(known_by), "connection '%s'",
				 lookup->known_by);
	}
	btns_pad_explain(this->core, &lookup->claim, lookup->candidates,
					 lookup->count, &described, question->step,
					 question->step_user);
	free(names);
}

/**
 * Find the entries that a peer may get. Changes nothing.
 *
 * @param offered		peer_cfg_t*, with references, as charon would offer them;
 *						gets those to yield in their place
 * @return				choice
 */
static btns_choice_t find_entries(private_btns_pad_t *this,
								  btns_question_t *question,
								  linked_list_t *offered, btns_reason_t *reason)
{
	identification_t *id = question->id;
	btns_choice_t choice = BTNS_CHOICE_NONE;
	lookup_t found = {
		.question = question,
		.claim = {
			.role = question->role,
			.ike_version = question->version,
			.auth = question->auth,
			.reserved_name = btns_is_reserved_name(
											btns_bytes(id->get_encoding(id))),
			.rounds_done = question->rounds_done,
			.nulls = btns_null_is_on(this->core),
		},
	};
	enumerator_t *enumerator;
	peer_cfg_t *cfg;
	size_t max, i;

	*reason = BTNS_REASON_INTERNAL;
	_update(this, FALSE);
	found.view = view_get(this);
	/* to nobody a name means nothing */
	found.claim.named_by_secret = question->auth != BTNS_AUTH_NULL &&
								  btns_named_by_secret(id);

	max = offered->get_count(offered);
	found.cfgs = calloc(max + 1, sizeof(*found.cfgs));
	found.candidates = calloc(max + 1, sizeof(*found.candidates));
	found.order = calloc(max + 1, sizeof(*found.order));
	if (found.view && found.cfgs && found.candidates && found.order)
	{
		enumerator = offered->create_enumerator(offered);
		while (enumerator->enumerate(enumerator, &cfg))
		{
			describe_candidate(found.view, id, question->role, cfg,
							   &found.candidates[found.count]);
			found.cfgs[found.count++] = cfg;
		}
		enumerator->destroy(enumerator);
		found.claim.named_by_entry = is_named(found.view, id, &found.known_by);
		choice = lookup(this, &found);
		*reason = found.verdict.reason;
		if (question->step)
		{
			explain(this, &found);
		}
	}
	/* what is to be yielded replaces what was offered */
	if (choice == BTNS_CHOICE_NONE || choice == BTNS_CHOICE_ASK_AGAIN)
	{
		found.verdict.count = 0;
	}
	for (i = 0; i < found.verdict.count; i++)
	{
		cfg = found.cfgs[found.order[i]];
		offered->insert_last(offered, cfg->get_ref(cfg));
	}
	keep_last(offered, found.verdict.count);

	free(found.cfgs);
	free(found.candidates);
	free(found.order);
	view_put(found.view);
	return choice;
}

/**
 * TRUE if who begins an IKE_SA between these addresses is a stranger or nobody,
 * and there is no room for strangers.
 */
static bool turns_away(private_btns_pad_t *this, host_t *me, host_t *other,
					   ike_version_t version, u_int ike_sas)
{
	enumerator_t *enumerator;
	peer_cfg_t *cfg;
	u_int flagged = 0, others = 0;

	if (!btns_is_crowded(this->core, ike_sas))
	{
		return FALSE;
	}
	enumerator = this->inner->create_peer_cfg_enumerator(this->inner, me, other,
														 NULL, NULL, version);
	while (enumerator->enumerate(enumerator, &cfg))
	{
		if (btns_pad_is_flagged(cfg))
		{
			flagged++;
		}
		else
		{
			others++;
		}
	}
	enumerator->destroy(enumerator);
	return flagged && !others;
}

METHOD(btns_pad_t, is_full, bool,
	private_btns_pad_t *this, host_t *me, host_t *other, ike_version_t version)
{
	if (!turns_away(this, me, other, version,
				charon->ike_sa_manager->get_count(charon->ike_sa_manager)))
	{
		return FALSE;
	}
	if (btns_refused(this->core, BTNS_REASON_CROWDED, time_monotonic(NULL)))
	{
		DBG1(DBG_CFG, "btns: refused %H before its keys: %s (%s)", other,
			 btns_reason_text(BTNS_REASON_CROWDED),
			 btns_reason_code(BTNS_REASON_CROWDED));
	}
	return TRUE;
}

/**
 * Question about the peer of an IKE_SA.
 */
typedef struct {

	/**
	 * Public part
	 */
	btns_question_t public;

	/**
	 * Core
	 */
	btns_core_t *core;

	/**
	 * IKE_SA
	 */
	ike_sa_t *ike_sa;
} sa_question_t;

METHOD(btns_question_t, get_key, bool,
	sa_question_t *this, btns_key_t *key, btns_reason_t *reason)
{
	return btns_sa_key(this->core, this->ike_sa->get_unique_id(this->ike_sa),
					   btns_now(), key, reason) == BTNS_STATUS_OK;
}

METHOD(btns_question_t, is_vouched, bool,
	sa_question_t *this, const btns_key_t *key)
{
	return btns_vouched(this->core, this->ike_sa, this->public.id, key);
}

METHOD(btns_question_t, get_limit, btns_reason_t,
	sa_question_t *this)
{
	return btns_sa_admissible(this->core,
				this->ike_sa->get_unique_id(this->ike_sa),
				charon->ike_sa_manager->get_count(charon->ike_sa_manager));
}

METHOD(btns_pad_t, decide, bool,
	private_btns_pad_t *this, ike_sa_t *ike_sa, btns_role_t role,
	ike_version_t version, identification_t *id, linked_list_t *offered)
{
	uint32_t sa = ike_sa->get_unique_id(ike_sa);
	btns_reason_t reason;
	bool stranger = FALSE;
	sa_question_t question = {
		.public = {
			.get_key = _get_key,
			.is_vouched = _is_vouched,
			.get_limit = _get_limit,
			.role = role,
			.version = version,
			.id = id,
			.auth = btns_sa_auth(this->core, sa),
			.rounds_done = btns_count_rounds(ike_sa),
			.ike_cfg = ike_sa->get_ike_cfg(ike_sa),
			.other = ike_sa->get_other_host(ike_sa),
		},
		.core = this->core,
		.ike_sa = ike_sa,
	};

	if (find_entries(this, &question.public, offered,
					 &reason) == BTNS_CHOICE_STRANGER)
	{
		stranger = btns_sa_arm(this->core, sa, role, &reason) == BTNS_STATUS_OK;
		if (!stranger)
		{
			keep_last(offered, 0);
		}
	}
	if (reason != BTNS_REASON_NONE)
	{
		btns_sa_refuse(this->core, sa, reason);
	}
	return stranger;
}

METHOD(btns_pad_t, suppose, btns_choice_t,
	private_btns_pad_t *this, btns_question_t *question, host_t *me,
	identification_t *my_id, char *connection, linked_list_t *found,
	btns_reason_t *reason)
{
	u_int ike_sas;
	enumerator_t *enumerator;
	peer_cfg_t *cfg;

	if (question->role == BTNS_ROLE_INITIATOR)
	{
		cfg = this->inner->get_peer_cfg_by_name(this->inner, connection);
		if (cfg)
		{
			question->ike_cfg = cfg->get_ike_cfg(cfg);
			found->insert_last(found, cfg);
		}
		return find_entries(this, question, found, reason);
	}
	/* and the one that is supposed to begin */
	ike_sas = charon->ike_sa_manager->get_count(charon->ike_sa_manager) + 1;
	if (turns_away(this, me, question->other, question->version, ike_sas))
	{
		btns_step_t step = {
			.step = "ike-sa-init",
			.reason = BTNS_REASON_CROWDED,
			.text = btns_reason_text(BTNS_REASON_CROWDED),
		};

		*reason = step.reason;
		question->step(question->step_user, &step);
		return BTNS_CHOICE_NONE;
	}
	enumerator = this->inner->create_peer_cfg_enumerator(this->inner, me,
					question->other, my_id, question->id, question->version);
	while (enumerator->enumerate(enumerator, &cfg))
	{
		found->insert_last(found, cfg->get_ref(cfg));
	}
	enumerator->destroy(enumerator);
	return find_entries(this, question, found, reason);
}

METHOD(btns_pad_t, forget, void,
	private_btns_pad_t *this)
{
	this->mutex->lock(this->mutex);
	this->forgotten = TRUE;
	this->mutex->unlock(this->mutex);
}

METHOD(btns_pad_t, set_pools, void,
	private_btns_pad_t *this, btns_pools_t *pools)
{
	this->mutex->lock(this->mutex);
	DESTROY_IF(this->pools);
	this->pools = pools;
	this->mutex->unlock(this->mutex);
}

METHOD(btns_pad_t, destroy, void,
	private_btns_pad_t *this)
{
	entry_t *entry;
	int i;

	DESTROY_IF(this->pools);
	for (i = 0; this->view && i < array_count(this->view->entries); i++)
	{
		array_get(this->view->entries, i, &entry);
		this->children->let_go(this->children, entry->cfg);
	}
	view_put(this->view);
	this->children->destroy(this->children);
	this->mutex->destroy(this->mutex);
	free(this);
}

/*
 * Described in header.
 */
bool btns_pad_decide_initiator(btns_pad_t *pad, ike_sa_t *ike_sa,
							   identification_t *id)
{
	ike_sa_id_t *ike_sa_id = ike_sa->get_id(ike_sa);
	peer_cfg_t *cfg = ike_sa->get_peer_cfg(ike_sa);
	linked_list_t *offered;
	bool armed;

	if (!ike_sa_id->is_initiator(ike_sa_id) ||
		ike_sa->get_version(ike_sa) != IKEV2 ||
		ike_sa->get_state(ike_sa) != IKE_CONNECTING ||
		!btns_pad_is_flagged(cfg))
	{
		return FALSE;
	}
	offered = linked_list_create();
	offered->insert_last(offered, cfg->get_ref(cfg));
	armed = pad->decide(pad, ike_sa, BTNS_ROLE_INITIATOR, IKEV2, id, offered);
	offered->destroy_offset(offered, offsetof(peer_cfg_t, destroy));
	return armed;
}

/*
 * Described in header.
 */
btns_pad_t *btns_pad_create(btns_core_t *core, backend_manager_t *inner)
{
	private_btns_pad_t *this;

	INIT(this,
		.public = {
			.update = _update,
			.is_full = _is_full,
			.decide = _decide,
			.suppose = _suppose,
			.forget = _forget,
			.set_pools = _set_pools,
			.destroy = _destroy,
		},
		.core = core,
		.inner = inner,
		.children = btns_children_create(),
		.mutex = mutex_create(MUTEX_TYPE_DEFAULT),
	);
	return &this->public;
}
