/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
/**
 * @file presented_key.h
 * The CERT payloads of one IKE_AUTH message, and the one key that they present.
 */
#pragma once

#include <span>
#include <vector>

#include "btns/core.h"
#include "key.h"

namespace btns
{

/** Octets of CERT payloads that are copied from one message. */
constexpr size_t certs_bytes_max = 64 * 1024;

/** Bounded copies of CERT payloads that can carry a key. */
struct CertPayloads
{
	struct Cert
	{
		unsigned encoding;
		std::vector<uint8_t> body;
	};

	std::vector<Cert> certs;
	/** CERT payloads in the message */
	size_t total = 0;
	/** some were too large to be copied */
	bool too_large = false;
	/** some have an encoding that carries no key but names a certificate */
	bool others = false;

	/** Octets in certs. */
	[[nodiscard]] size_t bytes() const;
	/** Is there a payload of type 15, 11 or 201? */
	[[nodiscard]] bool has_bare_key() const;
};

/**
 * Copy the CERT payloads of a message.
 *
 * @param budget	most octets to copy, beside certs_bytes_max
 */
CertPayloads copy_certs(std::span<const btns_cert_t> certs, size_t total, size_t budget);

/** A key, or why there is none. */
struct PresentedKey
{
	btns_status_t status = BTNS_STATUS_REFUSED;
	btns_reason_t reason = BTNS_REASON_NO_KEY;
	btns_key_t key{};
};

/**
 * Find the key that a peer presents: a bare key of type 15, 11 or 201, which are one key if several are there (RFC 5386
 * 2 demands type 11 for RSA), or that of the first certificate. Slow: decodes and checks keys.
 *
 * @param gate	asked before a key is checked, may be empty
 */
PresentedKey find_presented_key(const btns_key_policy_t &policy, const CertPayloads &payloads,
								const KeyGate &gate = {});

} // namespace btns
