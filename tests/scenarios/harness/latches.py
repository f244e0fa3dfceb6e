# SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception
"""Applications that latch their connections (RFC 5660), and what a host has of latches."""

import json
import select
import subprocess
import sys
import time
from pathlib import Path

from .libbtns import LIBRARY, serves, socket_of
from .load import descriptors as open_descriptors

PROGRAM = Path(__file__).with_name("latched.py")


def latches(host):
    """Have a host that was not started yet latch connections for applications. Returns it."""
    host.latching = True
    return serves(host)


class Failed(Exception):
    """An application could not do what it was told."""

    def __init__(self, answer):
        self.answer = answer
        super().__init__(answer["error"])


class Application:
    """A program on a host. What it can do is in latched.py, or another one that uses its main()."""

    def __init__(self, host, program=PROGRAM):
        self.host = host
        self.process = host.namespace.popen([sys.executable, str(program), str(LIBRARY), str(socket_of(host))], text=True,
                                            bufsize=1, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        # a virtual machine that has to share its processors takes long to start a program
        self._answer(90)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()

    def _answer(self, timeout):
        assert select.select([self.process.stdout], [], [], timeout)[0], "the application does not answer"
        line = self.process.stdout.readline()
        assert line, "the application has ended"
        answer = json.loads(line)
        if "error" in answer:
            raise Failed(answer)
        return answer

    def begin(self, do, *names, **wanted):
        """Tell it, and do not wait."""
        order = {"do": do, **({"name": names[0]} if names else {}), **wanted}
        self.process.stdin.write(json.dumps(order) + "\n")

    def answer(self, timeout=60):
        return self._answer(timeout)

    def __call__(self, do, *names, **wanted):
        self.begin(do, *names, **wanted)
        return self.answer()

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()


def listed(host):
    """The latches of a host, as vici lists them."""
    return host.stream("btns-list-latches", "btns-latch")


def socket_policies(host):
    """Policies of latches in the kernel."""
    lines = host.namespace.run(["ip", "xfrm", "policy"]).stdout.splitlines()
    return [line.strip() for line in lines if "priority 1112821331" in line]


def nothing_is_left(host, timeout=10, descriptors=None):
    """No latch, no policy of one, and no more descriptors than charon had before."""

    def left():
        opened = open_descriptors(host.process.pid) if descriptors is not None else 0
        return listed(host), socket_policies(host), max(0, opened - (descriptors or 0))

    deadline = time.monotonic() + timeout
    while any(found := left()):
        assert time.monotonic() < deadline, found
        time.sleep(0.1)
