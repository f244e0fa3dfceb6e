# SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception
"""A laptop at work with its office visits Mallory: whatever she answers, she is a stranger or nobody."""

import functools

import pytest

from harness import ikev2
from harness.checks import connects, is_stranger
from harness.keys import CA, EXPIRED
from harness.rogue import AUTH, EAP, IKE_SA_INIT, REDIRECT, bare, eap, identity, redirect_to, second_round, x509
from harness.victim import Victim, withstands

OFFICES = {"a host name": "office.example.org", "a user name": "office@example.org", "an IPv4 address": "192.0.2.3",
           "a distinguished name": "\"C=XX, O=Company, CN=Office\""}
OFFICE = OFFICES["a host name"]
WITH_KEY = "auth = pubkey\n\t\t\tpubkeys = me.pem"


class Laptop:
    """The laptop (left) at work with its office (third), and Mallory (right), a charon that misbehaves in what it answers.

    @param office	the office's identity as swanctl.conf has it
    @param myself	how the laptop authenticates to whom it visits
    @param accepted	what Mallory wants to see of that
    """

    def __init__(self, world, office=OFFICE, myself=WITH_KEY, accepted="pubkey", load=()):
        self.world = world
        self.accepted = accepted
        self.ca = world.keys.ca("Company CA")
        self.host = world.host("left", world.conf("left", OFFICE=office, MYSELF=myself), "ed25519", load=load, start=False)
        self.office = world.host("third", world.conf("third", OFFICE=office), "ed25519", start=False)
        self.mallory = world.rogue("right", self.mallory_conf(), "ed25519", plugin=None, load=load, start=False)
        dn = office.strip('"')
        self.certificate = self.ca.issue(self.office.key, OFFICE, san=None if "=" in dn else dn, dn=dn if "=" in dn else None)
        self.office.add_file("x509/me.pem", self.certificate)
        for host in (self.mallory, self.office):
            host.add_file("pubkey/laptop.pem", self.host.key.public_pem)
        for host in (self.host, self.office, self.mallory):
            host.add_file("x509ca/ca.pem", self.ca.pem)

    def mallory_conf(self, claim="mallory.example.net"):
        return self.world.conf("right", CLAIM=claim, LAPTOPS=self.accepted)

    def open(self):
        """Everybody starts, and the laptop is at work."""
        self.world.start(self.host, self.office, self.mallory)
        connects(self.host, "work")
        self.victim = Victim(self.host, "office", self.office, "laptops")
        self.mallory_is("mallory.example.net")
        return self

    @property
    def mallorys_key(self):
        return bare(self.mallory.key)

    def mallory_is(self, claim, *certs, edit=lambda conf: conf):
        """Mallory calls herself something, and shows these CERT payloads: her own bare key if none is given."""
        self.mallory.configure(edit(self.mallory_conf(claim)))
        self.mallory.load_all()
        self.mallory.rogue.behaves()
        self.mallory.rogue.shows(*(certs or [self.mallorys_key]), response=True)
        return self.mallory.rogue

    def tries(self, rules, connection):
        outcome = self.host.initiate("data", connection)
        assert not outcome.success, f"the laptop believed her: {outcome.log}"
        for rule in rules:
            assert self.mallory.rogue.applied(rule), f"Mallory did not do it: {rule}"
        return outcome

    def withstands(self, code, *rules, connection="visit", **fields):
        """The laptop refuses Mallory for this reason, the office notices nothing, and the next stranger is served."""
        event = withstands(self.world, self.host, lambda: self.tries(rules, connection), code, self.victim, **fields)
        assert not [sa for sa in self.host.sas() if sa["remote-host"] == self.mallory.address]
        return event


@pytest.fixture
def laptop(world):
    """Makes the Laptop; it is not open yet, so that a test can change what it wants."""
    return functools.partial(Laptop, world)


def test_mallory_without_mischief_is_a_stranger(laptop):
    """Else all the refusals here would prove nothing."""
    laptop = laptop().open()
    connects_to_mallory(laptop)


def connects_to_mallory(laptop):
    outcome = laptop.host.initiate("data", "visit")
    assert outcome.success, outcome.log
    is_stranger(laptop.host, "visit", laptop.mallory.key)
    laptop.victim.assert_untouched()


@pytest.mark.parametrize("kind", OFFICES)
def test_the_offices_name(laptop, kind):
    name = OFFICES[kind].strip('"')
    laptop = laptop(office=OFFICES[kind]).open()
    laptop.mallory_is(name)
    laptop.withstands("claims-known-id", "shows")
    laptop.mallory_is("mallory.example.net").says(
        "another IDr", response=True, drop=[ikev2.IDR], add=[(ikev2.IDR, identity(ikev2.ID_KEY_ID, name))])
    laptop.withstands("not-verified" if "=" in name or name[0].isdigit() else "claims-known-id", "another IDr")


def test_a_name_that_only_a_key_has(laptop):
    """Neither for a connection with the flag nor for one without."""
    laptop = laptop().open()
    for name in (laptop.office.key.identity, laptop.mallory.key.identity, "BTNS:anything"):
        for kind in (2, 3, 11):
            laptop.mallory_is(f"{{{kind}}}:#{name.encode().hex()}")
            laptop.withstands("claims-reserved-id", "shows")


def test_a_connection_without_the_flag(laptop):
    """It would take anybody whom a credential speaks for."""
    laptop = laptop().open()
    laptop.withstands("not-flagged", "shows", connection="trusting")
    laptop.mallory_is("mallory.example.net", x509(laptop.world.keys.self_signed(laptop.mallory.key, "mallory.example.net")))
    laptop.withstands(None, "shows", connection="trusting")


def test_no_auth_payload(laptop):
    """charon asks its hooks though nothing was verified."""
    laptop = laptop().open()
    laptop.mallory.rogue.says("no AUTH", response=True, drop=[AUTH])
    laptop.withstands("not-a-signature", "no AUTH", "shows")


@pytest.mark.parametrize("method", ["eap-md5", "eap-tls"])
def test_eap_only(laptop, method):
    """The laptop authenticates with EAP, and Mallory does not sign: with a method that is mutual as with one that is not."""
    plugins = ("md5", "eap-identity", "eap-md5", "eap-tls")
    laptop = laptop(myself=f"auth = {method}\n\t\t\teap_id = laptop", accepted=method, load=plugins).open()
    laptop.mallory.rogue.says("no AUTH", response=True, drop=[AUTH])
    laptop.withstands("not-a-signature", "no AUTH", "shows")


def test_eap_out_of_the_blue(laptop):
    """Nobody spoke of EAP."""
    laptop = laptop().open()
    laptop.mallory.rogue.says("EAP", response=True, drop=[AUTH], add=[eap(1, 1, b"\x01")])
    laptop.withstands("not-a-signature", "EAP", "shows")
    laptop.mallory_is("mallory.example.net").says("EAP success", response=True, drop=[AUTH], add=[(EAP, bytes([3, 1, 0, 4]))])
    laptop.withstands("not-a-signature", "EAP success", "shows")


def test_methods_that_are_no_signature(laptop):
    """A shared key, NULL, and one that nobody knows."""
    laptop = laptop().open()
    for method, code in ((2, "not-a-signature"), (13, "null-not-admitted"), (99, "not-a-signature")):
        laptop.mallory_is("mallory.example.net").says("method", response=True, drop=[AUTH],
                                                      add=[(AUTH, bytes([method, 0, 0, 0]) + bytes(32))])
        laptop.withstands(code, "method", "shows")


def test_keys_without_the_private_one(laptop):
    """The office's certificate and its bare key, the laptop's own key, anybody's."""
    laptop = laptop().open()
    office, other = bare(laptop.office.key), bare(laptop.world.keys.key())
    certificate, mallorys = x509(laptop.certificate), laptop.mallorys_key
    for certs, code in (([certificate], "credential-known"), ([certificate, mallorys], "credential-known"),
                        ([mallorys, certificate], "credential-known"), ([office], "credential-known"),
                        ([bare(laptop.host.key)], "credential-known"), ([other], "not-verified"),
                        ([mallorys, other], "two-keys")):
        laptop.mallory_is("mallory.example.net", *certs)
        laptop.withstands(code, "shows")


def test_certificates_that_have_to_do_with_the_ca(laptop):
    """Expired, or of a copy of the CA with another key, with a bare key beside it or not."""
    laptop = laptop().open()
    mallory = laptop.mallory.key
    copy = CA(laptop.world.keys, laptop.ca.name)
    for pem in (laptop.ca.issue(mallory, "mallory.example.net", lifetime=EXPIRED), copy.issue(mallory, "mallory.example.net")):
        for certs in ([x509(pem)], [laptop.mallorys_key, x509(pem)]):
            laptop.mallory_is("mallory.example.net", *certs)
            laptop.withstands("credential-known", "shows")


def test_another_round(laptop):
    """Announced after a good first one; and with the office's name in it."""
    laptop = laptop().open()
    laptop.mallory.rogue.says("another round", response=True, add=[ikev2.notify(ikev2.ANOTHER_AUTH_FOLLOWS)])
    laptop.withstands("multiple-rounds", "another round")
    laptop.mallory_is("mallory.example.net", edit=second_round(f"\t\t\tpubkeys = me.pem\n\t\t\tid = {OFFICE}"))
    start = len(laptop.mallory.log())
    laptop.withstands("multiple-rounds", "shows")
    assert "N(AUTH_FOLLOWS)" in laptop.mallory.log()[start:], "it was Mallory who announced it"


@pytest.mark.parametrize("when", ["IKE_SA_INIT", "IKE_AUTH"])
def test_redirection_to_the_office(laptop, when):
    """The laptop stays with Mallory, the stranger, and does not turn up at the office with another IKE_SA."""
    laptop = laptop().open()
    exchange = IKE_SA_INIT if when == "IKE_SA_INIT" else ikev2.IKE_AUTH
    laptop.mallory.rogue.says("elsewhere", exchange=exchange, response=True,
                              add=[ikev2.notify(REDIRECT, redirect_to("192.0.2.3"))])
    connects_to_mallory(laptop)
    assert laptop.mallory.rogue.applied("elsewhere") == 1
    assert "ignoring a redirection by a BTNS peer" in laptop.host.log()
    assert len(laptop.office.sas()) == 1
