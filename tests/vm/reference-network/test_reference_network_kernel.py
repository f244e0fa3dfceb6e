# SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception
"""RFC 5386, section 3.1, with the examples as they are: what tests/scenarios/reference-network cannot show, because it takes
the kernel's policies and transport mode. The number in a test's name is that of the section."""

import pytest
from harness.checks import connects, is_stranger
from harness.host import reaches
from harness.reference_network import FIGURE_1, set_up, settle

import xfrm

TOPOLOGY = FIGURE_1

NFS = 2049
WEB = 80
LAST = "1000000"
"""A weaker priority than any of charon's."""


@pytest.fixture(scope="module")
def nodes(shared_world):
    return set_up(shared_world, ("sg-a", "q", "r", "c", "d", "a"))


@pytest.fixture
def net(nodes):
    settle(nodes)
    return nodes


@pytest.fixture
def discarding(net):
    """[SG-A] lets nothing of or for [A] through that no policy covers, which is what Figure 3 ends with."""
    for args in (("dst", net.a.address, "dir", "fwd"), ("src", net.a.address, "dir", "out")):
        net.sg_a.namespace.ip("xfrm", "policy", "add", *args, "action", "block", "priority", LAST)
    yield net
    for args in (("dst", net.a.address, "dir", "fwd"), ("src", net.a.address, "dir", "out")):
        net.sg_a.namespace.ip("xfrm", "policy", "delete", *args)


def in_esp(world, client, server, ends, port):
    world.check_transfer(client, server, size=4000, port=port, ends=[end.address for end in ends], timeout=20)


def talk_in_clear(client, server, timeout=20):
    return reaches(client, server, timeout=timeout)


def policies_of(gateway, peer):
    """{direction: policy} for [A] and a peer."""
    return {policy.selector.direction: policy for policy in xfrm.policies(gateway) if str(policy.remote) == f"{peer.address}/32"}


def test_3_1_r_is_bypassed_and_nobody_else(shared_world, discarding):
    """"[R] does not initiate any IKE SAs; its traffic to [A] is bypassed by SPD entry #1." """
    net = discarding
    assert set(policies_of(net.sg_a, net.r)) == {"in", "out", "fwd"}
    assert talk_in_clear(net.r, net.a) and talk_in_clear(net.a, net.r)
    for host in (net.d, net.q):
        assert not talk_in_clear(host, net.a, timeout=2)
    assert not net.sg_a.sas()


def test_3_1_q_gets_the_tunnel_of_spd_2(shared_world, discarding):
    """"CHILD SAs are then allowed that have [SG-A]'s and [Q]'s addresses as the end-point addresses." """
    net = discarding
    connects(net.q, "spd-1")
    (child,) = xfrm.children(net.sg_a, "pad-2-q")
    assert (child["mode"], child["local-ts"], child["remote-ts"]) == (
        "TUNNEL", [f"{net.a.address}/32"], [f"{net.q.address}/32"]
    )
    state = net.sg_a.namespace.ip("xfrm", "state")
    assert "cbc(aes)" in state and "hmac(sha256)" in state, state
    in_esp(shared_world, net.q, net.a, (net.q, net.sg_a), WEB)
    in_esp(shared_world, net.a, net.q, (net.sg_a, net.q), WEB)


def test_3_1_strangers_get_the_tunnel_of_spd_4(shared_world, discarding):
    """"CHILD SAs are then allowed that have [SG-A]'s address and [C]'s address as the end-point addresses": for [A], in
    tunnel mode."""
    net = discarding
    connects(net.d, "spd-1-behind")
    is_stranger(net.sg_a, "pad-3-any", net.d.key)
    found = policies_of(net.sg_a, net.d)
    assert set(found) == {"in", "out", "fwd"}
    for policy in found.values():
        assert policy.mode == "tunnel" and policy.priority >= xfrm.BTNS_PRIORITY, policy
    in_esp(shared_world, net.d, net.a, (net.d, net.sg_a), NFS)
    assert not talk_in_clear(net.d, net.a, timeout=2), "one port was agreed upon"


def test_3_1_c_and_the_gateway_are_the_ends_in_transport_mode(shared_world, net):
    """The same for [SG-A] itself, in the mode of Figure 3. [C]'s first packet to port 2049 initiates, and what goes to any
    other port passes by (section 3.3)."""
    assert reaches(net.c, net.sg_a, timeout=20, port=NFS)
    is_stranger(net.sg_a, "pad-3-any", net.c.key)
    (child,) = xfrm.children(net.sg_a, "pad-3-any")
    assert (child["name"], child["mode"]) == ("spd-4-own", "TRANSPORT")
    assert (child["local-ts"], child["remote-ts"]) == (
        [f"{net.sg_a.address}/32[tcp/nfs]"], [f"{net.c.address}/32[tcp]"]
    )
    assert {policy.mode for policy in policies_of(net.sg_a, net.c).values()} == {"transport"}
    in_esp(shared_world, net.c, net.sg_a, (net.c, net.sg_a), NFS)
    before = xfrm.states(net.sg_a)
    assert talk_in_clear(net.c, net.sg_a)
    assert xfrm.states(net.sg_a) == before
