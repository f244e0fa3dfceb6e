# SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception
"""What tests of latches have in common: who there is, a latched connection between two applications, and what
crosses the wire."""

import re
import socket
import struct
import time

from harness.latches import Application, Failed, latches, listed, nothing_is_left
from harness.load import descriptors

import xfrm

PORT = 4000
CLIENT, SERVER, THIRD = "192.0.2.1", "192.0.2.2", "192.0.2.3"
CLIENT6, SERVER6 = "2001:db8::1", "2001:db8::2"
ENOUGH = 100000
"""Octets after which a stream is said to flow"""
GENTLE = 0.01
"""Seconds between two pieces of a stream that is to leave time for everything else"""

KNOWN = """	{name} {{
		version = 2
		local_addrs = {local}
		remote_addrs = {remote}
		mobike = {mobike}
		local {{
			auth = pubkey
			pubkeys = me.pem
			id = {me}
		}}
		remote {{
			auth = pubkey
			pubkeys = {peer}.pem
			id = {peer}
		}}
		children {{
			{child} {{
				local_ts = {local_ts}
				remote_ts = {remote_ts}
				mode = {mode}
				start_action = {start}
{more}
			}}
		}}
	}}
"""

COUNTERS = """
table bridge seen {
	counter clear {
	}
	counter resets {
	}
	counter protected {
	}
	chain every {
		type filter hook prerouting priority 0;
		meta l4proto esp counter name protected
		udp dport 4500 counter name protected
		meta l4proto tcp tcp flags & rst != 0 counter name resets
		meta l4proto tcp tcp flags & rst == 0 counter name clear
		udp dport %(port)d counter name clear
		udp sport %(port)d counter name clear
	}
}
"""

GATE = """
table bridge gate {
	chain every {
		type filter hook prerouting priority 10;
		meta l4proto esp drop
	}
}
"""

TCP_REPAIR, TCP_REPAIR_QUEUE, TCP_QUEUE_SEQ, TCP_REPAIR_WINDOW = 19, 20, 21, 29
WITHOUT_PROBE, RECEIVED, SENT = -1, 1, 2


# configurations


def client_conf(world, local=CLIENT, remote=SERVER, start="trap", more="", protocol="tcp", child="app"):
    return world.conf("strangers", LOCAL=local, REMOTE=remote, CHILD=child, LOCAL_PORTS=protocol,
                      REMOTE_PORTS=f"{protocol}/{PORT}", START=start, MORE=more)


def server_conf(world, more="", local=SERVER, remote="%any", start="none", protocol="tcp"):
    return world.conf("strangers", LOCAL=local, REMOTE=remote, CHILD="app", LOCAL_PORTS=f"{protocol}/{PORT}",
                      REMOTE_PORTS=protocol, START=start, MORE=more)


def known(me, peer, local, remote, local_ts, remote_ts, name=None, mode="transport", child="app", start="none",
          mobike="no", more=""):
    """A connection with a peer whose key is known."""
    return KNOWN.format(name=name or peer, me=me, peer=peer, local=local, remote=remote, local_ts=local_ts,
                        remote_ts=remote_ts, mode=mode, child=child, start=start, mobike=mobike, more=more)


def only(*connections):
    """A swanctl.conf of these."""
    return "connections {\n" + "".join(connections) + "}\n"


def knows(host, **peers):
    for name, key in peers.items():
        host.add_file(f"pubkey/{name}.pem", key.public_pem)


def with_child(conf, more):
    """A swanctl.conf with these lines in its child app."""
    changed = conf.replace("\t\t\tapp {\n", f"\t\t\tapp {{\n{more}\n", 1)
    assert changed != conf
    return changed


def with_connection(conf, more):
    """A swanctl.conf with these lines in its connection strangers."""
    changed = conf.replace("\tstrangers {\n", f"\tstrangers {{\n{more}\n", 1)
    assert changed != conf
    return changed


# hosts


def pair(world, left_conf=None, right_conf=None, start=True, **more):
    """A client whose first packet sets up SAs, and a server: two strangers."""
    left = latches(world.host("left", left_conf or client_conf(world), "ed25519", start=False, **more))
    right = latches(world.host("right", right_conf or server_conf(world), "ed25519", start=False, **more))
    if start:
        world.start(left, right)
    return left, right


def known_pair(world):
    """A client whose first packet sets up SAs, and a server, that know each other's keys. They are not started yet."""
    to_server = known("left", "right", CLIENT, SERVER, "dynamic[tcp]", f"dynamic[tcp/{PORT}]", start="trap")
    to_client = known("right", "left", SERVER, CLIENT, f"dynamic[tcp/{PORT}]", "dynamic[tcp]")
    left, right = pair(world, only(to_server), only(to_client), start=False)
    knows(left, right=right.key)
    knows(right, left=left.key)
    return left, right


def with_connections(host, more):
    """Give a host that is not started yet, or loads its configuration again, further connections."""
    conf = (host.swanctl_dir / "swanctl.conf").read_text()
    host.configure(conf[:conf.rindex("}")] + more + "}\n")


def known_third(world, right, local=CLIENT, remote=SERVER):
    """Somebody whom the server knows, who can have an SA with the same selectors as the client. It is not started
    yet, and neither is the server, which has to have server_conf(more=known_third_at_server())."""
    conf = only(known("third", "right", local, remote, "dynamic[tcp]", f"dynamic[tcp/{PORT}]", name="known"))
    third = world.host("third", conf, "ed25519", start=False)
    knows(third, right=right.key)
    knows(right, third=third.key)
    return third


def known_third_at_server(local=SERVER):
    return known("right", "third", local, "%any", f"dynamic[tcp/{PORT}]", "dynamic[tcp]", name="known")


def take_address(world, host, address, owner):
    """Whoever had an address has lost its cable; another host has the address now."""
    world.wire.unplug(owner.namespace)
    length, family = ("64", "-6") if ":" in address else ("24", "-4")
    host.namespace.ip("addr", "flush", "dev", "eth0", "scope", "global")
    host.namespace.ip("addr", "add", f"{address}/{length}", "dev", "eth0", *(["nodad"] if family == "-6" else []))
    forget_neighbours(world)


def takes_address(world, left, right, key=None, conf=None):
    """The client is gone, and so are its SAs; somebody else is where it was, with its address: a stranger, unless told."""
    third = world.host("third", conf or client_conf(world, start="none"), key or "ed25519", start=False)
    take_address(world, third, CLIENT, left)
    right.swanctl("--terminate", "--ike", "strangers", "--force")
    right.wait_until(lambda: not right.sas(), "the SAs are gone")
    world.start(third)
    return third


def give_back(world, host, owner):
    """The other host has lost its cable, and the owner of the address has its own again."""
    world.wire.unplug(host.namespace)
    world.wire.plug(owner.namespace)
    forget_neighbours(world)


def forget_neighbours(world):
    for host in world.hosts.values():
        for family in ("-4", "-6"):
            host.namespace.ip(family, "neigh", "flush", "all")


def octets(host):
    """What all ESP SAs of a host have counted, both ways."""
    return sum(state.octets for state in xfrm.states(host).values())


def one(host, state):
    (latch,) = [latch for latch in listed(host) if latch["state"] == state]
    return latch


def restart(host, how):
    """charon ends, as systemd ends it or by SIGKILL, and is started again."""
    if how == "killed":
        host.process.kill()
        host.process.wait()
    host.terminate()
    assert host.reap() == 0 or how == "killed"
    host.start()


def eventually(condition, what, timeout=20):
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, f"{what}: not within {timeout} s"
        time.sleep(0.1)


# connections


class Connected:
    """A latched connection between two applications, each with a latch of its own: "c" and "s". Nothing is left of it
    afterwards, on either host whose charon is alive.

    @param server, client	what each asks for, beside what both do; latched=False for none
    """

    def __init__(self, left, right, address=SERVER, source=None, server=None, client=None, **both):
        self.hosts = left, right
        self.before = {host.name: descriptors(host.process.pid) for host in self.hosts}
        self.server, self.client = Application(right), Application(left)
        try:
            server, client = {**both, **(server or {})}, {**both, **(client or {})}
            listening = {name: value for name, value in server.items() if name in ("latched", "mode")}
            self.server("listen", "listener", address=address, port=PORT, **listening)
            self.client("connect", "c", address=address, port=PORT, local=source, **client)
            self.server("accept", "s", listener="listener", **server)
            if server.get("latched", True):
                told(self.server, "born", "none")
        except BaseException:
            self.kill()
            raise

    def __enter__(self):
        return self

    def kill(self):
        self.client.kill()
        self.server.kill()

    def __exit__(self, kind, *_):
        self.kill()
        if not kind:
            for host in self.hosts:
                if host.alive():
                    nothing_is_left(host, descriptors=self.before[host.name])

    def exchanges(self, text="some octets", timeout=10):
        self.client("send", "c", text=text)
        assert self.server("receive", "s", size=len(text), timeout=timeout)["text"] == text
        self.server("send", "s", text=text)
        assert self.client("receive", "c", size=len(text), timeout=timeout)["text"] == text

    def stream(self, pause=GENTLE):
        """Both send and receive from now on."""
        for application, name in ((self.server, "s"), (self.client, "c")):
            application("stream", name, out=False)
            application("stream", name, out=True, pause=pause)
        self.flows()

    def received(self):
        """Octets that each has received: the server's, and the client's."""
        return self.server("progress", "s", out=False)["octets"], self.client("progress", "c", out=False)["octets"]

    def flows(self, timeout=40):
        """Both receive something from now on, and nothing has ended either."""
        before = self.received()
        deadline = time.monotonic() + timeout
        while min(now - then for now, then in zip(self.received(), before)) < ENOUGH:
            for application, name in ((self.server, "s"), (self.client, "c")):
                for out in (True, False):
                    progress = application("progress", name, out=out)
                    assert not progress["failed"] and not progress["ended"], (name, progress)
            assert time.monotonic() < deadline, f"{before} became {self.received()} only, within {timeout} s"
            time.sleep(0.1)

    def flows_again(self, host, since):
        """SAs have gone, at a time of time.monotonic(), and are set up anew at a host; then both go on. TCP tries again
        after twice as long each time, so that may take as long as there were none."""
        host.wait_until(lambda: xfrm.children(host), "new SAs are there", 90)
        self.flows(40 + 2 * (time.monotonic() - since))

    def fails(self, application, name, timeout=20):
        """A stream of an application fails: its connection was reset."""
        deadline = time.monotonic() + timeout
        while True:
            progress = application("progress", name, out=True)
            if progress["failed"]:
                break
            assert time.monotonic() < deadline, f"{name} goes on: {progress}"
            time.sleep(0.1)
        is_reset(progress["failed"])


def is_reset(what):
    assert re.search("abort|reset|broken pipe", str(what), re.IGNORECASE), what


def cannot_send(application, name):
    """The connection has ended by a reset before."""
    assert application("is_over", name)["over"], "the connection is still there"
    try:
        application("send", name, text="to nobody")
        application("send", name, text="to nobody")
    except Failed as failed:
        is_reset(failed)
    else:
        raise AssertionError("it can send")


def told(application, what, reason, timeout=5):
    """The next event of an application."""
    events = application("events", timeout=timeout)["events"]
    assert [(event["what"], event["reason"]) for event in events] == [(what, reason)], events


class TakenOver:
    """A connection as somebody has it who knows all about it but the keys of its SAs: addresses, ports, and the
    numbers of the next octets. He sends and receives as the peer would.

    @param source		(address, port) of the peer that he says he is
    @param destination	(address, port) of the victim
    @param sequence		the victim's numbers: {"received", "sent"}
    """

    def __init__(self, host, source, destination, sequence):
        self.socket = host.namespace.socket(socket.AF_INET6 if ":" in source[0] else socket.AF_INET, socket.SOCK_STREAM)

        def option(name, value):
            self.socket.setsockopt(socket.IPPROTO_TCP, name, value)

        option(TCP_REPAIR, 1)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(source)
        for queue, number in ((SENT, sequence["received"]), (RECEIVED, sequence["sent"])):
            option(TCP_REPAIR_QUEUE, queue)
            option(TCP_QUEUE_SEQ, struct.pack("=I", number))
        self.socket.connect(destination)
        option(TCP_REPAIR_WINDOW, struct.pack("=5I", sequence["sent"], 60000, 60000, 60000, sequence["sent"]))
        option(TCP_REPAIR, WITHOUT_PROBE)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        # without a word to the victim
        self.socket.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR, 1)
        self.socket.close()

    def send(self, text):
        self.socket.settimeout(5)
        self.socket.sendall(text.encode())

    def receives(self, timeout):
        """All that comes within that time."""
        self.socket.settimeout(timeout)
        try:
            return self.socket.recv(65536)
        except OSError:
            return b""


def mismatches(host):
    """Packets that the kernel has dropped because their SA is not what a policy demands."""
    text = host.namespace.run(["cat", "/proc/net/xfrm_stat"]).stdout
    return sum(int(number) for name, number in re.findall(r"^(\S+)\s+(\d+)$", text, re.MULTILINE)
               if name in ("XfrmInTmplMismatch", "XfrmInPolBlock", "XfrmInNoPols"))


# the wire


class Wire:
    """Counts what crosses the wire: ESP, resets in the clear, and everything else of TCP and of the tests' UDP port
    in the clear."""

    def __init__(self, world):
        self.namespace = world.wire.bridge
        self.world = world
        self.capture = world.capture(only=f"tcp or udp port {PORT}")
        self._run(COUNTERS % {"port": PORT})

    def _run(self, rules):
        path = self.world.folder / "wire.nft"
        path.write_text(rules)
        made = self.namespace.run(["nft", "-f", str(path)])
        assert made.returncode == 0, made.stderr

    def packets(self, what):
        text = self.namespace.run(["nft", "list", "counter", "bridge", "seen", what]).stdout
        return int(re.search(r"packets (\d+)", text).group(1))

    def nothing_in_clear(self):
        """Not one packet of any connection; resets of those that have gone do not count."""
        assert self.packets("protected"), "nothing was protected either"
        clear = self.packets("clear")
        assert not clear, f"{clear} packets in clear: {[(p.source, p.destination, p.payload[:40]) for p in self.seen()]}"

    def seen(self):
        """Up to ten packets in clear, resets included."""
        return self.capture.stop().packets[:10]

    def stop_esp(self):
        """From now on no ESP crosses the wire, until let_esp()."""
        self._run(GATE)

    def let_esp(self):
        self._run("delete table bridge gate\n")
