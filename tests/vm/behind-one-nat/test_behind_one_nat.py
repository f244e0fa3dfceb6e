# SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception
"""A stranger and somebody known behind one NAT, so both have the same address: whoever comes first, the known peer has an
SA of its own and the stranger has none."""

from harness.checks import connects, has_no_sa, is_stranger
from harness.host import transfer

import nat
import xfrm
from nat import OUTSIDE


def hosts(world):
    left = world.host("left", key="ed25519", start=False)
    right = world.host("right", key="ed25519", start=False)
    third = world.host("third", key="ed25519", start=False)
    # all on one wire, but whoever goes to the right host goes through the NAT
    nat.attach(world, left, third)
    right.add_file("pubkey/third.pem", third.key.public_pem)
    third.add_file("pubkey/right.pem", right.key.public_pem)
    world.start(left, right, third)
    return left, right, third


def has_the_address(right, third):
    """The kernel has the known peer's SA and policies only, and that peer's traffic is counted by them."""
    (known,) = xfrm.children(right)
    assert known["remote-ts"] == [f"{OUTSIDE}/32"] and known["encap"] == "yes", known
    for policy in xfrm.check_policies(right).values():
        assert policy.priority < xfrm.BTNS_PRIORITY, policy
    before = xfrm.states(right)
    payload = b"mine" * 1000
    transfer(third, right, payload, source="192.0.2.3", destination="192.0.2.2", timeout=20)
    after = xfrm.states(right)
    assert set(after) == {int(known[which], 16) for which in ("spi-in", "spi-out")}
    for spi, state in after.items():
        assert state.octets - before[spi].octets > len(payload), (before[spi], state)
    return known


def test_the_stranger_was_first(world):
    left, right, third = hosts(world)
    connects(left, "data")
    peer = is_stranger(right, "strangers", left.key)
    assert peer["remote-host"] == OUTSIDE
    (stranger,) = xfrm.children(right)
    connects(third, "data")
    right.wait_until(lambda: not right.peers(), "the stranger is gone", 20)
    known = has_the_address(right, third)
    assert known["remote-ts"] == stranger["remote-ts"], "the same selectors"
    has_no_sa(left)
    xfrm.is_empty(left)


def test_the_known_peer_was_first(world):
    left, right, third = hosts(world)
    connects(third, "data")
    known = has_the_address(right, third)
    outcome = left.initiate("data")
    assert not outcome.success and "TS_UNACCEPTABLE" in outcome.log, outcome.log
    right.rejected("child-reserved")
    assert has_the_address(right, third)["spi-in"] == known["spi-in"]
    xfrm.is_empty(left)
