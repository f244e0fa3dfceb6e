/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
#include "latch_changes.h"

#include <utility>

#include "thread_shell.h"

namespace btns
{

void LatchChanges::watch()
{
	std::vector<LatchChange> ring(most_);
	const std::lock_guard lock(mutex_);
	ring_.swap(ring);
	first_ = count_ = 0;
	lost_ = 0;
}

void LatchChanges::stop() noexcept
{
	const std::lock_guard lock(mutex_);
	std::vector<LatchChange>().swap(ring_);
	count_ = 0;
	come_.notify_all();
}

void LatchChanges::push(const LatchChange &change) noexcept
{
	const std::lock_guard lock(mutex_);
	if (ring_.empty())
	{
		return;
	}
	if (count_ == ring_.size())
	{
		first_ = (first_ + 1) % ring_.size();
		count_--;
		lost_++;
	}
	ring_[(first_ + count_) % ring_.size()] = change;
	count_++;
	come_.notify_one();
}

std::optional<LatchChange> LatchChanges::wait()
{
	const NoCancel none;
	std::unique_lock lock(mutex_);
	come_.wait(lock, [this] { return ring_.empty() || count_ != 0; });
	if (ring_.empty())
	{
		return std::nullopt;
	}
	LatchChange next = ring_[first_];
	next.lost = std::exchange(lost_, 0);
	first_ = (first_ + 1) % ring_.size();
	count_--;
	return next;
}

} // namespace btns
