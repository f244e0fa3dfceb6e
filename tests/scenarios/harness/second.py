# SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception
"""A stranger (left) has 192.0.2.3, and then comes somebody known (third) whose address that is. In tests/vm, too:
the hosts are the same there."""

MARKED = {"kernel-netlink": {"fwmark": "!0x42"}, "socket-default": {"fwmark": "0x42"}}
"""IKE packets must not follow the route into the stranger's tunnel, or the known peer could never be answered."""


def hosts(world):
    """Left, right and third with the scenario's configurations; right and third have each other's key."""
    left = world.host("left", key="ed25519", start=False)
    right = world.host("right", key="ed25519", options=MARKED, start=False)
    third = world.host("third", key="ed25519", start=False)
    world.silent(left, "192.0.2.3")
    right.add_file("pubkey/third.pem", third.key.public_pem)
    third.add_file("pubkey/right.pem", right.key.public_pem)
    world.start(left, right, third)
    return left, right, third


def happened(host, name):
    """(connection, up) of a host's updown events, in order: name is ike-updown or child-updown."""
    return [
        (connection, message.get("up") == "yes")
        for message in host.events.of(name)
        for connection in ("strangers", "known")
        if connection in message
    ]


def went_first(host):
    """The stranger's CHILD_SA went before the known peer had one."""
    host.events.wait("child-updown", lambda message: message.get("up") == "yes" and "known" in message)
    order = happened(host, "child-updown")
    assert order.index(("strangers", False)) < order.index(("known", True)), order
