/* SPDX-License-Identifier: MIT */
/**
 * @file show.cpp
 * Commands that show what charon and the plugin have.
 */
#include <algorithm>
#include <charconv>
#include <ctime>
#include <iostream>

#include "commands.h"
#include "keys.h"
#include "prometheus.h"
#include "table.h"
#include "text.h"

namespace btnsctl
{

namespace
{

using Rows = std::vector<std::vector<std::string>>;

void print_table(const std::vector<Column> &columns, const Rows &rows, bool heading = true)
{
	Table table(columns, heading);
	for (const auto &row : rows)
	{
		table.add(row);
	}
	table.print();
}

int64_t to_number(const std::string &text)
{
	int64_t number = 0;
	std::from_chars(text.data(), text.data() + text.size(), number);
	return number;
}

std::string list(const Json &message, const std::string &field)
{
	const auto found = message.find(field);
	return found != message.end() && found->is_array() ? join(found->get<std::vector<std::string>>()) : "";
}

/** Sections of one name each as an array of objects that have the name, too. */
Json named(const Messages &messages, const char *field)
{
	Json all = Json::array();
	for (const Json &message : messages)
	{
		for (const auto &[name, section] : message.items())
		{
			Json item = Json::object();
			item[field] = name;
			item.update(section);
			all.push_back(std::move(item));
		}
	}
	return all;
}

std::string key_of(const Json &peer)
{
	if (get(peer, "auth") == "null")
	{
		return "none, NULL authentication";
	}
	return get(peer, "key-type") == "RSA" ? "RSA " + get(peer, "key-bits") : get(peer, "key-type");
}

/** "5 (max-peers 3, no-key 2)" */
std::string refusals(const Json &stats)
{
	constexpr std::string_view prefix = "refused-";
	std::vector<std::string> codes;
	for (const auto &[field, value] : stats.items())
	{
		if (field.starts_with(prefix) && value != "0")
		{
			codes.push_back(field.substr(prefix.size()) + " " + value.get<std::string>());
		}
	}
	return get(stats, "refused", "0") + (codes.empty() ? "" : " (" + join(codes) + ")");
}

/** Our own public keys, as charon has them. */
std::vector<std::string> own_keys(Vici &vici)
{
	std::vector<std::string> keys;
	for (const Json &cert : vici.stream("list-certs", "list-cert", {{"type", "ANY"}}))
	{
		const auto key = get(cert, "has_privkey") == "yes" ? read_public_key(get(cert, "data")) : std::nullopt;
		const std::string id = key ? "btns:sha256:" + key->fingerprint : "";
		if (key && std::ranges::find(keys, id) == keys.end())
		{
			keys.push_back(id);
		}
	}
	return keys;
}

void print_bindings(const std::string &what, const Json &answer)
{
	Rows rows{{what, get(answer, "protection")}};
	const auto row = [&](const char *name, const std::string &value)
	{
		if (!value.empty())
		{
			rows.push_back({name, value});
		}
	};
	const auto code = get(answer, "code");
	row("reason", code.empty() ? "" : get(answer, "reason") + " (" + code + ")");
	row("IKE_SA",
		get(answer, "uniqueid").empty() ? "" : "#" + get(answer, "uniqueid") + " " + get(answer, "connection"));
	row("CHILD_SA", get(answer, "child").empty()
						? ""
						: "#" + get(answer, "child") + " " + get(answer, "child-name") + ", " + get(answer, "mode"));
	row("encryption", get(answer, "encryption-algorithm"));
	row("integrity", get(answer, "integrity-algorithm"));
	row("we are", get(answer, "local-method") +
					  (get(answer, "local-fingerprint").empty() ? "" : ", key " + get(answer, "local-fingerprint")));
	row("peer is", get(answer, "authorized-id"));
	row("by", get(answer, "peer-method") +
				  (get(answer, "peer-fingerprint").empty() ? "" : ", key " + get(answer, "peer-fingerprint")));
	row("calls itself", get(answer, "asserted-id"));
	if (const auto bindings = answer.find("bindings"); bindings != answer.end())
	{
		for (const auto &[name, binding] : bindings->items())
		{
			const std::string value = get(binding, "bare");
			row(name.c_str(),
				value.empty() ? "none: " + get(binding, "reason") + " (" + get(binding, "code") + ")" : value);
		}
	}
	print_table({{"WHAT"}, {"VALUE", Fit::wrap}}, rows, false);
}

/** Is there a binding of any type? */
bool has_binding(const Json &answer)
{
	const auto bindings = answer.find("bindings");
	return bindings != answer.end() &&
		   std::ranges::any_of(*bindings, [](const Json &binding) { return !get(binding, "bare").empty(); });
}

/** "192.0.2.1:80" or "[2001:db8::1]:80" as an address and a port. */
std::pair<std::string, std::string> split_port(const std::string &text)
{
	const size_t colon = text.rfind(':');
	if (text.starts_with("[") && text.ends_with("]"))
	{
		return {text.substr(1, text.size() - 2), ""};
	}
	if (text.starts_with("[") && colon != std::string::npos && text[colon - 1] == ']')
	{
		return {text.substr(1, colon - 2), text.substr(colon + 1)};
	}
	return std::ranges::count(text, ':') == 1 ? std::pair(text.substr(0, colon), text.substr(colon + 1))
											  : std::pair(text, std::string());
}

/** An end of a latch's flow: "[2001:db8::1]:80", "192.0.2.1:*", "*:80" */
std::string end_of(const Json &message, const std::string &host, const std::string &port)
{
	const std::string address = get(message, host);
	const std::string shown = address.find(':') != std::string::npos ? "[" + address + "]" : address;
	return (address.empty() ? "*" : shown) + ":" + get(message, port, "*");
}

std::string protocol_of(const Json &message)
{
	const std::string number = get(message, "protocol");
	return number == "6" ? "tcp" : number == "17" ? "udp" : number;
}

} // namespace

std::string describe_latch(const Json &latch)
{
	const bool is_listener = get(latch, "state") == "listener" || get(latch, "remote").empty();
	return protocol_of(latch) + " " + end_of(latch, "local", "local-port") +
		   (is_listener ? "" : " " + end_of(latch, "remote", "remote-port"));
}

void print_json(const Json &json, bool pretty)
{
	std::cout << to_text(json, pretty) << std::endl;
}

Status show_status(const Common &common)
{
	Vici vici(common.uri);
	const Json daemon = vici.request("version");
	const Json stats = vici.request("stats");
	const Json counters = vici.request("btns-stats");
	Json plugin = Json::object();
	try
	{
		plugin = vici.request("btns-version");
	}
	catch (const Failure &failure)
	{
		// one that is older has none
		if (failure.status() != no_plugin)
		{
			throw;
		}
	}
	const Json pad = named(vici.stream("btns-list-pad", "btns-pad"), "connection");
	const auto keys = own_keys(vici);
	Json strangers = Json::array();
	std::ranges::copy_if(pad, std::back_inserter(strangers),
						 [](const Json &entry) { return get(entry, "flag") != "none"; });
	if (common.json)
	{
		print_json({{"daemon", daemon},
					{"uptime", stats.value("uptime", Json::object())},
					{"plugin", plugin},
					{"own-keys", keys},
					{"connections", strangers},
					{"stats", counters}});
		return done;
	}
	Rows rows;
	const Json uptime = stats.value("uptime", Json::object());
	rows.push_back({"charon", "strongSwan " + get(daemon, "version") + ", up " + get(uptime, "running")});
	rows.push_back({"plugin", "btns " + get(plugin, "version", "(older than btnsctl)")});
	for (const std::string &key : keys)
	{
		rows.push_back({"own key", key});
	}
	for (const Json &entry : strangers)
	{
		rows.push_back({"strangers", "connection " + get(entry, "connection") + ", groups = " + get(entry, "flag") +
										 (get(entry, "usable") == "yes" ? "" : ": NOT USABLE, see btnsctl pad")});
	}
	if (strangers.empty())
	{
		rows.push_back({"strangers", "no connection has groups = btns"});
	}
	const std::string nobody = get(counters, "null-peers", "0");
	rows.push_back({"peers", get(counters, "peers") + (nobody == "0" ? "" : ", " + nobody + " without a key,") +
								 " with " + get(counters, "children") + " CHILD_SAs, " + get(counters, "half-open") +
								 " half-open"});
	rows.push_back({"accepted", get(counters, "accepted")});
	rows.push_back({"refused", refusals(counters)});
	rows.push_back({"evicted", get(counters, "evicted")});
	print_table({{"WHAT"}, {"VALUE", Fit::wrap}}, rows, false);
	return done;
}

Status show_peers(const Common &common, const PeersOptions &options)
{
	Vici vici(common.uri);
	Json filter = Json::object();
	if (!options.uniqueid.empty())
	{
		filter["uniqueid"] = options.uniqueid;
	}
	if (!options.connection.empty())
	{
		filter["connection"] = options.connection;
	}
	const Json peers = vici.stream("btns-list-peers", "btns-peer", filter);
	if (common.json)
	{
		print_json(typed(peers));
		return done;
	}
	Rows rows;
	const int64_t now = time(nullptr);
	for (const Json &peer : peers)
	{
		const int64_t since = to_number(get(peer, "established"));
		rows.push_back({get(peer, "uniqueid"), get(peer, "connection"), get(peer, "remote-host"),
						get(peer, "fingerprint"), key_of(peer), get(peer, "role"),
						since == 0 ? "-" : duration(now - since), get(peer, "child-sas"), get(peer, "asserted-id")});
	}
	print_table({{"ID", Fit::right},
				 {"CONNECTION"},
				 {"REMOTE"},
				 {"FINGERPRINT", Fit::cut},
				 {"KEY"},
				 {"ROLE"},
				 {"UP"},
				 {"CHILDREN", Fit::right},
				 {"ASSERTED ID", Fit::cut}},
				rows);
	return done;
}

Status show_pad(const Common &common, const std::string &connection)
{
	Vici vici(common.uri);
	Json filter = Json::object();
	if (!connection.empty())
	{
		filter["connection"] = connection;
	}
	const Json pad = named(vici.stream("btns-list-pad", "btns-pad", filter), "connection");
	if (common.json)
	{
		print_json(pad);
		return done;
	}
	Rows rows;
	for (const Json &entry : pad)
	{
		rows.push_back({get(entry, "connection"), get(entry, "flag"), get(entry, "usable"), list(entry, "reserves")});
	}
	print_table({{"CONNECTION"}, {"FLAG", Fit::cut}, {"USABLE"}, {"RESERVES", Fit::wrap}}, rows);
	for (const Json &entry : pad)
	{
		for (const Json &finding : entry.value("findings", Json::array()))
		{
			std::cout << "\n"
					  << safe(get(entry, "connection"), is_utf8()) << ": "
					  << safe(finding.get<std::string>(), is_utf8()) << "\n";
		}
	}
	return done;
}

Status show_bindings(const Common &common, const BindingsOptions &options)
{
	Vici vici(common.uri);
	Json fields = Json::object();
	std::string what;
	if (!options.uniqueid.empty())
	{
		fields["uniqueid"] = options.uniqueid;
		what = "IKE_SA #" + options.uniqueid;
	}
	else if (!options.child.empty())
	{
		fields["child"] = options.child;
		what = "CHILD_SA #" + options.child;
	}
	else if (!options.flow.empty())
	{
		fields["protocol"] = options.flow.at(0);
		for (const auto &[side, text] :
			 {std::pair("local", options.flow.at(1)), std::pair("remote", options.flow.at(2))})
		{
			const auto [address, port] = split_port(text);
			fields[side] = address;
			if (!port.empty())
			{
				fields[std::string(side) + "-port"] = port;
			}
		}
		what = join(options.flow, " ");
	}
	if (!fields.empty())
	{
		const Json answer = vici.request("btns-get-bindings", fields);
		if (common.json)
		{
			print_json(typed(answer));
		}
		else
		{
			print_bindings(what, answer);
		}
		return has_binding(answer) ? done : no;
	}
	Json all = Json::array();
	for (const Json &message : vici.stream("list-sas", "list-sa"))
	{
		for (const auto &[name, sa] : message.items())
		{
			if (get(sa, "state") != "ESTABLISHED" && get(sa, "state") != "REKEYING")
			{
				continue;
			}
			try
			{
				all.push_back(vici.request("btns-get-bindings", {{"uniqueid", get(sa, "uniqueid")}}));
			}
			catch (const Failure &failure)
			{
				// it has gone meanwhile, or the plugin was loaded after it came
				if (failure.status() != refused)
				{
					throw;
				}
			}
		}
	}
	if (all.empty() && !vici.has_plugin())
	{
		throw Failure(no_plugin, "charon runs without the btns plugin: see btnsctl doctor");
	}
	if (common.json)
	{
		print_json(typed(all));
		return done;
	}
	Rows rows;
	for (const Json &answer : all)
	{
		const Json none = Json::object();
		const Json bindings = answer.value("bindings", none);
		for (const auto &[name, binding] : bindings.items())
		{
			const std::string value = get(binding, "bare");
			rows.push_back({get(answer, "uniqueid"), get(answer, "connection"), get(answer, "remote-host"),
							get(answer, "peer-method"), name, value.empty() ? "none: " + get(binding, "code") : value});
		}
	}
	print_table({{"ID", Fit::right}, {"CONNECTION"}, {"REMOTE"}, {"PEER BY"}, {"BINDING"}, {"VALUE", Fit::cut}}, rows);
	return done;
}

Status latches(const Common &common, const LatchesOptions &options)
{
	Vici vici(common.uri);
	if (!options.close.empty())
	{
		const Json answer = vici.request("btns-close-latch", {{"latch", options.close}});
		if (common.json)
		{
			print_json(answer);
		}
		return done;
	}
	Messages all = vici.stream("btns-list-latches", "btns-latch");
	std::erase_if(all,
				  [&](const Json &latch) { return !options.state.empty() && get(latch, "state") != options.state; });
	if (common.json)
	{
		print_json(typed(all));
		return done;
	}
	Rows rows;
	for (const Json &latch : all)
	{
		const std::string code = get(latch, "code");
		const std::string fingerprint = get(latch, "peer-fingerprint");
		const std::string identity = get(latch, "authorized-id");
		rows.push_back({get(latch, "latch"), get(latch, "state") + (code.empty() ? "" : " (" + code + ")"),
						describe_latch(latch), get(latch, "client"), get(latch, "uniqueid"), get(latch, "peer-method"),
						identity.empty() && !fingerprint.empty() ? "btns:sha256:" + fingerprint : identity});
	}
	print_table({{"LATCH", Fit::right},
				 {"STATE"},
				 {"CONNECTION"},
				 {"CLIENT", Fit::right},
				 {"IKE_SA", Fit::right},
				 {"PEER BY"},
				 {"PEER", Fit::cut}},
				rows);
	return done;
}

Status show_stats(const Common &common, bool as_prometheus, bool all)
{
	Vici vici(common.uri);
	const Json stats = vici.request("btns-stats");
	if (as_prometheus)
	{
		std::cout << prometheus(stats) << std::flush;
		return done;
	}
	if (common.json)
	{
		Json numbers = Json::object();
		for (const auto &[name, value] : stats.items())
		{
			numbers[name] = std::stoull(value.get<std::string>());
		}
		print_json(numbers);
		return done;
	}
	Rows rows;
	for (const auto &[name, value] : stats.items())
	{
		if (all || !name.starts_with("refused-") || value != "0")
		{
			rows.push_back({name, value.get<std::string>()});
		}
	}
	print_table({{"COUNTER"}, {"VALUE", Fit::right}}, rows);
	return done;
}

Status explain(const Common &common, const ExplainOptions &options)
{
	Json fields = Json::object();
	const auto add = [&fields](const char *name, const std::string &value)
	{
		if (!value.empty())
		{
			fields[name] = value;
		}
	};
	add("remote-host", options.remote);
	add("local-host", options.local);
	add("asserted-id", options.id);
	add("local-id", options.local_id);
	add("auth", options.auth);
	add("virtual-ip", options.virtual_ip);
	add("mode", options.mode);
	add("connection", options.initiate);
	add("role", options.initiate.empty() ? "" : "initiator");
	constexpr std::string_view prefix = "btns:sha256:";
	add("fingerprint",
		options.fingerprint.starts_with(prefix) ? options.fingerprint.substr(prefix.size()) : options.fingerprint);
	if (!options.local_ts.empty())
	{
		fields["local-ts"] = options.local_ts;
	}
	if (!options.remote_ts.empty())
	{
		fields["remote-ts"] = options.remote_ts;
	}
	if (is_hex(options.key))
	{
		add("key", options.key);
		add("encoding", options.encoding);
	}
	else if (!options.key.empty())
	{
		const auto shown = read_key(read_file(options.key));
		if (!shown)
		{
			throw Failure(file, "there is no key in " + safe(options.key) + ", or a passphrase is needed for it");
		}
		add("key", to_hex(shown->body));
		add("encoding", shown->encoding);
	}
	Vici vici(common.uri);
	Json answer = vici.request("btns-explain", fields);
	const bool allowed = get(answer, "peer") == "accepted" && get(answer, "child-sa") == "allowed";
	if (common.json)
	{
		print_json(answer);
		return allowed ? done : no;
	}
	Rows rows;
	for (const auto &[number, step] : answer["steps"].items())
	{
		const std::string code = get(step, "code");
		rows.push_back({get(step, "result") == "ok" ? "ok" : "NO", get(step, "step"),
						get(step, "text") + (code.empty() ? "" : " [" + code + "]")});
	}
	print_table({{"RESULT"}, {"STEP"}, {"WHAT", Fit::wrap}}, rows, false);
	const std::string code = get(answer, "code");
	const std::string why = code.empty() ? "" : " (" + code + ")";
	std::string outcome;
	if (get(answer, "peer") == "accepted")
	{
		outcome = "accepted as a BTNS peer by connection " + get(answer, "connection") +
				  (allowed ? ", with a CHILD_SA of " + get(answer, "child") + ": local " + list(answer, "local-ts") +
								 ", remote " + list(answer, "remote-ts")
						   : ", but refused a CHILD_SA" + why);
	}
	else if (get(answer, "peer") == "authenticates")
	{
		outcome = "no stranger" + why + ": has to authenticate by connection " + list(answer, "connections");
	}
	else
	{
		outcome = "refused" + why;
	}
	std::cout << "\n" << safe(outcome, is_utf8()) << std::endl;
	return allowed ? done : no;
}

} // namespace btnsctl
