# SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception
"""A plugin that was really built for another strongSwan is refused when it is loaded; charon lives and admits nobody."""

import itertools

import pytest

from harness import roots
from harness.checks import built_for_another, connects, has_no_sa, is_refused

PAIRS = [(here, other) for here, other in itertools.permutations(roots.MEETING, 2) if here.version() != other.version()]


def refuses_strangers(world, root, plugin, *sentences):
    """The responder has a plugin that does not fit. Nothing of it is hooked: who is known is served as ever."""
    left = world.host("left", key="ed25519", root=root, start=False)
    right = world.host("right", key="ed25519", root=root, plugin=plugin, start=False)
    right.add_file("pubkey/alice.pem", left.key.public_pem)
    left.add_file("pubkey/right.pem", right.key.public_pem)
    left.configure(world.conf("left") + world.conf("alice"))
    left.namespace.ip("addr", "add", "10.66.129.3/32", "dev", "lo")
    world.start(left, right)
    for sentence in sentences:
        assert sentence in right.log(), right.log()
    is_refused(left, "data")
    has_no_sa(left, right)
    connects(left, "inside")
    assert right.sa("people")["remote-id"] == "alice@example.org"
    assert right.alive()
    return right


@pytest.mark.parametrize("here, other", PAIRS, ids=[f"{other.name}-in-{here.name}" for here, other in PAIRS])
def test_another_version(world, here, other):
    right = refuses_strangers(world, here, here.plugin_for(other.name), built_for_another(here, other.version_text()))
    assert "btns" not in right.request("stats")["plugins"]


@pytest.mark.parametrize("root", roots.MEETING, ids=[root.name for root in roots.MEETING])
def test_the_same_version_before_a_security_update(world, root):
    """It may have moved enumerators, as Debian's 6.0.1-6+deb13u3 has."""
    plugin = root.plugin_for("unpatched")
    if not plugin.exists():
        pytest.skip(f"Debian's patches to {root.version_text()} have moved no enumerator that matters here")
    refuses_strangers(world, root, plugin, "btns: self-test failed", "hooking nothing, nobody is admitted")
