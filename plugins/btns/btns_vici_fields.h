/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */

/**
 * @defgroup btns_vici_fields btns_vici_fields
 * @{ @ingroup btns
 */

#ifndef BTNS_VICI_FIELDS_H_
#define BTNS_VICI_FIELDS_H_

#include <plugins/vici/vici_message.h>

#include "btns/core.h"

/**
 * Octets of an error with its NUL.
 */
#define BTNS_VICI_ERROR_LEN 128

typedef struct btns_vici_field_t btns_vici_field_t;

/**
 * A plain value that a request may have.
 */
struct btns_vici_field_t {

	/**
	 * Its name
	 */
	char *name;

	/**
	 * Its value, empty if it is not there
	 */
	char value[BTNS_NAME_LEN];
};

/**
 * Read a request of plain values strictly: what is not understood is an error.
 *
 * @param message	request
 * @param fields	those that are known, their values are set
 * @param count		how many
 * @param error		BTNS_VICI_ERROR_LEN octets, set to what is wrong
 * @return			FALSE if something is
 */
bool btns_vici_fields_read(vici_message_t *message, btns_vici_field_t *fields,
						   int count, char *error);

/**
 * Read a decimal number.
 *
 * @param text		digits
 * @param max		largest one that is allowed
 * @param number	set to the number
 * @return			FALSE if it is none from 1 to max
 */
bool btns_vici_number(char *text, uint64_t max, uint64_t *number);

#endif /** BTNS_VICI_FIELDS_H_ @}*/
