/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "common.h"

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <netdb.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

/** Who waits longer for the other side gives up, seconds. */
#define PATIENCE 10

/** A message's kind and length. */
#define HEADER_LEN 5

/** Octets of the binding, without its name in front. */
#define VALUE_LEN 32

void say(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
}

void refuse(int fd, const char *format, ...)
{
	char why[1024];
	va_list args;

	va_start(args, format);
	vsnprintf(why, sizeof(why), format, args);
	va_end(args);
	say("REFUSED: %s", why);
	if (fd >= 0)
	{
		send_message(fd, REFUSAL, why, strlen(why));
	}
	exit(1);
}

struct options read_options(int argc, char **argv, int arguments, const char *usage)
{
	static const struct option known[] = {
		{"insecure-without-binding", no_argument, NULL, 'i'}, {"btns", required_argument, NULL, 'b'}, {0}};
	struct options options = {0};
	int option;

	while ((option = getopt_long(argc, argv, "", known, NULL)) != -1)
	{
		if (option == 'i')
		{
			options.insecure = true;
		}
		else if (option == 'b')
		{
			options.btns = optarg;
		}
		else
		{
			arguments = -1;
		}
	}
	if (argc - optind != arguments)
	{
		say("Usage: %s [--insecure-without-binding] [--btns SOCKET] %s", argv[0], usage);
		exit(2);
	}
	options.arguments = argv + optind;
	/* whoever closes the connection is no reason to end without a word */
	signal(SIGPIPE, SIG_IGN);
	return options;
}

static int open_socket(const char *address, const char *port, int (*use)(int, const struct sockaddr *, socklen_t))
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV};
	struct addrinfo *found;
	int fd;

	if (getaddrinfo(address, port, &hints, &found) != 0)
	{
		refuse(-1, "%s port %s is no address and port", address, port);
	}
	fd = socket(found->ai_family, found->ai_socktype, 0);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &(struct timeval){PATIENCE, 0}, sizeof(struct timeval));
	if (fd < 0 || use(fd, found->ai_addr, found->ai_addrlen) != 0)
	{
		refuse(-1, "%s port %s: %s", address, port, strerror(errno));
	}
	freeaddrinfo(found);
	return fd;
}

static int be_patient(int fd)
{
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &(struct timeval){PATIENCE, 0}, sizeof(struct timeval));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &(struct timeval){PATIENCE, 0}, sizeof(struct timeval));
	return fd;
}

int connect_to(const char *address, const char *port)
{
	return be_patient(open_socket(address, port, connect));
}

int serve(const char *address, const char *port)
{
	int listener = open_socket(address, port, bind);
	int fd;

	/* nobody waits for the processes */
	signal(SIGCHLD, SIG_IGN);
	if (listen(listener, 16) != 0)
	{
		refuse(-1, "%s port %s: %s", address, port, strerror(errno));
	}
	say("waiting at %s port %s", address, port);
	while (true)
	{
		fd = accept(listener, NULL, NULL);
		if (fd >= 0 && fork() == 0)
		{
			close(listener);
			return be_patient(fd);
		}
		close(fd);
	}
}

void send_message(int fd, enum message kind, const void *data, size_t len)
{
	uint8_t message[HEADER_LEN + MESSAGE_MAX] = {kind};
	uint32_t length = htonl(len);

	if (len > MESSAGE_MAX)
	{
		refuse(-1, "a message of %zu octets is too long", len);
	}
	memcpy(message + 1, &length, sizeof(length));
	memcpy(message + HEADER_LEN, data, len);
	if (send(fd, message, HEADER_LEN + len, 0) != (ssize_t)(HEADER_LEN + len) && kind != REFUSAL)
	{
		refuse(-1, "nothing can be sent: %s", strerror(errno));
	}
}

size_t receive_message(int fd, enum message kind, char *data)
{
	uint8_t header[HEADER_LEN];
	uint32_t len;

	if (recv(fd, header, sizeof(header), MSG_WAITALL) != sizeof(header))
	{
		refuse(-1, "the other side has closed the connection, or says nothing");
	}
	memcpy(&len, header + 1, sizeof(len));
	len = ntohl(len);
	if (len > MESSAGE_MAX || recv(fd, data, len, MSG_WAITALL) != (ssize_t)len)
	{
		refuse(-1, "the other side sent half a message, or one that is too long");
	}
	data[len] = '\0';
	if (header[0] == REFUSAL)
	{
		/* from whoever it is: only to be shown, and nothing that could confuse a terminal */
		for (char *octet = data; *octet; octet++)
		{
			*octet = *octet < ' ' || *octet > '~' ? '?' : *octet;
		}
		refuse(-1, "the other side refuses: %s", data);
	}
	if (header[0] != kind)
	{
		refuse(fd, "this message does not come here");
	}
	return len;
}

/** Find out what protects a connection now. Refuses, and sends nothing, unless all is as it has to be. */
static btns_info_t look(int fd, struct channel *channel)
{
	btns_info_t info = BTNS_INFO_INIT;
	btns_channel_t *found;
	int error;

	error = btns_find(channel->btns, fd, &found);
	if (error != BTNS_OK || (error = btns_inquire(found, &info)) != BTNS_OK)
	{
		refuse(-1, "nobody can tell what protects the connection: %s", btns_strerror(error));
	}
	if (info.protection != BTNS_PROTECTED)
	{
		refuse(-1, "the connection is not known to be protected: %s", btns_channel_reason(found));
	}
	if (!info.confidentiality || !info.integrity)
	{
		refuse(-1, "the connection is not both encrypted and protected against changes");
	}
	channel->len = sizeof(channel->binding);
	if (btns_binding(found, BTNS_ENDPOINTS, channel->form, channel->binding, &channel->len) != BTNS_OK)
	{
		refuse(-1, "the channel has no binding: %s", btns_binding_reason(found, BTNS_ENDPOINTS));
	}
	btns_channel_free(found);
	return info;
}

struct channel get_channel(int fd, const struct options *options, btns_binding_form_t form)
{
	struct channel channel = {.form = form};
	btns_info_t info;
	int error;

	if (options->insecure)
	{
		say("INSECURE: the login does not name the channel. Whoever is in the middle can read all that follows");
		return channel;
	}
	error = btns_open(&channel.btns, options->btns);
	if (error != BTNS_OK)
	{
		refuse(-1, "nobody can tell what protects the connection: %s", btns_strerror(error));
	}
	info = look(fd, &channel);
	say("the peer is %s", info.authorized_id);
	fprintf(stderr, "%s ", btns_binding_name(BTNS_ENDPOINTS));
	/* the value is at the end, in either form */
	for (size_t at = channel.len - VALUE_LEN; at < channel.len; at++)
	{
		fprintf(stderr, "%02x", channel.binding[at]);
	}
	fputc('\n', stderr);
	return channel;
}

void check_channel(int fd, const struct channel *channel)
{
	struct channel now = *channel;

	if (!channel->btns)
	{
		return;
	}
	look(fd, &now);
	if (now.len != channel->len || memcmp(now.binding, channel->binding, now.len) != 0)
	{
		refuse(-1, "somebody else is at the other end than when the login began");
	}
}
