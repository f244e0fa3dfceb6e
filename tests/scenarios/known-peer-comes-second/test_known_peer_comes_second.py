# SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception
"""A stranger holds an address; then somebody known comes from it: the stranger's SA goes first."""

import time
from pathlib import Path

from harness.checks import connects, has_no_sa, is_stranger

# IKE packets must not follow the route into the stranger's tunnel, or the known peer could never be answered
MARKED = {"kernel-netlink": {"fwmark": "!0x42"}, "socket-default": {"fwmark": "0x42"}}


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

    happened = {
        (name, message.get("up") == "yes", connection): when
        for (name, message), when in zip(right.events.seen, right.events.times)
        for connection in ("strangers", "known")
        if connection in message
    }
    gone, there = happened["child-updown", False, "strangers"], happened["child-updown", True, "known"]
    assert gone < there, f"the known peer had its CHILD_SA {gone - there:.3f} s before the stranger went"

    assert right.sa("known")["uniqueid"] == known["uniqueid"]
    world.check_transfer(third, right)
    has_no_sa(left)


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
    events = [(name, next(iter(message.keys() & {"strangers", "known"}), None), message.get("up") == "yes")
              for name, message in right.events.seen if name == "child-updown"]
    assert events.index(("child-updown", "strangers", False)) < events.index(("child-updown", "known", True)), events
    world.check_transfer(third, right)
