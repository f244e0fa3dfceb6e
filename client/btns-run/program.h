/* SPDX-License-Identifier: MIT */
/**
 * @file program.h
 * Which programs load a library that LD_PRELOAD names: one that does not would run without latches, and nobody would
 * know.
 */
#ifndef BTNS_RUN_PROGRAM_H_
#define BTNS_RUN_PROGRAM_H_

#include <optional>
#include <string>

namespace btnsrun
{

/** Where a program is, looked for as execvp() does; nothing if it is nowhere. */
std::optional<std::string> find_program(const std::string &name, const char *path);

/**
 * Why a program would not be latched, a sentence; empty if it would. Looks at the file, and if it is a script at what
 * runs it.
 *
 * @param library	the library that is to be loaded: the program has to be of its kind
 */
std::string why_not(const std::string &program, const std::string &library);

} // namespace btnsrun

#endif /* BTNS_RUN_PROGRAM_H_ */
