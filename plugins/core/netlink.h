/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
/**
 * @file netlink.h
 * Messages between this process and the kernel, read within their bounds.
 */
#pragma once

#include <linux/netlink.h>

#include <cstring>
#include <functional>
#include <optional>
#include <span>
#include <type_traits>
#include <vector>

#include "cursor.h"
#include "descriptor.h"

namespace btns
{

/** The next octets as one of the kernel's structures, in the machine's byte order; nothing if they are too few. */
template <typename T>
std::optional<T> take_as(Cursor &cursor)
{
	static_assert(std::is_trivially_copyable_v<T>);
	const auto octets = cursor.take(sizeof(T));
	if (!octets)
	{
		return std::nullopt;
	}
	T value;
	std::memcpy(&value, octets->data(), sizeof(value));
	return value;
}

/** The octets of one of the kernel's structures. */
template <typename T>
Bytes octets_of(const T &value)
{
	static_assert(std::is_trivially_copyable_v<T>);
	return {reinterpret_cast<const uint8_t *>(&value), sizeof(value)};
}

/** The next of the messages that were received in one go; nothing at their end, or if the rest is none. */
struct NetlinkMessage
{
	nlmsghdr header{};
	Bytes payload;
};
std::optional<NetlinkMessage> take_message(Cursor &cursor);

/** Asks the kernel, which answers at once. One thread at a time. */
class Netlink
{
public:
	/** @param protocol	NETLINK_SOCK_DIAG and so on. Throws std::system_error, std::bad_alloc. */
	explicit Netlink(int protocol);

	using Answer = std::function<void(uint16_t type, Bytes payload)>;

	/**
	 * Ask, and call with each message of the answer.
	 *
	 * @param flags	beside NLM_F_REQUEST; the answer ends after NLMSG_DONE for NLM_F_DUMP, and with an acknowledgement
	 *				otherwise
	 * @return		0, or a number of errno
	 */
	int ask(uint16_t type, uint16_t flags, Bytes payload, const Answer &answer);

private:
	Descriptor socket_;
	std::vector<uint8_t> received_;
	uint32_t sequence_ = 0;
};

} // namespace btns
