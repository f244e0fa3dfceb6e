/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
#include "failing_new.h"

#include <cstdint>
#include <cstdlib>
#include <new>

namespace
{

thread_local size_t left = SIZE_MAX;

} // namespace

void *operator new(size_t size)
{
	if (left != SIZE_MAX && left-- == 0)
	{
		left = 0;
		throw std::bad_alloc();
	}
	if (void *memory = std::malloc(size == 0 ? 1 : size))
	{
		return memory;
	}
	throw std::bad_alloc();
}

void operator delete(void *memory) noexcept
{
	std::free(memory);
}

void operator delete(void *memory, size_t /*size*/) noexcept
{
	std::free(memory);
}

namespace btns::test
{

FailingNew::FailingNew(size_t working)
{
	left = working;
}

FailingNew::~FailingNew()
{
	left = SIZE_MAX;
}

} // namespace btns::test
