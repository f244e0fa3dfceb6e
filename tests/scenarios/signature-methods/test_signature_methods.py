# SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception
"""Strangers are served with the AUTH methods of RFC 5386's time, too: 1 (RSA) and 9 to 11 (ECDSA), without RFC 7427."""

import pytest

from harness.checks import are_strangers, connects

METHODS = {"rsa2048": "RSA", "ecdsa256": "ECDSA-256", "ecdsa384": "ECDSA-384", "ecdsa521": "ECDSA-521"}


@pytest.mark.parametrize("old", ["left", "right"])
@pytest.mark.parametrize("kind", METHODS)
def test_methods_without_rfc_7427(world, kind, old):
    """One side that does not announce hash algorithms is enough."""
    pair = {
        name: world.host(name, key=kind, options={"signature_authentication": "no"} if name == old else {}, start=False)
        for name in ("left", "right")
    }
    left, right = pair["left"], pair["right"]
    world.start(left, right)
    connects(left, "data")
    are_strangers(left, right)
    for host in (left, right):
        for whose in ("", r" \(myself\)"):
            host.wait_log(rf"authentication of '[^']*'{whose} with {METHODS[kind]} signature successful")
    world.check_transfer(left, right)
