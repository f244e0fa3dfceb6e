# SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception
"""A peer that does not sign cannot be a BTNS peer: a shared key proves nothing to somebody who does not have it."""

from harness.checks import has_no_sa, rejects


def test_a_shared_key(world):
    left, right = world.pair()
    event = rejects(right, left, "data", "not-a-signature")
    assert event["asserted-id"] == "left.example.net"
    has_no_sa(left, right)
