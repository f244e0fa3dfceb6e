# SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception
"""The same plugin uses what a daemon with patches/ offers, and does without where there are none: `btns = yes` is the flag
or a mistake, and is never overlooked."""

from harness.checks import are_strangers, connects, has_no_sa, is_refused


def hosts(world, flag):
    """Two hosts, and what the second one's swanctl says to `btns = FLAG`."""
    left, right = world.host("left", key="ed25519"), world.host("right", "", "ed25519")
    right.configure(world.conf("right", FLAG=flag))
    return left, right, right.swanctl("--load-conns", check=False)


def test_the_flag_as_an_option(world):
    left, right, loaded = hosts(world, "yes")
    if right.root.is_patched:
        assert loaded.returncode == 0, loaded.stderr
        assert right.pad()["strangers"]["flag"] == "btns"
        connects(left, "data")
        are_strangers(left, right)
        world.check_transfer(left, right)
    else:
        assert loaded.returncode != 0 and "unknown option: btns" in loaded.stderr, loaded
        assert right.pad() == {}
        is_refused(left, "data", "NO_PROPOSAL_CHOSEN")
        has_no_sa(left, right)


def test_the_option_says_no(world):
    left, right, loaded = hosts(world, "no")
    assert (loaded.returncode == 0) == right.root.is_patched, loaded.stderr
    assert [entry["flag"] for entry in right.pad().values()] == (["none"] if right.root.is_patched else [])
    is_refused(left, "data", "AUTHENTICATION_FAILED" if right.root.is_patched else "NO_PROPOSAL_CHOSEN")


def test_what_the_daemon_offers_is_used(world):
    """The dispatcher of its vici plugin, and a name for encoding 15; the plugin's commands are there in any case."""
    left = world.host("left", key="ed25519")
    conf = world.conf("right", FLAG="").replace("btns =", "groups = btns")
    right = world.host("right", conf, "ed25519")
    assert "peers" in right.stats(), right.stats()
    connects(left, "data")
    complains = "certificate encoding (15) not supported" in right.log()
    names = "received raw public key (ENC_RAW_PUBLIC_KEY)" in right.log()
    published = "the vici plugin publishes its dispatcher" in right.log()
    assert (complains, names, published) == ((False, True, True) if right.root.is_patched else (True, False, False))
