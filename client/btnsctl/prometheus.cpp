/* SPDX-License-Identifier: MIT */
#include "prometheus.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <string_view>

namespace btnsctl
{

namespace
{

struct Metric
{
	const char *field;
	const char *name;
	const char *type;
	const char *help;
};

/** In this order; what else the plugin counts comes after them. */
constexpr std::array metrics{
	Metric{"accepted", "btns_accepted_total", "counter", "Peers that were accepted as BTNS peers."},
	Metric{"refused", "btns_refused_total", "counter", "Refusals of peers and CHILD_SAs, by the code of the reason."},
	Metric{"evicted", "btns_evicted_total", "counter",
		   "BTNS IKE_SAs that had to go for an authenticated peer or a change of the configuration."},
	Metric{"peers", "btns_peers", "gauge", "BTNS peers now."},
	Metric{"null-peers", "btns_null_peers", "gauge", "Those of them that used NULL authentication."},
	Metric{"children", "btns_children", "gauge", "CHILD_SAs of BTNS peers now."},
	Metric{"half-open", "btns_half_open", "gauge", "Peers that have begun and are not authenticated yet."},
	Metric{"key-time", "btns_key_seconds_total", "counter", "Nominal CPU time that went into the keys of strangers."},
	Metric{"key-sources", "btns_key_sources", "gauge", "Sources whose keys are metered now."},
	Metric{"records", "btns_records", "gauge", "IKE_SAs of which the plugin remembers something now."},
	Metric{"reserved-ranges", "btns_reserved_ranges", "gauge", "Ranges of addresses that are reserved now."},
};

constexpr std::string_view refused_prefix = "refused-";

bool is_counter(const std::string &value)
{
	return !value.empty() && std::ranges::all_of(value, [](unsigned char c) { return std::isdigit(c) != 0; });
}

/** As part of a name: [a-z0-9_] */
std::string to_name(std::string_view text)
{
	std::string name;
	for (const unsigned char c : text)
	{
		name += std::isalnum(c) != 0 ? static_cast<char>(std::tolower(c)) : '_';
	}
	return name;
}

std::string head(const std::string &name, const char *type, const char *help)
{
	return (*help != '\0' ? "# HELP " + name + " " + help + "\n" : "") + "# TYPE " + name + " " + type + "\n";
}

/** Milliseconds as seconds. */
std::string seconds(const std::string &milliseconds)
{
	std::string padded = milliseconds;
	padded.insert(0, padded.size() < 4 ? 4 - padded.size() : 0, '0');
	return padded.insert(padded.size() - 3, ".");
}

/** One line for each code. */
std::string refusals(const Json &stats, const std::string &name)
{
	std::string text;
	for (const auto &[field, value] : stats.items())
	{
		if (field.starts_with(refused_prefix) && value.is_string() && is_counter(value.get<std::string>()))
		{
			std::string code;
			for (const char c : std::string_view(field).substr(refused_prefix.size()))
			{
				code += c == '\\' || c == '"' ? std::string("\\") + c
						: c == '\n'			  ? std::string("\\n")
											  : std::string(1, c);
			}
			text.append(name)
				.append("{code=\"")
				.append(code)
				.append("\"} ")
				.append(value.get<std::string>())
				.append("\n");
		}
	}
	return text;
}

} // namespace

std::string prometheus(const Json &stats)
{
	std::string text;
	for (const Metric &metric : metrics)
	{
		const std::string value = get(stats, metric.field);
		const std::string_view field = metric.field;
		if (!is_counter(value))
		{
			continue;
		}
		text += head(metric.name, metric.type, metric.help);
		text += field == "refused"	  ? refusals(stats, metric.name)
				: field == "key-time" ? std::string(metric.name) + " " + seconds(value) + "\n"
									  : std::string(metric.name) + " " + value + "\n";
	}
	for (const auto &[field, value] : stats.items())
	{
		const bool known =
			field.starts_with(refused_prefix) ||
			std::ranges::any_of(metrics, [&field = field](const Metric &metric) { return field == metric.field; });
		if (!known && value.is_string() && is_counter(value.get<std::string>()))
		{
			const std::string name = "btns_" + to_name(field);
			text += head(name, "untyped", "") + name + " " + value.get<std::string>() + "\n";
		}
	}
	return text;
}

} // namespace btnsctl
