# SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception
"""A host with libreswan's pluto, from Debian's package, which is unpacked: installed, it would replace strongSwan."""

import base64
import dataclasses
import re
import subprocess

from cryptography.hazmat.primitives.serialization import load_der_public_key

from foreign import Foreign

CONFIG = """
config setup
	protostack=xfrm
	uniqueids=yes
	dnssec-enable=no
	ikev1-policy=drop

conn %default
	# a shell script, for which pluto waits: there is nothing to be routed
	leftupdown=%disabled

"""


@dataclasses.dataclass
class Said:
    """What whack said, and whether it was content."""

    success: bool
    text: str


def rsasigkey(key):
    """A public RSA key as ipsec.conf has it: RFC 3110, in base64."""
    numbers = load_der_public_key(key.spki).public_numbers()
    exponent = numbers.e.to_bytes((numbers.e.bit_length() + 7) // 8, "big")
    modulus = numbers.n.to_bytes((numbers.n.bit_length() + 7) // 8, "big")
    return "0s" + base64.b64encode(bytes([len(exponent)]) + exponent + modulus).decode()


class Libreswan(Foreign):
    """Its configuration is ipsec.conf, one connection per `conn`."""

    PACKAGE = "libreswan"
    DAEMON = "pluto"
    LOG = "pluto.log"
    KEPT = ("stderr.log", "ipsec.conf")

    def __init__(self, *args):
        super().__init__(*args)
        self.run_folder = self.folder / "run"
        self.nss = self.folder / "nss"
        self.config = self.folder / "ipsec.conf"
        for folder in (self.run_folder, self.nss, self.folder / "policies"):
            folder.mkdir()
        self._tool("certutil", "-N", "-d", f"sql:{self.nss}", "--empty-password")

    @staticmethod
    def _tool(*argv):
        result = subprocess.run([str(word) for word in argv], capture_output=True, text=True, timeout=120)
        assert result.returncode == 0, f"{argv[0]}: {result.stdout}{result.stderr}"

    def own(self, key):
        """Give it a key pair: NSS takes private keys with a certificate only, whose key is all that is used of it."""
        self.key = key
        certificate, bundle = self.folder / "own.pem", self.folder / "own.p12"
        self._tool("openssl", "req", "-x509", "-new", "-key", key.path, "-subj", "/CN=own", "-days", "2", "-out", certificate)
        self._tool("openssl", "pkcs12", "-export", "-inkey", key.path, "-in", certificate, "-name", "own", "-passout", "pass:x",
                   "-keypbe", "NONE", "-certpbe", "NONE", "-nomaciter", "-out", bundle)
        self._tool("pk12util", "-i", bundle, "-W", "x", "-d", f"sql:{self.nss}", "-K", "")
        return self

    def configure(self, text):
        """Set its ipsec.conf: what comes after `config setup`."""
        self.config.write_text(CONFIG + text)
        return self

    # pluto

    def mounts(self):
        return [("mount", "--bind", self.tree / "usr/libexec", "/usr/libexec")]

    def launch(self):
        self.launch_program(
            ["/usr/libexec/ipsec/pluto", "--nofork", "--config", self.config, "--rundir", self.run_folder, "--nssdir", self.nss,
             "--ipsecdir", self.folder, "--secretsfile", "/dev/null", "--logfile", self.log_path, "--nhelpers", "1",
             "--use-xfrm"],
            "stderr.log",
        )
        return self

    def ready(self):
        """Wait until pluto listens, and load its connections, one at a time."""
        socket = self.run_folder / "pluto.ctl"
        self.wait_ready(lambda: socket.exists() and "listening for IKE messages" in self.whack("--listen").text)
        for name in re.findall(r"^conn (?!%)(\S+)", self.config.read_text(), re.MULTILINE):
            self.add(name)
        return self

    def add(self, connection):
        """Load a connection of ipsec.conf."""
        result = self.run(["/usr/libexec/ipsec/addconn", "--config", self.config, "--ctlsocket", self.run_folder / "pluto.ctl",
                           connection])
        assert result.returncode == 0, f"{connection}: {result.stdout}{result.stderr}"

    def whack(self, *args, timeout=60):
        result = self.run(["/usr/libexec/ipsec/whack", "--rundir", self.run_folder, *args], timeout)
        return Said(result.returncode == 0, result.stdout + result.stderr)

    def state(self):
        return self.whack("--status").text + self.whack("--trafficstatus").text

    # what every daemon can be made to do

    def begin(self):
        """Initiate what it has."""
        if not self.alive():
            self.start()
        self.whack("--initiate", "--asynchronous", "--name", "charon")

    def end(self):
        """Delete the IKE_SA with a peer."""
        self.whack("--terminate", "--name", "charon")

    def octets(self):
        """What its CHILD_SAs say they have carried: a list of (in, out)."""
        found = re.findall(r"type=ESP.*?inBytes=(\d+), outBytes=(\d+)", self.whack("--trafficstatus").text)
        return [(int(into), int(out)) for into, out in found]
