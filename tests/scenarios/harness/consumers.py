# SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception
"""The programs of examples/ on hosts of a scenario: a server, and clients that log in to it, by SCRAM or by Kerberos."""

import dataclasses
import os
import re
import subprocess
import time

from . import paths

USER, PASSWORD = "alice", "correct horse battery staple"
REALM = "BTNS.TEST"
SERVICE = "server.btns.test"
CLIENT_SAYS = "what only the server may read: 4f1c"
SERVER_SAYS = "what only alice may read: 9d07"
SECRETS = [CLIENT_SAYS.encode(), SERVER_SAYS.encode()]
"""What must be where it is meant for, and nowhere else."""

INSECURE = "--insecure-without-binding"
IN_THE_MIDDLE = "somebody is in the middle"
SYN, ACK = 0x02, 0x10
BINDING = re.compile(r"^ipsec-ikev2-endpoints-sha256 ([0-9a-f]{64})$", re.M)


def socket_path(host):
    """Where applications of a host ask about their connections."""
    return host.folder / "btns.sock"


def with_socket(*hosts):
    """Let applications ask, on hosts that are not started yet."""
    for host in hosts:
        host.btns["socket"] = socket_path(host)
    return hosts


def pair(world):
    """The usual two hosts, on which applications may ask."""
    hosts = [world.host(name, key="ed25519", start=False) for name in ("left", "right")]
    world.start(*with_socket(*hosts))
    return hosts


def tcp_data(segment):
    """What is in a TCP segment after its header."""
    return segment[(segment[12] >> 4) * 4:] if len(segment) >= 20 else b""


def count_data(capture):
    """How many TCP connections were begun in clear on a wire, and how many segments had data in them."""
    segments = [packet.payload for packet in capture.packets if packet.kind == "other" and len(packet.payload) >= 20]
    begun = sum(1 for segment in segments if segment[13] & SYN and not segment[13] & ACK)
    return begun, sum(1 for segment in segments if tcp_data(segment))


@dataclasses.dataclass
class Login:
    """What became of a client."""

    status: int
    said: str

    @property
    def succeeded(self):
        """It got what it came for."""
        return self.status == 0 and f"received: {SERVER_SAYS}" in self.said

    @property
    def refusal(self):
        """Why it went no further, in its own words; None if it did not refuse."""
        found = re.search(r"^REFUSED: (.*)$", self.said, re.M)
        return found and found[1]

    @property
    def binding(self):
        found = BINDING.search(self.said)
        return found and found[1]


class Server:
    """One of the servers, until it is closed."""

    def __init__(self, host, argv, environment):
        self.path = host.folder / f"{os.path.basename(argv[0])}.log"
        self.path.touch()
        self.seen = self.path.stat().st_size
        with open(self.path, "ab") as log:
            self.process = host.namespace.popen(argv, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.wait("waiting at")

    @property
    def said(self):
        """What it said since it was forgotten."""
        return self.path.read_bytes()[self.seen:].decode()

    def forget(self):
        self.seen = self.path.stat().st_size

    def wait(self, text, timeout=10):
        """Wait until it has said something."""
        deadline = time.monotonic() + timeout
        while text not in self.said:
            assert time.monotonic() < deadline, f"the server does not say {text!r}, but: {self.said}"
            time.sleep(0.02)

    @property
    def binding(self):
        found = BINDING.search(self.said)
        return found and found[1]

    def close(self):
        self.process.kill()
        self.process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Consumer:
    """A client and a server that log in to each other.

    @param client	the host of the client
    @param server	the host of the server
    """

    port = 0

    def __init__(self, client, server):
        self.client = client
        self.server = server

    def serve(self, *options, address=None):
        """Start the server, at its inner address unless another one is given."""
        argv = self._argv("server", self.server, options, address or self.server.inner[0])
        return Server(self.server, [*argv, *self.server_arguments(), SERVER_SAYS], self.environment(self.server))

    def login(self, *options, address=None, password=PASSWORD, socket=None):
        """Run the client, as the user."""
        argv = self._argv("client", self.client, options, address or self.server.inner[0], socket)
        return Login(*self._run(self.client, [*argv, *self.client_arguments(), CLIENT_SAYS], password))

    def _argv(self, role, host, options, address, socket=None):
        program = paths.CONSUMERS / f"{self.name}-{role}"
        assert program.exists(), f"{program} is missing: ninja -C build, with libsasl2-dev and libkrb5-dev"
        return [str(program), *options, "--btns", str(socket or socket_path(host)), address, str(self.port)]

    def _run(self, host, argv, typed="", timeout=30):
        process = host.namespace.popen(argv, env=self.environment(host), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                       stderr=subprocess.STDOUT)
        try:
            said, _ = process.communicate(typed.encode() + b"\n", timeout)
        finally:
            process.kill()
            process.wait()
        return process.returncode, said.decode(errors="replace")

    def environment(self, host):
        return {**os.environ, "LC_ALL": "C"}

    def close(self):
        pass


class Scram(Consumer):
    """SCRAM-SHA-256-PLUS, with a database of its own."""

    name = "scram"
    port = 7777

    def __init__(self, client, server):
        super().__init__(client, server)
        self.database = server.folder / "users.sasldb"
        subprocess.run(["saslpasswd2", "-c", "-p", "-f", self.database, "-u", "btns-example", USER], check=True,
                       input=PASSWORD.encode())

    def server_arguments(self):
        return [str(self.database)]

    def client_arguments(self):
        return [USER]


KRB5_CONF = """
[libdefaults]
	default_realm = {realm}
	dns_lookup_kdc = false
	dns_lookup_realm = false
	dns_canonicalize_hostname = false
	rdns = false
	# a ticket is got by SPAKE, which tells nobody anything about the password
	spake_preauth_groups = edwards25519
[realms]
	{realm} = {{
		kdc = {kdc}
		disable_encrypted_timestamp = true
	}}
"""

KDC_CONF = """
[realms]
	{realm} = {{
		database_name = {folder}/principal
		key_stash_file = {folder}/stash
		acl_file = {folder}/acl
		kdc_listen = {address}
		kdc_tcp_listen = {address}
	}}
[logging]
	kdc = FILE:{folder}/kdc.log
"""


class Kerberos(Consumer):
    """Kerberos through GSS-API, with a realm and a KDC of its own.

    @param kdc	the host of the KDC, to whose address both others have a way
    """

    name = "gss"
    port = 7778

    def __init__(self, client, server, kdc):
        super().__init__(client, server)
        self.kdc = kdc
        self.folder = kdc.folder / "kdc"
        self.folder.mkdir()
        (self.folder / "krb5.conf").write_text(KRB5_CONF.format(realm=REALM, kdc=kdc.address))
        (self.folder / "kdc.conf").write_text(KDC_CONF.format(realm=REALM, address=kdc.address, folder=self.folder))
        self._admin(["kdb5_util", "create", "-s", "-P", "only for this test"])
        self._admin(["kadmin.local"],
                    f'addprinc +requires_preauth -pw "{PASSWORD}" {USER}\naddprinc -randkey host/{SERVICE}\n'
                    f"ktadd -k {self.folder}/keytab host/{SERVICE}\n")
        self.process = kdc.namespace.popen(["krb5kdc", "-n"], env=self.environment(kdc), stdin=subprocess.DEVNULL,
                                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 10
        while "commencing operation" not in self._log():
            assert self.process.poll() is None and time.monotonic() < deadline, f"the KDC does not start: {self._log()}"
            time.sleep(0.02)

    def _admin(self, argv, typed=""):
        done = subprocess.run(argv, env=self.environment(self.kdc), input=typed, capture_output=True, text=True, timeout=30)
        assert done.returncode == 0, done.stdout + done.stderr

    def _log(self):
        path = self.folder / "kdc.log"
        return path.read_text() if path.exists() else ""

    def environment(self, host):
        return {
            **super().environment(host),
            "PATH": os.environ.get("PATH", "") + ":/usr/sbin",
            "KRB5_CONFIG": str(self.folder / "krb5.conf"),
            "KRB5_KDC_PROFILE": str(self.folder / "kdc.conf"),
            "KRB5_KTNAME": str(self.folder / "keytab"),
            "KRB5CCNAME": f"FILE:{host.folder}/tickets",
            "KRB5RCACHEDIR": str(host.folder),
        }

    def kinit(self, password=PASSWORD):
        """The user gets a ticket. Returns the exit status and what kinit said."""
        return self._run(self.client, ["kinit", USER], password)

    def login(self, *options, ticket=True, **more):
        """The same, with a fresh ticket unless there is to be none."""
        if ticket:
            status, said = self.kinit()
            assert status == 0, said
        return super().login(*options, **more)

    def server_arguments(self):
        return []

    def client_arguments(self):
        return [f"host@{SERVICE}"]

    def close(self):
        self.process.kill()
        self.process.wait()
