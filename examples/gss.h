/* SPDX-License-Identifier: MIT */
/**
 * @file gss.h
 * What both sides of the Kerberos example do with GSS-API.
 */
#ifndef BTNS_EXAMPLES_GSS_H_
#define BTNS_EXAMPLES_GSS_H_

#include "common.h"

#include <gssapi/gssapi.h>
#include <gssapi/gssapi_ext.h>
#include <gssapi/gssapi_krb5.h>

/** The bindings as GSS-API takes them: no addresses, the prefixed form as application data (RFC 5056, RFC 5554). */
static inline struct gss_channel_bindings_struct gss_bindings(const struct channel *channel)
{
	struct gss_channel_bindings_struct bindings = {0};

	bindings.application_data.value = (void *)channel->binding;
	bindings.application_data.length = channel->len;
	return bindings;
}

/** Refuse, with the library's words. */
static inline void refuse_unless_good(int fd, const char *what, OM_uint32 major, OM_uint32 minor)
{
	gss_buffer_desc text = GSS_C_EMPTY_BUFFER;
	OM_uint32 more = 0, ignored;

	if (GSS_ERROR(major))
	{
		/* what the mechanism says is mostly more to the point */
		if (minor == 0 ||
			GSS_ERROR(gss_display_status(&ignored, minor, GSS_C_MECH_CODE, gss_mech_krb5, &more, &text)) ||
			!text.length)
		{
			more = 0;
			gss_display_status(&ignored, major, GSS_C_GSS_CODE, GSS_C_NO_OID, &more, &text);
		}
		refuse(fd, "%s: %.*s", what, (int)text.length, (const char *)text.value);
	}
}

/** The server's side: the login is complete, and the binding of this channel is the one that was compared. */
static inline void send_signed(int fd, gss_ctx_id_t context, const struct channel *channel)
{
	gss_buffer_desc binding = {.length = channel->len, .value = (void *)channel->binding}, signature;
	OM_uint32 major, minor;

	major = gss_get_mic(&minor, context, GSS_C_QOP_DEFAULT, &binding, &signature);
	refuse_unless_good(fd, "nothing can be signed", major, minor);
	send_message(fd, DONE, signature.value, signature.length);
	gss_release_buffer(&minor, &signature);
}

/** The client's side: refuse unless it is. */
static inline void receive_signed(int fd, gss_ctx_id_t context, const struct channel *channel)
{
	gss_buffer_desc binding = {.length = channel->len, .value = (void *)channel->binding};
	char data[MESSAGE_MAX + 1];
	gss_buffer_desc signature = {.value = data};
	OM_uint32 major, minor;

	signature.length = receive_message(fd, DONE, data);
	major = gss_verify_mic(&minor, context, &binding, &signature, NULL);
	if (GSS_ERROR(major))
	{
		refuse(
			fd,
			"the server does not confirm that it is at the other end of this channel: somebody may be in the middle");
	}
}

#endif /* BTNS_EXAMPLES_GSS_H_ */
