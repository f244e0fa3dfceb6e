# SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception
"""Hooks run while their thread has the bus locked. They neither ask the credential manager, nor look for IKE_SAs: whoever
holds these locks may be waiting for the bus."""

import re

from harness import paths
from harness.checks import are_strangers, connects, rejects

HOOKS = {
    "alert",
    "assign_vips",
    "authorize",
    "child_rekey",
    "child_updown",
    "ike_rekey",
    "ike_state_change",
    "ike_update",
    "ike_updown",
    "message",
    "narrow",
}
"""Of a responder for IKEv2."""


def hooks_seen(host):
    return set(re.findall(r"TEST BUILD, watching (\w+)\(\)", host.log()))


def calls_inside(host):
    return re.findall(r"TEST BUILD, (\S+ inside of \S+)", host.log())


def rekeys(left, right, what, name, event):
    start = right.events.mark()
    left.swanctl("--rekey", what, name)
    right.events.wait(event, start=start)


def test_hooks(world):
    watched = {"key": "ed25519", "plugin": paths.FAULTS_PLUGIN, "start": False}
    left, right = world.host("left", **watched), world.host("right", **watched)
    third = world.host("third", **watched)
    right.add_file("pubkey/third.pem", third.key.public_pem)
    third.add_file("pubkey/right.pem", right.key.public_pem)
    world.start(left, right, third)

    connects(third, "data")
    assert right.sa("known")["remote-vips"] == ["10.72.0.1"]
    rejects(right, left, "lie", "claims-known-id")
    connects(left, "data")
    are_strangers(left, right)
    rekeys(left, right, "--child", "data", "child-rekey")
    rekeys(left, right, "--ike", "strangers", "ike-rekey")
    moving = right.sa("strangers")["uniqueid"]
    left.namespace.ip("addr", "add", "192.0.2.11/24", "dev", "eth0")
    left.namespace.ip("addr", "del", "192.0.2.1/24", "dev", "eth0")
    right.rejected("moved", timeout=15)
    right.wait_until(lambda: moving not in [sa["uniqueid"] for sa in right.sas()], "the stranger is gone")
    # who may have come again, from where it is now
    left.swanctl("--terminate", "--ike", "strangers", check=False)
    third.swanctl("--terminate", "--ike", "known")
    right.wait_until(lambda: not right.sas(), "nobody is left")

    assert hooks_seen(right) >= HOOKS, HOOKS - hooks_seen(right)
    for host in (left, right, third):
        assert hooks_seen(host), host.name
        assert calls_inside(host) == [], host.name
