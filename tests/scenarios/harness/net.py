# SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception
"""Network namespaces on wires.

A wire is a bridge in a namespace of its own, in which interfaces of hosts end: eth0 of each, if there is one wire;
network.py makes networks of several. Nothing here touches the machine's own network. Names begin with btns- and the process ID, so runs do not meet, and what a killed
run left behind is recognised and removed by the next one.
"""

import ctypes
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
from pathlib import Path

NETNS_DIR = Path("/run/netns")
PREFIX = "btns-"
CLONE_NEWNET = 0x40000000
PR_SET_PDEATHSIG = 1

_libc = ctypes.CDLL(None, use_errno=True)


def die_with_parent():
    """In a child, before exec: be killed when the test process dies, however it dies."""
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def ip(*args):
    result = subprocess.run(["ip", *args], capture_output=True, text=True)
    if result.returncode:
        raise RuntimeError(f"ip {' '.join(args)}: {result.stderr.strip()}")
    return result.stdout


def folder():
    """A temporary folder that sweep() recognises when this process was killed."""
    return Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-"))


def sweep():
    """Remove the namespaces and folders of test processes that are no more."""

    def abandoned(where):
        for path in Path(where).glob(PREFIX + "*"):
            pid = path.name[len(PREFIX):].split("-")[0]
            if pid.isdigit() and not Path("/proc", pid).exists():
                yield path

    for path in abandoned(NETNS_DIR):
        subprocess.run(["ip", "netns", "del", path.name], capture_output=True)
    for path in abandoned(tempfile.gettempdir()):
        shutil.rmtree(path, ignore_errors=True)


class Namespace:
    """One network namespace."""

    def __init__(self, name):
        self.name = name
        ip("netns", "add", name)
        self.ip("link", "set", "lo", "up")

    def ip(self, *args):
        return ip("-n", self.name, *args)

    def add_addresses(self, interface, addresses):
        for address in addresses:
            flags = ["nodad"] if ":" in address else []
            self.ip("addr", "add", address, "dev", interface, *flags)

    def popen(self, argv, **kwargs):
        """Start a program inside, in a mount namespace of its own (ip netns exec makes one)."""
        return subprocess.Popen(["ip", "netns", "exec", self.name, *argv], preexec_fn=die_with_parent, **kwargs)

    def run(self, argv, timeout=10):
        return subprocess.run(
            ["ip", "netns", "exec", self.name, *argv], capture_output=True, text=True, timeout=timeout
        )

    def call(self, function):
        """Call a function in a thread that is inside. Sockets it makes stay inside."""
        outcome = {}

        def inside():
            try:
                fd = os.open(NETNS_DIR / self.name, os.O_RDONLY)
                try:
                    if _libc.setns(fd, CLONE_NEWNET):
                        raise OSError(ctypes.get_errno(), "setns")
                finally:
                    os.close(fd)
                outcome["value"] = function()
            except BaseException as error:  # handed to the caller's thread
                outcome["error"] = error

        thread = threading.Thread(target=inside)
        thread.start()
        thread.join()
        if "error" in outcome:
            raise outcome["error"]
        return outcome["value"]

    def socket(self, family, kind):
        return self.call(lambda: socket.socket(family, kind))

    def delete(self):
        subprocess.run(["ip", "netns", "del", self.name], capture_output=True)


class Wire:
    """A bridge that joins hosts of one test, and where one can listen to all of them."""

    INTERFACE = "br0"
    _count = 0

    def __init__(self):
        Wire._count += 1
        self.prefix = f"{PREFIX}{os.getpid()}-{Wire._count}-"
        self.namespaces = []
        self.ports = {}
        self.bridge = self.add("wire")
        self.bridge.ip("link", "add", self.INTERFACE, "type", "bridge")
        self.bridge.ip("link", "set", self.INTERFACE, "up")

    def add(self, name):
        """A namespace for a host, which is not connected to anything yet and goes when the wire is closed."""
        namespace = Namespace(self.prefix + name)
        self.namespaces.append(namespace)
        # so that an address can go while others of the same network stay
        namespace.call(lambda: Path("/proc/sys/net/ipv4/conf/all/promote_secondaries").write_text("1"))
        return namespace

    def connect(self, namespace, interface, addresses):
        """Give a host an interface on this wire, with addresses ("192.0.2.1/24")."""
        port = self.ports[namespace.name] = f"p{len(self.ports)}"
        namespace.ip("link", "add", interface, "type", "veth", "peer", "name", port, "netns", self.bridge.name)
        self.bridge.ip("link", "set", port, "master", self.INTERFACE, "up")
        namespace.add_addresses(interface, addresses)
        namespace.ip("link", "set", interface, "up")

    def attach(self, name, addresses, inner):
        """Add a host: addresses ("192.0.2.1/24") go to eth0, inner ones to lo."""
        namespace = self.add(name)
        self.connect(namespace, "eth0", addresses)
        namespace.add_addresses("lo", inner)
        return namespace

    def unplug(self, namespace):
        """Pull a host's cable at the bridge: the host keeps its interface and its addresses."""
        self.bridge.ip("link", "set", self.ports[namespace.name], "nomaster")

    def plug(self, namespace):
        self.bridge.ip("link", "set", self.ports[namespace.name], "master", self.INTERFACE)

    def close(self):
        for namespace in reversed(self.namespaces):
            namespace.delete()
        self.namespaces.clear()
