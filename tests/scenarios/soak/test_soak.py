# SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception
"""Two strangers and somebody known come, rekey, authenticate again, move, go and come back while configurations are
reloaded, for minutes: nobody known loses anything by it, and in the end nothing is left.

`ci/test soak [SECONDS] [SEED]` runs it, with sanitizers in the plugin. What happens in which round depends on the seed alone;
within a round all peers act at the same time. The schedule is printed as it happens.
"""

import concurrent.futures
import copy
import os
import random
import time

from harness import load, sanitizers
from harness.checks import connects
from harness.host import transfer
from harness.vici import Connection

SECONDS = int(os.environ["BTNS_SOAK_SECONDS"])
SEED = int(os.environ.get("BTNS_SOAK_SEED") or time.time_ns() % 1000000)
PATIENCE = 60
"""Seconds that something may take on a machine that does much else, with sanitizers."""

COUNTERS = ("records", "peers", "children")
KNOWN = "known"
STRANGERS = "strangers"

PEERS = {"left": (STRANGERS, 1), "fourth": (STRANGERS, 4), "third": (KNOWN, 3)}
"""Connections, and the last octets of the addresses on the wire. Each has a second one, larger by 10."""

TIDY_OPTIONS = {**load.OPTIONS, "half_open_timeout": 5}


def line(host):
    """The same host with a vici connection of its own, so that a thread has it for itself."""
    mine = copy.copy(host)
    mine.vici = Connection(host.socket_path, timeout=PATIENCE)
    return mine


class Peer:
    """One peer, and the gateway's side of its SAs."""

    def __init__(self, host, gateway, connection, last):
        self.host, self.gate = line(host), line(gateway)
        self.name, self.connection, self.last = host.name, connection, last
        self.identity = host.key.identity if connection == STRANGERS else "third"
        self.up = False
        self.moved = False
        self.lost = 0
        """How often its SA has ended by the schedule."""

    # what there is

    def at_gate(self):
        return [sa for sa in self.gate.sas() if sa.get("remote-id") == self.identity]

    def state(self):
        """SPIs and unique IDs at both ends, if both have one IKE_SA with one CHILD_SA and nothing is going on."""
        mine, theirs = self.host.sas(), self.at_gate()
        if len(mine) != 1 or len(theirs) != 1 or mine[0]["initiator-spi"] != theirs[0]["initiator-spi"]:
            return None
        for sa in (mine[0], theirs[0]):
            if sa["state"] != "ESTABLISHED" or [c["state"] for c in sa["child-sas"].values()] != ["INSTALLED"]:
                return None
        child = next(iter(mine[0]["child-sas"].values()))
        return {"ike": mine[0]["initiator-spi"], "child": child["spi-in"], "unique": theirs[0]["uniqueid"],
                "mine": mine[0]["uniqueid"], "address": theirs[0]["remote-host"]}

    def settled(self):
        self.host.wait_until(lambda: self.state() is not None, f"{self.name} has its SAs at both ends", PATIENCE)
        return self.state()

    def is_gone(self):
        self.host.wait_until(lambda: not self.host.sas(), f"{self.name} has no IKE_SA", PATIENCE)
        self.gate.wait_until(lambda: not self.at_gate(), f"the gateway has no IKE_SA of {self.name}", PATIENCE)
        self.up = False
        self.lost += 1

    # what can happen

    def choices(self):
        if not self.up:
            return ["comes", "comes", "comes", "reloads", "rests"]
        return ["rests", "sends", "reloads", "rekeys ike", "rekeys child", "reauthenticates", "moves", "goes"]

    def act(self, what, by_gateway):
        """Do what the schedule says. by_gateway: it begins at the gateway, where either end can begin."""
        getattr(self, what.split()[0])(*what.split()[1:], by_gateway)

    def rests(self, _):
        if self.up:
            before = self.settled()
            time.sleep(0.5)
            self.is_same(before)

    def comes(self, _):
        connects(self.host, "data")
        self.settled()
        self.up = True

    def sends(self, _):
        before = self.settled()
        transfer(self.host, self.gate, b"soak" * 2000, port=7000 + self.last, timeout=PATIENCE)
        self.is_same(before)

    def reloads(self, _):
        before = self.settled() if self.up else None
        self.host.load_all()
        self.host.swanctl("--reload-settings")
        if before:
            self.is_same(before)

    def rekeys(self, what, by_gateway):
        before = self.settled()
        if by_gateway:
            self.at_gateway("--rekey", what)
        else:
            self.host.swanctl("--rekey", f"--{what}", self.connection if what == "ike" else "data")
        self.host.wait_until(lambda: (self.state() or before)[what] != before[what], f"{self.name}: {what} is rekeyed",
                             PATIENCE)

    def reauthenticates(self, by_gateway):
        before = self.settled()
        if by_gateway:
            self.at_gateway("--rekey", "ike", "--reauth")
        else:
            self.host.swanctl("--rekey", "--ike", self.connection, "--reauth")
        self.host.wait_until(lambda: (self.state() or before)["mine"] != before["mine"],
                             f"{self.name} has authenticated again", PATIENCE)
        self.lost += 1

    def moves(self, _):
        before = self.settled()
        ways = [f"192.0.2.{self.last + 10 * (self.moved != second)}" for second in (False, True)]
        self.moved = not self.moved
        self.host.namespace.ip("addr", "add", f"{ways[1]}/24", "dev", "eth0")
        self.host.namespace.ip("addr", "del", f"{ways[0]}/24", "dev", "eth0")
        if self.connection == KNOWN:
            self.host.wait_until(lambda: (self.state() or before)["address"] == ways[1], "the SA has moved", PATIENCE)
            # ESP in the user space cannot move an SA: charon rekeys it
            self.host.wait_until(lambda: (self.state() or before)["child"] != before["child"], "so has the CHILD_SA", PATIENCE)
            self.is_same({**before, "address": ways[1], "child": self.settled()["child"]})
        else:
            self.gate.wait_until(lambda: all(sa["uniqueid"] != before["unique"] for sa in self.at_gate()),
                                 "the gateway has deleted the SA that moved", PATIENCE)
            # a Delete that was lost on the way, and it would come back by itself
            self.host.swanctl("--terminate", "--ike", self.connection, "--force", check=False)
            self.is_gone()

    def goes(self, by_gateway):
        self.settled()
        if by_gateway:
            self.at_gateway("--terminate", "ike")
        else:
            self.host.swanctl("--terminate", "--ike", self.connection)
        self.is_gone()

    def at_gateway(self, command, what, *more):
        sa = self.at_gate()[0]
        number = sa["uniqueid"] if what == "ike" else next(iter(sa["child-sas"].values()))["uniqueid"]
        self.gate.swanctl(command, f"--{what}-id", number, *more)

    def is_same(self, before):
        assert self.settled() == before, f"{self.name}: {self.state()} instead of {before}"

    def close(self):
        for host in (self.host, self.gate):
            host.vici.close()


class Gateway:
    """The gateway's configuration, and how it changes."""

    def __init__(self, world, host):
        self.world, self.host = world, host
        self.branch = True
        self.flagged = True

    def configure(self):
        self.host.configure(self.world.conf("right", BRANCH="branch" if self.branch else "office",
                                            GROUPS="btns" if self.flagged else "staff"))

    def reloads(self):
        """Beside everything else: a connection that has to do with nobody here goes, and another one comes."""
        self.branch = not self.branch
        self.configure()
        self.host.load_all()

    def clears(self):
        """All keys are loaded anew, and connections, whose `pubkeys` are keys as well. For a moment there are none, and who
        comes in this moment is refused."""
        self.host.swanctl("--load-all", "--noprompt", "--clear")

    def bars_strangers(self):
        """Strangers may not come any more, those that are there go; then they may again."""
        self.flagged = False
        self.configure()
        self.host.load_all()
        self.host.wait_until(lambda: not self.host.peers(), "no stranger is left", PATIENCE)
        self.flagged = True
        self.configure()
        self.host.load_all()


class Soak:
    def __init__(self, world, say):
        self.say = say
        names = ("right", *PEERS)
        self.hosts = {name: world.host(name, "", "ed25519", start=False, options=TIDY_OPTIONS) for name in names}
        self.right = self.hosts["right"]
        for name, (connection, _) in PEERS.items():
            host = self.hosts[name]
            conf = "third" if connection == KNOWN else "left"
            host.configure(world.conf(conf, INNER=host.inner[0]))
            # or an SA might move there
            host.namespace.ip("-6", "addr", "flush", "dev", "eth0")
        self.right.add_file("pubkey/third.pem", self.hosts["third"].key.public_pem)
        self.hosts["third"].add_file("pubkey/right.pem", self.right.key.public_pem)
        self.gateway = Gateway(world, self.right)
        self.gateway.configure()
        for host in self.hosts.values():
            host.launch()
        for host in self.hosts.values():
            host.ready(timeout=PATIENCE)
        self.peers = [Peer(self.hosts[name], self.right, *rest) for name, rest in PEERS.items()]
        self.known = next(peer for peer in self.peers if peer.connection == KNOWN)
        self.done = {}

    def run(self, seconds, seed):
        """Rounds until the time is over. What a round does follows from the seed and the rounds before."""
        choose = random.Random(seed)
        start = time.monotonic()
        number = 0
        with concurrent.futures.ThreadPoolExecutor(len(self.peers) + 1) as threads:
            while time.monotonic() - start < seconds:
                number += 1
                self.round(choose, threads, f"{number:4} {time.monotonic() - start:5.0f} s ")
        return number

    def round(self, choose, threads, label):
        alone = choose.choice([None] * 10 + ["clears", "bars_strangers"])
        if alone:
            self.say(f"{label} gateway {alone.replace('_', ' ')}")
            self.alone(alone)
            return
        plan = [(peer, choose.choice(peer.choices()), choose.random() < 0.5) for peer in self.peers]
        reloads = choose.random() < 0.3
        self.say(label + ", ".join(f"{peer.name} {what}{' by gateway' if by else ''}" for peer, what, by in plan)
                 + (", gateway reloads" if reloads else ""))
        running = [threads.submit(peer.act, what, by) for peer, what, by in plan]
        if reloads:
            running.append(threads.submit(self.gateway.reloads))
        concurrent.futures.wait(running)
        for one in running:
            one.result()
        for _, what, _ in plan:
            self.count(what)
        self.check()

    def alone(self, what):
        before = self.known.settled() if self.known.up else None
        getattr(self.gateway, what)()
        self.count(what)
        if what == "bars_strangers":
            for peer in self.peers:
                if peer.up and peer is not self.known:
                    peer.is_gone()
        if before:
            self.known.is_same(before)
        self.check()

    def count(self, what):
        self.done[what] = self.done.get(what, 0) + 1

    def check(self):
        """Everybody is there who should be, and nobody else; the known one has lost nothing but by the schedule."""
        for peer in self.peers:
            if peer.up:
                peer.settled()
        strangers = sum(peer.up for peer in self.peers if peer is not self.known)
        self.right.wait_until(lambda: self.right.stats()["peers"] == strangers, "strangers are counted", PATIENCE)
        self.right.wait_until(lambda: self.lost() >= self.known.lost, "every end is reported", PATIENCE)
        assert self.lost() == self.known.lost, f"{KNOWN} has lost {self.lost()} IKE_SAs instead of {self.known.lost}"
        for host in self.hosts.values():
            assert host.alive(), f"charon of {host.name} has ended: {host.stderr()[-2000:]}"
            assert not sanitizers.reports(host.folder), "".join(sanitizers.reports(host.folder))

    def lost(self):
        """How many IKE_SAs of the known one have ended at the gateway."""
        return sum(KNOWN in event and event.get("up") != "yes" for event in self.right.events.of("ike-updown"))

    def rest(self):
        """All go. Returns what each host still has, when it needs no more."""
        for peer in self.peers:
            if peer.up:
                peer.goes(False)
        left = {}
        for name, host in self.hosts.items():
            host.wait_until(lambda: not any(host.stats()[counter] for counter in COUNTERS), "nothing is remembered", PATIENCE)
            host.wait_until(lambda: not in_the_kernel(host), "nothing is left in the kernel", PATIENCE)
            left[name] = load.descriptors(host.process.pid)
        return left

    def close(self):
        for peer in self.peers:
            peer.close()


def in_the_kernel(host):
    """SAs and policies, and routes through SAs of the user space."""
    asked = (["xfrm", "state"], ["xfrm", "policy"], ["route", "show", "table", "220"])
    return "".join(host.namespace.run(["ip", *what]).stdout for what in asked).strip()


def test_nothing_is_left_after_everything(world, capsys):
    def say(text):
        with capsys.disabled():
            print(text, flush=True)

    say(f"\nseed {SEED}, {SECONDS} seconds; to repeat it: ci/test soak {SECONDS} {SEED}")
    soak = Soak(world, say)
    try:
        # everything once, for what charon and the plugin need from then on
        for what in ("comes", "sends", "rekeys ike", "rekeys child", "reauthenticates", "moves", "comes", "goes"):
            for peer in soak.peers:
                if what != "comes" or not peer.up:
                    peer.act(what, False)
        before = soak.rest()
        rounds = soak.run(SECONDS, SEED)
        after = soak.rest()
        stats = soak.right.stats()
    finally:
        soak.close()
    for what, count in sorted(soak.done.items()):
        say(f"{count:6} {what.replace('_', ' ')}")
    say(f"{rounds} rounds; accepted {stats['accepted']}, evicted {stats['evicted']}; descriptors before {before}, after {after}; "
        f"left: {', '.join(f'{name} {stats[name]}' for name in COUNTERS)}")
    assert after == before, "descriptors"
    assert rounds > 0
