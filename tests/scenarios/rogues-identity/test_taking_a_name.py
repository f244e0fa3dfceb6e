# SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception
"""Nobody gets anything by calling himself Alice while she is at work."""

import pytest

from harness import ikev2
from harness.checks import is_stranger


def test_mallory_without_mischief_is_a_stranger(company):
    """Else all the refusals here would prove nothing."""
    company = company().open()
    outcome = company.mallory.initiate("data")
    assert not outcome.success, "without a key in a CERT payload nobody is a stranger"
    company.mallory.rogue.shows((ikev2.SPKI, company.mallory.key.spki))
    outcome = company.mallory.initiate("data")
    assert outcome.success, outcome.log
    is_stranger(company.gateway, "strangers", company.mallory.key)
    company.victim.assert_untouched()


@pytest.mark.parametrize("unique", ["replace", "keep", "no"])
def test_alices_name_with_initial_contact(company, unique):
    company = company(unique=unique).open()
    company.claims("alice@example.org")
    rogue = company.mallory.rogue
    rogue.shows((ikev2.SPKI, company.mallory.key.spki))
    rogue.says("initial contact", drop_notifies=[ikev2.INITIAL_CONTACT], add=[ikev2.notify(ikev2.INITIAL_CONTACT)], times=0)
    company.withstands("claims-known-id", "initial contact", **{"asserted-id": "alice@example.org"})
