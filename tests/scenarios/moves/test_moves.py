# SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception
"""A stranger that changes its address with MOBIKE loses its SA, somebody known keeps it."""

import pytest

from harness.checks import connects, is_stranger

KNOWN = """connections {{
	known {{
		version = 2
		encap = yes
		remote_addrs = {remote}
		local {{
			auth = pubkey
			pubkeys = me.pem
			id = {me}
		}}
		remote {{
			auth = pubkey
			pubkeys = peer.pem
			id = {peer}
		}}
		children {{
			data {{
				local_ts = {local_ts}
				remote_ts = {remote_ts}
			}}
		}}
	}}
}}
"""

LOG_ESP = """
charon {
	filelog {
		charon {
			esp = 2
		}
	}
}
"""


def took_children_along(right, start):
    """Something was installed once more after the peer had moved, if only to stop its traffic."""
    return "adding policy" in right.log()[start:]


def move(left, right):
    """Take the address away and give another one. Returns how long the log was before."""
    start = len(right.log())
    left.namespace.ip("addr", "add", "192.0.2.11/24", "dev", "eth0")
    left.namespace.ip("addr", "del", "192.0.2.1/24", "dev", "eth0")
    return start


def test_a_stranger_that_moves_is_deleted(world):
    left = world.host("left", key="ed25519", start=False)
    right = world.host("right", key="ed25519", start=False)
    right.more_conf = LOG_ESP
    world.start(left, right)
    entry = right.pad()["strangers"]
    assert entry["usable"] == "yes"
    assert any("warning" in finding and "mobike" in finding.lower() for finding in entry["findings"]), entry
    connects(left, "data")
    peer = is_stranger(right, "strangers", left.key)
    start = move(left, right)
    right.rejected("moved", timeout=15, uniqueid=peer["uniqueid"])
    right.wait_until(lambda: not right.peers() and not right.sas(), "the SA is deleted", 10)
    assert not took_children_along(right, start)


def test_somebody_known_may_move(world):
    left = world.host("left", KNOWN.format(remote="192.0.2.2", me="left", peer="right", local_ts="10.66.128.7/32",
                                           remote_ts="10.66.0.1/32"), "ed25519", start=False)
    right = world.host("right", KNOWN.format(remote="%any", me="right", peer="left", local_ts="10.66.0.1/32",
                                             remote_ts="10.66.128.7/32"), "ed25519", start=False)
    left.add_file("pubkey/peer.pem", right.key.public_pem)
    right.add_file("pubkey/peer.pem", left.key.public_pem)
    right.more_conf = LOG_ESP
    # or the SA might move there
    left.namespace.ip("addr", "del", "2001:db8::1/64", "dev", "eth0")
    world.start(left, right)
    connects(left, "data")
    unique = right.sa("known")["uniqueid"]
    start = move(left, right)
    right.wait_until(lambda: right.sa("known")["remote-host"] == "192.0.2.11", "the SA has moved", 15)
    assert right.sa("known")["uniqueid"] == unique
    assert right.stats().get("refused-moved", 0) == 0
    assert took_children_along(right, start)
    world.check_transfer(left, right, ends=("192.0.2.11", "192.0.2.2"))
