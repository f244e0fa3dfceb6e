/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
#include "latch_database.h"

#include <functional>
#include <list>
#include <map>

#include "alert_queue.h"
#include "interned.h"
#include "latch_index.h"
#include "policy.h"
#include "rollback.h"

namespace btns
{

/** Who has latches, or alerts to hear. */
struct LatchOwnerRecord
{
	LatchOwner id = 0;
	size_t latches = 0;
	AlertQueue alerts;
	/** in `alerted_` or `quiet_` */
	std::list<LatchOwnerRecord *>::iterator place;
};

namespace
{

using Numbers = std::vector<uint32_t>;
using Record = LatchRecord;

/** A latch that an SA conflicts with. */
struct Hit
{
	LatchId id = 0;
	uint32_t number = 0;

	auto operator<=>(const Hit &) const = default;
};

/** What else than the peer and the suite has to be the same. */
struct Kind
{
	/** number of the local identity */
	uint32_t local = 0;
	btns_mode_t mode = BTNS_MODE_NONE;
	bool confidentiality = false;
	bool integrity = false;

	auto operator<=>(const Kind &) const = default;
};

/** An order with nothing to sum up, of numbers of records. */
struct NoKeeper
{
	template <typename Entry>
	NoSummary operator()(const Entry & /*entry*/) const
	{
		return {};
	}
};
using NumberTree = BlockTree<uint32_t, NoKeeper>;

/** What latches with some reqids have in common. */
struct ReqidSummary
{
	void add(const ReqidSummary &other)
	{
		hold.add(other.hold);
		first = std::min(first, other.first);
		last = std::max(last, other.last);
	}

	LatchHold hold;
	uint32_t first = std::numeric_limits<uint32_t>::max();
	uint32_t last = 0;
};

struct ReqidKeeper
{
	ReqidSummary operator()(uint32_t number) const
	{
		const Record &record = (*records)[number];
		return {record.hold(), record.reqid, record.reqid};
	}
	const LatchRecords *records;
};

/** An SA that has broken a latch that waits, in either order. */
struct Break
{
	/** the child's ID, or the number of the latch */
	uint32_t first = 0;
	uint32_t second = 0;

	auto operator<=>(const Break &) const = default;
};
using BreakTree = BlockTree<Break, NoKeeper>;

auto in_order(const Break &pair)
{
	return [pair](const Break &other) { return other <=> pair; };
}

std::strong_ordering by_id(const Record &a, const Record &b)
{
	return a.id <=> b.id;
}

std::strong_ordering by_owner(const Record &a, const Record &b)
{
	const auto order = a.owner->id <=> b.owner->id;
	return order != 0 ? order : a.id <=> b.id;
}

std::strong_ordering by_peer(const Record &a, const Record &b)
{
	const auto order = a.peer <=> b.peer;
	return order != 0 ? order : a.id <=> b.id;
}

std::strong_ordering by_reqid(const Record &a, const Record &b)
{
	const auto order = a.reqid <=> b.reqid;
	return order != 0 ? order : a.id <=> b.id;
}

/** Of listeners, which differ in one of these. */
std::strong_ordering by_local(const Record &a, const Record &b)
{
	return std::tie(a.protocol, a.local_port, a.local_family, a.local) <=>
		   std::tie(b.protocol, b.local_port, b.local_family, b.local);
}

bool fits(const Address &address)
{
	return address.family == 6 || (address.family == 4 && address.value <= 0xffffffff) ||
		   (address.family == 0 && address.value == 0);
}

void set_tuple(Record &record, const LatchTuple &tuple)
{
	// the unspecified address is nobody's
	const bool is_known = tuple.remote.family == 0 || tuple.local.value != 0;
	record.protocol = tuple.protocol;
	record.local = WideAddress(tuple.local.value);
	record.local_family = is_known ? static_cast<uint8_t>(tuple.local.family) : uint8_t{0};
	record.local_port = tuple.local_port;
	record.remote = WideAddress(tuple.remote.value);
	record.remote_family = static_cast<uint8_t>(tuple.remote.family);
	record.remote_port = tuple.remote_port;
}

/** The tuple of a connection, if it can be one. */
std::optional<Record> connection(const LatchTuple &tuple)
{
	const bool has_family = tuple.remote.family == 4 || tuple.remote.family == 6;
	if (tuple.protocol == 0 || tuple.remote_port == 0 || !has_family || !fits(tuple.remote) || !fits(tuple.local) ||
		(tuple.local.family != 0 && tuple.local.family != tuple.remote.family))
	{
		return std::nullopt;
	}
	Record record;
	set_tuple(record, tuple);
	return record;
}

/** Is the local end known? */
bool is_whole(const Record &record)
{
	return record.local_family != 0 && record.local_port != 0;
}

bool is_listener(const Record &record)
{
	return record.state == LatchState::listener;
}

/** A BROKEN one that may become ESTABLISHED. */
bool waits(const Record &record)
{
	return record.disposition == LatchDisposition::wait && !record.dead;
}

/** Did the owner close it? */
bool is_own_doing(LatchReason reason)
{
	return reason == LatchReason::released;
}

LatchStatus status_of(const Record &record)
{
	LatchStatus status;
	status.id = record.id;
	status.owner = record.owner->id;
	status.listener = record.listener;
	status.tuple = {record.protocol,
					{record.local_family, record.local.value()},
					{record.remote_family, record.remote.value()},
					record.local_port,
					record.remote_port};
	status.state = record.state;
	status.reason = record.reason;
	return status;
}

} // namespace

struct LatchDatabase::Impl
{
	explicit Impl(const Limits &limits) : limits_(limits), ipv4_(records_), ipv6_(records_), by_reqid_({&records_}) {}

	/* what functions need, and what does not throw */

	template <typename Compare>
	auto in_order(Compare compare, const Record &record) const
	{
		return [this, compare, &record](uint32_t number) { return compare(records_[number], record); };
	}

	template <typename Function>
	auto with_index(const Record &record, Function &&function)
	{
		return record.remote_family == 4 ? function(ipv4_) : function(ipv6_);
	}

	template <typename Function>
	auto with_index(const Record &record, Function &&function) const
	{
		return record.remote_family == 4 ? function(ipv4_) : function(ipv6_);
	}

	[[nodiscard]] std::optional<uint32_t> number_of(LatchId id) const;
	[[nodiscard]] std::optional<uint32_t> find(const Record &record) const;
	[[nodiscard]] std::optional<uint32_t> find_listener(const Record &record) const;
	[[nodiscard]] LatchInfo describe(const Record &record) const;

	/* owners and alerts */

	LatchOwnerRecord &owner(LatchOwner id);
	[[nodiscard]] LatchError room_for_one_more(LatchOwner id) const;
	void forget_if_idle(LatchOwnerRecord &owner) noexcept;
	static void make_alert_room(const Numbers &, LatchRecords &records);
	void enqueue(LatchOwnerRecord &owner, const AlertQueue::Alert &alert, uint32_t &last) noexcept;
	void alert(Record &record) noexcept;
	/** Its state has changed, and nobody but those who watch is told. */
	void note(const Record &record) const noexcept;
	void note_closed(Record record, LatchReason reason) const noexcept;

	/* latches that come and go */

	Made add(Record record, LatchOwner owner_id, const LatchRequest &request, Record *listener);
	void remove(uint32_t number) noexcept;
	void close(uint32_t number, LatchReason reason) noexcept;

	/* SAs */

	[[nodiscard]] LatchHold hold_of(const LatchSa &sa) const;
	/** Call visitor(index, box) for each policy of an SA, until it returns FALSE. */
	template <typename Visitor>
	bool for_each_policy(const LatchSa &sa, const LatchHold &hold, Visitor &&visitor) const;
	/** Call visitor(number) for those that have the SA's reqid and are not congruent, until it returns FALSE. */
	template <typename Visitor>
	void for_each_with_reqid(const LatchSa &sa, const LatchHold &hold, Visitor &&visitor) const;
	/** Each one once, in the order of their IDs. */
	[[nodiscard]] std::vector<Hit> conflicts(const LatchSa &sa) const;

	/* which SAs have broken a latch that waits */

	bool add_break(uint32_t child, uint32_t number);
	void remove_break(uint32_t child, uint32_t number) noexcept;
	void remove_breaks(uint32_t number) noexcept;
	/** How many SAs, up to two. */
	[[nodiscard]] unsigned count_breaks(uint32_t number) const;

	const Limits limits_;
	LatchRecords records_;
	LatchId next_id_ = 1;

	LatchIndex<ShortAddress> ipv4_;
	LatchIndex<WideAddress> ipv6_;
	NumberTree listeners_;
	NumberTree by_id_;
	NumberTree by_owner_;
	/** those that have one */
	NumberTree by_peer_;
	BlockTree<uint32_t, ReqidKeeper> by_reqid_;
	BreakTree child_breaks_;
	BreakTree latch_breaks_;

	/** of peers, of ourselves, of keys */
	Interned<Fingerprint> digests_;
	Interned<Kind> kinds_;
	Interned<std::string> suites_;

	std::map<LatchOwner, LatchOwnerRecord> owners_;
	std::list<LatchOwnerRecord *> alerted_;
	std::list<LatchOwnerRecord *> quiet_;

	std::function<void(const LatchChange &)> observer_;
};

std::optional<uint32_t> LatchDatabase::Impl::number_of(LatchId id) const
{
	Record probe;
	probe.id = id;
	std::optional<uint32_t> found;
	by_id_.scan(in_order(by_id, probe),
				[&](uint32_t number)
				{
					if (records_[number].id == id)
					{
						found = number;
					}
					return false;
				});
	return found;
}

std::optional<uint32_t> LatchDatabase::Impl::find(const Record &record) const
{
	return with_index(record, [&](const auto &index) { return index.find(record); });
}

std::optional<uint32_t> LatchDatabase::Impl::find_listener(const Record &record) const
{
	std::optional<uint32_t> found;
	listeners_.scan(in_order(by_local, record),
					[&](uint32_t number)
					{
						if (by_local(records_[number], record) == 0)
						{
							found = number;
						}
						return false;
					});
	return found;
}

LatchInfo LatchDatabase::Impl::describe(const Record &record) const
{
	LatchInfo info;
	static_cast<LatchStatus &>(info) = status_of(record);
	info.request.confidentiality = record.confidentiality;
	info.request.auth = record.auth;
	info.request.disposition = record.disposition;
	info.request.narrow = record.narrow;
	info.request.mode = static_cast<btns_mode_t>(record.mode);
	info.request.timeout = record.timeout;
	if (record.key != 0)
	{
		info.request.peer_key = digests_[record.key];
	}
	if (record.peer != 0)
	{
		const Kind &kind = kinds_[record.kind];
		info.congruence.emplace();
		info.congruence->peer = digests_[record.peer];
		info.congruence->local = digests_[kind.local];
		info.congruence->mode = kind.mode;
		info.congruence->confidentiality = kind.confidentiality;
		info.congruence->integrity = kind.integrity;
		if (record.suite != 0)
		{
			info.congruence->suite = suites_[record.suite];
		}
	}
	info.reqid = record.reqid;
	return info;
}

LatchOwnerRecord &LatchDatabase::Impl::owner(LatchOwner id)
{
	const auto found = owners_.find(id);
	if (found != owners_.end())
	{
		return found->second;
	}
	std::list<LatchOwnerRecord *> place(1);
	LatchOwnerRecord &owner = owners_[id];
	owner.id = id;
	owner.place = place.begin();
	*owner.place = &owner;
	quiet_.splice(quiet_.end(), place);
	return owner;
}

LatchError LatchDatabase::Impl::room_for_one_more(LatchOwner id) const
{
	const auto found = owners_.find(id);
	const bool is_full =
		records_.size() >= limits_.latches ||
		(found == owners_.end() ? limits_.per_owner == 0
								: found->second.latches >= limits_.per_owner ||
									  found->second.alerts.size() >= limits_.alerts_per_owner + limits_.per_owner);
	return is_full ? LatchError::full : LatchError::none;
}

void LatchDatabase::Impl::forget_if_idle(LatchOwnerRecord &owner) noexcept
{
	if (owner.latches == 0 && owner.alerts.empty())
	{
		quiet_.erase(owner.place);
		owners_.erase(owner.id);
	}
}

/** For one alert of each of these latches. */
void LatchDatabase::Impl::make_alert_room(const Numbers &numbers, LatchRecords &records)
{
	std::vector<LatchOwnerRecord *> owners;
	owners.reserve(numbers.size());
	for (const uint32_t number : numbers)
	{
		owners.push_back(records[number].owner);
	}
	std::sort(owners.begin(), owners.end(), std::less<>());
	for (auto first = owners.begin(); first != owners.end();)
	{
		const auto next = std::upper_bound(first, owners.end(), *first, std::less<>());
		(*first)->alerts.make_room(static_cast<size_t>(next - first));
		first = next;
	}
}

/** There is room. @param last	number of the latch's last alert */
void LatchDatabase::Impl::enqueue(LatchOwnerRecord &owner, const AlertQueue::Alert &alert, uint32_t &last) noexcept
{
	if (owner.id == 0)
	{
		return;
	}
	AlertQueue::Alert *waiting = owner.alerts.find(last);
	if (owner.alerts.size() >= limits_.alerts_per_owner && waiting != nullptr && waiting->latch == alert.latch)
	{
		if (alert.born == 0)
		{
			*waiting = alert;
		}
		return;
	}
	if (owner.alerts.empty())
	{
		alerted_.splice(alerted_.end(), quiet_, owner.place);
	}
	last = owner.alerts.push(alert);
}

/** Its state has changed; there is room. */
void LatchDatabase::Impl::alert(Record &record) noexcept
{
	enqueue(*record.owner, {record.id, 0, record.state, record.reason}, record.alert);
	note(record);
}

void LatchDatabase::Impl::note(const Record &record) const noexcept
{
	if (observer_)
	{
		observer_({status_of(record), 0});
	}
}

void LatchDatabase::Impl::note_closed(Record record, LatchReason reason) const noexcept
{
	record.state = LatchState::closed;
	record.reason = reason;
	note(record);
}

/** @param record	has its tuple and state. @param listener	that it is born of, NULL for none */
LatchDatabase::Made LatchDatabase::Impl::add(Record record, LatchOwner owner_id, const LatchRequest &request,
											 Record *listener)
{
	if (const LatchError error = room_for_one_more(owner_id); error != LatchError::none)
	{
		return {0, error};
	}
	LatchOwnerRecord &holder = owner(owner_id);
	Rollback forget([&] { forget_if_idle(holder); });
	record.id = next_id_;
	record.owner = &holder;
	record.listener = listener != nullptr ? listener->id : 0;
	record.confidentiality = request.confidentiality;
	record.auth = request.auth;
	record.disposition = request.disposition;
	record.narrow = request.narrow;
	record.mode = static_cast<uint8_t>(request.mode);
	record.timeout = request.timeout;
	record.key = request.peer_key ? digests_.get(*request.peer_key) : 0;
	Rollback drop_key([&] { digests_.drop(record.key); });
	if (is_listener(record))
	{
		listeners_.make_room(in_order(by_local, record));
	}
	else
	{
		with_index(record, [&](auto &index) { index.make_room(record); });
	}
	by_id_.make_room(in_order(by_id, record));
	by_owner_.make_room(in_order(by_owner, record));
	if (listener != nullptr)
	{
		listener->owner->alerts.make_room(1);
	}
	const uint32_t number = records_.take();

	drop_key.cancel();
	forget.cancel();
	next_id_++;
	records_[number] = record;
	if (is_listener(record))
	{
		listeners_.put(number, in_order(by_local, record));
	}
	else
	{
		with_index(record, [&](auto &index) { index.put(number); });
	}
	by_id_.put(number, in_order(by_id, record));
	by_owner_.put(number, in_order(by_owner, record));
	holder.latches++;
	if (listener != nullptr)
	{
		enqueue(*listener->owner, {listener->id, record.id, listener->state, listener->reason}, listener->alert);
	}
	note(record);
	return {record.id, LatchError::none};
}

/** Nothing is left of it but alerts. Its owner may be idle afterwards. */
void LatchDatabase::Impl::remove(uint32_t number) noexcept
{
	const Record record = records_[number];
	remove_breaks(number);
	if (is_listener(record))
	{
		listeners_.remove(in_order(by_local, record));
	}
	else
	{
		with_index(record, [&](auto &index) { index.remove(number); });
	}
	if (record.peer != 0)
	{
		by_peer_.remove(in_order(by_peer, record));
		by_reqid_.remove(in_order(by_reqid, record));
		digests_.drop(record.peer);
		digests_.drop(kinds_[record.kind].local);
		kinds_.drop(record.kind);
		suites_.drop(record.suite);
	}
	digests_.drop(record.key);
	by_id_.remove(in_order(by_id, record));
	by_owner_.remove(in_order(by_owner, record));
	record.owner->latches--;
	records_.give(number);
}

/** There is room for an alert, unless none is due. */
void LatchDatabase::Impl::close(uint32_t number, LatchReason reason) noexcept
{
	Record &record = records_[number];
	LatchOwnerRecord &holder = *record.owner;
	if (!is_own_doing(reason))
	{
		enqueue(holder, {record.id, 0, LatchState::closed, reason}, record.alert);
	}
	note_closed(record, reason);
	remove(number);
	forget_if_idle(holder);
}

LatchHold LatchDatabase::Impl::hold_of(const LatchSa &sa) const
{
	const auto number = [](uint32_t found) { return found != 0 ? found : LatchHold::foreign; };
	LatchHold hold{LatchHold::foreign, LatchHold::foreign, LatchHold::foreign, LatchHold::foreign};
	if (sa.peer_key != nullptr)
	{
		hold.key = number(digests_.find(*sa.peer_key));
	}
	if (sa.congruence != nullptr)
	{
		const Congruence &other = *sa.congruence;
		hold.peer = number(digests_.find(other.peer));
		const uint32_t local = digests_.find(other.local);
		hold.kind = number(kinds_.find({local, other.mode, other.confidentiality, other.integrity}));
		hold.suite = other.suite.empty() ? LatchHold::foreign : number(suites_.find(other.suite));
	}
	return hold;
}

template <typename Visitor>
bool LatchDatabase::Impl::for_each_policy(const LatchSa &sa, const LatchHold &hold, Visitor &&visitor) const
{
	for (const btns_ts_t &local : sa.local)
	{
		for (const btns_ts_t &remote : sa.remote)
		{
			const auto selector = policy_selector(local, remote);
			if (!selector)
			{
				continue;
			}
			const auto visit = [&]<typename Packed>(const LatchIndex<Packed> &index)
			{
				LatchBox<Packed> box;
				box.hold = hold;
				box.local_first = Packed(selector->local.first);
				box.local_last = Packed(selector->local.last);
				box.remote_first = Packed(selector->remote.first);
				box.remote_last = Packed(selector->remote.last);
				box.local_port_first = selector->local_port_first;
				box.local_port_last = selector->local_port_last;
				box.remote_port_first = selector->remote_port_first;
				box.remote_port_last = selector->remote_port_last;
				box.protocol_first = selector->protocol;
				box.protocol_last = selector->protocol != 0 ? selector->protocol : uint8_t{0xff};
				return visitor(index, box);
			};
			if (!(selector->remote.family == 4 ? visit(ipv4_) : visit(ipv6_)))
			{
				return false;
			}
		}
	}
	return true;
}

template <typename Visitor>
void LatchDatabase::Impl::for_each_with_reqid(const LatchSa &sa, const LatchHold &hold, Visitor &&visitor) const
{
	if (sa.reqid == 0)
	{
		return;
	}
	const auto is_hit = [&](uint32_t number)
	{
		const Record &record = records_[number];
		return record.reqid == sa.reqid && record.hold().conflicts(hold);
	};
	by_reqid_.search([&](const ReqidSummary &summary)
					 { return summary.first <= sa.reqid && sa.reqid <= summary.last && summary.hold.conflicts(hold); },
					 [&](std::span<const uint32_t> numbers)
					 {
						 return std::all_of(numbers.begin(), numbers.end(),
											[&](uint32_t number) { return !is_hit(number) || visitor(number); });
					 });
}

std::vector<Hit> LatchDatabase::Impl::conflicts(const LatchSa &sa) const
{
	const LatchHold hold = hold_of(sa);
	Numbers found;
	for_each_policy(sa, hold,
					[&](const auto &index, const auto &box)
					{
						index.collect(box, found);
						return true;
					});
	for_each_with_reqid(sa, hold,
						[&](uint32_t number)
						{
							found.push_back(number);
							return true;
						});
	std::vector<Hit> hits;
	hits.reserve(found.size());
	for (const uint32_t number : found)
	{
		hits.push_back({records_[number].id, number});
	}
	std::sort(hits.begin(), hits.end());
	hits.erase(std::unique(hits.begin(), hits.end()), hits.end());
	return hits;
}

/** FALSE if it is known already. Strong exception guarantee. */
bool LatchDatabase::Impl::add_break(uint32_t child, uint32_t number)
{
	const Break by_child{child, number};
	const Break by_latch{number, child};
	bool is_known = false;
	child_breaks_.scan(btns::in_order(by_child),
					   [&](const Break &found)
					   {
						   is_known = found == by_child;
						   return false;
					   });
	if (is_known)
	{
		return false;
	}
	child_breaks_.make_room(btns::in_order(by_child));
	latch_breaks_.make_room(btns::in_order(by_latch));
	child_breaks_.put(by_child, btns::in_order(by_child));
	latch_breaks_.put(by_latch, btns::in_order(by_latch));
	return true;
}

void LatchDatabase::Impl::remove_break(uint32_t child, uint32_t number) noexcept
{
	child_breaks_.remove(btns::in_order(Break{child, number}));
	latch_breaks_.remove(btns::in_order(Break{number, child}));
}

void LatchDatabase::Impl::remove_breaks(uint32_t number) noexcept
{
	for (bool is_done = false; !is_done;)
	{
		Break found;
		is_done = true;
		latch_breaks_.scan(btns::in_order(Break{number, 0}),
						   [&](const Break &next)
						   {
							   found = next;
							   is_done = next.first != number;
							   return false;
						   });
		if (!is_done)
		{
			remove_break(found.second, number);
		}
	}
}

unsigned LatchDatabase::Impl::count_breaks(uint32_t number) const
{
	unsigned count = 0;
	latch_breaks_.scan(btns::in_order(Break{number, 0}),
					   [&](const Break &next) { return next.first == number && ++count < 2; });
	return count;
}

LatchDatabase::LatchDatabase() : LatchDatabase(Limits{}) {}
LatchDatabase::LatchDatabase(const Limits &limits) : impl_(std::make_unique<Impl>(limits)) {}
LatchDatabase::~LatchDatabase() = default;

LatchDatabase::Made LatchDatabase::listen(const LatchTuple &tuple, LatchOwner owner, const LatchRequest &request)
{
	if (tuple.protocol == 0 || tuple.local_port == 0 || tuple.remote_port != 0 || tuple.remote != Address() ||
		!fits(tuple.local))
	{
		return {0, LatchError::invalid};
	}
	Record record;
	set_tuple(record, tuple);
	record.state = LatchState::listener;
	if (impl_->find_listener(record))
	{
		return {0, LatchError::exists};
	}
	return impl_->add(record, owner, request, nullptr);
}

LatchDatabase::Made LatchDatabase::create(const LatchTuple &tuple, LatchOwner owner, const LatchRequest &request,
										  LatchId listener)
{
	const auto record = connection(tuple);
	if (!record)
	{
		return {0, LatchError::invalid};
	}
	Record *parent = nullptr;
	if (listener != 0)
	{
		const auto number = impl_->number_of(listener);
		if (!number || !is_listener(impl_->records_[*number]))
		{
			return {0, LatchError::no_such};
		}
		parent = &impl_->records_[*number];
	}
	if (is_whole(*record) && impl_->find(*record))
	{
		return {0, LatchError::exists};
	}
	return impl_->add(*record, owner, request, parent);
}

LatchError LatchDatabase::bound(LatchId id, const LatchTuple &tuple)
{
	const auto number = impl_->number_of(id);
	if (!number || impl_->records_[*number].state != LatchState::larval)
	{
		return LatchError::no_such;
	}
	Record &known = impl_->records_[*number];
	const auto now = connection(tuple);
	if (!now || !is_whole(*now) || now->protocol != known.protocol || now->remote_family != known.remote_family ||
		now->remote != known.remote || now->remote_port != known.remote_port ||
		(known.local_family != 0 && now->local != known.local) ||
		(known.local_port != 0 && now->local_port != known.local_port))
	{
		return LatchError::invalid;
	}
	if (const auto other = impl_->find(*now))
	{
		return *other == *number ? LatchError::none : LatchError::exists;
	}
	Record moved = known;
	set_tuple(moved, tuple);
	auto &records = impl_->records_;
	impl_->with_index(moved,
					  [&](auto &index)
					  {
						  index.make_room(moved);
						  // it is there twice for a moment: with an entry less there might be no room where it belongs
						  const uint32_t twin = records.take();
						  records[twin] = moved;
						  index.put(twin);
						  index.remove(*number);
						  known = moved;
						  index.replace(twin, *number);
						  records.give(twin);
					  });
	return LatchError::none;
}

LatchError LatchDatabase::establish(LatchId id, const Congruence &congruence, uint32_t reqid, bool heard)
{
	const auto number = impl_->number_of(id);
	if (!number)
	{
		return LatchError::no_such;
	}
	Record &record = impl_->records_[*number];
	const bool is_free =
		record.state == LatchState::broken && record.peer == 0 && waits(record) && impl_->count_breaks(*number) == 0;
	if ((record.state != LatchState::larval && !is_free) || !is_whole(record))
	{
		return LatchError::no_such;
	}
	auto &digests = impl_->digests_;
	auto &kinds = impl_->kinds_;
	auto &suites = impl_->suites_;
	Record now = record;
	now.peer = digests.get(congruence.peer);
	Rollback drop_peer([&] { digests.drop(now.peer); });
	const uint32_t local = digests.get(congruence.local);
	Rollback drop_local([&] { digests.drop(local); });
	now.kind = kinds.get({local, congruence.mode, congruence.confidentiality, congruence.integrity});
	Rollback drop_kind([&] { kinds.drop(now.kind); });
	now.suite = congruence.suite.empty() ? 0 : suites.get(congruence.suite);
	Rollback drop_suite([&] { suites.drop(now.suite); });
	now.reqid = reqid;
	impl_->by_peer_.make_room(impl_->in_order(by_peer, now));
	impl_->by_reqid_.make_room(impl_->in_order(by_reqid, now));
	record.owner->alerts.make_room(1);

	drop_peer.cancel();
	drop_local.cancel();
	drop_kind.cancel();
	drop_suite.cancel();
	now.reason = record.state == LatchState::broken ? LatchReason::cleared : LatchReason::none;
	now.state = LatchState::established;
	record = now;
	impl_->by_peer_.put(*number, impl_->in_order(by_peer, now));
	impl_->by_reqid_.put(*number, impl_->in_order(by_reqid, now));
	impl_->with_index(record, [&](auto &index) { index.refresh(*number); });
	if (heard)
	{
		impl_->note(record);
	}
	else
	{
		impl_->alert(record);
	}
	return LatchError::none;
}

LatchError LatchDatabase::born_broken(LatchId id, LatchReason reason)
{
	const auto number = impl_->number_of(id);
	if (!number || impl_->records_[*number].state != LatchState::larval)
	{
		return LatchError::no_such;
	}
	Record &record = impl_->records_[*number];
	record.owner->alerts.make_room(1);
	record.state = LatchState::broken;
	record.reason = reason;
	impl_->alert(record);
	return LatchError::none;
}

std::vector<LatchId> LatchDatabase::conflicts(const LatchSa &sa) const
{
	const std::vector<Hit> hits = impl_->conflicts(sa);
	std::vector<LatchId> ids(hits.size());
	std::transform(hits.begin(), hits.end(), ids.begin(), [](const Hit &hit) { return hit.id; });
	return ids;
}

bool LatchDatabase::has_conflict(const LatchSa &sa) const
{
	const LatchHold hold = impl_->hold_of(sa);
	if (!impl_->for_each_policy(sa, hold, [](const auto &index, const auto &box) { return !index.any(box); }))
	{
		return true;
	}
	bool is_there = false;
	impl_->for_each_with_reqid(sa, hold, [&](uint32_t /*number*/) { return !(is_there = true); });
	return is_there;
}

std::vector<LatchId> LatchDatabase::sa_coming(const LatchSa &sa)
{
	const std::vector<Hit> hits = impl_->conflicts(sa);
	auto &records = impl_->records_;
	Numbers broken;
	for (const Hit &hit : hits)
	{
		if (records[hit.number].state != LatchState::broken)
		{
			broken.push_back(hit.number);
		}
	}
	std::vector<LatchId> ids;
	ids.reserve(broken.size());
	Impl::make_alert_room(broken, records);
	Numbers remembered;
	remembered.reserve(hits.size());
	Rollback forget(
		[&]
		{
			for (const uint32_t number : remembered)
			{
				impl_->remove_break(sa.child, number);
			}
		});
	for (const Hit &hit : hits)
	{
		if (waits(records[hit.number]) && impl_->add_break(sa.child, hit.number))
		{
			remembered.push_back(hit.number);
		}
	}

	forget.cancel();
	for (const uint32_t number : broken)
	{
		Record &record = records[number];
		record.state = LatchState::broken;
		record.reason = LatchReason::conflict;
		impl_->alert(record);
		ids.push_back(record.id);
	}
	return ids;
}

std::vector<LatchId> LatchDatabase::sa_gone(uint32_t child)
{
	auto &records = impl_->records_;
	Numbers found;
	impl_->child_breaks_.scan(in_order(Break{child, 0}),
							  [&](const Break &next)
							  {
								  if (next.first != child)
								  {
									  return false;
								  }
								  found.push_back(next.second);
								  return true;
							  });
	std::sort(found.begin(), found.end(), [&](uint32_t a, uint32_t b) { return records[a].id < records[b].id; });
	Numbers cleared;
	std::copy_if(found.begin(), found.end(), std::back_inserter(cleared),
				 [&](uint32_t number) { return records[number].peer != 0 && impl_->count_breaks(number) == 1; });
	std::vector<LatchId> ids;
	ids.reserve(cleared.size());
	Impl::make_alert_room(cleared, records);

	for (const uint32_t number : found)
	{
		impl_->remove_break(child, number);
	}
	for (const uint32_t number : cleared)
	{
		Record &record = records[number];
		record.state = LatchState::established;
		record.reason = LatchReason::cleared;
		impl_->alert(record);
		ids.push_back(record.id);
	}
	return ids;
}

std::vector<LatchId> LatchDatabase::peer_dead(const Fingerprint &peer)
{
	auto &records = impl_->records_;
	Record probe;
	probe.peer = impl_->digests_.find(peer);
	Numbers found;
	impl_->by_peer_.scan(impl_->in_order(by_peer, probe),
						 [&](uint32_t number)
						 {
							 if (records[number].peer != probe.peer)
							 {
								 return false;
							 }
							 if (!records[number].dead)
							 {
								 found.push_back(number);
							 }
							 return true;
						 });
	std::vector<LatchId> ids;
	ids.reserve(found.size());
	Impl::make_alert_room(found, records);

	for (const uint32_t number : found)
	{
		Record &record = records[number];
		if (record.state == LatchState::established)
		{
			ids.push_back(record.id);
		}
		record.state = LatchState::broken;
		record.reason = LatchReason::peer_dead;
		record.dead = true;
		impl_->remove_breaks(number);
		impl_->with_index(record, [&](auto &index) { index.refresh(number); });
		impl_->by_reqid_.refresh(impl_->in_order(by_reqid, record));
		impl_->alert(record);
	}
	return ids;
}

LatchError LatchDatabase::close(LatchId id, LatchReason reason)
{
	const auto number = impl_->number_of(id);
	if (!number)
	{
		return LatchError::no_such;
	}
	if (!is_own_doing(reason))
	{
		impl_->records_[*number].owner->alerts.make_room(1);
	}
	impl_->close(*number, reason);
	return LatchError::none;
}

std::vector<LatchInfo> LatchDatabase::owner_gone(LatchOwner owner)
{
	std::vector<LatchInfo> closed;
	const auto holder = impl_->owners_.find(owner);
	if (holder == impl_->owners_.end())
	{
		return closed;
	}
	Record probe;
	probe.owner = &holder->second;
	Numbers found;
	impl_->by_owner_.scan(impl_->in_order(by_owner, probe),
						  [&](uint32_t number)
						  {
							  if (impl_->records_[number].owner != &holder->second)
							  {
								  return false;
							  }
							  found.push_back(number);
							  return true;
						  });
	closed.reserve(found.size());
	for (const uint32_t number : found)
	{
		closed.push_back(impl_->describe(impl_->records_[number]));
	}

	for (const uint32_t number : found)
	{
		impl_->note_closed(impl_->records_[number], LatchReason::released);
		impl_->remove(number);
	}
	auto &place = holder->second.alerts.empty() ? impl_->quiet_ : impl_->alerted_;
	place.erase(holder->second.place);
	impl_->owners_.erase(holder);
	return closed;
}

std::vector<LatchInfo> LatchDatabase::close_all(LatchReason reason)
{
	std::vector<LatchInfo> closed;
	Numbers found;
	closed.reserve(size());
	found.reserve(size());
	const Record probe;
	impl_->by_id_.scan(impl_->in_order(by_id, probe),
					   [&](uint32_t number)
					   {
						   closed.push_back(impl_->describe(impl_->records_[number]));
						   found.push_back(number);
						   return true;
					   });
	if (!is_own_doing(reason))
	{
		Impl::make_alert_room(found, impl_->records_);
	}

	for (const uint32_t number : found)
	{
		impl_->close(number, reason);
	}
	return closed;
}

LatchId LatchDatabase::find(const LatchTuple &tuple) const
{
	const auto record = connection(tuple);
	if (!record || !is_whole(*record))
	{
		return 0;
	}
	const auto number = impl_->find(*record);
	return number ? impl_->records_[*number].id : 0;
}

LatchId LatchDatabase::find_listener(const LatchTuple &tuple) const
{
	if (!fits(tuple.local))
	{
		return 0;
	}
	for (const Address &address : {tuple.local, Address{tuple.local.family, 0}, Address{}})
	{
		Record record;
		set_tuple(record, {tuple.protocol, address, {}, tuple.local_port, 0});
		if (const auto number = impl_->find_listener(record))
		{
			return impl_->records_[*number].id;
		}
	}
	return 0;
}

std::optional<LatchInfo> LatchDatabase::inquire(LatchId id) const
{
	const auto number = impl_->number_of(id);
	return number ? std::optional(impl_->describe(impl_->records_[*number])) : std::nullopt;
}

std::vector<LatchId> LatchDatabase::list(LatchId from, size_t most) const
{
	std::vector<LatchId> ids;
	if (most == 0)
	{
		return ids;
	}
	Record probe;
	probe.id = from;
	impl_->by_id_.scan(impl_->in_order(by_id, probe),
					   [&](uint32_t number)
					   {
						   ids.push_back(impl_->records_[number].id);
						   return ids.size() < most;
					   });
	return ids;
}

std::optional<LatchAlert> LatchDatabase::take_alert(LatchOwner owner)
{
	const auto found = impl_->owners_.find(owner);
	if (found == impl_->owners_.end() || found->second.alerts.empty())
	{
		return std::nullopt;
	}
	LatchOwnerRecord &holder = found->second;
	const AlertQueue::Alert alert = holder.alerts.take();
	if (holder.alerts.empty())
	{
		impl_->quiet_.splice(impl_->quiet_.end(), impl_->alerted_, holder.place);
		impl_->forget_if_idle(holder);
	}
	return LatchAlert{owner, alert.latch, alert.state, alert.reason, alert.born};
}

LatchOwner LatchDatabase::next_alerted()
{
	auto &alerted = impl_->alerted_;
	if (alerted.empty())
	{
		return 0;
	}
	alerted.splice(alerted.end(), alerted, alerted.begin());
	return alerted.back()->id;
}

size_t LatchDatabase::size() const
{
	return impl_->records_.size();
}

void LatchDatabase::observe(std::function<void(const LatchChange &)> observer)
{
	impl_->observer_ = std::move(observer);
}

} // namespace btns
