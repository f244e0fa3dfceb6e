# SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception
"""Channels and their bindings, as btns-get-bindings tells of them."""

import hashlib

from .vici import ViciError

ENDPOINTS, UNIQUE = "ipsec-ikev2-endpoints-sha256", "ipsec-ikev2-unique-sha256"


def asked(host, **request):
    """The answer to a request, with - instead of _ in the names of its fields."""
    answer = host.request("btns-get-bindings", {name.replace("_", "-"): value for name, value in request.items()})
    if answer["success"] != "yes":
        raise ViciError(answer["errmsg"])
    return answer


def of_flow(host, peer, port=7, local_port=40000, protocol="tcp", local=None, remote=None):
    """Of a connection between inner addresses, to a port of the peer's."""
    ports = {"local_port": local_port, "remote_port": port} if protocol in ("tcp", "udp") else {}
    return asked(host, protocol=protocol, local=local or host.inner[0], remote=remote or peer.inner[0], **ports)


def value(answer, kind):
    """A binding, bare; None if there is none. Its prefixed form is checked."""
    assert answer["protection"] == "protected", answer
    binding = answer["bindings"][kind]
    if "bare" not in binding:
        assert binding["code"] and binding["reason"], binding
        return None
    assert bytes.fromhex(binding["prefixed"]) == kind.encode() + b":" + bytes.fromhex(binding["bare"]), binding
    assert len(binding["bare"]) == 64, binding
    return binding["bare"]


def missing(answer, kind):
    """The code that says why there is no such binding."""
    assert value(answer, kind) is None, answer
    return answer["bindings"][kind]["code"]


def agreed(left, right, **flow):
    """Both hosts tell the same of a connection between them, by whatever it is asked for. Returns (endpoints, unique)."""
    here = of_flow(left, right, **flow)
    there = of_flow(right, left, port=flow.get("local_port", 40000), local_port=flow.get("port", 7),
                    protocol=flow.get("protocol", "tcp"), local=flow.get("remote"), remote=flow.get("local"))
    for host, answer in ((left, here), (right, there)):
        same = asked(host, child=answer["child"])
        assert same["bindings"] == answer["bindings"], (same, answer)
        assert asked(host, uniqueid=answer["uniqueid"])["bindings"] == answer["bindings"]
    both = [tuple(value(answer, kind) for kind in (ENDPOINTS, UNIQUE)) for answer in (here, there)]
    assert both[0] == both[1], (here, there)
    return both[0]


def endpoints_of(*keys):
    """The end-point binding of two keys, computed here."""
    low, high = sorted(bytes.fromhex(key.fingerprint) for key in keys)
    return hashlib.sha256(ENDPOINTS.encode() + b"\0" + low + high).hexdigest()


def of_sa(host, connection="strangers"):
    """What a host tells of its one IKE_SA of a connection: (endpoints, unique)."""
    answer = asked(host, uniqueid=host.sa(connection)["uniqueid"])
    return tuple(value(answer, kind) for kind in (ENDPOINTS, UNIQUE))
