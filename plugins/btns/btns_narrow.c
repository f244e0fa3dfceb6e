/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */

#include "btns_narrow.h"
#include "btns_compat.h"

/**
 * Add clones of traffic selectors to a child.
 */
static void add_selectors(child_cfg_t *cfg, bool local, linked_list_t *list)
{
	enumerator_t *enumerator;
	traffic_selector_t *ts;

	enumerator = list->create_enumerator(list);
	while (enumerator->enumerate(enumerator, &ts))
	{
		cfg->add_traffic_selector(cfg, local, ts->clone(ts));
	}
	enumerator->destroy(enumerator);
}

/*
 * Described in header.
 */
child_cfg_t *btns_narrow_create(child_cfg_t *cfg, linked_list_t *local,
								linked_list_t *remote)
{
	lifetime_cfg_t *lifetime = cfg->get_lifetime(cfg, FALSE);
	uint32_t priority = cfg->get_manual_prio(cfg);
	child_cfg_create_t data = {
		.reqid = cfg->get_reqid(cfg),
		.if_id_in = cfg->get_if_id(cfg, TRUE),
		.if_id_out = cfg->get_if_id(cfg, FALSE),
		.mark_in = cfg->get_mark(cfg, TRUE),
		.mark_out = cfg->get_mark(cfg, FALSE),
		.set_mark_in = cfg->get_set_mark(cfg, TRUE),
		.set_mark_out = cfg->get_set_mark(cfg, FALSE),
		.label = cfg->get_label(cfg),
		.label_mode = cfg->get_label_mode(cfg),
		.mode = cfg->get_mode(cfg),
		.tfc = cfg->get_tfc(cfg),
		/* a weakened one is no configured one, and will be weakened again */
		.priority = priority == BTNS_POLICY_PRIORITY ? 0 : priority,
		.interface = cfg->get_interface(cfg),
		.lifetime = *lifetime,
		.inactivity = cfg->get_inactivity(cfg),
		.start_action = cfg->get_start_action(cfg),
		.dpd_action = cfg->get_dpd_action(cfg),
		.close_action = cfg->get_close_action(cfg),
		.updown = cfg->get_updown(cfg),
		.hw_offload = cfg->get_hw_offload(cfg),
		.copy_dscp = cfg->get_copy_dscp(cfg),
	};
	linked_list_t *proposals;
	proposal_t *proposal;
	child_cfg_t *narrow;
	uint32_t option;

	free(lifetime);
	for (option = 1; option; option <<= 1)
	{
		if (cfg->has_option(cfg, option))
		{
			data.options |= option;
		}
	}
	narrow = child_cfg_create(cfg->get_name(cfg), &data);
	narrow->set_replay_window(narrow, cfg->get_replay_window(cfg));
	proposals = btns_child_proposals(cfg);
	while (proposals->remove_first(proposals, (void**)&proposal) == SUCCESS)
	{
		narrow->add_proposal(narrow, proposal);
	}
	proposals->destroy(proposals);
	add_selectors(narrow, TRUE, local);
	add_selectors(narrow, FALSE, remote);
	return narrow;
}

/*
 * Described in header.
 */
bool btns_narrow_takes(enumerator_t *enumerator, traffic_selector_t *ts)
{
	traffic_selector_t *current;
	bool found = FALSE;

	while (!found && enumerator->enumerate(enumerator, &current))
	{
		found = ts->is_contained_in(ts, current);
	}
	enumerator->destroy(enumerator);
	return found;
}

/**
 * Addresses of one side of an IKE_SA, those in a tunnel first.
 *
 * @return				host_t*, the IKE_SA's
 */
static linked_list_t *get_hosts(ike_sa_t *ike_sa, bool local)
{
	linked_list_t *hosts = linked_list_create();
	enumerator_t *enumerator;
	host_t *vip;

	enumerator = ike_sa->create_virtual_ip_enumerator(ike_sa, local);
	while (enumerator->enumerate(enumerator, &vip))
	{
		hosts->insert_last(hosts, vip);
	}
	enumerator->destroy(enumerator);
	if (!hosts->get_count(hosts))
	{
		hosts->insert_last(hosts, local ? ike_sa->get_my_host(ike_sa)
										: ike_sa->get_other_host(ike_sa));
	}
	return hosts;
}

/**
 * TRUE if each selector of a side is part of a configured one.
 */
static bool is_part(linked_list_t *list, child_cfg_t *cfg, bool local,
					ike_sa_t *ike_sa)
{
	linked_list_t *hosts, *selected;
	enumerator_t *enumerator;
	traffic_selector_t *ts;
	bool all = TRUE;

	hosts = get_hosts(ike_sa, local);
	selected = btns_selected_ts(cfg, local, list, hosts);
	hosts->destroy(hosts);
	enumerator = list->create_enumerator(list);
	while (all && enumerator->enumerate(enumerator, &ts))
	{
		all = btns_narrow_takes(selected->create_enumerator(selected), ts);
	}
	enumerator->destroy(enumerator);
	selected->destroy_offset(selected, offsetof(traffic_selector_t, destroy));
	return all;
}

/*
 * Described in header.
 */
bool btns_narrow_is(child_cfg_t *child, child_cfg_t *cfg, ike_sa_t *ike_sa)
{
	linked_list_t *ours, *theirs;
	child_cfg_t *narrow;
	bool is;

	if (!streq(child->get_name(child), cfg->get_name(cfg)))
	{
		return FALSE;
	}
	ours = btns_configured_ts(child, TRUE);
	theirs = btns_configured_ts(child, FALSE);
	is = is_part(ours, cfg, TRUE, ike_sa) &&
		 is_part(theirs, cfg, FALSE, ike_sa);
	if (is)
	{
		narrow = btns_narrow_create(cfg, ours, theirs);
		is = child->equals(child, narrow);
		narrow->destroy(narrow);
	}
	ours->destroy_offset(ours, offsetof(traffic_selector_t, destroy));
	theirs->destroy_offset(theirs, offsetof(traffic_selector_t, destroy));
	return is;
}
