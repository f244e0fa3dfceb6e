# SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception
"""A stranger that authenticates again, by breaking the SA first or by making the new one first, whoever starts, is the
same stranger."""

import pytest

from harness.checks import are_strangers, connects


@pytest.mark.parametrize("starter", ["initiator", "responder"])
@pytest.mark.parametrize("how", ["break-before-make", "make-before-break"])
def test_reauth(world, how, starter):
    options = {"make_before_break": "yes" if how == "make-before-break" else "no"}
    left, right = world.pair("ed25519", "ecdsa256", options=options)
    connects(left, "data")
    are_strangers(left, right)
    host = left if starter == "initiator" else right
    for _ in range(2):
        before = host.sa("strangers")["uniqueid"]
        host.swanctl("--rekey", "--ike", "strangers", "--reauth")

        def again():
            up = [sa for sa in host.sas() if sa["state"] == "ESTABLISHED"]
            return (
                len(host.sas()) == 1
                and len(up) == 1
                and up[0]["uniqueid"] != before
                and [child["state"] for child in up[0]["child-sas"].values()] == ["INSTALLED"]
            )

        host.wait_until(again, "authenticated again", 15)
        other = right if host is left else left
        other.wait_until(lambda: len(other.sas()) == 1 and len(other.peers()) == 1, "one SA")
        are_strangers(left, right)
    for each in (left, right):
        assert not [seen for seen in each.events.of("btns-rejected")], each.events.of("btns-rejected")
    world.check_transfer(left, right)
