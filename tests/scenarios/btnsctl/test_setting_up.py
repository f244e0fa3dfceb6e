# SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception
"""What btnsctl writes works between two hosts, and never takes the place of anything; btnsctl doctor finds what is wrong."""

import re
import stat

import pytest

from harness import roots
from harness.btnsctl import FILE, NO, USAGE, run, run_json
from harness.checks import are_strangers, connects
from harness.keys import Key

INCLUDE = "include conf.d/*.conf\n"


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_keygen(world):
    right = world.host("right", "", start=False)
    shown = run(right, "keygen").split()
    secret, public = right.swanctl_dir / "private" / "me.pem", right.swanctl_dir / "pubkey" / "me.pem"
    key = Key(secret)
    assert shown == [str(secret), str(public), key.identity]
    assert (mode(secret), key.public_pem) == (0o600, public.read_text())
    before = secret.read_text()
    assert "never overwritten" in run(right, "keygen", status=FILE)
    public.unlink()
    assert "never overwritten" in run(right, "keygen", "--type", "rsa2048", status=FILE)
    assert secret.read_text() == before and not public.exists()
    made = run_json(right, "keygen", "--name", "other", "--type", "ecdsa384")
    assert (made["key-type"], made["key-bits"]) == ("ECDSA", 384)
    assert made["fingerprint"] == Key(right.swanctl_dir / "private" / "other.pem").fingerprint
    assert run(right, "keygen", "--name", "../other", status=USAGE)


@pytest.mark.parametrize("pinned", [False, True])
def test_two_hosts_from_nothing(world, pinned):
    """keygen and init on both, swanctl --load-all, and there is a tunnel."""
    hosts = [world.host(name, INCLUDE, start=False) for name in ("left", "right")]
    left, right = hosts
    world.start(left, right)
    ids = [run(host, "keygen", "--type", kind).split()[-1] for host, kind in zip(hosts, ("ed25519", "ecdsa256"))]
    for host, other, other_id in ((left, right, ids[1]), (right, left, ids[0])):
        # kernel-libipsec protects inner addresses only
        args = ["--remote", other.address, "--local", host.address, "--encap", "--local-ts", f"{host.inner[0]}/32", "--remote-ts",
                f"{other.inner[0]}/32"]
        args += ["--pin", other_id] if pinned else []
        shown = run(host, "init", *args)
        assert str(host.swanctl_dir / "conf.d" / "strangers.conf") in shown
        host.key = Key(host.swanctl_dir / "private" / "me.pem")
        host.load_all()
    assert run_json(right, "pad")[0]["findings"] == []
    assert run_json(right, "pad")[0]["flag"] == (ids[0] if pinned else "btns")
    connects(left, "data")
    are_strangers(left, right)
    world.check_transfer(left, right)


def test_init_makes_the_key_it_needs(world):
    right = world.host("right", INCLUDE)
    made = run_json(right, "init", "--type", "ed448")
    files = [str(right.swanctl_dir / name) for name in ("private/me.pem", "pubkey/me.pem", "conf.d/strangers.conf")]
    assert made == {"files": files, "connection": "strangers", "dry-run": False, "fingerprint": Key(files[0]).fingerprint}
    assert mode(right.swanctl_dir / "private" / "me.pem") == 0o600
    right.load_all()
    assert right.pad()["strangers"]["usable"] == "yes"
    assert made["fingerprint"] in (right.swanctl_dir / "conf.d" / "strangers.conf").read_text()


def test_init_never_overwrites(world):
    right = world.host("right", INCLUDE, start=False)
    files = right.files()
    shown = run(right, "init", "--dry-run")
    assert "groups = btns\n" in shown
    assert right.files() == files, "nothing was written"
    mine = right.swanctl_dir / "conf.d" / "strangers.conf"
    mine.write_text("mine")
    assert "never overwritten" in run(right, "init", status=FILE)
    assert mine.read_text() == "mine" and not (right.swanctl_dir / "private" / "me.pem").exists()
    # a key that is there is used
    run(right, "keygen")
    secret = (right.swanctl_dir / "private" / "me.pem").read_text()
    (right.swanctl_dir / "pubkey" / "me.pem").unlink()
    run(right, "init", "--name", "others")
    assert (right.swanctl_dir / "private" / "me.pem").read_text() == secret
    assert (right.swanctl_dir / "pubkey" / "me.pem").read_text() == Key(right.swanctl_dir / "private" / "me.pem").public_pem
    (right.swanctl_dir / "pubkey" / "me.pem").write_text(world.keys.key("ed25519").public_pem)
    assert "is not the public key" in run(right, "init", "--name", "more", status=FILE)


def findings(host, *args, status, **env):
    """What the doctor finds that is not ok: {check: result}; the text for people says the same."""
    checks = run_json(host, "doctor", *args, status=status, **env)
    shown = run(host, "doctor", *args, status=status, **env)
    for check in checks:
        assert re.search(rf"^{check['result']} +{check['check']}: ", shown, re.M), (check, shown)
        assert check["result"] == "ok" or check["text"], check
    return {check["check"]: check["result"] for check in checks if check["result"] != "ok"}


SURROUNDINGS = {"clock", "package"}
"""What this machine may have wrong on its own."""


def faults(host, *args, status=NO, **env):
    return {check: result for check, result in findings(host, *args, status=status, **env).items() if check not in SURROUNDINGS}


@pytest.fixture
def healthy(world):
    right = world.host("right", start=False)
    run(right, "keygen")
    return right.start()


def test_doctor_of_a_healthy_host(healthy):
    assert faults(healthy, status=0) == {}
    checks = {check["check"]: check["text"] for check in run_json(healthy, "doctor")}
    assert checks["plugin"].startswith("btns ") and "strangers" in checks["connections"]
    assert Key(healthy.swanctl_dir / "private" / "me.pem").identity in checks["own-keys"]
    assert "kernel-libipsec" in checks["esp"]


def test_doctor_without_charon(healthy):
    healthy.close()
    assert faults(healthy) == {"daemon": "error"} | kernel_faults(healthy)


def kernel_faults(host):
    """What the kernel of the machine that runs the tests lacks; charon's plugins are not known without charon."""
    return {check: result for check, result in findings(host, status=NO).items() if check == "esp"}


def test_doctor_without_the_plugin(world):
    right = world.host("right", plugin=False, start=False)
    run(right, "keygen")
    right.start()
    assert faults(right) == {"plugin": "error"}


def test_doctor_of_connections(healthy, world):
    good = world.conf("right")
    broken = good.replace("encap = yes", "encap = yes\n\t\tremote {\n\t\t\tid = *@example.org\n\t\t}")
    everything = good + "connections {\n other {\n remote_addrs = 192.0.2.99\n children {\n all {\n remote_ts = 0.0.0.0/0\n }\n }\n }\n}\n"
    taken = good.replace("encap = yes", "encap = yes\n\t\tremote_addrs = 192.0.2.99") + (
        "connections {\n other {\n remote_addrs = 192.0.2.99\n }\n}\n")
    rows = {
        "an error": (broken, {"connection": "error", "connections": "error"}, NO),
        "a warning": (good.replace("encap = yes", "encap = yes\n\t\tmobike = yes"), {"connection": "warning"}, 0),
        "none": ("", {"connections": "warning"}, 0),
        "everything reserved": (everything, {"reservation": "warning", "connection": "warning"}, 0),
        "reserved by another": (taken, {"reservation": "warning"}, 0),
        "good again": (good, {}, 0),
    }
    for what, (conf, expected, status) in rows.items():
        healthy.configure(conf)
        healthy.load_all()
        assert faults(healthy, status=status) == expected, what
    healthy.configure("")
    healthy.load_all()
    findings(healthy, "--strict", status=NO)


def test_doctor_of_keys(healthy, world):
    secret = healthy.swanctl_dir / "private" / "me.pem"
    secret.chmod(0o640)
    assert faults(healthy) == {"key-file": "error"}
    secret.chmod(0o600)
    key = world.keys.key("rsa1024")
    weak = healthy.swanctl_dir / "private" / "weak.pem"
    weak.write_text(key.private_pem)
    weak.chmod(0o600)
    assert faults(healthy) == {"key-file": "error"}
    # and if charon has it
    healthy.add_file("pubkey/weak.pem", key.public_pem)
    healthy.load_all()
    assert faults(healthy) == {"key-file": "error", "own-key": "error"}


def test_doctor_of_the_kernel(healthy, tmp_path):
    """With the folders of a system that has nothing."""
    if not roots.DEFAULT.is_own:
        pytest.skip("a root does not see the folder")
    assert faults(healthy, "--root", str(tmp_path)) == {"esp": "error"}
    (tmp_path / "dev" / "net").mkdir(parents=True)
    (tmp_path / "dev" / "net" / "tun").touch()
    assert faults(healthy, "--root", str(tmp_path), status=0) == {}
