/* SPDX-License-Identifier: MIT */
/**
 * @file options.h
 * What btns-run was told, on its way to the library in the program: one variable of the environment.
 */
#ifndef BTNS_RUN_OPTIONS_H_
#define BTNS_RUN_OPTIONS_H_

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "btns.h"
#include "exceptions.h"

namespace btnsrun
{

/** The variable. Programs that the program starts have it, too. */
constexpr const char *variable = "BTNS_RUN";

struct Options
{
	/** go on without a latch where none is possible, and say so; else refuse the connection */
	bool report = false;
	/** latch connections over loopback, too */
	bool loopback = false;
	btns_latch_options_t latch = BTNS_LATCH_OPTIONS_INIT;
	std::string socket = BTNS_DEFAULT_SOCKET;
	/** file for what is said, empty for standard error */
	std::string log;
	/** as parse_exceptions() takes them */
	std::string except;

	bool operator==(const Options &other) const;
};

/** Printable, without spaces. */
std::string encode(const Options &options);
/** Nothing if it is not what encode() writes. */
std::optional<Options> decode(std::string_view text);

/** "sha256:" and 64 hexadecimal digits, also with "btns:" before. FALSE if it is none. */
bool parse_peer_key(std::string_view text, btns_latch_options_t &out);

} // namespace btnsrun

#endif /* BTNS_RUN_OPTIONS_H_ */
