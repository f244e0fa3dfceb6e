# SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception
"""RFC 5660 with the kernel's ESP: a connection stays with the peer that it began with, at its protection, or stops."""

import time

import pytest
from harness.checks import connects
from harness.latches import Application, Failed, latches, listed, nothing_is_left, socket_policies

import xfrm

PORT = 4000
CLIENT, SERVER = "192.0.2.1", "192.0.2.2"


def client_conf(world, local=CLIENT, remote=SERVER, start="trap", more=""):
    return world.conf("strangers", LOCAL=local, REMOTE=remote, CHILD="app", LOCAL_PORTS="tcp", REMOTE_PORTS=f"tcp/{PORT}",
                      START=start, MORE=more)


def server_conf(world, more=""):
    return world.conf("strangers", LOCAL=SERVER, REMOTE="%any", CHILD="app", LOCAL_PORTS=f"tcp/{PORT}", REMOTE_PORTS="tcp",
                      START="none", MORE=more)


def pair(world):
    """A client whose first packet sets up SAs, and a server."""
    left = latches(world.host("left", client_conf(world), "ed25519", start=False))
    right = latches(world.host("right", server_conf(world), "ed25519", start=False))
    world.start(left, right)
    return left, right


class Connected:
    """A latched connection between two applications, each with a latch of its own."""

    def __init__(self, left, right, **wanted):
        self.hosts = left, right
        self.server, self.client = Application(right), Application(left)
        self.server("listen", "listener", address=SERVER, port=PORT)
        self.client("connect", "c", address=SERVER, port=PORT, **wanted)
        self.server("accept", "s", listener="listener", **wanted)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.client.kill()
        self.server.kill()
        for host in self.hosts:
            if host.alive():
                nothing_is_left(host)

    def exchanges(self, text="some octets"):
        self.client("send", "c", text=text)
        assert self.server("receive", "s", size=len(text))["text"] == text
        self.server("send", "s", text=text)
        assert self.client("receive", "c", size=len(text))["text"] == text


def one(host, state):
    (latch,) = [latch for latch in listed(host) if latch["state"] == state]
    return latch


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
        left.swanctl("--rekey", "--child", "app")
        both.exchanges("after the CHILD_SA was rekeyed")
        left.swanctl("--rekey", "--ike", "strangers")
        both.exchanges("after the IKE_SA was rekeyed")
        before = right.sa("strangers")["uniqueid"]
        left.swanctl("--rekey", "--ike", "strangers", "--reauth")
        right.wait_until(lambda: [sa["uniqueid"] for sa in right.sas()] not in ([before], []), "it is another IKE_SA")
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


def takes_address(world, left, right, key=None, conf=None):
    """The client is gone, and so are its SAs; somebody else is where it was, with its address."""
    world.wire.unplug(left.namespace)
    right.swanctl("--terminate", "--ike", "strangers", "--force")
    right.wait_until(lambda: not right.sas(), "the SAs are gone")
    third = world.host("third", conf or client_conf(world, start="none"), key or "ed25519", start=False)
    third.namespace.ip("addr", "flush", "dev", "eth0")
    third.namespace.ip("addr", "add", f"{CLIENT}/24", "dev", "eth0")
    for host in world.hosts.values():
        if host not in (left, third):
            host.namespace.ip("neigh", "flush", "all")
    world.start(third)
    return third


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
        time.sleep(1)
        capture.stop()
        assert not capture.count("other", SERVER, CLIENT)
        assert not xfrm.states(third)
        assert one(right, "established")
        third.terminate()
        third.reap()
        world.wire.unplug(third.namespace)
        world.wire.plug(left.namespace)
        right.namespace.ip("neigh", "flush", "all")
        left.swanctl("--terminate", "--ike", "strangers", "--force")
        both.client("send", "c", text="back again")
        assert both.server("receive", "s", size=10, timeout=40)["text"] == "back again"
        assert both.client("receive", "c", size=19, timeout=40)["text"] == "for the client only"


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
        left.start()
        with pytest.raises(Failed) as failed:
            both.client("send", "c", text="to nobody")
            both.client("receive", "c", size=1, timeout=5)
            both.client("send", "c", text="to nobody")
        assert "abort" in str(failed.value).lower() or "reset" in str(failed.value).lower(), failed.value
        both.client("close", "c")
        nothing_is_left(left)


def test_the_plugin_goes(world):
    left, right = pair(world)
    with Connected(left, right) as both:
        both.exchanges()
        left.terminate()
        left.reap()
        with pytest.raises(Failed):
            both.client("send", "c", text="to nobody")
            both.client("receive", "c", size=1, timeout=5)
            both.client("send", "c", text="to nobody")
        both.client("close", "c")
        assert not socket_policies(left)


def test_an_administrator_closes_a_latch(world):
    left, right = pair(world)
    with Connected(left, right) as both:
        both.exchanges()
        left.request("btns-close-latch", {"latch": one(left, "established")["latch"]})
        (event,) = both.client("events")["events"]
        assert event["what"] == "closed" and event["reason"] == "administrator", event
        with pytest.raises(Failed):
            both.client("send", "c", text="to nobody")
            both.client("send", "c", text="to nobody")


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
