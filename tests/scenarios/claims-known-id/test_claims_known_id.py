# SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception
"""Who claims an identity that is known here authenticates as that or is refused, and the event says so."""

import pytest

from harness.checks import connects, has_no_sa, is_stranger, rejects


def hosts(world, claim):
    left = world.host("left", world.conf("left").replace("encap", f'local {{\n\t\t\tid = "{claim}"\n\t\t}}\n\t\tencap'), "ed25519",
                      start=False)
    right = world.host("right", key="ed25519", start=False)
    alice = world.keys.key("ed25519", "alice")
    right.add_file("pubkey/alice.pem", alice.public_pem)
    world.start(left, right)
    return left, right


@pytest.mark.parametrize(
    "claim",
    ["alice@example.org", "ALICE@example.org", "somebody@staff.example.org", "bob.example.org"],
)
def test_claims_known_id(world, claim):
    left, right = hosts(world, claim)
    event = rejects(right, left, "data", "claims-known-id")
    assert event["asserted-id"] == claim
    assert event["remote-host"] == "192.0.2.1"
    assert right.peers() == []
    has_no_sa(left, right)


SOMEWHERE_ELSE = """
connections {
	elsewhere {
		version = %s
		remote_addrs = 203.0.113.78
		local {
			auth = pubkey
			pubkeys = me.pem
		}
		%s
		children {
			data {
			}
		}
	}
}
"""

OTHER_KINDS = {
    "an EAP identity": (2, "remote {\n auth = eap-md5\n eap_id = carol\n }"),
    "an EAP identity for any IKE identity": (2, "remote {\n auth = eap-md5\n id = %any\n eap_id = carol\n }"),
    "a second round's": (2, "remote-1 {\n auth = pubkey\n id = somebody\n }\n remote-2 {\n auth = psk\n id = carol\n }"),
    "a second round's EAP identity": (2, "remote-1 {\n auth = pubkey\n }\n remote-2 {\n auth = eap-md5\n eap_id = carol\n }"),
    "an XAuth identity": (1, "remote-1 {\n auth = pubkey\n }\n remote-2 {\n auth = xauth\n xauth_id = carol\n }"),
    "one for IKEv1 only": (1, "remote {\n auth = pubkey\n id = carol\n }"),
}


@pytest.mark.parametrize("kind", OTHER_KINDS)
def test_an_id_is_known_in_whatever_role(world, kind):
    """No connection that charon offers to the peer has the name."""
    left, right = hosts(world, "carol")
    right.configure(world.conf("right") + SOMEWHERE_ELSE % OTHER_KINDS[kind])
    right.load_all()
    assert rejects(right, left, "data", "claims-known-id")["asserted-id"] == "carol"
    right.configure(world.conf("right"))
    right.load_all()
    connects(left, "data")
    is_stranger(right, "strangers", left.key)


@pytest.mark.parametrize("claim", ["fqdn:alice@example.org", "keyid:alice@example.org"])
def test_the_same_name_in_another_type(world, claim):
    left, right = hosts(world, claim)
    assert rejects(right, left, "data", "claims-known-id")["asserted-id"] == claim.split(":")[1]
    has_no_sa(left, right)


@pytest.mark.parametrize("claim", ["btns:sha256:" + "0" * 64, "BTNS:known", "fqdn: btns:x", "email:btns:null"])
def test_claims_reserved_id(world, claim):
    left, right = hosts(world, claim)
    rejects(right, left, "data", "claims-reserved-id")
    has_no_sa(left, right)


@pytest.mark.parametrize("alices_key", ["held", "not-held"])
def test_a_responder_that_claims_a_known_id(world, alices_key):
    """The same rule for initiators: who answers as alice has to be alice."""
    right = world.host("right", world.conf("right").replace("encap", 'local {\n\t\t\tid = "alice@example.org"\n\t\t}\n\t\tencap', 1),
                       "ed25519", start=False)
    knows_alice = """
connections {
	alice {
		version = 2
		remote_addrs = 198.51.100.9
		local {
			auth = pubkey
			pubkeys = me.pem
		}
		remote {
			auth = pubkey
			id = alice@example.org
		}
		children {
			data {
			}
		}
	}
}
"""
    if alices_key == "held":
        knows_alice = knows_alice.replace("id = alice@example.org", "id = alice@example.org\n\t\t\tpubkeys = alice.pem")
    left = world.host("left", world.conf("left") + knows_alice, "ed25519", start=False)
    left.add_file("pubkey/alice.pem", world.keys.key("ed25519", "alice").public_pem)
    right.add_file("pubkey/alice.pem", world.keys.key("ed25519", "alice").public_pem)
    world.start(left, right)
    assert not left.initiate("data", "strangers").success
    # with her key at hand charon does not look any further once that did not verify
    code = "not-verified" if alices_key == "held" else "claims-known-id"
    assert left.rejected(code)["asserted-id"] == "alice@example.org"
    has_no_sa(left, right)


def test_others_are_served(world):
    left, right = hosts(world, "mallory@example.org")
    connects(left, "data")
    peer = is_stranger(right, "strangers", left.key)
    assert peer["asserted-id"] == "mallory@example.org"


def test_alice_herself_is_served(world):
    left, right = hosts(world, "alice@example.org")
    left.own(world.keys.key("ed25519", "alice"))
    left.namespace.ip("addr", "add", "10.66.200.7/32", "dev", "lo")
    conf = world.conf("left").replace("encap", 'local {\n\t\t\tid = "alice@example.org"\n\t\t}\n\t\tencap')
    left.configure(conf.replace("10.66.128.7/32", "10.66.200.7/32"))
    left.load_all()
    connects(left, "data")
    assert right.sa("alice")["remote-id"] == "alice@example.org"
    assert right.peers() == []
