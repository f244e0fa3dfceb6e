# SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception
"""Other plugins of the same charon grant groups, and ask for certificates while a stranger authenticates."""

import pytest

from harness import paths
from harness.checks import are_strangers, connects, is_refused


STAFF = """
connections {
	staff {
		version = 2
		encap = yes
		local_addrs = 192.0.2.2
		local {
			auth = pubkey
			pubkeys = me.pem
			id = right
		}
		remote {
			auth = pubkey
			id = third
			pubkeys = third.pem
			# whatever group somebody has given to them
			groups = "*"
		}
		children {
			data {
				local_ts = 10.66.0.1/32
				remote_ts = 10.66.129.3/32
			}
		}
	}
}
"""


@pytest.mark.parametrize("group", ["engineers", "btns", "BTNS", "btns:sha256:" + "0" * 64])
def test_a_group_that_another_plugin_grants(world, group):
    """Groups as RADIUS, say, grants them make somebody known one of the staff; ours are not for others to grant."""
    right = world.host("right", key="ed25519", plugin=paths.FAULTS_PLUGIN, btns={"grants": group}, start=False)
    right.configure(world.conf("right") + STAFF)
    third = world.host("third", key="ed25519", start=False)
    right.add_file("pubkey/third.pem", third.key.public_pem)
    third.add_file("pubkey/right.pem", right.key.public_pem)
    world.start(right, third)
    if group == "engineers":
        connects(third, "data")
        assert right.sa("staff")["remote-id"] == "third"
    else:
        is_refused(third, "data")
        assert f"ignoring group '{group}'" in right.log()


def test_another_plugin_asks_for_a_certificate(world):
    """The stranger's key is there for its own identity, for no other."""
    asking = {"key": "ed25519", "plugin": paths.FAULTS_PLUGIN, "btns": {"asks_for": "ocsp.example.org"}, "start": False}
    left, right = world.host("left", **asking), world.host("right", **asking)
    world.start(left, right)
    connects(left, "data")
    are_strangers(left, right)
    for host in (left, right):
        assert "TEST BUILD, no certificate for 'ocsp.example.org'" in host.log()
        assert "TEST BUILD, a certificate for 'ocsp.example.org'" not in host.log()
