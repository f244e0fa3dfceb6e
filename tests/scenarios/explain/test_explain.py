# SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception
"""What btns-explain says of a peer is what happens to it when it comes, and nothing is changed by asking."""

import time

import pytest

from harness import ikev2
from harness.checks import connects, has_no_sa, is_stranger
from harness.keys import EXPIRED, der

STRANGER, PINNED, BROKEN, STRONG, ALICE, NOBODY = (f"192.0.2.{last}" for last in (1, 5, 6, 7, 9, 8))
"""Addresses of the left host; right.conf has a connection for each but the last."""

INNER = "10.66.128.9"


class Stage:
    """A responder that is asked what it would do, and an initiator that then does it."""

    def __init__(self, world, **btns):
        self.keys = world.keys
        self.left = world.host("left", "", start=False)
        for address in (PINNED, BROKEN, STRONG, ALICE, NOBODY):
            self.left.namespace.ip("addr", "add", f"{address}/24", "dev", "eth0")
        self.pinned = world.keys.key("ed25519")
        self.alice = world.keys.key("ed25519")
        self.ca = world.keys.ca("Company CA")
        conf = world.conf("right", PINNED_KEY=self.pinned.fingerprint)
        self.right = world.host("right", conf, "ed25519", btns=btns, start=False)
        self.right.add_file("pubkey/alice.pem", self.alice.public_pem)
        self.right.add_file("x509ca/ca.pem", self.ca.pem)
        self.right.start()

    def says(self, source=STRANGER, child=INNER, key=None, cert=None, **fields):
        """What btns-explain answers; nothing has changed afterwards."""
        before = self.settled()
        if key:
            fields["key"] = key.spki.hex()
        if cert:
            fields.update(key=cert.hex(), encoding="x509")
        answer = self.right.request("btns-explain", {
            "remote-host": source, "local-host": self.right.address, "remote-ts": child, "local-ts": "10.66.0.1", **fields,
        })
        assert answer["success"] == "yes", answer
        assert self.state() == before
        for step in answer["steps"].values():
            assert step["text"] and step["result"] in ("ok", "no"), step
        return answer

    def state(self):
        # first: it reads the configuration anew
        pad = self.right.pad()
        sas = [(sa["name"], sa["uniqueid"], sa["state"]) for sa in self.right.sas()]
        return pad, self.right.stats(), self.right.peers(), sas, self.right.log().count("btns:")

    def settled(self):
        """The state once nobody who came before is being reported or forgotten any more."""
        last = None
        for _ in range(50):
            now = self.state()
            if now == last:
                break
            last = now
            time.sleep(0.1)
        return now

    def happens(self, key, source=STRANGER, child=INNER, certs=None, **how):
        """It comes. Returns the answer to IKE_AUTH and the event btns-rejected, if there is one."""
        start = self.right.events.mark()
        answer = ikev2.attempt(self.left.namespace, source, self.right.address,
                               [(ikev2.SPKI, key.spki)] if certs is None else certs, ikev2.Signer(key.path), address=child,
                               **how)
        return answer, lambda: self.right.events.wait("btns-rejected", timeout=5, start=start)

    def is_refused(self, answer, code, key, **how):
        """The peer that an answer is about is refused, with the code that the answer has."""
        assert (answer["peer"], answer["code"]) == ("refused", code), answer
        assert obstacle(answer)["code"] == code, answer
        got, event = self.happens(key, **how)
        assert got.refused, got
        assert event()["code"] == code
        assert self.right.peers() == []

    def is_accepted(self, answer, connection, key, **how):
        assert (answer["peer"], answer["child-sa"]) == ("accepted", "allowed"), answer
        assert (answer["connection"], answer["authorized-id"]) == (connection, key.identity), answer
        assert not obstacles(answer), answer
        got, _ = self.happens(key, **how)
        assert got.authenticated and ikev2.TS_UNACCEPTABLE not in got.notifies, got
        sa = self.right.sa(connection)
        assert sa["remote-id"] == key.identity
        (child,) = sa["child-sas"].values()
        assert (child["name"], child["local-ts"], child["remote-ts"]) == (
            answer["child"], answer["local-ts"], answer["remote-ts"])


def obstacles(answer):
    return [step for step in answer["steps"].values() if step["result"] == "no"]


def obstacle(answer):
    """The step at which it ends."""
    found = obstacles(answer)
    assert found, answer
    return found[0]


@pytest.fixture
def stage(world):
    return Stage(world)


def test_a_stranger_is_accepted(stage):
    key = stage.keys.key("ed25519")
    answer = stage.says(key=key)
    assert [step["step"] for step in answer["steps"].values()] == [
        "addresses", "reserved-id", "known-id", "signature", "flag", "credential", "key", "room", "entry", "identity",
        "child", "child-mode", "child-selectors", "child-reserved", "child-held", "child-count"]
    stage.is_accepted(answer, "strangers", key)


def test_only_the_fingerprint_is_known(stage):
    key = stage.keys.key("ed25519")
    stage.is_accepted(stage.says(fingerprint=key.fingerprint), "strangers", key)
    answer = stage.says(fingerprint=stage.alice.fingerprint)
    assert (answer["peer"], answer["code"]) == ("refused", "credential-known"), answer


def test_the_pinned_key(stage):
    stage.is_accepted(stage.says(PINNED, key=stage.pinned), "pinned", stage.pinned, source=PINNED)


def test_another_key_than_the_pinned_one(stage):
    key = stage.keys.key("ed25519")
    answer = stage.says(PINNED, key=key)
    assert key.identity in obstacle(answer)["text"]
    stage.is_refused(answer, "key-not-pinned", key, source=PINNED)


@pytest.mark.parametrize("identity, known_to", [("alice@example.org", "connection 'alice'"), ("bob.example.org", "shared secret")])
def test_an_identity_that_is_known(stage, identity, known_to):
    """It has to authenticate as that, and cannot."""
    key = stage.keys.key("ed25519")
    answer = stage.says(PINNED, key=key, **{"asserted-id": identity})
    assert known_to in obstacle(answer)["text"], answer
    kind = ikev2.ID_RFC822 if "@" in identity else ikev2.ID_FQDN
    stage.is_refused(answer, "claims-known-id", key, source=PINNED, identity=identity, id_type=kind)


def test_somebody_known_authenticates(stage):
    """A connection without the flag is for it, and by that it comes in."""
    answer = stage.says(key=stage.alice, child="10.66.200.7", **{"asserted-id": "alice@example.org"})
    assert (answer["peer"], answer["connections"]) == ("authenticates", ["alice"]), answer
    got, _ = stage.happens(stage.alice, child="10.66.200.7", identity="alice@example.org", id_type=ikev2.ID_RFC822)
    assert got.authenticated
    assert stage.right.sa("alice")["remote-id"] == "alice@example.org"
    assert stage.right.peers() == []


def test_an_identity_that_is_reserved(stage):
    key = stage.keys.key("ed25519")
    stage.is_refused(stage.says(key=key, **{"asserted-id": "btns:me"}), "claims-reserved-id", key, identity="btns:me")


@pytest.mark.parametrize("lifetime", [None, EXPIRED])
def test_a_certificate_of_a_known_ca(stage, lifetime):
    """Whether it is valid does not matter: it makes no stranger."""
    key = stage.keys.key("ed25519")
    cert = der(stage.ca.issue(key, "hostile.example.net", lifetime=lifetime))
    answer = stage.says(PINNED, cert=cert, **{"asserted-id": "hostile.example.net"})
    assert "Company CA" in obstacle(answer)["text"], answer
    stage.is_refused(answer, "credential-known", key, source=PINNED, certs=[(ikev2.X509, cert)])


def test_a_key_that_is_loaded(stage):
    answer = stage.says(PINNED, key=stage.alice)
    stage.is_refused(answer, "credential-known", stage.alice, source=PINNED)


@pytest.mark.parametrize("kind, code", [("rsa1024", "rsa-too-short"), ("ecdsa192", "ec-curve-unknown")])
def test_a_key_that_is_weak(stage, kind, code):
    key = stage.keys.key(kind)
    stage.is_refused(stage.says(PINNED, key=key), code, key, source=PINNED)


def test_no_key(stage):
    stage.is_refused(stage.says(PINNED), "no-key", stage.keys.key("ed25519"), source=PINNED, certs=())


def test_a_strength_that_the_connection_demands(stage):
    """charon refuses it, so there is no code."""
    weak, strong = stage.keys.key("rsa2048"), stage.keys.key("ecdsa384")
    answer = stage.says(STRONG, key=weak)
    assert (answer["peer"], answer.get("code")) == ("refused", None), answer
    assert obstacle(answer)["step"] == "strength"
    got, _ = stage.happens(weak, source=STRONG)
    assert got.refused
    stage.is_accepted(stage.says(STRONG, key=strong), "strong", strong, source=STRONG)


def test_a_connection_with_an_error(stage):
    key = stage.keys.key("ed25519")
    answer = stage.says(BROKEN, key=key, **{"asserted-id": "me@example.net"})
    assert "remote.id has to be %any" in obstacle(answer)["text"], answer
    stage.is_refused(answer, "entry-unusable", key, source=BROKEN, identity="me@example.net", id_type=ikev2.ID_RFC822)


def test_addresses_without_the_flag(stage):
    """alice's connection fits the address, but not the identity."""
    key = stage.keys.key("ed25519")
    answer = stage.says(ALICE, key=key)
    assert (answer["peer"], answer["code"]) == ("refused", "not-flagged"), answer
    got, event = stage.happens(key, source=ALICE)
    assert got.refused and event()["code"] == "not-flagged"


def test_addresses_without_any_connection(stage):
    """charon answers IKE_SA_INIT with NO_PROPOSAL_CHOSEN, of which there is no event."""
    key = stage.keys.key("ed25519")
    answer = stage.says(NOBODY, key=key)
    assert (answer["peer"], obstacle(answer)["step"]) == ("refused", "addresses"), answer
    with pytest.raises(RuntimeError, match="IKE_SA_INIT was refused"):
        stage.happens(key, source=NOBODY)


def child_is_refused(stage, answer, code, key, child):
    """The peer is one, but gets no CHILD_SA."""
    assert (answer["peer"], answer["child-sa"], answer.get("code")) == ("accepted", "refused", code), answer
    assert obstacle(answer).get("code") == code
    got, event = stage.happens(key, child=child)
    assert ikev2.TS_UNACCEPTABLE in got.notifies, got
    if code:
        assert event()["code"] == code
    assert [peer["child-sas"] for peer in stage.right.peers()] == ["0"]


def test_an_address_that_is_reserved(stage):
    key = stage.keys.key("ed25519")
    answer = stage.says(key=key, child="10.66.200.7")
    assert "connection 'alice' reserves 10.66.200.0/24" in obstacle(answer)["text"], answer
    child_is_refused(stage, answer, "child-reserved", key, "10.66.200.7")


def test_selectors_that_are_no_prefix(stage):
    key = stage.keys.key("ed25519")
    asks = "10.66.128.1-10.66.128.6"
    child_is_refused(stage, stage.says(key=key, child=asks), "child-not-a-prefix", key, asks)


def test_selectors_that_no_child_has(stage):
    key = stage.keys.key("ed25519")
    child_is_refused(stage, stage.says(key=key, child="10.67.0.1"), None, key, "10.67.0.1")


def test_an_address_that_another_key_holds(stage):
    first, second = stage.keys.key("ed25519"), stage.keys.key("ed25519")
    with ikev2.Initiator(stage.left.namespace, STRANGER, stage.right.address) as initiator:
        assert initiator.init().auth([(ikev2.SPKI, first.spki)], ikev2.Signer(first.path), address=INNER).authenticated
        holder = stage.right.peers()[0]["uniqueid"]
        answer = stage.says(key=second)
        assert (answer["peer"], answer["child-sa"], answer["code"]) == ("accepted", "refused", "child-held-by-other")
        assert f"IKE_SA #{holder}" in obstacle(answer)["text"], answer
    got, event = stage.happens(second)
    assert ikev2.TS_UNACCEPTABLE in got.notifies
    assert event()["code"] == "child-held-by-other"


def test_all_places_are_taken(world):
    stage = Stage(world, max_peers=1)
    first, second = stage.keys.key("ed25519"), stage.keys.key("ed25519")
    assert stage.says(key=second)["peer"] == "accepted"
    assert stage.happens(first)[0].authenticated
    answer = stage.says(PINNED, key=second)
    assert (answer["peer"], answer["code"]) == ("refused", "max-peers"), answer
    got, event = stage.happens(second, source=PINNED)
    assert got.refused and event()["code"] == "max-peers"
    assert [peer["fingerprint"] for peer in stage.right.peers()] == [first.fingerprint]


def test_as_an_initiator(world):
    """Whom a connection of ours would take at the other end."""
    left = world.host("left", key="ed25519", start=False)
    right = world.host("right", world.conf("responder"), "ed25519", start=False)
    world.start(left, right)

    def says(**fields):
        return left.request("btns-explain", {
            "role": "initiator", "connection": "strangers", "remote-host": right.address, "key": right.key.spki.hex(),
            "asserted-id": "right.example.org",
            "local-ts": left.inner[0], "remote-ts": right.inner[0], **fields})

    answer = says()
    assert (answer["peer"], answer["child-sa"], answer["authorized-id"]) == ("accepted", "allowed", right.key.identity), answer
    connects(left, "data")
    is_stranger(left, "strangers", right.key)
    left.swanctl("--terminate", "--ike", "strangers")
    has_no_sa(left, right)
    # now somebody has that name
    left.configure(world.conf("left") + "connections {\n other {\n remote {\n id = *.example.org\n }\n }\n}\n")
    left.load_all()
    answer = says()
    assert (answer["peer"], answer["code"]) == ("refused", "claims-known-id"), answer
    assert not left.initiate("data", "strangers").success
    left.rejected("claims-known-id")


MISTAKES = {
    "no address": ({}, "'remote-host' is missing"),
    "a name": ({"remote-host": "right.example.org"}, "'remote-host' has to be an IP address"),
    "a network": ({"remote-host": "192.0.2.0/24"}, "'remote-host' has to be an IP address"),
    "two families": ({"remote-host": "192.0.2.1", "local-host": "2001:db8::1"}, "'local-host' and 'remote-host' are of different families"),
    "no hex": ({"remote-host": "192.0.2.1", "key": "3x"}, "invalid value for 'key'"),
    "half an octet": ({"remote-host": "192.0.2.1", "key": "302"}, "invalid value for 'key'"),
    "a short fingerprint": ({"remote-host": "192.0.2.1", "fingerprint": "00" * 31}, "invalid value for 'fingerprint'"),
    "both": ({"remote-host": "192.0.2.1", "fingerprint": "00" * 32, "key": "30"}, "'key' and 'fingerprint' exclude each other"),
    "a selector": ({"remote-host": "192.0.2.1", "local-ts": "10.0.0.0/33"}, "invalid value for 'local-ts'"),
    "many selectors": ({"remote-host": "192.0.2.1", "local-ts": ["10.0.0.1"] * 17}, "too many values in 'local-ts'"),
    "a word": ({"remote-host": "192.0.2.1", "auth": "magic"}, "invalid value for 'auth'"),
    "no connection": ({"remote-host": "192.0.2.1", "role": "initiator"}, "'connection' is missing"),
    "a connection": ({"remote-host": "192.0.2.1", "connection": "strangers"}, "'connection' is for an initiator: a responder's peer chooses none"),
    "another field": ({"remote-host": "192.0.2.1", "colour": "red"}, "unknown field 'colour'"),
    "a section": ({"peer": {"remote-host": "192.0.2.1"}}, "unexpected section 'peer'"),
    "a list": ({"remote-host": ["192.0.2.1"]}, "unexpected list 'remote-host'"),
    "too long": ({"remote-host": "192.0.2.1", "asserted-id": "x" * 256}, "invalid value for 'asserted-id'"),
}


def test_requests_are_read_strictly(stage):
    for what, (request, error) in MISTAKES.items():
        answer = stage.right.request("btns-explain", request)
        assert (answer["success"], answer["errmsg"]) == ("no", error), what
