/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
#include "x509.h"

#include <algorithm>
#include <array>

#include "der.h"

namespace btns
{

namespace
{

constexpr std::array<uint8_t, 3> oid_authority_key_identifier{0x55, 0x1d, 0x23};
constexpr uint8_t max_version = 2;

constexpr uint8_t tag_version = der::tag_context(0, true);
constexpr uint8_t tag_issuer_unique_id = der::tag_context(1, false);
constexpr uint8_t tag_subject_unique_id = der::tag_context(2, false);
constexpr uint8_t tag_extensions = der::tag_context(3, true);
constexpr uint8_t tag_key_identifier = der::tag_context(0, false);

/** [0] EXPLICIT INTEGER DEFAULT v1 */
bool skip_version(Cursor &tbs)
{
	if (tbs.peek() != tag_version)
	{
		return true;
	}
	const auto tagged = der::read(tbs, tag_version);
	if (!tagged)
	{
		return false;
	}
	Cursor inside(*tagged);
	const auto version = der::read(inside, der::tag_integer);
	return version && version->size() == 1 && version->front() <= max_version && inside.at_end();
}

bool skip_serial_number(Cursor &tbs)
{
	const auto serial = der::read(tbs, der::tag_integer);
	return serial && !serial->empty();
}

/** AlgorithmIdentifier; yields all of it. */
std::optional<Bytes> read_signature_algorithm(Cursor &cursor)
{
	Cursor ahead = cursor;
	const auto sequence = der::read(ahead);
	if (!sequence || sequence->tag != der::tag_sequence)
	{
		return std::nullopt;
	}
	Cursor inside(sequence->content);
	if (!der::read(inside, der::tag_oid))
	{
		return std::nullopt;
	}
	if (!inside.at_end() && (!der::read(inside) || !inside.at_end()))
	{
		return std::nullopt;
	}
	cursor = ahead;
	return sequence->whole;
}

/** AttributeTypeAndValue */
bool skip_attribute(Cursor &set)
{
	const auto sequence = der::read(set, der::tag_sequence);
	if (!sequence)
	{
		return false;
	}
	Cursor inside(*sequence);
	return der::read(inside, der::tag_oid) && der::read(inside) && inside.at_end();
}

/** Name: SEQUENCE OF SET OF AttributeTypeAndValue; yields all of it. */
std::optional<Bytes> read_name(Cursor &tbs)
{
	const auto name = der::read(tbs);
	if (!name || name->tag != der::tag_sequence)
	{
		return std::nullopt;
	}
	Cursor names(name->content);
	while (!names.at_end())
	{
		const auto set = der::read(names, der::tag_set);
		if (!set || set->empty())
		{
			return std::nullopt;
		}
		Cursor attributes(*set);
		while (!attributes.at_end())
		{
			if (!skip_attribute(attributes))
			{
				return std::nullopt;
			}
		}
	}
	return name->whole;
}

bool skip_time(Cursor &validity)
{
	const auto time = der::read(validity);
	return time && (time->tag == der::tag_utc_time || time->tag == der::tag_generalized_time);
}

bool skip_validity(Cursor &tbs)
{
	const auto sequence = der::read(tbs, der::tag_sequence);
	if (!sequence)
	{
		return false;
	}
	Cursor inside(*sequence);
	return skip_time(inside) && skip_time(inside) && inside.at_end();
}

bool skip_unique_id(Cursor &tbs, uint8_t tag)
{
	return tbs.peek() != tag || der::read(tbs, tag);
}

/** AuthorityKeyIdentifier: the key identifier comes first, if it is there; yields nothing if malformed. */
std::optional<Bytes> read_authority_key_id(Bytes extension)
{
	Cursor outside(extension);
	const auto sequence = der::read(outside, der::tag_sequence);
	if (!sequence || !outside.at_end())
	{
		return std::nullopt;
	}
	Cursor inside(*sequence);
	Bytes identifier;
	if (inside.peek() == tag_key_identifier)
	{
		const auto content = der::read(inside, tag_key_identifier);
		if (!content)
		{
			return std::nullopt;
		}
		identifier = *content;
	}
	while (!inside.at_end())
	{
		if (!der::read(inside))
		{
			return std::nullopt;
		}
	}
	return identifier;
}

struct Extension
{
	/** content of the OBJECT IDENTIFIER */
	Bytes oid;
	/** content of the OCTET STRING */
	Bytes value;
};

std::optional<Extension> read_extension(Cursor &extensions)
{
	const auto sequence = der::read(extensions, der::tag_sequence);
	if (!sequence)
	{
		return std::nullopt;
	}
	Cursor inside(*sequence);
	const auto oid = der::read(inside, der::tag_oid);
	if (!oid)
	{
		return std::nullopt;
	}
	if (inside.peek() == der::tag_boolean)
	{
		const auto critical = der::read(inside, der::tag_boolean);
		if (!critical || critical->size() != 1)
		{
			return std::nullopt;
		}
	}
	const auto value = der::read(inside, der::tag_octet_string);
	if (!value || !inside.at_end())
	{
		return std::nullopt;
	}
	return Extension{*oid, *value};
}

/** [3] EXPLICIT SEQUENCE OF Extension; yields the authority's key identifier, or nothing if malformed. */
std::optional<Bytes> read_extensions(Cursor &tbs)
{
	if (tbs.peek() != tag_extensions)
	{
		return Bytes{};
	}
	const auto tagged = der::read(tbs, tag_extensions);
	if (!tagged)
	{
		return std::nullopt;
	}
	Cursor outside(*tagged);
	const auto sequence = der::read(outside, der::tag_sequence);
	if (!sequence || !outside.at_end())
	{
		return std::nullopt;
	}
	std::optional<Bytes> authority_key_id;
	Cursor extensions(*sequence);
	while (!extensions.at_end())
	{
		const auto extension = read_extension(extensions);
		if (!extension)
		{
			return std::nullopt;
		}
		if (!std::ranges::equal(extension->oid, oid_authority_key_identifier))
		{
			continue;
		}
		// RFC 5280 4.2: not more than one instance of an extension; two parsers could choose differently
		if (authority_key_id)
		{
			return std::nullopt;
		}
		authority_key_id = read_authority_key_id(extension->value);
		if (!authority_key_id)
		{
			return std::nullopt;
		}
	}
	return authority_key_id.value_or(Bytes{});
}

struct TbsCertificate
{
	Certificate fields;
	Bytes signature_algorithm;
};

std::optional<TbsCertificate> read_tbs(Bytes content)
{
	Cursor tbs(content);
	if (!skip_version(tbs) || !skip_serial_number(tbs))
	{
		return std::nullopt;
	}
	const auto algorithm = read_signature_algorithm(tbs);
	if (!algorithm)
	{
		return std::nullopt;
	}
	const auto issuer = read_name(tbs);
	if (!issuer || !skip_validity(tbs))
	{
		return std::nullopt;
	}
	const auto subject = read_name(tbs);
	if (!subject)
	{
		return std::nullopt;
	}
	const auto spki = der::read(tbs);
	if (!spki || spki->tag != der::tag_sequence)
	{
		return std::nullopt;
	}
	if (!skip_unique_id(tbs, tag_issuer_unique_id) || !skip_unique_id(tbs, tag_subject_unique_id))
	{
		return std::nullopt;
	}
	const auto authority_key_id = read_extensions(tbs);
	if (!authority_key_id || !tbs.at_end())
	{
		return std::nullopt;
	}
	return TbsCertificate{{*issuer, *subject, spki->whole, *authority_key_id}, *algorithm};
}

} // namespace

Result<Certificate> read_certificate(Bytes der)
{
	const auto sequence = der::read_outer_sequence(der, BTNS_REASON_CERT_MALFORMED);
	if (!sequence)
	{
		return sequence.reason();
	}
	Cursor inside(*sequence);
	const auto content = der::read(inside, der::tag_sequence);
	if (!content)
	{
		return BTNS_REASON_CERT_MALFORMED;
	}
	const auto tbs = read_tbs(*content);
	const auto algorithm = read_signature_algorithm(inside);
	if (!tbs || !algorithm || !std::ranges::equal(*algorithm, tbs->signature_algorithm))
	{
		return BTNS_REASON_CERT_MALFORMED;
	}
	if (!der::read_octet_aligned_bits(inside) || !inside.at_end())
	{
		return BTNS_REASON_CERT_MALFORMED;
	}
	return tbs->fields;
}

} // namespace btns
