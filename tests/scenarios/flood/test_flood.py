# SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception
"""Strangers from many addresses use up every limit; somebody known sets up, rekeys and passes traffic meanwhile; and when they
are gone nothing of them is left.

The strangers are threads of this program, with keys, half-open IKE_SAs and requests that cost them nothing. All limits are
low. What happened is printed.
"""

import collections
import os
import re
import threading
import time

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from harness import ikev2, load
from harness.checks import connects
from harness.host import transfer

WORKERS, SOURCES = 3, 16
"""Threads, and addresses of each."""
MOST = 1500
"""Attempts of one thread in one phase."""
PHASE = 40
"""Seconds that one phase may take."""
TOLERANCE_KIB = 8192
"""What charon's threads may keep for themselves."""

IKESA_LIMIT = 56
OPTIONS = {**load.OPTIONS, "ikesa_limit": IKESA_LIMIT, "half_open_timeout": 10}
LIMITS = {
    "max_peers": 12,
    "max_peers_per_source": 2,
    "max_half_open": 12,
    "max_half_open_per_source": 3,
    "key_time": 60,
    "key_time_per_source": 10,
    "child_rate": 10,
    "log_rate": 2,
    "idle_timeout": 0,
    "childless_timeout": 0,
}


class Stranger(ikev2.Signer):
    """A key that nobody has seen before."""

    def __init__(self):
        self.key = Ed25519PrivateKey.generate()
        self.spki = self.key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def rsa_4096():
    """RSAPublicKey with a random modulus, DER: no RSA key, but who knows that before it is checked?"""
    modulus = int.from_bytes(os.urandom(512), "big") | 1 << 4095 | 1
    key = rsa.RSAPublicNumbers(65537, modulus).public_key()
    return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.PKCS1)


_count = iter(range(1, 1 << 30))


def inner_address():
    """One that no other stranger has."""
    count = next(_count)
    return f"10.66.{132 + count // 250 % 100}.{1 + count % 250}"


def keys(one):
    """Garbage, and keys that take long to check, from the same address."""
    one.init().auth([(ikev2.SPKI, os.urandom(44))], Stranger())
    for _ in range(2):
        one.init().auth([(ikev2.PKCS1, rsa_4096())], Stranger())


def honest(one):
    """One after the other from the same address, and they stay."""
    for _ in range(LIMITS["max_peers_per_source"] + 1):
        peer = Stranger()
        one.init().auth([(ikev2.SPKI, peer.spki)], peer, address=inner_address())


def half_open(one):
    """Several that never authenticate, and then one that does."""
    for _ in range(LIMITS["max_half_open_per_source"] + 1):
        one.init()
    peer = Stranger()
    one.auth([(ikev2.SPKI, peer.spki)], peer, address=inner_address())


def begin(one):
    """Some more of these."""
    one.init()


class Worker(threading.Thread):
    """Does one thing from its addresses in turn until it is told to stop."""

    def __init__(self, initiators, action):
        super().__init__(daemon=True)
        self.initiators = initiators
        self.action = action
        self.attempts = self.unanswered = self.turned_away = 0
        self.error = None
        self.end = threading.Event()
        self.start()

    def run(self):
        try:
            while not self.end.is_set() and self.attempts < MOST:
                self.attempts += 1
                try:
                    self.action(self.initiators[self.attempts % len(self.initiators)])
                except TimeoutError:
                    self.unanswered += 1
                except RuntimeError:  # IKE_SA_INIT got an error
                    self.turned_away += 1
                    self.end.wait(0.02)
        except Exception as error:  # told by stop()
            self.error = error

    def stop(self):
        self.end.set()
        self.join()
        if self.error:
            raise self.error


class Flood:
    def __init__(self, world, report):
        self.report = report
        self.left = world.host("left", conf="", start=False)
        self.right = world.host("right", key="ed25519", start=False, options=OPTIONS, btns=LIMITS)
        self.third = world.host("third", key="ed25519", start=False, options={"reuse_ikesa": "no"})
        self.right.add_file("pubkey/peer.pem", self.third.key.public_pem)
        self.third.add_file("pubkey/peer.pem", self.right.key.public_pem)
        world.start(self.right, self.third)
        self.sources = []
        for worker in range(WORKERS):
            addresses = [f"192.0.2.{64 + worker * SOURCES + number}" for number in range(SOURCES)]
            for address in addresses:
                self.left.namespace.ip("addr", "add", f"{address}/24", "dev", "eth0")
            self.sources.append([ikev2.Initiator(self.left.namespace, address, self.right.address, timeout=2)
                                 for address in addresses])
        self.set_ups = []

    def close(self):
        for sources in self.sources:
            for one in sources:
                one.socket.close()

    def known_connects(self):
        """Somebody known sets up an IKE_SA with a CHILD_SA. Returns what the responder calls it."""
        before = {sa["uniqueid"] for sa in self.right.sas()}
        begun = time.monotonic()
        connects(self.third, "known")
        self.set_ups.append(time.monotonic() - begun)
        new = [sa for sa in self.right.sas() if sa["name"] == "known" and sa["uniqueid"] not in before]
        assert new and new[0]["remote-id"] == "third", self.right.sas()

    def known_comes_and_goes(self):
        """It passes traffic, rekeys both SAs and goes."""
        third, right = self.third, self.right
        self.known_connects()
        transfer(third, right, b"known" * 100)
        spi = third.sa("known")["initiator-spi"]
        third.swanctl("--rekey", "--child", "known")
        third.swanctl("--rekey", "--ike", "known")
        third.wait_until(lambda: [sa["state"] for sa in third.sas()] == ["ESTABLISHED"]
                         and third.sas()[0]["initiator-spi"] != spi, "rekeyed", timeout=30)
        transfer(third, right, b"known" * 100)
        third.swanctl("--terminate", "--ike", "known")

    def phase(self, name, action, codes, known, **limits):
        """All workers do one thing until every one of the limits was reached, and somebody known has come meanwhile."""
        self.right.btns = {**LIMITS, **limits}
        self.right.reload_options()
        before = self.right.stats()
        workers = [Worker(sources, action) for sources in self.sources]
        deadline = time.monotonic() + PHASE
        try:
            while True:
                known()
                stats = self.right.stats()
                if all(stats[f"refused-{code}"] > before[f"refused-{code}"] for code in codes):
                    break
                assert time.monotonic() < deadline, f"{name}: {stats}"
        finally:
            for worker in workers:
                worker.stop()
        refused = {key: stats[key] - before[key] for key in stats if key.startswith("refused-") and stats[key] > before[key]}
        self.report(f"{name}: {sum(worker.attempts for worker in workers)} rounds, "
                    f"{sum(worker.turned_away for worker in workers)} IKE_SA_INITs turned away; "
                    + ", ".join(f"{key[8:]} {value}" for key, value in refused.items())
                    + f"; there are {stats['peers']} strangers, {stats['half-open']} half-open, "
                    f"{len(self.right.sas())} IKE_SAs")
        return stats

    def requests_too_often(self):
        """One stranger asks for one CHILD_SA after the other until it is not answered, and repeats that request."""
        one, peer, address = self.sources[0][-1], Stranger(), inner_address()
        answer = one.init().auth([(ikev2.SPKI, peer.spki)], peer, address=address)
        assert answer.authenticated, answer
        one.socket.settimeout(1)
        message_id = 2
        ignored = 0
        while not ignored:
            try:
                one.create_child(message_id, address=address)
                message_id += 1
                assert message_id < 10 * LIMITS["child_rate"], "all were answered"
            except TimeoutError:
                ignored += 1
        assert message_id - 2 >= LIMITS["child_rate"], message_id
        while ignored < 20:
            try:
                one.create_child(message_id, address=address)
                break
            except TimeoutError:
                ignored += 1
        assert ignored < 20, "never answered again"
        self.report(f"requests: {message_id - 2} were answered at once, then {ignored} were ignored, then one was answered")
        assert self.right.stats()["refused-child-rate"] >= ignored
        one.socket.settimeout(2)
        one.delete(message_id + 1)

    def made_room(self):
        """Number of strangers that did."""
        stats = self.right.stats()
        return stats["refused-shed"] + stats["refused-shed-half-open"]

    def known_comes_often(self):
        """Until strangers make room. Each stays, so that half-open ones are not needed for it."""
        for _ in range(IKESA_LIMIT - LIMITS["max_peers"]):
            if self.made_room():
                break
            self.known_connects()
        self.right.wait_until(self.made_room, "strangers make room")

    def measure(self):
        """What charon has when all are gone."""
        right = self.right
        right.btns = {**LIMITS, "idle_timeout": 1, "childless_timeout": 1}
        right.reload_options()
        self.third.swanctl("--terminate", "--ike", "known", check=False)
        right.wait_until(lambda: not right.sas(), "the IKE_SAs are gone", timeout=60)
        right.wait_until(lambda: not any(right.stats()[name] for name in ("records", "peers", "children", "half-open")),
                         "the records are gone", timeout=20)
        pid = right.process.pid
        return {"resident KiB": load.resident_kib(pid), "descriptors": load.descriptors(pid)}

    def most_lines(self):
        """The most lines of the log about one reason in one second."""
        lines = re.findall(r"^(\S+) .*btns: refused .*\((\S+)\)$", self.right.log(), re.MULTILINE)
        return max(collections.Counter((stamp.split(".")[0], code) for stamp, code in lines).values())


def test_somebody_known_is_served(world, capsys):
    lines = []
    flood = Flood(world, lines.append)
    try:
        flood.known_comes_and_goes()
        flood.phase("warm-up", honest, ["max-peers-per-source"], flood.known_comes_and_goes, key_time=100000,
                    key_time_per_source=100000)
        before = flood.measure()
        flood.phase("keys", keys, ["key-rate", "key-rate-per-source"], flood.known_comes_and_goes)
        plenty = {"key_time": 100000, "key_time_per_source": 100000}
        flood.right.btns = {**LIMITS, **plenty}
        flood.right.reload_options()
        flood.requests_too_often()
        flood.phase("honest", honest, ["max-peers", "max-peers-per-source"], flood.known_comes_and_goes, **plenty)
        flood.phase("half-open", half_open, ["half-open", "half-open-per-source"], flood.known_comes_and_goes, **plenty)
        flood.phase("crowd", begin, ["crowded"], flood.known_comes_and_goes, **plenty)
        flood.phase("crowd, many known", begin, ["crowded"], flood.known_comes_often, **plenty)
        after = flood.measure()
        lines.append(f"set-ups of somebody known: {len(flood.set_ups)}, from {min(flood.set_ups):.2f} to "
                     f"{max(flood.set_ups):.2f} s")
        lines.append(f"before {before}, after {after}")
    finally:
        flood.close()
        with capsys.disabled():
            print("\n  " + "\n  ".join(lines))
    stats = flood.right.stats()
    assert stats["refused-not-flagged"] == 0, stats
    # a second of the clock may have parts of two of the limit's
    assert flood.most_lines() <= 2 * LIMITS["log_rate"]
    assert after["descriptors"] == before["descriptors"]
    assert after["resident KiB"] <= before["resident KiB"] + TOLERANCE_KIB
