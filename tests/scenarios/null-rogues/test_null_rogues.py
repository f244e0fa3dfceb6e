# SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception
"""Peers that use NULL authentication and want more than that gives (RFC 7619, sections 2.2, 3.2 and 3.3)."""

import pytest

from harness import ikev2
from harness.checks import connects, has_no_sa, is_nobody, is_refused
from harness.victim import is_healthy

ALICE, SECRET = "alice@example.org", b"only Alice knows"


class Gateway:
    def __init__(self, world, **more):
        self.world = world
        self.left = world.host("left", conf="", start=False)
        self.gateway = world.host("right", key="ed25519", null=True, **more)

    def raw(self, source="192.0.2.1", port=500):
        return ikev2.Initiator(self.left.namespace, source, self.gateway.address, port=port)

    def serves_nobody(self, world, gateway):
        with self.raw(port=502) as initiator:
            initiator.init()
            assert initiator.auth([], ikev2.Mac(initiator), "", ikev2.ID_NULL, address="10.66.128.99").authenticated
            initiator.delete()

    def refuses(self, code, mac=None, identity="", id_type=ikev2.ID_NULL, certs=(), **how):
        with self.raw() as initiator:
            initiator.init()
            answer = initiator.auth(certs, mac or ikev2.Mac(initiator), identity, id_type, **how)
            assert answer.refused, answer
        event = self.gateway.rejected(code)
        self.gateway.wait_until(lambda: not self.gateway.sas(), "no IKE_SA is left")
        is_healthy(self.world, self.gateway, self.serves_nobody)
        return event


@pytest.fixture
def gateway(world):
    return Gateway(world)


def test_an_id_null_that_has_a_name(gateway):
    gateway.refuses("null-id", identity="alice")


@pytest.mark.parametrize("name", ["btns:null:0000000000000001-0000000000000002", "btns:sha256:" + "0" * 64, "BTNS:anything"])
def test_a_name_that_only_we_give(gateway, name):
    gateway.refuses("claims-reserved-id", identity=name, id_type=ikev2.ID_KEY_ID)


def test_another_round_after_it(gateway):
    gateway.refuses("multiple-rounds", more=[ikev2.notify(ikev2.ANOTHER_AUTH_FOLLOWS)])


def test_from_another_address(gateway):
    """IKE_AUTH comes from elsewhere than IKE_SA_INIT: `dynamic` would be somebody else's address."""
    gateway.left.namespace.ip("addr", "add", "192.0.2.77/24", "dev", "eth0")
    with gateway.raw() as initiator:
        initiator.init()
        initiator.move("192.0.2.77")
        assert initiator.auth([], ikev2.Mac(initiator), "", ikev2.ID_NULL).refused
    gateway.gateway.rejected("address-changed", auth="null")
    is_healthy(gateway.world, gateway.gateway, gateway.serves_nobody)


def test_with_the_key_of_somebody(gateway, world):
    """A bare key beside NULL authentication means nothing: the peer has not signed with it."""
    with gateway.raw() as initiator:
        initiator.init()
        key = world.keys.key()
        answer = initiator.auth([(ikev2.SPKI, key.spki), (ikev2.SPKI, gateway.gateway.key.spki)], ikev2.Mac(initiator), "",
                                ikev2.ID_NULL)
        assert answer.authenticated
        is_nobody(gateway.gateway, "null-both")
        initiator.delete()


def test_a_secret_that_is_called_nobodys(gateway):
    """She knows Alice's secret, and says that it is none; and the other way round. Neither is tried for the other."""
    with gateway.raw() as initiator:
        initiator.init()
        assert initiator.auth([], ikev2.Mac(initiator, SECRET), ALICE, ikev2.ID_RFC822).refused
        assert "tried 1 shared key for" in gateway.gateway.log() and "but MAC mismatched" in gateway.gateway.log()
    with gateway.raw() as initiator:
        initiator.init()
        assert initiator.auth([], ikev2.Mac(initiator, None, ikev2.SHARED_KEY), ALICE, ikev2.ID_RFC822).refused
    with gateway.raw() as initiator:
        initiator.init()
        assert initiator.auth([], ikev2.Mac(initiator, SECRET, ikev2.SHARED_KEY), ALICE, ikev2.ID_RFC822,
                              address="10.66.129.3").authenticated
        assert gateway.gateway.sa("alice")["remote-id"] == ALICE
        assert gateway.gateway.peers() == []
        initiator.delete()


def test_more_requests_than_a_peer_may_send(world):
    gateway = Gateway(world, btns={"child_rate": 3})
    with gateway.raw() as initiator:
        initiator.init()
        assert initiator.auth([], ikev2.Mac(initiator), "", ikev2.ID_NULL).authenticated
        initiator.timeout = 1
        initiator.socket.settimeout(1)
        with pytest.raises(TimeoutError):
            for message_id in range(2, 8):
                initiator.create_child(message_id, address=f"10.66.128.{20 + message_id}")
    gateway.gateway.rejected("child-rate", auth="null")
    assert gateway.gateway.alive()


def test_the_same_again_and_again(gateway):
    """IKE_SAs that are set up and forgotten use up the limit of their source, and nothing else."""
    for number in range(4):
        with gateway.raw() as initiator:
            initiator.init()
            assert initiator.auth([], ikev2.Mac(initiator), "", ikev2.ID_NULL, address=f"10.66.128.{10 + number}").authenticated
    with gateway.raw() as initiator:
        initiator.init()
        assert initiator.auth([], ikev2.Mac(initiator), "", ikev2.ID_NULL, address="10.66.128.20").refused
    gateway.gateway.rejected("max-null-peers-per-source")
    with gateway.raw() as initiator:
        initiator.init()
        assert initiator.auth([], ikev2.Mac(initiator, SECRET, ikev2.SHARED_KEY), ALICE, ikev2.ID_RFC822,
                              address="10.66.129.3").authenticated, "somebody known comes as ever"


def charons(world, more="", secrets="", rogue="right"):
    left_conf, right_conf = world.conf("left", MORE=more, SECRETS=secrets), None
    make = {"left": world.host, "right": world.host}
    make[rogue] = world.rogue
    left = make["left"]("left", left_conf, null=True, start=False)
    right = make["right"]("right", right_conf, "ed25519", null=True, start=False)
    world.start(left, right)
    return left, right


@pytest.mark.parametrize("secrets", ["", 'secrets {\n\tike-any {\n\t\tsecret = "whoever it is"\n\t}\n}\n'],
                         ids=["no secret", "a secret for everybody"])
def test_a_responder_that_says_it_has_a_secret(world, secrets):
    """Its AUTH payload is right for nobody, and said to be a shared key's: that is not what we want of it."""
    left, right = charons(world, secrets=secrets)
    right.rogue.says("method", response=True, auth_method=ikev2.SHARED_KEY)
    outcome = left.initiate("data")
    assert not outcome.success, outcome.log
    assert right.rogue.applied("method")
    left.rejected("not-null")
    has_no_sa(left)


def test_an_initiator_that_says_it_has_a_secret(world):
    left, right = charons(world, rogue="left")
    left.rogue.says("method", auth_method=ikev2.SHARED_KEY)
    is_refused(left, "data")
    assert left.rogue.applied("method")
    has_no_sa(left, right)
    left.rogue.behaves()
    connects(left, "data")
    is_nobody(right, "null-both")


@pytest.mark.parametrize("method", [0, 1, 3, 12, 14, 201, 255])
def test_methods_that_are_none(world, method):
    """Whatever else the AUTH payload is called, it is no NULL authentication."""
    left, right = charons(world, rogue="left")
    left.rogue.says("method", auth_method=method or 250)
    is_refused(left, "data")
    has_no_sa(left, right)


def test_reauthentication(world):
    """A new IKE_SA is another peer: it is admitted as one, and the one before goes."""
    left, right = charons(world, more="reauth_time = 3s\n\t\tover_time = 30s")
    connects(left, "data")
    first = right.sa("null-both")["remote-id"]
    is_nobody(right, "null-both")

    def is_new():
        sas = [sa for sa in right.sas() if sa["name"] == "null-both"]
        return len(sas) == 1 and sas[0]["remote-id"] != first and sas[0]["state"] == "ESTABLISHED"

    right.wait_until(is_new, "it has come again", timeout=20)
    is_nobody(right, "null-both")
    assert right.stats()["null-peers"] == 1
