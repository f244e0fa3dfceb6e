# SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception
"""What users do to the application socket who may connect to it: attacker.py SOCKET ATTACK SEED. Prints what it did.

Runs as nobody where it can. Each attack is a function; it ends by itself or is killed.
"""

import ctypes
import errno
import os
import random
import resource
import select
import signal
import socket
import struct
import sys
import threading
import time

FIND, WATCH, UNWATCH = 1, 2, 3
CONNECTIONS = 10_000
NOBODY = 65534

# linux/fuse.h
LOOKUP, GETATTR, OPEN, FLUSH, INIT = 1, 3, 14, 25, 26
MS_PRIVATE_REC = 1 << 18 | 1 << 14
CLONE_NEWNS = 0x20000


def header(kind, number=1):
    return struct.pack("!BBHI", 1, kind, 0, number)


def error(number, code):
    return struct.pack("!BBHIHHB", 1, 66, 0, number, 1, 1, code)


def connection(path, patience=20):
    """A connection, as soon as the server takes one."""
    made = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    deadline = time.monotonic() + patience
    while True:
        try:
            made.setblocking(False)
            made.connect(path)
            return made
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.002)


def send(client, octets, descriptors=()):
    """FALSE if the server has hung up, or has no room."""
    try:
        socket.send_fds(client, [octets], list(descriptors)) if descriptors else client.send(octets)
        return True
    except OSError as error:
        if error.errno in (errno.EPIPE, errno.ECONNRESET, errno.EAGAIN, errno.ENOTCONN, errno.ETOOMANYREFS):
            return False
        raise


def is_open(client):
    """FALSE if the server has hung up; nothing is read."""
    hung_up = select.poll()
    hung_up.register(client, 0)
    return not hung_up.poll(0)


def receive(client, patience=20):
    if not select.select([client], [], [], patience)[0]:
        return None
    try:
        return client.recv(9000)
    except ConnectionResetError:
        return b""


def udp():
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.connect(("127.0.0.1", 9))
    return made


def kinds():
    """Objects with descriptors that are no connections; the caller keeps them."""
    listener = socket.socket()
    listener.listen()
    reading, writing = os.pipe()
    return [listener, socket.socket(), socket.socket(type=socket.SOCK_DGRAM), *socket.socketpair(), select.epoll(),
            open("/dev/null", "rb"), open("/proc/self/status", "rb"), os.fdopen(reading, "rb"), os.fdopen(writing, "wb"),
            os.open("/", os.O_RDONLY | os.O_DIRECTORY), os.open("/", os.O_PATH), os.eventfd(0), os.memfd_create("x"),
            socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)]


def number_of(what):
    return what if isinstance(what, int) else what.fileno()


def wrong_descriptors(path, random):
    """Each kind of descriptor that is no connection: the error is ESOCKET (7), and the client may go on."""
    client, asked, deadline = connection(path), 0, time.monotonic() + 40
    for what in kinds() * 20:
        while True:
            send(client, header(FIND), [number_of(what)])
            answer = receive(client)
            if answer in (error(0, 5), b"") and time.monotonic() < deadline:
                # EBUSY, maybe before it could be read: the others of this user have all the places
                client = connection(path)
                continue
            break
        if answer != error(1, 7):
            raise SystemExit(f"{what}: {answer}")
        asked += 1
    return asked


def garbage(path, random):
    """Octets that are nothing, of any length, with any number of descriptors of any kind."""
    kept = kinds()
    things = [number_of(what) for what in kept]
    sent = 0
    for _ in range(400):
        client = connection(path)
        for _ in range(random.randrange(1, 20)):
            octets = random.randbytes(random.randrange(1, 300))
            if random.random() < 0.5:
                octets = header(random.randrange(0, 5)) + octets[:random.randrange(0, 40)]
            sent += send(client, octets, random.choices(things, k=random.choice((0, 0, 1, 2, 10, 200))))
        client.close()
    return sent


def half_messages(path, random):
    """Headers and attributes that end too early; connections on which nothing or only half is said."""
    whole = header(FIND) + struct.pack("!HH", 4711, 8) + bytes(8)
    silent = [connection(path) for _ in range(20)]
    for _ in range(30):
        for length in range(1, len(whole)):
            if length != 8:
                client = connection(path)
                send(client, whole[:length])
                client.close()
    return len(silent)


def many_connections(path, random):
    """Ten thousand connections, as many at a time as the server lets there be."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (12000, 12000))
    kept = []
    for _ in range(CONNECTIONS):
        kept.append(connection(path))
        if len(kept) > 2000:
            kept.pop(0).close()
    return CONNECTIONS


def never_reading(path, random):
    """Questions without end, whose answers nobody takes."""
    asked, end, other = 0, time.monotonic() + 12, udp()
    clients = [connection(path) for _ in range(10)]
    while time.monotonic() < end:
        for at, client in enumerate(clients):
            if send(client, header(WATCH if asked % 2 else FIND, asked), [other.fileno()]):
                asked += 1
            elif not is_open(client):
                clients[at] = connection(path)
        time.sleep(0.0005)
    return asked


def asking_fast(path, random):
    """Questions as fast as they are answered."""
    client, asked, end, other = connection(path), 0, time.monotonic() + 8, udp()
    while time.monotonic() < end:
        if not send(client, header(FIND), [other.fileno()]) or not receive(client):
            client = connection(path)
        asked += 1
    return asked


def coming_and_going(path, random):
    """Connections that are closed in the middle of a question."""
    other = udp()
    for number in range(3000):
        client = connection(path)
        send(client, header(WATCH, number), [other.fileno()])
        client.close()
    return 3000


def lingering(path, random):
    """A socket that its last owner must wait for when it is closed, which is to be the server."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    trap = socket.socket()
    trap.connect(listener.getsockname())
    other, _ = listener.accept()
    trap.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 3600))
    trap.setblocking(False)
    try:
        while True:
            trap.send(bytes(65536))
    except BlockingIOError:
        pass
    client = connection(path)
    # behind so many that it waits there while this process closes its own
    while send(client, header(UNWATCH)):
        pass
    while not send(client, header(FIND), [trap.fileno()]):
        receive(client)
    trap.close()
    while receive(client, 1):
        pass
    print("handed over", flush=True)
    signal.pause()
    return other


class SilentFileSystem:
    """A FUSE file system with one file. Who closes it waits for an answer, and only this process gets it: else it could not end."""

    def __init__(self, folder):
        libc = ctypes.CDLL(None, use_errno=True)

        def checked(status):
            if status:
                raise OSError(ctypes.get_errno(), "file system")

        self.device = os.open("/dev/fuse", os.O_RDWR)
        checked(libc.unshare(CLONE_NEWNS))
        checked(libc.mount(None, b"/", None, MS_PRIVATE_REC, None))
        options = f"fd={self.device},rootmode=40000,user_id=0,group_id=0,allow_other".encode()
        checked(libc.mount(b"silent", folder.encode(), b"fuse", 0, options))
        threading.Thread(target=self.serve, daemon=True).start()
        self.file = os.open(os.path.join(folder, "file"), os.O_RDONLY)

    def serve(self):
        attributes = struct.pack("<QQQQQQIIIIIIIIII", 2, 0, 0, 0, 0, 0, 0, 0, 0, 0o100444, 1, 0, 0, 0, 0, 0)
        while True:
            request = os.read(self.device, 1 << 17)
            opcode, unique = struct.unpack_from("<IQ", request, 4)
            process = struct.unpack_from("<I", request, 32)[0]
            if opcode == INIT:
                major, minor, ahead = struct.unpack_from("<III", request, 40)
                answer = struct.pack("<IIIIHHIIHHI7I", 7, min(minor, 31), ahead, 0, 12, 9, 4096, 1, 0, 0, 0, *[0] * 7)
            elif opcode == LOOKUP:
                answer = struct.pack("<QQQQII", 2, 0, 3600, 3600, 0, 0) + attributes
            elif opcode == GETATTR:
                answer = struct.pack("<QII", 3600, 0, 0) + attributes
            elif opcode == OPEN:
                answer = struct.pack("<QII", 1, 0, 0)
            elif opcode == FLUSH and process == os.getpid():
                answer = b""
            else:
                continue
            os.write(self.device, struct.pack("<IiQ", 16 + len(answer), 0, unique) + answer)


def silent_file(path, random):
    """A file of a file system that does not answer when it is closed."""
    folder = sys.argv[4]
    silent = SilentFileSystem(folder)
    client = connection(path)
    send(client, header(FIND), [silent.file])
    os.close(silent.file)
    print("handed over", flush=True)
    signal.pause()


def main():
    path, attack, seed = sys.argv[1:4]
    if attack != "silent_file":
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)
    print(globals()[attack](path, random.Random(seed)), flush=True)


if __name__ == "__main__":
    main()
