/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */

/**
 * Numbers the parts of a builder as if BUILD_AGENT_SOCKET had another part
 * before it.
 */

#ifndef SHIFTED_BUILDER_H_
#define SHIFTED_BUILDER_H_

#include <library.h>
#include <credentials/builder.h>

#define SHIFTED(part) ((builder_part_t)(part + 1))

#define BUILD_BLOB_ASN1_DER SHIFTED(BUILD_BLOB_ASN1_DER)
#define BUILD_EDDSA_PUB SHIFTED(BUILD_EDDSA_PUB)
#define BUILD_END SHIFTED(BUILD_END)

#endif /** SHIFTED_BUILDER_H_ */
