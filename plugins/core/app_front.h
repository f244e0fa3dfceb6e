/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
/**
 * @file app_front.h
 * The thread of the application socket that serves clients.
 */
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <vector>

#include "app_shared.h"
#include "app_watch.h"
#include "app_wire.h"
#include "token_bucket.h"

namespace btns
{

/**
 * How others see and end an AppFront. What a client hands over can make the kernel wait in the middle of a call,
 * close() included, for as long as the client likes: a file of a file system that the client runs, a socket that
 * lingers. Then the thread is left behind.
 */
struct AppFrontControl
{
	/** an eventfd that ends what it waits for */
	Descriptor wake;
	std::atomic<bool> stop = false;
	/** what is being done, 0 for nothing; each thing has a number of its own */
	std::atomic<uint64_t> work = 0;
	/** for whom */
	std::atomic<uid_t> user = 0;
	/** for the following, and of AppShared::changed: AppShared::mutex */
	std::map<int, AppClientName> clients;
	/** it was left behind, and with it who was served */
	std::optional<uid_t> left_behind;
	bool ended = false;
};

class AppFront
{
public:
	AppFront(std::shared_ptr<AppShared> shared, std::shared_ptr<AppFrontControl> control);
	~AppFront();
	AppFront(const AppFront &) = delete;
	AppFront &operator=(const AppFront &) = delete;
	AppFront(AppFront &&) = delete;
	AppFront &operator=(AppFront &&) = delete;

	/** Serve until the control says stop. Throws if nothing else can be done. */
	void run();

private:
	struct Watch
	{
		Flow flow;
		/** what the client was told */
		WatchState state;
	};

	/** All clients with one user ID. */
	struct User
	{
		unsigned clients = 0;
		unsigned watches = 0;
		unsigned latches = 0;
		TokenBucket requests;
	};

	struct Client
	{
		uint64_t number = 0;
		Descriptor socket;
		uid_t user = 0;
		TokenBucket requests;
		std::map<uint32_t, Watch> watches;
		/** who this is to the LatchService */
		LatchOwner owner = 0;
		/** it may have had latches */
		bool is_owner = false;
		/** latches by the client's numbers, and the numbers by latches */
		std::map<uint32_t, LatchId> latches;
		std::map<LatchId, uint32_t> numbers;
		uint32_t last_born = 0;
		/** an alert that the client has no room for: no more is taken meanwhile, and it need not hurry */
		AppMessage alert;
		/** an answer that the client has no room for */
		AppMessage pending;
		/** since when it has had no room, 0 for not at all */
		int64_t unread_since = 0;
		/** when it may ask again, 0 for now */
		int64_t resume_at = 0;
	};

	/** A client and the first of its watches that was not looked at, which may be one after the last possible */
	struct WatchCursor
	{
		uint64_t client = 0;
		uint64_t watch = 0;
	};

	class Work;
	struct Received;

	void wait();
	void accept_clients();
	void admit(Descriptor socket);
	void turn_away(const Descriptor &socket, uid_t user, const char *why);
	void serve(uint64_t number, uint32_t events);
	/** FALSE if the client has to go */
	bool receive(Client &client);
	AppMessage answer(Client &client, const AppRequest &request, const Received &received);
	AppMessage find(Client &client, const AppRequest &request, int socket);
	AppMessage unwatch(Client &client, uint32_t id);
	AppMessage serve_latch(Client &client, const AppRequest &request, const Received &received);
	AppMessage latch(LatchService &service, Client &client, const AppRequest &request, int socket);
	AppMessage latch_named(LatchService &service, Client &client, const AppRequest &request, int socket);
	AppMessage find_latch(LatchService &service, Client &client, uint32_t id, int socket);
	AppMessage release(LatchService &service, Client &client, uint32_t id, int socket);
	[[nodiscard]] bool may_latch(const Client &client);
	void add_latch(Client &client, uint32_t number, LatchId id);
	void forget_latch(Client &client, uint32_t number);
	uint32_t number_of(Client &client, LatchId id);
	void close_latches(LatchOwner owner);
	void adopt_orphans();
	bool send(Client &client, AppMessage message);
	bool has_no_room(Client &client);
	bool has_room(Client &client);
	void due(int64_t at);
	void arm(const Client &client);
	void drop(uint64_t number, const char *why);
	void tend();
	void look();
	Client *next_watching();
	bool look_at(Client &client, uint32_t id, Watch &watch);
	void look_for_alerts();
	bool tell(LatchService &service, Client &client, unsigned &left);
	AppMessage alert_message(LatchService &service, Client &client, const LatchAlert &alert);
	[[nodiscard]] int timeout() const;
	[[nodiscard]] bool may_ask(Client &client);
	void listen(bool on, int64_t again_at = 0);

	std::shared_ptr<AppShared> shared_;
	std::shared_ptr<AppFrontControl> control_;
	const AppLimits &limits_;
	Descriptor epoll_;
	std::map<uint64_t, Client> clients_;
	std::map<uid_t, User> users_;
	unsigned watch_count_ = 0;
	uint64_t last_number_ = 0;
	int64_t now_ = 0;
	TokenBucket connections_;
	/** when accepting goes on, 0 if it has not stopped */
	int64_t listen_at_ = 0;
	/** when tend() is due, 0 for never */
	int64_t tend_at_ = 0;
	/** when look() is due */
	int64_t look_at_ = 0;
	/** the generation that the last look was at */
	std::optional<uint64_t> seen_;
	/** where the look that is under way goes on */
	std::optional<WatchCursor> cursor_;
	/** something could not be told, so look again */
	bool again_ = false;
	unsigned latch_count_ = 0;
	/** when look_for_alerts() is due */
	int64_t alerts_at_ = 0;
	/** alerts that there had been at the last look; nothing if it has to be looked in any case */
	std::optional<uint64_t> heard_;
	/** the client at which the look goes on, 0 if none is under way */
	uint64_t alert_cursor_ = 0;
};

} // namespace btns
