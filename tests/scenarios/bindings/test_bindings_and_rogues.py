# SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception
"""The unique binding is computed again here, without charon; and who forges or replays IKE_SA_INIT changes nothing."""

import hashlib
import os
import socket
import struct
import threading

import pytest

from harness.bindings import ENDPOINTS, UNIQUE, agreed, asked, endpoints_of, value
from harness.checks import connects
from harness.ikev2 import IKE_AUTH, IKE_SA_INIT, NONCE, SPKI, Initiator, Signer, chain, prf_plus

DEFAULT = "aes128-sha256-x25519"

UNLIMITED = {"cookie_threshold": 0, "cookie_threshold_ip": 0, "block_threshold": 100000}
"""No forged message is answered with a cookie, or ignored because there are too many."""


def record(tag, octets):
    return struct.pack("!BI", tag, len(octets)) + octets


def unique_of(initiator):
    """As docs/channel-bindings.md defines it, from what an initiator of our own has seen and derived."""
    idi, idr, auth_i, auth_r = initiator.bodies
    parts = [(0x01, initiator.request), (0x02, initiator.response), (0x10, idi), (0x11, idr), (0x20, auth_i), (0x21, auth_r)]
    transcript = hashlib.sha256(b"".join(record(*part) for part in parts)).digest()
    return prf_plus(initiator.sk_d, UNIQUE.encode() + b"\0" + transcript, 32).hex()


@pytest.mark.parametrize("kind", ["ed25519", "rsa2048", "ecdsa256"])
def test_the_unique_binding_is_what_it_is_defined_to_be(world, kind):
    right = world.host("right", world.conf("right", PROPOSALS=DEFAULT), "ed25519")
    stranger = world.wire.attach("third", ["192.0.2.3/24"], [])
    key = world.keys.key(kind)
    seen = set()
    for _ in range(2):
        with Initiator(stranger, "192.0.2.3", "192.0.2.2") as initiator:
            assert initiator.init().auth([(SPKI, key.spki)], Signer(key.path)).authenticated
            right.wait_until(lambda: right.peers(), "the stranger is there")
            answer = asked(right, uniqueid=right.sa("strangers")["uniqueid"])
            assert value(answer, UNIQUE) == unique_of(initiator)
            assert value(answer, ENDPOINTS) == endpoints_of(key, right.key)
            seen.add(unique_of(initiator))
            initiator.delete()
            right.wait_until(lambda: not right.sas(), "it has gone")
    assert len(seen) == 2


def forged(spi_i, spi_r, flags):
    """An IKE_SA_INIT message that is well-formed and not what was said."""
    first, body = chain([(NONCE, os.urandom(32))])
    return spi_i + spi_r + struct.pack("!BBBBII", first, 0x20, IKE_SA_INIT, flags, 0, 28 + len(body)) + body


def test_messages_that_are_forged_or_repeated_change_nothing(world):
    """They come between IKE_SA_INIT and IKE_AUTH, with the right SPIs, and once more when all is done."""
    left = world.rogue("left", world.conf("left", PROPOSALS=DEFAULT), "ed25519", options=UNLIMITED, start=False)
    right = world.rogue("right", world.conf("right", PROPOSALS=DEFAULT), "ed25519", options=UNLIMITED, start=False)
    world.start(left, right)
    capture = world.capture()
    right.rogue.hears("late", exchange=IKE_AUTH, response=False, lose=True, times=1)
    thread = threading.Thread(target=connects, args=(left, "data"))
    thread.start()
    right.wait_until(lambda: right.rogue.applied("late") == 1, "IKE_SA_INIT is done")
    capture.stop()
    said = capture.exchanges(IKE_SA_INIT)
    assert len(said) == 2, said
    sa = left.sas()[0]
    spi_i, spi_r = bytes.fromhex(sa["initiator-spi"]), bytes.fromhex(sa["responder-spi"])
    third = world.wire.attach("third", ["192.0.2.3/24"], [])

    def mischief():
        starts = {host: len(host.log()) for host in (left, right)}
        with third.socket(socket.AF_INET, socket.SOCK_DGRAM) as rogue:
            for port, marker in ((500, b""), (4500, bytes(4))):
                for _ in range(3):
                    rogue.sendto(marker + forged(spi_i, spi_r, 0x20), (left.address, port))
                    rogue.sendto(marker + forged(spi_i, bytes(8), 0x20), (left.address, port))
                    rogue.sendto(marker + forged(spi_i, spi_r, 0x08), (right.address, port))
                    rogue.sendto(marker + forged(spi_i, bytes(8), 0x08), (right.address, port))
                    for packet in said:
                        rogue.sendto(marker + packet.payload, (packet.destination, port))
        for host, start in starts.items():
            host.wait_log("received message ID 0, expected [1-9][0-9]*, ignored", start=start)

    mischief()
    thread.join(20)
    right.wait_until(lambda: right.peers() and left.peers(), "the strangers have met")
    before = agreed(left, right)
    assert all(before)
    mischief()
    right.wait_until(lambda: len(right.sas()) == 1 and right.stats()["half-open"] == 0, "what was forged is done with")
    assert agreed(left, right) == before
    assert before[0] == endpoints_of(left.key, right.key)
