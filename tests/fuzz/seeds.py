#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception
"""Usage: seeds.py FOLDER

Writes the inputs that fuzzing begins with to FOLDER/<target>/: the test vectors of tests/data in the form that each
target reads, stories for the state machines, and what is in tests/fuzz/corpus/.
"""

import shutil
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
DATA = HERE.parent / "data"
ENCODINGS = {15: 0, 11: 1, 4: 2, 201: 3}
"""CERT encoding to the octet that stands for it in key_parse's inputs."""

ADDRESS_RANGES = """10.0.0.0/8
192.0.2.1
192.0.2.1-192.0.2.9
2001:db8::/32
2001:db8::1 - 2001:db8::ffff
::ffff:192.0.2.1
0.0.0.0/0
::/0
 192.0.2.0/33
192.0.2.9-192.0.2.1
fe80::1%eth0""".splitlines()

PIN = "btns:sha256:" + 32 * "5a"
GROUPS = ["btns", PIN, PIN.upper(), PIN[:-1], "btns:null", "btns:known", "btns:other", "people\nbtns", "btns\n\nbtns",
          "btn"]
NAMES = [b"btns:", b"BTNS:sha256:00", b" \0\tbtns:x", b"btns", b"xbtns:", b"alice@example.org"]
IMAGES = ["\0005.9.8\0", "\0006.0.3dr1\0x\0", "\0005.9.8\0006.1.0\0", "ELF\00010.1.2\0", "\0005.9.08\0"]

SAS = 6

CHANNEL, ERROR, DONE, EVENT, LATCHED = 65, 66, 67, 68, 69
"""Types of messages of client/wire.h."""


def vectors(name):
    """Names and values of a file of tests/data."""
    found = {}
    values = key = None
    for line in (DATA / name).read_text().splitlines():
        if not line or line.startswith("#"):
            continue
        if line.startswith("["):
            values = found.setdefault(line[1:line.index("]")], {})
        elif line.startswith(" "):
            values[key] += line.strip()
        else:
            key, value = (part.strip() for part in line.split("=", 1))
            values[key] = value
    return found


def certificates():
    """(name, encoding, body) of all CERT payloads there are."""
    for file in ("keys-good.txt", "keys-refused.txt"):
        for name, values in vectors(file).items():
            if "body" in values:
                yield name, int(values["encoding"]), bytes.fromhex(values["body"])
    for name, values in vectors("rfc7670-payloads.txt").items():
        payload = bytes.fromhex(values["payload"])
        yield "rfc7670-" + name, payload[4], payload[5:]
    for path in sorted((HERE / "corpus" / "x509_names").glob("*.der")):
        yield path.stem, 4, path.read_bytes()


def attribute(tag, octets):
    return tag.to_bytes(2, "big") + len(octets).to_bytes(2, "big") + octets


def app_message(kind, *attributes):
    """A message of the application socket; attributes are pairs of a tag and octets."""
    return bytes([1, kind, 0, 0, 0, 0, 0, 7]) + b"".join(attribute(*pair) for pair in attributes)


def app_answers():
    """One message of each type, one with every attribute of a channel, and some that are none."""
    addresses = [(tag, b"\x11\x94" + bytes([10, 0, 0, tag])) for tag in (28, 29, 30)]
    addresses.append((31, b"\x11\x94" + bytes(15) + b"\1"))
    texts = [(tag, b"text") for tag in (20, 21, 24, 25)]
    digests = [(tag, bytes([tag]) * 32) for tag in (26, 27, 34, 36)]
    numbers = [(18, b"\x0f"), (19, b"\2"), (22, b"\2"), (23, b"\1"), (32, bytes(7) + b"\1")]
    yield "protected", app_message(CHANNEL, (16, b"\1"), *addresses, *texts, *digests, *numbers, (33, b"\x30\0"))
    yield "unprotected", app_message(CHANNEL, (16, b"\0"), *addresses[:2], (17, b"no CHILD_SA takes it"))
    yield "ambiguous", app_message(CHANNEL, (16, b"\2"))
    yield "no-bindings", app_message(CHANNEL, (16, b"\1"), (35, b"same key"), (37, b"not seen"), (4711, b"later"))
    yield "error", app_message(ERROR, (1, b"\7"))
    yield "done", app_message(DONE)
    yield "event", app_message(EVENT, (2, b"\4"))
    wants = [(48, b"\3"), (49, b"\1"), (50, b"\1"), (51, b"\2"), (52, bytes(32)), (53, b"\0\0\x27\x10")]
    latch = [(40, b"\3"), (41, b"\1"), (42, b"\0\0\0\5"), (43, b"\3"), (44, b"\6"), *wants, *addresses[:2]]
    yield "latched", app_message(LATCHED, *latch, (16, b"\1"), *texts, *digests, *numbers, (33, b"\x30\0"))
    yield "larval", app_message(LATCHED, (40, b"\2"), (43, b"\2"))
    yield "held-to-nobody", app_message(LATCHED, (40, b"\3"))
    yield "born", app_message(EVENT, (2, b"\x09"), (41, b"\0"), (42, b"\0\0\0\5"))
    yield "protection-twice", app_message(CHANNEL, (16, b"\1"), (16, b"\0"))


def app_requests():
    """The target's inputs begin with what they are: a request, a text with its length, or a channel."""
    yield "find", b"\0" + app_message(1)
    yield "watch", b"\0" + app_message(2, (4711, b"later"))
    yield "unwatch", b"\0" + app_message(3)
    wants = [(48, b"\3"), (49, b"\1"), (50, b"\1"), (51, b"\2"), (52, bytes(32)), (53, b"\0\0\x27\x10")]
    yield "latch", b"\0" + app_message(4, *wants, (54, b"\0\x50\x0a\0\0\1"))
    yield "latch-v6", b"\0" + app_message(4, (54, b"\0\x50" + bytes(15) + b"\1"))
    yield "latch-later", b"\0" + app_message(4, (48, b"\1"), (99, b"later"))
    for kind, name in ((5, "connected"), (6, "find"), (7, "inquire"), (8, "release")):
        yield f"latch-{name}", b"\0" + app_message(kind)
    yield "text", b"\1\xff" + "C=CH, O=Z\u00fcrich \u20ac \U0001f511".encode() + b"\xed\xa0\x80\x1b\xc2\x85"
    flow = b"\1\x0a\0\0\1" + b"\0" + bytes(15) + b"\1"
    channel = b"\1\1\1\1\2\2\1\2AES_\2who?\2btns\1\x55\1key!!" + bytes(20) + b"\1\3\1\4"
    yield "channel", b"\2" + flow + channel
    yield "latched", b"\3" + b"\2\1\1\1\6" + flow + b"\1\2\0\1\5\1\7\5" + channel


def step(sa, kind, *octets):
    """One step of the targets peers and children."""
    return bytes([sa + SAS * kind, *octets])


def peers():
    """Stories of IKE_SAs; the numbers of the steps are those in peers.cpp."""
    init, known, key, arm, authorize, up, rekey, drop, look, stranger = 0, 2, 3, 4, 5, 6, 7, 8, 9, 10
    well = [0, 1 + 6 * 0, 0]
    one = step(0, init, 0) + step(0, known, 0, 0, 0) + step(0, key) + step(0, arm) + step(0, authorize, *well)
    one += step(0, up)
    yield "one", one + step(0, rekey, 1) + step(0, drop) + step(1, look, 3, 0) + step(1, drop)
    yield "moves", step(0, init, 0) + step(0, known, 1, 0, 0) + step(0, key) + step(0, arm)
    yield "caps", b"".join(step(sa, stranger, sa, sa % 4) for sa in range(5)) + step(0, drop) + step(5, stranger, 2, 1)
    fails = step(0, init, 0) + step(0, known, 0, 1, 0) + step(0, arm) + step(0, authorize, 4, 1, 0)
    yield "fails", fails + step(0, known, 0, 1, 0)
    yield "two-rounds", step(0, init, 0) + step(0, known, 0, 0, 1) + step(0, arm) + step(0, authorize, *well)
    pinned = step(0, init, 0) + step(0, known, 0, 0, 0) + step(0, arm)
    yield "pinned", pinned + step(0, authorize, 1, 2, 0) + step(0, up)
    for name, encoding, body in certificates():
        side = int(len(body) ** 0.5) + 1
        if side < 40:
            yield "cert-" + name, step(0, init, 0) + step(0, 1, 1, 1, encoding, side) + body


def children():
    """Stories of CHILD_SAs; the numbers of the steps are those in children.cpp."""
    stranger, authorize, up, down, holds, rekey, drop, audit = 0, 2, 4, 7, 8, 9, 10, 11
    mine = [1, 8 + 1, 5, 0]
    yield "own-host", step(0, stranger, 0) + step(0, authorize, *mine, 1) + step(0, up, *mine) + step(0, down, 1)
    yield "makes-way", step(0, stranger, 0) + step(0, up, *mine) + step(1, up, 0, 8 + 2, 0, 3) + step(2, holds, 1, 5)
    yield "held", step(0, stranger, 0) + step(0, up, *mine) + step(1, stranger, 1) + step(1, up, *mine)
    rekeyed = step(0, stranger, 0) + step(0, up, *mine) + step(0, rekey, 3) + step(0, drop)
    yield "rekeyed", rekeyed + step(3, up, 1, 10, 5, 0)
    taken = step(0, up, 1, 9, 41, 0)
    unreserve, reserve, check = step(0, audit, 0, 0), step(0, audit, 0, 1), step(0, audit, 1)
    yield "reserved", step(0, stranger, 0) + taken + unreserve + taken + reserve + check
    many = b"".join(step(0, up, 1, 8 + i, i, 0) for i in range(5))
    yield "many", step(0, stranger, 2) + many + b"".join(step(0, authorize, 1, 8 + i, 3, 0, 1) for i in range(7))


def main():
    if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
        sys.exit(__doc__)
    folder = Path(sys.argv[1])
    seeds = {
        "key_parse": [(f"{name}-{encoding}", bytes([ENCODINGS[encoding]]) + body)
                      for name, encoding, body in certificates() if encoding in ENCODINGS],
        "x509_names": [(name, body) for name, encoding, body in certificates() if encoding == 4],
        "range_parse": [(str(i), text.encode()) for i, text in enumerate(ADDRESS_RANGES)],
        "entry_flag": [(str(i), text.encode()) for i, text in enumerate(GROUPS)],
        "reserved_name": [(str(i), octets) for i, octets in enumerate(NAMES)],
        "find_version": [(str(i), b"\x10" + text.encode()) for i, text in enumerate(IMAGES)],
        "app_answer": list(app_answers()),
        "app_request": list(app_requests()),
        "peers": list(peers()),
        "children": list(children()),
    }
    for target, inputs in seeds.items():
        place = folder / target
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        for name, octets in inputs:
            (place / name).write_bytes(octets)
        corpus = HERE / "corpus" / target
        if corpus.exists():
            for path in corpus.iterdir():
                shutil.copyfile(path, place / path.name)


if __name__ == "__main__":
    main()
