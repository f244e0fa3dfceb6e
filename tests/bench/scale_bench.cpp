/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
/**
 * @file scale_bench.cpp
 * What the core's decisions cost with 100 to 1,000,000 address ranges or PAD entries: time for one, memory for each.
 *
 * `ci/test bench` runs it. With 1,000,000 a decision may take 1 microsecond of CPU time and a range or an entry 64
 * octets; taking over 100,000 connections may take 1 second. It fails where that is not kept. Times may be larger by
 * the factor BTNS_BENCH_MARGIN, 2 if it is not set: whatever else runs on the machine empties the caches. The least of
 * five runs counts. Memory is what the C library has given out, with what it needs itself (mallinfo2): nothing is
 * estimated.
 */
#include <benchmark/benchmark.h>
#include <malloc.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <iomanip>
#include <iostream>
#include <memory>
#include <random>
#include <sstream>
#include <string>

#include "interval_index.h"
#include "name_index.h"
#include "pad.h"
#include "pad_config.h"

namespace
{

using btns::AddressValue;
using btns::Range;

constexpr int64_t fewest = 100;
constexpr int64_t most = 1'000'000;
constexpr int64_t reloaded = 100'000;
constexpr double octets_max = 64;
constexpr double nanoseconds_max = 1000;
constexpr double reload_milliseconds_max = 1000;

/** What IKE_SAs hold, as in HoldingIndex: owners are as large as the pointers there. */
using Held = btns::IntervalIndex<size_t>;

size_t allocated()
{
	const struct mallinfo2 info = mallinfo2();
	return info.uordblks + info.hblkhd;
}

/** Addresses that look random, the same in each run. */
class Addresses
{
public:
	explicit Addresses(unsigned family) : family_(family) {}

	AddressValue next()
	{
		AddressValue value = random_();
		return family_ == 4 ? value & 0xffffffff : value << 64 | random_();
	}

	Range host()
	{
		const AddressValue address = next();
		return {family_, address, address};
	}

private:
	unsigned family_;
	std::mt19937_64 random_{1}; // NOLINT(cert-msc51-cpp): the same in each run
};

/** Of one family: apart from each other, or networks and smaller ones in them. */
std::vector<Range> make_ranges(unsigned family, bool overlapping, size_t count)
{
	std::vector<Range> ranges;
	const unsigned bits = family == 4 ? 32 : 128;
	// the upper 21 bits number networks, so there is space between them
	const unsigned spread = bits - 21;
	Addresses addresses(family);
	for (size_t i = 0; i < count; i++)
	{
		if (overlapping)
		{
			// hosts, and one network in eight
			ranges.push_back(btns::prefix_of({family, addresses.next()}, i % 8 == 0 ? bits - 8 : bits));
		}
		else
		{
			const AddressValue first = AddressValue{i * 2} << spread;
			ranges.push_back({family, first, first + (AddressValue{1} << (spread - 2))});
		}
	}
	std::shuffle(ranges.begin(), ranges.end(), std::mt19937_64{2}); // NOLINT(cert-msc51-cpp): the same in each run
	return ranges;
}

/** Hosts to ask for: few enough to keep, too many for a cache to know the way to each. */
std::vector<Range> make_queries(unsigned family)
{
	std::vector<Range> queries;
	Addresses addresses(family);
	for (size_t i = 0; i < 65536; i++)
	{
		queries.push_back(addresses.host());
	}
	return queries;
}

/** Made once for all runs with the same arguments, since it takes longer than the runs. */
template <typename Fixture>
Fixture &prepared(const benchmark::State &state)
{
	static std::unique_ptr<Fixture> last;
	static std::vector<int64_t> made_for;
	std::vector<int64_t> arguments;
	for (int i = 0; i < Fixture::arguments; i++)
	{
		arguments.push_back(state.range(static_cast<size_t>(i)));
	}
	if (!last || made_for != arguments)
	{
		last.reset();
		last = std::make_unique<Fixture>(arguments);
		made_for = arguments;
	}
	return *last;
}

/** Arguments: count, family, overlapping. */
template <typename Set>
struct Filled
{
	static constexpr int arguments = 3;

	explicit Filled(const std::vector<int64_t> &arguments)
		: family(static_cast<unsigned>(arguments[1])),
		  ranges(make_ranges(family, arguments[2] != 0, static_cast<size_t>(arguments[0]))),
		  queries(make_queries(family))
	{
		const size_t before = allocated();
		set = std::make_unique<Set>(fill());
		octets = static_cast<double>(allocated() - before - malloc_usable_size(set.get())) /
				 static_cast<double>(ranges.size());
	}

	[[nodiscard]] Set fill() const
	{
		if constexpr (std::is_same_v<Set, btns::RangeSet>)
		{
			return Set(ranges);
		}
		else
		{
			Set index;
			for (size_t i = 0; i < ranges.size(); i++)
			{
				index.insert(ranges[i], i);
			}
			return index;
		}
	}

	unsigned family;
	std::vector<Range> ranges;
	std::vector<Range> queries;
	std::unique_ptr<Set> set;
	double octets = 0;
};

/** Does somebody have this address? Half of the hosts asked for are somebody's. */
template <typename Set>
void reserved_check(benchmark::State &state)
{
	const auto &filled = prepared<Filled<Set>>(state);
	state.counters["octets"] = filled.octets;
	size_t i = 0;
	for (auto _ : state)
	{
		benchmark::DoNotOptimize(filled.set->overlaps(filled.queries[i++ % filled.queries.size()]));
	}
}

/** A peer goes and comes back. */
void held_changes(benchmark::State &state)
{
	auto &filled = prepared<Filled<Held>>(state);
	size_t i = 0;
	for (auto _ : state)
	{
		const size_t peer = i++ % filled.ranges.size();
		benchmark::DoNotOptimize(filled.set->remove(filled.ranges[peer], peer));
		benchmark::DoNotOptimize(filled.set->insert(filled.ranges[peer], peer));
	}
}

/** An identity as it is on the wire. */
struct Name
{
	unsigned type;
	std::vector<uint8_t> octets;
};

enum Kind : uint8_t
{
	domain,
	user,
	dn,
	key_id,
	ipv4,
	wildcard_domain,
	kinds,
};

constexpr std::array kind_names{"FQDN", "RFC822", "DN", "KEY_ID", "IPv4", "*.FQDN", "all kinds"};

std::vector<uint8_t> octets(const std::string &text)
{
	return {text.begin(), text.end()};
}

/** One element of DER with less than 128 octets. */
std::vector<uint8_t> element(uint8_t tag, const std::vector<std::vector<uint8_t>> &parts)
{
	std::vector<uint8_t> out{tag, 0};
	for (const auto &part : parts)
	{
		out.insert(out.end(), part.begin(), part.end());
	}
	out[1] = static_cast<uint8_t>(out.size() - 2);
	return out;
}

/** C=CH, O=Example, CN=... */
std::vector<uint8_t> make_dn(const std::string &common_name)
{
	const auto part = [](uint8_t attribute, const std::string &value) {
		return element(0x31,
					   {element(0x30, {element(0x06, {{0x55, 0x04, attribute}}), element(0x0c, {octets(value)})})});
	};
	return element(0x30, {part(6, "CH"), part(10, "Example"), part(3, common_name)});
}

/** The identity of a number. What is configured for it and what its peer claims differ in wildcards only. */
Name make_name(Kind kind, size_t number, bool claimed)
{
	const std::string digits = std::to_string(number);
	switch (kind)
	{
	case user:
		return {3, octets("user" + digits + "@example.org")};
	case dn:
		return {9, make_dn("host" + digits)};
	case key_id:
		return {11, octets("key-" + digits)};
	case ipv4:
		return {1,
				{static_cast<uint8_t>(number >> 24), static_cast<uint8_t>(number >> 16),
				 static_cast<uint8_t>(number >> 8), static_cast<uint8_t>(number)}};
	case wildcard_domain:
		return {2, octets((claimed ? "laptop" : "*") + ("." + digits + ".example.org"))};
	default:
		return {2, octets("host" + digits + ".example.org")};
	}
}

/** One for an authenticated peer that needs no range of its own: those are counted with the ranges. */
btns::PadEntry make_entry(size_t number)
{
	btns::PadEntry entry{};
	entry.name = "connection-" + std::to_string(number);
	entry.ike_version = 2;
	entry.any_remote = true;
	entry.rounds.push_back({BTNS_CLASS_PUBKEY, false, false, false, {}});
	return entry;
}

/** The PAD with entries for authenticated peers, and one for strangers. Arguments: count, kind (kinds: all in turn). */
struct Pad
{
	static constexpr int arguments = 2;

	struct Claim
	{
		Name name;
		btns_choice_t expected;
	};

	explicit Pad(const std::vector<int64_t> &arguments) : count(static_cast<size_t>(arguments[0])), kind(arguments[1])
	{
		const size_t before = allocated();
		btns::EntryList entries;
		for (size_t i = 0; i < count; i++)
		{
			entries.append(make_entry(i));
			const Name name = make_name(kind_of(i), i, false);
			names.add(static_cast<uint32_t>(i), name.type, name.octets);
		}
		btns::PadEntry strangers = make_entry(count);
		strangers.name = "strangers";
		strangers.flag.kind = BTNS_FLAG_ANY;
		strangers.rounds[0].any_id = true;
		strangers.rounds[0].groups = {"btns"};
		entries.append(strangers);
		names.seal();
		config = std::make_unique<btns::PadConfig>(std::move(entries), std::vector<Range>(), btns::RangeSet());
		octets = static_cast<double>(allocated() - before) / static_cast<double>(count);

		std::mt19937_64 random(3); // NOLINT(cert-msc51-cpp): the same in each run
		for (size_t i = 0; i < 16384; i++)
		{
			const size_t known = random() % count;
			const size_t unknown = count + random() % most;
			claims.push_back({make_name(kind_of(known), known, true), BTNS_CHOICE_NAMED});
			claims.push_back({make_name(kind_of(unknown), unknown, true), BTNS_CHOICE_STRANGER});
		}
	}

	[[nodiscard]] Kind kind_of(size_t number) const
	{
		return static_cast<Kind>(kind == kinds ? number % kinds : static_cast<size_t>(kind));
	}

	size_t count;
	int64_t kind;
	btns::NameIndex names;
	std::unique_ptr<btns::PadConfig> config;
	double octets = 0;
	std::vector<Claim> claims;
};

/** Decide over a claim as the plugin does for an IKE_AUTH, with what charon offers: the entry for strangers. */
btns_choice_t decide(const Pad &pad, const Name &name, const std::array<uint8_t, BTNS_FINGERPRINT_LEN> &key)
{
	btns_claim_t claim{};
	claim.ike_version = 2;
	claim.auth = BTNS_AUTH_SIGNATURE;
	claim.vouched = BTNS_NO;
	claim.key_known = true;
	claim.fingerprint = key.data();
	claim.named_by_entry = pad.names.find(name.type, name.octets, false, [](uint32_t) { return true; });
	btns_candidate_t candidate{};
	candidate.flag = BTNS_FLAG_ANY;
	candidate.usable = true;
	candidate.offered = true;
	const btns::Verdict verdict = btns::pad_lookup(claim, {&candidate, 1});
	if (verdict.choice == BTNS_CHOICE_STRANGER && !pad.config->admits("strangers", BTNS_FLAG_ANY, key))
	{
		return BTNS_CHOICE_NONE;
	}
	return verdict.choice;
}

/** Half of the claims are somebody's. */
void pad_decision(benchmark::State &state)
{
	const Pad &pad = prepared<Pad>(state);
	state.counters["octets"] = pad.octets;
	const std::array<uint8_t, BTNS_FINGERPRINT_LEN> key{1};
	size_t i = 0;
	for (auto _ : state)
	{
		const Pad::Claim &claim = pad.claims[i++ % pad.claims.size()];
		if (decide(pad, claim.name, key) != claim.expected)
		{
			state.SkipWithError("a wrong decision");
			break;
		}
	}
}

/** All that the core does when connections were loaded: each has an identity, and two ranges. */
void rebuild(benchmark::State &state)
{
	const auto count = static_cast<size_t>(state.range(0));
	btns_options_t options;
	btns_options_default(&options);
	const std::unique_ptr<btns_core_t, decltype(&btns_core_destroy)> core(btns_core_create(&options),
																		  btns_core_destroy);
	btns_round_t round{};
	round.auth = BTNS_CLASS_PUBKEY;
	std::array<btns_ts_t, 2> ts{};
	ts[0].family = 4;
	ts[1].family = 6;
	ts[1].from[0] = ts[1].to[0] = 0x20;
	for (auto _ : state)
	{
		btns_config_t *config = btns_config_begin(core.get());
		btns_names_t *names = btns_names_create();
		for (size_t i = 0; i < count; i++)
		{
			const std::string text = "connection-" + std::to_string(i);
			for (btns_ts_t &selector : ts)
			{
				for (size_t octet = 0; octet < 3; octet++)
				{
					selector.from[octet + 1] = selector.to[octet + 1] = static_cast<uint8_t>(i >> (16 - 8 * octet));
				}
			}
			btns_entry_t entry{};
			entry.name = text.c_str();
			entry.ike_version = 2;
			entry.rounds = &round;
			entry.round_count = 1;
			entry.any_remote = true;
			entry.remote_ts = ts.data();
			entry.remote_ts_count = ts.size();
			const Name name = make_name(static_cast<Kind>(i % kinds), i, false);
			if (btns_config_add(config, &entry) != BTNS_STATUS_OK ||
				btns_names_add(names, static_cast<uint32_t>(i), name.type, {name.octets.data(), name.octets.size()}) !=
					BTNS_STATUS_OK)
			{
				state.SkipWithError("an entry is not taken");
			}
		}
		if (btns_names_seal(names) != BTNS_STATUS_OK || btns_config_commit(core.get(), config) != BTNS_STATUS_OK ||
			!btns_config_usable(core.get(), count - 1))
		{
			state.SkipWithError("the configuration is not taken");
		}
		btns_names_destroy(names);
	}
}

/** Makes a table of what was measured, and says what is above the limits. */
class Results : public benchmark::BenchmarkReporter
{
public:
	explicit Results(double margin) : margin_(margin) {}

	bool ReportContext(const Context &context) override
	{
		PrintBasicContext(&std::cerr, context);
		std::cout << "CPU time of one decision in nanoseconds, by the number of ranges or entries:\n\n"
				  << std::left << std::setw(32) << "" << std::right;
		for (int64_t count = fewest; count <= most; count *= 10)
		{
			std::cout << std::setw(9) << count;
		}
		std::cout << std::setw(12) << "octets each";
		return true;
	}

	void ReportRuns(const std::vector<Run> &runs) override
	{
		for (const Run &run : runs)
		{
			if (run.error_occurred)
			{
				fail(run, run.error_message);
			}
			else if (run.run_type == Run::RT_Aggregate && run.aggregate_name == "least")
			{
				show(run);
			}
		}
	}

	void Finalize() override { std::cout << "\n\n" << footer_; }

	[[nodiscard]] bool all_kept() const { return checked_ > 0 && !failed_; }

private:
	void show(const Run &run)
	{
		const double time = run.GetAdjustedCPUTime();
		const auto &name = run.run_name.function_name;
		if (name == "rebuild")
		{
			footer_ = std::to_string(reloaded) + " connections are taken over in " +
					  std::to_string(static_cast<int>(time)) + " ms\n";
			judge(run, time, reload_milliseconds_max * margin_, "ms");
			return;
		}
		if (name != row_)
		{
			row_ = name;
			std::cout << '\n' << std::left << std::setw(32) << name << std::right;
		}
		std::cout << std::setw(9) << std::fixed << std::setprecision(0) << time << std::flush;
		if (!run.run_name.args.starts_with(std::to_string(most)))
		{
			return;
		}
		if (const auto found = run.counters.find("octets"); found != run.counters.end())
		{
			std::cout << std::setw(12) << std::setprecision(1) << found->second.value << std::flush;
			judge(run, found->second.value, octets_max, "octets");
			judge(run, time, nanoseconds_max * margin_, "ns");
		}
	}

	void judge(const Run &run, double value, double max, const char *unit)
	{
		checked_++;
		if (value > max)
		{
			std::ostringstream what;
			what << value << ' ' << unit << ", more than " << max;
			fail(run, what.str());
		}
	}

	void fail(const Run &run, const std::string &why)
	{
		failed_ = true;
		std::cerr << run.benchmark_name() << ": " << why << '\n';
	}

	double margin_;
	std::string row_;
	std::string footer_;
	size_t checked_ = 0;
	bool failed_ = false;
};

/** What disturbs a run only adds to its time. */
double least(const std::vector<double> &values)
{
	return *std::ranges::min_element(values);
}

/** One line of the table: arguments are a count and these. */
void add_row(const std::string &name, void (*function)(benchmark::State &), const std::vector<int64_t> &arguments)
{
	for (int64_t count = fewest; count <= most; count *= 10)
	{
		std::vector<int64_t> all{count};
		all.insert(all.end(), arguments.begin(), arguments.end());
		benchmark::RegisterBenchmark(name.c_str(), function)
			->Args(all)
			->Iterations(1 << 17)
			->Repetitions(5)
			->ReportAggregatesOnly()
			->ComputeStatistics("least", least);
	}
}

void add_all()
{
	for (const int64_t family : {4, 6})
	{
		for (const int64_t overlapping : {0, 1})
		{
			const std::string what = "IPv" + std::to_string(family) + (overlapping != 0 ? " overlapping" : " disjoint");
			add_row("reserved, " + what, reserved_check<btns::RangeSet>, {family, overlapping});
			add_row("held, " + what, reserved_check<Held>, {family, overlapping});
			add_row("held, " + what + ", change", held_changes, {family, overlapping});
		}
	}
	for (int64_t kind = 0; kind <= kinds; kind++)
	{
		add_row(std::string("PAD, ") + kind_names.at(static_cast<size_t>(kind)), pad_decision, {kind});
	}
	benchmark::RegisterBenchmark("rebuild", rebuild)
		->Arg(reloaded)
		->Iterations(1)
		->Repetitions(3)
		->ReportAggregatesOnly()
		->ComputeStatistics("least", least)
		->Unit(benchmark::kMillisecond);
}

} // namespace

int main(int argc, char **argv)
{
	benchmark::Initialize(&argc, argv);
	add_all();
	const char *margin = std::getenv("BTNS_BENCH_MARGIN"); // NOLINT(concurrency-mt-unsafe): one thread
	Results results(margin != nullptr ? std::strtod(margin, nullptr) : 2);
	benchmark::RunSpecifiedBenchmarks(&results);
	return results.all_kept() ? 0 : 1;
}
