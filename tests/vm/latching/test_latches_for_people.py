# SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception
"""What an administrator sees of latches, and does to them, with btnsctl."""

import json
import re

import pytest
from harness.btnsctl import DONE, REFUSED, USAGE, Monitor, on_terminal, run, run_json
from harness.latches import Failed

from worlds import CLIENT, PORT, SERVER, Connected, one, pair


def test_latches_are_listed_and_closed(world):
    left, right = pair(world)
    with Connected(left, right) as both:
        both.exchanges()
        latch = one(left, "established")
        (shown,) = run_json(left, "latches")
        assert isinstance(shown["latch"], int) and str(shown["latch"]) == latch["latch"]
        assert shown["state"] == "established" and "code" not in shown
        assert (shown["remote"], shown["remote-port"], shown["protocol"]) == (SERVER, PORT, "6")
        assert (shown["confidentiality"], shown["authenticated"], shown["disposition"]) == ("yes", "no", "reset")
        table = on_terminal(left, "latches", columns=200).splitlines()
        assert table[0].split()[:3] == ["LATCH", "STATE", "CONNECTION"]
        assert f"tcp {CLIENT}:{latch['local-port']} {SERVER}:{PORT}" in table[1]
        assert f"btns:sha256:{right.key.fingerprint}" in table[1]
        assert f"tcp {SERVER}:{PORT}" in run(right, "latches", "--state", "listener")
        assert run_json(left, "latches", "--state", "broken") == []
        run(left, "latches", "--close", latch["latch"], "--state", "broken", status=USAGE)
        assert "number of a latch" in run(left, "latches", "--close", "one", status=REFUSED)
        assert run(left, "latches", "--close", latch["latch"]) == ""
        assert run_json(left, "latches") == []
        assert "no such latch" in run(left, "latches", "--close", latch["latch"], status=REFUSED)
        with pytest.raises(Failed):
            both.client("send", "c", text="to nobody")
            both.client("send", "c", text="to nobody")


def test_what_happens_to_latches_is_told(world):
    left, right = pair(world)
    people = Monitor(left).ready()
    try:
        with Connected(left, right) as both:
            both.exchanges()
            port = one(left, "established")["local-port"]
            left.request("btns-close-latch", {"latch": one(left, "established")["latch"]})
        lines = []
        while not lines or "closed" not in lines[-1]:
            line = people.line()
            lines += [line] if " latch-changed " in line else []
        # before connect() it has no local end
        assert re.fullmatch(rf"\d\d:\d\d:\d\d latch-changed #1 larval tcp \*:\* {SERVER}:{PORT}", lines[0]), lines
        assert lines[-2].endswith(f"#1 established tcp {CLIENT}:{port} {SERVER}:{PORT}"), lines
        assert lines[-1].endswith("closed " f"tcp {CLIENT}:{port} {SERVER}:{PORT} "
                                  "administrator: the administrator has closed it"), lines
        assert people.interrupt() == DONE
    finally:
        people.close()


def test_a_program_is_told_the_same(world):
    left, right = pair(world)
    start = right.events.mark()
    with Connected(left, right) as both:
        both.exchanges()
        both.client("release", "c")
    changed = right.events.wait("btns-latch-changed", start=start)
    assert changed["state"] == "listener" and "remote" not in changed
    assert changed["local-port"] == str(PORT), json.dumps(changed)


NONSENSE = [{"latch": "0"}, {"latch": "1x"}, {"latch": "18446744073709551616"}, {}, {"number": "1"}, {"latch": ["1"]},
            {"latch": {"latch": "1"}}]


def test_nonsense_is_refused(world):
    left, _ = pair(world)
    for message in NONSENSE:
        assert left.request("btns-close-latch", message)["success"] == "no", message
    assert left.request("btns-list-latches", {"latch": "1"})["errmsg"] == "unknown field 'latch'"
