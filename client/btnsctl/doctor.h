/* SPDX-License-Identifier: MIT */
/**
 * @file doctor.h
 * What is wrong with this host, and what to do about it.
 */
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "json.h"
#include "keys.h"

namespace btnsctl
{

enum class Health
{
	ok,
	warning,
	error,
};

/** "ok", "warning", "error" */
const char *to_text(Health health);

struct Check
{
	/** stable name */
	std::string name;
	Health health;
	/** what was found, a sentence */
	std::string text;
	/** what to do about it; empty if nothing is to be done */
	std::string advice;
};

/** A file with a private key. */
struct KeyFile
{
	std::string path;
	unsigned mode = 0;
	/** nothing if it cannot be read, or is encrypted */
	std::optional<PublicKey> key;
};

/** Something the kernel may have. */
enum class Presence
{
	/** no sign of it */
	missing,
	/** a module that can be loaded */
	loadable,
	present,
};

/** What is found out about a host. */
struct Facts
{
	/** why charon does not answer; empty if it does */
	std::string unreachable;
	/** answers of charon and the plugin: version, stats, btns-version, btns-stats; null if there is none */
	Json daemon;
	Json daemon_stats;
	Json plugin;
	Json counters;
	/** btns-pad and list-conn */
	Messages pad;
	Messages connections;
	/** certificates and public keys with a private key, as in list-cert */
	Messages own_certs;

	/** version of this program */
	std::string version;
	/** package revision of the installed strongSwan; empty if it is not known */
	std::string package;
	/** XFRM, IPv4's ESP, IPv6's ESP, TUN devices */
	Presence xfrm = Presence::missing;
	Presence esp4 = Presence::missing;
	Presence esp6 = Presence::missing;
	Presence tun = Presence::missing;
	std::vector<KeyFile> key_files;
	/** seconds since the epoch */
	int64_t now = 0;
	bool clock_synchronized = false;
};

/** All checks that make sense with these facts. */
std::vector<Check> examine(const Facts &facts);

/** The worst. */
Health worst(const std::vector<Check> &checks);

} // namespace btnsctl
