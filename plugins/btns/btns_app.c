/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */

#include "btns_app.h"
#include "btns_options.h"

#include <daemon.h>
#include <threading/thread.h>

typedef struct private_btns_app_t private_btns_app_t;

/**
 * Private data of a btns_app_t.
 */
struct private_btns_app_t {

	/**
	 * Public interface
	 */
	btns_app_t public;

	/**
	 * Core
	 */
	btns_core_t *core;

	/**
	 * Options that the server was started with
	 */
	btns_socket_t socket;

	/**
	 * Server, NULL if nobody is served
	 */
	btns_app_server_t *server;

	/**
	 * Thread that logs what the server's own threads, which must not, have to
	 * say
	 */
	thread_t *logger;
};

/**
 * The logging thread.
 */
static void *log_lines(btns_app_server_t *server)
{
	char line[BTNS_LINE_LEN];

	while (btns_app_line(server, line))
	{
		DBG1(DBG_CFG, "btns: application socket: %s", line);
	}
	return NULL;
}

/**
 * Stop serving.
 */
static void stop(private_btns_app_t *this)
{
	if (this->server)
	{
		btns_app_stop(this->server);
		if (this->logger)
		{
			this->logger->join(this->logger);
		}
		btns_app_destroy(this->server);
	}
	this->server = NULL;
	this->logger = NULL;
}

/**
 * Start to serve.
 */
static bool start(private_btns_app_t *this)
{
	char error[BTNS_LINE_LEN];
	btns_app_options_t options = {
		.path = this->socket.path,
		.mode = this->socket.mode,
		.group = this->socket.group,
	};

	if (!this->socket.path[0])
	{
		return TRUE;
	}
	if (btns_app_start(this->core, &options, &this->server,
					   error) != BTNS_STATUS_OK)
	{
		DBG1(DBG_CFG, "btns: application socket: %s; applications are not "
			 "served", error);
		return FALSE;
	}
	this->logger = thread_create((thread_main_t)log_lines, this->server);
	if (!this->logger)
	{
		DBG1(DBG_CFG, "btns: application socket: no thread to log with; "
			 "applications are not served");
		stop(this);
		return FALSE;
	}
	DBG1(DBG_CFG, "btns: application socket: listening on %s",
		 this->socket.path);
	return TRUE;
}

METHOD(btns_app_t, reload, bool,
	private_btns_app_t *this)
{
	btns_socket_t socket;
	bool ok;

	ok = btns_options_read_socket(&socket);
	if (this->server && streq(socket.path, this->socket.path) &&
		socket.group == this->socket.group)
	{	/* clients stay, and so does the group, which charon cannot set any more */
		if (socket.mode != this->socket.mode)
		{
			this->socket.mode = socket.mode;
			ok = btns_app_set_mode(this->server,
								   socket.mode) == BTNS_STATUS_OK && ok;
		}
	}
	else
	{
		stop(this);
		this->socket = socket;
		ok = start(this) && ok;
	}
	return ok;
}

METHOD(btns_app_t, destroy, void,
	private_btns_app_t *this)
{
	stop(this);
	free(this);
}

/*
 * Described in header.
 */
btns_app_t *btns_app_create(btns_core_t *core)
{
	private_btns_app_t *this;

	INIT(this,
		.public = {
			.reload = _reload,
			.destroy = _destroy,
		},
		.core = core,
	);
	_reload(this);
	return &this->public;
}
