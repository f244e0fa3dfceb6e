# SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception
"""btnsctl on a host, as its administrator runs it."""

import fcntl
import json
import os
import pty
import select
import shutil
import signal
import struct
import subprocess
import termios
from pathlib import Path

PROGRAM = Path("client") / "btnsctl" / "btnsctl"
"""In a build folder."""

DONE, NO, USAGE, UNREACHABLE, NO_PLUGIN, REFUSED, FILE = range(7)
"""Exit statuses."""


def command(host, *args, uri=None):
    """The command that runs it in the host's root, against the host's charon."""
    program = host.session / f"btnsctl-{host.root.name}"
    if not program.exists():
        made = host.root.build / PROGRAM
        assert made.exists(), f"{made} is missing: its libraries were not there when it was to be built"
        shutil.copy2(made, program)
    uri = uri or f"unix://{host.socket_path}"
    return host.root.command([program, *args, "--uri", uri], host.session)


def environment(host, **more):
    return {**os.environ, "SWANCTL_DIR": str(host.swanctl_dir), "LC_ALL": "C.UTF-8", "TERM": "xterm", **more}


def run(host, *args, status=DONE, uri=None, **env):
    """Run it; what it says on standard output, or on standard error if it fails."""
    made = subprocess.run(command(host, *args, uri=uri), capture_output=True, timeout=60, env=environment(host, **env))
    out, err = made.stdout.decode(), made.stderr.decode()
    assert made.returncode == status, f"btnsctl {args} on {host.name}: {made.returncode} {out}{err}"
    return out if status in (DONE, NO) else err


def run_json(host, *args, status=DONE, **env):
    return json.loads(run(host, *args, "--json", status=status, **env))


def on_terminal(host, *args, columns=80, **env):
    """What it shows on a terminal that is so wide."""
    ours, its = pty.openpty()
    fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    process = subprocess.Popen(command(host, *args), stdin=its, stdout=its, stderr=its,
                               env={key: value for key, value in environment(host, **env).items() if key != "COLUMNS"})
    os.close(its)
    shown = bytearray()
    try:
        while chunk := os.read(ours, 65536):
            shown.extend(chunk)
    except OSError:
        pass  # the other end is closed
    finally:
        process.wait(30)
        os.close(ours)
    return shown.decode().replace("\r\n", "\n")


class Monitor:
    """btnsctl monitor while it runs."""

    def __init__(self, host, *args):
        self.process = subprocess.Popen(command(host, "monitor", *args), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                        env=environment(host), bufsize=0)

    def line(self):
        """The next line, without its end."""
        return self.process.stdout.readline().decode().rstrip("\n")

    def ready(self):
        """Wait until it listens: it says so to people."""
        assert b"waiting for events" in self.process.stderr.readline()
        return self

    def has_output(self, timeout):
        """TRUE if there is output, after seconds of waiting at most."""
        return bool(select.select([self.process.stdout], [], [], timeout)[0])

    def interrupt(self):
        """As Ctrl-C; its exit status."""
        self.process.send_signal(signal.SIGINT)
        return self.wait()

    def wait(self):
        try:
            return self.process.wait(20)
        finally:
            self.close()

    def close(self):
        if self.process.stdout.closed:
            return
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()
        self.process.stderr.close()
