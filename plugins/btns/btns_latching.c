/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */

#include "btns_latching.h"

typedef struct private_btns_latching_t private_btns_latching_t;

/**
 * Private data of a btns_latching_t.
 */
struct private_btns_latching_t {

	/**
	 * Public interface
	 */
	btns_latching_t public;

	/**
	 * Core
	 */
	btns_core_t *core;
};

METHOD(btns_latching_t, start, btns_status_t,
	private_btns_latching_t *this, const btns_latches_options_t *options,
	char *error)
{
	return btns_latches_start(this->core, options, error);
}

METHOD(btns_latching_t, stop, void,
	private_btns_latching_t *this)
{
	btns_latches_stop(this->core);
}

METHOD(btns_latching_t, wait_, bool,
	private_btns_latching_t *this, btns_latches_acquire_t *acquire)
{
	return btns_latches_wait(this->core, acquire);
}

METHOD(btns_latching_t, refuse, void,
	private_btns_latching_t *this, uint64_t latch)
{
	btns_latches_refuse(this->core, latch);
}

METHOD(btns_latching_t, destroy, void,
	private_btns_latching_t *this)
{
	lib->set(lib, BTNS_LATCHING, NULL);
	btns_latches_stop(this->core);
	free(this);
}

/*
 * Described in header.
 */
btns_latching_t *btns_latching_create(btns_core_t *core)
{
	private_btns_latching_t *this;

	INIT(this,
		.public = {
			.version = BTNS_LATCHING_VERSION,
			.start = _start,
			.stop = _stop,
			.wait = _wait_,
			.refuse = _refuse,
			.destroy = _destroy,
		},
		.core = core,
	);
	lib->set(lib, BTNS_LATCHING, &this->public);
	return &this->public;
}
