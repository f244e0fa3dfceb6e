# SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception
"""A stranger that claims an authenticated user's name with INITIAL_CONTACT does not harm that user's SA, whatever the
policy for uniqueness."""

import pytest

from harness.checks import connects, is_stranger
from harness.host import reaches


@pytest.mark.parametrize("unique", ["replace", "no", "keep"])
def test_the_users_sa_lives(world, unique):
    right = world.host("right", world.conf("right", UNIQUE=unique), "ecdsa256", start=False)
    ca = world.keys.ca("Company CA")
    right.add_file("x509ca/ca.pem", ca.pem)
    right.add_file("x509/gateway.pem", ca.issue(right.key, "gateway.example.org"))
    third = world.host("third", key="ed25519", start=False)
    third.add_file("x509/me.pem", ca.issue(third.key, "alice@example.org"))
    third.add_file("x509ca/ca.pem", ca.pem)
    left = world.host("left", key="ed25519", start=False)
    left.add_file("x509ca/ca.pem", ca.pem)
    world.start(left, right, third)

    connects(third, "data")
    alice = right.sa("people")
    assert alice["remote-id"] == "alice@example.org"

    outcome = connects(left, "data")
    assert "N(INIT_CONTACT)" in outcome.log, "this scenario is about INITIAL_CONTACT"
    peer = is_stranger(right, "strangers", left.key)
    assert peer["asserted-id"] == "alice@example.org"

    after = right.sa("people")
    assert (after["uniqueid"], after["remote-id"]) == (alice["uniqueid"], "alice@example.org")
    assert third.sa("work")["state"] == "ESTABLISHED"
    assert reaches(third, right)
    assert reaches(left, right)
