# SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception
"""Strangers reach TCP port 2049 through ESP, and the SA covers no other port."""

import pytest

from harness.checks import are_strangers, connects
from harness.host import transfer


def test_nfs(world):
    left, right = world.pair()
    connects(left, "nfs")
    are_strangers(left, right, "nfs")
    (child,) = right.sa("nfs")["child-sas"].values()
    assert child["local-ts"] == ["10.66.0.1/32[tcp/nfs]"] or child["local-ts"] == ["10.66.0.1/32[tcp/2049]"]
    assert child["remote-ts"] == ["10.66.128.7/32[tcp]"]
    world.check_transfer(left, right, port=2049)
    with pytest.raises(OSError):
        transfer(left, right, b"not nfs", port=2050, timeout=1)
