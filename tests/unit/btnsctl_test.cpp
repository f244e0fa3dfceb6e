/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
/* What btnsctl makes of what charon says, and what it writes. */
#include <sys/stat.h>

#include <array>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>

#include "doctor.h"
#include "failure.h"
#include "host.h"
#include "json.h"
#include "keys.h"
#include "prometheus.h"
#include "snippet.h"
#include "text.h"

namespace
{

namespace fs = std::filesystem;
using btnsctl::Failure;
using btnsctl::Health;
using btnsctl::Json;

/** A folder that goes with the test. */
class Folder
{
public:
	Folder()
	{
		std::array<char, 32> pattern{"/tmp/btnsctl-test.XXXXXX"};
		const char *made = mkdtemp(pattern.data());
		path = made != nullptr ? made : "";
	}
	~Folder()
	{
		std::error_code ignored;
		fs::remove_all(path, ignored);
	}
	Folder(const Folder &) = delete;
	Folder &operator=(const Folder &) = delete;
	Folder(Folder &&) = delete;
	Folder &operator=(Folder &&) = delete;

	void put(const std::string &name, const std::string &content = "") const
	{
		fs::create_directories(fs::path(path + "/" + name).parent_path());
		std::ofstream(path + "/" + name) << content;
	}

	std::string path;
};

btnsctl::Status status_of(const std::function<void()> &call)
{
	try
	{
		call();
	}
	catch (const Failure &failure)
	{
		EXPECT_NE(std::string(failure.what()), "");
		return failure.status();
	}
	return btnsctl::done;
}

TEST(BtnsctlText, what_a_peer_calls_itself_cannot_harm_a_terminal)
{
	const std::pair<std::string, const char *> rows[] = {
		{"alice@example.org", "alice@example.org"},
		{"C=CH, O=strongSwan, CN=moon", "C=CH, O=strongSwan, CN=moon"},
		{"\x1b[2J\x1b]0;title\x07", R"(\x1b[2J\x1b]0;title\x07)"},
		{std::string("a\0b\nc\rd\te", 9), R"(a\x00b\x0ac\x0dd\x09e)"},
		{"a\\x1b", R"(a\\x1b)"},
		{"\x7f", R"(\x7f)"},
		{"\xc2\x9b"
		 "31m",
		 R"(\u{9b}31m)"},
		{"\x9b"
		 "31m",
		 R"(\x9b31m)"},
		{"gr\xc3\xbc\xc3\x9f", "gr\xc3\xbc\xc3\x9f"},
		{"\xe2\x80\xae"
		 "cod",
		 R"(\u{202e}cod)"},
		{"\xe2\x81\xa6", R"(\u{2066})"},
		{"zero\xe2\x80\x8bwidth", R"(zero\u{200b}width)"},
		{"\xef\xbb\xbf", R"(\u{feff})"},
		{"\xf3\xa0\x81\x81", R"(\u{e0041})"},
		{"\xc0\xaf", R"(\xc0\xaf)"},
		{"\xed\xa0\x80", R"(\xed\xa0\x80)"},
		{"\xf4\x90\x80\x80", R"(\xf4\x90\x80\x80)"},
		{"\xe2\x82", R"(\xe2\x82)"},
		{"\xff", R"(\xff)"},
		{"", ""},
	};
	for (const auto &[text, shown] : rows)
	{
		EXPECT_EQ(btnsctl::safe(text), shown);
	}
	EXPECT_EQ(btnsctl::safe("gr\xc3\xbcn", false), R"(gr\u{fc}n)") << "on a terminal that knows no UTF-8";
}

TEST(BtnsctlText, nothing_else_than_printable_ascii_and_utf8_comes_out)
{
	for (unsigned first = 0; first < 256; first++)
	{
		for (unsigned second = 0; second < 256; second++)
		{
			const std::string text{static_cast<char>(first), static_cast<char>(second)};
			for (const char c : btnsctl::safe(text, false))
			{
				ASSERT_TRUE(c >= ' ' && c <= '~') << first << " " << second;
			}
		}
	}
}

TEST(BtnsctlText, durations_and_lists)
{
	EXPECT_EQ(btnsctl::duration(0), "0s");
	EXPECT_EQ(btnsctl::duration(59), "59s");
	EXPECT_EQ(btnsctl::duration(61), "1m 1s");
	EXPECT_EQ(btnsctl::duration(3600 * 5 + 60 * 6 + 7), "5h 6m");
	EXPECT_EQ(btnsctl::duration(86400 * 7 + 3600 * 8), "7d 8h");
	EXPECT_EQ(btnsctl::duration(-1), "in the future");
	EXPECT_EQ(btnsctl::join({}), "");
	EXPECT_EQ(btnsctl::join({"a", "b", "a"}), "a, b, a");
	EXPECT_EQ(btnsctl::to_hex(std::string("\x00\xff\x1a", 3)), "00ff1a");
	EXPECT_TRUE(btnsctl::is_hex("09afAF"));
	EXPECT_FALSE(btnsctl::is_hex(""));
	EXPECT_FALSE(btnsctl::is_hex("0x10"));
}

TEST(BtnsctlJson, numbers_are_numbers_and_texts_stay_texts)
{
	const Json message = {{"uniqueid", "17"},
						  {"asserted-id", "17"},
						  {"established", "x"},
						  {"nested", {{"key-bits", "255"}}},
						  {"list", {"1", "2"}}};
	EXPECT_EQ(btnsctl::to_text(btnsctl::typed(message), false),
			  R"({"uniqueid":17,"asserted-id":"17","established":"x","nested":{"key-bits":255},"list":["1","2"]})");
	EXPECT_EQ(btnsctl::get(message, "uniqueid"), "17");
	EXPECT_EQ(btnsctl::get(message, "nested", "-"), "-") << "a section has no value";
	EXPECT_EQ(btnsctl::get(message, "other", "-"), "-");
}

TEST(BtnsctlJson, hostile_octets_become_valid_ascii)
{
	const Json message = {{"asserted-id", "\x1b[31m\xff\xe2\x80\xae\xc3\xbc\""}};
	EXPECT_EQ(btnsctl::to_text(message, false), R"({"asserted-id":"\u001b[31m\ufffd\u202e\u00fc\""})");
}

TEST(BtnsctlPrometheus, counters_have_their_types)
{
	const Json stats = {{"accepted", "12"}, {"refused", "3"},	  {"refused-no-key", "2"}, {"refused-max-peers", "1"},
						{"evicted", "0"},	{"peers", "4"},		  {"key-time", "1234"},	   {"half-open", "7"},
						{"new-thing", "9"}, {"text", "no number"}};
	EXPECT_EQ(btnsctl::prometheus(stats),
			  "# HELP btns_accepted_total Peers that were accepted as BTNS peers.\n"
			  "# TYPE btns_accepted_total counter\n"
			  "btns_accepted_total 12\n"
			  "# HELP btns_refused_total Refusals of peers and CHILD_SAs, by the code of the reason.\n"
			  "# TYPE btns_refused_total counter\n"
			  "btns_refused_total{code=\"no-key\"} 2\n"
			  "btns_refused_total{code=\"max-peers\"} 1\n"
			  "# HELP btns_evicted_total BTNS IKE_SAs that had to go for an authenticated peer or a change of the "
			  "configuration.\n"
			  "# TYPE btns_evicted_total counter\n"
			  "btns_evicted_total 0\n"
			  "# HELP btns_peers BTNS peers now.\n"
			  "# TYPE btns_peers gauge\n"
			  "btns_peers 4\n"
			  "# HELP btns_half_open Peers that have begun and are not authenticated yet.\n"
			  "# TYPE btns_half_open gauge\n"
			  "btns_half_open 7\n"
			  "# HELP btns_key_seconds_total Nominal CPU time that went into the keys of strangers.\n"
			  "# TYPE btns_key_seconds_total counter\n"
			  "btns_key_seconds_total 1.234\n"
			  "# TYPE btns_new_thing untyped\n"
			  "btns_new_thing 9\n");
	EXPECT_EQ(btnsctl::prometheus(Json::object()), "");
	EXPECT_NE(btnsctl::prometheus({{"key-time", "7"}}).find("btns_key_seconds_total 0.007\n"), std::string::npos);
	EXPECT_NE(btnsctl::prometheus({{"refused", "1"}, {"refused-a\"b\\c\nd", "1"}}).find(R"({code="a\"b\\c\nd"} 1)"),
			  std::string::npos);
}

TEST(BtnsctlKeys, a_pair_is_written_once_and_read_again)
{
	for (const std::string &type : btnsctl::key_types())
	{
		if (type == "rsa3072" || type == "rsa4096")
		{
			continue; // slow
		}
		const Folder folder;
		fs::create_directories(folder.path + "/private");
		fs::create_directories(folder.path + "/pubkey");
		const auto pair = btnsctl::generate(type);
		EXPECT_EQ(btnsctl::weakness(pair.key), "") << type;
		EXPECT_EQ(pair.key.fingerprint.size(), 64U);
		btnsctl::write_key_pair(folder.path, "me", pair);
		struct stat status
		{};
		ASSERT_EQ(stat((folder.path + "/private/me.pem").c_str(), &status), 0);
		EXPECT_EQ(status.st_mode & 07777U, 0600U);
		for (const char *name : {"/private/me.pem", "/pubkey/me.pem"})
		{
			const auto read = btnsctl::read_key(btnsctl::read_file(folder.path + name));
			ASSERT_TRUE(read) << type << name;
			EXPECT_EQ(read->key.fingerprint, pair.key.fingerprint);
			EXPECT_EQ(read->encoding, "spki");
			EXPECT_EQ(read->body, pair.key.spki);
		}
		const auto again = btnsctl::read_public_key(pair.key.spki);
		ASSERT_TRUE(again);
		EXPECT_EQ(again->bits, pair.key.bits);

		EXPECT_EQ(status_of([&] { btnsctl::write_key_pair(folder.path, "me", btnsctl::generate("ed25519")); }),
				  btnsctl::file);
		EXPECT_EQ(btnsctl::read_key(btnsctl::read_file(folder.path + "/private/me.pem"))->key.fingerprint,
				  pair.key.fingerprint);
	}
}

TEST(BtnsctlKeys, neither_file_if_one_cannot_be_written)
{
	const Folder folder;
	fs::create_directories(folder.path + "/private");
	folder.put("pubkey/me.pem", "somebody's");
	EXPECT_EQ(status_of([&] { btnsctl::write_key_pair(folder.path, "me", btnsctl::generate("ed25519")); }),
			  btnsctl::file);
	EXPECT_FALSE(fs::exists(folder.path + "/private/me.pem"));
	EXPECT_EQ(btnsctl::read_file(folder.path + "/pubkey/me.pem"), "somebody's");
}

TEST(BtnsctlKeys, links_are_not_followed)
{
	const Folder folder;
	fs::create_symlink(folder.path + "/elsewhere", folder.path + "/link");
	EXPECT_EQ(status_of([&] { btnsctl::write_new_file(folder.path + "/link", "x", 0600); }), btnsctl::file);
	EXPECT_FALSE(fs::exists(folder.path + "/elsewhere"));
}

TEST(BtnsctlKeys, what_is_no_key_is_none)
{
	EXPECT_FALSE(btnsctl::read_key(""));
	EXPECT_FALSE(btnsctl::read_key("hello"));
	EXPECT_FALSE(btnsctl::read_key("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"));
	EXPECT_FALSE(btnsctl::read_public_key("x"));
	EXPECT_EQ(status_of([] { btnsctl::read_file("/nonexistent/file"); }), btnsctl::file);
}

TEST(BtnsctlKeys, weak_ones)
{
	const auto key = [](const char *type, int bits)
	{
		btnsctl::PublicKey out;
		out.type = type;
		out.bits = bits;
		return out;
	};
	EXPECT_NE(btnsctl::weakness(key("RSA", 1024)), "");
	EXPECT_NE(btnsctl::weakness(key("RSA", 16384)), "");
	EXPECT_EQ(btnsctl::weakness(key("RSA", 2048)), "");
	EXPECT_NE(btnsctl::weakness(key("ECDSA", 192)), "");
	EXPECT_EQ(btnsctl::weakness(key("ECDSA", 384)), "");
	EXPECT_NE(btnsctl::weakness(key("DSA", 2048)), "");
	EXPECT_EQ(btnsctl::weakness(key("Ed448", 448)), "");
}

TEST(BtnsctlSnippet, as_the_options_say)
{
	btnsctl::SnippetOptions options;
	options.fingerprint = std::string(64, 'a');
	std::string text = btnsctl::snippet(options);
	for (const char *line :
		 {"\tstrangers {\n", "version = 2\n", "remote_addrs = %any\n", "mobike = no\n", "pubkeys = me.pem\n",
		  "id = %any\n", "groups = btns\n", "local_ts = dynamic\n", "remote_ts = dynamic\n", "mode = tunnel\n"})
	{
		EXPECT_NE(text.find(line), std::string::npos) << line;
	}
	for (const char *absent : {"encap", "start_action", "local_addrs"})
	{
		EXPECT_EQ(text.find(absent), std::string::npos) << absent;
	}
	EXPECT_EQ(std::ranges::count(text, '{'), std::ranges::count(text, '}'));

	options.name = "nfs";
	options.local_addrs = {"192.0.2.1", "2001:db8::1"};
	options.remote = "server.example.org";
	options.pin = std::string(64, 'b');
	options.remote_ts = "dynamic[tcp/2049]";
	options.transport = options.encap = options.trap = true;
	EXPECT_EQ(status_of([&] { check(options); }), btnsctl::done);
	text = btnsctl::snippet(options);
	for (const std::string &line :
		 {std::string("\tnfs {\n"), std::string("local_addrs = 192.0.2.1, 2001:db8::1\n"),
		  std::string("remote_addrs = server.example.org\n"), "groups = btns:sha256:" + options.pin + "\n",
		  std::string("remote_ts = dynamic[tcp/2049]\n"), std::string("mode = transport\n"),
		  std::string("encap = yes\n"), std::string("start_action = trap\n")})
	{
		EXPECT_NE(text.find(line), std::string::npos) << line;
	}
}

TEST(BtnsctlSnippet, nothing_gets_into_it_that_is_no_value)
{
	using Options = btnsctl::SnippetOptions;
	const std::function<void(Options &)> mistakes[] = {
		[](Options &o) { o.name = ""; },
		[](Options &o) { o.name = "../x"; },
		[](Options &o) { o.name = "a {\n}"; },
		[](Options &o) { o.name = std::string(64, 'x'); },
		[](Options &o) { o.key = "a/b"; },
		[](Options &o) { o.key = ".."; },
		[](Options &o) { o.child = "a b"; },
		[](Options &o) { o.local_addrs = {"192.0.2.1, %any"}; },
		[](Options &o) { o.remote = "%any }"; },
		[](Options &o) { o.remote = "a\nb"; },
		[](Options &o) { o.pin = std::string(63, 'a'); },
		[](Options &o) { o.pin = std::string(64, 'g'); },
		[](Options &o) { o.local_ts = "dynamic\nmode = pass"; },
		[](Options &o) { o.remote_ts = "10.0.0.0/8 # all"; },
		[](Options &o) { o.remote_ts = ""; },
		[](Options &o) { o.trap = true; },
	};
	for (const auto &mistake : mistakes)
	{
		Options options;
		mistake(options);
		EXPECT_EQ(status_of([&] { check(options); }), btnsctl::usage) << btnsctl::snippet(options);
	}
}

TEST(BtnsctlSnippet, whether_swanctl_would_see_it)
{
	EXPECT_TRUE(btnsctl::includes_conf_d("# Include config snippets\ninclude conf.d/*.conf\n"));
	EXPECT_TRUE(btnsctl::includes_conf_d("  include /etc/swanctl/conf.d/*.conf"));
	EXPECT_FALSE(btnsctl::includes_conf_d("# include conf.d/*.conf\n"));
	EXPECT_FALSE(btnsctl::includes_conf_d("connections {\n}\n"));
	EXPECT_FALSE(btnsctl::includes_conf_d(""));
}

/** A host on which all is well. */
btnsctl::Facts healthy()
{
	btnsctl::Facts facts;
	facts.daemon = {{"version", "5.9.8"}};
	facts.daemon_stats = {{"plugins", {"kernel-netlink", "vici", "btns"}}};
	facts.version = "1.0";
	facts.plugin = {{"version", "1.0"}, {"daemon", "5.9.8"}, {"package", "5.9.8-5"}};
	facts.package = "5.9.8-5";
	facts.counters = {{"reserved-ranges", "12"}, {"refused-internal-error", "0"}};
	facts.pad = {{{"strangers",
				   {{"flag", "btns"}, {"usable", "yes"}, {"reserves", Json::array()}, {"findings", Json::array()}}}},
				 {{"office",
				   {{"flag", "none"}, {"usable", "yes"}, {"reserves", {"10.1.0.0/16"}}, {"findings", Json::array()}}}}};
	facts.connections = {{{"strangers", {{"remote_addrs", {"%any"}}}}}};
	facts.own_certs = {{{"type", "PUBKEY"}, {"has_privkey", "yes"}, {"data", btnsctl::generate("ed25519").key.spki}}};
	facts.xfrm = facts.esp4 = facts.esp6 = btnsctl::Presence::present;
	facts.key_files = {{"/etc/swanctl/private/me.pem", 0600, std::nullopt}};
	facts.now = 1800000000;
	facts.clock_synchronized = true;
	return facts;
}

/** The checks that are not ok: "name result". */
std::string findings(const btnsctl::Facts &facts)
{
	std::vector<std::string> found;
	for (const auto &check : btnsctl::examine(facts))
	{
		EXPECT_NE(check.text, "");
		if (check.health != Health::ok)
		{
			found.push_back(check.name + " " + to_text(check.health));
		}
	}
	return btnsctl::join(found);
}

TEST(BtnsctlDoctor, a_healthy_host)
{
	EXPECT_EQ(findings(healthy()), "");
	EXPECT_EQ(btnsctl::worst(btnsctl::examine(healthy())), Health::ok);
}

TEST(BtnsctlDoctor, finds_each_fault)
{
	using Facts = btnsctl::Facts;
	using btnsctl::Presence;
	const std::pair<const char *, std::function<void(Facts &)>> rows[] = {
		{"plugin error",
		 [](Facts &f)
		 {
			 f.daemon_stats["plugins"] = {"vici"};
			 f.plugin = nullptr;
			 f.pad.clear();
		 }},
		{"plugin warning", [](Facts &f) { f.plugin = nullptr; }},
		{"plugin warning", [](Facts &f) { f.version = "1.1"; }},
		{"package warning", [](Facts &f) { f.package = "5.9.8-6"; }},
		{"", [](Facts &f) { f.package = ""; }},
		{"esp error", [](Facts &f) { f.xfrm = Presence::missing; }},
		{"esp error", [](Facts &f) { f.esp4 = f.esp6 = Presence::missing; }},
		{"esp warning", [](Facts &f) { f.esp6 = Presence::missing; }},
		{"", [](Facts &f) { f.esp4 = f.esp6 = Presence::loadable; }},
		{"esp error", [](Facts &f) { f.daemon_stats["plugins"].push_back("kernel-libipsec"); }},
		{"",
		 [](Facts &f)
		 {
			 f.daemon_stats["plugins"].push_back("kernel-libipsec");
			 f.tun = Presence::present;
			 f.xfrm = Presence::missing;
		 }},
		{"connections warning", [](Facts &f) { f.pad.erase(f.pad.begin()); }},
		{"connection error, connections error",
		 [](Facts &f)
		 {
			 f.pad[0]["strangers"]["usable"] = "no";
			 f.pad[0]["strangers"]["findings"] = {"error: remote.id has to be %any"};
		 }},
		{"connection warning", [](Facts &f) { f.pad[0]["strangers"]["findings"] = {"warning: mobike is on"}; }},
		{"reservation warning",
		 [](Facts &f) { f.pad[1]["office"]["findings"] = {"warning: reserves every IPv4 address"}; }},
		{"reservation warning",
		 [](Facts &f)
		 {
			 f.connections[0]["strangers"]["remote_addrs"] = {"192.0.2.9"};
			 f.pad[1]["office"]["reserves"] = {"10.1.0.0/16", "192.0.2.9"};
		 }},
		{"counters warning", [](Facts &f) { f.counters["refused-internal-error"] = "1"; }},
		{"own-key warning", [](Facts &f) { f.own_certs.clear(); }},
		{"key-file error", [](Facts &f) { f.key_files[0].mode = 0640; }},
		{"key-file error",
		 [](Facts &f)
		 {
			 f.key_files[0].key = btnsctl::PublicKey();
			 f.key_files[0].key->type = "RSA";
			 f.key_files[0].key->bits = 1024;
		 }},
		{"clock error", [](Facts &f) { f.now = 86400; }},
		{"clock warning", [](Facts &f) { f.clock_synchronized = false; }},
	};
	for (const auto &[expected, plant] : rows)
	{
		Facts facts = healthy();
		plant(facts);
		EXPECT_EQ(findings(facts), expected);
	}
}

TEST(BtnsctlDoctor, without_charon_the_rest_is_looked_at)
{
	btnsctl::Facts facts;
	facts.unreachable = "nothing listens";
	facts.xfrm = facts.esp4 = facts.esp6 = btnsctl::Presence::present;
	facts.now = 1800000000;
	EXPECT_EQ(findings(facts), "daemon error, clock warning");
}

TEST(BtnsctlHost, what_the_kernel_has)
{
	const Folder root;
	btnsctl::Facts facts;
	btnsctl::look_at_kernel(root.path, facts);
	EXPECT_EQ(facts.xfrm, btnsctl::Presence::missing);
	EXPECT_EQ(facts.esp4, btnsctl::Presence::missing);
	EXPECT_EQ(facts.tun, btnsctl::Presence::missing);
	root.put("proc/net/xfrm_stat");
	root.put("sys/module/esp4/x");
	root.put("dev/net/tun");
	btnsctl::look_at_kernel(root.path, facts);
	EXPECT_EQ(facts.xfrm, btnsctl::Presence::present);
	EXPECT_EQ(facts.esp4, btnsctl::Presence::present);
	EXPECT_EQ(facts.esp6, btnsctl::Presence::missing);
	EXPECT_EQ(facts.tun, btnsctl::Presence::present);
}

TEST(BtnsctlHost, private_keys_and_their_permissions)
{
	const Folder folder;
	const auto pair = btnsctl::generate("ed25519");
	folder.put("private/me.pem", pair.private_pem);
	folder.put("rsa/old.pem", "no key");
	fs::permissions(folder.path + "/private/me.pem", fs::perms(0640));
	btnsctl::Facts facts;
	btnsctl::look_at_keys(folder.path, facts);
	ASSERT_EQ(facts.key_files.size(), 2U);
	EXPECT_EQ(facts.key_files[0].mode, 0640U);
	ASSERT_TRUE(facts.key_files[0].key);
	EXPECT_EQ(facts.key_files[0].key->fingerprint, pair.key.fingerprint);
	EXPECT_FALSE(facts.key_files[1].key);
	btnsctl::look_at_keys("/nonexistent", facts);
	EXPECT_EQ(facts.key_files.size(), 2U);
}

TEST(BtnsctlHost, the_installed_package)
{
	const Folder root;
	EXPECT_EQ(btnsctl::installed_package(root.path), "");
	root.put("var/lib/dpkg/status",
			 "Package: strongswan\nStatus: install ok installed\nVersion: 1\n\n"
			 "Package: strongswan-libcharon\nStatus: install ok installed\nArchitecture: amd64\nVersion: 5.9.8-5\n");
	EXPECT_EQ(btnsctl::installed_package(root.path), "5.9.8-5");
	root.put("var/lib/dpkg/status",
			 "Package: strongswan-libcharon\nStatus: deinstall ok config-files\nVersion: 5.9.8-5\n");
	EXPECT_EQ(btnsctl::installed_package(root.path), "");
}

} // namespace
