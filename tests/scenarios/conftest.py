# SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception
"""Fixtures: `world` is a wire on which a test puts its hosts. Needs root, and touches only namespaces of its own."""

import os
import shutil
import signal
from pathlib import Path

import pytest

from harness import net, paths
from harness.fixtures import folder_name, has_failed, running
from harness.world import World

# only when it is asked for: ci/test soak
collect_ignore = [] if "BTNS_SOAK_SECONDS" in os.environ else ["soak"]


def pytest_addoption(parser):
    parser.addoption("--keep", action="store_true", help="keep logs of tests that pass, too, and capture the wire")
    parser.addoption("--without-plugin", action="store_true", help="leave the plugin out, to see the tests fail")


def pytest_sessionstart(session):
    # a test run that is told to end cleans up as after Ctrl-C; a worker hears of it from the one that started it, and may
    # have its tests in a thread, where this cannot be set
    if not hasattr(session.config, "workerinput"):
        signal.signal(signal.SIGTERM, lambda *_: (_ for _ in ()).throw(KeyboardInterrupt()))


def pytest_unconfigure(config):
    # of workers that were told to end in the middle of a test
    if not hasattr(config, "workerinput"):
        net.sweep()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    setattr(item, "report_" + call.when, outcome.get_result())


@pytest.fixture(scope="session")
def session_folder():
    if os.geteuid():
        pytest.exit("the scenarios need root: they make network namespaces", returncode=2)
    net.sweep()
    folder = net.folder()
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def logs_of(request):
    return paths.LOGS / Path(request.path).parent.name / folder_name(request.node)


def a_world(request, session_folder, failed):
    """A World for a fixture. A module that sets TOPOLOGY has its hosts in that network."""
    plugin = None if request.config.getoption("--without-plugin") else paths.PLUGIN
    world = World(Path(request.path).parent, session_folder, plugin, getattr(request.module, "TOPOLOGY", None))
    logs = logs_of(request)
    shutil.rmtree(logs, ignore_errors=True)
    keep = request.config.getoption("--keep")
    if keep:
        world.capture()
    return running(world, logs, failed, always=keep)


@pytest.fixture
def world(request, session_folder):
    """A wire for the hosts of one test."""
    with a_world(request, session_folder, lambda: has_failed(request.node)) as world:
        yield world


@pytest.fixture(scope="module")
def shared_world(request, session_folder):
    """A world for all tests of a module; each leaves it as it was (shared_logs keeps what a failed one saw)."""
    before = request.session.testsfailed
    with a_world(request, session_folder, lambda: request.session.testsfailed > before) as world:
        yield world


@pytest.fixture
def shared_logs(request, shared_world):
    """Keeps the state of a shared world as it is right after a test that failed."""
    yield
    if has_failed(request.node):
        shared_world.keep(logs_of(request))
