# SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception
"""Two hosts that hold nothing of each other's but the fingerprint connect."""

from harness.checks import are_strangers, connects


def test_pinned(world):
    left_key, right_key = world.keys.key("ed25519"), world.keys.key("rsa2048")
    left = world.host("left", world.conf("left", RIGHT_KEY=right_key.fingerprint), left_key, start=False)
    right = world.host("right", world.conf("right", LEFT_KEY=left_key.fingerprint), right_key, start=False)
    world.start(left, right)
    assert right.pad()["pinned"]["flag"] == left_key.identity
    connects(left, "data")
    are_strangers(left, right, "pinned")
    world.check_transfer(left, right)


def test_the_pinned_key_gets_its_own_connection(world):
    """Where a wildcard is there as well, the pinned key gets the connection that names it; other keys get the wildcard."""
    left_key = world.keys.key("ed25519")
    left_conf = world.conf("left").replace("examples/pinned", "examples/strangers").replace("pinned {", "strangers {")
    left_conf = left_conf.replace("groups = btns:sha256:@RIGHT_KEY@", "groups = btns")
    strangers = world.conf("right").replace("examples/pinned", "examples/strangers").replace("pinned {", "strangers {")
    strangers = strangers.replace("btns:sha256:@LEFT_KEY@", "btns")
    right_conf = strangers + world.conf("right", LEFT_KEY=left_key.fingerprint)
    left = world.host("left", left_conf, left_key, start=False)
    right = world.host("right", right_conf, "ed25519", start=False)
    third = world.host("third", left_conf.replace("192.0.2.1", "192.0.2.3").replace("10.66.128.7", "10.66.129.3"), "ed25519",
                       start=False)
    world.start(left, right, third)
    connects(third, "data")
    connects(left, "data")
    assert right.sa("pinned")["remote-id"] == left_key.identity
    assert right.sa("strangers")["remote-id"] == third.key.identity
