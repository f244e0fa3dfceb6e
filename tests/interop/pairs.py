# SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception
"""What every pair of a charon and another daemon has to do, whatever they authenticate with."""

import contextlib
import dataclasses
import time

from harness.paths import EXAMPLES

import xfrm

SIZE = 6000
"""Octets that are sent each way."""

SLOW = 90
"""Seconds that something may take: without KVM, and on a machine that has other things to do."""


@dataclasses.dataclass(frozen=True)
class Counted:
    """What the SAs of both ends say that they have carried, octets."""

    peer: str
    out_here: int
    in_there: int
    out_there: int
    in_here: int

    def __str__(self):
        return (f"charon out {self.out_here:6} -> {self.peer} in {self.in_there:6}; "
                f"{self.peer} out {self.out_there:6} -> charon in {self.in_here:6}")


def example(name, **words):
    """An example's text with words replaced."""
    text = (EXAMPLES / name).read_text()
    for old, new in words.items():
        assert old in text, f"{name} has no {old!r}"
        text = text.replace(old, new)
    return text


def totals(host, one, other):
    """Octets that all SAs of a host in one direction have carried, and their SPIs."""
    states = [state for state in xfrm.states(host).values() if (state.source, state.destination) == (one, other)]
    return sum(state.octets for state in states), {state.spi for state in states}


def carries_data(world, charon, peer, report):
    """Data goes both ways in ESP and in nothing else, and the SAs of both ends count it. The peer's own daemon says so, too, if
    it tells. Returns what was counted."""
    here, there = charon.address, peer.address

    def look():
        return [totals(host, *way)[0] for host, way in ((charon, (here, there)), (peer, (here, there)),
                                                        (peer, (there, here)), (charon, (there, here)))]

    for way in ((here, there), (there, here)):
        assert totals(charon, *way)[1] & totals(peer, *way)[1], f"no common SA from {way[0]} to {way[1]}"
    before = look()
    world.check_transfer(charon, peer, size=SIZE, ends=(here, there), source=here, destination=there, port=7, timeout=SLOW)
    counted = Counted(peer.DAEMON, *(now - then for now, then in zip(look(), before)))
    for octets in dataclasses.astuple(counted)[1:]:
        assert octets > SIZE, counted
    report(counted)
    return counted


def is_settled(host):
    """The one IKE_SA with one CHILD_SA that a charon has, as SPIs; None while something is going on."""
    sas = host.sas()
    if len(sas) != 1 or sas[0]["state"] != "ESTABLISHED":
        return None
    children = list(sas[0]["child-sas"].values())
    if [child["state"] for child in children] != ["INSTALLED"]:
        return None
    return sas[0]["initiator-spi"] + sas[0]["responder-spi"], children[0]["spi-in"]


def wait_settled(host, timeout=SLOW):
    host.wait_until(lambda: is_settled(host), "there is one IKE_SA with one CHILD_SA", timeout)
    return is_settled(host)


def wait_gone(charon, timeout=SLOW):
    charon.wait_until(lambda: not charon.sas(), "the IKE_SA has gone", timeout)


def wait_changed(host, what, before, timeout=SLOW):
    """Wait until the IKE_SA ("ike") or the CHILD_SA ("child") is another one than before."""
    at = ("ike", "child").index(what)
    host.wait_until(lambda: (is_settled(host) or before)[at] != before[at], f"{what} is another one", timeout)
    return is_settled(host)


@contextlib.contextmanager
def unplugged(world, host):
    """While its cable is pulled."""
    world.wire.unplug(host.namespace)
    try:
        yield
    finally:
        world.wire.plug(host.namespace)


def stays(condition, seconds, what):
    """It holds all the time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        assert condition(), what
        time.sleep(0.2)


