/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */

/**
 * @defgroup btns_narrow btns_narrow
 * Children of which only the traffic selectors differ from configured ones:
 * SAs for one connection alone (RFC 5660, section 2.1).
 * @{ @ingroup btns
 */

#ifndef BTNS_NARROW_H_
#define BTNS_NARROW_H_

#include <config/child_cfg.h>
#include <sa/ike_sa.h>

/**
 * Priority of the policies of BTNS CHILD_SAs in the kernel: weaker than what
 * charon computes for any CHILD_SA or trap (at most 400000), stronger than its
 * fallback policies only.
 */
#define BTNS_POLICY_PRIORITY 500000

/**
 * Create a child configuration like another one, with other selectors.
 *
 * @param cfg			configured child
 * @param local			traffic_selector_t*, cloned
 * @param remote		traffic_selector_t*, cloned
 * @return				child configuration
 */
child_cfg_t *btns_narrow_create(child_cfg_t *cfg, linked_list_t *local,
								linked_list_t *remote);

/**
 * TRUE if a child is one of these: like a configured one, with selectors that
 * are part of that one's.
 *
 * @param child			child configuration
 * @param cfg			configured child
 * @param ike_sa		IKE_SA, what dynamic selectors stand for
 */
bool btns_narrow_is(child_cfg_t *child, child_cfg_t *cfg, ike_sa_t *ike_sa);

/**
 * TRUE if a selector is part of one of several.
 *
 * @param enumerator	enumerator over traffic_selector_t*, gets destroyed
 * @param ts			selector
 */
bool btns_narrow_takes(enumerator_t *enumerator, traffic_selector_t *ts);

#endif /** BTNS_NARROW_H_ @}*/
