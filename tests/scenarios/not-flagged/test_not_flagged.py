# SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception
"""Without groups = btns a stranger is refused, though the plugin is loaded and the connection takes any ID."""

from harness.checks import has_no_sa, rejects


def test_not_flagged(world):
    left, right = world.pair()
    assert right.pad()["strangers"]["flag"] == "none"
    event = rejects(right, left, "data", "not-flagged")
    assert event["remote-host"] == "192.0.2.1"
    assert right.stats()["accepted"] == 0
    has_no_sa(left, right)
