# SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception
"""After several rekeyings of IKE_SA and CHILD_SA, started by either side, key, identity and data flow are the same."""

from harness.checks import are_strangers, connects


def spis(host):
    sa = host.sa("strangers")
    (child,) = [child for child in sa["child-sas"].values() if child["state"] == "INSTALLED"]
    return sa["initiator-spi"], child["spi-in"]


def settled(host):
    sas = host.sas()
    return (
        len(sas) == 1
        and sas[0]["state"] == "ESTABLISHED"
        and [child["state"] for child in sas[0]["child-sas"].values()] == ["INSTALLED"]
    )


def test_rekey(world):
    left, right = world.pair("rsa2048", "ed25519")
    connects(left, "data")
    are_strangers(left, right)
    for host, what in [(left, "ike"), (right, "child"), (right, "ike"), (left, "child"), (left, "ike"), (right, "ike")]:
        before = spis(left)
        name = ("--ike", "strangers") if what == "ike" else ("--child", "data")
        host.swanctl("--rekey", *name)
        changed = 0 if what == "ike" else 1
        for each in (left, right):
            each.wait_until(lambda: settled(each) and spis(each)[changed] != before[changed] if each is left
                            else settled(each), f"{what} is rekeyed by {host.name}")
        assert left.sa("strangers")["initiator-spi"] == right.sa("strangers")["initiator-spi"]
        are_strangers(left, right)
        assert len(left.peers()) == len(right.peers()) == 1
        assert right.peers()[0]["child-sas"] == "1"
    assert right.stats()["accepted"] == 1
    world.check_transfer(left, right)
    left.swanctl("--terminate", "--ike", "strangers")
    for host in (left, right):
        host.wait_until(lambda: not host.peers() and host.stats()["peers"] == 0, "nothing is remembered")
