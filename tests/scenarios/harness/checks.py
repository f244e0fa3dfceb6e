# SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception
"""What tests say again and again."""

import re

REFUSED = "AUTHENTICATION_FAILED"
NO_TS = "TS_UNACCEPTABLE"


def is_stranger(host, connection, key):
    """The peer is a BTNS peer, known by its key to charon and to the plugin alike. Returns its btns-peer."""
    sa = host.sa(connection)
    assert sa["remote-id"] == key.identity, sa
    assert sa.get("remote-eap-id", key.identity) == key.identity, sa
    found = [peer for peer in host.peers() if peer["uniqueid"] == sa["uniqueid"]]
    assert len(found) == 1, host.peers()
    peer = found[0]
    assert peer["fingerprint"] == key.fingerprint, peer
    assert peer["connection"] == connection, peer
    assert peer["remote-host"] == sa["remote-host"], peer
    return peer


def is_nobody(host, connection):
    """The peer used NULL authentication: it is known by its IKE_SA, to charon and to the plugin alike, and has no key.
    Returns its btns-peer."""
    sa = host.sa(connection)
    spis = r"[0-9a-f]{16}-[0-9a-f]{16}"
    assert re.fullmatch(f"btns:null:{spis}", sa["remote-id"]), sa
    assert sa.get("remote-eap-id", sa["remote-id"]) == sa["remote-id"], sa
    found = [peer for peer in host.peers() if peer["uniqueid"] == sa["uniqueid"]]
    assert len(found) == 1, host.peers()
    peer = found[0]
    assert peer["auth"] == "null" and "fingerprint" not in peer and "key-type" not in peer, peer
    assert peer["connection"] == connection and peer["remote-host"] == sa["remote-host"], peer
    return peer


def are_strangers(left, right, connection="strangers"):
    """Each sees the other as a BTNS peer with its key. Returns what the responder knows of the initiator."""
    is_stranger(left, connection, right.key)
    return is_stranger(right, connection, left.key)


def connects(initiator, child, ike=None):
    outcome = initiator.initiate(child, ike)
    assert outcome.success, f"{outcome.error}\n{outcome.log}"
    return outcome


def is_refused(initiator, child, answer=REFUSED, ike=None):
    """Initiating fails, and the responder's answer is why."""
    outcome = initiator.initiate(child, ike)
    assert not outcome.success, outcome.log
    assert answer in outcome.log, outcome.log
    return outcome


def has_no_sa(*hosts):
    for host in hosts:
        host.wait_until(lambda: not host.sas(), "no IKE_SA is left")


def rejects(responder, initiator, child, code, answer=REFUSED, ike=None):
    """Initiating fails; the responder says why, counts it and lives. Returns the event."""
    is_refused(initiator, child, answer, ike)
    return responder.rejected(code)


def built_for_another(root, version):
    """What is logged when a plugin that was built for another version is refused: by charon itself from 6.0.3 on."""
    if root.version() >= (6, 0, 3):
        return f"plugin 'btns': failed to load - plugin version {version} doesn't match version {root.version_text()}"
    return f"the plugin was built for strongSwan {version}, but this is {root.version_text()}"


def settled(host):
    """SPIs of the one IKE_SA and its one CHILD_SA, from one look at both; None while something is going on."""
    sas = host.sas()
    if len(sas) != 1 or sas[0]["state"] != "ESTABLISHED":
        return None
    children = list(sas[0]["child-sas"].values())
    if [child["state"] for child in children] != ["INSTALLED"]:
        return None
    return sas[0]["initiator-spi"], children[0]["spi-in"]


def rekeys(host, peer, what, connection="strangers", child="data"):
    """A host rekeys the IKE_SA ("ike") or the CHILD_SA ("child") that it has with its peer."""
    changed = ["ike", "child"].index(what)

    def is_rekeyed():
        now = settled(host)
        return now is not None and now[changed] != before[changed]

    host.wait_until(lambda: settled(host), "nothing is going on")
    before = settled(host)
    host.swanctl("--rekey", *(("--ike", connection) if what == "ike" else ("--child", child)))
    host.wait_until(is_rekeyed, f"{what} is rekeyed")
    peer.wait_until(lambda: settled(peer), f"{what} is rekeyed by {host.name}")
    assert host.sa(connection)["initiator-spi"] == peer.sa(connection)["initiator-spi"]
