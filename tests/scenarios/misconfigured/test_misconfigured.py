# SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception
"""A flagged connection that contradicts itself admits nobody, and btns-list-pad says what is wrong with it."""

from harness.checks import connects, has_no_sa, is_refused, is_stranger

MISTAKES = {
    "an ID that is not %any": "remote {\n id = *@example.org\n}",
    "a certificate is demanded": "remote {\n cacerts = ca.pem\n}",
    "another authentication": "remote {\n auth = psk\n}",
    "a second round": "remote-2 {\n auth = psk\n}",
    "another group as well": "remote {\n groups = btns, friends\n}",
    "two kinds of strangers": "remote {\n groups = btns, btns:null\n}",
    "a group of ours that is none": "remote {\n groups = btns:everybody\n}",
    "not IKEv2": "version = 1",
}


def test_misconfigured(world):
    left, right = world.pair()
    right.add_file("x509ca/ca.pem", world.keys.ca("Some CA").pem)
    for what, lines in MISTAKES.items():
        right.configure(world.conf("right").replace("encap = yes", lines.replace("\n", "\n\t\t") + "\n\t\tencap = yes"))
        right.load_all()
        entry = right.pad()["strangers"]
        assert entry["flag"] != "none", f"{what}: {entry}"
        assert entry["usable"] == "no", f"{what}: {entry}"
        assert any(finding.startswith("error: ") for finding in entry["findings"]), f"{what}: {entry}"
        if what != "not IKEv2":
            is_refused(left, "data")
        assert right.peers() == [], what
        has_no_sa(right)
    right.configure(world.conf("right"))
    right.load_all()
    assert right.pad()["strangers"]["usable"] == "yes"
    connects(left, "data")
    is_stranger(right, "strangers", left.key)
    assert "btns: connection 'strangers': error" in right.log()
