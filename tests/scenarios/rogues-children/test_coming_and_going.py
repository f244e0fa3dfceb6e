# SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception
"""Whatever a stranger does while it is evicted, deleted or not allowed any more: it goes, and Alice notices nothing."""

import pytest

from harness import ikev2
from harness.checks import NO_TS, connects, is_refused, is_stranger
from harness.rogue import ESP, INFORMATIONAL, delete

ALICES_CHILDREN = "10.66.129.3/32"


def alice_is_new(office):
    """The gateway's swanctl.conf is loaded with Alice's connection, which it did not have before."""
    office.words["ALICE"] = ALICES_CHILDREN
    office.gateway.configure(office.conf("right"))
    office.gateway.load_all()


def order(office):
    """(connection, up) of the gateway's child-updown events."""
    return [(name, message.get("up") == "yes") for message in office.gateway.events.of("child-updown")
            for name in ("alice", "strangers") if name in message]


def went_first(office):
    seen = order(office)
    assert seen.index(("strangers", False)) < seen.index(("alice", True)), seen


class Squatter:
    """Mallory has Alice's address, which was nobody's when she took it; then Alice comes."""

    def __init__(self, office):
        self.office = office(ALICE="10.66.131.3/32")
        self.office.mallory.namespace.ip("addr", "add", "10.66.129.3/32", "dev", "lo")
        self.office.mallory_wants(own="10.66.129.3/32")
        self.mallory = self.office.mallory_comes()
        # the gateway learns that it is Alice's when she comes: it does not look at its configuration before
        self.office.alice.configure(self.office.world.conf("third", **{**self.office.words, "ALICE": ALICES_CHILDREN}))
        self.office.alice.load_all()

    def meets_alice(self, meanwhile=lambda: None):
        alice_is_new(self.office)
        meanwhile()
        self.office.alice_comes()


@pytest.fixture
def squatter(office):
    return Squatter(office)


def ignores_deletes(office):
    office.rogue.hears("deaf", INFORMATIONAL, response=False, times=0, lose=True)


def floods(office):
    """Copies of every message, so that there is always a thread that has her IKE_SA in its hands."""
    office.rogue.says("flood", INFORMATIONAL, copies=800, times=0)
    office.rogue.sends("mischief", [])


def deletes(office):
    office.mallory.swanctl("--terminate", "--child", "data", "--timeout", "-1", check=False)


def rekeys(office):
    office.mallory.swanctl("--rekey", "--child", "data", check=False)


def rekeys_the_ike_sa(office):
    office.mallory.swanctl("--rekey", "--ike", "mischief", check=False)


@pytest.mark.parametrize("meanwhile", [ignores_deletes, floods, deletes, rekeys, rekeys_the_ike_sa], ids=lambda f: f.__name__)
def test_a_stranger_in_the_place_of_alice(squatter, meanwhile):
    """She is gone before Alice has her CHILD_SA."""
    office = squatter.office
    squatter.meets_alice(lambda: meanwhile(office))
    went_first(office)
    if meanwhile != deletes:
        office.mallory_is_gone()
    office.victim.assert_untouched()
    office.rogue.behaves()
    office.mallory.swanctl("--terminate", "--ike", "mischief", "--force", "--timeout", "-1", check=False)
    office.mallory.wait_until(lambda: not office.mallory.sas(), "Mallory has understood")
    office.rogue.shows((ikev2.SPKI, office.mallory.key.spki))
    office.withstands("child-reserved", lambda: is_refused(office.mallory, "data", NO_TS))


def test_deleting_and_rekeying_at_odd_moments(office):
    """The same CHILD_SA by both sides at once, again and again; what was just set up; what is not there any more."""
    office = office().both_come()

    def attack():
        for _ in range(4):
            for command in (["--rekey", "--child", "data"], ["--terminate", "--child", "data"], ["--rekey", "--ike"],
                            ["--rekey", "--child", "data"]):
                for host, ike in ((office.mallory, "mischief"), (office.gateway, "strangers")):
                    name = [ike] if command[-1] == "--ike" else ["--ike", ike]
                    host.swanctl(*command, *name, *(["--timeout", "-1"] if command[0] == "--terminate" else []), check=False)
            office.mallory.initiate("data", timeout=3)
            deletes(office)
        office.mallory.initiate("data")
        is_stranger(office.gateway, "strangers", office.mallory.key)

    office.withstands(None, attack)


def test_deleting_twice_what_was_just_set_up(office):
    office = office().both_come()

    def attack():
        for _ in range(5):
            (child,) = office.mallory.sa("mischief")["child-sas"].values()
            for _ in range(2):
                office.rogue.sends("mischief", [delete(ESP, bytes.fromhex(child["spi-in"]))])
            office.gateway.wait_until(lambda: not office.gateway.sa("strangers")["child-sas"], "deleted")
            office.mallory.swanctl("--terminate", "--child", "data", check=False)
            connects(office.mallory, "data")

    office.withstands(None, attack)
