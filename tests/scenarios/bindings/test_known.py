# SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception
"""Peers that authenticate have channel bindings, too, as far as the way they do it allows."""

import ssl

import pytest

from harness.bindings import ENDPOINTS, UNIQUE, agreed, asked, endpoints_of, missing, of_flow
from harness.checks import connects, rekeys
from harness.libbtns import Connection, facts, serves
from harness.vici import ViciError

KEYS = {"LOCAL": "auth = pubkey\n\t\t\tpubkeys = me.pem", "REMOTE": "auth = pubkey\n\t\t\tpubkeys = peer.pem"}
CERTIFICATES = {"LOCAL": "auth = pubkey\n\t\t\tcerts = me.pem", "REMOTE": "auth = pubkey\n\t\t\tcacerts = ca.pem"}
SECRET = {"LOCAL": "auth = psk", "REMOTE": "auth = psk"}
SECOND = "local-2 {\n\t\t\tround = 2\n\t\t\tauth = psk\n\t\t}\n\t\tremote-2 {\n\t\t\tround = 2\n\t\t\tauth = psk\n\t\t}"
EAP = ("md5", "eap-identity", "eap-md5")


def known(world, left=KEYS, right=None, more="", keys=("ed25519", "ecdsa256"), there="192.0.2.1", load=(), version="2",
          prepare=lambda host: host, **both):
    """Two hosts that know each other: with pinned keys unless it is said otherwise."""
    words = {"HERE": "192.0.2.1", "THERE": "192.0.2.2", "ME": "left", "PEER": "right", "MORE": more, "VERSION": version,
             "INSIDE": "10.66.128.7/32", "BEYOND": "10.66.0.1/32", **left}
    one = world.host("left", world.conf("known", **words), keys[0], start=False, load=load, **both)
    words = {"HERE": "192.0.2.2", "THERE": there, "ME": "right", "PEER": "left", "MORE": more, "VERSION": version,
             "INSIDE": "10.66.0.1/32", "BEYOND": "10.66.128.7/32", **(right or left)}
    other = world.host("right", world.conf("known", **words), keys[1], start=False, load=load, **both)
    for host, peer in ((one, other), (other, one)):
        host.add_file("pubkey/peer.pem", peer.key.public_pem)
    if left is CERTIFICATES:
        ca = world.keys.ca("CA")
        for host in (one, other):
            host.add_file("x509ca/ca.pem", ca.pem)
            host.add_file("x509ca/unused.pem", world.keys.ca("another CA").pem)
            host.add_file("x509/me.pem", ca.issue(host.key, host.name))
    for host in (one, other):
        prepare(host)
    world.start(one, other)
    return one, other


@pytest.mark.parametrize("how", [KEYS, CERTIFICATES], ids=["public-key", "certificate"])
def test_keys(world, how):
    left, right = known(world, how, keys=("rsa2048", "ed25519"))
    connects(left, "data")
    endpoints, unique = agreed(left, right)
    assert endpoints == endpoints_of(left.key, right.key)
    answer = of_flow(right, left)
    method = "public-key" if how is KEYS else "certificate"
    assert (answer["local-method"], answer["peer-method"]) == (method, method)
    assert answer["asserted-id"] == answer["authorized-id"] == "left"
    assert answer["peer-fingerprint"] == left.key.fingerprint
    assert bytes.fromhex(answer["peer-key"]) == left.key.spki
    assert "peer-certificate" not in answer and "trust-anchor" not in answer, "nobody wants them to be kept"
    for host, what in [(right, "ike"), (left, "child")]:
        rekeys(host, right if host is left else left, what, connection="known")
        assert agreed(left, right) == (endpoints, unique)
    assert unique


def certificate(host, file):
    """A certificate that a host has, as DER."""
    return ssl.PEM_cert_to_DER_cert((host.swanctl_dir / file).read_text())


def keeps_certificates(host):
    serves(host)
    host.btns["keep_certificates"] = "yes"


def test_the_certificates_of_a_peer(world):
    """Kept for applications if that is wanted: the peer's, and what it was validated to, of several that are trusted."""
    left, right = known(world, CERTIFICATES, prepare=keeps_certificates, keys=("rsa4096", "ecdsa256"))
    connects(left, "data")
    for rekeyed in (False, True):
        with Connection(left, right) as connection:
            for host, peer, end in ((left, right, connection.client), (right, left, connection.server)):
                found, answer = facts(host, end), of_flow(host, peer)
                assert found.peer_certificate == certificate(peer, "x509/me.pem")
                assert found.trust_anchor == certificate(host, "x509ca/ca.pem")
                assert bytes.fromhex(answer["peer-certificate"]) == found.peer_certificate
                assert bytes.fromhex(answer["trust-anchor"]) == found.trust_anchor
        if not rekeyed:
            rekeys(left, right, "ike", connection="known")
    left.swanctl("--terminate", "--ike", "known")
    right.wait_until(lambda: not right.sas(), "the SA is gone")
    right.btns["keep_certificates"] = "no"
    right.reload_options()
    connects(left, "data")
    assert "peer-certificate" in of_flow(left, right) and "peer-certificate" not in of_flow(right, left)


def test_a_certificate_that_is_trusted_itself(world):
    """It is its own trust anchor, and a key has none."""
    key = world.keys.key()
    pem = world.keys.self_signed(key, "left")

    def has_it(host):
        keeps_certificates(host)
        host.add_file("x509/me.pem" if host.name == "left" else "x509/peer.pem", pem)

    left, right = known(
        world, {"LOCAL": CERTIFICATES["LOCAL"], "REMOTE": KEYS["REMOTE"]},
        {"LOCAL": KEYS["LOCAL"], "REMOTE": "auth = pubkey\n\t\t\tcerts = peer.pem"}, keys=(key, "ecdsa256"), prepare=has_it)
    connects(left, "data")
    answer = of_flow(right, left)
    assert answer["peer-method"] == "certificate"
    assert bytes.fromhex(answer["peer-certificate"]) == bytes.fromhex(answer["trust-anchor"]) == certificate(right, "x509/peer.pem")
    answer = of_flow(left, right)
    assert answer["peer-method"] == "public-key"
    assert "peer-certificate" not in answer and "trust-anchor" not in answer


def test_a_shared_secret(world):
    """Nobody has signed, so only the unique binding is there."""
    left, right = known(world, SECRET)
    connects(left, "data")
    endpoints, unique = agreed(left, right)
    assert unique and not endpoints
    assert missing(of_flow(left, right), ENDPOINTS) == "no-signature"
    answer = of_flow(right, left)
    assert (answer["local-method"], answer["peer-method"], answer["authorized-id"]) == ("psk", "psk", "left")
    assert "peer-fingerprint" not in answer and "peer-key" not in answer
    rekeys(left, right, "ike", connection="known")
    assert agreed(left, right) == (None, unique)


def test_a_user_with_a_password(world):
    """EAP: the user has no key, and the gateway sends two AUTH payloads."""
    left, right = known(
        world, {"LOCAL": "auth = eap-md5", "REMOTE": KEYS["REMOTE"]}, {"LOCAL": KEYS["LOCAL"], "REMOTE": "auth = eap-md5"},
        load=EAP)
    connects(left, "data")
    assert agreed(left, right) == (None, None)
    for host, peer in ((left, right), (right, left)):
        assert missing(of_flow(host, peer), ENDPOINTS) == "no-signature"
        assert missing(of_flow(host, peer), UNIQUE) == "auths"
    assert of_flow(right, left)["peer-method"] == "eap"
    assert of_flow(left, right)["local-method"] == "eap"


def test_two_rounds(world):
    left, right = known(world, more=SECOND)
    connects(left, "data")
    assert agreed(left, right) == (None, None)
    for host, peer in ((left, right), (right, left)):
        assert missing(of_flow(host, peer), ENDPOINTS) == "rounds"
        assert missing(of_flow(host, peer), UNIQUE) == "auths"
        assert of_flow(host, peer)["peer-method"] == "multiple"


def test_the_same_key_on_both(world):
    key = world.keys.key("ed25519")
    left, right = known(world, keys=(key, key))
    connects(left, "data")
    endpoints, unique = agreed(left, right)
    assert unique and not endpoints
    assert missing(of_flow(left, right), ENDPOINTS) == missing(of_flow(right, left), ENDPOINTS) == "same-key"


def unless_replaced(left, right):
    """What both agree on; nothing if a CHILD_SA was replaced in between."""
    try:
        return agreed(left, right)
    except ViciError:
        return None


def test_a_peer_that_moves(world):
    """MOBIKE."""
    left, right = known(world, there="%any")
    left.swanctl("--terminate", "--ike", "known", check=False)
    left.configure((left.swanctl_dir / "swanctl.conf").read_text().replace("local_addrs = 192.0.2.1", ""))
    left.load_all()
    # or the SA might move there
    left.namespace.ip("addr", "del", "2001:db8::1/64", "dev", "eth0")
    connects(left, "data")
    before = agreed(left, right)
    assert all(before)
    assert of_flow(right, left)["remote-host"] == "192.0.2.1"
    left.namespace.ip("addr", "add", "192.0.2.11/24", "dev", "eth0")
    left.namespace.ip("addr", "del", "192.0.2.1/24", "dev", "eth0")
    right.wait_until(lambda: right.sa("known")["remote-host"] == "192.0.2.11", "the SA has moved", 15)
    # moving a CHILD_SA may be to replace it, which is not done when the IKE_SA has moved
    right.wait_until(lambda: unless_replaced(left, right) == before, "the bindings are what they were", 15)
    assert of_flow(right, left)["remote-host"] == "192.0.2.11"
    assert of_flow(left, right)["local-host"] == "192.0.2.11"


def test_who_comes_and_goes(world):
    """Events for every peer; and when one with another key has come."""
    left, right = known(world)
    connects(left, "data")
    up = right.events.wait("btns-peer-up")
    assert up["connection"] == "known" and up["peer-method"] == "public-key"
    assert up["peer-fingerprint"] == left.key.fingerprint and up["remote-host"] == "192.0.2.1"
    assert left.events.wait("btns-peer-up")["authorized-id"] == "right"
    rekeys(left, right, "ike", connection="known")
    left.swanctl("--terminate", "--ike", "known")
    down = right.events.wait("btns-peer-down")
    assert down["peer-fingerprint"] == left.key.fingerprint
    connects(left, "data")
    right.wait_until(lambda: len(right.events.of("btns-peer-up")) == 2, "it has come again")
    assert not right.events.of("btns-peer-changed"), "it is the same"
    left.swanctl("--terminate", "--ike", "known")
    right.wait_until(lambda: len(right.events.of("btns-peer-down")) == 2, "it has gone")
    # another key, that right takes for the same
    other = world.keys.key("ed25519")
    first = left.key.fingerprint
    left.own(other)
    right.add_file("pubkey/peer.pem", other.public_pem)
    for host in (left, right):
        host.swanctl("--load-creds", "--clear", "--noprompt")
        host.load_all()
    connects(left, "data")
    changed = right.events.wait("btns-peer-changed")
    assert changed["peer-fingerprint"] == other.fingerprint
    assert changed["previous-fingerprint"] == first
    assert not left.events.of("btns-peer-changed")


def test_an_sa_of_ikev1_has_none(world):
    left, right = known(world, SECRET, version="1")
    outcome = left.initiate("data", timeout=8)
    if "IKE version 1 not supported" in left.log():
        pytest.skip("Debian builds this strongSwan without IKEv1")
    assert outcome.success, outcome.log
    for host, peer in ((left, right), (right, left)):
        # the responder installs it with the third message of quick mode
        host.wait_until(lambda: of_flow(host, peer)["protection"] == "protected", "the CHILD_SA is there")
        answer = of_flow(host, peer)
        assert missing(answer, ENDPOINTS) == missing(answer, UNIQUE) == "ikev1"
        assert missing(asked(host, uniqueid=answer["uniqueid"]), UNIQUE) == "ikev1"
