# SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception
"""A stranger gets none of the addresses that Alice has, whichever way it asks, though its connection allows them all."""

import ipaddress

import pytest

from harness import ikev2, roots, rogue
from harness.checks import NO_TS, connects, is_refused
from harness.rogue import CREATE_CHILD_SA, traffic_selectors

USE_TRANSPORT_MODE = 16391

CHARON_KEEPS_SELECTORS = roots.DEFAULT.version() >= (6, 1, 0)
"""Such a charon itself narrows a rekeyed CHILD_SA to the selectors of the old one."""

HERS = {
    "her address in the tunnel": "10.66.129.3/32",
    "all addresses around hers": "10.66.129.0/24",
    "her address beside one of its own": "10.66.128.7/32, 10.66.129.3/32",
    "one port of hers": "10.66.129.3/32[tcp/80]",
    "her address on the wire": "192.0.2.3/32",
    "all addresses on the wire": "192.0.2.0/24",
}


def is_told_no(office, child="data"):
    is_refused(office.mallory, child, NO_TS)


def test_mallory_without_mischief_is_a_stranger(office):
    """Else all the refusals here would prove nothing."""
    office = office().alice_comes()
    office.mallory_comes()
    connects(office.mallory, "more")
    assert len(office.gateway.sa("strangers")["child-sas"]) == 2
    office.victim.assert_untouched()


def test_with_the_first_child_sa(office):
    office = office().alice_comes()
    office.rogue.shows((ikev2.SPKI, office.mallory.key.spki))
    for what, selectors in HERS.items():
        office.mallory_wants(own=selectors)
        office.withstands("child-reserved", lambda: is_told_no(office), **{"remote-host": "192.0.2.1"})
        assert not office.gateway.sa("strangers")["child-sas"], what
        office.mallory_leaves()


def test_with_a_further_child_sa(office):
    office = office().both_come()
    for what, selectors in HERS.items():
        office.mallory_wants(more=selectors)
        office.withstands("child-reserved", lambda: is_told_no(office, "more"))
        (own,) = office.gateway.sa("strangers")["child-sas"].values()
        assert own["remote-ts"] == ["10.66.128.7/32"], what


def rekeys_to(office, *networks):
    """Mallory rekeys her CHILD_SA, and asks for these addresses."""
    office.rogue.says("other selectors", CREATE_CHILD_SA, drop=[ikev2.TSI],
                      add=[(ikev2.TSI, traffic_selectors(*map(ipaddress.ip_network, networks)))])
    office.mallory.swanctl("--rekey", "--child", "data")
    office.mallory.wait_until(lambda: office.rogue.applied("other selectors"), "Mallory asks")


def has_own_selectors(office):
    """Each CHILD_SA; such a charon can have rekeyed it, if what was asked for has its selectors."""
    children = list(office.gateway.sa("strangers")["child-sas"].values())
    assert children and (CHARON_KEEPS_SELECTORS or len(children) == 1), children
    assert all(child["remote-ts"] == ["10.66.128.7/32"] for child in children), children


def refused_by_plugin(code):
    return None if CHARON_KEEPS_SELECTORS else code


@pytest.mark.parametrize("networks", [["10.66.129.3/32"], ["10.66.128.0/17"], ["10.66.128.7/32", "192.0.2.3/32"]], ids=str)
def test_by_rekeying(office, networks):
    office = office().both_come()
    office.withstands(refused_by_plugin("child-reserved"), lambda: rekeys_to(office, *networks))
    has_own_selectors(office)


def test_rekeying_never_changes_the_selectors(office):
    """Else the old ones, which stay in the kernel until the peer deletes them, would be nobody's, and the reqid of the first
    ones would be that of others."""
    office = office().both_come()
    evicted = office.gateway.sa("strangers")["uniqueid"]
    office.withstands(refused_by_plugin("child-rekeyed-otherwise"), lambda: rekeys_to(office, "10.66.128.8/32"))
    if CHARON_KEEPS_SELECTORS:
        has_own_selectors(office)
        return
    # from strongSwan 6 on her charon comes back at once, with what she had at first
    office.gateway.wait_until(lambda: evicted not in [sa["uniqueid"] for sa in office.gateway.sas()], "her IKE_SA is gone")


def test_rekeying_and_never_deleting(office):
    """What was rekeyed and not deleted is counted: else there would be no end to what is in the kernel."""
    office = office(btns={"max_children": "2"}).both_come()
    office.rogue.says("keep the old one", rogue.INFORMATIONAL, drop=[rogue.DELETE], times=0)

    def attack():
        for _ in range(20):
            before = office.rogue.applied("keep the old one")
            office.mallory.wait_until(lambda: begins() or told_no(), "begins to rekey")
            office.mallory.wait_until(lambda: office.rogue.applied("keep the old one") > before or told_no(), "rekeyed")
            if told_no():
                return
        raise AssertionError(f"there is no end: {office.gateway.sa('strangers')}")

    def begins():
        # not while the last one is still going on
        return not office.mallory.swanctl("--rekey", "--child", "data", check=False).returncode

    def told_no():
        return NO_TS in office.mallory.log()

    office.withstands("child-too-many", attack)
    assert len(office.gateway.sa("strangers")["child-sas"]) <= 2 * 2 + 2


def test_transport_mode_where_a_tunnel_is_meant(office):
    """With transport mode and Alice's address it has its own address at most, because a NAT might have changed that
    (RFC 7296, section 2.23.1)."""
    office = office().alice_comes()
    office.rogue.shows((ikev2.SPKI, office.mallory.key.spki))
    office.rogue.says("transport", add=[ikev2.notify(USE_TRANSPORT_MODE)])
    office.mallory_wants(own="192.0.2.3/32")

    def attack():
        assert not office.mallory.initiate("data").success
        assert office.rogue.applied("transport")
        found = [sa for sa in office.gateway.sas() if sa["name"] == "strangers"]
        # a charon that leaves AUTH out of its answer, as 6.0.1 does here, loses the IKE_SA
        assert found or roots.DEFAULT.version()[:2] == (6, 0)
        for child in (child for sa in found for child in sa["child-sas"].values()):
            assert child["remote-ts"] == ["192.0.2.1/32"], child

    office.withstands(None, attack)


def test_her_virtual_ip(office):
    """Alice has a lease. A stranger that asks for it gets another one, out of the strangers' own pool."""
    office = office(ALICE="dynamic", POOL="pools = people", VIPS="vips = 0.0.0.0", GUESTS="pools = guests", STRANGERS="dynamic")
    lease = office.alice_comes().victim.inside
    assert ipaddress.ip_address(lease) in ipaddress.ip_network("10.66.129.32/28")
    office.rogue.shows((ikev2.SPKI, office.mallory.key.spki))
    # the lease is what she asks for as virtual IP and as selector
    office.mallory_wants(own=f"{lease}/32", vips=f"vips = {lease}")
    office.withstands(None, lambda: is_told_no(office))
    (given,) = office.gateway.sa("strangers")["remote-vips"]
    assert ipaddress.ip_address(given) in ipaddress.ip_network("10.66.128.32/28")
    office.mallory_leaves()
    connects(office.mallory_wants(own="dynamic", vips=f"vips = {lease}").mallory, "data")
    (own,) = office.gateway.sa("strangers")["child-sas"].values()
    assert own["remote-ts"] == [f"{given}/32"], own
    office.victim.assert_untouched()


def test_a_pool_for_strangers_that_reaches_into_alices_addresses(office):
    """Whoever configured that gets strangers that are refused, and not strangers with Alice's address."""
    office = office(ALICE="10.66.128.32/29", GUESTS="pools = guests", STRANGERS="dynamic")
    office.alice.namespace.ip("addr", "add", "10.66.128.33/32", "dev", "lo")
    office.alice_comes("10.66.128.33")
    office.rogue.shows((ikev2.SPKI, office.mallory.key.spki))
    office.mallory_wants(own="dynamic", vips="vips = 10.66.128.33")
    office.withstands("child-reserved", lambda: is_told_no(office))


def test_alices_address_as_our_virtual_ip(office):
    """An anonymous responder assigns it to the gateway, which would have the traffic for Alice then."""
    office = office(GUESTS="remote_addrs = 192.0.2.1, %any\nvips = 0.0.0.0").alice_comes()
    office.rogue.shows((ikev2.SPKI, office.mallory.key.spki), response=True)

    def attack():
        office.gateway.initiate("data", "strangers")
        assert "assigning virtual IP 10.66.129.3" in office.mallory.log()
        assert "10.66.129.3" not in office.gateway.namespace.ip("addr")

    office.mallory_wants(vips="pools = loot")
    office.withstands("configuration-not-taken", attack)
    office.mallory_leaves()
    office.mallory_wants(vips="pools = own")
    office.gateway.initiate("data", "strangers")
    assert office.gateway.sa("strangers")["local-vips"] == ["10.66.128.9"], "an address that is nobody's is taken"
    office.victim.assert_untouched()


def test_the_spi_of_alices_sa_from_alices_host(office):
    """Somebody else on her host, or behind her NAT, has her address. The kernel takes the same SPI only once for it, and
    charon deletes what it could not install: that would be Alice's."""
    office = office().alice_comes()
    (child,) = office.gateway.sa("alice")["child-sas"].values()
    spi = bytes.fromhex(child["spi-out"])
    certs, signer = office.own_key()

    def attack():
        with office.raw("192.0.2.3", office.alice, port=5500) as stranger:
            answer = stranger.init().auth(certs, signer, address="10.66.128.99", spi=spi)
        assert answer.notifies, "no CHILD_SA"
        # 6.0.1 leaves AUTH out of an answer if a CHILD_SA cannot be installed
        assert answer.authenticated or roots.DEFAULT.version()[:2] == (6, 0), "the IKE_SA"

    office.withstands("child-spi-taken", attack)

    with office.raw("192.0.2.3", office.alice, port=5501) as stranger:
        certs, signer = office.own_key()
        answer = stranger.init().auth(certs, signer, address="10.66.128.98")
    assert answer.authenticated and ikev2.TS_UNACCEPTABLE not in answer.notifies, "with another SPI it is served"
    found = [sa for sa in office.gateway.sas() if sa["name"] == "strangers" and sa["remote-host"] == "192.0.2.3"]
    assert any(sa["child-sas"] for sa in found), found
    office.victim.assert_untouched()
