/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
/**
 * @file failing_new.h
 * Memory that runs out when a test says so.
 */
#pragma once

#include <cstddef>

namespace btns::test
{

/** While there is one, only so many allocations of this thread work (operator new); then std::bad_alloc. */
class FailingNew
{
public:
	explicit FailingNew(size_t working);
	~FailingNew();
	FailingNew(const FailingNew &) = delete;
	FailingNew &operator=(const FailingNew &) = delete;
	FailingNew(FailingNew &&) = delete;
	FailingNew &operator=(FailingNew &&) = delete;
};

} // namespace btns::test
