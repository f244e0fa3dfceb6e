# SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception
"""A small client for charon's vici protocol.

Messages are dicts: sections are dicts, lists are lists, values are str.
"""

import socket
import struct
import threading
import time

CMD_REQUEST, CMD_RESPONSE, CMD_UNKNOWN, EVENT_REGISTER, EVENT_UNREGISTER, EVENT_CONFIRM, EVENT_UNKNOWN, EVENT = range(8)
SECTION_START, SECTION_END, KEY_VALUE, LIST_START, LIST_ITEM, LIST_END = range(1, 7)


class ViciError(Exception):
    """charon answered success = no, or does not know the command or event."""


def encode(message):
    out = bytearray()

    def name(text):
        raw = text.encode()
        out.extend(struct.pack("!B", len(raw)) + raw)

    def value(text):
        raw = text if isinstance(text, bytes) else str(text).encode()
        out.extend(struct.pack("!H", len(raw)) + raw)

    def section(items):
        for key, item in items.items():
            if isinstance(item, dict):
                out.append(SECTION_START)
                name(key)
                section(item)
                out.append(SECTION_END)
            elif isinstance(item, (list, tuple)):
                out.append(LIST_START)
                name(key)
                for element in item:
                    out.append(LIST_ITEM)
                    value(element)
                out.append(LIST_END)
            else:
                out.append(KEY_VALUE)
                name(key)
                value(item)

    section(message)
    return bytes(out)


def decode(data):
    position = 0

    def take(count):
        nonlocal position
        chunk = data[position:position + count]
        if len(chunk) != count:
            raise ValueError("vici message is cut short")
        position += count
        return chunk

    def name():
        return take(take(1)[0]).decode(errors="backslashreplace")

    def value():
        return take(struct.unpack("!H", take(2))[0]).decode(errors="backslashreplace")

    def section(nested):
        items = {}
        while position < len(data):
            kind = take(1)[0]
            if kind == SECTION_START:
                key = name()
                items[key] = section(True)
            elif kind == SECTION_END and nested:
                return items
            elif kind == KEY_VALUE:
                key = name()
                items[key] = value()
            elif kind == LIST_START:
                key = name()
                items[key] = []
                while take(1)[0] == LIST_ITEM:
                    items[key].append(value())
            else:
                raise ValueError(f"vici element {kind} is out of place")
        if nested:
            raise ValueError("vici section is not closed")
        return items

    return section(False)


class Connection:
    """One connection to a vici socket; one request at a time."""

    def __init__(self, path, timeout=20):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(timeout)
        self.socket.connect(str(path))

    def close(self):
        self.socket.close()

    def _send(self, kind, name, payload=b""):
        raw = name.encode()
        packet = struct.pack("!BB", kind, len(raw)) + raw + payload
        self.socket.sendall(struct.pack("!I", len(packet)) + packet)

    def _read(self, count):
        data = bytearray()
        while len(data) < count:
            chunk = self.socket.recv(count - len(data))
            if not chunk:
                raise ConnectionError("charon closed the vici connection")
            data.extend(chunk)
        return bytes(data)

    def receive(self):
        """The next packet: (kind, event name or None, payload)."""
        packet = self._read(struct.unpack("!I", self._read(4))[0])
        if packet[0] == EVENT:
            length = packet[1]
            return EVENT, packet[2:2 + length].decode(), packet[2 + length:]
        return packet[0], None, packet[1:]

    def register(self, event):
        """TRUE if charon knows the event."""
        self._send(EVENT_REGISTER, event)
        while True:
            kind, _, _ = self.receive()
            if kind in (EVENT_CONFIRM, EVENT_UNKNOWN):
                return kind == EVENT_CONFIRM

    def unregister(self, event):
        self._send(EVENT_UNREGISTER, event)
        while self.receive()[0] not in (EVENT_CONFIRM, EVENT_UNKNOWN):
            pass

    def request(self, command, message=None, stream=None):
        """Issue a command. Returns its answer, and the streamed events as a list if a stream is named."""
        if stream and not self.register(stream):
            raise ViciError(f"charon has no event {stream}")
        answer = self._request(command, message, stream)
        if stream:
            self.unregister(stream)
        return answer

    def _request(self, command, message, stream):
        events = []
        self._send(CMD_REQUEST, command, encode(message or {}))
        while True:
            kind, name, payload = self.receive()
            if kind == EVENT and name == stream:
                events.append(decode(payload))
            elif kind == CMD_UNKNOWN:
                raise ViciError(f"charon has no command {command}")
            elif kind == CMD_RESPONSE:
                return decode(payload), events


class Events:
    """Everything that charon reports, in order, from the moment this is made."""

    def __init__(self, path, names):
        self.connection = Connection(path)
        self.seen = []
        self.times = []
        self.known = {name for name in names if self.connection.register(name)}
        self.condition = threading.Condition()
        self.connection.socket.settimeout(None)
        self.thread = threading.Thread(target=self._listen, daemon=True)
        self.thread.start()

    def _listen(self):
        try:
            while True:
                kind, name, payload = self.connection.receive()
                if kind == EVENT:
                    with self.condition:
                        self.seen.append((name, decode(payload)))
                        self.times.append(time.monotonic())
                        self.condition.notify_all()
        except (OSError, ValueError):
            pass

    def of(self, name):
        with self.condition:
            return [message for seen, message in self.seen if seen == name]

    def wait(self, name, match=lambda message: True, timeout=10, start=0):
        """The first such event, from index start of everything seen; AssertionError at the deadline."""
        deadline = time.monotonic() + timeout
        with self.condition:
            while True:
                for seen, message in self.seen[start:]:
                    if seen == name and match(message):
                        return message
                left = deadline - time.monotonic()
                if left <= 0 or not self.condition.wait(left):
                    if time.monotonic() >= deadline:
                        happened = [seen for seen, _ in self.seen[start:]]
                        raise AssertionError(f"no event {name} within {timeout} s; there were {happened}")

    def forget(self):
        """Forget what was reported so far, so that only later events are found."""
        with self.condition:
            self.seen.clear()
            self.times.clear()

    def mark(self):
        """An index for wait(start=)."""
        with self.condition:
            return len(self.seen)

    def close(self):
        try:
            self.connection.socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.thread.join(2)
        self.connection.close()
