/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
/**
 * @file core_state.h
 * All state of the core: what is behind a btns_core_t.
 */
#pragma once

#include <memory>
#include <mutex>
#include <unordered_set>

#include "app_counters.h"
#include "channel.h"
#include "latch_changes.h"
#include "pad_config.h"
#include "settings.h"
#include "side_table.h"
#include "stats.h"

namespace btns
{

class Latches;

/** Findings that are remembered as reported, at most. */
constexpr size_t reported_max = 16384;

/** A PAD that is being described. */
struct Draft
{
	EntryList entries;
	std::vector<Range> own;
};

/** Thread-safe. Configuration is read as snapshots: a decision sees one state of it. */
class Core
{
public:
	explicit Core(Settings settings);
	~Core();
	Core(const Core &) = delete;
	Core &operator=(const Core &) = delete;
	Core(Core &&) = delete;
	Core &operator=(Core &&) = delete;

	[[nodiscard]] std::shared_ptr<const Settings> settings() const;
	[[nodiscard]] std::shared_ptr<const PadConfig> pad() const;
	/** What set_null() has set stays. */
	void configure(Settings settings);
	void set_null(std::optional<NullSettings> null);
	void commit(Draft draft);

	struct NamedFinding
	{
		std::string name;
		Finding finding;
	};
	/** What protects a flow, for applications and people. */
	[[nodiscard]] const ChannelSource &channels() const { return table; }

	/** NULL if there is no latching. */
	[[nodiscard]] std::shared_ptr<Latches> latches() const;
	void set_latches(std::shared_ptr<Latches> latches);

	/** Findings that were not returned before. */
	std::vector<NamedFinding> new_findings();

	SideTable table;
	KeyMeter key_meter;
	Stats stats;
	/** also those of threads that are left when the core is gone */
	const std::shared_ptr<AppCounters> app_counters = std::make_shared<AppCounters>();
	/** the same of latches */
	const std::shared_ptr<LatchChanges> latch_changes = std::make_shared<LatchChanges>();

private:
	/** for the pointers */
	mutable std::mutex mutex_;
	std::shared_ptr<const Settings> settings_;
	std::shared_ptr<const PadConfig> pad_;
	std::shared_ptr<Latches> latches_;

	std::mutex reported_mutex_;
	/** hashes: a finding that is as long as the configuration makes it is not kept */
	std::unordered_set<size_t> reported_;
};

} // namespace btns
