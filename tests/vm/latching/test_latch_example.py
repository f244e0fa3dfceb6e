# SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception
"""The example of RFC 5660, section 2.3.2: A and B talk over TCP port 4000, C is in the same network and has a
certificate of the same CA."""

import pytest
from harness.checks import connects
from harness.keys import CA
from harness.latches import latches

import worlds
from worlds import CLIENT, PORT, SERVER, THIRD, Connected, TakenOver, octets, one, take_address, told

ADDRESSES = {"a": CLIENT, "b": SERVER}
SECRET, FORGED = "for A or B only", "this is from C"


class Network:
    """A, B and C, with certificates of CA X."""

    def __init__(self, world):
        self.world = world

        def host(name, local, remote, start):
            conf = world.conf("network", LOCAL=local, REMOTE=remote, START=start)
            return latches(world.host(name, conf, "ed25519", start=False))

        self.a = host("left", CLIENT, SERVER, "trap")
        self.b = host("right", SERVER, CLIENT, "none")
        self.c = host("third", THIRD, SERVER, "none")
        ca = CA(world.keys, "X", world.keys.key())
        for host in (self.a, self.b, self.c):
            host.add_file("x509ca/x.pem", ca.pem)
            host.add_file("x509/me.pem", ca.issue(host.key, f"{host.name}.example.net"))
        world.start(self.a, self.b)

    def c_poses_as(self, posed, child):
        """C has the address of A, say, and SAs with B."""
        owner, victim = (self.a, self.b) if posed == "a" else (self.b, self.a)
        take_address(self.world, self.c, ADDRESSES[posed], owner)
        conf = self.world.conf("network", LOCAL=ADDRESSES[posed], REMOTE=victim.address, START="none")
        self.c.configure(conf)
        self.world.start(self.c)
        connects(self.c, child)


@pytest.mark.parametrize("posed", ["a", "b"])
@pytest.mark.parametrize("latching", ["both", "only a", "only b"])
def test_c_poses_as_one_of_them(world, latching, posed):
    """Who latches has the connection reset before C's SAs are used; who does not talks to C."""
    network = Network(world)
    a_latches, b_latches = latching != "only b", latching != "only a"
    with Connected(network.a, network.b, client={"latched": a_latches}, server={"latched": b_latches}) as both:
        both.exchanges()
        assert network.a.sa("network")["remote-id"] == "C=XX, O=btns test, CN=right.example.net"
        for host, latched in ((network.a, a_latches), (network.b, b_latches)):
            assert not latched or one(host, "established")["peer-method"] == "certificate"
        ends = [(CLIENT, port_of(both)), (SERVER, PORT)]
        victim, name, is_latched = (both.server, "s", b_latches) if posed == "a" else (both.client, "c", a_latches)
        source, destination = ends if posed == "a" else reversed(ends)
        sequence = victim("sequence", name)
        network.c_poses_as(posed, "to-ports" if posed == "a" else "from-ports")
        with TakenOver(network.c, source, destination, sequence) as connection:
            if is_latched:
                worlds.cannot_send(victim, name)
                told(victim, "broken", "conflict")
                assert not connection.receives(1)
                assert not octets(network.c)
            else:
                connection.send(FORGED)
                assert victim("receive", name, size=len(FORGED))["text"] == FORGED
                victim("send", name, text=SECRET)
                assert connection.receives(10) == SECRET.encode()


def test_a_and_b_talk(world):
    """Nobody attacks: the connection is latched on both hosts, in ESP and nothing else."""
    network = Network(world)
    wire = worlds.Wire(world)
    with Connected(network.a, network.b) as both:
        both.stream()
        assert one(network.b, "listener")["local-port"] == str(PORT)
        wire.nothing_in_clear()


def port_of(both):
    """The client's port."""
    return both.client("port", "c")["port"]
