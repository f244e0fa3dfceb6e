#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception
"""What NULL authentication (RFC 7619) costs: against pre-shared keys on stock charon, and against libreswan's authby=null.

CPU time: two pairs of stock charons set up IKE_SAs in turn, as in ike_sa_setups.py. One pair has the plugins btns and
btns-null, the other has a pre-shared key and neither. All else is the same: X25519, childless IKE_SAs, charon's standard log
level. Besides what the plugins take this counts what NULL authentication spares, which is nothing but the look for a key.

Set-ups per second: a pair of charons and a pair of plutos, both with NULL authentication on both sides, in turn. In a turn
the initiator is told to set up some IKE_SAs without waiting for one before the next; the turn ends when all are up. All
daemons share one CPU, and whoever tells them is on another one, so what is measured is two daemons' work for an IKE_SA, idle
time within it and both logs included. Both negotiate AES-GCM-256 with X25519, without a CHILD_SA: where these tests run the
kernel has no ESP. pluto has one helper for its cryptography, as charon has its threads, and logs what it does by default.

Needs root, and what ci/setup --interop unpacks. `ci/test bench` runs it.
"""

import argparse
import dataclasses
import os
import re
import statistics
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "interop"))
sys.path.insert(0, str(Path(__file__).resolve().parent))

from ike_sa_setups import ADDRESSES, CONF, CPU, Pair, add_options, compare  # noqa: E402

from foreign import attach  # noqa: E402
from harness import load, net, roots  # noqa: E402
from harness.world import World  # noqa: E402
from pluto import Libreswan  # noqa: E402

OTHER_CPU = min(os.sched_getaffinity(0))


class Psk(Pair):
    """Both have a secret."""

    def conf(self, host, peer):
        secrets = f"secrets {{\n\tike-bench {{\n\t\tid = {peer.name}.example\n\t\tsecret = \"a secret of both\"\n\t}}\n}}\n"
        return secrets + CONF.format(addresses=ADDRESSES[host.name], local=f"auth = psk\n\t\t\tid = {host.name}.example",
                                     remote=f"auth = psk\n\t\t\tid = {peer.name}.example")

    def is_right(self, sa):
        return sa["remote-id"].endswith(".example")


class Null(Pair):
    """Both have nothing."""

    null = {"max_peers": 50000, "max_peers_per_source": 50000}

    def conf(self, host, peer):
        return CONF.format(addresses=ADDRESSES[host.name], local="auth = psk\n\t\t\tid = \"{13}:\"",
                           remote="auth = psk\n\t\t\tid = %any\n\t\t\tgroups = btns:null")

    def is_right(self, sa):
        return sa["remote-id"].startswith("btns:null:")

    # for the race against plutos

    def begin(self, count):
        self.mark = self.hosts[0].events.mark()
        for _ in range(count):
            answer = self.hosts[0].request("initiate", {"ike": "bench", "timeout": "-1"})
            assert answer.get("success") == "yes", answer

    def up(self):
        """How many are up that were begun."""
        return sum(name == "ike-updown" for name, _ in self.hosts[0].events.seen[self.mark:])


class Plutos:
    """A pair of libreswan's plutos. One has one IKE_SA with a host for each of its own addresses, so the initiator has many."""

    FIRST = 100
    ESTABLISHED = "initiator established IKE SA; authenticated peer using authby=null"

    def __init__(self, name, most):
        self.name = name
        self.most = most
        self.rounds = []

    def __enter__(self):
        self.world = World()
        self.hosts = left, right = [attach(self.world, Libreswan, name) for name in ("left", "right")]
        common = ("\tikev2=yes\n\tauthby=null\n\tleftid=%null\n\trightid=%null\n\tike=aes_gcm256-sha2_256-dh31\n"
                  "\trekey=no\n\ttype=transport\n\n")
        right.configure(f"conn strangers\n\tleft={right.address}\n\tright=%any\n{common}")
        addresses = [f"192.0.2.{self.FIRST + number}" for number in range(self.most)]
        left.namespace.add_addresses("eth0", [f"{address}/32" for address in addresses])
        left.configure("".join(f"conn c{number}\n\tleft={address}\n\tright={right.address}\n{common}"
                               for number, address in enumerate(addresses)))
        for host in self.hosts:
            host.start()
            for thread in Path("/proc", str(host.process.pid), "task").iterdir():
                os.sched_setaffinity(int(thread.name), {CPU})
            whack(host, "--impair", "omit-v2-ike-auth-child")
        return self

    def __exit__(self, *_):
        self.world.close()

    def cpu(self):
        return sum(load.cpu_seconds(host.process.pid) for host in self.hosts)

    def begin(self, count):
        left = self.hosts[0]
        self.mark = left.log_path.stat().st_size
        for number in range(count):
            whack(left, "--initiate", "--asynchronous", "--name", f"c{number}")

    def up(self):
        with open(self.hosts[0].log_path) as log:
            log.seek(self.mark)
            return log.read().count(self.ESTABLISHED)

    def check(self, count):
        for host in self.hosts:
            found = int(re.search(r"STATE_V2_ESTABLISHED_IKE_SA=(\d+)", whack(host, "--globalstatus"))[1])
            assert found == count, f"{self.name}: {found} IKE_SAs on {host.name} instead of {count}"

    def clear(self):
        for number in range(self.most):
            whack(self.hosts[0], "--terminate", "--name", f"c{number}")
        for host in self.hosts:
            host.wait_until(lambda: "STATE_V2_ESTABLISHED_IKE_SA=0" in whack(host, "--globalstatus"), "no IKE_SA is left", 20)


def whack(host, *args):
    """Tell a pluto something. Its socket is a file, so this need not be started inside, which would take longer."""
    result = subprocess.run([host.tree / "usr/libexec/ipsec/whack", "--rundir", host.run_folder, *args], capture_output=True,
                            text=True, timeout=20, env=host.environment())
    return result.stdout + result.stderr


@dataclasses.dataclass
class Turn:
    """What one turn took: seconds for one IKE_SA, of the clock and of CPU time of both daemons."""

    wall: float
    cpu: float


def batch(pair, count):
    """Set up that many IKE_SAs, none waiting for the one before, and take them down."""
    cpu, start = pair.cpu(), time.monotonic()
    deadline = start + 60
    pair.begin(count)
    while (up := pair.up()) < count:
        assert time.monotonic() < deadline, f"{pair.name}: {up} IKE_SAs of {count} are up"
        time.sleep(0.001)
    wall, cpu = time.monotonic() - start, pair.cpu() - cpu
    pair.check(count)
    pair.clear()
    return Turn(wall / count, cpu / count)


def cpu_against_psk(options):
    with Psk("stock, pre-shared key", False) as psk, Null("NULL authentication", True) as null:
        return compare(psk, null, options)


def rate_against_libreswan(options):
    os.sched_setaffinity(0, {OTHER_CPU})
    print(f"charon {roots.DEFAULT.package()} with btns-null, libreswan {Libreswan.version()} with authby=null, both ends each; "
          f"all daemons on CPU {CPU}, {options.batch} IKE_SAs at once")
    with Null("charon, NULL", True) as null, Plutos("libreswan, NULL", options.batch) as plutos:
        pairs = (null, plutos)
        for round_ in range(options.batches + 1):
            for pair in pairs[::-1] if round_ % 2 else pairs:
                turn = batch(pair, options.batch)
                if round_:  # the first is to warm up
                    pair.rounds.append(turn)
        for pair in pairs:
            walls = [turn.wall for turn in pair.rounds]
            print(f"{pair.name:22} {1 / statistics.median(walls):6.0f} set-ups per second "
                  f"({1 / max(walls):.0f} to {1 / min(walls):.0f} in {len(walls)} turns), "
                  f"{statistics.median(turn.cpu for turn in pair.rounds) * 1000:.3f} ms CPU for one, both ends together")
    ratio = (statistics.median(turn.wall for turn in plutos.rounds) / statistics.median(turn.wall for turn in null.rounds))
    print(f"{'ratio':22} {ratio:6.2f}   set-ups per second of charon to those of libreswan")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_options(parser, 10, 1.25)
    parser.add_argument("--batches", type=int, default=20, help="turns of each pair against libreswan")
    parser.add_argument("--batch", type=int, default=50, help="IKE_SAs in such a turn")
    options = parser.parse_args()

    net.sweep()
    status = cpu_against_psk(options)
    rate_against_libreswan(options)
    return status


if __name__ == "__main__":
    sys.exit(main())
