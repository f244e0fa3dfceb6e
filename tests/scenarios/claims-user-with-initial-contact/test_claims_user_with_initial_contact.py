# SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception
"""A stranger that claims an authenticated user's name with INITIAL_CONTACT does not harm that user's SA, whatever the
policy for uniqueness."""

import pytest

from harness.checks import connects, is_stranger
from harness.host import reaches
from harness.victim import Victim


@pytest.mark.parametrize("unique", ["replace", "no", "keep"])
@pytest.mark.parametrize("certificate", ["cached", "forgotten"])
def test_the_users_sa_lives(world, unique, certificate):
    """While charon still has Alice's certificate, the stranger must authenticate as her; else it is any stranger."""
    options = {"cert_cache": "yes" if certificate == "cached" else "no"}
    right = world.host("right", world.conf("right", UNIQUE=unique), "ecdsa256", options=options, start=False)
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
    assert right.sa("people")["remote-id"] == "alice@example.org"
    alice = Victim(right, "people", third, "work")

    outcome = left.initiate("data")
    assert "N(INIT_CONTACT)" in outcome.log, "this scenario is about INITIAL_CONTACT"
    if certificate == "cached":
        assert not outcome.success and "AUTHENTICATION_FAILED" in outcome.log
        assert right.rejected("credential-known")["asserted-id"] == "alice@example.org"
    else:
        assert outcome.success, outcome.log
        peer = is_stranger(right, "strangers", left.key)
        assert peer["asserted-id"] == "alice@example.org"
        assert reaches(left, right)

    alice.assert_untouched()
