/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
#include "latch_socket.h"

#include <linux/inet_diag.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <linux/tcp.h>
#include <linux/xfrm.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <cstring>
#include <system_error>

#include "latch_enforcement.h"
#include "socket_query.h"

#ifndef SO_COOKIE
#define SO_COOKIE 57
#endif
#ifndef SO_BINDTOIFINDEX
#define SO_BINDTOIFINDEX 62
#endif
// netinet/in.h and linux/in.h exclude each other
#ifndef IP_XFRM_POLICY
#define IP_XFRM_POLICY 17
#endif
#ifndef IPV6_XFRM_POLICY
#define IPV6_XFRM_POLICY 35
#endif

namespace btns
{

namespace
{

/** XFRM_POLICY_MAX + direction is what the kernel calls policies of sockets. */
constexpr uint8_t socket_in = XFRM_POLICY_MAX + XFRM_POLICY_IN;
constexpr uint8_t socket_out = XFRM_POLICY_MAX + XFRM_POLICY_OUT;
/** Octets of what the kernel keeps for us about sockets that have gone: some ten thousand. */
constexpr int watch_buffer = 4 * 1024 * 1024;
/* states of TCP, as the kernel numbers them */
constexpr uint8_t tcp_syn_sent = 2;
constexpr uint8_t tcp_close = 7;
constexpr uint8_t tcp_listen = 10;
/** Messages that SocketWatch reads in one go. */
constexpr size_t watch_turn = 256;

bool is_any(const Address &address)
{
	return address.family == 0 || address.value == 0;
}

bool is_any(uint16_t port)
{
	return port == 0;
}

/** As the kernel has addresses of both families. */
std::array<uint8_t, 16> to_octets(const Address &address)
{
	std::array<uint8_t, 16> octets{};
	if (address.family != 0)
	{
		std::ranges::copy(to_abi(address).bytes, octets.begin());
	}
	return octets;
}

template <typename T>
void copy_address(const Address &address, T &out)
{
	const auto octets = to_octets(address);
	static_assert(sizeof(out) == octets.size());
	std::memcpy(&out, octets.data(), octets.size());
}

/** IPv4-mapped addresses are IPv4; family 0 if it is neither. */
template <typename T>
Address from_kernel(unsigned family, const T &address)
{
	static_assert(sizeof(address) == 16);
	constexpr std::array<uint8_t, 12> mapped{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
	std::array<uint8_t, 16> octets{};
	std::memcpy(octets.data(), &address, octets.size());
	btns_addr_t addr{};
	if (family == AF_INET6 && std::ranges::equal(std::span(octets).first(mapped.size()), mapped))
	{
		addr.family = 4;
		std::copy(octets.begin() + mapped.size(), octets.end(), addr.bytes);
	}
	else
	{
		addr.family = family == AF_INET ? 4 : family == AF_INET6 ? 6 : 0;
		std::ranges::copy(octets, addr.bytes);
	}
	return to_address(addr).value_or(Address{});
}

/** What the kernel gets for one direction. */
struct PolicyOctets
{
	xfrm_userpolicy_info info;
	xfrm_user_tmpl tmpl;
};
static_assert(sizeof(PolicyOctets) == sizeof(xfrm_userpolicy_info) + sizeof(xfrm_user_tmpl));

enum class Verdict
{
	block,
	demand,
	/** the host's policies decide, as if there were none */
	none,
};

uint8_t to_kernel(btns_mode_t mode)
{
	switch (mode)
	{
	case BTNS_MODE_TUNNEL:
		return XFRM_MODE_TUNNEL;
	case BTNS_MODE_BEET:
		return XFRM_MODE_BEET;
	default:
		return XFRM_MODE_TRANSPORT;
	}
}

/** Sets policies of one socket. */
class PolicySetter
{
public:
	PolicySetter(int socket, int domain, int family, const SocketPolicy &policy)
		: socket_(socket), level_(domain == AF_INET ? IPPROTO_IP : IPPROTO_IPV6),
		  option_(domain == AF_INET ? IP_XFRM_POLICY : IPV6_XFRM_POLICY), family_(family), policy_(policy)
	{}

	[[nodiscard]] bool set(uint8_t direction, Verdict verdict) const
	{
		PolicyOctets octets{};
		const bool out = direction == XFRM_POLICY_OUT;
		const Flow &flow = policy_.flow;
		xfrm_selector &selector = octets.info.sel;
		selector.family = static_cast<uint16_t>(family_);
		selector.proto = verdict == Verdict::none ? uint8_t{IPPROTO_RAW} : flow.protocol;
		select(out ? flow.remote : flow.local, selector.daddr, selector.prefixlen_d);
		select(out ? flow.local : flow.remote, selector.saddr, selector.prefixlen_s);
		select(out ? flow.remote_port : flow.local_port, selector.dport, selector.dport_mask);
		select(out ? flow.local_port : flow.remote_port, selector.sport, selector.sport_mask);
		octets.info.lft.soft_byte_limit = octets.info.lft.hard_byte_limit = XFRM_INF;
		octets.info.lft.soft_packet_limit = octets.info.lft.hard_packet_limit = XFRM_INF;
		octets.info.priority = verdict == Verdict::none ? 0 : latch_priority;
		octets.info.dir = direction;
		octets.info.action = verdict == Verdict::block ? XFRM_POLICY_BLOCK : XFRM_POLICY_ALLOW;
		octets.info.share = XFRM_SHARE_ANY;

		octets.tmpl.id.proto = IPPROTO_ESP;
		octets.tmpl.reqid = policy_.reqid;
		octets.tmpl.mode = to_kernel(policy_.mode);
		octets.tmpl.share = XFRM_SHARE_ANY;
		octets.tmpl.aalgos = octets.tmpl.ealgos = octets.tmpl.calgos = ~0U;
		octets.tmpl.family = static_cast<uint16_t>(family_);
		if (octets.tmpl.mode != XFRM_MODE_TRANSPORT)
		{
			const Address &from = out ? policy_.outer_local : policy_.outer_remote;
			const Address &to = out ? policy_.outer_remote : policy_.outer_local;
			copy_address(from, octets.tmpl.saddr);
			copy_address(to, octets.tmpl.id.daddr);
			if (const unsigned outer = std::max(from.family, to.family); outer != 0)
			{
				octets.tmpl.family = outer == 4 ? AF_INET : AF_INET6;
			}
		}
		const socklen_t length = verdict == Verdict::demand ? sizeof(octets) : sizeof(octets.info);
		return setsockopt(socket_, level_, option_, &octets, length) == 0;
	}

private:
	template <typename T>
	static void select(const Address &address, T &out, uint8_t &prefix)
	{
		copy_address(address, out);
		prefix = is_any(address) ? 0 : address.family == 4 ? 32 : 128;
	}
	static void select(uint16_t port, uint16_t &out, uint16_t &mask)
	{
		out = htons(port);
		mask = is_any(port) ? 0 : 0xffff;
	}

	int socket_;
	int level_;
	int option_;
	int family_;
	const SocketPolicy &policy_;
};

/** Does a flow fit another one, in which ends may be open? */
bool fits(const Flow &flow, const Flow &like)
{
	return flow.protocol == like.protocol && (is_any(like.local) || flow.local == like.local) &&
		   (is_any(like.remote) || flow.remote == like.remote) &&
		   (is_any(like.local_port) || flow.local_port == like.local_port) &&
		   (is_any(like.remote_port) || flow.remote_port == like.remote_port);
}

int family_of(const Flow &flow)
{
	return std::max(flow.local.family, flow.remote.family) == 6 ? AF_INET6 : AF_INET;
}

inet_diag_req_v2 diag_request(const Flow &flow, int family, uint64_t cookie, uint32_t interface)
{
	inet_diag_req_v2 request{};
	request.sdiag_family = static_cast<uint8_t>(family);
	request.sdiag_protocol = flow.protocol;
	request.idiag_states = ~0U;
	request.id.idiag_sport = htons(flow.local_port);
	request.id.idiag_dport = htons(flow.remote_port);
	copy_address(flow.local, request.id.idiag_src);
	copy_address(flow.remote, request.id.idiag_dst);
	request.id.idiag_if = interface;
	request.id.idiag_cookie[0] = cookie == 0 ? INET_DIAG_NOCOOKIE : static_cast<uint32_t>(cookie);
	request.id.idiag_cookie[1] = cookie == 0 ? INET_DIAG_NOCOOKIE : static_cast<uint32_t>(cookie >> 32);
	return request;
}

uint64_t cookie_of(const inet_diag_msg &socket)
{
	return uint64_t{socket.id.idiag_cookie[1]} << 32 | socket.id.idiag_cookie[0];
}

Flow flow_of(const inet_diag_msg &socket, uint8_t protocol)
{
	return {protocol, from_kernel(socket.idiag_family, socket.id.idiag_src),
			from_kernel(socket.idiag_family, socket.id.idiag_dst), ntohs(socket.id.idiag_sport),
			ntohs(socket.id.idiag_dport)};
}

/** Nothing if it is not a latch's, of a socket. */
std::optional<Flow> flow_of(const xfrm_userpolicy_info &policy)
{
	if (policy.priority != latch_priority || (policy.dir != socket_in && policy.dir != socket_out))
	{
		return std::nullopt;
	}
	const xfrm_selector &selector = policy.sel;
	const auto end = [&](const xfrm_address_t &address, uint8_t prefix)
	{ return prefix == 0 ? Address{} : from_kernel(selector.family, address); };
	const Address from = end(selector.saddr, selector.prefixlen_s);
	const Address to = end(selector.daddr, selector.prefixlen_d);
	const uint16_t from_port = ntohs(selector.sport);
	const uint16_t to_port = ntohs(selector.dport);
	return policy.dir == socket_out ? Flow{selector.proto, from, to, from_port, to_port}
									: Flow{selector.proto, to, from, to_port, from_port};
}

} // namespace

bool set_socket_policy(int socket, const SocketPolicy &policy)
{
	if (!latches_enforced)
	{
		return true;
	}
	const auto domain = socket_option(socket, SOL_SOCKET, SO_DOMAIN);
	const auto of = [](const Address &address) { return address.family == 6 ? AF_INET6 : AF_INET; };
	const Flow &flow = policy.flow;
	if (!domain || (*domain != AF_INET && *domain != AF_INET6))
	{
		errno = EAFNOSUPPORT;
		return false;
	}
	int family = *domain;
	if (flow.remote.family != 0 || flow.local.family != 0)
	{
		family = of(flow.remote.family != 0 ? flow.remote : flow.local);
	}
	// the kernel would take it and never ask it
	if ((family == AF_INET6 && *domain == AF_INET) || (flow.local.family != 0 && of(flow.local) != family))
	{
		errno = EAFNOSUPPORT;
		return false;
	}
	const PolicySetter setter(socket, *domain, family, policy);
	if (policy.block)
	{
		return setter.set(XFRM_POLICY_OUT, Verdict::block) && setter.set(XFRM_POLICY_IN, Verdict::block);
	}
	if (policy.reqid == 0)
	{
		return setter.set(XFRM_POLICY_IN, Verdict::demand) && setter.set(XFRM_POLICY_OUT, Verdict::none);
	}
	// what goes out must not go the old way when what comes in comes the new one
	if (!setter.set(XFRM_POLICY_OUT, Verdict::block))
	{
		return false;
	}
	if (setter.set(XFRM_POLICY_IN, Verdict::demand) && setter.set(XFRM_POLICY_OUT, Verdict::demand))
	{
		return true;
	}
	const int error = errno;
	static_cast<void>(setter.set(XFRM_POLICY_IN, Verdict::block));
	errno = error;
	return false;
}

bool clear_socket_policy(int socket)
{
	const auto domain = socket_option(socket, SOL_SOCKET, SO_DOMAIN);
	if (domain == AF_INET6)
	{
		return setsockopt(socket, IPPROTO_IPV6, IPV6_XFRM_POLICY, nullptr, 0) == 0;
	}
	return setsockopt(socket, IPPROTO_IP, IP_XFRM_POLICY, nullptr, 0) == 0;
}

namespace
{

std::optional<SocketKind> tcp_kind(int socket)
{
	tcp_info info{};
	socklen_t length = sizeof(info);
	if (getsockopt(socket, IPPROTO_TCP, TCP_INFO, &info, &length) != 0 || length == 0)
	{
		return std::nullopt;
	}
	switch (info.tcpi_state)
	{
	case tcp_listen:
		return SocketKind::listening;
	case tcp_close:
		return SocketKind::fresh;
	case tcp_syn_sent:
		return SocketKind::connecting;
	default:
		return SocketKind::connected;
	}
}

} // namespace

std::optional<LatchableSocket> latchable_socket(int socket, const NetworkNamespace &own)
{
	// the first of these fails for what is no socket, before anything else is done with it
	const auto domain = socket_option(socket, SOL_SOCKET, SO_DOMAIN);
	if (!domain || (*domain != AF_INET && *domain != AF_INET6))
	{
		return std::nullopt;
	}
	const auto protocol = socket_option(socket, SOL_SOCKET, SO_PROTOCOL);
	const auto type = socket_option(socket, SOL_SOCKET, SO_TYPE);
	const bool tcp = protocol == IPPROTO_TCP && type == SOCK_STREAM;
	const bool udp = protocol == IPPROTO_UDP && type == SOCK_DGRAM;
	LatchableSocket found;
	socklen_t length = sizeof(found.cookie);
	if ((!tcp && !udp) || network_namespace_of(socket) != own ||
		getsockopt(socket, SOL_SOCKET, SO_COOKIE, &found.cookie, &length) != 0 || length != sizeof(found.cookie) ||
		found.cookie == 0)
	{
		return std::nullopt;
	}
	found.interface = static_cast<uint32_t>(socket_option(socket, SOL_SOCKET, SO_BINDTOIFINDEX).value_or(0));
	found.dual_stack = *domain == AF_INET6 && socket_option(socket, IPPROTO_IPV6, IPV6_V6ONLY) == 0;
	found.family = *domain == AF_INET6 ? 6 : 4;
	found.flow.protocol = static_cast<uint8_t>(*protocol);

	const auto local = local_name(socket);
	const auto remote = peer_name(socket);
	auto kind = tcp ? tcp_kind(socket) : remote ? SocketKind::connected : SocketKind::fresh;
	if (!kind || !local)
	{
		return std::nullopt;
	}
	if (*kind == SocketKind::connected)
	{
		// what has been reset meanwhile is not connected any more, nor is what is connected to nowhere
		if (!remote || is_any(remote->address) || is_any(remote->port) || is_any(local->address) ||
			is_any(local->port) || remote->address.family != local->address.family)
		{
			return std::nullopt;
		}
		found.flow.remote = remote->address;
		found.flow.remote_port = remote->port;
	}
	else if (*kind == SocketKind::connecting)
	{
		// nothing if it has just been refused
		const auto destination = destination_name(socket).value_or(SocketName{});
		found.flow.remote = destination.address;
		found.flow.remote_port = destination.port;
	}
	found.kind = *kind;
	if (!is_any(local->address) || *kind == SocketKind::listening)
	{
		found.flow.local = local->address;
	}
	found.flow.local_port = local->port;
	return found;
}

std::optional<std::chrono::milliseconds> unanswered_since(int socket)
{
	tcp_info info{};
	socklen_t length = sizeof(info);
	if (getsockopt(socket, IPPROTO_TCP, TCP_INFO, &info, &length) != 0 ||
		length < offsetof(tcp_info, tcpi_bytes_sent) + sizeof(info.tcpi_bytes_sent) || info.tcpi_bytes_received == 0 ||
		info.tcpi_bytes_sent != 0)
	{
		return std::nullopt;
	}
	// who has sent nothing has its beginning there
	return std::chrono::milliseconds(info.tcpi_last_data_sent);
}

std::optional<Address> source_address(const Address &destination, uint32_t interface)
{
	struct Request
	{
		rtmsg route;
		rtattr head;
		std::array<uint8_t, 16> address;
	};
	const size_t octets = destination.family == 4 ? 4 : 16;
	Request request{};
	request.route.rtm_family = destination.family == 4 ? AF_INET : AF_INET6;
	request.route.rtm_dst_len = static_cast<uint8_t>(octets * 8);
	request.head.rta_type = RTA_DST;
	request.head.rta_len = static_cast<uint16_t>(RTA_LENGTH(octets));
	request.address = to_octets(destination);
	std::array<uint8_t, sizeof(Request) + RTA_SPACE(sizeof(interface))> message{};
	size_t length = offsetof(Request, address) + octets;
	std::memcpy(message.data(), &request, length);
	if (interface != 0)
	{
		const rtattr head{static_cast<uint16_t>(RTA_LENGTH(sizeof(interface))), RTA_OIF};
		std::memcpy(message.data() + length, &head, sizeof(head));
		std::memcpy(message.data() + length + RTA_LENGTH(0), &interface, sizeof(interface));
		length += RTA_SPACE(sizeof(interface));
	}
	std::optional<Address> source;
	const auto look = [&](uint16_t type, Bytes payload)
	{
		Cursor cursor(payload);
		if (type != RTM_NEWROUTE || !take_as<rtmsg>(cursor))
		{
			return;
		}
		while (const auto head = take_as<rtattr>(cursor))
		{
			const auto value =
				head->rta_len >= sizeof(*head) ? cursor.take(head->rta_len - sizeof(*head)) : std::nullopt;
			if (!value)
			{
				return;
			}
			if (head->rta_type == RTA_PREFSRC && value->size() == octets)
			{
				std::array<uint8_t, 16> address{};
				std::ranges::copy(*value, address.begin());
				source = from_kernel(destination.family == 4 ? AF_INET : AF_INET6, address);
			}
			const size_t padding = RTA_ALIGN(head->rta_len) - size_t{head->rta_len};
			static_cast<void>(cursor.take(std::min(padding, cursor.rest().size())));
		}
	};
	try
	{
		Netlink routes(NETLINK_ROUTE);
		if (routes.ask(RTM_GETROUTE, 0, Bytes(message).first(length), look) != 0)
		{
			return std::nullopt;
		}
	}
	catch (const std::system_error &)
	{
		return std::nullopt;
	}
	return source;
}

SocketDiag::SocketDiag() : diag_(NETLINK_SOCK_DIAG)
{
	// of a socket that there cannot be
	Flow nobody;
	nobody.protocol = IPPROTO_TCP;
	nobody.local = nobody.remote = {4, 1};
	const auto request = diag_request(nobody, AF_INET, 1, 0);
	const int error = diag_.ask(SOCK_DESTROY, 0, octets_of(request), [](uint16_t, Bytes) {});
	if (error != ENOENT)
	{
		throw std::system_error(error == 0 ? EINVAL : error, std::generic_category(), "sock_diag");
	}
}

/** The cookie of the socket with this very flow. */
std::optional<uint64_t> SocketDiag::find(const Flow &flow, uint64_t cookie, uint32_t interface)
{
	std::optional<uint64_t> found;
	const auto request = diag_request(flow, family_of(flow), cookie, interface);
	diag_.ask(SOCK_DIAG_BY_FAMILY, 0, octets_of(request),
			  [&](uint16_t /*type*/, Bytes payload)
			  {
				  Cursor cursor(payload);
				  const auto socket = take_as<inet_diag_msg>(cursor);
				  // it finds the listener, too
				  if (socket && flow_of(*socket, flow.protocol) == flow)
				  {
					  found = cookie_of(*socket);
				  }
			  });
	return found;
}

bool SocketDiag::reset(const Flow &flow, uint64_t cookie, uint32_t interface)
{
	if (is_any(flow.local) || is_any(flow.remote))
	{
		return false;
	}
	if (cookie == 0)
	{
		const auto found = find(flow, 0, interface);
		if (!found)
		{
			return false;
		}
		cookie = *found;
	}
	const auto request = diag_request(flow, family_of(flow), cookie, interface);
	return diag_.ask(SOCK_DESTROY, 0, octets_of(request), [](uint16_t, Bytes) {}) == 0;
}

size_t SocketDiag::reset_all(const Flow &like)
{
	struct Found
	{
		Flow flow;
		uint64_t cookie;
		uint32_t interface;
	};
	std::vector<Found> found;
	// IPv4 is on IPv6 sockets, too
	for (const int family : {AF_INET, AF_INET6})
	{
		Flow ports;
		ports.protocol = like.protocol;
		ports.local_port = like.local_port;
		ports.remote_port = like.remote_port;
		const auto request = diag_request(ports, family, 0, 0);
		diag_.ask(SOCK_DIAG_BY_FAMILY, NLM_F_DUMP, octets_of(request),
				  [&](uint16_t /*type*/, Bytes payload)
				  {
					  Cursor cursor(payload);
					  const auto socket = take_as<inet_diag_msg>(cursor);
					  const Flow flow = socket ? flow_of(*socket, like.protocol) : Flow{};
					  if (!is_any(flow.remote) && fits(flow, like))
					  {
						  found.push_back({flow, cookie_of(*socket), socket->id.idiag_if});
					  }
				  });
	}
	return static_cast<size_t>(std::ranges::count_if(found, [this](const Found &socket)
													 { return reset(socket.flow, socket.cookie, socket.interface); }));
}

bool SocketDiag::exists(const Flow &flow, uint64_t cookie, uint32_t interface)
{
	const auto request = diag_request(flow, family_of(flow), cookie, interface);
	bool found = false;
	diag_.ask(SOCK_DIAG_BY_FAMILY, 0, octets_of(request), [&](uint16_t /*type*/, Bytes /*payload*/) { found = true; });
	return found;
}

std::vector<Flow> SocketDiag::left()
{
	std::vector<Flow> flows;
	Netlink xfrm(NETLINK_XFRM);
	const xfrm_userpolicy_id all{};
	const int error = xfrm.ask(XFRM_MSG_GETPOLICY, NLM_F_DUMP, octets_of(all),
							   [&](uint16_t type, Bytes payload)
							   {
								   Cursor cursor(payload);
								   const auto policy = take_as<xfrm_userpolicy_info>(cursor);
								   const auto flow =
									   type == XFRM_MSG_NEWPOLICY && policy ? flow_of(*policy) : std::nullopt;
								   if (flow)
								   {
									   flows.push_back(*flow);
								   }
							   });
	if (error != 0)
	{
		throw std::system_error(error, std::generic_category(), "XFRM policies");
	}
	std::ranges::sort(flows);
	flows.erase(std::unique(flows.begin(), flows.end()), flows.end());
	return flows;
}

SocketWatch::SocketWatch() : socket_(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_SOCK_DIAG))
{
	if (!socket_)
	{
		throw std::system_error(errno, std::generic_category(), "netlink");
	}
	setsockopt(socket_.get(), SOL_SOCKET, SO_RCVBUFFORCE, &watch_buffer, sizeof(watch_buffer));
	// without an address of its own it would hear nothing
	sockaddr_nl own{};
	own.nl_family = AF_NETLINK;
	if (bind(socket_.get(), reinterpret_cast<const sockaddr *>(&own), sizeof(own)) != 0)
	{
		throw std::system_error(errno, std::generic_category(), "netlink");
	}
	for (const int group :
		 {SKNLGRP_INET_TCP_DESTROY, SKNLGRP_INET_UDP_DESTROY, SKNLGRP_INET6_TCP_DESTROY, SKNLGRP_INET6_UDP_DESTROY})
	{
		if (setsockopt(socket_.get(), SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof(group)) != 0)
		{
			throw std::system_error(errno, std::generic_category(), "sock_diag");
		}
	}
}

bool SocketWatch::read(const std::function<void(uint64_t cookie)> &gone)
{
	bool all = true;
	alignas(nlmsghdr) std::array<uint8_t, 4096> received{};
	for (size_t i = 0; i < watch_turn; i++)
	{
		sockaddr_nl from{};
		socklen_t from_length = sizeof(from);
		const ssize_t length = recvfrom(socket_.get(), received.data(), received.size(), MSG_TRUNC,
										reinterpret_cast<sockaddr *>(&from), &from_length);
		if (length < 0 && errno == ENOBUFS)
		{
			all = false;
			continue;
		}
		if (length < 0)
		{
			break;
		}
		if (from.nl_pid != 0)
		{
			continue;
		}
		all = all && static_cast<size_t>(length) <= received.size();
		Cursor cursor(Bytes(received).first(std::min(static_cast<size_t>(length), received.size())));
		while (const auto message = take_message(cursor))
		{
			Cursor payload(message->payload);
			const auto socket = take_as<inet_diag_msg>(payload);
			if (message->header.nlmsg_type == SOCK_DIAG_BY_FAMILY && socket)
			{
				gone(cookie_of(*socket));
			}
		}
	}
	return all;
}

} // namespace btns
