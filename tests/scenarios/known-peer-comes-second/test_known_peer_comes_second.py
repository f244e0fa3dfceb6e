# SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception
"""A stranger holds an address; then somebody known comes from it: the stranger's SA goes first."""

import time

import pytest

from harness.checks import connects, has_no_sa, is_stranger
from harness.second import hosts, went_first


def test_the_strangers_sa_is_evicted(world):
    left, right, third = hosts(world)
    connects(left, "data")
    stranger = is_stranger(right, "strangers", left.key)

    started = time.monotonic()
    connects(third, "data")
    assert time.monotonic() - started < 1.5, "the known peer does not have to wait for the stranger to go"
    known = right.sa("known")
    right.events.wait("ike-updown", lambda seen: "up" not in seen and "strangers" in seen)
    right.wait_until(lambda: not right.peers(), "the stranger is gone")
    assert [sa["name"] for sa in right.sas()] == ["known"]
    assert right.stats()["evicted"] == 1
    right.rejected("evicted", uniqueid=stranger["uniqueid"])
    assert len(right.events.of("btns-rejected")) == 1

    went_first(right)
    assert right.sa("known")["uniqueid"] == known["uniqueid"]
    world.check_transfer(third, right)
    has_no_sa(left)


@pytest.mark.parametrize("who", ["stranger", "gateway"])
def test_after_the_ike_sa_was_rekeyed(world, who):
    """The IKE_SA has other SPIs then, and whoever rekeyed it is its initiator: it is found and closed all the same."""
    left, right, third = hosts(world)
    connects(left, "data")
    before = right.sa("strangers")
    (left if who == "stranger" else right).swanctl("--rekey", "--ike", "strangers")
    right.events.wait("ike-rekey")
    right.wait_until(lambda: len(right.sas()) == 1, "the old IKE_SA is gone")
    stranger = is_stranger(right, "strangers", left.key)
    assert stranger["uniqueid"] != before["uniqueid"]
    connects(third, "data")
    right.rejected("evicted", uniqueid=stranger["uniqueid"])
    right.wait_until(lambda: not right.peers() and [sa["name"] for sa in right.sas()] == ["known"], "the stranger is gone")
    went_first(right)
    world.check_transfer(third, right)


def test_the_stranger_cannot_come_back(world):
    left, right, third = hosts(world)
    connects(third, "data")
    outcome = left.initiate("data")
    assert not outcome.success and "TS_UNACCEPTABLE" in outcome.log
    right.rejected("child-reserved")
    world.check_transfer(third, right)


def test_a_connection_that_is_new(world):
    """The stranger had the known peer's selectors before any connection named them."""
    left, right, third = hosts(world)
    conf = world.conf("right")
    strangers = conf[:conf.index("\tknown {")].replace("192.0.2.0/24", "10.66.129.3/32") + "}\n"
    right.configure(strangers)
    right.load_all()
    left.configure(world.conf("left").replace("192.0.2.3/32", "10.66.129.3/32"))
    left.load_all()
    left.namespace.ip("addr", "add", "10.66.129.3/32", "dev", "lo")
    connects(left, "data")
    is_stranger(right, "strangers", left.key)
    right.configure(strangers + conf[conf.index("\tknown {"):].join(("connections {\n", "")))
    right.load_all()
    connects(third, "data")
    right.wait_until(lambda: not right.peers(), "the stranger is gone")
    went_first(right)
    world.check_transfer(third, right)
