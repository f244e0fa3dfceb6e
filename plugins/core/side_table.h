/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
/**
 * @file side_table.h
 * What is remembered of each IKE_SA, by charon's unique ID, and who holds which addresses.
 *
 * Thread-safe. No callback is called from here and nothing slow is done with the lock held.
 */
#pragma once

#include <atomic>
#include <deque>
#include <forward_list>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "admission.h"
#include "channel.h"
#include "handshake.h"
#include "holdings.h"
#include "pad_config.h"
#include "peer_watch.h"
#include "presented_key.h"
#include "settings.h"
#include "trace.h"

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
/** Peers that came or went and nobody has heard of, at most; the oldest are forgotten. */
constexpr size_t events_max = 1024;
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

/** A policy of charon's shunts: bypass or discard. */
struct Shunt
{
	std::vector<btns_ts_t> local;
	std::vector<btns_ts_t> remote;
	/** as configured, 0 if charon computes it */
	uint32_t priority = 0;
	/** bypass; else discard */
	bool pass = false;

	bool operator==(const Shunt &other) const;
};

struct Eviction
{
	uint32_t sa;
	btns_reason_t reason;
};

/** A peer came or went. */
struct PeerEvent
{
	btns_peer_event_t event = BTNS_PEER_UP;
	ChannelAnswer channel;
	/** the key that was there before, if it has changed */
	std::optional<Fingerprint> before;
};

/** The answer to a CHILD_SA. */
struct ChildVerdict
{
	btns_reason_t reason = BTNS_REASON_NONE;
	std::vector<Eviction> evictions;
	/** memory ran out when it was put into the index; only for an authenticated peer's */
	bool not_indexed = false;
};

/** Somebody who is supposed to begin an IKE_SA. */
struct Supposed
{
	/** family 4 or 6, else 0 */
	btns_addr_t source;
	/** ours */
	btns_role_t role;
};

/** What would be decided over a CHILD_SA. */
struct SupposedChild
{
	btns_reason_t reason = BTNS_REASON_NONE;
	Trace trace;
	/** for CHILD_RESERVED and CHILD_HELD: which of its addresses, and the IKE_SA that has them, 0 if it is none's */
	std::optional<Range> range;
	uint32_t holder = 0;
};

class SideTable : public ChannelSource
{
public:
	/** FALSE if the table is full. */
	bool init(uint32_t sa, const btns_init_t &init, const Settings &settings);
	/** FALSE if the IKE_SA is unknown. On an exception nothing is left of this message or an earlier one. */
	bool message(uint32_t sa, const btns_auth_message_t &message);
	/** Forget what a message showed, and disarm. */
	void forget_message(uint32_t sa);
	[[nodiscard]] btns_auth_t auth(uint32_t sa) const;
	/** Raw public keys that the peer asks for, a mask of btns_encoding_bit_t. */
	[[nodiscard]] unsigned requested(uint32_t sa) const;
	PresentedKey key(uint32_t sa, const Settings &settings, KeyMeter &meter, int64_t now);
	/** The payloads of the message last seen; NULL if there are none. */
	[[nodiscard]] std::shared_ptr<const CertPayloads> certs(uint32_t sa) const;

	[[nodiscard]] btns_reason_t admissible(uint32_t sa, const Settings &settings, unsigned ike_sas) const;
	btns_reason_t arm(uint32_t sa, btns_role_t role, const Settings &settings);
	/** FALSE unless it is armed for NULL authentication; then it is known that the key of nobody was asked for. */
	bool take_null_key(uint32_t sa);
	/** NULL if it is not armed. */
	[[nodiscard]] std::shared_ptr<const btns_key_t> armed_key(uint32_t sa) const;
	/** What the peer was verified as; NULL if it is no BTNS peer. */
	[[nodiscard]] std::shared_ptr<const KeyInfo> verified(uint32_t sa) const;
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

	/* the same decisions about somebody who is not there; see core.h */
	[[nodiscard]] PresentedKey suppose_key(const Supposed &peer, const CertPayloads &certs, const Settings &settings,
										   const KeyMeter &meter, int64_t now) const;
	[[nodiscard]] btns_reason_t suppose_admissible(const Supposed &peer, const Settings &settings,
												   unsigned ike_sas) const;
	[[nodiscard]] SupposedChild suppose_child(const Fingerprint &key, const btns_child_t &child,
											  const Context &context) const;

	void refuse(uint32_t sa, btns_reason_t reason);
	btns_reason_t take_refusal(uint32_t sa, bool flagged);
	/* channels, in channels.cpp */

	/** An IKE_SA_INIT request that was sent, as it is on the wire; init() makes it the IKE_SA's. */
	void init_request(uint64_t spi_i, Bytes octets);
	/** An IKE_SA_INIT message after that or after init(); a request begins the transcript anew. */
	void real_message(uint32_t sa, bool request, Bytes octets);
	/** IntAuth of RFC 9242 3.3.2 is part of the transcript; empty if it could not be had. */
	void int_auth(uint32_t sa, bool request, uint32_t message_id, Bytes octets);
	/** At most BTNS_PRF_MAX octets. */
	[[nodiscard]] std::vector<uint8_t> last_int_auth(uint32_t sa, bool request) const;
	/** Bodies of the payloads of an IKE_AUTH message. */
	void auth_bodies(uint32_t sa, const btns_auth_bodies_t &bodies);
	/** How the IKE_SA was authenticated: the root of a chain of rekeyings. */
	void root(uint32_t sa, const btns_root_t &root, bool keep_certificates);
	/** Seed of the unique binding, once; nothing if there will be none. */
	std::optional<std::vector<uint8_t>> take_seed(uint32_t sa);
	/** The unique binding; nothing if it cannot be computed. */
	void unique(uint32_t sa, const std::optional<Binding> &value);
	void outer(uint32_t sa, const btns_outer_t &outer);
	/** What authorize_child() has allowed is in the kernel: it takes packets before child_up() tells of it. */
	void installed(uint32_t sa, const btns_child_t &child);
	void shunts(std::vector<Shunt> shunts);
	/** Changes whenever these do. */
	[[nodiscard]] uint64_t shunts_generation() const;

	/** An authenticated IKE_SA is up: its peer has come. It has gone with drop(). */
	void peer_up(uint32_t sa);
	/** The next of these, with a peer that has changed its key as one that has come, and then as changed. */
	std::optional<PeerEvent> take_event();

	[[nodiscard]] ChannelAnswer find(const Flow &flow) const override;
	/**
	 * As find(), but if CHILD_SAs of several IKE_SAs take the packets alike, one of them: whether all have the same
	 * peer and the same quality is up to the caller. ChannelAnswer::shared is set, and there is no unique binding,
	 * since it is not known whose SA will protect a packet.
	 */
	[[nodiscard]] ChannelAnswer find_one(const Flow &flow) const;
	/** The channel of an IKE_SA, without a CHILD_SA; or of the CHILD_SA with a unique ID. */
	[[nodiscard]] ChannelAnswer of_sa(uint32_t sa) const;
	[[nodiscard]] ChannelAnswer of_child(uint32_t child) const;
	/** The channel that a CHILD_SA of an IKE_SA makes, or will, as described; nothing if it is not known how the IKE_SA
	 * was authenticated. */
	[[nodiscard]] std::optional<Channel> channel_of(uint32_t sa, const btns_child_t &child) const;
	[[nodiscard]] uint64_t generation() const override { return generation_.load(std::memory_order_acquire); }

	/** What is known of an IKE_SA; FALSE if nothing is. */
	bool info(uint32_t sa, btns_peer_info_t &out) const;
	/** BTNS peers by ascending unique ID. */
	[[nodiscard]] std::vector<btns_peer_info_t> peers() const;

	struct Counts
	{
		size_t peers;
		size_t null_peers;
		size_t children;
		size_t half_open;
		size_t records;
		size_t reserved_ranges;
	};
	[[nodiscard]] Counts counts() const;

private:
	/** The first of a chain of rekeyings, and how it was authenticated. */
	struct Root
	{
		/** no two have the same */
		uint64_t id = 0;
		/** NULL if it is the asserted one, or follows from the key of a BTNS peer */
		Name authorized_id;
		std::shared_ptr<const KeyInfo> local_key;
		/** a BTNS peer's is Record::verified */
		std::shared_ptr<const KeyInfo> peer_key;
		std::shared_ptr<const PeerCertificates> certificates;
		/** seconds since the epoch */
		int64_t established = 0;
		Binding unique{};
		/** take_event() will tell, or has told, that it came */
		bool told = false;
		/** why there is no unique binding */
		Unavailable why = Unavailable::not_seen;
		uint8_t ike_version = 0;
		uint8_t local_method = BTNS_METHOD_UNKNOWN;
		uint8_t peer_method = BTNS_METHOD_UNKNOWN;
		uint8_t local_rounds = 0;
		uint8_t peer_rounds = 0;
	};

	struct Record
	{
		/** of IKE_SA_INIT; family 0 if it was not seen */
		btns_addr_t source{};
		/** counted as half-open; the address is source */
		bool half_open = false;
		/** counted by admission, which for NULL peers is another one; the address is source */
		bool place = false;
		bool null_place = false;
		/** rekeyed: another record has taken over */
		bool superseded = false;
		bool evicted = false;
		/** what reap() saw */
		bool seen = false;
		bool had_children = false;
		bool established = false;
		/** there were too many half-open ones when it began: it can be no stranger */
		btns_reason_t too_late = BTNS_REASON_NONE;
		btns_role_t role = BTNS_ROLE_RESPONDER;
		btns_flag_t flag = BTNS_FLAG_NONE;
		/** NULL once it is authenticated */
		std::unique_ptr<Handshake> handshake;
		/** of the IKE_AUTH message last seen */
		std::string asserted_id;
		/** of a stranger: its key, or that it is a NULL peer */
		std::shared_ptr<const KeyInfo> verified;
		Name connection;
		/** CREATE_CHILD_SA requests */
		TokenBucket requests;
		/** milliseconds of a monotonic clock */
		int64_t begun = 0;
		int64_t active = 0;
		/* once up */
		Endpoints endpoints;
		uint16_t local_port = 0;
		uint16_t remote_port = 0;
		bool local_nat = false;
		bool remote_nat = false;
		Root root;

		/** in no order */
		std::forward_list<Holding> children;
		/** the peer's addresses, if it is authenticated */
		std::unique_ptr<Holding> hosts;
	};

	/** A key of our own, and how it came. */
	struct LocalKey
	{
		std::vector<uint8_t> spki;
		std::weak_ptr<const KeyInfo> info;
	};

	/** What find() copies with the lock held, to be completed without. */
	struct Snapshot
	{
		Channel channel;
		Authentication authentication;
		std::shared_ptr<const KeyInfo> local_key;
		std::shared_ptr<const KeyInfo> peer_key;
		uint8_t ike_version = 0;
	};

	struct QueuedEvent
	{
		/** came; else went */
		bool came;
		uint64_t root;
		Snapshot snapshot;
	};

	Record *find(uint32_t sa);
	[[nodiscard]] const Record *find(uint32_t sa) const;
	void forget_certs(Record &record);
	void forget_message(Record &record);
	void disarm(Record &record);
	void close_half_open(Record &record);
	[[nodiscard]] btns_reason_t check_room(const Record &record, const Settings &settings) const;
	void give_back_place(Record &record);
	Record &make(uint32_t sa);
	[[nodiscard]] btns_reason_t check_half_open(const Record &record, const Settings &settings) const;
	[[nodiscard]] btns_reason_t check_admissible(const Record &record, const Settings &settings,
												 unsigned ike_sas) const;
	[[nodiscard]] Record suppose(const Supposed &peer, const Settings &settings) const;
	static bool has_children(const Record &record);
	static size_t count_children(const Record &record);
	static const Holding *find_child(const Record &record, uint32_t child);
	/** What applications are told of a CHILD_SA. */
	void describe(const btns_child_t &child, ChildFacts &facts);
	/** Made if there is none. */
	static Handshake &begin_handshake(Record &record);
	void end_handshake(Record &record);
	static bool has_message(const Record *record)
	{
		return record != nullptr && record->handshake && record->handshake->has_message;
	}
	/** Is it NULL authentication that the message last seen has? */
	static bool is_null_auth(const Record &record)
	{
		return has_message(&record) && record.handshake->auth == BTNS_AUTH_NULL;
	}
	static bool is_armed(const Record *record)
	{
		return record != nullptr && record->handshake && record->handshake->armed;
	}
	static bool is_peer(const Record &record) { return record.verified && !record.superseded; }
	static btns_reason_t check_source(const Record &record, const btns_addr_t &now);
	btns_reason_t check_grant(const Record *record, bool armed, const btns_authorize_t &facts,
							  const PadConfig &pad) const;
	static btns_reason_t check_final(const Record *record, const btns_authorize_t &facts, const PadConfig &pad);
	[[nodiscard]] btns_reason_t check_child(const Record *record, const btns_child_t &child,
											const std::vector<Range> &remote, const Context &context,
											Trace *trace = nullptr) const;
	[[nodiscard]] const Holding *other_holder(const Range &range, const KeyInfo &own, const btns_child_t &child) const;
	[[nodiscard]] static bool is_verified(const Record &record, const btns_authorize_t &facts);
	[[nodiscard]] bool is_reserved(const Range &range, const Context &context) const;
	[[nodiscard]] bool has_too_many(const Record &record, const btns_child_t &child, const std::vector<Range> &remote,
									unsigned max) const;
	static bool keeps_selectors(const Record &record, const btns_child_t &child, const std::vector<Range> &remote);
	ChildVerdict decide_child(uint32_t sa, const btns_child_t &child, const Context &context, bool store, bool up);
	void store_child(uint32_t sa, Record &record, const btns_child_t &child, bool up);
	[[nodiscard]] std::vector<Eviction> overlapping_strangers(const std::vector<Range> &ranges) const;
	[[nodiscard]] std::vector<Eviction> overlapping_nulls(const std::vector<Range> &ranges, const KeyInfo &own) const;
	void show(uint32_t sa, const Record &record, btns_peer_info_t &out) const;
	void changed() { generation_.fetch_add(1, std::memory_order_acq_rel); }
	std::shared_ptr<const KeyInfo> local_key(Bytes spki);
	[[nodiscard]] ChannelAnswer find(const Flow &flow, bool one) const;
	static Snapshot snapshot(uint32_t sa, const Record &record, const Holding *child);
	static ChannelAnswer complete(Snapshot snapshot);
	void queue_event(bool came, uint32_t sa, const Record &record);
	[[nodiscard]] bool has_others(const Channel &channel, uint64_t root) const;
	/** It is no longer what it was. */
	void tell_gone(uint32_t sa, Record &record);

	mutable std::mutex mutex_;
	HoldingIndex index_;
	Admission admission_;
	Admission null_admission_;
	Admission half_open_;
	size_t cert_bytes_ = 0;
	/** of transcripts */
	size_t body_bytes_ = 0;
	uint64_t next_order_ = 0;
	uint64_t next_root_ = 1;
	NamePool names_;
	/** X.509 certificates, DER */
	NamePool trust_anchors_;
	/** our own, of which there are few */
	std::vector<LocalKey> local_keys_;
	std::vector<Shunt> shunts_;
	uint64_t shunts_generation_ = 0;
	SentRequests sent_;
	std::deque<QueuedEvent> events_;
	std::atomic<uint64_t> generation_ = 1;
	std::map<uint32_t, Record> records_;

	/* of take_event() */
	std::mutex watch_mutex_;
	PeerWatch watch_;
	std::optional<PeerEvent> changed_;
};

} // namespace btns
