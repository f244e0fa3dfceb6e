# SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception
"""Programs that know nothing of latches, run by btns-run on a host."""

import contextlib
import itertools
import os
import select
import signal
import subprocess
import time
from pathlib import Path

from .libbtns import LIBRARY, socket_of

FOLDER = LIBRARY.parent / "btns-run"
PATIENCE = 60
"""Seconds that SAs may take: in emulation, on a busy machine."""

_numbers = itertools.count()


def command(host, argv, *options, folder=FOLDER):
    """What runs a program so that its connections are latched by a host's charon.

    @param folder	where btns-run and its library are
    """
    if "--timeout" not in options:
        options = ("--timeout", PATIENCE, *options)
    return [str(word) for word in (folder / "btns-run", "--library", folder / "libbtns-run.so", "--socket", socket_of(host),
                                   *options, "--", *argv)]


def children_of(pid):
    """Processes that a process has started."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


class Program:
    """A program on a host, with pipes to it and from it. Use as a context manager: it is killed, and what it has forked.

    @param options	of btns-run
    @param latched	FALSE for without btns-run
    """

    def __init__(self, host, argv, *options, latched=True):
        self.host = host
        self.errors = host.folder / f"program-{next(_numbers)}.err"
        argv = command(host, argv, *options) if latched else [str(word) for word in argv]
        with open(self.errors, "wb") as errors:
            self.process = host.namespace.popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, bufsize=0,
                                                start_new_session=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()
        self.process.stdin.close()
        self.process.stdout.close()

    @property
    def pid(self):
        return self.process.pid

    def said(self):
        """What it, or btns-run, has said on standard error."""
        return self.errors.read_text(errors="replace")

    def write(self, octets):
        self.process.stdin.write(octets)

    def end_input(self):
        self.process.stdin.close()

    def read(self, size, timeout=60):
        """So much of its output, or all that there is before its end."""
        got, deadline = b"", time.monotonic() + timeout
        while len(got) < size:
            left = deadline - time.monotonic()
            assert left > 0 and select.select([self.process.stdout], [], [], left)[0], \
                f"{len(got)} octets instead of {size}: {self.said()}"
            more = self.process.stdout.read(min(65536, size - len(got)))
            if not more:
                break
            got += more
        return got

    def ends(self, timeout=60):
        """Its exit status."""
        return self.process.wait(timeout)

    def kill(self, all=True):
        """At once (SIGKILL), with all that it has forked, or it alone."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL) if all else self.process.kill()
        self.process.wait()


def run(host, argv, *options, timeout=60, **how):
    """Run a program to its end. Returns its exit status, output, and what was said."""
    with Program(host, argv, *options, **how) as program:
        program.end_input()
        output = program.read(1 << 30, timeout)
        return program.ends(timeout), output, program.said()


def listens(host, address, port):
    """TRUE once a program listens there."""
    lines = host.namespace.run(["ss", "-Hltn"]).stdout.splitlines()
    return any(line.split()[3] == f"{address}:{port}" for line in lines)


class Server(Program):
    """A program that listens; returns once it does."""

    def __init__(self, host, argv, *options, address, port, **how):
        super().__init__(host, argv, *options, **how)
        try:
            deadline = time.monotonic() + 60
            while not listens(host, address, port):
                assert self.process.poll() is None, f"it has ended: {self.said()}"
                assert time.monotonic() < deadline, f"it does not listen: {self.said()}"
                time.sleep(0.05)
        except BaseException:
            self.__exit__()
            raise
