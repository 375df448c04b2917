/*
 * fuzz_parity: the trailer of a parity object, its SHA-256 made right here (docs/FORMAT.md section
 * 10.3).  The input is the trailer without its tail.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/err.h"
#include "codec/text.h"
#include "crypto/hash.h"
#include "fuzz/fuzz.h"
#include "vault/parity.h"

/* The input with the tail it needs; ended by the caller. */
static void complete(const uint8_t *data, size_t len, struct buf *out)
{
	struct err err = ERR_INIT;
	uint8_t hash[HASH_BYTES];
	hash_sha256(data, len, hash);
	FUZZ_CHECK(buf_add(out, data, len, &err) == 0);
	FUZZ_CHECK(buf_add(out, hash, sizeof(hash), &err) == 0);
	FUZZ_CHECK(buf_add32(out, (uint32_t)(len + PARITY_TAIL_BYTES), &err) == 0);
	FUZZ_CHECK(buf_add(out, "HFPARI01", 8, &err) == 0);
}

static void run(const uint8_t *data, size_t len)
{
	struct buf trailer = BUF_INIT(FUZZ_MAX_BYTES + PARITY_TAIL_BYTES);
	struct buf again = BUF_INIT(FUZZ_MAX_BYTES + PARITY_TAIL_BYTES);
	struct err err = ERR_INIT;
	struct parity p;
	size_t need = 0;
	complete(data, len, &trailer);
	uint32_t told = len < 16 ? 0 : bytes_get32(data + 12);
	int rc = parity_decode(trailer.data, trailer.len, (uint64_t)told + trailer.len, &p, &err);
	fuzz_verdict(rc, &err);
	if (rc == 0) {
		FUZZ_CHECK(parity_encode(&p, &again, &err) == 0);
		FUZZ_CHECK(again.len == trailer.len &&
			   memcmp(again.data, trailer.data, again.len) == 0);
		for (size_t i = 0; i < p.count; i++)
			FUZZ_CHECK(parity_is_member(p.at[i].name, NULL, NULL));
	}
	/* and as it is: with a hash that does not fit it is never taken */
	err_clear(&err);
	if (len >= PARITY_TAIL_BYTES)
		fuzz_verdict(parity_need(data + len - PARITY_TAIL_BYTES, &need, &err), &err);
	err_clear(&err);
	rc = parity_decode(data, len, len, &p, &err);
	FUZZ_CHECK(rc != 0);
	fuzz_verdict(rc, &err);
	buf_done(&trailer);
	buf_done(&again);
}

static void seed(unsigned rows, enum parity_class class, const char *const *before, size_t count)
{
	struct parity p = { .row = (uint8_t)(rows - 1),
		.rows = (uint8_t)rows,
		.class = (uint8_t) class };
	struct buf out = BUF_INIT(FUZZ_MAX_BYTES);
	struct err err = ERR_INIT;
	uint8_t hashes[64 * HASH_BYTES];
	for (size_t i = 0; i < count; i++) {
		struct parity_member *m = &p.at[p.count];
		uint8_t hash[HASH_BYTES];
		char hex[2 * HASH_BYTES + 1];
		fuzz_fill(hash, sizeof(hash), (uint8_t)(i * 17 + 1));
		text_hex(hash, sizeof(hash), hex);
		if (class == PARITY_OTHERS)
			(void)snprintf(m->name, sizeof(m->name), "%s%s", before[i], hex);
		else
			(void)snprintf(m->name, sizeof(m->name), "%s%.2s/%s", before[i], hex, hex);
		m->len = (uint32_t)(4096 + i * 70000);
		m->slot = (uint8_t)(p.count++ * 3);
	}
	parity_settle(&p);
	fuzz_fill(hashes, sizeof(hashes), 5);
	FUZZ_CHECK(parity_hash_count(&p) <= 64);
	p.hashes = hashes;
	FUZZ_CHECK(parity_encode(&p, &out, &err) == 0);
	fuzz_seed(out.data, out.len - PARITY_TAIL_BYTES);
	buf_done(&out);
}

static void seeds(void)
{
	static const char *const packs[] = { "pk/", "pk/", "pk/" };
	static const char *const others[] = { "vh/00000001-", "ks/", "sn/0123456789ab-", "ev/" };
	seed(1, PARITY_DATA, packs, 1);
	seed(2, PARITY_METADATA, packs, 3);
	seed(2, PARITY_OTHERS, others, 4);
}

const struct fuzz_target fuzz_parity = { "parity", run, seeds };
