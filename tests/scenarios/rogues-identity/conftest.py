# SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception
"""The gateway, Alice, and Mallory."""

import functools

import pytest

from harness import ikev2
from harness.checks import connects
from harness.rogue import bare
from harness.victim import Victim, withstands

ALICE = "alice@example.org"


class Company:
    """A gateway (right) with Alice (third) at work, and Mallory (left), a charon that misbehaves.

    @param alice	Alice's identity as swanctl.conf has it
    @param unique	the gateway's uniqueness policy
    @param load		further plugins of the gateway's and Mallory's
    @param key		type of Alice's and Mallory's keys
    @param ike		version of IKE that Alice uses
    """

    def __init__(self, world, alice=ALICE, unique="replace", load=(), key="ed25519", ike=2):
        self.world = world
        self.unique = unique
        self.ike = ike
        self.alice_id = alice
        self.ca = world.keys.ca("Company CA")
        self.gateway = world.host("right", self.gateway_conf(), "rsa2048" if ike == 1 else "ecdsa256", load=load, start=False)
        self.alice = world.host("third", world.conf("third", ALICE=alice, IKE=str(ike)), key, start=False)
        # she gives up soon when nobody answers
        self.mallory = world.rogue("left", self.mallory_conf(), key, plugin=None, start=False,
                                   options={"retransmit_tries": 1}, load=load)
        self.gateway.add_file("x509/gateway.pem", self.ca.issue(self.gateway.key, "gateway.example.org"))
        self.gateway.add_file("pubkey/alice.pem", self.alice.key.public_pem)
        self.mallory.namespace.ip("addr", "add", "10.66.131.7/32", "dev", "lo")
        for host in (self.gateway, self.alice, self.mallory):
            host.add_file("x509ca/ca.pem", self.ca.pem)

    def gateway_conf(self):
        return self.world.conf("right", ALICE=self.alice_id, UNIQUE=self.unique, IKE=str(self.ike))

    def mallory_conf(self, claim="mallory@example.net"):
        return self.world.conf("left", CLAIM=claim)

    def open(self, connection="alice"):
        """Everybody starts, and Alice is at work, by this connection of the gateway's."""
        self.world.start(self.gateway, self.alice, self.mallory)
        connects(self.alice, "data")
        self.victim = Victim(self.gateway, connection, self.alice, "work")
        return self

    @property
    def mallorys_key(self):
        """The CERT payload that an honest stranger in her place would send."""
        return bare(self.mallory.key)

    def mallory_is(self, identity, *certs, initial_contact=False, edit=lambda conf: conf):
        """Mallory calls herself something, in swanctl.conf's notation, and shows these CERT payloads: her own bare key if
        none is given.

        @param edit		changes her swanctl.conf
        """
        self.mallory.configure(edit(self.mallory_conf(identity)))
        self.mallory.load_all()
        rogue = self.mallory.rogue
        rogue.behaves()
        rogue.shows(*(certs or [self.mallorys_key]))
        if initial_contact:
            rogue.says("initial contact", drop_notifies=[ikev2.INITIAL_CONTACT], add=[ikev2.notify(ikev2.INITIAL_CONTACT)],
                       times=0)

    def tries(self, *rules):
        """Mallory tries, is told no, and every one of her rules was used."""
        outcome = self.mallory.initiate("data")
        assert not outcome.success, f"Mallory got in: {outcome.log}"
        for rule in rules:
            assert self.mallory.rogue.applied(rule), f"Mallory did not do it: {rule}"
        return outcome

    def withstands(self, code, *rules, attack=None, **fields):
        """Mallory is refused for this reason, Alice notices nothing, and the next stranger is served."""
        event = withstands(self.world, self.gateway, attack or (lambda: self.tries(*rules)), code, self.victim, **fields)
        assert self.mallory.key.fingerprint not in [peer["fingerprint"] for peer in self.gateway.peers()]
        return event

    def victim_after(self, attack):
        """Mallory may be a stranger in the end; Alice notices nothing, and the next stranger is served."""
        return withstands(self.world, self.gateway, attack, None, self.victim)


@pytest.fixture
def company(world):
    """Makes the Company; it is not open yet, so that a test can change what it wants."""
    return functools.partial(Company, world)
