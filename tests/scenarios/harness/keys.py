# SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception
"""Key pairs, certificates and CAs, made for the run and thrown away with it."""

import hashlib
import ssl
import subprocess
from pathlib import Path

OPENSSL_ARGS = {
    "rsa1024": ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:1024"],
    "rsa2048": ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"],
    "rsa3072": ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:3072"],
    "rsa4096": ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:4096"],
    "ecdsa192": ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-192"],
    "ecdsa256k1": ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:secp256k1"],
    "ecdsa256": ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"],
    "ecdsa384": ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"],
    "ecdsa521": ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-521"],
    "ed25519": ["-algorithm", "ED25519"],
    "ed448": ["-algorithm", "ED448"],
}


EXPIRED = ["--not-before", "01.01.20 00:00:00", "--not-after", "01.02.20 00:00:00"]
"""For CA.issue(): a lifetime that is over."""


def run(*argv):
    result = subprocess.run([str(arg) for arg in argv], capture_output=True)
    if result.returncode:
        raise RuntimeError(f"{argv[0]} {argv[1]}: {result.stderr.decode(errors='replace').strip()}")
    return result.stdout


class Key:
    """A key pair in a PEM file."""

    def __init__(self, path):
        self.path = Path(path)
        self.spki = run("openssl", "pkey", "-in", path, "-pubout", "-outform", "DER")
        """SubjectPublicKeyInfo, DER"""

    @property
    def private_pem(self):
        return self.path.read_text()

    @property
    def public_pem(self):
        return run("openssl", "pkey", "-in", self.path, "-pubout").decode()

    @property
    def fingerprint(self):
        """What a BTNS peer with this key is known by: hex of the SHA-256 of the SubjectPublicKeyInfo."""
        return hashlib.sha256(self.spki).hexdigest()

    @property
    def identity(self):
        return f"btns:sha256:{self.fingerprint}"


def der(pem):
    """A certificate, DER."""
    return ssl.PEM_cert_to_DER_cert(pem)


class CA:
    """A certification authority that trusts nobody and is trusted by whom it is given to."""

    def __init__(self, maker, name, key=None):
        self.maker = maker
        self.name = name
        self.dn = f"C=XX, O=btns test, CN={name}"
        self.key = key or maker.key("ecdsa256")
        self.path = maker.file("ca.pem")
        self.path.write_bytes(
            run("pki", "--self", "--ca", "--in", self.key.path, "--type", "priv", "--dn", self.dn, "--lifetime", "2",
                "--outform", "pem")
        )

    @property
    def pem(self):
        return self.path.read_text()

    def issue(self, key, name, san=None, dn=None, lifetime=None):
        """A certificate in PEM. The name is in the CN and, unless others are given, the subjectAltName."""
        lifetime = lifetime or ["--lifetime", "1"]
        names = [san] if isinstance(san, str) else san or [name]
        sans = [argument for one in names for argument in ("--san", one)]
        return run("pki", "--issue", "--cacert", self.path, "--cakey", self.key.path, "--in", key.path, "--type", "priv",
                   "--dn", dn or f"C=XX, O=btns test, CN={name}", *sans, *lifetime, "--outform", "pem").decode()


    def revoke(self, certificate):
        """A CRL in PEM that has the certificate, which is in PEM."""
        path = self.maker.file("revoked.pem")
        path.write_text(certificate)
        return run("pki", "--signcrl", "--cacert", self.path, "--cakey", self.key.path, "--lifetime", "1", "--reason",
                   "key-compromise", "--cert", path, "--outform", "pem").decode()


class KeyMaker:
    """Makes keys in a folder. Keys of one type and name are made once."""

    def __init__(self, folder):
        self.folder = Path(folder)
        self.count = 0
        self.named = {}

    def file(self, suffix):
        self.count += 1
        return self.folder / f"{self.count}-{suffix}"

    def key(self, kind="ed25519", name=None):
        """A fresh key; the same one again when it is asked for by name."""
        if name and (kind, name) in self.named:
            return self.named[kind, name]
        path = self.file("key.pem")
        run("openssl", "genpkey", *OPENSSL_ARGS[kind], "-out", path)
        key = Key(path)
        if name:
            self.named[kind, name] = key
        return key

    def ca(self, name):
        return CA(self, name)

    def self_signed(self, key, name):
        """A certificate in PEM that the key signed itself."""
        return run("pki", "--self", "--in", key.path, "--type", "priv", "--dn", f"C=XX, O=somebody, CN={name}", "--san",
                   name, "--lifetime", "1", "--outform", "pem").decode()
