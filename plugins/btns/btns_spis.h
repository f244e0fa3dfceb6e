/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */

/**
 * @defgroup btns_spis btns_spis
 * Whose outbound SAs there are.
 * @{ @ingroup btns
 */

#ifndef BTNS_SPIS_H_
#define BTNS_SPIS_H_

#include <daemon.h>

typedef struct btns_spis_t btns_spis_t;

/**
 * The kernel knows an outbound SA by its destination, protocol and SPI, and the
 * SPI is chosen by the peer. If two peers have one address, because of a NAT or
 * because they are on one host, one of them can choose the SPI of the other's
 * SA. The kernel does not install a second one, but charon then deletes what it
 * could not install: the other's SA.
 */
struct btns_spis_t {

	/**
	 * An outbound SA is about to be installed.
	 *
	 * @param id		the SA
	 * @param owner		identity of the BTNS peer, NULL for somebody else, who
	 *					always gets it
	 * @return			FALSE if it is somebody else's
	 */
	bool (*claim)(btns_spis_t *this, kernel_ipsec_sa_id_t *id,
				  identification_t *owner);

	/**
	 * An SA is about to be deleted. Knows nothing about inbound ones, which
	 * anybody may delete.
	 *
	 * @param id		the SA
	 * @param owner		as for claim()
	 * @return			FALSE if it is somebody else's
	 */
	bool (*release)(btns_spis_t *this, kernel_ipsec_sa_id_t *id,
					identification_t *owner);

	/**
	 * An SA is about to get another destination. Otherwise as release().
	 *
	 * @param id		the SA
	 * @param owner		as for claim()
	 * @param dst		new destination
	 * @return			FALSE if it is somebody else's
	 */
	bool (*move)(btns_spis_t *this, kernel_ipsec_sa_id_t *id,
				 identification_t *owner, host_t *dst);

	/**
	 * Destroy a btns_spis_t.
	 */
	void (*destroy)(btns_spis_t *this);
};

/**
 * Create a btns_spis_t instance.
 */
btns_spis_t *btns_spis_create();

#endif /** BTNS_SPIS_H_ @}*/
