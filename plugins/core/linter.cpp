/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
#include "linter.h"

#include <algorithm>

namespace btns
{

namespace
{

/** Looks at one entry in the company of the others. */
class Linter
{
public:
	Linter(std::span<const PadEntry> entries, const RangeSet &reserved, const PadEntry &entry)
		: entries_(entries), reserved_(reserved), entry_(entry)
	{}

	std::vector<Finding> run()
	{
		switch (entry_.flag.kind)
		{
		case BTNS_FLAG_NONE:
			check_unflagged();
			break;
		case BTNS_FLAG_BROKEN:
			error(
				"remote.groups has to have exactly one group of btns or btns:sha256:<64 hex digits>, and no other that "
				"begins with btns:");
			break;
		case BTNS_FLAG_NULL:
		case BTNS_FLAG_KNOWN:
			error("remote.groups asks for a kind of peer that this plugin does not admit, only btns and "
				  "btns:sha256:<64 hex digits> work");
			break;
		case BTNS_FLAG_ANY:
		case BTNS_FLAG_KEY:
			check_flagged();
			break;
		}
		return std::move(findings_);
	}

private:
	void error(std::string text) { findings_.push_back({BTNS_SEVERITY_ERROR, std::move(text)}); }
	void warn(std::string text) { findings_.push_back({BTNS_SEVERITY_WARNING, std::move(text)}); }

	void check_unflagged()
	{
		if (std::ranges::none_of(entries_, &PadEntry::is_flagged))
		{
			return;
		}
		for (const unsigned family : {4U, 6U})
		{
			if (std::ranges::any_of(entry_.reserves(), [family](const Range &range)
									{ return range.family == family && range.is_everything(); }))
			{
				warn("its traffic selectors or remote_addrs reserve every IPv" + std::to_string(family) +
					 " address: no stranger can get a CHILD_SA with one; list the protected subnets instead");
			}
		}
	}

	void check_flagged()
	{
		check_rounds();
		check_groups();
		check_pools();
		if (entry_.ike_version == 1)
		{
			error("version = 1 is not possible: strangers are admitted by IKEv2 only, set version = 2");
		}
		if (entry_.mobike)
		{
			warn("mobike is on, but an IKE_SA of a stranger that moves is deleted; set mobike = no");
		}
		check_wildcards();
		check_remote_ts();
	}

	void check_rounds()
	{
		if (entry_.rounds.size() != 1)
		{
			error("it has " + std::to_string(entry_.rounds.size()) +
				  " remote sections, but a stranger authenticates in exactly one round");
		}
		for (const PadEntry::Round &round : entry_.rounds)
		{
			if (round.auth != BTNS_CLASS_PUBKEY)
			{
				error("remote.auth has to be pubkey, a stranger has nothing but a key");
			}
			if (!round.any_id)
			{
				error("remote.id has to be %any, the identity of a stranger is its key");
			}
			if (round.cacerts)
			{
				error("remote.cacerts, ca_id and cacert are not possible with groups = btns: a stranger has no trusted "
					  "issuer");
			}
			if (round.certs)
			{
				error("remote.certs and remote.pubkeys are not possible with groups = btns: pin a key with "
					  "groups = btns:sha256:<64 hex digits>");
			}
		}
	}

	void check_groups()
	{
		for (const PadEntry::Round &round : entry_.rounds)
		{
			for (const std::string &group : round.groups)
			{
				if (!is_reserved_group(group))
				{
					error("remote.groups lists " + group + " beside a group of btns: make two connections of it");
				}
			}
		}
	}

	void check_pools()
	{
		for (const std::string &pool : entry_.pools)
		{
			for (const PadEntry &other : entries_)
			{
				if (&other == &entry_ || std::ranges::find(other.pools, pool) == other.pools.end())
				{
					continue;
				}
				std::string text = "pool " + pool + " is shared with connection " + other.name +
								   ": strangers need a pool of their own";
				if (other.is_flagged())
				{
					warn(std::move(text));
				}
				else
				{
					error(std::move(text));
				}
			}
		}
	}

	/** Do both take peers from one address? */
	[[nodiscard]] bool shares_addresses(const PadEntry &other) const
	{
		if (entry_.any_remote || other.any_remote)
		{
			return true;
		}
		return RangeSet(entry_.addrs).size() > 0 &&
			   std::ranges::any_of(other.addrs,
								   [own = RangeSet(entry_.addrs)](const Range &range) { return own.overlaps(range); });
	}

	void check_wildcards()
	{
		if (entry_.flag.kind != BTNS_FLAG_ANY)
		{
			return;
		}
		for (const PadEntry &other : entries_)
		{
			if (&other != &entry_ && other.flag.kind == BTNS_FLAG_ANY && shares_addresses(other))
			{
				warn("connection " + other.name +
					 " has groups = btns for the same addresses, too: which of both a stranger gets depends on the "
					 "order");
			}
		}
	}

	void check_remote_ts()
	{
		for (const Range &range : entry_.remote_ts)
		{
			if (range.first != range.last && reserved_.overlaps(range))
			{
				warn("remote_ts " + to_text(range) + " overlaps " + who_reserves(range) +
					 ": a CHILD_SA that needs such an address is refused");
			}
		}
	}

	[[nodiscard]] std::string who_reserves(const Range &range) const
	{
		for (const PadEntry &other : entries_)
		{
			for (const Range &reserved : other.reserves())
			{
				if (reserved.overlaps(range))
				{
					return to_text(reserved) + " of connection " + other.name;
				}
			}
		}
		return "addresses of this host, addresses with a special meaning or charon.plugins.btns.reserve";
	}

	std::span<const PadEntry> entries_;
	const RangeSet &reserved_;
	const PadEntry &entry_;
	std::vector<Finding> findings_;
};

} // namespace

std::vector<std::vector<Finding>> lint(std::span<const PadEntry> entries, const RangeSet &reserved)
{
	std::vector<std::vector<Finding>> all;
	all.reserve(entries.size());
	for (const PadEntry &entry : entries)
	{
		all.push_back(Linter(entries, reserved, entry).run());
	}
	return all;
}

bool is_usable(std::span<const Finding> findings)
{
	return std::ranges::none_of(findings, [](const Finding &f) { return f.severity == BTNS_SEVERITY_ERROR; });
}

} // namespace btns
