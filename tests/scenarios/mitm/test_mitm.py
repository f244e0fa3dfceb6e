# SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception
"""Somebody is in the middle of two strangers and takes both tunnels. Without channel bindings a login succeeds and the attacker reads
what is then said; with them the login fails, the application says why, and nothing confidential was sent."""

import pytest

from harness import consumers, mitm
from harness.bindings import endpoints_of, of_sa
from harness.checks import is_refused, is_stranger
from harness.consumers import CLIENT_SAYS, IN_THE_MIDDLE, INSECURE, SECRETS, SERVER_SAYS, Kerberos, Scram

TOPOLOGY = mitm.TOPOLOGY


@pytest.fixture(scope="module")
def network(shared_world):
    return mitm.Middle(shared_world)


@pytest.fixture(scope="module", params=["scram", "kerberos"])
def application(request, network):
    """The two examples."""
    if request.param == "scram":
        consumer = Scram(network.client, network.server)
    else:
        consumer = Kerberos(network.client, network.server, network.kdc)
    yield consumer
    consumer.close()


pytestmark = pytest.mark.usefixtures("shared_logs")


def test_both_tunnels_are_the_attackers(network):
    """To either stranger everything looks as it should, but for the key."""
    with network.attack():
        is_stranger(network.client, "strangers", network.mallory)
        is_stranger(network.server, "strangers", network.mallory)
        for stranger, address in ((network.client, mitm.SERVER), (network.server, mitm.CLIENT)):
            assert stranger.sa("strangers")["remote-host"] == address


def test_neither_binding_is_equal_beyond_the_attacker(network):
    """She has the binding of each channel, and the strangers have none in common; with an honest channel they have both."""
    with network.attack():
        client, server = of_sa(network.client), of_sa(network.server)
        assert of_sa(network.false_server) == client
        assert of_sa(network.false_client) == server
    assert not set(client) & set(server)
    with network.honest():
        assert of_sa(network.client) == of_sa(network.server)
        assert not set(of_sa(network.client)) & {*client, *server}


def test_without_bindings_the_attacker_reads_everything(network, application):
    with network.attack(), network.listening() as (home, office, desk), application.serve(INSECURE) as server:
        login = application.login(INSECURE)
        server.wait("received: ")
    assert login.succeeded, login
    assert f"received: {CLIENT_SAYS}" in server.said
    read = b"".join(mitm.read(desk))
    assert CLIENT_SAYS.encode() in read and SERVER_SAYS.encode() in read
    # to all others it was as secret as ever
    for capture in (home, office):
        carried_by_esp(capture)


def test_with_bindings_the_login_fails_and_nothing_was_said(network, application):
    with network.attack(), network.listening() as (_, _, desk), application.serve() as server:
        login = application.login()
        server.wait("REFUSED: ")
    assert not login.succeeded
    assert IN_THE_MIDDLE in login.refusal, login
    assert IN_THE_MIDDLE in server.said
    # each told the truth about its own channel, and these are two
    keys = [host.key for host in (network.client, network.server)]
    assert [login.binding, server.binding] == [endpoints_of(key, network.mallory) for key in keys]
    assert login.binding != server.binding
    # the attacker relayed the login, and that was all there was to read
    read = b"".join(mitm.read(desk))
    assert login_began(application, read)
    assert not [secret for secret in SECRETS if secret in read]
    assert CLIENT_SAYS not in server.said and SERVER_SAYS not in login.said


def test_an_honest_connection_works_afterwards(network, application):
    with network.attack(), application.serve() as server:
        assert not application.login().succeeded
    with network.honest(), network.listening() as (home, office, desk), application.serve() as server:
        login = application.login()
        server.wait("received: ")
    assert login.succeeded, login
    assert login.binding == server.binding == endpoints_of(network.client.key, network.server.key)
    assert not mitm.read(desk)
    for capture in (home, office):
        carried_by_esp(capture)


def test_a_key_that_is_on_both_hosts_names_neither(network):
    """What docs/channel-bindings.md warns of. Two holders of one key do not get an SA with each other; through somebody in the
    middle, who shows one key to both, they do, and the bindings are equal."""
    scram = Scram(network.client, network.server)
    with network.one_key(), scram.serve():
        is_refused(network.client, "data")
        network.server.rejected("credential-known")
        with network.attack():
            assert scram.login().succeeded


def carried_by_esp(capture):
    assert capture.count("esp", mitm.CLIENT, mitm.SERVER) and capture.count("esp", mitm.SERVER, mitm.CLIENT)
    capture.assert_secret(SECRETS, mitm.INNER.values())


def login_began(application, read):
    """The first step of the login was among what was read: SCRAM's names the user and the binding, Kerberos' is a ticket."""
    if application.name == "scram":
        return b"p=ipsec-ikev2-endpoints-sha256" in read and b"n=" + consumers.USER.encode() in read
    return b"krbtgt" in read or consumers.SERVICE.encode() in read
