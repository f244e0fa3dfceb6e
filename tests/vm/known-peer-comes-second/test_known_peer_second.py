# SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception
"""A stranger holds the very selectors that somebody known gets later: nothing of the stranger is left in the kernel, and
each one's traffic is counted by its own SA."""

from harness.checks import connects, has_no_sa, is_stranger
from harness.host import transfer
from harness.second import hosts, went_first

import xfrm

WAY = {"source": "192.0.2.3", "destination": "10.66.0.1", "timeout": 20}


def only_the_known_peer(right):
    """The kernel has the known peer's SA and policies and nothing else. Returns the CHILD_SA."""
    (known,) = xfrm.children(right)
    installed = xfrm.check_policies(right)
    assert all(policy.priority < xfrm.BTNS_PRIORITY for policy in installed.values()), installed
    assert all(state.source != "192.0.2.1" != state.destination for state in xfrm.states(right).values())
    return known


def uses_its_own_sa(third, right, known):
    spis = [int(known[which], 16) for which in ("spi-in", "spi-out")]
    before = xfrm.states(right)
    payload = b"mine" * 1000
    transfer(third, right, payload, **WAY)
    after = xfrm.states(right)
    assert set(after) == set(spis)
    for spi in spis:
        assert after[spi].octets - before[spi].octets > len(payload), (before[spi], after[spi])


def test_the_stranger_was_first(world):
    left, right, third = hosts(world)
    connects(left, "data")
    is_stranger(right, "strangers", left.key)
    (stranger,) = xfrm.children(right, "strangers")
    assert all(policy.priority >= xfrm.BTNS_PRIORITY for policy in xfrm.check_policies(right).values())

    connects(third, "data")
    right.events.wait("child-updown", lambda seen: "known" in seen, 20)
    right.events.wait("child-updown", lambda seen: "strangers" in seen and "up" not in seen, 20)
    went_first(right)
    known = only_the_known_peer(right)
    assert known["remote-ts"] == stranger["remote-ts"] == ["192.0.2.3/32"], "the same selectors"
    assert int(stranger["spi-in"], 16) not in xfrm.states(right)
    uses_its_own_sa(third, right, known)
    has_no_sa(left)
    xfrm.is_empty(left)

    third.swanctl("--terminate", "--ike", "known")
    xfrm.is_empty(right)


def test_the_known_peer_was_first(world):
    left, right, third = hosts(world)
    connects(third, "data")
    known = only_the_known_peer(right)
    outcome = left.initiate("data")
    assert not outcome.success and "TS_UNACCEPTABLE" in outcome.log
    right.rejected("child-reserved")
    assert only_the_known_peer(right)["spi-in"] == known["spi-in"]
    uses_its_own_sa(third, right, known)
    xfrm.is_empty(left)
