/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
/**
 * @file abi_sas.cpp
 * The functions of core.h that are about IKE_SAs and CHILD_SAs.
 */
#include <algorithm>

#include "abi.h"
#include "cert_encodings.h"
#include "latches.h"
#include "overload.h"

using btns::guard;
using btns::guard_reason;
using btns::status_of;

namespace
{

/** Do what is left to do after a failure. FALSE if that fails, too. */
template <typename Body>
bool attempt(Body &&body)
{
	// no name: fault injection is for the call itself
	return guard("", [&] { return std::forward<Body>(body)(), BTNS_STATUS_OK; }) == BTNS_STATUS_OK;
}

btns_status_t copy_key(const std::shared_ptr<const btns_key_t> &key, btns_key_t &out)
{
	if (!key)
	{
		return BTNS_STATUS_REFUSED;
	}
	out = *key;
	return BTNS_STATUS_OK;
}

bool is_valid(const btns_auth_message_t &message)
{
	return (message.certs != nullptr || message.cert_count == 0) &&
		   std::ranges::all_of(std::span(message.certs, message.cert_count),
							   [](const btns_cert_t &cert) { return cert.body.ptr != nullptr || cert.body.len == 0; });
}

/** Call back with no lock held. */
void evict_all(btns::Core &core, const std::vector<btns::Eviction> &evictions, btns_evict_cb_t evict, void *user)
{
	for (const btns::Eviction &eviction : evictions)
	{
		if (core.table.mark_evicted(eviction.sa))
		{
			core.stats.evict();
		}
		if (evict != nullptr)
		{
			evict(user, eviction.sa, eviction.reason);
		}
	}
}

void refuse_latched(btns::Core &core, uint32_t sa, const btns_child_t &child, btns::ChildVerdict &verdict)
{
	core.table.child_down(sa, child.child);
	verdict.reason = BTNS_REASON_LATCHED;
}

/** Give a list of encodings to the caller; none after a failure. */
template <typename List>
size_t list_encodings(const char *function, btns_core_t *core, unsigned *out, List &&list)
{
	size_t count = 0;
	guard(function,
		  [&]
		  {
			  if (core == nullptr || out == nullptr)
			  {
				  return BTNS_STATUS_INVALID;
			  }
			  const btns::EncodingList encodings = std::forward<List>(list)();
			  std::copy_n(encodings.encodings.begin(), encodings.count, out);
			  count = encodings.count;
			  return BTNS_STATUS_OK;
		  });
	return count;
}

/** Run authorize_child() or child_up() of the side table. */
template <typename Decide>
btns_status_t decide_child(const char *function, btns_core_t *core, const btns_child_t *child, btns_evict_cb_t evict,
						   void *user, btns_reason_t *reason, Decide &&decide)
{
	btns_reason_t ignored = BTNS_REASON_NONE;
	btns_reason_t &why = reason != nullptr ? *reason : ignored;
	why = BTNS_REASON_INTERNAL;
	return guard_reason(function, &why,
						[&]
						{
							if (core == nullptr || child == nullptr || !btns::is_valid(*child))
							{
								return BTNS_STATUS_INVALID;
							}
							const auto settings = core->core.settings();
							const auto pad = core->core.pad();
							const btns::ChildVerdict verdict = decide(btns::Context{*settings, *pad});
							evict_all(core->core, verdict.evictions, evict, user);
							why = verdict.reason;
							// an authenticated peer's CHILD_SA is allowed whatever happens to our index
							return verdict.not_indexed ? BTNS_STATUS_NOMEM : status_of(verdict.reason);
						});
}

} // namespace

extern "C" {

btns_status_t btns_sa_init(btns_core_t *core, uint32_t sa, const btns_init_t *init)
{
	return guard(__func__,
				 [&]
				 {
					 if (core == nullptr || init == nullptr)
					 {
						 return BTNS_STATUS_INVALID;
					 }
					 return core->core.table.init(sa, *init, *core->core.settings()) ? BTNS_STATUS_OK
																					 : BTNS_STATUS_REFUSED;
				 });
}

btns_status_t btns_sa_message(btns_core_t *core, uint32_t sa, const btns_auth_message_t *message)
{
	const btns_status_t status =
		guard(__func__,
			  [&]
			  {
				  if (core == nullptr || message == nullptr || !is_valid(*message))
				  {
					  return BTNS_STATUS_INVALID;
				  }
				  return core->core.table.message(sa, *message) ? BTNS_STATUS_OK : BTNS_STATUS_REFUSED;
			  });
	if (status != BTNS_STATUS_OK && core != nullptr)
	{
		attempt([&] { core->core.table.forget_message(sa); });
	}
	return status;
}

size_t btns_sa_encodings_to_send(btns_core_t *core, uint32_t sa, unsigned out[BTNS_ENCODINGS_MAX])
{
	return list_encodings(
		__func__, core, out,
		[&] { return btns::encodings_to_send(core->core.settings()->keys.encodings, core->core.table.requested(sa)); });
}

size_t btns_encodings_to_request(btns_core_t *core, btns_role_t role, unsigned out[BTNS_ENCODINGS_MAX])
{
	return list_encodings(__func__, core, out,
						  [&]
						  {
							  const bool initiator = role == BTNS_ROLE_INITIATOR;
							  return initiator || core->core.pad()->admits_keys()
										 ? btns::encodings_to_request(core->core.settings()->keys.encodings, initiator)
										 : btns::EncodingList();
						  });
}

btns_auth_t btns_sa_auth(btns_core_t *core, uint32_t sa)
{
	btns_auth_t auth = BTNS_AUTH_OTHER;
	guard(__func__,
		  [&]
		  {
			  if (core != nullptr)
			  {
				  auth = core->core.table.auth(sa);
			  }
			  return BTNS_STATUS_OK;
		  });
	return auth;
}

btns_status_t btns_sa_key(btns_core_t *core, uint32_t sa, int64_t now, btns_key_t *out, btns_reason_t *reason)
{
	if (out == nullptr || reason == nullptr)
	{
		return BTNS_STATUS_INVALID;
	}
	*out = {};
	*reason = BTNS_REASON_INTERNAL;
	return guard_reason(__func__, reason,
						[&]
						{
							if (core == nullptr)
							{
								return BTNS_STATUS_INVALID;
							}
							const auto found =
								core->core.table.key(sa, *core->core.settings(), core->core.key_meter, now);
							*out = found.key;
							*reason = found.reason;
							return found.status;
						});
}

btns_evidence_t *btns_sa_evidence(btns_core_t *core, uint32_t sa)
{
	btns_evidence_t *evidence = nullptr;
	guard(__func__,
		  [&]
		  {
			  auto certs = core != nullptr ? core->core.table.certs(sa) : nullptr;
			  if (certs && !certs->certs.empty())
			  {
				  evidence = std::make_unique<btns_evidence_t>(std::move(certs)).release();
			  }
			  return BTNS_STATUS_OK;
		  });
	return evidence;
}

btns_status_t btns_evidence_key(btns_core_t *core, const btns_evidence_t *evidence, int64_t now, btns_key_t *out)
{
	if (out == nullptr)
	{
		return BTNS_STATUS_INVALID;
	}
	*out = {};
	return guard(__func__,
				 [&]
				 {
					 if (core == nullptr || evidence == nullptr)
					 {
						 return BTNS_STATUS_INVALID;
					 }
					 const auto settings = core->core.settings();
					 const btns::KeyGate gate = [&](btns_key_type_t type, unsigned bits)
					 { return core->core.key_meter.spend(btns::key_cost(type, bits), settings->key_rates, now); };
					 const auto found = btns::find_presented_key(settings->keys, *evidence->certs, gate);
					 *out = found.key;
					 return found.status;
				 });
}

void btns_evidence_destroy(btns_evidence_t *evidence)
{
	const std::unique_ptr<btns_evidence_t> owned(evidence);
}

btns_status_t btns_sa_certs(btns_core_t *core, uint32_t sa, btns_cert_cb_t cb, void *user)
{
	return guard(__func__,
				 [&]
				 {
					 if (core == nullptr || cb == nullptr)
					 {
						 return BTNS_STATUS_INVALID;
					 }
					 const auto payloads = core->core.table.certs(sa);
					 if (!payloads)
					 {
						 return BTNS_STATUS_REFUSED;
					 }
					 for (const auto &cert : payloads->certs)
					 {
						 if (cert.encoding == BTNS_ENCODING_X509)
						 {
							 cb(user, {cert.body.data(), cert.body.size()});
						 }
					 }
					 return BTNS_STATUS_OK;
				 });
}

bool btns_sa_names_certificate(btns_core_t *core, uint32_t sa)
{
	bool names = true;
	guard(__func__,
		  [&]
		  {
			  const auto payloads = core != nullptr ? core->core.table.certs(sa) : nullptr;
			  names = core == nullptr || (payloads && payloads->others);
			  return BTNS_STATUS_OK;
		  });
	return names;
}

btns_reason_t btns_sa_admissible(btns_core_t *core, uint32_t sa, unsigned ike_sas)
{
	btns_reason_t reason = BTNS_REASON_INTERNAL;
	guard_reason(__func__, &reason,
				 [&]
				 {
					 if (core == nullptr)
					 {
						 return BTNS_STATUS_INVALID;
					 }
					 reason = core->core.table.admissible(sa, *core->core.settings(), ike_sas);
					 return BTNS_STATUS_OK;
				 });
	return reason;
}

btns_status_t btns_sa_arm(btns_core_t *core, uint32_t sa, btns_role_t role, btns_reason_t *reason)
{
	if (reason == nullptr)
	{
		return BTNS_STATUS_INVALID;
	}
	*reason = BTNS_REASON_INTERNAL;
	return guard_reason(__func__, reason,
						[&]
						{
							if (core == nullptr)
							{
								return BTNS_STATUS_INVALID;
							}
							*reason = core->core.table.arm(sa, role, *core->core.settings());
							return status_of(*reason);
						});
}

btns_status_t btns_sa_null_key(btns_core_t *core, uint32_t sa)
{
	return guard(__func__,
				 [&]
				 {
					 if (core == nullptr)
					 {
						 return BTNS_STATUS_INVALID;
					 }
					 return core->core.table.take_null_key(sa) ? BTNS_STATUS_OK : BTNS_STATUS_REFUSED;
				 });
}

btns_status_t btns_sa_identity(btns_core_t *core, uint32_t sa, char out[BTNS_KEY_ID_LEN])
{
	if (out == nullptr)
	{
		return BTNS_STATUS_INVALID;
	}
	out[0] = '\0';
	return guard(__func__,
				 [&]
				 {
					 if (core == nullptr)
					 {
						 return BTNS_STATUS_INVALID;
					 }
					 const auto verified = core->core.table.verified(sa);
					 if (!verified)
					 {
						 return BTNS_STATUS_REFUSED;
					 }
					 const std::string identity = verified->identity();
					 *std::copy_n(identity.begin(), std::min<size_t>(identity.size(), BTNS_KEY_ID_LEN - 1), out) = '\0';
					 return BTNS_STATUS_OK;
				 });
}

btns_status_t btns_sa_armed_key(btns_core_t *core, uint32_t sa, btns_key_t *out)
{
	if (out == nullptr)
	{
		return BTNS_STATUS_INVALID;
	}
	*out = {};
	return guard(__func__,
				 [&]
				 {
					 if (core == nullptr)
					 {
						 return BTNS_STATUS_INVALID;
					 }
					 return copy_key(core->core.table.armed_key(sa), *out);
				 });
}

btns_status_t btns_sa_verified_key(btns_core_t *core, uint32_t sa, btns_key_t *out)
{
	if (out == nullptr)
	{
		return BTNS_STATUS_INVALID;
	}
	*out = {};
	return guard(__func__,
				 [&]
				 {
					 if (core == nullptr)
					 {
						 return BTNS_STATUS_INVALID;
					 }
					 const auto key = core->core.table.verified(sa);
					 if (!key || key->is_null())
					 {
						 return BTNS_STATUS_REFUSED;
					 }
					 *out = key->to_abi();
					 return BTNS_STATUS_OK;
				 });
}

btns_status_t btns_sa_authorize(btns_core_t *core, uint32_t sa, const btns_authorize_t *facts, btns_grant_t *grant)
{
	if (grant == nullptr)
	{
		return BTNS_STATUS_INVALID;
	}
	*grant = {};
	grant->reason = BTNS_REASON_INTERNAL;
	const btns_status_t status =
		guard_reason(__func__, &grant->reason,
					 [&]
					 {
						 if (core == nullptr || facts == nullptr || facts->connection == nullptr)
						 {
							 return BTNS_STATUS_INVALID;
						 }
						 const auto pad = core->core.pad();
						 *grant = core->core.table.authorize(sa, *facts, *pad);
						 if (grant->btns && facts->final)
						 {
							 core->core.stats.accept();
						 }
						 return status_of(grant->reason);
					 });
	if (status == BTNS_STATUS_OK || status == BTNS_STATUS_REFUSED || core == nullptr || facts == nullptr)
	{
		return status;
	}
	// A peer that authenticates is not hurt by a failure of ours, but only if it is certain that it is no stranger: the
	// entry has no flag, no key of ours verified, and the side table can be read and neither armed nor verified it.
	bool stranger = true;
	if (attempt([&] { stranger = core->core.table.abandon(sa); }) && !stranger && facts->flag == BTNS_FLAG_NONE &&
		facts->verified == nullptr && !facts->reserved_name)
	{
		grant->allowed = true;
	}
	return status;
}

btns_status_t btns_sa_rekey(btns_core_t *core, uint32_t from, uint32_t to)
{
	return guard(__func__,
				 [&]
				 {
					 if (core == nullptr)
					 {
						 return BTNS_STATUS_INVALID;
					 }
					 core->core.table.rekey(from, to);
					 return BTNS_STATUS_OK;
				 });
}

btns_status_t btns_sa_up(btns_core_t *core, uint32_t sa, uint64_t spi_i, uint64_t spi_r, const btns_addr_t *local,
						 const btns_addr_t *remote, int64_t when)
{
	return guard(__func__,
				 [&]
				 {
					 if (core == nullptr || local == nullptr || remote == nullptr)
					 {
						 return BTNS_STATUS_INVALID;
					 }
					 return core->core.table.up(sa, {spi_i, spi_r, *local, *remote, when}) ? BTNS_STATUS_OK
																						   : BTNS_STATUS_REFUSED;
				 });
}

void btns_sa_drop(btns_core_t *core, uint32_t sa)
{
	guard(__func__,
		  [&]
		  {
			  if (core != nullptr)
			  {
				  core->core.table.drop(sa);
			  }
			  return BTNS_STATUS_OK;
		  });
}

bool btns_sa_is_btns(btns_core_t *core, uint32_t sa)
{
	// FALSE on failure: a flagged entry without a BTNS peer is refused everywhere
	bool is_btns = false;
	guard(__func__,
		  [&]
		  {
			  is_btns = core != nullptr && core->core.table.verified(sa) != nullptr;
			  return BTNS_STATUS_OK;
		  });
	return is_btns;
}

btns_reason_t btns_sa_may_create_child(btns_core_t *core, uint32_t sa, int64_t now)
{
	btns_reason_t reason = BTNS_REASON_INTERNAL;
	guard_reason(__func__, &reason,
				 [&]
				 {
					 if (core == nullptr)
					 {
						 return BTNS_STATUS_INVALID;
					 }
					 reason = core->core.table.may_create_child(sa, *core->core.settings(), now);
					 return BTNS_STATUS_OK;
				 });
	return reason;
}

void btns_sa_used(btns_core_t *core, uint32_t sa, int64_t when)
{
	guard(__func__,
		  [&]
		  {
			  if (core != nullptr)
			  {
				  core->core.table.used(sa, when);
			  }
			  return BTNS_STATUS_OK;
		  });
}

btns_status_t btns_reap(btns_core_t *core, int64_t now, btns_look_cb_t look, btns_evict_cb_t evict, void *user)
{
	return guard(__func__,
				 [&]
				 {
					 if (core == nullptr || look == nullptr || evict == nullptr)
					 {
						 return BTNS_STATUS_INVALID;
					 }
					 const auto settings = core->core.settings();
					 const auto reaping = core->core.table.reap(*settings, now);
					 for (const btns::Eviction &eviction : reaping.evictions)
					 {
						 evict(user, eviction.sa, eviction.reason);
					 }
					 for (const btns_peer_info_t &peer : reaping.looks)
					 {
						 look(user, &peer);
						 if (core->core.table.is_idle(peer.sa, *settings, now))
						 {
							 evict(user, peer.sa, BTNS_REASON_IDLE);
						 }
					 }
					 return BTNS_STATUS_OK;
				 });
}

bool btns_is_crowded(btns_core_t *core, unsigned ike_sas)
{
	bool crowded = false;
	guard(__func__,
		  [&]
		  {
			  crowded = core != nullptr && btns::is_crowded(ike_sas, core->core.settings()->ikesa_limit);
			  return BTNS_STATUS_OK;
		  });
	return crowded;
}

btns_status_t btns_shed(btns_core_t *core, int64_t now, unsigned ike_sas, btns_evict_cb_t evict, void *user)
{
	return guard(__func__,
				 [&]
				 {
					 if (core == nullptr || evict == nullptr)
					 {
						 return BTNS_STATUS_INVALID;
					 }
					 for (const btns::Eviction &eviction : core->core.table.shed(*core->core.settings(), now, ike_sas))
					 {
						 if (eviction.reason == BTNS_REASON_SHED && core->core.table.mark_evicted(eviction.sa))
						 {
							 core->core.stats.evict();
						 }
						 evict(user, eviction.sa, eviction.reason);
					 }
					 return BTNS_STATUS_OK;
				 });
}

btns_status_t btns_child_authorize(btns_core_t *core, uint32_t sa, const btns_child_t *child, btns_evict_cb_t evict,
								   void *user, btns_reason_t *reason)
{
	return decide_child(__func__, core, child, evict, user, reason,
						[&](const btns::Context &context)
						{
							btns::ChildVerdict verdict = core->core.table.authorize_child(sa, *child, context);
							const auto latches = child->btns ? core->core.latches() : nullptr;
							if (latches && verdict.reason == BTNS_REASON_NONE && latches->takes_latched(sa, *child))
							{
								refuse_latched(core->core, sa, *child, verdict);
							}
							return verdict;
						});
}

btns_status_t btns_child_up(btns_core_t *core, uint32_t sa, const btns_child_t *child, btns_evict_cb_t evict,
							void *user, btns_reason_t *reason)
{
	return decide_child(__func__, core, child, evict, user, reason,
						[&](const btns::Context &context)
						{
							btns::ChildVerdict verdict = core->core.table.child_up(sa, *child, context);
							const auto latches = core->core.latches();
							if (latches && verdict.reason == BTNS_REASON_NONE &&
								latches->installed(sa, *child) != BTNS_REASON_NONE)
							{
								refuse_latched(core->core, sa, *child, verdict);
							}
							return verdict;
						});
}

void btns_child_down(btns_core_t *core, uint32_t sa, uint32_t child)
{
	guard(__func__,
		  [&]
		  {
			  if (core != nullptr)
			  {
				  core->core.table.child_down(sa, child);
			  }
			  return BTNS_STATUS_OK;
		  });
}

btns_status_t btns_sa_holds(btns_core_t *core, uint32_t sa, const btns_addr_t *addrs, size_t count,
							btns_evict_cb_t evict, void *user)
{
	return guard(__func__,
				 [&]
				 {
					 if (core == nullptr || (addrs == nullptr && count > 0))
					 {
						 return BTNS_STATUS_INVALID;
					 }
					 std::vector<btns::Range> ranges;
					 for (const btns_addr_t &addr : std::span(addrs, count))
					 {
						 if (const auto address = btns::to_address(addr))
						 {
							 ranges.push_back(btns::host_range(*address));
						 }
					 }
					 const auto evictions = core->core.table.holds(sa, std::move(ranges));
					 if (!evictions)
					 {
						 return BTNS_STATUS_REFUSED;
					 }
					 evict_all(core->core, *evictions, evict, user);
					 return BTNS_STATUS_OK;
				 });
}

bool btns_is_reserved(btns_core_t *core, const btns_addr_t *addr)
{
	bool reserved = true;
	guard(__func__,
		  [&]
		  {
			  const auto address = addr != nullptr ? btns::to_address(*addr) : std::nullopt;
			  if (core != nullptr && address)
			  {
				  const btns::Range range = btns::host_range(*address);
				  reserved = core->core.pad()->reserved().overlaps(range) ||
							 core->core.settings()->reserve.overlaps(range) || core->core.table.is_held(range);
			  }
			  return BTNS_STATUS_OK;
		  });
	return reserved;
}

btns_status_t btns_audit(btns_core_t *core, btns_evict_cb_t evict, void *user)
{
	return guard(__func__,
				 [&]
				 {
					 if (core == nullptr || evict == nullptr)
					 {
						 return BTNS_STATUS_INVALID;
					 }
					 const auto settings = core->core.settings();
					 const auto pad = core->core.pad();
					 evict_all(core->core, core->core.table.audit({*settings, *pad}), evict, user);
					 return BTNS_STATUS_OK;
				 });
}

} // extern "C"
