/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
#include "handshake.h"

#include <algorithm>

namespace btns
{

namespace
{

void assign(std::vector<uint8_t> &out, const btns_body_t &body)
{
	std::vector<uint8_t> octets(std::begin(body.head), std::end(body.head));
	octets.insert(octets.end(), body.data.ptr, body.data.ptr + body.data.len);
	out.swap(octets);
}

} // namespace

void HandshakeTranscript::message(bool request, Bytes octets)
{
	if (request)
	{
		*this = HandshakeTranscript();
		digest_ = std::make_unique<Transcript>();
		digest_->add(Transcript::Part::real_message_1, octets);
	}
	else if (digest_)
	{
		// a second one without a request makes it useless
		digest_->add(Transcript::Part::real_message_2, octets);
	}
}

void HandshakeTranscript::int_auth(bool request, uint32_t message_id, Bytes octets)
{
	Side &side = request ? initiator_ : responder_;
	intermediate_ = true;
	// one that comes again would count twice
	lost_ = lost_ || octets.empty() || octets.size() > BTNS_PRF_MAX || side.intermediate == message_id;
	side.intermediate = message_id;
	side.int_auth.assign(octets.begin(), octets.begin() + static_cast<std::ptrdiff_t>(lost_ ? 0 : octets.size()));
}

/** IntAuth_iN | IntAuth_rN | IKE_AUTH_MID (RFC 9242 3.3.2) */
std::vector<uint8_t> HandshakeTranscript::all_int_auth() const
{
	const uint32_t id = first_message_id_.value_or(0);
	std::vector<uint8_t> all = initiator_.int_auth;
	all.insert(all.end(), responder_.int_auth.begin(), responder_.int_auth.end());
	for (const unsigned shift : {24U, 16U, 8U, 0U})
	{
		all.push_back(static_cast<uint8_t>(id >> shift));
	}
	return all;
}

void HandshakeTranscript::bodies(const btns_auth_bodies_t &bodies, size_t budget)
{
	Side &side = bodies.request ? initiator_ : responder_;
	const btns_body_t *const id = bodies.id;
	const btns_body_t *const auth = bodies.auth;
	const size_t more = (id != nullptr ? sizeof(id->head) + id->data.len : 0) +
						(auth != nullptr ? sizeof(auth->head) + auth->data.len : 0);
	first_message_id_ = first_message_id_.value_or(bodies.message_id);
	const bool again = side.auths == 1 && side.message_id == bodies.message_id;
	if (auth != nullptr)
	{
		side.auths += again ? 0 : 1;
		side.message_id = bodies.message_id;
	}
	too_long_ = too_long_ || bytes() + more > auth_bodies_max || more > budget;
	if (too_long_)
	{
		return;
	}
	// of a second round the number of AUTH payloads is all that matters
	if (id != nullptr && (side.id.empty() || again))
	{
		assign(side.id, *id);
	}
	if (auth != nullptr && (side.auth.empty() || again))
	{
		assign(side.auth, *auth);
	}
}

void SentRequests::sent(uint64_t spi, Bytes octets)
{
	HandshakeTranscript transcript;
	transcript.message(true, octets);
	take(spi);
	requests_.push_back({spi, std::move(transcript)});
	try
	{
		by_spi_[spi] = std::prev(requests_.end());
	}
	catch (...)
	{
		requests_.pop_back();
		throw;
	}
	if (requests_.size() > most)
	{
		by_spi_.erase(requests_.front().spi);
		requests_.pop_front();
	}
}

std::optional<HandshakeTranscript> SentRequests::take(uint64_t spi)
{
	const auto found = by_spi_.find(spi);
	if (found == by_spi_.end())
	{
		return std::nullopt;
	}
	std::optional<HandshakeTranscript> transcript(std::move(found->second->transcript));
	requests_.erase(found->second);
	by_spi_.erase(found);
	return transcript;
}

size_t HandshakeTranscript::bytes() const
{
	return initiator_.id.size() + initiator_.auth.size() + responder_.id.size() + responder_.auth.size();
}

std::optional<Binding> HandshakeTranscript::finish(Unavailable &why)
{
	why = Unavailable::none;
	if (!digest_)
	{
		why = Unavailable::not_seen;
	}
	else if (initiator_.auths != 1 || responder_.auths != 1)
	{
		why = Unavailable::auths;
	}
	else if (too_long_)
	{
		why = Unavailable::too_long;
	}
	else if (intermediate_ && (lost_ || initiator_.int_auth.empty() || responder_.int_auth.empty()))
	{
		why = Unavailable::intermediate;
	}
	if (why != Unavailable::none)
	{
		return std::nullopt;
	}
	using Part = Transcript::Part;
	if (intermediate_)
	{
		digest_->add(Part::int_auth, all_int_auth());
	}
	digest_->add(Part::id_initiator, initiator_.id);
	digest_->add(Part::id_responder, responder_.id);
	digest_->add(Part::auth_initiator, initiator_.auth);
	digest_->add(Part::auth_responder, responder_.auth);
	const auto digest = digest_->finish();
	digest_.reset();
	why = digest ? Unavailable::none : Unavailable::not_seen;
	return digest;
}

} // namespace btns
