/* SPDX-License-Identifier: MIT */
/**
 * @file gss-client.c
 * A client that logs in with Kerberos, through MIT's GSS-API with channel bindings: the login succeeds only if client
 * and server see the same two keys at the ends of the IPsec channel. It takes the ticket that kinit got.
 *
 *     gss-client 192.0.2.2 7778 host@server.example.org "what only the server may read"
 */
#include "common.h"
#include "gss.h"

#include <stdio.h>
#include <string.h>

#define FLAGS (GSS_C_MUTUAL_FLAG | GSS_C_INTEG_FLAG)

/** Go through the login, or refuse. */
static void login(int fd, const char *service, const struct channel *channel)
{
	struct gss_channel_bindings_struct bindings = gss_bindings(channel);
	gss_buffer_desc name = {.length = strlen(service), .value = (void *)service};
	gss_buffer_desc token = GSS_C_EMPTY_BUFFER;
	gss_ctx_id_t context = GSS_C_NO_CONTEXT;
	gss_name_t server;
	gss_buffer_desc step;
	char answer[MESSAGE_MAX + 1];
	OM_uint32 major, minor, flags;

	major = gss_import_name(&minor, &name, GSS_C_NT_HOSTBASED_SERVICE, &server);
	refuse_unless_good(fd, "this is no name of a service", major, minor);
	do
	{
		major = gss_init_sec_context(&minor, GSS_C_NO_CREDENTIAL, &context, server, gss_mech_krb5, FLAGS, 0,
									 channel->len ? &bindings : GSS_C_NO_CHANNEL_BINDINGS, &token, NULL, &step, &flags,
									 NULL);
		refuse_unless_good(fd, "the login has failed", major, minor);
		if (step.length)
		{
			send_message(fd, STEP, step.value, step.length);
			gss_release_buffer(&minor, &step);
		}
		if (major == GSS_S_CONTINUE_NEEDED)
		{
			token.length = receive_message(fd, STEP, answer);
			token.value = answer;
		}
	} while (major == GSS_S_CONTINUE_NEEDED);
	if ((flags & FLAGS) != FLAGS)
	{
		refuse(fd, "the server has not proved who it is");
	}
	/* That the login is complete does not mean that the server looked at the binding. */
	receive_signed(fd, context, channel);
	gss_release_name(&minor, &server);
	gss_delete_sec_context(&minor, &context, GSS_C_NO_BUFFER);
}

int main(int argc, char **argv)
{
	struct options options = read_options(argc, argv, 4, "ADDRESS PORT SERVICE@HOST CONFIDENTIAL");
	const char *confidential = options.arguments[3];
	char data[MESSAGE_MAX + 1];
	struct channel channel;
	int fd = connect_to(options.arguments[0], options.arguments[1]);

	/* 1. what is below this connection? */
	channel = get_channel(fd, &options, BTNS_PREFIXED);
	/* 2. who is at the other end of it? */
	login(fd, options.arguments[2], &channel);
	say("the server is %s", options.arguments[2]);
	/* 3. only now what is for nobody else */
	check_channel(fd, &channel);
	send_message(fd, DATA, confidential, strlen(confidential));
	receive_message(fd, DATA, data);
	check_channel(fd, &channel);
	say("received: %s", data);
	btns_close(channel.btns);
	return 0;
}
