/* SPDX-License-Identifier: MIT */
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <iostream>
#include <system_error>

#include <CLI/CLI.hpp>

#include "connection.h"
#include "options.h"
#include "program.h"

namespace
{

using btnsrun::Options;

/** As env(1) and the like have them: this program failed, the other one cannot be run, is not there. */
enum Status : int
{
	failed = 125,
	not_runnable = 126,
	not_found = 127,
};

struct Failure
{
	Status status;
	std::string what;
};

const char *environment(const char *name)
{
	return getenv(name); // NOLINT(concurrency-mt-unsafe): there is one thread
}

/** Before there is any connection that could be refused: can there be latches at all? */
void check_daemon(const Options &options)
{
	try
	{
		btns::client::Connection(options.socket.c_str(), 0).check_latches();
	}
	catch (const btns::client::Error &error)
	{
		const std::string why = options.socket + ": " + btns_strerror(error.code);
		if (!options.report)
		{
			throw Failure{failed, why};
		}
		std::cerr << "btns-run: nothing will be latched: " << why << "\n";
	}
}

/** The program finds the library and its options, in front of other libraries. */
void set_environment(const Options &options, const std::string &library)
{
	const char *const others = environment("LD_PRELOAD");
	const std::string preload = others != nullptr && *others != '\0' ? library + ":" + others : library;
	if (setenv(btnsrun::variable, btnsrun::encode(options).c_str(), 1) != 0 || // NOLINT(concurrency-mt-unsafe)
		setenv("LD_PRELOAD", preload.c_str(), 1) != 0)						   // NOLINT(concurrency-mt-unsafe)
	{
		throw Failure{failed, std::generic_category().message(errno)};
	}
}

[[noreturn]] void run(const Options &options, const std::string &library, std::vector<std::string> &words)
{
	if (library.find_first_of(": ") != std::string::npos)
	{
		throw Failure{failed, library + ": the dynamic linker takes no such path"};
	}
	const auto program = btnsrun::find_program(words.front(), environment("PATH"));
	if (!program)
	{
		throw Failure{not_found, words.front() + ": not found"};
	}
	if (const std::string why = btnsrun::why_not(*program, library); !why.empty())
	{
		throw Failure{not_runnable, why};
	}
	check_daemon(options);
	set_environment(options, library);
	std::vector<char *> arguments;
	for (std::string &word : words)
	{
		arguments.push_back(word.data());
	}
	arguments.push_back(nullptr);
	execv(program->c_str(), arguments.data());
	throw Failure{not_runnable, *program + ": " + std::generic_category().message(errno)};
}

class Help : public CLI::Formatter
{
public:
	std::string make_usage(const CLI::App * /*app*/, std::string /*name*/) const override
	{
		return "Usage: btns-run [OPTIONS] -- PROGRAM [ARGUMENTS]\n";
	}
};

/** Fills in what the options of the command line say. */
class CommandLine
{
public:
	CommandLine()
	{
		auto *require = app_.add_flag("--require", require_,
									  "refuse a connection that cannot be latched, and take none; the default");
		app_.add_flag("--report", options_.report, "let it go on, and say so")->excludes(require);
		app_.add_option("--log", options_.log, "append what is said to FILE, not to standard error")->type_name("FILE");
		app_.add_option_function<std::string>(
				"--auth",
				[this](const std::string &auth)
				{ options_.latch.auth = auth == "any" ? BTNS_LATCH_ANY : BTNS_LATCH_AUTHENTICATED; },
				"what peers must have done: any, which policy allows, or authenticated, as somebody whom policy knows")
			->check(CLI::IsMember({"any", "authenticated"}));
		app_.add_option_function<std::string>(
				"--peer-key",
				[this](const std::string &key)
				{
					if (!btnsrun::parse_peer_key(key, options_.latch))
					{
						throw CLI::ValidationError("--peer-key", "is sha256: and 64 hexadecimal digits");
					}
				},
				"only peers with this key")
			->type_name("sha256:HEX");
		app_.add_flag_callback(
			"--no-encryption", [this] { options_.latch.confidentiality = 0; }, "SAs that only authenticate will do");
		app_.add_flag_callback(
			"--narrow", [this] { options_.latch.narrow = 1; }, "SAs for each connection alone");
		app_.add_flag_callback(
			"--wait", [this] { options_.latch.disposition = BTNS_LATCH_WAIT; },
			"a connection whose latch breaks is not reset but waits");
		app_.add_option_function<double>(
				"--timeout", [this](double seconds) { options_.latch.timeout = static_cast<uint32_t>(seconds * 1000); },
				"seconds that SAs may take to come up; left out: 10")
			->check(CLI::Range(0.0, 600.0));
		app_.add_option("--socket", options_.socket, "where charon listens; left out: " BTNS_DEFAULT_SOCKET)
			->type_name("PATH");
		app_.add_option_function<std::vector<std::string>>(
				"--except",
				[this](const std::vector<std::string> &lists)
				{
					for (const std::string &list : lists)
					{
						if (list.empty() || !btnsrun::parse_exceptions(list))
						{
							throw CLI::ValidationError(
								"--except", list + " is none of 192.0.2.0/24, 443, udp/53, 192.0.2.1[tcp/80]");
						}
						options_.except += (options_.except.empty() ? "" : ",") + list;
					}
				},
				"do not latch these: networks and ports, with commas between them")
			->type_name("LIST")
			->allow_extra_args(false)
			->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
		app_.add_flag("--loopback", options_.loopback, "latch connections over loopback, too");
		app_.add_option("--library", library_)->group("");
		app_.set_version_flag("--version", "btns-run " BTNS_RUN_VERSION);
		app_.prefix_command();
		app_.formatter(std::make_shared<Help>());
		app_.footer(
			"Runs a program whose TCP connections, and connected UDP sockets, are latched (RFC 5660): they stay with\n"
			"the IPsec peer that they began with, or stop.\n"
			"Exit status: that of the program; 125 btns-run failed; 126 the program cannot be run, or would not\n"
			"be latched; 127 there is no such program. btns-run(1) says more.");
	}

	int run(int argc, char **argv)
	{
		try
		{
			app_.parse(argc, argv);
		}
		catch (const CLI::ParseError &error)
		{
			return app_.exit(error) == 0 ? EXIT_SUCCESS : failed;
		}
		try
		{
			std::vector<std::string> words = app_.remaining();
			if (!words.empty() && words.front() == "--")
			{
				words.erase(words.begin());
			}
			if (words.empty())
			{
				throw Failure{failed, "which program? See btns-run --help"};
			}
			// the program may have another working directory
			options_.socket = std::filesystem::absolute(options_.socket);
			options_.log = options_.log.empty() ? "" : std::filesystem::absolute(options_.log).string();
			::run(options_, library_, words);
		}
		catch (const Failure &failure)
		{
			std::cerr << "btns-run: " << failure.what << "\n";
			return failure.status;
		}
	}

private:
	CLI::App app_;
	Options options_;
	bool require_ = false;
	std::string library_ = BTNS_RUN_LIBRARY;
};

} // namespace

int main(int argc, char **argv)
{
	try
	{
		return CommandLine().run(argc, argv);
	}
	catch (const std::exception &error)
	{
		std::cerr << "btns-run: " << error.what() << "\n";
		return failed;
	}
}
