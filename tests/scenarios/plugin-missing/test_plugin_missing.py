# SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception
"""The same configuration without the plugin admits nobody: the flag fails closed."""

from harness.checks import has_no_sa, is_refused, rejects


def test_the_responder_has_no_plugin(world):
    left = world.host("left", key="ed25519", start=False)
    right = world.host("right", key="ed25519", plugin=None, start=False)
    world.start(left, right)
    is_refused(left, "data")
    assert "no trusted" in right.log()
    assert right.alive()
    has_no_sa(left, right)


def test_the_initiator_has_no_plugin(world):
    """It sends no key, so it is refused, and it would refuse the responder."""
    left = world.host("left", key="ed25519", plugin=None, start=False)
    right = world.host("right", key="ed25519", start=False)
    world.start(left, right)
    rejects(right, left, "data", "no-key")
    has_no_sa(left, right)


def test_a_known_key_does_not_have_the_group(world):
    """Even a responder that holds the key needs somebody to vouch for the group."""
    left = world.host("left", key="ed25519", start=False)
    right = world.host("right", key="ed25519", plugin=None, start=False)
    right.add_file("pubkey/left.pem", left.key.public_pem)
    text = world.conf("right").replace("local_addrs", "remote {\n\t\t\tpubkeys = left.pem\n\t\t}\n\t\tlocal_addrs")
    right.configure(text)
    world.start(left, right)
    is_refused(left, "data")
    assert "group membership" in right.log() or "constraint" in right.log()
    has_no_sa(left, right)
