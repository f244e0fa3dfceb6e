# SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception
"""There are not more strangers than the options allow: in all, from one source, and CHILD_SAs of one; somebody known has a
place in any case."""

import pytest

from harness import ikev2
from harness.checks import NO_TS, connects, is_stranger, rejects

KNOWN = """
connections {
	known {
		version = 2
		encap = yes
		local_addrs = %s
		remote_addrs = %s
		local {
			auth = pubkey
			pubkeys = me.pem
			id = %s
		}
		remote {
			auth = pubkey
			pubkeys = peer.pem
			id = %s
		}
		children {
			data {
				local_ts = %s/32
				remote_ts = %s/32
			}
		}
	}
}
"""


class Crowd:
    """Strangers with a fresh key each, from the left host's addresses."""

    def __init__(self, world, **btns):
        self.keys = world.keys
        self.left = world.host("left", "", start=False)
        for last in (11, 12):
            self.left.namespace.ip("addr", "add", f"192.0.2.{last}/24", "dev", "eth0")
        self.right = world.host("right", key="ed25519", btns=btns, start=False)
        self.count = 0

    def comes(self, last, liar=False):
        """One more from 192.0.2.LAST, with an inner address of its own."""
        self.count += 1
        key = self.keys.key("ed25519")
        signer = ikev2.Signer(self.keys.key("ed25519").path if liar else key.path)
        return ikev2.attempt(self.left.namespace, f"192.0.2.{last}", self.right.address, [(ikev2.SPKI, key.spki)], signer,
                             address=f"10.66.128.{self.count}")

    def is_served(self, last):
        answer = self.comes(last)
        assert answer.authenticated, answer

    def is_refused(self, last, code, **how):
        start = self.right.events.mark()
        answer = self.comes(last, **how)
        assert answer.refused, answer
        event = self.right.events.wait("btns-rejected", timeout=5, start=start)
        assert event["code"] == code, event

    def goes(self, last):
        """One of those from 192.0.2.LAST is deleted."""
        there = self.right.peers()
        gone = next(peer for peer in there if peer["remote-host"] == f"192.0.2.{last}")
        self.right.swanctl("--terminate", "--ike-id", gone["uniqueid"], "--force", check=False)
        self.right.wait_until(lambda: len(self.right.peers()) == len(there) - 1, "one is gone")


def test_max_peers_per_source(world):
    crowd = Crowd(world, max_peers_per_source=2)
    crowd.right.start()
    crowd.is_served(1)
    crowd.is_served(1)
    crowd.is_refused(1, "max-peers-per-source")
    crowd.is_served(11)
    crowd.goes(1)
    crowd.is_refused(1, "not-verified", liar=True)
    crowd.is_served(1)
    crowd.is_refused(1, "max-peers-per-source")
    assert crowd.right.stats()["peers"] == 3


def test_max_peers(world):
    crowd = Crowd(world, max_peers=3)
    right = crowd.right
    right.configure(world.conf("right") + KNOWN % ("192.0.2.2", "%any", "right", "third", "10.66.0.1", "10.66.129.3"))
    third = world.host("third", KNOWN % ("192.0.2.3", "192.0.2.2", "third", "right", "10.66.129.3", "10.66.0.1"), "ed25519",
                       start=False)
    third.add_file("pubkey/peer.pem", right.key.public_pem)
    right.add_file("pubkey/peer.pem", third.key.public_pem)
    world.start(right, third)
    for last in (1, 11, 1):
        crowd.is_served(last)
    for last in (1, 11, 12):
        crowd.is_refused(last, "max-peers")
    connects(third, "data")
    assert right.sa("known")["remote-id"] == "third"
    crowd.goes(11)
    crowd.is_refused(12, "not-verified", liar=True)
    crowd.is_served(12)
    crowd.is_refused(12, "max-peers")
    assert right.stats()["peers"] == 3


@pytest.mark.parametrize("most", [1, 2])
def test_max_children(world, most):
    left = world.host("left", key="ed25519", start=False)
    for last in (8, 9):
        left.namespace.ip("addr", "add", f"10.66.128.{last}/32", "dev", "lo")
    right = world.host("right", key="ed25519", btns={"max_children": most}, start=False)
    world.start(left, right)
    for child in range(most):
        connects(left, f"c{child}")
    rejects(right, left, f"c{most}", "child-too-many", NO_TS)
    peer = is_stranger(right, "strangers", left.key)
    assert int(right.stats()["children"]) == most, peer
    left.swanctl("--rekey", "--child", "c0")
    left.wait_until(lambda: right.events.of("child-rekey"), "a rekeyed one has its place")
