/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */

/**
 * @file btns_faults.h
 * What only test builds do in charon: they make calls of the core fail, see
 * what is called inside of our hooks, and play other plugins.
 */

#ifndef BTNS_FAULTS_H_
#define BTNS_FAULTS_H_

#include <daemon.h>

/**
 * Read the options for tests.
 *
 * charon.plugins.btns.fault = <function>[:<count>]: the next calls of this
 * function of the core fail.
 *
 * charon.plugins.btns.asks_for = <identity>: whenever a public key is looked
 * for, somebody in the same thread first asks for a trusted certificate of this
 * identity, and logs whether there is one.
 *
 * charon.plugins.btns.grants = <group>: another listener gives this group to
 * everybody who authenticates.
 */
void btns_faults_configure();

/**
 * Stand in front of a listener's methods, the credential manager's, and the IKE_SA
 * manager's, and log what is called inside of a hook that may wait for whoever
 * waits for the bus: "<manager>.<method>() inside of <hook>()". The first call
 * of each hook is logged, too.
 *
 * @param listener	ours, before it is added to the bus
 */
void btns_faults_watch(listener_t *listener);

/**
 * Undo btns_faults_watch(), if it was called.
 */
void btns_faults_unwatch();

#endif /** BTNS_FAULTS_H_ */
