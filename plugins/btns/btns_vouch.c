/* SPDX-License-Identifier: GPL-2.0-or-later WITH openssl-exception */

#include "btns_vouch.h"
#include "btns_cert.h"
#include "btns_convert.h"

#include <credentials/certificates/x509.h>

/**
 * What the peer refers to.
 */
typedef struct {

	/**
	 * Asserted identity
	 */
	identification_t *id;

	/**
	 * Presented key, may be NULL
	 */
	const btns_key_t *key;

	/**
	 * Its identifier
	 */
	chunk_t keyid;

	/**
	 * Issuers of the presented certificates, identification_t*
	 */
	linked_list_t *issuers;

	/**
	 * Key identifiers of these issuers, identification_t* of type ID_KEY_ID
	 */
	linked_list_t *keyids;

	/**
	 * A presented certificate could not be read
	 */
	bool unreadable;

	/**
	 * The peer refers to a certificate that it does not show
	 */
	bool elsewhere;

	/**
	 * IKE_SA that the peer has shown certificates in, may be NULL
	 */
	ike_sa_t *ike_sa;

	/**
	 * Where to print what speaks for the peer, may be NULL
	 */
	btns_voucher_t *voucher;
} references_t;

/**
 * Print what speaks for the peer, if somebody wants to know.
 */
static void describe(references_t *this, certificate_t *cert, char *otherwise)
{
	x509_t *x509 = (x509_t*)cert;
	char *kind = "the public key";

	if (!this->voucher)
	{
		return;
	}
	if (!cert)
	{
		snprintf(this->voucher->text, sizeof(this->voucher->text), "%s",
				 otherwise);
		return;
	}
	if (cert->get_type(cert) == CERT_X509)
	{
		kind = x509->get_flags(x509) & X509_CA ? "the CA certificate"
											   : "the certificate";
	}
	snprintf(this->voucher->text, sizeof(this->voucher->text),
			 "%s of '%Y', which is loaded here,", kind,
			 cert->get_subject(cert));
}

/**
 * Note a certificate's issuer.
 */
static void add_cert(void *user, btns_bytes_t cert)
{
	references_t *this = user;
	btns_x509_names_t names;

	if (btns_x509_names(cert, &names) != BTNS_STATUS_OK)
	{
		this->unreadable = TRUE;
		return;
	}
	this->issuers->insert_last(this->issuers,
					identification_create_from_encoding(ID_DER_ASN1_DN,
											btns_chunk(names.issuer)));
	if (names.authority_key_id.len)
	{
		this->keyids->insert_last(this->keyids,
					identification_create_from_encoding(ID_KEY_ID,
										btns_chunk(names.authority_key_id)));
	}
}

/**
 * TRUE if the peer refers to a CA certificate as its issuer.
 */
static bool is_issuer(references_t *this, x509_t *x509)
{
	certificate_t *cert = &x509->interface;
	identification_t *current;
	enumerator_t *enumerator;
	chunk_t keyid;
	bool found = FALSE;

	enumerator = this->issuers->create_enumerator(this->issuers);
	while (!found && enumerator->enumerate(enumerator, &current))
	{
		found = current->equals(current, cert->get_subject(cert));
	}
	enumerator->destroy(enumerator);

	keyid = x509->get_subjectKeyIdentifier(x509);
	enumerator = this->keyids->create_enumerator(this->keyids);
	while (!found && keyid.len && enumerator->enumerate(enumerator, &current))
	{
		found = chunk_equals(current->get_encoding(current), keyid);
	}
	enumerator->destroy(enumerator);
	return found;
}

/**
 * TRUE if it is the certificate of one of our own keys: that others call
 * themselves as we do says nothing about them.
 */
static bool is_own(certificate_t *cert)
{
	enumerator_t *configs, *rounds;
	peer_cfg_t *cfg;
	auth_cfg_t *auth;
	certificate_t *own;
	bool found = FALSE;

	configs = charon->backends->create_peer_cfg_enumerator(charon->backends,
												NULL, NULL, NULL, NULL, IKE_ANY);
	while (!found && configs->enumerate(configs, &cfg))
	{
		rounds = cfg->create_auth_cfg_enumerator(cfg, TRUE);
		while (!found && rounds->enumerate(rounds, &auth))
		{
			own = auth->get(auth, AUTH_RULE_SUBJECT_CERT);
			found = own && (own == cert || own->equals(own, cert));
		}
		rounds->destroy(rounds);
	}
	configs->destroy(configs);
	return found;
}

/**
 * TRUE if the peer itself has shown the certificate: while AUTH is verified,
 * the credential manager offers these, too.
 */
static bool is_presented(ike_sa_t *ike_sa, certificate_t *cert)
{
	enumerator_t *enumerator;
	auth_cfg_t *auth;
	auth_rule_t rule;
	void *value;
	bool found = FALSE;

	if (!ike_sa)
	{
		return FALSE;
	}
	auth = ike_sa->get_auth_cfg(ike_sa, FALSE);
	enumerator = auth->create_enumerator(auth);
	while (!found && enumerator->enumerate(enumerator, &rule, &value))
	{
		found = (rule == AUTH_HELPER_SUBJECT_CERT ||
				 rule == AUTH_HELPER_IM_CERT) && value == cert;
	}
	enumerator->destroy(enumerator);
	return found;
}

/**
 * TRUE if a certificate is loaded, or was issued by a CA that is. charon also
 * keeps what any peer has shown it, as long as a signature in it was made by
 * something else that was shown: this vouches for nobody, or a peer could make
 * a certificate for somebody else's key and keep that one out.
 */
static bool is_known(certificate_t *cert)
{
	enumerator_t *enumerator;
	certificate_t *current;
	bool found = FALSE;

	enumerator = lib->credmgr->create_cert_enumerator(lib->credmgr,
												CERT_ANY, KEY_ANY, NULL, TRUE);
	while (!found && enumerator->enumerate(enumerator, &current))
	{
		found = current == cert || current->equals(current, cert) ||
				(cert->get_type(cert) == CERT_X509 &&
				 current->get_type(current) == CERT_X509 &&
				 cert->has_issuer(cert, current->get_subject(current)) &&
				 (((x509_t*)current)->get_flags((x509_t*)current) & X509_CA) &&
				 lib->credmgr->issued_by(lib->credmgr, cert, current, NULL));
	}
	enumerator->destroy(enumerator);
	return found;
}

/**
 * TRUE if a certificate speaks for the peer. Sets named if it could by its
 * subject, unless it is our own.
 */
static bool speaks_for(references_t *this, certificate_t *cert, bool *named)
{
	public_key_t *key;
	bool found = FALSE;

	if (btns_cert_fingerprint(cert))
	{	/* what our own credential set offers vouches for nobody */
		return FALSE;
	}
	if (cert->get_type(cert) == CERT_X509)
	{
		x509_t *x509 = (x509_t*)cert;

		if ((x509->get_flags(x509) & X509_CA) && is_issuer(this, x509))
		{
			return TRUE;
		}
		*named = cert->has_subject(cert, this->id) == ID_MATCH_PERFECT;
	}
	if (this->key)
	{
		key = cert->get_public_key(cert);
		if (key)
		{
			found = btns_cert_key_equals(key, this->key, this->keyid);
			key->destroy(key);
		}
	}
	return found;
}

/**
 * TRUE if a credential that is loaded here speaks for the peer. Destroys what the
 * references point to.
 */
static bool vouched(references_t *refs)
{
	linked_list_t *speakers, *namesakes;
	enumerator_t *enumerator;
	certificate_t *cert;
	uint8_t keyid[HASH_SIZE_SHA1];
	bool found = FALSE, named;

	if (refs->elsewhere)
	{
		describe(refs, NULL, "a certificate that it refers to");
		found = TRUE;
	}
	if (refs->unreadable && refs->key)
	{	/* in doubt it is somebody's; without a key there is no doubt */
		describe(refs, NULL, "a certificate of it that cannot be read");
		found = TRUE;
	}
	if (refs->key && !found && refs->key->spki_len)
	{
		refs->keyid = btns_cert_keyid(refs->key, keyid);
	}
	if (!found)
	{
		speakers = linked_list_create();
		namesakes = linked_list_create();
		enumerator = lib->credmgr->create_cert_enumerator(lib->credmgr,
												CERT_ANY, KEY_ANY, NULL, FALSE);
		while (enumerator->enumerate(enumerator, &cert))
		{
			named = FALSE;
			if (!is_presented(refs->ike_sa, cert) &&
				speaks_for(refs, cert, &named))
			{
				speakers->insert_last(speakers, cert->get_ref(cert));
			}
			else if (named)
			{
				namesakes->insert_last(namesakes, cert->get_ref(cert));
			}
		}
		enumerator->destroy(enumerator);

		while (speakers->remove_first(speakers, (void**)&cert) == SUCCESS)
		{
			if (!found && is_known(cert))
			{
				describe(refs, cert, NULL);
				found = TRUE;
			}
			cert->destroy(cert);
		}
		speakers->destroy(speakers);

		while (namesakes->remove_first(namesakes, (void**)&cert) == SUCCESS)
		{
			if (!found && !is_own(cert) && is_known(cert))
			{
				describe(refs, cert, NULL);
				found = TRUE;
			}
			cert->destroy(cert);
		}
		namesakes->destroy(namesakes);
	}
	refs->issuers->destroy_offset(refs->issuers,
								  offsetof(identification_t, destroy));
	refs->keyids->destroy_offset(refs->keyids,
								 offsetof(identification_t, destroy));
	return found;
}

/*
 * Described in header.
 */
bool btns_vouched(btns_core_t *core, ike_sa_t *ike_sa, identification_t *id,
				  const btns_key_t *key)
{
	references_t refs = {
		.id = id,
		.key = key,
		.issuers = linked_list_create(),
		.keyids = linked_list_create(),
		.ike_sa = ike_sa,
	};
	uint32_t sa = ike_sa->get_unique_id(ike_sa);

	if (btns_sa_names_certificate(core, sa) ||
		btns_sa_certs(core, sa, add_cert, &refs) != BTNS_STATUS_OK)
	{
		refs.elsewhere = TRUE;
	}
	return vouched(&refs);
}

/*
 * Described in header.
 */
bool btns_vouched_supposed(const btns_supposed_t *peer, identification_t *id,
						   const btns_key_t *key, btns_voucher_t *voucher)
{
	references_t refs = {
		.id = id,
		.key = key,
		.issuers = linked_list_create(),
		.keyids = linked_list_create(),
		.voucher = voucher,
	};
	int i;

	for (i = 0; i < peer->cert_count; i++)
	{
		if (peer->certs[i].encoding == BTNS_ENCODING_X509)
		{
			add_cert(&refs, peer->certs[i].body);
		}
	}
	return vouched(&refs);
}

/*
 * Described in header.
 */
bool btns_named_by_secret(identification_t *id)
{
	static const shared_key_type_t types[] = { SHARED_IKE, SHARED_EAP };
	enumerator_t *enumerator;
	id_match_t me, other;
	shared_key_t *shared;
	bool found = FALSE;
	int i;

	for (i = 0; !found && i < countof(types); i++)
	{
		enumerator = lib->credmgr->create_shared_enumerator(lib->credmgr,
														types[i], NULL, id);
		while (!found && enumerator->enumerate(enumerator, &shared, &me, &other))
		{
			found = other > ID_MATCH_ANY;
		}
		enumerator->destroy(enumerator);
	}
	return found;
}
