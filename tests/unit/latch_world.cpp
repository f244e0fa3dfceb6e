/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
#include "latch_world.h"

#include <netinet/in.h>
#include <netinet/tcp.h>

#include <cstring>

namespace btns::test
{

namespace
{

int number(int socket, int level, int name)
{
	int value = -1;
	socklen_t length = sizeof(value);
	getsockopt(socket, level, name, &value, &length);
	return value;
}

uint64_t cookie_of(int socket)
{
	uint64_t cookie = 0;
	socklen_t length = sizeof(cookie);
	EXPECT_EQ(getsockopt(socket, SOL_SOCKET, SO_COOKIE, &cookie, &length), 0);
	return cookie;
}

bool is_connected(int socket)
{
	sockaddr_storage peer{};
	socklen_t length = sizeof(peer);
	return getpeername(socket, reinterpret_cast<sockaddr *>(&peer), &length) == 0;
}

/** Connected, or connect() goes on. */
bool is_connecting(int socket)
{
	tcp_info info{};
	socklen_t length = sizeof(info);
	return is_connected(socket) ||
		   (getsockopt(socket, IPPROTO_TCP, TCP_INFO, &info, &length) == 0 && info.tcpi_state == TCP_SYN_SENT);
}

LatchHandle take(btns_latch_t *latch, int status, int *error)
{
	if (error != nullptr)
	{
		*error = status;
	}
	else
	{
		EXPECT_EQ(status, BTNS_OK) << btns_strerror(status);
	}
	return {latch, btns_latch_free};
}

} // namespace

LatchAnswer FakeLatches::latch(LatchOwner owner, int socket, const std::optional<Endpoint> &destination,
							   const LatchRequest &request)
{
	const std::lock_guard lock(mutex_);
	const LatchOutcome outcome = decide_ ? decide_(destination) : LatchOutcome::made;
	const int domain = number(socket, SOL_SOCKET, SO_DOMAIN);
	const int protocol = number(socket, SOL_SOCKET, SO_PROTOCOL);
	if ((domain != AF_INET && domain != AF_INET6) || (protocol != IPPROTO_TCP && protocol != IPPROTO_UDP))
	{
		return refuse(LatchOutcome::bad_socket);
	}
	if (outcome != LatchOutcome::made)
	{
		return refuse(outcome);
	}
	Latch latch;
	latch.owner = owner;
	latch.id = ++last_;
	latch.cookie = cookie_of(socket);
	latch.request = request;
	latch.destination = destination;
	latch.was_connected = is_connecting(socket);
	latch.was_listening = number(socket, SOL_SOCKET, SO_ACCEPTCONN) == 1;
	for (const auto &[id, other] : latches_)
	{
		if (other.cookie == latch.cookie)
		{
			return refuse(LatchOutcome::exists);
		}
	}
	latch.state = latch.was_connected ? (begin_larval_ ? LatchState::larval : LatchState::established)
				  : destination		  ? LatchState::larval
									  : LatchState::listener;
	made_++;
	return answer(latches_.emplace(latch.id, latch).first->second);
}

LatchAnswer FakeLatches::connected(LatchOwner owner, LatchId id, int socket)
{
	std::function<void()> what;
	{
		const std::lock_guard lock(mutex_);
		what = on_connected_;
	}
	if (what)
	{
		what();
	}
	const std::lock_guard lock(mutex_);
	Latch *const latch = mine(owner, id);
	if (latch == nullptr)
	{
		return refuse(LatchOutcome::no_such);
	}
	EXPECT_EQ(cookie_of(socket), latch->cookie);
	latch->asked++;
	latch->is_connected = is_connecting(socket);
	if (latch->is_connected && latch->state == LatchState::larval)
	{
		latch->state = LatchState::established;
	}
	return answer(*latch);
}

LatchAnswer FakeLatches::find(LatchOwner owner, int socket)
{
	const uint64_t cookie = cookie_of(socket);
	const std::lock_guard lock(mutex_);
	for (const auto &[id, latch] : latches_)
	{
		if (latch.owner == owner && latch.cookie == cookie)
		{
			return answer(latch);
		}
	}
	return refuse(LatchOutcome::no_such);
}

LatchAnswer FakeLatches::inquire(LatchOwner owner, LatchId id)
{
	const std::lock_guard lock(mutex_);
	const Latch *const latch = mine(owner, id);
	return latch != nullptr ? answer(*latch) : refuse(LatchOutcome::no_such);
}

LatchAnswer FakeLatches::release(LatchOwner owner, LatchId id, int socket)
{
	const std::lock_guard lock(mutex_);
	const Latch *const latch = mine(owner, id);
	if (latch == nullptr)
	{
		return refuse(LatchOutcome::no_such);
	}
	(socket >= 0 ? released_ : released_blind_)++;
	LatchAnswer out = answer(*latch);
	latches_.erase(id);
	return out;
}

std::optional<LatchAlert> FakeLatches::take_alert(LatchOwner owner)
{
	const std::lock_guard lock(mutex_);
	auto &waiting = waiting_[owner];
	if (waiting.empty())
	{
		return std::nullopt;
	}
	const LatchAlert alert = waiting.front();
	waiting.pop_front();
	return alert;
}

void FakeLatches::owner_gone(LatchOwner owner)
{
	std::function<void(LatchOwner)> what;
	{
		const std::lock_guard lock(mutex_);
		gone_.insert(owner);
		std::erase_if(latches_, [owner](const auto &latch) { return latch.second.owner == owner; });
		what = on_owner_gone_;
	}
	if (what)
	{
		what(owner);
	}
}

void FakeLatches::decide(std::function<LatchOutcome(const std::optional<Endpoint> &)> how)
{
	const std::lock_guard lock(mutex_);
	decide_ = std::move(how);
}

void FakeLatches::change(LatchId id, LatchState state, LatchReason reason)
{
	LatchOwner owner = 0;
	{
		const std::lock_guard lock(mutex_);
		owner = latches_.at(id).owner;
	}
	change_silently(id, state, reason);
	alert({owner, id, state, reason, 0});
}

void FakeLatches::change_silently(LatchId id, LatchState state, LatchReason reason)
{
	const std::lock_guard lock(mutex_);
	if (state == LatchState::closed)
	{
		latches_.erase(id);
		return;
	}
	latches_.at(id).state = state;
	latches_.at(id).reason = reason;
}

void FakeLatches::alert(const LatchAlert &alert)
{
	const std::lock_guard lock(mutex_);
	waiting_[alert.owner].push_back(alert);
	alerts_++;
}

void FakeLatches::on_owner_gone(std::function<void(LatchOwner)> what)
{
	const std::lock_guard lock(mutex_);
	on_owner_gone_ = std::move(what);
}

void FakeLatches::on_connected(std::function<void()> what)
{
	const std::lock_guard lock(mutex_);
	on_connected_ = std::move(what);
}

std::vector<FakeLatches::Latch> FakeLatches::all()
{
	const std::lock_guard lock(mutex_);
	std::vector<Latch> out;
	for (const auto &[id, latch] : latches_)
	{
		out.push_back(latch);
	}
	return out;
}

FakeLatches::Latch FakeLatches::only()
{
	const auto found = all();
	EXPECT_EQ(found.size(), 1U);
	return found.size() == 1 ? found.front() : Latch{};
}

std::set<LatchOwner> FakeLatches::gone()
{
	const std::lock_guard lock(mutex_);
	return gone_;
}

LatchAnswer FakeLatches::answer(const Latch &latch)
{
	LatchAnswer out;
	out.outcome = LatchOutcome::made;
	out.id = latch.id;
	out.state = latch.state;
	out.reason = latch.reason;
	out.ready = latch.state == LatchState::larval && latch.asked >= ready_after_;
	out.tuple = {6, {4, 0x7f000001}, {4, 0x7f000002}, 1234, 80};
	out.request = latch.request;
	if (latch.state == LatchState::established || latch.state == LatchState::broken)
	{
		out.channel = std::make_shared<const Channel>(full_channel());
	}
	return out;
}

LatchAnswer FakeLatches::refuse(LatchOutcome outcome)
{
	LatchAnswer out;
	out.outcome = outcome;
	return out;
}

FakeLatches::Latch *FakeLatches::mine(LatchOwner owner, LatchId id)
{
	const auto found = latches_.find(id);
	return found != latches_.end() && found->second.owner == owner ? &found->second : nullptr;
}

uint16_t Listener::port() const
{
	return ntohs(reinterpret_cast<const sockaddr_in *>(&address)->sin_port);
}

Listener loopback_listener(int family, int type, bool listens)
{
	Listener made;
	made.socket = Descriptor(socket(family, type | SOCK_CLOEXEC, 0));
	if (family == AF_INET)
	{
		sockaddr_in in{};
		in.sin_family = AF_INET;
		in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		std::memcpy(&made.address, &in, sizeof(in));
		made.length = sizeof(in);
	}
	else
	{
		sockaddr_in6 in{};
		in.sin6_family = AF_INET6;
		in.sin6_addr = in6addr_loopback;
		std::memcpy(&made.address, &in, sizeof(in));
		made.length = sizeof(in);
	}
	EXPECT_EQ(bind(made.socket.get(), made.where(), made.length), 0);
	EXPECT_TRUE(type != SOCK_STREAM || !listens || listen(made.socket.get(), 64) == 0);
	EXPECT_EQ(getsockname(made.socket.get(), reinterpret_cast<sockaddr *>(&made.address), &made.length), 0);
	return made;
}

LatchHandle latch_connect(const Client &client, int fd, const Listener &to, const btns_latch_options_t *options,
						  int *error)
{
	btns_latch_t *latch = nullptr;
	const int status = btns_latch_connect(client.get(), fd, to.where(), to.length, options, &latch);
	return take(latch, status, error);
}

LatchHandle latch_accepted(const Client &client, int fd, const btns_latch_options_t *options, int *error)
{
	btns_latch_t *latch = nullptr;
	const int status = btns_latch_accepted(client.get(), fd, options, &latch);
	return take(latch, status, error);
}

LatchHandle latch_listen(const Client &client, int fd, const btns_latch_options_t *options, int *error)
{
	btns_latch_t *latch = nullptr;
	const int status = btns_latch_listen(client.get(), fd, options, &latch);
	return take(latch, status, error);
}

btns_latch_info_t inquire(const LatchHandle &latch)
{
	btns_latch_info_t info = BTNS_LATCH_INFO_INIT;
	EXPECT_EQ(btns_latch_inquire(latch.get(), &info), BTNS_OK);
	return info;
}

} // namespace btns::test
