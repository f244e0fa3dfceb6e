# SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception
"""A host with a partner that it knows and a service for everybody: the partner gets everything, strangers the service, and
nobody the partner's place."""

import pytest

from harness.checks import connects, is_stranger, rejects
from harness.host import reaches, transfer


@pytest.fixture
def hosts(world):
    """The partner, the host, and a stranger; the first two hold each other's key."""
    partner, host = world.host("left", key="ed25519", start=False), world.host("right", key="ecdsa256", start=False)
    partner.add_file("pubkey/nfs.pem", host.key.public_pem)
    host.add_file("pubkey/partner.pem", partner.key.public_pem)
    return partner, host, world.host("third", key="ed25519", start=False)


def test_each_gets_its_own(world, hosts):
    partner, host, stranger = hosts
    world.start(partner, host, stranger)
    connects(partner, "all")
    connects(stranger, "nfs")
    assert host.sa("partner")["remote-id"] == "partner.example.org"
    is_stranger(host, "nfs", stranger.key)
    assert len(host.peers()) == 1, "the partner is authenticated, it is no BTNS peer"
    world.check_transfer(partner, host)
    world.check_transfer(stranger, host, port=2049)
    with pytest.raises(OSError):
        transfer(stranger, host, b"not nfs", port=2050, timeout=1)


def test_the_partners_name_and_address_are_not_for_strangers(world, hosts):
    partner, host, stranger = hosts
    named = world.conf("third").replace("encap = yes", "encap = yes\n\t\tlocal {\n\t\t\tid = partner.example.org\n\t\t}")
    stranger.configure(named)
    world.start(partner, host, stranger)
    connects(partner, "all")
    before = host.sa("partner")
    rejects(host, stranger, "nfs", "claims-known-id")
    stranger.configure(world.conf("third").replace("10.66.129.3", "10.66.128.7"))
    stranger.load_all()
    rejects(host, stranger, "nfs", "child-reserved", "TS_UNACCEPTABLE")
    after = host.sa("partner")
    assert (after["uniqueid"], after["child-sas"].keys()) == (before["uniqueid"], before["child-sas"].keys())
    assert reaches(partner, host)
