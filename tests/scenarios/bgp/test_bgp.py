# SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception
"""Two routers protect the one service between them, whichever opens the TCP connection; nobody else gets that."""

import pytest

from harness.checks import are_strangers, connects, has_no_sa, is_refused
from harness.host import transfer

OTHER_PORT = 1790


def selectors(host):
    """Local and remote selectors of its CHILD_SAs, by the name of their configuration."""
    found = {}
    for child in host.sa("bgp")["child-sas"].values():
        found[child["name"]] = [ts.replace("tcp/bgp", "tcp/179") for ts in child["local-ts"] + child["remote-ts"]]
    return found


def test_either_router_opens_the_session(world):
    left, right = world.pair(right="ecdsa256")
    connects(left, "opened-here")
    connects(right, "opened-here")
    are_strangers(left, right, "bgp")
    ours, theirs = "10.66.128.7/32", "10.66.0.1/32"
    assert selectors(left) == {
        "opened-here": [f"{ours}[tcp]", f"{theirs}[tcp/179]"],
        "opened-there": [f"{ours}[tcp/179]", f"{theirs}[tcp]"],
    }
    world.check_transfer(left, right, port=179)
    world.check_transfer(right, left, port=179)
    for client, server in ((left, right), (right, left)):
        with pytest.raises(OSError):
            transfer(client, server, b"not bgp", port=OTHER_PORT, timeout=1)


def test_from_another_address_nobody_gets_it(world):
    conf = world.conf("left").replace("192.0.2.1", "192.0.2.3").replace("10.66.128.7", "10.66.129.3")
    third = world.host("third", conf, "ed25519", start=False)
    right = world.host("right", key="ed25519", start=False)
    world.start(third, right)
    is_refused(third, "opened-here", "NO_PROPOSAL_CHOSEN")
    has_no_sa(third, right)
