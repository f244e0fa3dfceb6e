/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
#include "core_state.h"

#include "latches.h"

namespace btns
{

using Lock = std::lock_guard<std::mutex>;

Core::Core(Settings settings)
	: settings_(std::make_shared<const Settings>(std::move(settings))), pad_(std::make_shared<const PadConfig>())
{}

Core::~Core()
{
	if (latches_)
	{
		// others may have it, too
		latches_->stop();
	}
}

std::shared_ptr<const Settings> Core::settings() const
{
	const Lock lock(mutex_);
	return settings_;
}

std::shared_ptr<const PadConfig> Core::pad() const
{
	const Lock lock(mutex_);
	return pad_;
}

void Core::configure(Settings settings)
{
	const Lock lock(mutex_);
	settings.null = settings_->null;
	settings_ = std::make_shared<const Settings>(std::move(settings));
}

void Core::set_null(std::optional<NullSettings> null)
{
	const Lock lock(mutex_);
	Settings settings = *settings_;
	settings.null = null;
	settings_ = std::make_shared<const Settings>(std::move(settings));
}

void Core::commit(Draft draft)
{
	const auto current = settings();
	auto next = std::make_shared<const PadConfig>(std::move(draft.entries), draft.own, current->reserve,
												  current->null.has_value());
	const Lock lock(mutex_);
	pad_.swap(next);
}

std::shared_ptr<Latches> Core::latches() const
{
	const Lock lock(mutex_);
	return latches_;
}

void Core::set_latches(std::shared_ptr<Latches> latches)
{
	const Lock lock(mutex_);
	latches_.swap(latches);
}

std::vector<Core::NamedFinding> Core::new_findings()
{
	const auto config = pad();
	std::vector<NamedFinding> found;
	const Lock lock(reported_mutex_);
	for (const auto &[i, findings] : config->all_findings())
	{
		const std::string name(config->entries().name(i));
		for (const Finding &finding : findings)
		{
			if (reported_.size() >= reported_max)
			{
				// better told twice than never
				reported_.clear();
			}
			if (reported_.insert(std::hash<std::string>()(name + '\0' + finding.text)).second)
			{
				found.push_back({name, finding});
			}
		}
	}
	return found;
}

} // namespace btns
