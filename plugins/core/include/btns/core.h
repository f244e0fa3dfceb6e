/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */
/**
 * @file core.h
 * The C ABI between the shims and the core.
 *
 * Plain types only. Rules that hold for every function here:
 *  - Nothing passed in is kept beyond the call; whatever is kept is copied.
 *  - `out` parameters belong to the caller and are always written: on failure with the refusing value.
 *  - No C++ exception leaves. A failure (bad_alloc, any other exception) is BTNS_STATUS_NOMEM or
 *    BTNS_STATUS_FAULT, and every decision made by the call is then "refuse" (fail closed).
 *  - The core locks itself; callbacks run with no lock of the core held.
 *  - Addresses and selectors are in network byte order, ports in host byte order.
 */
#ifndef BTNS_CORE_H_
#define BTNS_CORE_H_

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "btns.h"

#ifdef __cplusplus
extern "C" {
#endif

/** SHA-256 of the canonical SubjectPublicKeyInfo, octets. */
#define BTNS_FINGERPRINT_LEN 32
/** "btns:sha256:" and 64 hex digits and NUL. */
#define BTNS_KEY_ID_LEN 77
/** Largest canonical SubjectPublicKeyInfo: RSA with 8192 bits and a 256 bit exponent, octets. */
#define BTNS_SPKI_MAX 1152
/** Largest CERT payload body that is looked at, octets. */
#define BTNS_CERT_MAX 16384
/** CERT payloads that are copied from one message; more are only counted. */
#define BTNS_CERTS_MAX 8
/** Longest connection name that is kept, octets with NUL; longer ones are cut. */
#define BTNS_NAME_LEN 64
/** Longest asserted identity that is kept for display, octets with NUL; longer ones are cut. */
#define BTNS_ID_LEN 128
/** Traffic selectors of one side of one CHILD_SA; a BTNS peer that has more is refused. */
#define BTNS_TS_MAX 16

/** What became of a call. Everything but BTNS_STATUS_OK means: refuse. */
typedef enum btns_status_t
{
	BTNS_STATUS_OK = 0,
	/** the call worked and the answer is no; the reason is set */
	BTNS_STATUS_REFUSED,
	/** an argument was invalid */
	BTNS_STATUS_INVALID,
	/** an allocation failed */
	BTNS_STATUS_NOMEM,
	/** any other exception */
	BTNS_STATUS_FAULT,
} btns_status_t;

/** Why a peer or CHILD_SA was refused; the texts are in reasons.def. */
typedef enum btns_reason_t
{
	BTNS_REASON_NONE = 0,
#define BTNS_REASON(name, code, text) BTNS_REASON_##name,
#include "reasons.def"
#undef BTNS_REASON
	BTNS_REASON_COUNT
} btns_reason_t;

/** Stable code of a reason ("rsa-too-short"); static storage, never NULL. */
const char *btns_reason_code(btns_reason_t reason);
/** Sentence for the administrator; static storage, never NULL. */
const char *btns_reason_text(btns_reason_t reason);

/** Octets that belong to somebody else. */
typedef struct btns_bytes_t
{
	const uint8_t *ptr;
	size_t len;
} btns_bytes_t;

/** CERT encodings (RFC 7296 3.6, RFC 7670) that can carry a key. */
typedef enum btns_encoding_t
{
	BTNS_ENCODING_X509 = 4,
	BTNS_ENCODING_PKCS1 = 11,
	BTNS_ENCODING_SPKI = 15,
	/** OpenIKED's private one: a SubjectPublicKeyInfo with an EC key */
	BTNS_ENCODING_OPENIKED_EC = 201,
} btns_encoding_t;

/** The same in masks. */
typedef enum btns_encoding_bit_t
{
	BTNS_ENCODING_BIT_X509 = 1U << 4,
	BTNS_ENCODING_BIT_PKCS1 = 1U << 11,
	BTNS_ENCODING_BIT_SPKI = 1U << 15,
	BTNS_ENCODING_BIT_OPENIKED_EC = 1U << 16,
} btns_encoding_bit_t;

/** Number of encodings of a raw public key. */
#define BTNS_ENCODINGS_MAX 3

/** A btns_encoding_bit_t, 0 for an encoding that carries no key. */
unsigned btns_encoding_bit(unsigned encoding);

typedef enum btns_key_type_t
{
	BTNS_KEY_NONE = 0,
	BTNS_KEY_RSA,
	BTNS_KEY_ECDSA,
	BTNS_KEY_ED25519,
	BTNS_KEY_ED448,
} btns_key_type_t;

/** "RSA", "ECDSA", "Ed25519", "Ed448"; static storage. */
const char *btns_key_type_name(btns_key_type_t type);
/** "x509", "pkcs1", "spki", "openiked-ec", else "unknown"; static storage. */
const char *btns_encoding_name(unsigned encoding);

/** A public key in canonical form. */
typedef struct btns_key_t
{
	btns_key_type_t type;
	/** RSA modulus or curve size, bits */
	unsigned bits;
	/** CERT encoding it arrived in */
	unsigned encoding;
	uint8_t fingerprint[BTNS_FINGERPRINT_LEN];
	/** octets used of spki */
	size_t spki_len;
	/** canonical SubjectPublicKeyInfo, DER */
	uint8_t spki[BTNS_SPKI_MAX];
} btns_key_t;

/** Which keys are acceptable. */
typedef struct btns_key_policy_t
{
	/** smallest RSA modulus, bits; values below 2048 count as 2048 */
	unsigned rsa_min;
	/** bit mask, 1u << btns_key_type_t */
	unsigned types;
	/** mask of btns_encoding_bit_t */
	unsigned encodings;
} btns_key_policy_t;

/**
 * Decode and check the key in a CERT payload (RFC 7670, RFC 4306 3.6, RFC 8410, RFC 5480).
 *
 * @param encoding	CERT encoding, 15, 11, 4, or 201 for OpenIKED's
 * @param body		the payload after the encoding octet
 * @param out		the key; all zero unless BTNS_STATUS_OK
 * @param reason	why not, BTNS_REASON_NONE when BTNS_STATUS_OK
 */
btns_status_t btns_key_parse(const btns_key_policy_t *policy, unsigned encoding, btns_bytes_t body, btns_key_t *out,
							 btns_reason_t *reason);

/**
 * Make the body of a CERT payload from a SubjectPublicKeyInfo, without the checks for strangers' keys: the
 * key is our own.
 *
 * @param encoding	15, or 11 for RSA keys
 * @param spki		SubjectPublicKeyInfo, DER
 * @param out		at least BTNS_SPKI_MAX octets
 * @param len		octets written, 0 on failure
 * @return			BTNS_STATUS_REFUSED when the key has no such encoding
 */
btns_status_t btns_key_encode(unsigned encoding, btns_bytes_t spki, uint8_t *out, size_t *len);

/** Write "btns:sha256:<hex>" and NUL. */
void btns_key_id(const uint8_t fingerprint[BTNS_FINGERPRINT_LEN], char out[BTNS_KEY_ID_LEN]);

/** Fingerprint of the key in a SubjectPublicKeyInfo, DER, without the checks for strangers' keys.
 *
 * @param out	all zero unless BTNS_STATUS_OK
 */
btns_status_t btns_key_fingerprint(btns_bytes_t spki, uint8_t out[BTNS_FINGERPRINT_LEN]);

/** TRUE if an identity's octets begin with "btns:" in any case, or with it after leading blanks or NULs. */
bool btns_is_reserved_name(btns_bytes_t id);

/** The names in an X.509 certificate that decide whether somebody here is its issuer. Views into the certificate.
 */
typedef struct btns_x509_names_t
{
	/** DER of the issuer Name, with its SEQUENCE header */
	btns_bytes_t issuer;
	/** DER of the subject Name, with its SEQUENCE header */
	btns_bytes_t subject;
	/** keyIdentifier of the authorityKeyIdentifier extension, empty if there is none */
	btns_bytes_t authority_key_id;
} btns_x509_names_t;

btns_status_t btns_x509_names(btns_bytes_t cert, btns_x509_names_t *out);

/* ---- PAD entries: peer_cfgs as the core sees them ---- */

/** What `remote.groups` makes of a PAD entry. */
typedef enum btns_flag_t
{
	/** no reserved group: an entry for authenticated peers */
	BTNS_FLAG_NONE = 0,
	/** groups = btns: PUBLICKEY:any */
	BTNS_FLAG_ANY,
	/** groups = btns:sha256:<hex>: PUBLICKEY:value */
	BTNS_FLAG_KEY,
	/** groups = btns:null: a peer that used NULL authentication (RFC 7619) */
	BTNS_FLAG_NULL,
	/** groups = btns:known, for another plugin */
	BTNS_FLAG_KNOWN,
	/** a group that begins with btns: but is none of these, or several: never yielded to anybody */
	BTNS_FLAG_BROKEN,
} btns_flag_t;

/** Authentication class of a configured round. */
typedef enum btns_class_t
{
	BTNS_CLASS_ANY = 0,
	BTNS_CLASS_PUBKEY,
	BTNS_CLASS_PSK,
	BTNS_CLASS_EAP,
	BTNS_CLASS_OTHER,
} btns_class_t;

/** One configured remote round. */
typedef struct btns_round_t
{
	btns_class_t auth;
	/** TRUE if the identity is absent or %any */
	bool any_id;
	/** TRUE if CA certificates or CA identities are demanded */
	bool cacerts;
	/** TRUE if raw public keys or certificates are demanded */
	bool certs;
	/** group names, each NUL terminated; owned by the caller */
	const char *const *groups;
	size_t group_count;
} btns_round_t;

/** One address family's address: octets, 4 of them for family 4, 16 for family 6. */
typedef struct btns_addr_t
{
	/** 4, 6, or 0 for none */
	uint8_t family;
	uint8_t bytes[16];
} btns_addr_t;

/** A traffic selector (RFC 7296 3.13.1). */
typedef struct btns_ts_t
{
	/** 4 or 6 */
	uint8_t family;
	/** IP protocol, 0 for any */
	uint8_t protocol;
	/** inclusive, host byte order */
	uint16_t from_port;
	uint16_t to_port;
	/** inclusive, network byte order; the first 4 octets for family 4 */
	uint8_t from[16];
	uint8_t to[16];
} btns_ts_t;

/** An inclusive range of addresses. */
typedef struct btns_range_t
{
	uint8_t family;
	uint8_t from[16];
	uint8_t to[16];
} btns_range_t;

/** One PAD entry as configured. All pointers are the caller's. */
typedef struct btns_entry_t
{
	const char *name;
	/** 1, 2, or 0 for either */
	unsigned ike_version;
	const btns_round_t *rounds;
	size_t round_count;
	const char *const *pools;
	size_t pool_count;
	bool mobike;
	/** TRUE if the entry's remote addresses are all-covering (%any) */
	bool any_remote;
	/** selectors of all children, local ones first; dynamic ones are left out */
	const btns_ts_t *local_ts;
	size_t local_ts_count;
	const btns_ts_t *remote_ts;
	size_t remote_ts_count;
	/** literal remote addresses, ranges and subnets of the IKE configuration */
	const btns_range_t *addrs;
	size_t addr_count;
	/** our own first round: its class, and whether it is NULL authentication */
	btns_class_t local_auth;
	bool local_null;
	/** rounds of our own */
	size_t local_rounds;
} btns_entry_t;

/** The flag of an entry: from exact reserved group names in any round, any case. @param key the pinned key, for
 * BTNS_FLAG_KEY */
btns_flag_t btns_entry_flag(const btns_entry_t *entry, uint8_t key[BTNS_FINGERPRINT_LEN]);

/* ---- the core object ---- */

typedef struct btns_core_t btns_core_t;

/** Tunables, charon.plugins.btns.* */
typedef struct btns_options_t
{
	btns_key_policy_t keys;
	/** most BTNS IKE_SAs; 0 admits none */
	unsigned max_peers;
	/** most BTNS IKE_SAs of one source: an IPv4 address, an IPv6 /64 */
	unsigned max_peers_per_source;
	/** most CHILD_SAs of one BTNS IKE_SA */
	unsigned max_children;
	/** addresses that no stranger may get; owned by the caller */
	const btns_range_t *reserve;
	size_t reserve_count;
	/** most peers that have sent IKE_SA_INIT and are not authenticated yet; those beyond can be no strangers */
	unsigned max_half_open;
	/** the same of one source */
	unsigned max_half_open_per_source;
	/** CPU time for strangers' keys, milliseconds per second; at least 1 */
	unsigned key_time;
	/** the same for one source; at least 1 */
	unsigned key_time_per_source;
	/** CREATE_CHILD_SA requests of one BTNS peer per minute; at least 1 */
	unsigned child_rate;
	/** seconds without traffic after which a BTNS peer goes, 0 for never */
	unsigned idle_timeout;
	/** seconds without a CHILD_SA after which a BTNS peer goes, 0 for never */
	unsigned childless_timeout;
	/** charon.ikesa_limit, 0 for none */
	unsigned ikesa_limit;
	/** log lines per reason and second */
	unsigned log_rate;
	/** keep the X.509 certificates of authenticated peers, for applications */
	bool keep_certificates;
} btns_options_t;

/** Defaults: rsa_min 2048, all types, all encodings but OpenIKED's, 1000 peers, 16 per source, 500 half-open ones, 16
 * per source, 16 children, 250 ms per second for keys, 50 per source, 60 requests per minute, 3600 s idle, 60 s
 * childless, no ikesa_limit, 5 log lines, no certificates kept. */
void btns_options_default(btns_options_t *out);

/** charon.plugins.btns-null.* */
typedef struct btns_null_options_t
{
	/** most IKE_SAs of NULL peers; 0 admits none */
	unsigned max_peers;
	/** most of one source: an IPv4 address, an IPv6 /64 */
	unsigned max_peers_per_source;
} btns_null_options_t;

/** Defaults: 250 peers, 4 per source. */
void btns_null_options_default(btns_null_options_t *out);
/** From now on there is NULL authentication (RFC 7619), or its tunables change. Entries that need it are usable from
 * the next btns_config_commit() on. */
btns_status_t btns_null_start(btns_core_t *core, const btns_null_options_t *options);
/** No NULL peer is admitted any more. */
void btns_null_stop(btns_core_t *core);
/** FALSE on failure. */
bool btns_null_is_on(btns_core_t *core);

/** @return NULL if memory ran out; then nothing may be hooked */
btns_core_t *btns_core_create(const btns_options_t *options);
void btns_core_destroy(btns_core_t *core);
/** Replace the tunables. What was accepted stays; the next audit evicts what `reserve` no longer allows. */
btns_status_t btns_core_configure(btns_core_t *core, const btns_options_t *options);
/** Parse "10.0.0.0/8", "2001:db8::1", "192.0.2.1-192.0.2.9". REFUSED if it is none. */
btns_status_t btns_range_parse(const char *text, btns_range_t *out);
/**
 * Parse a traffic selector: a range as above, then nothing or "[PROTOCOL]", "[PROTOCOL/PORT]", "[PROTOCOL/PORT-PORT]".
 * A protocol is a number, tcp, udp, sctp, icmp or icmp6, a port is a number. REFUSED if it is none.
 */
btns_status_t btns_ts_parse(const char *text, btns_ts_t *out);

/* ---- configuration: the PAD and what it reserves ---- */

/** How serious a linter's finding is. */
typedef enum btns_severity_t
{
	BTNS_SEVERITY_WARNING = 1,
	/** the entry is never yielded */
	BTNS_SEVERITY_ERROR,
} btns_severity_t;

typedef struct btns_config_t btns_config_t;

/** Begin to describe the configuration anew. Owned by the caller until commit or abort. NULL if memory ran out. */
btns_config_t *btns_config_begin(btns_core_t *core);
/** Add an entry, in configuration order. */
btns_status_t btns_config_add(btns_config_t *config, const btns_entry_t *entry);
/** Add one of the host's own addresses; it is reserved. */
btns_status_t btns_config_own_address(btns_config_t *config, const btns_addr_t *addr);
/** Lint the entries, compute what is reserved, put both into force; frees config in every case. */
btns_status_t btns_config_commit(btns_core_t *core, btns_config_t *config);
void btns_config_abort(btns_config_t *config);

/** Index i as in the order of btns_config_add of the configuration in force: FALSE if out of range, broken or
 * refused by the linter. */
bool btns_config_usable(btns_core_t *core, size_t i);

/** One entry for display. Strings are valid during the callback only. */
typedef struct btns_pad_info_t
{
	const char *name;
	btns_flag_t flag;
	/** for BTNS_FLAG_KEY */
	uint8_t key[BTNS_FINGERPRINT_LEN];
	bool usable;
	/** texts of what it reserves, e.g. "10.1.0.0/16" */
	const char *const *reserves;
	size_t reserve_count;
	/** the linter's sentences */
	const char *const *findings;
	const btns_severity_t *severities;
	size_t finding_count;
} btns_pad_info_t;

typedef void (*btns_pad_cb_t)(void *user, const btns_pad_info_t *info);
/** Enumerate the entries in force. The callback runs without a lock held. */
btns_status_t btns_config_each(btns_core_t *core, btns_pad_cb_t cb, void *user);
/** Enumerate findings that were never reported before by this call, for the log: (entry name, severity, sentence).
 */
typedef void (*btns_finding_cb_t)(void *user, const char *name, btns_severity_t severity, const char *text);
btns_status_t btns_config_new_findings(btns_core_t *core, btns_finding_cb_t cb, void *user);

/* ---- identities of entries for authenticated peers ---- */

/** Identities and the entries that have them, fixed once sealed; then any number of threads may search it. */
typedef struct btns_names_t btns_names_t;

/** Owned by the caller. NULL if memory ran out. */
btns_names_t *btns_names_create(void);
/** An entry has this identity, which is not %any. @param type ID type (RFC 7296 3.5) */
btns_status_t btns_names_add(btns_names_t *names, uint32_t entry, unsigned type, btns_bytes_t identity);
/** All are added. Before that nothing is found. */
btns_status_t btns_names_seal(btns_names_t *names);
/** @param names may be NULL */
void btns_names_destroy(btns_names_t *names);

/** TRUE if the entry has an identity that the claimed one really matches. */
typedef bool (*btns_name_cb_t)(void *user, uint32_t entry);
/**
 * Ask for each entry that might match a claimed identity until the answer is TRUE; an entry may come twice. Which might
 * is a matter of a hash, but for claims that are patterns, which might match all.
 *
 * @param type		ID type of the claim
 * @param relaxed	parts that only one of two distinguished names has make no difference
 * @return			TRUE if an answer was, or on failure: in doubt the name is somebody's
 */
bool btns_names_find(const btns_names_t *names, unsigned type, btns_bytes_t claim, bool relaxed, btns_name_cb_t cb,
					 void *user);

/* ---- PAD lookup (RFC 5386 2) ---- */

typedef enum btns_role_t
{
	BTNS_ROLE_RESPONDER = 0,
	BTNS_ROLE_INITIATOR,
} btns_role_t;

/** How the peer authenticates in the message at hand. */
typedef enum btns_auth_t
{
	/** no AUTH payload: EAP is asked for */
	BTNS_AUTH_EAP = 0,
	BTNS_AUTH_SIGNATURE,
	BTNS_AUTH_PSK,
	BTNS_AUTH_NULL,
	BTNS_AUTH_OTHER,
} btns_auth_t;

/** How the claimed identity relates to an entry: the best over all its rounds and all kinds of identities. */
typedef enum btns_match_t
{
	BTNS_MATCH_NONE = 0,
	/** only by %any, or by an identity that is absent */
	BTNS_MATCH_ANY,
	/** by an identity more specific than %any, wildcards in it included */
	BTNS_MATCH_SPECIFIC,
} btns_match_t;

typedef enum btns_tri_t
{
	BTNS_UNKNOWN = 0,
	BTNS_NO,
	BTNS_YES,
} btns_tri_t;

/** What is known of the peer. */
typedef struct btns_claim_t
{
	btns_role_t role;
	/** IKE major version */
	unsigned ike_version;
	btns_auth_t auth;
	/** the asserted identity begins with btns: */
	bool reserved_name;
	/** a shared key that is bound to identities names the asserted one */
	bool named_by_secret;
	/** an entry without the flag names it, be it among the candidates or not */
	bool named_by_entry;
	/** some non-BTNS credential speaks for the peer; BTNS_UNKNOWN until it was looked up */
	btns_tri_t vouched;
	/** rounds already completed on this IKE_SA */
	unsigned rounds_done;
	/** the presented key's fingerprint; NULL if there is none or it was refused */
	const uint8_t *fingerprint;
	/** why there is no key, BTNS_REASON_NONE if there is or it was not looked at yet */
	btns_reason_t key_reason;
	/** NONE, or MAX_PEERS and the like: result of btns_sa_admissible() */
	btns_reason_t limit;
	/** fingerprint and key_reason are valid, or of a peer without a key limit is; FALSE before that was looked at */
	bool key_known;
	/** there is NULL authentication: btns_null_is_on() */
	bool nulls;
} btns_claim_t;

/** One entry in a lookup. */
typedef struct btns_candidate_t
{
	btns_flag_t flag;
	uint8_t key[BTNS_FINGERPRINT_LEN];
	/** the linter lets it pass; meaningless without a flag */
	bool usable;
	btns_match_t match;
	/** charon would offer it for these addresses and identities */
	bool offered;
} btns_candidate_t;

typedef enum btns_choice_t
{
	/** nobody: an empty list */
	BTNS_CHOICE_NONE = 0,
	/** the peer claims a known identity: entries without the flag */
	BTNS_CHOICE_NAMED,
	/** entries without the flag and with %any */
	BTNS_CHOICE_CREDENTIALED,
	/** entries with the flag: the peer is a BTNS peer once its key is verified */
	BTNS_CHOICE_STRANGER,
	/** the answer depends on claim.vouched or the key: look them up and ask again */
	BTNS_CHOICE_ASK_AGAIN,
} btns_choice_t;

typedef struct btns_verdict_t
{
	btns_choice_t choice;
	/** why no stranger, for BTNS_CHOICE_NONE; also set for NAMED and CREDENTIALED when flagged entries were
	 * withheld */
	btns_reason_t reason;
	/** candidates that may be yielded */
	size_t count;
} btns_verdict_t;

/**
 * The decision of the PAD, a pure function. A list never holds both kinds of entries.
 *
 * Named is what a shared key or an entry names, or a candidate, offered or not; only offered ones are yielded, in the
 * given order, specific keys before the wildcard. For an initiator `offered` is set for the entry in use.
 *
 * @param order		at least count elements: indexes to yield, verdict.count of them
 */
btns_status_t btns_pad_lookup(const btns_claim_t *claim, const btns_candidate_t *candidates, size_t count,
							  size_t *order, btns_verdict_t *verdict);

/* ---- IKE_SAs: what is remembered, by charon's unique ID ---- */

/** An IKE_SA_INIT message from the peer. */
typedef struct btns_init_t
{
	btns_addr_t source;
	/** ours */
	btns_role_t role;
	/** the IKE_SA's SPIs as far as they are known, else 0 */
	uint64_t spi_i;
	uint64_t spi_r;
	/** raw public keys that the peer asks for in CERTREQ payloads, a mask of btns_encoding_bit_t */
	unsigned requested;
} btns_init_t;

/** An IKE_SA begins. Makes the record; as responder's it counts as half-open until authorize allows the peer. */
btns_status_t btns_sa_init(btns_core_t *core, uint32_t sa, const btns_init_t *init);

/** One CERT payload. */
typedef struct btns_cert_t
{
	unsigned encoding;
	btns_bytes_t body;
} btns_cert_t;

/** An IKE_AUTH message with IDx from the peer. */
typedef struct btns_auth_message_t
{
	btns_auth_t auth;
	btns_addr_t source;
	/** at most BTNS_CERTS_MAX are looked at */
	const btns_cert_t *certs;
	size_t cert_count;
	/** number of CERT payloads in the message */
	size_t cert_total;
	/** asserted identity for display, may be empty */
	const char *asserted_id;
	/** ANOTHER_AUTH_FOLLOWS is in the message: a BTNS peer's is refused in btns_sa_authorize() with MULTIPLE_ROUNDS
	 */
	bool another_follows;
	/** raw public keys that an initiator asks for in CERTREQ payloads, a mask of btns_encoding_bit_t */
	unsigned requested;
} btns_auth_message_t;

/** Copy what an IKE_AUTH message shows; replaces what an earlier one showed, and disarms. Parses nothing. */
btns_status_t btns_sa_message(btns_core_t *core, uint32_t sa, const btns_auth_message_t *message);

/**
 * In which encodings our own key is sent, if it has them: in CERT payloads in this order.
 *
 * @param out	as many as are returned
 */
size_t btns_sa_encodings_to_send(btns_core_t *core, uint32_t sa, unsigned out[BTNS_ENCODINGS_MAX]);

/**
 * For which encodings of raw public keys a peer is asked: in CERTREQ payloads without a body (RFC 7670 3), in this
 * order.
 *
 * @param role	ours; a responder asks only if strangers may be admitted
 * @param out	as many as are returned
 */
size_t btns_encodings_to_request(btns_core_t *core, btns_role_t role, unsigned out[BTNS_ENCODINGS_MAX]);

/** How the peer authenticates in the message last seen, BTNS_AUTH_OTHER if none was. */
btns_auth_t btns_sa_auth(btns_core_t *core, uint32_t sa);

/**
 * Parse and check the presented key, once a message. REFUSED with the reason, also for ADDRESS_CHANGED, and with no
 * work done if there is no room for a stranger or the rate for keys is used up.
 *
 * @param now		milliseconds of a monotonic clock
 * @param out		all zero unless OK
 */
btns_status_t btns_sa_key(btns_core_t *core, uint32_t sa, int64_t now, btns_key_t *out, btns_reason_t *reason);

/** Enumerate the X.509 certificates of the message last seen, as copied. */
typedef void (*btns_cert_cb_t)(void *user, btns_bytes_t cert);
btns_status_t btns_sa_certs(btns_core_t *core, uint32_t sa, btns_cert_cb_t cb, void *user);
/** TRUE if the message last seen had CERT payloads of other kinds than 4, 11, 15 and 201 (a hash and URL, say), which
 * name a certificate. */
bool btns_sa_names_certificate(btns_core_t *core, uint32_t sa);

/**
 * Is there room for one more stranger? NONE, CROWDED, HALF_OPEN, HALF_OPEN_PER_SOURCE, MAX_PEERS or
 * MAX_PEERS_PER_SOURCE.
 *
 * @param ike_sas	all IKE_SAs that charon has, this one included
 */
btns_reason_t btns_sa_admissible(btns_core_t *core, uint32_t sa, unsigned ike_sas);

/** From now until authorize or the next message the presented key may be offered to charon, or the key of nobody if the
 * message has NULL authentication. Reserves a place under the caps. */
btns_status_t btns_sa_arm(btns_core_t *core, uint32_t sa, btns_role_t role, btns_reason_t *reason);
/** The armed key. REFUSED if not armed. */
btns_status_t btns_sa_armed_key(btns_core_t *core, uint32_t sa, btns_key_t *out);
/**
 * The key of nobody, RFC 7619's for NULL authentication: it has no octets. OK only if the IKE_SA is armed and the
 * message last seen has that method; nothing else of the message or of the configuration plays a part. REFUSED if not.
 */
btns_status_t btns_sa_null_key(btns_core_t *core, uint32_t sa);
/** What the peer of a BTNS IKE_SA is called here, whatever it calls itself: "btns:sha256:<hex>" by its key, or
 * "btns:null:<SPI>-<SPI>" by the IKE_SA. REFUSED if it is none; then empty. */
btns_status_t btns_sa_identity(btns_core_t *core, uint32_t sa, char out[BTNS_KEY_ID_LEN]);
/** The verified key of a BTNS IKE_SA. REFUSED if it is none, or a NULL peer's. */
btns_status_t btns_sa_verified_key(btns_core_t *core, uint32_t sa, btns_key_t *out);

/** What charon has when a round is done. */
typedef struct btns_authorize_t
{
	/** flag of the selected peer_cfg */
	btns_flag_t flag;
	const char *connection;
	/** the round just done was verified as a public key signature */
	bool pubkey;
	/** the round just done was verified as a MAC with a shared key, which NULL authentication looks like */
	bool psk;
	/** rounds done before this one */
	unsigned rounds_done;
	/** the IKE_SA's SPIs, which a NULL peer is called by */
	uint64_t spi_i;
	uint64_t spi_r;
	/** fingerprint of the key that verified, from the certificate that our credential set made; NULL if another one
	 * verified */
	const uint8_t *verified;
	/** remote address of the IKE_SA now */
	btns_addr_t source;
	/** an identity that the peer asserted, IKE or EAP, begins with btns: (but for the one that a BTNS peer was given)
	 */
	bool reserved_name;
	/** TRUE in the final call */
	bool final;
	/** all parts of the identity are what btns_sa_identity() says; looked at in the final call only */
	bool coerced;
} btns_authorize_t;

typedef struct btns_grant_t
{
	/** the peer is a BTNS peer: coerce its identity and add the groups */
	bool btns;
	/** the round is allowed; FALSE means *success = FALSE */
	bool allowed;
	btns_reason_t reason;
	/** a BTNS peer without a key */
	bool null;
	/** of one that has a key, else all zero */
	btns_key_t key;
	/** of a BTNS peer, as of btns_sa_identity(), else empty */
	char identity[BTNS_KEY_ID_LEN];
} btns_grant_t;

/** Decide in authorize(). Disarms. grant.allowed is FALSE on every failure of a flagged entry or an armed peer. */
btns_status_t btns_sa_authorize(btns_core_t *core, uint32_t sa, const btns_authorize_t *facts, btns_grant_t *grant);

/** charon rekeyed: `to` inherits all that `from` has. */
btns_status_t btns_sa_rekey(btns_core_t *core, uint32_t from, uint32_t to);
/** The IKE_SA is up, at a wall-clock time in seconds (0 after a rekey: keep the time there is), with charon's SPIs
 * for display. */
btns_status_t btns_sa_up(btns_core_t *core, uint32_t sa, uint64_t spi_i, uint64_t spi_r, const btns_addr_t *local,
						 const btns_addr_t *remote, int64_t when);
/** Forget an IKE_SA and its CHILD_SAs. */
void btns_sa_drop(btns_core_t *core, uint32_t sa);
/** TRUE if the side table knows it as a BTNS peer's. */
bool btns_sa_is_btns(btns_core_t *core, uint32_t sa);

/* ---- limits on those who are there ---- */

/** A peer, for display and to find its IKE_SA. */
typedef struct btns_peer_info_t
{
	uint32_t sa;
	uint64_t spi_i;
	uint64_t spi_r;
	btns_addr_t local;
	btns_addr_t remote;
	btns_role_t role;
	/** TRUE once up */
	bool established;
	/** seconds since the epoch, 0 unless established */
	int64_t since;
	/** it uses NULL authentication, and has no key */
	bool null;
	btns_key_t key;
	char connection[BTNS_NAME_LEN];
	char asserted_id[BTNS_ID_LEN];
	size_t children;
} btns_peer_info_t;

/** The peer asks for a CHILD_SA, or to rekey: NONE, or CHILD_RATE for a BTNS peer that does so too often. @param now
 * milliseconds of a monotonic clock */
btns_reason_t btns_sa_may_create_child(btns_core_t *core, uint32_t sa, int64_t now);
/** Some CHILD_SA of a BTNS peer carried traffic. @param when	milliseconds of a monotonic clock */
void btns_sa_used(btns_core_t *core, uint32_t sa, int64_t when);

/** Called for each BTNS IKE_SA that has to go. */
typedef void (*btns_evict_cb_t)(void *user, uint32_t sa, btns_reason_t reason);
/** Called for a BTNS IKE_SA whose traffic has to be looked at; the answer is given with btns_sa_used(). */
typedef void (*btns_look_cb_t)(void *user, const btns_peer_info_t *peer);

/**
 * Find BTNS peers that are idle or have no CHILD_SA, among those that initiated. To be called every few seconds: the
 * state that is seen counts from then on. Looks at the traffic of a bounded number only.
 *
 * @param now		milliseconds of a monotonic clock
 */
btns_status_t btns_reap(btns_core_t *core, int64_t now, btns_look_cb_t look, btns_evict_cb_t evict, void *user);
/** Does charon have so many IKE_SAs that there is no room for strangers? @param ike_sas	all that charon has */
bool btns_is_crowded(btns_core_t *core, unsigned ike_sas);
/**
 * Find who has to go because charon nears ikesa_limit: peers that never sent IKE_AUTH first, then BTNS peers, those
 * without CHILD_SAs or traffic before others.
 *
 * @param now		milliseconds of a monotonic clock
 * @param ike_sas	all IKE_SAs that charon has
 */
btns_status_t btns_shed(btns_core_t *core, int64_t now, unsigned ike_sas, btns_evict_cb_t evict, void *user);

/* ---- CHILD_SAs ---- */

typedef struct btns_child_t
{
	/** the peer_cfg is flagged */
	bool btns;
	const char *connection;
	/** the peer's address and the virtual IPs assigned to it */
	const btns_addr_t *hosts;
	size_t host_count;
	/** what charon narrowed to */
	const btns_ts_t *local;
	size_t local_count;
	const btns_ts_t *remote;
	size_t remote_count;
	/** the configuration demands transport mode and the CHILD_SA would not be */
	bool mode_mismatch;
	/** its child configuration is not one of the connection's any more */
	bool unconfigured;
	/** TRUE if this is before installation: remember the selectors as pending */
	bool installing;
	/** charon's unique ID of the CHILD_SA */
	uint32_t child;
	/** the one that it was rekeyed from, 0 for none; that has to be there still */
	uint32_t rekeys;
	/** other CHILD_SAs that the IKE_SA has, also those that were rekeyed and not deleted yet */
	size_t present;

	/* what applications are told; may all be left out */

	/** of the child configuration, and strongSwan's names of algorithms, with key sizes; NULL for none */
	const char *name;
	const char *encryption_algorithm;
	const char *integrity_algorithm;
	btns_mode_t mode;
	bool confidentiality;
	bool integrity;
	/** priority of its policies as configured, 0 if charon computes it */
	uint32_t priority;
	/** its policies take only packets with a mark, of an interface or with a label */
	bool conditional;
} btns_child_t;

/**
 * Decide over a CHILD_SA's selectors. For a BTNS peer: all or nothing, exact prefixes, its own hosts or what the
 * configuration allows, nothing reserved, nothing that another key holds. For an authenticated peer: always
 * allowed, and `evict` is called for each BTNS IKE_SA that overlaps.
 */
btns_status_t btns_child_authorize(btns_core_t *core, uint32_t sa, const btns_child_t *child, btns_evict_cb_t evict,
								   void *user, btns_reason_t *reason);
/**
 * Narrow a BTNS peer's CHILD_SA that btns_child_authorize() refuses with LATCHED, so that it leaves latched connections
 * alone (RFC 5660 2.3): what is left has to be decided over again.
 *
 * @param local		child->local_count elements, set to TRUE for selectors to be left out
 * @param remote	child->remote_count elements
 * @return			REFUSED if that cannot be done by leaving out whole selectors
 */
btns_status_t btns_child_narrow(btns_core_t *core, uint32_t sa, const btns_child_t *child, bool *local, bool *remote);
/** A CHILD_SA came up: checks again as above and puts it into the index. REFUSED means: destroy it. */
btns_status_t btns_child_up(btns_core_t *core, uint32_t sa, const btns_child_t *child, btns_evict_cb_t evict,
							void *user, btns_reason_t *reason);
void btns_child_down(btns_core_t *core, uint32_t sa, uint32_t child);
/** An authenticated peer holds these addresses (its own, virtual IPs): reserved until the IKE_SA drops. Replaces
 * what it held before. */
btns_status_t btns_sa_holds(btns_core_t *core, uint32_t sa, const btns_addr_t *addrs, size_t count,
							btns_evict_cb_t evict, void *user);
/** Does anything reserved cover this address? For traps and virtual IPs. TRUE on failure. */
bool btns_is_reserved(btns_core_t *core, const btns_addr_t *addr);
/** Check all BTNS IKE_SAs against the configuration in force. */
btns_status_t btns_audit(btns_core_t *core, btns_evict_cb_t evict, void *user);

/* ---- channels: RFC 5660 2, RFC 5056 ---- */

/** Octets of the seed of a unique binding: its name, 0, SHA-256. */
#define BTNS_SEED_LEN 58
/** Octets of a binding. */
#define BTNS_BINDING_LEN 32
/** Longest SubjectPublicKeyInfo that is kept of a side, octets; longer ones count as not known. */
#define BTNS_SIDE_KEY_MAX 4096
/** Largest X.509 certificate that is kept, octets; of larger ones nothing is known. */
#define BTNS_CERTIFICATE_MAX 4096

/** The body of an IDx or AUTH payload: what follows the generic header. */
typedef struct btns_body_t
{
	/** type or method, and three reserved octets */
	uint8_t head[4];
	btns_bytes_t data;
} btns_body_t;

/**
 * An IKE_SA_INIT request that charon sends: the octets without non-ESP marker. It is the IKE_SA's whose btns_sa_init()
 * has this SPI and our role; the last one counts.
 */
btns_status_t btns_init_request(btns_core_t *core, uint64_t spi_i, btns_bytes_t octets);
/** An IKE_SA_INIT message after btns_sa_init(): a request that charon has accepted, or a response, sent or accepted. */
btns_status_t btns_sa_real_message(btns_core_t *core, uint32_t sa, bool request, btns_bytes_t octets);
/** Longest output of a PRF, octets. */
#define BTNS_PRF_MAX 64

/**
 * An IKE_INTERMEDIATE message was sent or received.
 *
 * @param value	IntAuth_iN of a request, IntAuth_rN of a response (RFC 9242 3.3.2); empty if it could not be had: then
 *there is no unique binding
 */
btns_status_t btns_sa_int_auth(btns_core_t *core, uint32_t sa, bool request, uint32_t message_id, btns_bytes_t value);
/** The last value of a side, which the next one is made of. @param len	octets, 0 if there is none */
void btns_sa_last_int_auth(btns_core_t *core, uint32_t sa, bool request, uint8_t out[BTNS_PRF_MAX], size_t *len);
/** What an IKE_AUTH message has of the transcript, sent or received. */
typedef struct btns_auth_bodies_t
{
	bool request;
	/** one that was dropped and comes again has the same */
	uint32_t message_id;
	/** IDi of a request, IDr of a response; NULL if there is none */
	const btns_body_t *id;
	/** NULL if there is none */
	const btns_body_t *auth;
} btns_auth_bodies_t;

btns_status_t btns_sa_auth_bodies(btns_core_t *core, uint32_t sa, const btns_auth_bodies_t *bodies);

/** How a side authenticated. */
typedef struct btns_side_t
{
	btns_method_t method;
	/** rounds it went through */
	unsigned rounds;
	/** SubjectPublicKeyInfo, DER, of the key it signed with, if that was in its only round; else empty. Left out for a
	 * BTNS peer, whose key is known */
	btns_bytes_t key;
} btns_side_t;

typedef struct btns_root_t
{
	/** IKE major version */
	unsigned ike_version;
	const char *connection;
	/** what policy knows the peer by; left out for a BTNS peer */
	const char *authorized_id;
	btns_side_t local;
	btns_side_t peer;
	/** the X.509 certificate of the key that the peer signed with in its only round, and the one that it was validated
	 * to, which is the same if it is trusted itself: DER, empty if there is none. Not kept of a BTNS peer, or unless
	 * btns_keeps_certificates() */
	btns_bytes_t certificate;
	btns_bytes_t trust_anchor;
	/** seconds since the epoch */
	int64_t established;
} btns_root_t;

/** Are certificates kept (RFC 5660 2)? FALSE on failure. */
bool btns_keeps_certificates(btns_core_t *core);

/** An IKE_SA is authenticated; not called for rekeyed ones. */
btns_status_t btns_sa_root(btns_core_t *core, uint32_t sa, const btns_root_t *root);
/**
 * The seed for the unique binding, once: the caller computes prf+(SK_d, seed) and tells btns_sa_unique(). REFUSED if
 * there will be none; then the core knows why.
 */
btns_status_t btns_sa_take_seed(btns_core_t *core, uint32_t sa, uint8_t out[BTNS_SEED_LEN]);
/** @param value	NULL if it could not be computed */
btns_status_t btns_sa_unique(btns_core_t *core, uint32_t sa, const uint8_t *value);

/** Where the packets of an IKE_SA and of ESP go. */
typedef struct btns_outer_t
{
	btns_addr_t local;
	btns_addr_t remote;
	uint16_t local_port;
	uint16_t remote_port;
	/** behind a NAT */
	bool local_nat;
	bool remote_nat;
} btns_outer_t;

btns_status_t btns_sa_outer(btns_core_t *core, uint32_t sa, const btns_outer_t *outer);

/**
 * A CHILD_SA that btns_child_authorize() has allowed is in the kernel: packets may come before btns_child_up() is
 * called.
 *
 * @param child		selectors are not looked at
 */
btns_status_t btns_child_installed(btns_core_t *core, uint32_t sa, const btns_child_t *child);

/** A shunt: packets that charon has had the kernel bypass or discard. */
typedef struct btns_shunt_t
{
	const btns_ts_t *local;
	size_t local_count;
	const btns_ts_t *remote;
	size_t remote_count;
	uint32_t priority;
	/** bypass; else discard */
	bool pass;
} btns_shunt_t;

/** All shunts; replaces those before. */
btns_status_t btns_shunts(btns_core_t *core, const btns_shunt_t *shunts, size_t count);

/** A connection's packets: inner addresses, host byte order. Ports are 0 for protocols without. */
typedef struct btns_flow_t
{
	uint8_t protocol;
	btns_addr_t local;
	btns_addr_t remote;
	uint16_t local_port;
	uint16_t remote_port;
} btns_flow_t;

/** A binding, or why there is none. */
typedef struct btns_binding_info_t
{
	/** "ipsec-ikev2-endpoints-sha256", "ipsec-ikev2-unique-sha256" */
	const char *name;
	bool available;
	uint8_t value[BTNS_BINDING_LEN];
	/** code and sentence, unless available; static storage */
	const char *code;
	const char *reason;
} btns_binding_info_t;

/** A channel. Strings are valid during the callback only. */
typedef struct btns_channel_info_t
{
	btns_protection_t protection;
	/** code and sentence, unless protected; static storage. Nothing else is set then */
	const char *code;
	const char *reason;

	uint32_t sa;
	/** 0 if an IKE_SA was asked for */
	uint32_t child;
	const char *connection;
	const char *child_name;
	bool confidentiality;
	bool integrity;
	btns_mode_t mode;
	const char *encryption_algorithm;
	const char *integrity_algorithm;
	btns_method_t local_method;
	btns_method_t peer_method;
	const char *asserted_id;
	const char *authorized_id;
	/** NULL if not known */
	const uint8_t *local_fingerprint;
	const uint8_t *peer_fingerprint;
	/** canonical SubjectPublicKeyInfo, empty if there is none */
	btns_bytes_t peer_key;
	/** X.509, DER, of an authenticated peer; empty if they are not kept */
	btns_bytes_t peer_certificate;
	btns_bytes_t trust_anchor;
	btns_outer_t outer;
	int64_t established;
	btns_binding_info_t endpoints;
	btns_binding_info_t unique;
} btns_channel_info_t;

typedef void (*btns_channel_cb_t)(void *user, const btns_channel_info_t *info);

/** What protects a flow; the callback is called once. Not for hooks: a key may have to be decoded. */
btns_status_t btns_channel_of_flow(btns_core_t *core, const btns_flow_t *flow, btns_channel_cb_t cb, void *user);
/** The channel of an IKE_SA. REFUSED if there is none with this unique ID that is authenticated. */
btns_status_t btns_channel_of_sa(btns_core_t *core, uint32_t sa, btns_channel_cb_t cb, void *user);
/** The channel of the CHILD_SA with a unique ID. REFUSED if there is none that is up. */
btns_status_t btns_channel_of_child(btns_core_t *core, uint32_t child, btns_channel_cb_t cb, void *user);

/** What became of a peer. */
typedef enum btns_peer_event_t
{
	BTNS_PEER_UP = 0,
	BTNS_PEER_DOWN,
	/** follows BTNS_PEER_UP: where a peer of the same connection had gone, one with another key, or none, has come */
	BTNS_PEER_CHANGED,
} btns_peer_event_t;

/** The peer of an authenticated IKE_SA has come, after btns_sa_outer() and btns_sa_unique(). */
btns_status_t btns_sa_peer_up(btns_core_t *core, uint32_t sa);

/** @param before	for BTNS_PEER_CHANGED the fingerprint of the key before, else NULL */
typedef void (*btns_peer_event_cb_t)(void *user, btns_peer_event_t event, const btns_channel_info_t *info,
									 const uint8_t *before);
/** Call for all that has become of peers since the last call; a bounded number is kept. Not for hooks. */
btns_status_t btns_peer_events(btns_core_t *core, btns_peer_event_cb_t cb, void *user);

/** "btns", "certificate", "public-key", "psk", "eap", "null", "multiple", "unknown"; static storage. */
const char *btns_method_name(btns_method_t method);
/** "transport", "tunnel", "beet", "none"; static storage. */
const char *btns_mode_name(btns_mode_t mode);

/* ---- the application socket ---- */

/** Longest line or sentence of the application socket, octets with NUL; longer ones are cut. */
#define BTNS_LINE_LEN 256

/** charon.plugins.btns.socket and what belongs to it. */
typedef struct btns_app_options_t
{
	/** absolute; owned by the caller */
	const char *path;
	/** permissions of the file */
	unsigned mode;
	/** its group, UINT32_MAX for that of the process */
	uint32_t group;
} btns_app_options_t;

typedef struct btns_app_server_t btns_app_server_t;

/**
 * Serve applications at a socket, in threads of its own, which take no signals and call nobody back.
 *
 * @param out	owned by the caller, NULL unless BTNS_STATUS_OK; to be destroyed before the core
 * @param error	BTNS_LINE_LEN octets: why not, a sentence; empty if BTNS_STATUS_OK
 * @return		REFUSED if the socket cannot be made
 */
btns_status_t btns_app_start(btns_core_t *core, const btns_app_options_t *options, btns_app_server_t **out,
							 char *error);
/**
 * Wait for the next line for the log; they are few. To be called by one thread, again and again.
 *
 * @param line	BTNS_LINE_LEN octets
 * @return		FALSE if the server was stopped and all lines were read
 */
bool btns_app_line(btns_app_server_t *server, char *line);
/** Change the permissions of the socket. REFUSED if that is not possible; a line says why. */
btns_status_t btns_app_set_mode(btns_app_server_t *server, unsigned mode);
/** End all service, and remove the socket's file. Takes a few seconds at most, whatever clients do. */
void btns_app_stop(btns_app_server_t *server);
/** @param server	may be NULL; nobody is in btns_app_line() */
void btns_app_destroy(btns_app_server_t *server);

/* ---- connection latching (RFC 5660) ---- */

typedef struct btns_latches_options_t
{
	/** most latches in all, and of one client of the application socket; 0 for the defaults, 16384 and 4096 */
	size_t latches;
	size_t per_client;
	/** btns_latches_wait() is called, so that SAs can be asked for; else there are latches over SAs that are there only
	 */
	bool acquire;
	/** a policy that has the packets of a latched connection bypass IPsec, or discards them, breaks the latch until it
	 * goes (RFC 5660 2.3, "REQUIRED to implement"); else they go on being protected, which is its OPTIONAL behaviour */
	bool policy_breaks;
} btns_latches_options_t;

/**
 * From now on there are latches. Connections that a daemon which did not end in good order has left with a latch's
 * policy are reset first. To be called before any CHILD_SA is there, and before btns_app_start().
 *
 * @param error	BTNS_LINE_LEN octets: why not, a sentence; empty if BTNS_STATUS_OK
 * @return		REFUSED if the kernel does not have what is needed, or the process lacks CAP_NET_ADMIN
 */
btns_status_t btns_latches_start(btns_core_t *core, const btns_latches_options_t *options, char *error);
/** All latches are CLOSED, their connections reset; btns_latches_wait() returns. Does nothing if there are no latches.
 */
void btns_latches_stop(btns_core_t *core);

/* Without btns_latches_start() the following do nothing and let everything pass. */

/** How a CHILD_SA will be in the kernel. */
typedef struct btns_latches_sa_t
{
	uint32_t reqid;
	/** outer addresses */
	btns_addr_t local;
	btns_addr_t remote;
} btns_latches_sa_t;

/**
 * A CHILD_SA is about to be installed: to be called in front of the first of its two SAs that gets into the kernel, be
 * it added or updated, and again as often as one likes. Latches of connections whose packets it would take and that it
 * is not congruent to (RFC 5660 2.3) are dealt with: a stranger's CHILD_SA is refused; for an authenticated peer's they
 * are BROKEN, and when this returns no packet of theirs passes. May wait, for two seconds at most. Not for hooks.
 *
 * @param child		as for btns_child_up(), with `mode` and what follows
 * @param reason	LATCHED, or what failed; may be NULL
 * @return			anything but OK, of a stranger's: it must not be installed. An authenticated peer's is installed
 *					whatever is returned: on failure all latches are CLOSED
 */
btns_status_t btns_latches_before_install(btns_core_t *core, uint32_t sa, const btns_child_t *child,
										  const btns_latches_sa_t *kernel, btns_reason_t *reason);
/** Nothing of a CHILD_SA is in the kernel any more: both its SAs are deleted, or it was never installed. Not before: it
 * might get packets of those whose latches it has broken and that wait. */
void btns_latches_gone(btns_core_t *core, uint32_t child);
/** The outer addresses of a CHILD_SA have changed in the kernel. */
void btns_latches_moved(btns_core_t *core, uint32_t child, const btns_addr_t *local, const btns_addr_t *remote);
/** Dead peer detection: the peer of an IKE_SA is dead or has restarted. Its latches are BROKEN for good. */
void btns_latches_peer_dead(btns_core_t *core, uint32_t sa);
/**
 * Is there a latch over SAs with this reqid? Then it should be kept for SAs with the same selectors, even if there are
 * none for a while: nobody can change the policy of a socket that only the application has.
 */
bool btns_latches_has_reqid(btns_core_t *core, uint32_t reqid);

/** A flow that wants SAs. */
typedef struct btns_latches_acquire_t
{
	/** of the latch */
	uint64_t latch;
	/** local_port 0, and a local address of family 0, are not known yet */
	btns_flow_t flow;
	/** for this flow alone */
	bool narrow;
} btns_latches_acquire_t;

/** Wait for the next flow that wants SAs. To be called by one thread, again and again. FALSE once there are no latches
 * any more. */
bool btns_latches_wait(btns_core_t *core, btns_latches_acquire_t *out);
/** There will be no SAs for it: a latch that still waits for them is CLOSED. */
void btns_latches_refuse(btns_core_t *core, uint64_t latch);

/** Which latch it is, and how it is. Strings are static. */
typedef struct btns_latches_status_t
{
	uint64_t latch;
	/** the client of the application socket */
	uint64_t client;
	/** of a listener that it was born of, else 0 */
	uint64_t listener;
	/** remote end of family 0 for a listener; the local one may be open */
	btns_flow_t flow;
	/** "listener", "larval", "established", "broken"; "closed" is the last one */
	const char *state;
	/** why it is in that state: code and sentence */
	const char *code;
	const char *reason;
} btns_latches_status_t;

/** A latch, for display. Strings are valid during the callback only, or static. */
typedef struct btns_latches_info_t
{
	btns_latches_status_t status;
	/** what was asked for */
	bool confidentiality;
	bool authenticated;
	bool narrow;
	bool wait;
	uint32_t reqid;
	/** as it was latched; NULL before it was established */
	const btns_channel_info_t *channel;
} btns_latches_info_t;

typedef void (*btns_latches_cb_t)(void *user, const btns_latches_info_t *info);
/** Enumerate latches by ascending ID, no longer than there are some: those that come meanwhile may be shown or not. */
btns_status_t btns_latches_each(btns_core_t *core, btns_latches_cb_t cb, void *user);

/** A latch has come into a state. */
typedef struct btns_latches_change_t
{
	btns_latches_status_t status;
	/** changes before this one that were dropped, because they were not taken in time */
	uint64_t lost;
} btns_latches_change_t;

/** From now on changes are kept for btns_latches_next_change(), whether there are latches yet or not: up to 1024. */
btns_status_t btns_latches_watch(btns_core_t *core);
/** Wait for the next one. To be called by one thread, again and again. FALSE after btns_latches_unwatch(). */
bool btns_latches_next_change(btns_core_t *core, btns_latches_change_t *out);
void btns_latches_unwatch(btns_core_t *core);

/** Administrative close: its connection is reset. REFUSED if there is no such latch. */
btns_status_t btns_latches_close(btns_core_t *core, uint64_t latch);

/* ---- for people ---- */

typedef void (*btns_peer_cb_t)(void *user, const btns_peer_info_t *info);
/** Enumerate the BTNS peers by ascending unique ID, as of the time of the call. */
btns_status_t btns_peers_each(btns_core_t *core, btns_peer_cb_t cb, void *user);

typedef void (*btns_stat_cb_t)(void *user, const char *name, uint64_t value);
/** accepted, refused, refused-<code> for every reason, evicted, peers, null-peers, children, half-open, key-time,
 * key-sources, records, reserved-ranges, latches, latched-sas, app-clients, app-watches, app-requests, app-refused. */
btns_status_t btns_stats_each(btns_core_t *core, btns_stat_cb_t cb, void *user);
/** Count a refusal. @return TRUE if a log line is due under log_rate; now in seconds of a monotonic clock */
bool btns_refused(btns_core_t *core, btns_reason_t reason, int64_t now);
/**
 * Remember why flagged entries were withheld from a peer or why it is refused: nobody is told unless its
 * authentication fails in the end. The first reason stays until btns_sa_take_refusal() or the next
 * btns_sa_message().
 */
void btns_sa_refuse(btns_core_t *core, uint32_t sa, btns_reason_t reason);
/**
 * Authentication failed: take the remembered reason. If there is none and the peer was armed or showed a bare key, it
 * is NOT_VERIFIED if the selected entry has the flag, and else NOT_FLAGGED. If the entry has the flag and the peer did
 * not sign, it is NOT_SIGNATURE.
 *
 * @param flagged	the entry that charon selected has the flag; it selects none if no IKE proposal fits
 */
btns_reason_t btns_sa_take_refusal(btns_core_t *core, uint32_t sa, bool flagged);

/** CERT payloads of a peer that was refused, for its fingerprint. */
typedef struct btns_evidence_t btns_evidence_t;
/** Keep the CERT payloads of the message last seen; nothing is copied. NULL if there are none. */
btns_evidence_t *btns_sa_evidence(btns_core_t *core, uint32_t sa);
/** The key in them, as by btns_sa_key(), within the rate for all keys. @param out all zero unless OK */
btns_status_t btns_evidence_key(btns_core_t *core, const btns_evidence_t *evidence, int64_t now, btns_key_t *out);
/** @param evidence may be NULL */
void btns_evidence_destroy(btns_evidence_t *evidence);
/** What is known of a peer that is being refused; REFUSED if nothing is. */
btns_status_t btns_sa_info(btns_core_t *core, uint32_t sa, btns_peer_info_t *out);

/* ---- reqids: the numbers that tie policies to SAs in the kernel ---- */

/** Whose CHILD_SAs have which reqid. Not thread-safe: asking for one and taking it are one step for the caller. */
typedef struct btns_reqids_t btns_reqids_t;

typedef enum btns_holder_t
{
	/** policies that wait for traffic, no peer's */
	BTNS_HOLDER_TRAP = 0,
	BTNS_HOLDER_AUTHENTICATED,
	/** a BTNS peer */
	BTNS_HOLDER_STRANGER,
} btns_holder_t;

typedef struct btns_reqid_holder_t
{
	btns_holder_t kind;
	/** identity of a BTNS peer, else empty */
	btns_bytes_t identity;
} btns_reqid_holder_t;

/** Owned by the caller. NULL if memory ran out. */
btns_reqids_t *btns_reqids_create(void);
/** @param reqids may be NULL */
void btns_reqids_destroy(btns_reqids_t *reqids);
/**
 * May a CHILD_SA get this reqid, which it asks for, whoever has it already? A BTNS peer shares none with another peer.
 *
 * @param own_trap	if a trap has it, that is one of a connection of the same kind
 * @return			FALSE on failure
 */
bool btns_reqids_may_share(const btns_reqids_t *reqids, uint32_t reqid, const btns_reqid_holder_t *holder,
						   bool own_trap);
/** A CHILD_SA or trap has it. REFUSED if it is a BTNS peer's, and another peer has it: it has to be given back. So it
 * has on failure; if it is not a BTNS peer's, these get no reqid that they ask for from then on. */
btns_status_t btns_reqids_take(btns_reqids_t *reqids, uint32_t reqid, const btns_reqid_holder_t *holder);
/** It was given back, once for each time that it was taken. */
void btns_reqids_release(btns_reqids_t *reqids, uint32_t reqid, const btns_reqid_holder_t *holder);

/* ---- what would happen: the same decisions about a peer that is not there. Nothing is counted, taken, remembered or
 * changed. ---- */

/** Somebody who is supposed to come. All pointers are the caller's. */
typedef struct btns_supposed_t
{
	/** ours */
	btns_role_t role;
	btns_addr_t source;
	/** CERT payloads that it would show */
	const btns_cert_t *certs;
	size_t cert_count;
	/** or, if there are none, only its key's fingerprint; else NULL */
	const uint8_t *fingerprint;
} btns_supposed_t;

/**
 * As btns_sa_key(), if it came now. Of a key that only the fingerprint is known of, type is BTNS_KEY_NONE and nothing
 * else is set.
 */
btns_status_t btns_supposed_key(btns_core_t *core, const btns_supposed_t *peer, int64_t now, btns_key_t *out,
								btns_reason_t *reason);
/** As btns_sa_admissible(). */
btns_reason_t btns_supposed_admissible(btns_core_t *core, const btns_supposed_t *peer, unsigned ike_sas);

/** One step of an explanation. Strings are valid during the callback only. */
typedef struct btns_step_t
{
	/** stable name of what was looked at, like "known-id" */
	const char *step;
	/** it is no obstacle */
	bool passed;
	/** why not; NONE if passed, or if it is charon that refuses */
	btns_reason_t reason;
	/** a sentence for the administrator; its wording may change */
	const char *text;
} btns_step_t;
typedef void (*btns_step_cb_t)(void *user, const btns_step_t *step);

/** What an explanation calls the facts of a look-up. Pointers may be NULL but for names, and are the caller's. */
typedef struct btns_lookup_names_t
{
	/** names of the candidates' connections */
	const char *const *names;
	/** what knows the asserted identity */
	const char *known_by;
	/** what speaks for the peer */
	const char *vouched_by;
	/** the peer's key, if it was looked at */
	const btns_key_t *key;
} btns_lookup_names_t;

/** Decide as btns_pad_lookup() and tell how. */
btns_status_t btns_pad_explain(btns_core_t *core, const btns_claim_t *claim, const btns_candidate_t *candidates,
							   size_t count, const btns_lookup_names_t *names, btns_step_cb_t cb, void *user);
/** Decide as btns_child_authorize() over the first CHILD_SA of a BTNS peer with a key, and tell how. */
btns_status_t btns_supposed_child(btns_core_t *core, const uint8_t fingerprint[BTNS_FINGERPRINT_LEN],
								  const btns_child_t *child, btns_step_cb_t cb, void *user, btns_reason_t *reason);

/** The strongSwan version in the rodata of an executable: the first NUL-delimited d.d.d[dr|rc]n; empty if none. */
btns_status_t btns_find_version(btns_bytes_t image, char *out, size_t len);

#ifdef BTNS_FAULTS
/** Test builds only: the named call of this header fails as if memory ran out, `count` times. NULL stops it. */
void btns_fault(const char *function, unsigned count);
#endif

#ifdef __cplusplus
}
#endif

#endif /* BTNS_CORE_H_ */
