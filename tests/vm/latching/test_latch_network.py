# SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception
"""Latches where addresses are not all there is: NAT, MOBIKE, IPv6, and connected UDP."""

import time

import pytest
from harness.checks import connects
from harness.latches import Application, Failed, latches, listed, nothing_is_left

import nat
import worlds
import xfrm
from nat import OUTSIDE
from worlds import (CLIENT, CLIENT6, PORT, SERVER, SERVER6, Connected, Wire, client_conf, eventually, known,
                    known_third, known_third_at_server, knows, octets, one, only, pair, server_conf, take_address, told)

INSIDE, OFFICE = "10.66.128.7", "10.66.0.1"
TUNNEL = 2
"""BTNS_MODE_TUNNEL"""


def test_the_client_is_behind_a_nat(world):
    """In transport mode over UDP; each end's latch has the addresses that its host sees."""
    left, right = pair(world, start=False)
    nat.attach(world, left)
    world.start(left, right)
    wire = Wire(world)
    with Connected(left, right) as both:
        both.stream()
        (child,) = xfrm.children(right)
        assert child["encap"] == "yes" and child["mode"] == "TRANSPORT", child
        assert one(left, "established")["remote"] == SERVER and one(right, "established")["remote"] == OUTSIDE
        assert one(right, "established")["peer-fingerprint"] == left.key.fingerprint
        wire.nothing_in_clear()


def test_a_stranger_behind_the_same_nat(world):
    """Both have the server's view of one address: the second one gets no SA over the first one's connection, which
    goes on."""
    left, right = pair(world, start=False)
    third = latches(world.host("third", client_conf(world, worlds.THIRD), "ed25519", start=False))
    nat.attach(world, left, third)
    world.start(left, right, third)
    wire = Wire(world)
    with Connected(left, right) as both:
        both.stream()
        assert not third.initiate("app").success
        right.rejected("latched")
        with Application(third) as other:
            with pytest.raises(Failed):
                other("connect", "c", address=SERVER, port=PORT, timeout=3000)
        both.flows()
        assert not octets(third)
        wire.nothing_in_clear()


def mover_and_office(world):
    """Somebody known whose address changes, in tunnel mode between inner addresses."""
    moving = {"mode": "tunnel", "mobike": "yes"}
    to_office = known("left", "right", "%any", SERVER, f"{INSIDE}/32", f"{OFFICE}/32", start="trap", **moving)
    to_mover = known("right", "left", SERVER, "%any", f"{OFFICE}/32", f"{INSIDE}/32", **moving)
    left = latches(world.host("left", only(to_office), "ed25519", start=False))
    right = latches(world.host("right", only(to_mover), "ed25519", start=False))
    # or the SA might move there
    left.namespace.ip("addr", "del", "2001:db8::1/64", "dev", "eth0")
    right.namespace.ip("addr", "del", "2001:db8::2/64", "dev", "eth0")
    for host, route, here in ((left, OFFICE, INSIDE), (right, INSIDE, OFFICE)):
        via = SERVER if host is left else CLIENT
        host.namespace.ip("route", "add", f"{route}/32", "via", via, "src", here)
    knows(left, right=right.key)
    knows(right, left=left.key)
    world.start(left, right)
    return left, right


def moves(left, right):
    left.namespace.ip("addr", "add", "192.0.2.11/24", "dev", "eth0")
    left.namespace.ip("addr", "del", "192.0.2.1/24", "dev", "eth0")
    right.wait_until(lambda: [sa["remote-host"] for sa in right.sas()] == ["192.0.2.11"], "the SA has moved", 30)


def test_a_connection_that_waits_moves_along(world):
    """Somebody known changes the address (MOBIKE) under transfer: a connection that waits goes on through the moved
    SAs."""
    left, right = mover_and_office(world)
    wire = Wire(world)
    with Connected(left, right, address=OFFICE, source=INSIDE, mode=TUNNEL, disposition=1) as both:
        both.stream()
        assert one(right, "established")["mode"] == "tunnel"
        moves(left, right)
        both.flows(60)
        assert {(state.source, state.destination) for state in xfrm.states(right).values()} == {
            ("192.0.2.11", SERVER), (SERVER, "192.0.2.11")}
        assert both.server("events", timeout=0.2)["events"] == []
        wire.nothing_in_clear()


def test_a_connection_that_does_not_wait_is_reset_by_a_move(world):
    """A policy of a socket has the outer addresses, and nobody but the application can change it: it hears, and is
    reset."""
    left, right = mover_and_office(world)
    wire = Wire(world)
    with Connected(left, right, address=OFFICE, source=INSIDE, mode=TUNNEL) as both:
        both.stream()
        moves(left, right)
        told(both.server, "closed", "not-established")
        both.fails(both.server, "s")
        wire.nothing_in_clear()


def test_ipv6(world):
    """A connection over IPv6 is latched as one over IPv4 is, and survives that its SAs go."""
    left, right = pair(world, client_conf(world, CLIENT6, SERVER6), server_conf(world, local=SERVER6))
    wire = Wire(world)
    with Connected(left, right, address=SERVER6) as both:
        both.stream()
        ours = one(left, "established")
        assert (ours["local"], ours["remote"], ours["mode"]) == (CLIENT6, SERVER6, "transport")
        assert ours["peer-fingerprint"] == right.key.fingerprint
        begin = time.monotonic()
        left.swanctl("--terminate", "--ike", "strangers")
        both.flows_again(right, begin)
        wire.nothing_in_clear()


class Datagrams:
    """A connected UDP socket on each of two hosts, each latched."""

    def __init__(self, left, right, client, server, **wanted):
        self.hosts = left, right
        self.client, self.server = Application(left), Application(right)
        self.client("connect", "c", address=server, port=PORT, local=client, local_port=4001, kind="udp", **wanted)
        self.server("connect", "s", address=client, port=4001, local=server, local_port=PORT, kind="udp", **wanted)

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        self.client.kill()
        self.server.kill()
        for host in self.hosts:
            if not kind:
                nothing_is_left(host)

    def exchanges(self, text):
        ends = (self.client, "c"), (self.server, "s")
        for (sender, here), (receiver, there) in (ends, reversed(ends)):

            def arrives(sender=sender, here=here, receiver=receiver, there=there):
                # nobody sends a datagram again that is lost while SAs are replaced
                sender("send", here, text=text)
                return receiver("receive", there, size=len(text), timeout=2)["text"] == text

            eventually(arrives, f"{text} from {here} to {there}")


@pytest.mark.parametrize("family", ["ipv4", "ipv6"])
def test_connected_udp(world, family):
    """Datagrams between two latched sockets go in ESP only, over rekeying and new SAs."""
    client, server = (CLIENT, SERVER) if family == "ipv4" else (CLIENT6, SERVER6)
    left, right = pair(world, client_conf(world, client, server, protocol="udp"),
                       server_conf(world, local=server, protocol="udp"))
    wire = Wire(world)
    with Datagrams(left, right, client, server) as both:
        both.exchanges("datagrams")
        assert one(left, "established")["protocol"] == "17"
        left.swanctl("--rekey", "--child", "app")
        both.exchanges("after rekeying")
        left.swanctl("--terminate", "--ike", "strangers")
        right.wait_until(lambda: not right.sas(), "the SAs are gone")

        def arrives():
            try:
                both.client("send", "c", text="with new SAs")
            except Failed:
                # as long as there is no SA
                return False
            return "with new SAs" in both.server("receive", "s", size=12, timeout=0.5)["text"]

        eventually(arrives, "datagrams arrive again")
        wire.nothing_in_clear()


def test_connected_udp_when_somebody_known_takes_the_address(world):
    """The socket gets an error, its owner hears why, and no datagram goes to who has the address now."""
    at_server = known_third_at_server().replace("tcp", "udp")
    left, right = pair(world, client_conf(world, protocol="udp"), server_conf(world, at_server, protocol="udp"),
                       start=False)
    third = known_third(world, right)
    third.configure((third.swanctl_dir / "swanctl.conf").read_text().replace("tcp", "udp"))
    world.start(left, right)
    wire = Wire(world)
    with Datagrams(left, right, CLIENT, SERVER) as both:
        both.exchanges("datagrams")
        take_address(world, third, CLIENT, left)
        world.start(third)
        connects(third, "app")
        told(both.server, "broken", "conflict")
        with pytest.raises(Failed):
            both.server("send", "s", text="to nobody")
            both.server("send", "s", text="to nobody")
        assert not octets(third)
        wire.nothing_in_clear()
        both.server("close", "s")
        right.wait_until(lambda: not listed(right), "the latch has gone with its socket")


def test_ipv4_over_a_socket_of_ipv6(world):
    """An IPv4 address as IPv6 writes it: the latch is of IPv4."""
    left, right = pair(world)
    wire = Wire(world)
    with Application(right) as server, Application(left) as client:
        server("listen", "listener", address=SERVER, port=PORT)
        client("connect", "c", address=f"::ffff:{SERVER}", port=PORT)
        server("accept", "s", listener="listener")
        client("send", "c", text="mapped")
        assert server("receive", "s", size=6)["text"] == "mapped"
        assert one(left, "established")["remote"] == SERVER
        wire.nothing_in_clear()
    nothing_is_left(left)
    nothing_is_left(right)
