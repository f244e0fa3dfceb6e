# SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception
"""Whatever a peer puts into CERT payloads, charon lives, says why it refuses, and serves the next stranger."""

import struct

import pytest

from harness import ikev2
from harness.checks import connects, is_stranger
from harness.keys import run

OID_ED25519 = bytes.fromhex("06032b6570")
OID_X25519 = bytes.fromhex("06032b656e")


class Attacker:
    """The left host without a charon."""

    def __init__(self, world):
        self.world = world
        self.left = world.host("left", key="ed25519", start=False)
        self.right = world.host("right", key="ed25519")
        self.key = world.keys.key("ed25519")
        self.signer = ikev2.Signer(self.key.path)

    def tries(self, certs, signer=None, **how):
        return ikev2.attempt(self.left.namespace, self.left.address, self.right.address, certs, signer or self.signer, **how)

    def refused(self, what, codes, certs, signer=None, **how):
        """It is refused, one of the reasons is given and counted, and charon lives."""
        start = self.right.events.mark()
        before = self.right.stats()
        answer = self.tries(certs, signer, **how)
        assert answer.refused, f"{what}: {answer}"
        event = self.right.events.wait("btns-rejected", timeout=5, start=start)
        assert event["code"] in codes, f"{what}: {event}"
        assert event["reason"], event
        counter = f"refused-{event['code']}"
        assert self.right.stats()[counter] == before.get(counter, 0) + 1, what
        assert self.right.alive(), what
        assert self.right.peers() == [], what

    def good_stranger_is_served(self):
        self.right.wait_until(lambda: self.right.stats()["records"] == len(self.right.sas()) == 0, "nothing is remembered")
        self.left.start()
        connects(self.left, "data")
        is_stranger(self.right, "strangers", self.left.key)
        self.world.check_transfer(self.left, self.right)


@pytest.fixture
def attacker(world):
    return Attacker(world)


def test_the_test_initiator_itself_is_served(attacker):
    """Else all the refusals here would prove nothing."""
    right = attacker.right
    for kind in ("ed25519", "rsa2048", "ecdsa256"):
        key = attacker.world.keys.key(kind)
        answer = attacker.tries([(ikev2.SPKI, key.spki)], ikev2.Signer(key.path))
        assert answer.authenticated, f"{kind}: {answer}"
        assert key.fingerprint in [peer["fingerprint"] for peer in right.peers()]
    rsa = attacker.world.keys.key("rsa2048")
    both = [(ikev2.SPKI, rsa.spki), (ikev2.PKCS1, ikev2.pkcs1(rsa))]
    for certs in (both, both[::-1], both[1:]):
        answer = attacker.tries(certs, ikev2.Signer(rsa.path))
        assert answer.authenticated, f"one key in {len(certs)} encodings: {answer}"
    assert right.stats()["peers"] >= 4


def test_malformed_payloads(attacker):
    spki = attacker.key.spki
    rsa = attacker.world.keys.key("rsa2048")
    malformed = {"key-malformed"}
    attacker.refused("no CERT", {"no-key"}, [])
    attacker.refused("empty", {"key-empty"}, [(ikev2.SPKI, b"")])
    for length in (1, 2, 11, len(spki) - 1):
        attacker.refused(f"truncated to {length}", malformed, [(ikev2.SPKI, spki[:length])])
    for cut in (1, 4, 20, 200, 265):
        attacker.refused(f"RSA without the last {cut}", malformed, [(ikev2.SPKI, rsa.spki[:-cut])])
        attacker.refused(f"PKCS#1 without the last {cut}", malformed, [(ikev2.PKCS1, ikev2.pkcs1(rsa)[:-cut])])
    attacker.refused("trailing", {"key-trailing-bytes"}, [(ikev2.SPKI, spki + b"\0")])
    attacker.refused("oversized", {"key-too-large", "certs-too-large", "key-trailing-bytes"}, [(ikev2.SPKI, spki + bytes(9000))])
    attacker.refused("oversized DER", {"key-too-large", "certs-too-large", "key-malformed"},
                     [(ikev2.SPKI, b"\x30\x82" + struct.pack("!H", 9000) + bytes(9000))])
    attacker.refused("a length that lies", malformed, [(ikev2.SPKI, b"\x30\x84\xff\xff\xff\xff" + spki[2:])])
    attacker.refused("indefinite length", malformed, [(ikev2.SPKI, b"\x30\x80" + spki[2:] + b"\0\0")])
    attacker.refused("nested", malformed, [(ikev2.SPKI, b"\x30\x80" * 400)])
    for seed in range(8):
        garbage = bytes((seed * 73 + at * at * 31 + at) & 0xFF for at in range(200))
        attacker.refused(f"garbage {seed}", malformed, [(ikev2.SPKI, garbage)])
    attacker.refused("garbage X.509", {"cert-malformed", "key-malformed", "credential-known", "no-key"},
                     [(ikev2.X509, b"\x30\x82\x01\x00" + bytes(256))])
    attacker.refused("PKCS#1 as SPKI", malformed, [(ikev2.SPKI, ikev2.pkcs1(rsa))])
    attacker.refused("SPKI as PKCS#1", malformed, [(ikev2.PKCS1, rsa.spki)])
    # charon itself takes no message with more than 8 CERT payloads, so the plugin never sees it
    answer = attacker.tries([(ikev2.SPKI, spki)] * 100)
    assert not answer.authenticated and answer.notifies == [ikev2.INVALID_SYNTAX], answer
    assert "more than 8 times" in attacker.right.log(), "charon says why"
    attacker.refused("hash and URL", {"credential-known", "no-key", "encoding-unknown"},
                     [(ikev2.HASH_AND_URL, bytes(20) + b"http://192.0.2.9/x")])
    attacker.refused("an encoding that is none", {"no-key", "encoding-unknown", "credential-known"}, [(99, spki)])
    attacker.good_stranger_is_served()


def test_payload_headers_that_lie(attacker):
    """charon's own parser refuses these; the plugin must not stumble."""
    spki = attacker.key.spki

    def longer(body):
        at = body.index(spki) - 5
        return body[:at + 2] + struct.pack("!H", 60000) + body[at + 4:]

    def shorter(body):
        at = body.index(spki) - 5
        return body[:at + 2] + struct.pack("!H", 4) + body[at + 4:]

    for raw in (longer, shorter, lambda body: body[:-10], lambda body: body[:3]):
        answer = attacker.tries([(ikev2.SPKI, spki)], raw=raw)
        assert not answer.authenticated, answer
        assert attacker.right.alive()
    attacker.good_stranger_is_served()


def test_keys_that_are_refused(attacker):
    keys = attacker.world.keys
    spki = attacker.key.spki
    for kind, code in (("rsa1024", "rsa-too-short"), ("ecdsa192", "ec-curve-unknown"), ("ecdsa256k1", "ec-curve-unknown")):
        key = keys.key(kind)
        attacker.refused(kind, {code}, [(ikev2.SPKI, key.spki)], ikev2.Signer(key.path))
    attacker.refused("X25519", {"key-type-unknown"}, [(ikev2.SPKI, spki.replace(OID_ED25519, OID_X25519))])
    attacker.refused("no point of Ed25519", {"ec-point-invalid"}, [(ikev2.SPKI, spki[:12] + b"\x02" + bytes(31))])
    p256 = keys.key("ecdsa256")
    flipped = p256.spki[:-1] + bytes([p256.spki[-1] ^ 1])
    attacker.refused("off the curve", {"ec-point-invalid"}, [(ikev2.SPKI, flipped)])
    explicit = run("openssl", "pkey", "-in", p256.path, "-pubout", "-outform", "DER", "-ec_param_enc", "explicit")
    attacker.refused("explicit parameters", {"ec-explicit-parameters"}, [(ikev2.SPKI, explicit)], ikev2.Signer(p256.path))
    rsa = keys.key("rsa2048")
    even = bytearray(rsa.spki)
    even[-6] ^= 1  # the modulus ends before 02 03 01 00 01
    attacker.refused("even modulus", {"rsa-even"}, [(ikev2.SPKI, bytes(even))])
    three = rsa.spki[:-3] + b"\x00\x00\x03"
    attacker.refused("exponent that is not DER", {"key-malformed", "rsa-exponent"}, [(ikev2.SPKI, three)])
    attacker.refused("even exponent", {"rsa-exponent"}, [(ikev2.SPKI, rsa.spki[:-1] + b"\x02")])
    attacker.good_stranger_is_served()


@pytest.mark.parametrize("weak", ["initiator", "responder"])
def test_a_charon_with_a_refused_key(world, weak):
    """The same checks in both roles, with charon and our own plugin as the peer."""
    left, right = world.pair(*(("rsa1024", "ed25519") if weak == "initiator" else ("ed25519", "rsa1024")))
    assert not left.initiate("data").success
    (right if weak == "initiator" else left).rejected("rsa-too-short")
    for host in (left, right):
        host.wait_until(lambda: not host.sas() and not host.peers(), "nothing is left")


def test_signatures_and_identities(attacker):
    keys = attacker.world.keys
    spki = attacker.key.spki
    other = keys.key("ed25519")
    rsa = keys.key("rsa2048")
    one = [(ikev2.SPKI, spki)]
    attacker.refused("another key signed", {"not-verified"}, one, ikev2.Signer(other.path))
    attacker.refused("another kind of key signed", {"not-verified"}, one, ikev2.Signer(rsa.path))
    attacker.refused("two keys", {"two-keys"}, [(ikev2.SPKI, spki), (ikev2.SPKI, other.spki)])
    attacker.refused("two keys, in two encodings", {"two-keys"}, [(ikev2.SPKI, spki), (ikev2.PKCS1, ikev2.pkcs1(rsa))])
    attacker.refused("another round to follow", {"multiple-rounds"}, one, more=[ikev2.notify(ikev2.ANOTHER_AUTH_FOLLOWS)])
    for name in ("btns:sha256:" + attacker.key.fingerprint, "BTNS:x", " btns:null", "\0btns:null"):
        for kind in (ikev2.ID_FQDN, ikev2.ID_RFC822, ikev2.ID_KEY_ID):
            attacker.refused(f"{name!r} as {kind}", {"claims-reserved-id"}, one, identity=name, id_type=kind)
    # the responder's own key, which is public, presented by somebody who does not have the private one
    attacker.refused("the responder's key", {"not-verified", "credential-known"}, [(ikev2.SPKI, attacker.right.key.spki)])
    attacker.good_stranger_is_served()


def test_another_address_than_in_ike_sa_init(attacker):
    attacker.left.namespace.ip("addr", "add", "192.0.2.11/24", "dev", "eth0")
    start = attacker.right.events.mark()
    with ikev2.Initiator(attacker.left.namespace, "192.0.2.1", "192.0.2.2") as initiator:
        initiator.init()
        initiator.move("192.0.2.11")
        answer = initiator.auth([(ikev2.SPKI, attacker.key.spki)], attacker.signer)
    assert answer.refused, answer
    assert attacker.right.events.wait("btns-rejected", start=start)["code"] == "address-changed"
    assert attacker.right.stats()["refused-address-changed"] == 1
    attacker.good_stranger_is_served()


def test_the_plugin_has_no_secrets_for_a_later_peer(attacker):
    """A refused peer's key is not offered to anybody who comes after it."""
    other = attacker.world.keys.key("ed25519")
    attacker.refused("signed by another", {"not-verified"}, [(ikev2.SPKI, attacker.key.spki)], ikev2.Signer(other.path))
    attacker.refused("no key, signed by the first", {"no-key"}, [], attacker.signer)
    attacker.good_stranger_is_served()
