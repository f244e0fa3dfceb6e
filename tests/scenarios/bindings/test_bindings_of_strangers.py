# SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception
"""Two strangers tell the same channel bindings: that of the end points as long as their keys are the same, the unique one
as long as the IKE_SA lasts."""

import pytest

from harness import roots
from harness.bindings import ENDPOINTS, UNIQUE, agreed, asked, endpoints_of, of_flow, value
from harness.checks import connects, has_no_sa, rekeys
from harness.vici import ViciError

DEFAULT = "aes128-sha256-x25519"


def strangers(world, left="ed25519", right="ed25519", left_proposals=DEFAULT, right_proposals=DEFAULT, **both):
    one = world.host("left", world.conf("left", PROPOSALS=left_proposals), left, start=False, **both)
    other = world.host("right", world.conf("right", PROPOSALS=right_proposals), right, start=False, **both)
    world.start(one, other)
    return one, other


def again(world, left, right):
    """The initiator authenticates again, by a new IKE_SA."""
    before = left.sa("strangers")["uniqueid"]
    left.swanctl("--rekey", "--ike", "strangers", "--reauth")

    def done(host):
        up = [sa for sa in host.sas() if sa["state"] == "ESTABLISHED"]
        children = [child["state"] for sa in up for child in sa["child-sas"].values()]
        return len(host.sas()) == 1 and len(up) == 1 and children == ["INSTALLED"]

    left.wait_until(lambda: done(left) and left.sa("strangers")["uniqueid"] != before, "authenticated again", 15)
    right.wait_until(lambda: done(right), "authenticated again")


@pytest.mark.parametrize("keys", [("ed25519", "rsa2048"), ("ecdsa256", "ed448")], ids="-".join)
def test_over_the_life_of_their_sas(world, keys):
    left, right = strangers(world, *keys)
    connects(left, "data")
    endpoints, unique = agreed(left, right)
    assert endpoints == endpoints_of(left.key, right.key)
    assert unique
    for host, what in [(left, "ike"), (right, "ike"), (left, "child"), (right, "child"), (right, "ike")]:
        rekeys(host, right if host is left else left, what)
        assert agreed(left, right) == (endpoints, unique), what
    again(world, left, right)
    assert agreed(left, right)[0] == endpoints
    seen = [unique, agreed(left, right)[1]]
    # the other side begins
    left.swanctl("--terminate", "--ike", "strangers")
    has_no_sa(left, right)
    right.configure(world.conf("right", PROPOSALS=DEFAULT).replace("%any", "192.0.2.1").replace("10.66.128.0/17", "10.66.128.7/32"))
    right.load_all()
    connects(right, "data")
    assert agreed(left, right)[0] == endpoints
    seen.append(agreed(left, right)[1])
    assert len(set(seen)) == 3, "each authentication has a unique binding of its own"
    world.check_transfer(left, right)


def test_what_is_told_of_a_channel(world):
    left, right = strangers(world)
    connects(left, "data")
    answer = of_flow(left, right)
    assert answer["connection"] == "strangers" and answer["child-name"] == "data"
    assert (answer["local-method"], answer["peer-method"]) == ("public-key", "btns")
    assert answer["confidentiality"] == answer["integrity"] == "yes"
    assert answer["mode"] == "tunnel"
    assert answer["encryption-algorithm"].startswith("AES_"), answer
    assert answer["authorized-id"] == right.key.identity
    assert answer["peer-fingerprint"] == right.key.fingerprint
    assert answer["local-fingerprint"] == left.key.fingerprint
    assert bytes.fromhex(answer["peer-key"]) == right.key.spki
    assert (answer["local-host"], answer["remote-host"]) == ("192.0.2.1", "192.0.2.2")
    assert (answer["local-port"], answer["remote-port"]) == ("4500", "4500")
    assert int(answer["established"]) > 1000000000
    assert "child" not in asked(left, uniqueid=answer["uniqueid"])
    left.swanctl("--terminate", "--ike", "strangers")
    left.wait_until(lambda: of_flow(left, right)["protection"] == "unprotected", "the channel has ended")
    assert of_flow(left, right)["code"] == "no-sa"
    for request in ({"uniqueid": answer["uniqueid"]}, {"child": answer["child"]}):
        with pytest.raises(ViciError, match="no such"):
            asked(left, **request)


@pytest.mark.parametrize("what", ["cookie", "invalid-ke"])
def test_when_ike_sa_init_is_repeated(world, what):
    """The last IKE_SA_INIT exchange counts."""
    if what == "cookie":
        left, right = strangers(world, options={"cookie_threshold_ip": 1, "cookie_threshold": 1})
        # somebody who is half-open already
        from harness.ikev2 import Initiator
        third = world.wire.attach("third", ["192.0.2.3/24"], [])
        with Initiator(third, "192.0.2.3", "192.0.2.2") as half_open:
            half_open.init()
            connects(left, "data")
        assert "received COOKIE" in left.log() or "N(COOKIE)" in left.log()
    else:
        left, right = strangers(world, left_proposals="aes128-sha256-x25519-ecp256", right_proposals="aes128-sha256-ecp256")
        connects(left, "data")
        assert "peer didn't accept" in left.log()
    endpoints, unique = agreed(left, right)
    assert endpoints and unique


@pytest.mark.skipif(roots.DEFAULT.version() < (6,), reason="strongSwan 5.9 has no IKE_INTERMEDIATE")
@pytest.mark.parametrize("proposal", ["x25519-ke1_ecp256", "x25519-ke1_ecp256-ke2_ecp384"], ids=["one", "two"])
def test_after_ike_intermediate(world, proposal):
    """What both sides authenticate of these exchanges is part of the transcript."""
    proposal = f"aes128-sha256-{proposal}"
    left, right = strangers(world, left_proposals=proposal, right_proposals=proposal)
    outcome = connects(left, "data")
    assert "IKE_INTERMEDIATE" in outcome.log
    endpoints, unique = agreed(left, right)
    assert endpoints and unique
    rekeys(right, left, "ike")
    assert agreed(left, right) == (endpoints, unique)


def test_requests_are_parsed_strictly(world):
    left, right = strangers(world)
    connects(left, "data")
    flow = {"protocol": "tcp", "local": left.inner[0], "remote": right.inner[0], "local_port": 1, "remote_port": 2}
    for request in (
        {}, {"uniqueid": "0"}, {"uniqueid": "-1"}, {"uniqueid": "1x"}, {"uniqueid": "4294967296"}, {"child": " 1"},
        {"uniqueid": "1", "child": "1"}, {"uniqueid": "1", **flow}, {"what": "1"}, {"uniqueid": ["1"]},
        {"uniqueid": {"1": "1"}}, {"uniqueid": "1" * 100}, {"local_port": "1"},
        {**flow, "protocol": "ip"}, {**flow, "protocol": "256"}, {**flow, "local": "localhost"}, {**flow, "local": "10.0.0.0/8"},
        {**flow, "remote": "::1"}, {**flow, "local_port": "0"}, {**flow, "remote_port": "65536"}, {**flow, "protocol": "47"},
        {name: item for name, item in flow.items() if name != "remote_port"},
        {name: item for name, item in flow.items() if name != "protocol"},
    ):
        with pytest.raises(ViciError):
            asked(left, **request)
    assert value(asked(left, **flow), ENDPOINTS) and value(asked(left, **flow), UNIQUE)
    assert asked(left, protocol="47", local=left.inner[0], remote=right.inner[0])["protection"] == "protected"
