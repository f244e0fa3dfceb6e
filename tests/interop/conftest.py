# SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception
"""Fixtures: `world` is a wire on which a test puts a charon and a daemon of somebody else, with the kernel's ESP."""

import os
import shutil
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "vm"), str(HERE.parent / "scenarios")]

from foreign import UNPACKED  # noqa: E402
from harness import host, net, paths, roots  # noqa: E402
from harness.fixtures import folder_name, has_failed, running, take_part  # noqa: E402
from harness.keys import Key, KeyMaker  # noqa: E402
from harness.node import Node  # noqa: E402
from harness.world import World  # noqa: E402

LOGS = Path(os.environ.get("BTNS_RESULTS", paths.BUILD / "test-logs" / "interop")) / "logs"
HAS_ESP = Path("/sys/module/esp4").exists()

# there is no KVM, and the machine may have other things to do
host.Host.PATIENCE = Node.END = 120
host.PLUGINS = [name for name in host.PLUGINS if name != "kernel-libipsec"]


def pytest_configure(config):
    config.addinivalue_line("markers", "negotiates: needs no ESP, and so no virtual machine")


def pytest_collection_modifyitems(config, items):
    """Where the kernel has no ESP, those that negotiate can be run alone: pytest -m negotiates."""
    for item in items:
        if not HAS_ESP and not item.get_closest_marker("negotiates"):
            item.add_marker(pytest.mark.skip(reason="needs ESP: ci/test interop runs it in a virtual machine"))
    take_part(config, items)


def pytest_report_header(config):
    peers = [f"{path.name} {(path / 'version').read_text().strip()}" for path in (UNPACKED / "libreswan", UNPACKED / "openiked")]
    return f"Debian's packages: strongswan {roots.DEFAULT.package()}, {', '.join(peers)}"


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    setattr(item, "report_" + call.when, outcome.get_result())


class ReadyKeys(KeyMaker):
    """Keys that ci/setup --interop made, never one twice in a test: without KVM an RSA key takes long."""

    kept = {}

    def __init__(self, folder):
        super().__init__(folder)
        self.used = {}

    def key(self, kind="ed25519", name=None):
        number = self.used[kind] = self.used.get(kind, 0) + 1
        path = UNPACKED / "keys" / f"{kind}-{number}.pem"
        if path not in self.kept:
            self.kept[path] = Key(path)
        return self.kept[path]


@pytest.fixture(scope="session")
def session_folder():
    net.sweep()
    folder = net.folder()
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def keep(world, logs):
    """Logs, captures, and what the kernel has."""
    world.keep(logs)
    for name, one in world.hosts.items():
        state = [one.namespace.run(["ip", *what]).stdout for what in (["-s", "xfrm", "state"], ["xfrm", "policy"])]
        (logs / f"{name}-xfrm.txt").write_text("\n".join(state))


@pytest.fixture
def world(request, session_folder):
    """A wire for the hosts of one test."""
    case = Path(request.path).parent
    world = World(case, session_folder)
    world.keys = ReadyKeys(world.folder)
    with running(world, LOGS / case.name / folder_name(request.node), lambda: has_failed(request.node), keep=keep) as world:
        yield world


class Report:
    """What SAs have counted, for the end of the output."""

    lines = []


@pytest.fixture
def report(request, record_property):
    """A function that notes what the SAs of both ends counted: it is shown at the end, and in the results."""

    def note(counted):
        Report.lines.append(f"{request.node.name}: {counted}")
        record_property("counted", str(counted))

    return note


def pytest_terminal_summary(terminalreporter):
    if Report.lines:
        terminalreporter.section("octets counted by the SAs of both ends")
        for line in Report.lines:
            terminalreporter.write_line(line)
