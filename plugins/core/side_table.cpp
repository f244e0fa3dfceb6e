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
void copy_text(const std::string &text, char (&out)[size])
{
	const size_t length = std::min(text.size(), size - 1);
	std::memcpy(out, text.data(), length);
	out[length] = '\0';
}

Fingerprint fingerprint_of(const btns_key_t &key)
{
	Fingerprint out{};
	std::ranges::copy(key.fingerprint, out.begin());
	return out;
}

Caps peer_caps(const Settings &settings)
{
	return {settings.max_peers, settings.max_peers_per_source, BTNS_REASON_MAX_PEERS, BTNS_REASON_MAX_PEERS_PER_SOURCE};
}

Caps half_open_caps(const Settings &settings)
{
	return {settings.max_half_open, settings.max_half_open_per_source, BTNS_REASON_HALF_OPEN,
			BTNS_REASON_HALF_OPEN_PER_SOURCE};
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

void SideTable::forget_certs(Record &record)
{
	if (record.certs)
	{
		cert_bytes_ -= record.certs->bytes();
		record.certs.reset();
	}
}

/** The key may no longer be offered; the place is given back unless the peer has proven that the key is its own. */
void SideTable::disarm(Record &record)
{
	record.armed = false;
	if (record.place && !record.verified)
	{
		admission_.give_back(*record.place);
		record.place.reset();
	}
}

void SideTable::close_half_open(Record &record)
{
	if (record.half_open)
	{
		half_open_.give_back(*record.half_open);
		record.half_open.reset();
	}
}

btns_reason_t SideTable::check_room(const Record &record, const Settings &settings) const
{
	if (record.place)
	{
		return BTNS_REASON_NONE;
	}
	return record.too_late != BTNS_REASON_NONE ? record.too_late
											   : admission_.check(*record.source, peer_caps(settings));
}

bool SideTable::has_children(const Record &record)
{
	return std::ranges::any_of(record.children, [](const auto &child) { return child.second.up; });
}

void SideTable::forget_message(Record &record)
{
	disarm(record);
	forget_certs(record);
	record.presented.reset();
	record.has_message = false;
	record.refusal = BTNS_REASON_NONE;
}

btns_reason_t SideTable::check_source(const Record &record, const std::optional<Address> &now)
{
	if (!record.source)
	{
		return BTNS_REASON_SA_UNKNOWN;
	}
	return now == record.source ? BTNS_REASON_NONE : BTNS_REASON_ADDRESS_CHANGED;
}

bool SideTable::init(uint32_t sa, const btns_init_t &init, const Settings &settings)
{
	const auto address = to_address(init.source);
	const Lock lock(mutex_);
	Record *record = find(sa);
	if (record == nullptr)
	{
		if (records_.size() >= records_max)
		{
			return false;
		}
		record = &records_[sa];
	}
	// charon starts over with the same unique ID: nothing about the peer holds any more. What is in the kernel does.
	forget_certs(*record);
	record->verified.reset();
	disarm(*record);
	close_half_open(*record);
	Record fresh;
	fresh.source = address;
	fresh.role = init.role;
	fresh.endpoints.spi_i = init.spi_i;
	fresh.endpoints.spi_r = init.spi_r;
	if (address && init.role == BTNS_ROLE_RESPONDER)
	{
		fresh.too_late = half_open_.check(*address, half_open_caps(settings));
		if (fresh.too_late == BTNS_REASON_NONE)
		{
			half_open_.take(*address);
			fresh.half_open = address;
		}
	}
	fresh.children = std::move(record->children);
	fresh.hosts = std::move(record->hosts);
	*record = std::move(fresh);
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
	record->has_message = true;
	record->auth = message.auth;
	record->auth_source = to_address(message.source);
	record->another_follows = message.another_follows;
	record->asserted_id = std::move(asserted_id);
	record->certs = certs;
	cert_bytes_ += certs->bytes();
	return true;
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
	return record != nullptr && record->has_message ? record->auth : BTNS_AUTH_OTHER;
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
		if (!record->has_message)
		{
			return {};
		}
		const btns_reason_t reason = check_source(*record, record->auth_source);
		if (reason != BTNS_REASON_NONE)
		{
			return {BTNS_STATUS_REFUSED, reason, {}};
		}
		if (record->presented)
		{
			return *record->presented;
		}
		if (const btns_reason_t full = check_room(*record, settings); full != BTNS_REASON_NONE)
		{
			return {BTNS_STATUS_REFUSED, full, {}};
		}
		certs = record->certs;
		source = *record->source;
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
		if (record != nullptr && record->certs == certs)
		{
			record->presented = found;
		}
	}
	return *found;
}

std::shared_ptr<const CertPayloads> SideTable::certs(uint32_t sa) const
{
	const Lock lock(mutex_);
	const Record *record = find(sa);
	return record != nullptr ? record->certs : nullptr;
}

btns_reason_t SideTable::admissible(uint32_t sa, const Settings &settings, unsigned ike_sas) const
{
	const Lock lock(mutex_);
	const Record *record = find(sa);
	if (record == nullptr || !record->source)
	{
		return BTNS_REASON_SA_UNKNOWN;
	}
	if (is_crowded(ike_sas, settings.ikesa_limit))
	{
		return BTNS_REASON_CROWDED;
	}
	return check_room(*record, settings);
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
	if (!record->has_message || record->auth != BTNS_AUTH_SIGNATURE)
	{
		return BTNS_REASON_NOT_SIGNATURE;
	}
	btns_reason_t reason = check_source(*record, record->auth_source);
	if (reason != BTNS_REASON_NONE)
	{
		return reason;
	}
	if (!record->presented || record->presented->status != BTNS_STATUS_OK)
	{
		return record->presented ? record->presented->reason : BTNS_REASON_NO_KEY;
	}
	reason = check_room(*record, settings);
	if (reason != BTNS_REASON_NONE)
	{
		return reason;
	}
	if (!record->place)
	{
		admission_.take(*record->source);
		record->place = record->source;
	}
	record->role = role;
	record->armed = true;
	return BTNS_REASON_NONE;
}

std::shared_ptr<const btns_key_t> SideTable::armed_key(uint32_t sa) const
{
	const Lock lock(mutex_);
	const Record *record = find(sa);
	if (record == nullptr || !record->armed || !record->presented)
	{
		return nullptr;
	}
	return {record->presented, &record->presented->key};
}

std::shared_ptr<const btns_key_t> SideTable::verified_key(uint32_t sa) const
{
	const Lock lock(mutex_);
	const Record *record = find(sa);
	return record != nullptr ? record->verified : nullptr;
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
		return armed || facts.verified != nullptr ? BTNS_REASON_PEER_WITHOUT_FLAG : BTNS_REASON_NONE;
	}
	if (!armed || !record->presented)
	{
		return record->has_message && record->auth != BTNS_AUTH_SIGNATURE ? BTNS_REASON_NOT_SIGNATURE
																		  : BTNS_REASON_FLAG_WITHOUT_PEER;
	}
	if (facts.rounds_done > 0 || record->another_follows)
	{
		return BTNS_REASON_MULTIPLE_ROUNDS;
	}
	if (!facts.pubkey || !is_key(record->presented->key, facts.verified))
	{
		return BTNS_REASON_NOT_VERIFIED;
	}
	const btns_reason_t reason = check_source(*record, to_address(facts.source));
	if (reason != BTNS_REASON_NONE)
	{
		return reason;
	}
	return pad.admits(facts.connection, facts.flag, record->presented->key.fingerprint) ? BTNS_REASON_NONE
																						: BTNS_REASON_ENTRY_UNUSABLE;
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
	// charon may have gone on to its next candidate
	return pad.admits(facts.connection, facts.flag, record->verified->fingerprint) ? BTNS_REASON_NONE
																				   : BTNS_REASON_ENTRY_UNUSABLE;
}

btns_grant_t SideTable::authorize(uint32_t sa, const btns_authorize_t &facts, const PadConfig &pad)
{
	btns_grant_t grant{};
	std::string connection(facts.connection);

	const Lock lock(mutex_);
	Record *record = find(sa);
	const bool armed = record != nullptr && record->armed;
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
		if (!facts.final)
		{
			record->verified = {record->presented, &record->presented->key};
		}
		record->flag = facts.flag;
		record->connection = std::move(connection);
		grant.key = *record->verified;
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
	const bool stranger = record->armed || record->verified;
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
	Record &next = records_[to];
	// everything that can fail is done before anything is moved
	std::string connection = old->connection;
	std::string asserted_id = old->asserted_id;
	next.source = old->source;
	next.role = old->role;
	next.flag = old->flag;
	next.connection = std::move(connection);
	next.asserted_id = std::move(asserted_id);
	next.verified = old->verified;
	next.established = old->established;
	next.endpoints = old->endpoints;
	next.superseded = false;
	next.requests = old->requests;
	next.seen = old->seen;
	next.had_children = old->had_children;
	next.begun = old->begun;
	next.active = old->active;
	close_half_open(next);
	if (next.place)
	{
		admission_.give_back(*next.place);
	}
	next.place = std::exchange(old->place, std::nullopt);
	next.children.merge(old->children);
	for (auto &[id, child] : next.children)
	{
		child.remote->move_to(to);
	}
	if (old->hosts)
	{
		next.hosts = std::move(old->hosts);
		next.hosts->move_to(to);
	}
	old->superseded = true;
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
	forget_certs(record);
	record.verified.reset();
	disarm(record);
	close_half_open(record);
	records_.erase(found);
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
	for (const auto &[id, other] : record.children)
	{
		// what is only being installed is counted when it comes up
		if (id != child.child && other.up)
		{
			others++;
			different += other.remote->ranges() != remote ? 1 : 0;
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
	if (const auto old = record.children.find(child.rekeys); old != record.children.end())
	{
		return old->second.remote->ranges() == remote;
	}
	// both sides rekeyed it at the same time
	return std::ranges::any_of(record.children, [&](const auto &other)
							   { return other.second.up && other.second.remote->ranges() == remote; });
}

btns_reason_t SideTable::check_child(const Record *record, const btns_child_t &child, const std::vector<Range> &remote,
									 const Context &context) const
{
	if (record == nullptr || !record->verified)
	{
		return BTNS_REASON_SA_UNKNOWN;
	}
	if (!child.btns)
	{
		return BTNS_REASON_PEER_WITHOUT_FLAG;
	}
	if (child.unconfigured)
	{
		return BTNS_REASON_UNCONFIGURED;
	}
	if (child.mode_mismatch)
	{
		return BTNS_REASON_CHILD_MODE;
	}
	const btns_reason_t reason = check_selectors({child.local, child.local_count}, {child.remote, child.remote_count});
	if (reason != BTNS_REASON_NONE)
	{
		return reason;
	}
	if (std::ranges::any_of(remote, [&](const Range &range) { return is_reserved(range, context); }))
	{
		return BTNS_REASON_CHILD_RESERVED;
	}
	const Fingerprint own = fingerprint_of(*record->verified);
	for (const Range &range : remote)
	{
		bool held = false;
		if (!is_own_host(range, {child.hosts, child.host_count}))
		{
			index_.strangers.for_each_overlap(range, [&](const Range &, const Holding *holding)
											  { return !(held = holding->owner().key != own); });
		}
		if (held)
		{
			return BTNS_REASON_CHILD_HELD;
		}
	}
	if (child.rekeys != 0 && !keeps_selectors(*record, child, remote))
	{
		return BTNS_REASON_CHILD_REKEYED;
	}
	return has_too_many(*record, child, remote, context.settings.max_children) ? BTNS_REASON_CHILD_TOO_MANY
																			   : BTNS_REASON_NONE;
}

std::vector<Eviction> SideTable::overlapping_strangers(const std::vector<Range> &ranges) const
{
	std::set<uint32_t> sas;
	for (const Range &range : ranges)
	{
		index_.strangers.for_each_overlap(range,
										  [&](const Range &, const Holding *holding)
										  {
											  sas.insert(holding->owner().sa);
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

void SideTable::store_child(uint32_t sa, Record &record, const btns_child_t &child, std::vector<Range> remote, bool up)
{
	Holding::Owner owner{sa, {}, child.btns};
	if (child.btns)
	{
		owner.key = fingerprint_of(*record.verified);
	}
	auto holding = std::make_unique<Holding>(index_, owner, std::move(remote));
	record.children[child.child] = {std::move(holding), up, next_order_++};

	// one that never came up and was never reported down
	size_t pending = 0;
	auto oldest = record.children.end();
	for (auto it = record.children.begin(); it != record.children.end(); ++it)
	{
		if (!it->second.up)
		{
			pending++;
			if (oldest == record.children.end() || it->second.order < oldest->second.order)
			{
				oldest = it;
			}
		}
	}
	if (pending > pending_max)
	{
		record.children.erase(oldest);
	}
}

ChildVerdict SideTable::decide_child(uint32_t sa, const btns_child_t &child, const Context &context, bool store,
									 bool up)
{
	ChildVerdict verdict;
	std::vector<Range> remote = address_ranges({child.remote, child.remote_count});

	const Lock lock(mutex_);
	Record *record = find(sa);
	if (child.btns || (record != nullptr && record->verified))
	{
		verdict.reason = check_child(record, child, remote, context);
		if (verdict.reason == BTNS_REASON_NONE && store)
		{
			store_child(sa, *record, child, std::move(remote), up);
		}
		return verdict;
	}
	verdict.evictions = overlapping_strangers(remote);
	if (store)
	{
		try
		{
			store_child(sa, record != nullptr ? *record : records_[sa], child, std::move(remote), up);
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
		record->children.erase(child);
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
	records_[sa].hosts = std::make_unique<Holding>(index_, Holding::Owner{sa, {}, false}, std::move(ranges));
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
		if (!context.pad.admits(record.connection, record.flag, record.verified->fingerprint))
		{
			evictions.push_back({sa, BTNS_REASON_UNCONFIGURED});
			continue;
		}
		const bool overlaps =
			std::ranges::any_of(record.children,
								[&](const auto &child)
								{
									return std::ranges::any_of(child.second.remote->ranges(), [&](const Range &range)
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
			const int rank = ours ? 3 : (has_children(record) ? 2 : 1);
			candidates.push_back({rank, record.active, {sa, BTNS_REASON_SHED}});
		}
		else if (record.role == BTNS_ROLE_RESPONDER && record.source && !record.has_message && !record.verified &&
				 !record.established && !record.hosts && record.children.empty() && record.seen &&
				 now - record.begun >= half_open_grace)
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

void SideTable::refuse(uint32_t sa, btns_reason_t reason)
{
	const Lock lock(mutex_);
	Record *record = find(sa);
	if (record != nullptr && record->refusal == BTNS_REASON_NONE)
	{
		record->refusal = reason;
	}
}

btns_reason_t SideTable::take_refusal(uint32_t sa, bool flagged)
{
	const Lock lock(mutex_);
	Record *record = find(sa);
	if (record == nullptr)
	{
		return BTNS_REASON_NONE;
	}
	const btns_reason_t reason = std::exchange(record->refusal, BTNS_REASON_NONE);
	if (reason != BTNS_REASON_NONE)
	{
		return reason;
	}
	if (flagged && record->has_message && !record->verified && record->auth != BTNS_AUTH_SIGNATURE)
	{
		return BTNS_REASON_NOT_SIGNATURE;
	}
	if (!record->armed && (record->verified || !record->certs || !record->certs->has_bare_key()))
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
	if (!record.established && record.source)
	{
		out.remote = to_abi(*record.source);
	}
	out.established = record.established;
	out.role = record.role;
	if (record.verified)
	{
		out.key = *record.verified;
	}
	else if (record.presented && record.presented->status == BTNS_STATUS_OK)
	{
		out.key = record.presented->key;
	}
	copy_text(record.connection, out.connection);
	copy_text(record.asserted_id, out.asserted_id);
	out.children =
		static_cast<size_t>(std::ranges::count_if(record.children, [](const auto &child) { return child.second.up; }));
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
	Counts counts{0, 0, half_open_.total(), records_.size(), index_.authenticated.size()};
	for (const auto &[sa, record] : records_)
	{
		if (is_peer(record))
		{
			counts.peers++;
			counts.children += static_cast<size_t>(
				std::ranges::count_if(record.children, [](const auto &child) { return child.second.up; }));
		}
	}
	return counts;
}

} // namespace btns
