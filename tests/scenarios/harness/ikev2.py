# SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception
"""An IKEv2 initiator (RFC 7296) that says whatever a test wants in IKE_AUTH.

One cipher suite, no retransmissions, no CHILD_SA traffic: only what it takes to put arbitrary CERT payloads
before a real charon, with an AUTH payload that verifies or does not.
"""

import dataclasses
import hashlib
import hmac
import os
import socket
import struct

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

IKE_SA_INIT, IKE_AUTH, CREATE_CHILD_SA, INFORMATIONAL = 34, 35, 36, 37
SA, KE, IDI, IDR, CERT, CERTREQ, AUTH, NONCE, NOTIFY, DELETE, TSI, TSR, SK, EAP = 33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 44, 45, 46, 48
FLAG_INITIATOR = 0x08
CURVE_25519 = 31
SHARED_KEY, NULL_AUTHENTICATION, DIGITAL_SIGNATURE = 2, 13, 14
ID_FQDN, ID_RFC822, ID_KEY_ID, ID_NULL = 2, 3, 11, 13
X509, PKCS1, HASH_AND_URL, SPKI = 4, 11, 12, 15
AUTHENTICATION_FAILED, TS_UNACCEPTABLE, INVALID_SYNTAX = 24, 38, 7
SIGNATURE_HASH_ALGORITHMS, ANOTHER_AUTH_FOLLOWS, INITIAL_CONTACT = 16431, 16405, 16384
USE_PPK, PPK_IDENTITY = 16435, 16436
NAT_DETECTION_SOURCE_IP, NAT_DETECTION_DESTINATION_IP = 16388, 16389
FIRST_STATUS = 16384

KEY_LENGTH, ICV_LENGTH, BLOCK = 16, 16, 16

ALGORITHM_ED25519 = bytes.fromhex("300506032b6570")
ALGORITHM_ED448 = bytes.fromhex("300506032b6571")
ALGORITHM_ECDSA_SHA256 = bytes.fromhex("300a06082a8648ce3d040302")
ALGORITHM_RSA_SHA256 = bytes.fromhex("300d06092a864886f70d01010b0500")


def prf(key, data):
    return hmac.new(key, data, hashlib.sha256).digest()


def prf_plus(key, seed, length):
    out, block, count = b"", b"", 1
    while len(out) < length:
        block = prf(key, block + seed + bytes([count]))
        out += block
        count += 1
    return out[:length]


def chain(payloads):
    """Payloads, (type, body), as octets: each header names the type of the next one. Returns the first type, too."""
    out = b""
    for at, (_, body) in enumerate(payloads):
        following = payloads[at + 1][0] if at + 1 < len(payloads) else 0
        out += struct.pack("!BBH", following, 0, len(body) + 4) + body
    return payloads[0][0] if payloads else 0, out


def unchain(kind, data):
    payloads = []
    while kind and len(data) >= 4:
        following, _, length = struct.unpack("!BBH", data[:4])
        payloads.append((kind, data[4:length]))
        kind, data = following, data[length:]
    return payloads


def _transform(last, kind, number, bits=None):
    attribute = struct.pack("!HH", 0x800E, bits) if bits else b""
    return struct.pack("!BBHBBH", 0 if last else 3, 0, 8 + len(attribute), kind, 0, number) + attribute


def _proposal(protocol, spi, transforms):
    body = b"".join(_transform(at == len(transforms) - 1, *one) for at, one in enumerate(transforms))
    return struct.pack("!BBHBBBB", 0, 0, 8 + len(spi) + len(body), 1, protocol, len(spi), len(transforms)) + spi + body


IKE_TRANSFORMS = [(1, 12, 128), (3, 12), (2, 5), (4, CURVE_25519)]
IKE_PROPOSAL = _proposal(1, b"", IKE_TRANSFORMS)
"""AES-CBC with 128 bits, HMAC-SHA2-256-128, PRF-HMAC-SHA2-256, Curve25519"""


def notify(kind, data=b""):
    return NOTIFY, struct.pack("!BBH", 0, 0, kind) + data


def traffic_selector(address):
    """TS payload body for one IPv4 address, or for a range of them: "192.0.2.1-192.0.2.9"."""
    first, _, last = address.partition("-")
    return (struct.pack("!BBHBBHHH", 1, 0, 0, 7, 0, 16, 0, 65535) + socket.inet_aton(first)
            + socket.inet_aton(last or first))


@dataclasses.dataclass
class Answer:
    """What the responder said to IKE_AUTH."""

    authenticated: bool
    notifies: list

    @property
    def refused(self):
        return not self.authenticated and AUTHENTICATION_FAILED in self.notifies


class Signer:
    """Signs with a key in a PEM file, as RFC 7427 says."""

    def __init__(self, path):
        self.key = serialization.load_pem_private_key(path.read_bytes(), None)

    def sign(self, octets):
        """The body of an AUTH payload."""
        if isinstance(self.key, rsa.RSAPrivateKey):
            algorithm, value = ALGORITHM_RSA_SHA256, self.key.sign(octets, padding.PKCS1v15(), hashes.SHA256())
        elif isinstance(self.key, ec.EllipticCurvePrivateKey):
            algorithm, value = ALGORITHM_ECDSA_SHA256, self.key.sign(octets, ec.ECDSA(hashes.SHA256()))
        else:
            value = self.key.sign(octets)
            algorithm = ALGORITHM_ED25519 if len(value) == 64 else ALGORITHM_ED448
        return struct.pack("!BBHB", DIGITAL_SIGNATURE, 0, 0, len(algorithm)) + algorithm + value


class Mac:
    """Authenticates by a MAC (RFC 7296, section 2.15).

    @param initiator	whose AUTH payload it is for
    @param secret		shared key; None for nobody's, which is NULL authentication (RFC 7619, section 2.1)
    @param method		what the payload says it is
    """

    def __init__(self, initiator, secret=None, method=NULL_AUTHENTICATION):
        self.initiator = initiator
        self.secret = secret
        self.method = method

    def sign(self, octets):
        """The body of an AUTH payload."""
        key = self.initiator.sk_pi if self.secret is None else self.secret
        return struct.pack("!BBH", self.method, 0, 0) + prf(prf(key, b"Key Pad for IKEv2"), octets)


def pkcs1(key):
    """RSAPublicKey of a key pair, DER."""
    public = serialization.load_pem_private_key(key.path.read_bytes(), None).public_key()
    return public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.PKCS1)


class Initiator:
    """One attempt at an IKE_SA, from an address of a host; from another port than 500 if that runs a charon."""

    def __init__(self, namespace, source, responder, timeout=5, port=500):
        self.namespace = namespace
        self.responder = responder
        self.timeout = timeout
        self.port = port
        self.message_id = 0
        self.socket = self._socket(source)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def _socket(self, source):
        made = self.namespace.socket(socket.AF_INET, socket.SOCK_DGRAM)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((source, self.port))
        made.settimeout(self.timeout)
        return made

    def move(self, source):
        """Send from another address from now on."""
        self.socket.close()
        self.socket = self._socket(source)

    def _header(self, following, exchange, message_id, length):
        return self.spi_i + self.spi_r + struct.pack("!BBBBII", following, 0x20, exchange, FLAG_INITIATOR, message_id, length)

    def _exchange(self, packet):
        self.socket.sendto(packet, (self.responder, 500))
        while True:
            answer = self.socket.recv(65535)
            # not one that came too late, to an earlier request
            if answer[:8] == self.spi_i and answer[18:19] == packet[18:19] and answer[20:24] == packet[20:24]:
                return answer

    def _nat_detection(self):
        """Notifies that say that we are behind a NAT and the responder is not: so ESP goes over UDP, which is all that
        kernel-libipsec can do; strongSwan 6 leaves AUTH out of an answer if a CHILD_SA cannot be installed."""
        responder = socket.inet_aton(self.responder) + struct.pack("!H", 500)
        hashed = hashlib.sha1(self.spi_i + self.spi_r + responder).digest()
        return [notify(NAT_DETECTION_SOURCE_IP, bytes(20)), notify(NAT_DETECTION_DESTINATION_IP, hashed)]

    def init(self, more=()):
        """IKE_SA_INIT, and the keys.

        @param more		further payloads: (type, body)
        """
        self.spi_i, self.spi_r = os.urandom(8), bytes(8)
        self.nonce = os.urandom(32)
        private = X25519PrivateKey.generate()
        share = private.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
        first, body = chain([
            (SA, IKE_PROPOSAL),
            (KE, struct.pack("!HH", CURVE_25519, 0) + share),
            (NONCE, self.nonce),
            notify(SIGNATURE_HASH_ALGORITHMS, struct.pack("!HHHH", 2, 3, 4, 5)),
            *self._nat_detection(),
            *more,
        ])
        self.request = self._header(first, IKE_SA_INIT, 0, 28 + len(body)) + body
        response = self.response = self._exchange(self.request)
        self.spi_r = response[8:16]
        payloads = dict(unchain(response[16], response[28:]))
        if KE not in payloads:
            raise RuntimeError(f"IKE_SA_INIT was refused: {payloads}")
        self.peer_nonce = payloads[NONCE]
        secret = private.exchange(X25519PublicKey.from_public_bytes(payloads[KE][4:]))
        nonces = self.nonce + self.peer_nonce
        material = prf_plus(prf(nonces, secret), nonces + self.spi_i + self.spi_r, 32 * 5 + KEY_LENGTH * 2)
        lengths = [32, 32, 32, KEY_LENGTH, KEY_LENGTH, 32, 32]
        keys = []
        for length in lengths:
            keys.append(material[:length])
            material = material[length:]
        self.sk_d, self.sk_ai, self.sk_ar, self.sk_ei, self.sk_er, self.sk_pi, self.sk_pr = keys
        return self

    def use_ppk(self, secret):
        """Mix a post-quantum preshared key in (RFC 8784, section 3), after init() with notify(USE_PPK)."""
        self.sk_d, self.sk_pi, self.sk_pr = (prf_plus(secret, key, 32) for key in (self.sk_d, self.sk_pi, self.sk_pr))

    def _seal(self, exchange, message_id, first, body):
        pad = BLOCK - 1 - len(body) % BLOCK
        iv = os.urandom(BLOCK)
        encryptor = Cipher(algorithms.AES(self.sk_ei), modes.CBC(iv)).encryptor()
        sealed = iv + encryptor.update(body + bytes(pad) + bytes([pad])) + encryptor.finalize()
        length = 28 + 4 + len(sealed) + ICV_LENGTH
        packet = self._header(SK, exchange, message_id, length)
        packet += struct.pack("!BBH", first, 0, 4 + len(sealed) + ICV_LENGTH) + sealed
        return packet + prf(self.sk_ai, packet)[:ICV_LENGTH]

    def _open(self, packet):
        """Payloads of an encrypted response."""
        assert packet[16] == SK, f"the response is not encrypted: {packet.hex()}"
        assert prf(self.sk_ar, packet[:-ICV_LENGTH])[:ICV_LENGTH] == packet[-ICV_LENGTH:], "integrity of the response"
        sealed = packet[32:-ICV_LENGTH]
        decryptor = Cipher(algorithms.AES(self.sk_er), modes.CBC(sealed[:BLOCK])).decryptor()
        plain = decryptor.update(sealed[BLOCK:]) + decryptor.finalize()
        return unchain(packet[28], plain[:-1 - plain[-1]])

    def auth(self, certs, signer, identity="hostile.example.net", id_type=ID_FQDN, more=(), address="10.66.128.9",
             remote="10.66.0.1", raw=None, spi=None, responder=None):
        """IKE_AUTH.

        @param certs	CERT payloads: (encoding, body)
        @param signer	whose signature is in the AUTH payload
        @param more		further payloads: (type, body)
        @param raw		changes the plain octets of all payloads before they are encrypted
        @param spi		SPI of the CHILD_SA, four octets; a new one if left out
        @param responder	who is meant: (ID type, identity); nobody in particular if left out
        """
        idi = struct.pack("!BBH", id_type, 0, 0) + identity.encode()
        octets = self.request + self.peer_nonce + prf(self.sk_pi, idi)
        signed = signer.sign(octets)
        child = _proposal(3, spi or os.urandom(4), [(1, 12, 128), (3, 12), (5, 0)])
        idr = [(IDR, struct.pack("!BBH", responder[0], 0, 0) + responder[1].encode())] if responder else []
        first, body = chain([
            (IDI, idi),
            *idr,
            *((CERT, bytes([encoding]) + content) for encoding, content in certs),
            (AUTH, signed),
            (SA, child),
            (TSI, traffic_selector(address)),
            (TSR, traffic_selector(remote)),
            *more,
        ])
        if raw:
            body = raw(body)
        self.message_id = 1
        payloads = self._open(self._exchange(self._seal(IKE_AUTH, self.message_id, first, body)))
        self.answered = payloads
        """Payloads of the response, (type, body)"""
        said = dict(payloads)
        self.bodies = [idi, said.get(IDR), signed, said.get(AUTH)]
        """What both sides are authenticated by: IDi, IDr, and the two AUTH payloads"""
        notifies = [struct.unpack("!H", content[2:4])[0] for kind, content in payloads if kind == NOTIFY]
        return Answer(any(kind == AUTH for kind, _ in payloads), notifies)

    def send(self, exchange, payloads):
        """Send a request on the established IKE_SA, whatever became of the one before."""
        self.message_id += 1
        self.socket.sendto(self._seal(exchange, self.message_id, *chain(payloads)), (self.responder, 500))

    def ask(self, exchange, payloads):
        """Send a request on the established IKE_SA. Returns the payloads of the response."""
        self.send(exchange, payloads)
        return self._open(self.socket.recv(65535))

    @staticmethod
    def rekeying():
        """Payloads of a CREATE_CHILD_SA request that rekeys the IKE_SA."""
        share = X25519PrivateKey.generate().public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
        return [
            (SA, _proposal(1, os.urandom(8), IKE_TRANSFORMS)),
            (NONCE, os.urandom(32)),
            (KE, struct.pack("!HH", CURVE_25519, 0) + share),
        ]


    def delete(self, message_id=2):
        """Delete the IKE_SA that auth() set up."""
        first, body = chain([(DELETE, struct.pack("!BBH", 1, 0, 0))])
        self._open(self._exchange(self._seal(INFORMATIONAL, message_id, first, body)))

    def create_child(self, message_id, address="10.66.128.9", remote="10.66.0.1"):
        """CREATE_CHILD_SA for one more CHILD_SA. Returns the payloads of the answer; raises TimeoutError if none comes."""
        first, body = chain([
            (SA, _proposal(3, os.urandom(4), [(1, 12, 128), (3, 12), (5, 0)])),
            (NONCE, os.urandom(32)),
            (TSI, traffic_selector(address)),
            (TSR, traffic_selector(remote)),
        ])
        return self._open(self._exchange(self._seal(CREATE_CHILD_SA, message_id, first, body)))


def attempt(namespace, source, responder, certs, signer, **how):
    """A whole attempt, from one address."""
    with Initiator(namespace, source, responder) as initiator:
        return initiator.init().auth(certs, signer, **how)
