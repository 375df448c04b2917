/*
 * vault_kat: the inputs of the known answers of docs/FORMAT.md section 15, and their objects as
 * bytes, for the tests of the vault's objects.
 */
#ifndef TESTS_LIB_VAULT_KAT_H
#define TESTS_LIB_VAULT_KAT_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "codec/text.h"
#include "crypto/hash.h"
#include "vault/sealed.h"

/* n bytes first, first + 1, ... */
static inline void vault_kat_range(uint8_t *out, uint8_t first, size_t n)
{
	for (size_t i = 0; i < n; i++)
		out[i] = (uint8_t)(first + i);
}

struct vault_kat {
	uint8_t k_dom[32], domain[16], agent[16], source[16];
	uint8_t ik_seed[32], rk_sk[32];
	uint8_t k_vault[32], vault_id[16], random[16];
	uint8_t k_mle[32];
	struct sealed_key key; /* epoch 1 */
};

static inline void vault_kat_init(struct vault_kat *k)
{
	vault_kat_range(k->k_dom, 0x00, 32);
	vault_kat_range(k->domain, 0x40, 16);
	vault_kat_range(k->agent, 0x50, 16);
	vault_kat_range(k->source, 0x60, 16);
	vault_kat_range(k->ik_seed, 0x80, 32);
	vault_kat_range(k->rk_sk, 0xc0, 32);
	vault_kat_range(k->k_vault, 0x20, 32);
	vault_kat_range(k->vault_id, 0x70, 16);
	vault_kat_range(k->random, 0xb0, 16);
	(void)text_unhex("a506856cfbab9bb3786f120a19e8693d9534960b08619515ca461e7a5e8ff978", 32,
		k->k_mle); /* a constant */
	sealed_key_init(&k->key, k->vault_id, 1, k->k_vault);
}

/* Hex of ${len} <= 128 bytes; the answer lies in a ring of four. */
static inline const char *vault_kat_hex(const void *data, size_t len)
{
	static char ring[4][257];
	static unsigned at;
	char *out = ring[at++ % 4];
	text_hex(data, len, out);
	return out;
}

static inline const char *vault_kat_sha(const void *data, size_t len)
{
	uint8_t digest[HASH_BYTES];
	hash_sha256(data, len, digest);
	return vault_kat_hex(digest, sizeof(digest));
}

/* The record of 12 raw bytes "hello, plant", and the start of its ref. */
#define VAULT_KAT_CHUNK_CR                                                                         \
	"48464331010100000000001849d871a8838b37c0db010f2c2f3d3c63d4ac5b96f647607017fa16d5537dc280" \
	"2f91d40d6fbee412"
#define VAULT_KAT_CHUNK_ID "8f12cf0aa00461086634416b7bb44af703fc869f1e636e3b807b106fc9566dee"
#define VAULT_KAT_CHUNK_KEY "f6a26bd3fae5615c3d4c5da0325a1e5741f92abc9e95f948c9493fe3dd698dca"
#define VAULT_KAT_ROOT_ID "491409fac122e82a58398531838f9b28287c1e1e8e11fc299c829e88cfa1c267"
#define VAULT_KAT_ROOT_KEY "08cb501d34960bdf2dd213a94916ef724c7d21df9f7f3d30b2feca903d273290"
#define VAULT_KAT_ROOT_LEN 0x94
#define VAULT_KAT_ROOT_RAW_LEN (32 + 72)
#define VAULT_KAT_CHUNK_LEN 52
#define VAULT_KAT_SNAP_HASH "33e4e94ec981a692c6138ad1ba727ac3a0607a8ee2f15f65caf3f89a2700d845"

#endif
