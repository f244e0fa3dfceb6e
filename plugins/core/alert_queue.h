/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
/**
 * @file alert_queue.h
 * What the owner of latches has not heard yet.
 */
#pragma once

#include <algorithm>
#include <vector>

#include "latch.h"

namespace btns
{

/** First in, first out. Each alert has a number, one more than the one before. */
class AlertQueue
{
public:
	struct Alert
	{
		LatchId latch = 0;
		LatchId born = 0;
		LatchState state = LatchState::closed;
		LatchReason reason = LatchReason::none;
	};

	/** Room for so many more. Strong exception guarantee. */
	void make_room(size_t more)
	{
		if (count_ + more <= ring_.size())
		{
			return;
		}
		std::vector<Alert> larger(std::max(count_ + more, 2 * ring_.size()));
		for (size_t i = 0; i < count_; i++)
		{
			larger[i] = at(i);
		}
		ring_ = std::move(larger);
		head_ = 0;
	}

	/** There is room. Returns its number. */
	uint32_t push(const Alert &alert) noexcept
	{
		at(count_) = alert;
		return first_ + static_cast<uint32_t>(count_++);
	}

	/** The one with a number, NULL if it is not there (any more). */
	Alert *find(uint32_t number) noexcept
	{
		const uint32_t i = number - first_;
		return i < count_ ? &at(i) : nullptr;
	}

	/** There is one. */
	Alert take() noexcept
	{
		const Alert alert = at(0);
		first_++;
		count_--;
		head_ = count_ == 0 ? 0 : (head_ + 1) % ring_.size();
		if (count_ == 0)
		{
			std::vector<Alert>().swap(ring_);
		}
		return alert;
	}

	[[nodiscard]] size_t size() const { return count_; }
	[[nodiscard]] bool empty() const { return count_ == 0; }

private:
	Alert &at(size_t i) { return ring_[(head_ + i) % ring_.size()]; }

	std::vector<Alert> ring_;
	size_t head_ = 0;
	size_t count_ = 0;
	/** number of the first one */
	uint32_t first_ = 0;
};

} // namespace btns
