/* SPDX-License-Identifier: MIT */
#include <sys/stat.h>
#include <unistd.h>

#include <clocale>
#include <csignal>
#include <functional>
#include <iostream>

#include <CLI/CLI.hpp>

#include "commands.h"
#include "keys.h"
#include "text.h"

namespace
{

using btnsctl::Status;

/** Seconds that charon may take to answer. */
constexpr unsigned patience = 30;

/** Only what may be done in a signal handler. */
void give_up(int /*signal*/)
{
	constexpr char text[] = "btnsctl: charon does not answer within 30 seconds\n";
	static_cast<void>(!write(STDERR_FILENO, text, sizeof(text) - 1));
	_exit(btnsctl::unreachable);
}

/** libvici starts threads: signals are this one's. */
void set_signals(bool wait_for_end)
{
	struct sigaction action
	{};
	action.sa_handler = SIG_IGN;
	sigaction(SIGPIPE, &action, nullptr);
	action.sa_handler = give_up;
	sigaction(SIGALRM, &action, nullptr);
	sigset_t blocked;
	sigemptyset(&blocked);
	if (wait_for_end)
	{
		for (const int signal : {SIGINT, SIGTERM, SIGHUP})
		{
			sigaddset(&blocked, signal);
		}
	}
	else
	{
		alarm(patience);
	}
	pthread_sigmask(SIG_BLOCK, &blocked, nullptr);
}

std::string swanctl_folder()
{
	const std::string folder = btnsctl::environment("SWANCTL_DIR");
	return folder.empty() ? "/etc/swanctl" : folder;
}

class Program
{
public:
	Program()
	{
		app_.name("btnsctl");
		app_.set_version_flag("--version", "btnsctl " BTNSCTL_VERSION);
		app_.require_subcommand(1);
		app_.fallthrough();
		app_.add_option("--uri", common_.uri, "charon's vici socket: unix:///run/charon.vici or tcp://HOST:PORT");
		app_.add_flag("--json", common_.json, "print JSON, for programs");
		app_.add_option("--swanctl-dir", common_.folder, "folder of swanctl.conf; /etc/swanctl, or $SWANCTL_DIR");
		app_.add_option("--root", common_.root,
						"prefix of /proc, /sys, /dev, /lib and /var for doctor, to look into another system");
		app_.footer("Exit status: 0 done; 1 the answer is no; 2 wrong usage; 3 charon cannot be reached;\n"
					"4 charon has no btns plugin, or an older one; 5 charon answered with an error; 6 a file.\n"
					"btnsctl COMMAND --help says more, btnsctl(8) everything.");
		add_showing();
		add_explain();
		add_setup();
	}

	int run(int argc, char **argv)
	{
		try
		{
			app_.parse(argc, argv);
		}
		catch (const CLI::ParseError &error)
		{
			return app_.exit(error) == 0 ? btnsctl::done : btnsctl::usage;
		}
		if (common_.folder.empty())
		{
			common_.folder = swanctl_folder();
		}
		set_signals(waits_);
		return run_();
	}

private:
	CLI::App *add(const std::string &name, const std::string &description, std::function<Status()> run)
	{
		CLI::App *command = app_.add_subcommand(name, description);
		command->callback([this, run = std::move(run)] { run_ = run; });
		return command;
	}

	void add_showing()
	{
		add("status", "Show the daemon, the plugin and what they have in short",
			[this] { return show_status(common_); });

		auto *peers = add("peers", "List the BTNS peers", [this] { return show_peers(common_, peers_); });
		peers->add_option("uniqueid", peers_.uniqueid, "only the IKE_SA with this unique ID");
		peers->add_option("--connection", peers_.connection, "only peers of this connection");

		auto *pad = add("pad", "List the PAD entries: what each connection is for, reserves and has wrong",
						[this] { return show_pad(common_, connection_); });
		pad->add_option("connection", connection_, "only this connection");

		auto *bindings =
			add("bindings", "Show channel bindings: of all IKE_SAs, or of one, or of a connection of an application",
				[this] { return show_bindings(common_, bindings_); });
		auto *sa = bindings->add_option("uniqueid", bindings_.uniqueid, "only the IKE_SA with this unique ID");
		auto *child = bindings->add_option("--child", bindings_.child, "only the CHILD_SA with this unique ID");
		auto *flow =
			bindings->add_option("--flow", bindings_.flow,
								 "PROTOCOL LOCAL REMOTE: tcp 192.0.2.1:40000 192.0.2.2:80, udp [2001:db8::1]:53 ...");
		flow->expected(3);
		sa->excludes(child)->excludes(flow);
		child->excludes(flow);

		auto *latches = add("latches", "List the connections that are latched to their peers, or close one",
							[this] { return btnsctl::latches(common_, latches_); });
		auto *close =
			latches->add_option("--close", latches_.close, "close the latch with this number: its connection is reset");
		latches->add_option("--state", latches_.state, "only latches in this state")
			->check(CLI::IsMember({"listener", "larval", "established", "broken"}))
			->excludes(close);

		auto *stats = add("stats", "Show counters", [this] { return show_stats(common_, prometheus_, all_); });
		stats->add_flag("--prometheus", prometheus_, "in the text format of Prometheus");
		stats->add_flag("--all", all_, "reasons that have refused nobody, too");

		auto *monitor = add("monitor", "Show events as they happen, until Ctrl-C",
							[this] { return btnsctl::monitor(common_, all_); });
		monitor->add_flag("--all", all_, "charon's own events, too");
		monitor->preparse_callback([this](size_t) { waits_ = true; });
	}

	void add_explain()
	{
		auto *explain =
			add("explain", "Tell which connection would take a peer and what it would be allowed, step by step",
				[this] { return btnsctl::explain(common_, explain_); });
		explain->add_option("remote", explain_.remote, "address of the peer")->required();
		explain->add_option("--local", explain_.local,
							"address of this host; left out: the one that is used towards the peer");
		explain->add_option("--id", explain_.id,
							"what the peer calls itself; left out: what it does if it has no local.id");
		explain->add_option("--local-id", explain_.local_id, "the identity that the peer asks for");
		auto *key = explain->add_option("--key", explain_.key,
										"its key: a file (PEM or DER; key or certificate), or hex digits");
		explain->add_option("--encoding", explain_.encoding, "of hex digits")
			->check(CLI::IsMember({"spki", "pkcs1", "x509", "openiked-ec"}));
		explain->add_option("--fingerprint", explain_.fingerprint, "its key's fingerprint instead")->excludes(key);
		explain->add_option("--auth", explain_.auth, "how it authenticates; left out: signature")
			->check(CLI::IsMember({"signature", "psk", "eap", "null"}));
		explain->add_option("--local-ts", explain_.local_ts,
							"traffic selectors that it proposes for this side: 10.1.0.0/16, 192.0.2.1[tcp/80]");
		explain->add_option("--remote-ts", explain_.remote_ts, "and for its own");
		explain->add_option("--virtual-ip", explain_.virtual_ip, "virtual IP that it has got");
		explain->add_option("--mode", explain_.mode, "mode that it asks for")
			->check(CLI::IsMember({"tunnel", "transport"}));
		explain->add_option("--initiate", explain_.initiate,
							"not the peer initiates but this host, with this connection");
	}

	void add_setup()
	{
		auto *doctor = add("doctor", "Look for what is wrong, and say what to do",
						   [this] { return btnsctl::doctor(common_, strict_); });
		doctor->add_flag("--strict", strict_, "warnings count as errors");

		auto *keygen = add("keygen", "Make a key pair in private/ and pubkey/",
						   [this] { return btnsctl::keygen(common_, keygen_); });
		keygen->add_option("--type", keygen_.type, "kind of key; left out: ed25519")
			->check(CLI::IsMember(btnsctl::key_types()));
		keygen->add_option("--name", keygen_.name, "of its files, without .pem; left out: me");

		auto *init = add("init", "Write a connection for strangers into conf.d/, and the key pair that it needs",
						 [this] { return btnsctl::init(common_, init_); });
		auto &snippet = init_.snippet;
		init->add_option("--name", snippet.name, "of the connection and its file; left out: strangers");
		init->add_option("--key", snippet.key,
						 "name of the key's files, without .pem; left out: me. Made if there are none");
		init->add_option("--type", init_.type, "kind of key if it is made; left out: ed25519")
			->check(CLI::IsMember(btnsctl::key_types()));
		init->add_option("--local", snippet.local_addrs, "addresses of this host to use; left out: all");
		init->add_option("--remote", snippet.remote, "address of the host to initiate to; left out: anybody may come");
		init->add_option("--pin", snippet.pin, "fingerprint of the only key that is taken")
			->transform([](const std::string &text)
						{ return text.starts_with("btns:sha256:") ? text.substr(12) : text; });
		init->add_option("--child", snippet.child, "name of the child; left out: data");
		init->add_option("--local-ts", snippet.local_ts,
						 "traffic selector of this host; left out: dynamic. dynamic[tcp/2049] for one service");
		init->add_option("--remote-ts", snippet.remote_ts, "and of the peer");
		init->add_flag("--transport", snippet.transport, "transport mode");
		init->add_flag("--encap", snippet.encap, "ESP over UDP in any case");
		init->add_flag("--trap", snippet.trap, "initiate with the first packet");
		init->add_flag("--dry-run", init_.dry_run, "show what would be written");
	}

	CLI::App app_{"Look after unauthenticated IPsec (BTNS) in strongSwan"};
	std::function<Status()> run_;
	bool waits_ = false;
	btnsctl::Common common_;
	btnsctl::PeersOptions peers_;
	btnsctl::BindingsOptions bindings_;
	btnsctl::LatchesOptions latches_;
	btnsctl::ExplainOptions explain_;
	btnsctl::KeygenOptions keygen_;
	btnsctl::InitOptions init_;
	std::string connection_;
	bool prometheus_ = false;
	bool all_ = false;
	bool strict_ = false;
};

} // namespace

int main(int argc, char **argv)
{
	// NOLINTNEXTLINE(concurrency-mt-unsafe): there is no other thread yet
	static_cast<void>(std::setlocale(LC_CTYPE, ""));
	umask(077);
	try
	{
		return Program().run(argc, argv);
	}
	catch (const btnsctl::Failure &failure)
	{
		std::cerr << "btnsctl: " << failure.what() << std::endl;
		return failure.status();
	}
	catch (const std::exception &error)
	{
		std::cerr << "btnsctl: " << btnsctl::safe(error.what()) << std::endl;
		return btnsctl::refused;
	}
}
