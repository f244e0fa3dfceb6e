# SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception
"""Nobody gets anything by calling himself Alice while she is at work, and nobody is called what only keys are called."""

import pytest

from harness import ikev2
from harness.checks import connects, is_stranger
from harness.rogue import identity

NAMES = {
    "a user name": "alice@example.org",
    "a host name": "alice.example.org",
    "a key ID": "keyid:alice's laptop",
    "an IPv4 address": "192.0.2.3",
    "an IPv6 address": "2001:db8::3",
    "a distinguished name": "C=XX, O=Company, CN=Alice",
}

UTF8_STRING, PRINTABLE_STRING = 0x0C, 0x13

ID_TYPES = {1: "IPv4", 2: "FQDN", 3: "RFC822", 5: "IPv6", 9: "DN", 10: "general name", 11: "key ID"}


def test_mallory_without_mischief_is_a_stranger(company):
    """Else all the refusals here would prove nothing."""
    company = company().open()
    outcome = company.mallory.initiate("data")
    assert not outcome.success, "without a key in a CERT payload nobody is a stranger"
    company.mallory_is("mallory@example.net", initial_contact=True)
    connects(company.mallory, "data")
    is_stranger(company.gateway, "strangers", company.mallory.key)
    company.victim.assert_untouched()


@pytest.mark.parametrize("kind", NAMES)
def test_alices_name_with_initial_contact(company, kind):
    company = company(alice=NAMES[kind]).open()
    company.mallory_is(NAMES[kind], initial_contact=True)
    event = company.withstands("claims-known-id", "initial contact", "shows")
    assert event["asserted-id"] == company.gateway.sa("alice")["remote-id"]


@pytest.mark.parametrize("unique", ["replace", "keep", "never", "no"])
def test_alices_name_whatever_the_uniqueness_policy(company, unique):
    company = company(unique=unique).open()
    company.mallory_is("alice@example.org", initial_contact=True)
    company.withstands("claims-known-id", "initial contact")
    company.mallory_is("alice@example.org")
    company.withstands("claims-known-id", "shows")


def test_alices_name_written_otherwise(company):
    """What is equal to her name for charon, or has the octets of it, is hers."""
    company = company(alice=NAMES["a distinguished name"]).open()
    for name in ("C=xx, O=COMPANY, CN=alice", "C=XX, O=Company, CN=*", "asn1dn:#" + distinguished_name(UTF8_STRING).hex(),
                 "keyid:#" + distinguished_name(PRINTABLE_STRING).hex()):
        company.mallory_is(name, initial_contact=True)
        company.withstands("claims-known-id", "initial contact")


def distinguished_name(string):
    """Alice's, DER."""
    def tlv(tag, body):
        return bytes([tag, len(body)]) + body

    parts = [("550406", PRINTABLE_STRING, b"XX"), ("55040a", string, b"Company"), ("550403", string, b"Alice")]
    return tlv(0x30, b"".join(
        tlv(0x31, tlv(0x30, tlv(6, bytes.fromhex(oid)) + tlv(kind, text))) for oid, kind, text in parts))


def test_alices_name_under_a_signature_for_another(company):
    """IDi is replaced after AUTH was made: the name counts before the signature does, and the other way round."""
    company = company().open()
    for signed_as, shown_as, code in (("mallory@example.net", "alice@example.org", "claims-known-id"),
                                      ("alice@example.org", "mallory@example.net", "not-verified")):
        company.mallory_is(signed_as)
        company.mallory.rogue.says("another IDi", drop=[ikev2.IDI], add=[(ikev2.IDI, identity(ikev2.ID_RFC822, shown_as))])
        company.withstands(code, "another IDi", "shows", **{"asserted-id": shown_as})


def test_two_identities_at_once(company):
    """charon itself does not take a message with two."""
    company = company().open()
    company.mallory_is("mallory@example.net")
    company.mallory.rogue.says("second IDi", add=[(ikev2.IDI, identity(ikev2.ID_RFC822, "alice@example.org"))])
    company.withstands(None, attack=lambda: told("INVAL_SYN", company.tries("second IDi", "shows")))


def told(notify, outcome):
    assert f"N({notify})" in outcome.log, outcome.log


def test_alices_name_wherever_it_is_asked_for(company):
    """IDr decides which connections match: here only that for strangers does, and Alice's is not offered."""
    company = company()
    conf = company.gateway_conf()
    at = conf.index("strangers {")
    company.gateway.configure(conf[:at] + conf[at:].replace("id = gateway.example.org", "id = public.example.org"))
    company.gateway.add_file("x509/gateway.pem", company.ca.issue(company.gateway.key, "gateway.example.org",
                                                                  san=["gateway.example.org", "public.example.org"]))
    company.open()
    company.mallory_is("alice@example.org", initial_contact=True)
    company.mallory.rogue.says("another IDr", drop=[ikev2.IDR], times=0,
                               add=[(ikev2.IDR, identity(ikev2.ID_FQDN, "public.example.org"))])
    company.withstands("claims-known-id", "another IDr", "initial contact")


@pytest.mark.parametrize("kind", ID_TYPES, ids=ID_TYPES.get)
def test_a_name_that_only_a_key_has(company, kind):
    """Whose key it names does not matter, nor how it is written."""
    company = company().open()
    for name in (company.alice.key.identity, company.mallory.key.identity, "BTNS:anything", " \tbtns:null"):
        company.mallory_is(f"{{{kind}}}:#{name.encode().hex()}", initial_contact=True)
        company.withstands("claims-reserved-id", "initial contact")


def test_names_that_are_made_for_the_log(company):
    """The administrator sees where a name begins and where it ends."""
    company = company().open()
    forged = "mallory\n23:59:59.000 00[IKE] IKE_SA alice[1] established\x1b[2J"
    for name in (forged, "x" * 9000, "%s%n%Y", "alice@example.org\0"):
        company.mallory_is("keyid:#" + name.encode().hex(), (ikev2.SPKI, b""), initial_contact=True)
        event = company.withstands("key-empty", "initial contact")
        assert event["asserted-id"].isprintable() and len(event["asserted-id"]) < 1000, event
    assert not [line for line in company.gateway.log().splitlines() if line.startswith("23:59:59.000")]
    assert "\x1b" not in company.gateway.log()


def test_names_of_no_octets(company):
    """NULL (RFC 7619) and empty names, which equal nothing and themselves not always: nobody is served by one, and none stays
    behind to be met by the next one."""
    company = company().open()
    for kind in (13, ikev2.ID_KEY_ID, ikev2.ID_FQDN):
        for _ in range(2):
            company.mallory_is("mallory@example.net", initial_contact=True)
            company.mallory.rogue.says("no name", drop=[ikev2.IDI], add=[(ikev2.IDI, identity(kind, b""))])
            company.withstands("not-verified", "no name", "initial contact")
