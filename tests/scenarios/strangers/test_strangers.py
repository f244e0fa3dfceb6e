# SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception
"""Two hosts that have never met set up a tunnel from bare public keys, whatever the types of the keys."""

import time

import pytest

from harness.checks import are_strangers, connects
from harness.vici import ViciError

KEYS = {
    "rsa2048": ("RSA", 2048),
    "rsa3072": ("RSA", 3072),
    "ecdsa256": ("ECDSA", 256),
    "ecdsa384": ("ECDSA", 384),
    "ecdsa521": ("ECDSA", 521),
    "ed25519": ("Ed25519", 255),
    "ed448": ("Ed448", 448),
}


@pytest.mark.parametrize(
    "left_kind, right_kind",
    [*((kind, kind) for kind in KEYS), ("rsa2048", "ed25519"), ("ed448", "rsa3072"), ("ecdsa256", "rsa2048")],
)
def test_strangers(world, left_kind, right_kind):
    left, right = world.pair(left_kind, right_kind)
    assert left.key.fingerprint != right.key.fingerprint
    for host in (left, right):
        assert host.files() == ["private/me.pem", "pubkey/me.pem", "swanctl.conf"]

    connects(left, "data")

    peer = are_strangers(left, right)
    kind, bits = KEYS[left_kind]
    assert peer["key-type"] == kind
    # EdDSA sizes are told as 255 or 256, 448 or 456: by the curve or by the encoding
    assert abs(int(peer["key-bits"]) - bits) <= 8
    assert peer["encoding"] == "spki"
    assert peer["role"] == "responder"
    assert abs(int(peer["established"]) - time.time()) < 60
    assert peer["child-sas"] == "1"
    assert left.peers()[0]["role"] == "initiator"
    assert (left.peers()[0]["ike-spi-i"], left.peers()[0]["ike-spi-r"]) == (peer["ike-spi-i"], peer["ike-spi-r"])
    assert right.stats()["accepted"] == 1
    assert right.stats()["peers"] == 1
    assert not right.events.of("btns-rejected")
    world.check_transfer(left, right)


def test_both_ways_and_again(world):
    """The responder of one connection initiates the next one; nothing is left of the first."""
    left, right = world.pair()
    right.configure(world.conf("right").replace("local_addrs", "remote_addrs = 192.0.2.1\n\t\tlocal_addrs"))
    right.load_all()
    connects(left, "data")
    left.swanctl("--terminate", "--ike", "strangers")
    right.wait_until(lambda: not right.sas() and not right.peers(), "the SA is gone")
    right.configure(right_initiates(world))
    right.load_all()
    connects(right, "data")
    are_strangers(left, right)
    world.check_transfer(right, left)
    left.wait_until(lambda: left.stats()["peers"] == 1, "one peer")


def right_initiates(world):
    text = world.conf("right").replace("local_addrs", "remote_addrs = 192.0.2.1\n\t\tlocal_addrs")
    return text.replace("remote_ts = 10.66.128.0/17", "remote_ts = 10.66.128.7/32")


def test_what_the_plugin_tells(world):
    """Every message of the plugin answers, before and after; unknown fields and bad values are errors, not crashes."""
    left, right = world.pair()
    entry = right.pad()["strangers"]
    assert entry["flag"] == "btns"
    assert entry["usable"] == "yes"
    assert not [finding for finding in entry["findings"] if finding.startswith("error")]
    assert right.peers() == []
    for command, event in (("btns-list-peers", "btns-peer"), ("btns-list-pad", "btns-pad")):
        for message in (
            {"no-such-field": "1"},
            {"connection": "x" * 5000},
            {"connection": ["a", "list"]},
            {"connection": {"a": "section"}},
        ):
            answer, events = right.vici.request(command, message, stream=event)
            assert answer.get("success") == "no" and answer.get("errmsg"), (command, message, answer)
            assert not events
    for bad in ("", "x", "-1", "99999999999999999999", "1 "):
        answer, _ = right.vici.request("btns-list-peers", {"uniqueid": bad}, stream="btns-peer")
        assert answer.get("success") == "no", bad
    assert right.request("btns-stats", {"no-such-field": "1"}).get("success") == "no"
    with pytest.raises(ViciError):
        right.request("btns-no-such-command")
    connects(left, "data")
    unique = right.peers()[0]["uniqueid"]
    assert len(right.stream("btns-list-peers", "btns-peer", {"uniqueid": unique})) == 1
    assert not right.stream("btns-list-peers", "btns-peer", {"uniqueid": str(int(unique) + 77)})
    assert not right.stream("btns-list-peers", "btns-peer", {"connection": "another"})
