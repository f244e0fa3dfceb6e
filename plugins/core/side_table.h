/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
/**
 * @file side_table.h
 * What is remembered of each IKE_SA, by charon's unique ID, and who holds which addresses.
 *
 * Thread-safe. No callback is called from here and nothing slow is done with the lock held.
 */
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "admission.h"
#include "holdings.h"
#include "pad_config.h"
#include "presented_key.h"
#include "settings.h"

namespace btns
{

/** IKE_SAs that are remembered at most, beside those that charon rekeyed. */
constexpr size_t records_max = 65536;
/** Octets of CERT payloads that are kept at most, of all IKE_SAs. */
constexpr size_t all_certs_bytes_max = 64 * 1024 * 1024;
/** CHILD_SAs of one IKE_SA that are being installed at a time; the oldest one is forgotten. */
constexpr size_t pending_max = 4;
/** BTNS peers whose traffic is looked at in one go. */
constexpr size_t looks_max = 64;
/** Milliseconds that somebody may take until IKE_AUTH when there is hardly any room; RFC 8019, section 4.1. */
constexpr int64_t half_open_grace = 5000;

/** What is in force while a decision is made. */
struct Context
{
	const Settings &settings;
	const PadConfig &pad;
};

/** How an IKE_SA that is up is shown. */
struct Endpoints
{
	uint64_t spi_i = 0;
	uint64_t spi_r = 0;
	btns_addr_t local{};
	btns_addr_t remote{};
	/** seconds since the epoch, 0 for no change */
	int64_t since = 0;
};

struct Eviction
{
	uint32_t sa;
	btns_reason_t reason;
};

/** The answer to a CHILD_SA. */
struct ChildVerdict
{
	btns_reason_t reason = BTNS_REASON_NONE;
	std::vector<Eviction> evictions;
	/** memory ran out when it was put into the index; only for an authenticated peer's */
	bool not_indexed = false;
};

class SideTable
{
public:
	/** FALSE if the table is full. */
	bool init(uint32_t sa, const btns_init_t &init, const Settings &settings);
	/** FALSE if the IKE_SA is unknown. On an exception nothing is left of this message or an earlier one. */
	bool message(uint32_t sa, const btns_auth_message_t &message);
	/** Forget what a message showed, and disarm. */
	void forget_message(uint32_t sa);
	[[nodiscard]] btns_auth_t auth(uint32_t sa) const;
	PresentedKey key(uint32_t sa, const Settings &settings, KeyMeter &meter, int64_t now);
	/** The payloads of the message last seen; NULL if there are none. */
	[[nodiscard]] std::shared_ptr<const CertPayloads> certs(uint32_t sa) const;

	[[nodiscard]] btns_reason_t admissible(uint32_t sa, const Settings &settings, unsigned ike_sas) const;
	btns_reason_t arm(uint32_t sa, btns_role_t role, const Settings &settings);
	/** NULL if it is not armed. */
	[[nodiscard]] std::shared_ptr<const btns_key_t> armed_key(uint32_t sa) const;
	/** NULL if it is no BTNS peer's. */
	[[nodiscard]] std::shared_ptr<const btns_key_t> verified_key(uint32_t sa) const;
	btns_grant_t authorize(uint32_t sa, const btns_authorize_t &facts, const PadConfig &pad);
	/** Disarm after a failure. TRUE if the peer was armed or is a BTNS peer. */
	bool abandon(uint32_t sa);

	btns_reason_t may_create_child(uint32_t sa, const Settings &settings, int64_t now);
	void used(uint32_t sa, int64_t when);

	void rekey(uint32_t from, uint32_t to);
	/** FALSE if it is no BTNS peer's. */
	bool up(uint32_t sa, const Endpoints &endpoints);
	void drop(uint32_t sa);

	ChildVerdict authorize_child(uint32_t sa, const btns_child_t &child, const Context &context);
	ChildVerdict child_up(uint32_t sa, const btns_child_t &child, const Context &context);
	void child_down(uint32_t sa, uint32_t child);
	/** Nothing if it is a BTNS peer's. */
	std::optional<std::vector<Eviction>> holds(uint32_t sa, std::vector<Range> ranges);
	[[nodiscard]] bool is_held(const Range &range) const;
	/** All BTNS peers that the configuration no longer allows. */
	[[nodiscard]] std::vector<Eviction> audit(const Context &context) const;
	/** Count it. TRUE if this is the first time for the IKE_SA. */
	bool mark_evicted(uint32_t sa);

	/** Who has no CHILD_SA, and whose traffic has to be looked at before is_idle() knows. */
	struct Reaping
	{
		std::vector<Eviction> evictions;
		std::vector<btns_peer_info_t> looks;
	};
	Reaping reap(const Settings &settings, int64_t now);
	[[nodiscard]] bool is_idle(uint32_t sa, const Settings &settings, int64_t now) const;
	/** Who makes room for others. */
	std::vector<Eviction> shed(const Settings &settings, int64_t now, unsigned ike_sas) const;

	void refuse(uint32_t sa, btns_reason_t reason);
	btns_reason_t take_refusal(uint32_t sa, bool flagged);
	/** What is known of an IKE_SA; FALSE if nothing is. */
	bool info(uint32_t sa, btns_peer_info_t &out) const;
	/** BTNS peers by ascending unique ID. */
	[[nodiscard]] std::vector<btns_peer_info_t> peers() const;

	struct Counts
	{
		size_t peers;
		size_t children;
		size_t half_open;
		size_t records;
		size_t reserved_ranges;
	};
	[[nodiscard]] Counts counts() const;

private:
	struct Child
	{
		std::unique_ptr<Holding> remote;
		/** it came up; else it is being installed */
		bool up = false;
		/** when it was put here, for pending ones */
		uint64_t order = 0;
	};

	struct Record
	{
		/** of IKE_SA_INIT */
		std::optional<Address> source;
		/** counted as half-open */
		std::optional<Address> half_open;
		/** there were too many half-open ones when it began: it can be no stranger */
		btns_reason_t too_late = BTNS_REASON_NONE;

		/* the IKE_AUTH message last seen */
		bool has_message = false;
		btns_auth_t auth = BTNS_AUTH_OTHER;
		std::optional<Address> auth_source;
		bool another_follows = false;
		std::string asserted_id;
		std::shared_ptr<const CertPayloads> certs;
		/** once the key was looked for */
		std::shared_ptr<const PresentedKey> presented;
		btns_reason_t refusal = BTNS_REASON_NONE;

		/* a stranger */
		btns_role_t role = BTNS_ROLE_RESPONDER;
		bool armed = false;
		/** counted by admission */
		std::optional<Address> place;
		std::shared_ptr<const btns_key_t> verified;
		btns_flag_t flag = BTNS_FLAG_NONE;
		std::string connection;
		/** rekeyed: another record has taken over */
		bool superseded = false;
		bool evicted = false;
		/** CREATE_CHILD_SA requests */
		TokenBucket requests;

		/** what reap() saw; times are milliseconds of a monotonic clock */
		bool seen = false;
		bool had_children = false;
		int64_t begun = 0;
		int64_t active = 0;

		/* once up */
		bool established = false;
		Endpoints endpoints;

		std::map<uint32_t, Child> children;
		/** the peer's addresses, if it is authenticated */
		std::unique_ptr<Holding> hosts;
	};

	Record *find(uint32_t sa);
	[[nodiscard]] const Record *find(uint32_t sa) const;
	void forget_certs(Record &record);
	void forget_message(Record &record);
	void disarm(Record &record);
	void close_half_open(Record &record);
	[[nodiscard]] btns_reason_t check_room(const Record &record, const Settings &settings) const;
	static bool has_children(const Record &record);
	static bool is_peer(const Record &record) { return record.verified && !record.superseded; }
	static btns_reason_t check_source(const Record &record, const std::optional<Address> &now);
	btns_reason_t check_grant(const Record *record, bool armed, const btns_authorize_t &facts,
							  const PadConfig &pad) const;
	static btns_reason_t check_final(const Record *record, const btns_authorize_t &facts, const PadConfig &pad);
	[[nodiscard]] btns_reason_t check_child(const Record *record, const btns_child_t &child,
											const std::vector<Range> &remote, const Context &context) const;
	[[nodiscard]] bool is_reserved(const Range &range, const Context &context) const;
	[[nodiscard]] bool has_too_many(const Record &record, const btns_child_t &child, const std::vector<Range> &remote,
									unsigned max) const;
	static bool keeps_selectors(const Record &record, const btns_child_t &child, const std::vector<Range> &remote);
	ChildVerdict decide_child(uint32_t sa, const btns_child_t &child, const Context &context, bool store, bool up);
	void store_child(uint32_t sa, Record &record, const btns_child_t &child, std::vector<Range> remote, bool up);
	[[nodiscard]] std::vector<Eviction> overlapping_strangers(const std::vector<Range> &ranges) const;
	void show(uint32_t sa, const Record &record, btns_peer_info_t &out) const;

	mutable std::mutex mutex_;
	HoldingIndex index_;
	Admission admission_;
	Admission half_open_;
	size_t cert_bytes_ = 0;
	uint64_t next_order_ = 0;
	std::map<uint32_t, Record> records_;
};

} // namespace btns
