# SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception
"""What the kernel has: SAs and policies of a host, and how they compare with what charon says it agreed upon."""

import dataclasses
import ipaddress
import re
import socket

BTNS_PRIORITY = 500000
"""Policies of BTNS peers have at least this; a larger number is a weaker priority."""


@dataclasses.dataclass(frozen=True)
class Selector:
    """What a policy covers. Ports are texts: "2049", "" for all, "1024 mask 0xfc00" for what is neither."""

    direction: str
    source: str
    destination: str
    protocol: str = ""
    sport: str = ""
    dport: str = ""


@dataclasses.dataclass(frozen=True)
class Policy:
    selector: Selector
    priority: int
    reqid: int
    spi: int
    """0 if the template names none, as inbound ones do"""
    mode: str

    @property
    def remote(self):
        """The peer's addresses."""
        selector = self.selector
        return ipaddress.ip_network(selector.destination if selector.direction == "out" else selector.source)


@dataclasses.dataclass(frozen=True)
class State:
    """An ESP SA."""

    source: str
    destination: str
    spi: int
    reqid: int
    mode: str
    octets: int
    packets: int


def _blocks(text):
    """Paragraphs that begin in the first column, each as one line."""
    blocks = []
    for line in text.splitlines():
        if line and not line[0].isspace():
            blocks.append([])
        if line:
            blocks[-1].append(line.strip())
    return [" ".join(lines) for lines in blocks]


def _find(pattern, text, default=""):
    found = re.search(pattern, text)
    return found.group(1) if found else default


def policies(host):
    """Policies with a direction. Those of charon's own sockets are left out."""
    found = []
    for block in _blocks(host.namespace.ip("xfrm", "policy")):
        direction = _find(r" dir (in|out|fwd)\b", block)
        if not direction:
            continue
        selector, _, rest = block.partition(" dir ")
        port = r" {} (\d+(?: mask 0x[0-9a-f]+)?)"
        found.append(
            Policy(
                Selector(direction, _find(r"^src (\S+)", selector), _find(r" dst (\S+)", selector),
                         _find(r" proto (\S+)", selector), _find(port.format("sport"), selector),
                         _find(port.format("dport"), selector)),
                int(_find(r"priority (\d+)", rest, "0")), int(_find(r"reqid (\d+)", rest, "0")),
                int(_find(r" spi (0x[0-9a-f]+)", rest, "0"), 16), _find(r" mode (\S+)", rest),
            )
        )
    return found


def states(host):
    """SAs with their counters, by SPI. What an acquire left for the time being (SPI 0) is left out."""
    found = {}
    for block in _blocks(host.namespace.ip("-s", "xfrm", "state")):
        spi = int(_find(r"proto esp spi (0x[0-9a-f]+)", block, "0"), 16)
        if spi:
            current = block.partition("lifetime current:")[2]
            found[spi] = State(
                _find(r"^src (\S+)", block), _find(r" dst (\S+)", block), spi, int(_find(r" reqid (\d+)", block, "0")),
                _find(r" mode (\S+)", block), int(_find(r"(\d+)\(bytes\)", current, "0")),
                int(_find(r"(\d+)\(packets\)", current, "0")),
            )
    return found


def children(host, connection=None):
    """CHILD_SAs that charon says are installed, of one connection or all."""
    return [
        child
        for sa in host.sas()
        if connection in (None, sa["name"])
        for child in sa["child-sas"].values()
        if child["state"] == "INSTALLED"
    ]


def _selector(text):
    """("192.0.2.2/32", "tcp", "2049") of "192.0.2.2/32[tcp/nfs]"."""
    network, _, rest = text.rstrip("]").partition("[")
    protocol, _, port = rest.partition("/")
    if port and not port.isdigit():
        port = str(socket.getservbyname(port, protocol))
    return str(ipaddress.ip_network(network)), protocol, port


def authorized(child):
    """The selectors of the policies that a CHILD_SA is due, no more and no less."""
    due = set()
    for local, protocol, local_port in map(_selector, child["local-ts"]):
        for remote, remote_protocol, remote_port in map(_selector, child["remote-ts"]):
            both = protocol or remote_protocol
            due.add(Selector("out", local, remote, both, local_port, remote_port))
            due.add(Selector("in", remote, local, both, remote_port, local_port))
            if child["mode"] == "TUNNEL":
                due.add(Selector("fwd", remote, local, both, remote_port, local_port))
    return due


def check_policies(host):
    """The kernel has the policies that are due and SAs with their SPIs, and nothing else. Returns the policies by
    selector."""
    installed = {policy.selector: policy for policy in policies(host)}
    due = {}
    for child in children(host):
        for selector in authorized(child):
            due.setdefault(selector, []).append(child)
    assert set(installed) == set(due), f"only in the kernel: {set(installed) - set(due)}, missing: {set(due) - set(installed)}"
    for selector, policy in installed.items():
        # CHILD_SAs with the same selectors share a policy; the last one's SPI is in it
        sharing = due[selector]
        assert policy.reqid in {int(child["reqid"]) for child in sharing}, (policy, sharing)
        assert policy.mode in {child["mode"].lower() for child in sharing}, (policy, sharing)
        if selector.direction == "out":
            assert policy.spi in {int(child["spi-out"], 16) for child in sharing} | {0}, (policy, sharing)
    spis = {int(child[which], 16) for child in children(host) for which in ("spi-in", "spi-out")}
    assert set(states(host)) == spis
    return installed


def reserved(host):
    """What btns-list-pad says no BTNS peer may get: (first, last) addresses."""
    ranges = []
    for entry in host.pad().values():
        for text in entry.get("reserves", []):
            if "-" in text:
                ranges.append(tuple(ipaddress.ip_address(end.strip()) for end in text.split("-")))
            else:
                network = ipaddress.ip_network(text)
                ranges.append((network[0], network[-1]))
    return ranges


def overlaps(network, ranges):
    return [
        (first, last)
        for first, last in ranges
        if first.version == network.version and first <= network[-1] and network[0] <= last
    ]


def is_empty(host):
    """No policy and no SA is left."""
    host.wait_until(lambda: not policies(host) and not states(host), "no policy and no SA is left in the kernel")
