/* SPDX-License-Identifier: MIT */
/**
 * @file table.h
 * Tables that are as wide as the terminal.
 */
#pragma once

#include <memory>
#include <string>
#include <vector>

struct libscols_table;

namespace btnsctl
{

/** How a column gives way when the terminal is narrow. */
enum class Fit
{
	whole,
	/** is cut, and first of all those that may be */
	cut,
	/** takes several lines */
	wrap,
	/** a number, at the right */
	right,
};

struct Column
{
	const char *name;
	Fit fit = Fit::whole;
};

/** Cells are made harmless, see safe(). */
class Table
{
public:
	/** @param heading	FALSE for a table without column names */
	explicit Table(const std::vector<Column> &columns, bool heading = true);
	void add(const std::vector<std::string> &cells);
	/** Print to standard output. Throws Failure if memory runs out. */
	void print() const;

private:
	struct Release
	{
		void operator()(libscols_table *table) const;
	};
	std::unique_ptr<libscols_table, Release> table_;
};

} // namespace btnsctl
