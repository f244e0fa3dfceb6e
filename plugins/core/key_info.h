/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
/**
 * @file key_info.h
 * The public key that a side of an IKE_SA has signed with, as it is kept: small, and in canonical form once somebody
 * asks.
 */
#pragma once

#include <mutex>
#include <string>
#include <vector>

#include "key.h"

namespace btns
{

/** Largest SubjectPublicKeyInfo that is kept of an authenticated peer or of our own, octets. */
constexpr size_t key_info_max = 4096;

/** A peer that used NULL authentication (RFC 7619): it has no key, and an identity that is its IKE_SA's. */
struct NullPeer
{
	uint64_t spi_i = 0;
	uint64_t spi_r = 0;
};

/** Thread-safe. */
class KeyInfo
{
public:
	/** No key: what tells a NULL peer from all others. Throws as fingerprint() does. */
	explicit KeyInfo(const NullPeer &peer);
	/** A key that was checked, a BTNS peer's. */
	explicit KeyInfo(const btns_key_t &key);
	/** A key that charon trusts, in whatever form that has it; not subject to the policy for strangers' keys. */
	explicit KeyInfo(Bytes spki) : spki_(spki.begin(), spki.end()) {}

	/**
	 * Does it have a canonical form? Decodes it when it is asked for the first time, which is slow. The functions below
	 * are for keys that have.
	 */
	[[nodiscard]] bool is_canonical() const;
	/** Is it a NULL peer's? Then it has no canonical form, and its fingerprint is that of no key: it only is no
	 * other's. */
	[[nodiscard]] bool is_null() const { return null_; }
	[[nodiscard]] const Fingerprint &fingerprint() const { return fingerprint_; }
	/** What the peer is called here: its PUBLICKEY ID, or that of a NULL peer. */
	[[nodiscard]] std::string identity() const;
	/** Canonical SubjectPublicKeyInfo. */
	[[nodiscard]] Bytes spki() const { return null_ ? Bytes() : Bytes(spki_); }
	/** All zero for a NULL peer. */
	[[nodiscard]] btns_key_t to_abi() const;

private:
	void canonicalise() const;

	mutable std::once_flag once_;
	mutable bool canonical_ = false;
	bool null_ = false;
	mutable uint8_t type_ = BTNS_KEY_NONE;
	mutable uint16_t bits_ = 0;
	uint8_t encoding_ = BTNS_ENCODING_SPKI;
	mutable Fingerprint fingerprint_{};
	/** of a NULL peer its identity */
	mutable std::vector<uint8_t> spki_;
};

} // namespace btns
