/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
#include "linter.h"

#include <algorithm>
#include <set>
#include <unordered_map>

#include "interval_index.h"

namespace btns
{

namespace
{

/** The first few entries of a kind. */
using Some = std::set<size_t>;

void add_to(Some &some, size_t i)
{
	// one of these may be the entry that is looked at
	if (some.size() <= others_max)
	{
		some.insert(i);
	}
}

/** What there is to know of all entries while one of them is looked at. */
class Company
{
public:
	Company(const EntryList &entries, const RangeSet &reserved) : entries_(entries), reserved_(reserved)
	{
		for (size_t i = 0; i < entries.size(); i++)
		{
			any_flagged_ = any_flagged_ || entries.flag(i).kind != BTNS_FLAG_NONE;
		}
		// nothing that is collected here is looked at otherwise
		for (size_t i = 0; any_flagged_ && i < entries.size(); i++)
		{
			add(i, entries[i]);
		}
	}

	[[nodiscard]] bool any_flagged() const { return any_flagged_; }
	[[nodiscard]] const RangeSet &reserved() const { return reserved_; }
	[[nodiscard]] std::string name(size_t i) const { return std::string(entries_.name(i)); }

	struct PoolUsers
	{
		Some flagged;
		Some others;
	};
	/** Who has a pool. */
	[[nodiscard]] const PoolUsers &users(const std::string &pool) const { return pools_.at(pool); }

	/** Wildcards that take peers from an address from which this one takes them. */
	[[nodiscard]] Some wildcards_for(const PadEntry &entry) const
	{
		if (entry.any_remote)
		{
			return wildcards_;
		}
		Some found = anywhere_;
		for (const Range &range : entry.addrs)
		{
			somewhere_.for_each_overlap(range,
										[&](const Range &, size_t i)
										{
											add_to(found, i);
											return found.size() <= others_max;
										});
		}
		return found;
	}

	[[nodiscard]] std::string who_reserves(const Range &range)
	{
		// all entries have to be looked at: not for each of very many
		if (searches_++ >= others_max)
		{
			return "what is reserved";
		}
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

private:
	void add(size_t i, const PadEntry &entry)
	{
		for (const std::string &pool : entry.pools)
		{
			PoolUsers &users = pools_[pool];
			add_to(entry.is_flagged() ? users.flagged : users.others, i);
		}
		if (entry.flag.kind != BTNS_FLAG_ANY)
		{
			return;
		}
		add_to(wildcards_, i);
		if (entry.any_remote)
		{
			add_to(anywhere_, i);
		}
		for (const Range &range : entry.addrs)
		{
			somewhere_.insert(range, i);
		}
	}

	const EntryList &entries_;
	const RangeSet &reserved_;
	bool any_flagged_ = false;
	std::unordered_map<std::string, PoolUsers> pools_;
	/** entries with groups = btns: some of all, some of those for any address, and those for certain addresses */
	Some wildcards_;
	Some anywhere_;
	IntervalIndex<size_t> somewhere_;
	size_t searches_ = 0;
};

/** Looks at one entry in the company of the others. */
class Linter
{
public:
	Linter(Company &company, size_t self, const PadEntry &entry) : company_(company), self_(self), entry_(entry) {}

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
		if (!company_.any_flagged())
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
			const Company::PoolUsers &users = company_.users(pool);
			Some all = users.flagged;
			all.insert(users.others.begin(), users.others.end());
			for (const size_t i : all)
			{
				if (i == self_)
				{
					continue;
				}
				std::string text = "pool " + pool + " is shared with connection " + company_.name(i) +
								   ": strangers need a pool of their own";
				if (users.flagged.contains(i))
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

	void check_wildcards()
	{
		if (entry_.flag.kind != BTNS_FLAG_ANY)
		{
			return;
		}
		for (const size_t i : company_.wildcards_for(entry_))
		{
			if (i != self_)
			{
				warn("connection " + company_.name(i) +
					 " has groups = btns for the same addresses, too: which of both a stranger gets depends on the "
					 "order");
			}
		}
	}

	void check_remote_ts()
	{
		for (const Range &range : entry_.remote_ts)
		{
			if (range.first != range.last && company_.reserved().overlaps(range))
			{
				warn("remote_ts " + to_text(range) + " overlaps " + company_.who_reserves(range) +
					 ": a CHILD_SA that needs such an address is refused");
			}
		}
	}

	Company &company_;
	size_t self_;
	const PadEntry &entry_;
	std::vector<Finding> findings_;
};

} // namespace

Findings lint(const EntryList &entries, const RangeSet &reserved)
{
	Findings all;
	Company company(entries, reserved);
	for (size_t i = 0; i < entries.size(); i++)
	{
		auto findings = Linter(company, i, entries[i]).run();
		if (!findings.empty())
		{
			all.emplace_hint(all.end(), i, std::move(findings));
		}
	}
	return all;
}

bool is_usable(std::span<const Finding> findings)
{
	return std::ranges::none_of(findings, [](const Finding &f) { return f.severity == BTNS_SEVERITY_ERROR; });
}

} // namespace btns
