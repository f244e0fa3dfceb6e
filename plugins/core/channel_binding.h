/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
/**
 * @file channel_binding.h
 * Channel bindings (RFC 5056) of the channel that an IKE_SA makes: what both ends can compute and a man in the middle
 * cannot make equal for them. The values are public.
 */
#pragma once

#include <openssl/evp.h>

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cursor.h"
#include "key.h"

namespace btns
{

/** The two kinds of RFC 5056 2.1. */
enum class BindingType
{
	/** end-point binding: of the two keys */
	endpoints,
	/** unique binding: of one IKE_SA, over its rekeyings */
	unique,
};

/** What both kinds yield: 32 octets. */
using Binding = std::array<uint8_t, 32>;

/** "ipsec-ikev2-endpoints-sha256", "ipsec-ikev2-unique-sha256". */
std::string_view binding_name(BindingType type);

/** The form that RFC 5056 2.1 prescribes: name, colon, value. */
std::vector<uint8_t> prefixed(BindingType type, const Binding &value);

/** Why there is no binding. */
enum class Unavailable
{
	none,
	/** the channel has no integrity protection */
	no_integrity,
	/** a side did not authenticate by a signature with a key that is known */
	no_signature,
	/** there was more than one round of authentication, or none */
	rounds,
	/** both sides have the same key, so anybody who has it can be in the middle */
	same_key,
	/** the beginning of the IKE_SA was not seen: it is older than the plugin */
	not_seen,
	/** IKEv1 has no AUTH payloads */
	ike_version,
	/** the key has no canonical form */
	key_type,
	/** a side sent no AUTH payload, or several */
	auths,
	/** identities or AUTH payloads were too long to be kept */
	too_long,
	/** IntAuth could not be had (RFC 9242 3.3.2) */
	intermediate,
	/** the IKE_SA is just being authenticated */
	pending,
	/** the IKE_SA's PRF could not be computed */
	prf,
	/** several IKE_SAs of the peer have SAs for the flow, and none of them is the one that protects it */
	several,
};

/** Code and sentence for people; static storage. */
const char *unavailable_code(Unavailable why);
const char *unavailable_text(Unavailable why);

/** How an IKE_SA's root came to be: the first of a chain of rekeyings. */
struct Authentication
{
	/** rounds that each side went through */
	unsigned rounds = 0;
	/** the keys whose signatures were verified in the AUTH payloads; none if a side used another method */
	std::optional<Fingerprint> local;
	std::optional<Fingerprint> peer;
	/** the CHILD_SA has integrity protection */
	bool integrity = false;
};

/** A binding, or why there is none. */
struct BindingAnswer
{
	std::optional<Binding> value;
	Unavailable why = Unavailable::none;
};

/**
 * SHA-256(name, 0, lo, hi) with the two fingerprints in ascending order: the same at both ends whatever their roles,
 * and whatever happens to the SAs, as long as the keys are the same.
 */
BindingAnswer endpoints_binding(const Authentication &authentication);

/**
 * Digest over what made one IKE_SA: T of the unique binding.
 *
 * T = SHA-256 of records, each a tag, the length as 4 octets and the octets. Parts come in ascending order of tags,
 * each once; IntAuth only with IKE_INTERMEDIATE (RFC 9242). What comes otherwise leaves no digest.
 */
class Transcript
{
public:
	enum class Part : uint8_t
	{
		/** the initiator's last IKE_SA_INIT request and its response (RFC 7296 2.15), without non-ESP marker */
		real_message_1 = 0x01,
		real_message_2 = 0x02,
		/** RFC 9242 3.3.2 */
		int_auth = 0x03,
		/** bodies of the payloads of the original initiator and responder, after the generic header */
		id_initiator = 0x10,
		id_responder = 0x11,
		auth_initiator = 0x20,
		auth_responder = 0x21,
	};

	/** Throws std::runtime_error if OpenSSL has no SHA-256. */
	Transcript();

	void add(Part part, Bytes octets);

	/** T, if all parts were there. Can be called once. */
	[[nodiscard]] std::optional<Binding> finish();

private:
	struct Free
	{
		void operator()(EVP_MD_CTX *context) const { EVP_MD_CTX_free(context); }
	};
	std::unique_ptr<EVP_MD_CTX, Free> context_;
	/** the last part, 0 for none */
	uint8_t last_ = 0;
	bool broken_ = false;
};

/**
 * Seed for the unique binding, whose value is the first 32 octets of prf+(SK_d, seed) (RFC 7296 2.13) with the IKE_SA's
 * PRF. What computes it has SK_d, which never gets here.
 */
std::vector<uint8_t> unique_seed(const Binding &transcript);

} // namespace btns
