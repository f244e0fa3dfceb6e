# SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception
"""Strangers with self-signed certificates connect, and each is known by its key, not by what its certificate says."""

import pytest

from harness.checks import are_strangers, connects


@pytest.mark.parametrize("bare_keys", ["too", "not-sent"])
def test_self_signed(world, bare_keys):
    """To BTNS peers the plugin sends the bare key as well, unless strongswan.conf says otherwise."""
    options = {"encodings": "x509"} if bare_keys == "not-sent" else None
    left = world.host("left", key="ecdsa256", btns=options, start=False)
    right = world.host("right", key="rsa2048", btns=options, start=False)
    left.add_file("x509/me.pem", world.keys.self_signed(left.key, "left.example.net"))
    right.add_file("x509/me.pem", world.keys.self_signed(right.key, "right.example.net"))
    world.start(left, right)
    connects(left, "data")
    peer = are_strangers(left, right, "self-signed")
    assert peer["encoding"] == ("x509" if bare_keys == "not-sent" else "spki")
    assert "left.example.net" in peer["asserted-id"]
    world.check_transfer(left, right)


def test_self_signed_meets_bare_key(world):
    """One fingerprint, however the key travelled."""
    left = world.host("left", key="rsa2048", start=False)
    right = world.host("right", key="ed25519", start=False,
                       conf=world.conf("right").replace("examples/self-signed", "examples/strangers")
                       .replace("self-signed {", "strangers {"))
    left.add_file("x509/me.pem", world.keys.self_signed(left.key, "left.example.net"))
    world.start(left, right)
    connects(left, "data")
    assert right.sa("strangers")["remote-id"] == left.key.identity
    assert left.sa("self-signed")["remote-id"] == right.key.identity
    world.check_transfer(left, right)
