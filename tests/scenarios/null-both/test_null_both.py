# SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception
"""Two hosts that have nothing: NULL authentication on both sides (RFC 7619). What each knows of the other is the IKE_SA."""

import pytest

from harness.bindings import ENDPOINTS, UNIQUE, asked, missing, value
from harness.checks import connects, is_nobody, is_refused, rekeys

EVERYBODY = "10.66.128.0/17"


def pair(world, null=True, remote=EVERYBODY):
    left = world.host("left", null=null, start=False)
    right = world.host("right", world.conf("right", REMOTE=remote), null=null, start=False)
    world.start(left, right)
    return left, right


def are_nobody(left, right):
    one, other = is_nobody(left, "null-both"), is_nobody(right, "null-both")
    assert left.sa("null-both")["remote-id"] == right.sa("null-both")["remote-id"], "both name the same IKE_SA"
    return one, other


@pytest.mark.parametrize("initiator", ["left", "right"])
def test_nobody_meets_nobody(world, initiator):
    left, right = pair(world, remote="10.66.128.7/32" if initiator == "right" else EVERYBODY)
    outcome = connects(left if initiator == "left" else right, "data")
    assert "ANOTHER_AUTH_FOLLOWS" not in outcome.log and "N(INIT_CONTACT)" not in outcome.log, outcome.log
    for peer in are_nobody(left, right):
        assert peer["asserted-id"] == ""
    world.check_transfer(left, right)
    for host in (left, right):
        assert host.stats()["null-peers"] == host.stats()["peers"] == 1
        assert host.pad()["null-both"]["flag"] == "btns:null" and host.pad()["null-both"]["usable"] == "yes"


@pytest.mark.parametrize("what", ["ike", "child"])
@pytest.mark.parametrize("who", ["initiator", "responder"])
def test_rekeying(world, what, who):
    left, right = pair(world, remote="10.66.128.7/32")
    connects(left, "data")
    before = are_nobody(left, right)
    host, peer = (left, right) if who == "initiator" else (right, left)
    identity = host.sa("null-both")["remote-id"]
    rekeys(host, peer, what, "null-both")
    assert host.sa("null-both")["remote-id"] == identity, "it is the same peer as before"
    after = are_nobody(left, right)
    assert [peer["auth"] for peer in before + after] == ["null"] * 4
    world.check_transfer(left, right)


def test_bindings(world):
    """There is no key to bind to; that it is this IKE_SA can be bound to."""
    left, right = pair(world)
    connects(left, "data")
    both = [asked(host, uniqueid=host.sa("null-both")["uniqueid"]) for host in (left, right)]
    for shown, host in zip(both, (left, right)):
        assert shown["peer-method"] == shown["local-method"] == "null", shown
        assert "peer-fingerprint" not in shown and shown["authorized-id"] == host.sa("null-both")["remote-id"], shown
        assert missing(shown, ENDPOINTS) == "no-signature"
    assert value(both[0], UNIQUE) and value(both[0], UNIQUE) == value(both[1], UNIQUE)


def test_without_the_plugin_nobody_gets_in(world):
    left = world.host("left", null=True, start=False)
    right = world.host("right", world.conf("right", REMOTE=EVERYBODY), start=False)
    world.start(left, right)
    is_refused(left, "data")
    right.rejected("null-off", auth="null")
    entry = right.pad()["null-both"]
    assert entry["usable"] == "no" and any("btns-null" in text for text in entry["findings"]), entry
