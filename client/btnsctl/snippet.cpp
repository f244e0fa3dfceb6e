/* SPDX-License-Identifier: MIT */
#include "snippet.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <sstream>

#include "failure.h"
#include "text.h"

namespace btnsctl
{

namespace
{

bool consists_of(const std::string &text, std::string_view more)
{
	return !text.empty() && std::ranges::all_of(text,
												[more](unsigned char c) {
													return std::isalnum(c) != 0 ||
														   more.find(static_cast<char>(c)) != std::string_view::npos;
												});
}

bool is_address(const std::string &text)
{
	std::array<unsigned char, 16> ignored{};
	return inet_pton(AF_INET, text.c_str(), ignored.data()) == 1 ||
		   inet_pton(AF_INET6, text.c_str(), ignored.data()) == 1;
}

void demand(bool condition, const std::string &what, const std::string &value)
{
	if (!condition)
	{
		throw Failure(usage, what + ": '" + safe(value) + "'");
	}
}

} // namespace

void check(const SnippetOptions &options)
{
	// the name of a section, and of a file
	demand(consists_of(options.name, "_-") && options.name.size() <= 63,
		   "a connection's name has letters, digits, _ and -", options.name);
	demand(consists_of(options.child, "_-") && options.child.size() <= 63,
		   "a child's name has letters, digits, _ and -", options.child);
	demand(consists_of(options.key, "_-.") && options.key.size() <= 63 && options.key.front() != '.',
		   "a key's name has letters, digits, ., _ and -", options.key);
	for (const std::string &address : options.local_addrs)
	{
		demand(is_address(address), "not an IP address", address);
	}
	demand(options.remote.empty() || is_address(options.remote) ||
			   (consists_of(options.remote, ".-") && options.remote.size() <= 253),
		   "not an IP address or a host name", options.remote);
	demand(options.pin.empty() || (options.pin.size() == 64 && is_hex(options.pin)), "a fingerprint has 64 hex digits",
		   options.pin);
	for (const std::string &ts : {options.local_ts, options.remote_ts})
	{
		demand(consists_of(ts, ".:/[]-,% "), "not a traffic selector", ts);
	}
	demand(!options.trap || !options.remote.empty() || options.transport,
		   "--trap without --remote needs --transport: charon sets no traps to anybody in tunnel mode", options.name);
}

std::string snippet(const SnippetOptions &options)
{
	std::ostringstream out;
	out << "# Written by btnsctl init.\n#\n"
		<< "# This connection protects against listeners. Who is at the other end, nobody has checked"
		<< (options.pin.empty() ? ".\n" : ",\n# but it is the one that has the key below.\n");
	if (!options.fingerprint.empty())
	{
		out << "#\n# The other side knows this host by its key, btns:sha256:" << options.fingerprint << "\n";
	}
	out << "\nconnections {\n"
		<< "\t" << options.name << " {\n"
		<< "\t\t# IKEv1 has no BTNS\n"
		<< "\t\tversion = 2\n";
	if (!options.local_addrs.empty())
	{
		out << "\t\tlocal_addrs = " << join(options.local_addrs) << "\n";
	}
	out << "\t\tremote_addrs = " << (options.remote.empty() ? "%any" : options.remote) << "\n"
		<< "\t\t# a stranger that moves loses its SA anyway\n"
		<< "\t\tmobike = no\n"
		<< (options.encap ? "\t\tencap = yes\n" : "") << "\n"
		<< "\t\tlocal {\n"
		<< "\t\t\tauth = pubkey\n"
		<< "\t\t\tpubkeys = " << options.key << ".pem\n"
		<< "\t\t}\n"
		<< "\t\tremote {\n"
		<< "\t\t\tauth = pubkey\n"
		<< "\t\t\t# whatever the peer calls itself: it is known by its key\n"
		<< "\t\t\tid = %any\n"
		<< "\t\t\tgroups = btns" << (options.pin.empty() ? "" : ":sha256:" + options.pin) << "\n"
		<< "\t\t}\n"
		<< "\t\tchildren {\n"
		<< "\t\t\t" << options.child << " {\n"
		<< "\t\t\t\tlocal_ts = " << options.local_ts << "\n"
		<< "\t\t\t\tremote_ts = " << options.remote_ts << "\n"
		<< "\t\t\t\tmode = " << (options.transport ? "transport" : "tunnel") << "\n"
		<< (options.trap ? "\t\t\t\tstart_action = trap\n" : "") << "\t\t\t}\n"
		<< "\t\t}\n"
		<< "\t}\n"
		<< "}\n";
	return out.str();
}

bool includes_conf_d(const std::string &conf)
{
	std::istringstream lines(conf);
	for (std::string line; std::getline(lines, line);)
	{
		const size_t begin = line.find_first_not_of(" \t");
		if (begin != std::string::npos && line.compare(begin, 7, "include") == 0 &&
			line.find("conf.d") != std::string::npos)
		{
			return true;
		}
	}
	return false;
}

} // namespace btnsctl
