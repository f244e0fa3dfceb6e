# SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception
"""Keys that do not fit into one packet arrive in IKE fragments and are taken as any others."""

import pytest

from harness.capture import ENCRYPTED_FRAGMENT, IKE_AUTH
from harness.checks import are_strangers, connects


@pytest.mark.parametrize("carrier", ["bare-key", "certificate"])
def test_fragmented(world, carrier):
    options = {"fragment_size": 576}
    conf = {}
    if carrier == "certificate":
        for name in ("left", "right"):
            conf[name] = world.conf(name).replace("encap", "send_cert = always\n\t\tlocal {\n\t\t\tcerts = me.pem\n"
                                                  "\t\t\tpubkeys =\n\t\t}\n\t\tencap")
    btns = {"encodings": "x509"} if carrier == "certificate" else None
    left = world.host("left", conf.get("left"), "rsa4096", options=options, btns=btns, start=False)
    right = world.host("right", conf.get("right"), "rsa4096", options=options, btns=btns, start=False)
    if carrier == "certificate":
        for host in (left, right):
            host.add_file("x509/me.pem", world.keys.self_signed(host.key, f"{host.name}.example.net"))
    world.start(left, right)
    capture = world.capture()
    connects(left, "data")
    capture.stop()
    for source in ("192.0.2.1", "192.0.2.2"):
        fragments = [
            packet
            for packet in capture.exchanges(IKE_AUTH)
            if packet.source == source and packet.next_payload == ENCRYPTED_FRAGMENT
        ]
        assert len(fragments) >= 2, f"{len(fragments)} fragments from {source}"
    peer = are_strangers(left, right)
    assert peer["key-bits"] == "4096"
    assert peer["encoding"] == ("x509" if carrier == "certificate" else "spki")
    world.check_transfer(left, right)
