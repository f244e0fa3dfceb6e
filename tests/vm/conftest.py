# SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception
"""Fixtures: `world` is a wire on which a test puts its hosts, as in tests/scenarios, but with the kernel's ESP."""

import contextlib
import os
import shutil
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "scenarios")]

from harness import host, net  # noqa: E402
from harness.fixtures import folder_name, has_failed, running, take_part  # noqa: E402
from harness.keys import KeyMaker  # noqa: E402
from harness.world import World  # noqa: E402

LOGS = Path(os.environ.get("BTNS_RESULTS", "/nonexistent")) / "logs"

host.PLUGINS = [name for name in host.PLUGINS if name != "kernel-libipsec"]


def pytest_sessionstart(session):
    if not Path("/sys/module/esp4").exists() or not LOGS.parent.exists():
        pytest.exit("these tests run in the virtual machine: ci/test vm", returncode=2)


def pytest_configure(config):
    config.addinivalue_line("markers", "hijack: has to fail if latches are not enforced (ci/test vm-unlatched)")


def pytest_collection_modifyitems(config, items):
    take_part(config, items)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    setattr(item, "report_" + call.when, outcome.get_result())


class FewKeys(KeyMaker):
    """The same few keys for every test, never one twice in a test: to start a program is slow without KVM."""

    def __init__(self, folder):
        super().__init__(folder)
        self.made = []
        self.used = 0

    def key(self, kind="ed25519", name=None):
        assert kind == "ed25519", "anything else takes long without KVM"
        if self.used == len(self.made):
            self.made.append(super().key(kind))
        self.used += 1
        return self.made[self.used - 1]


@pytest.fixture(scope="session")
def session_folder():
    folder = net.folder()
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def few_keys(session_folder):
    return FewKeys(session_folder)


def keep(world, logs):
    """Logs, captures, and what the kernel has."""
    world.keep(logs)
    for name, one in world.hosts.items():
        state = [one.namespace.run(["ip", *what]).stdout for what in (["-s", "xfrm", "state"], ["xfrm", "policy"])]
        (logs / f"{name}-xfrm.txt").write_text("\n".join(state))


def a_world(request, session_folder, few_keys, failed):
    """A World for a fixture. A module that sets TOPOLOGY has its hosts in that network."""
    case = Path(request.path).parent
    world = World(case, session_folder, topology=getattr(request.module, "TOPOLOGY", None))
    few_keys.used = 0
    world.keys = few_keys
    return running(world, LOGS / case.name / folder_name(request.node), failed, keep=keep)


@pytest.fixture
def world(request, session_folder, few_keys):
    """A wire for the hosts of one test."""
    with a_world(request, session_folder, few_keys, lambda: has_failed(request.node)) as world:
        yield world


@pytest.fixture
def worlds(request, session_folder, few_keys):
    """A function that makes one more world for the same test."""
    with contextlib.ExitStack() as stack:
        yield lambda: stack.enter_context(a_world(request, session_folder, few_keys, lambda: has_failed(request.node)))


@pytest.fixture(scope="module")
def shared_world(request, session_folder, few_keys):
    """A world for all tests of a module; each leaves it as it was."""
    before = request.session.testsfailed
    with a_world(request, session_folder, few_keys, lambda: request.session.testsfailed > before) as world:
        yield world
