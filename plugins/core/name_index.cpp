/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
#include "name_index.h"

#include <algorithm>
#include <bit>
#include <optional>

#include "der.h"

namespace btns
{

namespace
{

/** ID types (RFC 7296 3.5, RFC 2407 4.6.2.1 for subnets and ranges). */
enum IdType : unsigned
{
	ipv4_addr = 1,
	fqdn = 2,
	rfc822_addr = 3,
	ipv4_subnet = 4,
	ipv6_addr = 5,
	ipv6_subnet = 6,
	ipv4_range = 7,
	ipv6_range = 8,
	der_asn1_dn = 9,
};

bool is_text(unsigned type)
{
	return type == fqdn || type == rfc822_addr;
}

bool is_address(unsigned type)
{
	return type == ipv4_addr || type == ipv6_addr;
}

bool is_address_pattern(unsigned type)
{
	return type == ipv4_subnet || type == ipv6_subnet || type == ipv4_range || type == ipv6_range;
}

/** A * stands for anything, and in later versions of strongSwan a text from ^ to $ is a regular expression. */
bool begins_pattern(Bytes text)
{
	return !text.empty() && (text[0] == '*' || text[0] == '^');
}

uint8_t fold(uint8_t octet)
{
	return octet >= 'A' && octet <= 'Z' ? static_cast<uint8_t>(octet - 'A' + 'a') : octet;
}

/** FNV-1a, in 64 bits. */
class Hash
{
public:
	void add(uint8_t octet) { state_ = (state_ ^ octet) * 0x100000001b3; }

	void add_folded(Bytes octets)
	{
		for (const uint8_t octet : octets)
		{
			add(fold(octet));
		}
	}

	/** Every bit depends on all that was added (the finalizer of MurmurHash3). */
	[[nodiscard]] uint64_t value() const
	{
		uint64_t x = state_;
		x = (x ^ x >> 33) * 0xff51afd7ed558ccd;
		x = (x ^ x >> 33) * 0xc4ceb9fe1a85ec53;
		return x ^ x >> 33;
	}

private:
	uint64_t state_ = 0xcbf29ce484222325;
};

/** From the end to the beginning, because of what a * stands for. */
uint64_t hash_of(Bytes octets)
{
	Hash hash;
	for (size_t i = octets.size(); i > 0; i--)
	{
		hash.add(octets[i - 1]);
	}
	return hash.value();
}

/** The same without regard to case. */
uint64_t hash_of_text(Bytes text)
{
	Hash hash;
	for (size_t i = text.size(); i > 0; i--)
	{
		hash.add(fold(text[i - 1]));
	}
	return hash.value();
}

/** One part of a distinguished name. strongSwan compares some strings only up to a NUL. */
uint64_t hash_of_part(Bytes oid, Bytes value)
{
	Hash hash;
	hash.add_folded(oid);
	hash.add(static_cast<uint8_t>(value.size()));
	hash.add_folded(value.first(static_cast<size_t>(std::ranges::find(value, uint8_t{0}) - value.begin())));
	return hash.value();
}

/** A distinguished name by its parts, in any order. Nothing if it is malformed or has a pattern among them. */
std::optional<uint64_t> hash_of_dn(Bytes dn)
{
	Cursor whole(dn);
	const auto name = der::read(whole, der::tag_sequence);
	if (!name || !whole.at_end())
	{
		return std::nullopt;
	}
	uint64_t sum = 0;
	for (Cursor sets(*name); !sets.at_end();)
	{
		const auto set = der::read(sets, der::tag_set);
		if (!set)
		{
			return std::nullopt;
		}
		for (Cursor parts(*set); !parts.at_end();)
		{
			const auto part = der::read(parts, der::tag_sequence);
			if (!part)
			{
				return std::nullopt;
			}
			Cursor inner(*part);
			const auto oid = der::read(inner, der::tag_oid);
			const auto value = der::read(inner);
			if (!oid || !value || !inner.at_end() || begins_pattern(value->content))
			{
				return std::nullopt;
			}
			sum += hash_of_part(*oid, value->content);
		}
	}
	return sum;
}

bool any_of(const std::vector<uint32_t> &entries, const std::function<bool(uint32_t)> &visitor)
{
	return std::ranges::any_of(entries, visitor);
}

} // namespace

size_t HashIndex::bucket_of(uint64_t hash) const
{
	return bucket_bits_ == 0 ? 0 : static_cast<size_t>(hash >> (64 - bucket_bits_));
}

void HashIndex::seal()
{
	std::ranges::sort(draft_, {}, &Item::hash);
	slots_.clear();
	slots_.reserve(draft_.size());
	// about one in each bucket
	bucket_bits_ = draft_.empty() ? 0 : static_cast<unsigned>(std::bit_width(draft_.size())) - 1;
	buckets_.assign((size_t{1} << bucket_bits_) + 1, 0);
	for (const Item &item : draft_)
	{
		slots_.push_back({static_cast<uint32_t>(item.hash), item.entry});
		buckets_[bucket_of(item.hash) + 1]++;
	}
	for (size_t i = 1; i < buckets_.size(); i++)
	{
		buckets_[i] += buckets_[i - 1];
	}
	std::vector<Item>().swap(draft_);
}

bool HashIndex::find(uint64_t hash, const std::function<bool(uint32_t)> &visitor) const
{
	if (slots_.empty())
	{
		return false;
	}
	const size_t bucket = bucket_of(hash);
	for (size_t i = buckets_[bucket]; i < buckets_[bucket + 1]; i++)
	{
		if (slots_[i].tag == static_cast<uint32_t>(hash) && visitor(slots_[i].entry))
		{
			return true;
		}
	}
	return false;
}

bool HashIndex::find_all(const std::function<bool(uint32_t)> &visitor) const
{
	return std::ranges::any_of(slots_, visitor, &Slot::entry);
}

void NameIndex::add(uint32_t entry, unsigned type, Bytes identity)
{
	const uint64_t exact = hash_of(identity);
	names_.add(exact, entry);
	if (is_text(type) && hash_of_text(identity) != exact)
	{
		names_.add(hash_of_text(identity), entry);
	}
	if (is_text(type) && begins_pattern(identity))
	{
		const Bytes suffix = identity.subspan(1);
		if (identity[0] == '*' && suffix.size() <= suffix_max && std::ranges::find(suffix, uint8_t{0}) == suffix.end())
		{
			suffixes_.add(hash_of_text(suffix), entry);
			suffix_lengths_.set(suffix.size());
		}
		else
		{
			text_patterns_.push_back(entry);
		}
	}
	else if (type == der_asn1_dn)
	{
		if (const auto hash = hash_of_dn(identity))
		{
			names_.add(*hash, entry);
		}
		else
		{
			dn_patterns_.push_back(entry);
		}
	}
	else if (is_address_pattern(type))
	{
		address_patterns_.push_back(entry);
	}
}

void NameIndex::seal()
{
	names_.seal();
	suffixes_.seal();
	for (auto *patterns : {&text_patterns_, &dn_patterns_, &address_patterns_})
	{
		patterns->shrink_to_fit();
	}
}

bool NameIndex::find(unsigned type, Bytes claim, bool relaxed, const std::function<bool(uint32_t)> &visitor) const
{
	const auto dn = type == der_asn1_dn && !relaxed ? hash_of_dn(claim) : std::nullopt;
	if (is_address_pattern(type) || (is_text(type) && begins_pattern(claim)) || (type == der_asn1_dn && !dn))
	{
		return names_.find_all(visitor);
	}
	if (dn && (names_.find(*dn, visitor) || any_of(dn_patterns_, visitor)))
	{
		return true;
	}
	if (is_address(type) && any_of(address_patterns_, visitor))
	{
		return true;
	}
	return (is_text(type) && find_text(claim, visitor)) || names_.find(hash_of(claim), visitor);
}

bool NameIndex::find_text(Bytes claim, const std::function<bool(uint32_t)> &visitor) const
{
	Hash hash;
	for (size_t length = 1; length <= claim.size(); length++)
	{
		hash.add(fold(claim[claim.size() - length]));
		if (length <= suffix_max && suffix_lengths_[length] && suffixes_.find(hash.value(), visitor))
		{
			return true;
		}
	}
	return names_.find(hash.value(), visitor) || any_of(text_patterns_, visitor);
}

} // namespace btns
