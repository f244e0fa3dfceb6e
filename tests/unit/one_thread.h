/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
/**
 * @file one_thread.h
 * Names of tests that take long and have one thread, of which ThreadSanitizer has nothing to say: with it they are not
 * run.
 */
#ifndef BTNS_TEST_ONE_THREAD_H_
#define BTNS_TEST_ONE_THREAD_H_

#ifdef __SANITIZE_THREAD__
#define ON_ONE_THREAD(test) DISABLED_##test
#else
#define ON_ONE_THREAD(test) test
#endif

#endif /* BTNS_TEST_ONE_THREAD_H_ */
