/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
#include "app_front.h"

#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <system_error>
#include <utility>

namespace btns
{

namespace
{

/** What epoll says about descriptors that are no clients'; clients have higher numbers. */
constexpr uint64_t listener_number = 1;
constexpr uint64_t wake_number = 2;
constexpr uint64_t first_client = 16;

/** Events and connections that are taken before others have their turn. */
constexpr size_t turn = 32;
/** Octets of a client's send buffer, which the kernel doubles: many answers. */
constexpr int send_buffer = 32768;
/** Users without clients that are remembered before those are forgotten whose rate has recovered. */
constexpr size_t idle_users = 128;
/** Pause of who asks too fast, milliseconds. */
constexpr int64_t request_pause = 10;

/** A token is a thousandth of a thing. */
BucketSize per_second(unsigned count)
{
	return {.rate = std::max<int64_t>(count, 1), .capacity = std::max<int64_t>(count, 1) * 1000};
}
constexpr int64_t one = 1000;

Descriptor make_epoll()
{
	Descriptor made(epoll_create1(EPOLL_CLOEXEC));
	if (!made)
	{
		throw std::system_error(errno, std::generic_category(), "epoll_create1");
	}
	return made;
}

void control(int epoll, int operation, int fd, uint32_t events, uint64_t number)
{
	epoll_event event{};
	event.events = events;
	event.data.u64 = number;
	if (epoll_ctl(epoll, operation, fd, &event) != 0)
	{
		throw std::system_error(errno, std::generic_category(), "epoll_ctl");
	}
}

/** Sends all of a message or nothing. */
bool try_send(int socket, const AppMessage &message)
{
	return ::send(socket, message.data(), message.size(), MSG_DONTWAIT | MSG_NOSIGNAL) ==
		   static_cast<ssize_t>(message.size());
}

bool is_full(int error)
{
	return error == EAGAIN || error == EWOULDBLOCK || error == ENOBUFS || error == ENOMEM || error == EINTR;
}

} // namespace

/** As long as it lives something is done for a client that the kernel may not return from. */
class AppFront::Work
{
public:
	Work(AppFrontControl &control, uid_t user) : control_(control)
	{
		control_.user = user;
		control_.work = next_++;
	}
	~Work() { control_.work = 0; }
	Work(const Work &) = delete;
	Work &operator=(const Work &) = delete;
	Work(Work &&) = delete;
	Work &operator=(Work &&) = delete;

private:
	static inline std::atomic<uint64_t> next_ = 1;
	AppFrontControl &control_;
};

/** A message with its descriptors. */
struct AppFront::Received
{
	ssize_t length = -1;
	std::array<uint8_t, wire::request_max> octets{};
	/** longer than a request may be */
	bool cut = false;
	/** the first descriptor, how many there were, and whether there were still more, which are closed already */
	Descriptor descriptor;
	size_t count = 0;
	bool more = false;

	void receive(int socket);
	/** BTNS_OK if there is one and nothing else */
	[[nodiscard]] btns_error_t one_descriptor() const
	{
		if (count == 0 && more)
		{
			return BTNS_EBUSY;
		}
		return count == 1 && !more ? BTNS_OK : BTNS_EINVAL;
	}
	/** the same, or none */
	[[nodiscard]] btns_error_t at_most_one_descriptor() const
	{
		return count == 0 && !more ? BTNS_OK : one_descriptor();
	}
};

void AppFront::Received::receive(int socket)
{
	// no longer than one descriptor takes: the kernel gives us no other
	alignas(cmsghdr) std::array<uint8_t, CMSG_SPACE(sizeof(int))> space{};
	iovec data{octets.data(), octets.size()};
	msghdr message{};
	message.msg_iov = &data;
	message.msg_iovlen = 1;
	message.msg_control = space.data();
	message.msg_controllen = CMSG_LEN(sizeof(int));
	do
	{
		length = recvmsg(socket, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	} while (length < 0 && errno == EINTR);
	if (length < 0)
	{
		return;
	}
	cut = (message.msg_flags & MSG_TRUNC) != 0;
	more = (message.msg_flags & MSG_CTRUNC) != 0;
	for (cmsghdr *header = CMSG_FIRSTHDR(&message); header != nullptr; header = CMSG_NXTHDR(&message, header))
	{
		if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS)
		{
			continue;
		}
		for (size_t at = CMSG_LEN(0); at + sizeof(int) <= header->cmsg_len; at += sizeof(int))
		{
			int fd = -1;
			std::memcpy(&fd, reinterpret_cast<const uint8_t *>(header) + at, sizeof(fd));
			Descriptor taken(fd);
			if (count++ == 0)
			{
				descriptor = std::move(taken);
			}
		}
	}
}

AppFront::AppFront(std::shared_ptr<AppShared> shared, std::shared_ptr<AppFrontControl> control)
	: shared_(std::move(shared)), control_(std::move(control)), limits_(shared_->limits), epoll_(make_epoll())
{
	btns::control(epoll_.get(), EPOLL_CTL_ADD, control_->wake.get(), EPOLLIN, wake_number);
	btns::control(epoll_.get(), EPOLL_CTL_ADD, shared_->listener, EPOLLIN, listener_number);
}

AppFront::~AppFront()
{
	while (!clients_.empty())
	{
		drop(clients_.begin()->first, nullptr);
	}
}

void AppFront::run()
{
	now_ = app_now();
	adopt_orphans();
	while (!control_->stop)
	{
		wait();
		if (listen_at_ != 0 && now_ >= listen_at_)
		{
			listen(true);
		}
		if (tend_at_ != 0 && now_ >= tend_at_)
		{
			tend();
		}
		if (watch_count_ > 0 && now_ >= look_at_)
		{
			look();
		}
		if (latch_count_ > 0 && now_ >= alerts_at_)
		{
			look_for_alerts();
		}
	}
}

/** Milliseconds until something is due, -1 for never. */
int AppFront::timeout() const
{
	int64_t next = -1;
	const auto consider = [&](int64_t at)
	{
		const int64_t left = std::max<int64_t>(at - now_, 0);
		next = next < 0 ? left : std::min(next, left);
	};
	if (listen_at_ != 0)
	{
		consider(listen_at_);
	}
	if (tend_at_ != 0)
	{
		consider(tend_at_);
	}
	if (watch_count_ > 0)
	{
		consider(look_at_);
	}
	if (latch_count_ > 0)
	{
		consider(alerts_at_);
	}
	return static_cast<int>(std::min<int64_t>(next, 60000));
}

/** Serve whoever wants something. */
void AppFront::wait()
{
	std::array<epoll_event, turn> events{};
	const int count = epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), timeout());
	if (count < 0 && errno != EINTR)
	{
		throw std::system_error(errno, std::generic_category(), "epoll_wait");
	}
	now_ = app_now();
	for (int at = 0; at < count && !control_->stop; at++)
	{
		const epoll_event &event = events.at(static_cast<size_t>(at));
		if (event.data.u64 == listener_number)
		{
			accept_clients();
		}
		else if (event.data.u64 >= first_client)
		{
			serve(event.data.u64, event.events);
		}
	}
}

void AppFront::listen(bool on, int64_t again_at)
{
	btns::control(epoll_.get(), EPOLL_CTL_MOD, shared_->listener, on ? EPOLLIN : 0U, listener_number);
	listen_at_ = on ? 0 : again_at;
}

void AppFront::accept_clients()
{
	for (size_t i = 0; i < turn && !control_->stop; i++)
	{
		if (!connections_.has(per_second(limits_.connections), now_))
		{
			listen(false, now_ + request_pause);
			return;
		}
		Descriptor socket(accept4(shared_->listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
		if (socket)
		{
			connections_.take(one, per_second(limits_.connections), now_);
			admit(std::move(socket));
		}
		else if (errno != ECONNABORTED && errno != EINTR)
		{
			if (errno != EAGAIN && errno != EWOULDBLOCK)
			{
				shared_->lines.add({"cannot take a connection: ", std::generic_category().message(errno)});
				listen(false, now_ + limits_.no_descriptors_pause);
			}
			return;
		}
	}
}

void AppFront::admit(Descriptor socket)
{
	ucred peer{};
	socklen_t length = sizeof(peer);
	if (getsockopt(socket.get(), SOL_SOCKET, SO_PEERCRED, &peer, &length) != 0 || length != sizeof(peer))
	{
		return;
	}
	// if it is closed here, then with what the client has sent already: so this may be work for the kernel, too
	const Work work(*control_, peer.uid);
	Descriptor mine = std::move(socket);
	{
		const std::lock_guard lock(shared_->mutex);
		shared_->changed.notify_all();
	}
	if (users_.size() > idle_users)
	{
		std::erase_if(users_,
					  [&](const auto &user) {
						  return user.second.clients == 0 &&
								 user.second.requests.is_full(per_second(limits_.requests_per_user), now_);
					  });
	}
	if (shared_->barred.has(peer.uid))
	{
		turn_away(mine, peer.uid, "has handed over what cannot be closed");
		return;
	}
	if (clients_.size() >= limits_.clients || users_[peer.uid].clients >= limits_.clients_per_user)
	{
		turn_away(mine, peer.uid, "is one client too many");
		return;
	}
	setsockopt(mine.get(), SOL_SOCKET, SO_SNDBUF, &send_buffer, sizeof(send_buffer));
	const uint64_t number = first_client + last_number_++;
	Client &client = clients_[number];
	client.number = number;
	client.user = peer.uid;
	client.owner = shared_->next_owner++;
	client.socket = std::move(mine);
	users_[peer.uid].clients++;
	shared_->counters->clients++;
	try
	{
		{
			const std::lock_guard lock(shared_->mutex);
			control_->clients.emplace(client.socket.get(), AppClientName{client.user, client.owner});
		}
		btns::control(epoll_.get(), EPOLL_CTL_ADD, client.socket.get(), EPOLLIN, number);
	}
	catch (const std::exception &)
	{
		drop(number, "cannot be served");
	}
}

void AppFront::turn_away(const Descriptor &socket, uid_t user, const char *why)
{
	try_send(socket.get(), app_error_message(0, BTNS_EBUSY));
	shared_->counters->refused++;
	shared_->lines.add({"user ", std::to_string(user), " ", why});
}

/** @param why	for the log, NULL if the client has just gone */
void AppFront::drop(uint64_t number, const char *why)
{
	const auto found = clients_.find(number);
	if (found == clients_.end())
	{
		return;
	}
	Client &client = found->second;
	if (why != nullptr)
	{
		shared_->counters->refused++;
		shared_->lines.add({"a client of user ", std::to_string(client.user), " ", why});
	}
	User &user = users_[client.user];
	user.clients--;
	const auto watches = static_cast<unsigned>(client.watches.size());
	user.watches -= watches;
	watch_count_ -= watches;
	shared_->counters->watches -= watches;
	const auto latches = static_cast<unsigned>(client.latches.size());
	user.latches -= latches;
	latch_count_ -= latches;
	shared_->counters->latches -= latches;
	shared_->counters->clients--;
	{
		const std::lock_guard lock(shared_->mutex);
		control_->clients.erase(client.socket.get());
	}
	const Work work(*control_, client.user);
	if (client.is_owner)
	{
		close_latches(client.owner);
	}
	clients_.erase(found);
}

void AppFront::serve(uint64_t number, uint32_t events)
{
	const auto found = clients_.find(number);
	if (found == clients_.end())
	{
		return;
	}
	Client &client = found->second;
	const char *why = nullptr;
	try
	{
		// who has gone needs no answer
		if ((events & (EPOLLHUP | EPOLLERR)) == 0 && ((events & EPOLLOUT) == 0 || has_room(client)) &&
			((events & EPOLLIN) == 0 || receive(client)))
		{
			return;
		}
	}
	catch (const std::exception &)
	{
		why = "cannot be served";
	}
	drop(number, why);
}

/** Ask epoll for what the client can do now. */
void AppFront::arm(const Client &client)
{
	const uint32_t in = client.pending.empty() && client.resume_at == 0 ? EPOLLIN : 0U;
	const uint32_t events = in | (client.unread_since != 0 || !client.alert.empty() ? EPOLLOUT : 0U);
	btns::control(epoll_.get(), EPOLL_CTL_MOD, client.socket.get(), events, client.number);
}

/** Is a request within the rates? Else the client pauses. */
bool AppFront::may_ask(Client &client)
{
	const BucketSize by_client = per_second(limits_.requests_per_client);
	const BucketSize by_user = per_second(limits_.requests_per_user);
	User &user = users_[client.user];
	if (client.requests.has(by_client, now_) && user.requests.has(by_user, now_))
	{
		client.requests.take(one, by_client, now_);
		user.requests.take(one, by_user, now_);
		return true;
	}
	client.resume_at = now_ + request_pause;
	due(client.resume_at);
	arm(client);
	return false;
}

bool AppFront::receive(Client &client)
{
	if (!may_ask(client))
	{
		return true;
	}
	const Work work(*control_, client.user);
	AppMessage reply;
	{
		Received received;
		received.receive(client.socket.get());
		if (received.length < 0 && is_full(errno))
		{
			return true;
		}
		if (received.length <= 0)
		{
			return false;
		}
		const auto request = parse_app_request(Bytes(received.octets).first(static_cast<size_t>(received.length)));
		if (received.cut || !request)
		{
			shared_->lines.add({"a client of user ", std::to_string(client.user), " sent what is no request"});
			shared_->counters->refused++;
			return false;
		}
		shared_->counters->requests++;
		reply = answer(client, *request, received);
		// the copy of the descriptor is gone before the client knows the answer
	}
	return send(client, std::move(reply));
}

AppMessage AppFront::answer(Client &client, const AppRequest &request, const Received &received)
{
	try
	{
		switch (static_cast<wire::Type>(request.type))
		{
		case wire::Type::find:
		case wire::Type::watch:
			if (const btns_error_t error = received.one_descriptor(); error != BTNS_OK)
			{
				return app_error_message(request.id, error);
			}
			return find(client, request, received.descriptor.get());
		case wire::Type::unwatch:
			return unwatch(client, request.id);
		case wire::Type::latch:
		case wire::Type::latch_connected:
		case wire::Type::latch_find:
		case wire::Type::latch_inquire:
		case wire::Type::latch_release:
			return serve_latch(client, request, received);
		default:
			return app_error_message(request.id, BTNS_EINVAL);
		}
	}
	catch (const std::bad_alloc &)
	{
		return app_error_message(request.id, BTNS_ENOMEM);
	}
}

AppMessage AppFront::find(Client &client, const AppRequest &request, int socket)
{
	const auto flow = flow_of(socket, shared_->own);
	if (!flow)
	{
		return app_error_message(request.id, BTNS_ESOCKET);
	}
	const bool watch = request.type == static_cast<uint8_t>(wire::Type::watch);
	User &user = users_[client.user];
	if (watch && client.watches.contains(request.id))
	{
		return app_error_message(request.id, BTNS_EINVAL);
	}
	if (watch && (client.watches.size() >= limits_.watches_per_client || user.watches >= limits_.watches_per_user ||
				  watch_count_ >= limits_.watches))
	{
		return app_error_message(request.id, BTNS_EBUSY);
	}
	// before the answer, so that nothing is missed
	if (watch_count_ == 0)
	{
		seen_ = shared_->source.generation();
	}
	const auto found = shared_->source.find(*flow);
	if (!found)
	{
		return app_error_message(request.id, BTNS_EBUSY);
	}
	AppMessage message = app_channel_message(request.id, *flow, *found);
	if (watch)
	{
		client.watches.emplace(request.id, Watch{*flow, watch_state(*flow, *found)});
		user.watches++;
		watch_count_++;
		shared_->counters->watches++;
	}
	return message;
}

AppMessage AppFront::unwatch(Client &client, uint32_t id)
{
	if (client.watches.erase(id) == 0)
	{
		return app_error_message(id, BTNS_EINVAL);
	}
	users_[client.user].watches--;
	watch_count_--;
	shared_->counters->watches--;
	return app_done_message(id);
}

AppMessage AppFront::serve_latch(Client &client, const AppRequest &request, const Received &received)
{
	const auto type = static_cast<wire::Type>(request.type);
	const bool needs_socket = type != wire::Type::latch_inquire && type != wire::Type::latch_release;
	const btns_error_t error = needs_socket ? received.one_descriptor() : received.at_most_one_descriptor();
	if (error != BTNS_OK)
	{
		return app_error_message(request.id, error);
	}
	const std::shared_ptr<LatchService> service = shared_->latches.get();
	if (!service)
	{
		return app_error_message(request.id, BTNS_ENOTSUP);
	}
	const int socket = received.descriptor.get();
	switch (type)
	{
	case wire::Type::latch:
		return latch(*service, client, request, socket);
	case wire::Type::latch_find:
		return find_latch(*service, client, request.id, socket);
	default:
		return latch_named(*service, client, request, socket);
	}
}

/** May a client have one more latch? */
bool AppFront::may_latch(const Client &client)
{
	return client.latches.size() < limits_.latches_per_client &&
		   users_[client.user].latches < limits_.latches_per_user && latch_count_ < limits_.latches;
}

AppMessage AppFront::latch(LatchService &service, Client &client, const AppRequest &request, int socket)
{
	if (request.error != BTNS_OK)
	{
		return app_error_message(request.id, request.error);
	}
	if ((request.id & wire::daemons_number) != 0 || client.latches.contains(request.id))
	{
		return app_error_message(request.id, BTNS_EINVAL);
	}
	if (!may_latch(client))
	{
		return app_error_message(request.id, BTNS_EBUSY);
	}
	client.is_owner = true;
	const LatchAnswer answer = service.latch(client.owner, socket, request.destination, request.latch);
	if (answer.outcome != LatchOutcome::made)
	{
		return app_error_message(request.id, to_error(answer.outcome));
	}
	try
	{
		add_latch(client, request.id, answer.id);
		return app_latched_message(request.id, answer, 0);
	}
	catch (const std::exception &)
	{
		// none that the client does not know of
		forget_latch(client, request.id);
		service.release(client.owner, answer.id, socket);
		throw;
	}
}

/** A request about a latch that the client has named. */
AppMessage AppFront::latch_named(LatchService &service, Client &client, const AppRequest &request, int socket)
{
	const auto found = client.latches.find(request.id);
	const bool releases = request.type == static_cast<uint8_t>(wire::Type::latch_release);
	if (found == client.latches.end())
	{
		if (releases && socket >= 0)
		{
			// it has gone by itself, and its socket is given back
			service.release(client.owner, 0, socket);
		}
		return app_error_message(request.id, BTNS_EUNAVAILABLE);
	}
	if (releases)
	{
		return release(service, client, request.id, socket);
	}
	const bool inquires = request.type == static_cast<uint8_t>(wire::Type::latch_inquire);
	const LatchAnswer answer = inquires ? service.inquire(client.owner, found->second)
										: service.connected(client.owner, found->second, socket);
	return answer.outcome == LatchOutcome::made ? app_latched_message(request.id, answer, 0)
												: app_error_message(request.id, to_error(answer.outcome));
}

AppMessage AppFront::find_latch(LatchService &service, Client &client, uint32_t id, int socket)
{
	const LatchAnswer answer = service.find(client.owner, socket);
	if (answer.outcome != LatchOutcome::made)
	{
		return app_error_message(id, to_error(answer.outcome));
	}
	const uint32_t number = number_of(client, answer.id);
	return number != 0 ? app_latched_message(id, answer, number) : app_error_message(id, BTNS_EBUSY);
}

AppMessage AppFront::release(LatchService &service, Client &client, uint32_t id, int socket)
{
	const LatchAnswer answer = service.release(client.owner, client.latches.at(id), socket);
	// one that has gone by itself is released, too
	if (answer.outcome != LatchOutcome::made && answer.outcome != LatchOutcome::no_such)
	{
		return app_error_message(id, to_error(answer.outcome));
	}
	forget_latch(client, id);
	return app_done_message(id);
}

void AppFront::add_latch(Client &client, uint32_t number, LatchId id)
{
	client.latches.emplace(number, id);
	users_[client.user].latches++;
	latch_count_++;
	shared_->counters->latches++;
	client.numbers.insert_or_assign(id, number);
}

/** Does nothing if there is no such latch. */
void AppFront::forget_latch(Client &client, uint32_t number)
{
	const auto found = client.latches.find(number);
	if (found == client.latches.end())
	{
		return;
	}
	client.numbers.erase(found->second);
	client.latches.erase(found);
	users_[client.user].latches--;
	latch_count_--;
	shared_->counters->latches--;
}

/** The number of a latch that the client has, and gets one if it has none yet; 0 if it has too many. */
uint32_t AppFront::number_of(Client &client, LatchId id)
{
	if (const auto found = client.numbers.find(id); found != client.numbers.end())
	{
		return found->second;
	}
	if (!may_latch(client))
	{
		return 0;
	}
	uint32_t number = 0;
	do
	{
		number = wire::daemons_number | ++client.last_born;
	} while (client.latches.contains(number));
	add_latch(client, number, id);
	return number;
}

/** The connections of an owner that has gone are reset. */
void AppFront::close_latches(LatchOwner owner)
{
	const std::shared_ptr<LatchService> service = shared_->latches.get();
	try
	{
		if (service)
		{
			service->owner_gone(owner);
		}
	}
	catch (const std::exception &error)
	{
		shared_->lines.add({"cannot close the latches of a client that has gone: ", error.what()});
	}
}

/** Clients have gone with a thread that is stuck. */
void AppFront::adopt_orphans()
{
	std::vector<AppClientName> orphans;
	{
		const std::lock_guard lock(shared_->mutex);
		orphans.swap(shared_->orphans);
	}
	for (const AppClientName &orphan : orphans)
	{
		const Work work(*control_, orphan.user);
		close_latches(orphan.owner);
	}
}

/** Send an answer, or keep it until the client has read what came before; meanwhile it is asked nothing. */
bool AppFront::send(Client &client, AppMessage message)
{
	if (client.unread_since == 0 && try_send(client.socket.get(), message))
	{
		return true;
	}
	if (client.unread_since == 0 && !is_full(errno))
	{
		return false;
	}
	client.pending = std::move(message);
	return has_no_room(client);
}

/** A client has not read what came before. */
bool AppFront::has_no_room(Client &client)
{
	client.unread_since = client.unread_since != 0 ? client.unread_since : now_;
	due(client.unread_since + limits_.unread);
	arm(client);
	return true;
}

/** The client has read. */
bool AppFront::has_room(Client &client)
{
	client.unread_since = 0;
	if (!client.pending.empty() && !send(client, std::exchange(client.pending, {})))
	{
		return false;
	}
	if (client.unread_since == 0 && !client.alert.empty())
	{
		if (try_send(client.socket.get(), client.alert))
		{
			client.alert.clear();
		}
		else if (!is_full(errno))
		{
			return false;
		}
	}
	if (client.is_owner)
	{
		// there may be more for it
		heard_.reset();
		alerts_at_ = now_;
	}
	arm(client);
	return true;
}

/** Something has to be tended at that time. */
void AppFront::due(int64_t at)
{
	tend_at_ = tend_at_ == 0 ? at : std::min(tend_at_, at);
}

/** Who paused goes on, who does not read goes. */
void AppFront::tend()
{
	std::vector<uint64_t> unread;
	tend_at_ = 0;
	for (auto &[number, client] : clients_)
	{
		if (client.resume_at != 0 && now_ >= client.resume_at)
		{
			client.resume_at = 0;
			arm(client);
		}
		if (client.unread_since != 0 && now_ - client.unread_since >= limits_.unread)
		{
			unread.push_back(number);
			continue;
		}
		if (client.resume_at != 0)
		{
			due(client.resume_at);
		}
		if (client.unread_since != 0)
		{
			due(client.unread_since + limits_.unread);
		}
	}
	for (const uint64_t number : unread)
	{
		drop(number, "does not read");
	}
}

/** A part of a look at all watches, or the beginning of one, if there is reason to. */
void AppFront::look()
{
	look_at_ = now_ + limits_.look_interval;
	if (!cursor_)
	{
		const auto generation = shared_->source.generation();
		if (!again_ && generation == seen_)
		{
			return;
		}
		seen_ = generation;
		again_ = false;
		cursor_ = WatchCursor{0, 0};
	}
	for (unsigned left = limits_.looks; left > 0; left--)
	{
		Client *const client = next_watching();
		if (client == nullptr)
		{
			cursor_.reset();
			return;
		}
		const auto watch = client->watches.lower_bound(static_cast<uint32_t>(cursor_->watch));
		cursor_->watch = uint64_t{watch->first} + 1;
		if (!look_at(*client, watch->first, watch->second))
		{
			drop(client->number, nullptr);
		}
	}
	look_at_ = now_ + limits_.look_pause;
}

/** Whose watch is at the cursor or the next one after it; the cursor is put there. NULL if there is none. */
AppFront::Client *AppFront::next_watching()
{
	for (auto client = clients_.lower_bound(cursor_->client); client != clients_.end(); ++client)
	{
		if (client->first != cursor_->client)
		{
			*cursor_ = {client->first, 0};
		}
		if (cursor_->watch <= UINT32_MAX &&
			client->second.watches.lower_bound(static_cast<uint32_t>(cursor_->watch)) != client->second.watches.end())
		{
			return &client->second;
		}
	}
	return nullptr;
}

/** Tell a client if something has changed. @return	FALSE if it has gone */
bool AppFront::look_at(Client &client, uint32_t id, Watch &watch)
{
	try
	{
		const auto found = shared_->source.find(watch.flow);
		if (!found)
		{
			return true;
		}
		const WatchState state = watch_state(watch.flow, *found);
		const auto event = watch_event(watch.state, state);
		if (!event || client.unread_since == 0)
		{
			if (event && !try_send(client.socket.get(), app_event_message(id, *event)))
			{
				again_ = true;
				return is_full(errno) && has_no_room(client);
			}
			watch.state = state;
			return true;
		}
		again_ = true;
	}
	catch (const std::exception &)
	{
		again_ = true;
	}
	return true;
}

/** Tell clients what has become of their latches, as many as it is their turn. */
void AppFront::look_for_alerts()
{
	alerts_at_ = now_ + limits_.alert_interval;
	const std::shared_ptr<LatchService> service = shared_->latches.get();
	if (!service)
	{
		return;
	}
	if (alert_cursor_ == 0)
	{
		const uint64_t alerts = service->alerts();
		if (heard_ == alerts)
		{
			return;
		}
		heard_ = alerts;
	}
	unsigned left = limits_.alerts;
	std::vector<uint64_t> gone;
	auto next = clients_.lower_bound(alert_cursor_);
	for (; next != clients_.end() && left > 0; ++next)
	{
		if (next->second.is_owner && !tell(*service, next->second, left))
		{
			gone.push_back(next->first);
		}
	}
	alert_cursor_ = 0;
	if (left == 0)
	{
		// it may have more
		alert_cursor_ = std::prev(next)->first;
		alerts_at_ = now_ + limits_.look_pause;
	}
	for (const uint64_t number : gone)
	{
		drop(number, nullptr);
	}
}

/** Tell a client its alerts, until it has no room. @return	FALSE if it has to go: it would not hear of one */
bool AppFront::tell(LatchService &service, Client &client, unsigned &left)
{
	const Work work(*control_, client.user);
	try
	{
		while (left > 0 && client.unread_since == 0 && client.alert.empty())
		{
			const auto alert = service.take_alert(client.owner);
			if (!alert)
			{
				return true;
			}
			left--;
			AppMessage message = alert_message(service, client, *alert);
			if (message.empty() || try_send(client.socket.get(), message))
			{
				continue;
			}
			if (!is_full(errno))
			{
				return false;
			}
			client.alert = std::move(message);
			arm(client);
		}
	}
	catch (const std::exception &)
	{
		return false;
	}
	return true;
}

/** Empty if there is nothing to be told. */
AppMessage AppFront::alert_message(LatchService &service, Client &client, const LatchAlert &alert)
{
	const auto found = client.numbers.find(alert.latch);
	if (found == client.numbers.end())
	{
		return {};
	}
	const uint32_t number = found->second;
	const auto event = alert_event(alert);
	uint32_t born = 0;
	if (event == BTNS_EVENT_LATCH_BORN && service.inquire(client.owner, alert.born).outcome == LatchOutcome::made)
	{
		born = number_of(client, alert.born);
	}
	if (alert.born == 0 && alert.state == LatchState::closed)
	{
		forget_latch(client, number);
	}
	return event ? app_alert_message(number, *event, alert.reason, born) : AppMessage{};
}

} // namespace btns
