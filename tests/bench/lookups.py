#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception
"""How long an application waits for the binding of its connection: btns_find() with few IKE_SAs and with many.

A stock charon with our plugin has one BTNS peer after the other, each with an IKE_SA and a CHILD_SA of its own. An application
asks through libbtns about connected sockets to some of them, one at a time. On the same daemon `swanctl --list-sas` tells
the same about all peers, which is what one would have to ask without the application socket. The time is that of the
wall clock, seen by who asks.

Needs root. `ci/test bench` runs it; it fails if the median is above the limit.
"""

import argparse
import ctypes
import gc
import ipaddress
import random
import socket
import statistics
import subprocess
import sys
import time
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "scenarios"))

from harness import ikev2, libbtns, load, net  # noqa: E402
from harness.world import World  # noqa: E402

CONF = """
connections {
	strangers {
		version = 2
		local_addrs = 192.0.2.2
		remote_addrs = %any
		encap = yes
		mobike = no
		rekey_time = 0
		local {
			auth = pubkey
			pubkeys = me.pem
		}
		remote {
			auth = pubkey
			groups = btns
		}
		children {
			data {
				local_ts = 10.66.0.1/32
				remote_ts = 10.66.128.0/17
				rekey_time = 0
			}
		}
	}
}
"""
FIRST = ipaddress.ip_address("10.66.128.1")
SPKI_ED25519 = bytes.fromhex("302a300506032b6570032100")
SOCKETS = 100
PAUSE = 0.001
"""Seconds between two questions: who asks without a pause has to wait for the rate."""


class Person(ikev2.Signer):
    """A peer with a key of its own."""

    def __init__(self):
        self.key = Ed25519PrivateKey.generate()
        raw = self.key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
        self.spki = SPKI_ED25519 + raw


class Peers:
    """The peers of the right host, all of them played by the left one."""

    def __init__(self, world):
        self.left = world.host("left", conf="", start=False)
        self.right = libbtns.serves(world.host("right", CONF, key="ed25519", start=False, btns=load.BTNS, options=load.OPTIONS))
        self.right.more_conf = load.STOCK_LOGGING
        self.right.start()
        self.initiator = ikev2.Initiator(self.left.namespace, self.left.address, self.right.address)
        self.count = 0

    def grow(self, count):
        while self.count < count:
            peer = Person()
            answer = self.initiator.init().auth([(ikev2.SPKI, peer.spki)], peer, address=str(FIRST + self.count))
            assert answer.authenticated, answer
            self.count += 1
        stats = self.right.stats()
        assert stats["peers"] == stats["children"] == count, stats

    def sockets(self):
        """Connected sockets to some of the peers."""
        def connect(number):
            made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            made.bind((self.right.inner[0], 0))
            made.connect((str(FIRST + number), 9))
            return made

        chosen = random.Random(1).choices(range(self.count), k=SOCKETS)
        return self.right.namespace.call(lambda: [connect(number) for number in chosen])

    def ask(self, count):
        """Seconds that each question took."""
        sockets, took = self.sockets(), []
        library, channel = libbtns.library(), ctypes.c_void_p()
        with libbtns.Application(libbtns.socket_of(self.right)) as application:
            for one in sockets[:10]:
                assert application.find(one).protection == "protected"
            gc.disable()
            for number in range(count):
                descriptor = sockets[number % SOCKETS].fileno()
                begin = time.perf_counter()
                status = library.btns_find(application.handle, descriptor, ctypes.byref(channel))
                took.append(time.perf_counter() - begin)
                assert status == 0, status
                library.btns_channel_free(channel)
                time.sleep(PAUSE)
            gc.enable()
        for one in sockets:
            one.close()
        return took

    def list_sas(self, count):
        """Seconds that `swanctl --list-sas` took."""
        took = []
        for _ in range(count):
            begin = time.perf_counter()
            listed = self.right.swanctl("--list-sas", timeout=120).stdout
            took.append(time.perf_counter() - begin)
            assert listed.count("ESTABLISHED") == self.count
        return took


def microseconds(seconds):
    return f"{seconds * 1e6:,.0f}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--few", type=int, default=10, help="IKE_SAs in the first measurement")
    parser.add_argument("--many", type=int, default=10000, help="IKE_SAs in the second one")
    parser.add_argument("--count", type=int, default=3000, help="questions in each")
    parser.add_argument("--limit", type=float, default=200, help="median in microseconds above which this fails")
    options = parser.parse_args()

    net.sweep()
    worst = 0
    print("microseconds      btns_find()                 swanctl --list-sas")
    print("IKE_SAs        median      99 %              median")
    with World() as world:
        peers = Peers(world)
        try:
            for count in (options.few, options.many):
                peers.grow(count)
                took = peers.ask(options.count)
                listed = peers.list_sas(3)
                median = statistics.median(took)
                worst = max(worst, median * 1e6)
                print(f"{count:7,} {microseconds(median):>13} {microseconds(statistics.quantiles(took, n=100)[98]):>9}"
                      f" {microseconds(statistics.median(listed)):>19}", flush=True)
        except subprocess.SubprocessError as error:
            sys.exit(f"swanctl: {error}")
        finally:
            peers.initiator.socket.close()
    print(f"at most {options.limit:.0f} in the median")
    return 0 if worst <= options.limit else 1


if __name__ == "__main__":
    sys.exit(main())
