# SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception
"""What the fixtures of every tier share: the end of a world."""

import contextlib
import os
import re

import pytest

from .world import World


def folder_name(node):
    """A name for the logs of a test, or of a module whose tests share a world."""
    return re.sub(r"[^A-Za-z0-9.=-]+", "_", node.name.removesuffix(".py"))


def has_failed(node):
    """TRUE unless the test ran and passed. Needs the reports that pytest_runtest_makereport() of conftest.py sets."""
    report = getattr(node, "report_call", None)
    return report is None or report.failed


@contextlib.contextmanager
def running(world, logs, failed, always=False, keep=World.keep):
    """A world while it is used; afterwards nothing of it is left, and every daemon ended in good order.

    @param logs		the folder for logs and states if something failed
    @param failed	a function that tells at the end whether something did
    @param always	keep them in any case
    @param keep		how they are kept, a function of (world, logs)
    """
    try:
        yield world
        lost = failed()
        if lost or always:
            keep(world, logs)
        if not lost:
            world.check_alive()
    except BaseException:
        keep(world, logs)
        raise
    finally:
        unwell = world.close(logs)
    if unwell:
        findings = "\n".join(f"{host}: {what}" for host, what in unwell)
        pytest.fail(f"not every daemon ended in good order: {findings}")


def take_part(config, items):
    """Of several machines each takes some modules, as many tests as every other, more or less."""
    part, machines = map(int, os.environ.get("BTNS_PART", "0/1").split("/"))
    modules = {}
    for item in items:
        modules.setdefault(item.path, []).append(item)
    loads = [0] * machines
    others = []
    for _, tests in sorted(modules.items(), key=lambda module: (-len(module[1]), module[0])):
        least = loads.index(min(loads))
        loads[least] += len(tests)
        if least != part:
            others += tests
    if others:
        config.hook.pytest_deselected(items=others)
        items[:] = [item for item in items if item not in others]
