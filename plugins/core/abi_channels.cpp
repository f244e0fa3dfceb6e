/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
/**
 * @file abi_channels.cpp
 * The functions of core.h that are about channels and their bindings.
 */
#include <algorithm>
#include <string>

#include "abi.h"
#include "latches.h"

using btns::guard;
using btns::is_valid;
using btns::view;

static_assert(BTNS_BINDING_LEN == std::tuple_size_v<btns::Binding>);
static_assert(BTNS_SIDE_KEY_MAX == btns::key_info_max);
static_assert(BTNS_CERTIFICATE_MAX == btns::certificate_max);

namespace
{

/** May be NULL. */
bool is_valid(const btns_body_t *body)
{
	return body == nullptr || btns::is_valid(body->data);
}

btns_binding_info_t show(btns::BindingType type, const btns::BindingAnswer &answer)
{
	btns_binding_info_t out{};
	// the views of names end with a NUL
	out.name = btns::binding_name(type).data();
	out.available = answer.value.has_value();
	out.code = "";
	out.reason = "";
	if (answer.value)
	{
		std::ranges::copy(*answer.value, out.value);
	}
	else
	{
		out.code = btns::unavailable_code(answer.why);
		out.reason = btns::unavailable_text(answer.why);
	}
	return out;
}

/** Call use(const btns_channel_info_t &). */
template <typename Use>
void show(const btns::ChannelAnswer &answer, Use &&use)
{
	btns_channel_info_t info{};
	if (answer.channel)
	{
		info = btns::to_info(*answer.channel);
	}
	info.protection = answer.protection;
	info.code = answer.code;
	info.reason = answer.reason;
	use(info);
}

/** Show the channel that is found, or refuse. */
template <typename Find>
btns_status_t show_found(const char *function, btns_core_t *core, btns_channel_cb_t cb, void *user, Find &&find)
{
	return guard(function,
				 [&]
				 {
					 if (core == nullptr || cb == nullptr)
					 {
						 return BTNS_STATUS_INVALID;
					 }
					 const btns::ChannelAnswer answer = find(core->core.table);
					 if (!answer.channel)
					 {
						 return BTNS_STATUS_REFUSED;
					 }
					 show(answer, [&](const btns_channel_info_t &info) { cb(user, &info); });
					 return BTNS_STATUS_OK;
				 });
}

} // namespace

btns_channel_info_t btns::to_info(const Channel &channel)
{
	btns_channel_info_t info{};
	info.protection = BTNS_PROTECTED;
	info.code = info.reason = "";
	info.sa = channel.sa;
	info.child = channel.child;
	info.connection = channel.connection.c_str();
	info.child_name = channel.child_name.c_str();
	info.confidentiality = channel.confidentiality;
	info.integrity = channel.integrity;
	info.mode = channel.mode;
	info.encryption_algorithm = channel.encryption_algorithm.c_str();
	info.integrity_algorithm = channel.integrity_algorithm.c_str();
	info.local_method = channel.local_method;
	info.peer_method = channel.peer_method;
	info.asserted_id = channel.asserted_id.c_str();
	info.authorized_id = channel.authorized_id.c_str();
	info.local_fingerprint = channel.local_fingerprint ? channel.local_fingerprint->data() : nullptr;
	info.peer_fingerprint = channel.peer_fingerprint ? channel.peer_fingerprint->data() : nullptr;
	info.peer_key = view(channel.peer_key);
	info.peer_certificate = view(channel.certificate());
	info.trust_anchor = view(channel.trust_anchor());
	info.outer = {btns::to_abi(channel.local.address),
				  btns::to_abi(channel.peer.address),
				  channel.local.port,
				  channel.peer.port,
				  channel.local.nat,
				  channel.peer.nat};
	info.established = channel.established;
	info.endpoints = show(btns::BindingType::endpoints, channel.endpoints);
	info.unique = show(btns::BindingType::unique, channel.unique);
	return info;
}

extern "C" {

btns_status_t btns_init_request(btns_core_t *core, uint64_t spi_i, btns_bytes_t octets)
{
	return guard(__func__,
				 [&]
				 {
					 if (core == nullptr || !is_valid(octets))
					 {
						 return BTNS_STATUS_INVALID;
					 }
					 core->core.table.init_request(spi_i, view(octets));
					 return BTNS_STATUS_OK;
				 });
}

btns_status_t btns_sa_real_message(btns_core_t *core, uint32_t sa, bool request, btns_bytes_t octets)
{
	return guard(__func__,
				 [&]
				 {
					 if (core == nullptr || !is_valid(octets))
					 {
						 return BTNS_STATUS_INVALID;
					 }
					 core->core.table.real_message(sa, request, view(octets));
					 return BTNS_STATUS_OK;
				 });
}

btns_status_t btns_sa_int_auth(btns_core_t *core, uint32_t sa, bool request, uint32_t message_id, btns_bytes_t value)
{
	return guard(__func__,
				 [&]
				 {
					 if (core == nullptr || !is_valid(value))
					 {
						 return BTNS_STATUS_INVALID;
					 }
					 core->core.table.int_auth(sa, request, message_id, view(value));
					 return BTNS_STATUS_OK;
				 });
}

void btns_sa_last_int_auth(btns_core_t *core, uint32_t sa, bool request, uint8_t out[BTNS_PRF_MAX], size_t *len)
{
	*len = 0;
	guard(__func__,
		  [&]
		  {
			  if (core != nullptr)
			  {
				  const auto last = core->core.table.last_int_auth(sa, request);
				  std::ranges::copy(last, out);
				  *len = last.size();
			  }
			  return BTNS_STATUS_OK;
		  });
}

btns_status_t btns_sa_auth_bodies(btns_core_t *core, uint32_t sa, const btns_auth_bodies_t *bodies)
{
	return guard(__func__,
				 [&]
				 {
					 if (core == nullptr || bodies == nullptr || !is_valid(bodies->id) || !is_valid(bodies->auth))
					 {
						 return BTNS_STATUS_INVALID;
					 }
					 core->core.table.auth_bodies(sa, *bodies);
					 return BTNS_STATUS_OK;
				 });
}

btns_status_t btns_sa_root(btns_core_t *core, uint32_t sa, const btns_root_t *root)
{
	return guard(__func__,
				 [&]
				 {
					 if (core == nullptr || root == nullptr || !is_valid(root->local.key) ||
						 !is_valid(root->peer.key) || !is_valid(root->certificate) || !is_valid(root->trust_anchor))
					 {
						 return BTNS_STATUS_INVALID;
					 }
					 core->core.table.root(sa, *root, core->core.settings()->keep_certificates);
					 return BTNS_STATUS_OK;
				 });
}

bool btns_keeps_certificates(btns_core_t *core)
{
	bool keeps = false;
	guard(__func__,
		  [&]
		  {
			  keeps = core != nullptr && core->core.settings()->keep_certificates;
			  return BTNS_STATUS_OK;
		  });
	return keeps;
}

btns_status_t btns_sa_take_seed(btns_core_t *core, uint32_t sa, uint8_t out[BTNS_SEED_LEN])
{
	if (out == nullptr)
	{
		return BTNS_STATUS_INVALID;
	}
	std::fill_n(out, BTNS_SEED_LEN, uint8_t{0});
	return guard(__func__,
				 [&]
				 {
					 if (core == nullptr)
					 {
						 return BTNS_STATUS_INVALID;
					 }
					 const auto seed = core->core.table.take_seed(sa);
					 if (!seed || seed->size() != BTNS_SEED_LEN)
					 {
						 return BTNS_STATUS_REFUSED;
					 }
					 std::ranges::copy(*seed, out);
					 return BTNS_STATUS_OK;
				 });
}

btns_status_t btns_sa_unique(btns_core_t *core, uint32_t sa, const uint8_t *value)
{
	return guard(__func__,
				 [&]
				 {
					 if (core == nullptr)
					 {
						 return BTNS_STATUS_INVALID;
					 }
					 std::optional<btns::Binding> binding;
					 if (value != nullptr)
					 {
						 std::copy_n(value, BTNS_BINDING_LEN, binding.emplace().begin());
					 }
					 core->core.table.unique(sa, binding);
					 return BTNS_STATUS_OK;
				 });
}

btns_status_t btns_sa_outer(btns_core_t *core, uint32_t sa, const btns_outer_t *outer)
{
	return guard(__func__,
				 [&]
				 {
					 if (core == nullptr || outer == nullptr)
					 {
						 return BTNS_STATUS_INVALID;
					 }
					 core->core.table.outer(sa, *outer);
					 return BTNS_STATUS_OK;
				 });
}

btns_status_t btns_child_installed(btns_core_t *core, uint32_t sa, const btns_child_t *child)
{
	return guard(__func__,
				 [&]
				 {
					 if (core == nullptr || child == nullptr)
					 {
						 return BTNS_STATUS_INVALID;
					 }
					 core->core.table.installed(sa, *child);
					 return BTNS_STATUS_OK;
				 });
}

btns_status_t btns_shunts(btns_core_t *core, const btns_shunt_t *shunts, size_t count)
{
	return guard(__func__,
				 [&]
				 {
					 if (core == nullptr || (shunts == nullptr && count > 0))
					 {
						 return BTNS_STATUS_INVALID;
					 }
					 std::vector<btns::Shunt> all;
					 for (const btns_shunt_t &shunt : std::span(shunts, count))
					 {
						 all.push_back({{shunt.local, shunt.local + shunt.local_count},
										{shunt.remote, shunt.remote + shunt.remote_count},
										shunt.priority,
										shunt.pass});
					 }
					 core->core.table.shunts(std::move(all));
					 if (const auto latches = core->core.latches())
					 {
						 latches->policies_changed();
					 }
					 return BTNS_STATUS_OK;
				 });
}

btns_status_t btns_channel_of_flow(btns_core_t *core, const btns_flow_t *flow, btns_channel_cb_t cb, void *user)
{
	return guard(
		__func__,
		[&]
		{
			const auto local = flow != nullptr ? btns::to_address(flow->local) : std::nullopt;
			const auto remote = flow != nullptr ? btns::to_address(flow->remote) : std::nullopt;
			if (core == nullptr || cb == nullptr || !local || !remote)
			{
				return BTNS_STATUS_INVALID;
			}
			show(core->core.channels().find({flow->protocol, *local, *remote, flow->local_port, flow->remote_port}),
				 [&](const btns_channel_info_t &info) { cb(user, &info); });
			return BTNS_STATUS_OK;
		});
}

btns_status_t btns_channel_of_sa(btns_core_t *core, uint32_t sa, btns_channel_cb_t cb, void *user)
{
	return show_found(__func__, core, cb, user, [sa](const btns::SideTable &table) { return table.of_sa(sa); });
}

btns_status_t btns_channel_of_child(btns_core_t *core, uint32_t child, btns_channel_cb_t cb, void *user)
{
	return show_found(__func__, core, cb, user,
					  [child](const btns::SideTable &table) { return table.of_child(child); });
}

btns_status_t btns_sa_peer_up(btns_core_t *core, uint32_t sa)
{
	return guard(__func__,
				 [&]
				 {
					 if (core == nullptr)
					 {
						 return BTNS_STATUS_INVALID;
					 }
					 core->core.table.peer_up(sa);
					 return BTNS_STATUS_OK;
				 });
}

btns_status_t btns_peer_events(btns_core_t *core, btns_peer_event_cb_t cb, void *user)
{
	return guard(__func__,
				 [&]
				 {
					 if (core == nullptr || cb == nullptr)
					 {
						 return BTNS_STATUS_INVALID;
					 }
					 while (const auto event = core->core.table.take_event())
					 {
						 show(event->channel, [&](const btns_channel_info_t &info)
							  { cb(user, event->event, &info, event->before ? event->before->data() : nullptr); });
					 }
					 return BTNS_STATUS_OK;
				 });
}

const char *btns_method_name(btns_method_t method)
{
	switch (method)
	{
	case BTNS_METHOD_BTNS:
		return "btns";
	case BTNS_METHOD_CERTIFICATE:
		return "certificate";
	case BTNS_METHOD_PUBLIC_KEY:
		return "public-key";
	case BTNS_METHOD_PSK:
		return "psk";
	case BTNS_METHOD_EAP:
		return "eap";
	case BTNS_METHOD_NULL:
		return "null";
	case BTNS_METHOD_MULTIPLE:
		return "multiple";
	case BTNS_METHOD_UNKNOWN:
		break;
	}
	return "unknown";
}

const char *btns_mode_name(btns_mode_t mode)
{
	switch (mode)
	{
	case BTNS_MODE_TRANSPORT:
		return "transport";
	case BTNS_MODE_TUNNEL:
		return "tunnel";
	case BTNS_MODE_BEET:
		return "beet";
	case BTNS_MODE_NONE:
		break;
	}
	return "none";
}

} // extern "C"
