/*
 * slot: the key slots (docs/FORMAT.md section 7): HFBG, the recovery key under a passphrase, HFKV,
 * K_vault wrapped to the recovery key, HFKP, the K_vault of the epoch before under the next, and
 * HFKR, what stand-alone use derives from the first recovery key under a further one.
 */
#ifndef VAULT_SLOT_H
#define VAULT_SLOT_H

#include <stddef.h>
#include <stdint.h>

struct err;
struct keyring_root;

#define SLOT_HFBG_BYTES 121
#define SLOT_HFKV_BYTES 140
#define SLOT_HFKP_BYTES 76
#define SLOT_HFKR_BYTES 168
#define SLOT_SCRYPT_LOG2N 17

/* Seal ${rk_sk} under a passphrase with a fresh salt (or the given one) and 2^log2n, r 8, p 1. */
int slot_hfbg_seal(const uint8_t rk_sk[32], const void *pass, size_t pass_len, unsigned log2n,
	const uint8_t *salt, uint8_t out[SLOT_HFBG_BYTES], struct err *err);
/* Return 0, -ERR_AUTH (wrong passphrase; damage to salt or commitment looks the same),
 * -ERR_CORRUPT, -ERR_UNSUPPORTED or -ERR_LIMIT (asks for more work than a reader gives). */
int slot_hfbg_open(const uint8_t *slot, size_t len, const void *pass, size_t pass_len,
	uint8_t rk_sk[32], struct err *err);

/* The one HFKV slot that exists for these inputs.  Return 0 or -ERR_CORRUPT (a bad public key). */
int slot_hfkv_seal(const uint8_t vault_id[16], uint32_t kv_epoch, const uint8_t k_vault[32],
	const uint8_t rk_pk[32], uint8_t out[SLOT_HFKV_BYTES], struct err *err);
/* Open, make the slot again and compare.  Return 0, -ERR_AUTH (for another recovery key),
 * -ERR_CORRUPT or -ERR_UNSUPPORTED. */
int slot_hfkv_open(const uint8_t *slot, size_t len, const uint8_t rk_sk[32], uint8_t vault_id[16],
	uint32_t *kv_epoch, uint8_t k_vault[32], struct err *err);

/* The one HFKP slot that exists for these inputs: ${before} is the K_vault of epoch ${kv_epoch} -
 * 1,
 * ${k_vault} that of ${kv_epoch}, at least 2.  Return 0 or as aead_seal(). */
int slot_hfkp_seal(const uint8_t vault_id[16], uint32_t kv_epoch, const uint8_t k_vault[32],
	const uint8_t before[32], uint8_t out[SLOT_HFKP_BYTES], struct err *err);
/* The epoch whose key opens it; 0 = no such slot. */
uint32_t slot_hfkp_epoch(const uint8_t slot[SLOT_HFKP_BYTES]);
/* Return 0, -ERR_AUTH (of another vault), -ERR_CORRUPT (also: not under this key) or
 * -ERR_UNSUPPORTED. */
int slot_hfkp_open(const uint8_t *slot, size_t len, const uint8_t vault_id[16],
	const uint8_t k_vault[32], uint8_t before[32], struct err *err);

/* The one HFKR slot that exists for these inputs: of ${root} all that is derived, but not the
 * recovery key itself.  Return 0 or as aead_seal(). */
int slot_hfkr_seal(const uint8_t vault_id[16], const uint8_t rk_sk[32],
	const struct keyring_root *root, uint8_t out[SLOT_HFKR_BYTES], struct err *err);
/* The rkid that a slot of this kind is for, or NULL; borrowed. */
const uint8_t *slot_hfkr_rkid(const uint8_t *slot, size_t len);
/* Fill ${root}, ${rk_sk} and its public key included.  Return 0, -ERR_AUTH (of another vault, or
 * for another recovery key), -ERR_CORRUPT or -ERR_UNSUPPORTED. */
int slot_hfkr_open(const uint8_t *slot, size_t len, const uint8_t vault_id[16],
	const uint8_t rk_sk[32], struct keyring_root *root, struct err *err);

#endif
