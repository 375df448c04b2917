/*
 * ref: how one record is named and opened (docs/FORMAT.md section 3): 72 bytes.
 * A ref opens content: it is a secret, and never leaves sealed places.
 */
#ifndef VAULT_REF_H
#define VAULT_REF_H

#include <stdint.h>
#include <string.h>

#include "base/bytes.h"

#define REF_BYTES 72
#define REF_ID_BYTES 32

struct ref {
	uint8_t id[REF_ID_BYTES]; /* SHA-256 of the whole record */
	uint8_t key[32];          /* K_c */
	uint32_t raw_len;         /* bytes after decompression */
	uint32_t cr_len;          /* bytes of the record, header and tag included */
};

static inline void ref_encode(const struct ref *ref, uint8_t out[REF_BYTES])
{
	memcpy(out, ref->id, 32);
	memcpy(out + 32, ref->key, 32);
	bytes_put32(out + 64, ref->raw_len);
	bytes_put32(out + 68, ref->cr_len);
}

static inline void ref_decode(const uint8_t in[REF_BYTES], struct ref *ref)
{
	memcpy(ref->id, in, 32);
	memcpy(ref->key, in + 32, 32);
	ref->raw_len = bytes_get32(in + 64);
	ref->cr_len = bytes_get32(in + 68);
}

#endif
