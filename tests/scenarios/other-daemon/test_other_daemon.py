# SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception
"""A plugin that was built for another daemon says so, hooks nothing, and nobody is admitted as a stranger."""

import pytest

from harness import paths, roots
from harness.checks import built_for_another, has_no_sa, is_refused


def refuses_strangers(world, plugin, *sentences):
    left = world.host("left", key="ed25519", start=False)
    right = world.host("right", key="ed25519", plugin=plugin, start=False)
    world.start(left, right)
    for sentence in sentences:
        assert sentence in right.log(), right.log()
    is_refused(left, "data")
    assert "btns" not in right.vici.request("stats")[0]["plugins"] or "hooking nothing" in right.log()
    assert right.alive()
    has_no_sa(left, right)


def test_another_version(world):
    version = b"\0" + roots.DEFAULT.version_text().encode() + b"\0"
    other = b"\0" + b"5.0.0".ljust(len(version) - 2, b"1") + b"\0"
    image = paths.PLUGIN.read_bytes()
    assert version in image
    folder = world.folder / "other-version"
    folder.mkdir()
    plugin = folder / paths.PLUGIN_FILE
    plugin.write_bytes(image.replace(version, other))
    refuses_strangers(world, plugin, built_for_another(roots.DEFAULT, other[1:-1].decode()))


@pytest.mark.parametrize("plugin", paths.SHIFTED_PLUGINS, ids=[path.parent.name for path in paths.SHIFTED_PLUGINS])
def test_an_enumerator_has_moved(world, plugin):
    refuses_strangers(world, plugin, "btns: self-test failed", "hooking nothing, nobody is admitted")
