# SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception
"""An application asks through libbtns whom its own connection reaches, and hears of changes; nobody else's, nobody who may not."""

import hashlib
import os
import socket
import stat
import subprocess
import sys
import time

import pytest

from harness import libbtns
from harness.checks import connects, rekeys
from harness.libbtns import BARE, ENDPOINTS, PREFIXED, UNIQUE, Application, BtnsError, Connection, facts, serves, socket_of

NOBODY = 65534
NAMES = {ENDPOINTS: b"ipsec-ikev2-endpoints-sha256", UNIQUE: b"ipsec-ikev2-unique-sha256"}


def pair(world, **options):
    """Two strangers with application sockets."""
    hosts = [serves(world.host(name, key="ed25519", start=False), **options) for name in ("left", "right")]
    world.start(*hosts)
    return hosts


def endpoints(*keys):
    """The value by its definition."""
    digests = sorted(bytes.fromhex(key.fingerprint) for key in keys)
    return hashlib.sha256(NAMES[ENDPOINTS] + b"\0" + b"".join(digests)).digest()


def test_both_ends_are_told_the_same(world):
    left, right = pair(world)
    connects(left, "data")
    sa = left.sa("strangers")
    child = next(iter(sa["child-sas"].values()))
    with Connection(left, right) as connection:
        ours, theirs = facts(left, connection.client), facts(right, connection.server)
        for mine, other, host, peer in ((ours, theirs, left, right), (theirs, ours, right, left)):
            assert mine.protection == "protected"
            assert mine.reason == ""
            assert mine.confidentiality and mine.integrity
            assert mine.mode == "tunnel"
            assert mine.encryption_algorithm.startswith(child["encr-alg"]), (mine.encryption_algorithm, child)
            assert mine.peer_method == "btns"
            assert mine.authorized_id == peer.key.identity
            assert mine.peer_fingerprint == peer.key.fingerprint == hashlib.sha256(mine.peer_key).hexdigest()
            assert mine.local_fingerprint == host.key.fingerprint
            assert mine.inner == other.inner[::-1]
            assert mine.outer == other.outer[::-1]
            assert mine.outer == ((host.address, 4500), (peer.address, 4500))
            assert abs(mine.established - time.time()) < 60
            assert mine.bindings == other.bindings
        assert ours.inner == (connection.client.getsockname(), connection.client.getpeername())
        assert ours.bindings[ENDPOINTS, BARE] == endpoints(left.key, right.key)
        assert len(ours.bindings[UNIQUE, BARE]) == 32
        assert ours.bindings[UNIQUE, BARE] != ours.bindings[ENDPOINTS, BARE]
        for kind, name in NAMES.items():
            assert ours.bindings[kind, PREFIXED] == name + b":" + ours.bindings[kind, BARE]
            assert ours.reasons[kind] == ""
    world.check_transfer(left, right)


def test_udp_and_ipv4_in_an_ipv6_socket(world):
    left, right = pair(world)
    connects(left, "data")
    datagrams = left.namespace.socket(socket.AF_INET, socket.SOCK_DGRAM)
    mapped = left.namespace.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    with datagrams, mapped:
        for end, source, destination in ((datagrams, left.inner[0], right.inner[0]),
                                         (mapped, "::ffff:" + left.inner[0], "::ffff:" + right.inner[0])):
            end.bind((source, 0))
            end.connect((destination, 9))
            found = facts(left, end)
            assert found.protection == "protected"
            assert found.inner == ((left.inner[0], end.getsockname()[1]), (right.inner[0], 9))


def test_a_connection_beside_the_tunnel_is_unprotected(world):
    left, right = pair(world)
    connects(left, "data")
    with Connection(left, right, left.address, right.address) as connection:
        for host, end in ((left, connection.client), (right, connection.server)):
            found = facts(host, end)
            assert found.protection == "unprotected"
            assert found.reason
            assert found.authorized_id == found.peer_fingerprint == ""
            assert not found.confidentiality and not found.integrity
            assert found.outer == (None, None)
            assert found.peer_key is None
            assert not any(found.bindings.values())
            assert found.reasons[ENDPOINTS] == found.reasons[UNIQUE] == found.reason


def test_after_the_sa_is_gone_its_connection_is_unprotected(world):
    left, right = pair(world)
    connects(left, "data")
    with Connection(left, right) as connection:
        assert facts(left, connection.client).protection == "protected"
        left.swanctl("--terminate", "--ike", "strangers")
        right.wait_until(lambda: not right.sas(), "the SA is gone")
        assert facts(left, connection.client).protection == "unprotected"
        assert facts(right, connection.server).protection == "unprotected"


def test_who_watches_hears_of_it(world):
    left, right = pair(world)
    connects(left, "data")
    with Connection(left, right) as connection, Application(socket_of(left)) as application:
        watch = application.watch(connection.client)
        before = application.find(connection.client)
        for what in ("ike", "child"):
            rekeys(left, right, what)
        left.swanctl("--terminate", "--ike", "strangers")
        # rekeying is no event: this comes first
        assert application.event() == (watch, "unprotected")
        connects(left, "data")
        assert application.event() == (watch, "protected")
        after = application.find(connection.client)
        assert after.bindings[ENDPOINTS, BARE] == before.bindings[ENDPOINTS, BARE]
        assert after.bindings[UNIQUE, BARE] != before.bindings[UNIQUE, BARE]
        left.close()
        assert application.event() == (0, "closed")
        with pytest.raises(BtnsError, match="EDAEMON"):
            application.find(connection.client)


def test_a_socket_of_another_namespace_is_refused(world):
    """What its addresses mean there is not what they mean here: right's end looks like a connection of left's own."""
    left, right = pair(world)
    connects(left, "data")
    with Connection(left, right) as connection:
        for host, end in ((left, connection.server), (right, connection.client)):
            with pytest.raises(BtnsError, match="ESOCKET"):
                facts(host, end)


def test_what_is_no_connection_is_refused(world):
    left, _ = pair(world)
    listener = left.namespace.socket(socket.AF_INET, socket.SOCK_STREAM)
    unconnected = left.namespace.socket(socket.AF_INET, socket.SOCK_DGRAM)
    unix = socket.socketpair()
    with listener, unconnected, unix[0], unix[1], open("/dev/null") as null:
        listener.listen()
        for what in (listener, unconnected, unix[0], null):
            with pytest.raises(BtnsError, match="ESOCKET"):
                facts(left, what)


ASK = """
import os, sys
sys.path.insert(0, sys.argv[1])
from harness import libbtns
libbtns.library()
os.setgroups([int(sys.argv[3])] if sys.argv[3] else [])
os.setgid(65534)
os.setuid(65534)
try:
    libbtns.Application(sys.argv[2])
except libbtns.BtnsError as error:
    sys.exit(error.name)
"""


def ask_as_nobody(host, group=""):
    """The error that a user gets who is in a group, empty for none."""
    return subprocess.run([sys.executable, "-c", ASK, libbtns.paths.SCENARIOS, socket_of(host), str(group)],
                          capture_output=True, text=True, timeout=20).stderr.strip()


def test_only_the_group_may_ask(world):
    group = 4711
    left = serves(world.host("left", key="ed25519", start=False), group=group)
    for folder in (world.session, world.folder, left.folder):
        folder.chmod(0o711)
    left.start()
    info = os.stat(socket_of(left))
    assert stat.S_ISSOCK(info.st_mode)
    assert (info.st_uid, info.st_gid, stat.S_IMODE(info.st_mode)) == (0, group, 0o660)
    assert ask_as_nobody(left) == "EACCES"
    assert ask_as_nobody(left, group + 1) == "EACCES"
    assert ask_as_nobody(left, group) == ""

    left.btns["socket_mode"] = "0600"
    left.reload_options()
    assert ask_as_nobody(left, group) == "EACCES"
    Application(socket_of(left)).close()


def test_there_is_a_socket_only_while_the_options_say_so(world):
    left = world.host("left", key="ed25519")
    assert not socket_of(left).exists()
    with pytest.raises(BtnsError, match="ENODAEMON"):
        Application(socket_of(left))

    serves(left).reload_options()
    with Application(socket_of(left)) as application:
        left.reload_options()
        with pytest.raises(BtnsError, match="ESOCKET"):
            application.find(0)

        other = left.folder / "other.sock"
        left.btns["socket"] = other
        left.reload_options()
        assert application.event() == (0, "closed")
    assert not socket_of(left).exists()
    Application(other).close()

    for option, bad in (("socket", "relative"), ("socket_mode", "0999"), ("socket_group", "no such group")):
        left.btns = {"socket": other, option: bad}
        mark = len(left.log())
        left.swanctl("--reload-settings", check=False)
        left._write_strongswan_conf()
        left.swanctl("--reload-settings", check=False)
        left.wait_log("there is no application socket", start=mark)
        assert not other.exists(), option
    left.btns = {"socket": other}
    left.reload_options()
    Application(other).close()

    assert left.close() == 0
    assert not other.exists()


def test_what_is_in_its_place_stays(world):
    left = serves(world.host("left", key="ed25519", start=False))
    socket_of(left).write_text("important")
    left.start()
    assert "is no socket; applications are not served" in left.log()
    assert socket_of(left).read_text() == "important"
    assert left.stats()["peers"] == 0
    socket_of(left).unlink()

    # what a charon that was killed has left is replaced
    left.reload_options()
    left.process.kill()
    left.close()
    assert socket_of(left).exists()
    left.start()
    Application(socket_of(left)).close()
