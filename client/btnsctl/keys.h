/* SPDX-License-Identifier: MIT */
/**
 * @file keys.h
 * Key pairs in files, as swanctl loads them.
 */
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace btnsctl
{

/** A public key. */
struct PublicKey
{
	/** "RSA", "ECDSA", "Ed25519", "Ed448", else what OpenSSL calls it */
	std::string type;
	int bits = 0;
	/** SubjectPublicKeyInfo, DER */
	std::string spki;
	/** SHA-256 of it, hex */
	std::string fingerprint;
};

/** A new key pair. */
struct KeyPair
{
	/** PKCS#8, PEM */
	std::string private_pem;
	/** SubjectPublicKeyInfo, PEM */
	std::string public_pem;
	PublicKey key;
};

/** Types for generate(): ed25519, ed448, ecdsa256, ecdsa384, ecdsa521, rsa2048, rsa3072, rsa4096. */
const std::vector<std::string> &key_types();

/** Throws Failure. @param type	one of key_types() */
KeyPair generate(const std::string &type);

/** What somebody shows in a CERT payload. */
struct Shown
{
	/** spki, x509 */
	std::string encoding;
	/** DER */
	std::string body;
	PublicKey key;
};

/** The public key of a file's content: a certificate, a public or a private key, PEM or DER. Nothing if it is none, or
 * encrypted. */
std::optional<Shown> read_key(const std::string &content);
/** The same for a SubjectPublicKeyInfo or certificate, DER. */
std::optional<PublicKey> read_public_key(const std::string &der);
/** A public key, PEM, for a file with it. Throws Failure. */
std::string public_pem(const PublicKey &key);

/** What is weak about a key, a sentence; empty if nothing is. Who has such a key is no acceptable stranger anywhere. */
std::string weakness(const PublicKey &key);

/** Read a whole file. Throws Failure. */
std::string read_file(const std::string &path);

/**
 * Write a file that is not there yet: all of it or nothing. Throws Failure; one with status `file` if something is
 * there.
 *
 * @param mode	permissions, whatever the umask
 */
void write_new_file(const std::string &path, const std::string &content, unsigned mode);

/**
 * Write both files of a key pair, neither if one of them cannot be written.
 *
 * @param folder	with private/ and pubkey/, /etc/swanctl
 */
void write_key_pair(const std::string &folder, const std::string &name, const KeyPair &pair);

} // namespace btnsctl
