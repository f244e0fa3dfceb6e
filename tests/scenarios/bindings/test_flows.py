# SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception
"""Which SAs take a connection's packets is decided as the kernel does."""

import pytest

from harness.bindings import ENDPOINTS, agreed, asked, of_flow, value
from harness.checks import connects

PEER = """	{name} {{
		version = 2
		encap = yes
		local_addrs = {here}
		remote_addrs = {there}
		local {{
			auth = pubkey
			pubkeys = me.pem
			id = {me}
		}}
		remote {{
			auth = pubkey
			pubkeys = {peer}.pem
			id = {peer}
		}}
		children {{
{children}
		}}
	}}
"""

CHILD = """			{name} {{
				local_ts = {local}
				remote_ts = {remote}
				{more}
			}}
"""

SHUNT = """	shunts {{
		local_addrs = %any
		children {{
			shunt {{
				mode = {mode}
				start_action = trap
				local_ts = 0.0.0.0/0
				remote_ts = {remote}
			}}
		}}
	}}
"""

ADDRESSES = {"left": "192.0.2.1", "right": "192.0.2.2", "third": "192.0.2.3"}


def peer(me, name, **children):
    """A connection with somebody whose key is known; children are (local_ts, remote_ts) or with one more line."""
    texts = "".join(CHILD.format(name=child, local=ts[0], remote=ts[1], more=ts[2] if len(ts) > 2 else "")
                    for child, ts in children.items())
    return PEER.format(name=name, here=ADDRESSES[me], there=ADDRESSES[name], me=me, peer=name, children=texts)


def conf(*connections):
    return "connections {\n" + "".join(connections) + "}\n"


def hosts(world, **confs):
    made = [world.host(name, text, "ed25519", start=False) for name, text in confs.items()]
    for host in made:
        for other in made:
            host.add_file(f"pubkey/{other.name}.pem", other.key.public_pem)
    world.start(*made)
    return made


def protection(host, remote, port=7, **more):
    answer = asked(host, protocol="tcp", local="10.66.0.1", remote=remote, local_port=40000, remote_port=port, **more)
    return answer["protection"], answer.get("child-name", answer.get("code"))


def test_the_child_for_a_port_goes_before_the_one_for_all(world):
    left, right = hosts(
        world,
        left=conf(peer("left", "right", wide=("10.66.128.7/32", "10.66.0.1/32"),
                       port=("10.66.128.7/32[tcp/2049]", "10.66.0.1/32[tcp]"))),
        right=conf(peer("right", "left", wide=("10.66.0.1/32", "10.66.128.7/32"),
                        port=("10.66.0.1/32[tcp]", "10.66.128.7/32[tcp/2049]"))))
    assert protection(right, "10.66.128.7") == ("unprotected", "no-sa")
    connects(left, "wide")
    assert protection(right, "10.66.128.7", 2049) == ("protected", "wide")
    connects(left, "port")
    assert protection(right, "10.66.128.7", 2049) == ("protected", "port")
    assert protection(right, "10.66.128.7", 80) == ("protected", "wide")
    assert of_flow(right, left, port=2049, protocol="udp")["child-name"] == "wide"
    assert protection(right, "10.66.128.8") == ("unprotected", "no-sa")
    for port in (2049, 80):
        # from the other end it is the local port
        assert all(agreed(right, left, port=port))


def test_two_peers_with_the_same_addresses_are_ambiguous(world):
    both = ("10.66.0.1/32", "10.66.128.0/24")
    left, right, third = hosts(
        world,
        left=conf(peer("left", "right", data=both[::-1])),
        right=conf(peer("right", "left", data=both), peer("right", "third", data=both)),
        third=conf(peer("third", "right", data=both[::-1])))
    third.namespace.ip("addr", "add", "10.66.128.9/32", "dev", "lo")
    connects(left, "data")
    assert protection(right, "10.66.128.7")[0] == "protected"
    connects(third, "data")
    answer = asked(right, protocol="tcp", local="10.66.0.1", remote="10.66.128.7", local_port=1, remote_port=1)
    assert (answer["protection"], answer["code"]) == ("ambiguous", "several-peers")
    assert answer["reason"] and "bindings" not in answer
    third.swanctl("--terminate", "--ike", "right")
    right.wait_until(lambda: protection(right, "10.66.128.7")[0] == "protected", "one of them is left")
    assert asked(right, protocol="1", local="10.66.0.1", remote="10.66.128.7")["authorized-id"] == "left"


def test_a_priority_that_is_configured_counts(world):
    first = ("10.66.0.1/32", "10.66.128.0/17", "priority = 1000")
    left, right, third = hosts(
        world,
        left=conf(peer("left", "right", data=("10.66.128.0/17", "10.66.0.1/32"))),
        right=conf(peer("right", "left", data=first), peer("right", "third", data=("10.66.0.1/32", "10.66.129.3/32"))),
        third=conf(peer("third", "right", data=("10.66.129.3/32", "10.66.0.1/32"))))
    connects(third, "data")
    assert asked(right, protocol="1", local="10.66.0.1", remote="10.66.129.3")["connection"] == "third"
    connects(left, "data")
    assert asked(right, protocol="1", local="10.66.0.1", remote="10.66.129.3")["connection"] == "left"


@pytest.mark.parametrize("mode, code", [("pass", "bypass"), ("drop", "discard")])
def test_a_shunt_goes_before_all(world, mode, code):
    left, right = hosts(
        world,
        left=conf(peer("left", "right", data=("10.66.128.0/24", "10.66.0.1/32"))),
        right=conf(peer("right", "left", data=("10.66.0.1/32", "10.66.128.0/24")), SHUNT.format(mode=mode, remote="10.66.128.8/32")))
    connects(left, "data")
    assert protection(right, "10.66.128.8") == ("unprotected", code)
    assert protection(right, "10.66.128.7") == ("protected", "data")
    right.swanctl("--uninstall", "--child", "shunt")
    assert protection(right, "10.66.128.8") == ("protected", "data")


def test_a_mark_is_not_known(world):
    left, right = hosts(
        world,
        left=conf(peer("left", "right", data=("10.66.128.7/32", "10.66.0.1/32"))),
        right=conf(peer("right", "left", data=("10.66.0.1/32", "10.66.128.7/32", "mark_in = 7\n\t\t\t\tmark_out = 7"))))
    connects(left, "data")
    assert protection(right, "10.66.128.7") == ("ambiguous", "conditional")
    assert value(of_flow(left, right), ENDPOINTS), "at the other end there is none"
