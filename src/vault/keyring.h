/*
 * keyring: the keys of stand-alone use: what derives from the recovery key, the writer key file,
 * and the drill key file (docs/FORMAT.md section 1).
 */
#ifndef VAULT_KEYRING_H
#define VAULT_KEYRING_H

#include <stddef.h>
#include <stdint.h>

#include "vault/sealed.h"

struct buf;
struct err;

#define KEYRING_WRITER_BYTES 320
#define KEYRING_GROUP_BYTES 64

/* The writer key file, opened.  Holds no key that opens content. */
struct keyring_writer {
	uint8_t vault_id[16], domain_id[16], agent_id[16];
	uint32_t kv_epoch, config_epoch; /* config_epoch: newest seen when written */
	uint8_t k_vault[32], k_mle[32], k_cdc[32];
	uint8_t ik_seed[32], rk_pk[32], officer_pk[32];
	uint8_t k_fp[32]; /* local cache key */
};

/* Everything stand-alone use derives from the recovery key (DECISIONS "Keys"). */
struct keyring_root {
	uint8_t rk_sk[32], rk_pk[32];
	uint8_t k_dom[32], domain_id[16], agent_id[16];
	uint8_t officer_seed[32], officer_pk[32];
};

void keyring_root_derive(
	const uint8_t rk_sk[32], const uint8_t vault_id[16], struct keyring_root *out);
/* K_mle, K_cdc of ${epoch} (1 in stand-alone use). */
void keyring_epoch_keys(const uint8_t k_dom[32], const uint8_t domain_id[16], uint32_t epoch,
	uint8_t k_mle[32], uint8_t k_cdc[32]);
/* From K_cdc: the chunker key (32) and K_tree (16). */
void keyring_cut_keys(const uint8_t k_cdc[32], const uint8_t domain_id[16], uint32_t epoch,
	uint8_t chunker[32], uint8_t k_tree[16]);
/* source_id = first 16 bytes of SHA-256("hf1/source\0" || domain_id || agent_id || name). */
void keyring_source_id(
	const uint8_t domain_id[16], const uint8_t agent_id[16], const char *name, uint8_t out[16]);

int keyring_writer_encode(const struct keyring_writer *w, struct buf *out, struct err *err);
/* Return 0, -ERR_CORRUPT (checksum, form) or -ERR_UNSUPPORTED. */
int keyring_writer_decode(
	const uint8_t *data, size_t len, struct keyring_writer *out, struct err *err);

/* The drill key file: text, one line "holdfast-drill-key <group> <base64 of the secret key>". */
int keyring_drill_encode(
	const char *group, const uint8_t dk_sk[32], struct buf *out, struct err *err);
int keyring_drill_decode(const uint8_t *data, size_t len, char group[KEYRING_GROUP_BYTES],
	uint8_t dk_sk[32], struct err *err);

/* A generated passphrase: 128 random bits as base32 in groups of four, NUL-terminated. */
#define KEYRING_PASSPHRASE_BYTES 33
int keyring_passphrase(char out[KEYRING_PASSPHRASE_BYTES], struct err *err);

#endif
