/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
/**
 * @file latch_bench.cpp
 * What the latch database costs with 1,000 to 1,000,000 latches: time to look which ones an SA conflicts with, and
 * memory for each.
 *
 * `ci/test bench` runs it. With 1,000,000 a check may take 5 microseconds in 99 of 100 cases as long as there are one
 * or no conflicts, and a latch 256 octets; and of a thousand times as many latches a check, whatever it finds, may take
 * ten times as long. It fails where that is not kept. Times may be larger by the factor
 * BTNS_BENCH_MARGIN, 1 if it is not set: whatever else runs on the machine empties the caches. Checks are timed one by
 * one, for 20,000 SAs in turn, and that five times. The least of each counts: an interrupt takes ten times as long as
 * what is measured. Memory is what the C library has given out, with what it needs itself (mallinfo2).
 */
#include <benchmark/benchmark.h>
#include <malloc.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <functional>
#include <iomanip>
#include <iostream>
#include <limits>
#include <map>
#include <memory>
#include <random>
#include <sstream>

#include "latch_database.h"

namespace
{

using btns::Address;
using btns::AddressValue;
using btns::Congruence;
using btns::Fingerprint;
using btns::LatchDatabase;
using btns::LatchTuple;
using btns::Range;

constexpr int64_t fewest = 1000;
constexpr int64_t most = 1'000'000;
constexpr double microseconds_max = 5;
constexpr double octets_max = 256;
/** of the median, from the fewest latches to the most: caches, and a few more levels of the trees */
constexpr double growth_max = 10;

constexpr uint8_t tcp = 6;
constexpr uint16_t service = 2049;
/** of the flows of one peer, and of those that a wide SA hits */
constexpr size_t several = 100;

size_t allocated()
{
	const struct mallinfo2 info = mallinfo2();
	return info.uordblks + info.hblkhd;
}

Fingerprint digest(uint64_t number)
{
	Fingerprint value{};
	// as a hash would, so that neighbours are no neighbours
	for (size_t i = 0; i < value.size(); i++)
	{
		number = number * 6364136223846793005U + 1442695040888963407U;
		value[i] = static_cast<uint8_t>(number >> 56);
	}
	return value;
}

Congruence of_peer(uint64_t number)
{
	return {digest(number), digest(0), BTNS_MODE_TUNNEL, true, true, ""};
}

/** An SA with what it points to. */
struct Sa
{
	[[nodiscard]] btns::LatchSa view() const { return {1, 0, {&local, 1}, {&remote, 1}, &congruence, nullptr}; }

	btns_ts_t local{};
	btns_ts_t remote{};
	Congruence congruence;
};

btns_ts_t selector(const Range &range, uint16_t first = 0, uint16_t last = 65535)
{
	btns_ts_t ts = btns::to_selector(range);
	ts.from_port = first;
	ts.to_port = last;
	return ts;
}

enum Query : uint8_t
{
	host_of_nobody,
	host_congruent,
	host_hits_one,
	host_hits_several,
	wide_other_port,
	wide_other_address,
	wide_congruent,
	wide_hits_one,
	wide_hits_several,
	queries,
};

constexpr std::array query_names{
	"host, no latch there",		"host, 100 latches congruent", "host and port, 1 hit",		  "host, 100 hits",
	"wide, another local port", "wide, another local address", "wide, half of all congruent", "wide, 1 hit",
	"wide, 100 hits",
};
constexpr std::array<size_t, queries> query_hits{0, 0, 1, several, 0, 0, 0, 1, several};

/**
 * A server with two addresses. Half of the latches are of hosts that are peers themselves, each with 100 connections;
 * the other half of hosts behind one gateway. A few have a local port of their own, alone, or together with 100 others.
 */
class Filled
{
public:
	Filled(size_t count, unsigned family, bool own_peers)
		: count_(count), family_(family), sets_(std::clamp<size_t>(count / 1000, 1, 64))
	{
		const size_t before = allocated();
		LatchDatabase::Limits limits;
		limits.latches = limits.per_owner = limits.alerts_per_owner = 2 * count;
		db = std::make_unique<LatchDatabase>(limits);
		peers_ = count / 2 / several;
		std::mt19937_64 random(1); // NOLINT(cert-msc51-cpp): the same in each run
		for (size_t peer = 0; peer < peers_; peer++)
		{
			for (size_t i = 0; i < several; i++)
			{
				add(service, host(peer), port(i), own_peers ? next_peer_++ : peer_number(peer));
			}
		}
		for (size_t set = 0; set < sets_; set++)
		{
			add(single(set), inside(random()), 1, gateway);
			for (size_t i = 0; i < several; i++)
			{
				add(together(set), inside(random()), port(i), own_peers ? next_peer_++ : gateway);
			}
		}
		while (db->size() < count)
		{
			// some of them may be there already
			add(service, inside(random()), port(random() % 50000), own_peers ? next_peer_++ : gateway);
		}
		octets = static_cast<double>(allocated() - before) / static_cast<double>(count);
	}

	[[nodiscard]] std::vector<Sa> make(Query query) const
	{
		std::mt19937_64 random(2 + query); // NOLINT(cert-msc51-cpp): the same in each run
		std::vector<Sa> sas;
		for (size_t i = 0; i < 20000; i++)
		{
			sas.push_back(make_one(query, random()));
		}
		return sas;
	}

	std::unique_ptr<LatchDatabase> db;
	double octets = 0;

private:
	static constexpr uint64_t gateway = 1;
	static constexpr uint64_t somebody = 2;

	static uint64_t peer_number(size_t peer) { return 10 + peer; }
	static uint16_t port(size_t i) { return static_cast<uint16_t>(1024 + i); }
	static uint16_t single(size_t set) { return static_cast<uint16_t>(10000 + set); }
	static uint16_t together(size_t set) { return static_cast<uint16_t>(20000 + set); }

	/** 198.18.0.0/15 or a network like that, and 10.0.0.0/8. */
	[[nodiscard]] AddressValue base(uint32_t bits) const
	{
		return family_ == 4 ? AddressValue{bits} : AddressValue{0x20010db800000000U + bits} << 64;
	}
	[[nodiscard]] Address host(size_t peer) const { return {family_, base(0xc6120000) + 3 * peer}; }
	[[nodiscard]] Address inside(uint64_t random) const { return {family_, base(0x0a000000) + (random & 0xffffff)}; }
	[[nodiscard]] Address own(unsigned i) const { return {family_, base(0xc0000200) + i}; }
	[[nodiscard]] Range everywhere() const { return btns::prefix_of({family_, 0}, 0); }

	void add(uint16_t local_port, const Address &remote, uint16_t remote_port, uint64_t peer)
	{
		const auto made = db->create({tcp, own(1), remote, local_port, remote_port}, 1, {});
		if (made.error == btns::LatchError::none)
		{
			db->establish(made.id, of_peer(peer), static_cast<uint32_t>(peer), true);
		}
	}

	[[nodiscard]] Sa make_one(Query query, uint64_t random) const
	{
		Sa sa;
		const size_t peer = random % peers_;
		const size_t set = random % sets_;
		sa.local = selector(btns::host_range(own(1)));
		sa.remote = selector(btns::host_range(host(peer)));
		sa.congruence = of_peer(somebody);
		switch (query)
		{
		case host_of_nobody:
			sa.remote = selector(btns::host_range({family_, host(peer).value + 1}));
			break;
		case host_congruent:
			sa.congruence = of_peer(peer_number(peer));
			break;
		case host_hits_one:
		{
			const uint16_t one = port(random / peers_ % several);
			sa.remote = selector(btns::host_range(host(peer)), one, one);
			break;
		}
		case wide_other_port:
			sa.local = selector(everywhere(), 30000 + random % 1000, 30000 + random % 1000);
			sa.remote = selector(everywhere());
			break;
		case wide_other_address:
			sa.local = selector(btns::host_range(own(2)));
			sa.remote = selector(everywhere());
			break;
		case wide_congruent:
			sa.remote = selector(btns::prefix_of(inside(0), family_ == 4 ? 8 : 64));
			sa.congruence = of_peer(gateway);
			break;
		case wide_hits_one:
			sa.local = selector(everywhere(), single(set), single(set));
			sa.remote = selector(everywhere());
			break;
		case wide_hits_several:
			sa.local = selector(everywhere(), together(set), together(set));
			sa.remote = selector(everywhere());
			break;
		default:
			break;
		}
		return sa;
	}

	size_t count_;
	unsigned family_;
	size_t sets_;
	size_t peers_ = 0;
	uint64_t next_peer_ = 1000000;
};

/** Made once for all runs with the same arguments: count, family, whether each latch has a peer of its own. */
Filled &filled(const benchmark::State &state)
{
	static std::unique_ptr<Filled> last;
	static std::array<int64_t, 3> made_for{};
	const std::array<int64_t, 3> arguments{state.range(0), state.range(1), state.range(2)};
	if (!last || made_for != arguments)
	{
		last.reset();
		malloc_trim(0);
		last = std::make_unique<Filled>(static_cast<size_t>(arguments[0]), static_cast<unsigned>(arguments[1]),
										arguments[2] != 0);
		made_for = arguments;
	}
	return *last;
}

/** Microseconds. */
double now()
{
	return std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

/** Microseconds: the middle, and what 99 of 100 are below. */
void report(benchmark::State &state, std::vector<double> &times)
{
	std::sort(times.begin(), times.end());
	state.counters["median"] = times[times.size() / 2];
	state.counters["p99"] = times[times.size() * 99 / 100];
}

/** Do something for each SA, again and again, and report the least times for each. */
void time_each(benchmark::State &state, const std::vector<Sa> &sas, const std::function<bool(const Sa &)> &action)
{
	std::vector<double> times(sas.size(), std::numeric_limits<double>::infinity());
	bool is_right = true;
	for (auto _ : state)
	{
		for (unsigned round = 0; round < 5; round++)
		{
			for (size_t i = 0; i < sas.size(); i++)
			{
				const double start = now();
				is_right = action(sas[i]) && is_right;
				times[i] = std::min(times[i], now() - start);
			}
		}
	}
	if (!is_right)
	{
		state.SkipWithError("a wrong answer");
		return;
	}
	report(state, times);
}

void conflicts(benchmark::State &state, Query query)
{
	const Filled &with = filled(state);
	time_each(state, with.make(query),
			  [&](const Sa &sa) { return with.db->conflicts(sa.view()).size() == query_hits[query]; });
}

/** A connection begins and ends. */
void comes_and_goes(benchmark::State &state)
{
	const Filled &with = filled(state);
	time_each(
		state, with.make(host_congruent),
		[&](const Sa &sa)
		{
			const auto remote = btns::to_range(sa.remote);
			const auto made = with.db->create({tcp, {remote->family, 1}, {remote->family, remote->first}, 7, 7}, 1, {});
			with.db->establish(made.id, sa.congruence, 1, true);
			return with.db->close(made.id, btns::LatchReason::released) == btns::LatchError::none;
		});
}

void memory(benchmark::State &state)
{
	for (auto _ : state)
	{
		state.counters["octets"] = filled(state).octets;
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
		std::cout << "Microseconds, median and 99th percentile, by the number of latches:\n\n"
				  << std::left << std::setw(38) << "" << std::right;
		for (int64_t count = fewest; count <= most; count *= 10)
		{
			std::cout << std::setw(15) << count;
		}
		return true;
	}

	/** Columns come one after the other, since what is asked is made for each count: rows are kept. */
	void ReportRuns(const std::vector<Run> &runs) override
	{
		for (const Run &run : runs)
		{
			if (run.error_occurred)
			{
				fail(run, run.error_message);
			}
			else
			{
				take(run);
			}
		}
	}

	void Finalize() override
	{
		for (const auto &[name, cells] : rows_)
		{
			std::cout << '\n' << std::left << std::setw(38) << name << std::right << cells;
		}
		std::cout << "\n\nat most, with " << most << ": " << microseconds_max * margin_
				  << " us in 99 of 100 cases with at most one conflict, " << growth_max << " times the median with "
				  << fewest << ", " << octets_max << " octets\n";
	}

	[[nodiscard]] bool all_kept() const { return checked_ > 0 && !failed_; }

private:
	void take(const Run &run)
	{
		const auto value = [&](const char *name)
		{
			const auto found = run.counters.find(name);
			return found != run.counters.end() ? found->second.value : -1;
		};
		std::ostringstream cell;
		cell << std::fixed << std::setprecision(value("octets") >= 0 ? 0 : 2);
		if (value("octets") >= 0)
		{
			cell << std::setw(15) << value("octets");
		}
		else
		{
			cell << std::setw(7) << value("median") << " /" << std::setw(6) << value("p99");
		}
		const std::string &name = run.run_name.function_name;
		const auto row =
			std::find_if(rows_.begin(), rows_.end(), [&](const auto &known) { return known.first == name; });
		(row != rows_.end() ? *row : rows_.emplace_back(name, "")).second += cell.str();
		std::cerr << run.benchmark_name() << ':' << cell.str() << '\n';
		const auto is_for = [&](int64_t count) { return run.run_name.args.starts_with(std::to_string(count) + "/"); };
		const bool is_check = value("octets") < 0 && name.find("comes") == std::string::npos;
		if (is_check && is_for(fewest))
		{
			with_fewest_[name] = value("median");
		}
		if (!is_for(most))
		{
			return;
		}
		if (value("octets") >= 0)
		{
			judge(run, value("octets"), octets_max, "octets");
		}
		if (is_check)
		{
			judge(run, value("median") / with_fewest_[name], growth_max, "times as long as with the fewest");
		}
		if (is_check && name.find("hits") == std::string::npos)
		{
			judge(run, value("p99"), microseconds_max * margin_, "us");
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
	std::vector<std::pair<std::string, std::string>> rows_;
	/** median of each check */
	std::map<std::string, double> with_fewest_;
	size_t checked_ = 0;
	bool failed_ = false;
};

void add(const std::string &name, const std::function<void(benchmark::State &)> &function,
		 const std::vector<int64_t> &arguments)
{
	benchmark::RegisterBenchmark(name.c_str(), function)->Args(arguments)->Iterations(1);
}

void add_all()
{
	for (const int64_t family : {4, 6})
	{
		const std::string what = "IPv" + std::to_string(family) + ", ";
		for (int64_t count = fewest; count <= most; count *= 10)
		{
			for (unsigned i = 0; i < queries; i++)
			{
				const auto query = static_cast<Query>(i);
				add(what + query_names[i], [query](benchmark::State &state) { conflicts(state, query); },
					{count, family, 0});
			}
			add(what + "comes and goes", comes_and_goes, {count, family, 0});
			add(what + "octets each", memory, {count, family, 0});
			add(what + "octets each, a peer each", memory, {count, family, 1});
		}
	}
}

} // namespace

int main(int argc, char **argv)
{
	benchmark::Initialize(&argc, argv);
	add_all();
	const char *margin = std::getenv("BTNS_BENCH_MARGIN"); // NOLINT(concurrency-mt-unsafe): one thread
	Results results(margin != nullptr ? std::strtod(margin, nullptr) : 1);
	benchmark::RunSpecifiedBenchmarks(&results);
	return results.all_kept() ? 0 : 1;
}
