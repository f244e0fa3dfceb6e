/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */

#include "btns_convert.h"

/**
 * Copy an address of one of the two families.
 */
static uint8_t copy_addr(chunk_t from, uint8_t to[16])
{
	if (from.len != 4 && from.len != 16)
	{
		return 0;
	}
	memcpy(to, from.ptr, from.len);
	return from.len == 4 ? 4 : 6;
}

bool btns_addr_from_host(host_t *host, btns_addr_t *out)
{
	memset(out, 0, sizeof(*out));
	if (host)
	{
		out->family = copy_addr(host->get_address(host), out->bytes);
	}
	return out->family != 0;
}

host_t *btns_addr_to_host(const btns_addr_t *addr)
{
	switch (addr->family)
	{
		case 4:
			return host_create_from_chunk(AF_INET,
							chunk_create((u_char*)addr->bytes, 4), 0);
		case 6:
			return host_create_from_chunk(AF_INET6,
							chunk_create((u_char*)addr->bytes, 16), 0);
		default:
			return NULL;
	}
}

bool btns_ts_from_selector(traffic_selector_t *ts, btns_ts_t *out)
{
	memset(out, 0, sizeof(*out));
	out->family = copy_addr(ts->get_from_address(ts), out->from);
	if (!out->family ||
		copy_addr(ts->get_to_address(ts), out->to) != out->family)
	{
		return FALSE;
	}
	out->protocol = ts->get_protocol(ts);
	out->from_port = ts->get_from_port(ts);
	out->to_port = ts->get_to_port(ts);
	return TRUE;
}

bool btns_ts_from_list(linked_list_t *list, btns_ts_t *out, size_t *count)
{
	enumerator_t *enumerator;
	traffic_selector_t *ts;
	bool ok = TRUE;

	*count = 0;
	enumerator = list->create_enumerator(list);
	while (enumerator->enumerate(enumerator, &ts))
	{
		if (btns_ts_from_selector(ts, &out[*count]))
		{
			(*count)++;
		}
		else
		{
			ok = FALSE;
		}
	}
	enumerator->destroy(enumerator);
	return ok;
}

u_int btns_count_rounds(ike_sa_t *ike_sa)
{
	enumerator_t *enumerator;
	auth_cfg_t *auth;
	u_int count = 0;

	enumerator = ike_sa->create_auth_cfg_enumerator(ike_sa, FALSE);
	while (enumerator->enumerate(enumerator, &auth))
	{
		count++;
	}
	enumerator->destroy(enumerator);
	return count;
}

identification_t *btns_publickey_id(const uint8_t *fingerprint)
{
	char text[BTNS_KEY_ID_LEN];

	btns_key_id(fingerprint, text);
	return identification_create_from_encoding(ID_KEY_ID,
											   chunk_from_str(text));
}

/*
 * Described in header.
 */
int64_t btns_last_use(child_sa_t *child_sa)
{
	time_t in, out;

	child_sa->get_usestats(child_sa, TRUE, &in, NULL, NULL);
	child_sa->get_usestats(child_sa, FALSE, &out, NULL, NULL);
	return (int64_t)max(in, out) * 1000;
}
