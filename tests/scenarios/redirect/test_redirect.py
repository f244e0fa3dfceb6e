# SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception
"""A BTNS peer may not send us elsewhere: its REDIRECT is ignored, and the SA stays as it is."""

from harness.checks import are_strangers, connects

KNOWN = """encap = yes
		local {{
			id = {me}
		}}
		remote {{
			id = {peer}
			groups =
			pubkeys = peer.pem
		}}"""


def redirect(right):
    right.swanctl("--redirect", "--ike", "strangers", "--gateway", "192.0.2.3")


def test_a_stranger_is_not_followed(world):
    left, right = world.pair()
    connects(left, "data")
    before = are_strangers(left, right)
    redirect(right)
    left.wait_log("ignoring a redirection by a BTNS peer")
    assert are_strangers(left, right)["ike-spi-i"] == before["ike-spi-i"]
    assert [sa["remote-host"] for sa in left.sas()] == ["192.0.2.2"]
    world.check_transfer(left, right)


def test_somebody_known_is_followed(world):
    """Nothing of strongSwan is lost."""
    left = world.host("left", world.conf("left").replace("encap = yes", KNOWN.format(me="left", peer="right")), "ed25519",
                      start=False)
    right = world.host("right", world.conf("right").replace("encap = yes", KNOWN.format(me="right", peer="left")), "ed25519",
                       start=False)
    left.add_file("pubkey/peer.pem", right.key.public_pem)
    right.add_file("pubkey/peer.pem", left.key.public_pem)
    world.start(left, right)
    connects(left, "data")
    assert left.peers() == right.peers() == []
    redirect(right)
    left.wait_log("initiating IKE_SA .* to 192.0.2.3")
