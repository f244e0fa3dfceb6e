# SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception
"""Programs that know nothing of latches, run by btns-run: all that they transfer is protected, by the SAs of one peer, and
what cannot be is refused or reported, as btns-run was told."""

import contextlib
import os
import shutil
import struct
import subprocess
from pathlib import Path

import pytest
from harness.btns_run import FOLDER, Program, Server, children_of, command, run
from harness.latches import latches, listed, nothing_is_left
from harness.world import MARKER

from worlds import CLIENT, PORT, SERVER, client_conf, one, server_conf

OPEN = 4080
"""A port that policy lets pass in the clear."""

PAYLOAD = MARKER * 20000
WORKERS = "www-data"
"""Who nginx's workers are."""

NGINX = """
user {user};
daemon off;
worker_processes 2;
pid {folder}/pid;
events {{
	worker_connections 64;
}}
http {{
	access_log off;
	sendfile on;
	{temporary}
	server {{
		{listen}
		root {folder}/www;
	}}
}}
"""

SSHD = """
Port {port}
ListenAddress {address}
HostKey {folder}/host
AuthorizedKeysFile {folder}/client.pub
PidFile none
PermitRootLogin yes
PasswordAuthentication no
StrictModes no
UsePAM no
UseDNS no
"""


def pair(world):
    """A client whose first packet sets up SAs, and a server. Programs get to the application sockets without being root,
    if they are of the workers' group."""
    left = latches(world.host("left", client_conf(world), "ed25519", start=False))
    right = latches(world.host("right", server_conf(world), "ed25519", start=False))
    for folder in (world.session, world.folder, left.folder, right.folder):
        folder.chmod(0o711)
    for host in (left, right):
        host.btns["socket_group"] = WORKERS
    world.start(left, right)
    return left, right


class Nginx(Server):
    """A master and two workers, who give up the master's rights, and a file."""

    def __init__(self, host, *options, ports=(PORT,), **how):
        folder = host.folder / "nginx"
        (folder / "www").mkdir(parents=True, exist_ok=True)
        (folder / "www" / "file").write_bytes(PAYLOAD)
        kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        (folder / "nginx.conf").write_text(NGINX.format(
            folder=folder, user=WORKERS,
            temporary="\n\t".join(f"{kind}_temp_path {folder}/{kind};" for kind in kinds),
            listen="\n\t\t".join(f"listen {SERVER}:{port};" for port in ports),
        ))
        self.log = folder / "error.log"
        argv = ["nginx", "-e", self.log, "-p", folder, "-c", folder / "nginx.conf"]
        super().__init__(host, argv, *options, address=SERVER, port=ports[-1], **how)


def curl(port=PORT, *options):
    return ["curl", "-q", "-sS", "--noproxy", "*", *options, f"http://{SERVER}:{port}/file"]


def starts(client):
    """The first octets that a client gets, of more than a pipe takes: its connection stays as long as it is not read."""
    beginning = client.read(1000)
    assert beginning == PAYLOAD[:1000], client.said()
    return beginning


def established(host):
    return [latch for latch in listed(host) if latch["state"] == "established"]


def are_latched(left, right, count=1):
    """So many connections, and nothing else than listeners, each end latched to the other's key."""
    for host, peer in ((left, right), (right, left)):
        host.wait_until(lambda: len(established(host)) == count, f"{count} latches are established", timeout=30)
        assert {latch["state"] for latch in listed(host)} <= {"established", "listener"}, listed(host)
        for latch in established(host):
            assert latch["peer-fingerprint"] == peer.key.fingerprint and latch["peer-method"] == "btns", latch
            assert latch["mode"] == "transport" and latch["remote"] == peer.address, latch
    ports = [{(latch[local], latch[remote]) for latch in established(host)}
             for host, local, remote in ((left, "local-port", "remote-port"), (right, "remote-port", "local-port"))]
    assert ports[0] == ports[1] and {there for _, there in ports[0]} == {str(PORT)}, ports


def only_listens(host):
    host.wait_until(lambda: [latch["state"] for latch in listed(host)] == ["listener"], "only the listener is left", timeout=30)


def is_protected(capture):
    """ESP went both ways, and nothing else."""
    capture.stop()
    capture.assert_esp_only((CLIENT, SERVER), [MARKER])


def nothing_is_sent(capture):
    """By the client, but IKE."""
    capture.stop()
    strays = [packet for packet in capture.packets if packet.kind in ("esp", "other") and packet.source == CLIENT]
    assert not strays, strays[:3]


def test_curl_and_nginx(world):
    """The master listens, workers without its rights accept, several connections at the same time."""
    left, right = pair(world)
    capture = world.capture()
    with Nginx(right) as nginx, contextlib.ExitStack() as stack:
        assert one(right, "listener")["local-port"] == str(PORT)
        clients = [stack.enter_context(Program(left, curl())) for _ in range(4)]
        begun = [starts(client) for client in clients]
        are_latched(left, right, len(clients))
        listener = one(right, "listener")
        assert {latch["listener"] for latch in established(right)} == {listener["latch"]}
        assert listener["client"] not in {latch["client"] for latch in established(right)}, "the workers are clients themselves"
        for client, beginning in zip(clients, begun):
            assert beginning + client.read(1 << 30) == PAYLOAD
            assert client.ends() == 0 and client.said() == ""
        nothing_is_left(left, 30)
        only_listens(right)
        assert nginx.said() == ""
    nothing_is_left(right, 30)
    is_protected(capture)


def test_curl_that_is_refused_and_reported(world):
    left, right = pair(world)
    with Nginx(right, ports=(OPEN, PORT), latched=False):
        capture = world.capture()
        status, output, said = run(left, curl(OPEN))
        assert status in (7, 28) and output == b"", (status, said)
        assert f"]: connection to {SERVER} port {OPEN} refused: " in said and "btns-run: curl[" in said, said
        nothing_is_sent(capture)

        capture = world.capture()
        status, output, said = run(left, curl(OPEN), "--report")
        assert status == 0 and output == PAYLOAD
        assert f"]: connection to {SERVER} port {OPEN} has no latch: " in said, said
        status, output, said = run(left, curl(OPEN), "--except", str(OPEN))
        assert status == 0 and output == PAYLOAD and said == "", said
        capture.stop()
        assert any(MARKER in frame for frame in capture.frames), "the control: what is in the clear is seen"

        for wrong in (("--auth", "authenticated"), ("--peer-key", f"sha256:{left.key.fingerprint}")):
            status, output, said = run(left, curl(), *wrong)
            assert status == 7 and output == b"", (status, said)
            assert f"]: connection to {SERVER} port {PORT} refused: " in said, said
        status, output, said = run(left, curl(), "--auth", "any", "--peer-key", f"sha256:{right.key.fingerprint}")
        assert status == 0 and output == PAYLOAD and said == "", said
    nothing_is_left(left, 30)
    nothing_is_left(right, 30)


def test_nginx_that_refuses_and_reports(world):
    """What no SA protects does not get to a listener that is latched."""
    left, right = pair(world)
    with Nginx(right, ports=(OPEN, PORT)):
        capture = world.capture()
        status, output, said = run(left, curl(OPEN, "--connect-timeout", "3"), latched=False)
        assert status == 28 and output == b"", said
        capture.stop()
        assert capture.count("other", CLIENT, SERVER) and not capture.count("other", SERVER, CLIENT)
        status, output, said = run(left, curl())
        assert status == 0 and output == PAYLOAD, said
    nothing_is_left(right, 30)
    log = right.folder / "latches.log"
    log.touch()
    log.chmod(0o666)
    with Nginx(right, "--report", "--log", log, ports=(OPEN, PORT)):
        status, output, said = run(left, curl(OPEN), latched=False)
        assert status == 0 and output == PAYLOAD, said
        (line,) = log.read_text().splitlines()
        assert line.startswith("btns-run: nginx") and f"]: connection from {CLIENT} port " in line and " has no latch: " in line
        with Program(left, curl()) as client:
            starts(client)
            are_latched(left, right)
        assert log.read_text().splitlines() == [line]
    nothing_is_left(left, 30)
    nothing_is_left(right, 30)


def test_curl_and_nginx_are_killed(world):
    left, right = pair(world)
    capture = world.capture()
    with Nginx(right) as nginx:
        with Program(left, curl()) as client:
            starts(client)
            are_latched(left, right)
            client.kill()
            nothing_is_left(left, 30)
            only_listens(right)
        workers = children_of(nginx.pid)
        assert len(workers) == 2
        nginx.kill(all=False)
        with Program(left, curl()) as client:
            beginning = starts(client)
            are_latched(left, right)
            assert one(right, "listener"), "the workers have it"
            assert beginning + client.read(1 << 30) == PAYLOAD and client.ends() == 0
        with Program(left, curl()) as client:
            starts(client)
            are_latched(left, right)
            nginx.kill()
            nothing_is_left(right, 30)
    nothing_is_left(left, 30)
    is_protected(capture)


def netcat(left, right):
    """A server and a client, latched and connected."""
    stack = contextlib.ExitStack()
    server = stack.enter_context(Server(right, ["nc.openbsd", "-l", SERVER, PORT], address=SERVER, port=PORT))
    client = stack.enter_context(Program(left, ["nc.openbsd", "-N", SERVER, str(PORT)]))
    return stack, server, client


def test_netcat(world):
    left, right = pair(world)
    capture = world.capture()
    stack, server, client = netcat(left, right)
    with stack:
        for here, there in ((client, server), (server, client)):
            here.write(MARKER * 100)
            assert there.read(len(MARKER) * 100) == MARKER * 100
            are_latched(left, right)
        server.end_input()
        client.end_input()
        assert client.read(1) == b"" and client.ends() == 0 and client.said() == ""
        assert server.read(1) == b"" and server.ends() == 0 and server.said() == ""
    nothing_is_left(left, 30)
    nothing_is_left(right, 30)
    is_protected(capture)


@pytest.mark.parametrize("killed", ["client", "server"])
def test_netcat_is_killed(world, killed):
    left, right = pair(world)
    capture = world.capture()
    stack, server, client = netcat(left, right)
    with stack:
        client.write(MARKER)
        assert server.read(len(MARKER)) == MARKER
        are_latched(left, right)
        gone, other = (client, server) if killed == "client" else (server, client)
        gone.kill()
        nothing_is_left(gone.host, 30)
        # it may still have something to say, if the reset of the daemon came after the kernel's FIN was acknowledged
        other.end_input()
        assert other.read(1) == b"", "the connection has ended"
        other.ends()
    nothing_is_left(left, 30)
    nothing_is_left(right, 30)
    is_protected(capture)


def test_netcat_that_is_refused(world):
    """With nobody there who could set up SAs nothing leaves, of whatever is typed."""
    left, right = pair(world)
    right.terminate()
    right.reap()
    capture = world.capture()
    with Program(left, ["nc.openbsd", "-N", SERVER, str(PORT)], "--timeout", "2") as client:
        client.write(MARKER)
        assert client.ends() != 0
        assert f"]: connection to {SERVER} port {PORT} refused: " in client.said(), client.said()
    nothing_is_left(left, 30)
    nothing_is_sent(capture)
    assert capture.exchanges(34), "IKE was tried"


class Ssh:
    """A host key and a client's, an sshd on the right host, and clients on the left one."""

    def __init__(self, left, right):
        self.left = left
        self.folder = right.folder / "ssh"
        self.folder.mkdir()
        for name in ("host", "client"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self.folder / name], check=True, timeout=60)
        (self.folder / "known").write_text(f"[{SERVER}]:{PORT} {(self.folder / 'host.pub').read_text()}")
        (self.folder / "sshd_config").write_text(SSHD.format(folder=self.folder, address=SERVER, port=PORT))
        # the guest's, which is thrown away
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        subprocess.run(["usermod", "--password", "*", "root"], check=True, timeout=60)
        self.server = Server(right, ["/usr/sbin/sshd", "-D", "-e", "-f", self.folder / "sshd_config"], address=SERVER, port=PORT)

    def client(self, *command):
        options = ("BatchMode=yes", "IdentitiesOnly=yes", f"UserKnownHostsFile={self.folder}/known", "GlobalKnownHostsFile=none",
                   "KexAlgorithms=curve25519-sha256", "ConnectTimeout=60")
        return Program(self.left, ["ssh", "-F", "none", "-T", "-p", PORT, "-i", self.folder / "client",
                                   *(word for option in options for word in ("-o", option)), f"root@{SERVER}", *command])


def test_ssh(world):
    """sshd executes itself anew for each connection; the latch stays, since who listens has it."""
    left, right = pair(world)
    capture = world.capture()
    ssh = Ssh(left, right)
    with ssh.server, ssh.client("cat") as client:
        client.write(MARKER)
        assert client.read(len(MARKER)) == MARKER, (client.said(), ssh.server.said())
        are_latched(left, right)
        assert one(right, "listener")["client"] == one(right, "established")["client"]
        client.write(MARKER * 1000)
        assert client.read(len(MARKER) * 1000) == MARKER * 1000
        client.end_input()
        assert client.read(1) == b"" and client.ends() == 0, client.said()
        nothing_is_left(left, 30)
        only_listens(right)
    nothing_is_left(right, 30)
    is_protected(capture)


@pytest.mark.parametrize("killed", ["client", "server"])
def test_ssh_is_killed(world, killed):
    """With sshd that listens go the latches, and so the connections that others serve by now: they are reset."""
    left, right = pair(world)
    capture = world.capture()
    ssh = Ssh(left, right)
    with ssh.server, ssh.client("cat") as client:
        client.write(MARKER)
        assert client.read(len(MARKER)) == MARKER, (client.said(), ssh.server.said())
        are_latched(left, right)
        if killed == "client":
            client.kill()
            nothing_is_left(left, 30)
            only_listens(right)
        else:
            ssh.server.kill()
            nothing_is_left(right, 30)
            assert client.read(1) == b"" and client.ends() == 255, client.said()
    nothing_is_left(left, 30)
    nothing_is_left(right, 30)
    is_protected(capture)


def unprivileged(*argv):
    return ["setpriv", f"--reuid={WORKERS}", f"--regid={WORKERS}", "--clear-groups", "--", *argv]


def test_what_cannot_be_held_is_not_run(world):
    left, _ = pair(world)

    def is_not_run(argv, why, *options):
        status, output, said = run(left, argv, *options)
        assert status == 126 and output == b"" and why in said and said.startswith("btns-run: "), (status, output, said)

    for option in ("--require", "--report"):
        is_not_run(["busybox", "echo", "runs"], "busybox is statically linked: it loads no library", option)
    script = left.folder / "script"
    script.write_text("#!/bin/busybox sh\necho runs\n")
    script.chmod(0o755)
    is_not_run([script], "busybox is statically linked")
    # as somebody else's with root, and as root's with somebody else
    setuid = left.folder / "setuid-echo"
    shutil.copy2("/bin/echo", setuid)
    os.chown(setuid, 1, 1)
    setuid.chmod(0o4755)
    is_not_run([setuid, "runs"], "setuid-echo gains rights when it starts (setuid, setgid, capabilities)")
    capable = left.folder / "capable-echo"
    shutil.copy2("/bin/echo", capable)
    os.setxattr(capable, "security.capability", struct.pack("<5I", 0x02000001, 1 << 13, 0, 0, 0))
    folder = left.folder / "btns-run"
    folder.mkdir(mode=0o755)
    for name in ("btns-run", "libbtns-run.so"):
        shutil.copy2(FOLDER / name, folder)
    for argv in (["su", "--version"], [capable, "runs"]):
        status, output, said = run(left, unprivileged(*command(left, argv, folder=folder)), latched=False)
        assert status == 126 and output == b"" and "gains rights when it starts" in said, (status, output, said)
    status, output, said = run(left, unprivileged(*command(left, ["echo", "runs"], folder=folder)), latched=False)
    assert (status, output, said) == (0, b"runs\n", ""), "the control"
