# SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception
"""Whatever users do to the application socket, charon serves its peers, honest applications are served, and nothing is left."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from harness import load
from harness.checks import connects
from harness.libbtns import Application, BtnsError, Connection, facts, serves, socket_of

ATTACKER = Path(__file__).parent / "attacker.py"
ATTACKS = ("wrong_descriptors", "garbage", "half_messages", "many_connections", "never_reading", "asking_fast",
           "coming_and_going")
SEED = "1"
TOLERANCE_KIB = 4096


class Attack:
    """An attack under way."""

    def __init__(self, host, name, *more):
        self.name = name
        self.process = subprocess.Popen([sys.executable, ATTACKER, socket_of(host), name, SEED, *more], text=True,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        self.process.stderr.close()

    def is_over(self):
        return self.process.poll() is not None

    def check(self, timeout=60):
        """It went well, as far as the attacker is concerned: it did what it wanted to do."""
        did, said = self.process.communicate(timeout=timeout)
        assert self.process.returncode == 0, f"{self.name}: {said}"
        assert int(did) > 0, self.name


def pair(world):
    """Strangers; anybody on the right host may connect to its application socket."""
    left = world.host("left", key="ed25519", start=False)
    right = serves(world.host("right", key="ed25519", start=False), mode="0666")
    for folder in (world.session, world.folder, right.folder):
        folder.chmod(0o711)
    world.start(left, right)
    return left, right


def peer_comes_and_goes(left, right):
    connects(left, "data")
    left.swanctl("--terminate", "--ike", "strangers")
    right.wait_until(lambda: not right.sas(), "the SA is gone")


def peer_comes_again(left, right):
    """The SA is set up anew."""
    left.swanctl("--terminate", "--ike", "strangers")
    right.wait_until(lambda: not right.sas(), "the SA is gone")
    connects(left, "data")


def is_quiet(host):
    stats = host.stats()
    return stats["app-clients"] == stats["app-watches"] == 0


def measure(host):
    """Descriptors of charon, and of those threads that have a table of their own; resident memory."""
    host.wait_until(lambda: is_quiet(host), "nobody is connected")
    pid = host.process.pid
    tables = {len(list((task / "fd").iterdir())) for task in Path("/proc", str(pid), "task").iterdir()}
    return sorted(tables), load.resident_kib(pid)


def attack(left, right, names):
    """Attacks at the same time, while peers come and go. Returns how many did."""
    peers = 0
    running = [Attack(right, name) for name in names]
    try:
        while not all(one.is_over() for one in running):
            peer_comes_and_goes(left, right)
            peers += 1
        for one in running:
            one.check()
    finally:
        for one in running:
            one.__exit__()
    return peers


def test_all_at_once(world):
    left, right = pair(world)
    attack(left, right, ATTACKS)
    tables, resident = measure(right)
    assert len(tables) == 2, "the threads that serve have a table of their own"

    assert attack(left, right, ATTACKS) > 0
    tables_now, resident_now = measure(right)
    assert tables_now == tables
    assert resident_now <= resident + TOLERANCE_KIB, (resident, resident_now)
    stats = right.stats()
    assert stats["app-refused"] > 1000, stats
    # bounded, however many there were
    assert right.log().count("application socket:") < 5 * 120
    connects(left, "data")
    with Connection(left, right) as connection:
        assert facts(right, connection.server).protection == "protected"
    world.check_transfer(left, right)


@pytest.mark.parametrize("name", ATTACKS)
def test_an_honest_application_is_served_meanwhile(world, name):
    left, right = pair(world)
    connects(left, "data")
    with Connection(left, right) as connection, Attack(right, name) as running:
        with Application(socket_of(right)) as application:
            while not running.is_over():
                assert application.find(connection.server).protection == "protected"
                # those who come anew have to be served, too
                assert facts(right, connection.server).protection == "protected"
                time.sleep(0.01)
        running.check()


def test_a_socket_that_lingers(world):
    """Closing it would take an hour: who did that waits, nobody else does."""
    left, right = pair(world)
    connects(left, "data")
    with Connection(left, right) as connection, Attack(right, "lingering") as running:
        assert running.process.stdout.readline() == "handed over\n"
        right.wait_log("what user 65534 has handed over cannot be asked or closed; this user has to wait")
        assert facts(right, connection.server).protection == "protected"
        peer_comes_again(left, right)
    # then the thread comes back, and so may the user
    right.wait_until(lambda: is_quiet(right), "nobody is connected")
    Attack(right, "wrong_descriptors").check()


def has_ended(process):
    """All but threads that nothing can end."""
    return Path("/proc", str(process.pid), "stat").read_text().rpartition(")")[2].split()[0] == "Z"


def test_a_file_of_a_silent_file_system(world, tmp_path):
    """Nothing can end the thread that closes it. charon serves peers, it can end, and the next one can begin."""
    left, right = pair(world)
    connects(left, "data")
    with Connection(left, right) as connection, Attack(right, "silent_file", str(tmp_path)) as running:
        assert running.process.stdout.readline() == "handed over\n", running.process.stderr.read()
        right.wait_log("what user 0 has handed over cannot be asked or closed; this user has to wait")
        # that is who the tests are, too
        with pytest.raises(BtnsError, match="EBUSY"):
            facts(right, connection.server)
        peer_comes_again(left, right)

        stuck = right.process
        right.terminate()
        deadline = time.monotonic() + 20
        while not has_ended(stuck):
            assert time.monotonic() < deadline, "charon does not end"
            time.sleep(0.05)
        assert not socket_of(right).exists()
        right.process = None
        right.start()
        left.wait_until(lambda: not left.sas(), "charon has taken its leave")
        connects(left, "data")
        assert facts(right, connection.server).protection == "protected"
    assert stuck.wait(10) == 0
