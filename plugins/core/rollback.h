/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
/**
 * @file rollback.h
 * What has to be undone if something after it throws.
 */
#pragma once

#include <utility>

namespace btns
{

/** Calls a function at its end, unless all went well. @tparam Undo	does not throw */
template <typename Undo>
class Rollback
{
public:
	explicit Rollback(Undo undo) : undo_(std::move(undo)) {}
	~Rollback()
	{
		if (is_due_)
		{
			undo_();
		}
	}
	Rollback(const Rollback &) = delete;
	Rollback &operator=(const Rollback &) = delete;
	Rollback(Rollback &&) = delete;
	Rollback &operator=(Rollback &&) = delete;

	/** All went well. */
	void cancel() { is_due_ = false; }

private:
	Undo undo_;
	bool is_due_ = true;
};

} // namespace btns
