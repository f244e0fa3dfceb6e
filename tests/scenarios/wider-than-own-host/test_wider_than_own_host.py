# SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception
"""A stranger gets its own address, or exact prefixes that the connection allows; nothing is ever cut to fit, what does not
fit is TS_UNACCEPTABLE."""

import pytest

from harness.checks import NO_TS, connects, is_refused, is_stranger, rejects


def hosts(world, asks, allowed=None):
    left = world.host("left", world.conf("left").replace("10.66.128.7/32", asks), "ed25519", start=False)
    conf = world.conf("right")
    right = world.host("right", conf.replace("10.66.128.0/17", allowed) if allowed else conf, "ed25519", start=False)
    world.start(left, right)
    return left, right


@pytest.mark.parametrize("asks", ["10.66.128.7/32", "10.66.128.0/24"])
def test_an_exact_prefix_that_the_connection_allows(world, asks):
    left, right = hosts(world, asks)
    connects(left, "data")
    is_stranger(right, "strangers", left.key)
    (child,) = right.sa("strangers")["child-sas"].values()
    assert child["remote-ts"] == [asks]
    world.check_transfer(left, right)


@pytest.mark.parametrize(
    "asks, code",
    [
        ("10.66.128.1-10.66.128.6", "child-not-a-prefix"),
        ("10.66.128.7/32[tcp/1024-65535]", "child-port-range"),
    ],
)
def test_what_a_kernel_would_round_up(world, asks, code):
    left, right = hosts(world, asks)
    rejects(right, left, "data", code, NO_TS)


def test_dynamic_is_the_own_host_only(world):
    """With remote_ts = dynamic, and a stranger that asks for its neighbours."""
    left, right = hosts(world, "10.66.128.0/24", allowed="dynamic")
    is_refused(left, "data", NO_TS)
    for sa in right.sas():
        assert not [child for child in sa["child-sas"].values() if child["state"] == "INSTALLED"]
    assert right.alive()


def test_a_second_child_is_checked_like_the_first(world):
    left, right = hosts(world, "10.66.128.7/32")
    connects(left, "data")
    more = world.conf("left").replace("data {", "more {").replace("10.66.128.7/32", "10.66.128.9-10.66.128.11")
    left.configure(world.conf("left") + more)
    left.load_all()
    assert NO_TS in left.initiate("more", "strangers").log
    right.rejected("child-not-a-prefix")
    world.check_transfer(left, right)
