# SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception
"""A stranger that asks for addresses of somebody known or of the host gets TS_UNACCEPTABLE, though the connection allows
every address."""

import pytest

from harness.checks import NO_TS, connects, has_no_sa, is_stranger, rejects

RESERVED = {
    "a branch's network": "10.71.3.4/32",
    "all of a branch's network": "10.71.0.0/16",
    "more than a branch's network": "10.64.0.0/10",
    "the inside network": "10.70.0.9/32",
    "a branch's address": "198.51.100.9/32",
    "a virtual IP pool": "10.72.0.5/32",
    "the host's own address": "10.66.0.1/32",
    "an address set in strongswan.conf": "10.73.0.53/32",
    "loopback": "127.0.0.53/32",
    "link-local": "169.254.169.254/32",
    "multicast": "224.0.0.251/32",
    "everything": "0.0.0.0/0",
}


def test_reserved_address(world):
    left = world.host("left", key="ed25519", start=False)
    right = world.host("right", key="ed25519", btns={"reserve": "10.73.0.53"}, start=False)
    world.start(left, right)
    reserves = right.pad()["branch"]["reserves"]
    assert {"10.70.0.0/16", "10.71.0.0/16"} <= set(reserves), reserves
    for what, selector in RESERVED.items():
        before = right.stats()["refused-child-reserved"] if "refused-child-reserved" in right.stats() else 0
        left.configure(world.conf("left").replace("10.66.128.7/32", selector))
        left.load_all()
        outcome = left.initiate("data")
        assert not outcome.success, what
        assert NO_TS in outcome.log, f"{what}: {outcome.log}"
        right.wait_until(lambda: right.stats()["refused-child-reserved"] > before, what)
        for sa in right.sas():
            assert not [child for child in sa["child-sas"].values() if child["state"] == "INSTALLED"], what
        left.swanctl("--terminate", "--ike", "strangers", check=False)
        right.wait_until(lambda: not right.sas(), "the childless IKE_SA is gone")
    right.rejected("child-reserved")

    left.configure(world.conf("left"))
    left.load_all()
    connects(left, "data")
    is_stranger(right, "strangers", left.key)
    world.check_transfer(left, right)


def test_what_another_stranger_holds(world):
    conf = world.conf("left")
    left = world.host("left", conf, "ed25519", start=False)
    right = world.host("right", key="ed25519", start=False)
    third = world.host("third", conf.replace("192.0.2.1", "192.0.2.3"), "ed25519", start=False)
    world.start(left, right, third)
    connects(left, "data")
    rejects(right, third, "data", "child-held-by-other", NO_TS)
    world.check_transfer(left, right)


HEADQUARTERS = """
connections {
	headquarters {
		version = 2
		remote_addrs = 192.0.2.2
		local {
			auth = pubkey
			pubkeys = me.pem
		}
		remote {
			auth = pubkey
			id = headquarters.example.org
		}
		children {
			data {
			}
		}
	}
}
"""


def test_a_connection_to_anybody_is_not_one_to_somebody_known(world):
    """Else whoever answers for a known address would become what protects the traffic to it."""
    anybody = world.conf("left").replace("remote_addrs = 192.0.2.2", "remote_addrs = 192.0.2.2, %any")
    left = world.host("left", anybody + HEADQUARTERS, "ed25519", start=False)
    right = world.host("right", key="ed25519", start=False)
    world.start(left, right)
    assert not left.initiate("data", "strangers").success
    left.rejected("destination-reserved")
    has_no_sa(left, right)
    left.configure(anybody + HEADQUARTERS.replace("192.0.2.2", "192.0.2.77"))
    left.load_all()
    assert left.initiate("data", "strangers").success
    is_stranger(left, "strangers", right.key)
