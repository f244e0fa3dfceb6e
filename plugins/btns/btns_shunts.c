/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */

#include "btns_shunts.h"
#include "btns_compat.h"
#include "btns_convert.h"

/**
 * Traffic selectors of one side; a dynamic one is any address of both families.
 *
 * @param count			number of selectors
 * @return				allocated selectors
 */
static btns_ts_t *get_selectors(child_cfg_t *child, bool local, size_t *count)
{
	linked_list_t *list = btns_configured_ts(child, local);
	traffic_selector_t *ts;
	btns_ts_t *selectors;

	*count = 0;
	selectors = calloc(2 * list->get_count(list) + 1, sizeof(btns_ts_t));
	while (list->remove_first(list, (void**)&ts) == SUCCESS)
	{
		if (ts->is_dynamic(ts))
		{
			btns_ts_t any = {
				.family = 4,
				.protocol = ts->get_protocol(ts),
				.from_port = ts->get_from_port(ts),
				.to_port = ts->get_to_port(ts),
			};

			memset(any.to, 0xff, 4);
			selectors[(*count)++] = any;
			any.family = 6;
			memset(any.to, 0xff, sizeof(any.to));
			selectors[(*count)++] = any;
		}
		else if (btns_ts_from_selector(ts, &selectors[*count]))
		{
			(*count)++;
		}
		ts->destroy(ts);
	}
	list->destroy(list);
	return selectors;
}

/**
 * Describe a shunt.
 */
static btns_shunt_t describe(child_cfg_t *child)
{
	btns_shunt_t shunt = {
		.priority = child->get_manual_prio(child),
		.pass = child->get_mode(child) == MODE_PASS,
	};

	shunt.local = get_selectors(child, TRUE, &shunt.local_count);
	shunt.remote = get_selectors(child, FALSE, &shunt.remote_count);
	return shunt;
}

/*
 * Described in header.
 */
void btns_tell_shunts(btns_core_t *core)
{
	btns_shunt_t *shunts = NULL;
	enumerator_t *enumerator;
	child_cfg_t *child;
	size_t count = 0;
	char *ns;

	enumerator = charon->shunts->create_enumerator(charon->shunts);
	while (enumerator->enumerate(enumerator, &ns, &child))
	{
		shunts = realloc(shunts, (count + 1) * sizeof(*shunts));
		shunts[count++] = describe(child);
	}
	enumerator->destroy(enumerator);
	btns_shunts(core, shunts, count);
	while (count--)
	{
		free((void*)shunts[count].local);
		free((void*)shunts[count].remote);
	}
	free(shunts);
}
