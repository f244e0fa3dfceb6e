# SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception
"""A host with an IKE daemon, whichever that is: a namespace, a folder, a process and its log."""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import time

from .net import ip


class Node:
    """A host of a test.

    @param namespace	the net.Namespace that its daemon runs in
    @param folder		the folder with its configuration, keys and log
    @param addresses	on the wire, "192.0.2.1/24"
    @param inner		addresses that only ESP may carry
    """

    DAEMON = "daemon"
    """What it is called in messages."""
    LOG = "daemon.log"
    """Where its log is in the folder."""
    END = 8
    """Seconds that it may take to end."""
    KEPT = ("stderr.log",)
    """Files that are of interest after a failure, besides the log."""

    def __init__(self, name, namespace, folder, addresses, inner):
        self.name = name
        self.namespace = namespace
        self.folder = folder
        self.addresses = [address.split("/")[0] for address in addresses]
        self.inner = [address.split("/")[0] for address in inner]
        self.log_path = folder / self.LOG
        self.process = None

    @property
    def address(self):
        return self.addresses[0]

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def terminate(self):
        """Ask the daemon to end; reap() waits for it."""
        if self.alive():
            self.process.send_signal(signal.SIGTERM)

    def reap(self, timeout=None):
        """Exit status of the daemon, negative for a signal; it is killed at the deadline."""
        if not self.process:
            return 0
        try:
            return self.process.wait(timeout or self.END)
        except subprocess.TimeoutExpired:
            self._note_stacks()
            self.process.kill()
            return self.process.wait()
        finally:
            self.process = None

    def _note_stacks(self):
        """What a daemon that does not end is doing goes to its stderr, if there is a debugger."""
        gdb = shutil.which("gdb")
        if gdb:
            with open(self.folder / "stderr.log", "ab") as log, contextlib.suppress(subprocess.TimeoutExpired):
                subprocess.run(
                    [gdb, "-p", str(self.process.pid), "-batch", "-ex", "thread apply all backtrace"], stdout=log, stderr=log,
                    stdin=subprocess.DEVNULL, timeout=60,
                )

    def crash(self):
        """Its machine fails: no daemon of it says goodbye, and its kernel forgets SAs and policies."""
        for pid in ip("netns", "pids", self.namespace.name).split():
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)
        self.process.wait()
        self.process = None
        for what in ("state", "policy"):
            self.namespace.ip("xfrm", what, "flush")

    def close(self):
        self.terminate()
        return self.reap()

    def log(self):
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def stderr(self):
        path = self.folder / "stderr.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def wait_log(self, pattern, timeout=10, start=0):
        """Wait for a line of the log; returns the match."""
        deadline = time.monotonic() + timeout
        while True:
            found = re.search(pattern, self.log()[start:])
            if found:
                return found
            assert time.monotonic() < deadline, f"{self.name}: nothing in the log matches {pattern!r}"
            time.sleep(0.05)

    def wait_until(self, condition, what, timeout=10):
        """Poll a condition on this host until it holds."""
        deadline = time.monotonic() + timeout
        while not condition():
            assert time.monotonic() < deadline, f"{self.name}: {what}: not within {timeout} s; {self.state()}"
            time.sleep(0.05)

    def state(self):
        """What there is to say of its SAs, as a text."""
        return ""

    def keep(self, folder):
        """Copy its logs and state for whoever wants to know why."""
        for file in (self.LOG, *self.KEPT):
            path = self.folder / file
            if path.exists():
                (folder / f"{self.name}-{path.name}").write_bytes(path.read_bytes())
        if self.alive():
            try:
                text = self.state()
            except Exception as error:
                text = f"no answer: {error}\n"
            (folder / f"{self.name}-state.txt").write_text(text)
