# SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception
"""A strength that the connection demands of its peer's key is demanded of a stranger, too."""

import pytest

from harness.checks import connects, has_no_sa, is_refused, is_stranger


@pytest.mark.parametrize("kind, strong", [("rsa2048", False), ("rsa3072", True), ("ecdsa256", False), ("ecdsa384", True)])
def test_strength(world, kind, strong):
    left = world.host("left", key=kind, start=False)
    right = world.host("right", key="ed25519", start=False)
    right.configure(world.conf("right").replace("encap = yes", "encap = yes\n\t\tremote {\n\t\t\tauth = rsa-3072-ecdsa-384\n\t\t}"))
    world.start(left, right)
    if strong:
        connects(left, "data")
        is_stranger(right, "strangers", left.key)
    else:
        is_refused(left, "data")
        assert "constraint" in right.log()
        has_no_sa(left, right)
