/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
/**
 * @file abi_reqids.cpp
 * The functions of core.h about reqids.
 */
#include "abi.h"

using btns::guard;

namespace
{

btns::Reqids::Holder to_holder(const btns_reqid_holder_t &holder)
{
	return {holder.kind, holder.identity.len == 0
							 ? std::string()
							 : std::string(reinterpret_cast<const char *>(holder.identity.ptr), holder.identity.len)};
}

} // namespace

extern "C" {

btns_reqids_t *btns_reqids_create(void)
{
	std::unique_ptr<btns_reqids_t> reqids;
	guard(__func__,
		  [&]
		  {
			  reqids = std::make_unique<btns_reqids_t>();
			  return BTNS_STATUS_OK;
		  });
	return reqids.release();
}

void btns_reqids_destroy(btns_reqids_t *reqids)
{
	const std::unique_ptr<btns_reqids_t> owned(reqids);
}

bool btns_reqids_may_share(const btns_reqids_t *reqids, uint32_t reqid, const btns_reqid_holder_t *holder,
						   bool own_trap)
{
	bool may = false;
	guard(__func__,
		  [&]
		  {
			  may = reqids != nullptr && holder != nullptr &&
					reqids->reqids.may_share(reqid, to_holder(*holder), own_trap);
			  return BTNS_STATUS_OK;
		  });
	return may;
}

btns_status_t btns_reqids_take(btns_reqids_t *reqids, uint32_t reqid, const btns_reqid_holder_t *holder)
{
	if (reqids == nullptr || holder == nullptr)
	{
		return BTNS_STATUS_INVALID;
	}
	const btns_status_t status =
		guard(__func__,
			  [&] { return reqids->reqids.take(reqid, to_holder(*holder)) ? BTNS_STATUS_OK : BTNS_STATUS_REFUSED; });
	if (status != BTNS_STATUS_OK && holder->kind != BTNS_HOLDER_STRANGER)
	{
		reqids->reqids.lose_track();
	}
	return status;
}

void btns_reqids_release(btns_reqids_t *reqids, uint32_t reqid, const btns_reqid_holder_t *holder)
{
	guard(__func__,
		  [&]
		  {
			  if (reqids != nullptr && holder != nullptr)
			  {
				  reqids->reqids.release(reqid, to_holder(*holder));
			  }
			  return BTNS_STATUS_OK;
		  });
}

} // extern "C"
