# SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception
"""A key other than the pinned one is refused, whichever side pins."""

import pytest

from harness.checks import has_no_sa, rejects


def strangers(conf):
    """The same host without the pin."""
    conf = conf.replace("examples/pinned", "examples/strangers").replace("pinned {", "strangers {")
    return conf.replace("btns:sha256:@RIGHT_KEY@", "btns").replace("btns:sha256:@LEFT_KEY@", "btns")


def test_the_responder_pins_another_key(world):
    other = world.keys.key("ed25519")
    left = world.host("left", strangers(world.conf("left")), "ed25519", start=False)
    right = world.host("right", world.conf("right", LEFT_KEY=other.fingerprint), "ed25519", start=False)
    world.start(left, right)
    event = rejects(right, left, "data", "key-not-pinned")
    assert event["fingerprint"] == left.key.fingerprint
    has_no_sa(left, right)


def test_the_initiator_pins_another_key(world):
    other = world.keys.key("ed25519")
    left = world.host("left", world.conf("left", RIGHT_KEY=other.fingerprint), "ed25519", start=False)
    right = world.host("right", strangers(world.conf("right")), "ed25519", start=False)
    world.start(left, right)
    assert not left.initiate("data").success
    assert left.rejected("key-not-pinned")["fingerprint"] == right.key.fingerprint
    has_no_sa(left, right)


@pytest.mark.parametrize("pin", ["btns:sha256:00", "btns:md5:0011", "btns:sha256:" + "g" * 64], ids=["short", "other-hash", "no-hex"])
def test_a_pin_that_is_none_admits_nobody(world, pin):
    left = world.host("left", strangers(world.conf("left")), "ed25519", start=False)
    right = world.host("right", world.conf("right").replace("btns:sha256:@LEFT_KEY@", pin), "ed25519", start=False)
    world.start(left, right)
    entry = right.pad()["pinned"]
    assert entry["usable"] == "no"
    assert any(finding.startswith("error") for finding in entry["findings"])
    rejects(right, left, "data", "entry-unusable")
    has_no_sa(left, right)
