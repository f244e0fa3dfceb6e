# SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception
"""Roots: file systems that a daemon is run from, with the builds of our plugins for it.

One is this machine's own; ci/setup --root makes others. BTNS_ROOT says which one hosts have that are given none,
BTNS_BUILD where the plugins for it are.
"""

import dataclasses
import os
import re
import subprocess
from pathlib import Path

REPO = Path(__file__).resolve().parents[3]
ROOTS = REPO / ".cache" / "roots"
BUILDS = REPO / "build-roots"
ENTER = REPO / "ci" / "in-root"

CHARON = "/usr/sbin/charon-systemd"
"""The daemon that Debian ships; never one of our own."""

STOCK_PLUGINS = "/usr/lib/ipsec/plugins"
"""Compiled into charon; the only folder it loads plugins from."""


@dataclasses.dataclass(frozen=True)
class Root:
    """A file system that a daemon is run from.

    @param path		where it is, / for this machine's own
    @param build	build folder of our plugins for it
    """

    path: Path
    build: Path

    @property
    def name(self):
        return self.path.name or "this-machine"

    @property
    def is_own(self):
        return self.path == Path("/")

    @property
    def is_patched(self):
        """Whether ci/patched made it."""
        return (self.path / ".btns-patched").exists()

    @property
    def stock_plugins(self):
        return self.path / STOCK_PLUGINS[1:]

    @property
    def plugin(self):
        return self.variant("btns")

    def variant(self, name):
        """The file of one of our plugins, or of a variant of it: btns, btns-faults, btns-latch, btns-null,
        btns-rogue."""
        file = name if name in ("btns-latch", "btns-null", "btns-rogue") else "btns"
        return self.build / "plugins" / name / f"libstrongswan-{file}.so"

    def plugin_for(self, other):
        """The file of our plugin as this root's compiler makes it from the source of another root, or of another state
        of its own ("unpatched")."""
        return dataclasses.replace(self, build=self.build.with_name(f"{self.build.name}-for-{other}")).plugin

    def command(self, argv, shared, plugins=None):
        """The command that runs a program of this root.

        @param shared	folder that is at the same place inside
        @param plugins	folder of plugins to have instead of its own
        """
        argv = [str(arg) for arg in argv]
        if self.is_own:
            if not plugins:
                return argv
            return ["/bin/sh", "-c", f'mount --bind "{plugins}" "{STOCK_PLUGINS}" && exec "$@"', "sh", *argv]
        binds = [(shared, shared)] + ([(plugins, STOCK_PLUGINS)] if plugins else [])
        return [str(ENTER), str(self.path), *(str(word) for bind in binds for word in ("--bind", *bind)), "--", *argv]

    def package(self):
        """The package revision of its strongSwan."""
        return subprocess.run(
            ["dpkg-query", f"--admindir={self.path / 'var/lib/dpkg'}", "-W", "-f", "${Version}", "strongswan-libcharon"],
            capture_output=True, text=True, check=True,
        ).stdout

    def version(self):
        """What its daemon calls itself, like (6, 0, 1)."""
        return tuple(int(part) for part in re.match(r"(\d+)\.(\d+)\.(\d+)", self.package()).groups())

    def has_ikev1(self):
        """Some charons are built without."""
        return b"initiating Main Mode" in (self.stock_plugins.parent / "libcharon.so.0").read_bytes()

    def version_text(self):
        return ".".join(str(number) for number in self.version())


def at(path):
    """The root at a path, with the build that goes by its name."""
    path = Path(path).resolve()
    return Root(path, REPO / "build" if path == Path("/") else BUILDS / path.name)


def _default():
    root = at(os.environ.get("BTNS_ROOT") or "/")
    build = os.environ.get("BTNS_BUILD")
    return dataclasses.replace(root, build=Path(build)) if build else root


DEFAULT = _default()

MEETING = [at(ROOTS / name) for name in os.environ.get("BTNS_ROOTS", "").split()]
"""Those that meet each other in the scenario versions: names of roots."""
