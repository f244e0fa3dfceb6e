# SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception
"""One gateway with somebody known, a stranger with a key and nobody at all: each lands in its own connection, nobody gets
anything of the others, and whoever is known better is preferred (RFC 7619, sections 2.5, 3 and 3.3)."""

import pytest

from harness import ikev2
from harness.checks import NO_TS, connects, is_nobody, is_stranger
from harness.host import transfer
from harness.second import MARKED
from harness.victim import Victim, withstands

OWN = "10.66.128.7/32"
ALICE = "alice@example.org"


class Gateway:
    """The gateway (right), Alice (third), a stranger with a key (fourth), and a host that has nothing (left)."""

    def __init__(self, world, pool="", remote="10.66.128.0/17", vips="", local=OWN, start=True, **more):
        self.world = world
        self.gateway = world.host("right", world.conf("right", POOL=pool, REMOTE=remote), "ed25519", null=True,
                                  options=MARKED, start=False, **more)
        self.nobody = world.host("left", world.conf("left", VIPS=vips, LOCAL=local), null=True, start=False)
        self.alice = world.host("third", key="ed25519", start=False)
        self.gateway.add_file("pubkey/alice.pem", self.alice.key.public_pem)
        self.alice.add_file("pubkey/gateway.pem", self.gateway.key.public_pem)
        if start:
            world.start(self.gateway, self.nobody, self.alice)

    def stranger(self, address="192.0.2.4", local="10.66.130.4/32"):
        return self.world.host("fourth", self.world.conf("fourth", ADDRESS=address, LOCAL=local), "ed25519")

    def alice_comes(self):
        connects(self.alice, "data")
        self.victim = Victim(self.gateway, "people", self.alice, "work")

    def raw(self, **how):
        """Somebody without a charon, at the address of the host that has nothing."""
        return ikev2.Initiator(self.nobody.namespace, self.nobody.address, self.gateway.address, port=501, **how)

    def serves_nobody(self, world, gateway):
        with ikev2.Initiator(self.nobody.namespace, self.nobody.address, gateway.address, port=502) as initiator:
            initiator.init()
            answer = initiator.auth([], ikev2.Mac(initiator), "", ikev2.ID_NULL, address="10.66.128.99")
            assert answer.authenticated and ikev2.TS_UNACCEPTABLE not in answer.notifies, answer
            initiator.delete()


@pytest.mark.parametrize("order", ["known first", "nobody first"])
def test_each_lands_in_its_own(world, order):
    hosts = Gateway(world)
    stranger = hosts.stranger()
    steps = [(hosts.alice, "data"), (stranger, "data"), (hosts.nobody, "data")]
    for host, child in steps if order == "known first" else reversed(steps):
        connects(host, child)
    gateway = hosts.gateway
    assert gateway.sa("people")["remote-id"] == ALICE
    is_stranger(gateway, "strangers", stranger.key)
    is_nobody(gateway, "null-both")
    assert sorted(peer["auth"] for peer in gateway.peers()) == ["btns", "null"]
    stats = gateway.stats()
    assert (stats["peers"], stats["null-peers"]) == (2, 1)
    for host in (hosts.alice, stranger, hosts.nobody):
        transfer(host, gateway, b"to each its own" * 100)


@pytest.mark.parametrize("claim", [ALICE, "gateway.example.org", "btns-null", "192.0.2.3"])
@pytest.mark.parametrize("known", ["present", "absent"])
def test_a_name_means_nothing(world, claim, known):
    """Nobody may call itself whatever it likes, with INITIAL_CONTACT, and has nothing of it (RFC 7619, sections 2.2 and
    2.3)."""
    hosts = Gateway(world)
    hosts.alice_comes()
    if known == "absent":
        hosts.alice.swanctl("--terminate", "--ike", "work")

    def attack():
        with hosts.raw() as initiator:
            initiator.init()
            kind = ikev2.ID_RFC822 if "@" in claim else ikev2.ID_FQDN
            answer = initiator.auth([], ikev2.Mac(initiator), claim, kind, [ikev2.notify(ikev2.INITIAL_CONTACT)])
            assert answer.authenticated, answer
            peer = is_nobody(hosts.gateway, "null-both")
            assert peer["asserted-id"] == claim
            initiator.delete()

    victims = [hosts.victim] if known == "present" else []
    withstands(world, hosts.gateway, attack, None, *victims, newcomer=hosts.serves_nobody)


def test_initial_contact_deletes_nothing(world):
    """Two of the same address, and of the same name, with INITIAL_CONTACT each: none goes."""
    hosts = Gateway(world)
    people = []
    for name, kind in [("", ikev2.ID_NULL), ("", ikev2.ID_NULL), ("me@example.net", ikev2.ID_RFC822)] + [
            ("me@example.net", ikev2.ID_RFC822)]:
        initiator = hosts.raw()
        people.append(initiator)
        initiator.init()
        answer = initiator.auth([], ikev2.Mac(initiator), name, kind, [ikev2.notify(ikev2.INITIAL_CONTACT)],
                                address=f"10.66.128.{100 + len(people)}")
        assert answer.authenticated, answer
        initiator.socket.close()
    sas = hosts.gateway.sas()
    assert len(sas) == 4 and len({sa["remote-id"] for sa in sas}) == 4, sas
    assert all(sa["state"] == "ESTABLISHED" for sa in sas), sas


@pytest.mark.parametrize("address", ["10.66.129.3", "10.66.0.1", "192.0.2.3", "10.66.128.0-10.66.129.255", "224.0.0.1"])
def test_what_is_somebodys_is_not_for_nobody(world, address):
    hosts = Gateway(world, remote="10.66.128.0/17, 192.0.2.0/24, 224.0.0.0/8")
    hosts.alice_comes()

    def attack():
        with hosts.raw() as initiator:
            initiator.init()
            answer = initiator.auth([], ikev2.Mac(initiator), "", ikev2.ID_NULL, address=address)
            assert ikev2.TS_UNACCEPTABLE in answer.notifies, answer
            initiator.delete()

    withstands(world, hosts.gateway, attack, None, hosts.victim, newcomer=hosts.serves_nobody)


def test_nobody_gets_nothing_that_another_one_has(world):
    hosts = Gateway(world)
    connects(hosts.nobody, "data")
    third = ikev2.Initiator(hosts.alice.namespace, "192.0.2.3", hosts.gateway.address, port=501)
    with third as initiator:
        initiator.init()
        answer = initiator.auth([], ikev2.Mac(initiator), "", ikev2.ID_NULL, address="10.66.128.7")
        assert ikev2.TS_UNACCEPTABLE in answer.notifies, answer
    hosts.gateway.rejected("child-held-by-other")


def test_who_has_a_key_gets_what_nobody_has(world):
    """A key is preferred to none, and nobody comes back to it as long as that one is there."""
    hosts = Gateway(world)
    connects(hosts.nobody, "data")
    gateway = hosts.gateway
    identity = is_nobody(gateway, "null-both")["uniqueid"]
    stranger = hosts.stranger(local=OWN)
    stranger.namespace.ip("addr", "add", OWN, "dev", "lo")
    connects(stranger, "data")
    is_stranger(gateway, "strangers", stranger.key)
    gateway.wait_until(lambda: not [sa for sa in gateway.sas() if sa["name"] == "null-both"], "nobody is gone")
    event = gateway.events.wait("btns-rejected", lambda seen: seen["code"] == "key-preferred", 5)
    assert event["uniqueid"] == identity and event["auth"] == "null"
    transfer(stranger, gateway, b"mine now" * 100, source="10.66.128.7")
    outcome = hosts.nobody.initiate("data")
    assert not outcome.success and NO_TS in outcome.log, outcome.log
    gateway.rejected("child-held-by-other")
    is_stranger(gateway, "strangers", stranger.key)


def test_a_virtual_ip_each(world):
    """Of a pool each gets an address of its own, however alike they are; when one has gone and comes back, too."""
    hosts = Gateway(world, pool="nobodys", remote="dynamic", vips="vips = 0.0.0.0", local="dynamic")
    gateway = hosts.gateway
    connects(hosts.nobody, "data")
    is_nobody(gateway, "null-both")
    first = gateway.sa("null-both")["remote-vips"]
    assert first and first[0].startswith("10.67.0.")
    transfer(hosts.nobody, gateway, b"by lease" * 100, source=first[0])
    other = world.host("fourth", world.conf("left", VIPS="vips = 0.0.0.0", LOCAL="dynamic").replace("192.0.2.1", "192.0.2.4"),
                       null=True)
    connects(other, "data")
    vips = [vip for sa in gateway.sas() for vip in sa["remote-vips"]]
    assert len(vips) == len(set(vips)) == 2, vips


def test_more_than_there_may_be(world):
    """Limits of their own: nobody is turned away, and a stranger with a key is not."""
    world_hosts = Gateway(world, start=False)
    world_hosts.gateway.null = {"max_peers": 2, "max_peers_per_source": 1}
    world.start(world_hosts.gateway, world_hosts.nobody, world_hosts.alice)
    gateway = world_hosts.gateway
    connects(world_hosts.nobody, "data")
    with world_hosts.raw() as initiator:
        initiator.init()
        assert initiator.auth([], ikev2.Mac(initiator), "", ikev2.ID_NULL, address="10.66.128.8").refused
    gateway.rejected("max-null-peers-per-source", auth="null")
    for host, address, code in ((world_hosts.alice, "192.0.2.3", None), (world.host("fourth", "", start=False), "192.0.2.4",
                                                                        "max-null-peers")):
        with ikev2.Initiator(host.namespace, address, gateway.address, port=501) as initiator:
            initiator.init()
            answer = initiator.auth([], ikev2.Mac(initiator), "", ikev2.ID_NULL, address=f"10.66.13{address[-1]}.8")
            assert answer.authenticated == (code is None), answer
        if code:
            gateway.rejected(code)
    assert gateway.stats()["null-peers"] == 2
    key = world.keys.key()
    with world_hosts.raw() as initiator:
        answer = initiator.init().auth([(ikev2.SPKI, key.spki)], ikev2.Signer(key.path), address="10.66.128.77")
        assert answer.authenticated, "a stranger with a key has a place of its own"
