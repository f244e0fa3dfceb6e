# SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception
"""A stranger holds the very selectors that somebody known gets later: nothing of the stranger is left in the kernel, and
each one's traffic is counted by its own SA."""

from pathlib import Path

from harness.checks import connects, has_no_sa, is_stranger
from harness.host import transfer

import xfrm

# IKE packets must not follow the route into the stranger's tunnel, or the known peer could never be answered
MARKED = {"kernel-netlink": {"fwmark": "!0x42"}, "socket-default": {"fwmark": "0x42"}}
WAY = {"source": "192.0.2.3", "destination": "10.66.0.1", "timeout": 20}


def hosts(world):
    left = world.host("left", key="ed25519", start=False)
    right = world.host("right", key="ed25519", options=MARKED, start=False)
    third = world.host("third", key="ed25519", start=False)
    # the stranger has the address, too, but does not answer for it on the wire
    left.namespace.call(lambda: Path("/proc/sys/net/ipv4/conf/all/arp_ignore").write_text("1"))
    left.namespace.ip("addr", "add", "192.0.2.3/32", "dev", "lo")
    right.add_file("pubkey/third.pem", third.key.public_pem)
    third.add_file("pubkey/right.pem", right.key.public_pem)
    world.start(left, right, third)
    return left, right, third


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
    up = right.events.wait("child-updown", lambda seen: "known" in seen, 20)
    gone = right.events.wait("child-updown", lambda seen: "strangers" in seen and "up" not in seen, 20)
    happened = [message for _, message in right.events.seen]
    assert happened.index(gone) < happened.index(up), "the stranger goes before anything of the known peer is installed"
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
