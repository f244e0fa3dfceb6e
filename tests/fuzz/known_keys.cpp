/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
#include "known_keys.h"

#include <algorithm>

#include "../unit/vectors.h"

namespace btns::fuzz
{

namespace
{

std::vector<KnownKey> load()
{
	std::vector<KnownKey> keys;
	for (const char *name : {"p256-spki", "rfc8032-7.1-test-1", "p384-x509", "rfc7670-a.1"})
	{
		const test::Vector vector = test::load_vector("keys-good.txt", name);
		KnownKey &key = keys.emplace_back();
		key.encoding = vector.number("encoding");
		key.body = vector.octets("body");
		std::ranges::copy(vector.octets("fingerprint"), key.fingerprint.begin());
	}
	return keys;
}

} // namespace

const std::vector<KnownKey> &known_keys()
{
	static const std::vector<KnownKey> keys = load();
	return keys;
}

} // namespace btns::fuzz
