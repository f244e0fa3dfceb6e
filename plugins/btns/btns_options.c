/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */

#include "btns_options.h"

#include <ctype.h>
#include <errno.h>
#include <grp.h>

/**
 * A word in an option and the bit it stands for.
 */
typedef struct {
	char *word;
	u_int bit;
} word_t;

static const word_t encodings[] = {
	{ "spki", BTNS_ENCODING_BIT_SPKI },
	{ "pkcs1", BTNS_ENCODING_BIT_PKCS1 },
	{ "x509", BTNS_ENCODING_BIT_X509 },
	{ "openiked-ec", BTNS_ENCODING_BIT_OPENIKED_EC },
	{ NULL, 0 },
};

static const word_t key_types[] = {
	{ "rsa", 1u << BTNS_KEY_RSA },
	{ "ecdsa", 1u << BTNS_KEY_ECDSA },
	{ "ed25519", 1u << BTNS_KEY_ED25519 },
	{ "ed448", 1u << BTNS_KEY_ED448 },
	{ NULL, 0 },
};

/**
 * Get an option's text, NULL if it is not set or empty.
 */
static char *get_text(char *name)
{
	char *value;

	value = lib->settings->get_str(lib->settings, "%s.plugins.btns.%s", NULL,
								   lib->ns, name);
	return value && *value ? value : NULL;
}

/**
 * Say that a value is not understood.
 */
static bool invalid_so(char *name, char *value, char *so)
{
	DBG1(DBG_CFG, "btns: invalid value '%s' for %s.plugins.btns.%s, %s", value,
		 lib->ns, name, so);
	return FALSE;
}

/**
 * Say that a value about strangers is not understood.
 */
static bool invalid(char *name, char *value)
{
	return invalid_so(name, value, "no stranger is admitted");
}

/**
 * Say that a value about the application socket is not understood.
 */
static bool invalid_socket(char *name, char *value)
{
	return invalid_so(name, value, "there is no application socket");
}

/**
 * Read a list of words.
 */
static bool get_mask(char *name, const word_t *words, u_int *mask)
{
	enumerator_t *enumerator;
	char *value, *token;
	bool ok = TRUE;
	int i;

	value = get_text(name);
	if (!value)
	{
		return TRUE;
	}
	*mask = 0;
	enumerator = enumerator_create_token(value, ", ", " ");
	while (enumerator->enumerate(enumerator, &token))
	{
		if (!*token)
		{
			continue;
		}
		for (i = 0; words[i].word; i++)
		{
			if (strcaseeq(words[i].word, token))
			{
				*mask |= words[i].bit;
				break;
			}
		}
		if (!words[i].word)
		{
			ok = invalid(name, token);
		}
	}
	enumerator->destroy(enumerator);
	return ok && (*mask || invalid(name, value));
}

/**
 * Read a number.
 */
static bool get_number(char *name, u_int min, u_int max, u_int *number)
{
	unsigned long value;
	char *text, *end;

	text = get_text(name);
	if (!text)
	{
		return TRUE;
	}
	errno = 0;
	value = strtoul(text, &end, 10);
	if (!isdigit((u_char)*text) || *end || errno || value < min || value > max)
	{
		return invalid(name, text);
	}
	*number = value;
	return TRUE;
}

/**
 * Read a yes or no.
 */
static bool get_flag(char *name, bool *flag)
{
	char *text;

	text = get_text(name);
	if (!text)
	{
		return TRUE;
	}
	*flag = settings_value_as_bool(text, FALSE);
	return *flag == settings_value_as_bool(text, TRUE) || invalid(name, text);
}

/**
 * charon's own limit for all IKE_SAs, as it is in force: charon reads it once.
 */
static u_int get_ikesa_limit()
{
	static bool read;
	static u_int limit;

	if (!read)
	{
		limit = lib->settings->get_int(lib->settings, "%s.ikesa_limit", 0,
									   lib->ns);
		read = TRUE;
	}
	return limit;
}

/**
 * Read the reserved ranges.
 */
static bool get_reserve(btns_settings_t *settings)
{
	enumerator_t *enumerator;
	char *value, *token;
	bool ok = TRUE;

	value = get_text("reserve");
	if (!value)
	{
		return TRUE;
	}
	enumerator = enumerator_create_token(value, ", ", " ");
	while (enumerator->enumerate(enumerator, &token))
	{
		if (!*token)
		{
			continue;
		}
		if (settings->core.reserve_count == BTNS_RESERVE_MAX ||
			btns_range_parse(token,
						&settings->reserve[settings->core.reserve_count]) !=
															BTNS_STATUS_OK)
		{
			ok = invalid("reserve", token);
			break;
		}
		settings->core.reserve_count++;
	}
	enumerator->destroy(enumerator);
	return ok;
}

/*
 * Described in header.
 */
bool btns_options_read(btns_settings_t *settings)
{
	btns_options_t *core = &settings->core;
	bool ok;

	memset(settings, 0, sizeof(*settings));
	btns_options_default(core);
	core->reserve = settings->reserve;
	core->reserve_count = 0;

	ok = get_mask("encodings", encodings, &core->keys.encodings);
	ok = get_mask("key_types", key_types, &core->keys.types) && ok;
	ok = get_number("rsa_min", 2048, 8192, &core->keys.rsa_min) && ok;
	ok = get_number("max_peers", 0, 50000, &core->max_peers) && ok;
	ok = get_number("max_peers_per_source", 0, 50000,
					&core->max_peers_per_source) && ok;
	ok = get_number("max_children", 1, 1000, &core->max_children) && ok;
	ok = get_number("max_half_open", 0, 50000, &core->max_half_open) && ok;
	ok = get_number("max_half_open_per_source", 0, 50000,
					&core->max_half_open_per_source) && ok;
	ok = get_number("key_time", 1, 100000, &core->key_time) && ok;
	ok = get_number("key_time_per_source", 1, 100000,
					&core->key_time_per_source) && ok;
	ok = get_number("child_rate", 1, 100000, &core->child_rate) && ok;
	ok = get_number("idle_timeout", 0, 31536000, &core->idle_timeout) && ok;
	ok = get_number("childless_timeout", 0, 31536000,
					&core->childless_timeout) && ok;
	ok = get_number("log_rate", 0, 1000, &core->log_rate) && ok;
	ok = get_flag("keep_certificates", &core->keep_certificates) && ok;
	ok = get_reserve(settings) && ok;
	core->ikesa_limit = get_ikesa_limit();
	if (!ok)
	{
		core->max_peers = 0;
	}
	return ok;
}

/**
 * Read the permissions of the application socket.
 */
static bool get_mode(u_int *mode)
{
	unsigned long value;
	char *text, *end;

	*mode = 0660;
	text = get_text("socket_mode");
	if (!text)
	{
		return TRUE;
	}
	errno = 0;
	value = strtoul(text, &end, 8);
	if (!isdigit((u_char)*text) || *end || errno || value > 0777)
	{
		return invalid_socket("socket_mode", text);
	}
	*mode = value;
	return TRUE;
}

/**
 * Read the group of the application socket, a name or a number.
 */
static bool get_group(uint32_t *group)
{
	struct group entry, *found = NULL;
	unsigned long value;
	char *text, *end, buf[4096];

	*group = UINT32_MAX;
	text = get_text("socket_group");
	if (!text)
	{
		return TRUE;
	}
	if (getgrnam_r(text, &entry, buf, sizeof(buf), &found) == 0 && found)
	{
		*group = entry.gr_gid;
		return TRUE;
	}
	errno = 0;
	value = strtoul(text, &end, 10);
	if (!isdigit((u_char)*text) || *end || errno || value >= UINT32_MAX)
	{
		return invalid_socket("socket_group", text);
	}
	*group = value;
	return TRUE;
}

/*
 * Described in header.
 */
bool btns_options_read_socket(btns_socket_t *socket)
{
	char *path;
	bool ok;

	memset(socket, 0, sizeof(*socket));
	ok = get_mode(&socket->mode);
	ok = get_group(&socket->group) && ok;
	path = get_text("socket");
	if (path && (*path != '/' || strlen(path) >= sizeof(socket->path)))
	{
		ok = invalid_socket("socket", path);
	}
	if (path && ok)
	{
		strncpy(socket->path, path, sizeof(socket->path) - 1);
	}
	return ok;
}
