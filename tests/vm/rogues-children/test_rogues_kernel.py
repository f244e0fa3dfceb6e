# SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception
"""Attacks of the scenario rogues-children once more, with the kernel's policies and SAs; and what only the kernel's ESP does."""

import sys

from harness import paths
from harness.host import reaches

import xfrm

sys.path.append(str(paths.SCENARIOS / "rogues-children"))

from test_lifetimes import test_the_daemon_restarts_without_the_plugin  # noqa: E402, F401
from test_moving import test_moving_and_rekeying_at_once  # noqa: E402, F401
from test_taking_addresses import (  # noqa: E402, F401
    test_rekeying_and_never_deleting,
    test_rekeying_never_changes_the_selectors,
    test_the_spi_of_alices_sa_from_alices_host,
    test_with_a_further_child_sa,
)

RULES = """
table ip nat {
	chain post {
		type nat hook postrouting priority 100;
		ip daddr 192.0.2.2 udp dport 4500 snat to %s
	}
}
"""


def sends_from(office, address):
    """What Mallory sends from now on comes from this address (and port)."""
    rules = office.world.folder / "nat.nft"
    rules.write_text(RULES % address)
    made = office.mallory.namespace.run(["nft", "-f", str(rules)])
    assert made.returncode == 0, made.stderr


def test_esp_from_alices_address(office):
    """The kernel takes it for a new mapping of a NAT and tells charon, which would send to her from then on."""
    office = office().both_come()
    uniqueid = office.gateway.sa("strangers")["uniqueid"]

    def attack():
        sends_from(office, "192.0.2.3")
        # until charon hears of the mapping, the answers go where they went before
        reaches(office.mallory, office.gateway, "10.66.128.7")

    office.withstands("moved", attack, uniqueid=uniqueid)
    assert not reaches(office.mallory, office.gateway, "10.66.128.7")
    assert not xfrm.children(office.gateway, "strangers") or uniqueid not in [sa["uniqueid"] for sa in office.gateway.sas()]
    xfrm.check_policies(office.gateway)


def test_esp_from_another_port(office):
    """A NAT does that, and a stranger may be behind one: it stays what it is."""
    office = office().both_come()

    def attack():
        sends_from(office, "192.0.2.1:4999")
        reaches(office.mallory, office.gateway, "10.66.128.7")
        sa = office.gateway.sa("strangers")
        assert sa["remote-host"] == "192.0.2.1" and sa["child-sas"], sa

    office.withstands(None, attack)
    xfrm.check_policies(office.gateway)
