/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */

/**
 * @defgroup btns_vici_explain btns_vici_explain
 * The vici command btns-explain.
 * @{ @ingroup btns
 */

#ifndef BTNS_VICI_EXPLAIN_H_
#define BTNS_VICI_EXPLAIN_H_

#include "btns_pad.h"

#include <plugins/vici/vici_builder.h>
#include <plugins/vici/vici_message.h>

/**
 * Tell which PAD entry would take a peer and what it would be allowed, step by
 * step. Nothing is changed by it.
 *
 * @param core		core
 * @param pad		PAD
 * @param request	who is supposed to come, see docs/vici.md
 * @param builder	gets the answer; finalized by the caller
 */
void btns_vici_explain(btns_core_t *core, btns_pad_t *pad,
					   vici_message_t *request, vici_builder_t *builder);

#endif /** BTNS_VICI_EXPLAIN_H_ @}*/
