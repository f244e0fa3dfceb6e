/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
#include "app_world.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/un.h>

#include <array>
#include <chrono>
#include <cstdlib>
#include <cstring>

namespace btns::test
{

namespace
{

constexpr int patience_ms = 10000;

/** Loopback of a family, as an address to bind or connect to. */
struct Loopback
{
	explicit Loopback(int family, bool mapped = false)
	{
		if (family == AF_INET)
		{
			sockaddr_in in{};
			in.sin_family = AF_INET;
			in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
			std::memcpy(&storage, &in, sizeof(in));
			length = sizeof(in);
			return;
		}
		sockaddr_in6 in{};
		in.sin6_family = AF_INET6;
		EXPECT_EQ(inet_pton(AF_INET6, mapped ? "::ffff:127.0.0.1" : "::1", &in.sin6_addr), 1);
		std::memcpy(&storage, &in, sizeof(in));
		length = sizeof(in);
	}

	sockaddr *address() { return reinterpret_cast<sockaddr *>(&storage); }

	sockaddr_storage storage{};
	socklen_t length = 0;
};

} // namespace

ChannelAnswer FakeSource::find(const Flow &flow) const
{
	asked++;
	const std::lock_guard lock(mutex_);
	return answer_(flow);
}

void FakeSource::set(Answer answer)
{
	const std::lock_guard lock(mutex_);
	answer_ = std::move(answer);
	generation_++;
}

void FakeSource::set(const ChannelAnswer &answer)
{
	set([answer](const Flow &) { return answer; });
}

Channel full_channel()
{
	Channel channel;
	channel.sa = 7;
	channel.child = 8;
	channel.connection = "strangers";
	channel.confidentiality = channel.integrity = true;
	channel.mode = BTNS_MODE_TUNNEL;
	channel.encryption_algorithm = "AES_GCM_16-128";
	channel.local_method = BTNS_METHOD_PUBLIC_KEY;
	channel.peer_method = BTNS_METHOD_BTNS;
	channel.asserted_id = "somebody";
	channel.authorized_id = "btns:sha256:0102";
	channel.local_fingerprint.emplace().fill(1);
	channel.peer_fingerprint.emplace().fill(2);
	channel.peer_key = {0x30, 0x03, 1, 2, 3};
	channel.certificates = std::make_shared<const PeerCertificates>(
		PeerCertificates{{0x30, 0x01, 4}, std::make_shared<const std::string>("\x30\x02\x00\x05", 4)});
	channel.local = {{4, 0xc0000201}, 4500, true};
	channel.peer = {{6, (AddressValue{0x20010db8} << 96) + 2}, 4501, false};
	channel.established = 1700000000;
	channel.endpoints.value.emplace().fill(3);
	channel.unique.value.emplace().fill(4);
	return channel;
}

ChannelAnswer protected_by(Channel channel)
{
	ChannelAnswer answer;
	answer.protection = BTNS_PROTECTED;
	answer.channel = std::move(channel);
	return answer;
}

ChannelAnswer unprotected()
{
	return {BTNS_UNPROTECTED, "no-sa", "no CHILD_SA takes it", std::nullopt};
}

ChannelAnswer ambiguous()
{
	return {BTNS_AMBIGUOUS, "several", "two peers' CHILD_SAs take it", std::nullopt};
}

Folder::Folder()
{
	std::string made = std::filesystem::temp_directory_path() / "btns-unit.XXXXXX";
	EXPECT_NE(mkdtemp(made.data()), nullptr);
	path_ = made;
}

Folder::~Folder()
{
	std::error_code ignored;
	std::filesystem::remove_all(path_, ignored);
}

Pair tcp_pair(int family, bool mapped)
{
	// the listener has IPv4, so that who connects to it with a mapped address is not
	Loopback at(mapped ? AF_INET : family);
	const Descriptor listener(socket(mapped ? AF_INET : family, SOCK_STREAM | SOCK_CLOEXEC, 0));
	EXPECT_EQ(bind(listener.get(), at.address(), at.length), 0);
	EXPECT_EQ(listen(listener.get(), 1), 0);
	EXPECT_EQ(getsockname(listener.get(), at.address(), &at.length), 0);
	Loopback to(family, mapped);
	const in_port_t port = reinterpret_cast<sockaddr_in *>(&at.storage)->sin_port;
	reinterpret_cast<sockaddr_in *>(&to.storage)->sin_port = port;
	Pair pair;
	pair.mine = Descriptor(socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0));
	EXPECT_EQ(connect(pair.mine.get(), to.address(), to.length), 0);
	pair.other = Descriptor(accept(listener.get(), nullptr, nullptr));
	EXPECT_TRUE(pair.other);
	return pair;
}

Descriptor udp_socket(int protocol)
{
	Descriptor made(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, protocol));
	Loopback to(AF_INET);
	reinterpret_cast<sockaddr_in *>(&to.storage)->sin_port = htons(9);
	EXPECT_EQ(connect(made.get(), to.address(), to.length), 0);
	return made;
}

Lines::Lines(AppServer &server)
	: server_(server), thread_(
						   [this]
						   {
							   while (auto line = server_.wait_line())
							   {
								   const std::lock_guard lock(mutex_);
								   lines_.push_back(std::move(*line));
								   changed_.notify_all();
							   }
						   })
{}

Lines::~Lines()
{
	server_.stop();
	thread_.join();
}

bool Lines::wait_for(const std::string &words)
{
	std::unique_lock lock(mutex_);
	return changed_.wait_for(lock, std::chrono::milliseconds(patience_ms),
							 [&]
							 {
								 return std::ranges::any_of(lines_, [&](const std::string &line)
															{ return line.find(words) != std::string::npos; });
							 });
}

bool eventually(const std::function<bool()> &holds)
{
	// what is asked may take its time, too
	const auto until = std::chrono::steady_clock::now() + std::chrono::milliseconds(patience_ms);
	while (std::chrono::steady_clock::now() < until)
	{
		if (holds())
		{
			return true;
		}
		std::this_thread::sleep_for(std::chrono::milliseconds(5));
	}
	return holds();
}

AppWorld::AppWorld(const AppLimits &limits, std::shared_ptr<LatchService> latches)
	: server(source, {path_, 0600, static_cast<gid_t>(-1)}, std::make_shared<AppCounters>(), limits)
{
	server.set_latches(std::move(latches));
}

FakeDaemon::FakeDaemon(const Answer &answer, int type)
	: FakeDaemon([answer](const std::vector<uint8_t> &request) { return answer(id_of(request)); }, type)
{}

FakeDaemon::FakeDaemon(AnswerTo answer, int type)
	: answer_(std::move(answer)), listener_(socket(AF_UNIX, type | SOCK_CLOEXEC, 0))
{
	sockaddr_un address{};
	address.sun_family = AF_UNIX;
	std::strncpy(address.sun_path, path(), sizeof(address.sun_path) - 1);
	EXPECT_EQ(bind(listener_.get(), reinterpret_cast<sockaddr *>(&address), sizeof(address)), 0);
	EXPECT_EQ(listen(listener_.get(), 4), 0);
	thread_ = std::thread([this] { serve(); });
}

FakeDaemon::~FakeDaemon()
{
	shutdown(listener_.get(), SHUT_RDWR);
	thread_.join();
}

uint32_t FakeDaemon::id_of(const std::vector<uint8_t> &request)
{
	return static_cast<uint32_t>(request.at(4)) << 24 | static_cast<uint32_t>(request.at(5)) << 16 |
		   static_cast<uint32_t>(request.at(6)) << 8 | request.at(7);
}

void FakeDaemon::serve()
{
	const Descriptor client(accept(listener_.get(), nullptr, nullptr));
	std::vector<uint8_t> request(wire::request_max);
	ssize_t length = 0;
	while (client && (length = recv(client.get(), request.data(), request.size(), 0)) > 0)
	{
		const Messages messages = answer_({request.begin(), request.begin() + length});
		for (const auto &message : messages)
		{
			::send(client.get(), message.data(), message.size(), MSG_NOSIGNAL);
		}
		if (messages.empty())
		{
			return;
		}
	}
}

Client open_client(const char *path)
{
	btns_t *made = nullptr;
	EXPECT_EQ(btns_open(&made, path), BTNS_OK);
	return {made, btns_close};
}

Found find(const Client &client, int fd, int *error)
{
	btns_channel_t *found = nullptr;
	const int status = btns_find(client.get(), fd, &found);
	if (error != nullptr)
	{
		*error = status;
	}
	else
	{
		EXPECT_EQ(status, BTNS_OK) << btns_strerror(status);
	}
	return {found, btns_channel_free};
}

std::optional<btns_event_t> wait_event(const Client &client)
{
	pollfd waiting{btns_event_fd(client.get()), POLLIN, 0};
	for (int waited = 0; waited < patience_ms; waited += 100)
	{
		if (poll(&waiting, 1, 100) == 1)
		{
			btns_event_t event = BTNS_EVENT_INIT;
			if (btns_next_event(client.get(), &event) == BTNS_OK)
			{
				return event;
			}
		}
	}
	return std::nullopt;
}

RawClient::RawClient(const char *path) : socket_(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0))
{
	sockaddr_un address{};
	address.sun_family = AF_UNIX;
	std::strncpy(address.sun_path, path, sizeof(address.sun_path) - 1);
	EXPECT_EQ(connect(socket_.get(), reinterpret_cast<sockaddr *>(&address), sizeof(address)), 0);
	const timeval limit{patience_ms / 1000, 0};
	setsockopt(socket_.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	setsockopt(socket_.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
}

bool RawClient::send(const std::vector<uint8_t> &octets, const std::vector<int> &fds)
{
	std::vector<uint8_t> copy = octets;
	iovec data{copy.data(), copy.size()};
	std::vector<uint8_t> space(CMSG_SPACE(fds.size() * sizeof(int)));
	msghdr message{};
	message.msg_iov = &data;
	message.msg_iovlen = 1;
	if (!fds.empty())
	{
		message.msg_control = space.data();
		message.msg_controllen = space.size();
		cmsghdr *header = CMSG_FIRSTHDR(&message);
		header->cmsg_level = SOL_SOCKET;
		header->cmsg_type = SCM_RIGHTS;
		header->cmsg_len = CMSG_LEN(fds.size() * sizeof(int));
		std::memcpy(CMSG_DATA(header), fds.data(), fds.size() * sizeof(int));
	}
	return sendmsg(socket_.get(), &message, MSG_NOSIGNAL) == static_cast<ssize_t>(octets.size());
}

bool RawClient::request(uint8_t type, uint32_t id, const std::vector<int> &fds)
{
	return send({wire::version, type, 0, 0, static_cast<uint8_t>(id >> 24), static_cast<uint8_t>(id >> 16),
				 static_cast<uint8_t>(id >> 8), static_cast<uint8_t>(id)},
				fds);
}

std::vector<uint8_t> RawClient::receive()
{
	std::vector<uint8_t> octets(wire::answer_max + 1);
	const ssize_t length = recv(socket_.get(), octets.data(), octets.size(), 0);
	octets.resize(length > 0 ? static_cast<size_t>(length) : 0);
	return octets;
}

bool RawClient::is_dropped()
{
	pollfd waiting{socket_.get(), 0, 0};
	return poll(&waiting, 1, patience_ms) == 1 && (waiting.revents & POLLHUP) != 0;
}

} // namespace btns::test
