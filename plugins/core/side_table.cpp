/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
#include "side_table.h"

#include <algorithm>
#include <cstring>
#include <set>

#include "child_policy.h"
#include "overload.h"

namespace btns
{

namespace
{

using Lock = std::lock_guard<std::mutex>;

template <size_t size>
void copy_text(std::string_view text, char (&out)[size])
{
	const size_t length = std::min(text.size(), size - 1);
	std::memcpy(out, text.data(), length);
	out[length] = '\0';
}

Caps peer_caps(const Settings &settings)
{
	return {settings.max_peers, settings.max_peers_per_source, BTNS_REASON_MAX_PEERS, BTNS_REASON_MAX_PEERS_PER_SOURCE};
}

Caps null_caps(const NullSettings &settings)
{
	return {settings.max_peers, settings.max_peers_per_source, BTNS_REASON_MAX_NULL_PEERS,
			BTNS_REASON_MAX_NULL_PEERS_PER_SOURCE};
}

Caps half_open_caps(const Settings &settings)
{
	return {settings.max_half_open, settings.max_half_open_per_source, BTNS_REASON_HALF_OPEN,
			BTNS_REASON_HALF_OPEN_PER_SOURCE};
}

/** Of IKE_SA_INIT. */
Address source_address(const btns_addr_t &source)
{
	return to_address(source).value_or(Address{});
}

/** Seconds as milliseconds. */
int64_t milliseconds(unsigned seconds)
{
	return int64_t{1000} * seconds;
}

bool is_key(const btns_key_t &key, const uint8_t *fingerprint)
{
	return fingerprint != nullptr && std::ranges::equal(key.fingerprint, std::span(fingerprint, BTNS_FINGERPRINT_LEN));
}

} // namespace

SideTable::Record *SideTable::find(uint32_t sa)
{
	const auto found = records_.find(sa);
	return found == records_.end() ? nullptr : &found->second;
}

const SideTable::Record *SideTable::find(uint32_t sa) const
{
	const auto found = records_.find(sa);
	return found == records_.end() ? nullptr : &found->second;
}

SideTable::Record &SideTable::make(uint32_t sa)
{
	const auto [found, made] = records_.try_emplace(sa);
	if (made)
	{
		found->second.root.id = next_root_++;
	}
	return found->second;
}

void SideTable::forget_certs(Record &record)
{
	if (record.handshake && record.handshake->certs)
	{
		cert_bytes_ -= record.handshake->certs->bytes();
		record.handshake->certs.reset();
	}
}

Handshake &SideTable::begin_handshake(Record &record)
{
	if (!record.handshake)
	{
		record.handshake = std::make_unique<Handshake>();
	}
	return *record.handshake;
}

/** Nothing of it is needed any more. */
void SideTable::end_handshake(Record &record)
{
	forget_certs(record);
	if (record.handshake)
	{
		body_bytes_ -= record.handshake->transcript.bytes();
		record.handshake.reset();
	}
}

void SideTable::give_back_place(Record &record)
{
	if (record.place)
	{
		(record.null_place ? null_admission_ : admission_).give_back(source_address(record.source));
		record.place = false;
	}
}

/** The key may no longer be offered; the place is given back unless the peer has proven that the key is its own. */
void SideTable::disarm(Record &record)
{
	if (record.handshake)
	{
		record.handshake->armed = false;
		record.handshake->null_key_taken = false;
	}
	if (!record.verified)
	{
		give_back_place(record);
	}
}

void SideTable::close_half_open(Record &record)
{
	if (record.half_open)
	{
		half_open_.give_back(source_address(record.source));
		record.half_open = false;
	}
}

btns_reason_t SideTable::check_room(const Record &record, const Settings &settings) const
{
	if (record.place)
	{
		return BTNS_REASON_NONE;
	}
	if (record.too_late != BTNS_REASON_NONE)
	{
		return record.too_late;
	}
	const Address source = source_address(record.source);
	if (is_null_auth(record))
	{
		return settings.null ? null_admission_.check(source, null_caps(*settings.null)) : BTNS_REASON_NULL_OFF;
	}
	return admission_.check(source, peer_caps(settings));
}

size_t SideTable::count_children(const Record &record)
{
	return static_cast<size_t>(
		std::ranges::count_if(record.children, [](const Holding &child) { return child.facts()->up; }));
}

/** Is a peer that begins too late because of those that have begun? Only for what is to be a responder's record. */
btns_reason_t SideTable::check_half_open(const Record &record, const Settings &settings) const
{
	return record.source.family != 0 && record.role == BTNS_ROLE_RESPONDER
			   ? half_open_.check(source_address(record.source), half_open_caps(settings))
			   : BTNS_REASON_NONE;
}

btns_reason_t SideTable::check_admissible(const Record &record, const Settings &settings, unsigned ike_sas) const
{
	if (record.source.family == 0)
	{
		return BTNS_REASON_SA_UNKNOWN;
	}
	if (is_crowded(ike_sas, settings.ikesa_limit))
	{
		return BTNS_REASON_CROWDED;
	}
	return check_room(record, settings);
}

bool SideTable::has_children(const Record &record)
{
	return count_children(record) > 0;
}

const Holding *SideTable::find_child(const Record &record, uint32_t child)
{
	const auto found =
		std::ranges::find_if(record.children, [child](const Holding &held) { return held.facts()->child == child; });
	return found == record.children.end() ? nullptr : &*found;
}

void SideTable::forget_message(Record &record)
{
	disarm(record);
	forget_certs(record);
	if (record.handshake)
	{
		record.handshake->presented.reset();
		record.handshake->has_message = false;
		record.handshake->refusal = BTNS_REASON_NONE;
	}
}

btns_reason_t SideTable::check_source(const Record &record, const btns_addr_t &now)
{
	const auto source = to_address(record.source);
	if (!source)
	{
		return BTNS_REASON_SA_UNKNOWN;
	}
	return to_address(now) == source ? BTNS_REASON_NONE : BTNS_REASON_ADDRESS_CHANGED;
}

bool SideTable::init(uint32_t sa, const btns_init_t &init, const Settings &settings)
{
	const auto address = to_address(init.source);
	auto handshake = std::make_unique<Handshake>();
	const Lock lock(mutex_);
	Record *record = find(sa);
	if (record == nullptr)
	{
		if (records_.size() >= records_max)
		{
			return false;
		}
		record = &make(sa);
	}
	tell_gone(sa, *record);
	// charon starts over with the same unique ID: nothing about the peer holds any more. What is in the kernel does.
	forget_certs(*record);
	record->verified.reset();
	disarm(*record);
	close_half_open(*record);
	if (init.role == BTNS_ROLE_INITIATOR)
	{
		if (auto sent = sent_.take(init.spi_i))
		{
			handshake->transcript = std::move(*sent);
		}
	}
	end_handshake(*record);
	handshake->requested = init.requested;
	Record fresh;
	fresh.handshake = std::move(handshake);
	fresh.root.id = next_root_++;
	fresh.source = init.source;
	fresh.role = init.role;
	fresh.endpoints.spi_i = init.spi_i;
	fresh.endpoints.spi_r = init.spi_r;
	fresh.too_late = check_half_open(fresh, settings);
	if (address && init.role == BTNS_ROLE_RESPONDER && fresh.too_late == BTNS_REASON_NONE)
	{
		half_open_.take(*address);
		fresh.half_open = true;
	}
	fresh.children = std::move(record->children);
	fresh.hosts = std::move(record->hosts);
	*record = std::move(fresh);
	changed();
	return true;
}

bool SideTable::message(uint32_t sa, const btns_auth_message_t &message)
{
	size_t budget = 0;
	{
		const Lock lock(mutex_);
		Record *record = find(sa);
		if (record == nullptr)
		{
			return false;
		}
		// first, so that a failure below leaves nothing that an earlier message showed
		forget_message(*record);
		budget = all_certs_bytes_max - std::min(cert_bytes_, all_certs_bytes_max);
	}
	const auto certs = std::make_shared<const CertPayloads>(
		copy_certs(std::span(message.certs, message.cert_count), message.cert_total, budget));
	const char *text = message.asserted_id != nullptr ? message.asserted_id : "";
	std::string asserted_id(text, strnlen(text, BTNS_ID_LEN - 1));

	const Lock lock(mutex_);
	Record *record = find(sa);
	if (record == nullptr)
	{
		return false;
	}
	forget_certs(*record);
	Handshake &handshake = begin_handshake(*record);
	handshake.has_message = true;
	handshake.auth = message.auth;
	handshake.auth_source = message.source;
	handshake.another_follows = message.another_follows;
	handshake.certs = certs;
	if (record->role == BTNS_ROLE_RESPONDER)
	{
		handshake.requested = message.requested;
	}
	cert_bytes_ += certs->bytes();
	record->asserted_id = std::move(asserted_id);
	record->asserted_id.shrink_to_fit();
	return true;
}

unsigned SideTable::requested(uint32_t sa) const
{
	const Lock lock(mutex_);
	const Record *record = find(sa);
	return record != nullptr && record->handshake ? record->handshake->requested : 0;
}

void SideTable::forget_message(uint32_t sa)
{
	const Lock lock(mutex_);
	if (Record *record = find(sa))
	{
		forget_message(*record);
	}
}

btns_auth_t SideTable::auth(uint32_t sa) const
{
	const Lock lock(mutex_);
	const Record *record = find(sa);
	return has_message(record) ? record->handshake->auth : BTNS_AUTH_OTHER;
}

PresentedKey SideTable::key(uint32_t sa, const Settings &settings, KeyMeter &meter, int64_t now)
{
	std::shared_ptr<const CertPayloads> certs;
	Address source;
	{
		const Lock lock(mutex_);
		const Record *record = find(sa);
		if (record == nullptr)
		{
			return {BTNS_STATUS_REFUSED, BTNS_REASON_SA_UNKNOWN, {}};
		}
		if (!has_message(record))
		{
			return {};
		}
		const btns_reason_t reason = check_source(*record, record->handshake->auth_source);
		if (reason != BTNS_REASON_NONE)
		{
			return {BTNS_STATUS_REFUSED, reason, {}};
		}
		if (record->handshake->presented)
		{
			return *record->handshake->presented;
		}
		if (const btns_reason_t full = check_room(*record, settings); full != BTNS_REASON_NONE)
		{
			return {BTNS_STATUS_REFUSED, full, {}};
		}
		certs = record->handshake->certs;
		source = source_address(record->source);
	}
	if (!certs)
	{
		return {};
	}
	if (const auto reason = meter.spend(source, payload_cost, settings.key_rates, now); reason != BTNS_REASON_NONE)
	{
		return {BTNS_STATUS_REFUSED, reason, {}};
	}
	const KeyGate gate = [&](btns_key_type_t type, unsigned bits)
	{ return meter.spend(source, key_cost(type, bits), settings.key_rates, now); };
	const auto found = std::make_shared<const PresentedKey>(find_presented_key(settings.keys, *certs, gate));
	if (found->status == BTNS_STATUS_OK || found->status == BTNS_STATUS_REFUSED)
	{
		const Lock lock(mutex_);
		Record *record = find(sa);
		if (record != nullptr && record->handshake && record->handshake->certs == certs)
		{
			record->handshake->presented = found;
		}
	}
	return *found;
}

std::shared_ptr<const CertPayloads> SideTable::certs(uint32_t sa) const
{
	const Lock lock(mutex_);
	const Record *record = find(sa);
	return record != nullptr && record->handshake ? record->handshake->certs : nullptr;
}

btns_reason_t SideTable::admissible(uint32_t sa, const Settings &settings, unsigned ike_sas) const
{
	const Lock lock(mutex_);
	const Record *record = find(sa);
	return record != nullptr ? check_admissible(*record, settings, ike_sas) : BTNS_REASON_SA_UNKNOWN;
}

btns_reason_t SideTable::arm(uint32_t sa, btns_role_t role, const Settings &settings)
{
	const Lock lock(mutex_);
	Record *record = find(sa);
	if (record == nullptr)
	{
		return BTNS_REASON_SA_UNKNOWN;
	}
	if (record->verified)
	{
		return BTNS_REASON_MULTIPLE_ROUNDS;
	}
	const bool null = is_null_auth(*record);
	if (!has_message(record) || (record->handshake->auth != BTNS_AUTH_SIGNATURE && !null))
	{
		return BTNS_REASON_NOT_SIGNATURE;
	}
	btns_reason_t reason = check_source(*record, record->handshake->auth_source);
	if (reason != BTNS_REASON_NONE)
	{
		return reason;
	}
	const auto &presented = record->handshake->presented;
	if (!null && (!presented || presented->status != BTNS_STATUS_OK))
	{
		return presented ? presented->reason : BTNS_REASON_NO_KEY;
	}
	reason = check_room(*record, settings);
	if (reason != BTNS_REASON_NONE)
	{
		return reason;
	}
	if (!record->place)
	{
		(null ? null_admission_ : admission_).take(source_address(record->source));
		record->place = true;
		record->null_place = null;
	}
	record->role = role;
	record->handshake->armed = true;
	return BTNS_REASON_NONE;
}

bool SideTable::take_null_key(uint32_t sa)
{
	const Lock lock(mutex_);
	Record *record = find(sa);
	if (!is_armed(record) || !is_null_auth(*record))
	{
		return false;
	}
	record->handshake->null_key_taken = true;
	return true;
}

std::shared_ptr<const btns_key_t> SideTable::armed_key(uint32_t sa) const
{
	const Lock lock(mutex_);
	const Record *record = find(sa);
	if (!is_armed(record) || is_null_auth(*record) || !record->handshake->presented)
	{
		return nullptr;
	}
	return {record->handshake->presented, &record->handshake->presented->key};
}

std::shared_ptr<const KeyInfo> SideTable::verified(uint32_t sa) const
{
	const Lock lock(mutex_);
	const Record *record = find(sa);
	return record != nullptr ? record->verified : nullptr;
}

/** Is what charon has verified what the peer was armed for? */
bool SideTable::is_verified(const Record &record, const btns_authorize_t &facts)
{
	if (is_null_auth(record))
	{
		// no key of anybody's was tried, and no certificate plays a part
		return facts.psk && record.handshake->null_key_taken && facts.verified == nullptr;
	}
	return facts.pubkey && is_key(record.handshake->presented->key, facts.verified);
}

btns_reason_t SideTable::check_grant(const Record *record, bool armed, const btns_authorize_t &facts,
									 const PadConfig &pad) const
{
	const bool flagged = facts.flag != BTNS_FLAG_NONE;
	if (record == nullptr)
	{
		return flagged || facts.verified != nullptr ? BTNS_REASON_SA_UNKNOWN : BTNS_REASON_NONE;
	}
	if (record->verified)
	{
		return BTNS_REASON_MULTIPLE_ROUNDS;
	}
	if (!flagged)
	{
		return armed || facts.verified != nullptr || is_null_auth(*record) ? BTNS_REASON_PEER_WITHOUT_FLAG
																		   : BTNS_REASON_NONE;
	}
	const bool null = is_null_auth(*record);
	if (has_message(record) && null != (facts.flag == BTNS_FLAG_NULL))
	{
		return null ? BTNS_REASON_NULL_NOT_ADMITTED : BTNS_REASON_NOT_NULL;
	}
	if (!armed || (!null && !record->handshake->presented))
	{
		return has_message(record) && !null && record->handshake->auth != BTNS_AUTH_SIGNATURE
				   ? BTNS_REASON_NOT_SIGNATURE
				   : BTNS_REASON_FLAG_WITHOUT_PEER;
	}
	if (facts.rounds_done > 0 || record->handshake->another_follows)
	{
		return BTNS_REASON_MULTIPLE_ROUNDS;
	}
	if (!is_verified(*record, facts))
	{
		return BTNS_REASON_NOT_VERIFIED;
	}
	if (const auto reason = check_source(*record, facts.source); reason != BTNS_REASON_NONE)
	{
		return reason;
	}
	static constexpr Fingerprint no_key{};
	const std::span<const uint8_t, BTNS_FINGERPRINT_LEN> key =
		null ? std::span(no_key) : std::span(record->handshake->presented->key.fingerprint);
	return pad.admits(facts.connection, facts.flag, key) ? BTNS_REASON_NONE : BTNS_REASON_ENTRY_UNUSABLE;
}

btns_reason_t SideTable::check_final(const Record *record, const btns_authorize_t &facts, const PadConfig &pad)
{
	const bool is_btns = record != nullptr && record->verified;
	if (facts.flag == BTNS_FLAG_NONE)
	{
		return is_btns || facts.verified != nullptr ? BTNS_REASON_PEER_WITHOUT_FLAG : BTNS_REASON_NONE;
	}
	if (!is_btns)
	{
		return record != nullptr ? BTNS_REASON_FLAG_WITHOUT_PEER : BTNS_REASON_SA_UNKNOWN;
	}
	if (!facts.coerced)
	{
		return BTNS_REASON_IDENTITY_NOT_COERCED;
	}
	if (record->verified->is_null() != (facts.flag == BTNS_FLAG_NULL))
	{
		return BTNS_REASON_FLAG_WITHOUT_PEER;
	}
	// charon may have gone on to its next candidate
	return pad.admits(facts.connection, facts.flag, record->verified->fingerprint()) ? BTNS_REASON_NONE
																					 : BTNS_REASON_ENTRY_UNUSABLE;
}

btns_grant_t SideTable::authorize(uint32_t sa, const btns_authorize_t &facts, const PadConfig &pad)
{
	btns_grant_t grant{};

	const Lock lock(mutex_);
	Record *record = find(sa);
	const bool armed = is_armed(record);
	if (facts.reserved_name)
	{
		grant.reason = BTNS_REASON_RESERVED_NAME;
	}
	else
	{
		grant.reason = facts.final ? check_final(record, facts, pad) : check_grant(record, armed, facts, pad);
	}
	grant.allowed = grant.reason == BTNS_REASON_NONE;
	grant.btns = grant.allowed && facts.flag != BTNS_FLAG_NONE;
	if (grant.btns)
	{
		Name connection = names_.get(facts.connection);
		if (!facts.final)
		{
			record->verified = is_null_auth(*record)
								   ? std::make_shared<const KeyInfo>(NullPeer{facts.spi_i, facts.spi_r})
								   : std::make_shared<const KeyInfo>(record->handshake->presented->key);
		}
		record->flag = facts.flag;
		record->connection = std::move(connection);
		grant.null = record->verified->is_null();
		grant.key = record->verified->to_abi();
		copy_text(record->verified->identity(), grant.identity);
	}
	if (record != nullptr)
	{
		if (grant.allowed)
		{
			close_half_open(*record);
		}
		disarm(*record);
		forget_certs(*record);
	}
	return grant;
}

bool SideTable::abandon(uint32_t sa)
{
	const Lock lock(mutex_);
	Record *record = find(sa);
	if (record == nullptr)
	{
		return false;
	}
	const bool stranger = is_armed(record) || record->verified;
	disarm(*record);
	forget_certs(*record);
	return stranger;
}

btns_reason_t SideTable::may_create_child(uint32_t sa, const Settings &settings, int64_t now)
{
	// a minute's worth may come at once
	constexpr int64_t minute = 60000;
	const BucketSize size{std::max(settings.child_rate, 1U), std::max(settings.child_rate, 1U) * minute};

	const Lock lock(mutex_);
	Record *record = find(sa);
	if (record == nullptr || !record->verified)
	{
		return BTNS_REASON_NONE;
	}
	if (!record->requests.has(size, now))
	{
		return BTNS_REASON_CHILD_RATE;
	}
	record->requests.take(minute, size, now);
	return BTNS_REASON_NONE;
}

void SideTable::used(uint32_t sa, int64_t when)
{
	const Lock lock(mutex_);
	if (Record *record = find(sa))
	{
		record->active = std::max(record->active, when);
	}
}

void SideTable::rekey(uint32_t from, uint32_t to)
{
	if (from == to)
	{
		return;
	}
	const Lock lock(mutex_);
	Record *old = find(from);
	if (old == nullptr)
	{
		return;
	}
	Record &next = make(to);
	// everything that can fail is done before anything is moved
	std::string asserted_id = old->asserted_id;
	close_half_open(next);
	give_back_place(next);
	end_handshake(next);
	next.null_place = old->null_place;
	next.place = std::exchange(old->place, false);
	next.source = old->source;
	next.role = old->role;
	next.flag = old->flag;
	next.connection = old->connection;
	next.asserted_id = std::move(asserted_id);
	next.root = old->root;
	next.local_port = old->local_port;
	next.remote_port = old->remote_port;
	next.local_nat = old->local_nat;
	next.remote_nat = old->remote_nat;
	next.verified = old->verified;
	next.established = old->established;
	next.endpoints = old->endpoints;
	next.superseded = false;
	next.requests = old->requests;
	next.seen = old->seen;
	next.had_children = old->had_children;
	next.begun = old->begun;
	next.active = old->active;
	for (Holding &child : old->children)
	{
		child.move_to(to);
	}
	next.children.splice_after(next.children.before_begin(), old->children);
	if (old->hosts)
	{
		next.hosts = std::move(old->hosts);
		next.hosts->move_to(to);
	}
	old->superseded = true;
	changed();
}

bool SideTable::up(uint32_t sa, const Endpoints &endpoints)
{
	const Lock lock(mutex_);
	Record *record = find(sa);
	if (record == nullptr || !record->verified)
	{
		return false;
	}
	const int64_t since = endpoints.since != 0 ? endpoints.since : record->endpoints.since;
	record->endpoints = endpoints;
	record->endpoints.since = since;
	record->established = true;
	changed();
	return true;
}

void SideTable::drop(uint32_t sa)
{
	const Lock lock(mutex_);
	const auto found = records_.find(sa);
	if (found == records_.end())
	{
		return;
	}
	Record &record = found->second;
	tell_gone(sa, record);
	record.verified.reset();
	disarm(record);
	close_half_open(record);
	end_handshake(record);
	records_.erase(found);
	changed();
}

bool SideTable::is_reserved(const Range &range, const Context &context) const
{
	return context.pad.reserved().overlaps(range) || context.settings.reserve.overlaps(range) ||
		   index_.authenticated.overlaps(range);
}

/** Is there no room for one more? One that replaces another with the same selectors, a rekeyed one, does not count. */
bool SideTable::has_too_many(const Record &record, const btns_child_t &child, const std::vector<Range> &remote,
							 unsigned max) const
{
	size_t others = 0;
	size_t different = 0;
	for (const Holding &other : record.children)
	{
		// what is only being installed is counted when it comes up
		if (other.facts()->child != child.child && other.facts()->up)
		{
			others++;
			different += other.ranges() != remote ? 1 : 0;
		}
	}
	return different >= max || others >= 2 * size_t{max} || child.present > 2 * size_t{max};
}

/**
 * Does a rekeyed CHILD_SA have the selectors of the one before? Else the peer would still hold those: the old CHILD_SA
 * stays until the peer deletes it, and charon keeps its reqid for the new one.
 */
bool SideTable::keeps_selectors(const Record &record, const btns_child_t &child, const std::vector<Range> &remote)
{
	if (const Holding *old = find_child(record, child.rekeys))
	{
		return old->ranges() == remote;
	}
	// both sides rekeyed it at the same time
	return std::ranges::any_of(record.children,
							   [&](const Holding &other) { return other.facts()->up && other.ranges() == remote; });
}

/**
 * Who holds addresses of a range with another key, and keeps them; NULL if nobody does. One of the peer's own addresses
 * it may have beside others of its kind. A key is preferred to none (RFC 7619 3): a NULL peer gets nothing that a peer
 * with a key holds, and keeps nothing that such a peer comes for.
 */
const Holding *SideTable::other_holder(const Range &range, const KeyInfo &own, const btns_child_t &child) const
{
	const Holding *other = nullptr;
	const bool own_host = is_own_host(range, {child.hosts, child.host_count});
	index_.strangers.for_each_overlap(range,
									  [&](const Range &, const Holding *holding)
									  {
										  const bool yields = own.is_null() ? own_host && holding->is_null()
																			: own_host || holding->is_null();
										  other = holding->is_another(own.fingerprint()) && !yields ? holding : nullptr;
										  return other == nullptr;
									  });
	return other;
}

btns_reason_t SideTable::check_child(const Record *record, const btns_child_t &child, const std::vector<Range> &remote,
									 const Context &context, Trace *trace) const
{
	if (record == nullptr || !record->verified)
	{
		return BTNS_REASON_SA_UNKNOWN;
	}
	if (!child.btns)
	{
		return BTNS_REASON_PEER_WITHOUT_FLAG;
	}
	const KeyInfo &own = *record->verified;
	const auto reserved = [&](const Range &range) { return is_reserved(range, context); };
	const auto held = [&](const Range &range) { return other_holder(range, own, child) != nullptr; };
	btns_reason_t found = BTNS_REASON_NONE;
	const auto stops = [&](const char *step, bool obstacle, btns_reason_t reason)
	{
		found = obstacle ? reason : BTNS_REASON_NONE;
		return note(trace, step, found);
	};
	const auto ill_formed = check_selectors({child.local, child.local_count}, {child.remote, child.remote_count});
	static_cast<void>(stops("child-configured", child.unconfigured, BTNS_REASON_UNCONFIGURED) ||
					  stops("child-mode", child.mode_mismatch, BTNS_REASON_CHILD_MODE) ||
					  stops("child-selectors", ill_formed != BTNS_REASON_NONE, ill_formed) ||
					  stops("child-reserved", std::ranges::any_of(remote, reserved), BTNS_REASON_CHILD_RESERVED) ||
					  stops("child-held", std::ranges::any_of(remote, held), BTNS_REASON_CHILD_HELD) ||
					  stops("child-rekeyed", child.rekeys != 0 && !keeps_selectors(*record, child, remote),
							BTNS_REASON_CHILD_REKEYED) ||
					  stops("child-count", has_too_many(*record, child, remote, context.settings.max_children),
							BTNS_REASON_CHILD_TOO_MANY));
	return found;
}

std::vector<Eviction> SideTable::overlapping_strangers(const std::vector<Range> &ranges) const
{
	std::set<uint32_t> sas;
	for (const Range &range : ranges)
	{
		index_.strangers.for_each_overlap(range,
										  [&](const Range &, const Holding *holding)
										  {
											  sas.insert(holding->sa());
											  return true;
										  });
	}
	std::vector<Eviction> evictions;
	for (const uint32_t sa : sas)
	{
		evictions.push_back({sa, BTNS_REASON_EVICTED});
	}
	return evictions;
}

/** NULL peers that a peer with a key takes the place of. */
std::vector<Eviction> SideTable::overlapping_nulls(const std::vector<Range> &ranges, const KeyInfo &own) const
{
	std::set<uint32_t> sas;
	for (const Range &range : ranges)
	{
		index_.strangers.for_each_overlap(range,
										  [&](const Range &, const Holding *holding)
										  {
											  if (!own.is_null() && holding->is_null())
											  {
												  sas.insert(holding->sa());
											  }
											  return true;
										  });
	}
	std::vector<Eviction> evictions;
	for (const uint32_t sa : sas)
	{
		evictions.push_back({sa, BTNS_REASON_KEY_PREFERRED});
	}
	return evictions;
}

void SideTable::store_child(uint32_t sa, Record &record, const btns_child_t &child, bool up)
{
	auto facts = std::make_unique<ChildFacts>();
	facts->child = child.child;
	facts->order = next_order_++;
	facts->installed = up;
	facts->up = up;
	describe(child, *facts);

	const Holding &stored = record.children.emplace_front(
		index_, Holding::Owner{sa, child.btns ? record.verified : nullptr}, std::span(child.remote, child.remote_count),
		std::span(child.local, child.local_count), std::move(facts));
	record.children.remove_if([&](const Holding &held)
							  { return &held != &stored && held.facts()->child == child.child; });
	changed();

	// one that never came up and was never reported down
	size_t pending = 0;
	const ChildFacts *oldest = nullptr;
	for (const Holding &held : record.children)
	{
		const ChildFacts *known = held.facts();
		if (!known->up)
		{
			pending++;
			oldest = oldest == nullptr || known->order < oldest->order ? known : oldest;
		}
	}
	if (pending > pending_max)
	{
		record.children.remove_if([oldest](const Holding &held) { return held.facts() == oldest; });
	}
}

ChildVerdict SideTable::decide_child(uint32_t sa, const btns_child_t &child, const Context &context, bool store,
									 bool up)
{
	ChildVerdict verdict;
	const std::vector<Range> remote = address_ranges({child.remote, child.remote_count});

	const Lock lock(mutex_);
	Record *record = find(sa);
	if (child.btns || (record != nullptr && record->verified))
	{
		verdict.reason = check_child(record, child, remote, context);
		if (verdict.reason == BTNS_REASON_NONE && store)
		{
			verdict.evictions = overlapping_nulls(remote, *record->verified);
			store_child(sa, *record, child, up);
		}
		return verdict;
	}
	verdict.evictions = overlapping_strangers(remote);
	if (store)
	{
		try
		{
			store_child(sa, record != nullptr ? *record : make(sa), child, up);
		}
		catch (const std::bad_alloc &)
		{
			verdict.not_indexed = true;
		}
	}
	return verdict;
}

ChildVerdict SideTable::authorize_child(uint32_t sa, const btns_child_t &child, const Context &context)
{
	return decide_child(sa, child, context, child.installing, false);
}

ChildVerdict SideTable::child_up(uint32_t sa, const btns_child_t &child, const Context &context)
{
	return decide_child(sa, child, context, true, true);
}

void SideTable::child_down(uint32_t sa, uint32_t child)
{
	const Lock lock(mutex_);
	if (Record *record = find(sa))
	{
		record->children.remove_if([child](const Holding &held) { return held.facts()->child == child; });
		changed();
	}
}

std::optional<std::vector<Eviction>> SideTable::holds(uint32_t sa, std::vector<Range> ranges)
{
	std::ranges::sort(ranges);
	const auto duplicates = std::unique(ranges.begin(), ranges.end());
	ranges.erase(duplicates, ranges.end());

	const Lock lock(mutex_);
	if (const Record *record = find(sa); record != nullptr && record->verified)
	{
		return std::nullopt;
	}
	auto evictions = overlapping_strangers(ranges);
	std::vector<btns_ts_t> selectors;
	selectors.reserve(ranges.size());
	for (const Range &range : ranges)
	{
		selectors.push_back(to_selector(range));
	}
	make(sa).hosts = std::make_unique<Holding>(index_, Holding::Owner{sa, nullptr}, selectors,
											   std::span<const btns_ts_t>(), nullptr);
	return evictions;
}

bool SideTable::is_held(const Range &range) const
{
	const Lock lock(mutex_);
	return index_.authenticated.overlaps(range);
}

std::vector<Eviction> SideTable::audit(const Context &context) const
{
	std::vector<Eviction> evictions;
	const Lock lock(mutex_);
	for (const auto &[sa, record] : records_)
	{
		if (!is_peer(record))
		{
			continue;
		}
		if (!context.pad.admits(text_of(record.connection), record.flag, record.verified->fingerprint()))
		{
			evictions.push_back({sa, BTNS_REASON_UNCONFIGURED});
			continue;
		}
		const bool overlaps =
			std::ranges::any_of(record.children,
								[&](const Holding &child) {
									return std::ranges::any_of(child.ranges(), [&](const Range &range)
															   { return is_reserved(range, context); });
								});
		if (overlaps)
		{
			evictions.push_back({sa, BTNS_REASON_EVICTED});
		}
	}
	return evictions;
}

bool SideTable::mark_evicted(uint32_t sa)
{
	const Lock lock(mutex_);
	Record *record = find(sa);
	return record != nullptr && !std::exchange(record->evicted, true);
}

SideTable::Reaping SideTable::reap(const Settings &settings, int64_t now)
{
	Reaping reaping;
	const Lock lock(mutex_);
	for (auto &[sa, record] : records_)
	{
		const bool children = has_children(record);
		if (!record.seen)
		{
			record.begun = now;
		}
		if (!record.seen || children != record.had_children)
		{
			record.active = std::max(record.active, now);
			record.had_children = children;
			record.seen = true;
		}
		// what we have initiated is ours to end
		if (!is_peer(record) || !record.established || record.role != BTNS_ROLE_RESPONDER)
		{
			continue;
		}
		const unsigned timeout = children ? settings.idle_timeout : settings.childless_timeout;
		if (timeout == 0 || now - record.active < milliseconds(timeout))
		{
			continue;
		}
		if (!children)
		{
			reaping.evictions.push_back({sa, BTNS_REASON_CHILDLESS});
		}
		else if (reaping.looks.size() < looks_max)
		{
			show(sa, record, reaping.looks.emplace_back());
		}
	}
	return reaping;
}

bool SideTable::is_idle(uint32_t sa, const Settings &settings, int64_t now) const
{
	const Lock lock(mutex_);
	const Record *record = find(sa);
	return record != nullptr && is_peer(*record) && settings.idle_timeout != 0 &&
		   now - record->active >= milliseconds(settings.idle_timeout);
}

std::vector<Eviction> SideTable::shed(const Settings &settings, int64_t now, unsigned ike_sas) const
{
	const size_t count = count_to_shed(ike_sas, settings.ikesa_limit);
	if (count == 0)
	{
		return {};
	}
	struct Candidate
	{
		/** who goes first */
		int rank;
		int64_t active;
		Eviction eviction;
	};
	std::vector<Candidate> candidates;
	const Lock lock(mutex_);
	for (const auto &[sa, record] : records_)
	{
		if (is_peer(record) && record.established)
		{
			const bool ours = record.role == BTNS_ROLE_INITIATOR;
			// nobody before somebody with a key
			const int rank = ours ? 5 : (has_children(record) ? 3 : 1) + (record.verified->is_null() ? 0 : 1);
			candidates.push_back({rank, record.active, {sa, BTNS_REASON_SHED}});
		}
		else if (record.role == BTNS_ROLE_RESPONDER && record.source.family != 0 && record.handshake &&
				 !record.handshake->has_message && !record.verified && !record.established && !record.hosts &&
				 record.children.empty() && record.seen && now - record.begun >= half_open_grace)
		{
			candidates.push_back({0, record.begun, {sa, BTNS_REASON_SHED_HALF_OPEN}});
		}
	}
	const size_t chosen = std::min(count, candidates.size());
	std::ranges::partial_sort(candidates, candidates.begin() + static_cast<std::ptrdiff_t>(chosen), {},
							  [](const Candidate &c) { return std::pair(c.rank, c.active); });
	std::vector<Eviction> evictions;
	for (size_t i = 0; i < chosen; i++)
	{
		evictions.push_back(candidates[i].eviction);
	}
	return evictions;
}

/** A record as it would be right after IKE_SA_INIT. */
SideTable::Record SideTable::suppose(const Supposed &peer, const Settings &settings) const
{
	Record record;
	record.source = peer.source;
	record.role = peer.role;
	record.too_late = check_half_open(record, settings);
	return record;
}

PresentedKey SideTable::suppose_key(const Supposed &peer, const CertPayloads &certs, const Settings &settings,
									const KeyMeter &meter, int64_t now) const
{
	if (peer.source.family == 0)
	{
		return {BTNS_STATUS_REFUSED, BTNS_REASON_SA_UNKNOWN, {}};
	}
	{
		const Lock lock(mutex_);
		if (const auto full = check_room(suppose(peer, settings), settings); full != BTNS_REASON_NONE)
		{
			return {BTNS_STATUS_REFUSED, full, {}};
		}
	}
	// whoever asks has to wait for it: nothing is spent
	const btns_reason_t reason = meter.check(source_address(peer.source), settings.key_rates, now);
	return reason != BTNS_REASON_NONE ? PresentedKey{BTNS_STATUS_REFUSED, reason, {}}
									  : find_presented_key(settings.keys, certs);
}

btns_reason_t SideTable::suppose_admissible(const Supposed &peer, const Settings &settings, unsigned ike_sas) const
{
	const Lock lock(mutex_);
	return check_admissible(suppose(peer, settings), settings, ike_sas);
}

SupposedChild SideTable::suppose_child(const Fingerprint &key, const btns_child_t &child, const Context &context) const
{
	SupposedChild supposed;
	const std::vector<Range> remote = address_ranges({child.remote, child.remote_count});
	btns_key_t verified{};
	std::ranges::copy(key, verified.fingerprint);
	Record record;
	record.verified = std::make_shared<const KeyInfo>(verified);

	const Lock lock(mutex_);
	supposed.reason = check_child(&record, child, remote, context, &supposed.trace);
	const auto has = [&](const Range &range, uint32_t holder)
	{
		supposed.range = range;
		supposed.holder = holder;
		return false;
	};
	for (const Range &range : remote)
	{
		if (supposed.reason == BTNS_REASON_CHILD_RESERVED && is_reserved(range, context))
		{
			has(range, 0);
			index_.authenticated.for_each_overlap(range, [&](const Range &, const Holding *holding)
												  { return has(range, holding->sa()); });
			break;
		}
		const Holding *holding = other_holder(range, *record.verified, child);
		if (supposed.reason == BTNS_REASON_CHILD_HELD && holding != nullptr)
		{
			has(range, holding->sa());
			break;
		}
	}
	return supposed;
}

void SideTable::refuse(uint32_t sa, btns_reason_t reason)
{
	const Lock lock(mutex_);
	Record *record = find(sa);
	if (record != nullptr && record->handshake && record->handshake->refusal == BTNS_REASON_NONE)
	{
		record->handshake->refusal = reason;
	}
}

btns_reason_t SideTable::take_refusal(uint32_t sa, bool flagged)
{
	const Lock lock(mutex_);
	Record *record = find(sa);
	if (record == nullptr || !record->handshake)
	{
		return BTNS_REASON_NONE;
	}
	Handshake &handshake = *record->handshake;
	const btns_reason_t reason = std::exchange(handshake.refusal, BTNS_REASON_NONE);
	if (reason != BTNS_REASON_NONE)
	{
		return reason;
	}
	if (is_null_auth(*record) && !record->verified)
	{
		return handshake.armed ? BTNS_REASON_NOT_VERIFIED
							   : (flagged ? BTNS_REASON_NULL_NOT_ADMITTED : BTNS_REASON_NONE);
	}
	if (flagged && handshake.has_message && !record->verified && handshake.auth != BTNS_AUTH_SIGNATURE)
	{
		return BTNS_REASON_NOT_SIGNATURE;
	}
	if (!handshake.armed && (record->verified || !handshake.certs || !handshake.certs->has_bare_key()))
	{
		return BTNS_REASON_NONE;
	}
	return flagged ? BTNS_REASON_NOT_VERIFIED : BTNS_REASON_NOT_FLAGGED;
}

void SideTable::show(uint32_t sa, const Record &record, btns_peer_info_t &out) const
{
	out = {};
	out.sa = sa;
	out.spi_i = record.endpoints.spi_i;
	out.spi_r = record.endpoints.spi_r;
	out.local = record.endpoints.local;
	out.remote = record.endpoints.remote;
	out.since = record.endpoints.since;
	if (!record.established && record.source.family != 0)
	{
		out.remote = record.source;
	}
	out.established = record.established;
	out.role = record.role;
	out.null = record.verified ? record.verified->is_null() : is_null_auth(record);
	if (record.verified)
	{
		out.key = record.verified->to_abi();
	}
	else if (record.handshake && record.handshake->presented && record.handshake->presented->status == BTNS_STATUS_OK)
	{
		out.key = record.handshake->presented->key;
	}
	copy_text(text_of(record.connection), out.connection);
	copy_text(record.asserted_id, out.asserted_id);
	out.children = count_children(record);
}

bool SideTable::info(uint32_t sa, btns_peer_info_t &out) const
{
	const Lock lock(mutex_);
	const Record *record = find(sa);
	if (record == nullptr)
	{
		return false;
	}
	show(sa, *record, out);
	return true;
}

std::vector<btns_peer_info_t> SideTable::peers() const
{
	std::vector<btns_peer_info_t> list;
	const Lock lock(mutex_);
	for (const auto &[sa, record] : records_)
	{
		if (is_peer(record))
		{
			show(sa, record, list.emplace_back());
		}
	}
	return list;
}

SideTable::Counts SideTable::counts() const
{
	const Lock lock(mutex_);
	Counts counts{0, 0, 0, half_open_.total(), records_.size(), index_.authenticated.size()};
	for (const auto &[sa, record] : records_)
	{
		if (is_peer(record))
		{
			counts.peers++;
			counts.null_peers += record.verified->is_null() ? 1 : 0;
			counts.children += count_children(record);
		}
	}
	return counts;
}

} // namespace btns
