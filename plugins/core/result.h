/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
/**
 * @file result.h
 * A value, or the reason why there is none.
 */
#pragma once

#include <optional>
#include <utility>

#include "btns/core.h"

namespace btns
{

/** What a check of hostile input yields. Converts from both, so that a function just returns the one or the other. */
template <typename T>
class Result
{
public:
	Result(T value) : value_(std::move(value)) {}	  // NOLINT(google-explicit-constructor)
	Result(btns_reason_t reason) : reason_(reason) {} // NOLINT(google-explicit-constructor)

	explicit operator bool() const { return value_.has_value(); }
	/** BTNS_REASON_NONE if there is a value. */
	[[nodiscard]] btns_reason_t reason() const { return reason_; }

	/** The value; must be there. */
	[[nodiscard]] const T &operator*() const { return *value_; }
	[[nodiscard]] const T *operator->() const { return &*value_; }

private:
	std::optional<T> value_;
	btns_reason_t reason_ = BTNS_REASON_NONE;
};

} // namespace btns
