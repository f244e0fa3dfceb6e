/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
/* core.h: the application socket. */
#include <algorithm>
#include <stdexcept>

#include "abi.h"
#include "app_server.h"
#include "latches.h"

struct btns_app_server_t
{
	btns_app_server_t(const btns::Core &core, const btns::AppSocketFile &file)
		: server(core.channels(), file, core.app_counters)
	{
		server.set_latches(core.latches());
	}

	btns::AppServer server;
};

namespace
{

void copy_line(std::string_view line, char *out)
{
	const std::string_view cut = line.substr(0, BTNS_LINE_LEN - 1);
	*std::ranges::copy(cut, out).out = '\0';
}

} // namespace

btns_status_t btns_app_start(btns_core_t *core, const btns_app_options_t *options, btns_app_server_t **out, char *error)
{
	*out = nullptr;
	copy_line("out of memory", error);
	return btns::guard("btns_app_start",
					   [&]
					   {
						   try
						   {
							   *out = new btns_app_server_t(
								   core->core, {options->path, static_cast<mode_t>(options->mode), options->group});
						   }
						   catch (const std::runtime_error &failure)
						   {
							   copy_line(failure.what(), error);
							   return BTNS_STATUS_REFUSED;
						   }
						   *error = '\0';
						   return BTNS_STATUS_OK;
					   });
}

bool btns_app_line(btns_app_server_t *server, char *line)
{
	bool found = false;
	*line = '\0';
	btns::guard("btns_app_line",
				[&]
				{
					if (const auto next = server->server.wait_line())
					{
						copy_line(*next, line);
						found = true;
					}
					return BTNS_STATUS_OK;
				});
	return found;
}

btns_status_t btns_app_set_mode(btns_app_server_t *server, unsigned mode)
{
	return btns::guard("btns_app_set_mode",
					   [&] { return server->server.set_mode(mode) ? BTNS_STATUS_OK : BTNS_STATUS_REFUSED; });
}

void btns_app_stop(btns_app_server_t *server)
{
	btns::guard("btns_app_stop",
				[&]
				{
					server->server.stop();
					return BTNS_STATUS_OK;
				});
}

void btns_app_destroy(btns_app_server_t *server)
{
	delete server;
}
