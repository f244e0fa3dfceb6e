/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
/*
 * What becomes of IKE_SAs: the input is a sequence of what hooks report, in any order, and the core's answers are
 * compared with a plain model of the rules in core.h. Who is armed, who is a BTNS peer and how many places are taken
 * is the same in both after every step.
 */
#include <algorithm>
#include <cstring>
#include <map>
#include <memory>
#include <optional>
#include <utility>

#include "abi.h"
#include "fuzz.h"
#include "known_keys.h"

namespace
{

using btns::fuzz::Bytes;
using btns::fuzz::Input;
using btns::fuzz::known_keys;
using btns::fuzz::KnownKey;
using btns::fuzz::require;
using Fingerprint = std::array<uint8_t, BTNS_FINGERPRINT_LEN>;

constexpr unsigned sa_count = 6;
constexpr unsigned max_peers = 3;
constexpr unsigned max_peers_per_source = 2;
constexpr unsigned max_half_open = 4;
constexpr unsigned max_half_open_per_source = 3;

/** An index into these; the last one is none. Two of them are in one IPv6 /64. */
constexpr std::array<btns_addr_t, 6> addresses{{
	{4, {198, 51, 100, 1}},
	{4, {198, 51, 100, 2}},
	{6, {0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1}},
	{6, {0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2}},
	{6, {0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 1}},
	{},
}};
constexpr unsigned nowhere = addresses.size() - 1;

unsigned source_of(unsigned address)
{
	return address == 3 ? 2 : address;
}

Fingerprint fingerprint_of(const btns_key_t &key)
{
	Fingerprint out{};
	std::ranges::copy(key.fingerprint, out.begin());
	return out;
}

struct Sa
{
	unsigned source = nowhere;
	bool has_message = false;
	bool signature = false;
	bool null = false;
	unsigned auth_source = nowhere;
	bool another_follows = false;
	std::optional<Fingerprint> presented;
	bool armed = false;
	std::optional<Fingerprint> verified;
	bool superseded = false;
	/** where a place under the caps was taken */
	std::optional<unsigned> place;
	btns_role_t role = BTNS_ROLE_RESPONDER;
	/** from where, while it counts as half-open */
	std::optional<unsigned> half_open;
	/** there were too many of these */
	bool too_late = false;
	bool established = false;

	[[nodiscard]] bool same_source(unsigned now) const { return source != nowhere && now == source; }
	[[nodiscard]] bool is_peer() const { return verified && !superseded; }
	void disarm()
	{
		armed = false;
		if (!verified)
		{
			place.reset();
		}
	}
};

class Peers
{
public:
	Peers();
	~Peers();
	Peers(const Peers &) = delete;
	Peers &operator=(const Peers &) = delete;
	Peers(Peers &&) = delete;
	Peers &operator=(Peers &&) = delete;

	void step(Input &input);

private:
	void init(unsigned sa, unsigned source, btns_role_t role = BTNS_ROLE_RESPONDER);
	void message(unsigned sa, Input &input);
	void known_message(unsigned sa, unsigned source, const KnownKey &key, bool another_follows = false);
	void send(unsigned sa, const btns_auth_message_t &message, unsigned source);
	void key(unsigned sa);
	void arm(unsigned sa);
	void authorize(unsigned sa, const btns_authorize_t &facts, unsigned source);
	void authorize(unsigned sa, Input &input);
	void authorize_well(unsigned sa, unsigned source, const Fingerprint &verified, bool final);
	void up(unsigned sa);
	void rekey(unsigned from, unsigned to);
	void drop(unsigned sa);
	void look(unsigned sa, Input &input);
	void limit(unsigned sa, Input &input);
	void be_stranger(unsigned sa, unsigned source, const KnownKey &key);

	[[nodiscard]] Sa *find(unsigned sa);
	[[nodiscard]] bool has_room(const Sa &sa) const;
	[[nodiscard]] bool allows(Sa *sa, const btns_authorize_t &facts, unsigned source) const;
	void check_all();

	btns_core_t *core_ = nullptr;
	int64_t now_ = 0;
	std::map<unsigned, Sa> sas_;
	/** charon would not have done this: the number of peers says nothing any more */
	bool odd_ = false;
};

bool is_pinned(const Fingerprint &key)
{
	return key == known_keys().front().fingerprint;
}

/** The configuration: a wildcard entry, a pinned one, and one that the linter refuses. */
bool admits(const char *connection, btns_flag_t flag, const Fingerprint &key)
{
	return (flag == BTNS_FLAG_ANY && std::strcmp(connection, "strangers") == 0) ||
		   (flag == BTNS_FLAG_KEY && std::strcmp(connection, "pinned") == 0 && is_pinned(key));
}

Peers::Peers()
{
	btns_options_t options;
	btns_options_default(&options);
	options.max_peers = max_peers;
	options.max_peers_per_source = max_peers_per_source;
	options.max_half_open = max_half_open;
	options.max_half_open_per_source = max_half_open_per_source;
	options.ikesa_limit = 8;
	// no key is refused for the time that keys take
	options.key_time = options.key_time_per_source = 100000;
	core_ = btns_core_create(&options);
	require(core_ != nullptr, "there is a core");
	btns_config_t *config = btns_config_begin(core_);
	std::array<char, BTNS_KEY_ID_LEN> pin{};
	btns_key_id(known_keys().front().fingerprint.data(), pin.data());
	const std::array<std::pair<const char *, const char *>, 3> entries{
		{{"strangers", "btns"}, {"pinned", pin.data()}, {"misconfigured", "btns"}}};
	for (size_t i = 0; i < entries.size(); i++)
	{
		btns_round_t round{};
		round.auth = i < 2 ? BTNS_CLASS_PUBKEY : BTNS_CLASS_EAP;
		round.any_id = true;
		round.groups = &entries.at(i).second;
		round.group_count = 1;
		btns_entry_t entry{};
		entry.name = entries.at(i).first;
		entry.ike_version = 2;
		entry.rounds = &round;
		entry.round_count = 1;
		entry.any_remote = true;
		require(btns_config_add(config, &entry) == BTNS_STATUS_OK, "an entry is taken");
	}
	require(btns_config_commit(core_, config) == BTNS_STATUS_OK, "a configuration is taken");
	require(btns_config_usable(core_, 0) && btns_config_usable(core_, 1) && !btns_config_usable(core_, 2),
			"the linter refuses the third entry only");
}

Peers::~Peers()
{
	for (unsigned sa = 0; sa < sa_count; sa++)
	{
		btns_sa_drop(core_, sa);
	}
	const auto counts = core_->core.table.counts();
	require(counts.peers == 0 && counts.records == 0 && counts.children == 0 && counts.reserved_ranges == 0,
			"nothing is remembered in the end");
	// no place is taken any more
	btns_options_t options;
	btns_options_default(&options);
	options.max_peers = options.max_peers_per_source = 1;
	options.max_half_open = options.max_half_open_per_source = 1;
	require(btns_core_configure(core_, &options) == BTNS_STATUS_OK, "options are taken");
	const btns_init_t init{addresses.front(), BTNS_ROLE_RESPONDER, 1, 2, 0};
	require(btns_sa_init(core_, 0, &init) == BTNS_STATUS_OK && btns_sa_admissible(core_, 0, 1) == BTNS_REASON_NONE,
			"all places are free in the end");
	btns_core_destroy(core_);
}

void Peers::step(Input &input)
{
	const unsigned choice = input.octet();
	const unsigned sa = choice % sa_count;
	now_ += 1000;
	switch (choice / sa_count % 12)
	{
	case 0:
	{
		const unsigned source = input.below(addresses.size());
		init(sa, source, input.flag() ? BTNS_ROLE_INITIATOR : BTNS_ROLE_RESPONDER);
		break;
	}
	case 1:
		message(sa, input);
		break;
	case 2:
	{
		const unsigned source = input.below(addresses.size());
		const KnownKey &key = known_keys().at(input.below(known_keys().size()));
		known_message(sa, source, key, input.flag());
		break;
	}
	case 3:
		key(sa);
		break;
	case 4:
		arm(sa);
		break;
	case 5:
		authorize(sa, input);
		break;
	case 6:
		up(sa);
		break;
	case 7:
		rekey(sa, input.below(sa_count));
		break;
	case 8:
		drop(sa);
		break;
	case 9:
		look(sa, input);
		break;
	case 10:
		limit(sa, input);
		break;
	default:
	{
		const unsigned source = input.below(nowhere);
		be_stranger(sa, source, known_keys().at(input.below(known_keys().size())));
		break;
	}
	}
	check_all();
}

Sa *Peers::find(unsigned sa)
{
	const auto found = sas_.find(sa);
	return found == sas_.end() ? nullptr : &found->second;
}

/** Are there less than so many with a place of that kind, in all and from one source? */
bool is_below(const std::map<unsigned, Sa> &sas, std::optional<unsigned> Sa::*place, unsigned source, unsigned max,
			  unsigned max_per_source)
{
	const auto total = std::ranges::count_if(sas, [place](const auto &sa) { return (sa.second.*place).has_value(); });
	const auto there = std::ranges::count_if(
		sas, [=](const auto &sa) { return sa.second.*place && source_of(*(sa.second.*place)) == source_of(source); });
	return total < max && there < max_per_source;
}

bool Peers::has_room(const Sa &sa) const
{
	return sa.source != nowhere &&
		   (sa.place ||
			(!sa.too_late && !sa.null && is_below(sas_, &Sa::place, sa.source, max_peers, max_peers_per_source)));
}

void Peers::init(unsigned sa, unsigned source, btns_role_t role)
{
	const btns_init_t init{addresses.at(source), role, 1, 2, 0};
	require(btns_sa_init(core_, sa, &init) == BTNS_STATUS_OK, "an IKE_SA is remembered");
	sas_[sa] = {};
	sas_[sa].source = source;
	sas_[sa].role = role;
	if (role == BTNS_ROLE_RESPONDER && source != nowhere)
	{
		sas_[sa].too_late = !is_below(sas_, &Sa::half_open, source, max_half_open, max_half_open_per_source);
		if (!sas_[sa].too_late)
		{
			sas_[sa].half_open = source;
		}
	}
}

void Peers::message(unsigned sa, Input &input)
{
	btns_auth_message_t message{};
	const unsigned choice = input.octet();
	message.auth = static_cast<btns_auth_t>(choice % 5);
	message.another_follows = choice >= 200;
	std::array<btns_cert_t, BTNS_CERTS_MAX + 2> certs{};
	message.certs = certs.data();
	message.cert_count = input.below(certs.size() + 1);
	message.cert_total = message.cert_count + (choice / 5 % 8 == 0 ? 1 : 0);
	// copies of their own, so that an octet read too many is seen
	std::vector<std::vector<uint8_t>> bodies;
	for (btns_cert_t &cert : std::span(certs).first(message.cert_count))
	{
		cert.encoding = input.below(18);
		const unsigned length = input.octet();
		const Bytes body = input.octets(length * length);
		bodies.emplace_back(body.begin(), body.end());
		cert.body = {bodies.back().data(), bodies.back().size()};
	}
	const Bytes id = input.octets(input.octet());
	const std::string asserted(id.begin(), id.end());
	message.asserted_id = asserted.c_str();
	send(sa, message, input.below(addresses.size()));
}

void Peers::known_message(unsigned sa, unsigned source, const KnownKey &key, bool another_follows)
{
	const btns_cert_t cert{key.encoding, {key.body.data(), key.body.size()}};
	btns_auth_message_t message{};
	message.auth = BTNS_AUTH_SIGNATURE;
	message.certs = &cert;
	message.cert_count = message.cert_total = 1;
	message.another_follows = another_follows;
	send(sa, message, source);
	if (Sa *known = find(sa); known != nullptr && known->same_source(source) && has_room(*known))
	{
		this->key(sa);
		require(known->presented == key.fingerprint, "a good key is found");
	}
}

void Peers::send(unsigned sa, const btns_auth_message_t &message, unsigned source)
{
	btns_auth_message_t sent = message;
	sent.source = addresses.at(source);
	Sa *known = find(sa);
	require((btns_sa_message(core_, sa, &sent) == BTNS_STATUS_OK) == (known != nullptr),
			"messages of known IKE_SAs are remembered");
	if (known == nullptr)
	{
		return;
	}
	known->disarm();
	known->presented.reset();
	known->has_message = true;
	known->signature = message.auth == BTNS_AUTH_SIGNATURE;
	known->null = message.auth == BTNS_AUTH_NULL;
	known->auth_source = source;
	known->another_follows = message.another_follows;
	require(btns_sa_auth(core_, sa) == message.auth, "how the peer authenticates is remembered");
}

void Peers::key(unsigned sa)
{
	btns_key_t key;
	btns_reason_t reason = BTNS_REASON_NONE;
	Sa *known = find(sa);
	if (btns_sa_key(core_, sa, now_, &key, &reason) != BTNS_STATUS_OK)
	{
		require(reason != BTNS_REASON_NONE && key.spki_len == 0, "no key has a reason");
		return;
	}
	require(known != nullptr && known->has_message && known->same_source(known->auth_source),
			"a key was presented from where IKE_SA_INIT came from");
	require(known->presented || has_room(*known), "no key is looked at in vain");
	require(!known->presented || known->presented == fingerprint_of(key), "the key stays the same");
	known->presented = fingerprint_of(key);
}

void Peers::arm(unsigned sa)
{
	Sa *known = find(sa);
	const bool right = known != nullptr && !known->verified && known->has_message && known->signature &&
					   known->same_source(known->auth_source) && known->presented;
	const bool room = known != nullptr && has_room(*known);
	btns_reason_t reason = BTNS_REASON_NONE;
	const btns_status_t status = btns_sa_arm(core_, sa, BTNS_ROLE_RESPONDER, &reason);
	require((status == BTNS_STATUS_OK) == (right && room), "armed if a key was presented well and there is room");
	require((status == BTNS_STATUS_OK) == (reason == BTNS_REASON_NONE), "a refusal has a reason");
	if (status == BTNS_STATUS_OK)
	{
		known->armed = true;
		if (!known->place)
		{
			known->place = known->source;
		}
	}
}

bool Peers::allows(Sa *sa, const btns_authorize_t &facts, unsigned source) const
{
	const bool flagged = facts.flag != BTNS_FLAG_NONE;
	const bool ours = facts.verified != nullptr;
	if (facts.reserved_name)
	{
		return false;
	}
	if (facts.final)
	{
		return flagged ? sa != nullptr && sa->verified && facts.coerced &&
							 admits(facts.connection, facts.flag, *sa->verified)
					   : !ours && (sa == nullptr || !sa->verified);
	}
	if (sa == nullptr)
	{
		return !flagged && !ours;
	}
	if (sa->verified)
	{
		return false;
	}
	if (!flagged)
	{
		return !ours && !sa->armed && !sa->null;
	}
	return sa->armed && sa->presented && facts.rounds_done == 0 && !sa->another_follows && facts.pubkey && ours &&
		   std::ranges::equal(*sa->presented, std::span(facts.verified, BTNS_FINGERPRINT_LEN)) &&
		   sa->same_source(source) && admits(facts.connection, facts.flag, *sa->presented);
}

void Peers::authorize(unsigned sa, const btns_authorize_t &facts, unsigned source)
{
	Sa *known = find(sa);
	const bool allowed = allows(known, facts, source);
	btns_grant_t grant;
	const btns_status_t status = btns_sa_authorize(core_, sa, &facts, &grant);
	require(grant.allowed == allowed, "a round is allowed by the rules and not otherwise");
	require(grant.btns == (allowed && facts.flag != BTNS_FLAG_NONE), "BTNS if and only if the entry has the flag");
	require((status == BTNS_STATUS_OK) == allowed && (grant.reason == BTNS_REASON_NONE) == allowed,
			"a refusal has a reason");
	if (known == nullptr)
	{
		return;
	}
	if (grant.btns && !facts.final)
	{
		known->verified = known->presented;
	}
	if (allowed)
	{
		known->half_open.reset();
	}
	if (grant.btns)
	{
		require(fingerprint_of(grant.key) == known->verified, "the key that was granted is the verified one");
	}
	known->disarm();
}

void Peers::authorize(unsigned sa, Input &input)
{
	static constexpr std::array<const char *, 4> connections{"strangers", "pinned", "misconfigured", ""};
	const unsigned choice = input.octet();
	const unsigned more = input.octet();
	const unsigned source = input.below(addresses.size());
	btns_authorize_t facts{};
	facts.flag = static_cast<btns_flag_t>(more % 6);
	facts.connection = connections.at(choice & 3);
	facts.pubkey = (choice & 4) == 0;
	facts.rounds_done = choice >> 3 & 1;
	facts.reserved_name = (choice & 0xf0) == 0x10;
	facts.final = (choice & 0x20) != 0;
	facts.coerced = (choice & 0x40) == 0;
	facts.source = addresses.at(source);
	const size_t key = more / 6 % (known_keys().size() + 1);
	facts.verified = key < known_keys().size() ? known_keys().at(key).fingerprint.data() : nullptr;
	authorize(sa, facts, source);
}

void Peers::authorize_well(unsigned sa, unsigned source, const Fingerprint &verified, bool final)
{
	btns_authorize_t facts{};
	facts.flag = BTNS_FLAG_ANY;
	facts.connection = "strangers";
	facts.pubkey = true;
	facts.verified = verified.data();
	facts.source = addresses.at(source);
	facts.final = final;
	facts.coerced = final;
	authorize(sa, facts, source);
}

void Peers::be_stranger(unsigned sa, unsigned source, const KnownKey &key)
{
	init(sa, source);
	known_message(sa, source, key);
	arm(sa);
	authorize_well(sa, source, key.fingerprint, false);
	authorize_well(sa, source, key.fingerprint, true);
	up(sa);
}

void Peers::up(unsigned sa)
{
	Sa *known = find(sa);
	const btns_status_t status = btns_sa_up(core_, sa, 1, 2, addresses.data(), addresses.data(), 1000);
	require((status == BTNS_STATUS_OK) == (known != nullptr && known->verified), "only BTNS peers are shown as up");
	if (status == BTNS_STATUS_OK)
	{
		known->established = true;
	}
}

void Peers::rekey(unsigned from, unsigned to)
{
	btns_sa_rekey(core_, from, to);
	Sa *old = find(from);
	if (from == to || old == nullptr)
	{
		return;
	}
	odd_ |= sas_.contains(to) || old->superseded;
	Sa &next = sas_[to];
	next.source = old->source;
	next.verified = old->verified;
	next.superseded = false;
	next.place = std::exchange(old->place, std::nullopt);
	next.half_open.reset();
	next.role = old->role;
	next.established = old->established;
	old->superseded = true;
}

void Peers::drop(unsigned sa)
{
	btns_sa_drop(core_, sa);
	sas_.erase(sa);
}

void check_shown(void * /*user*/, const btns_peer_info_t *peer)
{
	require(strnlen(peer->connection, BTNS_NAME_LEN) < BTNS_NAME_LEN &&
				strnlen(peer->asserted_id, BTNS_ID_LEN) < BTNS_ID_LEN && peer->key.spki_len <= BTNS_SPKI_MAX,
			"texts of a peer end");
}

/** What changes nothing. */
void Peers::look(unsigned sa, Input &input)
{
	Sa *known = find(sa);
	const bool room = known != nullptr && has_room(*known);
	require((btns_sa_admissible(core_, sa, 6) == BTNS_REASON_NONE) == room, "there is room under the caps");
	require(btns_sa_admissible(core_, sa, 7) != BTNS_REASON_NONE, "there is no room below ikesa_limit");

	size_t octets = 0;
	btns_sa_certs(
		core_, sa,
		[](void *user, btns_bytes_t cert)
		{
			for (size_t i = 0; i < cert.len; i++)
			{
				*static_cast<size_t *>(user) += cert.ptr[i];
			}
		},
		&octets);
	btns_sa_names_certificate(core_, sa);
	btns_sa_refuse(core_, sa, static_cast<btns_reason_t>(input.below(BTNS_REASON_COUNT)));
	require(btns_sa_take_refusal(core_, sa, input.flag()) < BTNS_REASON_COUNT, "a reason is one");

	const std::unique_ptr<btns_evidence_t, decltype(&btns_evidence_destroy)> evidence(btns_sa_evidence(core_, sa),
																					  btns_evidence_destroy);
	btns_key_t key;
	if (evidence && btns_evidence_key(core_, evidence.get(), now_, &key) == BTNS_STATUS_OK && known->presented)
	{
		require(fingerprint_of(key) == known->presented, "the evidence is the presented key");
	}
}

/** The limits on those who are there. */
void Peers::limit(unsigned sa, Input &input)
{
	const Sa *known = find(sa);
	const bool verified = known != nullptr && known->verified;
	require(btns_sa_may_create_child(core_, sa, now_) == BTNS_REASON_NONE || verified, "others are not limited");
	btns_sa_used(core_, sa, now_);
	now_ += int64_t{1000} * input.octet();

	const auto evict = [](void *user, uint32_t evicted, btns_reason_t reason)
	{
		const Sa *gone = static_cast<Peers *>(user)->find(evicted);
		require(gone != nullptr, "who goes was there");
		if (reason == BTNS_REASON_SHED_HALF_OPEN)
		{
			require(!gone->verified && !gone->has_message && gone->role == BTNS_ROLE_RESPONDER,
					"half-open is who has not sent IKE_AUTH");
			return;
		}
		require(gone->is_peer() && gone->established, "BTNS peers go");
		require(reason == BTNS_REASON_SHED || gone->role == BTNS_ROLE_RESPONDER, "what we initiate is not idle");
	};
	require(btns_reap(core_, now_, check_shown, evict, this) == BTNS_STATUS_OK, "the idle can be found");
	require(btns_shed(core_, now_, input.below(10), evict, this) == BTNS_STATUS_OK, "room can be made");
}

void Peers::check_all()
{
	size_t peers = 0;
	for (unsigned sa = 0; sa < sa_count; sa++)
	{
		const Sa *known = find(sa);
		btns_key_t key;
		const bool armed = btns_sa_armed_key(core_, sa, &key) == BTNS_STATUS_OK;
		require(armed == (known != nullptr && known->armed && known->presented), "armed after arm only");
		require(!armed || fingerprint_of(key) == known->presented, "the armed key is the presented one");
		const bool verified = btns_sa_verified_key(core_, sa, &key) == BTNS_STATUS_OK;
		require(verified == (known != nullptr && known->verified), "verified after authorize only");
		require(!verified || fingerprint_of(key) == known->verified, "the verified key is the one that verified");
		require(btns_sa_is_btns(core_, sa) == verified, "who has a verified key is a BTNS peer");
		btns_peer_info_t info;
		if (btns_sa_info(core_, sa, &info) == BTNS_STATUS_OK)
		{
			check_shown(nullptr, &info);
		}
		peers += known != nullptr && known->is_peer() ? 1 : 0;
	}
	const auto counts = core_->core.table.counts();
	const auto half_open =
		std::ranges::count_if(sas_, [](const auto &known) { return known.second.half_open.has_value(); });
	require(counts.peers == peers && counts.records == sas_.size() &&
				counts.half_open == static_cast<size_t>(half_open),
			"the counters are right");
	require(odd_ || peers <= max_peers, "there are no more peers than may be");
	require(btns_peers_each(core_, check_shown, nullptr) == BTNS_STATUS_OK, "the peers can be shown");
}

} // namespace

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	Input input(data, size);
	Peers peers;
	for (unsigned steps = 0; steps < 256 && !input.empty(); steps++)
	{
		peers.step(input);
	}
	return 0;
}
