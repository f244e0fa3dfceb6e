# SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception
"""IKEv1 never makes a stranger, even if the connection does not exclude it."""

import pytest

from harness.checks import has_no_sa


def test_ikev1(world):
    left, right = world.pair("rsa2048", "rsa2048")
    outcome = left.initiate("data", timeout=6)
    assert not outcome.success, outcome.log
    if "IKE version 1 not supported" in left.log():
        pytest.skip("Debian builds this strongSwan without IKEv1")
    assert "Main Mode" in outcome.log or "ID_PROT" in outcome.log, outcome.log
    assert "no peer config found" in right.log(), "the connection is not even considered"
    assert right.peers() == [] and right.stats()["accepted"] == 0
    left.swanctl("--terminate", "--ike", "strangers", "--force", check=False)
    has_no_sa(right)
