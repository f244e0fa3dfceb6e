# SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception
"""A user logs in with Kerberos over an SA between strangers, through GSS-API with channel bindings: the login names the channel, and
both sides name the same one. Without an SA, without a ticket or without the binding nothing confidential is said."""

import pytest

from harness import consumers
from harness.bindings import endpoints_of
from harness.checks import connects
from harness.consumers import INSECURE, SECRETS, Kerberos


@pytest.fixture
def strangers(world):
    """Two hosts that have never met, the application on them, and a KDC that knows both its client and its server."""
    left, right = consumers.pair(world)
    kdc = world.host("third", "", start=False)
    kerberos = Kerberos(left, right, kdc)
    yield left, right, kerberos
    kerberos.close()


def test_the_login_names_the_channel(world, strangers):
    """Both sides take the same binding, and what they then say to each other crosses in ESP."""
    left, right, kerberos = strangers
    connects(left, "data")
    capture = world.capture()
    with kerberos.serve() as server:
        login = kerberos.login()
        server.wait(f"received: {consumers.CLIENT_SAYS}")
    capture.stop()
    assert login.succeeded, login
    assert login.binding == server.binding == endpoints_of(left.key, right.key)
    assert f"{consumers.USER}@{consumers.REALM} has logged in" in server.said
    assert capture.count("esp", left.address, right.address) and capture.count("esp", right.address, left.address)
    capture.assert_secret(SECRETS, left.inner + right.inner)


def test_a_wrong_password_gives_no_ticket(strangers):
    left, _, kerberos = strangers
    connects(left, "data")
    assert kerberos.kinit("wrong")[0] != 0
    with kerberos.serve() as server:
        login = kerberos.login(ticket=False)
        server.wait("REFUSED: ")
    assert not login.succeeded and login.refusal.startswith("the login has failed"), login
    assert consumers.CLIENT_SAYS not in server.said
    assert consumers.SERVER_SAYS not in login.said


def test_without_an_sa_the_client_says_nothing(world, strangers):
    """Each of them looks before it says anything: not one octet of theirs crosses the wire."""
    _, right, kerberos = strangers
    assert kerberos.kinit()[0] == 0
    capture = world.capture()
    with kerberos.serve(address=right.address) as server:
        login = kerberos.login(address=right.address, ticket=False)
        server.wait("REFUSED: ")
    capture.stop()
    assert login.refusal.startswith("the connection is not known to be protected"), login
    assert consumers.count_data(capture) == (1, 0), "there was a TCP connection, and nothing in it"


def test_a_client_without_bindings_is_not_taken_for_one_with(strangers):
    """GSS-API accepts it; the server looks at GSS_C_CHANNEL_BOUND_FLAG."""
    left, _, kerberos = strangers
    connects(left, "data")
    with kerberos.serve() as server:
        login = kerberos.login(INSECURE)
        server.wait("REFUSED: the client has not said which channel it is at the end of")
    assert not login.succeeded, login
    assert consumers.CLIENT_SAYS not in server.said
    assert consumers.SERVER_SAYS not in login.said


def test_a_server_that_does_not_compare_is_not_taken_for_one_that_does(strangers):
    """GSS-API does not tell the client; the example's server says so under its signature."""
    left, _, kerberos = strangers
    connects(left, "data")
    with kerberos.serve(INSECURE) as server:
        login = kerberos.login()
    assert login.refusal.startswith("the server does not confirm"), login
    assert consumers.CLIENT_SAYS not in server.said


def test_a_login_without_binding_is_called_insecure(strangers):
    left, _, kerberos = strangers
    connects(left, "data")
    with kerberos.serve(INSECURE) as server:
        login = kerberos.login(INSECURE)
        server.wait("received: ")
    assert login.succeeded, login
    for said in (login.said, server.said):
        assert "INSECURE: " in said
