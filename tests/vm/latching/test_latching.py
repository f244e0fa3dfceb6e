# SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception
"""RFC 5660 with the kernel's ESP: a connection stays with the peer that it began with, at its protection, or stops."""

import socket

import pytest
from harness.checks import connects, rekeys
from harness.latches import Application, Failed, nothing_is_left, socket_policies

import xfrm
from worlds import CLIENT, PORT, SERVER, THIRD, Connected, cannot_send, client_conf, give_back, one, pair, server_conf, takes_address


def test_a_connection_is_latched(world):
    left, right = pair(world)
    capture = world.capture()
    with Connected(left, right) as both:
        both.exchanges()
        ours, theirs = one(left, "established"), one(right, "established")
        assert ours["peer-fingerprint"] == right.key.fingerprint and theirs["peer-fingerprint"] == left.key.fingerprint
        assert ours["mode"] == "transport" and ours["peer-method"] == "btns"
        assert both.client("binding", "c") == both.server("binding", "s")
        assert both.client("binding", "c", kind=2) == both.server("binding", "s", kind=2)
        assert one(right, "listener")["local-port"] == str(PORT)
        capture.stop()
        assert not capture.count("other", CLIENT, SERVER) and not capture.count("other", SERVER, CLIENT)
        assert capture.count("esp")


def test_what_is_not_protected_is_not_connected(world):
    """Nobody is there who could set up SAs: not one packet leaves."""
    left, right = pair(world)
    right.terminate()
    right.reap()
    capture = world.capture()
    with Application(left) as client:
        with pytest.raises(Failed) as failed:
            client("connect", "c", address=SERVER, port=PORT, timeout=3000)
        assert "time" in str(failed.value) or "protect" in str(failed.value), failed.value
        with pytest.raises(Failed):
            client("connect", "d", address=SERVER, port=80, timeout=1000)
    capture.stop()
    assert not capture.count("other", CLIENT, SERVER)
    nothing_is_left(left)


def test_rekeying_and_authenticating_again(world):
    left, right = pair(world)
    with Connected(left, right) as both:
        both.exchanges()
        rekeys(left, right, "child", child="app")
        both.exchanges("after the CHILD_SA was rekeyed")
        rekeys(left, right, "ike")
        both.exchanges("after the IKE_SA was rekeyed")
        before = right.sa("strangers")["uniqueid"]
        left.swanctl("--rekey", "--ike", "strangers", "--reauth")
        right.wait_until(lambda: [sa["uniqueid"] for sa in right.sas()] not in ([before], []), "it is another IKE_SA", 20)
        both.exchanges("after it authenticated again")
        assert one(left, "established") and one(right, "established")


def test_sas_that_go_leave_nothing_in_the_clear(world):
    """Nothing passes until there are SAs again, which the next packet asks for; with the same peer it goes on."""
    left, right = pair(world)
    with Connected(left, right) as both:
        both.exchanges()
        left.swanctl("--terminate", "--ike", "strangers")
        right.wait_until(lambda: not right.sas(), "the SAs are gone")
        capture = world.capture()
        both.exchanges("with new SAs")
        capture.stop()
        assert not capture.count("other", CLIENT, SERVER) and not capture.count("other", SERVER, CLIENT)


def test_a_reqid_is_kept_for_its_peer(world):
    """Who comes while the client's SAs are gone gets another reqid, and the client its own again: its socket demands it."""
    left, right = pair(world)
    third = world.host("third", client_conf(world, local=THIRD, start="none"), "ed25519")
    with Connected(left, right) as both:
        both.exchanges()
        left.swanctl("--terminate", "--ike", "strangers")
        right.wait_until(lambda: not right.sas(), "the SAs are gone")
        connects(third, "app")
        both.exchanges("with new SAs")
        assert one(left, "established") and one(right, "established")


@pytest.mark.hijack
def test_a_stranger_takes_the_clients_address(world):
    """It gets no SA over the connection's packets, so not one octet of them, and the latch holds."""
    left, right = pair(world)
    with Connected(left, right) as both:
        both.exchanges()
        third = takes_address(world, left, right)
        capture = world.capture()
        both.server("send", "s", text="for the client only")
        outcome = third.initiate("app")
        assert not outcome.success, "the server gives the stranger an SA"
        right.rejected("latched")
        assert both.server("events", timeout=2)["events"] == []
        capture.stop()
        assert not capture.count("other", SERVER, CLIENT)
        assert not xfrm.states(third)
        assert one(right, "established")
        third.terminate()
        third.reap()
        give_back(world, third, left)
        left.swanctl("--terminate", "--ike", "strangers", "--force")
        both.client("send", "c", text="back again")
        assert both.server("receive", "s", size=10, timeout=40)["text"] == "back again"
        assert both.client("receive", "c", size=19, timeout=40)["text"] == "for the client only"


def test_a_stranger_gets_what_is_not_latched(world):
    """Of the selectors that it asks for those that take a latched connection are left out, whole."""
    both_ports = f"dynamic[tcp/{PORT}], dynamic[tcp/{PORT + 1}]"
    left, right = pair(world, right_conf=server_conf(world).replace(f"dynamic[tcp/{PORT}]", both_ports, 1))
    asks = client_conf(world, start="none").replace(f"dynamic[tcp/{PORT}]", both_ports, 1)
    assert both_ports in asks
    with Connected(left, right) as both:
        both.exchanges()
        third = takes_address(world, left, right, conf=asks)
        capture = world.capture()
        both.server("send", "s", text="for the client only")
        connects(third, "app")
        (child,) = right.sa("strangers")["child-sas"].values()
        assert child["local-ts"] == [f"{SERVER}/32[tcp/{PORT + 1}]"], child
        assert "are left out: connections are latched there" in right.log()
        rekeys(third, right, "child", child="app")
        (child,) = right.sa("strangers")["child-sas"].values()
        assert child["local-ts"] == [f"{SERVER}/32[tcp/{PORT + 1}]"], child
        with right.namespace.socket(socket.AF_INET, socket.SOCK_STREAM) as listener, \
                third.namespace.socket(socket.AF_INET, socket.SOCK_STREAM) as client:
            listener.bind((SERVER, PORT + 1))
            listener.listen()
            client.settimeout(20)
            client.connect((SERVER, PORT + 1))
        assert both.server("events", timeout=1)["events"] == []
        capture.stop()
        assert not capture.count("other", SERVER, CLIENT)
        assert one(right, "established")


def test_the_application_is_killed(world):
    left, right = pair(world)
    with Connected(left, right) as both:
        both.exchanges()
        assert socket_policies(left)
        both.client.process.kill()
        both.client.process.wait()
        nothing_is_left(left)


def test_the_daemon_is_killed(world):
    """Nothing passes by it; the next daemon resets what it finds."""
    left, right = pair(world)
    with Connected(left, right) as both:
        both.exchanges()
        left.process.kill()
        left.process.wait()
        assert socket_policies(left)
        left.terminate()
        left.reap()
        left.start()
        cannot_send(both.client, "c")
        both.client("close", "c")
        nothing_is_left(left)


def test_the_plugin_goes(world):
    left, right = pair(world)
    with Connected(left, right) as both:
        both.exchanges()
        left.terminate()
        left.reap()
        cannot_send(both.client, "c")
        both.client("close", "c")
        assert not socket_policies(left)


def test_an_administrator_closes_a_latch(world):
    left, right = pair(world)
    with Connected(left, right) as both:
        both.exchanges()
        left.request("btns-close-latch", {"latch": one(left, "established")["latch"]})
        (event,) = both.client("events")["events"]
        assert event["what"] == "closed" and event["reason"] == "administrator", event
        cannot_send(both.client, "c")


def test_a_stranger_who_was_there_before(world):
    """The control: without a latch the address is all that tells who gets the packets."""
    left, right = pair(world)
    with Application(right) as server, Application(left) as client:
        server("listen", "listener", address=SERVER, port=PORT, latched=False)
        client("connect", "c", address=SERVER, port=PORT, latched=False)
        server("accept", "s", listener="listener", latched=False)
        third = takes_address(world, left, right)
        connects(third, "app")
        before = sum(state.octets for state in xfrm.states(third).values())
        server("send", "s", text="whoever is there")
        third.wait_until(lambda: sum(state.octets for state in xfrm.states(third).values()) > before, "it gets packets")
