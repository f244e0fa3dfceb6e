# SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception
"""The kernel's policies are exactly what was authorized; what the kernel would round up never gets there."""

import ipaddress

import pytest
from harness.checks import NO_TS, connects, is_stranger, rejects

import xfrm


def hosts(world, asks="10.66.128.7/32", known="10.66.129.3/32"):
    """A stranger, a host, and somebody whom it knows."""
    left = world.host("left", world.conf("left", ASKS=asks), "ed25519", start=False)
    right = world.host("right", world.conf("right", KNOWN=known), "ed25519", start=False)
    third = world.host("third", world.conf("third", KNOWN=known), "ed25519", start=False)
    right.add_file("pubkey/third.pem", third.key.public_pem)
    third.add_file("pubkey/right.pem", right.key.public_pem)
    world.start(left, right, third)
    return left, right, third


@pytest.mark.parametrize("asks", ["10.66.128.7/32", "10.66.128.0/24", "10.66.128.7/32[tcp/8080]"])
def test_the_kernel_has_what_was_authorized(world, asks):
    left, right, third = hosts(world, asks)
    connects(third, "data")
    connects(left, "data")
    is_stranger(right, "strangers", left.key)
    xfrm.check_policies(left)
    installed = xfrm.check_policies(right)
    (stranger,) = xfrm.children(right, "strangers")
    (known,) = xfrm.children(right, "known")
    assert stranger["remote-ts"] == [asks.replace("8080", "http-alt")] or stranger["remote-ts"] == [asks]
    allowed = ipaddress.ip_network("10.66.128.0/17")
    reserved = xfrm.reserved(right)
    assert reserved
    for selector in xfrm.authorized(stranger):
        policy = installed[selector]
        assert policy.remote.subnet_of(allowed)
        assert not xfrm.overlaps(policy.remote, reserved)
        assert policy.priority >= xfrm.BTNS_PRIORITY
    for selector in xfrm.authorized(known):
        policy = installed[selector]
        assert xfrm.overlaps(policy.remote, reserved)
        assert policy.priority < xfrm.BTNS_PRIORITY, "the one with authentication is stronger"
    assert stranger["reqid"] != known["reqid"]


@pytest.mark.parametrize(
    "asks, code",
    [
        ("10.66.128.1-10.66.128.6", "child-not-a-prefix"),
        ("10.66.128.7/32[tcp/1024-65535]", "child-port-range"),
    ],
)
def test_what_a_kernel_would_round_up(world, asks, code):
    left, right, _ = hosts(world, asks)
    rejects(right, left, "data", code, NO_TS)
    assert not xfrm.policies(right) and not xfrm.states(right)
    assert not xfrm.policies(left)


def test_ranges_are_rounded_up_here(world):
    """The control: for somebody known, the same kinds of ranges end up wider in the kernel than agreed upon."""
    _, right, third = hosts(world, known="10.66.129.1-10.66.129.6,10.66.129.32/32[tcp/1024-65535]")
    connects(third, "data")
    (child,) = xfrm.children(right, "known")
    assert "10.66.129.1..10.66.129.6" in child["remote-ts"], child
    inbound = {policy.selector for policy in xfrm.policies(right) if policy.selector.direction == "in"}
    assert {selector.source for selector in inbound} == {"10.66.129.0/29", "10.66.129.32/32"}
    assert [selector.sport for selector in inbound if selector.source == "10.66.129.32/32"] == [""], "all ports"
