#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <string.h>

#include "agents/uploader.h"
#include "base/err.h"
#include "crypto/hash.h"
#include "tests/lib/vault_fixture.h"

#define RECORDS 40
#define RAW_BYTES (512u << 10)

/* A port that has every record whose ID has a last byte of the parity ${has}; notes what comes. */
struct picky_port {
	struct port port;
	unsigned has; /* 2 = none */
	uint8_t got[RECORDS][32];
	size_t got_count, got_bytes, largest;
};

static int picky_has(
	void *self, const uint8_t (*ids)[32], size_t count, uint8_t *present, struct err *err)
{
	const struct picky_port *p = self;
	(void)err;
	for (size_t i = 0; i < count; i++)
		present[i] = (ids[i][31] & 1u) == p->has;
	return 0;
}

static int picky_put(void *self, const uint8_t *batch, size_t len, struct err *err)
{
	struct picky_port *p = self;
	p->got_bytes += len;
	p->largest = len > p->largest ? len : p->largest;
	while (len > 0) {
		uint32_t cr_len = 0;
		int suite, type;
		int rc = record_peek(batch, len, &cr_len, &suite, &type, err);
		if (rc != 0 || cr_len > len || p->got_count == RECORDS)
			return -ERR_CORRUPT;
		hash_sha256(batch, cr_len, p->got[p->got_count++]);
		batch += cr_len;
		len -= cr_len;
	}
	return 0;
}

static void upload(struct picky_port *p, struct ref refs[RECORDS], struct uploader_stats *stats)
{
	static const uint8_t k_mle[32] = { 1 };
	static uint8_t raw[RAW_BYTES];
	struct err err = ERR_INIT;
	struct uploader *u = NULL;
	p->port = (struct port){ .self = p, .has = picky_has, .put = picky_put };
	const struct uploader_opts opts = {
		.port = &p->port, .k_mle = k_mle, .check = RECORD_CHECK_FULL
	};
	cr_assert(eq(int, uploader_new(&opts, &u, &err), 0));
	const struct record_sink *sink = uploader_sink(u);
	for (size_t i = 0; i < RECORDS; i++) {
		size_t len = RAW_BYTES - i * 1000; /* no two of a length */
		vault_fixture_noise(raw, len, i + 1);
		int rc = sink->put(
			sink->self, RECORD_DATA, RECORD_CLASS_BUNDLE, raw, len, &refs[i], &err);
		cr_assert(eq(int, rc, 0), "%s", err.msg);
	}
	cr_assert(eq(int, uploader_flush(u, &err), 0), "%s", err.msg);
	uploader_get_stats(u, stats);
	uploader_free(u);
}

static void expect_what_lacks(unsigned has)
{
	static struct picky_port p;
	struct ref refs[RECORDS];
	struct uploader_stats stats;
	size_t at = 0, bytes = 0;
	p = (struct picky_port){ .has = has };
	upload(&p, refs, &stats);
	for (size_t i = 0; i < RECORDS; i++) {
		if ((refs[i].id[31] & 1u) == has)
			continue;
		cr_assert(lt(sz, at, p.got_count));
		cr_expect(eq(int, memcmp(p.got[at++], refs[i].id, 32), 0), "record %zu", i);
		bytes += refs[i].cr_len;
	}
	cr_expect(eq(sz, p.got_count, at));
	cr_expect(eq(sz, p.got_bytes, bytes));
	cr_expect(eq(u64, stats.sent.sent_records, at));
	cr_expect(eq(u64, stats.sent.sent_bytes, bytes));
	cr_expect(eq(u64, stats.sealed_records, RECORDS));
}

Test(uploader, sends_exactly_what_the_vault_lacks_whole_and_in_order)
{
	expect_what_lacks(0);
	expect_what_lacks(1);
	expect_what_lacks(2);
}

Test(uploader, a_batch_is_sent_when_it_is_long_enough)
{
	static struct picky_port p;
	struct ref refs[RECORDS];
	struct uploader_stats stats;
	p = (struct picky_port){ .has = 2 };
	upload(&p, refs, &stats);
	cr_expect(le(sz, p.largest, (4u << 20) + RAW_BYTES + 4096 * 16));
	cr_expect(gt(sz, p.largest, 2u << 20));
}
