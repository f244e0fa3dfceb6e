/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */

#include "btns_latch_sas.h"
#include "btns_narrow.h"

#include <daemon.h>

/**
 * An end of a flow.
 */
static host_t *to_host(const btns_addr_t *addr, uint16_t port)
{
	chunk_t octets = chunk_create((u_char*)addr->bytes,
								  addr->family == 6 ? 16 : 4);

	return host_create_from_chunk(addr->family == 6 ? AF_INET6 : AF_INET,
								  octets, port);
}

/**
 * An end of a flow as a selector, with its port unless that is open.
 */
static traffic_selector_t *to_selector(const btns_flow_t *flow,
									   const btns_addr_t *addr, uint16_t port)
{
	ts_type_t type = addr->family == 6 ? TS_IPV6_ADDR_RANGE
									   : TS_IPV4_ADDR_RANGE;
	chunk_t octets = chunk_create((u_char*)addr->bytes,
								  addr->family == 6 ? 16 : 4);

	return traffic_selector_create_from_bytes(flow->protocol, type, octets,
										port, octets, port ? port : 65535);
}

/**
 * Find the trap that takes a flow.
 *
 * @param peer_cfg	set to its connection, with a reference
 * @param child_cfg	set to its child, with a reference
 * @return			its reqid, 0 if there is none
 */
static uint32_t find_trap(traffic_selector_t *local, traffic_selector_t *remote,
						  peer_cfg_t **peer_cfg, child_cfg_t **child_cfg)
{
	enumerator_t *enumerator;
	child_sa_t *child_sa;
	peer_cfg_t *cfg;
	uint32_t reqid = 0;

	enumerator = charon->traps->create_enumerator(charon->traps);
	while (!reqid && enumerator->enumerate(enumerator, &cfg, &child_sa))
	{
		if (btns_narrow_takes(child_sa->create_ts_enumerator(child_sa, TRUE),
							  local) &&
			btns_narrow_takes(child_sa->create_ts_enumerator(child_sa, FALSE),
							  remote))
		{
			reqid = child_sa->get_reqid(child_sa);
			*peer_cfg = cfg->get_ref(cfg);
			*child_cfg = child_sa->get_config(child_sa);
			(*child_cfg)->get_ref(*child_cfg);
		}
	}
	enumerator->destroy(enumerator);
	return reqid;
}

/**
 * Have a connection select the child that takes a flow between two hosts.
 *
 * @return			child, with a reference, NULL if there is none
 */
static child_cfg_t *select_child(peer_cfg_t *cfg, host_t *here, host_t *there,
								 traffic_selector_t *local,
								 traffic_selector_t *remote)
{
	linked_list_t *my_ts, *other_ts, *my_hosts, *other_hosts, *labels;
	child_cfg_t *found;

	my_ts = linked_list_create_with_items(local, NULL);
	other_ts = linked_list_create_with_items(remote, NULL);
	my_hosts = linked_list_create_with_items(here, NULL);
	other_hosts = linked_list_create_with_items(there, NULL);
	labels = linked_list_create();
	found = cfg->select_child_cfg(cfg, my_ts, other_ts, my_hosts, other_hosts,
								  labels, labels);
	labels->destroy(labels);
	other_hosts->destroy(other_hosts);
	my_hosts->destroy(my_hosts);
	other_ts->destroy(other_ts);
	my_ts->destroy(my_ts);
	return found;
}

/**
 * Find the child of a connection to the host at the other end that takes a
 * flow.
 *
 * @param peer_cfg	set to its connection, with a reference, NULL for none
 * @return			child, with a reference, NULL if there is none
 */
static child_cfg_t *find_child(host_t *here, host_t *there,
							   traffic_selector_t *local,
							   traffic_selector_t *remote,
							   peer_cfg_t **peer_cfg)
{
	enumerator_t *enumerator;
	child_cfg_t *found = NULL;
	peer_cfg_t *cfg;
	ike_cfg_t *ike;
	host_t *peer;

	*peer_cfg = NULL;
	enumerator = charon->backends->create_peer_cfg_enumerator(charon->backends,
												NULL, NULL, NULL, NULL, IKEV2);
	while (!found && enumerator->enumerate(enumerator, &cfg))
	{
		ike = cfg->get_ike_cfg(cfg);
		peer = host_create_from_string(ike->get_other_addr(ike), 0);
		if (peer && peer->ip_equals(peer, there))
		{
			found = select_child(cfg, here, there, local, remote);
			*peer_cfg = found ? cfg->get_ref(cfg) : NULL;
		}
		DESTROY_IF(peer);
	}
	enumerator->destroy(enumerator);
	return found;
}

/**
 * Start the negotiation of a child's SAs. Adopts both.
 */
static bool initiate(peer_cfg_t *peer_cfg, child_cfg_t *child_cfg)
{
	return charon->controller->initiate(charon->controller, peer_cfg, child_cfg,
										NULL, NULL,
#ifdef BTNS_CONTROLLER_HAS_LEVEL
										LEVEL_CTRL,
#endif
										0, FALSE) == SUCCESS;
}

/**
 * Have SAs for a flow alone: a child like the configured one, with other
 * selectors. Adopts both configurations.
 */
static bool initiate_narrow(peer_cfg_t *peer_cfg, child_cfg_t *child_cfg,
							traffic_selector_t *local,
							traffic_selector_t *remote)
{
	linked_list_t *ours, *theirs;
	child_cfg_t *narrow;

	ours = linked_list_create_with_items(local, NULL);
	theirs = linked_list_create_with_items(remote, NULL);
	narrow = btns_narrow_create(child_cfg, ours, theirs);
	ours->destroy(ours);
	theirs->destroy(theirs);
	child_cfg->destroy(child_cfg);
	return initiate(peer_cfg, narrow);
}

/*
 * Described in header.
 */
bool btns_latch_sas_acquire(const btns_flow_t *flow, bool narrow)
{
	kernel_acquire_data_t data = {};
	traffic_selector_t *local, *remote;
	child_cfg_t *child_cfg = NULL;
	peer_cfg_t *peer_cfg = NULL;
	host_t *here, *there;
	uint32_t reqid;
	bool found = FALSE;

	local = to_selector(flow, &flow->local, flow->local_port);
	remote = to_selector(flow, &flow->remote, flow->remote_port);
	here = to_host(&flow->local, 0);
	there = to_host(&flow->remote, 0);
	if (local && remote && here && there)
	{
		reqid = find_trap(local, remote, &peer_cfg, &child_cfg);
		if (!reqid)
		{
			child_cfg = find_child(here, there, local, remote, &peer_cfg);
		}
		if (child_cfg && narrow)
		{
			found = initiate_narrow(peer_cfg, child_cfg, local, remote);
		}
		else if (reqid)
		{
			data.src = local;
			data.dst = remote;
			charon->traps->acquire(charon->traps, reqid, &data);
			child_cfg->destroy(child_cfg);
			peer_cfg->destroy(peer_cfg);
			found = TRUE;
		}
		else if (child_cfg)
		{
			found = initiate(peer_cfg, child_cfg);
		}
	}
	DESTROY_IF(local);
	DESTROY_IF(remote);
	DESTROY_IF(here);
	DESTROY_IF(there);
	return found;
}
