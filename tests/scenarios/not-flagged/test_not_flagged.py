# SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception
"""Without groups = btns a stranger is refused, though the plugin is loaded and the connection takes any ID."""

import pytest

from harness.checks import has_no_sa, rejects


def test_not_flagged(world):
    left, right = world.pair()
    assert right.pad()["strangers"]["flag"] == "none"
    event = rejects(right, left, "data", "not-flagged")
    assert event["remote-host"] == "192.0.2.1"
    assert right.stats()["accepted"] == 0
    has_no_sa(left, right)


@pytest.mark.parametrize("groups", ["*", "b*", "%any", "friends"])
def test_a_pattern_is_not_the_flag(world, groups):
    """charon would let the group btns satisfy patterns: strangers must not get where they are not meant."""
    left = world.host("left", key="ed25519", start=False)
    right = world.host("right", world.conf("right").replace("groups =", f'groups = "{groups}"'), "ed25519", start=False)
    world.start(left, right)
    assert right.pad()["strangers"]["flag"] == "none"
    rejects(right, left, "data", "not-flagged")
    has_no_sa(left, right)
