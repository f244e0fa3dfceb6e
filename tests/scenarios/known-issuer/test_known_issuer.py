# SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception
"""Who presents or names a certificate, an issuer or a key that is known here is no stranger, whether that is valid or not,
and whether a bare key comes along or not."""

import pytest

from harness import ikev2
from harness.keys import EXPIRED, der, run

CA_NAME = "Company CA"


class Stage:
    """A responder that trusts a CA and has Carol's certificate, and an initiator that says what it wants."""

    def __init__(self, world):
        self.keys = world.keys
        self.left = world.host("left", key="ed25519", start=False)
        self.right = world.host("right", key="ed25519", start=False)
        self.ca = world.keys.ca(CA_NAME)
        self.key = world.keys.key("ed25519")
        self.carol = world.keys.key("ed25519")
        self.right.add_file("x509ca/ca.pem", self.ca.pem)
        self.right.add_file("x509/carol.pem", self.ca.issue(self.carol, "carol.example.org"))

    def start(self):
        self.right.start()
        return self

    def tries(self, certs, key=None, **how):
        return ikev2.attempt(self.left.namespace, self.left.address, self.right.address, certs,
                             ikev2.Signer((key or self.key).path), **how)

    def refuses(self, certs, key=None, **how):
        """The reason is that the credential is known, and nothing else."""
        start = self.right.events.mark()
        answer = self.tries(certs, key, **how)
        assert answer.refused, answer
        event = self.right.events.wait("btns-rejected", timeout=5, start=start)
        assert event["code"] == "credential-known", event
        assert self.right.peers() == []

    def refuses_certificate(self, pem):
        cert = (ikev2.X509, der(pem))
        bare = (ikev2.SPKI, self.key.spki)
        for certs in ([cert], [cert, bare], [bare, cert]):
            self.refuses(certs)


@pytest.fixture
def stage(world):
    return Stage(world)


def test_a_certificate_that_names_nobody_is_a_strangers(stage):
    """Else all the refusals here would prove nothing."""
    stage.start()
    cert = (ikev2.X509, der(stage.keys.self_signed(stage.key, "somebody.example.net")))
    for certs in ([cert], [(ikev2.SPKI, stage.key.spki), cert]):
        assert stage.tries(certs).authenticated
    assert {peer["fingerprint"] for peer in stage.right.peers()} == {stage.key.fingerprint}


def test_a_certificate_that_expired(stage):
    stage.start().refuses_certificate(stage.ca.issue(stage.key, "hostile.example.net", lifetime=EXPIRED))


def test_a_certificate_that_is_revoked(stage):
    cert = stage.ca.issue(stage.key, "hostile.example.net")
    stage.right.add_file("x509crl/ca.pem", stage.ca.revoke(cert))
    stage.start().refuses_certificate(cert)


def test_a_certificate_of_another_ca_with_the_same_name(stage):
    stage.start().refuses_certificate(stage.keys.ca(CA_NAME).issue(stage.key, "hostile.example.net"))


def test_a_copy_of_the_ca_that_signed_itself(stage):
    copy = run("pki", "--self", "--ca", "--in", stage.key.path, "--type", "priv", "--dn", stage.ca.dn, "--lifetime", "1",
               "--outform", "pem").decode()
    stage.start().refuses_certificate(copy)


def test_a_certificate_that_the_cas_key_signed_under_another_name(stage):
    """Only the authority key identifier tells whose it is."""
    renamed = stage.keys.file("renamed.pem")
    renamed.write_bytes(run("pki", "--self", "--ca", "--in", stage.ca.key.path, "--type", "priv", "--dn",
                            "C=XX, O=btns test, CN=Another name", "--lifetime", "1", "--outform", "pem"))
    cert = run("pki", "--issue", "--cacert", renamed, "--cakey", stage.ca.key.path, "--in", stage.key.path, "--type", "priv",
               "--dn", "C=XX, O=btns test, CN=hostile.example.net", "--san", "hostile.example.net", "--lifetime", "1",
               "--outform", "pem").decode()
    stage.start().refuses_certificate(cert)


def test_a_certificate_that_is_somewhere_else(stage):
    """Nothing is fetched to find out whose it is."""
    elsewhere = (ikev2.HASH_AND_URL, bytes(20) + b"http://192.0.2.9/me.der")
    stage.start().refuses([elsewhere, (ikev2.SPKI, stage.key.spki)])


def test_the_key_of_a_loaded_certificate(stage):
    stage.start().refuses([(ikev2.SPKI, stage.carol.spki)], stage.carol)


def test_the_name_of_a_loaded_certificate(stage):
    """No connection knows Carol, but her certificate is here."""
    stage.start().refuses([(ikev2.SPKI, stage.key.spki)], identity="carol.example.org")


def test_a_certificate_that_only_a_peer_has_shown(stage):
    """charon keeps it for a while. It vouches for nobody: else anybody could keep a stranger out who knows its public key."""
    stage.start()
    authority = stage.keys.ca("CA of nobody here")
    signed = [stage.keys.self_signed(stage.key, "somebody.example.net")]
    issued = [authority.issue(stage.key, "somebody.example.net"), authority.pem]
    bare = [(ikev2.SPKI, stage.key.spki)]
    for shown in (signed, issued):
        certs = [(ikev2.X509, der(pem)) for pem in shown]
        assert stage.tries(certs, stage.keys.key("ed25519")).refused
        for presented in (bare, certs):
            assert stage.tries(presented).authenticated
        assert stage.tries(bare, stage.keys.key("ed25519")).refused
