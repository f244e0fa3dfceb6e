# SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception
"""The same over IPv6."""

from harness.checks import NO_TS, are_strangers, connects, rejects

ENDS = ("2001:db8::1", "2001:db8::2")


def test_ipv6(world):
    left, right = world.pair()
    connects(left, "data")
    peer = are_strangers(left, right)
    assert (peer["remote-host"], peer["local-host"]) == ENDS
    world.check_transfer(left, right, source="fd66:128::7", destination="fd66::1", ends=ENDS)


def test_what_is_reserved(world):
    left = world.host("left", key="ed25519", start=False)
    right = world.host("right", world.conf("right").replace("fd66:128::/48", "::/0"), "ed25519",
                       btns={"reserve": "2001:db8:53::/48"}, start=False)
    world.start(left, right)
    for selector in ("2001:db8:53::1/128", "fd66::1/128", "::1/128", "ff02::1/128", "fe80::1/128", "::/0"):
        left.configure(world.conf("left").replace("fd66:128::7/128", selector))
        left.load_all()
        rejects(right, left, "data", "child-reserved", NO_TS)
        left.swanctl("--terminate", "--ike", "strangers", check=False)
        right.wait_until(lambda: not right.sas(), "the childless IKE_SA is gone")
