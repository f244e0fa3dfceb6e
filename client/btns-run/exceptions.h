/* SPDX-License-Identifier: MIT */
/**
 * @file exceptions.h
 * Connections that are not to be latched.
 */
#ifndef BTNS_RUN_EXCEPTIONS_H_
#define BTNS_RUN_EXCEPTIONS_H_

#include <sys/socket.h>

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace btnsrun
{

/** An end of a connection; IPv4-mapped addresses are IPv4. */
struct End
{
	/** AF_INET or AF_INET6 */
	int family = AF_INET;
	std::array<uint8_t, 16> address{};
	uint16_t port = 0;

	[[nodiscard]] bool is_loopback() const;
	/** no address at all, which connect() takes for loopback */
	[[nodiscard]] bool is_any() const;
};

/** Nothing for other families, and for what is too short. */
std::optional<End> to_end(const sockaddr *address, socklen_t length);
/** "192.0.2.1 port 80" */
std::string to_text(const End &end);

/** One of them: all its parts have to fit. */
struct Exception
{
	std::optional<End> network;
	unsigned prefix = 0;
	/** IPPROTO_TCP or IPPROTO_UDP, 0 for both; port 0 for all */
	int protocol = 0;
	uint16_t port = 0;

	[[nodiscard]] bool covers(const End &end, int transport) const;
};

/**
 * "192.0.2.0/24", "2001:db8::1", "udp/53", "22", "192.0.2.1[tcp/80]", "192.0.2.1[80]". Nothing if it is none of these.
 */
std::optional<Exception> parse_exception(std::string_view text);
/** Several, with commas between them. */
std::optional<std::vector<Exception>> parse_exceptions(std::string_view text);

} // namespace btnsrun

#endif /* BTNS_RUN_EXCEPTIONS_H_ */
