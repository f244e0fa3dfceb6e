# SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception
"""A host with OpenIKED's iked, from Debian's package, which is unpacked: installed, it would want to be started at boot."""

import re
import subprocess
from pathlib import Path

from foreign import Foreign

USER = "_iked"
FOLDERS = ("ca", "certs", "crls", "private", "pubkeys/fqdn", "pubkeys/ipv4", "pubkeys/ipv6", "pubkeys/ufqdn")
"""Of /etc/iked, where it looks for keys."""


class OpenIked(Foreign):
    """Its configuration is iked.conf."""

    PACKAGE = "openiked"
    DAEMON = "iked"
    LOG = "iked.log"
    KEPT = ("iked.conf",)

    def __init__(self, *args):
        super().__init__(*args)
        self.over = self.folder / "etc"
        """What it has in /etc besides the machine's: its keys, and the user that its package's installation makes"""
        self.etc = self.over / "iked"
        self.config = self.folder / "iked.conf"
        self.socket = self.folder / "iked.sock"
        for name in FOLDERS:
            (self.etc / name).mkdir(parents=True)

        home = self.folder / "empty"
        home.mkdir()
        (self.folder / "work").mkdir()
        for name, line in (("passwd", f"{USER}:x:790:790::{home}:/usr/sbin/nologin"), ("group", f"{USER}:x:790:")):
            (self.over / name).write_text(Path("/etc", name).read_text() + line + "\n")

    def own(self, key):
        """Give it its key pair."""
        self.key = key
        private = self.etc / "private" / "local.key"
        private.write_text(key.private_pem)
        private.chmod(0o600)
        (self.etc / "local.pub").write_text(key.public_pem)
        return self

    def knows(self, identity, key):
        """Give it a peer's public key, by the identity that the peer asserts: a name or an address."""
        kind = "ipv6" if ":" in identity else "ipv4" if re.fullmatch(r"[0-9.]+", identity) else "fqdn"
        (self.etc / "pubkeys" / kind / identity).write_text(key.public_pem)
        return self

    def configure(self, text):
        """Set its iked.conf."""
        self.config.write_text(text)
        self.config.chmod(0o600)
        return self

    # iked

    def mounts(self):
        layers = f"lowerdir=/etc,upperdir={self.over},workdir={self.folder / 'work'}"
        return [("mount", "-t", "overlay", "-o", layers, "overlay", "/etc")]

    def launch(self):
        self.launch_program([self.tree / "usr/sbin/iked", "-dvv", "-f", self.config, "-s", self.socket], self.LOG)
        return self

    def ready(self):
        self.wait_ready(lambda: self.socket.exists() and "config_getstatic: nattport" in self.log())
        return self

    def control(self, *args):
        """What ikectl says."""
        return self.run([self.tree / "usr/sbin/ikectl", "-s", self.socket, *args]).stdout

    def state(self):
        return self.control("show", "sa")

    # what every daemon can be made to do

    def begin(self):
        """It initiates what is active as soon as it runs."""
        if not self.alive():
            self.start()

    def end(self):
        """Delete the IKE_SA with a peer."""
        self.control("reset", "id", "FQDN/left.example")
