# SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception
"""One side uses NULL authentication, the other one something else: a certificate, a key that is pinned or that nobody
knows, a shared secret; in every role."""

import pytest

from harness.checks import connects, has_no_sa, is_nobody, is_refused, is_stranger

NOBODY = ['auth = psk', 'id = "{13}:"']
FOR_NOBODY = ["auth = psk", "groups = btns:null"]
SECRET = "what both of them know"

OTHERS = {
    # what the other one does; what nobody wants of it
    "bare key": (["auth = pubkey", "pubkeys = me.pem"], ["auth = pubkey", "id = %any", "groups = btns"]),
    "pinned key": (["auth = pubkey", "pubkeys = me.pem", "id = other.example.net"],
                   ["auth = pubkey", "id = other.example.net", "pubkeys = other.pem"]),
    "shared secret": (["auth = psk", "id = other.example.net"], ["auth = psk", "id = other.example.net"]),
}


def examples(world, trusted=True, remote="10.66.128.0/17"):
    left = world.host("left", null=True, start=False)
    right = world.host("right", world.conf("right", REMOTE=remote), "ecdsa256", null=True, start=False)
    ca = world.keys.ca("Everybody's CA")
    right.add_file("x509/server.pem", ca.issue(right.key, "server.example.org"))
    left.add_file("x509ca/ca.pem", ca.pem if trusted else world.keys.ca("Another CA").pem)
    world.start(left, right)
    return left, right


@pytest.mark.parametrize("initiator", ["client", "server"])
def test_an_anonymous_client_of_a_certified_server(world, initiator):
    left, right = examples(world, remote="10.66.128.7/32" if initiator == "server" else "10.66.128.0/17")
    outcome = connects(left if initiator == "client" else right, "data")
    assert "N(INIT_CONTACT)" not in outcome.log or initiator == "server", "nobody was there before"
    is_nobody(right, "null-server")
    assert left.sa("null-client")["remote-id"] == "server.example.org"
    assert left.peers() == [], "the server is authenticated, it is no BTNS peer"
    world.check_transfer(left, right)


def test_an_anonymous_client_that_does_not_trust_the_server_refuses_it(world):
    left, right = examples(world, trusted=False)
    assert not left.initiate("data").success
    assert left.peers() == []
    has_no_sa(left, right)


def two(world, nobodys, other, roles=("left", "right"), null=True, **how):
    """Two hosts, the one called roles[0] uses NULL authentication."""
    conf, ends = {}, {"left": ("192.0.2.1", "10.66.128.7/32"), "right": ("192.0.2.2", "10.66.0.1/32")}
    for name, (local, remote) in zip(roles, (nobodys, other)):
        there = "right" if name == "left" else "left"
        conf[name] = world.conf("two", HERE=ends[name][0], THERE=ends[there][0], INSIDE=ends[name][1], BEYOND=ends[there][1],
                                LOCAL="\n\t\t\t".join(local), REMOTE="\n\t\t\t".join(remote), MORE=how.get("more", ""))
    hosts = [world.host(name, conf[name], "ed25519", null=null, start=False, load=how.get("load", ())) for name in roles]
    if "pubkeys = other.pem" in nobodys[1]:
        hosts[0].add_file("pubkey/other.pem", hosts[1].key.public_pem)
    world.start(*hosts)
    return hosts


@pytest.mark.parametrize("initiator", ["nobody", "other"])
@pytest.mark.parametrize("kind", OTHERS)
def test_nobody_and_somebody(world, kind, initiator):
    does, wanted = OTHERS[kind]
    more = f'secrets {{\n\tike-both {{\n\t\tid-other = other.example.net\n\t\tsecret = "{SECRET}"\n\t}}\n}}\n'
    nobody, other = two(world, (NOBODY, wanted), (does, FOR_NOBODY), more=more if kind == "shared secret" else "")
    if kind == "shared secret":
        # a connection that shows strangers what a secret can be guessed by is never used for them
        entry = other.pad()["two"]
        assert entry["usable"] == "no" and any("guess" in text for text in entry["findings"]), entry
        is_refused(nobody, "data")
        other.rejected("entry-unusable")
        return
    connects(nobody if initiator == "nobody" else other, "data")
    is_nobody(other, "two")
    if kind == "bare key":
        is_stranger(nobody, "two", other.key)
    else:
        assert nobody.sa("two")["remote-id"] == "other.example.net" and nobody.peers() == []
    world.check_transfer(nobody, other)


@pytest.mark.parametrize("local", ["bare key", "pinned key"])
def test_who_is_wanted_as_nobody_and_is_somebody(world, local):
    """A connection for NULL authentication is for nothing else, in either role."""
    does, _ = OTHERS[local]
    left, right = two(world, (does, FOR_NOBODY), (does, FOR_NOBODY))
    assert not left.initiate("data").success
    assert right.rejected("not-null")["asserted-id"], "as a responder it is not offered"
    has_no_sa(left, right)


def test_a_responder_that_is_somebody(world):
    """An initiator that wants nobody refuses a responder that signs."""
    left, right = two(world, (NOBODY, FOR_NOBODY), (["auth = pubkey", "pubkeys = me.pem"], FOR_NOBODY))
    assert not left.initiate("data").success
    left.rejected("not-null")
    has_no_sa(left)


def test_who_wants_somebody_does_not_take_nobody(world):
    """An initiator with a connection for keys, and one with a connection for somebody known: both refuse NULL."""
    does, wanted = OTHERS["bare key"]
    left, right = two(world, (does, wanted), (NOBODY, wanted))
    assert not left.initiate("data").success
    left.rejected("null-not-admitted")
    has_no_sa(left)
    does, wanted = OTHERS["pinned key"]
    left.add_file("pubkey/other.pem", right.key.public_pem)
    conf = left.swanctl_dir / "swanctl.conf"
    conf.write_text(conf.read_text().replace("groups = btns", "pubkeys = other.pem").replace("id = %any", "id = other.example.net"))
    left.load_all()
    outcome = left.initiate("data")
    assert not outcome.success
    has_no_sa(left)


def test_who_uses_eap_meets_nobody(world):
    """RFC 7619, section 2: a responder must not use NULL authentication then."""
    eap = ("md5", "eap-identity", "eap-md5")
    users = ["auth = eap-md5", "id = laptop.example.org", "eap_id = alice"]
    more = 'secrets {\n\teap-user {\n\t\tid = alice\n\t\tsecret = "her password"\n\t}\n}\n'
    left, right = two(world, (users, FOR_NOBODY), (NOBODY, users), load=eap, more=more)
    entry = left.pad()["two"]
    assert entry["usable"] == "no" and any("eap" in text for text in entry["findings"]), entry
    assert not left.initiate("data").success
    right.wait_log("NULL authentication, local.id = .* is not possible")
    has_no_sa(left, right)
