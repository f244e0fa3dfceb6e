# SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception
"""Users with passwords are served as ever beside strangers, but under no name that only strangers' keys may have."""

import pytest

from harness.checks import connects, has_no_sa, rejects

EAP = ("md5", "eap-identity", "eap-md5")


def hosts(world, user):
    left = world.host("left", world.conf("left", USER=user), load=EAP, start=False)
    left.namespace.ip("addr", "add", "10.66.200.7/32", "dev", "lo")
    right = world.host("right", world.conf("right", USER=user), "ed25519", load=EAP, start=False)
    left.add_file("pubkey/right.pem", right.key.public_pem)
    world.start(left, right)
    return left, right


def test_a_user_with_a_password(world):
    left, right = hosts(world, "alice")
    connects(left, "data")
    assert right.sa("users")["remote-eap-id"] == "alice"
    assert right.peers() == []


@pytest.mark.parametrize("user", ["btns:sha256:" + "0" * 64, "BTNS:known"])
def test_a_user_whose_name_looks_like_a_key(world, user):
    """Though the password is right."""
    left, right = hosts(world, user)
    rejects(right, left, "data", "claims-reserved-id")
    has_no_sa(left, right)
