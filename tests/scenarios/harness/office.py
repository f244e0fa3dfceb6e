# SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception
"""The gateway, Alice at work, and Mallory, who is admitted as a stranger and wants more: the hosts of rogues-children, with its
configurations, for ESP in user space and for the kernel's."""

import functools

import pytest

from . import ikev2, paths
from .checks import connects, is_stranger
from .second import MARKED
from .victim import Victim, withstands

ALICE = "10.66.129.3/32"
STRANGERS = "10.66.128.0/17, 192.0.2.0/24"


class Office:
    """A gateway (right), Alice (third), and Mallory (left), a charon that misbehaves.

    @param more		words of the configurations: ALICE, STRANGERS and so on
    """

    def __init__(self, world, mobike="yes", options=None, btns=None, **more):
        self.world = world
        world.scenario = paths.SCENARIOS / "rogues-children"
        self.words = {"MOBIKE": mobike, "ALICE": ALICE, "STRANGERS": STRANGERS, "GROUPS": "btns", "POOL": "", "GUESTS": "",
                      "VIPS": "", **more}
        self.gateway = world.host("right", self.conf("right"), "ed25519", options={**MARKED, **(options or {})}, btns=btns,
                                  start=False)
        self.alice = world.host("third", self.conf("third"), "ed25519", start=False)
        self.mallory = world.rogue("left", self.mallory_conf(), "ed25519", plugin=None, start=False)
        self.rogue = self.mallory.rogue
        self.gateway.add_file("pubkey/alice.pem", self.alice.key.public_pem)
        for host in (self.alice, self.mallory):
            host.add_file("pubkey/gateway.pem", self.gateway.key.public_pem)
        self.mallory.namespace.ip("addr", "add", "10.66.128.8/32", "dev", "lo")
        # Mallory may send from Alice's address, but does not answer for it on the wire
        world.silent(self.mallory, "192.0.2.3")
        world.start(self.gateway, self.alice, self.mallory)

    def conf(self, name, **more):
        return self.world.conf(name, **{**self.words, **more})

    def mallory_conf(self, own="10.66.128.7/32", more="10.66.128.8/32", vips=""):
        return self.conf("left", OWN=own, MORE=more, VIPS=vips)

    def alice_comes(self, inside=None):
        connects(self.alice, "data")
        leases = self.alice.sa("work").get("local-vips")
        self.victim = Victim(self.gateway, "alice", self.alice, "work", inside or leases and leases[0])
        return self

    def mallory_wants(self, **selectors):
        """Change her swanctl.conf."""
        self.mallory.configure(self.mallory_conf(**selectors))
        self.mallory.load_all()
        return self

    def mallory_comes(self):
        """Mallory is an ordinary stranger. Returns what the plugin knows of her."""
        self.rogue.shows((ikev2.SPKI, self.mallory.key.spki))
        connects(self.mallory, "data")
        return is_stranger(self.gateway, "strangers", self.mallory.key)

    def both_come(self):
        self.alice_comes()
        self.mallory_comes()
        return self

    def mallory_leaves(self):
        self.mallory.swanctl("--terminate", "--ike", "mischief", check=False)
        self.mallory_is_gone()

    def mallory_is_gone(self):
        def is_gone():
            return not [sa for sa in self.gateway.sas() if sa["name"] == "strangers"]

        self.gateway.wait_until(is_gone, "Mallory's IKE_SA is gone")

    def withstands(self, code, attack, **fields):
        """Mallory is refused for this reason, Alice notices nothing, and the next stranger is served."""
        return withstands(self.world, self.gateway, attack, code, self.victim, **fields)

    def raw(self, source, host=None, **how):
        """Somebody who needs no charon, as a context manager."""
        return ikev2.Initiator((host or self.mallory).namespace, source, self.gateway.address, **how)

    def own_key(self):
        """A new key: the CERT payloads that show it, and its signer."""
        key = self.world.keys.key()
        return [(ikev2.SPKI, key.spki)], ikev2.Signer(key.path)


@pytest.fixture
def office(world):
    """Makes the Office; everybody has started, and nobody has come yet."""
    return functools.partial(Office, world)
