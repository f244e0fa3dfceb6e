/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
/*
 * Latches over SAs that charon would have, and over real sockets. The kernel has no SA: what a latch lets pass does not
 * get anywhere either, so what arrives tells what was let pass in the clear.
 */
#include "latches.h"

#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include <array>
#include <atomic>
#include <random>
#include <thread>

#include "abi.h"
#include "app_world.h"
#include "core_world.h"
#include "failing_new.h"
#include "net_world.h"
#include "one_thread.h"
#include "socket_query.h"

namespace
{

using btns::Descriptor;
using btns::Endpoint;
using btns::LatchAnswer;
using btns::LatchDisposition;
using btns::Latches;
using btns::LatchId;
using btns::LatchOutcome;
using btns::LatchReason;
using btns::LatchRequest;
using btns::LatchState;
using btns::test::add_address;
using btns::test::address_of;
using btns::test::bound_socket_at;
using btns::test::Connection;
using btns::test::eventually;
using btns::test::in_own_network;
using btns::test::new_spki;
using btns::test::office;
using btns::test::Pair;
using btns::test::receives;
using btns::test::try_connect;
using btns::test::try_send;
using btns::test::ts;
using btns::test::World;
using std::chrono::milliseconds;
using Octets = std::vector<uint8_t>;

#define RUN_IN_OWN_NETWORK(...)                                                                                        \
	if (!in_own_network(__VA_ARGS__))                                                                                  \
	{                                                                                                                  \
		GTEST_SKIP() << "cannot have a network namespace";                                                             \
	}

constexpr const char *here = "10.99.0.1";
constexpr const char *there = "203.0.113.5";
constexpr btns::LatchOwner owner = 7;

/** Who has IKE_SAs with us. */
struct Peer
{
	uint32_t sa;
	/** a BTNS peer; else an authenticated one */
	bool stranger;
	std::string id;
	Octets key = new_spki();
	btns_method_t method = BTNS_METHOD_PUBLIC_KEY;
};

/** One CHILD_SA. */
struct Sa
{
	uint32_t child;
	uint32_t reqid;
	btns_mode_t mode = BTNS_MODE_TRANSPORT;
	const char *suite = "AES_GCM_16-128";
	bool confidentiality = true;
	btns_ts_t remote = ts(there);
	btns_ts_t local = ts(here);
};

btns_child_t to_child(const Peer &peer, const Sa &sa, const btns_addr_t &host)
{
	btns_child_t child{};
	child.btns = peer.stranger;
	child.connection = peer.stranger ? "strangers" : "office";
	child.hosts = &host;
	child.host_count = 1;
	child.local = &sa.local;
	child.local_count = 1;
	child.remote = &sa.remote;
	child.remote_count = 1;
	child.installing = true;
	child.child = sa.child;
	child.name = "data";
	child.encryption_algorithm = sa.suite;
	child.mode = sa.mode;
	child.integrity = true;
	child.confidentiality = sa.confidentiality;
	return child;
}

/** A core with latches; to be made in a network of its own. */
class LatchWorld
{
public:
	explicit LatchWorld(bool acquire = true, bool policy_breaks = false)
	{
		btns_latches_options_t options{};
		options.acquire = acquire;
		options.policy_breaks = policy_breaks;
		std::array<char, BTNS_LINE_LEN> error{};
		EXPECT_EQ(btns_latches_start(world, &options, error.data()), BTNS_STATUS_OK) << error.data();
		latches = state().core.latches();
		add_address(here, 1);
		add_address(there, 2);
	}

	btns_core_t &state() { return *static_cast<btns_core_t *>(world); }

	/** An IKE_SA is up. */
	void up(const Peer &peer)
	{
		if (peer.stranger)
		{
			world.stranger(peer.sa, there, peer.key);
		}
		btns_root_t root{};
		root.ike_version = 2;
		root.connection = peer.stranger ? "strangers" : "office";
		root.authorized_id = peer.stranger ? nullptr : peer.id.c_str();
		root.local.method = BTNS_METHOD_PUBLIC_KEY;
		root.peer.method = peer.method;
		root.local.rounds = root.peer.rounds = 1;
		root.local.key = {own_.data(), own_.size()};
		if (!peer.stranger)
		{
			root.peer.key = {peer.key.data(), peer.key.size()};
		}
		root.established = 1;
		EXPECT_EQ(btns_sa_root(world, peer.sa, &root), BTNS_STATUS_OK);
	}

	btns_reason_t authorize(const Peer &peer, const Sa &sa, bool with_mode = false)
	{
		btns_child_t child = to_child(peer, sa, host_);
		if (!with_mode)
		{
			child.mode = BTNS_MODE_NONE;
			child.encryption_algorithm = nullptr;
			child.integrity = child.confidentiality = false;
		}
		btns_reason_t reason = BTNS_REASON_NONE;
		btns_child_authorize(world, peer.sa, &child, World::evict, &world, &reason);
		return reason;
	}
	btns_reason_t before_install(const Peer &peer, const Sa &sa)
	{
		const btns_child_t child = to_child(peer, sa, host_);
		const btns_latches_sa_t kernel{sa.reqid, btns::test::addr(here), btns::test::addr(there)};
		btns_reason_t reason = BTNS_REASON_NONE;
		last_status = btns_latches_before_install(world, peer.sa, &child, &kernel, &reason);
		return reason;
	}
	void installed(const Peer &peer, const Sa &sa)
	{
		const btns_child_t child = to_child(peer, sa, host_);
		EXPECT_EQ(btns_child_installed(world, peer.sa, &child), BTNS_STATUS_OK);
	}
	/** All that charon tells when a CHILD_SA comes. */
	btns_reason_t install(const Peer &peer, const Sa &sa)
	{
		btns_reason_t reason = authorize(peer, sa);
		reason = reason == BTNS_REASON_NONE ? before_install(peer, sa) : reason;
		if (reason == BTNS_REASON_NONE)
		{
			installed(peer, sa);
			const btns_child_t child = to_child(peer, sa, host_);
			btns_child_up(world, peer.sa, &child, World::evict, &world, &reason);
		}
		return reason;
	}
	void remove(const Peer &peer, const Sa &sa)
	{
		btns_child_down(world, peer.sa, sa.child);
		btns_latches_gone(world, sa.child);
	}

	/** The next alert for an owner. */
	std::optional<btns::LatchAlert> alert(btns::LatchOwner whom = owner) { return latches->take_alert(whom); }
	LatchState state_of(LatchId id) { return latches->inquire(owner, id).state; }

	World world{{Connection{}, office()}};
	std::shared_ptr<Latches> latches;
	btns_status_t last_status = BTNS_STATUS_OK;

private:
	Octets own_ = new_spki();
	btns_addr_t host_ = btns::test::addr(there);
};

/** A TCP connection between the two addresses, mine being the one at `here`. */
Pair connection()
{
	const Descriptor listener = bound_socket_at(there, SOCK_STREAM);
	EXPECT_EQ(listen(listener.get(), 1), 0);
	Pair pair{bound_socket_at(here, SOCK_STREAM), Descriptor()};
	EXPECT_EQ(try_connect(pair.mine.get(), address_of(listener.get())), 0);
	pair.other = Descriptor(accept(listener.get(), nullptr, nullptr));
	EXPECT_TRUE(pair.other);
	return pair;
}

Pair datagrams()
{
	Pair pair{bound_socket_at(here, SOCK_DGRAM), bound_socket_at(there, SOCK_DGRAM)};
	EXPECT_EQ(try_connect(pair.mine.get(), address_of(pair.other.get())), 0);
	EXPECT_EQ(try_connect(pair.other.get(), address_of(pair.mine.get())), 0);
	return pair;
}

Endpoint endpoint_of(const Descriptor &socket)
{
	const auto found = btns::latchable_socket(socket.get(), btns::test::this_network());
	EXPECT_TRUE(found);
	return {found->flow.local, found->flow.local_port, false};
}

/** The selector of one port of a host. */
btns_ts_t tcp_port(const char *address, uint16_t port)
{
	btns_ts_t selector = ts(address, port, port);
	selector.protocol = IPPROTO_TCP;
	return selector;
}

bool passes(const Pair &pair)
{
	return try_send(pair.mine.get()) == 0 && receives(pair.other.get()) && try_send(pair.other.get()) == 0 &&
		   receives(pair.mine.get());
}

bool passes_nothing(const Pair &pair)
{
	try_send(pair.mine.get());
	try_send(pair.other.get());
	return !receives(pair.other.get()) && !receives(pair.mine.get());
}

LatchRequest waiting()
{
	LatchRequest request;
	request.disposition = LatchDisposition::wait;
	return request;
}

LatchAnswer latch(LatchWorld &world, const Descriptor &socket, const LatchRequest &request = {},
				  const std::optional<Endpoint> &destination = std::nullopt)
{
	return world.latches->latch(owner, socket.get(), destination, request);
}

const Peer stranger{1, true, ""};
const Peer alice{2, false, "alice"};
const Peer bob{3, false, "bob"};

class LatchesTest : public testing::TestWithParam<bool>
{
protected:
	/** the peer that latches are made to: a stranger, or alice */
	static const Peer &peer() { return GetParam() ? stranger : alice; }
};

INSTANTIATE_TEST_SUITE_P(With, LatchesTest, testing::Bool(),
						 [](const auto &param) { return param.param ? "stranger" : "authenticated"; });

TEST_P(LatchesTest, a_connection_is_latched_and_released)
{
	RUN_IN_OWN_NETWORK(
		[]
		{
			LatchWorld world;
			world.up(peer());
			ASSERT_EQ(world.install(peer(), {1, 11}), BTNS_REASON_NONE);
			for (const bool tcp : {true, false})
			{
				const Pair pair = tcp ? connection() : datagrams();
				ASSERT_TRUE(passes(pair));
				const LatchAnswer made = latch(world, pair.mine);
				ASSERT_EQ(made.outcome, LatchOutcome::made) << made.text;
				EXPECT_EQ(made.state, LatchState::established);
				ASSERT_TRUE(made.channel);
				EXPECT_EQ(made.channel->child, 1U);
				EXPECT_TRUE(made.indeterminate);
				EXPECT_EQ(made.tuple.remote_port, endpoint_of(pair.other).port);
				EXPECT_TRUE(passes_nothing(pair));

				EXPECT_EQ(latch(world, pair.mine).outcome, LatchOutcome::exists);
				EXPECT_EQ(world.latches->find(owner, pair.mine.get()).id, made.id);
				EXPECT_EQ(world.latches->find(owner, pair.other.get()).outcome, LatchOutcome::no_such);
				EXPECT_EQ(world.latches->find(owner + 1, pair.mine.get()).outcome, LatchOutcome::no_such);
				EXPECT_EQ(world.latches->inquire(owner + 1, made.id).outcome, LatchOutcome::no_such);
				EXPECT_EQ(world.latches->release(owner + 1, made.id, pair.mine.get()).outcome, LatchOutcome::no_such);
				EXPECT_EQ(world.latches->release(owner, made.id, pair.other.get()).outcome, LatchOutcome::bad_socket);
				EXPECT_TRUE(btns_latches_has_reqid(world.world, 11));
				const LatchAnswer released = world.latches->release(owner, made.id, pair.mine.get());
				ASSERT_EQ(released.outcome, LatchOutcome::made);
				EXPECT_EQ(released.state, LatchState::closed);
				EXPECT_FALSE(btns_latches_has_reqid(world.world, 11));
				EXPECT_TRUE(eventually([&] { return receives(pair.other.get()) || !tcp; }));
				EXPECT_FALSE(world.alert());
			}
		});
}

TEST(LatchesTest, what_is_not_protected_is_as_it_was)
{
	RUN_IN_OWN_NETWORK(
		[]
		{
			LatchWorld world(false);
			const Pair pair = connection();
			for (const LatchRequest &request : {LatchRequest{}, waiting()})
			{
				EXPECT_EQ(latch(world, pair.mine, request).outcome, LatchOutcome::unprotected);
				EXPECT_TRUE(passes(pair));
			}
			EXPECT_EQ(world.latches->counts().latches, 0U);
			EXPECT_EQ(latch(world, Descriptor(socket(AF_UNIX, SOCK_STREAM, 0))).outcome, LatchOutcome::bad_socket);
			EXPECT_EQ(latch(world, pair.mine, {}, Endpoint{{4, 1}, 1, false}).outcome, LatchOutcome::bad_socket);
			EXPECT_EQ(latch(world, Descriptor(socket(AF_INET, SOCK_STREAM, 0)), {}, Endpoint{{6, 1}, 1, false}).outcome,
					  LatchOutcome::bad_socket);
			EXPECT_EQ(latch(world, Descriptor(socket(AF_INET, SOCK_STREAM, 0))).outcome, LatchOutcome::bad_socket);
		});
}

TEST(LatchesTest, who_does_not_wait_for_sas_gets_none)
{
	RUN_IN_OWN_NETWORK(
		[]
		{
			LatchWorld world;
			LatchRequest request;
			request.timeout = 0;
			const Pair pair = connection();
			EXPECT_EQ(latch(world, pair.mine, request).outcome, LatchOutcome::unprotected);
			EXPECT_TRUE(passes(pair)) << "it is as it was";
			world.up(alice);
			ASSERT_EQ(world.install(alice, {1, 11}), BTNS_REASON_NONE);
			request.narrow = true;
			EXPECT_EQ(latch(world, pair.mine, request).outcome, LatchOutcome::unprotected) << "there is a wide SA only";
			EXPECT_TRUE(passes(pair)) << "it is as it was";
			EXPECT_EQ(world.latches->counts().latches, 0U);
			request.narrow = false;
			const LatchAnswer made = latch(world, pair.mine, request);
			EXPECT_EQ(made.state, LatchState::established) << made.text;
		});
}

TEST(LatchesTest, what_is_not_wanted_is_as_it_was)
{
	RUN_IN_OWN_NETWORK(
		[]
		{
			LatchWorld world;
			world.up(stranger);
			Sa plain{1, 11};
			plain.confidentiality = false;
			ASSERT_EQ(world.install(stranger, plain), BTNS_REASON_NONE);
			const Pair pair = connection();
			LatchRequest request;
			EXPECT_EQ(latch(world, pair.mine, request).outcome, LatchOutcome::not_wanted);
			request.confidentiality = false;
			request.auth = btns::LatchAuth::authenticated;
			EXPECT_EQ(latch(world, pair.mine, request).outcome, LatchOutcome::not_wanted);
			request.auth = btns::LatchAuth::any;
			request.mode = BTNS_MODE_TUNNEL;
			EXPECT_EQ(latch(world, pair.mine, request).outcome, LatchOutcome::not_wanted);
			request.mode = BTNS_MODE_TRANSPORT;
			request.peer_key = btns::Fingerprint{};
			EXPECT_EQ(latch(world, pair.mine, request).outcome, LatchOutcome::not_wanted);
			EXPECT_TRUE(passes(pair));
			btns_key_t key{};
			ASSERT_EQ(btns_sa_verified_key(world.world, stranger.sa, &key), BTNS_STATUS_OK);
			std::ranges::copy(key.fingerprint, request.peer_key->begin());
			EXPECT_EQ(latch(world, pair.mine, request).state, LatchState::established);
		});
}

TEST(LatchesTest, before_connect_it_is_larval)
{
	RUN_IN_OWN_NETWORK(
		[]
		{
			LatchWorld world;
			const Descriptor listener = bound_socket_at(there, SOCK_STREAM, 4000);
			ASSERT_EQ(listen(listener.get(), 1), 0);
			const Descriptor client(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
			const LatchAnswer made = latch(world, client, {}, endpoint_of(listener));
			ASSERT_EQ(made.outcome, LatchOutcome::made) << made.text;
			EXPECT_EQ(made.state, LatchState::larval);
			EXPECT_FALSE(made.ready);
			EXPECT_EQ(try_connect(client.get(), address_of(listener.get())), EPERM);

			const auto wanted = world.latches->wait_acquire();
			ASSERT_TRUE(wanted);
			EXPECT_EQ(wanted->latch, made.id);
			EXPECT_EQ(wanted->flow.remote_port, 4000);
			EXPECT_NE(wanted->flow.local.family, 0U) << "the route's source";
			EXPECT_EQ(wanted->flow.local_port, 0);

			Sa sa{1, 11};
			sa.local = ts(btns::to_text(btns::host_range(wanted->flow.local)));
			world.up(alice);
			ASSERT_EQ(world.install(alice, sa), BTNS_REASON_NONE);
			LatchAnswer now = world.latches->connected(owner, made.id, client.get());
			EXPECT_EQ(now.outcome, LatchOutcome::made) << now.text;
			EXPECT_EQ(now.state, LatchState::larval);
			EXPECT_TRUE(now.ready);
			// there is no SA in the kernel
			EXPECT_EQ(try_connect(client.get(), address_of(listener.get())), EAGAIN);
			EXPECT_EQ(world.latches->release(owner, made.id, client.get()).outcome, LatchOutcome::made);
			EXPECT_EQ(try_connect(client.get(), address_of(listener.get())), 0);
		});
}

/** The latch of a socket that is connected behind its back, since there is no ESP. */
LatchAnswer make_connected(LatchWorld &world, const Descriptor &client, const Descriptor &listener,
						   const LatchAnswer &made)
{
	EXPECT_TRUE(btns::clear_socket_policy(client.get()));
	EXPECT_EQ(try_connect(client.get(), address_of(listener.get())), 0);
	return world.latches->connected(owner, made.id, client.get());
}

TEST_P(LatchesTest, it_is_established_once_connected)
{
	RUN_IN_OWN_NETWORK(
		[]
		{
			LatchWorld world;
			world.up(peer());
			ASSERT_EQ(world.install(peer(), {1, 11}), BTNS_REASON_NONE);
			const Descriptor listener = bound_socket_at(there, SOCK_STREAM, 4000);
			ASSERT_EQ(listen(listener.get(), 1), 0);
			const Descriptor client = bound_socket_at(here, SOCK_STREAM);
			const LatchAnswer made = latch(world, client, {}, endpoint_of(listener));
			ASSERT_EQ(made.outcome, LatchOutcome::made) << made.text;
			EXPECT_TRUE(made.ready);
			const LatchAnswer now = make_connected(world, client, listener, made);
			EXPECT_EQ(now.outcome, LatchOutcome::made) << now.text;
			EXPECT_EQ(now.state, LatchState::established);
			const Pair pair{Descriptor(fcntl(client.get(), F_DUPFD_CLOEXEC, 0)),
							Descriptor(accept(listener.get(), nullptr, nullptr))};
			EXPECT_TRUE(passes_nothing(pair));
			EXPECT_FALSE(world.alert());
		});
}

TEST(LatchesTest, it_is_established_while_it_is_being_connected)
{
	RUN_IN_OWN_NETWORK(
		[]
		{
			LatchWorld world;
			world.up(alice);
			world.up(stranger);
			ASSERT_EQ(world.install(alice, {1, 11}), BTNS_REASON_NONE);
			const Descriptor listener = bound_socket_at(there, SOCK_STREAM, 4000);
			ASSERT_EQ(listen(listener.get(), 1), 0);
			const Descriptor client = bound_socket_at(here, SOCK_STREAM);
			const LatchAnswer made = latch(world, client, {}, endpoint_of(listener));
			ASSERT_TRUE(made.ready) << made.text;
			// its first packet gets there, since there is no ESP, and is not answered
			btns::SocketPolicy silent;
			silent.flow.protocol = IPPROTO_TCP;
			ASSERT_TRUE(btns::set_socket_policy(listener.get(), silent));
			ASSERT_TRUE(btns::clear_socket_policy(client.get()));
			ASSERT_EQ(try_connect(client.get(), address_of(listener.get())), ETIMEDOUT);

			const LatchAnswer now = world.latches->connected(owner, made.id, client.get());
			EXPECT_EQ(now.outcome, LatchOutcome::made) << now.text;
			EXPECT_EQ(now.state, LatchState::established);
			EXPECT_EQ(now.tuple.local_port, endpoint_of(client).port);
			EXPECT_EQ(now.tuple.remote_port, 4000);
			EXPECT_EQ(world.before_install(stranger, {2, 12}), BTNS_REASON_LATCHED);
			EXPECT_EQ(btns_latches_close(world.world, made.id), BTNS_STATUS_OK);
			EXPECT_EQ(btns::socket_option(client.get(), SOL_SOCKET, SO_ERROR), ECONNABORTED);
		});
}

TEST(LatchesTest, one_that_is_being_connected_elsewhere_is_not_established)
{
	RUN_IN_OWN_NETWORK(
		[]
		{
			LatchWorld world;
			world.up(alice);
			ASSERT_EQ(world.install(alice, {1, 11}), BTNS_REASON_NONE);
			const Descriptor listener = bound_socket_at(there, SOCK_STREAM, 4000);
			const Descriptor other = bound_socket_at(there, SOCK_STREAM, 4001);
			ASSERT_EQ(listen(listener.get(), 1) | listen(other.get(), 1), 0);
			const Descriptor client = bound_socket_at(here, SOCK_STREAM);
			const LatchAnswer made = latch(world, client, {}, endpoint_of(listener));
			ASSERT_TRUE(made.ready) << made.text;
			btns::SocketPolicy silent;
			silent.flow.protocol = IPPROTO_TCP;
			ASSERT_TRUE(btns::set_socket_policy(other.get(), silent));
			ASSERT_EQ(try_connect(client.get(), address_of(other.get())), ETIMEDOUT);
			EXPECT_EQ(world.latches->connected(owner, made.id, client.get()).outcome, LatchOutcome::bad_socket);
			EXPECT_EQ(world.state_of(made.id), LatchState::larval);
		});
}

TEST(LatchesTest, it_is_not_established_with_another_than_it_became_ready_with)
{
	RUN_IN_OWN_NETWORK(
		[]
		{
			LatchWorld world;
			world.up(alice);
			world.up(bob);
			const Sa of_alice{1, 11};
			ASSERT_EQ(world.install(alice, of_alice), BTNS_REASON_NONE);
			const Descriptor listener = bound_socket_at(there, SOCK_STREAM, 4000);
			ASSERT_EQ(listen(listener.get(), 1), 0);
			const Descriptor client = bound_socket_at(here, SOCK_STREAM);
			const LatchAnswer made = latch(world, client, {}, endpoint_of(listener));
			ASSERT_TRUE(made.ready) << made.text;
			world.remove(alice, of_alice);
			ASSERT_EQ(world.install(bob, {2, 11}), BTNS_REASON_NONE);
			const LatchAnswer now = make_connected(world, client, listener, made);
			EXPECT_EQ(now.outcome, LatchOutcome::conflict);
			const Pair pair{Descriptor(fcntl(client.get(), F_DUPFD_CLOEXEC, 0)),
							Descriptor(accept(listener.get(), nullptr, nullptr))};
			EXPECT_TRUE(passes_nothing(pair));
		});
}

TEST(LatchesTest, a_stranger_never_breaks_a_latch)
{
	RUN_IN_OWN_NETWORK(
		[]
		{
			LatchWorld world;
			world.up(alice);
			const Sa of_alice{1, 11};
			ASSERT_EQ(world.install(alice, of_alice), BTNS_REASON_NONE);
			const Pair pair = connection();
			const LatchAnswer made = latch(world, pair.mine);
			ASSERT_EQ(made.state, LatchState::established);
			world.remove(alice, of_alice);
			btns_sa_drop(world.world, alice.sa);

			world.up(stranger);
			EXPECT_EQ(world.authorize(stranger, {2, 12}), BTNS_REASON_LATCHED);
			EXPECT_EQ(world.authorize(stranger, {2, 12}, true), BTNS_REASON_LATCHED);
			EXPECT_EQ(world.before_install(stranger, {2, 12}), BTNS_REASON_LATCHED);
			EXPECT_EQ(world.last_status, BTNS_STATUS_REFUSED);
			EXPECT_EQ(world.state_of(made.id), LatchState::established);
			EXPECT_FALSE(world.alert());
			// another address is its own
			Sa elsewhere{3, 13};
			elsewhere.remote = ts("203.0.113.6");
			EXPECT_EQ(world.before_install(stranger, elsewhere), BTNS_REASON_NONE);
			// with the latched reqid it is not
			elsewhere.child = 4;
			elsewhere.reqid = 11;
			EXPECT_EQ(world.before_install(stranger, elsewhere), BTNS_REASON_LATCHED);
			// once it is released, nothing is in the way
			EXPECT_EQ(world.latches->release(owner, made.id, pair.mine.get()).outcome, LatchOutcome::made);
			EXPECT_EQ(world.install(stranger, {2, 12}), BTNS_REASON_NONE);
		});
}

TEST(LatchesTest, of_a_strangers_selectors_those_that_take_latched_connections_are_left_out)
{
	RUN_IN_OWN_NETWORK(
		[]
		{
			LatchWorld world;
			world.up(alice);
			ASSERT_EQ(world.install(alice, {1, 11}), BTNS_REASON_NONE);
			const Pair pair = connection();
			ASSERT_EQ(latch(world, pair.mine).state, LatchState::established);
			world.remove(alice, {1, 11});
			btns_sa_drop(world.world, alice.sa);
			world.up(stranger);

			const uint16_t port = endpoint_of(pair.other).port;
			const btns_ts_t latched = tcp_port(there, port);
			const btns_ts_t beside = tcp_port(there, static_cast<uint16_t>(port ^ 1));
			const btns_ts_t everything = ts(there);
			const btns_ts_t from_here = ts(here);
			const btns_ts_t another = ts("10.99.0.2");
			using Selectors = std::vector<btns_ts_t>;
			using Which = std::vector<bool>;
			const auto narrow = [&](const Selectors &local, const Selectors &remote)
			{
				const btns_addr_t host = btns::test::addr(there);
				btns_child_t child = to_child(stranger, {2, 12}, host);
				child.mode = BTNS_MODE_NONE;
				child.local = local.data();
				child.local_count = local.size();
				child.remote = remote.data();
				child.remote_count = remote.size();
				std::array<bool, 64> locals{};
				std::array<bool, 64> remotes{};
				const btns_status_t status =
					btns_child_narrow(world.world, stranger.sa, &child, locals.data(), remotes.data());
				const auto which = [&](const auto &flags, size_t count) {
					return status == BTNS_STATUS_OK ? Which(flags.begin(), flags.begin() + static_cast<long>(count))
													: Which();
				};
				return std::pair(which(locals, local.size()), which(remotes, remote.size()));
			};
			const std::pair<Which, Which> cannot;
			EXPECT_EQ(narrow({from_here}, {latched, beside}), std::pair(Which{false}, Which({true, false})));
			EXPECT_EQ(narrow({from_here, another}, {beside, everything, latched}),
					  std::pair(Which({false, false}), Which({false, true, true})));
			EXPECT_EQ(narrow({from_here, another}, {everything}), std::pair(Which({true, false}), Which{false}));
			EXPECT_EQ(narrow({another, from_here}, {everything, latched}),
					  std::pair(Which({false, true}), Which({false, false})));
			EXPECT_EQ(narrow({from_here}, {latched}), cannot) << "nothing would be left";
			EXPECT_EQ(narrow({from_here}, {everything}), cannot) << "one is not cut";
			EXPECT_EQ(narrow({from_here, from_here}, {everything, latched}), cannot);
			EXPECT_EQ(narrow({from_here}, {beside, beside}), cannot) << "there is nothing to do";
			EXPECT_EQ(narrow({from_here}, Selectors(14, beside)), cannot);
			Selectors many(14, beside);
			many.push_back(latched);
			EXPECT_EQ(narrow({from_here}, many).second.size(), many.size());
			many.push_back(latched);
			EXPECT_EQ(narrow({from_here}, many), cannot) << "there are too many to look at each";
			// who is authenticated gets what policy gives it
			const btns_addr_t host = btns::test::addr(there);
			btns_child_t known = to_child(alice, {3, 13}, host);
			bool none = false;
			EXPECT_EQ(btns_child_narrow(world.world, alice.sa, &known, &none, &none), BTNS_STATUS_REFUSED);
			EXPECT_EQ(btns_child_narrow(world.world, alice.sa, nullptr, &none, &none), BTNS_STATUS_INVALID);
			EXPECT_EQ(btns_child_narrow(nullptr, alice.sa, &known, &none, &none), BTNS_STATUS_INVALID);
			EXPECT_EQ(btns_child_narrow(world.world, alice.sa, &known, nullptr, &none), BTNS_STATUS_INVALID);
		});
}

TEST(LatchesTest, a_stranger_that_comes_again_is_who_it_was)
{
	RUN_IN_OWN_NETWORK(
		[]
		{
			LatchWorld world;
			world.up(stranger);
			const Sa first{1, 11};
			ASSERT_EQ(world.install(stranger, first), BTNS_REASON_NONE);
			const Pair pair = connection();
			const LatchAnswer made = latch(world, pair.mine);
			ASSERT_EQ(made.state, LatchState::established);
			world.remove(stranger, first);
			btns_sa_drop(world.world, stranger.sa);

			Peer again = stranger;
			again.sa = 9;
			world.up(again);
			EXPECT_EQ(world.install(again, {2, 11}), BTNS_REASON_NONE);
			EXPECT_EQ(world.state_of(made.id), LatchState::established);
			// in another mode it is not
			Sa tunnel{3, 11, BTNS_MODE_TUNNEL};
			EXPECT_EQ(world.authorize(again, tunnel), BTNS_REASON_NONE) << "it is not known yet";
			EXPECT_EQ(world.before_install(again, tunnel), BTNS_REASON_LATCHED);
			EXPECT_EQ(world.state_of(made.id), LatchState::established);
		});
}

TEST_P(LatchesTest, sas_that_both_ends_have_set_up_at_once_are_as_good_as_one_s)
{
	RUN_IN_OWN_NETWORK(
		[]
		{
			LatchWorld world;
			world.up(peer());
			Peer again = peer();
			again.sa = 9;
			world.up(again);
			ASSERT_EQ(world.install(peer(), {1, 11}), BTNS_REASON_NONE);
			ASSERT_EQ(world.install(again, {2, 11}), BTNS_REASON_NONE);
			const Pair pair = connection();
			const LatchAnswer made = latch(world, pair.mine);
			ASSERT_EQ(made.state, LatchState::established) << made.text;
			ASSERT_TRUE(made.channel);
			EXPECT_TRUE(made.channel->endpoints.value);
			EXPECT_EQ(made.channel->unique.why, btns::Unavailable::several);
			// whichever goes, the other one is there
			world.remove(peer(), {1, 11});
			btns_sa_drop(world.world, peer().sa);
			EXPECT_EQ(world.state_of(made.id), LatchState::established);
			EXPECT_EQ(world.latches->inquire(owner, made.id).channel->unique.why, btns::Unavailable::several)
				<< "what is latched is frozen";
			EXPECT_FALSE(world.alert());
		});
}

TEST_P(LatchesTest, of_several_sas_that_are_not_congruent_none_is_taken)
{
	RUN_IN_OWN_NETWORK(
		[]
		{
			LatchWorld world;
			world.up(peer());
			const Sa first{1, 11};
			ASSERT_EQ(world.install(peer(), first), BTNS_REASON_NONE);
			Peer again = peer();
			again.sa = 9;
			Sa second{2, 11};
			const Pair pair = connection();
			const auto refused = [&](const char *what)
			{
				ASSERT_EQ(world.install(again, second), BTNS_REASON_NONE) << what;
				EXPECT_EQ(latch(world, pair.mine).outcome, LatchOutcome::conflict) << what;
				EXPECT_EQ(latch(world, pair.mine, waiting()).state, LatchState::broken) << what;
				world.remove(again, second);
				const auto restored = world.alert();
				ASSERT_TRUE(restored) << what;
				EXPECT_EQ(restored->state, LatchState::broken) << what;
				EXPECT_EQ(world.alert()->state, LatchState::established) << what;
				const LatchAnswer found = world.latches->find(owner, pair.mine.get());
				EXPECT_EQ(world.latches->release(owner, found.id, pair.mine.get()).outcome, LatchOutcome::made);
			};
			world.up(again);
			second.reqid = 12;
			refused("the kernel does not take one SA for the other");
			second = {2, 11, BTNS_MODE_TUNNEL};
			refused("another mode");
			second = {2, 11};
			second.confidentiality = false;
			refused("another protection");
			second = {2, 11};
			if (!peer().stranger)
			{
				again = bob;
				world.up(bob);
				refused("another peer");
			}
		});
}

TEST(LatchesTest, nobody_is_latched_to_who_has_not_authenticated)
{
	RUN_IN_OWN_NETWORK(
		[]
		{
			LatchWorld world;
			const Peer anybody{5, false, "", {}, BTNS_METHOD_NULL};
			world.up(anybody);
			const Sa sa{1, 11};
			ASSERT_EQ(world.install(anybody, sa), BTNS_REASON_NONE);
			const Pair pair = connection();
			EXPECT_EQ(latch(world, pair.mine).outcome, LatchOutcome::not_wanted);
			EXPECT_TRUE(passes(pair)) << "it is as it was";
			world.remove(anybody, sa);
			// and who has not is congruent to nobody, itself included
			world.up(alice);
			ASSERT_EQ(world.install(alice, sa), BTNS_REASON_NONE);
			const LatchAnswer made = latch(world, pair.mine);
			ASSERT_EQ(made.state, LatchState::established) << made.text;
			EXPECT_EQ(world.before_install(anybody, {2, 11}), BTNS_REASON_NONE);
			EXPECT_EQ(world.state_of(made.id), LatchState::broken);
		});
}

TEST_P(LatchesTest, an_authenticated_peer_breaks_a_latch_before_its_sa_is_there)
{
	RUN_IN_OWN_NETWORK(
		[]
		{
			LatchWorld world;
			world.up(peer());
			world.up(bob);
			ASSERT_EQ(world.install(peer(), {1, 11}), BTNS_REASON_NONE);
			const Pair pair = connection();
			const Pair udp = datagrams();
			const LatchAnswer made = latch(world, pair.mine);
			ASSERT_EQ(made.state, LatchState::established);
			const LatchAnswer second = latch(world, udp.mine);
			ASSERT_EQ(second.state, LatchState::established);
			EXPECT_EQ(world.before_install(bob, {2, 12}), BTNS_REASON_NONE);
			EXPECT_EQ(try_send(pair.mine.get()), ECONNABORTED);
			EXPECT_EQ(try_send(udp.mine.get()), EDESTADDRREQ);
			EXPECT_EQ(world.state_of(made.id), LatchState::broken);
			const auto told = world.alert();
			ASSERT_TRUE(told);
			EXPECT_EQ(told->latch, made.id);
			EXPECT_EQ(told->state, LatchState::broken);
			EXPECT_EQ(told->reason, LatchReason::conflict);
			EXPECT_TRUE(world.alert());
			EXPECT_EQ(world.latches->next_alerted(), 0U);
			// and no more latches as long as there are both
			const Pair late = connection();
			EXPECT_EQ(latch(world, late.mine).outcome, LatchOutcome::conflict);
			EXPECT_TRUE(passes(late));
		});
}

TEST_P(LatchesTest, who_waits_is_blocked_until_the_conflict_is_cleared)
{
	RUN_IN_OWN_NETWORK(
		[]
		{
			LatchWorld world;
			world.up(peer());
			world.up(bob);
			ASSERT_EQ(world.install(peer(), {1, 11}), BTNS_REASON_NONE);
			const Pair pair = datagrams();
			const LatchAnswer made = latch(world, pair.mine, waiting());
			ASSERT_EQ(made.state, LatchState::established) << made.text;
			EXPECT_EQ(try_send(pair.mine.get()), EAGAIN) << "there is no SA with the reqid";
			const Sa of_bob{2, 12};
			EXPECT_EQ(world.before_install(bob, of_bob), BTNS_REASON_NONE);
			EXPECT_EQ(try_send(pair.mine.get()), EPERM);
			EXPECT_EQ(world.state_of(made.id), LatchState::broken);
			EXPECT_EQ(world.alert()->state, LatchState::broken);
			EXPECT_TRUE(passes_nothing(pair));
			btns_latches_gone(world.world, of_bob.child);
			EXPECT_EQ(world.state_of(made.id), LatchState::established);
			EXPECT_EQ(world.alert()->reason, LatchReason::cleared);
			EXPECT_TRUE(eventually([&] { return try_send(pair.mine.get()) == EAGAIN; }));
			EXPECT_EQ(world.latches->counts().kept, 1U);
			EXPECT_EQ(world.latches->release(owner, made.id, pair.mine.get()).outcome, LatchOutcome::made);
			EXPECT_EQ(world.latches->counts().kept, 0U);
			EXPECT_TRUE(passes(pair));
		});
}

TEST_P(LatchesTest, a_policy_that_goes_before_the_sas_breaks_it_only_if_that_is_wanted)
{
	for (const bool breaks : {false, true})
	{
		RUN_IN_OWN_NETWORK(
			[breaks]
			{
				LatchWorld world(true, breaks);
				world.up(peer());
				ASSERT_EQ(world.install(peer(), {1, 11}), BTNS_REASON_NONE);
				const Pair pair = connection();
				const Pair second = datagrams();
				const LatchAnswer reset = latch(world, pair.mine);
				const LatchAnswer waits = latch(world, second.mine, waiting());
				ASSERT_EQ(reset.state, LatchState::established);
				ASSERT_EQ(waits.state, LatchState::established);
				const btns_ts_t ours = ts(here);
				const btns_ts_t theirs = ts(there);
				const btns_ts_t others = ts("203.0.113.6");
				const btns_shunt_t elsewhere{&ours, 1, &others, 1, 1, true};
				ASSERT_EQ(btns_shunts(world.world, &elsewhere, 1), BTNS_STATUS_OK);
				// one that the SAs go before takes nothing
				const btns_shunt_t after{&ours, 1, &theirs, 1, UINT32_MAX - 1, true};
				ASSERT_EQ(btns_shunts(world.world, &after, 1), BTNS_STATUS_OK);
				EXPECT_FALSE(world.alert());

				for (const bool pass : {true, false})
				{
					const btns_shunt_t shunt{&ours, 1, &theirs, 1, 1, pass};
					ASSERT_EQ(btns_shunts(world.world, &shunt, 1), BTNS_STATUS_OK);
					EXPECT_EQ(world.state_of(waits.id), breaks ? LatchState::broken : LatchState::established);
					EXPECT_EQ(world.state_of(reset.id), breaks ? LatchState::broken : LatchState::established);
					if (!breaks)
					{
						EXPECT_TRUE(passes_nothing(pair)) << "what bypasses others does not bypass it";
						EXPECT_FALSE(world.alert());
						continue;
					}
					EXPECT_EQ(world.alert()->reason, LatchReason::conflict);
					EXPECT_TRUE(eventually([&] { return try_send(second.mine.get()) == EPERM; }));
					if (pass)
					{
						EXPECT_EQ(world.alert()->reason, LatchReason::conflict) << "the other one";
						EXPECT_TRUE(eventually([&] { return try_send(pair.mine.get()) == ECONNABORTED; }));
					}
					// the next one says the same, and nothing happens anew
					ASSERT_EQ(btns_shunts(world.world, &shunt, 1), BTNS_STATUS_OK);
					ASSERT_EQ(btns_shunts(world.world, nullptr, 0), BTNS_STATUS_OK);
					EXPECT_EQ(world.state_of(waits.id), LatchState::established);
					EXPECT_TRUE(eventually([&] { return try_send(second.mine.get()) == EAGAIN; }));
					EXPECT_EQ(world.state_of(reset.id), LatchState::broken) << "it was reset";
					auto told = world.alert();
					while (told && told->latch != waits.id)
					{
						told = world.alert();
					}
					ASSERT_TRUE(told);
					EXPECT_EQ(told->state, LatchState::established);
				}
			});
	}
}

TEST(LatchesTest, who_waits_may_be_born_broken)
{
	RUN_IN_OWN_NETWORK(
		[]
		{
			LatchWorld world;
			world.up(alice);
			world.up(bob);
			const Sa of_bob{2, 12};
			ASSERT_EQ(world.install(alice, {1, 11}), BTNS_REASON_NONE);
			Sa wide = of_bob;
			wide.remote = ts("203.0.113.0/24");
			ASSERT_EQ(world.install(bob, wide), BTNS_REASON_NONE);
			const Pair pair = datagrams();
			const LatchAnswer made = latch(world, pair.mine, waiting());
			EXPECT_EQ(made.outcome, LatchOutcome::made);
			EXPECT_EQ(made.state, LatchState::broken);
			EXPECT_EQ(try_send(pair.mine.get()), EPERM);
			EXPECT_EQ(world.alert()->state, LatchState::broken);
			world.remove(bob, of_bob);
			EXPECT_EQ(world.state_of(made.id), LatchState::established);
			EXPECT_TRUE(world.latches->inquire(owner, made.id).channel);
			EXPECT_TRUE(eventually([&] { return try_send(pair.mine.get()) == EAGAIN; }));
			EXPECT_EQ(world.alert()->state, LatchState::established);
		});
}

TEST_P(LatchesTest, congruent_sas_do_not_break_it)
{
	RUN_IN_OWN_NETWORK(
		[]
		{
			LatchWorld world;
			world.up(peer());
			ASSERT_EQ(world.install(peer(), {1, 11}), BTNS_REASON_NONE);
			const Pair pair = connection();
			const LatchAnswer made = latch(world, pair.mine);
			ASSERT_EQ(made.state, LatchState::established);
			// rekeyed, with another suite, which is indeterminate
			Sa next{2, 11};
			next.suite = "CHACHA20_POLY1305-256";
			EXPECT_EQ(world.install(peer(), next), BTNS_REASON_NONE);
			world.remove(peer(), {1, 11});
			EXPECT_EQ(world.state_of(made.id), LatchState::established);
			EXPECT_FALSE(world.alert());
			EXPECT_EQ(world.latches->inquire(owner, made.id).channel->child, 1U) << "what is latched is frozen";
			EXPECT_EQ(world.latches->counts().sas, 1U);
		});
}

TEST(LatchesTest, a_narrow_one_has_its_suite_latched)
{
	RUN_IN_OWN_NETWORK(
		[]
		{
			LatchWorld world;
			world.up(alice);
			ASSERT_EQ(world.install(alice, {1, 11}), BTNS_REASON_NONE);
			const Pair pair = connection();
			LatchRequest request;
			request.narrow = true;
			const LatchAnswer made = latch(world, pair.mine, request);
			EXPECT_EQ(made.state, LatchState::larval) << "there is a wide SA only";
			EXPECT_TRUE(world.latches->wait_acquire()->narrow);
			Sa narrow{2, 12};
			narrow.local = tcp_port(here, endpoint_of(pair.mine).port);
			narrow.remote = tcp_port(there, endpoint_of(pair.other).port);
			ASSERT_EQ(world.install(alice, narrow), BTNS_REASON_NONE);
			const LatchAnswer now = world.latches->connected(owner, made.id, pair.mine.get());
			EXPECT_EQ(now.state, LatchState::established) << now.text;
			EXPECT_FALSE(now.indeterminate);
			Sa other = narrow;
			other.child = 3;
			other.suite = "CHACHA20_POLY1305-256";
			EXPECT_EQ(world.before_install(alice, other), BTNS_REASON_NONE);
			EXPECT_EQ(world.state_of(made.id), LatchState::broken);
		});
}

TEST(LatchesTest, what_does_not_come_in_time_closes_it)
{
	RUN_IN_OWN_NETWORK(
		[]
		{
			LatchWorld world;
			const Pair pair = connection();
			LatchRequest request;
			request.timeout = 50;
			const LatchAnswer made = latch(world, pair.mine, request);
			ASSERT_EQ(made.state, LatchState::larval);
			EXPECT_TRUE(passes_nothing(pair));
			EXPECT_TRUE(
				eventually([&] { return world.latches->inquire(owner, made.id).outcome == LatchOutcome::no_such; }));
			const auto told = world.alert();
			ASSERT_TRUE(told);
			EXPECT_EQ(told->state, LatchState::closed);
			EXPECT_EQ(told->reason, LatchReason::not_established);
			EXPECT_TRUE(eventually([&] { return try_send(pair.mine.get()) != 0; }));

			const Pair other = connection();
			const LatchAnswer refused = latch(world, other.mine);
			ASSERT_EQ(refused.state, LatchState::larval);
			btns_latches_refuse(world.world, refused.id);
			EXPECT_EQ(world.latches->inquire(owner, refused.id).outcome, LatchOutcome::no_such);
			EXPECT_EQ(world.alert()->reason, LatchReason::not_established);

			// the peer was first, and nobody has looked since
			const Pair third = connection();
			const LatchAnswer late = latch(world, third.mine);
			ASSERT_EQ(late.state, LatchState::larval);
			world.up(alice);
			ASSERT_EQ(world.install(alice, {1, 11}), BTNS_REASON_NONE);
			btns_latches_refuse(world.world, late.id);
			EXPECT_EQ(world.latches->connected(owner, late.id, third.mine.get()).state, LatchState::established);
		});
}

TEST(LatchesTest, one_that_was_not_established_gives_its_socket_back)
{
	RUN_IN_OWN_NETWORK(
		[]
		{
			LatchWorld world;
			const Descriptor listener = bound_socket_at(there, SOCK_STREAM, 4000);
			ASSERT_EQ(listen(listener.get(), 1), 0);
			const Descriptor client(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
			const LatchAnswer made = latch(world, client, {}, endpoint_of(listener));
			ASSERT_EQ(made.state, LatchState::larval);
			EXPECT_EQ(world.latches->release(owner + 1, made.id, client.get()).outcome, LatchOutcome::no_such);
			EXPECT_EQ(try_connect(client.get(), address_of(listener.get())), EPERM)
				<< "it has a latch, of another owner";
			btns_latches_refuse(world.world, made.id);
			EXPECT_EQ(try_connect(client.get(), address_of(listener.get())), EPERM);
			EXPECT_EQ(world.latches->release(owner, made.id, client.get()).outcome, LatchOutcome::no_such);
			EXPECT_EQ(try_connect(client.get(), address_of(listener.get())), 0);

			// who is connected keeps what holds it
			btns::SocketPolicy nothing;
			nothing.flow.protocol = IPPROTO_TCP;
			ASSERT_TRUE(btns::set_socket_policy(client.get(), nothing));
			const Pair pair{Descriptor(fcntl(client.get(), F_DUPFD_CLOEXEC, 0)),
							Descriptor(accept(listener.get(), nullptr, nullptr))};
			EXPECT_EQ(world.latches->release(owner, made.id, client.get()).outcome, LatchOutcome::no_such);
			EXPECT_TRUE(passes_nothing(pair));
		});
}

TEST(LatchesTest, a_connection_that_ends_closes_its_latch)
{
	RUN_IN_OWN_NETWORK(
		[]
		{
			LatchWorld world;
			world.up(alice);
			ASSERT_EQ(world.install(alice, {1, 11}), BTNS_REASON_NONE);
			for (const bool tcp : {true, false})
			{
				Pair pair = tcp ? connection() : datagrams();
				const LatchAnswer made = latch(world, pair.mine);
				ASSERT_EQ(made.state, LatchState::established);
				if (tcp)
				{
					// without ESP nobody acknowledges its end
					btns::SocketDiag().reset(made.tuple, 0);
				}
				pair.mine.reset();
				EXPECT_TRUE(eventually([&] { return world.latches->counts().latches == 0; }));
				const auto told = world.alert();
				ASSERT_TRUE(told);
				EXPECT_EQ(told->latch, made.id);
				EXPECT_EQ(told->state, LatchState::closed);
				EXPECT_EQ(told->reason, LatchReason::socket_gone);
			}
		});
}

TEST(LatchesTest, when_its_owner_goes_connections_are_reset)
{
	RUN_IN_OWN_NETWORK(
		[]
		{
			LatchWorld world;
			world.up(alice);
			ASSERT_EQ(world.install(alice, {1, 11}), BTNS_REASON_NONE);
			const Pair pair = connection();
			const Pair second = connection();
			const Pair others = connection();
			ASSERT_EQ(latch(world, pair.mine).state, LatchState::established);
			ASSERT_EQ(latch(world, second.mine, waiting()).state, LatchState::established);
			ASSERT_EQ(world.latches->latch(owner + 1, others.mine.get(), std::nullopt, {}).state,
					  LatchState::established);
			world.latches->owner_gone(owner);
			EXPECT_TRUE(eventually([&] { return try_send(pair.mine.get()) == ECONNABORTED; }));
			EXPECT_TRUE(eventually([&] { return try_send(second.mine.get()) == ECONNABORTED; }));
			EXPECT_EQ(world.latches->counts().latches, 1U);
			EXPECT_EQ(world.latches->counts().kept, 0U);
			EXPECT_EQ(try_send(others.mine.get()), 0);
			EXPECT_FALSE(world.alert());
		});
}

TEST(LatchesTest, an_administrator_closes_it)
{
	RUN_IN_OWN_NETWORK(
		[]
		{
			LatchWorld world;
			world.up(alice);
			ASSERT_EQ(world.install(alice, {1, 11}), BTNS_REASON_NONE);
			const Pair pair = connection();
			const LatchAnswer made = latch(world, pair.mine);
			std::vector<std::string> shown;
			EXPECT_EQ(btns_latches_each(
						  world.world,
						  [](void *user, const btns_latches_info_t *info)
						  {
							  auto &list = *static_cast<std::vector<std::string> *>(user);
							  list.push_back(std::string(info->status.state) + " " + info->channel->authorized_id);
							  EXPECT_EQ(info->reqid, 11U);
							  EXPECT_EQ(info->status.client, owner);
						  },
						  &shown),
					  BTNS_STATUS_OK);
			EXPECT_EQ(shown, std::vector<std::string>{"established alice"});
			EXPECT_EQ(btns_latches_close(world.world, made.id + 1), BTNS_STATUS_REFUSED);
			EXPECT_EQ(btns_latches_close(world.world, made.id), BTNS_STATUS_OK);
			EXPECT_EQ(try_send(pair.mine.get()), ECONNABORTED);
			EXPECT_EQ(world.alert()->reason, LatchReason::administrator);
			EXPECT_EQ(world.world.stat("latches"), 0U);
			EXPECT_EQ(world.world.stat("latched-sas"), 1U);
		});
}

TEST(LatchesTest, who_watches_sees_what_happens)
{
	RUN_IN_OWN_NETWORK(
		[]
		{
			World unwatched;
			btns_latches_change_t change;
			EXPECT_FALSE(btns_latches_next_change(unwatched, &change));
			EXPECT_EQ(btns_latches_watch(nullptr), BTNS_STATUS_INVALID);
			LatchWorld world;
			ASSERT_EQ(btns_latches_watch(world.world), BTNS_STATUS_OK);
			world.up(alice);
			ASSERT_EQ(world.install(alice, {1, 11}), BTNS_REASON_NONE);
			const Pair pair = connection();
			const LatchAnswer made = latch(world, pair.mine);
			EXPECT_EQ(btns_latches_close(world.world, made.id), BTNS_STATUS_OK);
			for (const std::string expected : {"larval none", "established none", "closed administrator"})
			{
				ASSERT_TRUE(btns_latches_next_change(world.world, &change));
				EXPECT_EQ(std::string(change.status.state) + " " + change.status.code, expected);
				EXPECT_EQ(change.status.latch, made.id);
				EXPECT_EQ(change.status.client, owner);
				EXPECT_EQ(change.status.flow.protocol, 6);
				EXPECT_NE(change.status.flow.remote_port, 0);
				EXPECT_EQ(change.lost, 0U);
			}
			std::thread waits([&] { EXPECT_FALSE(btns_latches_next_change(world.world, &change)); });
			btns_latches_unwatch(world.world);
			waits.join();
		});
}

TEST(LatchChanges, the_latest_are_kept)
{
	btns::LatchChanges changes(3);
	const auto push = [&](btns::LatchId id)
	{
		btns::LatchChange change;
		change.id = id;
		changes.push(change);
	};
	push(1);
	EXPECT_FALSE(changes.wait()) << "nobody watches";
	changes.watch();
	for (btns::LatchId id = 2; id < 8; id++)
	{
		push(id);
	}
	const auto expect = [&](btns::LatchId id, uint64_t lost)
	{
		const auto next = changes.wait();
		ASSERT_TRUE(next);
		EXPECT_EQ(next->id, id);
		EXPECT_EQ(next->lost, lost);
	};
	expect(5, 3);
	expect(6, 0);
	push(8);
	push(9);
	push(10);
	expect(8, 1);
	expect(9, 0);
	expect(10, 0);
	push(11);
	changes.stop();
	EXPECT_FALSE(changes.wait());
	push(12);
	EXPECT_FALSE(changes.wait());
}

TEST(LatchesTest, a_listener_gives_birth)
{
	RUN_IN_OWN_NETWORK(
		[]
		{
			LatchWorld world;
			world.up(alice);
			ASSERT_EQ(world.install(alice, {1, 11}), BTNS_REASON_NONE);
			Descriptor listener = bound_socket_at(here, SOCK_STREAM, 4000);
			// while nothing is needed, since there is no ESP
			ASSERT_EQ(listen(listener.get(), 2), 0);
			Pair pair{Descriptor(), bound_socket_at(there, SOCK_STREAM)};
			ASSERT_EQ(try_connect(pair.other.get(), address_of(listener.get())), 0);

			const LatchAnswer made = latch(world, listener);
			ASSERT_EQ(made.outcome, LatchOutcome::made) << made.text;
			EXPECT_EQ(made.state, LatchState::listener);
			const Descriptor clear = bound_socket_at(there, SOCK_STREAM);
			EXPECT_EQ(try_connect(clear.get(), address_of(listener.get())), ETIMEDOUT) << "not in the clear";
			EXPECT_EQ(latch(world, listener).outcome, LatchOutcome::exists);

			pair.mine = Descriptor(accept(listener.get(), nullptr, nullptr));
			const LatchAnswer born = latch(world, pair.mine);
			ASSERT_EQ(born.state, LatchState::established) << born.text;
			const auto told = world.alert();
			ASSERT_TRUE(told);
			EXPECT_EQ(told->latch, made.id);
			EXPECT_EQ(told->born, born.id);
			EXPECT_TRUE(passes_nothing(pair));
			// what cannot be latched takes nothing in the clear either
			EXPECT_EQ(world.latches->release(owner, born.id, -1).outcome, LatchOutcome::made);
			LatchRequest request;
			request.mode = BTNS_MODE_TUNNEL;
			EXPECT_EQ(latch(world, pair.mine, request).outcome, LatchOutcome::not_wanted);
			try_send(pair.other.get());
			EXPECT_FALSE(receives(pair.mine.get()));
			// SAs that conflict do not break a listener
			world.up(bob);
			EXPECT_EQ(world.before_install(bob, {2, 12}), BTNS_REASON_NONE);
			EXPECT_EQ(world.state_of(made.id), LatchState::listener);
			listener.reset();
			EXPECT_TRUE(eventually([&] { return world.latches->counts().latches == 0; }));
		});
}

TEST(LatchesTest, what_another_peer_has_sent_is_not_taken_for_the_latched_one_s)
{
	RUN_IN_OWN_NETWORK(
		[]
		{
			LatchWorld world;
			world.up(alice);
			world.up(bob);
			const Sa of_bob{1, 11};
			ASSERT_EQ(world.install(bob, of_bob), BTNS_REASON_NONE);
			const Pair early = connection();
			const Pair silent = connection();
			ASSERT_EQ(try_send(early.other.get()), 0);
			ASSERT_TRUE(eventually([&] { return btns::unanswered_since(early.mine.get()).has_value(); }));
			world.remove(bob, of_bob);
			ASSERT_EQ(world.install(alice, {2, 12}), BTNS_REASON_NONE);
			EXPECT_EQ(latch(world, early.mine).outcome, LatchOutcome::conflict);
			EXPECT_EQ(latch(world, silent.mine).state, LatchState::established);
			// what comes after that is alice's, if it is not too soon
			std::this_thread::sleep_for(milliseconds(50));
			const Pair late = connection();
			ASSERT_EQ(try_send(late.other.get()), 0);
			ASSERT_TRUE(eventually([&] { return btns::unanswered_since(late.mine.get()).has_value(); }));
			EXPECT_EQ(latch(world, late.mine).state, LatchState::established);
		});
}

TEST(LatchesTest, when_latching_ends_all_are_reset)
{
	RUN_IN_OWN_NETWORK(
		[]
		{
			LatchWorld world;
			world.up(alice);
			ASSERT_EQ(world.install(alice, {1, 11}), BTNS_REASON_NONE);
			const Pair pair = connection();
			const Pair second = connection();
			ASSERT_EQ(latch(world, pair.mine).state, LatchState::established);
			ASSERT_EQ(latch(world, second.mine, waiting()).state, LatchState::established);
			std::thread waiter(
				[&]
				{
					btns_latches_acquire_t acquire;
					EXPECT_FALSE(btns_latches_wait(world.world, &acquire));
				});
			btns_latches_stop(world.world);
			waiter.join();
			EXPECT_EQ(try_send(pair.mine.get()), ECONNABORTED);
			EXPECT_EQ(try_send(second.mine.get()), ECONNABORTED);
			EXPECT_EQ(world.alert()->reason, LatchReason::shutdown);
			const Pair late = connection();
			EXPECT_EQ(latch(world, late.mine).outcome, LatchOutcome::not_available);
			EXPECT_TRUE(passes(late));
			EXPECT_EQ(world.before_install(bob, {2, 12}), BTNS_REASON_NONE);
			btns_latches_stop(world.world);
		});
}

TEST(LatchesTest, what_a_killed_daemon_left_is_reset)
{
	RUN_IN_OWN_NETWORK(
		[]
		{
			const Descriptor early = btns::test::bound_socket(AF_INET, SOCK_STREAM);
			const Pair left = btns::test::tcp_pair();
			const Pair other = btns::test::tcp_pair();
			btns::SocketPolicy policy;
			policy.block = false;
			policy.reqid = 1;
			policy.flow = btns::latchable_socket(left.mine.get(), btns::test::this_network())->flow;
			ASSERT_TRUE(btns::set_socket_policy(left.mine.get(), policy));
			policy.reqid = 0;
			policy.flow = btns::latchable_socket(early.get(), btns::test::this_network())->flow;
			ASSERT_TRUE(btns::set_socket_policy(early.get(), policy));
			const LatchWorld world;
			EXPECT_EQ(try_send(left.mine.get()), ECONNABORTED);
			EXPECT_TRUE(passes(other));
			EXPECT_EQ(btns::latchable_socket(early.get(), btns::test::this_network())->kind,
					  btns::SocketKind::listening);
		});
}

TEST(LatchesTest, congruent_sas_with_another_reqid_are_followed_if_that_is_possible)
{
	RUN_IN_OWN_NETWORK(
		[]
		{
			LatchWorld world;
			world.up(alice);
			const Sa first{1, 11};
			ASSERT_EQ(world.install(alice, first), BTNS_REASON_NONE);
			const Pair pair = connection();
			const Pair second = connection();
			const LatchAnswer gone = latch(world, pair.mine);
			const LatchAnswer kept = latch(world, second.mine, waiting());
			ASSERT_EQ(gone.state, LatchState::established);
			ASSERT_EQ(kept.state, LatchState::established);
			world.remove(alice, first);
			EXPECT_EQ(world.state_of(gone.id), LatchState::established) << "packets are lost, that is all";
			EXPECT_TRUE(btns_latches_has_reqid(world.world, 11));
			ASSERT_EQ(world.install(alice, {2, 12}), BTNS_REASON_NONE);
			EXPECT_EQ(try_send(pair.mine.get()), ECONNABORTED);
			const auto told = world.alert();
			ASSERT_TRUE(told);
			EXPECT_EQ(told->latch, gone.id);
			EXPECT_EQ(told->reason, LatchReason::not_established);
			EXPECT_EQ(world.state_of(kept.id), LatchState::established);
			EXPECT_TRUE(btns_latches_has_reqid(world.world, 12));
			EXPECT_FALSE(btns_latches_has_reqid(world.world, 11));
		});
}

TEST(LatchesTest, outer_addresses_that_change_matter_in_tunnel_mode)
{
	RUN_IN_OWN_NETWORK(
		[]
		{
			const btns_addr_t new_local = btns::test::addr("192.0.2.7");
			const btns_addr_t new_remote = btns::test::addr("192.0.2.8");
			for (const btns_mode_t mode : {BTNS_MODE_TRANSPORT, BTNS_MODE_TUNNEL})
			{
				EXPECT_TRUE(in_own_network(
					[&]
					{
						LatchWorld world;
						world.up(alice);
						ASSERT_EQ(world.install(alice, {1, 11, mode}), BTNS_REASON_NONE);
						const Pair pair = connection();
						const Pair second = connection();
						const LatchAnswer reset = latch(world, pair.mine);
						const LatchAnswer kept = latch(world, second.mine, waiting());
						ASSERT_EQ(reset.state, LatchState::established);
						ASSERT_EQ(kept.state, LatchState::established);
						btns_latches_moved(world.world, 1, &new_local, &new_remote);
						EXPECT_EQ(world.state_of(kept.id), LatchState::established);
						EXPECT_EQ(world.state_of(reset.id),
								  mode == BTNS_MODE_TRANSPORT ? LatchState::established : LatchState::closed);
					}));
			}
		});
}

TEST(LatchesTest, a_dead_peer_breaks_its_latches_for_good)
{
	RUN_IN_OWN_NETWORK(
		[]
		{
			LatchWorld world;
			world.up(alice);
			const Sa sa{1, 11};
			ASSERT_EQ(world.install(alice, sa), BTNS_REASON_NONE);
			const Pair pair = connection();
			const Pair second = datagrams();
			const LatchAnswer reset = latch(world, pair.mine);
			const LatchAnswer kept = latch(world, second.mine, waiting());
			btns_latches_peer_dead(world.world, alice.sa);
			EXPECT_EQ(world.state_of(reset.id), LatchState::broken);
			EXPECT_EQ(world.state_of(kept.id), LatchState::broken);
			EXPECT_EQ(world.alert()->reason, LatchReason::peer_dead);
			EXPECT_TRUE(eventually([&] { return try_send(pair.mine.get()) == ECONNABORTED; }));
			EXPECT_TRUE(eventually([&] { return try_send(second.mine.get()) == EPERM; }));
			world.remove(alice, sa);
			// sockets that were not closed demand the reqid: it may be nobody else's
			EXPECT_TRUE(btns_latches_has_reqid(world.world, 11));
			world.up(stranger);
			EXPECT_EQ(world.before_install(stranger, {3, 11}), BTNS_REASON_LATCHED);
			EXPECT_EQ(world.before_install(stranger, {3, 12}), BTNS_REASON_NONE);
			world.remove(stranger, {3, 12});
			ASSERT_EQ(world.install(alice, {2, 11}), BTNS_REASON_NONE);
			EXPECT_EQ(world.state_of(kept.id), LatchState::broken);
		});
}

TEST(LatchesTest, copies_of_sockets_are_few)
{
	RUN_IN_OWN_NETWORK(
		[]
		{
			LatchWorld world;
			world.up(alice);
			ASSERT_EQ(world.install(alice, {1, 11}), BTNS_REASON_NONE);
			std::vector<Descriptor> sockets;
			const Descriptor other = bound_socket_at(there, SOCK_DGRAM);
			const auto make = [&](btns::LatchOwner whom)
			{
				sockets.push_back(bound_socket_at(here, SOCK_DGRAM));
				EXPECT_EQ(try_connect(sockets.back().get(), address_of(other.get())), 0);
				return world.latches->latch(whom, sockets.back().get(), std::nullopt, waiting()).outcome;
			};
			const btns::LatchLimits limits;
			for (size_t i = 0; i < limits.kept; i++)
			{
				ASSERT_EQ(make(owner + i / limits.kept_per_owner), LatchOutcome::made);
			}
			EXPECT_EQ(make(owner), LatchOutcome::full);
			EXPECT_EQ(make(owner + 100), LatchOutcome::full);
			world.latches->owner_gone(owner);
			EXPECT_EQ(make(owner + 100), LatchOutcome::made);
		});
}

TEST(LatchesTest, on_failure_nothing_is_latched_and_strangers_are_refused)
{
	RUN_IN_OWN_NETWORK(
		[]
		{
			LatchWorld world;
			world.up(alice);
			world.up(stranger);
			ASSERT_EQ(world.install(alice, {1, 11}), BTNS_REASON_NONE);
			const Pair pair = connection();
			ASSERT_EQ(latch(world, pair.mine).state, LatchState::established);
			btns_fault("btns_latches_before_install", 1);
			EXPECT_EQ(world.before_install(stranger, {2, 12}), BTNS_REASON_OUT_OF_MEMORY);
			EXPECT_EQ(try_send(pair.mine.get()), 0);
			btns_fault("btns_latches_has_reqid", 1);
			EXPECT_TRUE(btns_latches_has_reqid(world.world, 99));
			btns_fault("btns_latches_before_install", 1);
			EXPECT_EQ(world.before_install(bob, {3, 13}), BTNS_REASON_OUT_OF_MEMORY);
			EXPECT_EQ(try_send(pair.mine.get()), ECONNABORTED);
			const Pair late = connection();
			EXPECT_EQ(latch(world, late.mine).outcome, LatchOutcome::not_available);
			EXPECT_EQ(btns_latches_before_install(world.world, 1, nullptr, nullptr, nullptr), BTNS_STATUS_INVALID);
		});
}

TEST(LatchesTest, ON_ONE_THREAD(whichever_allocation_fails_packets_are_stopped))
{
	bool done = false;
	for (size_t working = 0; working < 100; working++)
	{
		RUN_IN_OWN_NETWORK(
			[&]
			{
				LatchWorld world;
				world.up(alice);
				world.up(bob);
				ASSERT_EQ(world.install(alice, {1, 11}), BTNS_REASON_NONE);
				const Pair pair = connection();
				const LatchAnswer made = latch(world, pair.mine);
				ASSERT_EQ(made.state, LatchState::established);
				const btns_addr_t host = btns::test::addr(there);
				const Sa sa{2, 11};
				const btns_child_t child = to_child(bob, sa, host);
				const btns_latches_sa_t kernel{sa.reqid, btns::test::addr(here), host};
				btns_reason_t reason = BTNS_REASON_NONE;
				btns_status_t status = BTNS_STATUS_OK;
				{
					const btns::test::FailingNew failing(working);
					status = btns_latches_before_install(world.world, bob.sa, &child, &kernel, &reason);
				}
				EXPECT_EQ(try_send(pair.mine.get()), ECONNABORTED) << working << " allocations work";
				// as it is without failure, which is the last
				done = status == BTNS_STATUS_OK && world.state_of(made.id) == LatchState::broken;
			});
	}
	EXPECT_TRUE(done);
}

/** A latched connection, and what becomes of it when calls of core.h fail. */
class Held
{
public:
	Held()
	{
		world.up(alice);
		world.up(stranger);
		EXPECT_EQ(world.install(alice, {1, 11}), BTNS_REASON_NONE);
		made = latch(world, pair.mine);
		EXPECT_EQ(made.state, LatchState::established) << made.text;
	}
	~Held() { btns_fault(nullptr, 0); }
	Held(const Held &) = delete;
	Held &operator=(const Held &) = delete;
	Held(Held &&) = delete;
	Held &operator=(Held &&) = delete;

	btns_core_t *core() { return world.world; }

	/** Nothing passes, and if the latch is there no stranger gets the connection; else it was reset. */
	void holds(const std::string &after)
	{
		EXPECT_TRUE(passes_nothing(pair)) << after;
		if (world.latches->inquire(owner, made.id).outcome != LatchOutcome::made)
		{
			EXPECT_TRUE(eventually([&] { return try_send(pair.mine.get()) != 0; })) << after;
			return;
		}
		EXPECT_EQ(world.state_of(made.id), LatchState::established) << after;
		EXPECT_EQ(world.before_install(stranger, {9, 19}), BTNS_REASON_LATCHED) << after;
		EXPECT_EQ(world.before_install(stranger, {9, 11}), BTNS_REASON_LATCHED) << after;
	}

	LatchWorld world;
	Pair pair = connection();
	LatchAnswer made;
};

TEST(LatchFaults, without_memory_there_is_no_latching_and_then_there_is)
{
	RUN_IN_OWN_NETWORK(
		[]
		{
			World world;
			std::array<char, BTNS_LINE_LEN> error{};
			const btns_latches_options_t options{};
			btns_fault("btns_latches_start", 1);
			EXPECT_EQ(btns_latches_start(world, &options, error.data()), BTNS_STATUS_NOMEM);
			EXPECT_STREQ(error.data(), "out of memory");
			btns_core_t *core = world;
			EXPECT_FALSE(core->core.latches());
			EXPECT_EQ(btns_latches_start(world, &options, error.data()), BTNS_STATUS_OK);
			EXPECT_STREQ(error.data(), "");
			EXPECT_TRUE(core->core.latches());
		});
}

TEST(LatchFaults, an_sa_that_cannot_be_compared_is_refused_to_a_stranger_and_else_resets_all)
{
	RUN_IN_OWN_NETWORK(
		[]
		{
			Held held;
			held.world.up(bob);
			Sa elsewhere{2, 12};
			elsewhere.remote = ts("203.0.113.6");
			btns_fault("btns_latches_before_install", 1);
			EXPECT_EQ(held.world.before_install(stranger, elsewhere), BTNS_REASON_OUT_OF_MEMORY);
			EXPECT_EQ(held.world.last_status, BTNS_STATUS_NOMEM);
			held.holds("a stranger's SA");
			EXPECT_EQ(held.world.before_install(stranger, elsewhere), BTNS_REASON_NONE);
			btns_fault("btns_latches_before_install", 1);
			held.world.before_install(bob, elsewhere);
			EXPECT_EQ(held.world.last_status, BTNS_STATUS_NOMEM);
			EXPECT_EQ(try_send(held.pair.mine.get()), ECONNABORTED) << "it may be there, and nobody knows";
			EXPECT_EQ(latch(held.world, connection().mine).outcome, LatchOutcome::not_available);
		});
}

TEST(LatchFaults, an_sa_that_nobody_hears_has_gone_is_still_in_the_way)
{
	RUN_IN_OWN_NETWORK(
		[]
		{
			Held held;
			btns_fault("btns_latches_gone", 1);
			held.world.remove(alice, {1, 11});
			EXPECT_EQ(held.world.latches->counts().sas, 1U);
			held.holds("an SA has gone");
			held.world.up(bob);
			ASSERT_EQ(held.world.install(bob, {2, 12}), BTNS_REASON_NONE);
			EXPECT_EQ(latch(held.world, connection().mine).outcome, LatchOutcome::conflict);
			btns_latches_gone(held.core(), 1);
			EXPECT_EQ(latch(held.world, connection().mine).outcome, LatchOutcome::made);
		});
}

TEST(LatchFaults, what_was_not_done_changes_nothing_and_can_be_done_again)
{
	RUN_IN_OWN_NETWORK(
		[]
		{
			Held held;
			btns_core_t *core = held.core();
			const LatchId id = held.made.id;
			const btns_addr_t address = btns::test::addr("192.0.2.77");
			btns_fault("btns_latches_moved", 1);
			btns_latches_moved(core, 1, &address, &address);
			held.holds("an SA has moved");

			btns_fault("btns_latches_has_reqid", 1);
			EXPECT_TRUE(btns_latches_has_reqid(core, 99)) << "it had better be kept";
			EXPECT_FALSE(btns_latches_has_reqid(core, 99));
			EXPECT_TRUE(btns_latches_has_reqid(core, 11));

			size_t seen = 0;
			const auto count = [](void *user, const btns_latches_info_t *) { (*static_cast<size_t *>(user))++; };
			btns_fault("btns_latches_each", 1);
			EXPECT_EQ(btns_latches_each(core, count, &seen), BTNS_STATUS_NOMEM);
			EXPECT_EQ(seen, 0U);
			EXPECT_EQ(btns_latches_each(core, count, &seen), BTNS_STATUS_OK);
			EXPECT_EQ(seen, 1U);

			btns_latches_change_t change;
			btns_fault("btns_latches_watch", 1);
			EXPECT_EQ(btns_latches_watch(core), BTNS_STATUS_NOMEM);
			EXPECT_FALSE(btns_latches_next_change(core, &change)) << "nobody watches, so it does not wait";
			EXPECT_EQ(btns_latches_watch(core), BTNS_STATUS_OK);

			btns_fault("btns_latches_close", 1);
			EXPECT_EQ(btns_latches_close(core, id), BTNS_STATUS_NOMEM);
			held.holds("it was not closed");

			btns_fault("btns_latches_peer_dead", 1);
			btns_latches_peer_dead(core, alice.sa);
			held.holds("its peer is dead");
			btns_latches_peer_dead(core, alice.sa);
			EXPECT_EQ(held.world.state_of(id), LatchState::broken);
			EXPECT_TRUE(passes_nothing(held.pair));
			EXPECT_EQ(btns_latches_close(core, id), BTNS_STATUS_OK);

			btns_fault("btns_latches_next_change", 1);
			EXPECT_FALSE(btns_latches_next_change(core, &change));
			for (const std::string expected : {"broken", "closed"})
			{
				ASSERT_TRUE(btns_latches_next_change(core, &change)) << "none is lost";
				EXPECT_EQ(change.status.state, expected);
			}
		});
}

TEST(LatchFaults, flows_that_want_sas_wait_on)
{
	RUN_IN_OWN_NETWORK(
		[]
		{
			LatchWorld world;
			const Pair pair = connection();
			const LatchAnswer made = latch(world, pair.mine);
			ASSERT_EQ(made.state, LatchState::larval);
			btns_latches_acquire_t acquire{1, {}, true};
			btns_fault("btns_latches_wait", 1);
			EXPECT_FALSE(btns_latches_wait(world.world, &acquire));
			EXPECT_EQ(acquire.latch, 0U);
			EXPECT_TRUE(btns_latches_wait(world.world, &acquire));
			EXPECT_EQ(acquire.latch, made.id);
			btns_fault("btns_latches_refuse", 1);
			btns_latches_refuse(world.world, made.id);
			EXPECT_EQ(world.state_of(made.id), LatchState::larval);
			EXPECT_TRUE(passes_nothing(pair));
			btns_latches_refuse(world.world, made.id);
			EXPECT_EQ(world.latches->inquire(owner, made.id).outcome, LatchOutcome::no_such);
			btns_fault(nullptr, 0);
		});
}

TEST(LatchFaults, ON_ONE_THREAD(whichever_allocation_fails_nothing_passes))
{
	using Call = void (*)(Held &);
	const std::vector<std::pair<const char *, Call>> calls{
		{"gone", [](Held &held) { btns_latches_gone(held.core(), 1); }},
		{"moved",
		 [](Held &held)
		 {
			 const btns_addr_t address = btns::test::addr("192.0.2.77");
			 btns_latches_moved(held.core(), 1, &address, &address);
		 }},
		{"has_reqid", [](Held &held) { EXPECT_TRUE(btns_latches_has_reqid(held.core(), 11)); }},
		{"refuse", [](Held &held) { btns_latches_refuse(held.core(), held.made.id); }},
		{"each",
		 [](Held &held)
		 {
			 btns_latches_each(
				 held.core(), [](void *, const btns_latches_info_t *) {}, nullptr);
		 }},
		{"watch", [](Held &held) { btns_latches_watch(held.core()); }},
		{"close", [](Held &held) { btns_latches_close(held.core(), held.made.id); }},
	};
	for (const auto &[name, call] : calls)
	{
		for (size_t working = 0; working < 8; working++)
		{
			RUN_IN_OWN_NETWORK(
				[&, name = name, call = call]
				{
					Held held;
					{
						const btns::test::FailingNew failing(working);
						call(held);
					}
					held.holds(std::string(name) + " with " + std::to_string(working));
				});
		}
	}
}

TEST(LatchesTest, without_latching_nothing_is_different)
{
	World world;
	btns_latches_acquire_t acquire;
	EXPECT_FALSE(btns_latches_wait(world, &acquire));
	btns_child_t child{};
	const btns_latches_sa_t kernel{};
	btns_reason_t reason = BTNS_REASON_INTERNAL;
	EXPECT_EQ(btns_latches_before_install(world, 1, &child, &kernel, &reason), BTNS_STATUS_OK);
	EXPECT_EQ(reason, BTNS_REASON_NONE);
	EXPECT_FALSE(btns_latches_has_reqid(world, 1));
	EXPECT_EQ(btns_latches_close(world, 1), BTNS_STATUS_REFUSED);
	EXPECT_EQ(btns_latches_each(
				  world, [](void *, const btns_latches_info_t *) { ADD_FAILURE(); }, nullptr),
			  BTNS_STATUS_OK);
	btns_latches_gone(world, 1);
	btns_latches_moved(world, 1, nullptr, nullptr);
	btns_latches_peer_dead(world, 1);
	btns_latches_refuse(world, 1);
	btns_latches_stop(world);
}

/** An application that keeps the kernel at work on its socket: it sends from a page that is not there. */
class Hanging
{
public:
	explicit Hanging(int socket)
		: faults_(static_cast<int>(syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK))),
		  page_(mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0))
	{
		uffdio_api api{};
		api.api = UFFD_API;
		uffdio_register range{};
		range.range = {reinterpret_cast<uint64_t>(page_), size};
		range.mode = UFFDIO_REGISTER_MODE_MISSING;
		possible = faults_ && ioctl(faults_.get(), UFFDIO_API, &api) == 0 &&
				   ioctl(faults_.get(), UFFDIO_REGISTER, &range) == 0;
		if (possible)
		{
			thread_ = std::thread([this, socket] { send(socket, page_, size, MSG_NOSIGNAL); });
			possible = eventually(
				[this]
				{
					uffd_msg message{};
					return read(faults_.get(), &message, sizeof(message)) == sizeof(message);
				});
		}
	}
	~Hanging()
	{
		if (thread_.joinable())
		{
			uffdio_zeropage zero{};
			zero.range = {reinterpret_cast<uint64_t>(page_), size};
			ioctl(faults_.get(), UFFDIO_ZEROPAGE, &zero);
			thread_.join();
		}
		munmap(page_, size);
	}
	Hanging(const Hanging &) = delete;
	Hanging &operator=(const Hanging &) = delete;
	Hanging(Hanging &&) = delete;
	Hanging &operator=(Hanging &&) = delete;

	bool possible = false;

private:
	static constexpr size_t size = 4096;
	Descriptor faults_;
	void *page_;
	std::thread thread_;
};

TEST(LatchesTest, an_application_that_makes_the_kernel_wait_harms_itself_only)
{
	RUN_IN_OWN_NETWORK(
		[]
		{
			LatchWorld world;
			world.up(alice);
			world.up(bob);
			ASSERT_EQ(world.install(alice, {1, 11}), BTNS_REASON_NONE);
			const Pair hanging = connection();
			const Pair pair = connection();
			ASSERT_EQ(world.latches->latch(owner + 1, hanging.mine.get(), std::nullopt, {}).state,
					  LatchState::established);
			ASSERT_EQ(latch(world, pair.mine).state, LatchState::established);
			{
				const Hanging hostile(hanging.mine.get());
				if (!hostile.possible)
				{
					GTEST_SKIP() << "userfaultfd is not permitted";
				}
				const auto began = std::chrono::steady_clock::now();
				EXPECT_EQ(world.before_install(bob, {2, 12}), BTNS_REASON_NONE);
				const auto took = std::chrono::steady_clock::now() - began;
				EXPECT_GE(took, btns::LatchLimits{}.patience);
				EXPECT_LT(took, 3 * btns::LatchLimits{}.patience);
				EXPECT_EQ(try_send(pair.mine.get()), ECONNABORTED);
				// and the next does not wait again
				const auto again = std::chrono::steady_clock::now();
				EXPECT_EQ(world.before_install(bob, {3, 13}), BTNS_REASON_NONE);
				EXPECT_LT(std::chrono::steady_clock::now() - again, btns::LatchLimits{}.patience);
				// however many connections it has
				btns_latches_gone(world.world, 2);
				btns_latches_gone(world.world, 3);
				const Pair more = connection();
				ASSERT_EQ(world.latches->latch(owner + 1, more.mine.get(), std::nullopt, {}).state,
						  LatchState::established);
				const auto third = std::chrono::steady_clock::now();
				EXPECT_EQ(world.before_install(bob, {4, 14}), BTNS_REASON_NONE);
				EXPECT_LT(std::chrono::steady_clock::now() - third, btns::LatchLimits{}.patience);
			}
			EXPECT_TRUE(eventually([&] { return try_send(hanging.mine.get()) != 0; }));
		});
}

/** While one peer's SA is there, no latch over its addresses may be ESTABLISHED with another. */
TEST(LatchesTest, no_latch_is_made_while_an_sa_is_installed)
{
	RUN_IN_OWN_NETWORK(
		[]
		{
			LatchWorld world;
			world.up(alice);
			world.up(bob);
			std::atomic<bool> stop = false;
			std::atomic<unsigned> established = 0;
			std::atomic<unsigned> conflicts = 0;
			std::vector<std::thread> applications;
			for (unsigned i = 0; i < 3; i++)
			{
				applications.emplace_back(
					[&, i]
					{
						while (!stop)
						{
							LatchRequest request = i == 0 ? waiting() : LatchRequest{};
							request.timeout = 100;
							const Pair pair = datagrams();
							const LatchAnswer made =
								world.latches->latch(owner + i, pair.mine.get(), std::nullopt, request);
							established += made.state == LatchState::established ? 1 : 0;
							conflicts += made.outcome == LatchOutcome::conflict ? 1 : 0;
							if (made.outcome == LatchOutcome::made)
							{
								world.latches->connected(owner + i, made.id, pair.mine.get());
								world.latches->find(owner + i, pair.mine.get());
								while (world.latches->take_alert(owner + i))
								{}
								world.latches->release(owner + i, made.id, pair.mine.get());
							}
						}
					});
			}
			const auto check = [&](const Peer &peer)
			{
				for (const btns::LatchView &view : world.latches->list(0, 1000))
				{
					if (view.info.state == LatchState::established)
					{
						EXPECT_EQ(view.channel->authorized_id, peer.id);
					}
				}
			};
			std::atomic<uint32_t> next = 1;
			std::thread daemon(
				[&]
				{
					for (unsigned i = 0; i < 150; i++)
					{
						const Peer &peer = i % 2 == 0 ? alice : bob;
						const Peer &other = i % 2 == 0 ? bob : alice;
						const Sa sa{next++, 100};
						world.authorize(peer, sa);
						EXPECT_EQ(world.before_install(peer, sa), BTNS_REASON_NONE);
						world.installed(peer, sa);
						check(peer);
						std::this_thread::sleep_for(milliseconds(2));
						check(peer);
						// both at once, with the same reqid
						const Sa second{next++, 100};
						world.authorize(other, second);
						EXPECT_EQ(world.before_install(other, second), BTNS_REASON_NONE);
						for (const btns::LatchView &view : world.latches->list(0, 1000))
						{
							EXPECT_NE(view.info.state, LatchState::established);
						}
						world.remove(other, second);
						world.remove(peer, sa);
					}
				});
			daemon.join();
			stop = true;
			for (std::thread &application : applications)
			{
				application.join();
			}
			EXPECT_GT(established, 0U);
			EXPECT_GT(conflicts, 0U);
			EXPECT_TRUE(eventually([&] { return world.latches->counts().latches == 0; }));
		});
}

} // namespace
