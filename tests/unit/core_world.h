/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
/**
 * @file core_world.h
 * A core with a configuration, and peers that go through what charon's hooks report.
 */
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "btns/core.h"

namespace btns::test
{

btns_addr_t addr(const std::string &text);
btns_range_t range(const std::string &text);
/** All protocols; e.g. "10.0.0.0/8". */
btns_ts_t ts(const std::string &range, uint16_t from_port = 0, uint16_t to_port = 65535);

/** SubjectPublicKeyInfo of a fresh Ed25519 key. */
std::vector<uint8_t> new_spki();
/** PKCS#1 and SubjectPublicKeyInfo of one RSA key with 2048 bits. */
std::pair<std::vector<uint8_t>, std::vector<uint8_t>> new_rsa();

/** One connection, in C++ types. */
struct Connection
{
	std::string name = "strangers";
	std::vector<std::string> groups{"btns"};
	unsigned ike_version = 2;
	btns_class_t auth = BTNS_CLASS_PUBKEY;
	bool any_id = true;
	bool cacerts = false;
	bool certs = false;
	size_t rounds = 1;
	std::vector<std::string> pools{};
	bool mobike = false;
	bool any_remote = true;
	std::vector<std::string> local_ts{};
	std::vector<std::string> remote_ts{};
	std::vector<std::string> addrs{};
	btns_class_t local_auth = BTNS_CLASS_PUBKEY;
	bool local_null = false;
	size_t local_rounds = 1;

	/** Call use(const btns_entry_t &). */
	template <typename Use>
	auto with(Use &&use) const
	{
		std::vector<const char *> group_pointers;
		for (const auto &group : groups)
		{
			group_pointers.push_back(group.c_str());
		}
		btns_round_t round{};
		round.auth = auth;
		round.any_id = any_id;
		round.cacerts = cacerts;
		round.certs = certs;
		round.groups = group_pointers.data();
		round.group_count = group_pointers.size();
		std::vector<btns_round_t> all_rounds(rounds > 0 ? 1 : 0, round);
		round.groups = nullptr;
		round.group_count = 0;
		all_rounds.resize(rounds, round);

		std::vector<const char *> pool_pointers;
		for (const auto &pool : pools)
		{
			pool_pointers.push_back(pool.c_str());
		}
		std::vector<btns_ts_t> local;
		std::vector<btns_ts_t> remote;
		std::vector<btns_range_t> literal;
		for (const auto &text : local_ts)
		{
			local.push_back(ts(text));
		}
		for (const auto &text : remote_ts)
		{
			remote.push_back(ts(text));
		}
		for (const auto &text : addrs)
		{
			literal.push_back(range(text));
		}
		btns_entry_t entry{};
		entry.name = name.c_str();
		entry.ike_version = ike_version;
		entry.rounds = all_rounds.data();
		entry.round_count = all_rounds.size();
		entry.pools = pool_pointers.data();
		entry.pool_count = pool_pointers.size();
		entry.mobike = mobike;
		entry.any_remote = any_remote;
		entry.local_ts = local.data();
		entry.local_ts_count = local.size();
		entry.remote_ts = remote.data();
		entry.remote_ts_count = remote.size();
		entry.addrs = literal.data();
		entry.addr_count = literal.size();
		entry.local_auth = local_auth;
		entry.local_null = local_null;
		entry.local_rounds = local_rounds;
		return use(entry);
	}
};

/** For authenticated peers. */
inline Connection office()
{
	Connection connection;
	connection.name = "office";
	connection.groups = {};
	connection.any_id = false;
	return connection;
}

using Evicted = std::vector<std::pair<uint32_t, btns_reason_t>>;

/** What a test says about a CHILD_SA. */
struct Child
{
	uint32_t id = 1;
	std::vector<btns_ts_t> remote{};
	std::vector<btns_ts_t> local{ts("10.99.0.1")};
	std::vector<std::string> hosts{};
	bool btns = true;
	bool mode_mismatch = false;
	bool unconfigured = false;
	bool installing = true;
	/** the one that it was rekeyed from, 0 for none */
	uint32_t rekeys = 0;
	/** others that charon has */
	size_t present = 0;
	/* what applications are told */
	bool integrity = true;
	bool confidentiality = true;
	bool conditional = false;
	uint32_t priority = 0;
};

class World
{
public:
	explicit World(const std::vector<Connection> &connections = {Connection{}}, unsigned max_peers = 1000,
				   unsigned max_per_source = 16, unsigned max_children = 16);
	~World();
	World(const World &) = delete;
	World &operator=(const World &) = delete;
	World(World &&) = delete;
	World &operator=(World &&) = delete;

	operator btns_core_t *() { return core_; } // NOLINT(google-explicit-constructor)

	btns_status_t configure(const std::vector<Connection> &connections, const std::vector<std::string> &own = {});

	/** IKE_SA_INIT. */
	void init(uint32_t sa, const std::string &source);
	btns_status_t begin(uint32_t sa, const btns_addr_t &source, btns_role_t role = BTNS_ROLE_RESPONDER);
	/** IKE_AUTH with a bare key. */
	void message(uint32_t sa, const std::string &source, const std::vector<uint8_t> &spki);
	/** Look at the key and arm. */
	btns_reason_t arm(uint32_t sa);
	/** What authorize() knows if all is well. */
	btns_authorize_t facts(uint32_t sa, const std::string &source);
	btns_grant_t authorize(uint32_t sa, const btns_authorize_t &facts);
	/** A stranger from IKE_SA_INIT to established. */
	void stranger(uint32_t sa, const std::string &source, const std::vector<uint8_t> &spki);

	btns_reason_t authorize_child(uint32_t sa, const Child &child);
	btns_reason_t child_up(uint32_t sa, const Child &child);
	/** IKE_SAs evicted since the last call. */
	Evicted take_evicted() { return std::exchange(evicted_, {}); }
	Evicted audit();
	uint64_t stat(const std::string &name);
	btns_status_t last_status = BTNS_STATUS_OK;
	/** milliseconds */
	int64_t now = 1000000;
	/** for btns_look_cb_t: the traffic was at `used` */
	static void look(void *user, const btns_peer_info_t *peer);
	int64_t used = 0;
	/** IKE_SAs that were looked at */
	std::vector<uint32_t> looked;
	/** for btns_evict_cb_t */
	static void evict(void *user, uint32_t sa, btns_reason_t reason);

private:
	template <typename Call>
	btns_reason_t call_child(const Child &child, Call &&call);

	btns_core_t *core_;
	btns_key_t armed_{};
	Evicted evicted_;
};

} // namespace btns::test
