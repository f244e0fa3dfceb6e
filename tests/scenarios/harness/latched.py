#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception
"""An application that latches its connections, told what to do by lines of JSON; each is answered by one.

    latched.py LIBRARY SOCKET

It is a process of its own, so that it can be killed.
"""

import ctypes
import json
import select
import socket
import struct
import sys
import threading
import time

TCP_REPAIR, TCP_REPAIR_QUEUE, TCP_QUEUE_SEQ = 19, 20, 21
WITHOUT_PROBE, RECEIVED, SENT = -1, 1, 2
"""Values of the socket options above"""

MARKER = b"this must never be seen on the wire; "

STATES = (None, "listener", "larval", "established", "broken", "closed")
EVENTS = (None, "renewed", "unprotected", "protected", "changed", "daemon-closed", "broken", "restored", "closed", "born")
REASONS = ("none", "conflict", "peer-dead", "cleared", "released", "socket-gone", "administrator", "not-established", "shutdown")


class Options(ctypes.Structure):
    """btns_latch_options_t"""

    _fields_ = [
        ("size", ctypes.c_size_t), ("confidentiality", ctypes.c_int), ("auth", ctypes.c_int), ("disposition", ctypes.c_int),
        ("narrow", ctypes.c_int), ("mode", ctypes.c_int), ("has_peer_key", ctypes.c_int), ("peer_key", ctypes.c_uint8 * 32),
        ("timeout", ctypes.c_uint32),
    ]


class Event(ctypes.Structure):
    """btns_event_t"""

    _fields_ = [
        ("size", ctypes.c_size_t), ("type", ctypes.c_int), ("watch", ctypes.c_uint32), ("latch", ctypes.c_uint32),
        ("born", ctypes.c_uint32), ("reason", ctypes.c_int),
    ]


class Stream(threading.Thread):
    """One direction of a socket, as fast as it goes, or with a pause between pieces, until it fails or ends."""

    def __init__(self, stream, out, pause, size=8192):
        super().__init__(daemon=True)
        self.stream, self.out, self.pause = stream, out, pause
        self.piece = (MARKER * (size // len(MARKER) + 1))[:size]
        self.octets, self.error, self.ended = 0, None, False
        stream.settimeout(None)
        self.start()

    def run(self):
        try:
            while not self.ended:
                if self.out:
                    self.octets += self.stream.send(self.piece)
                else:
                    got = self.stream.recv(len(self.piece))
                    self.octets += len(got)
                    self.ended = not got
                time.sleep(self.pause)
        except OSError as error:
            self.error = f"{type(error).__name__}: {error}"

    def progress(self):
        return {"octets": self.octets, "failed": self.error, "ended": self.ended}


class Application:
    def __init__(self, library, path):
        self.library = ctypes.CDLL(library)
        self.library.btns_strerror.restype = ctypes.c_char_p
        for name in ("btns_latch_free", "btns_channel_free", "btns_close"):
            getattr(self.library, name).restype = None
        self.btns = ctypes.c_void_p()
        status = self.library.btns_open(ctypes.byref(self.btns), path.encode())
        if status:
            raise SystemExit(self.library.btns_strerror(status).decode())
        self.sockets = {}
        self.latches = {}
        self.streams = {}

    def options(self, wanted):
        options = Options(ctypes.sizeof(Options), 1, 0, 0, 0, 0, 0, (ctypes.c_uint8 * 32)(), 20000)
        for name, value in wanted.items():
            if name == "peer_key":
                options.has_peer_key = 1
                options.peer_key = (ctypes.c_uint8 * 32)(*bytes.fromhex(value))
            else:
                setattr(options, name, value)
        return options

    def made(self, name, made, status, latch):
        if status:
            made.close()
            return {"error": self.library.btns_strerror(status).decode(), "status": status}
        self.sockets[name] = made
        self.latches[name] = latch
        return {"number": self.library.btns_latch_number(latch)}

    def connect(self, name, address, port, local=None, local_port=0, kind="tcp", latched=True, **wanted):
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        made = socket.socket(family, socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM)
        if local_port:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if local:
            made.bind((local, local_port))
        made.settimeout(None)
        if not latched:
            made.settimeout(30)
            made.connect((address, port))
            self.sockets[name] = made
            return {}
        if family == socket.AF_INET6:
            packed = struct.pack("=H", family) + struct.pack("!HI", port, 0) + socket.inet_pton(family, address) + bytes(4)
        else:
            packed = struct.pack("=H", family) + struct.pack("!H", port) + socket.inet_pton(family, address) + bytes(8)
        latch = ctypes.c_void_p()
        status = self.library.btns_latch_connect(self.btns, made.fileno(), packed, len(packed),
                                                 ctypes.byref(self.options(wanted)), ctypes.byref(latch))
        return self.made(name, made, status, latch)

    def listen(self, name, address, port, latched=True, **wanted):
        made = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((address, port))
        latch, status = ctypes.c_void_p(), 0
        if latched:
            status = self.library.btns_latch_listen(self.btns, made.fileno(), ctypes.byref(self.options(wanted)),
                                                    ctypes.byref(latch))
        answer = self.made(name, made, status, latch)
        if not status:
            made.listen(128)
        return answer

    def accept(self, name, listener, timeout=10, latched=True, **wanted):
        self.sockets[listener].settimeout(timeout)
        made, _ = self.sockets[listener].accept()
        latch, status = ctypes.c_void_p(), 0
        if latched:
            status = self.library.btns_latch_accepted(self.btns, made.fileno(), ctypes.byref(self.options(wanted)),
                                                      ctypes.byref(latch))
        return self.made(name, made, status, latch)

    def send(self, name, text):
        self.sockets[name].settimeout(5)
        self.sockets[name].sendall(text.encode())
        return {}

    def receive(self, name, size=65536, timeout=10):
        """Until so much is there, or nothing more comes."""
        got, end = b"", time.monotonic() + timeout
        while len(got) < size:
            self.sockets[name].settimeout(max(0.01, end - time.monotonic()))
            try:
                more = self.sockets[name].recv(size - len(got))
            except TimeoutError:
                break
            if not more:
                return {"text": got.decode(), "end": True}
            got += more
        return {"text": got.decode()}

    def stream(self, name, out, pause=0):
        """Send without end, or take in all that comes."""
        self.streams[name, out] = Stream(self.sockets[name], out, pause)
        return {}

    def progress(self, name, out):
        """How much has passed in one direction, and what has ended it."""
        return self.streams[name, out].progress()

    def sequence(self, name):
        """Numbers of the next octets: {"received", "sent"}, as whoever wants to take the connection over has to know."""
        found = {}
        self.sockets[name].setsockopt(socket.IPPROTO_TCP, TCP_REPAIR, 1)
        for key, queue in (("received", RECEIVED), ("sent", SENT)):
            self.sockets[name].setsockopt(socket.IPPROTO_TCP, TCP_REPAIR_QUEUE, queue)
            found[key] = self.sockets[name].getsockopt(socket.IPPROTO_TCP, TCP_QUEUE_SEQ) & 0xffffffff
        self.sockets[name].setsockopt(socket.IPPROTO_TCP, TCP_REPAIR, WITHOUT_PROBE)
        return found

    def port(self, name):
        """Its own."""
        return {"port": self.sockets[name].getsockname()[1]}

    def is_over(self, name):
        """Has the connection ended, by a reset or otherwise?"""
        try:
            self.sockets[name].getpeername()
        except OSError:
            return {"over": True}
        return {"over": False}

    def many(self, address, port, count, threads, text):
        """Short latched connections, one after the other in each of some threads: sends, has its text echoed, and ends."""
        left, lock, failed, done = [count], threading.Lock(), [], [0]

        def work(number):
            while not failed:
                with lock:
                    if not left[0]:
                        return
                    left[0] -= 1
                name = f"many-{number}"
                try:
                    answer = self.connect(name, address, port)
                    if "error" in answer:
                        raise OSError(answer["error"])
                    self.send(name, text)
                    echoed = self.receive(name, len(text))["text"]
                    if echoed != text:
                        raise OSError(f"{echoed!r} came back")
                    self.ends(name)
                except (OSError, KeyError) as error:
                    failed.append(f"{type(error).__name__}: {error}")
                with lock:
                    done[0] += 1

        working = [threading.Thread(target=work, args=(number,), daemon=True) for number in range(threads)]
        for thread in working:
            thread.start()
        for thread in working:
            thread.join()
        return {"error": failed[0]} if failed else {"done": done[0]}

    def serve(self, listener, threads):
        """Accept and latch, echo, and end, in the background; served() counts."""
        self.served_count, self.serving_failed = 0, None
        lock = threading.Lock()
        self.sockets[listener].settimeout(None)

        def work(number):
            name = f"served-{number}"
            try:
                while True:
                    made, _ = self.sockets[listener].accept()
                    latch = ctypes.c_void_p()
                    status = self.library.btns_latch_accepted(self.btns, made.fileno(), ctypes.byref(self.options({})),
                                                              ctypes.byref(latch))
                    answer = self.made(name, made, status, latch)
                    if "error" in answer:
                        raise OSError(answer["error"])
                    made.settimeout(20)
                    while data := made.recv(4096):
                        made.sendall(data)
                    self.ends(name)
                    with lock:
                        self.served_count += 1
            except OSError as error:
                self.serving_failed = f"{type(error).__name__}: {error}"

        for number in range(threads):
            threading.Thread(target=work, args=(number,), daemon=True).start()
        return {}

    def served(self):
        return {"error": self.serving_failed} if self.serving_failed else {"done": self.served_count}

    def ends(self, name):
        """Close the socket, and what the library has of its latch."""
        self.sockets.pop(name).close()
        self.library.btns_latch_free(self.latches.pop(name))

    def events(self, timeout=5, count=1):
        """What has become of latches, as soon as there are so many."""
        found, end = [], time.monotonic() + timeout
        while len(found) < count and time.monotonic() < end:
            event = Event(ctypes.sizeof(Event))
            if self.library.btns_next_event(self.btns, ctypes.byref(event)) == 0:
                found.append({"what": EVENTS[event.type], "latch": event.latch, "reason": REASONS[event.reason],
                              "born": event.born})
            else:
                select.select([self.library.btns_event_fd(self.btns)], [], [], max(0, end - time.monotonic()))
        return {"events": found}

    def binding(self, name, kind=1):
        channel = ctypes.c_void_p()
        status = self.library.btns_latch_channel(self.latches[name], ctypes.byref(channel))
        if status:
            return {"error": self.library.btns_strerror(status).decode()}
        octets, length = ctypes.create_string_buffer(64), ctypes.c_size_t(64)
        status = self.library.btns_binding(channel, kind, 1, octets, ctypes.byref(length))
        self.library.btns_channel_free(channel)
        return {"error": self.library.btns_strerror(status).decode()} if status else {"octets": octets.raw[:length.value].hex()}

    def release(self, name, keep=False):
        status = self.library.btns_latch_release(self.latches[name], -1 if keep else self.sockets[name].fileno())
        return {"error": self.library.btns_strerror(status).decode()} if status else {}

    def close(self, name):
        self.sockets.pop(name).close()
        return {}


def main(kind=Application):
    application = kind(sys.argv[1], sys.argv[2])
    print("{}", flush=True)
    for line in sys.stdin:
        wanted = json.loads(line)
        try:
            answer = getattr(application, wanted.pop("do"))(**wanted)
        except OSError as error:
            answer = {"error": f"{type(error).__name__}: {error}", "errno": error.errno}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
