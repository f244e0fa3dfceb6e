/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
/**
 * @file channels.cpp
 * The part of the side table that knows what protects a flow, and how that was authenticated.
 */
#include <algorithm>
#include <array>

#include "key_id.h"
#include "policy.h"
#include "side_table.h"

namespace btns
{

namespace
{

using Lock = std::lock_guard<std::mutex>;

/** CHILD_SAs with the peer's address that are looked at for one flow. */
constexpr size_t candidates_max = 1024;
/** Keys of our own that are shared. */
constexpr size_t local_keys_max = 16;
/** Octets of transcripts that are kept of all IKE_SAs that are being authenticated. */
constexpr size_t all_bodies_max = 16 * 1024 * 1024;

ChannelAnswer answer(btns_protection_t protection, const char *code, const char *reason)
{
	return {protection, code, reason, std::nullopt};
}

/** One that may take the packets, or will if nobody goes before. */
struct Candidate
{
	uint32_t priority;
	/** IKE_SA's root */
	uint64_t root;
	bool conditional;
};

bool is_same(const btns_ts_t &a, const btns_ts_t &b)
{
	return a.family == b.family && a.protocol == b.protocol && a.from_port == b.from_port && a.to_port == b.to_port &&
		   std::ranges::equal(a.from, b.from) && std::ranges::equal(a.to, b.to);
}

uint8_t octet(unsigned number)
{
	return static_cast<uint8_t>(std::min(number, 255U));
}

std::string key_id_of(const Fingerprint &fingerprint)
{
	std::array<char, BTNS_KEY_ID_LEN> text{};
	write_key_id(fingerprint, text);
	return text.data();
}

/** Without the trust anchor; NULL if there are none, or one of them is too large. */
std::shared_ptr<PeerCertificates> certificates_of(const btns_root_t &root)
{
	const Bytes certificate{root.certificate.ptr, root.certificate.len};
	if (certificate.empty() || certificate.size() > certificate_max || root.trust_anchor.len > certificate_max)
	{
		return nullptr;
	}
	auto out = std::make_shared<PeerCertificates>();
	out->certificate.assign(certificate.begin(), certificate.end());
	return out;
}

} // namespace

void SideTable::init_request(uint64_t spi_i, Bytes octets)
{
	const Lock lock(mutex_);
	sent_.sent(spi_i, octets);
}

void SideTable::real_message(uint32_t sa, bool request, Bytes octets)
{
	const Lock lock(mutex_);
	if (Record *record = find(sa); record != nullptr && record->handshake)
	{
		HandshakeTranscript &transcript = record->handshake->transcript;
		body_bytes_ -= transcript.bytes();
		transcript.message(request, octets);
		body_bytes_ += transcript.bytes();
	}
}

void SideTable::int_auth(uint32_t sa, bool request, uint32_t message_id, Bytes octets)
{
	const Lock lock(mutex_);
	if (Record *record = find(sa); record != nullptr && record->handshake)
	{
		record->handshake->transcript.int_auth(request, message_id, octets);
	}
}

std::vector<uint8_t> SideTable::last_int_auth(uint32_t sa, bool request) const
{
	const Lock lock(mutex_);
	const Record *record = find(sa);
	return record != nullptr && record->handshake ? record->handshake->transcript.last_int_auth(request)
												  : std::vector<uint8_t>();
}

void SideTable::auth_bodies(uint32_t sa, const btns_auth_bodies_t &bodies)
{
	const Lock lock(mutex_);
	if (Record *record = find(sa); record != nullptr && record->handshake)
	{
		HandshakeTranscript &transcript = record->handshake->transcript;
		body_bytes_ -= transcript.bytes();
		transcript.bodies(bodies, all_bodies_max - std::min(body_bytes_, all_bodies_max));
		body_bytes_ += transcript.bytes();
	}
}

void SideTable::describe(const btns_child_t &child, ChildFacts &facts)
{
	const auto text = [](const char *name) { return std::string_view(name != nullptr ? name : ""); };
	facts.priority = child.priority;
	facts.name = names_.get(text(child.name));
	facts.encryption_algorithm = names_.get(text(child.encryption_algorithm));
	facts.integrity_algorithm = names_.get(text(child.integrity_algorithm));
	facts.mode = octet(child.mode);
	facts.confidentiality = child.confidentiality;
	facts.integrity = child.integrity;
	facts.conditional = child.conditional;
}

void SideTable::installed(uint32_t sa, const btns_child_t &child)
{
	const Lock lock(mutex_);
	if (Record *record = find(sa))
	{
		for (Holding &held : record->children)
		{
			if (held.facts()->child == child.child)
			{
				describe(child, *held.facts());
				held.facts()->installed = true;
				changed();
			}
		}
	}
}

/** Our own keys are the same for many. */
std::shared_ptr<const KeyInfo> SideTable::local_key(Bytes spki)
{
	std::erase_if(local_keys_, [](const auto &known) { return known.info.expired(); });
	for (const auto &known : local_keys_)
	{
		if (std::ranges::equal(known.spki, spki))
		{
			return known.info.lock();
		}
	}
	auto info = std::make_shared<const KeyInfo>(spki);
	if (local_keys_.size() < local_keys_max)
	{
		local_keys_.push_back({{spki.begin(), spki.end()}, info});
	}
	return info;
}

void SideTable::root(uint32_t sa, const btns_root_t &root, bool keep_certificates)
{
	const auto text = [](const char *name) { return std::string_view(name != nullptr ? name : ""); };
	const auto key_of = [](const btns_side_t &side)
	{
		const Bytes octets{side.key.ptr, side.key.len};
		return octets.size() <= key_info_max ? octets : Bytes();
	};
	const Bytes peer = key_of(root.peer);
	auto peer_key = peer.empty() ? nullptr : std::make_shared<const KeyInfo>(peer);
	auto certificates = keep_certificates ? certificates_of(root) : nullptr;

	const Lock lock(mutex_);
	Record *record = find(sa);
	if (record == nullptr && records_.size() >= records_max)
	{
		return;
	}
	Record &known = record != nullptr ? *record : make(sa);
	const Bytes local = key_of(root.local);
	Name connection = names_.get(text(root.connection));
	Root fresh;
	fresh.id = known.root.id;
	if (!known.verified && text(root.authorized_id) != known.asserted_id)
	{
		fresh.authorized_id = names_.get(text(root.authorized_id).substr(0, BTNS_TEXT_MAX - 1));
	}
	fresh.local_key = local.empty() ? nullptr : local_key(local);
	fresh.peer_key = known.verified ? nullptr : std::move(peer_key);
	if (certificates && !known.verified)
	{
		certificates->trust_anchor =
			trust_anchors_.get({reinterpret_cast<const char *>(root.trust_anchor.ptr), root.trust_anchor.len});
		fresh.certificates = std::move(certificates);
	}
	fresh.established = root.established;
	fresh.why = root.ike_version == 1 ? Unavailable::ike_version : Unavailable::pending;
	fresh.ike_version = octet(root.ike_version);
	fresh.local_method = octet(root.local.method);
	fresh.peer_method = octet(!known.verified			  ? root.peer.method
							  : known.verified->is_null() ? BTNS_METHOD_NULL
														  : BTNS_METHOD_BTNS);
	fresh.local_rounds = octet(root.local.rounds);
	fresh.peer_rounds = octet(root.peer.rounds);
	known.connection = std::move(connection);
	known.root = std::move(fresh);
	changed();
}

std::optional<std::vector<uint8_t>> SideTable::take_seed(uint32_t sa)
{
	const Lock lock(mutex_);
	Record *record = find(sa);
	if (record == nullptr || !record->handshake)
	{
		return std::nullopt;
	}
	const auto transcript = record->handshake->transcript.finish(record->root.why);
	end_handshake(*record);
	changed();
	if (!transcript)
	{
		return std::nullopt;
	}
	// until the value is there
	record->root.why = Unavailable::prf;
	return unique_seed(*transcript);
}

void SideTable::unique(uint32_t sa, const std::optional<Binding> &value)
{
	const Lock lock(mutex_);
	if (Record *record = find(sa))
	{
		record->root.unique = value.value_or(Binding{});
		record->root.why = value ? Unavailable::none : Unavailable::prf;
		changed();
	}
}

void SideTable::outer(uint32_t sa, const btns_outer_t &outer)
{
	const Lock lock(mutex_);
	if (Record *record = find(sa))
	{
		record->endpoints.local = outer.local;
		record->endpoints.remote = outer.remote;
		record->local_port = outer.local_port;
		record->remote_port = outer.remote_port;
		record->local_nat = outer.local_nat;
		record->remote_nat = outer.remote_nat;
		changed();
	}
}

void SideTable::shunts(std::vector<Shunt> shunts)
{
	const Lock lock(mutex_);
	if (shunts != shunts_)
	{
		shunts_.swap(shunts);
		shunts_generation_++;
		changed();
	}
}

uint64_t SideTable::shunts_generation() const
{
	const Lock lock(mutex_);
	return shunts_generation_;
}

void SideTable::queue_event(bool came, uint32_t sa, const Record &record)
{
	events_.push_back({came, record.root.id, snapshot(sa, record, nullptr)});
	if (events_.size() > events_max)
	{
		events_.pop_front();
	}
}

void SideTable::tell_gone(uint32_t sa, Record &record)
{
	if (record.root.told && !record.superseded)
	{
		try
		{
			queue_event(false, sa, record);
		}
		catch (const std::bad_alloc &)
		{
			// it goes nevertheless
		}
		record.root.told = false;
	}
}

void SideTable::peer_up(uint32_t sa)
{
	const Lock lock(mutex_);
	Record *record = find(sa);
	if (record != nullptr && record->root.ike_version != 0 && !record->root.told)
	{
		queue_event(true, sa, *record);
		record->root.told = true;
	}
}

std::optional<PeerEvent> SideTable::take_event()
{
	const Lock watching(watch_mutex_);
	if (changed_)
	{
		return std::exchange(changed_, std::nullopt);
	}
	std::optional<QueuedEvent> next;
	{
		const Lock lock(mutex_);
		if (events_.empty())
		{
			return std::nullopt;
		}
		next = std::move(events_.front());
		events_.pop_front();
	}
	PeerEvent event{next->came ? BTNS_PEER_UP : BTNS_PEER_DOWN, complete(std::move(next->snapshot)), std::nullopt};
	const Channel &channel = *event.channel.channel;
	if (!next->came)
	{
		if (channel.peer_fingerprint)
		{
			watch_.went(channel.connection, channel.peer.address, *channel.peer_fingerprint);
		}
		return event;
	}
	const auto before = watch_.came(channel.connection, channel.peer.address, channel.peer_fingerprint);
	if (before && !has_others(channel, next->root))
	{
		changed_ = PeerEvent{BTNS_PEER_CHANGED, event.channel, before};
	}
	return event;
}

/** Are there more peers of a connection at an address? Behind a NAT there may be many. */
bool SideTable::has_others(const Channel &channel, uint64_t root) const
{
	const Lock lock(mutex_);
	return std::ranges::any_of(records_,
							   [&](const auto &entry)
							   {
								   const Record &record = entry.second;
								   return record.root.told && record.root.id != root &&
										  to_address(record.endpoints.remote) == channel.peer.address &&
										  text_of(record.connection) == channel.connection;
							   });
}

bool Shunt::operator==(const Shunt &other) const
{
	const auto same = [](const std::vector<btns_ts_t> &a, const std::vector<btns_ts_t> &b)
	{ return std::ranges::equal(a, b, [](const btns_ts_t &x, const btns_ts_t &y) { return is_same(x, y); }); };
	return same(local, other.local) && same(remote, other.remote) && priority == other.priority && pass == other.pass;
}

SideTable::Snapshot SideTable::snapshot(uint32_t sa, const Record &record, const Holding *child)
{
	Snapshot out;
	Channel &channel = out.channel;
	const Root &root = record.root;
	channel.sa = sa;
	channel.connection = text_of(record.connection);
	channel.local_method = static_cast<btns_method_t>(root.local_method);
	channel.peer_method = static_cast<btns_method_t>(root.peer_method);
	channel.asserted_id = record.asserted_id;
	channel.authorized_id = root.authorized_id ? *root.authorized_id : record.asserted_id;
	channel.local = {to_address(record.endpoints.local).value_or(Address{}), record.local_port, record.local_nat};
	channel.peer = {to_address(record.endpoints.remote).value_or(Address{}), record.remote_port, record.remote_nat};
	channel.certificates = root.certificates;
	channel.established = root.established;
	if (child != nullptr)
	{
		const ChildFacts &facts = *child->facts();
		channel.child = facts.child;
		channel.child_name = text_of(facts.name);
		channel.mode = static_cast<btns_mode_t>(facts.mode);
		channel.confidentiality = facts.confidentiality;
		channel.integrity = facts.integrity;
		channel.encryption_algorithm = text_of(facts.encryption_algorithm);
		channel.integrity_algorithm = text_of(facts.integrity_algorithm);
	}
	// of an IKE_SA: if all that it protects has it
	out.authentication.integrity =
		child != nullptr ? channel.integrity
						 : std::ranges::all_of(record.children, [](const Holding &held)
											   { return held.facts()->integrity || !held.facts()->installed; });
	out.authentication.rounds = root.local_rounds == root.peer_rounds
									? root.peer_rounds
									: std::max({2, int{root.local_rounds}, int{root.peer_rounds}});
	channel.unique.why = root.why;
	if (root.why == Unavailable::none)
	{
		channel.unique.value = root.unique;
	}
	out.ike_version = root.ike_version;
	out.local_key = root.local_key;
	out.peer_key = record.verified ? record.verified : root.peer_key;
	if (record.verified && record.verified->is_null())
	{
		channel.authorized_id = record.verified->identity();
		out.peer_key = nullptr;
	}
	return out;
}

/** What takes time, with no lock held. */
ChannelAnswer SideTable::complete(Snapshot snapshot)
{
	Channel &channel = snapshot.channel;
	Unavailable why = Unavailable::none;
	const auto fingerprint_of = [&why](const std::shared_ptr<const KeyInfo> &key)
	{
		std::optional<Fingerprint> fingerprint;
		if (key && key->is_canonical())
		{
			fingerprint = key->fingerprint();
		}
		else if (key)
		{
			why = Unavailable::key_type;
		}
		return fingerprint;
	};
	channel.local_fingerprint = fingerprint_of(snapshot.local_key);
	channel.peer_fingerprint = fingerprint_of(snapshot.peer_key);
	if (channel.peer_fingerprint)
	{
		const Bytes key = snapshot.peer_key->spki();
		channel.peer_key.assign(key.begin(), key.end());
		if (channel.peer_method == BTNS_METHOD_BTNS)
		{
			channel.authorized_id = key_id_of(*channel.peer_fingerprint);
		}
	}
	snapshot.authentication.local = channel.local_fingerprint;
	snapshot.authentication.peer = channel.peer_fingerprint;
	if (snapshot.ike_version == 0)
	{
		why = Unavailable::not_seen;
	}
	else if (snapshot.ike_version == 1)
	{
		why = Unavailable::ike_version;
	}
	channel.endpoints =
		why == Unavailable::none ? endpoints_binding(snapshot.authentication) : BindingAnswer{std::nullopt, why};
	if (!snapshot.authentication.integrity)
	{
		channel.endpoints = {std::nullopt, Unavailable::no_integrity};
		channel.unique = channel.endpoints;
	}
	ChannelAnswer protected_by = answer(BTNS_PROTECTED, "", "");
	protected_by.channel = std::move(channel);
	return protected_by;
}

ChannelAnswer SideTable::find(const Flow &flow) const
{
	return find(flow, false);
}

ChannelAnswer SideTable::find_one(const Flow &flow) const
{
	return find(flow, true);
}

ChannelAnswer SideTable::find(const Flow &flow, bool one) const
{
	std::optional<Snapshot> found;
	bool several = false;
	{
		const Lock lock(mutex_);

		/* the one that takes the packets, as far as is known */
		std::optional<uint32_t> best;
		uint64_t root = 0;
		const Record *record = nullptr;
		const Holding *child = nullptr;
		/* those that may */
		std::vector<Candidate> maybe;
		size_t seen = 0;

		const auto look = [&](const Range & /*range*/, const Holding *holding)
		{
			const ChildFacts *facts = holding->facts();
			const Record *owner = facts != nullptr && facts->installed ? find(holding->sa()) : nullptr;
			if (owner == nullptr)
			{
				return true;
			}
			if (++seen > candidates_max)
			{
				return false;
			}
			const auto fits = fit_policies(holding->selectors().local(), holding->selectors().remote(), flow,
										   PolicyKind::protect, facts->priority);
			if (fits.inexact)
			{
				maybe.push_back({*fits.inexact, owner->root.id, facts->conditional});
			}
			if (fits.exact && facts->conditional)
			{
				maybe.push_back({*fits.exact, owner->root.id, true});
			}
			else if (fits.exact)
			{
				const bool same = best && owner->root.id == root;
				several = best && *fits.exact == *best ? several || !same : best && *fits.exact > *best && several;
				const bool newer = same && *fits.exact == *best && facts->child > child->facts()->child;
				if (!best || *fits.exact < *best || newer)
				{
					best = fits.exact;
					root = owner->root.id;
					record = owner;
					child = holding;
				}
			}
			return true;
		};
		const Range host = host_range(flow.remote);
		index_.authenticated.for_each_overlap(host, look);
		index_.strangers.for_each_overlap(host, look);
		index_.rounded.for_each_overlap(host, look);
		if (seen > candidates_max)
		{
			return answer(BTNS_AMBIGUOUS, "too-many", "too many CHILD_SAs have the other address to compare them all");
		}
		for (const Shunt &shunt : shunts_)
		{
			const auto fits = fit_policies(shunt.local, shunt.remote, flow, PolicyKind::shunt, shunt.priority);
			const uint32_t none = UINT32_MAX;
			const uint32_t priority = std::min(fits.exact.value_or(none), fits.inexact.value_or(none));
			if ((fits.exact || fits.inexact) && priority <= best.value_or(none))
			{
				return shunt.pass ? answer(BTNS_UNPROTECTED, "bypass", "a policy lets these packets bypass IPsec")
								  : answer(BTNS_UNPROTECTED, "discard", "a policy discards these packets");
			}
		}
		for (const Candidate &other : maybe)
		{
			if (!best || (other.priority <= *best && other.root != root))
			{
				return other.conditional ? answer(BTNS_AMBIGUOUS, "conditional",
												  "a CHILD_SA takes such packets only with a mark or of one interface, "
												  "which is not known")
										 : answer(BTNS_AMBIGUOUS, "selectors",
												  "a CHILD_SA has ranges as traffic selectors, of which the kernel "
												  "makes policies for more");
			}
		}
		if (!best)
		{
			return answer(BTNS_UNPROTECTED, "no-sa", "no CHILD_SA has traffic selectors for these packets");
		}
		if (several && !one)
		{
			return answer(BTNS_AMBIGUOUS, "several-peers",
						  "several IKE_SAs have CHILD_SAs that take these packets with the same priority");
		}
		found = snapshot(child->sa(), *record, child);
	}
	ChannelAnswer protected_by = complete(std::move(*found));
	if (several)
	{
		protected_by.shared = true;
		protected_by.channel->unique = {std::nullopt, Unavailable::several};
	}
	return protected_by;
}

ChannelAnswer SideTable::of_sa(uint32_t sa) const
{
	std::optional<Snapshot> found;
	{
		const Lock lock(mutex_);
		const Record *record = find(sa);
		if (record == nullptr || record->superseded || record->root.ike_version == 0)
		{
			return answer(BTNS_UNPROTECTED, "no-sa", "there is no such IKE_SA");
		}
		found = snapshot(sa, *record, nullptr);
	}
	return complete(std::move(*found));
}

std::optional<Channel> SideTable::channel_of(uint32_t sa, const btns_child_t &child) const
{
	std::optional<Snapshot> found;
	{
		const Lock lock(mutex_);
		const Record *record = find(sa);
		if (record == nullptr || record->root.ike_version == 0)
		{
			return std::nullopt;
		}
		found = snapshot(sa, *record, nullptr);
	}
	const auto text = [](const char *name) { return name != nullptr ? name : ""; };
	Channel &channel = found->channel;
	channel.child = child.child;
	channel.child_name = text(child.name);
	channel.mode = child.mode;
	channel.confidentiality = child.confidentiality;
	channel.integrity = child.integrity;
	channel.encryption_algorithm = text(child.encryption_algorithm);
	channel.integrity_algorithm = text(child.integrity_algorithm);
	found->authentication.integrity = child.integrity;
	return complete(std::move(*found)).channel;
}

ChannelAnswer SideTable::of_child(uint32_t child) const
{
	std::optional<Snapshot> found;
	{
		const Lock lock(mutex_);
		for (const auto &[sa, record] : records_)
		{
			const Holding *holding = find_child(record, child);
			if (holding != nullptr && holding->facts()->installed)
			{
				found = snapshot(sa, record, holding);
				break;
			}
		}
		if (!found)
		{
			return answer(BTNS_UNPROTECTED, "no-sa", "there is no such CHILD_SA");
		}
	}
	return complete(std::move(*found));
}

} // namespace btns
