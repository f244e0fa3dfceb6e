# SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception
"""Peers that were refused, or were accepted and have gone, leave nothing behind: no memory, descriptor or record.

How many peers of each kind there are is in BTNS_PEERS; `ci/test memory` takes 10,000. The first tenth brings charon to
where it needs no more; what it needs then is compared with what it needs in the end. That takes a thousand peers: with
less the resident memory is only printed.
"""

import os
import struct
import time

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from harness import ikev2, load

PEERS = int(os.environ.get("BTNS_PEERS", "300"))
AT_ONCE = 50
"""Accepted peers that are there at the same time."""

WARM = 1000
TOLERANCE_KIB = 2048
SPKI_ED25519 = bytes.fromhex("302a300506032b6570032100")
INFORMATIONAL, DELETE = 37, 42
COUNTERS = ("records", "peers", "children")


class Person(ikev2.Signer):
    """A peer with a key of its own."""

    def __init__(self):
        self.key = Ed25519PrivateKey.generate()
        raw = self.key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
        self.spki = SPKI_ED25519 + raw


class Crowd:
    """The left host without a charon, as many peers."""

    def __init__(self, world):
        self.left = world.host("left", conf="", key="ed25519", start=False)
        self.right = world.host("right", key="ed25519", start=False, btns=load.BTNS,
                                options={**load.OPTIONS, "half_open_timeout": 2})
        self.right.add_file("pubkey/alice.pem", world.keys.key("ed25519").public_pem)
        self.right.more_conf = load.STOCK_LOGGING
        self.right.start()
        self.initiator = ikev2.Initiator(self.left.namespace, self.left.address, self.right.address)
        self.refusals = 0

    def comes(self, certs, signer, **how):
        return self.initiator.init().auth(certs, signer, **how)

    def is_refused(self):
        """One peer is refused, for one reason after the other."""
        peer, kind = Person(), self.refusals % 5
        self.refusals += 1
        if kind == 0:
            answer = self.comes([(ikev2.SPKI, os.urandom(44))], peer)
        elif kind == 1:
            answer = self.comes([(ikev2.SPKI, peer.spki)], Person())
        elif kind == 2:
            answer = self.comes([(ikev2.SPKI, peer.spki)], peer, identity="alice.example")
        elif kind == 3:
            answer = self.comes([], peer)
        else:
            answer = self.comes([(ikev2.X509, os.urandom(300))], peer)
        assert answer.refused, f"{kind}: {answer}"

    def are_accepted_and_go(self, count):
        """Several peers come with a CHILD_SA each, and go when all of them are there."""
        there = []
        for number in range(count):
            peer = Person()
            answer = self.comes([(ikev2.SPKI, peer.spki)], peer, address=f"10.66.129.{number + 1}")
            assert answer.authenticated, answer
            there.append(dict(vars(self.initiator)))
        stats = self.right.stats()
        assert stats["peers"] == stats["children"] == count, stats
        for state in there:
            vars(self.initiator).update(state)
            first, body = ikev2.chain([(DELETE, struct.pack("!BBH", 1, 0, 0))])
            self.initiator._open(self.initiator._exchange(self.initiator._seal(INFORMATIONAL, 2, first, body)))

    def pass_by(self, count):
        """That many are refused, and as many are accepted."""
        for done in range(0, count, AT_ONCE):
            some = min(AT_ONCE, count - done)
            for _ in range(some):
                self.is_refused()
            self.are_accepted_and_go(some)
            self.right.events.seen.clear()
            self.right.events.times.clear()

    def measure(self):
        """What charon has, once it has got rid of what it needs no more."""
        right = self.right
        right.wait_until(lambda: not right.sas(), "the IKE_SAs are gone", timeout=30)
        right.wait_until(lambda: not any(right.stats()[name] for name in COUNTERS), "the records are gone", timeout=10)
        time.sleep(3)  # until charon has forgotten the last half-open IKE_SA
        pid, stats = right.process.pid, right.stats()
        return {"resident KiB": load.resident_kib(pid), "descriptors": load.descriptors(pid),
                **{name: stats[name] for name in COUNTERS}}


def test_nothing_is_left(world, capsys):
    crowd = Crowd(world)
    first = PEERS // 10
    try:
        crowd.pass_by(first)
        before = crowd.measure()
        start = time.monotonic()
        crowd.pass_by(PEERS - first)
        took = time.monotonic() - start
        after = crowd.measure()
    finally:
        crowd.initiator.socket.close()
    stats = crowd.right.stats()
    with capsys.disabled():
        print(f"\n  after {first} refused and {first} accepted peers: {before}")
        print(f"  after {PEERS} of each: {after}   ({took * 500 / (PEERS - first):.1f} ms for one)")
    assert stats["accepted"] == stats["refused"] == PEERS, stats
    for name in ("descriptors", *COUNTERS):
        assert after[name] == before[name], name
    if first >= WARM:
        assert after["resident KiB"] <= before["resident KiB"] + TOLERANCE_KIB
