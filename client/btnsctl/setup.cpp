/* SPDX-License-Identifier: MIT */
/**
 * @file setup.cpp
 * Commands that look after this host: doctor, keygen, init.
 */
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <iostream>

#include "commands.h"
#include "doctor.h"
#include "host.h"
#include "keys.h"
#include "text.h"

namespace btnsctl
{

namespace
{

/** Ask charon; what it does not know is left out. */
template <typename Ask>
void if_known(Ask &&ask)
{
	try
	{
		std::forward<Ask>(ask)();
	}
	catch (const Failure &failure)
	{
		if (failure.status() == unreachable)
		{
			throw;
		}
	}
}

void ask_charon(const Common &common, Facts &facts)
{
	try
	{
		Vici vici(common.uri);
		facts.daemon = vici.request("version");
		facts.daemon_stats = vici.request("stats");
		if_known([&] { facts.plugin = vici.request("btns-version"); });
		if_known([&] { facts.counters = vici.request("btns-stats"); });
		if_known([&] { facts.pad = vici.stream("btns-list-pad", "btns-pad"); });
		if_known([&] { facts.connections = vici.stream("list-conns", "list-conn"); });
		if_known(
			[&]
			{
				for (Json &cert : vici.stream("list-certs", "list-cert", {{"type", "ANY"}}))
				{
					if (get(cert, "has_privkey") == "yes")
					{
						facts.own_certs.push_back(std::move(cert));
					}
				}
			});
	}
	catch (const Failure &failure)
	{
		if (failure.status() != unreachable)
		{
			throw;
		}
		facts.unreachable = failure.what();
	}
}

/** Colours are for terminals whose user has not said no (no-color.org). */
bool has_colours()
{
	const std::string term = environment("TERM");
	return isatty(STDOUT_FILENO) == 1 && environment("NO_COLOR").empty() && !term.empty() && term != "dumb";
}

const char *colour(Health health)
{
	switch (health)
	{
	case Health::ok:
		return "\033[32m";
	case Health::warning:
		return "\033[33m";
	case Health::error:
		break;
	}
	return "\033[31m";
}

void print(const std::vector<Check> &checks)
{
	const bool colours = has_colours();
	for (const Check &check : checks)
	{
		const std::string label =
			std::string(to_text(check.health)) + std::string(8 - std::strlen(to_text(check.health)), ' ');
		std::cout << (colours ? colour(check.health) : "") << label << (colours ? "\033[0m" : "") << check.name << ": "
				  << safe(check.text, is_utf8()) << "\n";
		if (!check.advice.empty())
		{
			std::cout << "        " << safe(check.advice, is_utf8()) << "\n";
		}
	}
	std::cout << std::flush;
}

bool exists(const std::string &path)
{
	struct stat ignored
	{};
	return lstat(path.c_str(), &ignored) == 0;
}

void make_folder(const std::string &path, mode_t mode)
{
	if (mkdir(path.c_str(), mode) != 0 && errno != EEXIST)
	{
		throw Failure(file, "cannot make " + safe(path) + ": " + error_text(errno));
	}
}

void check_key_name(const std::string &name)
{
	SnippetOptions options;
	options.key = name;
	check(options);
}

KeyPair make_key(const Common &common, const std::string &type, const std::string &name)
{
	make_folder(common.folder + "/private", 0700);
	make_folder(common.folder + "/pubkey", 0755);
	const std::string secret = common.folder + "/private/" + name + ".pem";
	const std::string open = common.folder + "/pubkey/" + name + ".pem";
	for (const std::string &path : {secret, open})
	{
		if (exists(path))
		{
			throw Failure(file, safe(path) + " is there already; it is never overwritten");
		}
	}
	KeyPair pair = generate(type);
	write_key_pair(common.folder, name, pair);
	return pair;
}

/** The public key of the key that a connection is to have, which is made if there is none. */
std::pair<PublicKey, std::vector<std::string>> key_for(const Common &common, const InitOptions &options)
{
	const std::string secret = common.folder + "/private/" + options.snippet.key + ".pem";
	const std::string open = common.folder + "/pubkey/" + options.snippet.key + ".pem";
	if (!exists(secret))
	{
		if (options.dry_run)
		{
			return {PublicKey(), {secret, open}};
		}
		return {make_key(common, options.type, options.snippet.key).key, {secret, open}};
	}
	const auto read = read_key(read_file(secret));
	if (!read)
	{
		throw Failure(file, "there is no key in " + safe(secret) + ", or a passphrase is needed for it");
	}
	if (exists(open))
	{
		const auto shown = read_key(read_file(open));
		if (!shown || shown->key.spki != read->key.spki)
		{
			throw Failure(file, safe(open) + " is not the public key of " + safe(secret));
		}
		return {read->key, {}};
	}
	if (!options.dry_run)
	{
		make_folder(common.folder + "/pubkey", 0755);
		write_new_file(open, public_pem(read->key), 0644);
	}
	return {read->key, {open}};
}

void warn(const std::string &text)
{
	std::cerr << "btnsctl: " << text << std::endl;
}

} // namespace

Status doctor(const Common &common, bool strict)
{
	Facts facts;
	facts.version = BTNSCTL_VERSION;
	ask_charon(common, facts);
	look_at_kernel(common.root, facts);
	look_at_keys(common.folder, facts);
	look_at_clock(facts);
	facts.package = installed_package(common.root);

	const auto checks = examine(facts);
	if (common.json)
	{
		Json all = Json::array();
		for (const Check &check : checks)
		{
			all.push_back({{"check", check.name},
						   {"result", to_text(check.health)},
						   {"text", check.text},
						   {"advice", check.advice}});
		}
		print_json(all);
	}
	else
	{
		print(checks);
	}
	const Health health = worst(checks);
	return health == Health::error || (strict && health == Health::warning) ? no : done;
}

Status keygen(const Common &common, const KeygenOptions &options)
{
	check_key_name(options.name);
	const KeyPair pair = make_key(common, options.type, options.name);
	const std::string secret = common.folder + "/private/" + options.name + ".pem";
	const std::string open = common.folder + "/pubkey/" + options.name + ".pem";
	if (common.json)
	{
		print_json({{"fingerprint", pair.key.fingerprint},
					{"key-type", pair.key.type},
					{"key-bits", pair.key.bits},
					{"private", secret},
					{"pubkey", open}});
	}
	else
	{
		std::cout << secret << "\n" << open << "\nbtns:sha256:" << pair.key.fingerprint << std::endl;
	}
	return done;
}

Status init(const Common &common, const InitOptions &options)
{
	SnippetOptions snippet_options = options.snippet;
	check(snippet_options);
	const std::string conf = common.folder + "/conf.d/" + snippet_options.name + ".conf";
	if (exists(conf))
	{
		throw Failure(file, safe(conf) + " is there already; it is never overwritten");
	}
	auto [key, files] = key_for(common, options);
	snippet_options.fingerprint = key.fingerprint;
	const std::string text = snippet(snippet_options);
	if (!options.dry_run)
	{
		make_folder(common.folder + "/conf.d", 0755);
		write_new_file(conf, text, 0644);
	}
	files.push_back(conf);
	const std::string main_conf = common.folder + "/swanctl.conf";
	if (!exists(main_conf) || !includes_conf_d(read_file(main_conf)))
	{
		warn(safe(main_conf) + " does not include conf.d/*.conf, so swanctl will not see " + safe(conf));
	}
	if (common.json)
	{
		Json written = {{"files", files}, {"connection", snippet_options.name}, {"dry-run", options.dry_run}};
		if (!key.fingerprint.empty())
		{
			written["fingerprint"] = key.fingerprint;
		}
		if (options.dry_run)
		{
			written["content"] = text;
		}
		print_json(written);
		return done;
	}
	if (options.dry_run)
	{
		std::cout << text << std::flush;
		warn("nothing was written; these files would be: " + join(files));
		return done;
	}
	for (const std::string &path : files)
	{
		std::cout << path << "\n";
	}
	std::cout << "btns:sha256:" << key.fingerprint << "\n\nNext: swanctl --load-all"
			  << (snippet_options.remote.empty() ? "" : ", then swanctl --initiate --child " + snippet_options.child)
			  << std::endl;
	return done;
}

} // namespace btnsctl
