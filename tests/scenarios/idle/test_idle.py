# SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception
"""A stranger whose CHILD_SA carries nothing goes after a while, and so does one without a CHILD_SA; one that is busy stays,
though it rekeys."""

import threading

from harness import ikev2
from harness.checks import connects, is_stranger
from harness.host import transfer

IDLE = 8
"""Seconds. The busy one sends much more often, on a loaded machine, too."""


class Busy(threading.Thread):
    """Sends something again and again, and rekeys its CHILD_SA."""

    def __init__(self, left, right):
        super().__init__(daemon=True)
        self.hosts = left, right
        self.rounds = 0
        self.error = None
        self.end = threading.Event()
        self.start()

    def run(self):
        left, right = self.hosts
        try:
            while not self.end.wait(0.3) and self.rounds < 300:
                transfer(left, right, b"busy")
                if self.rounds % 5 == 0:
                    left.swanctl("--rekey", "--child", "data")
                self.rounds += 1
        except Exception as error:  # told by stop()
            self.error = error

    def stop(self):
        self.end.set()
        self.join()
        if self.error:
            raise self.error


def comes(host, right, key, address):
    """A stranger that says nothing more once it is there."""
    answer = ikev2.attempt(host.namespace, host.address, right.address, [(ikev2.SPKI, key.spki)], ikev2.Signer(key.path),
                           address=address)
    assert answer.authenticated, answer
    return next(peer["uniqueid"] for peer in right.peers() if peer["fingerprint"] == key.fingerprint)


def test_who_is_idle_goes_and_who_is_busy_stays(world):
    left = world.host("left", key="ed25519", start=False, btns={"idle_timeout": 1, "childless_timeout": 1})
    right = world.host("right", key="ed25519", start=False, btns={"idle_timeout": IDLE, "childless_timeout": IDLE // 2})
    third = world.host("third", conf="", start=False)
    world.start(left, right)
    connects(left, "data")
    peer = is_stranger(right, "strangers", left.key)
    busy = Busy(left, right)
    try:
        idle = comes(third, right, world.keys.key("ed25519"), "10.66.129.3")
        childless = comes(third, right, world.keys.key("ed25519"), "10.1.1.1")
        assert {one["uniqueid"]: one["child-sas"] for one in right.peers()} == {peer["uniqueid"]: "1", idle: "1", childless: "0"}
        right.rejected("childless", timeout=40, uniqueid=childless)
        right.rejected("idle", timeout=40, uniqueid=idle)
    finally:
        busy.stop()
    assert busy.rounds
    right.wait_until(lambda: len(right.peers()) == 1, "both are gone")
    assert is_stranger(right, "strangers", left.key)["uniqueid"] == peer["uniqueid"]
    # whom it has connected to itself, the left host leaves alone
    assert left.stats()["refused"] == 0, left.stats()
