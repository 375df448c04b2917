#include "vault/snaprec.h"

#include <stdbool.h>
#include <string.h>

#include "base/bytes.h"
#include "base/err.h"
#include "crypto/aead.h"
#include "crypto/ed25519.h"
#include "crypto/hash.h"
#include "crypto/hmac.h"
#include "crypto/hpke.h"
#include "crypto/secret.h"

/*
 * INVARIANTS
 * (1) One envelope exists for (kind, domain, snapshot, recipient, root): its ephemeral key follows
 *     from them, so whoever opens one can make the others again and compare byte for byte.
 * (2) An envelope that opens is compared with the one made anew before its content is given out.
 */

/* docs/FORMAT.md section 5: the record */
#define SUITE_AT 8
#define FLAGS_AT 9
#define CONFIG_AT 12
#define DOMAIN_AT 16
#define AGENT_AT 32
#define SOURCE_AT 48
#define SEQ_AT 64
#define START_AT 72
#define END_AT 80
#define RAW_BYTES_AT 88
#define REF_COUNT_AT 96
#define PREV_AT 104
#define ROOT_ID_AT 136
#define COMMIT_AT 168
#define REFS_AT 200
#define LOG_SIZE_AT 232
#define LOG_ROOT_AT 240
#define KID_AT 272
#define SIG_AT 304
/* the envelope */
#define ENVELOPE_SUITE 1
#define HASH_AT 8
#define RKID_AT 40
#define ENC_AT 72
#define CT_AT 104

static const char record_magic[8] = { 'H', 'F', 'S', 'N', 'A', 'P', '0', '1' };
static const char envelope_magic[4] = { 'H', 'F', 'E', '1' };
static const char sign_label[] = "hf1/snap"; /* the labels are used with their 00 */
static const char env_label[] = "hf1/env";

static void labelled_hash(
	const char *label, size_t label_size, const uint8_t pk[32], uint8_t out[HASH_BYTES])
{
	uint8_t message[16 + 32];
	memcpy(message, label, label_size);
	memcpy(message + label_size, pk, 32);
	hash_sha256(message, label_size + 32, out);
}

void snaprec_kid(const uint8_t ik_pk[32], uint8_t out[32])
{
	labelled_hash("hf1/ik", sizeof("hf1/ik"), ik_pk, out);
}

void snaprec_rkid(const uint8_t rk_pk[32], uint8_t out[32])
{
	labelled_hash("hf1/rk", sizeof("hf1/rk"), rk_pk, out);
}

void snaprec_hash(const uint8_t in[SNAPREC_BYTES], uint8_t out[32])
{
	hash_sha256(in, SNAPREC_BYTES, out);
}

static void signed_bytes(
	const uint8_t record[SNAPREC_BYTES], uint8_t out[sizeof(sign_label) + SIG_AT])
{
	memcpy(out, sign_label, sizeof(sign_label));
	memcpy(out + sizeof(sign_label), record, SIG_AT);
}

void snaprec_sign(struct snaprec *r, const uint8_t ik_seed[32], uint8_t out[SNAPREC_BYTES])
{
	uint8_t pk[ED25519_KEY_BYTES];
	ed25519_public(ik_seed, pk);
	snaprec_kid(pk, r->kid);

	memcpy(out, record_magic, sizeof(record_magic));
	out[SUITE_AT] = r->suite;
	out[FLAGS_AT] = r->flags;
	bytes_put16(out + 10, 0);
	bytes_put32(out + CONFIG_AT, r->config_epoch);
	memcpy(out + DOMAIN_AT, r->domain_id, 16);
	memcpy(out + AGENT_AT, r->agent_id, 16);
	memcpy(out + SOURCE_AT, r->source_id, 16);
	bytes_put64(out + SEQ_AT, r->seq);
	bytes_put64(out + START_AT, (uint64_t)r->t_start_ns);
	bytes_put64(out + END_AT, (uint64_t)r->t_end_ns);
	bytes_put64(out + RAW_BYTES_AT, r->raw_bytes);
	bytes_put64(out + REF_COUNT_AT, r->ref_count);
	memcpy(out + PREV_AT, r->prev, 32);
	memcpy(out + ROOT_ID_AT, r->root_id, 32);
	memcpy(out + COMMIT_AT, r->root_commit, 32);
	memcpy(out + REFS_AT, r->refs_root, 32);
	bytes_put64(out + LOG_SIZE_AT, r->log_size);
	memcpy(out + LOG_ROOT_AT, r->log_root, 32);
	memcpy(out + KID_AT, r->kid, 32);

	uint8_t message[sizeof(sign_label) + SIG_AT];
	signed_bytes(out, message);
	ed25519_sign(ik_seed, message, sizeof(message), r->sig);
	memcpy(out + SIG_AT, r->sig, sizeof(r->sig));
}

static int check_record(const uint8_t in[SNAPREC_BYTES], struct err *err)
{
	static const uint8_t zeros[32] = { 0 };
	if (memcmp(in, record_magic, sizeof(record_magic)) != 0)
		return err_set(err, ERR_CORRUPT, "not a snapshot record");
	if (in[SUITE_AT] != AEAD_AES256GCM && in[SUITE_AT] != AEAD_CHACHA20)
		return err_set(err, ERR_UNSUPPORTED, "snapshot of unknown suite %u", in[SUITE_AT]);
	if ((in[FLAGS_AT] & ~(SNAPREC_PARTIAL | SNAPREC_DERIVED)) != 0)
		return err_set(
			err, ERR_UNSUPPORTED, "snapshot with unknown flags %02x", in[FLAGS_AT]);
	if (bytes_get16(in + 10) != 0)
		return err_set(err, ERR_CORRUPT, "snapshot record has reserved bytes set");
	uint64_t seq = bytes_get64(in + SEQ_AT);
	bool is_first = memcmp(in + PREV_AT, zeros, sizeof(zeros)) == 0;
	if (seq == 0 || is_first != (seq == 1))
		return err_set(err, ERR_CORRUPT, "snapshot %llu does not fit its place in a chain",
			(unsigned long long)seq);
	return 0;
}

int snaprec_decode(const uint8_t in[SNAPREC_BYTES], struct snaprec *out, struct err *err)
{
	int rc = check_record(in, err);
	if (rc != 0)
		return rc;
	out->suite = in[SUITE_AT];
	out->flags = in[FLAGS_AT];
	out->config_epoch = bytes_get32(in + CONFIG_AT);
	memcpy(out->domain_id, in + DOMAIN_AT, 16);
	memcpy(out->agent_id, in + AGENT_AT, 16);
	memcpy(out->source_id, in + SOURCE_AT, 16);
	out->seq = bytes_get64(in + SEQ_AT);
	out->t_start_ns = (int64_t)bytes_get64(in + START_AT);
	out->t_end_ns = (int64_t)bytes_get64(in + END_AT);
	out->raw_bytes = bytes_get64(in + RAW_BYTES_AT);
	out->ref_count = bytes_get64(in + REF_COUNT_AT);
	memcpy(out->prev, in + PREV_AT, 32);
	memcpy(out->root_id, in + ROOT_ID_AT, 32);
	memcpy(out->root_commit, in + COMMIT_AT, 32);
	memcpy(out->refs_root, in + REFS_AT, 32);
	out->log_size = bytes_get64(in + LOG_SIZE_AT);
	memcpy(out->log_root, in + LOG_ROOT_AT, 32);
	memcpy(out->kid, in + KID_AT, 32);
	memcpy(out->sig, in + SIG_AT, 64);
	return 0;
}

int snaprec_verify(const uint8_t in[SNAPREC_BYTES], const uint8_t ik_pk[32], struct err *err)
{
	uint8_t kid[HASH_BYTES];
	snaprec_kid(ik_pk, kid);
	if (memcmp(kid, in + KID_AT, sizeof(kid)) != 0)
		return err_set(err, ERR_CORRUPT, "snapshot is signed by another identity");
	uint8_t message[sizeof(sign_label) + SIG_AT];
	signed_bytes(in, message);
	if (!ed25519_is_valid(ik_pk, message, sizeof(message), in + SIG_AT))
		return err_set(err, ERR_CORRUPT, "snapshot has a wrong signature");
	return 0;
}

/* ---- envelopes ------------------------------------------------------------------------------ */

/* "hf1/env\0" || domain_id || rkid */
static void envelope_info(
	const uint8_t domain_id[16], const uint8_t rkid[32], uint8_t out[sizeof(env_label) + 48])
{
	memcpy(out, env_label, sizeof(env_label));
	memcpy(out + sizeof(env_label), domain_id, 16);
	memcpy(out + sizeof(env_label) + 16, rkid, 32);
}

int snaprec_envelope(enum snaprec_recipient kind, const uint8_t domain_id[16],
	const uint8_t snap_hash[32], const uint8_t rk_pk[32], const struct ref *root,
	uint8_t out[SNAPREC_ENVELOPE_BYTES], struct err *err)
{
	uint8_t made[SNAPREC_ENVELOPE_BYTES] = { 0 };
	memcpy(made, envelope_magic, sizeof(envelope_magic));
	made[4] = ENVELOPE_SUITE;
	made[5] = (uint8_t)kind;
	memcpy(made + HASH_AT, snap_hash, 32);
	snaprec_rkid(rk_pk, made + RKID_AT);

	uint8_t plain[REF_BYTES];
	uint8_t ikm[32];
	uint8_t sk_e[HPKE_KEY_BYTES];
	uint8_t info[sizeof(env_label) + 48];
	ref_encode(root, plain);
	hmac_kdf(plain, sizeof(plain), snap_hash, 32, "hf1/env-eph", made + RKID_AT, 32, ikm,
		sizeof(ikm));
	hpke_derive_key(ikm, sizeof(ikm), sk_e);
	envelope_info(domain_id, made + RKID_AT, info);
	int rc = hpke_seal(sk_e, rk_pk, info, sizeof(info), snap_hash, 32, plain, sizeof(plain),
		made + ENC_AT, made + CT_AT, err);
	secret_wipe(plain, sizeof(plain));
	secret_wipe(ikm, sizeof(ikm));
	secret_wipe(sk_e, sizeof(sk_e));
	if (rc == 0)
		memcpy(out, made, sizeof(made));
	return rc;
}

int snaprec_envelope_peek(const uint8_t in[SNAPREC_ENVELOPE_BYTES], int *kind,
	const uint8_t **snap_hash, const uint8_t **rkid, struct err *err)
{
	if (memcmp(in, envelope_magic, sizeof(envelope_magic)) != 0)
		return err_set(err, ERR_CORRUPT, "not an envelope");
	if (in[4] != ENVELOPE_SUITE)
		return err_set(err, ERR_UNSUPPORTED, "envelope of unknown suite %u", in[4]);
	if (in[5] < SNAPREC_RECOVERY || in[5] > SNAPREC_GRANT)
		return err_set(
			err, ERR_UNSUPPORTED, "envelope for unknown recipient kind %u", in[5]);
	if (bytes_get16(in + 6) != 0)
		return err_set(err, ERR_CORRUPT, "envelope has reserved bytes set");
	*kind = in[5];
	*snap_hash = in + HASH_AT;
	*rkid = in + RKID_AT;
	return 0;
}

int snaprec_envelope_open(const uint8_t in[SNAPREC_ENVELOPE_BYTES], const uint8_t domain_id[16],
	const uint8_t sk[32], struct ref *root, struct err *err)
{
	int kind;
	const uint8_t *snap_hash;
	const uint8_t *rkid;
	int rc = snaprec_envelope_peek(in, &kind, &snap_hash, &rkid, err);
	if (rc != 0)
		return rc;
	uint8_t pk[HPKE_KEY_BYTES];
	uint8_t own_rkid[HASH_BYTES];
	hpke_public(sk, pk);
	snaprec_rkid(pk, own_rkid);
	if (memcmp(own_rkid, rkid, sizeof(own_rkid)) != 0)
		return err_set(err, ERR_AUTH, "envelope is for another key");

	uint8_t info[sizeof(env_label) + 48];
	uint8_t plain[REF_BYTES];
	uint8_t again[SNAPREC_ENVELOPE_BYTES];
	struct ref opened;
	envelope_info(domain_id, rkid, info);
	rc = hpke_open(sk, in + ENC_AT, info, sizeof(info), snap_hash, 32, in + CT_AT,
		sizeof(plain) + HPKE_TAG_BYTES, plain, err);
	if (rc == 0) {
		ref_decode(plain, &opened);
		rc = snaprec_envelope((enum snaprec_recipient)kind, domain_id, snap_hash, pk,
			&opened, again, err);
	}
	if (rc == 0 && memcmp(again, in, sizeof(again)) != 0)
		rc = err_set(err, ERR_CORRUPT, "envelope is not the one its content makes");
	if (rc == 0)
		*root = opened;
	secret_wipe(plain, sizeof(plain));
	secret_wipe(&opened, sizeof(opened));
	return rc;
}
