# SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception
"""OpenIKED: raw keys that are learnt in band by charon, and known beforehand by OpenIKED, which learns none."""

import pytest
from harness.checks import is_stranger

from kinds import openiked_ecdsa, openiked_rsa
from pairs import SLOW, carries_data

ROLES = pytest.mark.parametrize("who", ["charon", "peer"])


@ROLES
def test_its_rsa_key_is_learnt_in_band(world, report, who):
    """CERT encoding 11, which RFC 5386 names."""
    pair = openiked_rsa(world, who).up(who)
    assert is_stranger(pair.left, "openiked", pair.right.key)["encoding"] == "pkcs1"
    carries_data(world, pair.left, pair.right, report)


@ROLES
def test_its_ecdsa_key_is_learnt_in_band_if_that_is_switched_on(world, report, who):
    """CERT encoding 201, which is OpenIKED's own."""
    pair = openiked_ecdsa(world, who).up(who)
    assert is_stranger(pair.left, "openiked", pair.right.key)["encoding"] == "openiked-ec"
    carries_data(world, pair.left, pair.right, report)


@ROLES
def test_its_ecdsa_key_is_refused_unless_that_is_switched_on(world, who):
    pair = openiked_ecdsa(world, who)
    pair.left.btns = {}
    pair.left.start()
    pair.right.start()
    if who == "charon":
        assert not pair.left.initiate("data", "openiked", timeout=SLOW).success
    pair.left.rejected("encoding-disabled", SLOW)
    assert not pair.left.peers()


@ROLES
def test_the_same_key_is_pinned(world, report, who):
    """The fingerprint is the same, however the key has travelled."""
    pair = openiked_ecdsa(world, who)
    conf = (pair.left.swanctl_dir / "swanctl.conf").read_text()
    assert "groups = btns\n" in conf
    pair.left.configure(conf.replace("groups = btns\n", f"groups = {pair.right.key.identity}\n"))
    pair.up(who)
    is_stranger(pair.left, "openiked", pair.right.key)
    carries_data(world, pair.left, pair.right, report)


def test_it_refuses_a_key_that_it_does_not_know(world):
    """It knows another one for our name: no SA, and nobody fails over it."""
    pair = openiked_rsa(world)
    pair.right.knows("left.example", world.keys.key("rsa3072"))
    pair.left.start()
    pair.right.start()
    assert not pair.left.initiate("data", "openiked", timeout=SLOW).success
    assert not pair.left.sas()
    assert pair.left.alive() and pair.right.alive()
