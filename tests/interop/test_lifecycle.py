# SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception
"""What happens to the SAs of a charon and another daemon in the course of time: they are rekeyed, deleted, lost, and made by
both at once."""

import threading

import pytest

import xfrm
from kinds import KINDS
from pairs import (SLOW, carries_data, is_settled, stays, unplugged, wait_changed, wait_gone, wait_settled)
from pluto import Libreswan

pytestmark = pytest.mark.parametrize("kind", KINDS)


@pytest.mark.parametrize("what", ["ike", "child"])
def test_charon_rekeys(world, report, kind, what):
    pair = KINDS[kind](world).up()
    before = wait_settled(pair.left)
    pair.left.swanctl("--rekey", *(("--ike", pair.connection) if what == "ike" else ("--child", "data")))
    wait_changed(pair.left, what, before)
    carries_data(world, pair.left, pair.right, report)


OWN_REKEYING = {"ike": ("--rekey-ike", "ikelifetime 25"), "child": ("--rekey-ipsec", "lifetime 25")}
"""How libreswan is told to rekey at once; how OpenIKED is told to rekey after a while."""


@pytest.mark.parametrize("what", ["ike", "child"])
def test_the_peer_rekeys(world, report, kind, what):
    command, lifetime = OWN_REKEYING[what]
    pair = KINDS[kind](world, more="" if kind.startswith("libreswan") else lifetime).up()
    before = wait_settled(pair.left)
    carries_data(world, pair.left, pair.right, report)
    if isinstance(pair.right, Libreswan):
        said = pair.right.whack(command, "--name", "charon")
        assert said.success, said.text
    wait_changed(pair.left, what, before, 2 * SLOW)
    carries_data(world, pair.left, pair.right, report)


@pytest.mark.parametrize("who", ["charon", "peer"])
def test_a_delete_ends_it_at_both_ends(world, kind, who):
    pair = KINDS[kind](world).up()
    if who == "charon":
        pair.left.swanctl("--terminate", "--ike", pair.connection)
    else:
        pair.right.end()
    wait_gone(pair.left)
    for host in (pair.left, pair.right):
        host.wait_until(lambda host=host: not xfrm.states(host), "no SA is left in the kernel", SLOW)
    stays(lambda: not pair.left.sas(), 2, "nobody begins anew")


def test_the_peer_restarts(world, report, kind):
    """It comes back without its SAs, and begins anew. charon finds out that the old one leads nowhere."""
    pair = KINDS[kind](world, "peer", options="dpd_delay = 3s").up("peer")
    before = wait_settled(pair.left)
    pair.right.crash()
    pair.right.begin()
    wait_changed(pair.left, "ike", before, 2 * SLOW)
    carries_data(world, pair.left, pair.right, report)


def test_charon_restarts(world, report, kind):
    pair = KINDS[kind](world).up()
    pair.left.crash()
    pair.left.start()
    outcome = pair.left.initiate("data", pair.connection, timeout=SLOW)
    assert outcome.success, f"{outcome.error}\n{outcome.log}"
    carries_data(world, pair.left, pair.right, report)


def test_both_begin_at_once(world, report, kind):
    """There may be two of everything then; what counts is that both send into an SA that the other one has, and that it lasts."""
    pair = KINDS[kind](world, "peer")
    pair.left.start()
    pair.right.start()
    # OpenIKED 7.2 begins two seconds after it has started, and hangs if it gets a message while it still starts
    other = threading.Thread(target=pair.right.begin)
    if not isinstance(pair.right, Libreswan):
        pair.right.wait_log('initiating "charon"', SLOW)
    other.start()
    pair.left.initiate("data", pair.connection, timeout=SLOW)
    other.join()

    def is_quiet():
        return pair.left.sas() and all(sa["state"] == "ESTABLISHED" for sa in pair.left.sas())

    pair.left.wait_until(is_quiet, "every IKE_SA is established", SLOW)
    carries_data(world, pair.left, pair.right, report)
    stays(lambda: any(xfrm.children(pair.left, pair.connection)), 3, "a CHILD_SA lasts")
    carries_data(world, pair.left, pair.right, report)


def test_a_dead_peer_is_noticed(world, report, kind):
    """Each answers the other's checks as long as there is a wire. Without one charon drops its SAs, and so does libreswan;
    OpenIKED looks for a peer only after five minutes, since Linux does not tell it that its SAs are idle. Both can begin
    anew."""
    checks = kind.startswith("libreswan")
    more = "\tdpddelay=2\n\tdpdtimeout=10\n\tdpdaction=clear\n\tretransmit-timeout=10s\n" if checks else ""
    pair = KINDS[kind](world, options="dpd_delay = 2s", more=more).up()
    before = wait_settled(pair.left)
    stays(lambda: is_settled(pair.left) == before, 8, "an idle SA lasts")
    assert xfrm.states(pair.right)
    with unplugged(world, pair.right):
        wait_gone(pair.left)
        if checks:
            pair.right.wait_until(lambda: not xfrm.states(pair.right), "no SA is left in the kernel", SLOW)
    outcome = pair.left.initiate("data", pair.connection, timeout=SLOW)
    assert outcome.success, f"{outcome.error}\n{outcome.log}"
    carries_data(world, pair.left, pair.right, report)
