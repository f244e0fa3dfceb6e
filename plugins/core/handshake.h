/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
/**
 * @file handshake.h
 * What is remembered of an IKE_SA only until it is authenticated.
 */
#pragma once

#include <list>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "channel_binding.h"
#include "presented_key.h"

namespace btns
{

/** Octets of IDi', IDr' and AUTH payloads that are kept of one IKE_SA. */
constexpr size_t auth_bodies_max = 16 * 1024;

/** The transcript of an IKE_SA as it goes on: messages are digested at once, bodies when all are there. */
class HandshakeTranscript
{
public:
	/** An IKE_SA_INIT message. A request begins anew: the last one counts. */
	void message(bool request, Bytes octets);
	/** Of an IKE_INTERMEDIATE message; empty if it could not be had. */
	void int_auth(bool request, uint32_t message_id, Bytes octets);
	[[nodiscard]] const std::vector<uint8_t> &last_int_auth(bool request) const
	{
		return (request ? initiator_ : responder_).int_auth;
	}
	/** Of an IKE_AUTH message. @param budget	most octets to keep, beside auth_bodies_max */
	void bodies(const btns_auth_bodies_t &bodies, size_t budget);
	/** T, or why there is none. Can be called once. */
	std::optional<Binding> finish(Unavailable &why);

	[[nodiscard]] size_t bytes() const;

private:
	struct Side
	{
		std::vector<uint8_t> id;
		std::vector<uint8_t> auth;
		std::vector<uint8_t> int_auth;
		/** of the last IKE_INTERMEDIATE message */
		std::optional<uint32_t> intermediate;
		/** messages with an AUTH payload */
		unsigned auths = 0;
		/** of the last of these */
		uint32_t message_id = 0;
	};

	[[nodiscard]] std::vector<uint8_t> all_int_auth() const;

	std::unique_ptr<Transcript> digest_;
	/** IKE_AUTH begins with it */
	std::optional<uint32_t> first_message_id_;
	bool intermediate_ = false;
	/** not all of IntAuth was had */
	bool lost_ = false;
	bool too_long_ = false;
	Side initiator_;
	Side responder_;
};

/** IKE_SA_INIT requests that were sent and have no IKE_SA yet, by the initiator's SPI. */
class SentRequests
{
public:
	/** Requests that are remembered; the oldest are forgotten. */
	static constexpr size_t most = 4096;

	/** The last one for an SPI counts. */
	void sent(uint64_t spi, Bytes octets);
	/** The transcript that begins with the request; forgotten here. */
	std::optional<HandshakeTranscript> take(uint64_t spi);

	[[nodiscard]] size_t size() const { return requests_.size(); }

private:
	struct Request
	{
		uint64_t spi;
		HandshakeTranscript transcript;
	};

	/** the oldest first */
	std::list<Request> requests_;
	std::map<uint64_t, std::list<Request>::iterator> by_spi_;
};

struct Handshake
{
	/* the IKE_AUTH message last seen */
	bool has_message = false;
	bool another_follows = false;
	bool armed = false;
	/** charon has asked for the key of nobody */
	bool null_key_taken = false;
	btns_auth_t auth = BTNS_AUTH_OTHER;
	btns_reason_t refusal = BTNS_REASON_NONE;
	btns_addr_t auth_source{};
	std::shared_ptr<const CertPayloads> certs;
	/** once the key was looked for */
	std::shared_ptr<const PresentedKey> presented;

	/** raw public keys that the peer asks for, a mask of btns_encoding_bit_t */
	unsigned requested = 0;

	HandshakeTranscript transcript;
};

} // namespace btns
