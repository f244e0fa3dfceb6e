# SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception
"""What hosts with an IKE daemon other than charon share, and how they get into a World."""

import os
import subprocess
import time
from pathlib import Path

from harness.node import Node
from harness.paths import REPO
from harness.world import ADDRESSES

UNPACKED = REPO / ".cache" / "interop"
"""Where ci/setup --interop unpacks Debian's packages."""


class Foreign(Node):
    """A host whose daemon comes from a package that is unpacked, not installed."""

    PACKAGE = ""
    """Name of the Debian package."""

    def __init__(self, name, namespace, folder, addresses, inner):
        super().__init__(name, namespace, folder, addresses, inner)
        self.tree = UNPACKED / self.PACKAGE
        assert (self.tree / "version").exists(), f"{self.tree} is missing: ci/setup --interop"

    @classmethod
    def version(cls):
        """The revision of the package."""
        return (UNPACKED / cls.PACKAGE / "version").read_text().strip()

    def environment(self):
        return {**os.environ, "PATH": f"{self.tree}/usr/sbin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C"}

    def mounts(self):
        """What the daemon has in the place of the machine's folders: commands for the mount namespace that every program of
        a network namespace has of its own."""
        return []

    def inside(self, argv):
        """The command that runs a program with these mounts."""
        steps = [*(" ".join(f'"{word}"' for word in step) for step in self.mounts()), 'exec "$@"']
        return ["/bin/sh", "-c", " && ".join(steps), "sh", *(str(word) for word in argv)]

    def launch_program(self, argv, output):
        """Start the daemon; what it writes goes to a file of its folder."""
        with open(self.folder / output, "ab") as stream:
            self.process = self.namespace.popen(
                self.inside(argv), stdout=stream, stderr=stream, stdin=subprocess.DEVNULL, env=self.environment()
            )

    def run(self, argv, timeout=60):
        """Run another program of the package."""
        return subprocess.run(
            ["ip", "netns", "exec", self.namespace.name, *self.inside(argv)], capture_output=True, text=True, timeout=timeout,
            env=self.environment(),
        )

    def wait_ready(self, is_ready, timeout=120):
        """Wait until the daemon has started."""
        deadline = time.monotonic() + timeout
        while not is_ready():
            assert self.alive(), f"{self.DAEMON} of {self.name} ended: {self.log()[-2000:]}{self.stderr()[-2000:]}"
            assert time.monotonic() < deadline, f"{self.DAEMON} of {self.name} does not start: {self.log()[-2000:]}"
            time.sleep(0.05)

    def start(self):
        self.launch()
        self.ready()
        return self


def attach(world, kind, name="right"):
    """Put a host with another daemon on the wire of a World: kind is a subclass of Foreign."""
    addresses, inner = ADDRESSES[name]
    folder = Path(world.folder) / name
    folder.mkdir()
    host = kind(name, world.wire.attach(name, addresses, inner), folder, addresses, inner)
    world.hosts[name] = host
    return host
