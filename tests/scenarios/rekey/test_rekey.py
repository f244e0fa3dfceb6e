# SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception
"""After several rekeyings of IKE_SA and CHILD_SA, started by either side, key, identity and data flow are the same."""

from harness.checks import are_strangers, connects, rekeys


def test_rekey(world):
    left, right = world.pair("rsa2048", "ed25519")
    connects(left, "data")
    are_strangers(left, right)
    for host, what in [(left, "ike"), (right, "child"), (right, "ike"), (left, "child"), (left, "ike"), (right, "ike")]:
        rekeys(host, right if host is left else left, what)
        are_strangers(left, right)
        assert len(left.peers()) == len(right.peers()) == 1
        assert right.peers()[0]["child-sas"] == "1"
    assert right.stats()["accepted"] == 1
    world.check_transfer(left, right)
    left.swanctl("--terminate", "--ike", "strangers")
    for host in (left, right):
        host.wait_until(lambda: not host.peers() and host.stats()["peers"] == 0, "nothing is remembered")
