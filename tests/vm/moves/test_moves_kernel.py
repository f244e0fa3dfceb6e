# SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception
"""When a stranger changes its address, its SAs and policies leave the kernel."""

from harness.checks import connects, is_stranger

import xfrm


def test_nothing_of_a_stranger_that_moved_is_left(world):
    left, right = world.pair()
    connects(left, "data")
    peer = is_stranger(right, "strangers", left.key)
    assert xfrm.check_policies(right)
    left.namespace.ip("addr", "add", "192.0.2.11/24", "dev", "eth0")
    left.namespace.ip("addr", "del", "192.0.2.1/24", "dev", "eth0")
    right.rejected("moved", timeout=30, uniqueid=peer["uniqueid"])
    right.wait_until(lambda: not right.peers() and not right.sas(), "the SA is deleted", 20)
    xfrm.is_empty(right)
