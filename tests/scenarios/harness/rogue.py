# SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception
"""A stock charon that misbehaves by script: the plugin btns-rogue changes what it says, and everything stays encrypted
and authenticated as charon does it.

    mallory = world.rogue("left")
    mallory.own(key)                                      # signs with this
    mallory.rogue.shows((SPKI, alice.spki))               # and shows that
    mallory.rogue.says("initial contact", add=[notify(INITIAL_CONTACT)])
    mallory.initiate("data")
    mallory.rogue.sends("mischief", [notify(UPDATE_SA_ADDRESSES)])

Payloads are (type, body), as `ikev2` builds them: the body has no generic header.
"""

import socket
import struct

# what tests need to write a script
from .ikev2 import AUTH, CERT, CREATE_CHILD_SA, DELETE, EAP, IKE_AUTH, IKE_SA_INIT, INFORMATIONAL, NOTIFY  # noqa: F401
from .ikev2 import SPKI, X509
from .keys import der
from .vici import Connection

VENDOR_ID = 43
UPDATE_SA_ADDRESSES, REKEY_SA, REDIRECT = 16400, 16393, 16407
AH, ESP, IKE = 2, 3, 1


def bare(key):
    """The CERT payload, (encoding, body), of a bare key (RFC 7670)."""
    return SPKI, key.spki


def x509(pem):
    """The CERT payload, (encoding, body), of a certificate in PEM."""
    return X509, der(pem)


def second_round(settings):
    """Changes a swanctl.conf: its host authenticates in a second round, with these settings."""
    section = f"\t\tlocal-2 {{\n\t\t\tround = 2\n\t\t\tauth = pubkey\n{settings}\n\t\t}}\n"
    return lambda conf: conf.replace("\t\tremote {", f"{section}\t\tremote {{", 1)


def identity(kind, octets):
    """Body of an IDi or IDr payload."""
    return struct.pack("!BBH", kind, 0, 0) + (octets if isinstance(octets, bytes) else octets.encode())


def delete(protocol, *spis):
    """A Delete payload; no SPIs for the IKE_SA itself."""
    size = len(spis[0]) if spis else 0
    return DELETE, struct.pack("!BBH", protocol, size, len(spis)) + b"".join(spis)


def eap(code, identifier, data):
    """An EAP payload."""
    return EAP, struct.pack("!BBH", code, identifier, 4 + len(data)) + data


def redirect_to(address):
    """Data of a REDIRECT notify (RFC 5685): to an IPv4 address, without a nonce."""
    return bytes([1, 4]) + socket.inet_aton(address)


def traffic_selectors(*networks, protocol=0, ports=(0, 65535)):
    """Body of a TSi or TSr payload: IPv4 networks, or (first, last) addresses."""
    body = struct.pack("!BBH", len(networks), 0, 0)
    for network in networks:
        first, last = (network[0], network[-1])
        body += struct.pack("!BBHHH", 7, protocol, 16, *ports) + first.packed + last.packed
    return body


class Rogue:
    """The script of one host."""

    def __init__(self, host):
        self.host = host

    def _request(self, command, message):
        connection = Connection(self.host.socket_path)
        try:
            answer = connection.request(command, message)[0]
        finally:
            connection.close()
        assert answer.get("success", "yes") == "yes", f"{command}: {answer}"
        return answer

    def says(self, name, exchange=IKE_AUTH, response=False, drop=(), drop_notifies=(), add=(), raw=None, skip=0, times=1,
             copies=0, auth_method=0):
        """Change messages before they are encrypted.

        @param name			what applied() knows the rule by
        @param response		change responses instead of requests
        @param drop			types of payloads to leave out, drop_notifies those of Notify payloads
        @param add			payloads to add: (type, body)
        @param raw			(type, octets) to end with: any header, any length, any chain of payloads
        @param skip			messages to leave as they are before the first change
        @param times		messages to change; 0 for all
        @param copies		send the encrypted message so often once more, and change nothing
        @param auth_method	what an AUTH payload is said to be, whatever it was made by; 0 for the truth
        """
        self._rule(name, exchange, response, drop=drop, drop_notifies=drop_notifies, add=add, raw=raw, skip=skip,
                   times=times, copies=copies, auth_method=auth_method)

    def hears(self, name, exchange=IKE_AUTH, response=True, drop=(), drop_notifies=(), add=(), skip=0, times=1, lose=False,
              auth_method=0):
        """Change received messages before charon looks at them, or lose them."""
        self._rule(name, exchange, response, incoming=True, drop=drop, drop_notifies=drop_notifies, add=add, skip=skip,
                   times=times, lose=lose, auth_method=auth_method)

    def _rule(self, name, exchange, response, drop, drop_notifies, add, skip, times, incoming=False, raw=None, copies=0,
              lose=False, auth_method=0):
        message = {
            "name": name, "exchange": exchange, "response": "yes" if response else "no",
            "incoming": "yes" if incoming else "no", "lose": "yes" if lose else "no", "skip": skip, "times": times,
            "copies": copies, "auth-method": auth_method, "drop": list(drop), "drop-notifies": list(drop_notifies),
            "add": [bytes([kind]) + body for kind, body in add],
        }
        if raw:
            message["raw"] = bytes([raw[0]]) + raw[1]
        self._request("btns-rogue-rule", message)

    def shows(self, *certs, response=False, times=0):
        """Present these CERT payloads, (encoding, body), and none of its own."""
        self.says("shows", response=response, drop=[CERT], times=times,
                  add=[(CERT, bytes([encoding]) + body) for encoding, body in certs])

    def applied(self, name):
        """How many messages a rule has changed."""
        return int(self._request("btns-rogue-rules", {})[name])

    def behaves(self):
        """Forget all rules."""
        self._request("btns-rogue-clear", {})

    def sends(self, connection, payloads, exchange=INFORMATIONAL):
        """Send a request of these payloads on an established IKE_SA."""
        self._request("btns-rogue-send", {
            "uniqueid": self.host.sa(connection)["uniqueid"], "exchange": exchange,
            "add": [bytes([kind]) + body for kind, body in payloads],
        })
