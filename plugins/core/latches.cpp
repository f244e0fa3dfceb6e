/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
#include "latches.h"

#include <netinet/in.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <string_view>
#include <system_error>
#include <utility>

#include "latch_enforcement.h"
#include "rollback.h"
#include "thread_shell.h"

namespace btns
{

namespace
{

using std::chrono::milliseconds;

/** How long the watcher sleeps at most. */
constexpr milliseconds nap(1000);

/** The longest tick of the clock that the kernel's times are of. */
constexpr milliseconds kernel_tick(20);

/** How long a latch has at least until it has to be established: with SAs that are there it takes a while, too. */
constexpr milliseconds shortest(1000);

constexpr const char *not_available_text = "there are no latches";

NetworkNamespace this_network()
{
	const Descriptor any(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
	const auto found = network_namespace_of(any.get());
	if (!found)
	{
		throw std::system_error(ENOTSUP, std::generic_category(), "network namespace");
	}
	return *found;
}

Descriptor make_wake()
{
	Descriptor made(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
	if (!made)
	{
		throw std::system_error(errno, std::generic_category(), "eventfd");
	}
	return made;
}

LatchAnswer failure(LatchOutcome outcome, const char *text)
{
	LatchAnswer answer;
	answer.outcome = outcome;
	answer.text = text;
	return answer;
}

LatchAnswer not_available()
{
	return failure(LatchOutcome::not_available, not_available_text);
}

LatchAnswer
bad_socket(const char *text = "it is no TCP or UDP socket of this network that is connected, or about to be")
{
	return failure(LatchOutcome::bad_socket, text);
}

LatchAnswer no_such()
{
	return failure(LatchOutcome::no_such, "there is no such latch");
}

LatchAnswer failure(LatchError error)
{
	switch (error)
	{
	case LatchError::exists:
		return failure(LatchOutcome::exists, "another latch has this connection");
	case LatchError::full:
		return failure(LatchOutcome::full, "there are as many latches as there may be");
	case LatchError::invalid:
		return bad_socket();
	default:
		return no_such();
	}
}

LatchAnswer kernel_failure()
{
	return errno == EAFNOSUPPORT ? bad_socket("it is a socket of another family of addresses than the destination")
								 : failure(LatchOutcome::kernel, "the kernel does not take the policy");
}

bool is_one(const btns_ts_t &ts, const Address &address, uint8_t protocol, uint16_t port)
{
	return to_range(ts) == host_range(address) && ts.protocol == protocol && ts.from_port == port && ts.to_port == port;
}

/** Is an SA for a flow alone? */
bool is_narrow(const LatchSas::Entry &sa, const Flow &flow)
{
	return sa.local.size() == 1 && sa.remote.size() == 1 &&
		   is_one(sa.local.front(), flow.local, flow.protocol, flow.local_port) &&
		   is_one(sa.remote.front(), flow.remote, flow.protocol, flow.remote_port);
}

/** Is an SA congruent to what is latched? */
bool is_congruent(const LatchSas::Entry &sa, const Congruence &latched)
{
	if (!sa.congruence)
	{
		return false;
	}
	Congruence of_sa = *sa.congruence;
	if (latched.suite.empty())
	{
		of_sa.suite.clear();
	}
	return of_sa == latched;
}

/** Does a policy that demands one SA's protection take another's as well? */
bool is_alike(const LatchDemand &a, const LatchDemand &b)
{
	return a.reqid == b.reqid && a.mode == b.mode &&
		   (a.mode == BTNS_MODE_TRANSPORT || (a.outer_local == b.outer_local && a.outer_remote == b.outer_remote));
}

/** Does anything tell a peer from others? Whoever has not authenticated (RFC 7619) looks like all who have not, and a
 * latch to one would hold nobody off. */
bool is_somebody(const Channel &channel)
{
	return channel.peer_method != BTNS_METHOD_NULL || channel.peer_fingerprint;
}

/** What is latched of an SA. */
Congruence latched(const LatchSas::Entry &sa, const LatchRequest &request)
{
	Congruence congruence = *sa.congruence;
	if (!request.narrow)
	{
		congruence.suite.clear();
	}
	return congruence;
}

/** One end of a flow, as a traffic selector. */
btns_ts_t selector_of(const Address &address, uint8_t protocol, uint16_t port)
{
	btns_ts_t ts = to_selector(host_range(address));
	ts.protocol = protocol;
	ts.from_port = ts.to_port = port;
	return ts;
}

/** What is frozen of a channel, as far as it can change during an SA's life. */
bool is_same(const Channel &a, const Channel &b)
{
	const auto same_end = [](const Endpoint &x, const Endpoint &y)
	{ return x.address == y.address && x.port == y.port && x.nat == y.nat; };
	return a.sa == b.sa && a.child == b.child && a.established == b.established && a.unique.value == b.unique.value &&
		   a.unique.why == b.unique.why && a.endpoints.value == b.endpoints.value && same_end(a.local, b.local) &&
		   same_end(a.peer, b.peer);
}

/** Selectors, of both sides, of a CHILD_SA that is narrowed: each is compared with all latches. */
constexpr size_t narrowed_max = 16;

/** As decide_child() gets it: what is known at that time. */
bool is_known(const btns_child_t &child)
{
	return child.mode != BTNS_MODE_NONE;
}

} // namespace

Latches::Latches(const SideTable &table, bool can_acquire, const LatchLimits &limits,
				 std::shared_ptr<LatchChanges> changes, bool policy_breaks)
	: limits_(limits), own_(this_network()), can_acquire_(can_acquire), policy_breaks_(policy_breaks), table_(&table),
	  database_(limits.database), wake_(make_wake())
{
	if (changes)
	{
		database_.observe([changes = std::move(changes)](const LatchChange &change) { changes->push(change); });
	}
	reset_left();
	const NoSignals none;
	watcher_ = std::thread([this] { watch(); });
}

Latches::~Latches()
{
	stop();
}

void Latches::reset_left()
{
	ResetLane lane(pending_);
	for (const Flow &flow : diag_.left())
	{
		if (flow.remote.family == 0)
		{
			continue;
		}
		ResetLane::Node node(1);
		node.front().flow = flow;
		node.front().all = true;
		lane.reset(node);
	}
	lane.help();
	Lock lock(pending_->mutex);
	pending_->wait(lock, limits_.patience);
	lock.unlock();
	lane.hand_over(threads_);
}

void Latches::stop()
{
	{
		const Lock lock(mutex_);
		if (stopping_)
		{
			return;
		}
		stopping_ = true;
		table_ = nullptr;
		try
		{
			database_.close_all(LatchReason::shutdown);
		}
		catch (const std::bad_alloc &)
		{
			// nobody is told
		}
		while (!entries_.empty())
		{
			const LatchId id = entries_.begin()->first;
			stop_packets(entries_.begin()->second);
			reset(entries_.begin()->second);
			remove(id);
		}
		told();
		acquired_.notify_all();
	}
	wait_stopped();
	eventfd_write(wake_.get(), 1);
	watcher_.join();
	const auto until = Clock::now() + limits_.patience;
	for (bool all = false; !all && Clock::now() < until;)
	{
		{
			const Lock lock(mutex_);
			tidy();
			all = owners_.empty() && threads_.reap();
		}
		if (!all)
		{
			std::this_thread::sleep_for(milliseconds(2));
		}
	}
}

/* ---- what is known of latches ---- */

Latches::Entry *Latches::entry_of(LatchId id)
{
	const auto found = entries_.find(id);
	return found == entries_.end() ? nullptr : &found->second;
}

const Latches::Entry *Latches::entry_of(LatchId id) const
{
	const auto found = entries_.find(id);
	return found == entries_.end() ? nullptr : &found->second;
}

Latches::Entry *Latches::entry_of(LatchOwner owner, LatchId id)
{
	Entry *entry = entry_of(id);
	return entry != nullptr && entry->owner == owner ? entry : nullptr;
}

Latches::Entry &Latches::add(LatchOwner owner, LatchId id, const LatchableSocket &look, const LatchTuple &tuple,
							 const LatchRequest &request)
{
	// all that can fail comes first
	Entry entry;
	entry.owner = owner;
	auto &holder = owners_[owner];
	if (!holder)
	{
		holder = std::make_shared<Owner>(pending_);
	}
	entry.holder = holder;
	entry.cookie = look.cookie;
	entry.interface = look.interface;
	entry.request = request;
	entry.tuple = tuple;
	entry.connected = look.kind == SocketKind::connected;
	entry.applying = std::make_shared<Applying>();
	entry.node.emplace_back();
	cookies_.emplace(look.cookie, id);
	Rollback forget([&] { cookies_.erase(look.cookie); });
	Entry &made = entries_.emplace(id, std::move(entry)).first->second;
	forget.cancel();
	holder->latches++;
	last_ = std::max(last_, id);
	return made;
}

void Latches::remove(LatchId id) noexcept
{
	const auto found = entries_.find(id);
	if (found == entries_.end())
	{
		return;
	}
	Entry &entry = found->second;
	if (entry.until)
	{
		deadlines_.erase({*entry.until, id});
	}
	if (entry.kept)
	{
		entry.kept->hand_over(threads_);
	}
	if (kept_.erase(id) != 0)
	{
		entry.holder->kept--;
	}
	reqids_.erase({entry.demand.reqid, id});
	cookies_.erase(entry.cookie);
	entry.holder->latches--;
	entries_.erase(found);
}

LatchAnswer Latches::answer(LatchId id) const
{
	const auto info = database_.inquire(id);
	const Entry *entry = entry_of(id);
	if (!info || entry == nullptr)
	{
		return no_such();
	}
	LatchAnswer out;
	out.outcome = LatchOutcome::made;
	out.id = id;
	out.state = info->state;
	out.reason = info->reason;
	out.ready = info->state == LatchState::larval && !entry->connected && entry->passes;
	out.tuple = entry->tuple;
	out.request = entry->request;
	out.channel = entry->channel;
	out.indeterminate = !info->congruence || info->congruence->suite.empty();
	return out;
}

/* ---- sockets ---- */

SocketPolicy Latches::policy_of(const Entry &entry)
{
	SocketPolicy policy;
	policy.flow = entry.tuple;
	policy.block = !entry.passes;
	policy.reqid = entry.demand.reqid;
	policy.mode = entry.demand.mode;
	policy.outer_local = entry.demand.outer_local;
	policy.outer_remote = entry.demand.outer_remote;
	return policy;
}

/** Put the policy on a socket that its latch has, or gets meanwhile. FALSE, with errno, if the kernel refuses. */
bool Latches::apply(Lock &lock, LatchId id, int socket)
{
	Entry *entry = entry_of(id);
	if (entry == nullptr)
	{
		return true;
	}
	const std::shared_ptr<Applying> applying = entry->applying;
	applying->count++;
	SocketPolicy policy = policy_of(*entry);
	int error = 0;
	for (bool right = false; !right && error == 0;)
	{
		lock.unlock();
		error = set_socket_policy(socket, policy) ? 0 : errno;
		lock.lock();
		entry = entry_of(id);
		SocketPolicy now = entry != nullptr ? policy_of(*entry) : policy;
		now.block = now.block || entry == nullptr;
		right = now == policy;
		policy = now;
	}
	if (--applying->count == 0)
	{
		const Lock pending(pending_->mutex);
		pending_->end(applying->stale);
	}
	errno = error;
	return error == 0;
}

LatchAnswer Latches::latch(LatchOwner owner, int socket, const std::optional<Endpoint> &destination,
						   const LatchRequest &request)
{
	const auto look = latchable_socket(socket, own_);
	if (!look)
	{
		return bad_socket();
	}
	const bool tcp = look->flow.protocol == IPPROTO_TCP;
	if (!destination &&
		(look->kind == SocketKind::listening || (look->kind == SocketKind::fresh && tcp && look->flow.local_port != 0)))
	{
		return latch_listener(owner, socket, *look, request);
	}
	LatchTuple tuple = look->flow;
	const bool elsewhere = destination && tuple.remote.family != 0 &&
						   (destination->address != tuple.remote || destination->port != tuple.remote_port);
	if (look->kind == SocketKind::listening || elsewhere)
	{
		return bad_socket("it is not connected to there");
	}
	if (look->kind == SocketKind::fresh || look->kind == SocketKind::connecting)
	{
		if (!destination)
		{
			return bad_socket();
		}
		tuple.remote = destination->address;
		tuple.remote_port = destination->port;
	}
	return latch_connection(owner, socket, *look, tuple, request);
}

LatchAnswer Latches::latch_listener(LatchOwner owner, int socket, const LatchableSocket &look,
									const LatchRequest &request)
{
	LatchTuple tuple = look.flow;
	const bool any = tuple.local.value == 0;
	tuple.local.family = tuple.local.family == 0 ? look.family : tuple.local.family;

	Lock lock(mutex_);
	if (table_ == nullptr)
	{
		return not_available();
	}
	if (cookies_.contains(look.cookie))
	{
		return failure(LatchError::exists);
	}
	LatchTuple local = tuple;
	if (any && look.dual_stack)
	{
		local.local = {};
	}
	const auto made = database_.listen(local, owner, request);
	if (made.error != LatchError::none)
	{
		return failure(made.error);
	}
	Rollback undo([&] { database_.close(made.id, LatchReason::released); });
	Entry &entry = add(owner, made.id, look, tuple, request);
	undo.cancel();
	entry.listener = true;
	entry.connected = false;
	entry.passes = true;
	entry.demand.mode = request.mode == BTNS_MODE_NONE ? BTNS_MODE_TRANSPORT : request.mode;
	if (!apply(lock, made.id, socket))
	{
		database_.close(made.id, LatchReason::released);
		remove(made.id);
		return kernel_failure();
	}
	return answer(made.id);
}

LatchAnswer Latches::latch_connection(LatchOwner owner, int socket, const LatchableSocket &look,
									  const LatchTuple &tuple, const LatchRequest &request)
{
	const bool waits = request.disposition == LatchDisposition::wait;
	Lock lock(mutex_);
	if (table_ == nullptr)
	{
		return not_available();
	}
	if (cookies_.contains(look.cookie))
	{
		return failure(LatchError::exists);
	}
	const auto holder = owners_.find(owner);
	if (waits &&
		(kept_.size() >= limits_.kept || (holder != owners_.end() && holder->second->kept >= limits_.kept_per_owner)))
	{
		return failure(LatchOutcome::full, "there are as many latches that wait as there may be");
	}
	const LatchId listener = look.kind == SocketKind::connected ? database_.find_listener(tuple) : 0;
	const auto made = database_.create(tuple, owner, request, listener);
	if (made.error != LatchError::none)
	{
		return failure(made.error);
	}
	Rollback undo([&] { database_.close(made.id, LatchReason::released); });
	add(owner, made.id, look, tuple, request);
	undo.cancel();
	Rollback forget(
		[&]
		{
			database_.close(made.id, LatchReason::released);
			remove(made.id);
		});
	Entry &entry = *entry_of(made.id);
	const auto until = Clock::now() + std::max(shortest, milliseconds(request.timeout));
	deadlines_.insert({until, made.id});
	entry.until = until;
	if (waits)
	{
		kept_.insert(made.id);
		entry.holder->kept++;
	}
	forget.cancel();
	told();

	// from here on nothing passes, until it is known what may
	if (!apply(lock, made.id, socket))
	{
		return give_up(lock, made.id, socket, kernel_failure());
	}
	if (look.kind == SocketKind::connected)
	{
		lock.unlock();
		const auto since = unanswered_since(socket);
		lock.lock();
		if (Entry *now = entry_of(made.id); now != nullptr && since)
		{
			now->heard_since = Clock::now() - *since - kernel_tick;
		}
	}
	if (waits)
	{
		lock.unlock();
		std::unique_ptr<KeptSocket> kept;
		try
		{
			kept = std::make_unique<KeptSocket>(socket, pending_);
		}
		catch (const std::system_error &)
		{
			// no descriptors, or no threads
		}
		lock.lock();
		Entry *now = entry_of(made.id);
		if (now == nullptr && kept)
		{
			kept->hand_over(threads_);
		}
		if (now == nullptr)
		{
			return no_such();
		}
		now->kept = std::move(kept);
		if (!now->kept)
		{
			return give_up(lock, made.id, socket,
						   failure(LatchOutcome::full, "there is no room for another latch that waits"));
		}
	}
	const LatchAnswer answer = advance(lock, made.id, socket);
	return answer.outcome == LatchOutcome::made ? answer : give_up(lock, made.id, socket, answer);
}

/** It was not to be: the socket is as it was before. */
LatchAnswer Latches::give_up(Lock &lock, LatchId id, int socket, LatchAnswer answer)
{
	const auto info = database_.inquire(id);
	const Entry *parent = info ? entry_of(info->listener) : nullptr;
	const Entry *entry = entry_of(id);
	std::optional<SocketPolicy> inherited;
	if (parent != nullptr && entry != nullptr)
	{
		// as if it had just been accepted
		inherited = policy_of(*parent);
		inherited->flow = {entry->tuple.protocol, entry->tuple.local, {}, entry->tuple.local_port, 0};
	}
	database_.close(id, LatchReason::released);
	remove(id);
	lock.unlock();
	if (!inherited)
	{
		clear_socket_policy(socket);
	}
	else
	{
		set_socket_policy(socket, *inherited);
	}
	lock.lock();
	return answer;
}

/** See whether a LARVAL latch, whose socket lets nothing pass, can be ready or established by now. */
LatchAnswer Latches::advance(Lock &lock, LatchId id, int socket)
{
	Entry *entry = entry_of(id);
	if (entry == nullptr || table_ == nullptr)
	{
		return table_ == nullptr ? not_available() : no_such();
	}
	Flow flow = entry->tuple;
	if (flow.local.family == 0)
	{
		const uint32_t interface = entry->interface;
		lock.unlock();
		const auto source = source_address(flow.remote, interface);
		lock.lock();
		entry = entry_of(id);
		if (entry == nullptr)
		{
			return no_such();
		}
		flow.local = source.value_or(Address{});
	}
	Choice choice = choose(*entry, flow);
	if (choice.outcome == LatchOutcome::made && entry->chosen && !is_congruent(*choice.sa, *entry->chosen))
	{
		choice.outcome = LatchOutcome::conflict;
		choice.text = "the peer, or the quality of its SAs, has changed meanwhile";
	}
	if (choice.outcome == LatchOutcome::made && entry->connected)
	{
		establish(id, *entry, choice, true);
	}
	else if (choice.outcome == LatchOutcome::made)
	{
		entry->chosen = latched(*choice.sa, entry->request);
		entry->demand = choice.sa->demand;
		entry->passes = true;
	}
	else
	{
		stop_packets(*entry);
	}
	if (choice.outcome == LatchOutcome::unprotected && can_acquire_ && entry->request.timeout != 0)
	{
		acquire(id, *entry, flow);
		choice.outcome = LatchOutcome::made;
	}
	else if (choice.outcome == LatchOutcome::conflict && entry->kept && entry->connected &&
			 database_.born_broken(id, LatchReason::conflict) == LatchError::none)
	{
		deadlines_.erase({*entry->until, id});
		entry->until.reset();
		told();
		choice.outcome = LatchOutcome::made;
	}
	if (!apply(lock, id, socket))
	{
		return kernel_failure();
	}
	return choice.outcome == LatchOutcome::made ? answer(id) : failure(choice.outcome, choice.text);
}

LatchAnswer Latches::take_local_end(LatchId id, Entry &entry, const LatchableSocket &look)
{
	const LatchError error = database_.bound(id, look.flow);
	if (error != LatchError::none)
	{
		entry.passes = false;
		return error == LatchError::invalid ? bad_socket("it is not connected to where it was to be") : failure(error);
	}
	entry.tuple = look.flow;
	entry.connected = true;
	// until it is established
	entry.passes = false;
	return answer(id);
}

LatchAnswer Latches::connected(LatchOwner owner, LatchId id, int socket)
{
	const auto look = latchable_socket(socket, own_);
	Lock lock(mutex_);
	if (table_ == nullptr)
	{
		return not_available();
	}
	Entry *entry = entry_of(owner, id);
	if (entry == nullptr)
	{
		return no_such();
	}
	if (!look || look->cookie != entry->cookie)
	{
		return bad_socket("it is not the latch's socket");
	}
	const auto info = database_.inquire(id);
	if (!info || info->state != LatchState::larval)
	{
		return answer(id);
	}
	// connect() need not wait, and nobody asks once more: its packets are those of this flow from the first one on
	const bool has_flow =
		look->kind == SocketKind::connected || (look->kind == SocketKind::connecting && look->flow.remote.family != 0);
	if (has_flow && !entry->connected)
	{
		const LatchAnswer local = take_local_end(id, *entry, *look);
		if (local.outcome != LatchOutcome::made)
		{
			return apply(lock, id, socket) ? local : kernel_failure();
		}
	}
	else if (entry->passes)
	{
		// ready, and connect() was not called
		return answer(id);
	}
	return advance(lock, id, socket);
}

LatchAnswer Latches::find(LatchOwner owner, int socket)
{
	const auto look = latchable_socket(socket, own_);
	if (!look)
	{
		return bad_socket();
	}
	const Lock lock(mutex_);
	const auto found = cookies_.find(look->cookie);
	return found != cookies_.end() && entry_of(owner, found->second) != nullptr ? answer(found->second) : no_such();
}

LatchAnswer Latches::inquire(LatchOwner owner, LatchId id)
{
	const Lock lock(mutex_);
	return entry_of(owner, id) != nullptr ? answer(id) : no_such();
}

LatchAnswer Latches::release(LatchOwner owner, LatchId id, int socket)
{
	const auto look = socket >= 0 ? latchable_socket(socket, own_) : std::nullopt;
	Lock lock(mutex_);
	const Entry *entry = entry_of(owner, id);
	if (entry == nullptr && look && look->kind == SocketKind::fresh && !cookies_.contains(look->cookie))
	{
		// it was not to be established, and nobody could take the policy from the socket: it is as it was before
		lock.unlock();
		clear_socket_policy(socket);
		return no_such();
	}
	if (entry == nullptr)
	{
		return no_such();
	}
	if (socket >= 0 && (!look || look->cookie != entry->cookie))
	{
		return bad_socket("it is not the latch's socket");
	}
	LatchAnswer out = answer(id);
	const LatchError error = database_.close(id, LatchReason::released);
	if (error != LatchError::none)
	{
		return failure(error);
	}
	remove(id);
	lock.unlock();
	if (socket >= 0 && !clear_socket_policy(socket))
	{
		return failure(LatchOutcome::kernel, "the kernel does not take the policy away");
	}
	out.state = LatchState::closed;
	out.reason = LatchReason::released;
	out.ready = false;
	return out;
}

std::optional<LatchAlert> Latches::take_alert(LatchOwner owner)
{
	const Lock lock(mutex_);
	return database_.take_alert(owner);
}

LatchOwner Latches::next_alerted()
{
	const Lock lock(mutex_);
	return database_.next_alerted();
}

void Latches::owner_gone(LatchOwner owner)
{
	const Lock lock(mutex_);
	for (const LatchInfo &info : database_.owner_gone(owner))
	{
		if (Entry *entry = entry_of(info.id))
		{
			stop_packets(*entry);
			reset(*entry);
			remove(info.id);
		}
	}
}

/* ---- which SAs ---- */

/** What protects a latch's flow, if that is what was asked for. */
Latches::Choice Latches::choose(const Entry &entry, const Flow &flow)
{
	if (table_ == nullptr)
	{
		return {LatchOutcome::not_available, not_available_text, nullptr, std::nullopt};
	}
	Choice choice = judge(entry.request, flow, table_->find_one(flow));
	if (choice.outcome == LatchOutcome::made && is_from_others(entry, flow, *choice.sa))
	{
		choice.outcome = LatchOutcome::conflict;
		choice.text = "what has come over the connection may be from another peer, whose SA has gone";
	}
	return choice;
}

/** Can what has come over a connection be from somebody else than it is to be latched to? */
bool Latches::is_from_others(const Entry &entry, const Flow &flow, const LatchSas::Entry &sa) const
{
	if (!entry.heard_since)
	{
		return false;
	}
	const Congruence congruence = latched(sa, entry.request);
	return forgotten_ >= *entry.heard_since || std::ranges::any_of(former_,
																   [&](const Former &former) {
																	   return former.gone >= *entry.heard_since &&
																			  former.sa.covers(flow) &&
																			  !is_congruent(former.sa, congruence);
																   });
}

/**
 * Several IKE_SAs have SAs that take a flow alike, as after both ends have set up SAs at the same time (RFC 5660 4). It
 * does not matter which of them protects a packet if all that cover it are congruent, and a policy that demands one of
 * them takes every other, too.
 */
bool Latches::are_one(const LatchSas::Entry &sa, const Flow &flow, const LatchRequest &request) const
{
	const Congruence congruence = latched(sa, request);
	bool one = true;
	sas_.for_each_covering(flow, [&](const LatchSas::Entry &other)
						   { return one = is_congruent(other, congruence) && is_alike(other.demand, sa.demand); });
	return one;
}

void Latches::remember(const LatchSas::Entry &sa) noexcept
{
	const auto now = Clock::now();
	try
	{
		if (former_.size() >= limits_.former)
		{
			forgotten_ = former_.front().gone;
			former_.pop_front();
		}
		former_.push_back({sa, now});
		former_.back().sa.channel.reset();
	}
	catch (const std::bad_alloc &)
	{
		forgotten_ = now;
	}
}

Latches::Choice Latches::judge(const LatchRequest &request, const Flow &flow, ChannelAnswer found)
{
	Choice choice;
	choice.text = found.reason;
	if (found.protection != BTNS_PROTECTED || !found.channel)
	{
		choice.outcome = found.protection == BTNS_AMBIGUOUS ? LatchOutcome::conflict : LatchOutcome::unprotected;
		return choice;
	}
	const Channel &channel = *found.channel;
	if (!is_somebody(channel))
	{
		choice.outcome = LatchOutcome::not_wanted;
		choice.text = "nothing tells the peer from others: it has not authenticated";
		return choice;
	}
	LatchSas::Entry *sa = sas_.find(channel.child);
	if (sa == nullptr || !sa->congruence)
	{
		choice.text = "it is not known what its SAs are in the kernel";
		choice.outcome = found.shared ? LatchOutcome::conflict : choice.outcome;
		return choice;
	}
	if (found.shared && !are_one(*sa, flow, request))
	{
		choice.outcome = LatchOutcome::conflict;
		choice.text = "several IKE_SAs have SAs that take the connection's packets alike, and differ in more than that";
		return choice;
	}
	if (request.narrow && !is_narrow(*sa, flow))
	{
		choice.text = "no SA is for this connection alone";
		return choice;
	}
	const char *unwanted = request.confidentiality && !channel.confidentiality ? "the SA does not encrypt"
						   : request.auth == LatchAuth::authenticated && (channel.peer_method == BTNS_METHOD_BTNS ||
																		  channel.peer_method == BTNS_METHOD_NULL ||
																		  channel.peer_method == BTNS_METHOD_UNKNOWN)
							   ? "the peer has not proved an identity that policy knows"
						   : request.mode != BTNS_MODE_NONE && request.mode != channel.mode ? "the SA has another mode"
						   : request.peer_key && request.peer_key != channel.peer_fingerprint
							   ? "the peer has another key"
							   : nullptr;
	if (unwanted != nullptr)
	{
		choice.outcome = LatchOutcome::not_wanted;
		choice.text = unwanted;
		return choice;
	}
	// RFC 5660 2.3: no SA may be there that is not congruent, whichever the kernel would prefer
	const Congruence congruence = latched(*sa, request);
	bool alone = true;
	sas_.for_each_covering(flow, [&](const LatchSas::Entry &other) { return alone = is_congruent(other, congruence); });
	if (!alone)
	{
		choice.outcome = LatchOutcome::conflict;
		choice.text = "another SA covers the connection, of another peer or of another quality";
		return choice;
	}
	choice.outcome = LatchOutcome::made;
	choice.text = "";
	choice.sa = sa;
	choice.channel = std::move(found.channel);
	return choice;
}

void Latches::set_reqid(LatchId id, Entry &entry, const LatchDemand &demand)
{
	reqids_.insert({demand.reqid, id});
	if (entry.demand.reqid != demand.reqid)
	{
		reqids_.erase({entry.demand.reqid, id});
	}
	entry.demand = demand;
}

void Latches::establish(LatchId id, Entry &entry, Choice &choice, bool heard)
{
	LatchSas::Entry &sa = *choice.sa;
	if (!sa.channel || !is_same(*sa.channel, *choice.channel))
	{
		sa.channel = std::make_shared<const Channel>(std::move(*choice.channel));
	}
	Congruence congruence = latched(sa, entry.request);
	set_reqid(id, entry, sa.demand);
	Rollback forget([&] { reqids_.erase({entry.demand.reqid, id}); });
	if (database_.establish(id, congruence, sa.demand.reqid, heard) != LatchError::none)
	{
		return;
	}
	forget.cancel();
	entry.chosen = std::move(congruence);
	entry.channel = sa.channel;
	entry.passes = true;
	if (entry.until)
	{
		deadlines_.erase({*entry.until, id});
		entry.until.reset();
	}
	if (!heard)
	{
		told();
	}
}

void Latches::acquire(LatchId id, Entry &entry, const Flow &flow)
{
	if (!entry.wanted && acquires_.size() < limits_.acquires)
	{
		acquires_.push_back({id, flow, entry.request.narrow});
		entry.wanted = flow;
		acquired_.notify_one();
	}
}

std::optional<LatchAcquire> Latches::wait_acquire()
{
	Lock lock(mutex_);
	for (;;)
	{
		{
			const NoCancel none;
			acquired_.wait(lock, [this] { return stopping_ || !acquires_.empty(); });
		}
		if (stopping_)
		{
			return std::nullopt;
		}
		LatchAcquire next = acquires_.front();
		acquires_.pop_front();
		Entry *entry = entry_of(next.latch);
		if (entry != nullptr && entry->until)
		{
			return next;
		}
	}
}

void Latches::refuse(LatchId id)
{
	const Lock lock(mutex_);
	Entry *entry = entry_of(id);
	if (entry == nullptr || !entry->until)
	{
		return;
	}
	if (entry->passes || (entry->wanted && choose(*entry, *entry->wanted).outcome == LatchOutcome::made))
	{
		// there are SAs by now, perhaps because the peer was first
		return;
	}
	end(id, LatchReason::not_established);
}

/* ---- what stops packets ---- */

/** None passes from now on, or soon, if somebody has to be waited for: wait_stopped(). */
void Latches::stop_packets(Entry &entry) noexcept
{
	if (entry.listener)
	{
		return;
	}
	entry.passes = false;
	if (entry.kept)
	{
		entry.kept->set(policy_of(entry));
	}
	if (entry.applying->count > 0)
	{
		const Lock pending(pending_->mutex);
		pending_->begin(entry.applying->stale);
	}
}

void Latches::stop_packets(const std::vector<LatchId> &ids) noexcept
{
	for (const LatchId id : ids)
	{
		if (Entry *entry = entry_of(id))
		{
			stop_packets(*entry);
			if (entry->request.disposition == LatchDisposition::reset)
			{
				reset(*entry);
			}
		}
	}
}

void Latches::reset(Entry &entry) noexcept
{
	if (entry.connected && !entry.listener && !entry.node.empty())
	{
		entry.node.front() = {entry.tuple, entry.cookie, entry.interface, false};
		entry.holder->lane.reset(entry.node);
	}
}

/** CLOSED, and not by its owner. */
void Latches::end(LatchId id, LatchReason reason)
{
	Entry *entry = entry_of(id);
	if (entry == nullptr || database_.close(id, reason) != LatchError::none)
	{
		return;
	}
	stop_packets(*entry);
	reset(*entry);
	remove(id);
	told();
}

/** Wait for all that was stopped. */
void Latches::wait_stopped() noexcept
{
	{
		const Lock lock(pending_->mutex);
		if (pending_->is_idle())
		{
			return;
		}
	}
	help();
	Lock lock(pending_->mutex);
	pending_->wait(lock, limits_.patience);
}

/** Do what there were no threads for. */
void Latches::help() noexcept
{
	for (LatchOwner next = 0;;)
	{
		std::shared_ptr<Owner> owner;
		{
			const Lock lock(mutex_);
			const auto found = owners_.lower_bound(next);
			if (found == owners_.end())
			{
				break;
			}
			owner = found->second;
			next = found->first + 1;
		}
		owner->lane.help();
		if (next == 0)
		{
			break;
		}
	}
}

/** It cannot be told any more which SAs there are (RFC 5660 2.6). */
void Latches::lose_all() noexcept
{
	table_ = nullptr;
	for (auto &[id, entry] : entries_)
	{
		stop_packets(entry);
		reset(entry);
	}
	told();
	acquired_.notify_all();
}

/* ---- SAs that come and go ---- */

LatchSas::Entry Latches::describe(uint32_t sa, const btns_child_t &child, const btns_latches_sa_t &kernel) const
{
	LatchSas::Entry entry;
	entry.child = child.child;
	entry.demand = {kernel.reqid, child.mode, to_address(kernel.local).value_or(Address{}),
					to_address(kernel.remote).value_or(Address{})};
	entry.local.assign(child.local, child.local + child.local_count);
	entry.remote.assign(child.remote, child.remote + child.remote_count);
	if (const auto channel = table_->channel_of(sa, child); channel && is_somebody(*channel))
	{
		entry.congruence = congruence_of(*channel, true);
		entry.peer_key = channel->peer_fingerprint;
	}
	return entry;
}

bool Latches::takes_latched(uint32_t sa, const btns_child_t &child) noexcept
{
	try
	{
		const Lock lock(mutex_);
		if (!latches_enforced || table_ == nullptr || database_.size() == 0)
		{
			return false;
		}
		return takes_latched(describe(sa, child, btns_latches_sa_t{}), is_known(child));
	}
	catch (const std::exception &)
	{
		return true;
	}
}

bool Latches::takes_latched(const LatchSas::Entry &entry, bool known) const
{
	LatchSa facts = entry.facts();
	if (known || !entry.congruence)
	{
		return database_.has_conflict(facts);
	}
	// whoever it is, nothing else is known yet
	facts.congruence = nullptr;
	return std::ranges::any_of(database_.conflicts(facts),
							   [&](LatchId id)
							   {
								   const auto info = database_.inquire(id);
								   return !info || !info->congruence ||
										  info->congruence->peer != entry.congruence->peer ||
										  info->congruence->local != entry.congruence->local;
							   });
}

std::optional<LatchNarrowing> Latches::narrow(uint32_t sa, const btns_child_t &child)
{
	const Lock lock(mutex_);
	if (!latches_enforced || table_ == nullptr || child.local_count + child.remote_count > narrowed_max)
	{
		return std::nullopt;
	}
	const LatchSas::Entry entry = describe(sa, child, btns_latches_sa_t{});
	const bool known = is_known(child);
	if (!takes_latched(entry, known))
	{
		return std::nullopt;
	}
	for (const bool local : {false, true})
	{
		LatchNarrowing out{std::vector<bool>(entry.local.size()), std::vector<bool>(entry.remote.size())};
		std::vector<bool> &left_out = local ? out.local : out.remote;
		LatchSas::Entry one = entry;
		for (size_t i = 0; i < left_out.size(); i++)
		{
			(local ? one.local : one.remote).assign(1, (local ? entry.local : entry.remote)[i]);
			left_out[i] = takes_latched(one, known);
		}
		if (std::ranges::find(left_out, false) != left_out.end())
		{
			return out;
		}
	}
	return std::nullopt;
}

/**
 * Does the socket of a latch demand the reqid of an SA that is not congruent to it? A latch whose peer is dead
 * conflicts with nothing any more, but its policy is there until the socket is closed. All that have a reqid are
 * congruent.
 */
bool Latches::demands_for_another(const LatchSas::Entry &sa) const
{
	const auto next = reqids_.lower_bound({sa.demand.reqid, 0});
	const Entry *entry = next != reqids_.end() && next->first == sa.demand.reqid ? entry_of(next->second) : nullptr;
	return entry != nullptr && entry->chosen && !is_congruent(sa, *entry->chosen);
}

btns_reason_t Latches::install(uint32_t sa, const btns_child_t &child, const btns_latches_sa_t &kernel)
{
	const LatchSas::Entry &entry = sas_.put(describe(sa, child, kernel));
	Rollback forget([&] { sas_.remove(child.child); });
	if (!latches_enforced)
	{
		forget.cancel();
		return BTNS_REASON_NONE;
	}
	const LatchSa facts = entry.facts();
	if (child.btns && (database_.has_conflict(facts) || demands_for_another(entry)))
	{
		return BTNS_REASON_LATCHED;
	}
	const auto broken = database_.sa_coming(facts);
	stop_packets(broken);
	if (!broken.empty())
	{
		told();
	}
	follow_reqid(entry);
	forget.cancel();
	return BTNS_REASON_NONE;
}

btns_reason_t Latches::before_install(uint32_t sa, const btns_child_t &child, const btns_latches_sa_t &kernel) noexcept
{
	btns_reason_t reason = BTNS_REASON_NONE;
	{
		const Lock lock(mutex_);
		if (table_ == nullptr)
		{
			return BTNS_REASON_NONE;
		}
		try
		{
			reason = install(sa, child, kernel);
		}
		catch (const std::exception &)
		{
			if (child.btns)
			{
				return BTNS_REASON_OUT_OF_MEMORY;
			}
			lose_all();
		}
	}
	if (reason == BTNS_REASON_NONE)
	{
		wait_stopped();
	}
	return reason;
}

void Latches::fail() noexcept
{
	{
		const Lock lock(mutex_);
		lose_all();
	}
	wait_stopped();
}

btns_reason_t Latches::installed(uint32_t sa, const btns_child_t &child) noexcept
{
	{
		const Lock lock(mutex_);
		if (sas_.find(child.child) != nullptr)
		{
			return BTNS_REASON_NONE;
		}
	}
	return before_install(sa, child, btns_latches_sa_t{});
}

/** A latch that waits goes on, with the SAs that there are now. */
void Latches::resume(LatchId id)
{
	Entry *entry = entry_of(id);
	if (entry == nullptr || !entry->kept)
	{
		return;
	}
	const auto info = database_.inquire(id);
	if (info && info->state == LatchState::broken && !info->congruence && entry->connected)
	{
		Choice choice = choose(*entry, entry->tuple);
		if (choice.outcome == LatchOutcome::made)
		{
			establish(id, *entry, choice, false);
		}
	}
	else if (info && info->state == LatchState::established)
	{
		if (!sas_.has_reqid(entry->demand.reqid))
		{
			sas_.for_each_covering(entry->tuple,
								   [&](const LatchSas::Entry &sa)
								   {
									   const bool fits = is_congruent(sa, *info->congruence);
									   if (fits)
									   {
										   set_reqid(id, *entry, sa.demand);
									   }
									   return !fits;
								   });
		}
		entry->passes = true;
	}
	entry->kept->set(policy_of(*entry));
}

void Latches::gone(uint32_t child) noexcept
{
	try
	{
		const Lock lock(mutex_);
		const LatchSas::Entry *entry = sas_.find(child);
		if (entry == nullptr)
		{
			return;
		}
		const uint32_t reqid = entry->demand.reqid;
		remember(*entry);
		sas_.remove(child);
		const auto next = reqids_.lower_bound({reqid, 0});
		orphans_ = orphans_ || (!sas_.has_reqid(reqid) && next != reqids_.end() && next->first == reqid);
		const auto established = database_.sa_gone(child);
		if (!established.empty())
		{
			told();
		}
		for (const LatchId id : established)
		{
			resume(id);
		}
		for (const LatchId id : kept_)
		{
			if (const Entry *kept = entry_of(id); kept != nullptr && !kept->channel && !kept->until)
			{
				resume(id);
			}
		}
	}
	catch (const std::exception &)
	{
		// who waits goes on waiting
	}
}

/**
 * An SA has come. Latches that are congruent to it, and whose reqid no SA has any more, are to go on with this one's: a
 * latch that waits can, since there is a copy of its socket; of others nobody can change the policy, so no packet would
 * ever pass.
 */
void Latches::follow_reqid(const LatchSas::Entry &sa)
{
	if (!orphans_)
	{
		return;
	}
	bool left = false;
	std::vector<LatchId> found;
	for (auto next = reqids_.begin(); next != reqids_.end();)
	{
		const uint32_t reqid = next->first;
		if (sas_.has_reqid(reqid))
		{
			next = reqid == UINT32_MAX ? reqids_.end() : reqids_.lower_bound({reqid + 1, 0});
			continue;
		}
		const Entry *entry = entry_of(next->second);
		const bool fits =
			entry != nullptr && entry->passes && sa.covers(entry->tuple) && is_congruent(sa, *entry->chosen);
		left = left || !fits;
		if (fits)
		{
			found.push_back(next->second);
		}
		next++;
	}
	orphans_ = left;
	for (const LatchId id : found)
	{
		Entry &entry = *entry_of(id);
		if (!entry.kept)
		{
			end(id, LatchReason::not_established);
			continue;
		}
		set_reqid(id, entry, sa.demand);
		entry.kept->set(policy_of(entry));
	}
}

void Latches::moved(uint32_t child, const Address &local, const Address &remote) noexcept
{
	const Lock lock(mutex_);
	LatchSas::Entry *sa = sas_.find(child);
	if (sa == nullptr || (sa->demand.outer_local == local && sa->demand.outer_remote == remote))
	{
		return;
	}
	sa->demand.outer_local = local;
	sa->demand.outer_remote = remote;
	if (sa->demand.mode == BTNS_MODE_TRANSPORT)
	{
		return;
	}
	try
	{
		std::vector<LatchId> found;
		const uint32_t reqid = sa->demand.reqid;
		for (auto next = reqids_.lower_bound({reqid, 0}); next != reqids_.end() && next->first == reqid; next++)
		{
			const Entry *entry = entry_of(next->second);
			if (entry != nullptr && sa->covers(entry->tuple) && is_congruent(*sa, *entry->chosen))
			{
				found.push_back(next->second);
			}
		}
		for (const LatchId id : found)
		{
			Entry &entry = *entry_of(id);
			if (entry.kept)
			{
				entry.demand = sa->demand;
				entry.kept->set(policy_of(entry));
			}
			else
			{
				end(id, LatchReason::not_established);
			}
		}
	}
	catch (const std::exception &)
	{
		// no packet passes that goes to the old address
	}
}

void Latches::peer_dead(uint32_t sa) noexcept
{
	try
	{
		const Lock lock(mutex_);
		const auto channel = table_ != nullptr ? table_->of_sa(sa).channel : std::nullopt;
		if (channel)
		{
			const auto broken = database_.peer_dead(congruence_of(*channel, false).peer);
			stop_packets(broken);
			told();
		}
	}
	catch (const std::exception &)
	{
		// nobody else gets the packets
	}
}

/** To the database a policy that goes before a latch's SAs is an SA of nobody's for this flow alone. */
void Latches::look_at_policies(LatchId id, Entry &entry)
{
	const auto info = database_.inquire(id);
	if (!info || !info->congruence)
	{
		return;
	}
	const std::string_view code = table_->find_one(entry.tuple).code;
	const bool is_taken = code == "bypass" || code == "discard";
	if (is_taken && entry.broken_by == 0)
	{
		const btns_ts_t local = selector_of(entry.tuple.local, entry.tuple.protocol, entry.tuple.local_port);
		const btns_ts_t remote = selector_of(entry.tuple.remote, entry.tuple.protocol, entry.tuple.remote_port);
		LatchSa policy;
		policy.child = last_policy_ - 1;
		policy.local = {&local, 1};
		policy.remote = {&remote, 1};
		const auto broken = database_.sa_coming(policy);
		entry.broken_by = --last_policy_;
		stop_packets(broken);
		told();
	}
	else if (!is_taken && entry.broken_by != 0)
	{
		const auto established = database_.sa_gone(entry.broken_by);
		entry.broken_by = 0;
		told();
		for (const LatchId next : established)
		{
			resume(next);
		}
	}
}

void Latches::policies_changed() noexcept
{
	try
	{
		const Lock lock(mutex_);
		if (!policy_breaks_ || table_ == nullptr)
		{
			return;
		}
		const uint64_t now = table_->shunts_generation();
		if (now == shunts_)
		{
			return;
		}
		std::vector<LatchId> ids;
		ids.reserve(entries_.size());
		for (const auto &[id, entry] : entries_)
		{
			ids.push_back(id);
		}
		for (const LatchId id : ids)
		{
			if (Entry *entry = entry_of(id); entry != nullptr && !entry->listener)
			{
				look_at_policies(id, *entry);
			}
		}
		shunts_ = now;
	}
	catch (const std::exception &)
	{
		// what is latched goes on being protected
	}
}

bool Latches::has_reqid(uint32_t reqid) const noexcept
{
	const Lock lock(mutex_);
	const auto next = reqids_.lower_bound({reqid, 0});
	return latches_enforced && next != reqids_.end() && next->first == reqid;
}

/* ---- for people ---- */

std::vector<LatchView> Latches::list(LatchId from, size_t most) const
{
	std::vector<LatchView> views;
	const Lock lock(mutex_);
	for (const LatchId id : database_.list(from, most))
	{
		const auto info = database_.inquire(id);
		const Entry *entry = entry_of(id);
		if (info && entry != nullptr)
		{
			views.push_back({*info, entry->channel});
		}
	}
	return views;
}

LatchId Latches::last() const
{
	const Lock lock(mutex_);
	return last_;
}

bool Latches::close(LatchId id)
{
	{
		const Lock lock(mutex_);
		if (entry_of(id) == nullptr)
		{
			return false;
		}
		end(id, LatchReason::administrator);
	}
	wait_stopped();
	return true;
}

Latches::Counts Latches::counts() const
{
	const Lock lock(mutex_);
	return {entries_.size(), sas_.size(), kept_.size()};
}

/* ---- the watcher ---- */

void Latches::watch() noexcept
{
	for (;;)
	{
		std::array<pollfd, 2> waiting{{{watch_.descriptor(), POLLIN, 0}, {wake_.get(), POLLIN, 0}}};
		poll(waiting.data(), waiting.size(), until_next());
		{
			const Lock lock(mutex_);
			if (stopping_)
			{
				return;
			}
		}
		try
		{
			look_at_sockets();
			expire();
			help();
		}
		catch (const std::exception &)
		{
			// next time
		}
		const Lock lock(mutex_);
		tidy();
		threads_.reap();
	}
}

int Latches::until_next() const
{
	const Lock lock(mutex_);
	if (deadlines_.empty())
	{
		return static_cast<int>(nap.count());
	}
	const auto left = std::chrono::ceil<milliseconds>(deadlines_.begin()->first - Clock::now());
	return static_cast<int>(std::clamp(left, milliseconds(0), nap).count());
}

void Latches::look_at_sockets()
{
	const auto gone = [this](uint64_t cookie)
	{
		const Lock lock(mutex_);
		const auto found = cookies_.find(cookie);
		if (found != cookies_.end())
		{
			const LatchId id = found->second;
			database_.close(id, LatchReason::socket_gone);
			remove(id);
			told();
		}
	};
	// what cannot be done now is found by asking next time
	const bool missed = std::exchange(missed_, true);
	const bool heard = watch_.read(gone);
	missed_ = false;
	if (heard && !missed)
	{
		return;
	}
	missed_ = true;
	struct Asked
	{
		Flow flow;
		uint64_t cookie;
		uint32_t interface;
	};
	std::vector<Asked> asked;
	{
		const Lock lock(mutex_);
		for (const auto &[id, entry] : entries_)
		{
			if (entry.connected && !entry.kept)
			{
				asked.push_back({entry.tuple, entry.cookie, entry.interface});
			}
		}
	}
	for (const Asked &socket : asked)
	{
		if (!diag_.exists(socket.flow, socket.cookie, socket.interface))
		{
			gone(socket.cookie);
		}
	}
	missed_ = false;
}

void Latches::expire()
{
	const Lock lock(mutex_);
	while (!deadlines_.empty() && deadlines_.begin()->first <= Clock::now())
	{
		// should it fail, it is tried again
		auto node = deadlines_.extract(deadlines_.begin());
		const LatchId id = node.value().second;
		Entry *entry = entry_of(id);
		if (entry != nullptr)
		{
			node.value().first = Clock::now() + nap;
			entry->until = node.value().first;
			deadlines_.insert(std::move(node));
			end(id, LatchReason::not_established);
		}
	}
}

/** Owners that have no latches any more. */
void Latches::tidy() noexcept
{
	for (auto next = owners_.begin(); next != owners_.end();)
	{
		Owner &owner = *next->second;
		if (owner.latches == 0 && owner.lane.hand_over(threads_))
		{
			next = owners_.erase(next);
		}
		else
		{
			next++;
		}
	}
}

} // namespace btns
