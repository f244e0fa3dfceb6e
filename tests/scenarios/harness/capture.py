# SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception
"""What crossed the wire, as tcpdump saw it."""

import dataclasses
import ipaddress
import select
import signal
import struct
import time
from collections import Counter

PCAP_MAGIC = 0xA1B2C3D4
LINKTYPE_ETHERNET = 1
ETHERTYPE_IPV4, ETHERTYPE_IPV6, ETHERTYPE_ARP = 0x0800, 0x86DD, 0x0806
IGMP, UDP, ESP, ICMPV6 = 2, 17, 50, 58
IKE_PORT, NATT_PORT = 500, 4500
IKE_SA_INIT, IKE_AUTH = 34, 35
ENCRYPTED_FRAGMENT = 53
CHATTER = ("arp", "neighbour", "keepalive")
"""Kinds of packets that say nothing about anybody's data."""


@dataclasses.dataclass
class Packet:
    """One packet: kind is ike, esp, keepalive, arp, neighbour or other."""

    kind: str
    source: str = ""
    destination: str = ""
    payload: bytes = b""
    exchange: int = 0
    next_payload: int = 0


def _ike(payload, source, destination):
    if len(payload) < 28:
        return Packet("other", source, destination, payload)
    return Packet("ike", source, destination, payload, exchange=payload[18], next_payload=payload[16])


def _udp(data, source, destination):
    sport, dport = struct.unpack("!HH", data[:4])
    payload = data[8:]
    if IKE_PORT in (sport, dport):
        return _ike(payload, source, destination)
    if NATT_PORT in (sport, dport):
        if payload == b"\xff":
            return Packet("keepalive", source, destination)
        if payload[:4] == b"\0\0\0\0":
            return _ike(payload[4:], source, destination)
        if len(payload) >= 8:
            return Packet("esp", source, destination, payload)
    return Packet("other", source, destination, payload)


def parse_frame(frame):
    ethertype = struct.unpack("!H", frame[12:14])[0]
    body = frame[14:]
    if ethertype == ETHERTYPE_ARP:
        return Packet("arp")
    if ethertype == ETHERTYPE_IPV4:
        header = (body[0] & 0x0F) * 4
        length = struct.unpack("!H", body[2:4])[0]
        protocol = body[9]
        source, destination = (str(ipaddress.IPv4Address(body[at:at + 4])) for at in (12, 16))
        fragment = struct.unpack("!H", body[6:8])[0] & 0x3FFF
        data = body[header:length]
        if protocol == IGMP:
            return Packet("neighbour", source, destination)
        if fragment:
            return Packet("other", source, destination, data)
    elif ethertype == ETHERTYPE_IPV6:
        protocol = body[6]
        source, destination = (str(ipaddress.IPv6Address(body[at:at + 16])) for at in (8, 24))
        data = body[40:40 + struct.unpack("!H", body[4:6])[0]]
        if protocol in (0, ICMPV6):
            kind = data[8] if protocol == 0 and len(data) > 8 else data[0]
            if 130 <= kind <= 143:
                return Packet("neighbour", source, destination)
    else:
        return Packet("other", payload=body)
    if protocol == UDP and len(data) >= 8:
        return _udp(data, source, destination)
    if protocol == ESP:
        return Packet("esp", source, destination, data)
    return Packet("other", source, destination, data)


def read_pcap(path):
    """The raw frames of a pcap file."""
    data = path.read_bytes()
    order = "<" if struct.unpack("<I", data[:4])[0] == PCAP_MAGIC else ">"
    magic, linktype = struct.unpack(order + "I", data[:4])[0], struct.unpack(order + "I", data[20:24])[0]
    if magic != PCAP_MAGIC or linktype != LINKTYPE_ETHERNET:
        raise ValueError(f"{path} is no Ethernet pcap")
    frames = []
    at = 24
    while at + 16 <= len(data):
        length = struct.unpack(order + "I", data[at + 8:at + 12])[0]
        frames.append(data[at + 16:at + 16 + length])
        at += 16 + length
    return frames


class Capture:
    """tcpdump on a wire.

    @param only	of which packets, as tcpdump's filters say it; left out: of all
    """

    def __init__(self, namespace, interface, path, only=""):
        self.path = path
        self.packets = []
        self.process = namespace.popen(
            ["tcpdump", "-i", interface, "-w", str(path), "-U", "--immediate-mode", "-s", "0", "-Z", "root",
             *only.split()],
            stdout=-3, stderr=-1,
        )
        if not select.select([self.process.stderr], [], [], 30)[0]:
            self.process.kill()
            raise RuntimeError("tcpdump does not start")
        line = self.process.stderr.readline()
        if b"listening" not in line:
            self.process.kill()
            raise RuntimeError(f"tcpdump: {line.decode(errors='replace').strip()}")

    def stop(self):
        """End the capture and parse it."""
        if self.process:
            time.sleep(0.05)
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(5)
            finally:
                self.process.kill()
                self.process.wait()
                self.process.stderr.close()
                self.process = None
            self.frames = read_pcap(self.path)
            self.packets = [parse_frame(frame) for frame in self.frames]
        return self

    def count(self, kind, source=None, destination=None):
        return sum(
            1
            for packet in self.packets
            if packet.kind == kind and source in (None, packet.source) and destination in (None, packet.destination)
        )

    def summary(self):
        return Counter(packet.kind for packet in self.packets)

    def exchanges(self, exchange):
        return [packet for packet in self.packets if packet.kind == "ike" and packet.exchange == exchange]

    def assert_esp_only(self, ends, secrets, inner=()):
        """Both ends (a pair of addresses) sent ESP, nothing but IKE and ESP crossed, and no secret is in any frame.

        @param secrets	octets that were sent inside the tunnel
        @param inner	addresses that must never be a packet's source or destination
        """
        one, other = ends
        assert self.count("esp", one, other), f"no ESP from {one} to {other}: {self.summary()}"
        assert self.count("esp", other, one), f"no ESP from {other} to {one}: {self.summary()}"
        strays = [packet for packet in self.packets if packet.kind not in ("ike", "esp", *CHATTER)]
        assert not strays, f"in clear on the wire: {strays[:3]}"
        self.assert_secret(secrets, inner)

    def assert_secret(self, secrets, inner=()):
        """No secret is in any frame and no packet has an inner address."""
        for secret in secrets:
            assert not any(secret in frame for frame in self.frames), f"{secret!r} crossed in clear"
        for packet in self.packets:
            for address in inner:
                assert address not in (packet.source, packet.destination), f"a packet with {address} crossed in clear"
