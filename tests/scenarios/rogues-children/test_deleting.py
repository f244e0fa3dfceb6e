# SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception
"""Nobody but Alice deletes, rekeys or replaces what is hers, by whatever name or SPI."""

import os
import re
import socket
import struct

import pytest

from harness import ikev2
from harness.checks import settled
from harness.ikev2 import CREATE_CHILD_SA, INFORMATIONAL, notify
from harness.rogue import AH, ESP, IKE, REKEY_SA, delete

CHILD_SA_NOT_FOUND, AUTHENTICATION_LIFETIME = 44, 16403


def alices_spis(office):
    """SPIs of her CHILD_SA, as the gateway and as she has them, and those of her IKE_SA."""
    sa = office.gateway.sa("alice")
    (child,) = sa["child-sas"].values()
    return ([bytes.fromhex(child[which]) for which in ("spi-in", "spi-out")],
            [bytes.fromhex(sa[which]) for which in ("initiator-spi", "responder-spi")])


def sends(office, payloads, exchange=INFORMATIONAL):
    """Mallory sends this on her own IKE_SA and gets an answer. Returns what the gateway's log says of it."""
    start = len(office.gateway.log())
    office.rogue.sends("mischief", payloads, exchange)
    office.gateway.wait_log(r"<strangers\|\d+> generating \w+ response", start=start)
    return office.gateway.log()[start:]


@pytest.mark.parametrize("protocol", [ESP, AH], ids=["ESP", "AH"])
def test_a_delete_with_the_spis_of_her_child_sa(office, protocol):
    office = office().both_come()
    children, _ = alices_spis(office)

    def attack():
        log = sends(office, [delete(protocol, *children), *(delete(protocol, spi) for spi in children)])
        for spi in children:
            assert f"received DELETE for unknown {'ESP' if protocol == ESP else 'AH'} CHILD_SA with SPI {spi.hex()}" in log, log

    office.withstands(None, attack)


def test_a_delete_with_the_spis_of_her_ike_sa(office):
    """A Delete for an IKE_SA has no SPIs, since it is for the one in which it is sent: charon takes that for malformed, and
    the stranger's own IKE_SA ends."""
    office = office().both_come()
    _, spis = alices_spis(office)

    def attack():
        log = sends(office, [delete(IKE, *spis)])
        assert "DELETE verification failed" in log, log
        office.mallory_is_gone()

    office.withstands(None, attack)


def test_rekeying_her_child_sa(office):
    office = office().both_come()
    children, _ = alices_spis(office)

    def attack():
        for spi in children:
            # Notify payloads of a protocol have its SPI
            office.rogue.says("hers", CREATE_CHILD_SA, drop_notifies=[REKEY_SA], skip=0,
                              add=[(ikev2.NOTIFY, struct.pack("!BBH", ESP, 4, REKEY_SA) + spi)])
            start = len(office.gateway.log())
            # what it could not rekey it has set up anew
            office.mallory.wait_until(lambda: settled(office.mallory), "it has a CHILD_SA")
            office.mallory.swanctl("--rekey", "--child", "data")
            office.gateway.wait_log(r"unable to rekey, .*CHILD_SA.* not found", start=start)
            assert office.rogue.applied("hers")
            office.rogue.behaves()

    office.withstands(None, attack)


def test_initial_contact_from_her_own_host(office):
    """Whoever has her address is not her: the identity is the stranger's key."""
    office = office().alice_comes()
    certs, signer = office.own_key()

    def attack():
        with office.raw("192.0.2.3", office.alice, port=5500) as stranger:
            answer = stranger.init().auth(certs, signer, address="10.66.128.99", more=[notify(ikev2.INITIAL_CONTACT)])
        assert answer.authenticated, answer

    office.withstands(None, attack)


class Outsider:
    """Somebody who knows the SPIs of Alice's IKE_SA, which everybody on the path can see."""

    def __init__(self, office):
        self.office = office
        _, (self.spi_i, self.spi_r) = alices_spis(office)

    def sends(self, source, exchange, flags, body, message_id=2):
        packet = self.spi_i + self.spi_r + struct.pack("!BBBBII", ikev2.SK, 0x20, exchange, flags, message_id, 28 + 4 + len(body))
        packet += struct.pack("!BBH", 0, 0, 4 + len(body)) + body
        with self.office.mallory.namespace.socket(socket.AF_INET, socket.SOCK_DGRAM) as made:
            made.bind((source, 5555))
            made.sendto(bytes(4) + packet, (self.office.gateway.address, 4500))


def test_messages_in_her_ike_sa_without_her_keys(office):
    office = office().alice_comes()
    outsider = Outsider(office)

    def attack():
        start = len(office.gateway.log())
        for source in ("192.0.2.1", "192.0.2.3"):
            for exchange in (ikev2.IKE_AUTH, CREATE_CHILD_SA, INFORMATIONAL):
                for flags in (0x00, 0x20, 0x08, 0x28):  # requests and responses: the gateway's, and hers
                    outsider.sends(source, exchange, flags, os.urandom(64))
        # not all of them: charon ignores one that comes while the last one is being looked at
        seen = re.compile(r"<alice\|\d+> received packet: from (192\.0\.2\.[13])\[5555\]")
        office.gateway.wait_until(lambda: {"192.0.2.1", "192.0.2.3"} == set(seen.findall(office.gateway.log()[start:])),
                                  "some have reached her IKE_SA, from either address")

    office.withstands(None, attack)


@pytest.mark.parametrize("source", ["192.0.2.1", "192.0.2.3"])
def test_all_that_she_ever_sent_once_more(office, source):
    """Replayed from another address, and from hers with another port."""
    office = office(mobike="no")
    capture = office.world.capture()
    office.alice_comes()
    office.alice.swanctl("--rekey", "--child", "data")
    office.gateway.events.wait("child-rekey")
    office.gateway.wait_until(lambda: [child["state"] for child in office.gateway.sa("alice")["child-sas"].values()]
                              == ["INSTALLED"], "rekeyed")
    capture.stop()
    sent = [packet for packet in capture.packets if packet.kind in ("ike", "esp") and packet.source == office.alice.address]
    assert {packet.exchange for packet in sent if packet.kind == "ike"} >= {ikev2.IKE_SA_INIT, ikev2.IKE_AUTH, CREATE_CHILD_SA}
    assert any(packet.kind == "esp" for packet in sent)
    office.victim.remember()

    def attack():
        with office.mallory.namespace.socket(socket.AF_INET, socket.SOCK_DGRAM) as made:
            made.bind((source, 5555))
            for packet in sent:
                marker = bytes(4) if packet.kind == "ike" else b""
                made.sendto(marker + packet.payload, (office.gateway.address, 4500))

    office.withstands(None, attack)
