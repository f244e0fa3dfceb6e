# SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception
"""The reference network of RFC 5386, section 3, figure 1, and a rogue.

                         [Q]  [R]
    AS1                   .    .              AS2
    [A]----+----[SG-A].......+....+.......[SG-B]-------[B]
                          ......               \\
                          ..PI..                ----[btns-B]
                          ......
             [btns-C].....+....+.......[btns-D]
"""

from types import SimpleNamespace

from .checks import has_no_sa
from .network import Topology

FIGURE_1 = Topology({
    "sg-a": {"pi": ["192.0.2.1/24"], "as1": ["198.51.100.9/30"]},
    "sg-b": {"pi": ["192.0.2.2/24"], "as2": ["203.0.113.1/24"]},
    "q": {"pi": ["192.0.2.3/24"]},
    "r": {"pi": ["192.0.2.4/24"]},
    "c": {"pi": ["192.0.2.5/24"]},
    "d": {"pi": ["192.0.2.100/24"]},
    "rogue": {"pi": ["192.0.2.66/24"]},
    "a": {"as1": ["198.51.100.10/30"]},
    "b": {"as2": ["203.0.113.10/24"]},
    "btns-b": {"as2": ["203.0.113.20/24"]},
})

SIMPLE = ("r", "a", "b")
"""Nodes without IPsec."""

KNOWN_KEYS = {"sg-a": ("sg-b", "q"), "sg-b": ("sg-a",), "q": ("sg-a",)}
"""Whose public keys a node has, by the PADs of figures 2 and 4. All others are strangers to each other."""


def set_up(world, names=FIGURE_1.places, conf=lambda name: None, **how):
    """Add nodes of figure 1 to a world and start their charons at the same time.

    @param conf		gives the swanctl.conf of a node, None for the scenario's NAME.conf
    @param how		what world.host() takes
    @return			the nodes, as attributes: sg_a, sg_b, btns_b, ...
    """
    for name in names:
        simple = name in SIMPLE
        world.host(name, "" if simple else conf(name), None if simple else "ed25519", start=False, **how)
    for name in KNOWN_KEYS.keys() & names:
        for other in KNOWN_KEYS[name]:
            key = world.hosts[other].key if other in names else world.keys.key()
            world.hosts[name].add_file(f"pubkey/{other}.pem", key.public_pem)
    world.start(*(host for name, host in world.hosts.items() if name not in SIMPLE))
    return SimpleNamespace(**{name.replace("-", "_"): host for name, host in world.hosts.items()})


def settle(nodes):
    """Make the nodes as they were after set_up(): without any IKE_SA, and with nothing reported yet."""
    hosts = [host for host in vars(nodes).values() if host.name not in SIMPLE]
    for host in hosts:
        for sa in host.sas():
            host.request("terminate", {"ike-id": sa["uniqueid"], "force": "yes", "timeout": "-1"})
    has_no_sa(*hosts)
    for host in hosts:
        host.events.forget()
