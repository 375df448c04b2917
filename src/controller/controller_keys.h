/*
 * controller_keys: the controller's secrets on disk, and making them (docs/CONTROLLER.md
 * "Keys and files").  No file is touched here: bytes in, bytes out.  Who encodes or formats wipes
 * the buffer (buf_wipe), who decodes or parses wipes the struct or seed (secret_wipe).
 * controller.key (0600), 288 bytes:
 *   0 4 "HFCK"  4 1 version 1  5 3 reserved  8 16 vault_id  24 16 domain_id  40 16 gateway
 *   56 4 kv_epoch  60 4 reserved  64 32 K_vault  96 32 K_dom  128 32 RK public  160 32 officer
 * public 192 64 reserved  256 32 SHA-256 of all before Officer key file: one line
 * "holdfast-officer-key ed25519 <base64 of the seed>".
 */
#ifndef CONTROLLER_CONTROLLER_KEYS_H
#define CONTROLLER_CONTROLLER_KEYS_H

#include <stddef.h>
#include <stdint.h>

struct buf;
struct err;

#define CONTROLLER_KEYS_BYTES 288

struct controller_keys {
	uint8_t vault_id[16], domain_id[16], gateway[16];
	uint32_t kv_epoch;
	uint8_t k_vault[32], k_dom[32], rk_pk[32], officer_pk[32];
};
/* Append the file.  Return as buf_add(). */
int controller_keys_encode(const struct controller_keys *k, struct buf *out, struct err *err);
/* Return 0, -ERR_CORRUPT (checksum, form) or -ERR_UNSUPPORTED (version). */
int controller_keys_decode(
	const void *data, size_t len, struct controller_keys *out, struct err *err);

/* Append the line. */
int controller_keys_officer_format(const uint8_t seed[32], struct buf *out, struct err *err);
/* The line end may be missing.  Return 0 or -ERR_CORRUPT (never with a part of the key in it). */
int controller_keys_officer_parse(const void *data, size_t len, uint8_t seed[32], struct err *err);

#endif
