# SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception
"""With additional key exchanges (RFC 9370) a CHILD_SA is narrowed in one exchange and installed after another: what
somebody known takes in between is not the stranger's any more."""

from pathlib import Path

import pytest

from harness import roots
from harness.checks import are_strangers, connects, has_no_sa, is_stranger, rekeys

pytestmark = pytest.mark.skipif(
    roots.DEFAULT.version() < (6, 0, 0),
    reason=f"strongSwan {roots.DEFAULT.version_text()} has no additional key exchanges",
)

TAKEN = "192.0.2.3"
"""What the stranger asks for, and then somebody known comes from."""

IKE_FOLLOWUP_KE = 44
LATE = {"receive_delay": 3000, "receive_delay_type": IKE_FOLLOWUP_KE, "receive_delay_response": "no"}
"""Options of a charon to which IKE_FOLLOWUP_KE requests come 3 s late."""

# IKE packets must not follow the route into the stranger's tunnel, or the known peer could never be answered
MARKED = {"kernel-netlink": {"fwmark": "!0x42"}, "socket-default": {"fwmark": "0x42"}}


def hosts(world, left=None, right=None, **where):
    """Left, right and third, with options for the charons of the first two."""
    conf = world.conf("right", **{"REMOTE": "%any", "DATA": "10.66.128.0/17", "MORE": "192.0.2.0/24", **where})
    left = world.host("left", key="ed25519", options=left, start=False)
    right = world.host("right", conf, "ed25519", options={**MARKED, **(right or {})}, start=False)
    third = world.host("third", key="ed25519", start=False)
    # the stranger has the address, too, but does not answer for it on the wire
    left.namespace.call(lambda: Path("/proc/sys/net/ipv4/conf/all/arp_ignore").write_text("1"))
    left.namespace.ip("addr", "add", f"{TAKEN}/32", "dev", "lo")
    right.add_file("pubkey/third.pem", third.key.public_pem)
    third.add_file("pubkey/right.pem", right.key.public_pem)
    world.start(left, right, third)
    return left, right, third


def begin(host, *what):
    """Begin what takes longer, and wait until its second exchange is on the way."""
    start = len(host.log())
    host.swanctl(*what)
    host.wait_log(r"generating IKE_FOLLOWUP_KE request", start=start)


def selectors(host, connection="strangers"):
    """What the installed CHILD_SAs of a connection have at the other end."""
    found = [sa for sa in host.sas() if sa["name"] == connection]
    return sorted(ts for sa in found for child in sa["child-sas"].values() for ts in child["remote-ts"])


def test_rekeying(world):
    left, right, _ = hosts(world)
    connects(left, "data")
    are_strangers(left, right)
    for host, peer in ((left, right), (right, left)):
        for what in ("child", "ike"):
            start = len(host.log())
            rekeys(host, peer, what)
            assert "generating IKE_FOLLOWUP_KE request" in host.log()[start:]
            are_strangers(left, right)
            assert right.peers()[0]["child-sas"] == "1"
    assert "IKE_INTERMEDIATE" in right.log()
    assert right.stats()["accepted"] == 1
    world.check_transfer(left, right)


def test_refused_in_between(world):
    """The stranger asks for a CHILD_SA. When its turn to be installed comes, somebody known has the address."""
    left, right, third = hosts(world, right=LATE)
    # the first CHILD_SA comes with IKE_AUTH, and has no key exchange of its own
    connects(left, "data")
    peer = is_stranger(right, "strangers", left.key)
    begin(left, "--initiate", "--child", "more", "--timeout", "-1")
    connects(third, "known")
    assert "parsed IKE_FOLLOWUP_KE" not in right.log(), "this is in between"
    event = right.rejected("child-reserved", timeout=15, uniqueid=peer["uniqueid"])
    assert event["connection"] == "strangers"
    # 6.1.0 has its KE payload in the same message, and as initiator overlooks the notify
    right.wait_log(r"generating IKE_FOLLOWUP_KE response \d+ \[ .*N\(TS_UNACCEPT\) \]")
    assert selectors(right) == ["10.66.128.7/32"]
    is_stranger(right, "strangers", left.key)
    assert right.stats()["evicted"] == 0
    world.check_transfer(third, right)
    world.check_transfer(left, right)


def test_evicted_in_between(world):
    """The same if the stranger is the responder: what this host has asked it for is held, and goes with the stranger."""
    left, right, third = hosts(world, left=LATE, REMOTE="192.0.2.1", DATA="10.66.128.7/32", MORE=f"{TAKEN}/32")
    connects(right, "data")
    peer = is_stranger(right, "strangers", left.key)
    begin(right, "--initiate", "--child", "more", "--timeout", "-1")
    connects(third, "known")
    assert "parsed IKE_FOLLOWUP_KE" not in left.log(), "this is in between"
    right.rejected("evicted", timeout=15, uniqueid=peer["uniqueid"])
    right.wait_until(lambda: not right.peers(), "the stranger is gone")
    assert [sa["name"] for sa in right.sas()] == ["known"]
    assert f"TS 10.66.0.1/32 === {TAKEN}/32" not in right.log(), "it was never installed"
    world.check_transfer(third, right)


def test_evicted_while_rekeying(world):
    """The stranger has the address; while it rekeys, somebody known comes."""
    left, right, third = hosts(world, right=LATE)
    connects(left, "more")
    peer = is_stranger(right, "strangers", left.key)
    begin(left, "--rekey", "--child", "more")
    connects(third, "known")
    assert "parsed IKE_FOLLOWUP_KE" not in right.log(), "this is in between"
    right.rejected("evicted", timeout=15, uniqueid=peer["uniqueid"])
    right.wait_until(lambda: not right.peers(), "the stranger is gone")
    has_no_sa(left)
    assert [sa["name"] for sa in right.sas()] == ["known"]
    assert right.log().count(f"TS 10.66.0.1/32 === {TAKEN}/32") == 1, "it was installed once"
    world.check_transfer(third, right)
