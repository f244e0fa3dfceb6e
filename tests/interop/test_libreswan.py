# SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception
"""libreswan: raw RSA keys, which it neither sends nor learns, and NULL authentication (RFC 7619)."""

import pytest
from harness.checks import REFUSED
from harness.paths import EXAMPLES

from foreign import attach
from kinds import HAS_NULL, PATIENT, Pair, libreswan_null, libreswan_rsa
from pairs import SLOW, carries_data, example
from pluto import Libreswan, rsasigkey

ROLES = pytest.mark.parametrize("who", ["charon", "peer"])
needs_null = pytest.mark.skipif(not HAS_NULL, reason="the btns-null plugin was not built")

STRANGERS = (EXAMPLES / "strangers.conf").read_text()


def counts_the_same(pair, report):
    """libreswan itself, too, says that its SA has carried data both ways."""
    before = pair.right.octets()
    counted = carries_data(pair.world, pair.left, pair.right, report)
    after = pair.right.octets()
    assert sum(into for into, _ in after) - sum(into for into, _ in before) == counted.in_there, (before, after, counted)
    assert sum(out for _, out in after) - sum(out for _, out in before) == counted.out_there, (before, after, counted)


@ROLES
def test_raw_rsa_keys_that_both_know(world, report, who):
    pair = libreswan_rsa(world, who).up(who)
    assert pair.left.sa("libreswan")["remote-id"] == "right.example"
    assert not pair.left.peers(), "it is known, and no BTNS peer"
    counts_the_same(pair, report)
    # what it does not know of what we send, it says, and goes on
    for encoding in ("RAW_PUBLIC_KEY", "RAW_RSA"):
        assert f"ignoring {encoding} certificate payload" in pair.right.log()


@ROLES
def test_strangers_are_served_beside_it(world, report, who):
    """The same gateway asks for raw public keys then, which libreswan does not know."""
    pair = libreswan_rsa(world, who)
    pair.left.configure(STRANGERS + example("with-libreswan/rsa.conf"))
    pair.up(who)
    assert pair.left.sa("libreswan")["remote-id"] == "right.example"
    counts_the_same(pair, report)


@pytest.mark.negotiates
@ROLES
@pytest.mark.parametrize("wrong", ["charon", "peer"])
def test_another_key_is_refused(world, who, wrong):
    pair = libreswan_rsa(world, who)
    other = world.keys.key("rsa3072")
    if wrong == "charon":
        pair.left.add_file("pubkey/libreswan.pem", other.public_pem)
    else:
        keys = {"=0sAwEAAd...": f"={rsasigkey(pair.right.key)}", "=0sAwEAAc...": f"={rsasigkey(other)}"}
        pair.right.configure(example("with-libreswan/rsa.ipsec.conf", **keys))
    pair.left.start()
    pair.right.start()
    if who == "charon":
        assert not pair.left.initiate("data", "libreswan", timeout=SLOW).success
    else:
        pair.right.begin()
        if wrong == "peer":
            pair.right.wait_log("authentication failed", SLOW)
        else:
            pair.left.wait_log("no trusted RSA public key|signature validation failed", SLOW)
        pair.right.end()
    # until libreswan has said no, charon may believe that all is well
    pair.left.wait_until(lambda: not [sa for sa in pair.left.sas() if sa["state"] == "ESTABLISHED"], "no IKE_SA is up", SLOW)
    assert pair.left.alive() and pair.right.alive()


@pytest.mark.negotiates
@ROLES
def test_it_cannot_be_a_stranger_with_a_key(world, who):
    """It shows no key, so there is none to be known by: what charon has is a connection for strangers only."""
    pair = libreswan_rsa(world, who)
    conf = STRANGERS.replace("remote_addrs = %any", "remote_addrs = 192.0.2.2")
    pair.left.configure(conf.replace("auth = pubkey", "auth = rsa/pss-sha512\n\t\t\tid = left.example", 1))
    pair.left.start()
    pair.right.start()
    if who == "charon":
        outcome = pair.left.initiate("data", "strangers", timeout=SLOW)
        assert not outcome.success
    else:
        pair.right.begin()
    pair.left.rejected("no-key", SLOW)
    if who == "peer":
        pair.right.wait_log(REFUSED, SLOW)
        pair.right.end()
    assert not pair.left.peers()


# NULL authentication

def is_nobody(pair):
    """charon has it as somebody unauthenticated, by a name that nobody can assert."""
    (peer,) = pair.left.peers()
    assert peer["connection"] == pair.connection and peer["auth"] == "null" and "fingerprint" not in peer, peer
    assert pair.left.sa(pair.connection)["remote-id"].startswith("btns:null:"), pair.left.sas()


@needs_null
@ROLES
def test_null_on_both_sides(world, report, who):
    pair = libreswan_null(world, who).up(who)
    is_nobody(pair)
    assert "authby=null" in pair.right.log()
    counts_the_same(pair, report)


ANONYMOUS = 'auth = psk\n\t\t\tid = "{13}:"'
SIGNED = "auth = rsa/pss-sha512\n\t\t\tpubkeys = me.pem\n\t\t\tid = left.example"
ANYBODY = "auth = psk\n\t\t\tgroups = btns:null"
KNOWN = "auth = pubkey\n\t\t\tpubkeys = libreswan.pem\n\t\t\tid = right.example"


def one_sided(world, anonymous):
    """One side is anonymous, "charon" or "peer", and knows the other's RSA key."""
    conf = example("with-libreswan/null.conf")
    left = world.host("left", "", "rsa3072", start=False, options=PATIENT)
    left.null = True
    right = attach(world, Libreswan).own(world.keys.key("rsa3072"))
    left.add_file("pubkey/libreswan.pem", right.key.public_pem)
    if anonymous == "charon":
        conf = conf.replace(ANYBODY, KNOWN)
        sides = f"\tleftid=@right.example\n\tleftauth=rsasig\n\tleftrsasigkey={rsasigkey(right.key)}\n"
        sides += "\trightid=%null\n\trightauth=null\n"
    else:
        conf = conf.replace(ANONYMOUS, SIGNED)
        sides = "\tleftid=%null\n\tleftauth=null\n"
        sides += f"\trightid=@left.example\n\trightauth=rsasig\n\trightrsasigkey={rsasigkey(left.key)}\n"
    lines = [line for line in example("with-libreswan/null.ipsec.conf").splitlines()
             if not line.strip().startswith(("leftid", "rightid", "authby"))]
    left.configure(conf)
    right.configure("\n".join(lines) + "\n" + sides)
    return Pair(world, left, right, "nobody")


@needs_null
@ROLES
def test_nobody_at_a_charon_with_an_rsa_key(world, report, who):
    pair = one_sided(world, "peer").up(who)
    is_nobody(pair)
    counts_the_same(pair, report)


@needs_null
@ROLES
def test_a_charon_that_is_nobody_at_an_rsa_key(world, report, who):
    pair = one_sided(world, "charon").up(who)
    assert pair.left.sa("nobody")["remote-id"] == "right.example"
    assert not pair.left.peers(), "charon knows the peer; it is charon that nobody knows"
    counts_the_same(pair, report)
