/* SPDX-License-Identifier: MIT */
#include "json.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <string_view>

namespace btnsctl
{

namespace
{

/** Fields that are numbers wherever they are. */
constexpr std::array number_fields{
	"uniqueid",		"key-bits", "established", "child-sas", "child", "local-port", "remote-port",
	"old-uniqueid", "latch",	"client",	   "listener",	"reqid", "lost",
};

bool is_number_field(std::string_view name)
{
	return std::ranges::find(number_fields, name) != number_fields.end();
}

/** A number that fits, or the string as it is. */
Json number_or_text(const std::string &text)
{
	int64_t number = 0;
	const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
	return error == std::errc() && end == text.data() + text.size() && !text.empty() ? Json(number) : Json(text);
}

} // namespace

std::string get(const Json &message, const std::string &field, const std::string &otherwise)
{
	const auto found = message.find(field);
	return found != message.end() && found->is_string() ? found->get<std::string>() : otherwise;
}

Json typed(const Json &message)
{
	if (!message.is_structured())
	{
		return message;
	}
	Json out = message.is_array() ? Json::array() : Json::object();
	for (const auto &[name, value] : message.items())
	{
		Json item = value.is_string() && message.is_object() && is_number_field(name)
						? number_or_text(value.get<std::string>())
						: typed(value);
		if (message.is_array())
		{
			out.push_back(std::move(item));
		}
		else
		{
			out[name] = std::move(item);
		}
	}
	return out;
}

std::string to_text(const Json &json, bool pretty)
{
	return json.dump(pretty ? 2 : -1, ' ', true, Json::error_handler_t::replace);
}

} // namespace btnsctl
