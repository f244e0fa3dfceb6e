# SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception
"""What happens to SAs, policies and charon while a latched transfer runs: it goes on protected, or it is reset, and in
neither case one packet is in clear."""

import pytest
from harness.checks import rekeys, settled
from harness.latches import nothing_is_left, socket_policies
from harness.load import descriptors

import xfrm
from worlds import (CLIENT, SERVER, Connected, Wire, cannot_send, client_conf, known_pair, one, pair, restart, told,
                    with_child, with_connections)

HARD = "\t\t\t\trekey_time = 0s\n\t\t\t\tlife_time = 6s"
"""An SA that is not rekeyed and ends"""

BYPASS = """
	bypass {{
		remote_addrs = 127.0.0.1
		children {{
			everything {{
				local_ts = {local}/32[tcp]
				remote_ts = {remote}/32[tcp]
				mode = pass
				start_action = trap
				priority = 1
			}}
		}}
	}}
"""


def spis(host):
    return {child["spi-in"] for child in xfrm.children(host)}


def test_sas_expire(world):
    """An SA has a hard lifetime and nobody rekeys it: nothing passes until there are new ones with the same peer,
    several times."""
    left, right = pair(world, with_child(client_conf(world), HARD))
    wire = Wire(world)
    with Connected(left, right) as both:
        both.stream()
        for _ in range(2):
            before = spis(right)
            right.wait_until(lambda: not before & spis(right), "the SAs are gone", 30)
            right.wait_until(lambda: xfrm.children(right), "there are new ones", 30)
            both.flows()
        assert one(left, "established") and one(right, "established")
        wire.nothing_in_clear()


def test_rekeying(world):
    """The CHILD_SA and the IKE_SA are rekeyed by either side, and the transfer does not stop."""
    left, right = pair(world)
    wire = Wire(world)
    with Connected(left, right) as both:
        both.stream()
        for host, peer in ((left, right), (right, left)):
            for what in ("child", "ike"):
                rekeys(host, peer, what, child="app")
                both.flows()
        assert one(left, "established") and one(right, "established")
        wire.nothing_in_clear()


def test_reauthentication(world):
    """The client authenticates once more: it is the same peer, and the transfer goes on."""
    left, right = pair(world)
    wire = Wire(world)
    with Connected(left, right) as both:
        both.stream()
        for _ in range(2):
            right.wait_until(lambda: settled(right), "nothing is going on", 30)
            before = right.sa("strangers")["uniqueid"]
            left.swanctl("--rekey", "--ike", "strangers", "--reauth")
            right.wait_until(lambda: settled(right) and right.sas()[0]["uniqueid"] != before, "it is another one", 30)
            both.flows()
        assert one(left, "established")["peer-fingerprint"] == right.key.fingerprint
        wire.nothing_in_clear()


@pytest.mark.parametrize("how", ["ended", "killed"])
@pytest.mark.parametrize("where", ["client", "server"])
def test_charon_is_restarted(world, where, how):
    """charon ends and is started again, as systemd does it or after a SIGKILL: its host's connections are reset, no
    policy of theirs is left, and the host can latch new ones."""
    left, right = pair(world)
    host, application, name = (left, "client", "c") if where == "client" else (right, "server", "s")
    wire = Wire(world)
    with Connected(left, right) as both:
        both.stream()
        restart(host, how)
        both.fails(getattr(both, application), name)
        cannot_send(getattr(both, application), name)
        getattr(both, application)("close", name)
        # that of what still listens holds until it does not any more
        assert len(socket_policies(host)) <= (0 if where == "client" else 2)
        wire.nothing_in_clear()
    nothing_is_left(host)
    if how == "killed":
        # whom it had SAs with has not heard of it
        peer = right if where == "client" else left
        peer.swanctl("--terminate", "--ike", "strangers", "--force", check=False)
    with Connected(left, right) as both:
        both.exchanges()
    wire.nothing_in_clear()


@pytest.mark.parametrize("disposition", [0, 1], ids=["reset", "wait"])
@pytest.mark.parametrize("where", ["client", "server"])
def test_the_application_is_killed_under_transfer(world, where, disposition):
    """Nothing is left of its connections at once, policies and descriptors included, and no packet of them is in
    clear."""
    left, right = pair(world)
    host = left if where == "client" else right
    wire = Wire(world)
    before = descriptors(host.process.pid)
    with Connected(left, right, disposition=disposition) as both:
        both.stream()
        assert socket_policies(host)
        getattr(both, where).kill()
        nothing_is_left(host, descriptors=before)
    wire.nothing_in_clear()


@pytest.mark.parametrize("latched", [True, False], ids=["latched", "control"])
def test_a_bypass_is_loaded(world, latched):
    """An administrator loads a bypass, with a priority above everything else, on both hosts, which know each other:
    not one packet of a latched transfer is in clear, and it goes on. Without latches, the control, it goes on in
    clear."""
    left, right = known_pair(world)
    world.start(left, right)
    wire = Wire(world)
    with Connected(left, right, latched=latched) as both:
        both.stream()
        for host, local, remote in ((right, SERVER, CLIENT), (left, CLIENT, SERVER)):
            load_bypass(host, local, remote)
            if latched:
                both.flows()
        both.flows()
        if latched:
            wire.nothing_in_clear()
            assert one(left, "established") and one(right, "established")
        else:
            assert wire.packets("clear"), "the bypass bypasses nothing"


def test_a_bypass_breaks_latches_if_that_is_wanted(world):
    """With policy_breaks a connection ends that is to go in clear from now on: its owner hears why, it is reset, and
    not one packet of it is in clear."""
    left, right = known_pair(world)
    right.more_conf = "charon {\n\tplugins {\n\t\tbtns-latch {\n\t\t\tpolicy_breaks = yes\n\t\t}\n\t}\n}\n"
    world.start(left, right)
    wire = Wire(world)
    with Connected(left, right) as both:
        both.stream()
        load_bypass(right, SERVER, CLIENT)
        told(both.server, "broken", "conflict", 20)
        both.fails(both.server, "s")
        wire.nothing_in_clear()


def test_a_bypass_is_loaded_for_a_stranger(world):
    """What an administrator has a connection for is no stranger's, who loses the SAs: the transfer stops, and not
    one packet is in clear."""
    left, right = pair(world)
    wire = Wire(world)
    with Connected(left, right) as both:
        both.stream()
        for host, local, remote in ((right, SERVER, CLIENT), (left, CLIENT, SERVER)):
            load_bypass(host, local, remote)
        right.rejected("evicted")
        right.wait_until(lambda: not xfrm.children(right), "the stranger has no SA", 20)
        before = both.received()
        assert both.server("events", timeout=5)["events"] == []
        assert both.received() == before, "something passes without SAs"
        wire.nothing_in_clear()


def load_bypass(host, local, remote):
    with_connections(host, BYPASS.format(local=local, remote=remote))
    host.load_all()
    assert [policy for policy in xfrm.policies(host) if policy.priority == 1], xfrm.policies(host)


def test_the_configuration_is_unloaded(world):
    """Without a connection that admits strangers they lose their SAs: nothing passes, and the latch holds. When it
    is loaded again the transfer goes on."""
    left, right = pair(world)
    wire = Wire(world)
    with Connected(left, right) as both:
        both.stream()
        before = {host: (host.swanctl_dir / "swanctl.conf").read_text() for host in (left, right)}
        for host in (left, right):
            host.configure("")
            host.load_all()
        for host in (left, right):
            host.wait_until(lambda host=host: not host.sas(), "the SAs are gone", 20)
        received = both.received()
        assert both.client("events", timeout=3)["events"] == []
        assert both.received() == received, "something passes without SAs"
        for host, conf in before.items():
            host.configure(conf)
            host.load_all()
        both.flows(60)
        assert one(left, "established") and one(right, "established")
        wire.nothing_in_clear()
