/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
/* btns_x509_names(): what it finds lies inside the certificate, and names are whole DER SEQUENCEs. */
#include <functional>

#include "fuzz.h"

namespace
{

using btns::fuzz::Bytes;
using btns::fuzz::require;

void check_inside(btns_bytes_t part, Bytes whole)
{
	// comparing pointers of different objects needs std::less
	const std::less_equal<> not_after;
	require(part.len == 0 || (not_after(whole.data(), part.ptr) && part.len <= whole.size() &&
							  not_after(part.ptr + part.len, whole.data() + whole.size())),
			"what is found lies inside the certificate");
}

/** A SEQUENCE with its header, to the last octet. */
bool is_sequence(btns_bytes_t der)
{
	if (der.len < 2 || der.ptr[0] != 0x30)
	{
		return false;
	}
	size_t length = der.ptr[1];
	size_t header = 2;
	if (length >= 0x80)
	{
		size_t octets = length & 0x7f;
		for (length = 0; octets > 0 && header < der.len; octets--)
		{
			length = length << 8 | der.ptr[header++];
		}
	}
	return header + length == der.len;
}

} // namespace

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const Bytes cert(data, size);
	btns_x509_names_t names;
	const btns_status_t status = btns_x509_names(btns::fuzz::view(cert), &names);
	for (const btns_bytes_t &part : {names.issuer, names.subject, names.authority_key_id})
	{
		check_inside(part, cert);
		require(status == BTNS_STATUS_OK || part.len == 0, "nothing is found in what is no certificate");
	}
	if (status == BTNS_STATUS_OK)
	{
		require(is_sequence(names.issuer) && is_sequence(names.subject), "names are SEQUENCEs");
	}
	else
	{
		require(status == BTNS_STATUS_REFUSED, "a certificate is read or refused");
	}
	return 0;
}
