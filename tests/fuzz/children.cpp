/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
/*
 * Who gets which addresses: the input is a sequence of CHILD_SAs of strangers and of authenticated peers that come, go
 * and are rekeyed. The core's indexes are compared with a model that knows nothing but a list and tries every address.
 */
#include <algorithm>
#include <array>
#include <bitset>
#include <cstring>
#include <map>
#include <optional>
#include <set>
#include <vector>

#include "abi.h"
#include "fuzz.h"
#include "known_keys.h"

namespace
{

using btns::fuzz::Input;
using btns::fuzz::known_keys;
using btns::fuzz::KnownKey;
using btns::fuzz::require;

constexpr unsigned sa_count = 6;
constexpr unsigned max_children = 3;
constexpr size_t pending_max = 4;

/** All addresses there are: 198.51.100.0/26 and 2001:db8::/122. */
constexpr unsigned per_family = 64;
using Addresses = std::bitset<2 * per_family>;

/** Inclusive, within one family; from may be greater than to. */
struct Span
{
	unsigned family = 4;
	unsigned from = 0;
	unsigned to = 0;

	auto operator<=>(const Span &) const = default;

	[[nodiscard]] Addresses addresses() const
	{
		Addresses all;
		for (unsigned i = from; i <= to; i++)
		{
			all.set((family == 4 ? 0 : per_family) + i);
		}
		return all;
	}

	[[nodiscard]] bool is_prefix() const
	{
		for (unsigned size = 1; size <= per_family; size *= 2)
		{
			if (from % size == 0 && to == from + size - 1)
			{
				return true;
			}
		}
		return false;
	}
};

btns_addr_t address(unsigned family, unsigned last)
{
	btns_addr_t out = family == 4 ? btns_addr_t{4, {198, 51, 100}}
								  : btns_addr_t{6, {0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}};
	out.bytes[family == 4 ? 3 : 15] = static_cast<uint8_t>(last);
	return out;
}

struct Ports
{
	uint16_t from;
	uint16_t to;
	/** a value and a mask can say it */
	bool exact;
};

constexpr std::array<Ports, 6> port_ranges{{
	{0, 65535, true},
	{2049, 2049, true},
	{1024, 2047, true},
	{1, 65535, false},
	{65535, 0, false},
	{6, 9, false},
}};

btns_ts_t selector(const Span &span, const Ports &ports)
{
	btns_ts_t ts{};
	ts.family = static_cast<uint8_t>(span.family);
	ts.from_port = ports.from;
	ts.to_port = ports.to;
	std::ranges::copy(address(span.family, span.from).bytes, ts.from);
	std::ranges::copy(address(span.family, span.to).bytes, ts.to);
	return ts;
}

btns_range_t range(const Span &span)
{
	const btns_ts_t ts = selector(span, port_ranges.front());
	btns_range_t out{};
	out.family = ts.family;
	std::ranges::copy(ts.from, out.from);
	std::ranges::copy(ts.to, out.to);
	return out;
}

/** Selectors of authenticated peers in the configuration, and an option's range. */
constexpr Span office{4, 48, 63};
constexpr Span reserve{4, 40, 43};

struct Child
{
	/** sorted, each once */
	std::vector<Span> remote;
	bool up = false;
	uint64_t order = 0;
	/** whom it belongs to */
	unsigned sa = 0;
	bool stranger = false;
	size_t key = 0;

	[[nodiscard]] Addresses addresses() const
	{
		Addresses all;
		for (const Span &span : remote)
		{
			all |= span.addresses();
		}
		return all;
	}
};

struct Sa
{
	/** index of known_keys() */
	std::optional<size_t> verified;
	bool superseded = false;
	std::map<unsigned, Child> children;
	/** an authenticated peer's own */
	Addresses hosts;
};

/** A CHILD_SA as the input describes it. */
struct Request
{
	explicit Request(Input &input);

	bool btns;
	bool mode_mismatch;
	unsigned local;
	unsigned id;
	std::vector<Span> remote;
	std::vector<btns_ts_t> selectors;
	bool exact_ports = true;
	Addresses hosts;
	std::vector<btns_addr_t> host_addresses;
};

Request::Request(Input &input)
{
	const unsigned choice = input.octet();
	btns = (choice & 1) != 0;
	mode_mismatch = (choice & 0x0e) == 0x02;
	local = choice >> 4;
	const unsigned more = input.octet();
	id = more % 8;
	const unsigned count = more / 8 == 31 ? BTNS_TS_MAX + 1 : more / 8 % 4;
	for (unsigned i = 0; i < count; i++)
	{
		Span span;
		const unsigned from = input.octet();
		span.family = (from & 0x40) != 0 ? 6 : 4;
		span.from = from % per_family;
		const unsigned length = input.octet();
		// mostly prefixes, else anything
		span.to = length < 128 ? std::min(span.from | ((1U << length % 7) - 1), per_family - 1) : length % per_family;
		const Ports &ports = port_ranges.at((from & 0x80) != 0 ? length % port_ranges.size() : 0);
		exact_ports &= ports.exact;
		remote.push_back(span);
		selectors.push_back(selector(span, ports));
	}
	for (unsigned i = choice % 3; i > 0; i--)
	{
		const unsigned host = input.below(2 * per_family);
		hosts.set(host);
		host_addresses.push_back(address(host < per_family ? 4 : 6, host % per_family));
	}
}

class Children
{
public:
	Children();
	~Children();
	Children(const Children &) = delete;
	Children &operator=(const Children &) = delete;
	Children(Children &&) = delete;
	Children &operator=(Children &&) = delete;

	void step(Input &input);

private:
	using Sas = std::set<unsigned>;

	void be_stranger(unsigned sa, size_t key);
	void child(unsigned sa, const Request &request, bool up, bool installing);
	void child_down(unsigned sa, unsigned id);
	void holds(unsigned sa, Input &input);
	void rekey(unsigned from, unsigned to);
	void drop(unsigned sa);
	void audit();
	void configure(bool reserving);
	void store(Sa &sa, unsigned number, const Request &request, std::vector<Span> remote, bool up);

	[[nodiscard]] Sa *find(unsigned sa);
	[[nodiscard]] Addresses reserved() const;
	[[nodiscard]] Sas strangers_on(const Addresses &addresses) const;
	[[nodiscard]] bool held_by_another(const Addresses &addresses, size_t key) const;
	[[nodiscard]] bool allows(Sa *sa, const Request &request, const std::vector<Span> &remote) const;
	static void evict(void *user, uint32_t sa, btns_reason_t reason);
	void check_all();

	btns_core_t *core_ = nullptr;
	int64_t now_ = 0;
	std::map<unsigned, Sa> sas_;
	uint64_t next_order_ = 0;
	bool reserving_ = true;
	unsigned checked_ = 0;
	Sas evicted_;
};

Children::Children()
{
	btns_options_t options;
	btns_options_default(&options);
	options.max_children = max_children;
	core_ = btns_core_create(&options);
	require(core_ != nullptr, "there is a core");
	configure(true);

	btns_config_t *config = btns_config_begin(core_);
	const char *group = "btns";
	btns_round_t round{};
	round.auth = BTNS_CLASS_PUBKEY;
	round.any_id = true;
	round.groups = &group;
	round.group_count = 1;
	btns_entry_t entry{};
	entry.name = "strangers";
	entry.ike_version = 2;
	entry.rounds = &round;
	entry.round_count = 1;
	entry.any_remote = true;
	require(btns_config_add(config, &entry) == BTNS_STATUS_OK, "an entry is taken");
	const btns_ts_t remote = selector(office, port_ranges.front());
	round.groups = nullptr;
	round.group_count = 0;
	round.any_id = false;
	entry.name = "office";
	entry.remote_ts = &remote;
	entry.remote_ts_count = 1;
	require(btns_config_add(config, &entry) == BTNS_STATUS_OK, "an entry is taken");
	require(btns_config_commit(core_, config) == BTNS_STATUS_OK, "a configuration is taken");
}

Children::~Children()
{
	for (unsigned sa = 0; sa < sa_count; sa++)
	{
		drop(sa);
	}
	check_all();
	btns_core_destroy(core_);
}

void Children::step(Input &input)
{
	const unsigned choice = input.octet();
	const unsigned sa = choice % sa_count;
	switch (choice / sa_count % 12)
	{
	case 0:
	case 1:
		be_stranger(sa, input.below(known_keys().size()));
		break;
	case 2:
	case 3:
		child(sa, Request(input), false, input.flag());
		break;
	case 4:
	case 5:
	case 6:
		child(sa, Request(input), true, false);
		break;
	case 7:
		child_down(sa, input.below(8));
		break;
	case 8:
		holds(sa, input);
		break;
	case 9:
		rekey(sa, input.below(sa_count));
		break;
	case 10:
		drop(sa);
		break;
	default:
		input.flag() ? audit() : configure(input.flag());
		break;
	}
	check_all();
}

Sa *Children::find(unsigned sa)
{
	const auto found = sas_.find(sa);
	return found == sas_.end() ? nullptr : &found->second;
}

void Children::configure(bool reserving)
{
	btns_options_t options;
	btns_options_default(&options);
	options.max_children = max_children;
	const btns_range_t reserved = range(reserve);
	options.reserve = &reserved;
	options.reserve_count = reserving ? 1 : 0;
	require(btns_core_configure(core_, &options) == BTNS_STATUS_OK, "options are taken");
	reserving_ = reserving;
}

/** All the way to a BTNS peer. What is in the kernel stays when charon starts over. */
void Children::be_stranger(unsigned sa, size_t key)
{
	const KnownKey &known = known_keys().at(key);
	const btns_addr_t source = address(4, sa);
	const btns_cert_t cert{known.encoding, {known.body.data(), known.body.size()}};
	btns_auth_message_t message{};
	message.auth = BTNS_AUTH_SIGNATURE;
	message.source = source;
	message.certs = &cert;
	message.cert_count = message.cert_total = 1;
	btns_authorize_t facts{};
	facts.flag = BTNS_FLAG_ANY;
	facts.connection = "strangers";
	facts.pubkey = true;
	facts.verified = known.fingerprint.data();
	facts.source = source;
	btns_key_t found;
	btns_reason_t reason = BTNS_REASON_NONE;
	btns_grant_t grant;
	const btns_init_t init{source, BTNS_ROLE_RESPONDER, sa, sa, 0};
	now_ += 1000;
	require(btns_sa_init(core_, sa, &init) == BTNS_STATUS_OK &&
				btns_sa_message(core_, sa, &message) == BTNS_STATUS_OK &&
				btns_sa_key(core_, sa, now_, &found, &reason) == BTNS_STATUS_OK &&
				btns_sa_arm(core_, sa, BTNS_ROLE_RESPONDER, &reason) == BTNS_STATUS_OK &&
				btns_sa_authorize(core_, sa, &facts, &grant) == BTNS_STATUS_OK && grant.btns,
			"a stranger with a good key becomes a BTNS peer");
	Sa &model = sas_[sa];
	model.verified = key;
	model.superseded = false;
}

Addresses Children::reserved() const
{
	Addresses all = office.addresses();
	if (reserving_)
	{
		all |= reserve.addresses();
	}
	for (const auto &[number, sa] : sas_)
	{
		all |= sa.hosts;
		for (const auto &[id, child] : sa.children)
		{
			all |= child.stranger ? Addresses() : child.addresses();
		}
	}
	return all;
}

Children::Sas Children::strangers_on(const Addresses &addresses) const
{
	Sas found;
	for (const auto &[number, sa] : sas_)
	{
		for (const auto &[id, child] : sa.children)
		{
			if (child.stranger && (child.addresses() & addresses).any())
			{
				found.insert(child.sa);
			}
		}
	}
	return found;
}

bool Children::held_by_another(const Addresses &addresses, size_t key) const
{
	return std::ranges::any_of(sas_,
							   [&](const auto &sa)
							   {
								   return std::ranges::any_of(sa.second.children,
															  [&](const auto &child) {
																  return child.second.stranger &&
																		 child.second.key != key &&
																		 (child.second.addresses() & addresses).any();
															  });
							   });
}

bool Children::allows(Sa *sa, const Request &request, const std::vector<Span> &remote) const
{
	if (sa == nullptr || !sa->verified || !request.btns || request.mode_mismatch || request.local == 15 ||
		request.local == 14 || request.remote.empty() || request.remote.size() > BTNS_TS_MAX || !request.exact_ports)
	{
		return false;
	}
	for (const Span &span : request.remote)
	{
		if (!span.is_prefix() || (span.addresses() & reserved()).any())
		{
			return false;
		}
		const bool own = span.from == span.to && (span.addresses() & request.hosts).any();
		if (!own && held_by_another(span.addresses(), *sa->verified))
		{
			return false;
		}
	}
	size_t others = 0;
	size_t different = 0;
	for (const auto &[id, child] : sa->children)
	{
		if (id != request.id && child.up)
		{
			others++;
			different += child.remote != remote ? 1 : 0;
		}
	}
	return different < max_children && others < size_t{2} * max_children;
}

void Children::store(Sa &sa, unsigned number, const Request &request, std::vector<Span> remote, bool up)
{
	Child &child = sa.children[request.id];
	child = {std::move(remote), up, next_order_++, number, request.btns, sa.verified.value_or(0)};
	std::vector<std::pair<uint64_t, unsigned>> pending;
	for (const auto &[id, other] : sa.children)
	{
		if (!other.up)
		{
			pending.emplace_back(other.order, id);
		}
	}
	if (pending.size() > pending_max)
	{
		sa.children.erase(std::ranges::min(pending).second);
	}
}

void Children::child(unsigned sa, const Request &request, bool up, bool installing)
{
	std::vector<btns_ts_t> local(request.local == 15 ? 0 : (request.local == 14 ? BTNS_TS_MAX + 1 : 1),
								 selector({4, 1, 1}, port_ranges.front()));
	btns_child_t child{};
	child.btns = request.btns;
	child.connection = request.btns ? "strangers" : "office";
	child.hosts = request.host_addresses.data();
	child.host_count = request.host_addresses.size();
	child.local = local.data();
	child.local_count = local.size();
	child.remote = request.selectors.data();
	child.remote_count = request.selectors.size();
	child.mode_mismatch = request.mode_mismatch;
	child.installing = installing;
	child.child = request.id;

	std::vector<Span> remote = request.remote;
	std::erase_if(remote, [](const Span &span) { return span.from > span.to; });
	std::ranges::sort(remote);
	remote.erase(std::unique(remote.begin(), remote.end()), remote.end());

	Sa *known = find(sa);
	const bool as_stranger = request.btns || (known != nullptr && known->verified);
	const bool allowed = as_stranger ? allows(known, request, remote) : true;
	Addresses wanted;
	for (const Span &span : remote)
	{
		wanted |= span.addresses();
	}
	const Sas evicted = as_stranger ? Sas() : strangers_on(wanted);

	evicted_.clear();
	btns_reason_t reason = BTNS_REASON_NONE;
	const btns_status_t status = up ? btns_child_up(core_, sa, &child, evict, this, &reason)
									: btns_child_authorize(core_, sa, &child, evict, this, &reason);
	require((status == BTNS_STATUS_OK) == allowed, "a CHILD_SA is allowed by the rules and not otherwise");
	require((reason == BTNS_REASON_NONE) == allowed, "a refusal has a reason");
	require(evicted_ == evicted, "strangers make way for authenticated peers, and nobody else does");
	if (allowed && (up || installing))
	{
		store(sas_[sa], sa, request, std::move(remote), up);
	}
}

void Children::child_down(unsigned sa, unsigned id)
{
	btns_child_down(core_, sa, id);
	if (Sa *known = find(sa))
	{
		known->children.erase(id);
	}
}

void Children::holds(unsigned sa, Input &input)
{
	std::vector<btns_addr_t> addresses;
	Addresses wanted;
	for (unsigned i = input.below(4); i > 0; i--)
	{
		const unsigned host = input.below(2 * per_family);
		addresses.push_back(address(host < per_family ? 4 : 6, host % per_family));
		wanted.set(host);
	}
	Sa *known = find(sa);
	const bool allowed = known == nullptr || !known->verified;
	const Sas evicted = allowed ? strangers_on(wanted) : Sas();
	evicted_.clear();
	const btns_status_t status = btns_sa_holds(core_, sa, addresses.data(), addresses.size(), evict, this);
	require((status == BTNS_STATUS_OK) == allowed, "only an authenticated peer holds addresses");
	require(evicted_ == evicted, "strangers make way for an authenticated peer's addresses");
	if (allowed)
	{
		sas_[sa].hosts = wanted;
	}
}

void Children::rekey(unsigned from, unsigned to)
{
	btns_sa_rekey(core_, from, to);
	Sa *old = find(from);
	if (from == to || old == nullptr)
	{
		return;
	}
	Sa &next = sas_[to];
	next.verified = old->verified;
	next.superseded = false;
	next.children.merge(old->children);
	for (auto &[id, child] : next.children)
	{
		child.sa = to;
	}
	if (old->hosts.any())
	{
		next.hosts = old->hosts;
		old->hosts.reset();
	}
	old->superseded = true;
}

void Children::drop(unsigned sa)
{
	btns_sa_drop(core_, sa);
	sas_.erase(sa);
}

void Children::audit()
{
	Sas expected;
	for (const auto &[number, sa] : sas_)
	{
		const bool overlaps = std::ranges::any_of(sa.children, [&](const auto &child)
												  { return (child.second.addresses() & reserved()).any(); });
		if (sa.verified && !sa.superseded && overlaps)
		{
			expected.insert(number);
		}
	}
	evicted_.clear();
	require(btns_audit(core_, evict, this) == BTNS_STATUS_OK, "an audit works");
	require(evicted_ == expected, "an audit finds the strangers on reserved addresses");
}

void Children::evict(void *user, uint32_t sa, btns_reason_t reason)
{
	auto *self = static_cast<Children *>(user);
	require(reason == BTNS_REASON_EVICTED, "an eviction has a reason");
	require(self->evicted_.insert(sa).second, "nobody is evicted twice");
	// no lock is held
	btns_sa_is_btns(self->core_, sa);
}

void Children::check_all()
{
	uint64_t peers = 0;
	uint64_t children = 0;
	for (const auto &[number, sa] : sas_)
	{
		if (sa.verified && !sa.superseded)
		{
			peers++;
			children += static_cast<uint64_t>(
				std::ranges::count_if(sa.children, [](const auto &child) { return child.second.up; }));
		}
	}
	const auto counts = core_->core.table.counts();
	require(counts.peers == peers && counts.children == children && counts.records == sas_.size(),
			"the counters are right");
	const Addresses all = reserved();
	// a few after each step, because there are many
	for (unsigned i = checked_++ % 16; i < all.size(); i += 16)
	{
		const btns_addr_t one = address(i < per_family ? 4 : 6, i % per_family);
		require(btns_is_reserved(core_, &one) == all.test(i), "each address is reserved or not, as in the model");
	}
}

} // namespace

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	Input input(data, size);
	Children children;
	for (unsigned steps = 0; steps < 128 && !input.empty(); steps++)
	{
		children.step(input);
	}
	return 0;
}
