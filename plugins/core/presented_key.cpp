/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
#include "presented_key.h"

#include <algorithm>
#include <array>

#include "cert_encodings.h"
#include "key.h"

namespace btns
{

namespace
{

bool carries_key(unsigned encoding)
{
	return encoding_bit(encoding) != 0;
}

bool is_bare(unsigned encoding)
{
	return carries_key(encoding) && encoding != BTNS_ENCODING_X509;
}

PresentedKey refuse(btns_reason_t reason)
{
	return {BTNS_STATUS_REFUSED, reason, {}};
}

using Cert = CertPayloads::Cert;

/** The payloads that have to agree, the one whose encoding is reported first. */
struct Selection
{
	std::array<const Cert *, BTNS_ENCODINGS_MAX + 1> certs{};
	size_t count = 0;
	btns_reason_t reason = BTNS_REASON_NONE;
};

Selection select(const btns_key_policy_t &policy, const CertPayloads &payloads)
{
	Selection selection;
	bool disabled = false;
	for (const unsigned encoding :
		 {BTNS_ENCODING_SPKI, BTNS_ENCODING_PKCS1, BTNS_ENCODING_OPENIKED_EC, BTNS_ENCODING_X509})
	{
		const auto has_encoding = [encoding](const Cert &cert) { return cert.encoding == encoding; };
		const auto first = std::ranges::find_if(payloads.certs, has_encoding);
		if (first == payloads.certs.end())
		{
			continue;
		}
		if ((policy.encodings & encoding_bit(encoding)) == 0)
		{
			disabled = true;
			continue;
		}
		// certificates after the first are those of its issuers
		if (is_bare(encoding) && std::ranges::count_if(payloads.certs, has_encoding) > 1)
		{
			selection.reason = BTNS_REASON_TWO_KEYS;
			return selection;
		}
		selection.certs.at(selection.count++) = &*first;
	}
	if (selection.count == 0)
	{
		selection.reason = disabled ? BTNS_REASON_ENCODING_DISABLED
									: (payloads.others ? BTNS_REASON_ENCODING_UNKNOWN : BTNS_REASON_NO_KEY);
	}
	return selection;
}

} // namespace

size_t CertPayloads::bytes() const
{
	size_t sum = 0;
	for (const Cert &cert : certs)
	{
		sum += cert.body.size();
	}
	return sum;
}

bool CertPayloads::has_bare_key() const
{
	return std::ranges::any_of(certs, [](const Cert &cert) { return is_bare(cert.encoding); });
}

CertPayloads copy_certs(std::span<const btns_cert_t> certs, size_t total, size_t budget)
{
	CertPayloads copy;
	size_t left = std::min(budget, certs_bytes_max);
	copy.total = std::max(total, certs.size());
	for (const btns_cert_t &cert : certs.first(std::min<size_t>(certs.size(), BTNS_CERTS_MAX)))
	{
		if (!carries_key(cert.encoding))
		{
			copy.others = true;
			continue;
		}
		if (cert.body.len > BTNS_CERT_MAX || cert.body.len > left)
		{
			copy.too_large = true;
			continue;
		}
		left -= cert.body.len;
		copy.certs.push_back({cert.encoding, {cert.body.ptr, cert.body.ptr + cert.body.len}});
	}
	return copy;
}

PresentedKey find_presented_key(const btns_key_policy_t &policy, const CertPayloads &payloads, const KeyGate &gate)
{
	if (payloads.total == 0)
	{
		return refuse(BTNS_REASON_NO_KEY);
	}
	if (payloads.total > BTNS_CERTS_MAX)
	{
		return refuse(BTNS_REASON_TOO_MANY_CERTS);
	}
	if (payloads.too_large)
	{
		return refuse(BTNS_REASON_CERTS_TOO_LARGE);
	}
	const Selection selection = select(policy, payloads);
	if (selection.reason != BTNS_REASON_NONE)
	{
		return refuse(selection.reason);
	}
	const Cert &first = *selection.certs.front();
	PresentedKey found;
	found.status = parse_key("btns_key_parse", policy, first.encoding, first.body, gate, found.key, found.reason);
	if (found.status != BTNS_STATUS_OK)
	{
		return found;
	}
	// the checks are slow: the others need only be the same key
	for (const Cert *cert : std::span(selection.certs).first(selection.count).subspan(1))
	{
		const auto other = identify_key(cert->encoding, cert->body);
		if (!other)
		{
			return refuse(other.reason());
		}
		if (!std::ranges::equal(found.key.fingerprint, *other))
		{
			return refuse(BTNS_REASON_TWO_KEYS);
		}
	}
	return found;
}

} // namespace btns
