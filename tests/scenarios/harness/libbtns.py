# SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception
"""Applications: libbtns as a C program uses it, by ctypes, and connections to ask about."""

import ctypes
import dataclasses
import ipaddress
import select
import socket
import struct
import time

from . import paths
from .roots import DEFAULT, REPO

LIBRARY = (paths.BUILD if DEFAULT.is_own else REPO / "build") / "client" / "libbtns.so.1"
"""This machine's, whatever the root of a charon is."""

ERRORS = ("OK EINVAL ENOMEM ENODAEMON EACCES EBUSY EDAEMON ESOCKET EUNPROTECTED EAMBIGUOUS EUNAVAILABLE ESPACE").split()
PROTECTION = ("unprotected", "protected", "ambiguous")
METHODS = ("unknown", "btns", "certificate", "public-key", "psk", "eap", "null", "multiple")
MODES = ("none", "transport", "tunnel", "beet")
EVENTS = (None, "renewed", "unprotected", "protected", "changed", "closed")
ENDPOINTS, UNIQUE = 1, 2
BARE, PREFIXED = 1, 2

Storage = ctypes.c_uint8 * 128


class Info(ctypes.Structure):
    """btns_info_t"""

    _fields_ = [
        ("size", ctypes.c_size_t), ("protection", ctypes.c_int), ("confidentiality", ctypes.c_int),
        ("integrity", ctypes.c_int), ("mode", ctypes.c_int), ("encryption_algorithm", ctypes.c_char * 48),
        ("integrity_algorithm", ctypes.c_char * 48), ("local_method", ctypes.c_int), ("peer_method", ctypes.c_int),
        ("asserted_id", ctypes.c_char * 256), ("authorized_id", ctypes.c_char * 256),
        ("has_local_fingerprint", ctypes.c_int), ("has_peer_fingerprint", ctypes.c_int),
        ("local_fingerprint", ctypes.c_uint8 * 32), ("peer_fingerprint", ctypes.c_uint8 * 32),
        # a sockaddr_storage is aligned as a long is
        ("inner", Storage * 2), ("outer", Storage * 2),
        ("local_nat", ctypes.c_int), ("peer_nat", ctypes.c_int), ("established", ctypes.c_int64),
    ]


class Event(ctypes.Structure):
    """btns_event_t"""

    _fields_ = [("size", ctypes.c_size_t), ("type", ctypes.c_int), ("watch", ctypes.c_uint32)]


class BtnsError(Exception):
    """An error of the library; `name` is what follows BTNS_."""

    def __init__(self, status):
        self.name = ERRORS[status]
        super().__init__(f"{self.name}: {library().btns_strerror(status).decode()}")


_loaded = None


def library():
    global _loaded
    if _loaded is None:
        _loaded = ctypes.CDLL(str(LIBRARY))
        for name in ("btns_strerror", "btns_channel_reason", "btns_binding_reason", "btns_binding_name"):
            getattr(_loaded, name).restype = ctypes.c_char_p
        for name in ("btns_close", "btns_channel_free"):
            getattr(_loaded, name).restype = None
    return _loaded


def call(function, *args):
    status = getattr(library(), function)(*args)
    if status:
        raise BtnsError(status)


def _address(storage):
    family, port = struct.unpack_from("=H", bytes(storage))[0], struct.unpack_from("!H", bytes(storage), 2)[0]
    if family == socket.AF_INET:
        return str(ipaddress.ip_address(bytes(storage)[4:8])), port
    if family == socket.AF_INET6:
        return str(ipaddress.ip_address(bytes(storage)[8:24])), port
    return None


@dataclasses.dataclass
class Channel:
    """All that the library tells of one socket, in words."""

    protection: str
    reason: str
    confidentiality: bool
    integrity: bool
    mode: str
    encryption_algorithm: str
    integrity_algorithm: str
    local_method: str
    peer_method: str
    asserted_id: str
    authorized_id: str
    local_fingerprint: str
    peer_fingerprint: str
    inner: tuple
    outer: tuple
    nat: tuple
    established: int
    peer_key: bytes
    peer_certificate: bytes
    trust_anchor: bytes
    bindings: dict
    """by type and form, None for those that there are not"""
    reasons: dict
    """by type"""


def _bytes(function, *args):
    """Octets that a function gives out, None if there are none."""
    buffer, length = ctypes.create_string_buffer(4096), ctypes.c_size_t(4096)
    try:
        call(function, *args, buffer, ctypes.byref(length))
    except BtnsError as error:
        assert error.name in ("EUNPROTECTED", "EAMBIGUOUS", "EUNAVAILABLE"), error
        return None
    return buffer.raw[:length.value]


def _channel(handle):
    info = Info(ctypes.sizeof(Info))
    call("btns_inquire", handle, ctypes.byref(info))
    types = (ENDPOINTS, UNIQUE)

    def fingerprint(side):
        return bytes(getattr(info, f"{side}_fingerprint")).hex() if getattr(info, f"has_{side}_fingerprint") else ""

    return Channel(
        PROTECTION[info.protection], library().btns_channel_reason(handle).decode(), bool(info.confidentiality),
        bool(info.integrity), MODES[info.mode], info.encryption_algorithm.decode(), info.integrity_algorithm.decode(),
        METHODS[info.local_method], METHODS[info.peer_method], info.asserted_id.decode(), info.authorized_id.decode(),
        fingerprint("local"), fingerprint("peer"), tuple(_address(side) for side in info.inner),
        tuple(_address(side) for side in info.outer), (bool(info.local_nat), bool(info.peer_nat)), info.established,
        *(_bytes(f"btns_{what}", handle) for what in ("peer_key", "peer_certificate", "trust_anchor")),
        {(kind, form): _bytes("btns_binding", handle, kind, form) for kind in types for form in (BARE, PREFIXED)},
        {kind: library().btns_binding_reason(handle, kind).decode() for kind in types},
    )


class Application:
    """A btns_t."""

    def __init__(self, path):
        self.handle = ctypes.c_void_p()
        call("btns_open", ctypes.byref(self.handle), str(path).encode())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        library().btns_close(self.handle)
        self.handle = None

    def find(self, what):
        """What protects a socket, or anything that has a descriptor."""
        found = ctypes.c_void_p()
        call("btns_find", self.handle, what if isinstance(what, int) else what.fileno(), ctypes.byref(found))
        try:
            return _channel(found)
        finally:
            library().btns_channel_free(found)

    def watch(self, what):
        number = ctypes.c_uint32()
        call("btns_watch", self.handle, what.fileno(), None, ctypes.byref(number))
        return number.value

    def unwatch(self, number):
        call("btns_unwatch", self.handle, number)

    def event(self, timeout=10):
        """The next event, as its watch and its name."""
        deadline = time.monotonic() + timeout
        while (left := deadline - time.monotonic()) > 0:
            select.select([library().btns_event_fd(self.handle)], [], [], left)
            event = Event(ctypes.sizeof(Event))
            if library().btns_next_event(self.handle, ctypes.byref(event)) == 0:
                return event.watch, EVENTS[event.type]
        raise AssertionError("no event")


class Connection:
    """A TCP connection between two hosts' addresses, as both ends' sockets."""

    def __init__(self, client, server, source=None, destination=None, timeout=8):
        source, destination = source or client.inner[0], destination or server.inner[0]
        family = socket.AF_INET6 if ":" in source else socket.AF_INET
        listener = server.namespace.socket(family, socket.SOCK_STREAM)
        self.client = client.namespace.socket(family, socket.SOCK_STREAM)
        try:
            listener.bind((destination, 0))
            listener.listen()
            listener.settimeout(timeout)
            self.client.settimeout(timeout)
            self.client.bind((source, 0))
            self.client.connect(listener.getsockname())
            self.server, _ = listener.accept()
        except BaseException:
            self.client.close()
            raise
        finally:
            listener.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.client.close()
        self.server.close()


def serves(host, **options):
    """Have a host that was not started yet serve applications. Returns it."""
    host.btns["socket"] = socket_of(host)
    host.btns.update({f"socket_{name}": value for name, value in options.items()})
    return host


def socket_of(host):
    return host.folder / "btns.sock"


def facts(host, connection_socket):
    """What an application on a host finds for a socket."""
    with Application(socket_of(host)) as application:
        return application.find(connection_socket)
