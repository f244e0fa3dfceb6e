/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
/**
 * @file latch_world.h
 * A LatchService that does what a test says, and sockets that are about to be connected.
 */
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <vector>

#include "app_world.h"
#include "latch_service.h"

namespace btns::test
{

/** Latches whatever it is asked to, in memory only: no kernel's policy, no SA. */
class FakeLatches : public LatchService
{
public:
	struct Latch
	{
		LatchOwner owner = 0;
		LatchId id = 0;
		uint64_t cookie = 0;
		LatchState state = LatchState::larval;
		LatchReason reason = LatchReason::none;
		LatchRequest request;
		std::optional<Endpoint> destination;
		/** the socket was connected, or listened, when it was asked for */
		bool was_connected = false;
		bool was_listening = false;
		/** how often connected() has been asked, and whether the socket was connected then */
		unsigned asked = 0;
		bool is_connected = false;
	};

	LatchAnswer latch(LatchOwner owner, int socket, const std::optional<Endpoint> &destination,
					  const LatchRequest &request) override;
	LatchAnswer connected(LatchOwner owner, LatchId id, int socket) override;
	LatchAnswer find(LatchOwner owner, int socket) override;
	LatchAnswer inquire(LatchOwner owner, LatchId id) override;
	LatchAnswer release(LatchOwner owner, LatchId id, int socket) override;
	std::optional<LatchAlert> take_alert(LatchOwner owner) override;
	LatchOwner next_alerted() override { return 0; }
	[[nodiscard]] uint64_t alerts() const override { return alerts_; }
	void owner_gone(LatchOwner owner) override;

	/** What becomes of the next requests, by destination; `made` unless it was set. */
	void decide(std::function<LatchOutcome(const std::optional<Endpoint> &)> how);
	/** SAs are there after connected() was asked so often. */
	void ready_after(unsigned asks) { ready_after_ = asks; }
	/** Connections that are there are latched by connected() only. */
	void begin_larval() { begin_larval_ = true; }
	/** A latch gets into a state, and its owner hears of it. */
	void change(LatchId id, LatchState state, LatchReason reason);
	/** Without that the owner hears. */
	void change_silently(LatchId id, LatchState state, LatchReason reason);
	void alert(const LatchAlert &alert);
	/** Called in owner_gone(), for instance to wait. */
	void on_owner_gone(std::function<void(LatchOwner)> what);
	/** Called in connected(). */
	void on_connected(std::function<void()> what);

	/** All that are there. */
	std::vector<Latch> all();
	/** The only one. */
	Latch only();
	[[nodiscard]] unsigned made() const { return made_; }
	/** with a socket, and without one */
	[[nodiscard]] unsigned released() const { return released_; }
	[[nodiscard]] unsigned released_blind() const { return released_blind_; }
	std::set<LatchOwner> gone();

private:
	LatchAnswer answer(const Latch &latch);
	LatchAnswer refuse(LatchOutcome outcome);
	Latch *mine(LatchOwner owner, LatchId id);

	std::mutex mutex_;
	std::map<LatchId, Latch> latches_;
	std::map<LatchOwner, std::deque<LatchAlert>> waiting_;
	std::set<LatchOwner> gone_;
	std::function<LatchOutcome(const std::optional<Endpoint> &)> decide_;
	std::function<void(LatchOwner)> on_owner_gone_;
	std::function<void()> on_connected_;
	std::atomic<unsigned> ready_after_ = 0;
	std::atomic<bool> begin_larval_ = false;
	std::atomic<uint64_t> alerts_ = 0;
	std::atomic<unsigned> made_ = 0;
	std::atomic<unsigned> released_ = 0;
	std::atomic<unsigned> released_blind_ = 0;
	LatchId last_ = 100;
};

/** A socket that listens on loopback, and where. */
struct Listener
{
	Descriptor socket;
	sockaddr_storage address{};
	socklen_t length = 0;

	[[nodiscard]] const sockaddr *where() const { return reinterpret_cast<const sockaddr *>(&address); }
	[[nodiscard]] uint16_t port() const;
};
/** @param listens	else it is only bound */
Listener loopback_listener(int family = AF_INET, int type = SOCK_STREAM, bool listens = true);

using LatchHandle = std::unique_ptr<btns_latch_t, void (*)(btns_latch_t *)>;
/** Sets the error, or expects that there is none. */
LatchHandle latch_connect(const Client &client, int fd, const Listener &to,
						  const btns_latch_options_t *options = nullptr, int *error = nullptr);
LatchHandle latch_accepted(const Client &client, int fd, const btns_latch_options_t *options = nullptr,
						   int *error = nullptr);
LatchHandle latch_listen(const Client &client, int fd, const btns_latch_options_t *options = nullptr,
						 int *error = nullptr);
btns_latch_info_t inquire(const LatchHandle &latch);

} // namespace btns::test
