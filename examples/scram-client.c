/* SPDX-License-Identifier: MIT */
/**
 * @file scram-client.c
 * A client that logs in with a password, by SCRAM-SHA-256-PLUS through Cyrus SASL: the login succeeds only if client
 * and server see the same two keys at the ends of the IPsec channel. The password is read from standard input.
 *
 *     scram-client 192.0.2.2 7777 alice "what only the server may read" < password
 */
#include "common.h"

#include <sasl/sasl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/** SASL's type of all callbacks. */
#define CALLBACK(function) ((int (*)(void))(void (*)(void))(function))

static int get_user(void *user, int id, const char **result, unsigned *len)
{
	(void)id;
	*result = user;
	if (len)
	{
		*len = strlen(user);
	}
	return SASL_OK;
}

static int get_password(sasl_conn_t *sasl, void *password, int id, sasl_secret_t **secret)
{
	(void)sasl;
	(void)id;
	*secret = password;
	return SASL_OK;
}

/** A line of standard input. */
static sasl_secret_t *read_password(void)
{
	char line[256];
	sasl_secret_t *secret;
	size_t len;

	if (!fgets(line, sizeof(line), stdin))
	{
		refuse(-1, "there is no password on standard input");
	}
	len = strcspn(line, "\r\n");
	secret = calloc(1, sizeof(*secret) + len);
	if (secret)
	{
		secret->len = len;
		memcpy(secret->data, line, len);
	}
	return secret;
}

/** Go through the login, or refuse. */
static void login(int fd, sasl_conn_t *sasl, const struct channel *channel)
{
	sasl_channel_binding_t binding = {
		.name = btns_binding_name(BTNS_ENDPOINTS), .critical = 1, .len = channel->len, .data = channel->binding};
	/* the library keeps the pointer, so the binding is there until the login is over */
	const char *mechanism = channel->len ? "SCRAM-SHA-256-PLUS" : "SCRAM-SHA-256";
	const char *chosen;
	const char *step;
	char answer[MESSAGE_MAX + 1];
	unsigned step_len;
	size_t len;
	int result;

	if (channel->len && sasl_setprop(sasl, SASL_CHANNEL_BINDING, &binding) != SASL_OK)
	{
		refuse(fd, "no channel binding can be used: %s", sasl_errdetail(sasl));
	}
	receive_message(fd, OFFER, answer);
	if (strcmp(answer, mechanism) != 0)
	{
		/* taking whatever is offered would be the way around the binding */
		refuse(fd, channel->len ? "no login that names the channel is offered: somebody in the middle may want it so"
								: "the server takes no login that does not name the channel");
	}
	result = sasl_client_start(sasl, mechanism, NULL, &step, &step_len, &chosen);
	while (result == SASL_CONTINUE)
	{
		send_message(fd, STEP, step, step_len);
		len = receive_message(fd, STEP, answer);
		result = sasl_client_step(sasl, answer, len, NULL, &step, &step_len);
	}
	if (result != SASL_OK)
	{
		say("SASL: %s", sasl_errdetail(sasl));
		refuse(fd, "the login has failed: %s", sasl_errstring(result, NULL, NULL));
	}
	/* the last step was the server's signature over all of the login, the client's binding included: so it knows the
	 * password, too, and has compared the bindings */
	send_message(fd, STEP, step, step_len);
}

int main(int argc, char **argv)
{
	struct options options = read_options(argc, argv, 4, "ADDRESS PORT USER CONFIDENTIAL < PASSWORD");
	sasl_secret_t *password = read_password();
	sasl_callback_t callbacks[] = {{SASL_CB_USER, CALLBACK(get_user), options.arguments[2]},
								   {SASL_CB_AUTHNAME, CALLBACK(get_user), options.arguments[2]},
								   {SASL_CB_PASS, CALLBACK(get_password), password},
								   {SASL_CB_LIST_END, NULL, NULL}};
	const char *confidential = options.arguments[3];
	char data[MESSAGE_MAX + 1];
	struct channel channel;
	sasl_conn_t *sasl;
	int fd;

	fd = connect_to(options.arguments[0], options.arguments[1]);
	/* 1. what is below this connection? */
	channel = get_channel(fd, &options, BTNS_BARE);
	/* 2. who is at the other end of it? */
	if (sasl_client_init(NULL) != SASL_OK ||
		sasl_client_new("btns-example", options.arguments[0], NULL, NULL, callbacks, 0, &sasl) != SASL_OK)
	{
		refuse(fd, "Cyrus SASL does not start");
	}
	login(fd, sasl, &channel);
	say("the server has proved that it knows %s's password, too", options.arguments[2]);
	/* 3. only now what is for nobody else */
	check_channel(fd, &channel);
	send_message(fd, DATA, confidential, strlen(confidential));
	receive_message(fd, DATA, data);
	check_channel(fd, &channel);
	say("received: %s", data);
	sasl_dispose(&sasl);
	sasl_client_done();
	free(password);
	btns_close(channel.btns);
	return 0;
}
