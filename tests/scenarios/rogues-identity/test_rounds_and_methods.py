# SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception
"""A stranger signs once and is in the strangers' connection, or is nowhere: no other method, no second round, no order of
connections gets it anything else."""

import struct

import pytest

from harness import ikev2
from harness.checks import connects, is_stranger
from harness.rogue import AUTH, CERT, IKE_AUTH, eap, identity, second_round

EAP_PLUGINS = ("md5", "eap-identity", "eap-md5")
PSK, NULL, RSA, ECDSA256, UNKNOWN = 2, 13, 1, 9, 99
ED25519 = bytes([len(ikev2.ALGORITHM_ED25519)]) + ikev2.ALGORITHM_ED25519
"""What precedes such a signature in an AUTH payload (RFC 7427)"""

USERS = """
connections {
	users {
		version = 2
		encap = yes
		mobike = no
		local_addrs = 192.0.2.2
		send_cert = always
		local {
			auth = pubkey
			certs = gateway.pem
			id = gateway.example.org
		}
		remote {
			auth = eap-md5
			id = %any
			eap_id = %any
		}
		children {
			data {
				local_ts = 10.66.0.1/32
				remote_ts = 10.66.129.0/24
			}
		}
	}
}
secrets {
	eap-alice {
		id = alice
		secret = "only Alice knows this"
	}
}
"""


def auth(method, value):
    """An AUTH payload."""
    return AUTH, struct.pack("!BBBB", method, 0, 0, 0) + value


def with_password(password):
    """Edits a swanctl.conf: EAP as alice."""
    return lambda conf: (
        conf.replace("auth = pubkey\n\t\t\tpubkeys = me.pem", "auth = eap-md5\n\t\t\teap_id = alice", 1)
        + f'secrets {{\n\teap-alice {{\n\t\tid = alice\n\t\tsecret = "{password}"\n\t}}\n}}\n')


def test_another_round_announced(company):
    """The first one would be all right."""
    company = company().open()
    company.mallory_is("mallory@example.net", initial_contact=True)
    company.mallory.rogue.says("another round", add=[ikev2.notify(ikev2.ANOTHER_AUTH_FOLLOWS)])
    company.withstands("multiple-rounds", "another round")


@pytest.mark.parametrize("second", ["alice@example.org", "somebody@example.net"])
def test_a_second_round_after_a_strangers(company, second):
    """Neither with Alice's name nor with another: nobody gets as far as the second round."""
    company = company().open()
    company.mallory_is("mallory@example.net", edit=second_round(f"\t\t\tpubkeys = me.pem\n\t\t\tid = {second}"))
    outcome = company.withstands("multiple-rounds", attack=lambda: followed(company.tries("shows")))
    assert outcome["asserted-id"] == "mallory@example.net"


def followed(outcome):
    assert "N(AUTH_FOLLOWS)" in outcome.log, outcome.log
    assert outcome.log.count("generating IKE_AUTH request") == 1, "she was asked for the second round"


def test_a_bare_key_in_the_second_round_of_somebody_known(company):
    """Bob authenticates first, with his certificate. The second round asks for a signature by anybody whom a credential
    speaks for: a bare key is nobody's there."""
    company = company()
    company.gateway.configure(company.gateway_conf().replace("""		remote {
			auth = pubkey
			id = %any
		}""", """		remote-1 {
			auth = pubkey
			id = bob@example.org
		}
		remote-2 {
			auth = pubkey
			id = %any
		}"""))
    bob = company.world.keys.key()
    certificate = company.ca.issue(bob, "bob@example.org")
    company.mallory.add_file("private/bob.pem", bob.private_pem)
    company.mallory.add_file("x509/bob.pem", certificate)
    company.open()
    rogue = company.mallory.rogue

    def edit(conf):
        conf = second_round("\t\t\tpubkeys = me.pem\n\t\t\tid = mallory@example.net")(conf)
        conf = conf.replace("pubkeys = me.pem", "certs = bob.pem", 1)
        return conf.replace("mobike = no", "mobike = no\n\t\tsend_cert = always")

    company.mallory_is("bob@example.org", edit=edit)
    rogue.behaves()
    rogue.says("a bare key", skip=1, drop=[CERT], add=[(CERT, bytes([ikev2.SPKI]) + company.mallory.key.spki)])
    # the plugin has no word in this: for charon there is no trusted key
    company.withstands(None, attack=lambda: refused(company.tries("a bare key"), rounds=2))
    assert "authentication of 'bob@example.org' with ED25519 successful" in company.gateway.log()
    assert "no trusted ED25519 public key found for 'mallory@example.net'" in company.gateway.log()


def refused(outcome, rounds=1):
    assert "N(AUTH_FAILED)" in outcome.log, outcome.log
    assert outcome.log.count("generating IKE_AUTH request") == rounds, outcome.log


def test_eap_with_a_bare_key(company):
    """Users with passwords have a connection here. A bare key replaces no password, in whichever message it comes, and who
    begins with EAP is no stranger any more."""
    company = company(load=EAP_PLUGINS)
    company.alice_id = "owner@example.org"
    company.gateway.configure(company.gateway_conf().replace("\talice {", "\towner {") + USERS)
    company.alice.load += EAP_PLUGINS
    conf = company.world.conf("third", ALICE="alice@example.org", IKE="2")
    company.alice.configure(with_password("only Alice knows this")(conf))
    company.open("users")
    assert company.victim.before["users on right"].fixed["remote-eap-id"] == "alice"
    rogue = company.mallory.rogue
    for name, code in (("alice@example.org", "not-a-signature"), ("alice", "claims-known-id")):
        company.mallory_is(name, edit=with_password("a guess"), initial_contact=True)
        company.withstands(code, "shows", "initial contact")
        company.mallory_is(name, edit=with_password("a guess"), initial_contact=True)
        rogue.says("signs after all", skip=1,
                   add=[auth(14, ED25519 + bytes(64)), (CERT, bytes([ikev2.SPKI]) + company.mallory.key.spki)])
        company.withstands(code, "signs after all")


def test_ike_auth_once_more(company):
    """Mallory is a stranger already, and begins anew on her established IKE_SA, as Alice: nothing is changed by it, not even
    what she is said to call herself."""
    company = company().open()
    company.mallory_is("mallory@example.net", initial_contact=True)
    connects(company.mallory, "data")
    before = is_stranger(company.gateway, "strangers", company.mallory.key)

    def attack():
        start = len(company.gateway.log())
        company.mallory.rogue.sends("mischief", [
            (ikev2.IDI, identity(ikev2.ID_RFC822, "alice@example.org")), (CERT, bytes([ikev2.SPKI]) + company.alice.key.spki),
            auth(14, ED25519 + bytes(64)), ikev2.notify(ikev2.INITIAL_CONTACT)], exchange=IKE_AUTH)
        company.gateway.wait_log(r"ignoring IKE_AUTH in IKE_SA state ESTABLISHED", start=start)

    company.victim_after(attack)
    after = [peer for peer in company.gateway.peers() if peer["uniqueid"] == before["uniqueid"]]
    assert [peer["asserted-id"] for peer in after] == [before["asserted-id"]]
    assert [peer["fingerprint"] for peer in after] == [company.mallory.key.fingerprint]


def test_methods_that_are_no_signature(company):
    """A shared key, NULL, none, and one that nobody knows, with a good key in the CERT payload."""
    company = company().open()
    rogue = company.mallory.rogue
    methods = {
        "shared key": [auth(PSK, bytes(32))],
        "NULL": [auth(NULL, bytes(32))],
        "unknown": [auth(UNKNOWN, bytes(64))],
        "none": [],
        "EAP at once": [eap(2, 1, b"\x01alice")],
    }
    for what, payloads in methods.items():
        for name, code in (("mallory@example.net", "not-a-signature"), ("alice@example.org", "claims-known-id")):
            if what == "NULL":
                # whatever it says who it is
                code = "null-off"
            company.mallory_is(name, initial_contact=True)
            rogue.says(what, drop=[AUTH], add=payloads)
            company.withstands(code, what, "shows")


def test_signatures_that_are_garbage(company):
    """Nothing verifies with the key that is shown."""
    company = company().open()
    rogue = company.mallory.rogue
    values = {
        "zeros": auth(14, ED25519 + bytes(64)),
        "empty": auth(14, ED25519),
        "long": auth(14, ED25519 + bytes(9000)),
        "an algorithm that is no ASN.1": auth(14, b"\x0c" + b"\xff" * 76),
        "a length that lies": auth(14, b"\xff" + ikev2.ALGORITHM_ED25519),
        "nothing": auth(14, b""),
        "another kind of key": auth(14, bytes([len(ikev2.ALGORITHM_RSA_SHA256)]) + ikev2.ALGORITHM_RSA_SHA256 + bytes(256)),
        "RSA": auth(RSA, bytes(256)),
        "ECDSA": auth(ECDSA256, bytes(64)),
    }
    for what, payload in values.items():
        company.mallory_is("mallory@example.net", initial_contact=True)
        rogue.says(what, drop=[AUTH], add=[payload])
        company.withstands("not-verified", what, "shows")


@pytest.mark.parametrize("order", ["strangers-first", "people-first"])
def test_whatever_the_order_of_connections(company, order):
    """Mallory is a stranger, and gets none of the children of others, whatever she asks for."""
    company = company()
    conf = company.gateway_conf()
    first = "connections {\n\tstrangers {\n\t\tversion = 2\n\t}\n}\n" if order == "strangers-first" else ""
    company.gateway.configure(first + conf)
    company.open()
    names = list(company.gateway.pad())
    assert names.index("strangers") == (0 if order == "strangers-first" else 2), names
    company.mallory_is("mallory@example.net", initial_contact=True)
    outcome = company.mallory.initiate("inside")
    assert not outcome.success and "N(TS_UNACCEPT)" in outcome.log, outcome.log
    company.gateway.rejected("child-reserved")
    is_stranger(company.gateway, "strangers", company.mallory.key)
    connects(company.mallory, "data")
    assert {sa["name"] for sa in company.gateway.sas()} == {"alice", "strangers"}
    company.victim.assert_untouched()


@pytest.mark.parametrize("why", ["other proposals", "another IDr", "no strangers"])
def test_where_the_strangers_connection_does_not_fit(company, why):
    """Then no other does."""
    company = company()
    conf = company.gateway_conf()
    at = conf.index("\tstrangers {")
    people, strangers = conf[:at], conf[at:]
    if why == "other proposals":
        strangers = strangers.replace("version = 2", "version = 2\n\t\tproposals = aes256-sha384-ecp384")
    elif why == "another IDr":
        strangers = strangers.replace("id = gateway.example.org", "id = public.example.org")
    else:
        strangers = "}\n"
    company.gateway.configure(people + strangers)
    company.open()
    company.mallory_is("mallory@example.net", initial_contact=True)
    company.withstands("not-flagged", "shows", newcomer=None)
    assert {sa["name"] for sa in company.gateway.sas()} == {"alice"}
