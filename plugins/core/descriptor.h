/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
/**
 * @file descriptor.h
 * A descriptor that closes itself.
 */
#pragma once

#include <unistd.h>

#include <utility>

namespace btns
{

class Descriptor
{
public:
	Descriptor() = default;
	explicit Descriptor(int fd) : fd_(fd) {}
	Descriptor(Descriptor &&other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
	Descriptor &operator=(Descriptor &&other) noexcept
	{
		std::swap(fd_, other.fd_);
		return *this;
	}
	Descriptor(const Descriptor &) = delete;
	Descriptor &operator=(const Descriptor &) = delete;
	~Descriptor() { reset(); }

	explicit operator bool() const { return fd_ >= 0; }
	[[nodiscard]] int get() const { return fd_; }
	void reset()
	{
		if (fd_ >= 0)
		{
			::close(std::exchange(fd_, -1));
		}
	}

private:
	int fd_ = -1;
};

} // namespace btns
