/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
#include "channel_binding.h"

#include <algorithm>
#include <initializer_list>
#include <limits>
#include <stdexcept>

namespace btns
{

namespace
{

using Part = Transcript::Part;

/** The parts in the order in which they are digested; all but IntAuth must be there. */
constexpr std::array parts{Part::real_message_1, Part::real_message_2, Part::int_auth,		Part::id_initiator,
						   Part::id_responder,	 Part::auth_initiator, Part::auth_responder};

std::vector<uint8_t> join(std::initializer_list<Bytes> pieces)
{
	std::vector<uint8_t> joined;
	for (const Bytes piece : pieces)
	{
		joined.insert(joined.end(), piece.begin(), piece.end());
	}
	return joined;
}

Bytes octets(std::string_view text)
{
	return {reinterpret_cast<const uint8_t *>(text.data()), text.size()};
}

constexpr std::array<uint8_t, 1> zero{0};

BindingAnswer unavailable(Unavailable why)
{
	return {std::nullopt, why};
}

/** May this part follow that one? */
bool follows(uint8_t last, Part part)
{
	const auto *const place = std::ranges::find(parts, part);
	if (place == parts.begin())
	{
		return last == 0;
	}
	const auto *before = std::prev(place);
	if (static_cast<uint8_t>(*before) == last)
	{
		return true;
	}
	return *before == Part::int_auth && static_cast<uint8_t>(*std::prev(before)) == last;
}

} // namespace

std::string_view binding_name(BindingType type)
{
	return type == BindingType::endpoints ? "ipsec-ikev2-endpoints-sha256" : "ipsec-ikev2-unique-sha256";
}

std::vector<uint8_t> prefixed(BindingType type, const Binding &value)
{
	return join({octets(binding_name(type)), octets(":"), value});
}

const char *unavailable_code(Unavailable why)
{
	switch (why)
	{
	case Unavailable::none:
		return "none";
	case Unavailable::no_integrity:
		return "no-integrity";
	case Unavailable::no_signature:
		return "no-signature";
	case Unavailable::rounds:
		return "rounds";
	case Unavailable::same_key:
		return "same-key";
	case Unavailable::not_seen:
		return "not-seen";
	case Unavailable::ike_version:
		return "ikev1";
	case Unavailable::key_type:
		return "key-type";
	case Unavailable::auths:
		return "auths";
	case Unavailable::too_long:
		return "too-long";
	case Unavailable::intermediate:
		return "intermediate";
	case Unavailable::pending:
		return "pending";
	case Unavailable::prf:
		return "prf";
	case Unavailable::several:
		return "several";
	}
	return "unknown";
}

const char *unavailable_text(Unavailable why)
{
	switch (why)
	{
	case Unavailable::none:
		return "it is available";
	case Unavailable::no_integrity:
		return "the CHILD_SA has no integrity protection, so nothing may be bound to it";
	case Unavailable::no_signature:
		return "not both sides authenticated with a signature by a known key; the unique binding may be available";
	case Unavailable::rounds:
		return "the IKE_SA was not authenticated in exactly one round";
	case Unavailable::same_key:
		return "both sides use the same key, so whoever has it could be in between; give each host a key of its own";
	case Unavailable::not_seen:
		return "the IKE_SA is older than the plugin; it will be available after a reauthentication";
	case Unavailable::ike_version:
		return "the IKE_SA is one of IKEv1, for which there are no bindings";
	case Unavailable::key_type:
		return "a side's key is of a type whose fingerprint is not defined";
	case Unavailable::auths:
		return "not both sides sent exactly one AUTH payload, as with EAP or several rounds";
	case Unavailable::too_long:
		return "the identities and AUTH payloads are too long to be kept";
	case Unavailable::intermediate:
		return "IKE_INTERMEDIATE exchanges were part of the authentication and could not be followed";
	case Unavailable::pending:
		return "the IKE_SA is just being authenticated";
	case Unavailable::prf:
		return "the pseudorandom function of the IKE_SA failed";
	case Unavailable::several:
		return "the peer has several IKE_SAs whose SAs take these packets alike; the end-point binding is available";
	}
	return "unknown";
}

BindingAnswer endpoints_binding(const Authentication &authentication)
{
	if (!authentication.integrity)
	{
		return unavailable(Unavailable::no_integrity);
	}
	if (authentication.rounds != 1)
	{
		return unavailable(Unavailable::rounds);
	}
	if (!authentication.local || !authentication.peer)
	{
		return unavailable(Unavailable::no_signature);
	}
	const auto &[lo, hi] = std::minmax(*authentication.local, *authentication.peer);
	if (lo == hi)
	{
		return unavailable(Unavailable::same_key);
	}
	return {fingerprint(join({octets(binding_name(BindingType::endpoints)), zero, lo, hi})), Unavailable::none};
}

Transcript::Transcript() : context_(EVP_MD_CTX_new())
{
	if (!context_ || EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr) != 1)
	{
		throw std::runtime_error("SHA-256 is not available");
	}
}

void Transcript::add(Part part, Bytes octets)
{
	broken_ = broken_ || !follows(last_, part) || octets.size() > std::numeric_limits<uint32_t>::max();
	last_ = static_cast<uint8_t>(part);
	if (broken_)
	{
		return;
	}
	const auto length = static_cast<uint32_t>(octets.size());
	const std::array<uint8_t, 5> header{last_, static_cast<uint8_t>(length >> 24), static_cast<uint8_t>(length >> 16),
										static_cast<uint8_t>(length >> 8), static_cast<uint8_t>(length)};
	broken_ = EVP_DigestUpdate(context_.get(), header.data(), header.size()) != 1 ||
			  EVP_DigestUpdate(context_.get(), octets.data(), octets.size()) != 1;
}

std::optional<Binding> Transcript::finish()
{
	Binding digest{};
	unsigned length = 0;
	if (broken_ || last_ != static_cast<uint8_t>(Part::auth_responder) ||
		EVP_DigestFinal_ex(context_.get(), digest.data(), &length) != 1 || length != digest.size())
	{
		return std::nullopt;
	}
	broken_ = true;
	return digest;
}

std::vector<uint8_t> unique_seed(const Binding &transcript)
{
	return join({octets(binding_name(BindingType::unique)), zero, transcript});
}

} // namespace btns
