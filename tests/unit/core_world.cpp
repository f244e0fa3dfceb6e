/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
#include "core_world.h"

#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include <algorithm>
#include <memory>
#include <stdexcept>

namespace btns::test
{

namespace
{

using Pkey = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>;

std::vector<uint8_t> encode(const Pkey &key, int (*write)(const EVP_PKEY *, unsigned char **))
{
	std::vector<uint8_t> out(4096);
	unsigned char *end = out.data();
	const int length = write(key.get(), &end);
	if (length <= 0)
	{
		throw std::runtime_error("cannot encode a key");
	}
	out.resize(static_cast<size_t>(length));
	return out;
}

} // namespace

btns_range_t range(const std::string &text)
{
	btns_range_t out{};
	if (btns_range_parse(text.c_str(), &out) != BTNS_STATUS_OK)
	{
		throw std::runtime_error("no range: " + text);
	}
	return out;
}

btns_addr_t addr(const std::string &text)
{
	const btns_range_t host = range(text);
	btns_addr_t out{};
	out.family = host.family;
	std::ranges::copy(host.from, out.bytes);
	return out;
}

btns_ts_t ts(const std::string &text, uint16_t from_port, uint16_t to_port)
{
	const btns_range_t addresses = range(text);
	btns_ts_t out{};
	out.family = addresses.family;
	out.from_port = from_port;
	out.to_port = to_port;
	std::ranges::copy(addresses.from, out.from);
	std::ranges::copy(addresses.to, out.to);
	return out;
}

std::vector<uint8_t> new_spki()
{
	return encode({EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519"), EVP_PKEY_free}, i2d_PUBKEY);
}

std::pair<std::vector<uint8_t>, std::vector<uint8_t>> new_rsa()
{
	const Pkey key(EVP_PKEY_Q_keygen(nullptr, nullptr, "RSA", size_t{2048}), EVP_PKEY_free);
	return {encode(key, i2d_PublicKey), encode(key, i2d_PUBKEY)};
}

World::World(const std::vector<Connection> &connections, unsigned max_peers, unsigned max_per_source,
			 unsigned max_children)
{
	btns_options_t options;
	btns_options_default(&options);
	options.max_peers = max_peers;
	options.max_peers_per_source = max_per_source;
	options.max_children = max_children;
	core_ = btns_core_create(&options);
	if (core_ == nullptr || configure(connections) != BTNS_STATUS_OK)
	{
		throw std::runtime_error("no core");
	}
}

World::~World()
{
	btns_core_destroy(core_);
}

btns_status_t World::configure(const std::vector<Connection> &connections, const std::vector<std::string> &own)
{
	btns_config_t *config = btns_config_begin(core_);
	for (const Connection &connection : connections)
	{
		connection.with([&](const btns_entry_t &entry) { return last_status = btns_config_add(config, &entry); });
		if (last_status != BTNS_STATUS_OK)
		{
			btns_config_abort(config);
			return last_status;
		}
	}
	for (const std::string &text : own)
	{
		const btns_addr_t address = addr(text);
		btns_config_own_address(config, &address);
	}
	return last_status = btns_config_commit(core_, config);
}

void World::init(uint32_t sa, const std::string &source)
{
	last_status = begin(sa, addr(source));
}

btns_status_t World::begin(uint32_t sa, const btns_addr_t &source, btns_role_t role)
{
	const btns_init_t init{source, role, sa, sa, 0};
	return btns_sa_init(core_, sa, &init);
}

void World::message(uint32_t sa, const std::string &source, const std::vector<uint8_t> &spki)
{
	const btns_cert_t cert{BTNS_ENCODING_SPKI, {spki.data(), spki.size()}};
	btns_auth_message_t message{};
	message.auth = BTNS_AUTH_SIGNATURE;
	message.source = addr(source);
	message.certs = &cert;
	message.cert_count = 1;
	message.cert_total = 1;
	message.asserted_id = "anybody";
	last_status = btns_sa_message(core_, sa, &message);
}

btns_reason_t World::arm(uint32_t sa)
{
	btns_reason_t reason = BTNS_REASON_NONE;
	last_status = btns_sa_key(core_, sa, now, &armed_, &reason);
	if (last_status == BTNS_STATUS_OK)
	{
		last_status = btns_sa_arm(core_, sa, BTNS_ROLE_RESPONDER, &reason);
	}
	return reason;
}

btns_authorize_t World::facts(uint32_t sa, const std::string &source)
{
	btns_sa_armed_key(core_, sa, &armed_);
	btns_authorize_t facts{};
	facts.flag = BTNS_FLAG_ANY;
	facts.connection = "strangers";
	facts.pubkey = true;
	facts.verified = armed_.fingerprint;
	facts.source = addr(source);
	return facts;
}

btns_grant_t World::authorize(uint32_t sa, const btns_authorize_t &facts)
{
	btns_grant_t grant{};
	last_status = btns_sa_authorize(core_, sa, &facts, &grant);
	return grant;
}

void World::stranger(uint32_t sa, const std::string &source, const std::vector<uint8_t> &spki)
{
	init(sa, source);
	message(sa, source, spki);
	if (arm(sa) != BTNS_REASON_NONE)
	{
		throw std::runtime_error("not armed");
	}
	btns_authorize_t known = facts(sa, source);
	const bool granted = authorize(sa, known).btns;
	known.final = true;
	known.coerced = true;
	known.rounds_done = 1;
	if (!granted || !authorize(sa, known).btns)
	{
		throw std::runtime_error("not granted");
	}
	const btns_addr_t remote = addr(source);
	const btns_addr_t local = addr("10.99.0.1");
	last_status = btns_sa_up(core_, sa, 1, 2, &local, &remote, 1000);
}

template <typename Call>
btns_reason_t World::call_child(const Child &child, Call &&call)
{
	std::vector<btns_addr_t> hosts;
	for (const auto &host : child.hosts)
	{
		hosts.push_back(addr(host));
	}
	btns_child_t plain{};
	plain.btns = child.btns;
	plain.connection = child.btns ? "strangers" : "office";
	plain.hosts = hosts.data();
	plain.host_count = hosts.size();
	plain.local = child.local.data();
	plain.local_count = child.local.size();
	plain.remote = child.remote.data();
	plain.remote_count = child.remote.size();
	plain.mode_mismatch = child.mode_mismatch;
	plain.unconfigured = child.unconfigured;
	plain.rekeys = child.rekeys;
	plain.present = child.present;
	plain.installing = child.installing;
	plain.child = child.id;
	plain.name = "data";
	plain.encryption_algorithm = "AES_GCM_16-128";
	plain.mode = BTNS_MODE_TUNNEL;
	plain.integrity = child.integrity;
	plain.confidentiality = child.confidentiality;
	plain.conditional = child.conditional;
	plain.priority = child.priority;
	btns_reason_t reason = BTNS_REASON_NONE;
	last_status = call(plain, reason);
	return reason;
}

btns_reason_t World::authorize_child(uint32_t sa, const Child &child)
{
	return call_child(child, [&](const btns_child_t &plain, btns_reason_t &reason)
					  { return btns_child_authorize(core_, sa, &plain, evict, this, &reason); });
}

btns_reason_t World::child_up(uint32_t sa, const Child &child)
{
	return call_child(child, [&](const btns_child_t &plain, btns_reason_t &reason)
					  { return btns_child_up(core_, sa, &plain, evict, this, &reason); });
}

Evicted World::audit()
{
	last_status = btns_audit(core_, evict, this);
	return take_evicted();
}

uint64_t World::stat(const std::string &name)
{
	std::pair<std::string, uint64_t> wanted{name, UINT64_MAX};
	btns_stats_each(
		core_,
		[](void *user, const char *key, uint64_t value)
		{
			auto *pair = static_cast<std::pair<std::string, uint64_t> *>(user);
			if (pair->first == key)
			{
				pair->second = value;
			}
		},
		&wanted);
	return wanted.second;
}

void World::look(void *user, const btns_peer_info_t *peer)
{
	auto &world = *static_cast<World *>(user);
	world.looked.push_back(peer->sa);
	btns_sa_used(world, peer->sa, world.used);
}

void World::evict(void *user, uint32_t sa, btns_reason_t reason)
{
	static_cast<World *>(user)->evicted_.emplace_back(sa, reason);
}

} // namespace btns::test
