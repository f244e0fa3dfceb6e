/* SPDX-License-Identifier: MIT */
#include "keys.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <fstream>
#include <memory>
#include <sstream>

#include "failure.h"
#include "text.h"

namespace btnsctl
{

namespace
{

template <auto free>
struct Free
{
	template <typename Object>
	void operator()(Object *object) const
	{
		free(object);
	}
};

using Pkey = std::unique_ptr<EVP_PKEY, Free<EVP_PKEY_free>>;
using Bio = std::unique_ptr<BIO, Free<BIO_free_all>>;
using Certificate = std::unique_ptr<X509, Free<X509_free>>;

constexpr size_t file_max = 1024 * 1024;

std::string text_of(const Bio &bio)
{
	char *data = nullptr;
	const long length = BIO_get_mem_data(bio.get(), &data);
	return length > 0 ? std::string(data, static_cast<size_t>(length)) : std::string();
}

Bio from(const std::string &content)
{
	return Bio(BIO_new_mem_buf(content.data(), static_cast<int>(content.size())));
}

/** Nobody is asked for a passphrase. */
int no_passphrase(char * /*buf*/, int /*size*/, int /*rwflag*/, void * /*user*/)
{
	return -1;
}

std::string type_of(const EVP_PKEY *key)
{
	switch (EVP_PKEY_get_base_id(key))
	{
	case EVP_PKEY_RSA:
		return "RSA";
	case EVP_PKEY_EC:
		return "ECDSA";
	case EVP_PKEY_ED25519:
		return "Ed25519";
	case EVP_PKEY_ED448:
		return "Ed448";
	default:
	{
		const char *name = EVP_PKEY_get0_type_name(key);
		return name != nullptr ? name : "unknown";
	}
	}
}

std::string der_of(const EVP_PKEY *key)
{
	unsigned char *der = nullptr;
	const int length = i2d_PUBKEY(key, &der);
	if (length <= 0)
	{
		throw Failure(refused, "OpenSSL cannot encode the public key");
	}
	std::string out(reinterpret_cast<const char *>(der), static_cast<size_t>(length));
	OPENSSL_free(der);
	return out;
}

std::string sha256(const std::string &octets)
{
	std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
	unsigned length = 0;
	if (EVP_Digest(octets.data(), octets.size(), digest.data(), &length, EVP_sha256(), nullptr) != 1)
	{
		throw Failure(refused, "OpenSSL has no SHA-256");
	}
	return {reinterpret_cast<const char *>(digest.data()), length};
}

PublicKey describe(const EVP_PKEY *key)
{
	PublicKey out;
	out.type = type_of(key);
	// OpenSSL counts what is encoded; the plugin counts as RFC 7748 does
	out.bits = out.type == "Ed25519" ? 255 : out.type == "Ed448" ? 448 : EVP_PKEY_get_bits(key);
	out.spki = der_of(key);
	out.fingerprint = to_hex(sha256(out.spki));
	return out;
}

Pkey make(const std::string &type)
{
	if (type.starts_with("rsa"))
	{
		return Pkey(EVP_PKEY_Q_keygen(nullptr, nullptr, "RSA", static_cast<size_t>(std::stoul(type.substr(3)))));
	}
	if (type.starts_with("ecdsa"))
	{
		return Pkey(EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", ("P-" + type.substr(5)).c_str()));
	}
	return Pkey(EVP_PKEY_Q_keygen(nullptr, nullptr, type == "ed448" ? "ED448" : "ED25519"));
}

std::string file_error(const std::string &what, const std::string &path)
{
	return what + " " + safe(path) + ": " + error_text(errno);
}

} // namespace

const std::vector<std::string> &key_types()
{
	static const std::vector<std::string> types{"ed25519",	"ed448",   "ecdsa256", "ecdsa384",
												"ecdsa521", "rsa2048", "rsa3072",  "rsa4096"};
	return types;
}

KeyPair generate(const std::string &type)
{
	const Pkey key = make(type);
	const Bio secret(BIO_new(BIO_s_secmem()));
	if (!key || !secret ||
		PEM_write_bio_PKCS8PrivateKey(secret.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr) != 1)
	{
		throw Failure(refused, "OpenSSL cannot make a key of type " + type);
	}
	KeyPair pair;
	pair.key = describe(key.get());
	pair.private_pem = text_of(secret);
	pair.public_pem = public_pem(pair.key);
	return pair;
}

std::string public_pem(const PublicKey &key)
{
	const auto *at = reinterpret_cast<const unsigned char *>(key.spki.data());
	const Pkey read(d2i_PUBKEY(nullptr, &at, static_cast<long>(key.spki.size())));
	const Bio bio(BIO_new(BIO_s_mem()));
	if (!read || !bio || PEM_write_bio_PUBKEY(bio.get(), read.get()) != 1)
	{
		throw Failure(refused, "OpenSSL cannot write the public key");
	}
	return text_of(bio);
}

std::optional<PublicKey> read_public_key(const std::string &der)
{
	const auto *begin = reinterpret_cast<const unsigned char *>(der.data());
	const auto length = static_cast<long>(der.size());
	const auto *at = begin;
	Pkey key(d2i_PUBKEY(nullptr, &at, length));
	if (!key)
	{
		at = begin;
		const Certificate certificate(d2i_X509(nullptr, &at, length));
		key.reset(certificate ? X509_get_pubkey(certificate.get()) : nullptr);
	}
	ERR_clear_error();
	return key ? std::optional(describe(key.get())) : std::nullopt;
}

std::optional<Shown> read_key(const std::string &content)
{
	Pkey key(PEM_read_bio_PUBKEY(from(content).get(), nullptr, no_passphrase, nullptr));
	if (!key)
	{
		Certificate certificate(PEM_read_bio_X509(from(content).get(), nullptr, no_passphrase, nullptr));
		if (!certificate)
		{
			const auto *at = reinterpret_cast<const unsigned char *>(content.data());
			certificate.reset(d2i_X509(nullptr, &at, static_cast<long>(content.size())));
		}
		unsigned char *der = nullptr;
		const int length = certificate ? i2d_X509(certificate.get(), &der) : 0;
		const Pkey of_certificate(length > 0 ? X509_get_pubkey(certificate.get()) : nullptr);
		std::string body = length > 0 ? std::string(reinterpret_cast<char *>(der), static_cast<size_t>(length)) : "";
		OPENSSL_free(der);
		if (of_certificate)
		{
			ERR_clear_error();
			return Shown{"x509", std::move(body), describe(of_certificate.get())};
		}
	}
	if (!key)
	{
		key.reset(PEM_read_bio_PrivateKey(from(content).get(), nullptr, no_passphrase, nullptr));
	}
	for (const auto read : {d2i_PUBKEY, d2i_AutoPrivateKey})
	{
		const auto *at = reinterpret_cast<const unsigned char *>(content.data());
		if (!key)
		{
			key.reset(read(nullptr, &at, static_cast<long>(content.size())));
		}
	}
	ERR_clear_error();
	if (!key)
	{
		return std::nullopt;
	}
	PublicKey described = describe(key.get());
	return Shown{"spki", described.spki, described};
}

std::string weakness(const PublicKey &key)
{
	if (key.type == "RSA" && (key.bits < 2048 || key.bits > 8192))
	{
		return "an RSA modulus of " + std::to_string(key.bits) + " bits; 2048 to 8192 are accepted";
	}
	if (key.type == "RSA")
	{
		return "";
	}
	if (key.type == "ECDSA")
	{
		return key.bits == 256 || key.bits == 384 || key.bits == 521
				   ? ""
				   : "a curve of " + std::to_string(key.bits) + " bits; P-256, P-384 and P-521 are accepted";
	}
	return key.type == "Ed25519" || key.type == "Ed448" ? "" : "a key of type " + key.type + ", which is not accepted";
}

std::string read_file(const std::string &path)
{
	errno = 0;
	std::ifstream stream(path, std::ios::binary);
	std::ostringstream content;
	if (!stream || !(content << stream.rdbuf()))
	{
		throw Failure(file, file_error("cannot read", path));
	}
	if (content.view().size() > file_max)
	{
		throw Failure(file, "cannot read " + safe(path) + ": it is larger than any key");
	}
	return content.str();
}

void write_new_file(const std::string &path, const std::string &content, unsigned mode)
{
	const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
	{
		throw Failure(file, errno == EEXIST ? safe(path) + " is there already; it is never overwritten"
											: file_error("cannot write", path));
	}
	size_t written = 0;
	bool ok = true;
	while (ok && written < content.size())
	{
		const ssize_t count = write(fd, content.data() + written, content.size() - written);
		ok = count > 0 || (count < 0 && errno == EINTR);
		written += count > 0 ? static_cast<size_t>(count) : 0;
	}
	// permissions last: until then it is the owner's only
	ok = ok && fchmod(fd, mode) == 0 && fsync(fd) == 0;
	const std::string error = file_error("cannot write", path);
	close(fd);
	if (!ok)
	{
		unlink(path.c_str());
		throw Failure(file, error);
	}
}

void write_key_pair(const std::string &folder, const std::string &name, const KeyPair &pair)
{
	const std::string secret = folder + "/private/" + name + ".pem";
	write_new_file(secret, pair.private_pem, 0600);
	try
	{
		write_new_file(folder + "/pubkey/" + name + ".pem", pair.public_pem, 0644);
	}
	catch (const Failure &)
	{
		unlink(secret.c_str());
		throw;
	}
}

} // namespace btnsctl
