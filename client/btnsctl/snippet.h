/* SPDX-License-Identifier: MIT */
/**
 * @file snippet.h
 * The configuration that btnsctl init writes.
 */
#pragma once

#include <string>
#include <vector>

namespace btnsctl
{

/** What a connection for strangers shall be. */
struct SnippetOptions
{
	std::string name = "strangers";
	/** name of the key's files, without .pem */
	std::string key = "me";
	/** what the other side will know this host by, for a comment; may be empty */
	std::string fingerprint;
	/** addresses of this host, for local_addrs; empty for any */
	std::vector<std::string> local_addrs;
	/** whom this host initiates to; empty for anybody */
	std::string remote;
	/** the only key that is taken, 64 hex digits; empty for any */
	std::string pin;
	std::string child = "data";
	/** traffic selectors as in swanctl.conf */
	std::string local_ts = "dynamic";
	std::string remote_ts = "dynamic";
	bool transport = false;
	/** UDP encapsulation in any case */
	bool encap = false;
	/** initiate with the first packet */
	bool trap = false;
};

/** Throws Failure if an option would make no valid configuration. */
void check(const SnippetOptions &options);

/** The content of a file for conf.d. @param options	that passed check() */
std::string snippet(const SnippetOptions &options);

/** Does a swanctl.conf include conf.d? */
bool includes_conf_d(const std::string &conf);

} // namespace btnsctl
