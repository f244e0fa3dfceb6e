# SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception
"""Strangers with different versions of strongSwan get on with each other as two of the same do."""

import itertools

import pytest

from harness import roots
from harness.checks import are_strangers, connects, has_no_sa, rejects, rekeys

PAIRS = list(itertools.permutations(roots.MEETING, 2))


@pytest.mark.parametrize("initiator, responder", PAIRS, ids=[f"{a.name}-{b.name}" for a, b in PAIRS])
def test_pair(world, initiator, responder):
    left = world.host("left", key="ed25519", root=initiator, start=False)
    right = world.host("right", key="rsa2048", root=responder, start=False)
    right.add_file("pubkey/alice.pem", world.keys.key().public_pem)
    world.start(left, right)
    for host, root in ((left, initiator), (right, responder)):
        assert host.request("version")["version"] == root.version_text()

    connects(left, "data")
    are_strangers(left, right)
    world.check_transfer(left, right)
    world.check_transfer(right, left)

    for host, peer in ((left, right), (right, left)):
        for what in ("ike", "child"):
            rekeys(host, peer, what)
            are_strangers(left, right)
    world.check_transfer(left, right)
    assert right.stats()["accepted"] == 1
    assert not right.events.of("btns-rejected")

    left.swanctl("--terminate", "--ike", "strangers")
    has_no_sa(left, right)
    rejects(right, left, "as-alice", "claims-known-id")
    assert right.peers() == []
