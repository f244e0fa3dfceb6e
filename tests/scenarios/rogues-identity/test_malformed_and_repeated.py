# SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception
"""Messages that cannot be read, or come again and again, before and after Mallory is a stranger: Alice notices nothing."""

import struct

import pytest

from harness.checks import connects, is_stranger
from harness.ikev2 import AUTH, CERT, EAP, IDI, NOTIFY, SA, SPKI, TSI, chain, notify
from harness.rogue import CREATE_CHILD_SA, DELETE, IKE_AUTH, IKE_SA_INIT, INFORMATIONAL, VENDOR_ID

COPIES = 300


def payload(kind, body=b"", length=None, following=0):
    """Octets to follow an empty Vendor ID payload, which announces them: their own header may lie."""
    header = struct.pack("!BBH", following, 0, len(body) + 4 if length is None else length)
    return VENDOR_ID, struct.pack("!BBH", kind, 0, 4) + header + body


def endless():
    first, body = chain([(VENDOR_ID, b"")] * 2000)
    return VENDOR_ID, struct.pack("!BBH", first, 0, 4) + body


MALFORMED = {
    "longer than the message": payload(CERT, bytes([SPKI]) + bytes(40), 60000),
    "shorter than its own header": payload(CERT, bytes([SPKI]) + bytes(40), 3),
    "without a length": payload(CERT, b"", 0),
    "CERT without an encoding": payload(CERT),
    "IDi without a type": payload(IDI),
    "AUTH without a method": payload(AUTH),
    "more selectors than there are": payload(TSI, struct.pack("!BBH", 255, 0, 0)),
    "a selector that is too long": payload(TSI, struct.pack("!BBHBBHHH", 1, 0, 0, 7, 0, 60000, 0, 65535) + bytes(8)),
    "an SPI of 255 octets": payload(NOTIFY, struct.pack("!BBH", 3, 255, 16384) + b"spi"),
    "proposals that are not there": payload(SA, struct.pack("!BBHBBBB", 2, 0, 60000, 1, 1, 8, 255)),
    "another payload behind the last": payload(NOTIFY, notify(16384)[1], following=CERT),
    "thousands of payloads": endless(),
}


def unreadable(company, what):
    """Mallory sends it in IKE_AUTH, with nothing else wrong."""
    company.mallory_is("mallory@example.net", initial_contact=True)
    company.mallory.rogue.says(what, raw=MALFORMED[what])
    outcome = company.tries(what)
    assert "N(INVAL_SYN)" in outcome.log or "giving up after" in outcome.log or "N(AUTH_FAILED)" in outcome.log, outcome.log


@pytest.mark.parametrize("half", [0, 1])
def test_ike_auth_that_cannot_be_read(company, half):
    company = company().open()
    company.withstands(None, attack=lambda: [unreadable(company, what) for what in list(MALFORMED)[half::2]])


def admitted(company):
    company.mallory_is("mallory@example.net")
    connects(company.mallory, "data")
    is_stranger(company.gateway, "strangers", company.mallory.key)


@pytest.mark.parametrize("exchange", [INFORMATIONAL, CREATE_CHILD_SA], ids=["INFORMATIONAL", "CREATE_CHILD_SA"])
def test_requests_of_a_stranger_that_cannot_be_read(company, exchange):
    """Each may cost Mallory her own SA, and nobody else's."""
    company = company().open()
    more = {
        "a Delete of 65535 SPIs": payload(DELETE, struct.pack("!BBH", 3, 4, 65535) + bytes(8)),
        "a Delete with SPIs of no octets": payload(DELETE, struct.pack("!BBH", 3, 0, 65535)),
        "EAP that is longer than it is": payload(EAP, struct.pack("!BBH", 1, 1, 60000)),
    }
    lies = {what: MALFORMED[what] for what in ("longer than the message", "an SPI of 255 octets", "thousands of payloads",
                                               "proposals that are not there")}

    def attack():
        for what, raw in {**more, **lies}.items():
            admitted(company)
            company.mallory.rogue.says(what, exchange=exchange, raw=raw)
            company.mallory.rogue.sends("mischief", [], exchange=exchange)
            company.mallory.wait_until(lambda: company.mallory.rogue.applied(what), what)
            company.mallory.swanctl("--terminate", "--ike", "mischief", "--force", check=False)
            company.mallory.wait_until(lambda: not company.mallory.sas(), "she begins anew")

    company.victim_after(attack)


def test_the_same_message_again_and_again(company):
    """Replays of IKE_SA_INIT, IKE_AUTH, CREATE_CHILD_SA and INFORMATIONAL, the latter encrypted as they should be."""
    company = company().open()
    rogue = company.mallory.rogue

    def attack():
        company.mallory_is("mallory@example.net", initial_contact=True)
        rogue.says("again", exchange=IKE_SA_INIT, copies=COPIES)
        # whether she gets in is her own problem: she may take the answer to one of the copies for hers
        company.mallory.initiate("data")
        assert rogue.applied("again")
        company.mallory.swanctl("--terminate", "--ike", "mischief", "--force", check=False)
        company.mallory_is("mallory@example.net", initial_contact=True)
        for exchange in (IKE_AUTH, CREATE_CHILD_SA, INFORMATIONAL):
            rogue.says(f"again {exchange}", exchange=exchange, copies=COPIES)
        # where a cookie is asked for, a charon that is still busy with it takes the answer for a copy
        company.mallory.wait_until(lambda: company.mallory.initiate("data").success, "she gets in", 60)
        company.mallory.swanctl("--rekey", "--child", "data")
        company.mallory.wait_until(lambda: rogue.applied(f"again {CREATE_CHILD_SA}"), "rekeyed")
        rogue.sends("mischief", [])
        company.mallory.wait_until(lambda: rogue.applied(f"again {INFORMATIONAL}"), "sent")
        is_stranger(company.gateway, "strangers", company.mallory.key)

    company.victim_after(attack)
