# SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception
"""A peer that sends its RSA key as PKCS#1 only (CERT type 11, as RFC 5386 names it) is served, with the same fingerprint."""

import pytest

from harness.checks import are_strangers, connects


@pytest.mark.parametrize("sender", ["initiator", "responder"])
def test_pkcs1(world, sender):
    pkcs1 = {"encodings": "pkcs1"}
    left = world.host("left", key="rsa2048", start=False, btns=pkcs1 if sender == "initiator" else None)
    right = world.host("right", key="rsa2048", start=False, btns=pkcs1 if sender == "responder" else None)
    world.start(left, right)
    connects(left, "data")
    are_strangers(left, right)
    watcher = right if sender == "initiator" else left
    assert watcher.peers()[0]["encoding"] == "pkcs1"
    world.check_transfer(left, right)
