/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
/**
 * @file abi.h
 * What the functions of core.h share.
 */
#pragma once

#include <memory>

#include "btns/core.h"
#include "core_state.h"
#include "cursor.h"
#include "guard.h"
#include "name_index.h"
#include "reqids.h"

struct btns_core_t
{
	explicit btns_core_t(btns::Settings settings) : core(std::move(settings)) {}

	btns::Core core;
};

struct btns_config_t
{
	btns::Draft draft;
};

struct btns_names_t
{
	btns::NameIndex index;
};

struct btns_reqids_t
{
	btns::Reqids reqids;
};

struct btns_evidence_t
{
	explicit btns_evidence_t(std::shared_ptr<const btns::CertPayloads> payloads) : certs(std::move(payloads)) {}

	std::shared_ptr<const btns::CertPayloads> certs;
};

namespace btns
{

/** Octets of the ABI, as the core has them; the caller's. */
inline Bytes view(const btns_bytes_t &bytes)
{
	return {bytes.ptr, bytes.len};
}

inline btns_bytes_t view(Bytes bytes)
{
	return {bytes.data(), bytes.size()};
}

inline bool is_valid(const btns_bytes_t &bytes)
{
	return bytes.ptr != nullptr || bytes.len == 0;
}

/** guard() for a function that sets a reason: also one for a status that is no answer. */
template <typename Body>
btns_status_t guard_reason(const char *function, btns_reason_t *reason, Body &&body)
{
	const btns_status_t status = guard(function, std::forward<Body>(body));
	if (status != BTNS_STATUS_OK && status != BTNS_STATUS_REFUSED)
	{
		*reason = failure_reason(status);
	}
	return status;
}

/** For the C ABI; points into the channel. */
btns_channel_info_t to_info(const Channel &channel);

/** REFUSED unless there is no reason to. */
inline btns_status_t status_of(btns_reason_t reason)
{
	return reason == BTNS_REASON_NONE ? BTNS_STATUS_OK : BTNS_STATUS_REFUSED;
}

/** Are there no pointers missing? */
inline bool is_valid(const btns_child_t &child)
{
	return (child.hosts != nullptr || child.host_count == 0) && (child.local != nullptr || child.local_count == 0) &&
		   (child.remote != nullptr || child.remote_count == 0);
}

} // namespace btns
