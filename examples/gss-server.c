/* SPDX-License-Identifier: MIT */
/**
 * @file gss-server.c
 * A server whose users log in with Kerberos, through MIT's GSS-API with channel bindings: the login succeeds only if
 * client and server see the same two keys at the ends of the IPsec channel. Its key is in the keytab, see KRB5_KTNAME.
 *
 *     gss-server 192.0.2.2 7778 "what only alice may read"
 */
#include "common.h"
#include "gss.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/** Go through the login, or refuse. */
static void login(int fd, const struct channel *channel)
{
	struct gss_channel_bindings_struct bindings = gss_bindings(channel);
	gss_ctx_id_t context = GSS_C_NO_CONTEXT;
	gss_name_t user = GSS_C_NO_NAME;
	gss_buffer_desc answer, name;
	char step[MESSAGE_MAX + 1];
	OM_uint32 major, minor, flags;

	do
	{
		gss_buffer_desc token = {.value = step};
		token.length = receive_message(fd, STEP, step);
		major = gss_accept_sec_context(&minor, &context, GSS_C_NO_CREDENTIAL, &token,
									   channel->len ? &bindings : GSS_C_NO_CHANNEL_BINDINGS, &user, NULL, &answer,
									   &flags, NULL, NULL);
		if (GSS_ERROR(major) == GSS_S_BAD_BINDINGS)
		{
			refuse(fd, "the channel that the client is at the end of is not this one: somebody is in the middle");
		}
		refuse_unless_good(fd, "the login has failed", major, minor);
		if (answer.length)
		{
			send_message(fd, STEP, answer.value, answer.length);
			gss_release_buffer(&minor, &answer);
		}
	} while (major == GSS_S_CONTINUE_NEEDED);

	/* A client that gives no bindings logs in all the same: who compares them has to look whether there were any. */
	if (channel->len && !(flags & GSS_C_CHANNEL_BOUND_FLAG))
	{
		refuse(fd, "the client has not said which channel it is at the end of, so somebody may be in the middle");
	}
	/* Kerberos does not tell the client that the bindings were compared; so it is told here, under a signature. */
	send_signed(fd, context, channel);
	major = gss_display_name(&minor, user, &name, NULL);
	refuse_unless_good(fd, "the user has no name", major, minor);
	say("%.*s has logged in", (int)name.length, (const char *)name.value);
	gss_release_name(&minor, &user);
	gss_delete_sec_context(&minor, &context, GSS_C_NO_BUFFER);
	gss_release_buffer(&minor, &name);
}

int main(int argc, char **argv)
{
	struct options options = read_options(argc, argv, 3, "ADDRESS PORT CONFIDENTIAL");
	const char *confidential = options.arguments[2];
	char data[MESSAGE_MAX + 1];
	struct channel channel;
	int fd = serve(options.arguments[0], options.arguments[1]);

	/* 1. what is below this connection? */
	channel = get_channel(fd, &options, BTNS_PREFIXED);
	/* 2. who is at the other end of it? */
	login(fd, &channel);
	/* 3. only now what is for nobody else */
	receive_message(fd, DATA, data);
	check_channel(fd, &channel);
	say("received: %s", data);
	send_message(fd, DATA, confidential, strlen(confidential));
	btns_close(channel.btns);
	return 0;
}
