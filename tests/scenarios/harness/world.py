# SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception
"""Everything one test sets up, and its end."""

import shutil
import tempfile
import time
from pathlib import Path

from . import host as hosts
from . import paths, roots, sanitizers
from .capture import Capture
from .keys import KeyMaker
from .net import Wire, folder
from .network import Network
from .rogue import Rogue

ADDRESSES = {
    "left": (["192.0.2.1/24", "2001:db8::1/64"], ["10.66.128.7/32", "fd66:128::7/128"]),
    "right": (["192.0.2.2/24", "2001:db8::2/64"], ["10.66.0.1/32", "fd66::1/128"]),
    "third": (["192.0.2.3/24", "2001:db8::3/64"], ["10.66.129.3/32", "fd66:129::3/128"]),
    "fourth": (["192.0.2.4/24", "2001:db8::4/64"], ["10.66.130.4/32", "fd66:130::4/128"]),
}
"""The hosts: addresses on the wire and inner ones, which only ESP may carry. kernel-libipsec cannot protect the IKE end
points themselves, so the tests' traffic goes between inner addresses."""

SETTLE = 0.05
"""Seconds of peace before charon is told to end."""

MARKER = b"this must never be seen on the wire; "


class World:
    """Hosts on a wire, or in a network. Use as a context manager: it ends whatever happens.

    @param topology	a network.Topology, with names and addresses of its hosts; left out: one wire, with those of ADDRESSES
    """

    def __init__(self, scenario=None, session=None, plugin=paths.PLUGIN, topology=None):
        self.own_session = folder() if session is None else None
        self.session = Path(session or self.own_session)
        self.folder = Path(tempfile.mkdtemp(prefix="world-", dir=self.session))
        self.scenario = scenario
        self.plugin = plugin
        self.keys = KeyMaker(self.folder)
        self.hosts = {}
        self.captures = []
        self.network = Network(topology) if topology else None
        self.wires = self.network.wires if topology else {"wire": Wire()}
        self.wire = next(iter(self.wires.values()))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def conf(self, name, **words):
        """The scenario's NAME.conf with @WORD@ replaced."""
        text = (self.scenario / f"{name}.conf").read_text()
        for word, value in words.items():
            text = text.replace(f"@{word}@", value)
        return text

    def host(self, name, conf=None, key=None, plugin=True, options=None, btns=None, start=True, load=(),
             root=None, null=False):
        """Add a host and start its charon.

        @param conf		its swanctl.conf; the scenario's NAME.conf if left out
        @param key		its key pair, or the type of one to be made; None for none
        @param plugin	TRUE for ours, FALSE for none, or the file of another variant
        @param root		the root that its charon is run from
        @param null		it has the btns-null plugin; or charon.plugins.btns-null.*, as a dict
        """
        if self.network:
            addresses = inner = self.network.topology.addresses(name)
            namespace = self.network.attach(name)
        else:
            addresses, inner = ADDRESSES[name]
            namespace = self.wire.attach(name, addresses, inner)
        folder = self.folder / name
        folder.mkdir()
        if plugin is True:
            plugin = root.plugin if root and self.plugin else self.plugin
        host = hosts.Host(name, namespace, self.session, folder, addresses, inner, plugin or None, options, btns, load,
                          root or roots.DEFAULT)
        host.null = null
        self.hosts[name] = host
        if isinstance(key, str):
            key = self.keys.key(key)
        if key:
            host.own(key)
        if conf is None and self.scenario:
            conf = self.conf(name)
        if conf is not None:
            host.configure(conf)
        if start:
            host.start()
        return host

    def rogue(self, name, conf=None, key=None, start=True, **more):
        """Add a host whose charon misbehaves: its attribute `rogue` says how."""
        host = self.host(name, conf, key, start=False, **more)
        host.rogue = Rogue(host)
        return host.start() if start else host

    @staticmethod
    def silent(host, address):
        """Give a host an address that it neither answers for nor speaks of in ARP, because somebody else there has it."""

        def quiet():
            for name, value in (("arp_ignore", 1), ("arp_announce", 2)):
                Path("/proc/sys/net/ipv4/conf/all", name).write_text(str(value))

        host.namespace.call(quiet)
        host.namespace.ip("addr", "add", f"{address}/32", "dev", "lo")

    def start(self, *started):
        """Start several hosts at the same time."""
        for host in started:
            host.launch()
        for host in started:
            host.ready()

    def pair(self, left="ed25519", right="ed25519", **both):
        """The usual two hosts, each with a key pair of the given type and the scenario's left.conf and right.conf."""
        pair = [self.host("left", key=left, start=False, **both), self.host("right", key=right, start=False, **both)]
        self.start(*pair)
        return pair

    def capture(self, wire=None, only=""):
        """Start to listen to a whole wire: the first one unless another is given."""
        wire = wire or self.wire
        capture = Capture(wire.bridge, wire.INTERFACE, self.folder / f"wire-{len(self.captures)}.pcap", only)
        self.captures.append(capture)
        return capture

    def check_transfer(self, client, server, size=20000, ends=None, **where):
        """Send data through the tunnel and show that the wire carried ESP and nothing of the data.

        @param ends	the tunnel's end points if they are not the hosts' first addresses
        """
        payload = (MARKER * (size // len(MARKER) + 1))[:size]
        capture = self.capture()
        try:
            hosts.transfer(client, server, payload, **where)
        finally:
            capture.stop()
        ends = ends or (client.address, server.address)
        inner = [address for address in client.inner + server.inner if address not in ends]
        capture.assert_esp_only(ends, [MARKER], inner)
        return capture

    def check_alive(self):
        for host in self.hosts.values():
            if host.process:
                assert host.alive(), f"{host.DAEMON} of {host.name} died: {host.log()[-1500:]}"

    def keep(self, folder):
        """Copy logs, captures and states for whoever wants to know why."""
        folder.mkdir(parents=True, exist_ok=True)
        for host in self.hosts.values():
            host.keep(folder)
        for capture in self.captures:
            if capture.path.exists():
                shutil.copy2(capture.path, folder / capture.path.name)

    def close(self, logs=None):
        """End all processes, remove all namespaces and files.

        @param logs	where the logs go if a charon does not end well
        @return		names and exit statuses of such charons, and what sanitizers found in them
        """
        unwell = []
        try:
            for capture in self.captures:
                if capture.process:
                    capture.process.kill()
                    capture.process.wait()
                    capture.process = None
            # charon 5.9.8 can hang if it is told to end in the very moment in which it destroys an IKE_SA: main()
            # waits for an entry whose condition variable another thread is destroying
            time.sleep(SETTLE)
            for host in self.hosts.values():
                host.terminate()
            for host in self.hosts.values():
                if host.process:
                    status = host.reap()
                    if status:
                        unwell.append((host.name, status))
            for host in self.hosts.values():
                unwell += [(host.name, f"\n{report}") for report in sanitizers.reports(host.folder)]
            if unwell and logs:
                self.keep(logs)
        finally:
            for host in self.hosts.values():
                if host.process:
                    host.process.kill()
                    host.process.wait()
                    host.process = None
            for wire in self.wires.values():
                wire.close()
            self.hosts.clear()
            shutil.rmtree(self.folder, ignore_errors=True)
            if self.own_session:
                shutil.rmtree(self.own_session, ignore_errors=True)
        return unwell
