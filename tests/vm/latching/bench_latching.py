# SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception
"""What latches cost: connect(), and TCP over the kernel's ESP.

    ci/test bench, or: tests/vm/vm.py latching/bench_latching.py

What is compared is measured in turn, in the same guest. Pairs of hosts differ in how many latches other sockets of the
client have. In emulation all times are many times as long as on a machine: what counts is how they compare.
"""

import statistics
from pathlib import Path

from harness import load
from harness.checks import connects
from harness.host import EchoServer
from harness.latches import Application, latches, listed

CLIENT, SERVER = "192.0.2.1", "192.0.2.2"
PORT, PLAIN_PORT, ECHO_PORT = 4000, 4001, 7
HELD = (0, 100, 10000)
HELD_BY_ONE = 3500
"""Of one program; it may have 4096."""

CONNECTS = 200
ROUNDS = 12
TURN = 0.5
"""Seconds that a turn is to take."""

KEPT_AT_LEAST = 0.8
"""Of the throughput without other latches."""

PROGRAM = Path(__file__).with_name("bench_app.py")


class Pair:
    """A client and a server, with an SA for all that is between them."""

    def __init__(self, world, held):
        self.held = held
        self.left = latches(world.host("left", world.conf("bench", LOCAL=CLIENT, REMOTE=SERVER), "ed25519", start=False))
        self.right = latches(world.host("right", world.conf("bench", LOCAL=SERVER, REMOTE="%any"), "ed25519", start=False))
        for host in (self.left, self.right):
            host.more_conf = load.STOCK_LOGGING
        world.start(self.left, self.right)
        connects(self.left, "all")
        self.client, self.server = (Application(host, PROGRAM) for host in (self.left, self.right))
        for name, port in (("latched", PORT), ("plain", PLAIN_PORT)):
            how = {"latched": name == "latched"}
            self.server("listen", f"{name} listener", address=SERVER, port=port, **how)
            self.client("connect", name, address=SERVER, port=port, **how)
            self.server("accept", name, listener=f"{name} listener", **how)
        holders = [Application(self.left, PROGRAM) for _ in range(0, held, HELD_BY_ONE)]
        for number, holder in enumerate(holders):
            holder.begin("hold", address=SERVER, port=PORT, count=min(HELD_BY_ONE, held - number * HELD_BY_ONE))
        for holder in holders:
            holder.answer(timeout=300)
        states = [latch["state"] for latch in listed(self.left)]
        assert states == ["established"] * (held + 1), (held, len(states), set(states))
        self.applications = [self.client, self.server, *holders]

    def close(self):
        for application in self.applications:
            application.kill()

    def octets_per_second(self, name, size):
        self.client.begin("pour", name, size=size)
        seconds = self.server("drain", name, size=size)["seconds"]
        self.client.answer()
        return size / seconds


def percentile(values, percent):
    return sorted(values)[len(values) * percent // 100]


def test_connect(world, capsys):
    pair = Pair(world, 0)
    echo = EchoServer(pair.right, SERVER, ECHO_PORT)
    try:
        pair.client("race", address=SERVER, port=ECHO_PORT, count=20)
        pair.client.begin("race", address=SERVER, port=ECHO_PORT, count=CONNECTS)
        took = pair.client.answer(timeout=300)
    finally:
        echo.close()
        pair.close()
    with capsys.disabled():
        print(f"\n\nmicroseconds, {CONNECTS} times each           median      99 %")
        for name, values in (("connect() over an existing SA", took["without"]), ("the same with a latch", took["with"])):
            median, worst = statistics.median(values), percentile(values, 99)
            print(f"{name:38} {median * 1e6:9,.0f} {worst * 1e6:9,.0f}")


def test_throughput(worlds, capsys):
    pairs = [Pair(worlds(), held) for held in HELD]
    cells = [(pair, name) for name in ("plain", "latched") for pair in pairs]
    rates = {cell: [] for cell in cells}
    for cell in cells:
        cell[0].octets_per_second(cell[1], 1 << 20)
    size = int(TURN * cells[0][0].octets_per_second("plain", 4 << 20)) + 1
    for number in range(ROUNDS):
        at = number % len(cells)
        for pair, name in cells[at:] + cells[:at]:
            rates[pair, name].append(pair.octets_per_second(name, size))
    for pair in pairs:
        pair.close()
    medians = {cell: statistics.median(found) for cell, found in rates.items()}
    with capsys.disabled():
        print(f"\n\nmegaoctets a second, median of {ROUNDS} (lowest to highest), by latches of other sockets\n{'':38}"
              + "".join(f"{held:>22,}" for held in HELD))
        for name, text in (("plain", "TCP over ESP"), ("latched", "TCP over ESP, latched")):
            found = [rates[pair, name] for pair in pairs]
            print(f"{text:38}" + "".join(
                f"{statistics.median(rate) / 1e6:>8.1f} ({min(rate) / 1e6:.1f} to {max(rate) / 1e6:.1f})".rjust(22) for rate in found))
        print(f"with {HELD[-1]:,} others at least {KEPT_AT_LEAST} of what it is without")
    for name in ("plain", "latched"):
        none, many = medians[pairs[0], name], medians[pairs[-1], name]
        assert many >= KEPT_AT_LEAST * none, f"{name}: {many / none:.2f} of the throughput without other latches"
