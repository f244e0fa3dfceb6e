/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
#include "address.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <span>

namespace btns
{

namespace
{

constexpr unsigned bits_of(unsigned family)
{
	return family == 4 ? 32 : 128;
}

constexpr AddressValue highest(unsigned family)
{
	return family == 4 ? AddressValue{0xffffffff} : ~AddressValue{0};
}

AddressValue read_value(unsigned family, std::span<const uint8_t, 16> bytes)
{
	AddressValue value = 0;
	for (const uint8_t byte : bytes.first(bits_of(family) / 8))
	{
		value = value << 8 | byte;
	}
	return value;
}

void write_value(const Address &address, std::span<uint8_t, 16> bytes)
{
	AddressValue value = address.value;
	std::ranges::fill(bytes, uint8_t{0});
	for (size_t i = bits_of(address.family) / 8; i > 0; i--, value >>= 8)
	{
		bytes[i - 1] = static_cast<uint8_t>(value & 0xff);
	}
}

std::optional<Range> make_range(unsigned family, std::span<const uint8_t, 16> from, std::span<const uint8_t, 16> to)
{
	if (family != 4 && family != 6)
	{
		return std::nullopt;
	}
	const Range range{family, read_value(family, from), read_value(family, to)};
	return range.first <= range.last ? std::optional(range) : std::nullopt;
}

std::optional<Address> parse_address(std::string_view text)
{
	const std::string copy(text);
	std::array<uint8_t, 16> bytes{};
	for (const unsigned family : {4U, 6U})
	{
		if (inet_pton(family == 4 ? AF_INET : AF_INET6, copy.c_str(), bytes.data()) == 1)
		{
			return Address{family, read_value(family, bytes)};
		}
	}
	return std::nullopt;
}

std::string address_text(const Address &address)
{
	std::array<uint8_t, 16> bytes{};
	std::array<char, INET6_ADDRSTRLEN> text{};
	write_value(address, bytes);
	const char *written =
		inet_ntop(address.family == 4 ? AF_INET : AF_INET6, bytes.data(), text.data(), socklen_t{text.size()});
	return written != nullptr ? written : "?";
}

/** Read a decimal number that is all of the text. */
template <typename Number>
std::optional<Number> parse_number(std::string_view text)
{
	Number number{};
	const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
	return error == std::errc() && end == text.data() + text.size() ? std::optional(number) : std::nullopt;
}

std::optional<uint8_t> parse_protocol(std::string_view text)
{
	static constexpr std::array<std::pair<std::string_view, uint8_t>, 6> names{
		{{"icmp", 1}, {"tcp", 6}, {"udp", 17}, {"icmp6", 58}, {"ipv6-icmp", 58}, {"sctp", 132}}};
	const auto *const found = std::ranges::find(names, text, &std::pair<std::string_view, uint8_t>::first);
	return found != names.end() ? found->second : parse_number<uint8_t>(text);
}

std::string_view trim(std::string_view text)
{
	const size_t begin = text.find_first_not_of(" \t");
	if (begin == std::string_view::npos)
	{
		return {};
	}
	return text.substr(begin, text.find_last_not_of(" \t") - begin + 1);
}

} // namespace

bool Range::is_prefix() const
{
	const AddressValue host_bits = first ^ last;
	return (host_bits & (host_bits + 1)) == 0 && (first & host_bits) == 0;
}

bool Range::is_everything() const
{
	return first == 0 && last == highest(family);
}

std::optional<Address> to_address(const btns_addr_t &addr)
{
	if (addr.family != 4 && addr.family != 6)
	{
		return std::nullopt;
	}
	return Address{addr.family, read_value(addr.family, addr.bytes)};
}

std::optional<Range> to_range(const btns_range_t &range)
{
	return make_range(range.family, range.from, range.to);
}

std::optional<Range> to_range(const btns_ts_t &ts)
{
	return make_range(ts.family, ts.from, ts.to);
}

Range host_range(const Address &address)
{
	return {address.family, address.value, address.value};
}

btns_addr_t to_abi(const Address &address)
{
	btns_addr_t addr{};
	addr.family = static_cast<uint8_t>(address.family);
	write_value(address, addr.bytes);
	return addr;
}

btns_range_t to_abi(const Range &range)
{
	btns_range_t out{};
	out.family = static_cast<uint8_t>(range.family);
	write_value({range.family, range.first}, out.from);
	write_value({range.family, range.last}, out.to);
	return out;
}

btns_ts_t to_selector(const Range &range)
{
	btns_ts_t out{};
	out.family = static_cast<uint8_t>(range.family);
	out.to_port = UINT16_MAX;
	write_value({range.family, range.first}, out.from);
	write_value({range.family, range.last}, out.to);
	return out;
}

Range prefix_of(const Address &address, unsigned length)
{
	const unsigned bits = bits_of(address.family);
	// a shift by the full width is undefined
	const AddressValue host_bits =
		length == 0 ? highest(address.family) : (AddressValue{1} << (bits - std::min(length, bits))) - 1;
	return {address.family, address.value & ~host_bits, address.value | host_bits};
}

std::optional<Range> parse_range(std::string_view text)
{
	text = trim(text);
	if (const size_t dash = text.find('-'); dash != std::string_view::npos)
	{
		const auto first = parse_address(trim(text.substr(0, dash)));
		const auto last = parse_address(trim(text.substr(dash + 1)));
		if (!first || !last || first->family != last->family || first->value > last->value)
		{
			return std::nullopt;
		}
		return Range{first->family, first->value, last->value};
	}
	const size_t slash = text.find('/');
	const auto address = parse_address(text.substr(0, slash));
	if (!address)
	{
		return std::nullopt;
	}
	if (slash == std::string_view::npos)
	{
		return host_range(*address);
	}
	const auto length = parse_number<unsigned>(text.substr(slash + 1));
	return length && *length <= bits_of(address->family) ? std::optional(prefix_of(*address, *length)) : std::nullopt;
}

std::optional<btns_ts_t> parse_selector(std::string_view text)
{
	text = trim(text);
	const size_t bracket = text.find('[');
	const auto range = parse_range(text.substr(0, bracket));
	if (!range)
	{
		return std::nullopt;
	}
	btns_ts_t out{};
	out.family = static_cast<uint8_t>(range->family);
	out.to_port = UINT16_MAX;
	write_value({range->family, range->first}, out.from);
	write_value({range->family, range->last}, out.to);
	if (bracket == std::string_view::npos)
	{
		return out;
	}
	if (text.back() != ']')
	{
		return std::nullopt;
	}
	const std::string_view inside = text.substr(bracket + 1, text.size() - bracket - 2);
	const size_t slash = inside.find('/');
	const auto protocol = parse_protocol(inside.substr(0, slash));
	if (!protocol)
	{
		return std::nullopt;
	}
	out.protocol = *protocol;
	if (slash == std::string_view::npos)
	{
		return out;
	}
	const std::string_view ports = inside.substr(slash + 1);
	const size_t dash = ports.find('-');
	const auto from = parse_number<uint16_t>(ports.substr(0, dash));
	const auto to = dash == std::string_view::npos ? from : parse_number<uint16_t>(ports.substr(dash + 1));
	if (!from || !to || *from > *to)
	{
		return std::nullopt;
	}
	out.from_port = *from;
	out.to_port = *to;
	return out;
}

std::string to_text(const Range &range)
{
	std::string first = address_text({range.family, range.first});
	if (range.first == range.last)
	{
		return first;
	}
	if (!range.is_prefix())
	{
		return first + '-' + address_text({range.family, range.last});
	}
	unsigned length = bits_of(range.family);
	for (AddressValue host_bits = range.first ^ range.last; host_bits != 0; host_bits >>= 1)
	{
		length--;
	}
	return first + '/' + std::to_string(length);
}

std::string to_text(const btns_ts_t &selector)
{
	const auto range = to_range(selector);
	std::string text = range ? to_text(*range) : "invalid";
	const bool all_ports = selector.from_port == 0 && selector.to_port == UINT16_MAX;
	if (selector.protocol == 0 && all_ports)
	{
		return text;
	}
	text += '[' + std::to_string(selector.protocol);
	if (!all_ports)
	{
		text += '/' + std::to_string(selector.from_port);
		text += selector.from_port == selector.to_port ? "" : '-' + std::to_string(selector.to_port);
	}
	return text + ']';
}

} // namespace btns
