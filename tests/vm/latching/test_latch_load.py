# SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception
"""No window, and no leak: many SAs that come and go over one transfer, and many connections that come and go."""

import pytest
from harness.latches import Application, listed, nothing_is_left, socket_policies
from harness.load import descriptors

from worlds import (CLIENT, PORT, SERVER, THIRD, Connected, Wire, known, known_pair, knows, octets, one, only,
                    pair, told, with_connections)

CONNECTIONS, AT_A_TIME = 2000, 4
ROUNDS = 15
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
