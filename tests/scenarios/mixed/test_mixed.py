# SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception
"""One gateway, somebody with a certificate and a stranger, two connections for any ID in either order: each lands in its
own."""

import pytest

from harness.checks import connects, has_no_sa, is_stranger, rejects
from harness.keys import EXPIRED

STRANGERS_FIRST = """connections {
	strangers {
		version = 2
	}
}
"""


def gateway(world, order="people-first"):
    conf = world.conf("right")
    right = world.host("right", STRANGERS_FIRST + conf if order == "strangers-first" else conf, "ecdsa256", start=False)
    ca = world.keys.ca("Company CA")
    right.add_file("x509ca/ca.pem", ca.pem)
    right.add_file("x509/gateway.pem", ca.issue(right.key, "gateway.example.org"))
    return right, ca


def person(world, ca, **how):
    left = world.host("left", key="ed25519", start=False)
    left.add_file("x509ca/ca.pem", ca.pem)
    left.add_file("x509/me.pem", ca.issue(left.key, "alice@example.org", **how))
    return left


def stranger(world, ca, conf=None):
    third = world.host("third", conf, "ed25519", start=False)
    third.add_file("x509ca/ca.pem", ca.pem)
    return third


@pytest.mark.parametrize("first", ["person", "stranger"])
@pytest.mark.parametrize("order", ["people-first", "strangers-first"])
def test_each_lands_in_its_own(world, order, first):
    right, ca = gateway(world, order)
    left, third = person(world, ca), stranger(world, ca)
    world.start(left, right, third)
    order_of_names = list(right.pad())
    assert order_of_names.index("strangers") == (0 if order == "strangers-first" else 1), order_of_names
    for host in (left, third) if first == "person" else (third, left):
        connects(host, "inside" if host is left else "outside")
    assert right.sa("people")["remote-id"] == "alice@example.org"
    peer = is_stranger(right, "strangers", third.key)
    assert len(right.peers()) == 1
    assert peer["remote-host"] == "192.0.2.3"
    person_vip = right.sa("people")["remote-vips"][0]
    stranger_vip = right.sa("strangers")["remote-vips"][0]
    assert person_vip.startswith("10.66.10.") and stranger_vip.startswith("10.67.")
    world.check_transfer(left, right, source=person_vip)
    world.check_transfer(third, right, source=stranger_vip)


def test_an_expired_certificate_does_not_make_a_stranger(world):
    right, ca = gateway(world)
    left = person(world, ca, lifetime=EXPIRED)
    world.start(left, right)
    rejects(right, left, "inside", "credential-known")
    has_no_sa(left, right)


def test_a_certificate_that_names_a_known_issuer_does_not_make_a_stranger(world):
    """Somebody else's CA of the same name is not believed, and does not open the door for strangers either."""
    right, ca = gateway(world)
    impostor = world.keys.ca("Company CA")
    left = person(world, impostor)
    left.add_file("x509ca/company.pem", ca.pem)
    world.start(left, right)
    rejects(right, left, "inside", "credential-known")
    has_no_sa(left, right)


def test_a_stranger_gets_nothing_of_the_inside(world):
    right, ca = gateway(world)
    third = stranger(world, ca, world.conf("third").replace("10.66.0.1/32", "10.66.0.0/16"))
    world.start(right, third)
    third.initiate("outside")
    for sa in right.sas():
        for child in sa["child-sas"].values():
            assert child["local-ts"] == ["10.66.0.1/32"]
