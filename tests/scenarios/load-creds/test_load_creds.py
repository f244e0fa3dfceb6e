# SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception
"""Credentials and connections are loaded in a loop while strangers connect: every command is answered in time, and the
strangers are served."""

import threading
import time

from harness import ikev2, sanitizers
from harness.checks import connects
from harness.keys import run
from harness.load import BTNS, OPTIONS

SECONDS = 18 if sanitizers.ENABLED else 6
ADDRESSES = [f"192.0.2.{last}" for last in (21, 22, 23, 24)]
DEADLINE = 15
"""Seconds in which each command has to be answered: far more than it takes."""


class Stranger(threading.Thread):
    """Connects again and again from an address of its own, with a bare key and with a certificate of an unknown CA."""

    def __init__(self, world, left, right, address):
        super().__init__(daemon=True)
        key = world.keys.key("ed25519")
        ca = world.keys.ca(f"CA of {address}")
        path = world.keys.file("cert.pem")
        path.write_text(ca.issue(key, "somebody.example.net"))
        expired = world.keys.file("expired.pem")
        expired.write_text(ca.issue(key, "somebody.example.net",
                                    lifetime=["--not-before", "01.01.20 00:00:00", "--not-after", "01.02.20 00:00:00"]))
        certificate, expired = (run("openssl", "x509", "-in", one, "-outform", "DER") for one in (path, expired))
        self.shown = ([(ikev2.SPKI, key.spki)], [(ikev2.X509, certificate)], [(ikev2.X509, expired)])
        self.signer = ikev2.Signer(key.path)
        self.left, self.right, self.address = left, right, address
        self.inner = "10.66.128." + address.split(".")[-1]
        self.served = self.unanswered = 0
        self.until = None

    def run(self):
        count = 0
        while time.monotonic() < self.until:
            certs = self.shown[count % len(self.shown)]
            count += 1
            try:
                answer = ikev2.attempt(self.left.namespace, self.address, self.right.address, certs, self.signer,
                                       address=self.inner)
                self.served += answer.authenticated
            except OSError:
                self.unanswered += 1


def many_strangers(world, conf, reload, seconds=SECONDS):
    """Load the gateway's configuration in a loop while strangers come: reload(right, count). Returns both hosts."""
    left = world.host("left", key="ed25519", start=False)
    right = world.host("right", conf=conf, key="ed25519", options=OPTIONS, btns=BTNS, start=False)
    for address in ADDRESSES:
        left.namespace.ip("addr", "add", f"{address}/24", "dev", "eth0")
    ca = world.keys.ca("Company CA")
    right.add_file("x509ca/ca.pem", ca.pem)
    for count in range(8):
        right.add_file(f"x509/{count}.pem", ca.issue(world.keys.key("ed25519"), f"{count}.example.org"))
    world.start(right)
    strangers = [Stranger(world, left, right, address) for address in ADDRESSES]
    until = time.monotonic() + seconds
    for stranger in strangers:
        stranger.until = until
        stranger.start()
    loops = 0
    while time.monotonic() < until:
        reload(right, loops)
        loops += 1
    for stranger in strangers:
        stranger.join(DEADLINE)
        assert not stranger.is_alive()
    assert loops >= 5, f"{loops} loops only"
    served = [stranger.served for stranger in strangers]
    assert min(served) >= 3, f"{served} served, {[stranger.unanswered for stranger in strangers]} without an answer"
    assert right.stats()["accepted"] >= sum(served)
    return left, right


def test_load_creds(world):
    def reload(right, count):
        # a command that is not answered in time raises TimeoutExpired
        right.swanctl("--load-creds", "--noprompt", "--clear", timeout=DEADLINE)
        if count % 4 == 0:
            right.swanctl("--load-conns", timeout=DEADLINE)

    left, right = many_strangers(world, None, reload)
    left.start()
    connects(left, "data")
    assert len([peer for peer in right.peers() if peer["fingerprint"] == left.key.fingerprint]) == 1


def test_connections_are_reloaded_all_the_time(world):
    """charon does not select a child for a stranger from a list that a reload is freeing: the more children, the longer
    that takes."""
    more = "".join(f"\t\t\tmore-{i} {{\n\t\t\t\tlocal_ts = 10.67.{i}.0/24\n\t\t\t}}\n" for i in range(60))
    conf = world.conf("right").replace("children {\n", "children {\n" + more, 1)
    many_strangers(world, conf, lambda right, count: right.swanctl("--load-conns", timeout=DEADLINE), 2 * SECONDS)
