/* SPDX-License-Identifier: MIT */
#include "doctor.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "text.h"

namespace btnsctl
{

namespace
{

/** Nobody can have had this program earlier: 2025-01-01. */
constexpr int64_t earliest = 1735689600;

constexpr const char *install_again = "run ci/setup and ci/install, then systemctl restart strongswan";

class Doctor
{
public:
	explicit Doctor(const Facts &facts) : facts_(facts) {}

	std::vector<Check> run()
	{
		check_daemon();
		if (facts_.unreachable.empty())
		{
			check_plugin();
		}
		check_kernel();
		if (!facts_.plugin.is_null() || !facts_.pad.empty())
		{
			check_connections();
			check_reservations();
			check_counters();
		}
		check_own_keys();
		check_key_files();
		check_clock();
		return std::move(checks_);
	}

private:
	void add(const char *name, Health health, std::string text, std::string advice = "")
	{
		checks_.push_back({name, health, std::move(text), std::move(advice)});
	}

	[[nodiscard]] std::vector<std::string> plugins() const
	{
		const auto found = facts_.daemon_stats.find("plugins");
		return !facts_.daemon_stats.is_null() && found != facts_.daemon_stats.end()
				   ? found->get<std::vector<std::string>>()
				   : std::vector<std::string>();
	}

	[[nodiscard]] bool has_plugin(const char *name) const
	{
		const auto all = plugins();
		return std::ranges::find(all, name) != all.end();
	}

	void check_daemon()
	{
		if (!facts_.unreachable.empty())
		{
			add("daemon", Health::error, facts_.unreachable, "systemctl start strongswan; journalctl -u strongswan");
			return;
		}
		add("daemon", Health::ok,
			"strongSwan " + get(facts_.daemon, "version", "of an unknown version") + " answers on its vici socket");
	}

	void check_plugin()
	{
		if (!has_plugin("btns"))
		{
			add("plugin", Health::error,
				"the btns plugin is not loaded: no connection with groups = btns takes anybody",
				std::string("journalctl -u strongswan | grep btns says why; load = yes in "
							"/etc/strongswan.d/charon/btns.conf; ") +
					install_again);
			return;
		}
		if (facts_.plugin.is_null())
		{
			add("plugin", Health::warning, "the loaded btns plugin is older than this btnsctl", install_again);
			return;
		}
		const std::string version = get(facts_.plugin, "version");
		const std::string package = get(facts_.plugin, "package");
		if (version != facts_.version)
		{
			add("plugin", Health::warning,
				"the loaded btns plugin is " + version + ", and this btnsctl " + facts_.version, install_again);
		}
		else
		{
			add("plugin", Health::ok,
				"btns " + version + " is loaded, built for strongSwan " + get(facts_.plugin, "daemon"));
		}
		if (facts_.package.empty())
		{
			return;
		}
		if (facts_.package != package)
		{
			add("package", Health::warning,
				"the plugin was built with the headers of package " + package + ", and " + facts_.package +
					" is installed",
				"it has tested itself when it was loaded; to be sure, " + std::string(install_again));
		}
		else
		{
			add("package", Health::ok, "it was built with the headers of the installed package, " + package);
		}
	}

	void check_kernel()
	{
		if (has_plugin("kernel-libipsec"))
		{
			if (facts_.tun == Presence::missing)
			{
				add("esp", Health::error, "ESP is in user space (kernel-libipsec), and there is no /dev/net/tun",
					"modprobe tun");
			}
			else
			{
				add("esp", Health::ok,
					"ESP is in user space (kernel-libipsec): tunnel mode only, and not between the IKE end points");
			}
			return;
		}
		if (facts_.xfrm == Presence::missing)
		{
			add("esp", Health::error, "the kernel has no IPsec (XFRM)",
				"use a kernel with CONFIG_XFRM_USER, or kernel-libipsec");
			return;
		}
		std::vector<std::string> missing;
		for (const auto &[presence, name] : {std::pair(facts_.esp4, "esp4"), std::pair(facts_.esp6, "esp6")})
		{
			if (presence == Presence::missing)
			{
				missing.emplace_back(name);
			}
		}
		if (missing.size() == 2)
		{
			add("esp", Health::error, "the kernel has no ESP",
				"use a kernel with CONFIG_INET_ESP and CONFIG_INET6_ESP, or kernel-libipsec");
		}
		else if (missing.size() == 1)
		{
			add("esp", Health::warning, "the kernel has no " + missing.front(),
				missing.front() == "esp4" ? "use a kernel with CONFIG_INET_ESP"
										  : "use a kernel with CONFIG_INET6_ESP if IPv6 matters");
		}
		else
		{
			add("esp", Health::ok, "the kernel has ESP");
		}
	}

	struct Entry
	{
		std::string name;
		const Json *fields;
	};

	/** PAD entries, those with the flag or the others. */
	[[nodiscard]] std::vector<Entry> entries(bool flagged) const
	{
		std::vector<Entry> found;
		for (const Json &event : facts_.pad)
		{
			for (const auto &[name, fields] : event.items())
			{
				if ((get(fields, "flag", "none") != "none") == flagged)
				{
					found.push_back({name, &fields});
				}
			}
		}
		return found;
	}

	static std::vector<std::string> list(const Json &fields, const char *name)
	{
		const auto found = fields.find(name);
		return found != fields.end() && found->is_array() ? found->get<std::vector<std::string>>()
														  : std::vector<std::string>();
	}

	void check_connections()
	{
		std::vector<std::string> usable;
		for (const Entry &entry : entries(true))
		{
			if (get(*entry.fields, "usable") == "yes")
			{
				usable.push_back(entry.name);
			}
			for (const std::string &finding : list(*entry.fields, "findings"))
			{
				const bool error = finding.starts_with("error: ");
				add("connection", error ? Health::error : Health::warning,
					"connection " + entry.name + ": " + finding.substr(finding.find(": ") + 2),
					error ? "nobody gets this connection until it is mended; then swanctl --load-all" : "");
			}
		}
		if (entries(true).empty())
		{
			add("connections", Health::warning, "no connection has groups = btns: strangers are not admitted",
				"btnsctl init writes one; then swanctl --load-all");
		}
		else if (usable.empty())
		{
			add("connections", Health::error, "no connection with groups = btns can be used");
		}
		else
		{
			add("connections", Health::ok, "for strangers: " + join(usable));
		}
	}

	/** Addresses, ranges and subnets that a connection names for the other side. */
	[[nodiscard]] std::vector<std::string> remote_addrs(const std::string &name) const
	{
		for (const Json &event : facts_.connections)
		{
			if (const auto found = event.find(name); found != event.end())
			{
				return list(*found, "remote_addrs");
			}
		}
		return {};
	}

	void check_reservations()
	{
		bool ok = true;
		for (const Entry &entry : entries(false))
		{
			for (const std::string &finding : list(*entry.fields, "findings"))
			{
				ok = false;
				add("reservation", Health::warning,
					"connection " + entry.name + ": " + finding.substr(finding.find(": ") + 2));
			}
		}
		for (const Entry &entry : entries(true))
		{
			for (const std::string &address : remote_addrs(entry.name))
			{
				for (const Entry &other : entries(false))
				{
					const auto reserves = list(*other.fields, "reserves");
					if (std::ranges::find(reserves, address) != reserves.end())
					{
						ok = false;
						add("reservation", Health::warning,
							"connection " + entry.name + " is for " + address + ", which connection " + other.name +
								" reserves: its peers get no CHILD_SA for that address",
							"leave the address to one of them");
					}
				}
			}
		}
		if (ok)
		{
			add("reservations", Health::ok,
				get(facts_.counters, "reserved-ranges", "some") + " ranges are reserved, none covers everything");
		}
	}

	void check_counters()
	{
		for (const auto &[code, what] :
			 {std::pair("internal-error", "internal errors"), std::pair("out-of-memory", "lack of memory")})
		{
			const std::string count = get(facts_.counters, std::string("refused-") + code, "0");
			if (count != "0")
			{
				add("counters", Health::warning, count + " peers or CHILD_SAs were refused because of " + what,
					"journalctl -u strongswan | grep btns");
			}
		}
	}

	void check_own_keys()
	{
		std::vector<std::string> good;
		bool found = false;
		for (const Json &cert : facts_.own_certs)
		{
			const auto key = read_public_key(get(cert, "data"));
			if (!key)
			{
				continue;
			}
			found = true;
			const std::string id = "btns:sha256:" + key->fingerprint;
			if (const std::string weak = weakness(*key); !weak.empty())
			{
				add("own-key", Health::error,
					std::string("this host's key ").append(id).append(" is weak: ").append(weak),
					"btnsctl keygen --name NEW, and pubkeys = NEW.pem in the connection");
			}
			else if (std::ranges::find(good, id) == good.end())
			{
				good.push_back(id);
			}
		}
		if (!good.empty())
		{
			add("own-keys", Health::ok, "this host can show " + join(good));
		}
		if (facts_.unreachable.empty() && !found)
		{
			add("own-key", Health::warning, "charon has no key of this host that it can show",
				"btnsctl keygen, pubkeys = me.pem in the connection, swanctl --load-all");
		}
	}

	void check_key_files()
	{
		size_t good = 0;
		for (const KeyFile &file : facts_.key_files)
		{
			bool ok = true;
			if ((file.mode & 077) != 0)
			{
				ok = false;
				add("key-file", Health::error, file.path + " can be read or changed by others than its owner",
					"chmod 600 " + file.path);
			}
			const std::string weak = file.key ? weakness(*file.key) : "";
			if (!weak.empty())
			{
				ok = false;
				add("key-file", Health::error, file.path + " is weak: " + weak, "btnsctl keygen makes another one");
			}
			good += ok ? 1 : 0;
		}
		if (good == facts_.key_files.size() && good > 0)
		{
			add("key-files", Health::ok, "private keys: " + std::to_string(good));
		}
	}

	void check_clock()
	{
		if (facts_.now < earliest)
		{
			add("clock", Health::error, "it is " + timestamp(facts_.now) + ", says the clock",
				"set the clock: certificates are not valid yet");
		}
		else if (!facts_.clock_synchronized)
		{
			add("clock", Health::warning, "the clock is not synchronized; it is " + timestamp(facts_.now),
				"timedatectl set-ntp true, if certificates are used or logs are compared");
		}
		else
		{
			add("clock", Health::ok, "the clock is synchronized");
		}
	}

	const Facts &facts_;
	std::vector<Check> checks_;
};

} // namespace

const char *to_text(Health health)
{
	switch (health)
	{
	case Health::ok:
		return "ok";
	case Health::warning:
		return "warning";
	case Health::error:
		break;
	}
	return "error";
}

std::vector<Check> examine(const Facts &facts)
{
	return Doctor(facts).run();
}

Health worst(const std::vector<Check> &checks)
{
	Health health = Health::ok;
	for (const Check &check : checks)
	{
		health = std::max(health, check.health);
	}
	return health;
}

} // namespace btnsctl
