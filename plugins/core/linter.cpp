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

/** Does it take every peer of its kind? */
bool is_wildcard(const PadEntry &entry)
{
	return entry.flag.kind == BTNS_FLAG_ANY || entry.flag.kind == BTNS_FLAG_NULL;
}

/** What there is to know of all entries while one of them is looked at. */
class Company
{
public:
	Company(const EntryList &entries, const RangeSet &reserved, bool nulls)
		: entries_(entries), reserved_(reserved), nulls_(nulls)
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
	[[nodiscard]] bool nulls() const { return nulls_; }
	[[nodiscard]] std::string name(size_t i) const { return std::string(entries_.name(i)); }

	struct PoolUsers
	{
		Some flagged;
		Some others;
	};
	/** Who has a pool. */
	[[nodiscard]] const PoolUsers &users(const std::string &pool) const { return pools_.at(pool); }

	/** Those of the same kind that take every such peer, from an address from which this one takes them. */
	[[nodiscard]] Some wildcards_for(const PadEntry &entry) const
	{
		const Wildcards &kind = entry.flag.kind == BTNS_FLAG_NULL ? null_wildcards_ : key_wildcards_;
		if (entry.any_remote)
		{
			return kind.all;
		}
		Some found = kind.anywhere;
		for (const Range &range : entry.addrs)
		{
			kind.somewhere.for_each_overlap(range,
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
		if (!is_wildcard(entry))
		{
			return;
		}
		Wildcards &kind = entry.flag.kind == BTNS_FLAG_NULL ? null_wildcards_ : key_wildcards_;
		add_to(kind.all, i);
		if (entry.any_remote)
		{
			add_to(kind.anywhere, i);
		}
		for (const Range &range : entry.addrs)
		{
			kind.somewhere.insert(range, i);
		}
	}

	const EntryList &entries_;
	/** some of all, some of those for any address, and those for certain addresses */
	struct Wildcards
	{
		Some all;
		Some anywhere;
		IntervalIndex<size_t> somewhere;
	};

	const RangeSet &reserved_;
	bool nulls_;
	bool any_flagged_ = false;
	std::unordered_map<std::string, PoolUsers> pools_;
	/** entries with groups = btns, and with groups = btns:null */
	Wildcards key_wildcards_;
	Wildcards null_wildcards_;
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
				"remote.groups has to have exactly one group of btns, btns:sha256:<64 hex digits> or btns:null, and no "
				"other that begins with btns:");
			break;
		case BTNS_FLAG_KNOWN:
			error("remote.groups asks for a kind of peer that this plugin does not admit, only btns, "
				  "btns:sha256:<64 hex digits> and btns:null work");
			break;
		case BTNS_FLAG_NULL:
			check_null();
			check_flagged();
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
		if (entry_.local_null && !company_.nulls())
		{
			warn("local.id = \"{13}:\" is NULL authentication, which needs the plugin btns-null, and that is not "
				 "loaded: without it "
				 "strongSwan looks for a shared secret that fits");
		}
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

	[[nodiscard]] bool is_null() const { return entry_.flag.kind == BTNS_FLAG_NULL; }

	void check_null()
	{
		if (!company_.nulls())
		{
			error("groups = btns:null needs the plugin btns-null, which is not loaded");
		}
		if (entry_.local_auth == BTNS_CLASS_EAP)
		{
			error("local.auth = eap is not possible with groups = btns:null: who uses EAP has to authenticate the "
				  "responder");
		}
		if (entry_.local_auth == BTNS_CLASS_PSK && !entry_.local_null)
		{
			error(
				"local.auth = psk is not possible with groups = btns:null: anybody could try to guess the secret from "
				"what is shown; for NULL authentication on this side, too, set local.id = \"{13}:\"");
		}
	}

	void check_local()
	{
		if (entry_.local_null && entry_.local_rounds != 1)
		{
			error("it has " + std::to_string(entry_.local_rounds) +
				  " local sections, but NULL authentication is done in exactly one round");
		}
		if (entry_.local_null && !is_null() && !company_.nulls())
		{
			error("local.id = \"{13}:\" is NULL authentication, which needs the plugin btns-null, and that is not "
				  "loaded");
		}
	}

	void check_flagged()
	{
		check_local();
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

	[[nodiscard]] std::string group() const { return is_null() ? "btns:null" : "btns"; }

	void check_rounds()
	{
		if (entry_.rounds.size() != 1)
		{
			error("it has " + std::to_string(entry_.rounds.size()) +
				  " remote sections, but a stranger authenticates in exactly one round");
		}
		for (const PadEntry::Round &round : entry_.rounds)
		{
			if (is_null() && round.auth != BTNS_CLASS_PSK)
			{
				error("remote.auth has to be psk with groups = btns:null, which means NULL authentication there");
			}
			if (!is_null() && round.auth != BTNS_CLASS_PUBKEY)
			{
				error(
					"remote.auth has to be pubkey, a stranger has nothing but a key; psk goes with groups = btns:null "
					"only");
			}
			if (!round.any_id)
			{
				error(is_null() ? "remote.id has to be %any, whatever a NULL peer calls itself means nothing"
								: "remote.id has to be %any, the identity of a stranger is its key");
			}
			if (round.cacerts)
			{
				error("remote.cacerts, ca_id and cacert are not possible with groups = " + group() +
					  ": a stranger has no trusted issuer");
			}
			if (round.certs)
			{
				error(is_null()
						  ? "remote.certs and remote.pubkeys are not possible with groups = btns:null: a NULL peer has "
							"no key"
						  : "remote.certs and remote.pubkeys are not possible with groups = btns: pin a key with "
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
		if (!is_wildcard(entry_))
		{
			return;
		}
		for (const size_t i : company_.wildcards_for(entry_))
		{
			if (i != self_)
			{
				warn("connection " + company_.name(i) + " has groups = " + group() +
					 " for the same addresses, too: which of both a stranger gets depends on the order");
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

Findings lint(const EntryList &entries, const RangeSet &reserved, bool nulls)
{
	Findings all;
	Company company(entries, reserved, nulls);
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
