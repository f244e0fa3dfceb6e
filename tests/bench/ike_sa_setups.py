#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception
"""What a BTNS peer costs: CPU time of both charons for one IKE_SA.

Two pairs of stock charons run at the same time and set up IKE_SAs in turn: one pair has our plugin and nothing but the
flag `groups = btns`, the other has each other's raw keys preloaded and no plugin. All else is the same: X25519 and
Ed25519, childless IKE_SAs, charon's standard log level. What is measured is what the kernel has accounted to the two
daemons of a pair, user and system time. The ratio is that of the medians over all rounds.

Needs root. `ci/test bench` runs it.
"""

import argparse
import statistics
import sys
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
			auth = pubkey
			pubkeys = me.pem
			id = {me}
		}}
		remote {{
			auth = pubkey
			{remote}
		}}
	}}
}}
"""

ADDRESSES = {
    "left": "local_addrs = 192.0.2.1\n\t\tremote_addrs = 192.0.2.2",
    "right": "local_addrs = 192.0.2.2",
}


class Pair:
    """An initiator and a responder, and what they have cost."""

    def __init__(self, name, btns):
        self.name = name
        self.btns = btns
        self.costs = []

    def __enter__(self):
        self.world = World()
        self.hosts = [
            self.world.host(side, key="ed25519", start=False, plugin=self.btns, options=load.OPTIONS,
                            btns=load.BTNS if self.btns else None)
            for side in ("left", "right")
        ]
        for host, peer in zip(self.hosts, self.hosts[::-1]):
            host.more_conf = load.STOCK_LOGGING
            remote = f"id = {peer.name}.example\n\t\t\tpubkeys = peer.pem"
            if self.btns:
                remote = "id = %any\n\t\t\tgroups = btns"
            else:
                host.add_file("pubkey/peer.pem", peer.key.public_pem)
            host.configure(CONF.format(addresses=ADDRESSES[host.name], me=f"{host.name}.example", remote=remote))
        self.world.start(*self.hosts)
        return self

    def __exit__(self, *_):
        self.world.close()

    def cpu(self):
        return sum(load.cpu_seconds(host.process.pid) for host in self.hosts)

    def set_up(self, count):
        """Set up that many IKE_SAs, one after the other. Returns milliseconds of CPU time for one of them."""
        left, right = self.hosts
        before = self.cpu()
        for _ in range(count):
            answer = left.request("initiate", {"ike": "bench", "timeout": "10000", "loglevel": "-1"})
            assert answer.get("success") == "yes", f"{self.name}: {answer}"
        return (self.cpu() - before) * 1000 / count

    def check(self, count):
        """As many IKE_SAs are up as were set up, and of the right kind."""
        for host in self.hosts:
            sas = host.sas()
            assert len(sas) == count, f"{self.name}: {len(sas)} IKE_SAs on {host.name} instead of {count}"
            assert all(sa["state"] == "ESTABLISHED" for sa in sas)
            assert all(sa["remote-id"].startswith("btns:sha256:") == self.btns for sa in sas), sas[0]
            if self.btns:
                assert host.stats()["peers"] == count

    def clear(self):
        left, right = self.hosts
        left.request("terminate", {"ike": "bench", "force": "yes", "timeout": "10000"})
        for host in (left, right):
            host.wait_until(lambda: not host.sas(), "no IKE_SA is left", timeout=20)

    def round(self, count, keep=True):
        cost = self.set_up(count)
        self.check(count)
        self.clear()
        if keep:
            self.costs.append(cost)


def summary(pair):
    low, high = min(pair.costs), max(pair.costs)
    return (f"{pair.name:22} {statistics.median(pair.costs):6.3f} ms CPU per IKE_SA, both ends together   "
            f"({low:.3f} to {high:.3f} in {len(pair.costs)} rounds)")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=8, help="rounds of each pair, taken in turn")
    parser.add_argument("--count", type=int, default=125, help="IKE_SAs in a round")
    parser.add_argument("--limit", type=float, default=1.10, help="the ratio above which this fails")
    options = parser.parse_args()

    net.sweep()
    with Pair("stock, preloaded keys", False) as stock, Pair("btns", True) as btns:
        for pair in (stock, btns):
            pair.round(options.count, keep=False)
        for turn in range(options.rounds):
            for pair in (stock, btns) if turn % 2 else (btns, stock):
                pair.round(options.count)

    ratios = [mine / theirs for mine, theirs in zip(btns.costs, stock.costs)]
    ratio = statistics.median(btns.costs) / statistics.median(stock.costs)
    print(summary(stock))
    print(summary(btns))
    print(f"{'ratio':22} {ratio:6.3f}   ({min(ratios):.3f} to {max(ratios):.3f} in single rounds; at most {options.limit})")
    return 0 if ratio <= options.limit else 1


if __name__ == "__main__":
    sys.exit(main())
