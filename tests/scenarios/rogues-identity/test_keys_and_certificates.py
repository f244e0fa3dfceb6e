# SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception
"""Who has no private key for what he shows gets nothing, and what the company's CA has to do with is not for strangers."""

import pytest

from harness import ikev2
from harness.checks import connects, is_stranger
from harness.keys import CA, EXPIRED
from harness.rogue import bare, x509
from harness.victim import withstands

BOB = "bob@example.org"


def orders(*certs):
    """The same CERT payloads in both orders."""
    return [certs, certs[::-1]]


def test_alices_key_without_the_private_one(company):
    """Her public key is known here: who shows it has to be her, by whatever name, with another key beside it or not."""
    company = company().open()
    for name in ("alice@example.org", "mallory@example.net"):
        code = "claims-known-id" if name.startswith("alice") else "credential-known"
        company.mallory_is(name, bare(company.alice.key), initial_contact=True)
        company.withstands(code, "shows")
        for certs in orders(bare(company.alice.key), company.mallorys_key):
            company.mallory_is(name, *certs, initial_contact=True)
            company.withstands("claims-known-id" if name.startswith("alice") else "two-keys", "shows")


def test_another_strangers_key_without_the_private_one(company):
    """A stranger is its key: nobody else is that, and its SA stays."""
    company = company()
    conf = company.world.conf("third", ALICE="somebody@example.net", IKE="2").replace("pubkeys = me.pem", "certs = me.pem")
    company.alice.configure(conf)
    certificate = company.world.keys.self_signed(company.alice.key, "somebody@example.net")
    company.alice.add_file("x509/me.pem", certificate)
    company.gateway.configure(company.gateway_conf().replace("remote_ts = 10.66.129.0/24", "remote_ts = 10.66.200.0/24"))
    company.gateway.add_file("pubkey/alice.pem", company.world.keys.key().public_pem)
    company.open("strangers")
    is_stranger(company.gateway, "strangers", company.alice.key)
    for name in ("somebody@example.net", "mallory@example.net"):
        company.mallory_is(name, bare(company.alice.key), initial_contact=True)
        company.withstands("not-verified", "shows")
    company.mallory_is("mallory@example.net", x509(certificate), initial_contact=True)
    company.withstands("not-verified", "shows")


@pytest.mark.parametrize("unique", ["replace", "keep", "no"])
def test_one_key_on_two_hosts(company, unique):
    """A copied private key is the same stranger on another host: with `unique = no` both are there, with `replace` the
    later one, with `keep` the earlier one. Authenticated peers notice nothing."""
    company = company(unique=unique).open()
    company.mallory_is("mallory@example.net", initial_contact=False)
    connects(company.mallory, "data")
    is_stranger(company.gateway, "strangers", company.mallory.key)
    first = company.gateway.sa("strangers")["uniqueid"]
    fork = company.world.host("fourth", conf="", start=False)
    answer = ikev2.attempt(fork.namespace, fork.address, company.gateway.address, [company.mallorys_key],
                           ikev2.Signer(company.mallory.key.path), address=fork.inner[0])
    assert answer.authenticated == (unique != "keep"), answer
    company.gateway.wait_until(lambda: len(company.gateway.peers()) == (2 if unique == "no" else 1), "as the policy says")
    kept = first in {peer["uniqueid"] for peer in company.gateway.peers()}
    assert kept == (unique != "replace")
    assert {peer["fingerprint"] for peer in company.gateway.peers()} == {company.mallory.key.fingerprint}
    company.victim.assert_untouched()


def test_a_valid_certificate_that_is_somebody_elses(company):
    """Certificates are public. One that the CA issued to Bob speaks for Bob's key only, with a bare key beside it or not."""
    company = company().open()
    bob = company.ca.issue(company.world.keys.key(), BOB)
    for name in (BOB, "mallory@example.net"):
        for certs in [[x509(bob)], *orders(x509(bob), company.mallorys_key)]:
            company.mallory_is(name, *certs, initial_contact=True)
            company.withstands("credential-known", "shows")


def test_a_bare_key_beside_a_certificate_that_is_ones_own(company):
    """Bob is one of the people: he is served as Bob and never as a stranger, whatever he shows along with his certificate;
    and it is his certificate's key that counts."""
    company = company().open()
    certificate = company.ca.issue(company.mallory.key, BOB)
    other = company.world.keys.key()
    for certs in [*orders(x509(certificate), company.mallorys_key), *orders(x509(certificate), bare(other))]:
        company.mallory_is(BOB, *certs)
        connects(company.mallory, "inside")
        assert company.gateway.sa("people")["remote-id"] == BOB
        assert company.gateway.peers() == []
        company.victim.assert_untouched()
        company.mallory.swanctl("--terminate", "--ike", "mischief")
        company.gateway.wait_until(lambda: len(company.gateway.sas()) == 1, "only Alice is left")


def test_a_certificate_for_one_key_and_a_signature_by_another(company):
    """A certificate of the CA, one that signed itself, a bare key: whatever is shown has to verify."""
    company = company().open()
    other, bobs = company.world.keys.key(), company.world.keys.key()
    issued = company.ca.issue(bobs, BOB)
    signed = company.world.keys.self_signed(other, "mallory@example.net")
    for cert, code in ((x509(issued), "credential-known"), (x509(signed), "not-verified"), (bare(other), "not-verified")):
        company.mallory_is("mallory@example.net", cert, initial_contact=True)
        company.withstands(code, "shows")


@pytest.mark.parametrize("signed_by", ["itself", "an-unknown-ca"])
def test_a_strangers_certificate_shown_by_mallory_first(company, signed_by):
    """It is not hers, so she is refused; its owner, another stranger, is served afterwards as if nothing had happened. charon
    remembers certificates that it has seen, so this would shut strangers out if it counted."""
    company = company().open()
    owner = company.world.keys.key()
    if signed_by == "itself":
        chain = [x509(company.world.keys.self_signed(owner, "somebody@example.net"))]
    else:
        unknown = CA(company.world.keys, "Unknown CA")
        chain = [x509(unknown.issue(owner, "somebody@example.net")), x509(unknown.pem)]

    def owner_is_served(world, gateway):
        host = world.host("fourth", conf="", start=False)
        for number, certs in enumerate((chain, [bare(owner)])):
            with ikev2.Initiator(host.namespace, host.address, gateway.address) as initiator:
                answer = initiator.init().auth(certs, ikev2.Signer(owner.path), identity="somebody@example.net",
                                               id_type=ikev2.ID_RFC822, address=host.inner[0])
                assert answer.authenticated, f"{number}: {answer}, {gateway.events.of('btns-rejected')[-1]}"
                assert [peer["fingerprint"] for peer in gateway.peers()] == [owner.fingerprint]
                initiator.delete()
                gateway.wait_until(lambda: not gateway.peers(), "gone")

    company.mallory_is("somebody@example.net", *chain, initial_contact=True)
    withstands(company.world, company.gateway, lambda: company.tries("shows"), "not-verified", company.victim,
               newcomer=owner_is_served)


def test_two_keys_at_once(company):
    """One of them would verify."""
    company = company().open()
    other = company.world.keys.key("rsa2048")
    signed = company.world.keys.self_signed(other, "mallory@example.net")
    for cert in (bare(other), (ikev2.PKCS1, ikev2.pkcs1(other)), x509(signed)):
        for certs in orders(cert, company.mallorys_key):
            company.mallory_is("mallory@example.net", *certs)
            company.withstands("two-keys", "shows")


def test_a_copy_of_the_ca(company):
    """The same name with another key: as a certificate that signed itself, as the issuer of Alice's name, or both."""
    company = company().open()
    copy = CA(company.world.keys, company.ca.name)
    hers = copy.issue(company.mallory.key, "alice@example.org")
    strangers = copy.issue(company.mallory.key, "mallory@example.net")
    own = CA(company.world.keys, company.ca.name, company.mallory.key)
    for certs in ([x509(strangers)], [x509(strangers), x509(copy.pem)], [x509(strangers), company.mallorys_key],
                  [x509(own.pem)], [company.mallorys_key, x509(own.pem)]):
        company.mallory_is("mallory@example.net", *certs, initial_contact=True)
        company.withstands("credential-known", "shows")
    company.mallory_is("alice@example.org", x509(hers), x509(copy.pem), initial_contact=True)
    company.withstands("claims-known-id", "shows")


@pytest.mark.parametrize("why", ["expired", "revoked"])
def test_a_certificate_that_is_not_valid_any_more(company, why):
    """Who has been one of the people does not become a stranger by losing that, while he shows the certificate."""
    company = company()
    certificate = company.ca.issue(company.mallory.key, BOB, lifetime=EXPIRED if why == "expired" else None)
    if why == "revoked":
        company.gateway.add_file("x509crl/ca.pem", company.ca.revoke(certificate))
    company.open()
    for name in (BOB, "mallory@example.net"):
        for certs in [[x509(certificate)], *orders(x509(certificate), company.mallorys_key)]:
            company.mallory_is(name, *certs, initial_contact=True)
            company.withstands("credential-known", "shows")


def test_keys_that_are_none(company):
    """Garbage, and lengths that lie inside a CERT payload."""
    company = company().open()
    spki = company.mallory.key.spki
    for body, code in ((b"", "key-empty"), (spki[:-1], "key-malformed"), (spki + b"\0", "key-trailing-bytes"),
                       (b"\x30\x84\xff\xff\xff\xff" + spki[2:], "key-malformed"), (b"\x30\x80" * 400, "key-malformed")):
        company.mallory_is("mallory@example.net", (ikev2.SPKI, body))
        company.withstands(code, "shows")
    company.mallory_is("mallory@example.net", (ikev2.X509, b"\x30\x82\x01\x00" + bytes(256)))
    company.withstands("cert-malformed", "shows")
    company.mallory_is("mallory@example.net", (99, spki))
    company.withstands("credential-known", "shows")
