# SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception
"""Where memory runs out in the core, that peer is refused, the daemon lives, and the next one is still filtered."""

import re

import pytest

from harness import paths
from harness.checks import connects, is_refused, is_stranger

REFUSING = (
    "btns_sa_init",
    "btns_sa_message",
    "btns_sa_key",
    "btns_sa_arm",
    "btns_sa_armed_key",
    "btns_sa_authorize",
    "btns_sa_encodings_to_send",
    "btns_pad_lookup",
    "btns_child_authorize",
    "btns_child_up",
)
"""Functions that decide: a failure is a refusal."""

SHOWING = ("btns_peers_each", "btns_config_each", "btns_stats_each", "btns_sa_info", "btns_config_new_findings",
           "btns_encodings_to_request")
"""Functions that only show something, or ask: nobody is refused."""

CONFIGURING = ("btns_config_begin", "btns_config_add", "btns_config_own_address", "btns_config_commit")


class Pair:
    def __init__(self, world):
        self.world = world
        self.left = world.host("left", key="ed25519", start=False)
        self.right = world.host("right", key="ed25519", plugin=paths.FAULTS_PLUGIN, start=False)
        self.right.add_file("pubkey/alice.pem", world.keys.key("ed25519").public_pem)
        world.start(self.left, self.right)

    def arm(self, fault=None):
        self.right.btns = {"fault": fault} if fault else {}
        self.right.reload_options()

    def clean(self):
        """Both have no SA."""
        for host in (self.left, self.right):
            for sa in host.sas():
                host.swanctl("--terminate", "--ike-id", sa["uniqueid"], "--force", check=False)
        for host in (self.left, self.right):
            host.wait_until(lambda: not host.sas(), "no SA")
        self.right.wait_until(lambda: not self.right.peers(), "no peer")

    def still_filters(self, after):
        """A liar is refused, a stranger is served."""
        start = self.right.events.mark()
        is_refused(self.left, "lie")
        event = self.right.events.wait("btns-rejected", start=start)
        assert event["code"] == "claims-known-id", f"after {after}: {event}"
        connects(self.left, "data")
        is_stranger(self.right, "strangers", self.left.key)
        self.clean()


@pytest.fixture
def pair(world):
    return Pair(world)


def installed(host):
    return [child for sa in host.sas() for child in sa["child-sas"].values() if child["state"] == "INSTALLED"]


@pytest.mark.parametrize("count", [1, 1000])
def test_a_failure_is_a_refusal(pair, count):
    left, right = pair.left, pair.right
    pair.still_filters("nothing")
    for function in REFUSING:
        pair.arm(f"{function}:{count}")
        outcome = left.initiate("data")
        if function != "btns_child_up":  # which comes after the answer
            assert not outcome.success, f"{function}: {outcome.log}"
        right.wait_until(lambda: not installed(right), f"{function}: no CHILD_SA is left")
        assert right.alive(), function
        pair.arm()
        pair.clean()
        pair.still_filters(function)
    pair.world.check_alive()


def test_a_failure_to_show_something_refuses_nobody(pair):
    left, right = pair.left, pair.right
    for function in SHOWING:
        pair.arm(f"{function}:1")
        connects(left, "data")
        if function in ("btns_peers_each", "btns_config_each", "btns_stats_each"):
            answers = [
                right.vici.request(command, {}, stream=event)[0]
                for command, event in (("btns-list-peers", "btns-peer"), ("btns-list-pad", "btns-pad"), ("btns-stats", None))
            ]
            failed = [answer for answer in answers if answer.get("success") == "no"]
            assert len(failed) == 1 and failed[0]["errmsg"], f"{function}: {answers}"
        pair.arm()
        is_stranger(right, "strangers", left.key)
        pair.clean()
        pair.still_filters(function)


@pytest.mark.parametrize("function", CONFIGURING)
def test_a_configuration_that_cannot_be_read_admits_no_liar(pair, function):
    """bob becomes known while the core fails: who claims bob is no stranger, neither then nor later."""
    left, right = pair.left, pair.right
    left.configure(pair.world.conf("left").replace("alice@", "bob@"))
    left.load_all()
    pair.arm(f"{function}:1000")
    right.configure(pair.world.conf("right") + pair.world.conf("right").split("\n\n", 2)[2].replace("alice", "bob"))
    right.add_file("pubkey/bob.pem", pair.world.keys.key("ed25519").public_pem)
    right.load_all()
    is_refused(left, "lie")
    pair.arm()
    is_refused(left, "lie")
    right.rejected("claims-known-id")
    connects(left, "data")
    is_stranger(right, "strangers", left.key)


def guarded_calls():
    """All functions of the C ABI that can fail: those that go through the guard."""
    names = set()
    for file in sorted((paths.REPO / "plugins" / "core").glob("abi_*.cpp")):
        for definition in re.split(r"^(?=\w.*\bbtns_\w+\()", file.read_text(), flags=re.MULTILINE):
            name = re.match(r".*?\b(btns_\w+)\(", definition)
            if name and "__func__" in definition:
                names.add(name.group(1))
    return sorted(names)


def test_every_call_may_fail(pair):
    """Whatever call fails: no liar gets in, the daemon lives, and the hooks are still there for the next peer."""
    left, right = pair.left, pair.right
    calls = guarded_calls()
    assert {*REFUSING, *SHOWING, *CONFIGURING} <= set(calls) and len(calls) > 40, calls
    served = []
    for function in calls:
        pair.arm(f"{function}:100000")
        is_refused(left, "lie")
        if left.initiate("data").success:
            served.append(function)
        assert right.alive(), function
        pair.arm()
        pair.clean()
        pair.still_filters(function)
    assert not set(served) & (set(REFUSING) - {"btns_child_up"}), served
    pair.world.check_alive()
