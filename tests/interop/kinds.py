# SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception
"""The pairs of a charon and another daemon: what each of both is configured with. The examples' files are used as they are."""

import dataclasses
from collections.abc import Callable

from harness import roots

from foreign import attach
from iked import OpenIked
from pairs import SLOW, example, wait_settled
from pluto import Libreswan, rsasigkey

OPENIKED_EC = {"encodings": "spki pkcs1 x509 openiked-ec"}
"""The option without which OpenIKED's encoding of EC keys is not accepted."""

PATIENT = {"retransmit_tries": 8}
"""charon.*: a peer without KVM may take long to answer."""

HAS_NULL = roots.DEFAULT.variant("btns-null").exists()
"""The plugin for NULL authentication was built."""


@dataclasses.dataclass
class Pair:
    """A charon on the left, which has not been started, and another daemon on the right."""

    world: object
    left: object
    right: object
    connection: str

    def up(self, who="charon"):
        """Start both and have one of them initiate: "charon" or "peer"."""
        self.left.start()
        if who == "peer":
            self.right.begin()
        else:
            self.right.start()
            outcome = self.left.initiate("data", self.connection, timeout=SLOW)
            assert outcome.success, f"{outcome.error}\n{outcome.log}\n{self.right.log()[-3000:]}"
        wait_settled(self.left)
        return self


def _more(conf, options):
    """A configuration with more in its connection."""
    return conf + f"\nconnections {{\n\t{options}\n}}\n" if options else conf


# Each of these makes a pair. `who` initiates, `options` are for charon's connection, `more` for the peer's.


def libreswan_rsa(world, who="charon", options="", more=""):
    left = world.host("left", _more(example("with-libreswan/rsa.conf"), options and f"libreswan {{ {options} }}"), "rsa3072",
                      start=False, options=PATIENT)
    right = attach(world, Libreswan).own(world.keys.key("rsa3072"))
    left.add_file("pubkey/libreswan.pem", right.key.public_pem)
    keys = {"=0sAwEAAd...": f"={rsasigkey(right.key)}", "=0sAwEAAc...": f"={rsasigkey(left.key)}"}
    right.configure(example("with-libreswan/rsa.ipsec.conf", **keys) + more)
    return Pair(world, left, right, "libreswan")


def libreswan_null(world, who="charon", options="", more=""):
    left = world.host("left", _more(example("with-libreswan/null.conf"), options and f"nobody {{ {options} }}"), start=False,
                      options=PATIENT)
    left.null = True
    right = attach(world, Libreswan).configure(example("with-libreswan/null.ipsec.conf") + more)
    return Pair(world, left, right, "nobody")


def _openiked(world, kind, who, options, more, btns=None):
    conf = example("with-openiked/swanctl.conf")
    left = world.host("left", _more(conf, options and f"openiked {{ {options} }}"), kind, btns=btns, start=False,
                      options=PATIENT)
    right = attach(world, OpenIked).own(world.keys.key(kind)).knows("left.example", left.key)
    text = example("with-openiked/iked.conf", passive="active" if who == "peer" else "passive")
    right.configure(text.rstrip("\n") + (f" \\\n\t{more}\n" if more else "\n"))
    return Pair(world, left, right, "openiked")


def openiked_rsa(world, who="charon", options="", more=""):
    return _openiked(world, "rsa3072", who, options, more)


def openiked_ecdsa(world, who="charon", options="", more=""):
    return _openiked(world, "ecdsa256", who, options, more, OPENIKED_EC)


KINDS: dict[str, Callable] = {"libreswan-rsa": libreswan_rsa, "openiked-rsa": openiked_rsa}
if HAS_NULL:
    KINDS["libreswan-null"] = libreswan_null
