#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception
"""What a BTNS peer costs: CPU time of both charons for one IKE_SA.

Two pairs of stock charons set up IKE_SAs in turn: one pair has our plugin and nothing but the
flag `groups = btns`, the other has each other's raw keys preloaded and no plugin. All else is the same: X25519 and
Ed25519, childless IKE_SAs, charon's standard log level. What is measured is what the kernel has accounted to the two
daemons of a pair, user and system time. Within a round the pairs take turns every few IKE_SAs, so whatever else the machine
does meets both of them. Disturbances only add, caches that others have emptied above all: what is printed for a pair is
the lowest decile over all turns.

With --callgrind the daemons run in valgrind instead, and what is counted is instructions, which are nearly the same in each
run: to find out what a change is worth. callgrind_annotate shows where they went.

Needs root. `ci/test bench` runs it.
"""

import argparse
import os
import re
import statistics
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "scenarios"))

from harness import load, net  # noqa: E402
from harness.world import World  # noqa: E402

CONF = """
connections {{
	bench {{
		version = 2
		{addresses}
		mobike = no
		childless = force
		unique = never
		rekey_time = 0
		proposals = aes256gcm16-prfsha256-x25519
		local {{
			{local}
		}}
		remote {{
			{remote}
		}}
	}}
}}
"""

CPU = max(os.sched_getaffinity(0))
"""Where all daemons run. On several CPUs the cost of an IKE_SA depends on which of them share one."""

ADDRESSES = {
    "left": "local_addrs = 192.0.2.1\n\t\tremote_addrs = 192.0.2.2",
    "right": "local_addrs = 192.0.2.2",
}


class Pair:
    """An initiator and a responder, and what they have cost."""

    key = "ed25519"
    connections = 0
    null = False
    """They have the plugin btns-null."""

    def __init__(self, name, btns, callgrind=None):
        self.name = name
        self.callgrind = callgrind
        self.btns = btns
        self.rounds = []

    def __enter__(self):
        self.world = World()
        self.hosts = [
            self.world.host(side, key=self.key, start=False, plugin=self.btns, options=load.OPTIONS,
                            btns=load.BTNS if self.btns else None, null=self.null)
            for side in ("left", "right")
        ]
        for host, peer in zip(self.hosts, self.hosts[::-1]):
            host.more_conf = load.STOCK_LOGGING
            host.listens = ("ike-updown",)
            host.wrapper = ["taskset", "--cpu-list", str(CPU)]
            if self.callgrind:
                host.wrapper = ["valgrind", "--tool=callgrind", "--fair-sched=yes",
                                f"--callgrind-out-file={self.profile(host)}"]
            host.configure(self.conf(host, peer))
        for host in self.hosts:
            host.launch()
        for host in self.hosts:
            host.ready(timeout=60)
        self.add_connections(self.hosts[1])
        return self

    def __exit__(self, *_):
        self.world.close()

    def conf(self, host, peer):
        """What a host is configured with."""
        remote = "groups = btns\n\t\t\tid = %any"
        if not self.btns:
            remote = f"pubkeys = peer.pem\n\t\t\tid = {peer.name}.example"
            host.add_file("pubkey/peer.pem", peer.key.public_pem)
        return CONF.format(addresses=ADDRESSES[host.name], remote=f"auth = pubkey\n\t\t\t{remote}",
                           local=f"auth = pubkey\n\t\t\tpubkeys = me.pem\n\t\t\tid = {host.name}.example")

    def is_right(self, sa):
        """Is an IKE_SA one of the kind that is meant?"""
        return sa["remote-id"].startswith("btns:sha256:") == self.btns

    def add_connections(self, host):
        """Connections of peers that never come, each with an identity and a selector of its own."""
        for number in range(self.connections):
            network = f"10.{128 + (number >> 16)}.{number >> 8 & 255}.{number & 255}/32"
            answer = host.request("load-conn", {f"connection-{number}": {
                "version": "2",
                "remote_addrs": ["%any"],
                "local": {"auth": "pubkey", "id": f"{host.name}.example"},
                "remote": {"auth": "pubkey", "id": f"host{number}.example.org"},
                "children": {"net": {"remote_ts": [network]}},
            }})
            assert answer.get("success") == "yes", answer

    def profile(self, host):
        return self.callgrind / f"{'btns' if self.btns else 'stock'}-{host.name}.out"

    def cpu(self):
        return sum(load.cpu_seconds(host.process.pid) for host in self.hosts)

    def set_up(self, count):
        """Set up that many IKE_SAs, one after the other. Returns seconds of CPU time."""
        left = self.hosts[0]
        before = self.cpu()
        for _ in range(count):
            mark = left.events.mark()
            # a client that waits for the outcome makes charon format all it could log, hex dumps too
            answer = left.request("initiate", {"ike": "bench", "timeout": "-1"})
            assert answer.get("success") == "yes", f"{self.name}: {answer}"
            left.events.wait("ike-updown", start=mark)
        return self.cpu() - before

    def check(self, count):
        """As many IKE_SAs are up as were set up, and of the right kind."""
        for host in self.hosts:
            sas = host.sas()
            assert len(sas) == count, f"{self.name}: {len(sas)} IKE_SAs on {host.name} instead of {count}"
            assert all(map(self.is_right, sas)), sas[0]
            if self.btns:
                assert host.stats()["peers"] == count

    def clear(self):
        left, right = self.hosts
        left.request("terminate", {"ike": "bench", "force": "yes", "timeout": "10000"})
        for host in (left, right):
            host.wait_until(lambda: not host.sas(), "no IKE_SA is left", timeout=20)


def race(pairs, count, turn):
    """One round: each pair sets up that many IKE_SAs, TURN at a time. Returns seconds of CPU time of each pair's turns."""
    spent = [[] for _ in pairs]
    done = 0
    while done < count:
        size = min(turn, count - done)
        for at in range(len(pairs)):
            at = at if done // turn % 2 else len(pairs) - 1 - at
            spent[at].append(pairs[at].set_up(size) / size)
        done += size
    for pair in pairs:
        pair.check(count)
        pair.clear()
    return spent


def typical_ms(turns):
    """Milliseconds for one IKE_SA when nothing else disturbed."""
    return statistics.quantiles(turns, n=10)[0] * 1000


def summary(pair):
    rounds = [typical_ms(turns) for turns in pair.rounds]
    return (f"{pair.name:22} {typical_ms(sum(pair.rounds, [])):6.3f} ms CPU per IKE_SA, both ends together   "
            f"({min(rounds):.3f} to {max(rounds):.3f} in {len(rounds)} rounds)")


def add_options(parser, rounds, limit):
    """What compare() is told on the command line, with defaults."""
    parser.add_argument("--rounds", type=int, default=rounds, help="rounds, after one to warm up")
    parser.add_argument("--count", type=int, default=100, help="IKE_SAs of each pair in a round")
    parser.add_argument("--turn", type=int, default=5, help="IKE_SAs that a pair sets up before it is the other's turn")
    parser.add_argument("--limit", type=float, default=limit, help="the ratio of CPU time above which this fails")


def compare(theirs, ours, options):
    """Race both pairs; print what both cost, and whether ours costs too much. Returns an exit status."""
    pairs = theirs, ours
    race(pairs, options.count, options.turn)
    for _ in range(options.rounds):
        for pair, turns in zip(pairs, race(pairs, options.count, options.turn)):
            pair.rounds.append(turns)
    ratios = [typical_ms(mine) / typical_ms(others) for mine, others in zip(ours.rounds, theirs.rounds)]
    ratio = typical_ms(sum(ours.rounds, [])) / typical_ms(sum(theirs.rounds, []))
    print(summary(theirs))
    print(summary(ours))
    print(f"{'ratio':22} {ratio:6.3f}   ({min(ratios):.3f} to {max(ratios):.3f} in single rounds; at most {options.limit})")
    return 0 if ratio <= options.limit else 1


def instructions(name, btns, folder, count):
    """Thousands of instructions of both charons for one IKE_SA, by callgrind."""
    folder.mkdir(parents=True, exist_ok=True)
    found = {}
    with Pair(name, btns, folder) as pair:
        for stale in folder.glob(f"{'btns' if btns else 'stock'}-*"):
            stale.unlink()
        # callgrind waits for a thread that runs, and then dumps
        pair.set_up(10)
        control(pair, "--zero")
        pair.set_up(count)
        control(pair, "--dump")
        for host in pair.hosts:
            dump = Path(f"{pair.profile(host)}.1").read_text()
            found[host.name] = int(re.search(r"^summary: (\d+)", dump, re.MULTILINE)[1]) / count / 1000
    return found


def control(pair, what):
    time.sleep(0.5)
    for host in pair.hosts:
        subprocess.run(["callgrind_control", what, str(host.process.pid)], check=True, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL)


def profile(folder):
    count = 40
    costs = [instructions("stock", False, folder, count), instructions("btns", True, folder, count)]
    for name, cost in zip(("stock, preloaded keys", "btns"), costs):
        print(f"{name:22} {cost['left']:6.0f} thousand instructions for an IKE_SA of the initiator, "
              f"{cost['right']:6.0f} of the responder")
    stock, btns = (sum(cost.values()) for cost in costs)
    print(f"{'ratio':22} {btns / stock:6.3f}   callgrind_annotate --inclusive=yes {folder}/btns-right.out.1")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_options(parser, 20, 1.10)
    parser.add_argument("--key", default=Pair.key, help="type of all keys: rsa3072, ecdsa256, ...")
    parser.add_argument("--connections", type=int, default=0, help="connections of other peers that each responder has")
    parser.add_argument("--callgrind", type=Path, metavar="FOLDER", help="count instructions instead; profiles go there")
    options = parser.parse_args()
    Pair.key = options.key
    Pair.connections = options.connections

    net.sweep()
    if options.callgrind:
        profile(options.callgrind.resolve())
        return 0
    with Pair("stock, preloaded keys", False) as stock, Pair("btns", True) as btns:
        return compare(stock, btns, options)


if __name__ == "__main__":
    sys.exit(main())
