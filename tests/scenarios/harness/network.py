# SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception
"""A network of several wires, with hosts behind gateways.

A topology is a table: for each host the wires it is on, and its addresses there.

    Topology({
        "gateway": {"outside": ["192.0.2.1/24"], "inside": ["198.51.100.1/24"]},
        "server": {"inside": ["198.51.100.10/24"]},
        "visitor": {"outside": ["192.0.2.2/24"]},
    })

A host on several wires forwards between them, and every host has a route to every wire. World(topology=...) then has
these hosts instead of left, right and third; world.wires["inside"] is a wire.
"""

import ipaddress
from pathlib import Path

from .net import Wire

PEER_TS = {
    "kernel-libipsec": {"allow_peer_ts": "yes"},
    "kernel-netlink": {"fwmark": "!0x42"},
    "socket-default": {"fwmark": "0x42"},
}
"""Options of a host with which ESP in user space can protect the IKE end points' own addresses: packets of charon's
sockets are marked and do not follow the routes into the tunnel."""

FORWARDING = ("/proc/sys/net/ipv4/conf/all/forwarding", "/proc/sys/net/ipv6/conf/all/forwarding")


class Topology:
    """Who is on which wires.

    @param places	host: {wire: [address with prefix length, ...]}; the first wire is the one that is called "the wire",
    				a host's interfaces are eth0, eth1, ... in the order of its wires
    """

    def __init__(self, places):
        self.places = places
        self.wires = list(dict.fromkeys(wire for wires in places.values() for wire in wires))

    def addresses(self, name):
        """All addresses of a host; its own address is the first one of its first wire."""
        return [address for addresses in self.places[name].values() for address in addresses]

    def networks(self, wire):
        """The networks of a wire, out of the addresses of the hosts on it."""
        return {
            ipaddress.ip_interface(address).network
            for wires in self.places.values()
            for address in wires.get(wire, ())
        }

    def routes(self, name):
        """{network: next hop} for every network on a wire that the host is not on, by the fewest gateways."""
        found = {}
        seen = set(self.places[name])
        # a wire, and the gateway by which one gets there: none at first
        reached = [(wire, None) for wire in self.places[name]]
        for wire, first in reached:
            for gateway, wires in self.places.items():
                if gateway == name or wire not in wires:
                    continue
                for behind in wires.keys() - seen:
                    hop = first or (gateway, wire)
                    seen.add(behind)
                    reached.append((behind, hop))
                    for network in self.networks(behind):
                        found[network] = self._address(*hop, network.version)
        return {network: hop for network, hop in found.items() if hop}

    def _address(self, name, wire, version):
        addresses = (ipaddress.ip_interface(address).ip for address in self.places[name][wire])
        return next((address for address in addresses if address.version == version), None)


class Network:
    """The wires of a topology, and its hosts as they are added."""

    def __init__(self, topology):
        self.topology = topology
        self.wires = {}
        for name in topology.wires:
            self.wires[name] = Wire()

    def attach(self, name):
        """Add a host of the topology, with its interfaces, addresses and routes. Returns its namespace."""
        places = self.topology.places[name]
        namespace = self.wires[next(iter(places))].add(name)
        for number, (wire, addresses) in enumerate(places.items()):
            self.wires[wire].connect(namespace, f"eth{number}", addresses)
        if len(places) > 1:
            namespace.call(lambda: [Path(path).write_text("1") for path in FORWARDING])
        for network, hop in self.topology.routes(name).items():
            namespace.ip("route", "add", str(network), "via", str(hop))
        return namespace
