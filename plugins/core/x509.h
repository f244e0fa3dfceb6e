/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
/**
 * @file x509.h
 * The walk through an X.509 certificate (RFC 5280 4.1) to the few fields that matter here. Nothing is verified.
 */
#pragma once

#include "cursor.h"
#include "result.h"

namespace btns
{

/** Views into the certificate. */
struct Certificate
{
	/** DER of the issuer Name, with its header */
	Bytes issuer;
	/** DER of the subject Name, with its header */
	Bytes subject;
	/** DER of the SubjectPublicKeyInfo, with its header */
	Bytes spki;
	/** keyIdentifier of the authorityKeyIdentifier extension (RFC 5280 4.2.1.1); empty if there is none */
	Bytes authority_key_id;
};

/**
 * Walk through a certificate that fills the octets.
 *
 * Every element on the way must be there, in order and well-formed: names, validity, extensions, signature.
 *
 * @return	CERT_MALFORMED, or KEY_TRAILING if octets follow the certificate
 */
Result<Certificate> read_certificate(Bytes der);

} // namespace btns
