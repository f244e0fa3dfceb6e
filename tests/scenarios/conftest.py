# SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception
"""Fixtures: `world` is a wire on which a test puts its hosts. Needs root, and touches only namespaces of its own."""

import os
import re
import shutil
import signal
from pathlib import Path

import pytest

from harness import net, paths
from harness.world import World


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


@pytest.fixture
def world(request, session_folder):
    """A wire for the hosts of one test; afterwards nothing of it is left, and every charon ended in good order."""
    scenario = Path(request.path).parent
    world = World(scenario, session_folder, None if request.config.getoption("--without-plugin") else paths.PLUGIN)
    name = re.sub(r"[^A-Za-z0-9.=-]+", "_", request.node.name)
    logs = paths.LOGS / scenario.name / name
    shutil.rmtree(logs, ignore_errors=True)
    try:
        if request.config.getoption("--keep"):
            world.capture()
        yield world
        report = getattr(request.node, "report_call", None)
        failed = report is None or report.failed
        if failed or request.config.getoption("--keep"):
            world.keep(logs)
        if not failed:
            world.check_alive()
    except BaseException:
        world.keep(logs)
        raise
    finally:
        unwell = world.close(logs)
    if unwell:
        findings = "\n".join(f"{host}: {what}" for host, what in unwell)
        pytest.fail(f"charon did not end in good order: {findings}")
