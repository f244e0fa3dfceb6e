# SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception
"""A host with the plugin and a stock host that hold each other's raw key work as if the plugin were not there."""

import pytest


def hosts(world, left_plugin=True):
    left = world.host("left", key="ed25519", plugin=left_plugin, start=False)
    right = world.host("right", key="rsa2048", plugin=None, start=False)
    left.add_file("pubkey/peer.pem", right.key.public_pem)
    right.add_file("pubkey/peer.pem", left.key.public_pem)
    world.start(left, right)
    return left, right


@pytest.mark.parametrize("initiator", ["with-plugin", "stock"])
def test_preloaded_keys_work_with_a_stock_peer(world, initiator):
    left, right = hosts(world)
    outcome = (left if initiator == "with-plugin" else right).initiate("data")
    assert outcome.success, outcome.log
    world.check_transfer(left, right)
    assert left.sa("known")["remote-id"] == "right"
    assert right.sa("known")["remote-id"] == "left"
    assert left.peers() == []


def test_the_harness_itself_on_two_stock_hosts(world):
    left, right = hosts(world, left_plugin=None)
    assert left.initiate("data").success
    world.check_transfer(left, right)
