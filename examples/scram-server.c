/* SPDX-License-Identifier: MIT */
/**
 * @file scram-server.c
 * A server whose users log in with a password, by SCRAM-SHA-256-PLUS through Cyrus SASL: the login succeeds only if
 * client and server see the same two keys at the ends of the IPsec channel.
 *
 *     saslpasswd2 -c -f users.sasldb -u btns-example alice
 *     scram-server 192.0.2.2 7777 users.sasldb "what only alice may read"
 */
#include "common.h"

#include <sasl/sasl.h>
#include <stdio.h>
#include <string.h>

/** SASL's type of all callbacks. */
#define CALLBACK(function) ((int (*)(void))(void (*)(void))(function))

/** Users in the database are alice@btns-example. */
#define REALM "btns-example"

/** Configuration of Cyrus SASL, which would else be in a file. */
static int get_option(void *sasldb, const char *plugin, const char *name, const char **value, unsigned *len)
{
	const char *options[][2] = {
		{"sasldb_path", sasldb}, {"auxprop_plugin", "sasldb"}, {"mech_list", "SCRAM-SHA-256"}, {"log_level", "0"}};

	(void)plugin;
	for (size_t i = 0; i < sizeof(options) / sizeof(*options); i++)
	{
		if (strcmp(name, options[i][0]) == 0)
		{
			*value = options[i][1];
			if (len)
			{
				*len = strlen(*value);
			}
			return SASL_OK;
		}
	}
	return SASL_FAIL;
}

/** Go through the login, or refuse. Returns the user's name. */
static const char *login(int fd, sasl_conn_t *sasl, const struct channel *channel)
{
	sasl_channel_binding_t binding = {
		.name = btns_binding_name(BTNS_ENDPOINTS), .critical = 1, .len = channel->len, .data = channel->binding};
	/* the library keeps the pointer, so the binding is there until the login is over */
	const char *mechanism = channel->len ? "SCRAM-SHA-256-PLUS" : "SCRAM-SHA-256";
	const char *answer;
	const void *user;
	char step[MESSAGE_MAX + 1];
	unsigned answer_len;
	size_t len;
	int result;

	if (channel->len && sasl_setprop(sasl, SASL_CHANNEL_BINDING, &binding) != SASL_OK)
	{
		refuse(fd, "no channel binding can be used: %s", sasl_errdetail(sasl));
	}
	send_message(fd, OFFER, mechanism, strlen(mechanism));
	len = receive_message(fd, STEP, step);
	result = sasl_server_start(sasl, mechanism, step, len, &answer, &answer_len);
	while (result == SASL_CONTINUE)
	{
		send_message(fd, STEP, answer, answer_len);
		len = receive_message(fd, STEP, step);
		result = sasl_server_step(sasl, step, len, &answer, &answer_len);
	}
	/* 2.1.28 has words for it only */
	if (result == SASL_BADBINDING || (result != SASL_OK && strstr(sasl_errdetail(sasl), "Channel bindings mismatch")))
	{
		refuse(fd, "the channel that the client is at the end of is not this one: somebody is in the middle");
	}
	if (result != SASL_OK)
	{
		say("SASL: %s", sasl_errdetail(sasl));
		refuse(fd, "the login has failed: %s", sasl_errstring(result, NULL, NULL));
	}
	if (sasl_getprop(sasl, SASL_USERNAME, &user) != SASL_OK)
	{
		refuse(fd, "the login has no user");
	}
	return user;
}

int main(int argc, char **argv)
{
	struct options options = read_options(argc, argv, 4, "ADDRESS PORT SASLDB CONFIDENTIAL");
	sasl_callback_t callbacks[] = {{SASL_CB_GETOPT, CALLBACK(get_option), options.arguments[2]},
								   {SASL_CB_LIST_END, NULL, NULL}};
	const char *confidential = options.arguments[3];
	char data[MESSAGE_MAX + 1];
	struct channel channel;
	sasl_conn_t *sasl;
	int fd;

	if (sasl_server_init(callbacks, "btns-example") != SASL_OK)
	{
		refuse(-1, "Cyrus SASL does not start");
	}
	fd = serve(options.arguments[0], options.arguments[1]);

	/* 1. what is below this connection? */
	channel = get_channel(fd, &options, BTNS_BARE);
	/* 2. who is at the other end of it? */
	if (sasl_server_new("btns-example", NULL, REALM, NULL, NULL, callbacks, 0, &sasl) != SASL_OK)
	{
		refuse(fd, "Cyrus SASL does not start");
	}
	say("%s has logged in", login(fd, sasl, &channel));
	/* 3. only now what is for nobody else */
	receive_message(fd, DATA, data);
	check_channel(fd, &channel);
	say("received: %s", data);
	send_message(fd, DATA, confidential, strlen(confidential));
	sasl_dispose(&sasl);
	sasl_server_done();
	btns_close(channel.btns);
	return 0;
}
