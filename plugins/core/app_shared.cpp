/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
#include "app_shared.h"

#include <chrono>

namespace btns
{

namespace
{

/** Lines that wait for being logged, at most. */
constexpr size_t lines_max = 64;

} // namespace

void AppLines::add(std::initializer_list<std::string_view> parts) noexcept
{
	const std::lock_guard lock(mutex_);
	const int64_t second = app_now() / 1000;
	if (second != second_)
	{
		second_ = second;
		in_second_ = 0;
	}
	if (ended_ || in_second_ >= per_second_ || lines_.size() >= lines_max)
	{
		left_out_++;
		return;
	}
	try
	{
		std::string line;
		for (const std::string_view part : parts)
		{
			line += part;
		}
		if (left_out_ > 0)
		{
			line += " (" + std::to_string(left_out_) + " lines before this one were left out)";
		}
		lines_.push_back(std::move(line));
		in_second_++;
		left_out_ = 0;
		changed_.notify_all();
	}
	catch (const std::bad_alloc &)
	{
		left_out_++;
	}
}

std::optional<std::string> AppLines::wait()
{
	std::unique_lock lock(mutex_);
	changed_.wait(lock, [this] { return ended_ || !lines_.empty(); });
	if (lines_.empty())
	{
		return std::nullopt;
	}
	std::string line = std::move(lines_.front());
	lines_.pop_front();
	return line;
}

void AppLines::end()
{
	const std::lock_guard lock(mutex_);
	ended_ = true;
	changed_.notify_all();
}

bool AppBarred::add(uid_t user) noexcept
{
	const std::lock_guard lock(mutex_);
	try
	{
		users_.insert(user);
		return true;
	}
	catch (const std::bad_alloc &)
	{
		return false;
	}
}

void AppBarred::remove(uid_t user)
{
	const std::lock_guard lock(mutex_);
	if (const auto found = users_.find(user); found != users_.end())
	{
		users_.erase(found);
	}
}

bool AppBarred::has(uid_t user) const
{
	const std::lock_guard lock(mutex_);
	return users_.contains(user);
}

std::optional<ChannelAnswer> AppSource::find(const Flow &flow)
{
	const std::lock_guard lock(mutex_);
	return source_ != nullptr ? std::optional(source_->find(flow)) : std::nullopt;
}

std::optional<uint64_t> AppSource::generation()
{
	const std::lock_guard lock(mutex_);
	return source_ != nullptr ? std::optional(source_->generation()) : std::nullopt;
}

void AppSource::remove()
{
	const std::lock_guard lock(mutex_);
	source_ = nullptr;
}

int64_t app_now()
{
	return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now().time_since_epoch())
		.count();
}

} // namespace btns
