# SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception
"""Somebody else's SA over a latched connection: a stranger gets none, for somebody known the latch breaks first."""

import pytest
from harness.checks import connects, has_no_sa
from harness.latches import Application, Failed, listed, nothing_is_left

import worlds
import xfrm
from worlds import (CLIENT, CLIENT6, PORT, SERVER, SERVER6, Connected, TakenOver, Wire, cannot_send, client_conf,
                    give_back, known_third, known_third_at_server, octets, one, pair, server_conf, take_address, told,
                    with_connection)

SECRET = "for the client only"
FORGED = "from the client, or so it says"
FAMILIES = {"ipv4": (CLIENT, SERVER), "ipv6": (CLIENT6, SERVER6)}
LIVELY = "\t\tdpd_delay = 3s"
"""Lines of a connection with dead peer detection"""


def with_somebody_known(world, client=CLIENT, server=SERVER):
    """The client, the server, and somebody known to the server who will have the client's address."""
    left, right = pair(world, client_conf(world, client, server),
                       server_conf(world, known_third_at_server(server), local=server), start=False)
    third = known_third(world, right, client, server)
    world.start(left, right)
    return left, right, third


def comes(world, third, left, address=CLIENT):
    """Somebody has the client's address, and charon runs there."""
    take_address(world, third, address, left)
    world.start(third)


@pytest.mark.parametrize("family", FAMILIES)
def test_somebody_known_takes_the_clients_address(world, family):
    """The connection is reset before the SA of somebody known is used, its owner hears why, and not one octet of a
    transfer gets there."""
    client, server = FAMILIES[family]
    left, right, third = with_somebody_known(world, client, server)
    wire = Wire(world)
    with Connected(left, right, address=server) as both:
        both.stream()
        comes(world, third, left, client)
        connects(third, "app")
        cannot_send(both.server, "s")
        told(both.server, "broken", "conflict")
        both.fails(both.server, "s")
        assert not octets(third)
        assert right.sa("known")["child-sas"]
        wire.nothing_in_clear()
        give_back(world, third, left)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_connection_that_waits(world, family):
    """Nothing passes in either direction while somebody known has an SA over it: not what the server sends, and not
    what arrives with the numbers of the connection. When that SA has gone the connection is as before, and goes on."""
    client, server = FAMILIES[family]
    left, right, third = with_somebody_known(world, client, server)
    wire = Wire(world)
    with Connected(left, right, address=server, disposition=1) as both:
        both.exchanges()
        port, sequence = both.client("port", "c")["port"], both.server("sequence", "s")
        comes(world, third, left, client)
        connects(third, "app")
        told(both.server, "broken", "conflict")
        broken = one(right, "broken")
        assert broken["code"] == "conflict" and broken["disposition"] == "wait", broken
        with TakenOver(third, (client, port), (server, PORT), sequence) as connection:
            before = worlds.mismatches(right)
            connection.send(FORGED)
            right.wait_until(lambda: worlds.mismatches(right) > before, "the kernel drops what is forged")
            both.server("send", "s", text=SECRET)
            assert both.server("receive", "s", size=1, timeout=2)["text"] == ""
            assert not connection.receives(1)
            assert [state.octets for state in xfrm.states(third).values() if state.destination == client] == [0]
        third.swanctl("--terminate", "--ike", "known")
        right.wait_until(lambda: not [sa for sa in right.sas() if sa["name"] == "known"], "its SA has gone")
        told(both.server, "restored", "cleared")
        assert one(right, "established")["disposition"] == "wait"
        give_back(world, third, left)
        left.swanctl("--terminate", "--ike", "strangers", "--force", check=False)
        both.client("send", "c", text="back again")
        assert both.server("receive", "s", size=10, timeout=40)["text"] == "back again"
        assert both.client("receive", "c", size=len(SECRET), timeout=40)["text"] == SECRET
        assert both.server("receive", "s", size=1, timeout=0.1)["text"] == ""
        wire.nothing_in_clear()


def test_a_stranger_takes_the_clients_address_under_transfer(world):
    """The transfer stops, and not one octet of it reaches the stranger, who gets no SA. When the client is found to
    be dead the application hears that, its connection is reset, and then the stranger is served as anybody else."""
    left, right = pair(world, right_conf=with_connection(server_conf(world), LIVELY), start=False)
    third = world.host("third", client_conf(world, start="none"), "ed25519", start=False)
    world.start(left, right, third)
    wire = Wire(world)
    with Connected(left, right) as both:
        both.stream()
        take_address(world, third, CLIENT, left)
        outcome = third.initiate("app")
        assert not outcome.success, "the server gives the stranger an SA"
        right.rejected("latched")
        assert not octets(third)
        told(both.server, "broken", "peer-dead", 40)
        both.fails(both.server, "s")
        both.server("close", "s")
        third.wait_until(lambda: third.initiate("app").success, "the stranger is served", 40)
        assert not octets(third)
        wire.nothing_in_clear()
        give_back(world, third, left)


def test_broken_for_good_when_the_peer_is_dead(world):
    """A connection that waits is not restored after its peer was found to be dead, not even by the same peer's
    return."""
    left, right = pair(world, right_conf=with_connection(server_conf(world), LIVELY))
    with Connected(left, right, disposition=1) as both:
        both.stream()
        world.wire.unplug(left.namespace)
        told(both.server, "broken", "peer-dead", 40)
        right.wait_until(lambda: not right.sas(), "the SAs are gone")
        before = both.received()[0]
        world.wire.plug(left.namespace)
        left.swanctl("--terminate", "--ike", "strangers", "--force")
        right.wait_until(lambda: xfrm.children(right), "the client is back", 40)
        assert both.server("events", timeout=2)["events"] == []
        assert one(right, "broken")["code"] == "peer-dead"
        assert both.received()[0] == before


def test_without_latches_the_stranger_has_it_all(world):
    """The control: nobody latches, and a stranger with the client's address takes the connection over."""
    left, right = pair(world)
    third = world.host("third", client_conf(world, start="none"), "ed25519", start=False)
    with Connected(left, right, latched=False) as both:
        both.exchanges()
        port, sequence = both.client("port", "c")["port"], both.server("sequence", "s")
        right.swanctl("--terminate", "--ike", "strangers", "--force")
        has_no_sa(right)
        take_address(world, third, CLIENT, left)
        world.start(third)
        connects(third, "app")
        with TakenOver(third, (CLIENT, port), (SERVER, PORT), sequence) as connection:
            connection.send(FORGED)
            assert both.server("receive", "s", size=len(FORGED))["text"] == FORGED
            both.server("send", "s", text=SECRET)
            assert connection.receives(10) == SECRET.encode()


def both_ends(world):
    """Two hosts that connect to each other, port 4000 to port 4000: whoever is first sets up SAs."""
    left, right = pair(world, client_conf(world), server_conf(world, remote=CLIENT, start="trap"), start=False)
    world.start(left, right)
    return left, right


def connect_at_once(world, left, right, left_wants=None, right_wants=None):
    """Both connect, and neither's first packet is there before the other's was sent. Returns what became of each,
    and the applications."""
    wire = Wire(world)
    wire.stop_esp()
    applications = Application(left), Application(right)
    ways = ((CLIENT, SERVER, left_wants), (SERVER, CLIENT, right_wants))
    for application, (here, there, wants) in zip(applications, ways):
        application.begin("connect", "c", address=there, port=PORT, local=here, local_port=PORT, **(wants or {}))

    def is_connecting(host):
        return "SYN-SENT" in host.namespace.run(["ss", "-Htn", "state", "all", f"sport = :{PORT}"]).stdout

    if left_wants == right_wants:
        for host in (left, right):
            host.wait_until(lambda host=host: is_connecting(host), "it connects", 30)
    wire.let_esp()
    outcomes = []
    for application in applications:
        try:
            outcomes.append(application.answer(timeout=60))
        except Failed as failed:
            outcomes.append(failed)
    return wire, outcomes, applications


@pytest.mark.parametrize("sas", ["there before", "none"])
def test_both_ends_connect_at_once(world, sas):
    """RFC 5660, section 4: both connect to each other at the same time, with SAs or none to begin with, and it is
    one connection, latched at both ends."""
    left, right = both_ends(world)
    if sas == "there before":
        connects(left, "app")
    wire, outcomes, (one_end, other_end) = connect_at_once(world, left, right)
    with one_end, other_end:
        assert not [outcome for outcome in outcomes if isinstance(outcome, Failed)], outcomes
        for sender, receiver in ((one_end, other_end), (other_end, one_end)):
            sender("send", "c", text="at once")
            assert receiver("receive", "c", size=7)["text"] == "at once"
        assert one(left, "established")["peer-fingerprint"] == right.key.fingerprint
        assert one(right, "established")["peer-fingerprint"] == left.key.fingerprint
        assert one_end("binding", "c") == other_end("binding", "c")
        wire.nothing_in_clear()
    nothing_is_left(left)
    nothing_is_left(right)


def test_both_ends_connect_at_once_and_want_different_things(world):
    """RFC 5660, section 4: "the connection latch must fail on one end or on both ends"."""
    left, right = both_ends(world)
    wants = {"timeout": 8000}
    _, outcomes, (one_end, other_end) = connect_at_once(world, left, right, wants, {**wants, "auth": 1})
    with one_end, other_end:
        assert isinstance(outcomes[1], Failed), outcomes
        assert not [latch for latch in listed(right) if latch["state"] == "established"]
    nothing_is_left(left)
    nothing_is_left(right)
