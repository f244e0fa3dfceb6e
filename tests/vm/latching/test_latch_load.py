# SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception
"""No window, and no leak: many SAs that come and go over one transfer, and many connections that come and go."""

import re
import time

import pytest
from harness.latches import Application, listed, nothing_is_left, socket_policies
from harness.load import descriptors

from worlds import (CLIENT, PORT, SERVER, THIRD, Connected, Wire, client_conf, give_back, known, known_pair, knows,
                    octets, one, only, pair, take_address, told, with_connections)

CONNECTIONS, AT_A_TIME = 2000, 4
ROUNDS = 15
ROUNDS_OF_A_STRANGER = 4
WIDE = "192.0.2.0/24"


def gateway(own, peer, here, there, local_ts, remote_ts):
    return known(own, peer, here, there, local_ts, remote_ts, name="gateway", mode="tunnel", child="taken")


@pytest.mark.parametrize("latched", [True, False], ids=["latched", "control"])
def test_somebody_known_comes_and_goes(world, latched):
    """A gateway that the server knows, for the client's whole network, sets up an SA for the connection's addresses
    and ports, and closes it, again and again, while the client's transfer runs at full rate. The latch breaks each
    time before that SA is there and is restored when it has gone: not one octet goes to the gateway, not one packet
    is in clear, and the transfer goes on. Without latches, the control, the gateway gets its packets."""
    left, right = known_pair(world)
    with_connections(right, gateway("right", "third", SERVER, THIRD, f"{SERVER}/32[tcp/{PORT}]", f"{WIDE}[tcp]"))
    third = world.host("third", "", "ed25519", start=False)
    knows(right, third=third.key)
    knows(third, right=right.key)
    world.start(left, right)
    wire = Wire(world)
    with Connected(left, right, latched=latched, **({"disposition": 1} if latched else {})) as both:
        third.configure(only(gateway("third", "right", THIRD, SERVER, f"{CLIENT}/32[tcp/{port_of(both)}]",
                                     f"{SERVER}/32[tcp/{PORT}]")))
        world.start(third)
        both.stream(pause=0)
        if not latched:
            assert third.initiate("taken", timeout=30).success
            third.wait_until(lambda: octets(third) > 0, "the gateway gets the transfer's packets", 20)
            return
        for number in range(ROUNDS):
            outcome = third.initiate("taken", timeout=30)
            assert outcome.success, outcome.log
            told(both.server, "broken", "conflict", 10)
            assert not octets(third), number
            third.swanctl("--terminate", "--ike", "gateway")
            told(both.server, "restored", "cleared", 20)
            both.flows(60)
        wire.nothing_in_clear()
        assert one(left, "established") and one(right, "established")


REACHED = """
table ip seen {
	counter reached {
	}
	chain every {
		type filter hook prerouting priority 0;
		tcp sport %d counter name reached
	}
}
""" % PORT


class Reached:
    """Counts the segments of the server that come to a host: in clear, or out of an SA of its own."""

    def __init__(self, world, host):
        self.namespace = host.namespace
        path = world.folder / "reached.nft"
        path.write_text(REACHED)
        made = self.namespace.run(["nft", "-f", str(path)])
        assert made.returncode == 0, made.stderr

    def packets(self):
        text = self.namespace.run(["nft", "list", "counter", "ip", "seen", "reached"]).stdout
        return int(re.search(r"packets (\d+)", text).group(1))


@pytest.mark.parametrize("latched", [True, False], ids=["latched", "control"])
def test_a_stranger_takes_the_address_again_and_again(world, latched):
    """While the client's transfer runs at full rate a stranger takes its address, and there is no SA in its way; again
    and again it wants one. It gets none, the latch is not broken, and not one packet of the transfer comes to it, which
    goes on as soon as the client is back. Without latches, the control, the stranger gets the packets."""
    left, right = pair(world)
    third = world.host("third", client_conf(world, start="none"), "ed25519", start=False)
    world.start(third)
    reached = Reached(world, third)
    wire = Wire(world)
    with Connected(left, right, latched=latched) as both:
        both.stream(pause=0)
        for number in range(ROUNDS_OF_A_STRANGER):
            begin = time.monotonic()
            take_address(world, third, CLIENT, left)
            world.wire.plug(third.namespace)
            right.swanctl("--terminate", "--ike", "strangers", "--force")
            right.wait_until(lambda: not right.sas(), "the client's SAs are gone")
            seen = right.events.mark()
            outcome = third.initiate("app", timeout=30)
            if not latched:
                assert outcome.success, outcome.log
                third.wait_until(lambda: reached.packets() > 0, "packets of the transfer come to the stranger", 40)
                return
            assert not outcome.success, f"{number}: the server gives the stranger an SA"
            assert right.events.wait("btns-rejected", start=seen)["code"] == "latched"
            assert not reached.packets() and not octets(third), number
            give_back(world, third, left)
            left.swanctl("--terminate", "--ike", "strangers", "--force", check=False)
            both.flows_again(right, begin)
        assert not reached.packets() and not octets(third)
        assert both.server("events", timeout=1)["events"] == [], "the latch was broken"
        assert one(left, "established") and one(right, "established")
        wire.nothing_in_clear()


def port_of(both):
    """The client's port."""
    return both.client("port", "c")["port"]


def test_thousands_of_short_connections(world):
    """One after the other in each of several programs: afterwards charon has no latch, no policy and no descriptor
    of them."""
    left, right = pair(world)
    wire = Wire(world)
    with Application(right) as server:
        server("listen", "listener", address=SERVER, port=PORT)
        with Application(left) as first:
            # so that there are SAs, and whatever is made once
            server("serve", listener="listener", threads=AT_A_TIME)
            first("many", address=SERVER, port=PORT, count=10, threads=1, text="hello")
        left.wait_until(lambda: not listed(left), "no latch is left")
        before = descriptors(left.process.pid)
        clients = [Application(left) for _ in range(AT_A_TIME)]
        at_server = descriptors(right.process.pid)
        try:
            for client in clients:
                client.begin("many", address=SERVER, port=PORT, count=CONNECTIONS // AT_A_TIME, threads=1, text="hello")
            for client in clients:
                assert client.answer(timeout=280)["done"] == CONNECTIONS // AT_A_TIME
        finally:
            for client in clients:
                client.kill()
        assert server("served")["done"] >= CONNECTIONS
        nothing_is_left(left, descriptors=before)
        right.wait_until(lambda: [latch["state"] for latch in listed(right)] == ["listener"], "one latch is left", 20)
        assert descriptors(right.process.pid) <= at_server
        assert len(socket_policies(right)) <= 2
    nothing_is_left(right, descriptors=at_server)
    wire.nothing_in_clear()
