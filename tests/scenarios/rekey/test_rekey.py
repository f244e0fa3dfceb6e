# SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception
"""After several rekeyings of IKE_SA and CHILD_SA, started by either side, key, identity and data flow are the same."""

from harness.checks import are_strangers, connects


def settled(host):
    """SPIs of the one IKE_SA and its one CHILD_SA, from one look at both; None while something is going on."""
    sas = host.sas()
    if len(sas) != 1 or sas[0]["state"] != "ESTABLISHED":
        return None
    children = list(sas[0]["child-sas"].values())
    if [child["state"] for child in children] != ["INSTALLED"]:
        return None
    return sas[0]["initiator-spi"], children[0]["spi-in"]


def is_rekeyed(host, before, changed):
    now = settled(host)
    return now is not None and now[changed] != before[changed]


def test_rekey(world):
    left, right = world.pair("rsa2048", "ed25519")
    connects(left, "data")
    are_strangers(left, right)
    for host, what in [(left, "ike"), (right, "child"), (right, "ike"), (left, "child"), (left, "ike"), (right, "ike")]:
        left.wait_until(lambda: settled(left), "nothing is going on")
        before = settled(left)
        name = ("--ike", "strangers") if what == "ike" else ("--child", "data")
        host.swanctl("--rekey", *name)
        changed = 0 if what == "ike" else 1
        left.wait_until(lambda: is_rekeyed(left, before, changed), f"{what} is rekeyed by {host.name}")
        right.wait_until(lambda: settled(right), f"{what} is rekeyed by {host.name}")
        assert left.sa("strangers")["initiator-spi"] == right.sa("strangers")["initiator-spi"]
        are_strangers(left, right)
        assert len(left.peers()) == len(right.peers()) == 1
        assert right.peers()[0]["child-sas"] == "1"
    assert right.stats()["accepted"] == 1
    world.check_transfer(left, right)
    left.swanctl("--terminate", "--ike", "strangers")
    for host in (left, right):
        host.wait_until(lambda: not host.peers() and host.stats()["peers"] == 0, "nothing is remembered")
