# SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception
"""Strangers reach TCP port 2049 through ESP, and the SA covers no other port."""

import pytest

from harness.checks import are_strangers, connects, has_no_sa
from harness.host import transfer


def test_nfs(world):
    left, right = world.pair()
    connects(left, "nfs")
    are_strangers(left, right, "nfs")
    (child,) = right.sa("nfs")["child-sas"].values()
    assert child["local-ts"] == ["10.66.0.1/32[tcp/nfs]"] or child["local-ts"] == ["10.66.0.1/32[tcp/2049]"]
    assert child["remote-ts"] == ["10.66.128.7/32[tcp]"]
    world.check_transfer(left, right, port=2049)
    with pytest.raises(OSError):
        transfer(left, right, b"not nfs", port=2050, timeout=1)


def test_tunnel_mode_where_the_connection_says_transport(world):
    """charon would take what it gets: the SA is deleted as soon as that is known."""
    # IKE must not follow the route into the tunnel between the very hosts
    options = {"kernel-netlink": {"fwmark": "!0x42"}, "socket-default": {"fwmark": "0x42"},
               "kernel-libipsec": {"allow_peer_ts": "yes"}}
    conf = world.conf("left").replace("10.66.128.7/32", "192.0.2.1/32").replace("10.66.0.1/32", "192.0.2.2/32")
    left = world.host("left", conf, "ed25519", options=options, start=False)
    conf = world.conf("right").replace("10.66.128.0/17", "dynamic").replace("10.66.0.1/32", "dynamic")
    right = world.host("right", conf.replace("mode = tunnel", "mode = transport"), "ed25519", options=options, start=False)
    world.start(left, right)
    left.initiate("nfs")
    right.rejected("child-mode")
    # the Delete may overtake the answer that it follows, then the other side keeps its half until DPD
    has_no_sa(right)
