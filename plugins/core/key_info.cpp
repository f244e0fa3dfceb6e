/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
#include "key_info.h"

#include <algorithm>
#include <array>

#include "key_id.h"
#include "spki.h"

namespace btns
{

KeyInfo::KeyInfo(const btns_key_t &key)
	: canonical_(true), type_(static_cast<uint8_t>(key.type)), bits_(static_cast<uint16_t>(key.bits)),
	  encoding_(static_cast<uint8_t>(key.encoding)), spki_(key.spki, key.spki + key.spki_len)
{
	std::ranges::copy(key.fingerprint, fingerprint_.begin());
	std::call_once(once_, [] {});
}

KeyInfo::KeyInfo(const NullPeer &peer) : null_(true)
{
	const std::string id = null_id(peer.spi_i, peer.spi_r);
	spki_.assign(id.begin(), id.end());
	fingerprint_ = btns::fingerprint(spki_);
	std::call_once(once_, [] {});
}

std::string KeyInfo::identity() const
{
	if (null_)
	{
		return {spki_.begin(), spki_.end()};
	}
	std::array<char, BTNS_KEY_ID_LEN> text{};
	write_key_id(fingerprint_, text);
	return text.data();
}

bool KeyInfo::is_canonical() const
{
	std::call_once(once_, [this] { canonicalise(); });
	return canonical_;
}

void KeyInfo::canonicalise() const
{
	const auto key = read_spki(spki_);
	if (!key)
	{
		return;
	}
	auto spki = write_spki(*key);
	if (spki.size() > BTNS_SPKI_MAX)
	{
		return;
	}
	type_ = static_cast<uint8_t>(key_type(*key));
	bits_ = static_cast<uint16_t>(key_bits(*key));
	fingerprint_ = btns::fingerprint(spki);
	spki_ = std::move(spki);
	canonical_ = true;
}

btns_key_t KeyInfo::to_abi() const
{
	btns_key_t out{};
	if (null_)
	{
		return out;
	}
	out.type = static_cast<btns_key_type_t>(type_);
	out.bits = bits_;
	out.encoding = encoding_;
	std::ranges::copy(fingerprint_, out.fingerprint);
	out.spki_len = spki_.size();
	std::ranges::copy(spki_, out.spki);
	return out;
}

} // namespace btns
