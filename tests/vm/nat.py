# SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception
"""A NAT on the wire of a test."""

from pathlib import Path

RULES = """
table ip nat {
	chain post {
		type nat hook postrouting priority 100;
		ip daddr 192.0.2.2 masquerade
	}
}
"""
OUTSIDE = "192.0.2.9"
"""Its address."""


def attach(world, *behind):
    """Whoever goes from these hosts to the server goes through a NAT."""
    box = world.wire.attach("nat", [f"{OUTSIDE}/24"], [])

    def forward():
        for name, value in (("ip_forward", 1), ("conf/all/send_redirects", 0), ("conf/eth0/send_redirects", 0)):
            Path("/proc/sys/net/ipv4", name).write_text(str(value))

    box.call(forward)
    rules = world.folder / "nat.nft"
    rules.write_text(RULES)
    made = box.run(["nft", "-f", str(rules)])
    assert made.returncode == 0, made.stderr
    for host in behind:
        host.namespace.ip("route", "add", "192.0.2.2/32", "via", OUTSIDE)
