# SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception
"""IKEv1 is no way around: not for a stranger, not towards somebody who uses it."""

import pytest

from harness import roots

pytestmark = pytest.mark.skipif(not roots.DEFAULT.has_ikev1(), reason="this charon has no IKEv1")


@pytest.mark.parametrize("unique", ["replace", "keep"])
def test_the_name_of_somebody_who_uses_ikev1(company, unique):
    """Claimed by IKEv2, which her connection does not even speak."""
    company = company(key="rsa2048", ike=1, unique=unique).open()
    company.mallory_is("alice@example.org", initial_contact=True)
    company.withstands("claims-known-id", "initial contact", "shows")


@pytest.mark.parametrize("alices", [1, 2], ids=["Alice-uses-IKEv1", "Alice-uses-IKEv2"])
def test_a_stranger_by_ikev1(company, alices):
    """All connections would speak it. With Alice's name or another one, and with INITIAL_CONTACT as IKEv1 has it: Mallory's
    key is nobody's."""
    company = company(key="rsa2048", ike=alices)
    company.gateway.configure(company.gateway_conf().replace("version = 2", "version = 0"))
    company.open()
    for name in ("mallory@example.net", "alice@example.org"):
        company.mallory_is(name, edit=lambda conf: conf.replace("version = 2", "version = 1"))
        company.withstands(None, attack=lambda: by_ikev1(company))


def by_ikev1(company):
    start = len(company.gateway.log())
    outcome = company.mallory.initiate("data")
    assert not outcome.success, outcome.log
    assert "initiating Main Mode" in outcome.log and "received AUTHENTICATION_FAILED" in outcome.log, outcome.log
    assert "selected peer config 'strangers'" not in company.gateway.log()[start:]
    company.mallory.swanctl("--terminate", "--ike", "mischief", "--force", check=False)
