# SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception
"""RFC 5386, section 3, example 3: what goes to TCP port 2049 is protected in transport mode, everything else passes by."""

import pytest
from harness.checks import are_strangers
from harness.host import transfer
from harness.world import MARKER

import xfrm

ENDS = {"ipv4": ("192.0.2.1", "192.0.2.2"), "ipv6": ("2001:db8::1", "2001:db8::2")}
PAYLOAD = MARKER * 200


@pytest.mark.parametrize("family", ENDS)
def test_3_3_traffic_to_port_2049_initiates_and_all_other_is_in_clear(world, family):
    client, server = ENDS[family]
    way = {"source": client, "destination": server}
    left = world.host("left", world.conf("left", LOCAL=client, REMOTE=server), "ed25519", start=False)
    right = world.host("right", key="ed25519", start=False)
    world.start(left, right)
    (trap,) = [policy for policy in xfrm.policies(left) if policy.selector.direction == "out"]
    assert trap.selector.dport == "2049"

    # the first packet is an acquire, what follows is ESP
    transfer(left, right, b"first", port=2049, timeout=20, **way)
    are_strangers(left, right, "nfs")
    (child,) = xfrm.children(right, "nfs")
    assert child["mode"] == "TRANSPORT"
    installed = xfrm.check_policies(right)
    assert {selector.direction for selector in installed} == {"in", "out"}
    into, out = (int(child[which], 16) for which in ("spi-in", "spi-out"))

    before = xfrm.states(right)
    world.check_transfer(left, right, size=len(PAYLOAD), ends=(client, server), port=2049, timeout=20, **way)
    after = xfrm.states(right)
    for spi in (into, out):
        assert after[spi].octets - before[spi].octets > len(PAYLOAD), (before[spi], after[spi])
        assert after[spi].packets > before[spi].packets
    assert xfrm.states(left)[into].octets >= after[into].octets, "the client counts the same"

    capture = world.capture()
    transfer(left, right, PAYLOAD, port=80, timeout=20, **way)
    capture.stop()
    assert not capture.count("esp") and capture.count("other", client, server) and capture.count("other", server, client)
    assert any(MARKER in frame for frame in capture.frames), "port 80 is in clear"
    assert xfrm.states(right)[into].packets == after[into].packets, "port 80 is none of the SA's business"

    # whoever tries port 2049 in clear finds the server's policy in the way
    left.namespace.ip("xfrm", "policy", "flush")
    transfer(left, right, b"in clear", port=80, timeout=20, **way)
    with pytest.raises(OSError):
        transfer(left, right, b"in clear", port=2049, timeout=2, **way)
