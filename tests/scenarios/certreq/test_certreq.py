# SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception
"""Raw public keys are asked for in CERTREQ payloads (RFC 7670, section 3), and who asks for older kinds gets no other; peers
that know nothing of it are not disturbed."""

import re

import pytest

from harness import ikev2
from harness.checks import connects, is_stranger

SPKI, PKCS1, OPENIKED = 15, 11, 201
ALL = {"encodings": "spki pkcs1 x509 openiked-ec"}


@pytest.fixture
def company(world):
    """A gateway with a certificate, for people and for strangers, and somebody's certificate of the same CA."""

    def make(left_plugin=True, right_plugin=True, right_key="ed25519", btns=None, left_key="ed25519", **left):
        ca = world.keys.ca("the company")
        right = world.host("right", key=right_key, start=False, plugin=right_plugin, btns=btns)
        right.add_file("x509/me.pem", ca.issue(right.key, "gateway.example.org"))
        if left_key:
            host = world.host("left", key=left_key, start=False, plugin=left_plugin, **left)
            host.add_file("x509/me.pem", ca.issue(host.key, "alice@example.org"))
        for one in world.hosts.values():
            one.add_file("x509ca/ca.pem", ca.pem)
        world.start(*world.hosts.values())
        if right_plugin:
            looked_at(right)
        return world.hosts

    return make


class Asking(ikev2.Initiator):
    """An initiator that asks for keys, and remembers what it gets."""

    def requests(self):
        """CERTREQ payloads of the IKE_SA_INIT response: their bodies."""
        return [body for kind, body in ikev2.unchain(self.response[16], self.response[28:]) if kind == ikev2.CERTREQ]

    def certs(self):
        """Encodings of the CERT payloads of the IKE_AUTH response."""
        return [body[0] for kind, body in self.answered if kind == ikev2.CERT]


def responder(world, key="ed25519", btns=None, conf=""):
    world.host("left", key="ed25519", start=False)
    right = world.host("right", conf, key, btns=btns, start=False)
    right.start()
    looked_at(right)
    return right


def looked_at(host):
    """The plugin knows the configuration. It looks at it now and then, and when it is asked."""
    host.pad()


def first_requests(world, right):
    with Asking(world.hosts["left"].namespace, "192.0.2.1", right.address) as initiator:
        return initiator.init().requests()


def test_a_responder_that_admits_strangers_asks_for_their_keys(world):
    """RFC 7670, section 3: the Certification Authority field MUST be empty. What OpenIKED knows comes last, because it
    looks at that for what to do if it has nothing else."""
    right = responder(world, conf=world.conf("strangers"))
    assert first_requests(world, right) == [bytes([SPKI]), bytes([PKCS1])]


def test_a_responder_that_admits_none_asks_as_charon_does(world):
    right = responder(world, conf="connections { known { version = 2\n local_addrs = 192.0.2.2\n local { auth = pubkey }\n"
                                  " remote { auth = pubkey\n id = somebody.example.org } } }")
    assert first_requests(world, right) == []


@pytest.mark.parametrize("kind, asked, got", [
    ("rsa2048", [], [PKCS1, SPKI]),
    ("rsa2048", [SPKI], [PKCS1, SPKI]),
    ("rsa2048", [PKCS1, SPKI], [PKCS1, SPKI]),
    ("rsa2048", [PKCS1], [PKCS1]),
    ("rsa2048", [OPENIKED], [PKCS1]),
    ("ecdsa256", [], [SPKI]),
    ("ecdsa256", [SPKI], [SPKI]),
    ("ecdsa256", [PKCS1], [OPENIKED]),
    ("ecdsa256", [OPENIKED], [OPENIKED]),
    ("ed25519", [PKCS1], []),
    ("ed25519", [77], [SPKI]),
])
def test_who_asks_for_older_kinds_only_gets_no_other(world, kind, asked, got):
    right = responder(world, kind, ALL, world.conf("strangers"))
    key = world.keys.key("ed25519")
    with Asking(world.hosts["left"].namespace, "192.0.2.1", right.address) as initiator:
        answer = initiator.init().auth([(SPKI, key.spki)], ikev2.Signer(key.path),
                                       more=[(ikev2.CERTREQ, bytes([encoding])) for encoding in asked])
        assert answer.authenticated, answer
        assert initiator.certs() == got
    is_stranger(right, "strangers", key)


@pytest.mark.parametrize("switched_on", [True, False])
def test_openikeds_encoding_of_ec_keys_is_accepted_if_it_is_switched_on(world, switched_on):
    right = responder(world, btns=ALL if switched_on else None, conf=world.conf("strangers"))
    key = world.keys.key("ecdsa256")
    answer = ikev2.attempt(world.hosts["left"].namespace, "192.0.2.1", right.address, [(OPENIKED, key.spki)],
                           ikev2.Signer(key.path))
    if switched_on:
        assert answer.authenticated
        assert is_stranger(right, "strangers", key)["encoding"] == "openiked-ec"
    else:
        assert answer.refused
        right.rejected("encoding-disabled")


def test_openikeds_encoding_is_for_ec_keys(world):
    right = responder(world, btns=ALL, conf=world.conf("strangers"))
    for kind in ("rsa2048", "ed25519"):
        key = world.keys.key(kind)
        answer = ikev2.attempt(world.hosts["left"].namespace, "192.0.2.1", right.address, [(OPENIKED, key.spki)],
                               ikev2.Signer(key.path))
        assert answer.refused
        right.rejected("key-malformed")


def test_an_initiator_asks_strangers(world):
    left, right = world.host("left", key="ed25519", start=False), world.host("right", world.conf("strangers"), "ed25519",
                                                                             start=False)
    world.start(left, right)
    connects(left, "data")
    assert re.search(r"parsed IKE_AUTH request 1 \[ IDi CERT (CERTREQ ){2}AUTH", right.log()), "no request in IKE_AUTH"
    is_stranger(right, "strangers", left.key)


@pytest.mark.parametrize("plugins", ["neither", "left", "right", "both"])
def test_who_has_a_certificate_is_served_as_before(world, company, plugins):
    """Whoever has the plugin and whoever has not: what is asked for and shown beside certificates is passed over."""
    hosts = company(plugins in ("left", "both"), plugins in ("right", "both"), conf=world.conf("known"))
    connects(hosts["left"], "data")
    assert hosts["right"].sa("people")["remote-id"] == "alice@example.org"
    asked = "CERTREQ CERTREQ CERTREQ" in hosts["left"].log().partition("parsed IKE_SA_INIT response")[2].partition("\n")[0]
    assert asked == (plugins in ("right", "both")), hosts["left"].log()
    world.check_transfer(hosts["left"], hosts["right"])
