/* SPDX-License-Identifier: MIT */
/**
 * @file btns.h
 * Who is at the other end of a socket: what IPsec gives a connection, and channel bindings for it (RFC 5056).
 *
 *     btns_t *btns;
 *     btns_channel_t *channel;
 *     uint8_t binding[BTNS_BINDING_MAX];
 *     size_t len = sizeof(binding);
 *
 *     if (btns_open(&btns, NULL) == BTNS_OK && btns_find(btns, fd, &channel) == BTNS_OK &&
 *         btns_binding(channel, BTNS_ENDPOINTS, BTNS_BARE, binding, &len) == BTNS_OK)
 *     {
 *         ... give it to SASL or GSS-API, before anything confidential is sent ...
 *     }
 *
 * And connection latches (RFC 5660): a connection that stays with the peer that it began with, or stops.
 *
 *     btns_latch_t *latch;
 *
 *     if (btns_latch_connect(btns, fd, address, length, NULL, &latch) == BTNS_OK)
 *     {
 *         ... nothing leaves or comes in but what this peer's SAs protect ...
 *     }
 *
 * Only a connection of the caller's own can be asked about: its descriptor is handed to the daemon, which reads the
 * addresses and ports from the socket itself. A channel is what was so when it was found; it does not change.
 *
 * All functions may be called from any thread; there is no global state. Two threads may use one btns_t at a time, and
 * one waits for the other. Functions return BTNS_OK or a value of btns_error_t and set no errno. Pointers that a
 * function returns belong to the object they came from, unless it says otherwise.
 */
#ifndef BTNS_H_
#define BTNS_H_

#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define BTNS_API __attribute__((visibility("default")))
#else
#define BTNS_API
#endif

/** Version of this interface; what is added later raises the second number. */
#define BTNS_API_MAJOR 1
#define BTNS_API_MINOR 2

/** Where the daemon listens unless charon.plugins.btns.socket says otherwise. */
#define BTNS_DEFAULT_SOCKET "/run/charon.btns"

typedef enum btns_error_t
{
	BTNS_OK = 0,
	/** an argument is NULL or out of range */
	BTNS_EINVAL,
	/** out of memory or descriptors */
	BTNS_ENOMEM,
	/** nothing listens there: charon does not run, or the socket is not enabled */
	BTNS_ENODAEMON,
	/** the user may not connect to the socket */
	BTNS_EACCES,
	/** the daemon has as many clients as it takes; try again later */
	BTNS_EBUSY,
	/** no answer in time, 5 seconds; or none that makes sense. The connection is closed, btns_open() makes a new one */
	BTNS_EDAEMON,
	/** the descriptor is no connected TCP or UDP socket (or SCTP, DCCP) over IPv4 or IPv6, or it is of another network
	 * namespace */
	BTNS_ESOCKET,
	/** no SA protects the connection, see btns_channel_reason() */
	BTNS_EUNPROTECTED,
	/** several peers' SAs could take the connection's packets, see btns_channel_reason() */
	BTNS_EAMBIGUOUS,
	/** there is no such binding, or key, for this channel, see btns_binding_reason(); or no such latch any more */
	BTNS_EUNAVAILABLE,
	/** the buffer is too short; the length that is needed was set */
	BTNS_ESPACE,
	/* since 1.1, of latches: */
	/** SAs of several peers cover the connection, or the latch broke before it was connected */
	BTNS_ECONFLICT,
	/** the SAs are not what was asked for: no encryption, another key, a peer that has not authenticated */
	BTNS_EREFUSED,
	/** no SA came in time */
	BTNS_ETIMEOUT,
	/** the daemon has no latches, or does not know what was asked for */
	BTNS_ENOTSUP,
	/** another latch has this connection */
	BTNS_EEXIST,
	/** the kernel does not take the latch's policy, or the socket has a policy of somebody else */
	BTNS_EKERNEL,
	/** connect() failed; errno says why */
	BTNS_ECONNECT,
	/** connect() goes on: EINPROGRESS or EINTR. Nothing has failed */
	BTNS_EINPROGRESS,
} btns_error_t;

/** A sentence for an error; static storage, never NULL. */
BTNS_API const char *btns_strerror(int error);

/** A connection to the daemon. */
typedef struct btns_t btns_t;
/** What was found for one socket. */
typedef struct btns_channel_t btns_channel_t;

/**
 * Connect to the daemon.
 *
 * @param out	set to NULL on failure; to be closed with btns_close()
 * @param path	its socket, NULL for BTNS_DEFAULT_SOCKET
 */
BTNS_API int btns_open(btns_t **out, const char *path);
/** @param btns may be NULL */
BTNS_API void btns_close(btns_t *btns);

/**
 * Find what protects a connected socket. That nothing does is an answer and no error here.
 *
 * @param fd	stays the caller's
 * @param out	set to NULL on failure; to be freed with btns_channel_free(), also after btns_close()
 */
BTNS_API int btns_find(btns_t *btns, int fd, btns_channel_t **out);
/** @param channel may be NULL */
BTNS_API void btns_channel_free(btns_channel_t *channel);

/** How one side proved who it is (RFC 7296 2.15, 2.16; RFC 5386; RFC 7619). */
typedef enum btns_method_t
{
	BTNS_METHOD_UNKNOWN = 0,
	/** by a key that nobody vouches for: a BTNS peer. It is the same key as long as the channel lasts, and no more is
	 * known */
	BTNS_METHOD_BTNS,
	/** by a certificate of a trusted CA */
	BTNS_METHOD_CERTIFICATE,
	/** by a public key that was configured */
	BTNS_METHOD_PUBLIC_KEY,
	/** by a shared secret */
	BTNS_METHOD_PSK,
	BTNS_METHOD_EAP,
	/** not at all */
	BTNS_METHOD_NULL,
	/** by several rounds of different methods */
	BTNS_METHOD_MULTIPLE,
} btns_method_t;

typedef enum btns_protection_t
{
	/** no SA takes the connection's packets */
	BTNS_UNPROTECTED = 0,
	/** one peer's SAs do */
	BTNS_PROTECTED,
	/** it cannot be told which of several peers' SAs do */
	BTNS_AMBIGUOUS,
} btns_protection_t;

typedef enum btns_mode_t
{
	BTNS_MODE_NONE = 0,
	BTNS_MODE_TRANSPORT,
	BTNS_MODE_TUNNEL,
	BTNS_MODE_BEET,
} btns_mode_t;

/** Longest identity or name of an algorithm in btns_info_t, with its NUL; longer ones are cut. */
#define BTNS_TEXT_MAX 256
#define BTNS_ALGORITHM_MAX 48
/** SHA-256, octets. */
#define BTNS_KEY_FINGERPRINT_LEN 32

/**
 * What is known of a channel. To be made with BTNS_INFO_INIT: `size` says which members the caller knows, and later
 * versions add some at the end only.
 */
typedef struct btns_info_t
{
	/** sizeof(btns_info_t) of the caller */
	size_t size;
	btns_protection_t protection;
	/** the SA encrypts; it protects integrity. 0 or 1 */
	int confidentiality;
	int integrity;
	btns_mode_t mode;
	/** strongSwan's names, e.g. "AES_GCM_16-128"; empty if there is none, as for integrity with AEAD */
	char encryption_algorithm[BTNS_ALGORITHM_MAX];
	char integrity_algorithm[BTNS_ALGORITHM_MAX];
	/** how this host and the peer authenticated when the IKE_SA began */
	btns_method_t local_method;
	btns_method_t peer_method;
	/** what the peer called itself, and what policy knows it by. Only the latter may be relied upon, as far as
	 * peer_method goes. For a BTNS peer it is "btns:sha256:" and the fingerprint */
	char asserted_id[BTNS_TEXT_MAX];
	char authorized_id[BTNS_TEXT_MAX];
	/** 1 if the fingerprint beside it is known */
	int has_local_fingerprint;
	int has_peer_fingerprint;
	/** SHA-256 of the canonical SubjectPublicKeyInfo */
	uint8_t local_fingerprint[BTNS_KEY_FINGERPRINT_LEN];
	uint8_t peer_fingerprint[BTNS_KEY_FINGERPRINT_LEN];
	/** the connection's own addresses and ports */
	struct sockaddr_storage inner_local;
	struct sockaddr_storage inner_peer;
	/** those that ESP and IKE go between; family AF_UNSPEC unless protected */
	struct sockaddr_storage outer_local;
	struct sockaddr_storage outer_peer;
	/** 1 if that side is behind a NAT, as far as IKE has found out */
	int local_nat;
	int peer_nat;
	/** when the peer authenticated, seconds since 1970-01-01 UTC; rekeying does not change it. 0 if not known */
	int64_t established;
} btns_info_t;

/* clang-format off */
/** Initialiser of a btns_info_t. */
#ifdef __cplusplus
#define BTNS_INFO_INIT {sizeof(btns_info_t), BTNS_UNPROTECTED, 0, 0, BTNS_MODE_NONE, {0}, {0}, BTNS_METHOD_UNKNOWN, \
						BTNS_METHOD_UNKNOWN, {0}, {0}, 0, 0, {0}, {0}, {}, {}, {}, {}, 0, 0, 0}
#else
#define BTNS_INFO_INIT {.size = sizeof(btns_info_t)}
#endif
/* clang-format on */

/** Inquire about a channel. @param info made with BTNS_INFO_INIT */
BTNS_API int btns_inquire(const btns_channel_t *channel, btns_info_t *info);
/** Why a channel is unprotected or ambiguous, a sentence; empty if it is protected. The channel's. */
BTNS_API const char *btns_channel_reason(const btns_channel_t *channel);

/** Kinds of channel bindings (RFC 5056 2.1); docs/channel-bindings.md defines them. */
typedef enum btns_binding_type_t
{
	/** ipsec-ikev2-endpoints-sha256: of the two keys, equal as long as they are */
	BTNS_ENDPOINTS = 1,
	/** ipsec-ikev2-unique-sha256: of this IKE_SA, gone with the next authentication */
	BTNS_UNIQUE = 2,
} btns_binding_type_t;

typedef enum btns_binding_form_t
{
	/** the value alone: SCRAM, GS2, sasl_channel_binding_t.data */
	BTNS_BARE = 1,
	/** the type's name, a colon and the value: GSS-API application_data */
	BTNS_PREFIXED = 2,
} btns_binding_form_t;

/** Octets of the longest binding in any form. */
#define BTNS_BINDING_MAX 64

/** Name of a type; static storage, NULL if there is no such type. */
BTNS_API const char *btns_binding_name(btns_binding_type_t type);
/**
 * Which bindings a channel has, best for most uses first.
 *
 * @param types	at least `*count` elements
 * @param count	set to how many there are
 */
BTNS_API int btns_binding_types(const btns_channel_t *channel, btns_binding_type_t *types, size_t *count);
/**
 * Get a binding. BTNS_EUNPROTECTED, BTNS_EAMBIGUOUS or BTNS_EUNAVAILABLE if there is none: then do not authenticate as
 * if there were.
 *
 * @param len	size of the buffer; set to the octets of the binding, also with BTNS_ESPACE
 */
BTNS_API int btns_binding(const btns_channel_t *channel, btns_binding_type_t type, btns_binding_form_t form,
						  uint8_t *out, size_t *len);
/** Why there is no such binding, a sentence; empty if there is. The channel's. */
BTNS_API const char *btns_binding_reason(const btns_channel_t *channel, btns_binding_type_t type);

/**
 * The peer's public key, for pinning: canonical SubjectPublicKeyInfo, DER.
 *
 * @param len	size of the buffer; set to the octets of the key, also with BTNS_ESPACE
 */
BTNS_API int btns_peer_key(const btns_channel_t *channel, uint8_t *out, size_t *len);

/**
 * The peer's certificate, whose key it has signed with: X.509, DER (RFC 5660 2). BTNS_EUNAVAILABLE unless peer_method
 * is BTNS_METHOD_CERTIFICATE and the daemon keeps certificates (charon.plugins.btns.keep_certificates). The daemon has
 * validated it when the peer authenticated; it may have expired since. Since 1.2.
 *
 * @param len	size of the buffer; set to the octets of the certificate, also with BTNS_ESPACE
 */
BTNS_API int btns_peer_certificate(const btns_channel_t *channel, uint8_t *out, size_t *len);
/** The certificate that the peer's was validated to, the peer's own if that is trusted itself: the same way. Since 1.2.
 */
BTNS_API int btns_trust_anchor(const btns_channel_t *channel, uint8_t *out, size_t *len);

/** What happened to a connection that is watched. */
typedef enum btns_event_type_t
{
	/** it is protected and by the same peer, but what btns_find() says is not the same: the peer has authenticated
	 * again, so the unique binding is another one, or it has moved, or the SAs have other algorithms. Rekeying is none
	 * of these */
	BTNS_EVENT_RENEWED = 1,
	/** no SA protects it any more, or it cannot be told any more which */
	BTNS_EVENT_UNPROTECTED,
	/** it is protected, and was not */
	BTNS_EVENT_PROTECTED,
	/** somebody else is at the other end: another key, identity or method */
	BTNS_EVENT_CHANGED,
	/** the daemon is gone; nothing is watched any more, and no latch left */
	BTNS_EVENT_CLOSED,
	/* since 1.1, of latches: */
	/** no packet of the connection passes any more, see the reason; it is reset, unless BTNS_LATCH_WAIT was asked for
	 */
	BTNS_EVENT_LATCH_BROKEN,
	/** what broke it has gone, and packets pass again */
	BTNS_EVENT_LATCH_RESTORED,
	/** the latch is no more, but not by its owner: see the reason */
	BTNS_EVENT_LATCH_CLOSED,
	/** a connection that was accepted from a listener has a latch now */
	BTNS_EVENT_LATCH_BORN,
} btns_event_type_t;

/** Why a latch has left a state. */
typedef enum btns_latch_reason_t
{
	BTNS_LATCH_REASON_NONE = 0,
	/** an SA of somebody else, or of another quality, covers the connection; or a policy takes it past its SAs */
	BTNS_LATCH_REASON_CONFLICT,
	/** dead peer detection */
	BTNS_LATCH_REASON_PEER_DEAD,
	/** the conflicting SAs have gone */
	BTNS_LATCH_REASON_CLEARED,
	/** by its owner, or because that has gone */
	BTNS_LATCH_REASON_RELEASED,
	/** the socket was closed */
	BTNS_LATCH_REASON_SOCKET_GONE,
	BTNS_LATCH_REASON_ADMINISTRATOR,
	/** no SA came in time, or what came is not what was asked for */
	BTNS_LATCH_REASON_NOT_ESTABLISHED,
	/** the daemon ends, or latching does */
	BTNS_LATCH_REASON_SHUTDOWN,
} btns_latch_reason_t;

typedef struct btns_event_t
{
	/** sizeof(btns_event_t) of the caller */
	size_t size;
	btns_event_type_t type;
	/** of btns_watch(); 0 in BTNS_EVENT_CLOSED, and in events of latches */
	uint32_t watch;
	/* since 1.1: */
	/** btns_latch_number() of the latch, 0 in events of watches */
	uint32_t latch;
	/** in BTNS_EVENT_LATCH_BORN: number of the new one, 0 if that is another client's */
	uint32_t born;
	btns_latch_reason_t reason;
} btns_event_t;

/* clang-format off */
/** Initialiser of a btns_event_t. */
#ifdef __cplusplus
#define BTNS_EVENT_INIT {sizeof(btns_event_t), BTNS_EVENT_CLOSED, 0, 0, 0, BTNS_LATCH_REASON_NONE}
#else
#define BTNS_EVENT_INIT {.size = sizeof(btns_event_t)}
#endif
/* clang-format on */

/**
 * Hear of changes to a connection. The daemon remembers its addresses and ports, not the descriptor, and does not
 * notice when it is closed: end the watch with btns_unwatch() before. Changes that follow each other within a second
 * may be one event.
 *
 * @param out	what is there now, as from btns_find(); may be NULL
 * @param watch	number that events have
 */
BTNS_API int btns_watch(btns_t *btns, int fd, btns_channel_t **out, uint32_t *watch);
BTNS_API int btns_unwatch(btns_t *btns, uint32_t watch);
/** Descriptor that is readable when btns_next_event() may have something, for poll() and the like. The btns_t's: do not
 * read it. */
BTNS_API int btns_event_fd(const btns_t *btns);
/** Take the next event, without waiting. BTNS_EUNAVAILABLE if there is none. @param event made with BTNS_EVENT_INIT */
BTNS_API int btns_next_event(btns_t *btns, btns_event_t *event);

/** A connection latch of this client; since 1.1. */
typedef struct btns_latch_t btns_latch_t;

/** States of RFC 5660 2.2. */
typedef enum btns_latch_state_t
{
	/** of a listening socket */
	BTNS_LATCH_LISTENER = 1,
	/** SAs are being set up, or connect() was not called yet: no packet passes */
	BTNS_LATCH_LARVAL,
	BTNS_LATCH_ESTABLISHED,
	/** no packet passes */
	BTNS_LATCH_BROKEN,
	/** for good */
	BTNS_LATCH_CLOSED,
} btns_latch_state_t;

/** The least that the peer must have done to prove who it is. */
typedef enum btns_latch_auth_t
{
	/** what policy asks for; BTNS peers may do */
	BTNS_LATCH_ANY = 0,
	/** an identity that policy knows was proved: no BTNS peer, no NULL authentication */
	BTNS_LATCH_AUTHENTICATED,
} btns_latch_auth_t;

/** What becomes of a connection whose latch breaks (RFC 5660 5.5). */
typedef enum btns_latch_disposition_t
{
	/** it is reset */
	BTNS_LATCH_RESET = 0,
	/** it waits until the conflict has gone. The daemon keeps a copy of the socket, so that closing it does not end the
	 * connection before the daemon hears of it: call btns_latch_release() before */
	BTNS_LATCH_WAIT,
} btns_latch_disposition_t;

/**
 * What is asked of a latch. Policy decides what there is: more can be asked for, never less. To be made with
 * BTNS_LATCH_OPTIONS_INIT; later versions add members at the end only.
 */
typedef struct btns_latch_options_t
{
	/** sizeof(btns_latch_options_t) of the caller */
	size_t size;
	/** the SAs must encrypt: 1 unless changed to 0 */
	int confidentiality;
	btns_latch_auth_t auth;
	btns_latch_disposition_t disposition;
	/** 1 for SAs of this connection alone, whose algorithms are latched, too (RFC 5660 2.1) */
	int narrow;
	/** BTNS_MODE_NONE for either, else the SAs must have this mode: for listeners, which know of no SA yet */
	btns_mode_t mode;
	/** 1 if the peer must have the key with this fingerprint: SHA-256 of its SubjectPublicKeyInfo, as in btns_info_t */
	int has_peer_key;
	uint8_t peer_key[BTNS_KEY_FINGERPRINT_LEN];
	/** milliseconds that SAs may take to come up, at most 600,000. 0: they must be there */
	uint32_t timeout;
} btns_latch_options_t;

/* clang-format off */
/** Initialiser of a btns_latch_options_t: what policy gives, if it is encrypted, within ten seconds. */
#ifdef __cplusplus
#define BTNS_LATCH_OPTIONS_INIT {sizeof(btns_latch_options_t), 1, BTNS_LATCH_ANY, BTNS_LATCH_RESET, 0, BTNS_MODE_NONE, \
								 0, {0}, 10000}
#else
#define BTNS_LATCH_OPTIONS_INIT {.size = sizeof(btns_latch_options_t), .confidentiality = 1, .timeout = 10000}
#endif
/* clang-format on */

/**
 * connect() with a latch: from before the first packet the kernel lets nothing pass but what the peer's SAs protect.
 * Waits until there are SAs, and for connect() itself unless the socket does not block; see BTNS_EINPROGRESS.
 *
 * On failure the socket is not connected, has no latch, and can be used for another attempt.
 *
 * @param fd		TCP or UDP socket over IPv4 or IPv6, not connected. Stays the caller's
 * @param options	NULL for BTNS_LATCH_OPTIONS_INIT
 * @param out		set to NULL on failure, may be NULL; to be freed with btns_latch_free(). With BTNS_EINPROGRESS, too:
 *the socket is writable once it is decided, as always
 */
BTNS_API int btns_latch_connect(btns_t *btns, int fd, const struct sockaddr *address, socklen_t length,
								const btns_latch_options_t *options, btns_latch_t **out);
/**
 * Latch what will be accepted from a listener: the kernel lets no connection come about whose packets no SA protects.
 * Call it before listen(), or nothing is known of the connections that came until then. Each connection then needs
 * btns_latch_accepted().
 *
 * @param fd		TCP socket that is bound
 * @param options	NULL for BTNS_LATCH_OPTIONS_INIT
 * @param out		set to NULL on failure, may be NULL; to be freed with btns_latch_free()
 */
BTNS_API int btns_latch_listen(btns_t *btns, int fd, const btns_latch_options_t *options, btns_latch_t **out);
/**
 * Latch a connection that was accepted, or that is there for another reason. What came before is only known to be
 * protected if the listener was latched. On failure close it.
 *
 * @param fd		connected TCP or UDP socket
 * @param options	NULL for BTNS_LATCH_OPTIONS_INIT
 * @param out		set to NULL on failure, may be NULL; to be freed with btns_latch_free()
 */
BTNS_API int btns_latch_accepted(btns_t *btns, int fd, const btns_latch_options_t *options, btns_latch_t **out);
/** The latch of a socket, which this btns_t has made. BTNS_EUNAVAILABLE if there is none. @param out	as above */
BTNS_API int btns_latch_find(btns_t *btns, int fd, btns_latch_t **out);
/** Know of a latch no more: it goes on as long as the socket does, and has no events. @param latch	may be NULL */
BTNS_API void btns_latch_free(btns_latch_t *latch);
/**
 * End a latch, whatever its state; btns_latch_free() is needed nevertheless. Not needed for a socket that is closed.
 *
 * @param fd	its socket, whose packets are a matter of the host's policy from then on; -1: it keeps the kernel's
 *policy until it is closed
 */
BTNS_API int btns_latch_release(btns_latch_t *latch, int fd);
/** The number that events have. 0 if latch is NULL. */
BTNS_API uint32_t btns_latch_number(const btns_latch_t *latch);

/** What is known of a latch. To be made with BTNS_LATCH_INFO_INIT; later versions add members at the end only. */
typedef struct btns_latch_info_t
{
	/** sizeof(btns_latch_info_t) of the caller */
	size_t size;
	btns_latch_state_t state;
	/** why it is broken or closed */
	btns_latch_reason_t reason;
	/** IP protocol */
	int protocol;
	/** the 5-tuple, or of a listener the 3-tuple; what is not known yet is AF_UNSPEC, or port 0 */
	struct sockaddr_storage local;
	struct sockaddr_storage peer;
	/** 1 if any suite of the same type will do, because the SAs are for more than this connection (RFC 5660 2.1). Else
	 * the algorithms of btns_latch_channel() are latched */
	int indeterminate;
	/** what was asked for */
	int wants_confidentiality;
	btns_latch_auth_t wants_auth;
	btns_latch_disposition_t disposition;
	int wants_narrow;
	btns_mode_t wants_mode;
	int wants_peer_key;
	uint8_t peer_key[BTNS_KEY_FINGERPRINT_LEN];
	uint32_t timeout;
} btns_latch_info_t;

/* clang-format off */
/** Initialiser of a btns_latch_info_t. */
#ifdef __cplusplus
#define BTNS_LATCH_INFO_INIT {sizeof(btns_latch_info_t), BTNS_LATCH_CLOSED, BTNS_LATCH_REASON_NONE, 0, {}, {}, 0, 0, \
							  BTNS_LATCH_ANY, BTNS_LATCH_RESET, 0, BTNS_MODE_NONE, 0, {0}, 0}
#else
#define BTNS_LATCH_INFO_INIT {.size = sizeof(btns_latch_info_t), .state = BTNS_LATCH_CLOSED}
#endif
/* clang-format on */

/** Inquire about a latch: how it is now. One that is no more is BTNS_LATCH_CLOSED. @param info	made with
 * BTNS_LATCH_INFO_INIT */
BTNS_API int btns_latch_inquire(btns_latch_t *latch, btns_latch_info_t *info);
/**
 * Who the latch holds the connection to, with channel bindings: as it was when it was established, also when it has
 * broken since. BTNS_EUNAVAILABLE if it was never established, and for listeners.
 *
 * @param out	set to NULL on failure; to be freed with btns_channel_free()
 */
BTNS_API int btns_latch_channel(btns_latch_t *latch, btns_channel_t **out);
/** A sentence for a reason; static storage, never NULL. */
BTNS_API const char *btns_latch_reason(int reason);

#ifdef __cplusplus
}
#endif

#endif /* BTNS_H_ */
