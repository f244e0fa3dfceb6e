# SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception
"""Live SAs survive every kind of reload, and go when their connection does."""

import pytest

from harness.checks import NO_TS, are_strangers, connects, has_no_sa, is_stranger, rejects


BRANCH = """
connections {
	branch {
		version = 2
		remote_addrs = 198.51.100.9
		local {
			auth = pubkey
			pubkeys = me.pem
		}
		remote {
			auth = pubkey
			id = branch.example.org
		}
		children {
			network {
				remote_ts = %s
			}
		}
	}
}
"""


def same(right, before):
    assert right.sa("strangers")["uniqueid"] == before["uniqueid"]


def test_nothing_changes(world):
    left, right = world.pair()
    connects(left, "data")
    peer = are_strangers(left, right)
    for _ in range(3):
        for host in (left, right):
            host.load_all()
            host.swanctl("--reload-settings")
            host.swanctl("--load-creds", "--noprompt", "--clear")
    right.load_all()
    same(right, peer)
    are_strangers(left, right)
    world.check_transfer(left, right)
    left.swanctl("--rekey", "--ike", "strangers")
    left.wait_until(lambda: len(left.sas()) == 1 and left.sas()[0]["initiator-spi"] != peer["ike-spi-i"], "rekeyed")
    are_strangers(left, right)


def test_who_authenticates_again_after_a_reload(world):
    left, right = world.pair()
    connects(left, "data")
    are_strangers(left, right)
    for hours, initiator in enumerate((left, right), start=5):
        for host in (left, right):
            # charon makes a new connection of it, and the IKE_SA keeps the old one
            host.configure(world.conf(host.name).replace("encap = yes", f"encap = yes\n\t\trekey_time = {hours}h"))
            host.load_all()
            host.wait_log("replaced vici connection: strangers")
        before = {host: host.sa("strangers")["uniqueid"] for host in (left, right)}
        initiator.swanctl("--rekey", "--ike", "strangers", "--reauth")
        for host in (left, right):
            host.wait_until(lambda: [sa["state"] for sa in host.sas()] == ["ESTABLISHED"]
                            and host.sas()[0]["uniqueid"] != before[host], "authenticated again", 15)
        are_strangers(left, right)
    world.check_transfer(left, right)


def test_the_flag_goes(world):
    left, right = world.pair()
    connects(left, "data")
    peer = are_strangers(left, right)
    right.configure(world.conf("right").replace("local_addrs", "remote {\n\t\t\tgroups =\n\t\t}\n\t\tlocal_addrs"))
    right.load_all()
    right.rejected("unconfigured", timeout=12, uniqueid=peer["uniqueid"])
    has_no_sa(left, right)
    right.wait_until(lambda: not right.peers(), "nothing is known of it any more", 12)
    rejects(right, left, "data", "not-flagged")
    has_no_sa(left, right)


def test_the_connection_goes(world):
    left, right = world.pair()
    connects(left, "data")
    peer = are_strangers(left, right)
    right.configure("connections {\n}\n")
    right.load_all()
    right.rejected("unconfigured", timeout=12, uniqueid=peer["uniqueid"])
    right.wait_until(lambda: not right.sas() and not right.peers(), "the SA is gone", 12)


def test_somebody_known_gets_the_strangers_address_by_configuration(world):
    left, right = world.pair()
    connects(left, "data")
    is_stranger(right, "strangers", left.key)
    right.configure(world.conf("right") + BRANCH % "10.66.128.0/24")
    right.load_all()
    right.wait_until(lambda: not right.peers(), "the stranger is evicted", 12)
    has_no_sa(left, right)
    assert right.stats()["evicted"] >= 1
    outcome = left.initiate("data")
    assert not outcome.success and "TS_UNACCEPTABLE" in outcome.log


def test_somebody_known_gets_the_strangers_address_in_a_connection_that_stays(world):
    """charon swaps the CHILD_SA configurations of a connection that is the same otherwise."""
    left = world.host("left", key="ed25519", start=False)
    right = world.host("right", world.conf("right") + BRANCH % "10.99.0.0/24", "ed25519", start=False)
    world.start(left, right)
    connects(left, "data")
    is_stranger(right, "strangers", left.key)
    right.configure(world.conf("right") + BRANCH % "10.66.128.0/24")
    right.load_all()
    right.rejected("evicted", timeout=12)
    right.wait_until(lambda: not right.peers() and not right.sas(), "the stranger is evicted", 12)
    left.wait_until(lambda: not left.sas(), "it has heard so")
    rejects(right, left, "data", "child-reserved", NO_TS)


def test_options_change(world):
    """New options are in force after swanctl --reload-settings; a bad value admits nobody until it is corrected."""
    left = world.host("left", key="rsa2048", start=False)
    right = world.host("right", key="ed25519", start=False)
    world.start(left, right)

    def options(**btns):
        right.btns = btns
        right.reload_options()

    for btns, code in (({"key_types": "ed25519"}, "key-type-disabled"), ({"rsa_min": 3072}, "rsa-too-short"),
                       ({"max_peers": 0}, "max-peers"), ({"max_peers_per_source": 0}, "max-peers-per-source"),
                       ({"rsa_min": "many"}, "max-peers"), ({"encodings": "x509"}, "encoding-disabled")):
        options(**btns)
        rejects(right, left, "data", code)
    options()
    connects(left, "data")
    are_strangers(left, right)
    options(reserve="10.66.128.0/24")
    right.wait_until(lambda: not right.peers(), "what is reserved now is given back", 12)
