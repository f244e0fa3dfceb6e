# SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception
"""A host with a certificate of a CA that nobody here knows is a stranger like any other."""

from harness.checks import are_strangers, connects


def test_unknown_ca(world):
    certificates_only = {"encodings": "x509"}
    left = world.host("left", key="ed25519", btns=certificates_only, start=False)
    right = world.host("right", key="ecdsa384", btns=certificates_only, start=False)
    for host in (left, right):
        ca = world.keys.ca(f"CA of {host.name}")
        host.add_file("x509/me.pem", ca.issue(host.key, f"{host.name}.example.net"))
        host.add_file("x509ca/ca.pem", ca.pem)
    world.start(left, right)
    connects(left, "data")
    peer = are_strangers(left, right, "self-signed")
    assert peer["encoding"] == "x509"
    world.check_transfer(left, right)
