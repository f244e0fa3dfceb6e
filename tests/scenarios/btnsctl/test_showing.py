# SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception
"""btnsctl shows what charon and the plugin have, to people and to programs, and says by its exit status what the answer is."""

import json
import re
import subprocess

import pytest

from harness import btnsctl, ikev2
from harness.btnsctl import NO, NO_PLUGIN, REFUSED, UNREACHABLE, USAGE, Monitor, on_terminal, run, run_json
from harness.checks import connects

ASKING = [["status"], ["peers"], ["pad"], ["stats"], ["bindings"], ["latches"], ["explain", "192.0.2.1"], ["monitor"]]
"""Commands that need charon and the plugin."""

COMMANDS = "status peers pad bindings latches stats monitor explain doctor keygen init".split()


@pytest.fixture
def pair(world):
    left, right = world.pair()
    connects(left, "data")
    return left, right


def test_status(pair):
    left, right = pair
    shown = run(right, "status")
    for part in ("strongSwan " + right.root.version_text(), "btns:sha256:" + right.key.fingerprint, "connection strangers, groups = btns",
                 "1 with 1 CHILD_SAs"):
        assert part in shown, shown
    status = run_json(right, "status")
    assert status["daemon"]["version"] == right.root.version_text()
    assert status["plugin"] == right.request("btns-version")
    assert status["own-keys"] == [right.key.identity]
    assert [entry["connection"] for entry in status["connections"]] == ["strangers"]
    assert status["stats"]["peers"] == "1"


def test_peers(pair):
    left, right = pair
    shown = run(right, "peers")
    assert re.search(rf"\s1 strangers\s+{left.address}\s+{left.key.fingerprint}\s+Ed25519\s+responder\s+\S+.*\s1 ", shown), shown
    (peer,) = run_json(right, "peers")
    (known,) = right.peers()
    assert {field: str(value) for field, value in peer.items()} == known, "the fields are those of vici"
    assert isinstance(peer["uniqueid"], int) and peer["child-sas"] == 1
    assert run_json(right, "peers", known["uniqueid"]) == [peer]
    assert run_json(right, "peers", "--connection", "strangers") == [peer]
    assert run_json(right, "peers", "4711") == run_json(right, "peers", "--connection", "other") == []
    assert "positive number" in run(right, "peers", "x", status=REFUSED)


def test_pad(pair):
    _, right = pair
    (entry,) = run_json(right, "pad")
    assert entry == {"connection": "strangers", **right.pad()["strangers"]}
    assert run_json(right, "pad", "other") == []
    assert re.search(r"^strangers\s+btns\s+yes", run(right, "pad"), re.M)
    right.configure(right_conf(right).replace("encap = yes", "encap = yes\n\t\tremote {\n\t\t\tid = *@example.org\n\t\t}"))
    right.load_all()
    assert "strangers: error: remote.id has to be %any" in run(right, "pad")
    assert "NOT USABLE" in run(right, "status")


def right_conf(host):
    return (host.swanctl_dir / "swanctl.conf").read_text()


def test_stats(pair):
    _, right = pair
    stats = run_json(right, "stats")
    assert stats == right.stats()
    shown = run(right, "stats")
    assert re.search(r"^accepted +1$", shown, re.M) and "refused-no-key" not in shown
    assert re.search(r"^refused-no-key +0$", run(right, "stats", "--all"), re.M)
    text = run(right, "stats", "--prometheus")
    assert "\nbtns_peers 1\n" in text and '\nbtns_refused_total{code="no-key"} 0\n' in text
    for line in text.splitlines():
        assert re.fullmatch(r'# (HELP|TYPE) btns_[a-z_]+ .+|btns_[a-z_]+(\{code="[a-z0-9-]+"\})? \d+(\.\d+)?', line), line


def test_bindings(pair):
    """Both hosts show the same, whatever they are asked by."""
    left, right = pair
    seen = []
    for host, other in ((left, right), (right, left)):
        (sa,) = host.sas()
        (child,) = sa["child-sas"].values()
        flow = ["tcp", f"{host.inner[0]}:{4711 if host is left else 7}", f"{other.inner[0]}:{7 if host is left else 4711}"]
        for what in ([sa["uniqueid"]], ["--child", child["uniqueid"]], ["--flow", *flow]):
            answer = run_json(host, "bindings", *what)
            assert (answer["protection"], answer["authorized-id"]) == ("protected", other.key.identity), answer
            seen.append(answer["bindings"])
            shown = run(host, "bindings", *what)
            for name, binding in answer["bindings"].items():
                assert re.search(rf"^{name} +{binding['bare']}$", shown, re.M), shown
        (listed,) = run_json(host, "bindings")
        seen.append(listed["bindings"])
        assert run(host, "bindings").count(sa["uniqueid"] + " strangers") == 2
    assert all(bindings == seen[0] for bindings in seen), seen
    none = run_json(right, "bindings", "--flow", "tcp", "10.66.0.1:7", "10.67.0.1:4711", status=NO)
    assert none["protection"] == "unprotected" and none["reason"], none
    assert none["code"] in run(right, "bindings", "--flow", "tcp", "[2001:db8::2]:7", "[2001:db8::9]:80", status=NO)
    run(right, "bindings", "4711", status=REFUSED)


def test_explain(pair):
    left, right = pair
    selectors = ["--local-ts", right.inner[0], "--remote-ts", "10.66.130.1"]
    key = right.swanctl_dir / "left.pem"
    key.write_text(left.key.public_pem)
    for given in (["--key", str(key)], ["--key", left.key.spki.hex()], ["--fingerprint", left.key.identity]):
        answer = run_json(right, "explain", left.address, *given, *selectors)
        assert (answer["peer"], answer["child-sa"], answer["authorized-id"]) == ("accepted", "allowed", left.key.identity)
    shown = run(right, "explain", left.address, "--key", str(key), *selectors)
    assert re.search(r"^ok +room +there is room for it$", shown, re.M), shown
    assert shown.endswith("accepted as a BTNS peer by connection strangers, with a CHILD_SA of data: local 10.66.0.1/32, "
                          "remote 10.66.130.1/32\n"), shown
    assert "refused (no-key)" in run(right, "explain", left.address, *selectors, status=NO)
    answer = run_json(right, "explain", left.address, "--key", str(key), "--remote-ts", "127.0.0.1", "--local-ts", right.inner[0],
                      status=NO)
    assert (answer["peer"], answer["child-sa"]) == ("accepted", "refused"), answer
    run(right, "explain", "right.example.org", status=REFUSED)
    run(right, "explain", left.address, "--key", "/nonexistent", status=btnsctl.FILE)
    assert right.stats()["accepted"] == 1


def test_monitor(pair):
    left, right = pair
    people, programs = Monitor(right).ready(), Monitor(right, "--json", "--all")
    try:
        # for programs it has nothing to say before something happens: so things happen until it does
        start = right.events.mark()
        while not programs.has_output(0.5):
            claims_reserved_id(left, right)
        right.events.wait("btns-rejected", start=start)
        line = people.line()
        assert re.fullmatch(r"\d\d:\d\d:\d\d rejected #\d+ - 192\.0\.2\.1 .*claims-reserved-id: the peer asserts .* "
                            r"\(calls itself btns:me\)", line), line
        event = json.loads(programs.line())
        while event["event"] != "btns-rejected":
            event = json.loads(programs.line())
        assert (event["code"], event["asserted-id"], event["remote-host"]) == ("claims-reserved-id", "btns:me", left.address)
        assert isinstance(event["time"], int) and isinstance(event["uniqueid"], int)
        assert people.interrupt() == btnsctl.DONE
        right.terminate()
        assert programs.wait() == UNREACHABLE
        assert right.reap() == 0
    finally:
        people.close()
        programs.close()


def test_monitor_of_peers_that_come_and_go(pair):
    left, right = pair
    monitor = Monitor(right).ready()
    try:
        left.swanctl("--terminate", "--ike", "strangers")
        assert re.search(rf"^\S+ peer-down #1 strangers {left.address} {left.key.identity} \(calls itself ", monitor.line())
        connects(left, "data")
        assert re.search(rf"^\S+ peer-up #\d+ strangers {left.address} {left.key.identity} ", monitor.line())
        assert monitor.interrupt() == btnsctl.DONE
    finally:
        monitor.close()


def claims_reserved_id(left, right):
    with ikev2.Initiator(left.namespace, left.address, right.address, port=501) as initiator:
        assert initiator.init().auth([(ikev2.SPKI, left.key.spki)], ikev2.Signer(left.key.path), identity="btns:me").refused


def test_what_a_peer_calls_itself_is_harmless(world):
    left = world.host("left", "", start=False)
    right = world.host("right", key="ed25519")
    key = world.keys.key("ed25519")
    name = "\x1b[2J\x9b31m\u202eevil"
    assert ikev2.attempt(left.namespace, left.address, right.address, [(ikev2.SPKI, key.spki)], ikev2.Signer(key.path),
                         identity=name).authenticated
    for shown in (run(right, "peers"), on_terminal(right, "peers", columns=200), run(right, "peers", "--json")):
        assert "evil" in shown
        assert all(character.isprintable() or character == "\n" for character in shown), repr(shown)


def test_tables_are_as_wide_as_the_terminal(pair):
    left, right = pair
    narrow = on_terminal(right, "peers", columns=80)
    assert max(map(len, narrow.splitlines())) <= 80, narrow
    assert left.key.fingerprint[:8] in narrow and left.key.fingerprint not in narrow
    assert left.key.fingerprint in on_terminal(right, "peers", columns=250)
    for line in on_terminal(right, "explain", left.address, columns=60).splitlines():
        assert len(line) <= 60 or line.startswith("refused"), line


def test_colours_are_for_terminals(pair):
    _, right = pair
    assert "\x1b[" in on_terminal(right, "doctor")
    assert "\x1b[" not in on_terminal(right, "doctor", NO_COLOR="1")
    assert "\x1b[" not in on_terminal(right, "doctor", TERM="dumb")
    made = subprocess.run(btnsctl.command(right, "doctor"), capture_output=True, env=btnsctl.environment(right))
    assert made.stdout and b"\x1b[" not in made.stdout


@pytest.mark.parametrize("args", ASKING, ids=lambda args: args[0])
def test_without_charon(world, args):
    right = world.host("right", start=False)
    assert "charon does not run" in run(right, *args, status=UNREACHABLE)


def test_without_the_plugin(world):
    right = world.host("right", key="ed25519", plugin=False)
    for args in ASKING:
        assert "without the btns plugin" in run(right, *args, status=NO_PLUGIN), args


def test_usage(world):
    right = world.host("right", start=False)
    for args in ([], ["dance"], ["peers", "--colour"], ["explain"], ["explain", "192.0.2.1", "--auth", "magic"],
                 ["keygen", "--type", "dsa"], ["bindings", "7", "--child", "8"], ["bindings", "--flow", "tcp"]):
        assert run(right, *args, status=USAGE), args
    assert run(right, "--version").startswith("btnsctl ")
    help_text = run(right, "--help")
    for name in COMMANDS:
        assert re.search(rf"^ +{name} ", help_text, re.M), name
        assert run(right, name, "--help")
