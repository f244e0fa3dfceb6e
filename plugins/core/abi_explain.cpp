/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
/**
 * @file abi_explain.cpp
 * The functions of core.h that tell what would happen.
 */
#include <algorithm>

#include "abi.h"
#include "explain.h"

using btns::guard;
using btns::guard_reason;

namespace
{

bool is_valid(const btns_supposed_t &peer)
{
	return (peer.certs != nullptr || peer.cert_count == 0) &&
		   std::ranges::all_of(std::span(peer.certs, peer.cert_count),
							   [](const btns_cert_t &cert) { return cert.body.ptr != nullptr || cert.body.len == 0; });
}

btns::Supposed supposed(const btns_supposed_t &peer)
{
	return {btns::to_address(peer.source) ? peer.source : btns_addr_t{}, peer.role};
}

/** Call back with no lock held. */
void tell(const std::vector<btns::Sentence> &sentences, btns_step_cb_t cb, void *user)
{
	for (const btns::Sentence &sentence : sentences)
	{
		const btns_step_t step{sentence.step, sentence.passed, sentence.reason, sentence.text.c_str()};
		cb(user, &step);
	}
}

std::string text_of(const char *text)
{
	return text != nullptr ? text : "";
}

} // namespace

extern "C" {

btns_status_t btns_supposed_key(btns_core_t *core, const btns_supposed_t *peer, int64_t now, btns_key_t *out,
								btns_reason_t *reason)
{
	if (out == nullptr || reason == nullptr)
	{
		return BTNS_STATUS_INVALID;
	}
	*out = {};
	*reason = BTNS_REASON_INTERNAL;
	return guard_reason(
		__func__, reason,
		[&]
		{
			if (core == nullptr || peer == nullptr || !is_valid(*peer))
			{
				return BTNS_STATUS_INVALID;
			}
			const auto certs =
				btns::copy_certs(std::span(peer->certs, peer->cert_count), peer->cert_count, btns::certs_bytes_max);
			const auto found =
				core->core.table.suppose_key(supposed(*peer), certs, *core->core.settings(), core->core.key_meter, now);
			*out = found.key;
			*reason = found.reason;
			if (found.reason == BTNS_REASON_NO_KEY && peer->cert_count == 0 && peer->fingerprint != nullptr)
			{
				std::copy_n(peer->fingerprint, BTNS_FINGERPRINT_LEN, out->fingerprint);
				*reason = BTNS_REASON_NONE;
				return BTNS_STATUS_OK;
			}
			return found.status;
		});
}

btns_reason_t btns_supposed_admissible(btns_core_t *core, const btns_supposed_t *peer, unsigned ike_sas)
{
	btns_reason_t reason = BTNS_REASON_INTERNAL;
	guard_reason(__func__, &reason,
				 [&]
				 {
					 if (core == nullptr || peer == nullptr)
					 {
						 return BTNS_STATUS_INVALID;
					 }
					 reason = core->core.table.suppose_admissible(supposed(*peer), *core->core.settings(), ike_sas);
					 return BTNS_STATUS_OK;
				 });
	return reason;
}

btns_status_t btns_pad_explain(btns_core_t *core, const btns_claim_t *claim, const btns_candidate_t *candidates,
							   size_t count, const btns_lookup_names_t *names, btns_step_cb_t cb, void *user)
{
	return guard(__func__,
				 [&]
				 {
					 if (core == nullptr || claim == nullptr || names == nullptr || cb == nullptr ||
						 ((candidates == nullptr || names->names == nullptr) && count > 0))
					 {
						 return BTNS_STATUS_INVALID;
					 }
					 btns::Trace trace;
					 const auto verdict = btns::pad_lookup(*claim, {candidates, count}, &trace);
					 const btns::PadFacts facts{*claim,
												{candidates, count},
												{names->names, count},
												text_of(names->known_by),
												text_of(names->vouched_by),
												names->key != nullptr ? *names->key : btns_key_t{}};
					 tell(btns::explain_lookup(facts, verdict, trace, *core->core.pad()), cb, user);
					 return BTNS_STATUS_OK;
				 });
}

btns_status_t btns_supposed_child(btns_core_t *core, const uint8_t fingerprint[BTNS_FINGERPRINT_LEN],
								  const btns_child_t *child, btns_step_cb_t cb, void *user, btns_reason_t *reason)
{
	if (reason == nullptr)
	{
		return BTNS_STATUS_INVALID;
	}
	*reason = BTNS_REASON_INTERNAL;
	return guard_reason(__func__, reason,
						[&]
						{
							if (core == nullptr || fingerprint == nullptr || child == nullptr || cb == nullptr ||
								!btns::is_valid(*child))
							{
								return BTNS_STATUS_INVALID;
							}
							const auto settings = core->core.settings();
							const auto pad = core->core.pad();
							const btns::Context context{*settings, *pad};
							btns::Fingerprint key{};
							std::copy_n(fingerprint, key.size(), key.begin());
							const auto found = core->core.table.suppose_child(key, *child, context);
							tell(btns::explain_child(*child, found, context), cb, user);
							*reason = found.reason;
							return btns::status_of(found.reason);
						});
}

} // extern "C"
