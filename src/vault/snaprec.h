/*
 * snaprec: the signed, chained 368-byte snapshot record, its envelopes (docs/FORMAT.md section 5);
 * its reference segments are in snaprec_refs.h.  Pure: no store.
 */
#ifndef VAULT_SNAPREC_H
#define VAULT_SNAPREC_H

#include <stddef.h>
#include <stdint.h>

#include "vault/ref.h"
#include "vault/snaprec_refs.h"

struct err;

#define SNAPREC_BYTES 368
#define SNAPREC_ENVELOPE_BYTES 192
#define SNAPREC_MAX_ENVELOPES 64 /* of one snapshot */

enum snaprec_flag { SNAPREC_PARTIAL = 1, SNAPREC_DERIVED = 2 };
enum snaprec_recipient { SNAPREC_RECOVERY = 1, SNAPREC_DRILL = 2, SNAPREC_GRANT = 3 };

struct snaprec {
	uint8_t suite;
	uint8_t flags;
	uint32_t config_epoch;
	uint8_t domain_id[16], agent_id[16], source_id[16];
	uint64_t seq; /* from 1 */
	int64_t t_start_ns, t_end_ns;
	uint64_t raw_bytes, ref_count;
	uint8_t prev[32];
	uint8_t root_id[32], root_commit[32], refs_root[32];
	uint64_t log_size;
	uint8_t log_root[32];
	uint8_t kid[32];
	uint8_t sig[64];
};

/* Fill kid and sig from the signing seed and encode. */
void snaprec_sign(struct snaprec *r, const uint8_t ik_seed[32], uint8_t out[SNAPREC_BYTES]);
/* Form only (magic, suite, reserved, flags, seq 1 exactly when there is no predecessor).
 * Return 0, -ERR_CORRUPT or -ERR_UNSUPPORTED. */
int snaprec_decode(const uint8_t in[SNAPREC_BYTES], struct snaprec *out, struct err *err);
/* Check kid and signature against ${ik_pk}.  Return 0 or -ERR_CORRUPT. */
int snaprec_verify(const uint8_t in[SNAPREC_BYTES], const uint8_t ik_pk[32], struct err *err);
/* snap_hash = SHA-256(record). */
void snaprec_hash(const uint8_t in[SNAPREC_BYTES], uint8_t out[32]);
/* kid = SHA-256("hf1/ik\0" || pk); rkid = SHA-256("hf1/rk\0" || pk). */
void snaprec_kid(const uint8_t ik_pk[32], uint8_t out[32]);
void snaprec_rkid(const uint8_t rk_pk[32], uint8_t out[32]);

/**
 * snaprec_envelope(kind, domain_id, snap_hash, rk_pk, root, out, err):
 * The one envelope that exists for these inputs (derived ephemeral).  Return 0 or -ERR_CORRUPT
 * (a bad public key).
 */
int snaprec_envelope(enum snaprec_recipient kind, const uint8_t domain_id[16],
	const uint8_t snap_hash[32], const uint8_t rk_pk[32], const struct ref *root,
	uint8_t out[SNAPREC_ENVELOPE_BYTES], struct err *err);
/* Read kind and rkid; the pointers are into ${in}.  The kind is a hint only: what the recipient is,
 * the config says of the rkid.  Return 0, -ERR_CORRUPT or -ERR_UNSUPPORTED. */
int snaprec_envelope_peek(const uint8_t in[SNAPREC_ENVELOPE_BYTES], int *kind,
	const uint8_t **snap_hash, const uint8_t **rkid, struct err *err);
/* Open with the recipient's secret key, make the envelope again and compare.  Return 0, -ERR_AUTH
 * (for another key), -ERR_CORRUPT or -ERR_UNSUPPORTED. */
int snaprec_envelope_open(const uint8_t in[SNAPREC_ENVELOPE_BYTES], const uint8_t domain_id[16],
	const uint8_t sk[32], struct ref *root, struct err *err);

#endif
