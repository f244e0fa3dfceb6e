# SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception
"""A stranger does not get to Alice's address by moving there, and messages from her address do not make it hers."""

import socket

import pytest

from harness import ikev2
from harness.ikev2 import CREATE_CHILD_SA, INFORMATIONAL, notify
from harness.rogue import UPDATE_SA_ADDRESSES

MOBIKE_SUPPORTED, ADDITIONAL_IP4_ADDRESS = 16396, 16397
HERS = "192.0.2.3"


def comes(office, mobike=True, inside="10.66.128.7", **how):
    """Somebody with Mallory's address and no charon becomes a stranger."""
    certs, signer = office.own_key()
    stranger = office.raw("192.0.2.1", port=5500, **how)
    more = [notify(MOBIKE_SUPPORTED)] if mobike else []
    answer = stranger.init().auth(certs, signer, address=inside, more=more)
    assert answer.authenticated and ikev2.TS_UNACCEPTABLE not in answer.notifies, answer
    (child,) = office.gateway.sa("strangers")["child-sas"].values()
    assert child["remote-ts"] == [f"{inside}/32"]
    return stranger


WAYS = {
    "UPDATE_SA_ADDRESSES": (True, INFORMATIONAL, [notify(UPDATE_SA_ADDRESSES)]),
    "a new NAT mapping": (False, INFORMATIONAL, []),
    "a new NAT mapping, when rekeying": (False, CREATE_CHILD_SA, ikev2.Initiator.rekeying()),
    "all at once": (False, INFORMATIONAL, [notify(UPDATE_SA_ADDRESSES), notify(ADDITIONAL_IP4_ADDRESS, socket.inet_aton(HERS))]),
}


@pytest.mark.parametrize("way", WAYS)
def test_moving_to_her_address(office, way):
    mobike, exchange, payloads = WAYS[way]
    office = office().alice_comes()
    with comes(office, mobike) as stranger:
        uniqueid = office.gateway.sa("strangers")["uniqueid"]

        def attack():
            stranger.move(HERS)
            stranger.send(exchange, payloads)

        office.withstands("moved", attack, uniqueid=uniqueid)
    assert uniqueid not in [sa["uniqueid"] for sa in office.gateway.sas()]


def test_sending_from_her_address(office):
    """With MOBIKE an address counts when it is announced only: so nothing changes."""
    office = office().alice_comes()
    with comes(office) as stranger:

        def attack():
            start = len(office.gateway.log())
            stranger.move(HERS)
            stranger.send(INFORMATIONAL, [])
            office.gateway.wait_log(r"<strangers\|\d+> received packet: from 192\.0\.2\.3\[5500\]", start=start)
            office.gateway.wait_log(r"<strangers\|\d+> generating INFORMATIONAL response", start=start)
            sa = office.gateway.sa("strangers")
            assert sa["remote-host"] == "192.0.2.1" and sa["child-sas"], sa

        office.withstands(None, attack)


def test_naming_her_address_as_a_further_one(office):
    office = office().alice_comes()
    with comes(office) as stranger:

        def attack():
            stranger.ask(INFORMATIONAL, [notify(ADDITIONAL_IP4_ADDRESS, socket.inet_aton(HERS))])
            sa = office.gateway.sa("strangers")
            assert sa["remote-host"] == "192.0.2.1" and sa["child-sas"], sa

        office.withstands(None, attack)


def test_ike_auth_from_her_address(office):
    """IKE_SA_INIT came from the own one."""
    office = office().alice_comes()
    certs, signer = office.own_key()

    def attack():
        with office.raw("192.0.2.1", port=5500, timeout=1) as stranger:
            stranger.init()
            stranger.move(HERS)
            with pytest.raises(TimeoutError):  # the answer goes to her
                stranger.auth(certs, signer)

    office.withstands("address-changed", attack, **{"remote-host": HERS})


def test_moving_and_rekeying_at_once(office):
    """The IKE_SA that has to go is another one by then. Not even that one is left."""
    office = office().alice_comes()

    def attack():
        for at in range(8):
            with comes(office, mobike=False, inside=f"10.66.128.{70 + at}") as stranger:
                stranger.move(HERS)
                for exchange, payloads in ((INFORMATIONAL, []), (CREATE_CHILD_SA, stranger.rekeying())):
                    stranger.send(exchange, payloads)
                office.mallory_is_gone()

    office.withstands("moved", attack)
