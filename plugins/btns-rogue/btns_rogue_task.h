/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */

/**
 * @defgroup btns_rogue_task btns_rogue_task
 * A request of any payloads, on an established IKE_SA, when the test says so.
 * @{ @ingroup btns_rogue
 */

#ifndef BTNS_ROGUE_TASK_H_
#define BTNS_ROGUE_TASK_H_

#include <daemon.h>

#include <collections/array.h>
#include <sa/task.h>

/**
 * Create a task that sends one request and ignores the response.
 *
 * @param exchange	exchange type of the request
 * @param items		payloads, chunk_t for btns_rogue_payload_create(), adopted
 */
task_t *btns_rogue_task_create(exchange_type_t exchange, array_t *items);

#endif /** BTNS_ROGUE_TASK_H_ @}*/
