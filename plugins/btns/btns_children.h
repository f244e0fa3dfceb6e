/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */

/**
 * @defgroup btns_children btns_children
 * Child configurations while a reload replaces them.
 * @{ @ingroup btns
 */

#ifndef BTNS_CHILDREN_H_
#define BTNS_CHILDREN_H_

#include <daemon.h>

typedef struct btns_children_t btns_children_t;

/**
 * charon's peer_cfg_t.create_child_cfg_enumerator() begins to read the list of
 * children before it has the lock. If it has to wait there for a reload, which
 * puts a new list in the place of the old one, it goes on to read the old one
 * while that is being destroyed: charon crashes, and whoever may send an IKE_AUTH
 * while the administrator reloads can bring that about. So children are selected
 * and replaced under another lock.
 */
struct btns_children_t {

	/**
	 * Stand in front of select_child_cfg() and replace_child_cfgs() of a peer
	 * configuration. To be called while no backend can replace its children.
	 *
	 * @param cfg		peer configuration
	 */
	void (*protect)(btns_children_t *this, peer_cfg_t *cfg);

	/**
	 * Put charon's own methods back.
	 *
	 * @param cfg		peer configuration
	 */
	void (*let_go)(btns_children_t *this, peer_cfg_t *cfg);

	/**
	 * Destroy a btns_children_t.
	 */
	void (*destroy)(btns_children_t *this);
};

/**
 * TRUE if a child configuration equals one that the peer configuration of an
 * IKE_SA has now, or is a part of it for one connection (btns_narrow.h).
 * Callable in any hook.
 *
 * @param ike_sa		IKE_SA, what dynamic selectors stand for
 * @param child			child configuration
 */
bool btns_has_child(ike_sa_t *ike_sa, child_cfg_t *child);

/**
 * Create the only btns_children_t instance.
 */
btns_children_t *btns_children_create();

#endif /** BTNS_CHILDREN_H_ @}*/
