/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
/* btns-run: what it is told, which programs it runs, and what becomes of real ones' connections. */
#include <elf.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <fstream>

#include "exceptions.h"
#include "latch_world.h"
#include "options.h"
#include "program.h"

namespace
{

using btns::Descriptor;
using btns::LatchOutcome;
using btns::LatchReason;
using btns::LatchState;
using btns::test::AppWorld;
using btns::test::eventually;
using btns::test::FakeLatches;
using btns::test::Folder;
using btns::test::Listener;
using btns::test::loopback_listener;
using btnsrun::End;
using btnsrun::Options;
using btnsrun::parse_exception;
using btnsrun::parse_exceptions;

End end(const char *address, uint16_t port)
{
	const auto network = parse_exception(std::string(address) + "[1]");
	EXPECT_TRUE(network) << address;
	End out = network ? *network->network : End{};
	out.port = port;
	return out;
}

bool covers(const char *exception, const End &end, int protocol = IPPROTO_TCP)
{
	const auto parsed = parse_exception(exception);
	EXPECT_TRUE(parsed) << exception;
	return parsed && parsed->covers(end, protocol);
}

TEST(BtnsRunExceptions, cover_what_all_their_parts_fit)
{
	const End web = end("192.0.2.77", 80);
	EXPECT_TRUE(covers("192.0.2.77", web));
	EXPECT_FALSE(covers("192.0.2.78", web));
	EXPECT_TRUE(covers("192.0.2.0/24", web));
	EXPECT_TRUE(covers("192.0.2.64/26", web));
	EXPECT_FALSE(covers("192.0.2.128/25", web));
	EXPECT_TRUE(covers("0.0.0.0/0", web));
	EXPECT_FALSE(covers("::/0", web)) << "of another family";
	EXPECT_TRUE(covers("80", web));
	EXPECT_TRUE(covers("80", web, IPPROTO_UDP));
	EXPECT_TRUE(covers("tcp/80", web));
	EXPECT_FALSE(covers("tcp/80", web, IPPROTO_UDP));
	EXPECT_FALSE(covers("udp/80", web));
	EXPECT_FALSE(covers("8080", web));
	EXPECT_TRUE(covers("192.0.2.0/24[tcp/80]", web));
	EXPECT_FALSE(covers("192.0.2.0/24[81]", web));
	EXPECT_FALSE(covers("192.0.3.0/24[80]", web));
	const End six = end("2001:db8::7f", 80);
	EXPECT_TRUE(covers("2001:db8::/32", six));
	EXPECT_TRUE(covers("2001:db8::7f", six));
	EXPECT_TRUE(covers("2001:db8::60/123", six));
	EXPECT_FALSE(covers("2001:db8::/122", six));
	EXPECT_FALSE(covers("0.0.0.0/0", six));
}

TEST(BtnsRunExceptions, are_nothing_else)
{
	for (const char *text : {"",
							 "0",
							 "65536",
							 "-1",
							 " 80",
							 "80 ",
							 "tcp/",
							 "sctp/80",
							 "tcp/0",
							 "192.0.2.1/33",
							 "192.0.2.1/",
							 "192.0.2.1/-1",
							 "192.0.2",
							 "192.0.2.1[]",
							 "192.0.2.1[80",
							 "192.0.2.1]80[",
							 "[80]",
							 "2001:db8::/129",
							 "example.org",
							 "80,90"})
	{
		EXPECT_FALSE(parse_exception(text)) << text;
	}
	EXPECT_EQ(parse_exceptions("")->size(), 0U);
	EXPECT_EQ(parse_exceptions("80,::1,udp/53")->size(), 3U);
	for (const char *text : {",", "80,", ",80", "80,,90", "80, 90"})
	{
		EXPECT_FALSE(parse_exceptions(text)) << text;
	}
}

TEST(BtnsRunExceptions, an_end_is_that_of_a_socket)
{
	sockaddr_in6 in{};
	in.sin6_family = AF_INET6;
	in.sin6_port = htons(443);
	in.sin6_addr.s6_addr[10] = in.sin6_addr.s6_addr[11] = 0xff;
	in.sin6_addr.s6_addr[12] = 127;
	const auto *address = reinterpret_cast<const sockaddr *>(&in);
	auto mapped = btnsrun::to_end(address, sizeof(in));
	ASSERT_TRUE(mapped);
	EXPECT_EQ(mapped->family, AF_INET);
	EXPECT_TRUE(mapped->is_loopback());
	EXPECT_EQ(btnsrun::to_text(*mapped), "127.0.0.0 port 443");
	EXPECT_TRUE(btnsrun::to_end(address, offsetof(sockaddr_in6, sin6_scope_id))) << "connect() takes that";
	EXPECT_FALSE(btnsrun::to_end(address, offsetof(sockaddr_in6, sin6_scope_id) - 1));
	EXPECT_FALSE(btnsrun::to_end(address, 1));
	EXPECT_FALSE(btnsrun::to_end(nullptr, 0));
	in.sin6_family = AF_UNIX;
	EXPECT_FALSE(btnsrun::to_end(address, sizeof(in)));
	EXPECT_TRUE(end("::1", 1).is_loopback());
	EXPECT_FALSE(end("::2", 1).is_loopback());
	EXPECT_FALSE(end("128.0.0.1", 1).is_loopback());
	EXPECT_TRUE(end("::", 1).is_any() && end("0.0.0.0", 1).is_any());
	EXPECT_FALSE(end("0.0.0.1", 1).is_any());
}

TEST(BtnsRunOptions, come_through_the_environment)
{
	Options options;
	EXPECT_EQ(btnsrun::decode(btnsrun::encode(options)), options);
	options.report = options.loopback = true;
	options.latch.confidentiality = 0;
	options.latch.auth = BTNS_LATCH_AUTHENTICATED;
	options.latch.disposition = BTNS_LATCH_WAIT;
	options.latch.narrow = 1;
	options.latch.timeout = 600000;
	EXPECT_TRUE(btnsrun::parse_peer_key("sha256:" + std::string(62, '0') + "fF", options.latch));
	options.socket = "/run/a b:c;d";
	options.log = "/tmp/\xff";
	options.except = "80,::1[udp/53]";
	const auto read = btnsrun::decode(btnsrun::encode(options));
	ASSERT_TRUE(read);
	EXPECT_EQ(*read, options);
	EXPECT_EQ(read->latch.peer_key[31], 0xff);
	EXPECT_EQ(read->log, options.log);
	EXPECT_TRUE(read->report && read->loopback);
	EXPECT_NE(*read, Options{});
	EXPECT_EQ(btnsrun::encode(options).find_first_of(" \n\t"), std::string::npos);
}

TEST(BtnsRunOptions, that_are_not_whole_are_none)
{
	const std::string good = btnsrun::encode(Options{});
	for (size_t length = 0; length < good.size(); length++)
	{
		const auto read = btnsrun::decode(good.substr(0, length));
		EXPECT_TRUE(!read || !(*read == Options{})) << length;
	}
	EXPECT_FALSE(btnsrun::decode(good + ":"));
	EXPECT_FALSE(btnsrun::decode("2" + good.substr(1)));
	EXPECT_FALSE(btnsrun::decode("1:2" + good.substr(3)));
	EXPECT_FALSE(btnsrun::decode(good + "7a7a")) << "exceptions that are none";
}

TEST(BtnsRunOptions, a_key_is_sixty_four_digits)
{
	btns_latch_options_t latch = BTNS_LATCH_OPTIONS_INIT;
	EXPECT_TRUE(btnsrun::parse_peer_key("btns:sha256:" + std::string(64, 'a'), latch));
	EXPECT_EQ(latch.has_peer_key, 1);
	for (const std::string &text :
		 {std::string(64, 'a'), "sha1:" + std::string(40, 'a'), "sha256:" + std::string(63, 'a'),
		  "sha256:" + std::string(66, 'a'), "sha256:" + std::string(64, 'g'), std::string("sha256:"), std::string()})
	{
		latch = BTNS_LATCH_OPTIONS_INIT;
		EXPECT_FALSE(btnsrun::parse_peer_key(text, latch)) << text;
		EXPECT_EQ(latch.has_peer_key, 0);
	}
}

#ifdef BTNS_RUN_LIBRARY

/** Programs that are none, made of the headers that are looked at. */
class BtnsRunProgram : public testing::Test
{
protected:
	/** A program of this machine's kind. */
	std::string make(const std::string &name, const char *linker, const char *note)
	{
		const auto own = header("/proc/self/exe");
		Elf64_Ehdr header = own;
		header.e_phoff = sizeof(header);
		header.e_phentsize = sizeof(Elf64_Phdr);
		header.e_phnum = 2;
		std::array<Elf64_Phdr, 2> segments{};
		std::string content;
		const size_t at = sizeof(header) + sizeof(segments);
		if (linker != nullptr)
		{
			segments[0].p_type = PT_INTERP;
			segments[0].p_offset = at;
			segments[0].p_filesz = std::strlen(linker) + 1;
			content.assign(linker, std::strlen(linker) + 1);
		}
		if (note != nullptr)
		{
			segments[1].p_type = PT_NOTE;
			segments[1].p_offset = at + content.size();
			const std::array<uint32_t, 3> words{static_cast<uint32_t>(std::strlen(note) + 1), 0, 4};
			content.append(reinterpret_cast<const char *>(words.data()), sizeof(words)).append(note).append(4, '\0');
			segments[1].p_filesz = at + content.size() - segments[1].p_offset;
		}
		std::ofstream(path(name), std::ios::binary)
			.write(reinterpret_cast<const char *>(&header), sizeof(header))
			.write(reinterpret_cast<const char *>(segments.data()), sizeof(segments))
			.write(content.data(), static_cast<std::streamsize>(content.size()));
		return path(name);
	}
	std::string script(const std::string &name, const std::string &first_line)
	{
		std::ofstream(path(name)) << first_line << "\n";
		return path(name);
	}
	static std::string linker()
	{
		const auto own = header("/proc/self/exe");
		std::ifstream file("/proc/self/exe", std::ios::binary);
		for (unsigned i = 0; i < own.e_phnum; i++)
		{
			Elf64_Phdr segment{};
			file.seekg(static_cast<std::streamoff>(own.e_phoff + i * sizeof(segment)));
			file.read(reinterpret_cast<char *>(&segment), sizeof(segment));
			if (segment.p_type == PT_INTERP)
			{
				std::string out(segment.p_filesz - 1, '\0');
				file.seekg(static_cast<std::streamoff>(segment.p_offset));
				file.read(out.data(), static_cast<std::streamsize>(out.size()));
				return out;
			}
		}
		return "";
	}
	std::string why(const std::string &program) { return btnsrun::why_not(program, BTNS_RUN_LIBRARY); }
	[[nodiscard]] std::string path(const std::string &name) const { return folder_.path(name); }

private:
	static Elf64_Ehdr header(const char *path)
	{
		Elf64_Ehdr out{};
		std::ifstream(path, std::ios::binary).read(reinterpret_cast<char *>(&out), sizeof(out));
		return out;
	}

	Folder folder_;
};

TEST_F(BtnsRunProgram, would_be_latched)
{
	EXPECT_EQ(why("/bin/sh"), "");
	EXPECT_EQ(why(make("dynamic", linker().c_str(), "GNU")), "");
	EXPECT_EQ(why(script("script", "#!  /bin/sh -e")), "");
	EXPECT_EQ(why(script("outer", "#!" + script("inner", "#!/bin/sh"))), "");
}

TEST_F(BtnsRunProgram, would_not_be_latched_and_is_told_why)
{
	EXPECT_NE(why(make("static", nullptr, "GNU")).find("statically linked"), std::string::npos);
	EXPECT_NE(why(make("musl", "/lib/ld-musl-x86_64.so.1", nullptr)).find("C library (/lib/ld-musl"),
			  std::string::npos);
	EXPECT_NE(why(make("go", linker().c_str(), "Go")).find("Go"), std::string::npos);
	EXPECT_NE(why(script("of-static", "#!" + make("static", nullptr, nullptr))).find("statically"), std::string::npos);
	EXPECT_NE(why(script("loop", "#!" + path("loop"))).find("nothing runs"), std::string::npos);
	EXPECT_NE(why(script("empty", "#!")).find("nothing runs"), std::string::npos);
	EXPECT_NE(why(script("text", "hello")).find("is no program"), std::string::npos);
	EXPECT_NE(why("/").find("is no program"), std::string::npos);
	EXPECT_NE(why(path("nothing")).find("No such file"), std::string::npos);
	EXPECT_NE(btnsrun::why_not("/bin/sh", path("no-library")).find("cannot be read"), std::string::npos);
	const std::string foreign = make("foreign", linker().c_str(), nullptr);
	std::fstream(foreign, std::ios::binary | std::ios::in | std::ios::out)
		.seekp(offsetof(Elf64_Ehdr, e_machine))
		.put(8);
	EXPECT_NE(why(foreign).find("another architecture"), std::string::npos);
	const std::string cut = make("cut", linker().c_str(), nullptr);
	std::filesystem::resize_file(cut, sizeof(Elf64_Ehdr) + 3);
	EXPECT_NE(why(cut).find("is no program"), std::string::npos);
}

TEST_F(BtnsRunProgram, that_gains_rights_loads_no_library)
{
	if (geteuid() != 0)
	{
		GTEST_SKIP() << "needs other users' files";
	}
	const std::string program = make("setuid", linker().c_str(), nullptr);
	ASSERT_EQ(chmod(program.c_str(), 04755), 0);
	EXPECT_EQ(why(program), "") << "of the same user";
	ASSERT_EQ(chown(program.c_str(), 4711, 0), 0);
	ASSERT_EQ(chmod(program.c_str(), 04755), 0);
	EXPECT_NE(why(program).find("gains rights"), std::string::npos);
	ASSERT_EQ(chown(program.c_str(), 0, 4711), 0);
	ASSERT_EQ(chmod(program.c_str(), 02755), 0);
	EXPECT_NE(why(program).find("gains rights"), std::string::npos);
}

TEST_F(BtnsRunProgram, is_found_as_execvp_finds_it)
{
	const std::string program = make("program", nullptr, nullptr);
	const std::string folder = std::filesystem::path(program).parent_path();
	EXPECT_EQ(btnsrun::find_program("program", ("/nowhere:" + folder).c_str()), std::nullopt) << "not to be run";
	ASSERT_EQ(chmod(program.c_str(), 0755), 0);
	EXPECT_EQ(btnsrun::find_program("program", ("/nowhere:" + folder).c_str()), program);
	EXPECT_EQ(btnsrun::find_program("program", "/nowhere"), std::nullopt);
	EXPECT_EQ(btnsrun::find_program("./x", "/nowhere"), "./x");
	EXPECT_EQ(btnsrun::find_program("", "/bin"), std::nullopt);
}

#endif

#ifdef BTNS_RUN_PROGRAM

constexpr const char *python = "/usr/bin/python3";

/** A process, and what it says. */
class Process
{
public:
	explicit Process(std::vector<std::string> words)
	{
		std::array<int, 2> in{};
		std::array<int, 2> out{};
		std::array<int, 2> err{};
		EXPECT_EQ(pipe2(in.data(), O_CLOEXEC) | pipe2(out.data(), O_CLOEXEC) | pipe2(err.data(), O_CLOEXEC), 0);
		std::vector<char *> arguments;
		for (std::string &word : words)
		{
			arguments.push_back(word.data());
		}
		arguments.push_back(nullptr);
		posix_spawn_file_actions_t actions{};
		posix_spawn_file_actions_init(&actions);
		posix_spawn_file_actions_adddup2(&actions, in[0], 0);
		posix_spawn_file_actions_adddup2(&actions, out[1], 1);
		posix_spawn_file_actions_adddup2(&actions, err[1], 2);
		EXPECT_EQ(posix_spawn(&pid_, arguments[0], &actions, nullptr, arguments.data(), environ), 0);
		posix_spawn_file_actions_destroy(&actions);
		for (const int end : {in[0], out[1], err[1]})
		{
			close(end);
		}
		in_ = Descriptor(in[1]);
		out_ = Descriptor(out[0]);
		err_ = Descriptor(err[0]);
	}
	~Process()
	{
		if (!ended_)
		{
			kill(pid_, SIGKILL);
			wait();
		}
	}
	Process(const Process &) = delete;
	Process &operator=(const Process &) = delete;
	Process(Process &&) = delete;
	Process &operator=(Process &&) = delete;

	/** Its exit status, -1 if a signal has ended it. */
	int wait()
	{
		in_.reset();
		out += read_all(out_.get());
		err += read_all(err_.get());
		int status = 0;
		EXPECT_EQ(waitpid(pid_, &status, 0), pid_);
		ended_ = true;
		return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
	}
	/** The next line. */
	std::string line()
	{
		std::string found;
		char octet = 0;
		while (read(out_.get(), &octet, 1) == 1 && octet != '\n')
		{
			found += octet;
		}
		return found;
	}
	void say(const std::string &text) { EXPECT_GT(write(in_.get(), text.data(), text.size()), 0); }

	std::string out;
	std::string err;

private:
	static std::string read_all(int fd)
	{
		std::string all;
		std::array<char, 4096> part{};
		ssize_t got = 0;
		while ((got = read(fd, part.data(), part.size())) > 0)
		{
			all.append(part.data(), static_cast<size_t>(got));
		}
		return all;
	}

	pid_t pid_ = -1;
	bool ended_ = false;
	Descriptor in_;
	Descriptor out_;
	Descriptor err_;
};

/** Programs run by btns-run, and a daemon that latches what they want. */
class BtnsRun : public testing::Test
{
protected:
	std::shared_ptr<FakeLatches> latches = std::make_shared<FakeLatches>();
	AppWorld world{{}, latches};
	Listener listener = loopback_listener();

	void SetUp() override
	{
		if (access(python, X_OK) != 0)
		{
			GTEST_SKIP() << "no " << python;
		}
	}

	/** btns-run with options. */
	[[nodiscard]] std::vector<std::string> command(const std::vector<std::string> &options,
												   const std::vector<std::string> &program) const
	{
		std::vector<std::string> words{BTNS_RUN_PROGRAM, "--library", BTNS_RUN_LIBRARY, "--socket", world.path()};
		words.insert(words.end(), options.begin(), options.end());
		words.emplace_back("--");
		words.insert(words.end(), program.begin(), program.end());
		return words;
	}
	/** A script in Python; `port` is the listener's. */
	[[nodiscard]] std::vector<std::string> script(const std::vector<std::string> &options,
												  const std::string &text) const
	{
		return command(options, {python, "-c",
								 "import errno, os, socket, sys\nport = " + std::to_string(listener.port()) +
									 "\nhere = ('127.0.0.1', port)\n" + text});
	}
	/** One that has to go well. */
	Process &run(const std::vector<std::string> &options, const std::string &text)
	{
		last_ = std::make_unique<Process>(script(options, text));
		EXPECT_EQ(last_->wait(), 0) << last_->err;
		return *last_;
	}
	[[nodiscard]] bool is_untouched() const
	{
		pollfd waiting{listener.socket.get(), POLLIN, 0};
		return poll(&waiting, 1, 0) == 0;
	}

private:
	std::unique_ptr<Process> last_;
};

TEST_F(BtnsRun, latches_what_a_program_connects_to)
{
	latches->ready_after(2);
	const auto &process = run({"--loopback"}, "s = socket.create_connection(here)\nprint(s.getpeername()[1] == port)");
	EXPECT_EQ(process.out, "True\n");
	EXPECT_EQ(process.err, "");
	EXPECT_EQ(latches->made(), 1U);
	EXPECT_TRUE(eventually([&] { return latches->gone().size() == 1; })) << "and with it the latch goes";
}

TEST_F(BtnsRun, passes_on_what_is_asked_for)
{
	Process process(script({"--loopback", "--auth", "authenticated", "--peer-key", "sha256:" + std::string(64, 'a'),
							"--wait", "--timeout", "1.5", "--narrow", "--no-encryption"},
						   "s = socket.create_connection(here)\nprint('there', flush=True)\nsys.stdin.read()"));
	ASSERT_EQ(process.line(), "there");
	const auto made = latches->only();
	EXPECT_FALSE(made.was_connected);
	EXPECT_TRUE(made.is_connected);
	EXPECT_EQ(made.destination->port, listener.port());
	EXPECT_EQ(made.request.auth, btns::LatchAuth::authenticated);
	EXPECT_EQ(made.request.disposition, btns::LatchDisposition::wait);
	EXPECT_TRUE(made.request.narrow);
	EXPECT_FALSE(made.request.confidentiality);
	EXPECT_EQ(made.request.timeout, 1500U);
	ASSERT_TRUE(made.request.peer_key);
	EXPECT_EQ(made.request.peer_key->at(0), 0xaa);
	EXPECT_EQ(process.wait(), 0);
}

TEST_F(BtnsRun, refuses_what_cannot_be_latched)
{
	const std::string text = "try:\n socket.create_connection(here)\nexcept OSError as no:\n "
							 "print(errno.errorcode[no.errno])";
	for (const auto &[outcome, expected] :
		 {std::pair(LatchOutcome::unprotected, "ECONNREFUSED\n"), std::pair(LatchOutcome::conflict, "ECONNREFUSED\n"),
		  std::pair(LatchOutcome::not_wanted, "ECONNREFUSED\n"), std::pair(LatchOutcome::full, "EPERM\n")})
	{
		latches->decide([outcome = outcome](const auto &) { return outcome; });
		const auto &process = run({"--loopback"}, text);
		EXPECT_EQ(process.out, expected);
		EXPECT_NE(process.err.find("]: connection to 127.0.0.1 port " + std::to_string(listener.port()) + " refused: "),
				  std::string::npos)
			<< process.err;
	}
	latches->decide({});
	latches->ready_after(1000000);
	EXPECT_EQ(run({"--loopback", "--require", "--timeout", "0.05"}, text).out, "ETIMEDOUT\n");
	EXPECT_TRUE(is_untouched());
}

TEST_F(BtnsRun, reports_what_goes_on_without)
{
	latches->decide([](const auto &) { return LatchOutcome::unprotected; });
	const std::string text = "s = socket.create_connection(here)\nprint(s.getpeername()[1] == port)";
	const auto &process = run({"--loopback", "--report"}, text);
	EXPECT_EQ(process.out, "True\n");
	EXPECT_NE(process.err.find(" has no latch: no SA protects the connection\n"), std::string::npos) << process.err;
	const Folder folder;
	const auto &logged = run({"--loopback", "--report", "--log", folder.path("log")}, text);
	EXPECT_EQ(logged.err, "");
	std::ifstream log(folder.path("log"));
	std::string line;
	std::getline(log, line);
	EXPECT_NE(line.find("has no latch"), std::string::npos);
	const auto &elsewhere = run({"--loopback", "--report"}, "os.close(2)\nf = open('" + folder.path("mine") +
																"', 'w')\nassert f.fileno() == 2\n" + text);
	EXPECT_EQ(elsewhere.err, "");
	EXPECT_EQ(std::filesystem::file_size(folder.path("mine")), 0U) << "descriptor 2 is another file now";
}

TEST_F(BtnsRun, leaves_alone_what_is_excepted)
{
	latches->decide([](const auto &) { return LatchOutcome::unprotected; });
	const std::string text = "s = socket.create_connection(here)\nprint(s.getpeername()[1] == port)";
	const std::string port = std::to_string(listener.port());
	EXPECT_EQ(run({}, text).out, "True\n") << "loopback";
	EXPECT_EQ(run({"--loopback", "--except", port}, text).out, "True\n");
	EXPECT_EQ(run({"--loopback", "--except", "udp/53,127.0.0.0/8"}, text).out, "True\n");
	EXPECT_EQ(run({"--loopback", "--except", "udp/53", "--except", "127.0.0.1[tcp/" + port + "]"}, text).out, "True\n");
	EXPECT_EQ(run({"--loopback", "--except", "udp/" + port + ",::/0"},
				  "print(socket.socket().connect_ex(here) == errno.ECONNREFUSED)")
				  .out,
			  "True\n");
	EXPECT_EQ(run({"--loopback"}, "a, b = socket.socketpair()\na.send(b'x')\nprint(b.recv(1))").out, "b'x'\n");
	EXPECT_EQ(latches->made(), 0U);
}

TEST_F(BtnsRun, says_what_connect_says)
{
	const Listener nobody = loopback_listener(AF_INET, SOCK_STREAM, false);
	const std::string other = "('127.0.0.1', " + std::to_string(nobody.port()) + ")";
	const auto &process =
		run({"--loopback"}, "s = socket.socket()\n"
							"print(errno.errorcode[s.connect_ex(" +
								other +
								")])\n"
								"print(s.connect_ex(here))\n"
								"print(errno.errorcode[s.connect_ex(here)])\n"
								"print(errno.errorcode[socket.socket().connect_ex(('127.0.0.1', 0))])\n");
	EXPECT_EQ(process.out, "ECONNREFUSED\n0\nEISCONN\nEPERM\n");
	EXPECT_EQ(latches->made(), 2U);
	EXPECT_EQ(latches->released(), 1U);
}

TEST_F(BtnsRun, sockets_that_do_not_block_go_on_connecting)
{
	const auto &process = run({"--loopback"}, "import asyncio\n"
											  "async def main():\n"
											  " all = [await asyncio.open_connection(*here) for i in range(5)]\n"
											  " print(len(all))\n"
											  "asyncio.run(main())\n"
											  "s = socket.socket()\n"
											  "s.setblocking(False)\n"
											  "print(errno.errorcode[s.connect_ex(here)])\n"
											  "import select\n"
											  "select.select([], [s], [])\n"
											  "print(s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR))\n");
	EXPECT_EQ(process.out, "5\nEINPROGRESS\n0\n");
	EXPECT_EQ(latches->made(), 6U);
}

TEST_F(BtnsRun, udp_is_latched_when_it_is_connected_and_once_more_when_it_is_elsewhere)
{
	const Listener one = loopback_listener(AF_INET, SOCK_DGRAM);
	const Listener other = loopback_listener(AF_INET, SOCK_DGRAM);
	const auto place = [](const Listener &at) { return "('127.0.0.1', " + std::to_string(at.port()) + ")"; };
	run({"--loopback"}, "s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
						"s.connect(" +
							place(one) + ")\ns.send(b'1')\ns.connect(" + place(other) + ")\ns.send(b'22')\n");
	EXPECT_EQ(latches->made(), 2U);
	EXPECT_EQ(latches->released(), 1U);
	std::array<char, 8> octets{};
	EXPECT_EQ(recv(one.socket.get(), octets.data(), octets.size(), MSG_DONTWAIT), 1);
	EXPECT_EQ(recv(other.socket.get(), octets.data(), octets.size(), MSG_DONTWAIT), 2);
}

TEST_F(BtnsRun, a_child_that_was_forked_is_an_owner_of_its_own)
{
	Process process(script({"--loopback"}, "a = socket.create_connection(here)\n"
										   "if os.fork() == 0:\n"
										   " b = socket.create_connection(here)\n"
										   " print('there', flush=True)\n"
										   " sys.stdin.readline()\n"
										   " os._exit(0)\n"
										   "os._exit(0)\n"));
	ASSERT_EQ(process.line(), "there");
	const auto all = latches->all();
	ASSERT_EQ(all.size(), 2U);
	EXPECT_NE(all[0].owner, all[1].owner);
	std::this_thread::sleep_for(std::chrono::milliseconds(200));
	EXPECT_TRUE(latches->gone().empty()) << "its parent has ended, but it may use that one's connections";
	process.say("\n");
	process.wait();
	EXPECT_TRUE(eventually([&] { return latches->gone().size() == 2; }));
}

TEST_F(BtnsRun, its_descriptor_is_out_of_the_way)
{
	const auto &process = run({"--loopback"}, "a = socket.create_connection(here)\n"
											  "print(sorted(map(int, os.listdir('/proc/self/fd')))[-1] >= 900)\n"
											  "b = os.open('/dev/null', os.O_RDONLY)\n"
											  "print(b < 10)\n"
											  "sys.stdout.flush()\n"
											  "os.execv('/bin/ls', ['ls', '/proc/self/fd'])\n");
	EXPECT_EQ(process.out.substr(0, 10), "True\nTrue\n");
	std::istringstream rest(process.out.substr(10));
	for (int fd = 0; rest >> fd;)
	{
		EXPECT_LT(fd, 900) << "what is executed has none";
	}
}

TEST_F(BtnsRun, who_closes_all_descriptors_keeps_the_latches)
{
	Process process(script({"--loopback"}, "a = socket.create_connection(here)\n"
										   "os.closerange(a.fileno() + 1, 100000)\n"
										   "for fd in range(a.fileno() + 1, 2000):\n"
										   " try:\n  os.close(fd)\n"
										   " except OSError:\n  pass\n"
										   "b = socket.create_connection(here)\n"
										   "print('there', flush=True)\n"
										   "sys.stdin.readline()\n"));
	ASSERT_EQ(process.line(), "there");
	const auto all = latches->all();
	ASSERT_EQ(all.size(), 2U);
	EXPECT_EQ(all[0].owner, all[1].owner);
	EXPECT_TRUE(latches->gone().empty());
}

TEST_F(BtnsRun, one_that_was_closed_by_a_system_call_is_opened_anew_and_what_has_its_number_is_left_alone)
{
	const auto &process = run({"--loopback"}, "import ctypes\n"
											  "a = socket.create_connection(here)\n"
											  "top = max(map(int, os.listdir('/proc/self/fd')))\n"
											  "libc = ctypes.CDLL(None)\n"
											  "close = 3 if os.uname().machine == 'x86_64' else 57\n"
											  "print(libc.syscall(close, top))\n"
											  "mine = os.open('/dev/null', os.O_RDONLY)\n"
											  "import fcntl\n"
											  "mine = fcntl.fcntl(mine, fcntl.F_DUPFD, top)\n"
											  "print(mine == top)\n"
											  "b = socket.create_connection(here)\n"
											  "print(os.read(mine, 1))\n");
	EXPECT_EQ(process.out, "0\nTrue\nb''\n");
	EXPECT_EQ(latches->made(), 2U);
	EXPECT_TRUE(eventually([&] { return latches->gone().size() == 2; }));
}

TEST_F(BtnsRun, many_threads_connect_at_once)
{
	const auto &process = run({"--loopback"}, "import threading\n"
											  "all = []\n"
											  "def go():\n"
											  " for i in range(8): all.append(socket.create_connection(here))\n"
											  "threads = [threading.Thread(target=go) for i in range(6)]\n"
											  "[t.start() for t in threads]\n[t.join() for t in threads]\n"
											  "print(len(all))\n");
	EXPECT_EQ(process.out, "48\n");
	EXPECT_EQ(latches->made(), 48U);
}

TEST_F(BtnsRun, what_is_sent_before_there_is_a_latch_is_not_sent)
{
	const auto &process = run({"--loopback"}, "s = socket.socket()\n"
											  "try:\n s.sendto(b'early', socket.MSG_FASTOPEN, here)\n"
											  "except OSError as no:\n print(errno.errorcode[no.errno])\n"
											  "try:\n s.sendmsg([b'early'], [], socket.MSG_FASTOPEN, here)\n"
											  "except OSError as no:\n print(errno.errorcode[no.errno])\n"
											  "try:\n s.setsockopt(socket.IPPROTO_TCP, 30, 1)\n"
											  "except OSError as no:\n print(errno.errorcode[no.errno])\n");
	EXPECT_EQ(process.out, "ENOTSUP\nENOTSUP\nENOTSUP\n");
	EXPECT_TRUE(is_untouched());
}

/** Connect to a port that a process says. */
Descriptor connect_to(const std::string &port)
{
	Listener place = loopback_listener(AF_INET, SOCK_STREAM, false);
	auto *in = reinterpret_cast<sockaddr_in *>(&place.address);
	in->sin_port = htons(static_cast<uint16_t>(std::stoi(port)));
	Descriptor made(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
	EXPECT_EQ(connect(made.get(), place.where(), place.length), 0);
	return made;
}

TEST_F(BtnsRun, latches_listeners_before_they_listen_and_what_they_accept)
{
	for (const char *bind : {"l.bind(('127.0.0.1', 0))\n", ""})
	{
		Process process(script({"--loopback"}, "l = socket.socket()\n" + std::string(bind) +
												   "l.listen()\nprint(l.getsockname()[1], flush=True)\n"
												   "c, peer = l.accept()\nprint(peer[0])\n"
												   "print('there', flush=True)\nsys.stdin.readline()\n"));
		const std::string port = process.line();
		EXPECT_FALSE(latches->only().was_listening);
		EXPECT_EQ(latches->only().state, LatchState::listener);
		const Descriptor peer = connect_to(port);
		EXPECT_EQ(process.line(), "127.0.0.1");
		ASSERT_EQ(process.line(), "there");
		EXPECT_EQ(latches->all().size(), 2U);
		EXPECT_EQ(latches->all().back().state, LatchState::established);
		process.say("\n");
		EXPECT_EQ(process.wait(), 0);
		EXPECT_TRUE(eventually([&] { return latches->all().empty(); }));
	}
}

TEST_F(BtnsRun, a_connection_that_cannot_be_latched_is_reset_and_the_next_one_accepted)
{
	std::atomic<int> asked = 0;
	latches->decide([&](const auto &) { return asked++ == 1 ? LatchOutcome::not_wanted : LatchOutcome::made; });
	Process process(script({"--loopback"}, "l = socket.create_server(('127.0.0.1', 0))\n"
										   "print(l.getsockname()[1], flush=True)\n"
										   "c, peer = l.accept()\nprint(c.recv(10).decode(), flush=True)\n"));
	const std::string port = process.line();
	const Descriptor refused = connect_to(port);
	char octet = 0;
	EXPECT_EQ(recv(refused.get(), &octet, 1, 0), -1);
	EXPECT_EQ(errno, ECONNRESET);
	const Descriptor accepted = connect_to(port);
	EXPECT_EQ(send(accepted.get(), "hello", 5, 0), 5);
	EXPECT_EQ(process.line(), "hello");
	EXPECT_EQ(process.wait(), 0);
	EXPECT_NE(process.err.find("connection from 127.0.0.1 port "), std::string::npos) << process.err;
}

TEST_F(BtnsRun, reports_what_it_accepts_without)
{
	const std::string text = "l = socket.create_server(('127.0.0.1', 0))\nprint(l.getsockname()[1], flush=True)\n"
							 "c, peer = l.accept()\nprint(c.recv(10).decode(), flush=True)\nsys.stdin.readline()\n";
	for (const bool is_protected : {false, true})
	{
		world.source.set(is_protected ? btns::test::protected_by(btns::test::full_channel())
									  : btns::test::unprotected());
		Process process(script({"--loopback", "--report"}, text));
		const Descriptor peer = connect_to(process.line());
		EXPECT_EQ(send(peer.get(), "hello", 5, 0), 5);
		EXPECT_EQ(process.line(), "hello");
		EXPECT_EQ(latches->made(), is_protected ? 1U : 0U);
		EXPECT_TRUE(!is_protected || latches->only().request.timeout == 0) << "a latch in vain would reset it";
		process.say("\n");
		EXPECT_EQ(process.wait(), 0);
		EXPECT_EQ(process.err.find(" has no latch: no SA protects the connection\n") == std::string::npos, is_protected)
			<< process.err;
	}
}

TEST_F(BtnsRun, a_listener_that_cannot_be_latched_does_not_listen)
{
	latches->decide([](const auto &) { return LatchOutcome::kernel; });
	const std::string text =
		"l = socket.socket()\nl.bind(('127.0.0.1', 0))\n"
		"try:\n l.listen()\n print('listens')\nexcept OSError as no:\n print(errno.errorcode[no.errno])\n";
	EXPECT_EQ(run({"--loopback"}, text).out, "EPERM\n");
	EXPECT_EQ(run({"--loopback", "--report"}, text).out, "listens\n");
	EXPECT_EQ(run({}, text).out, "listens\n") << "excepted";
}

TEST_F(BtnsRun, workers_latch_what_they_accept_from_their_masters_listener)
{
	Process process(script({"--loopback"}, "l = socket.create_server(('127.0.0.1', 0))\n"
										   "print(l.getsockname()[1], flush=True)\n"
										   "if os.fork() != 0:\n os.wait()\n os._exit(0)\n"
										   "c, peer = l.accept()\n"
										   "print('there', flush=True)\nsys.stdin.readline()\nos._exit(0)\n"));
	const Descriptor peer = connect_to(process.line());
	ASSERT_EQ(process.line(), "there");
	const auto all = latches->all();
	ASSERT_EQ(all.size(), 2U) << "the listener was latched already";
	EXPECT_EQ(all[1].state, LatchState::established);
	EXPECT_NE(all[0].owner, all[1].owner);
	process.say("\n");
	process.wait();
}

TEST_F(BtnsRun, a_listener_that_came_from_elsewhere_is_latched_when_it_accepts)
{
	const Listener inherited = loopback_listener();
	ASSERT_EQ(fcntl(inherited.socket.get(), F_SETFD, 0), 0);
	Process process(script({"--loopback"}, "l = socket.socket(fileno=" + std::to_string(inherited.socket.get()) +
											   ")\nc, peer = l.accept()\nprint(c.recv(10).decode(), flush=True)\n"));
	const Descriptor peer = connect_to(std::to_string(inherited.port()));
	EXPECT_EQ(send(peer.get(), "hello", 5, 0), 5);
	EXPECT_EQ(process.line(), "hello");
	EXPECT_EQ(process.wait(), 0);
	EXPECT_EQ(latches->made(), 2U);
}

TEST_F(BtnsRun, curl_is_latched)
{
	if (access("/usr/bin/curl", X_OK) != 0)
	{
		GTEST_SKIP() << "no curl";
	}
	std::thread server(
		[&]
		{
			const Descriptor accepted(accept(listener.socket.get(), nullptr, nullptr));
			std::array<char, 1024> request{};
			EXPECT_GT(recv(accepted.get(), request.data(), request.size(), 0), 0);
			constexpr std::string_view answer = "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi";
			EXPECT_EQ(send(accepted.get(), answer.data(), answer.size(), 0), static_cast<ssize_t>(answer.size()));
		});
	const std::string url = "http://127.0.0.1:" + std::to_string(listener.port()) + "/";
	Process process(command({"--loopback"}, {"/usr/bin/curl", "-s", "--noproxy", "*", url}));
	EXPECT_EQ(process.wait(), 0) << process.err;
	server.join();
	EXPECT_EQ(process.out, "hi");
	EXPECT_EQ(latches->made(), 1U);
	latches->decide([](const auto &) { return LatchOutcome::unprotected; });
	Process refused(command({"--loopback"}, {"/usr/bin/curl", "-s", "--noproxy", "*", url}));
	EXPECT_EQ(refused.wait(), 7) << "failed to connect";
	EXPECT_TRUE(is_untouched());
}

TEST_F(BtnsRun, a_daemon_that_was_restarted_is_connected_to_again)
{
	const Folder folder;
	const btns::AppSocketFile file{folder.path("socket"), 0600, static_cast<gid_t>(-1)};
	const auto counters = std::make_shared<btns::AppCounters>();
	auto first = std::make_unique<btns::AppServer>(world.source, file, counters);
	first->set_latches(latches);
	auto words = script({"--loopback"}, "a = socket.create_connection(here)\nprint('there', flush=True)\n"
										"sys.stdin.readline()\n"
										"b = socket.create_connection(here)\nprint('again', flush=True)\n"
										"sys.stdin.readline()\n"
										"print(errno.errorcode[socket.socket().connect_ex(here)], flush=True)\n");
	words.at(4) = file.path;
	Process process(words);
	ASSERT_EQ(process.line(), "there");
	first.reset();
	const auto second = std::make_unique<btns::AppServer>(world.source, file, counters);
	second->set_latches(latches);
	process.say("\n");
	EXPECT_EQ(process.line(), "again");
	EXPECT_EQ(latches->made(), 2U);
	second->stop();
	process.say("\n");
	EXPECT_EQ(process.line(), "EPERM");
	EXPECT_EQ(process.wait(), 0);
}

TEST_F(BtnsRun, what_it_cannot_do_it_says_and_does_not_run_the_program)
{
	const auto status_of = [](const std::vector<std::string> &words)
	{
		Process process(words);
		const int status = process.wait();
		EXPECT_EQ(process.out, "");
		EXPECT_NE(process.err, "");
		return status;
	};
	const std::vector<std::string> echo{"/bin/echo", "runs"};
	EXPECT_EQ(status_of(command({}, {"/nowhere"})), 126);
	EXPECT_EQ(status_of(command({}, {"btns-nothing-of-that-name"})), 127);
	EXPECT_EQ(status_of(command({"--auth", "some"}, echo)), 125);
	EXPECT_EQ(status_of(command({"--except", "example.org"}, echo)), 125);
	EXPECT_EQ(status_of(command({"--peer-key", "sha256:12"}, echo)), 125);
	EXPECT_EQ(status_of(command({"--timeout", "-1"}, echo)), 125);
	EXPECT_EQ(status_of(command({"--require", "--report"}, echo)), 125);
	EXPECT_EQ(status_of({BTNS_RUN_PROGRAM}), 125);
	EXPECT_EQ(status_of({BTNS_RUN_PROGRAM, "--library", "/nowhere.so", "--", "/bin/echo", "runs"}), 126);
	auto words = command({}, echo);
	words.at(4) = "/nowhere";
	EXPECT_EQ(status_of(words), 125) << "no daemon";
	world.server.set_latches(nullptr);
	EXPECT_EQ(status_of(command({}, echo)), 125) << "no latches";
	Process reported(command({"--report"}, echo));
	EXPECT_EQ(reported.wait(), 0);
	EXPECT_EQ(reported.out, "runs\n");
	EXPECT_NE(reported.err.find("nothing will be latched"), std::string::npos);
}

TEST_F(BtnsRun, hands_on_words_and_status_as_they_are)
{
	Process process(command({}, {"/bin/sh", "-c", "echo \"$@\"; exit 3", "sh", "--report", "--", "a b"}));
	EXPECT_EQ(process.wait(), 3);
	EXPECT_EQ(process.out, "--report -- a b\n");
	std::vector<std::string> words{BTNS_RUN_PROGRAM, "--library", BTNS_RUN_LIBRARY, "--socket", world.path(),
								   "/bin/echo",		 "-n",		  "--report"};
	Process bare(words);
	EXPECT_EQ(bare.wait(), 0);
	EXPECT_EQ(bare.out, "--report") << "without the two dashes before";
	Process help({BTNS_RUN_PROGRAM, "--help"});
	EXPECT_EQ(help.wait(), 0);
	EXPECT_NE(help.out.find("btns-run [OPTIONS] -- PROGRAM"), std::string::npos);
}

TEST_F(BtnsRun, the_library_without_its_options_runs_nothing)
{
	for (const char *options : {"", "1:0", "BTNS_RUN=2:0:0"})
	{
		Process process(
			{"/usr/bin/env", "LD_PRELOAD=" BTNS_RUN_LIBRARY, std::string("BTNS_RUN=") + options, "/bin/echo", "runs"});
		EXPECT_EQ(process.wait(), 125);
		EXPECT_EQ(process.out, "");
		EXPECT_NE(process.err.find("BTNS_RUN"), std::string::npos);
	}
}

#endif

} // namespace
