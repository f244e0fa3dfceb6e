# SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception
"""Whoever takes the client's place gets nothing of its connection. With a build that enforces no latches each of these
fails: ci/test vm-unlatched."""

import contextlib
import re
import socket
import time

import pytest
from harness.checks import connects
from harness.latches import latches

from worlds import CLIENT, SERVER, Connected, client_conf, one, pair, server_conf, takes_address

pytestmark = pytest.mark.hijack

SECRET = "for the client only"

KNOWN = f"""
	known {{
		version = 2
		local_addrs = {SERVER}
		remote_addrs = %any
		local {{
			auth = pubkey
			pubkeys = me.pem
		}}
		remote {{
			auth = pubkey
			id = third
			pubkeys = third.pem
		}}
		children {{
			app {{
				local_ts = dynamic[tcp/4000]
				remote_ts = dynamic[tcp]
				mode = transport
			}}
		}}
	}}
"""


class Listening:
    """Hears what TCP brings to a host, protected or not."""

    def __init__(self, host):
        self.socket = host.namespace.call(lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_TCP))
        self.heard = b""

    def __contains__(self, text):
        with contextlib.suppress(BlockingIOError):
            while True:
                self.heard += self.socket.recv(65536, socket.MSG_DONTWAIT)
        return text.encode() in self.heard


def has_tried_again(host):
    """What a connection has to send could not be sent, or was not acknowledged in time."""
    return re.search(r"timer:\((on,[^,]*,[1-9]|persist,)", host.namespace.run(["ss", "-Htno", "state", "established"]).stdout)


def test_somebody_without_ipsec_takes_the_clients_address(world):
    left, right = pair(world)
    with Connected(left, right) as both:
        both.exchanges()
        third = takes_address(world, left, right)
        ear = Listening(third)
        capture = world.capture()
        both.server("send", "s", text=SECRET)
        right.wait_until(lambda: SECRET in ear or has_tried_again(right), "it has tried again", timeout=30)
        capture.stop()
        assert SECRET not in ear, "it has come to somebody else"
        assert not capture.count("other", SERVER, CLIENT)
        assert one(right, "established")


def test_somebody_known_takes_the_clients_address(world):
    """Policy wants it so: the latch breaks before the SA is there, and with it the connection."""
    left = latches(world.host("left", client_conf(world), "ed25519", start=False))
    right = latches(world.host("right", server_conf(world, more=KNOWN), "ed25519", start=False))
    key = world.keys.key()
    right.add_file("pubkey/third.pem", key.public_pem)
    world.start(left, right)
    with Connected(left, right) as both:
        both.exchanges()
        named = client_conf(world, start="none").replace("pubkeys = me.pem", "pubkeys = me.pem\n\t\t\tid = third", 1)
        third = takes_address(world, left, right, key, named)
        ear = Listening(third)
        both.server("send", "s", text=SECRET)
        connects(third, "app")
        assert right.sa("known")
        heard, deadline = [], time.monotonic() + 20
        while SECRET not in ear and ("broken", "conflict") not in heard:
            assert time.monotonic() < deadline, heard
            heard += [(event["what"], event["reason"]) for event in both.server("events", timeout=0.2)["events"]]
        assert SECRET not in ear, "it has come to somebody else"
        right.wait_until(lambda: SERVER not in connections_of(right), "the connection is reset")
        assert SECRET not in ear


def connections_of(host):
    return host.namespace.run(["ss", "-Htn", "state", "established"]).stdout


def test_a_bypass_is_loaded(world):
    left, right = pair(world)
    with Connected(left, right) as both:
        both.exchanges()
        for host, here, there in ((left, CLIENT, SERVER), (right, SERVER, CLIENT)):
            for direction, source, destination in (("out", here, there), ("in", there, here)):
                host.namespace.ip("xfrm", "policy", "add", "src", source, "dst", destination, "dir", direction, "priority", "1")
        capture = world.capture()
        both.exchanges(SECRET)
        capture.stop()
        capture.assert_secret([SECRET.encode()])
        assert not capture.count("other", CLIENT, SERVER) and not capture.count("other", SERVER, CLIENT)
        assert capture.count("esp", CLIENT, SERVER) and capture.count("esp", SERVER, CLIENT)
