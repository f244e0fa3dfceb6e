# SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception
"""Only who says that it uses NULL authentication, and computes it so, is nobody, and only where that is allowed: nobody is
ever verified with somebody's secret, and nobody who has to have a secret with none."""

import itertools

import pytest

from harness import ikev2
from harness.checks import is_nobody

SECRET, ANYBODYS = b"what left and right know", b"what anybody knows"
PPK_ID, PPK = b"both@example.net", b"and what only a quantum computer does not"
LEFT, RIGHT = "left.example.net", "right.example.net"
PPK_ID_FIXED = 2

LOCALS = {
    "somebody": f"auth = pubkey\n\t\t\tpubkeys = me.pem\n\t\t\tid = {RIGHT}",
    "nobody": 'auth = psk\n\t\t\tid = "{13}:"',
}
"""How the host under test authenticates to those who use NULL authentication"""

ENTRY = """
connections {{
	{name} {{
		version = 2
		mobike = no
		unique = replace
		local_addrs = 192.0.2.2
		{more}
		local {{
			{local}
		}}
		remote {{
			{remote}
		}}
		children {{
			data {{
				local_ts = 10.66.0.1/32
				remote_ts = 10.66.128.0/17
			}}
		}}
	}}
}}
"""

METHODS = [ikev2.SHARED_KEY, ikev2.NULL_AUTHENTICATION]
MACS = {"secret": SECRET, "anybody's secret": ANYBODYS, "nobody's": None, "empty": b""}
RESPONDERS = {"none": None, "ID_NULL": (ikev2.ID_NULL, ""), "real": (ikev2.ID_FQDN, RIGHT)}
CLAIMS = {"ID_NULL": (ikev2.ID_NULL, ""), "left": (ikev2.ID_FQDN, LEFT), "mallory": (ikev2.ID_FQDN, "mallory.example.net")}


def swanctl_conf(entries, local, ppk):
    more = f"ppk_id = {PPK_ID.decode()}" if ppk else ""
    conf = ""
    if entries != "psk":
        conf += ENTRY.format(name="nobody", local=LOCALS[local], remote="auth = psk\n\t\t\tgroups = btns:null", more=more)
    if entries != "null":
        conf += ENTRY.format(name="left", local=f"auth = psk\n\t\t\tid = {RIGHT}", remote=f"auth = psk\n\t\t\tid = {LEFT}",
                             more=more)
        # takes whoever has the secret
        conf += ENTRY.format(name="anybody", local=f"auth = psk\n\t\t\tid = {RIGHT}", remote="auth = psk", more=more)
    return conf


def verdict(entries, local, method, mac, responder, claim):
    """The connection that such a peer gets, None if it has to be refused."""
    if method == ikev2.NULL_AUTHENTICATION:
        # whatever it calls itself; whom it asks for has to be there
        fits = {"none": ("nobody", "somebody"), "ID_NULL": ("nobody",), "real": ("somebody",)}[responder]
        return "nobody" if mac == "nobody's" and entries != "psk" and local in fits else None
    if entries == "null" or responder == "ID_NULL":
        return None
    if claim == "left":
        return "left" if mac in ("secret", "anybody's secret") else None
    return "anybody" if mac == "anybody's secret" else None


@pytest.mark.parametrize("ppk", [False, True], ids=["", "PPK"])
@pytest.mark.parametrize("entries", ["null", "psk", "both"])
@pytest.mark.parametrize("local", LOCALS)
def test_who_gets_in(world, local, entries, ppk):
    left = world.host("left", conf="", start=False)
    right = world.host("right", world.conf("right", CONNECTIONS=swanctl_conf(entries, local, ppk)), "ed25519",
                       null={"max_peers_per_source": 16})
    seen = set()
    for method, mac, responder, claim in itertools.product(METHODS, MACS, RESPONDERS, CLAIMS):
        expected = verdict(entries, local, method, mac, responder, claim)
        what = f"method {method}, {mac}, IDr {responder}, IDi {claim}"
        with ikev2.Initiator(left.namespace, left.address, right.address) as initiator:
            initiator.init([ikev2.notify(ikev2.USE_PPK)] if ppk else [])
            if ppk:
                initiator.use_ppk(PPK)
            more = [ikev2.notify(ikev2.PPK_IDENTITY, bytes([PPK_ID_FIXED]) + PPK_ID)] if ppk else []
            id_type, identity = CLAIMS[claim]
            answer = initiator.auth([], ikev2.Mac(initiator, MACS[mac], method), identity, id_type, more,
                                    responder=RESPONDERS[responder])
            assert answer.authenticated == bool(expected), f"{what}: {answer}\n{right.log()[-1500:]}"
            if not expected:
                assert answer.refused, what
                assert not right.sas() or all(sa["state"] != "ESTABLISHED" for sa in right.sas()), right.sas()
                continue
            seen.add(expected)
            if expected == "nobody":
                peer = is_nobody(right, expected)
                assert peer["asserted-id"] == ("" if claim == "ID_NULL" else identity), peer
                # it is nobody at both ends, or only here
                assert initiator.bodies[3][0] == (13 if local == "nobody" else 14), "AUTH method of the response"
                assert initiator.bodies[1][:1] == (b"\x0d" if local == "nobody" else b"\x02"), "IDr of the response"
            else:
                assert right.sa(expected)["remote-id"] == identity or claim == "ID_NULL"
                assert right.peers() == []
                assert initiator.bodies[3][0] == 2
            initiator.delete()
            right.wait_until(lambda: not right.sas(), "the IKE_SA is gone")
    assert seen == {"null": {"nobody"}, "psk": {"left", "anybody"}, "both": {"nobody", "left", "anybody"}}[entries]


@pytest.mark.parametrize("claim", CLAIMS)
def test_without_the_plugin(world, claim):
    """A peer that uses NULL authentication is refused, and who has the secret gets in."""
    left = world.host("left", conf="", start=False)
    right = world.host("right", world.conf("right", CONNECTIONS=swanctl_conf("both", "somebody", False)), "ed25519")
    id_type, identity = CLAIMS[claim]
    for mac in MACS.values():
        with ikev2.Initiator(left.namespace, left.address, right.address) as initiator:
            initiator.init()
            assert initiator.auth([], ikev2.Mac(initiator, mac), identity, id_type).refused
        right.rejected("null-off")
    with ikev2.Initiator(left.namespace, left.address, right.address) as initiator:
        initiator.init()
        answer = initiator.auth([], ikev2.Mac(initiator, SECRET, ikev2.SHARED_KEY), LEFT)
        assert answer.authenticated
        assert right.sa("left")["remote-id"] == LEFT
