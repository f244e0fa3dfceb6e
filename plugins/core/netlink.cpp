/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
#include "netlink.h"

#include <sys/socket.h>
#include <sys/time.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <system_error>

namespace btns
{

namespace
{

/** The kernel makes no message of a dump longer than this. */
constexpr size_t receive_max = 65536;
/** The kernel answers before sendto() returns; should that ever change, nobody waits for ever. */
constexpr timeval patience{5, 0};

constexpr size_t aligned(size_t length)
{
	return (length + NLMSG_ALIGNTO - 1) / NLMSG_ALIGNTO * NLMSG_ALIGNTO;
}

} // namespace

std::optional<NetlinkMessage> take_message(Cursor &cursor)
{
	NetlinkMessage message;
	const auto header = take_as<nlmsghdr>(cursor);
	if (!header || header->nlmsg_len < sizeof(nlmsghdr))
	{
		return std::nullopt;
	}
	const auto payload = cursor.take(header->nlmsg_len - sizeof(nlmsghdr));
	if (!payload)
	{
		return std::nullopt;
	}
	// the last one may end without
	static_cast<void>(
		cursor.take(std::min(aligned(header->nlmsg_len) - size_t{header->nlmsg_len}, cursor.rest().size())));
	message.header = *header;
	message.payload = *payload;
	return message;
}

Netlink::Netlink(int protocol) : socket_(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol)), received_(receive_max)
{
	if (!socket_)
	{
		throw std::system_error(errno, std::generic_category(), "netlink");
	}
	setsockopt(socket_.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
}

int Netlink::ask(uint16_t type, uint16_t flags, Bytes payload, const Answer &answer)
{
	const bool dump = (flags & NLM_F_DUMP) == NLM_F_DUMP;
	nlmsghdr header{};
	header.nlmsg_len = static_cast<uint32_t>(sizeof(header) + payload.size());
	header.nlmsg_type = type;
	header.nlmsg_flags = static_cast<uint16_t>(NLM_F_REQUEST | flags | (dump ? 0 : NLM_F_ACK));
	header.nlmsg_seq = ++sequence_;

	std::array<uint8_t, 256> request{};
	if (header.nlmsg_len > request.size())
	{
		return EMSGSIZE;
	}
	std::ranges::copy(payload, std::ranges::copy(octets_of(header), request.begin()).out);
	sockaddr_nl kernel{};
	kernel.nl_family = AF_NETLINK;
	if (sendto(socket_.get(), request.data(), header.nlmsg_len, 0, reinterpret_cast<const sockaddr *>(&kernel),
			   sizeof(kernel)) < 0)
	{
		return errno;
	}
	for (;;)
	{
		sockaddr_nl from{};
		socklen_t from_length = sizeof(from);
		const ssize_t length = recvfrom(socket_.get(), received_.data(), received_.size(), MSG_TRUNC,
										reinterpret_cast<sockaddr *>(&from), &from_length);
		if (length < 0 && errno == EINTR)
		{
			continue;
		}
		if (length < 0)
		{
			return errno;
		}
		if (from.nl_pid != 0)
		{
			continue;
		}
		if (static_cast<size_t>(length) > received_.size())
		{
			return EMSGSIZE;
		}
		Cursor cursor({received_.data(), static_cast<size_t>(length)});
		while (const auto message = take_message(cursor))
		{
			if (message->header.nlmsg_seq != sequence_)
			{
				// of a request that was given up
				continue;
			}
			Cursor rest(message->payload);
			if (message->header.nlmsg_type == NLMSG_DONE || message->header.nlmsg_type == NLMSG_ERROR)
			{
				const auto error = take_as<int>(rest);
				return error ? -*error : EBADMSG;
			}
			answer(message->header.nlmsg_type, message->payload);
		}
	}
}

} // namespace btns
