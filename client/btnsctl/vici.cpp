/* SPDX-License-Identifier: MIT */
#include "vici.h"

#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include <libvici.h>

#include "failure.h"
#include "text.h"

namespace btnsctl
{

namespace
{

using Lock = std::lock_guard<std::mutex>;

/** Nesting of sections in a message, at most. */
constexpr unsigned depth_max = 32;

/** libvici's functions take char* where they change nothing. */
char *mutable_text(const std::string &text)
{
	return const_cast<char *>(text.c_str());
}

std::string value_of(vici_res_t *message)
{
	int length = 0;
	const void *value = vici_parse_value(message, &length);
	return value != nullptr && length > 0 ? std::string(static_cast<const char *>(value), static_cast<size_t>(length))
										  : "";
}

std::string name_of(vici_res_t *message)
{
	const char *name = vici_parse_name(message);
	return name != nullptr ? name : "";
}

/** Read a section or, with depth 0, a message. */
Json read(vici_res_t *message, unsigned depth)
{
	Json out = Json::object();
	std::string list;
	for (;;)
	{
		switch (vici_parse(message))
		{
		case VICI_PARSE_BEGIN_SECTION:
		{
			if (depth == depth_max)
			{
				throw Failure(unreachable, "charon sent a message that is nested too deeply");
			}
			const std::string name = name_of(message);
			out[name] = read(message, depth + 1);
			break;
		}
		case VICI_PARSE_END_SECTION:
		case VICI_PARSE_END:
			return out;
		case VICI_PARSE_BEGIN_LIST:
			list = name_of(message);
			out[list] = Json::array();
			break;
		case VICI_PARSE_LIST_ITEM:
			out[list].push_back(value_of(message));
			break;
		case VICI_PARSE_END_LIST:
			break;
		case VICI_PARSE_KEY_VALUE:
		{
			const std::string name = name_of(message);
			out[name] = value_of(message);
			break;
		}
		case VICI_PARSE_ERROR:
			throw Failure(unreachable, "charon sent a message that cannot be understood");
		}
	}
}

void write_value(vici_req_t *request, const std::string &name, const std::string &value)
{
	vici_add_key_value(request, mutable_text(name), const_cast<char *>(value.data()), static_cast<int>(value.size()));
}

void write(vici_req_t *request, const Json &fields)
{
	for (const auto &[name, value] : fields.items())
	{
		if (value.is_object())
		{
			vici_begin_section(request, mutable_text(name));
			write(request, value);
			vici_end_section(request);
		}
		else if (value.is_array())
		{
			vici_begin_list(request, mutable_text(name));
			for (const Json &item : value)
			{
				const auto text = item.get<std::string>();
				vici_add_list_item(request, const_cast<char *>(text.data()), static_cast<int>(text.size()));
			}
			vici_end_list(request);
		}
		else
		{
			write_value(request, name, value.get<std::string>());
		}
	}
}

/** libvici says why on standard error only, and not what to do. */
void check_socket(const std::string &uri)
{
	constexpr std::string_view scheme = "unix://";
	if (!uri.starts_with(scheme))
	{
		return;
	}
	const std::string path = uri.substr(scheme.size());
	sockaddr_un address{};
	address.sun_family = AF_UNIX;
	if (path.size() >= sizeof(address.sun_path))
	{
		throw Failure(usage, "the path of the vici socket is too long: " + safe(path));
	}
	std::ranges::copy(path, address.sun_path);
	const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	const int result = fd < 0 ? -1 : connect(fd, reinterpret_cast<const sockaddr *>(&address), sizeof(address));
	const int error = errno;
	if (fd >= 0)
	{
		close(fd);
	}
	if (result == 0)
	{
		return;
	}
	switch (error)
	{
	case ENOENT:
	case ECONNREFUSED:
		throw Failure(unreachable,
					  "nothing listens on " + safe(path) +
						  ": charon does not run (systemctl start strongswan), or its vici socket is elsewhere "
						  "(--uri)");
	case EACCES:
	case EPERM:
		throw Failure(unreachable, "not allowed to connect to " + safe(path) + ": only root is");
	default:
		throw Failure(unreachable, "cannot connect to " + safe(path) + ": " + error_text(error));
	}
}

} // namespace

/** What libvici's thread puts events into. */
struct Vici::Inbox
{
	Inbox() : fd(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}
	~Inbox()
	{
		if (fd >= 0)
		{
			close(fd);
		}
	}
	Inbox(const Inbox &) = delete;
	Inbox &operator=(const Inbox &) = delete;
	Inbox(Inbox &&) = delete;
	Inbox &operator=(Inbox &&) = delete;

	/** Called by libvici. */
	static void receive(void *user, char *name, vici_res_t *message)
	{
		auto *inbox = static_cast<Inbox *>(user);
		try
		{
			Json json = read(message, 0);
			const Lock lock(inbox->mutex);
			inbox->events.push_back({name, std::move(json)});
		}
		catch (const std::exception &)
		{
			// what cannot be read or kept is lost; the exception must not go through libvici
		}
		const uint64_t one = 1;
		static_cast<void>(!::write(inbox->fd, &one, sizeof(one)));
	}

	const int fd;
	std::mutex mutex;
	std::deque<Event> events;
};

Vici::Vici(const std::string &uri) : inbox_(std::make_unique<Inbox>())
{
	check_socket(uri.empty() ? default_uri : uri);
	vici_init();
	connection_ = vici_connect(uri.empty() ? nullptr : mutable_text(uri));
	if (connection_ == nullptr)
	{
		const int error = errno;
		vici_deinit();
		throw Failure(unreachable, "cannot connect to charon's vici socket: " + error_text(error));
	}
}

Vici::~Vici()
{
	vici_disconnect(connection_);
	vici_deinit();
}

Json Vici::submit(const std::string &command, const Json &fields)
{
	vici_req_t *request = vici_begin(mutable_text(command));
	write(request, fields);
	errno = 0;
	vici_res_t *response = vici_submit(request, connection_);
	if (response == nullptr)
	{
		if (errno == ENOENT)
		{
			unknown(command);
		}
		throw Failure(unreachable, "charon does not answer any more: " + error_text(errno));
	}
	const std::unique_ptr<vici_res_t, void (*)(vici_res_t *)> owned(response, vici_free_res);
	Json answer = read(response, 0);
	if (get(answer, "success", "yes") != "yes")
	{
		throw Failure(refused, "charon says: " + safe(get(answer, "errmsg", "no")));
	}
	return answer;
}

/** charon does not know a command: say why. */
void Vici::unknown(const std::string &command)
{
	if (!command.starts_with("btns-"))
	{
		throw Failure(no_plugin, "charon has no command " + command);
	}
	if (!has_plugin())
	{
		throw Failure(no_plugin, "charon runs without the btns plugin: see btnsctl doctor");
	}
	throw Failure(no_plugin, "the btns plugin in this charon has no command " + command +
								 ": it is older than btnsctl; install it anew and restart strongSwan");
}

bool Vici::has_plugin()
{
	const Json stats = submit("stats", Json::object());
	const auto plugins = stats.find("plugins");
	return plugins != stats.end() && std::ranges::find(*plugins, "btns") != plugins->end();
}

Json Vici::request(const std::string &command, const Json &fields)
{
	return submit(command, fields);
}

bool Vici::listen(const std::string &event)
{
	errno = 0;
	if (vici_register(connection_, mutable_text(event), Inbox::receive, inbox_.get()) == 0)
	{
		return true;
	}
	if (errno != ENOENT)
	{
		throw Failure(unreachable, "charon does not answer any more: " + error_text(errno));
	}
	return false;
}

Messages Vici::stream(const std::string &command, const std::string &event, const Json &fields)
{
	if (!listen(event))
	{
		unknown(command);
	}
	submit(command, fields);
	vici_register(connection_, mutable_text(event), nullptr, nullptr);
	Messages messages;
	for (Event &received : events())
	{
		if (received.name == event)
		{
			messages.push_back(std::move(received.message));
		}
	}
	return messages;
}

int Vici::event_fd() const
{
	return inbox_->fd;
}

std::vector<Vici::Event> Vici::events()
{
	uint64_t count = 0;
	static_cast<void>(!::read(inbox_->fd, &count, sizeof(count)));
	const Lock lock(inbox_->mutex);
	std::vector<Event> taken(std::make_move_iterator(inbox_->events.begin()),
							 std::make_move_iterator(inbox_->events.end()));
	inbox_->events.clear();
	return taken;
}

} // namespace btnsctl
