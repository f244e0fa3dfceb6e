/* SPDX-License-Identifier: MIT */
#include "exceptions.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstring>
#include <span>

namespace btnsrun
{

namespace
{

template <typename T>
T as(const sockaddr *address)
{
	T value;
	std::memcpy(&value, address, sizeof(value));
	return value;
}

std::span<const uint8_t> octets(const End &end)
{
	return std::span(end.address).first(end.family == AF_INET ? 4 : 16);
}

/** A whole text as a number that is at most `last`. */
std::optional<unsigned> number(std::string_view text, unsigned last)
{
	unsigned value = 0;
	const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
	return !text.empty() && error == std::errc() && end == text.data() + text.size() && value <= last
			   ? std::optional(value)
			   : std::nullopt;
}

bool parse_network(std::string_view text, Exception &out)
{
	const size_t slash = text.find('/');
	const std::string address(text.substr(0, slash));
	End network;
	if (inet_pton(AF_INET, address.c_str(), network.address.data()) != 1)
	{
		network.family = AF_INET6;
		if (inet_pton(AF_INET6, address.c_str(), network.address.data()) != 1)
		{
			return false;
		}
	}
	const auto bits = static_cast<unsigned>(octets(network).size() * 8);
	const auto prefix = slash == std::string_view::npos ? bits : number(text.substr(slash + 1), bits);
	out.network = network;
	out.prefix = prefix.value_or(0);
	return prefix.has_value();
}

/** "80", "tcp/80" */
bool parse_port(std::string_view text, Exception &out)
{
	for (const auto &[name, protocol] : {std::pair("tcp/", IPPROTO_TCP), std::pair("udp/", IPPROTO_UDP)})
	{
		if (text.starts_with(name))
		{
			out.protocol = protocol;
			text.remove_prefix(std::strlen(name));
			break;
		}
	}
	const auto port = number(text, UINT16_MAX);
	out.port = static_cast<uint16_t>(port.value_or(0));
	return out.port != 0;
}

bool has_prefix(std::span<const uint8_t> octets, std::span<const uint8_t> network, unsigned bits)
{
	const size_t whole = bits / 8;
	const auto mask = static_cast<uint8_t>(0xff00U >> bits % 8);
	return std::equal(octets.begin(), octets.begin() + static_cast<ptrdiff_t>(whole), network.begin()) &&
		   (bits % 8 == 0 || ((octets[whole] ^ network[whole]) & mask) == 0);
}

} // namespace

bool End::is_loopback() const
{
	return family == AF_INET ? address[0] == 127
							 : address[15] == 1 && std::all_of(address.begin(), address.end() - 1,
															   [](uint8_t octet) { return octet == 0; });
}

bool End::is_any() const
{
	return std::ranges::all_of(address, [](uint8_t octet) { return octet == 0; });
}

std::optional<End> to_end(const sockaddr *address, socklen_t length)
{
	End end;
	if (address == nullptr || length < sizeof(sa_family_t))
	{
		return std::nullopt;
	}
	if (address->sa_family == AF_INET && length >= sizeof(sockaddr_in))
	{
		const auto in = as<sockaddr_in>(address);
		std::memcpy(end.address.data(), &in.sin_addr, 4);
		end.port = ntohs(in.sin_port);
		return end;
	}
	// the kernel does without the scope
	if (address->sa_family != AF_INET6 || length < offsetof(sockaddr_in6, sin6_scope_id))
	{
		return std::nullopt;
	}
	sockaddr_in6 in{};
	std::memcpy(&in, address, std::min<size_t>(length, sizeof(in)));
	const bool mapped = IN6_IS_ADDR_V4MAPPED(&in.sin6_addr);
	end.family = mapped ? AF_INET : AF_INET6;
	std::memcpy(end.address.data(), in.sin6_addr.s6_addr + (mapped ? 12 : 0), mapped ? 4 : 16);
	end.port = ntohs(in.sin6_port);
	return end;
}

std::string to_text(const End &end)
{
	std::array<char, INET6_ADDRSTRLEN> text{};
	inet_ntop(end.family, end.address.data(), text.data(), text.size());
	return std::string(text.data()) + " port " + std::to_string(end.port);
}

bool Exception::covers(const End &end, int transport) const
{
	return (protocol == 0 || protocol == transport) && (port == 0 || port == end.port) &&
		   (!network || (network->family == end.family && has_prefix(octets(end), octets(*network), prefix)));
}

std::optional<Exception> parse_exception(std::string_view text)
{
	Exception out;
	const size_t bracket = text.find('[');
	if (bracket != std::string_view::npos)
	{
		const std::string_view ports = text.substr(bracket + 1);
		return ports.ends_with(']') && parse_network(text.substr(0, bracket), out) &&
					   parse_port(ports.substr(0, ports.size() - 1), out)
				   ? std::optional(out)
				   : std::nullopt;
	}
	if (parse_port(text, out))
	{
		return out;
	}
	out = {};
	return parse_network(text, out) ? std::optional(out) : std::nullopt;
}

std::optional<std::vector<Exception>> parse_exceptions(std::string_view text)
{
	std::vector<Exception> out;
	while (!text.empty())
	{
		const size_t comma = std::min(text.find(','), text.size());
		const auto exception = parse_exception(text.substr(0, comma));
		if (!exception || comma + 1 == text.size())
		{
			return std::nullopt;
		}
		out.push_back(*exception);
		text.remove_prefix(std::min(comma + 1, text.size()));
	}
	return out;
}

} // namespace btnsrun
