/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
/**
 * @file app_world.h
 * An application socket with channels that a test makes up, and sockets to ask about.
 */
#pragma once

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <atomic>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "app_server.h"
#include "btns.h"
#include "descriptor.h"

namespace btns::test
{

/** Answers what the test says. */
class FakeSource : public ChannelSource
{
public:
	using Answer = std::function<ChannelAnswer(const Flow &)>;

	[[nodiscard]] ChannelAnswer find(const Flow &flow) const override;
	[[nodiscard]] uint64_t generation() const override { return generation_; }

	/** From now on. */
	void set(Answer answer);
	void set(const ChannelAnswer &answer);

	/** how often it was asked */
	mutable std::atomic<unsigned> asked = 0;

private:
	mutable std::mutex mutex_;
	Answer answer_ = [](const Flow &) { return ChannelAnswer{}; };
	std::atomic<uint64_t> generation_ = 1;
};

/** A channel with everything. */
Channel full_channel();
ChannelAnswer protected_by(Channel channel);
ChannelAnswer unprotected();
ChannelAnswer ambiguous();

/** A folder that goes in the end; its mode is 0700. */
class Folder
{
public:
	Folder();
	~Folder();
	Folder(const Folder &) = delete;
	Folder &operator=(const Folder &) = delete;
	Folder(Folder &&) = delete;
	Folder &operator=(Folder &&) = delete;

	[[nodiscard]] std::string path(const std::string &name) const { return path_ / name; }

private:
	std::filesystem::path path_;
};

/** A connected pair of sockets over loopback: whose is asked about, and the other end. */
struct Pair
{
	Descriptor mine;
	Descriptor other;
};
Pair tcp_pair(int family = AF_INET, bool mapped = false);
/** Connected to a port of loopback. */
Descriptor udp_socket(int protocol = 0);

/** Lines of the server's log, as they come. */
class Lines
{
public:
	explicit Lines(AppServer &server);
	~Lines();
	Lines(const Lines &) = delete;
	Lines &operator=(const Lines &) = delete;
	Lines(Lines &&) = delete;
	Lines &operator=(Lines &&) = delete;

	/** Has a line these words, or will one soon? */
	bool wait_for(const std::string &words);

private:
	AppServer &server_;
	std::mutex mutex_;
	std::condition_variable changed_;
	std::vector<std::string> lines_;
	std::thread thread_;
};

/** Polls until it holds, for ten seconds at most. */
bool eventually(const std::function<bool()> &holds);

/** A server with a fake source. */
class AppWorld
{
public:
	explicit AppWorld(const AppLimits &limits = {}, std::shared_ptr<LatchService> latches = nullptr);

	[[nodiscard]] const char *path() const { return path_.c_str(); }

	FakeSource source;

private:
	Folder folder_;
	std::string path_ = folder_.path("socket");

public:
	AppServer server;
	Lines lines{server};
};

/** A daemon that is none. */
class FakeDaemon
{
public:
	using Messages = std::vector<std::vector<uint8_t>>;
	/** What it answers to a request, nothing to hang up. */
	using Answer = std::function<Messages(uint32_t id)>;
	using AnswerTo = std::function<Messages(const std::vector<uint8_t> &request)>;

	explicit FakeDaemon(const Answer &answer, int type = SOCK_SEQPACKET);
	explicit FakeDaemon(AnswerTo answer, int type = SOCK_SEQPACKET);
	~FakeDaemon();
	FakeDaemon(const FakeDaemon &) = delete;
	FakeDaemon &operator=(const FakeDaemon &) = delete;
	FakeDaemon(FakeDaemon &&) = delete;
	FakeDaemon &operator=(FakeDaemon &&) = delete;

	[[nodiscard]] const char *path() const { return path_.c_str(); }
	static uint32_t id_of(const std::vector<uint8_t> &request);

private:
	void serve();

	AnswerTo answer_;
	Folder folder_;
	std::string path_ = folder_.path("daemon");
	Descriptor listener_;
	std::thread thread_;
};

/** A btns_t and a btns_channel_t that free themselves. */
using Client = std::unique_ptr<btns_t, void (*)(btns_t *)>;
using Found = std::unique_ptr<btns_channel_t, void (*)(btns_channel_t *)>;
Client open_client(const char *path);
/** Sets the error, if there is room for it. */
Found find(const Client &client, int fd, int *error = nullptr);
/** Waits for an event, ten seconds at most. */
std::optional<btns_event_t> wait_event(const Client &client);

/** A client without the library. */
class RawClient
{
public:
	explicit RawClient(const char *path);

	/** FALSE if the server has hung up, or reads nothing for ten seconds. */
	bool send(const std::vector<uint8_t> &octets, const std::vector<int> &fds = {});
	bool request(uint8_t type, uint32_t id, const std::vector<int> &fds = {});
	/** The next message, empty if the server has hung up or is silent for ten seconds. */
	std::vector<uint8_t> receive();
	/** Has the server hung up, or will it soon? Messages until then are not looked at. */
	bool is_dropped();
	[[nodiscard]] int get() const { return socket_.get(); }

private:
	Descriptor socket_;
};

} // namespace btns::test
