/* SPDX-License-Identifier: MIT */
/**
 * @file vici.h
 * charon's vici socket, by libvici.
 */
#pragma once

#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "json.h"

struct vici_conn_t;

namespace btnsctl
{

constexpr const char *default_uri = "unix:///var/run/charon.vici";

/** Requires that signals are blocked that other threads shall not get: libvici starts some. One object at a time. */
class Vici
{
public:
	/** Connect. Throws Failure. @param uri	empty for libvici's own default */
	explicit Vici(const std::string &uri);
	~Vici();
	Vici(const Vici &) = delete;
	Vici &operator=(const Vici &) = delete;
	Vici(Vici &&) = delete;
	Vici &operator=(Vici &&) = delete;

	/** Issue a command; values are strings, arrays of them or objects. Throws Failure, also for success = no. */
	Json request(const std::string &command, const Json &fields = Json::object());
	/** The same, with the events that are streamed meanwhile. */
	Messages stream(const std::string &command, const std::string &event, const Json &fields = Json::object());
	/** Does charon have the plugin? */
	bool has_plugin();

	struct Event
	{
		std::string name;
		Json message;
	};
	/** Hear of an event from now on. FALSE if charon does not know it. */
	bool listen(const std::string &event);
	/** Readable when there are events. */
	[[nodiscard]] int event_fd() const;
	/** Take what has come. */
	std::vector<Event> events();

private:
	struct Inbox;
	Json submit(const std::string &command, const Json &fields);
	[[noreturn]] void unknown(const std::string &command);

	std::unique_ptr<Inbox> inbox_;
	vici_conn_t *connection_ = nullptr;
};

} // namespace btnsctl
