/* SPDX-License-Identifier: MIT */
/**
 * @file commands.h
 * What btnsctl can do. Each function throws Failure, or returns the exit status.
 */
#pragma once

#include <string>
#include <vector>

#include "failure.h"
#include "snippet.h"
#include "vici.h"

namespace btnsctl
{

/** Options of all commands. */
struct Common
{
	/** of the vici socket, empty for the default */
	std::string uri;
	bool json = false;
	/** of swanctl: /etc/swanctl */
	std::string folder;
	/** prefix of the system's folders, for tests */
	std::string root;
};

struct PeersOptions
{
	std::string uniqueid;
	std::string connection;
};

struct BindingsOptions
{
	std::string uniqueid;
	std::string child;
	/** protocol, local, remote; the last two with ports */
	std::vector<std::string> flow;
};

struct LatchesOptions
{
	/** number of the one to close, empty for none */
	std::string close;
	/** only those in this state */
	std::string state;
};

struct ExplainOptions
{
	std::string remote;
	std::string local;
	std::string id;
	std::string local_id;
	/** file or hex */
	std::string key;
	std::string encoding;
	std::string fingerprint;
	std::string auth;
	std::vector<std::string> local_ts;
	std::vector<std::string> remote_ts;
	std::string virtual_ip;
	std::string mode;
	/** connection that we initiate with */
	std::string initiate;
};

struct KeygenOptions
{
	std::string type = "ed25519";
	std::string name = "me";
};

struct InitOptions
{
	SnippetOptions snippet;
	std::string type = "ed25519";
	bool dry_run = false;
};

Status show_status(const Common &common);
Status show_peers(const Common &common, const PeersOptions &options);
Status show_pad(const Common &common, const std::string &connection);
Status show_bindings(const Common &common, const BindingsOptions &options);
Status latches(const Common &common, const LatchesOptions &options);
Status show_stats(const Common &common, bool prometheus, bool all);
Status explain(const Common &common, const ExplainOptions &options);
/** @param all	charon's own events, too */
Status monitor(const Common &common, bool all);
/** @param strict	warnings count as errors */
Status doctor(const Common &common, bool strict);
Status keygen(const Common &common, const KeygenOptions &options);
Status init(const Common &common, const InitOptions &options);

/** "tcp 192.0.2.1:40000 192.0.2.2:80", of one of a listener "tcp *:80". */
std::string describe_latch(const Json &latch);

/** Print as JSON and a newline. */
void print_json(const Json &json, bool pretty = true);

} // namespace btnsctl
