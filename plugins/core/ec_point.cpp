/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
#include "ec_point.h"

#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/obj_mac.h>

#include <algorithm>
#include <memory>
#include <new>

namespace btns
{

namespace
{

constexpr std::array<uint8_t, 8> oid_p256{0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07};
constexpr std::array<uint8_t, 5> oid_p384{0x2b, 0x81, 0x04, 0x00, 0x22};
constexpr std::array<uint8_t, 5> oid_p521{0x2b, 0x81, 0x04, 0x00, 0x23};

constexpr uint8_t form_uncompressed = 0x04;
constexpr uint8_t form_compressed_even = 0x02;
constexpr uint8_t form_compressed_odd = 0x03;

template <auto Free>
struct Deleter
{
	template <typename T>
	void operator()(T *object) const
	{
		Free(object);
	}
};

using Group = std::unique_ptr<EC_GROUP, Deleter<EC_GROUP_free>>;
using Point = std::unique_ptr<EC_POINT, Deleter<EC_POINT_free>>;

/** Keeps our failures out of the error queue of a thread that is charon's. */
class ErrorMark
{
public:
	ErrorMark() { ERR_set_mark(); }
	ErrorMark(const ErrorMark &) = delete;
	ErrorMark &operator=(const ErrorMark &) = delete;
	ErrorMark(ErrorMark &&) = delete;
	ErrorMark &operator=(ErrorMark &&) = delete;
	~ErrorMark() { ERR_pop_to_mark(); }
};

/** Form and length: OpenSSL would also take the point at infinity and the hybrid form. */
bool is_plain_form(const NamedCurve &curve, Bytes point)
{
	const size_t field_octets = (curve.bits + 7) / 8;
	if (point.empty())
	{
		return false;
	}
	switch (point.front())
	{
	case form_uncompressed:
		return point.size() == 1 + 2 * field_octets;
	case form_compressed_even:
	case form_compressed_odd:
		return point.size() == 1 + field_octets;
	default:
		return false;
	}
}

} // namespace

const NamedCurve *find_curve(Bytes oid)
{
	static const std::array<NamedCurve, 3> curves{
		NamedCurve{oid_p256, NID_X9_62_prime256v1, 256},
		NamedCurve{oid_p384, NID_secp384r1, 384},
		NamedCurve{oid_p521, NID_secp521r1, 521},
	};
	for (const NamedCurve &curve : curves)
	{
		if (std::ranges::equal(curve.oid, oid))
		{
			return &curve;
		}
	}
	return nullptr;
}

std::optional<std::vector<uint8_t>> uncompress_point(const NamedCurve &curve, Bytes point)
{
	if (!is_plain_form(curve, point))
	{
		return std::nullopt;
	}
	const ErrorMark mark;
	const Group group(EC_GROUP_new_by_curve_name(curve.nid));
	if (!group)
	{
		throw std::bad_alloc();
	}
	const Point decoded(EC_POINT_new(group.get()));
	if (!decoded)
	{
		throw std::bad_alloc();
	}
	// fails for coordinates that are out of range or not on the curve
	if (EC_POINT_oct2point(group.get(), decoded.get(), point.data(), point.size(), nullptr) != 1)
	{
		return std::nullopt;
	}
	std::vector<uint8_t> out(1 + 2 * ((curve.bits + 7) / 8));
	if (EC_POINT_point2oct(group.get(), decoded.get(), POINT_CONVERSION_UNCOMPRESSED, out.data(), out.size(),
						   nullptr) != out.size())
	{
		return std::nullopt;
	}
	return out;
}

} // namespace btns
