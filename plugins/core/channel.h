/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
/**
 * @file channel.h
 * What protects the packets of one flow, in the words of people and applications: RFC 5660 2, RFC 5056.
 */
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "address.h"
#include "btns.h"
#include "channel_binding.h"
#include "key.h"
#include "name_pool.h"

namespace btns
{

/** A connection's packets, as this host sends and receives them (inside of a tunnel). */
struct Flow
{
	/** IP protocol */
	uint8_t protocol = 0;
	Address local;
	Address remote;
	/** host byte order; 0 for protocols without ports */
	uint16_t local_port = 0;
	uint16_t remote_port = 0;

	auto operator<=>(const Flow &) const = default;
};

/** An outer end point. */
struct Endpoint
{
	Address address;
	uint16_t port = 0;
	/** behind a NAT, as far as IKE knows */
	bool nat = false;
};

/** Largest X.509 certificate that is kept, octets. */
constexpr size_t certificate_max = 4096;

/** What has vouched for the key of an authenticated peer: X.509 certificates, DER. */
struct PeerCertificates
{
	std::vector<uint8_t> certificate;
	/** what it was validated to, which peers have in common */
	Name trust_anchor;
};

/** What is known of the IKE_SA and CHILD_SA that protect a flow, at one moment. */
struct Channel
{
	/** charon's unique IDs, for vici; applications do not get them */
	uint32_t sa = 0;
	uint32_t child = 0;
	std::string connection;
	std::string child_name;

	bool confidentiality = false;
	bool integrity = false;
	btns_mode_t mode = BTNS_MODE_NONE;
	/** strongSwan's names; empty for none */
	std::string encryption_algorithm;
	std::string integrity_algorithm;

	/** of the root IKE_SA */
	btns_method_t local_method = BTNS_METHOD_UNKNOWN;
	btns_method_t peer_method = BTNS_METHOD_UNKNOWN;
	std::string asserted_id;
	std::string authorized_id;
	std::optional<Fingerprint> local_fingerprint;
	std::optional<Fingerprint> peer_fingerprint;
	/** canonical SubjectPublicKeyInfo, DER; empty if the peer used no key */
	std::vector<uint8_t> peer_key;
	/** NULL if the peer used none, or they are not kept */
	std::shared_ptr<const PeerCertificates> certificates;
	Endpoint local;
	Endpoint peer;
	/** seconds since the epoch, 0 if not known */
	int64_t established = 0;

	BindingAnswer endpoints;
	BindingAnswer unique;

	/** DER; empty if there is none */
	[[nodiscard]] Bytes certificate() const { return certificates ? Bytes(certificates->certificate) : Bytes(); }
	[[nodiscard]] Bytes trust_anchor() const { return certificates ? octets_of(certificates->trust_anchor) : Bytes(); }
};

/** The answer for a flow. */
struct ChannelAnswer
{
	btns_protection_t protection = BTNS_UNPROTECTED;
	/** a stable code and a sentence, unless it is protected; static storage */
	const char *code = "";
	const char *reason = "";
	/** if it is protected */
	std::optional<Channel> channel;
	/** by SAs of several IKE_SAs alike, of which this is one: SideTable::find_one() only */
	bool shared = false;
};

/** Whom the application socket and vici ask. Thread-safe. */
class ChannelSource
{
public:
	virtual ~ChannelSource() = default;
	/** Which SAs cover a flow, decided as the kernel does. Logarithmic. May throw std::bad_alloc. */
	[[nodiscard]] virtual ChannelAnswer find(const Flow &flow) const = 0;
	/** Changes whenever an answer might have. */
	[[nodiscard]] virtual uint64_t generation() const = 0;
};

} // namespace btns
