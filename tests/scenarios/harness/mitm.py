# SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception
"""A man in the middle: Mallory has got into the router between two strangers.

    client ----- [home] ----- router ----- [office] ----- server, kdc
                                |
                             [lair]
                          /          \\
                 false server       false client
                          \\          /
                             [desk]

The router is an honest one until attack(). From then on it sends what comes from the client for the server to the false
server, and what comes from the server for the client to the false client: two charons of Mallory's, with her key, that have the
server's and the client's address. Each takes a tunnel. What the one decrypts it forwards over the desk to the other, which
encrypts it: what crosses the desk is the traffic in clear, and Mallory listens there.
"""

import contextlib
from pathlib import Path
from . import consumers
from .checks import connects
from .network import Topology

TOPOLOGY = Topology({
    "client": {"home": ["192.0.2.1/24"]},
    "router": {"home": ["192.0.2.254/24"], "office": ["198.51.100.254/24"], "lair": ["203.0.113.254/24"]},
    "server": {"office": ["198.51.100.2/24"]},
    "kdc": {"office": ["198.51.100.88/24"]},
    "false-server": {"lair": ["203.0.113.2/24"], "desk": ["10.99.0.2/24"]},
    "false-client": {"lair": ["203.0.113.1/24"], "desk": ["10.99.0.1/24"]},
})

CLIENT, SERVER = "192.0.2.1", "198.51.100.2"
INNER = {"client": "10.66.128.7", "server": "10.66.0.1"}
"""What the application uses; only ESP may carry it."""
HOME, OFFICE, LAIR, DESK = "eth0", "eth1", "eth2", "eth1"
"""Interfaces: the first three are the router's, the last one that of Mallory's hosts."""
TUNNEL = "ipsec0"
DIVERSIONS = (
    (["iif", HOME, "from", CLIENT, "to", SERVER], SERVER, "203.0.113.2", "66"),
    (["iif", OFFICE, "from", SERVER, "to", CLIENT], CLIENT, "203.0.113.1", "67"),
)
"""What the router does when it is not honest: for which packets, to whom they are, and where they go; the number of a table."""


class Middle:
    """The network, with everybody in it. The strangers' charons run, Mallory's only with attack()."""

    def __init__(self, world):
        self.world = world
        self.client, self.server = (self._stranger(name) for name in ("client", "server"))
        self.router = world.host("router", "", start=False)
        self.kdc = world.host("kdc", "", start=False)
        mallory = world.keys.key("ed25519", "mallory")
        self.false_server = self._false("false-server", mallory, SERVER, "server", "10.99.0.1")
        self.false_client = self._false("false-client", mallory, CLIENT, "client", "10.99.0.2")
        self.mallory = mallory
        world.start(self.client, self.server, self.false_server, self.false_client)

    def _stranger(self, name):
        host = self.world.host(name, key="ed25519", start=False)
        host.namespace.add_addresses("lo", [f"{INNER[name]}/32"])
        host.inner = [INNER[name]]
        consumers.with_socket(host)
        return host

    def _false(self, name, key, address, plays, desk):
        """One of Mallory's hosts: it has the addresses and the configuration of whom it plays, and her key.

        @param desk	where what it decrypts goes
        """
        host = self.world.host(name, self.world.conf(plays), key, start=False)
        host.namespace.add_addresses("lo", [f"{address}/32", f"{INNER[plays]}/32"])
        host.inner = []
        # charon wants the address it speaks for to be its own; what is decrypted for that address goes on all the same
        for rule in (["iif", TUNNEL, "pref", "10", "lookup", "66"], ["pref", "1000", "lookup", "local"]):
            host.namespace.ip("rule", "add", *rule)
        host.namespace.ip("rule", "del", "pref", "0")
        host.namespace.ip("route", "add", INNER[plays], "via", desk, "table", "66")
        host.namespace.call(lambda: Path(f"/proc/sys/net/ipv4/conf/{DESK}/accept_local").write_text("1"))
        return host

    @property
    def strangers(self):
        return self.client, self.server

    @contextlib.contextmanager
    def attack(self):
        """Mallory is in the middle, and the tunnels are up: the client's with her, hers with the server."""
        for rule, address, diverted, table in DIVERSIONS:
            self.router.namespace.ip("route", "add", address, "via", diverted, "table", table)
            self.router.namespace.ip("rule", "add", *rule, "lookup", table)
        connects(self.false_client, "data")
        connects(self.client, "data")
        try:
            yield
        finally:
            for rule, address, _, table in DIVERSIONS:
                self.router.namespace.ip("rule", "del", *rule, "lookup", table)
                self.router.namespace.ip("route", "del", address, "table", table)
            for host in (*self.strangers, self.false_server, self.false_client):
                self.forget(host)

    @staticmethod
    def forget(host):
        """A host ends its SAs without a word to the other one, which may be out of reach."""
        for sa in host.sas():
            host.request("terminate", {"ike-id": sa["uniqueid"], "force": "yes", "timeout": "-1"})

    @contextlib.contextmanager
    def honest(self):
        """The tunnel is that of the two strangers."""
        connects(self.client, "data")
        try:
            yield
        finally:
            for host in self.strangers:
                self.forget(host)

    @contextlib.contextmanager
    def one_key(self):
        """The server has the client's key pair: somebody has cloned a machine."""
        own = self.server.key
        self._reload(self.client.key)
        try:
            yield
        finally:
            self._reload(own)

    def _reload(self, key):
        self.server.own(key).swanctl("--load-all", "--clear", "--noprompt")

    @contextlib.contextmanager
    def listening(self):
        """Captures of what crosses the home network, the office network and Mallory's desk; parsed at the end."""
        captures = [self.world.capture(self.world.wires[wire]) for wire in ("home", "office", "desk")]
        try:
            yield captures
        finally:
            for capture in captures:
                capture.stop()


def read(capture):
    """What somebody reads who sees the data of TCP in clear."""
    return [data for packet in capture.packets if packet.kind == "other" and (data := consumers.tcp_data(packet.payload))]
