/* SPDX-License-Identifier: MIT */
/**
 * @file monitor.cpp
 * Events as they happen, until somebody has seen enough.
 */
#include <poll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <ctime>
#include <iostream>

#include "commands.h"
#include "text.h"

namespace btnsctl
{

namespace
{

/** Milliseconds after which it is looked whether charon is still there. */
constexpr int look_interval = 2000;

/** A descriptor that is closed. */
class Descriptor
{
public:
	explicit Descriptor(int fd) : fd_(fd) {}
	~Descriptor()
	{
		if (fd_ >= 0)
		{
			close(fd_);
		}
	}
	Descriptor(const Descriptor &) = delete;
	Descriptor &operator=(const Descriptor &) = delete;
	Descriptor(Descriptor &&) = delete;
	Descriptor &operator=(Descriptor &&) = delete;
	[[nodiscard]] int get() const { return fd_; }

private:
	int fd_;
};

std::string clock_time()
{
	return timestamp(time(nullptr)).substr(11);
}

/** One of charon's events has what we want one level down, in a section named as the connection. */
std::string describe_sa(const std::string &event, const Json &message)
{
	std::string text = get(message, "up") == "yes" ? "up" : event.find("updown") != std::string::npos ? "down" : "";
	for (const auto &[name, sa] : message.items())
	{
		if (sa.is_object())
		{
			const Json &shown = sa.contains("new") ? sa["new"] : sa;
			text += (text.empty() ? "" : " ") + ("#" + get(shown, "uniqueid")) + " " + name + " " +
					get(shown, "remote-host") + " " + get(shown, "remote-id");
		}
	}
	return text;
}

/** One of the plugin's. */
std::string describe(const Json &message)
{
	std::string text =
		"#" + get(message, "uniqueid") + " " + get(message, "connection", "-") + " " + get(message, "remote-host", "-");
	const std::string fingerprint = get(message, "fingerprint");
	const std::string identity = get(message, "authorized-id", fingerprint.empty() ? "" : "btns:sha256:" + fingerprint);
	const std::string before = get(message, "previous-fingerprint");
	const std::string code = get(message, "code");
	const std::string asserted = get(message, "asserted-id");
	text += identity.empty() ? "" : " " + identity;
	text += before.empty() ? "" : ", was btns:sha256:" + before;
	text += code.empty() ? "" : " " + code + ": " + get(message, "reason");
	return text + (asserted.empty() || asserted == identity ? "" : " (calls itself " + asserted + ")");
}

/** What has happened to a connection latch. */
std::string describe_change(const Json &message)
{
	const std::string code = get(message, "code");
	const std::string lost = get(message, "lost");
	return "#" + get(message, "latch") + " " + get(message, "state") + " " + describe_latch(message) +
		   (code.empty() ? "" : " " + code + ": " + get(message, "reason")) +
		   (lost.empty() ? "" : " (" + lost + " changes before this one were not told)");
}

std::string describe_event(const Vici::Event &event)
{
	if (event.name == "btns-latch-changed")
	{
		return describe_change(event.message);
	}
	return event.name.starts_with("btns-") ? describe(event.message) : describe_sa(event.name, event.message);
}

void print(const Vici::Event &event, bool json)
{
	if (json)
	{
		Json line = {{"event", event.name}, {"time", time(nullptr)}};
		line.update(typed(event.message));
		print_json(line, false);
		return;
	}
	const bool ours = event.name.starts_with("btns-");
	std::cout << clock_time() << " " << (ours ? event.name.substr(5) : event.name) << " "
			  << safe(describe_event(event), is_utf8()) << std::endl;
}

} // namespace

Status monitor(const Common &common, bool all)
{
	// main() has blocked them for all threads
	sigset_t end;
	sigemptyset(&end);
	for (const int signal : {SIGINT, SIGTERM, SIGHUP})
	{
		sigaddset(&end, signal);
	}
	const Descriptor signals(signalfd(-1, &end, SFD_CLOEXEC));
	if (signals.get() < 0)
	{
		throw Failure(refused, "cannot wait for signals: " + error_text(errno));
	}

	Vici vici(common.uri);
	bool any = false;
	for (const char *event :
		 {"btns-peer-up", "btns-peer-down", "btns-peer-changed", "btns-rejected", "btns-latch-changed"})
	{
		any = vici.listen(event) || any;
	}
	if (!any)
	{
		throw Failure(no_plugin, "charon runs without the btns plugin: see btnsctl doctor");
	}
	for (const char *event : {"ike-updown", "ike-rekey", "ike-update", "child-updown", "child-rekey"})
	{
		if (all)
		{
			vici.listen(event);
		}
	}
	if (!common.json)
	{
		std::cerr << "btnsctl: waiting for events; Ctrl-C ends it" << std::endl;
	}
	for (;;)
	{
		pollfd fds[] = {{signals.get(), POLLIN, 0}, {vici.event_fd(), POLLIN, 0}};
		const int ready = poll(fds, 2, look_interval);
		for (const Vici::Event &event : vici.events())
		{
			print(event, common.json);
		}
		if (!std::cout)
		{
			// nobody reads any more
			return done;
		}
		if (ready > 0 && fds[0].revents != 0)
		{
			return done;
		}
		if (ready == 0)
		{
			vici.request("version");
		}
	}
}

} // namespace btnsctl
