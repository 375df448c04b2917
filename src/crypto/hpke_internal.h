/*
 * hpke_internal: the steps of hpke, apart, so that the intermediate values of RFC 9180's and
 * RFC 7748's vectors can be checked.  Nothing outside this room and its tests uses them.
 */
#ifndef CRYPTO_HPKE_INTERNAL_H
#define CRYPTO_HPKE_INTERNAL_H

#include "crypto/hpke.h"

#define HPKE_NONCE_BYTES 12
#define HPKE_AEAD_AES256GCM 0x0002

/* X25519(${sk}, ${pk}).  Return 0 or -ERR_CORRUPT (${pk} is of low order: the result would be 0).
 */
int hpke_dh(const uint8_t sk[HPKE_KEY_BYTES], const uint8_t pk[HPKE_KEY_BYTES],
	uint8_t out[HPKE_KEY_BYTES], struct err *err);

/* Encap with a given ephemeral key; stores the shared secret and enc.  Return as hpke_dh(). */
int hpke_encap(const uint8_t sk_e[HPKE_KEY_BYTES], const uint8_t pk_r[HPKE_KEY_BYTES],
	uint8_t shared[HPKE_KEY_BYTES], uint8_t enc[HPKE_KEY_BYTES], struct err *err);

/* Decap.  Return as hpke_dh(). */
int hpke_decap(const uint8_t sk_r[HPKE_KEY_BYTES], const uint8_t enc[HPKE_KEY_BYTES],
	uint8_t shared[HPKE_KEY_BYTES], struct err *err);

/* KeySchedule of base mode for ${aead_id}; key_len at most 32. */
void hpke_schedule(const uint8_t shared[HPKE_KEY_BYTES], const void *info, size_t info_len,
	uint16_t aead_id, uint8_t *key, size_t key_len, uint8_t nonce[HPKE_NONCE_BYTES]);

#endif
