/* SPDX-License-Identifier: MIT */
#include "table.h"

#include <libsmartcols.h>

#include "failure.h"
#include "text.h"

namespace btnsctl
{

namespace
{

void demand(bool ok)
{
	if (!ok)
	{
		throw Failure(refused, "out of memory");
	}
}

int flags_of(Fit fit)
{
	switch (fit)
	{
	case Fit::cut:
		return SCOLS_FL_TRUNC;
	case Fit::wrap:
		return SCOLS_FL_WRAP;
	case Fit::right:
		return SCOLS_FL_RIGHT;
	case Fit::whole:
		break;
	}
	return 0;
}

} // namespace

void Table::Release::operator()(libscols_table *table) const
{
	scols_unref_table(table);
}

Table::Table(const std::vector<Column> &columns, bool heading) : table_(scols_new_table())
{
	demand(table_ != nullptr);
	scols_table_enable_noheadings(table_.get(), heading ? 0 : 1);
	for (const Column &column : columns)
	{
		demand(scols_table_new_column(table_.get(), column.name, 0, flags_of(column.fit)) != nullptr);
	}
}

void Table::add(const std::vector<std::string> &cells)
{
	libscols_line *line = scols_table_new_line(table_.get(), nullptr);
	demand(line != nullptr);
	for (size_t i = 0; i < cells.size(); i++)
	{
		demand(scols_line_set_data(line, i, safe(cells[i], is_utf8()).c_str()) == 0);
	}
}

void Table::print() const
{
	demand(scols_print_table(table_.get()) == 0);
}

} // namespace btnsctl
