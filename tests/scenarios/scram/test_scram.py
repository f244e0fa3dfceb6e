# SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception
"""A user logs in with a password over an SA between strangers, by SCRAM-SHA-256-PLUS: the login names the channel, and both sides
name the same one. Without an SA, without the password or without the binding nothing confidential is said."""

import pytest

from harness import consumers, paths
from harness.bindings import endpoints_of, of_sa
from harness.checks import connects, rekeys
from harness.consumers import INSECURE, SECRETS, Scram


@pytest.fixture
def strangers(world):
    """Two hosts that have never met, and the application on them."""
    left, right = consumers.pair(world)
    return left, right, Scram(left, right)


def test_the_login_names_the_channel(world, strangers):
    """Both sides take the same binding, and what they then say to each other crosses in ESP."""
    left, right, scram = strangers
    connects(left, "data")
    capture = world.capture()
    with scram.serve() as server:
        login = scram.login()
        server.wait(f"received: {consumers.CLIENT_SAYS}")
    capture.stop()
    assert login.succeeded, login
    assert login.binding == server.binding == endpoints_of(left.key, right.key)
    for host in (left, right):
        assert of_sa(host)[0] == login.binding
    assert f"the peer is {right.key.identity}" in login.said
    assert f"the peer is {left.key.identity}" in server.said
    assert f"{consumers.USER}@btns-example has logged in" in server.said
    capture.assert_esp_only((left.address, right.address), SECRETS, left.inner + right.inner)


def test_a_server_with_a_certificate(world):
    """Asymmetric CBB of RFC 5387: the client knows the server by its certificate, the server knows the client by its login."""
    left, right = (
        world.host(name, (paths.SCENARIOS / "one-sided" / f"{name}.conf").read_text(), key, start=False)
        for name, key in (("left", "ed25519"), ("right", "ecdsa256"))
    )
    ca = world.keys.ca("Everybody's CA")
    right.add_file("x509/server.pem", ca.issue(right.key, "server.example.org"))
    left.add_file("x509ca/ca.pem", ca.pem)
    world.start(*consumers.with_socket(left, right))
    scram = Scram(left, right)
    connects(left, "data")
    with scram.serve() as server:
        login = scram.login()
        server.wait("has logged in")
    assert login.succeeded, login
    assert login.binding == server.binding == endpoints_of(left.key, right.key)
    assert "the peer is server.example.org" in login.said
    assert f"the peer is {left.key.identity}" in server.said


def test_a_wrong_password_fails(strangers):
    left, _, scram = strangers
    connects(left, "data")
    with scram.serve() as server:
        login = scram.login(password="wrong")
        server.wait("REFUSED: the login has failed")
    assert not login.succeeded and "the login has failed" in login.refusal, login
    assert consumers.CLIENT_SAYS not in server.said
    assert consumers.SERVER_SAYS not in login.said


def test_without_an_sa_the_client_says_nothing(world, strangers):
    """Each of them looks before it says anything: not one octet of theirs crosses the wire."""
    _, right, scram = strangers
    capture = world.capture()
    with scram.serve(address=right.address) as server:
        login = scram.login(address=right.address)
        server.wait("REFUSED: ")
    capture.stop()
    assert login.refusal.startswith("the connection is not known to be protected"), login
    assert "the connection is not known to be protected" in server.said
    assert consumers.count_data(capture) == (1, 0), "there was a TCP connection, and nothing in it"


def test_a_connection_that_no_sa_covers(world, strangers):
    """That there is an SA with the server is not enough: it has to be the one that this connection goes through."""
    left, right, scram = strangers
    connects(left, "data")
    with scram.serve(address=right.address):
        login = scram.login(address=right.address)
    assert login.refusal.startswith("the connection is not known to be protected"), login


def test_without_the_daemon_the_client_says_nothing(strangers):
    left, right, scram = strangers
    connects(left, "data")
    with scram.serve():
        login = scram.login(socket=left.folder / "nobody")
    assert login.refusal.startswith("nobody can tell what protects the connection"), login


def test_the_binding_stays_when_sas_are_rekeyed(strangers):
    left, right, scram = strangers
    connects(left, "data")
    with scram.serve() as server:
        before = scram.login()
        rekeys(left, right, "ike")
        rekeys(right, left, "child")
        after = scram.login()
        server.wait("has logged in")
    assert before.succeeded and after.succeeded, (before, after)
    assert before.binding == after.binding == server.binding


def test_one_who_takes_part_and_one_who_does_not(strangers):
    """Nobody can be talked out of the binding by the other side, which may be somebody in the middle."""
    left, _, scram = strangers
    connects(left, "data")
    with scram.serve(INSECURE) as server:
        login = scram.login()
        assert login.refusal.startswith("no login that names the channel is offered"), login
        assert consumers.CLIENT_SAYS not in server.said
    with scram.serve() as server:
        login = scram.login(INSECURE)
        assert login.refusal == "the server takes no login that does not name the channel", login
        assert consumers.CLIENT_SAYS not in server.said


def test_a_login_without_binding_is_called_insecure(strangers):
    left, _, scram = strangers
    connects(left, "data")
    with scram.serve(INSECURE) as server:
        login = scram.login(INSECURE)
        server.wait("received: ")
    assert login.succeeded, login
    for said in (login.said, server.said):
        assert "INSECURE: " in said
    assert not login.binding and not server.binding
