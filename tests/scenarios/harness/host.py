# SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception
"""A host: a namespace, a folder with its configuration and keys, and a stock charon."""

import dataclasses
import hashlib
import os
import re
import shutil
import socket
import subprocess
import threading
import time
from pathlib import Path

from . import paths, roots, sanitizers
from .node import Node
from .vici import Connection, Events

PLUGINS = (
    "random nonce openssl pem pkcs1 pkcs8 x509 pubkey revocation constraints gmp hmac sha1 sha2 aes gcm kdf curve25519 "
    "kernel-libipsec kernel-netlink socket-default"
).split()
"""What every charon here loads; vici and btns come last. The rest of Debian's plugins play no part in the tests."""

UNHURRIED = {"key_time": 100000, "key_time_per_source": 100000}
"""charon.plugins.btns.*: strangers of the tests come faster than strangers may, unless a test is about that."""

EVENTS = ("ike-updown", "child-updown", "ike-rekey", "child-rekey", "btns-rejected", "btns-peer-up", "btns-peer-down",
          "btns-peer-changed", "btns-latch-changed")

CONFIG = """
charon-systemd {{
	load = {plugins}
}}
charon {{
	# the ID of a peer must not tell who is meant when its key is looked for
	retransmit_timeout = 1
	retransmit_base = 1.2
	retransmit_tries = 4
	delete_rekeyed_delay = 1
{options}
	filelog {{
		charon {{
			path = {log}
			default = 1
			ike = 2
			cfg = 2
			lib = 1
			flush_line = yes
			ike_name = yes
			time_format = %H:%M:%S
			time_add_ms = yes
		}}
	}}
	plugins {{
		vici {{
			socket = unix://{socket}
		}}
		kernel-libipsec {{
			load = yes
		}}
{plugin_options}
	}}
}}
swanctl {{
	load = random openssl pem pkcs1 pkcs8 x509 pubkey
}}
"""


@dataclasses.dataclass
class Outcome:
    """What became of a command that streams charon's log."""

    success: bool
    error: str
    log: str


def _plugin_folder(session, root, plugins):
    """A folder with a root's plugins and some of ours, made once a session for each choice."""
    choice = hashlib.sha256(" ".join(str(plugin) for plugin in plugins).encode()).hexdigest()[:12]
    folder = session / f"plugins-{root.name}-{choice}"
    if not folder.exists():
        made = session / (folder.name + ".new")
        shutil.copytree(root.stock_plugins, made)
        for plugin in plugins:
            if not plugin.exists():
                raise FileNotFoundError(f"{plugin} is missing: build first (ninja -C build)")
            shutil.copy2(plugin, made)
        made.rename(folder)
    return folder


class Host(Node):
    """One host with its charon.

    @param root		the root that its charon is run from
    @param plugin	our plugin's file, None for a host that has Debian's plugins only
    @param options	lines for the charon section of strongswan.conf, as a dict ("fragment_size": 576)
    @param btns		charon.plugins.btns.*, as a dict
    """

    DAEMON = "charon"
    LOG = "charon.log"
    KEPT = ("stderr.log", "strongswan.conf", "swanctl/swanctl.conf")
    PATIENCE = 15
    """Seconds that it may take to start."""

    def __init__(self, name, namespace, session, folder, addresses, inner, plugin, options, btns, load=(), root=roots.DEFAULT):
        super().__init__(name, namespace, folder, addresses, inner)
        self.session = session
        self.root = root
        self.plugin = plugin
        self.options = dict(options or {})
        self.btns = dict(btns or {})
        self.load = list(load)
        self.rogue = None
        """The script of a charon that misbehaves, a Rogue"""
        self.latching = False
        """It has the btns-latch plugin"""
        self.null = False
        """It has the btns-null plugin; or charon.plugins.btns-null.*, as a dict"""
        self.more_conf = ""
        """More of strongswan.conf: what it sets wins."""
        self.listens = EVENTS
        """The events that somebody listens to: charon does not put together others"""
        self.wrapper = []
        """A program that runs charon, with its arguments: valgrind, say."""
        self.socket_path = folder / "vici"
        self.swanctl_dir = folder / "swanctl"
        self.events = None
        for sub in ("private", "pubkey", "x509", "x509ca", "x509crl", "conf.d"):
            (self.swanctl_dir / sub).mkdir(parents=True, exist_ok=True)

    # what the host has

    def add_file(self, name, text):
        """Put a file under its swanctl folder: "private/me.pem"."""
        path = self.swanctl_dir / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def own(self, key, public=True):
        """Give it its key pair: private/me.pem, and pubkey/me.pem, which `pubkeys = me.pem` names."""
        self.key = key
        self.add_file("private/me.pem", key.private_pem)
        if public:
            self.add_file("pubkey/me.pem", key.public_pem)
        return self

    def configure(self, text):
        """Set its swanctl.conf. Examples can be included as examples/NAME."""
        self.add_file("swanctl.conf", text)
        examples = self.swanctl_dir / "examples"
        if not examples.exists() and paths.EXAMPLES.exists():
            shutil.copytree(paths.EXAMPLES, examples)
        return self

    def files(self):
        """Names of everything it was given, relative to its swanctl folder."""
        return sorted(
            str(path.relative_to(self.swanctl_dir))
            for path in self.swanctl_dir.rglob("*")
            if path.is_file() and "examples" not in path.parts
        )

    # charon

    def _write_strongswan_conf(self):
        plugins = PLUGINS + self.load + ["vici"] + (["btns"] if self.plugin else [])
        plugins += (["btns-latch"] if self.latching else []) + (["btns-null"] if self.null else [])
        plugins += ["btns-rogue"] if self.rogue else []

        def lines(indent, options):
            return "\n".join("\t" * indent + f"{key} = {value}" for key, value in options.items())

        flat = {key: value for key, value in self.options.items() if not isinstance(value, dict)}
        nested = {key: value for key, value in self.options.items() if isinstance(value, dict)}
        sections = dict(nested)
        if self.plugin:
            sections["btns"] = {**UNHURRIED, **self.btns}
        if isinstance(self.null, dict):
            sections["btns-null"] = self.null
        plugin_options = "\n".join(
            f"\t\t{name} {{\n{lines(3, values)}\n\t\t}}" for name, values in sections.items()
        )
        (self.folder / "strongswan.conf").write_text(
            CONFIG.format(plugins=" ".join(plugins), options=lines(1, flat), log=self.log_path, socket=self.socket_path,
                          plugin_options=plugin_options)
            + self.more_conf
        )

    def _environment(self):
        environment = {key: value for key, value in os.environ.items() if key != "NOTIFY_SOCKET"}
        environment.update(
            STRONGSWAN_CONF=str(self.folder / "strongswan.conf"), SWANCTL_DIR=str(self.swanctl_dir), LC_ALL="C"
        )
        return environment

    def launch(self):
        """Start charon; ready() waits for it."""
        self._write_strongswan_conf()
        others = [(self.latching, "btns-latch"), (self.null, "btns-null"), (self.rogue, "btns-rogue")]
        ours = [self.plugin] if self.plugin else []
        ours += [self.root.variant(name) for wanted, name in others if wanted]
        plugins = _plugin_folder(self.session, self.root, ours) if ours else None
        command = [*sanitizers.wrapper(self.folder), *self.wrapper, roots.CHARON]
        command = self.root.command(command, self.session, plugins)
        with open(self.folder / "stderr.log", "wb") as stderr:
            self.process = self.namespace.popen(
                command, stdout=stderr, stderr=stderr, stdin=subprocess.DEVNULL, env=self._environment()
            )
        return self

    def ready(self, timeout=None, load=True):
        """Wait until charon answers, and load its swanctl.conf."""
        deadline = time.monotonic() + (timeout or self.PATIENCE)
        while True:
            try:
                self.vici = Connection(self.socket_path)
                break
            except OSError:
                assert self.alive(), f"charon of {self.name} ended: {self.log()[-2000:]}{self.stderr()[-2000:]}"
                assert time.monotonic() < deadline, f"charon of {self.name} has no vici socket"
                time.sleep(0.02)
        self.events = Events(self.socket_path, self.listens)
        if load:
            self.load_all()
        return self

    def start(self):
        return self.launch().ready()

    def _hang_up(self):
        for closing in (self.events, getattr(self, "vici", None)):
            if closing:
                closing.close()
        self.events = self.vici = None

    def terminate(self):
        """Ask charon to end; reap() waits for it."""
        self._hang_up()
        super().terminate()

    def crash(self):
        self._hang_up()
        super().crash()

    def state(self):
        return "\n".join(self.swanctl(what, check=False, timeout=5).stdout for what in ("--list-sas", "--list-conns"))

    def keep(self, folder):
        super().keep(folder)
        for number, report in enumerate(sanitizers.reports(self.folder)):
            (folder / f"{self.name}-sanitizer-{number}.txt").write_text(report)

    # swanctl and vici

    def swanctl(self, *args, check=True, timeout=20):
        result = subprocess.run(
            self.root.command(["swanctl", *args, "--uri", f"unix://{self.socket_path}"], self.session),
            capture_output=True, text=True, timeout=timeout, env=self._environment(),
        )
        if check:
            assert result.returncode == 0, f"swanctl {args} on {self.name}: {result.stdout}{result.stderr}"
        return result

    def load_all(self):
        return self.swanctl("--load-all", "--noprompt")

    def reload_options(self):
        """Put what is in self.btns and self.options now into force in the running charon."""
        self._write_strongswan_conf()
        self.swanctl("--reload-settings")

    def request(self, command, message=None):
        return self.vici.request(command, message)[0]

    def stream(self, command, event, message=None):
        return self.vici.request(command, message, stream=event)[1]

    def command(self, command, message, timeout=40):
        """Issue a command on a connection of its own, with charon's log of it."""
        connection = Connection(self.socket_path, timeout=timeout)
        try:
            answer, events = connection.request(command, {"loglevel": "1", **message}, stream="control-log")
        finally:
            connection.close()
        log = "\n".join(event.get("msg", "") for event in events)
        return Outcome(answer.get("success") == "yes", answer.get("errmsg", ""), log)

    def initiate(self, child, ike=None, timeout=15):
        """Initiate a CHILD_SA and wait for what becomes of it."""
        message = {"child": child, "timeout": str(int(timeout * 1000))}
        if ike:
            message["ike"] = ike
        return self.command("initiate", message, timeout + 25)

    def sas(self):
        """IKE_SAs as a list of sections, each with its connection name under "name"."""
        found = []
        for event in self.stream("list-sas", "list-sa"):
            for name, section in event.items():
                found.append({"name": name, **section})
        return found

    def sa(self, name):
        """The one established IKE_SA of a connection."""
        found = [sa for sa in self.sas() if sa["name"] == name and sa["state"] == "ESTABLISHED"]
        assert len(found) == 1, f"{self.name} has {len(found)} IKE_SAs of {name}: {self.sas()}"
        return found[0]

    def leases(self, *identities):
        """Addresses out of the pools that somebody holds: (pool, address, identity, status)."""
        pools = self.request("get-pools", {"leases": "yes"})
        return sorted(
            (name, lease["address"], lease["identity"], lease["status"])
            for name, pool in pools.items()
            for lease in (pool.get("leases") or {}).values()
            if lease["identity"] in identities
        )

    # the plugin

    def peers(self):
        return self.stream("btns-list-peers", "btns-peer")

    def pad(self):
        entries = {}
        for event in self.stream("btns-list-pad", "btns-pad"):
            entries.update(event)
        return entries

    def stats(self):
        return {key: int(value) for key, value in self.request("btns-stats").items()}

    def rejected(self, code, timeout=5, **fields):
        """The event btns-rejected with this reason, which the counters must confirm."""
        event = self.events.wait(
            "btns-rejected",
            lambda seen: seen["code"] == code and all(seen.get(key) == value for key, value in fields.items()),
            timeout,
        )
        assert event["reason"], event
        assert self.stats().get(f"refused-{code}", 0) >= 1, self.stats()
        assert self.alive()
        return event


class EchoServer(threading.Thread):
    """Echoes what it gets, over TCP, on a host."""

    def __init__(self, host, address, port):
        super().__init__(daemon=True)
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self.listener = host.namespace.socket(family, socket.SOCK_STREAM)
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind((address, port))
        self.listener.listen()
        self.listener.settimeout(20)
        self.received = 0
        self.start()

    def run(self):
        try:
            while True:
                peer, _ = self.listener.accept()
                with peer:
                    peer.settimeout(10)
                    while data := peer.recv(65536):
                        self.received += len(data)
                        peer.sendall(data)
        except OSError:
            pass

    def close(self):
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listener.close()
        self.join(2)


def transfer(client, server, payload, source=None, destination=None, port=7, timeout=8):
    """Send a payload from one host's inner address to another's and back, over TCP.

    Returns the octets that came back; they are checked to be the ones sent.
    """
    source = source or client.inner[0]
    destination = destination or server.inner[0]
    echo = EchoServer(server, destination, port)
    family = socket.AF_INET6 if ":" in source else socket.AF_INET
    connection = client.namespace.socket(family, socket.SOCK_STREAM)
    try:
        connection.settimeout(timeout)
        connection.bind((source, 0))
        connection.connect((destination, port))
        got = bytearray()
        sent = 0
        while len(got) < len(payload):
            if sent < len(payload):
                chunk = payload[sent:sent + 8192]
                connection.sendall(chunk)
                sent += len(chunk)
            data = connection.recv(65536)
            assert data, "the connection ended early"
            got.extend(data)
        assert bytes(got) == payload, "what came back is not what was sent"
        return len(got)
    finally:
        connection.close()
        echo.close()


def reaches(client, server, source=None, destination=None, timeout=1.5, port=7):
    """TRUE if a transfer between inner addresses works."""
    try:
        transfer(client, server, b"ping", source, destination, port, timeout)
        return True
    except OSError:
        return False
