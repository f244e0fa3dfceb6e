/* SPDX-License-Identifier: MIT */
/**
 * @file common.h
 * What the four examples share: their command line, messages over TCP, and what they do with libbtns.
 */
#ifndef BTNS_EXAMPLES_COMMON_H_
#define BTNS_EXAMPLES_COMMON_H_

#include <btns.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Print a line to stderr. */
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));
/** Say why this program does not go on with the connection, tell the other side unless fd is negative, and end. */
_Noreturn void refuse(int fd, const char *format, ...) __attribute__((format(printf, 2, 3)));

/** The command line. */
struct options
{
	/** --insecure-without-binding: whoever is in the middle can read everything. Only to see that this is so */
	bool insecure;
	/** --btns: the daemon's socket, NULL for the usual one */
	const char *btns;
	/** what comes after options */
	char **arguments;
};

/** Read the command line; ends the program with the usage unless there are so many arguments. */
struct options read_options(int argc, char **argv, int arguments, const char *usage);

/** A TCP connection to an address (no name: what a name means is one more question) and port. */
int connect_to(const char *address, const char *port);
/** Wait for connections; returns once for each, in a process of its own that serves nobody else. */
int serve(const char *address, const char *port);

/** What a message is: its first octet. */
enum message
{
	/** the login that the server wants */
	OFFER = 'O',
	/** a step of the login */
	STEP = 'S',
	/** the login is complete, with the server's proof that it has compared the channel bindings */
	DONE = 'D',
	/** what is confidential */
	DATA = 'C',
	/** why the other side refuses, in words */
	REFUSAL = 'R',
};

/** Longest message, octets. */
#define MESSAGE_MAX 16384

/** Send a message: kind (1 octet), length (4 octets, big endian), octets. */
void send_message(int fd, enum message kind, const void *data, size_t len);
/** Receive a message of this kind or refuse. @param data MESSAGE_MAX + 1 octets, a NUL is added. @return its length */
size_t receive_message(int fd, enum message kind, char *data);

/** The channel below a connection. */
struct channel
{
	/** who tells; NULL if nobody was asked */
	btns_t *btns;
	/** its end-point channel binding, to be given to the login; len is 0 if there is none */
	uint8_t binding[BTNS_BINDING_MAX];
	size_t len;
	btns_binding_form_t form;
};

/**
 * Find out what protects a connection, and get the channel's binding. Refuses if nothing does or if there is no
 * binding: so it is called first, when nothing has been sent, and sends nothing itself. With options.insecure it only
 * warns.
 */
struct channel get_channel(int fd, const struct options *options, btns_binding_form_t form);
/** Refuse unless the one who was at the other end still is. To be called before confidential data is sent or used. */
void check_channel(int fd, const struct channel *channel);

#endif /* BTNS_EXAMPLES_COMMON_H_ */
