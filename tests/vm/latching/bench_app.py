#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception
"""The application of harness/latched.py, which also measures."""

import ctypes
import gc
import os
import resource
import socket
import struct
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scenarios"))

from harness import latched  # noqa: E402

PAUSE = 0.002
"""Seconds after each connect(), for what is done when a socket is closed."""

PIECE = 65536


class Application(latched.Application):
    def hold(self, address, port, count):
        """So many latched sockets, of UDP."""
        most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(count + 100, 1024), max(count + 100, most)))
        for number in range(count):
            answer = self.connect(f"held-{number}", address, port, kind="udp")
            if "error" in answer:
                return answer
        return {}

    def race(self, address, port, count):
        """Seconds that each connect() took, without a latch and with one: in turn, which of them is first, too."""
        libc = ctypes.CDLL(None, use_errno=True)
        to = struct.pack("=H", socket.AF_INET) + struct.pack("!H", port) + socket.inet_aton(address) + bytes(8)
        options, latch = self.options({}), ctypes.c_void_p()

        def without(made):
            return libc.connect(made.fileno(), to, len(to))

        def with_latch(made):
            return self.library.btns_latch_connect(self.btns, made.fileno(), to, len(to), ctypes.byref(options), ctypes.byref(latch))

        took = {"without": [], "with": []}
        gc.disable()
        for number in range(count):
            pair = [("without", without), ("with", with_latch)]
            for name, connect in pair[::-1] if number % 2 else pair:
                with socket.socket() as made:
                    begin = time.perf_counter()
                    status = connect(made)
                    took[name].append(time.perf_counter() - begin)
                    if status:
                        return {"error": f"{name} a latch: {status}, {os.strerror(ctypes.get_errno())}"}
                    if name == "with":
                        self.library.btns_latch_free(latch)
                time.sleep(PAUSE)
        gc.enable()
        return took

    def pour(self, name, size):
        """Send so many octets."""
        self.sockets[name].settimeout(60)
        piece = bytes(PIECE)
        while size > 0:
            size -= self.sockets[name].send(piece[:size])
        return {}

    def drain(self, name, size):
        """Receive so many octets. Seconds from the first to the last."""
        self.sockets[name].settimeout(60)
        room, begin = bytearray(PIECE), None
        while size > 0:
            got = self.sockets[name].recv_into(room, min(size, PIECE))
            if not got:
                return {"error": "the connection has ended"}
            begin = begin or time.perf_counter()
            size -= got
        return {"seconds": time.perf_counter() - begin}


if __name__ == "__main__":
    latched.main(Application)
