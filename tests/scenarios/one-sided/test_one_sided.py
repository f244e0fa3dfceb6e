# SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception
"""A client with a bare key meets a server with a certificate: the client authenticates the server, the server takes a
stranger; whoever initiates."""

import pytest

from harness.checks import connects, has_no_sa, is_stranger


def hosts(world, right_key="ecdsa256", trusted=True):
    left = world.host("left", key="ed25519", start=False)
    right = world.host("right", key=right_key, start=False)
    ca = world.keys.ca("Everybody's CA")
    right.add_file("x509/server.pem", ca.issue(right.key, "server.example.org"))
    left.add_file("x509ca/ca.pem", ca.pem if trusted else world.keys.ca("Another CA").pem)
    world.start(left, right)
    return left, right


@pytest.mark.parametrize("initiator", ["client", "server"])
@pytest.mark.parametrize("kind", ["ecdsa256", "rsa2048"])
def test_one_sided(world, initiator, kind):
    left, right = hosts(world, kind)
    if initiator == "server":
        right.configure(world.conf("right").replace("10.66.128.0/17", "10.66.128.7/32"))
        right.load_all()
    connects(left if initiator == "client" else right, "data")
    is_stranger(right, "one-sided", left.key)
    assert left.sa("one-sided")["remote-id"] == "server.example.org"
    assert left.peers() == [], "the server is authenticated, it is no BTNS peer"
    world.check_transfer(left, right)


def test_a_client_that_does_not_trust_the_server_refuses_it(world):
    left, right = hosts(world, trusted=False)
    outcome = left.initiate("data")
    assert not outcome.success
    assert left.peers() == []
    has_no_sa(left)
