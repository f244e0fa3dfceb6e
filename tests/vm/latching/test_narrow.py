# SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception
"""RFC 5660 2.1: SAs for one connection alone, whose algorithms are latched, too."""

from harness.checks import rekeys

from worlds import CLIENT, PORT, SERVER, Connected, one, pair


def selectors(host):
    """Of each CHILD_SA: (local, remote), one of each."""
    return sorted((child["local-ts"][0], child["remote-ts"][0]) for sa in host.sas() for child in sa["child-sas"].values()
                  if child["state"] == "INSTALLED")


def test_sas_for_one_connection_alone(world):
    left, right = pair(world)
    with Connected(left, right, narrow=1) as both:
        both.exchanges()
        latch = one(left, "established")
        assert latch["narrow"] == "yes"
        port = latch["local-port"]
        assert selectors(left) == [(f"{CLIENT}/32[tcp/{port}]", f"{SERVER}/32[tcp/{PORT}]")]
        assert selectors(right) == [(f"{SERVER}/32[tcp/{PORT}]", f"{CLIENT}/32[tcp/{port}]")]
        # another connection has others
        both.client("connect", "d", address=SERVER, port=PORT, narrow=1)
        both.server("accept", "t", listener="listener", narrow=1)
        both.client("send", "d", text="of its own")
        assert both.server("receive", "t", size=10)["text"] == "of its own"
        assert len(selectors(left)) == 2
        both.exchanges()


def test_they_stay_when_the_configuration_is_loaded_again(world):
    left, right = pair(world)
    with Connected(left, right, narrow=1) as both:
        both.exchanges()
        for host in (left, right):
            host.load_all()
            host.request("btns-list-pad", {})
        before = selectors(left)
        both.exchanges()
        rekeys(left, right, "child", child="app")
        both.exchanges()
        assert selectors(left) == before
        # a child that is not configured any more is not rekeyed, nor are its narrow SAs
        left.configure((left.swanctl_dir / "swanctl.conf").read_text().replace(f"tcp/{PORT}", f"tcp/{PORT + 1}"))
        left.load_all()
        left.swanctl("--rekey", "--child", "app")
        left.rejected("unconfigured")
