# SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception
"""After the last SA is closed the kernel has no SA and no policy of a stranger: the weaker priority leaves nothing behind."""

import pytest
from harness.checks import connects, has_no_sa
from harness.host import transfer

import xfrm

LEFT, RIGHT = "192.0.2.1", "192.0.2.2"


def hosts(world, mode="transport", start="none", **options):
    left = world.host("left", world.conf("both", LOCAL=LEFT, REMOTE=RIGHT, MODE=mode, START=start), "ed25519", start=False,
                      options=options)
    right = world.host("right", world.conf("both", LOCAL=RIGHT, REMOTE=LEFT, MODE=mode, START="none"), "ed25519",
                       start=False, options=options)
    world.start(left, right)
    return left, right


def close(host, *others):
    host.swanctl("--terminate", "--ike", "strangers")
    has_no_sa(host, *others)


@pytest.mark.parametrize("mode", ["transport", "tunnel"])
def test_the_same_child_in_both_roles(world, mode):
    left, right = hosts(world, mode)
    for initiator, responder in ((left, right), (right, left), (left, right)):
        connects(initiator, "data")
        for host in (left, right):
            installed = xfrm.check_policies(host)
            assert installed and all(policy.priority >= xfrm.BTNS_PRIORITY for policy in installed.values()), installed
        close(responder, initiator)
        xfrm.is_empty(left)
        xfrm.is_empty(right)


def test_both_roles_at_the_same_time(world):
    left, right = hosts(world, reuse_ikesa="no")
    connects(left, "data")
    connects(right, "data")
    assert len(left.sas()) == len(right.sas()) == 2
    for host in (left, right):
        xfrm.check_policies(host)
    for host in (left, right):
        for sa in host.sas():
            host.swanctl("--terminate", "--ike-id", sa["uniqueid"], check=False)
    has_no_sa(left, right)
    xfrm.is_empty(left)
    xfrm.is_empty(right)


def test_after_rekeying(world):
    left, right = hosts(world)
    connects(left, "data")
    (before,) = xfrm.children(right)
    left.swanctl("--rekey", "--child", "data")
    right.wait_until(lambda: [child["spi-in"] for child in xfrm.children(right)] not in ([], [before["spi-in"]])
                     and len(xfrm.states(right)) == 2, "there is one new SA", 20)
    installed = xfrm.check_policies(right)
    assert all(policy.priority >= xfrm.BTNS_PRIORITY for policy in installed.values()), installed
    close(left, right)
    xfrm.is_empty(left)
    xfrm.is_empty(right)


def test_a_trap_keeps_its_policies_and_no_other(world):
    left, right = hosts(world, start="trap")
    trap = set(xfrm.policies(left))
    assert trap
    transfer(left, right, b"by a trap", source=LEFT, destination=RIGHT, timeout=20)
    close(left, right)
    xfrm.is_empty(right)
    left.wait_until(lambda: {policy.selector for policy in xfrm.policies(left)} == {policy.selector for policy in trap},
                    "the trap is as before")
    assert not xfrm.states(left)
    left.swanctl("--uninstall", "--child", "data")
    xfrm.is_empty(left)
