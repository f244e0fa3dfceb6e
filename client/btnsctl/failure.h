/* SPDX-License-Identifier: MIT */
/**
 * @file failure.h
 * What ends the program, and with which exit status. The manual page lists them.
 */
#pragma once

#include <stdexcept>
#include <string>

namespace btnsctl
{

enum Status
{
	/** the answer is yes, or there was nothing to answer */
	done = 0,
	/** the answer is no: an error was found, the peer would be refused, there is no binding */
	no = 1,
	/** the command line makes no sense */
	usage = 2,
	/** charon cannot be reached, or is gone */
	unreachable = 3,
	/** charon has no btns plugin, or one without what is asked for */
	no_plugin = 4,
	/** charon or the plugin answered with an error */
	refused = 5,
	/** a file is there already, or cannot be read or written */
	file = 6,
};

/** A sentence for the user, and a status. */
class Failure : public std::runtime_error
{
public:
	Failure(Status status, const std::string &text) : std::runtime_error(text), status_(status) {}
	[[nodiscard]] Status status() const { return status_; }

private:
	Status status_;
};

} // namespace btnsctl
