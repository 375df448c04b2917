#include "vault/fetch.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "crypto/hash.h"
#include "tests/lib/vault_fixture.h"
#include "vault/record_reader.h"

#define BIG_BYTES (5u << 20)

static struct vault_fixture f;
static uint8_t big[BIG_BYTES];
static struct fetch *fetch;
static struct fetch_footer footer;
static char pack[FETCH_PACK_NAME_BYTES];
static const uint8_t *ids[RECORD_RUN_MAX + 4];
static size_t count;

static int keep_largest(void *arg, const char *name, uint64_t size)
{
	uint64_t *most = arg;
	if (size > *most) {
		*most = size;
		(void)snprintf(pack, sizeof(pack), "%s", name);
	}
	return 0;
}

/* A pack of several records, and its places in the order in which they lie. */
static void setup(void)
{
	struct err err = ERR_INIT;
	struct backup_result r;
	struct index *index;
	uint8_t hash[HASH_BYTES];
	uint64_t size = 0;
	vault_fixture_init(&f);
	vault_fixture_noise(big, sizeof(big), 5);
	const struct fake_file file = {
		.path = "big", .kind = ENTRY_FILE, .data = big, .len = sizeof(big), .mtime_s = 1
	};
	cr_assert(eq(int, vault_fixture_backup(&f, &file, 1, &r, &err), 0), "%s", err.msg);
	vault_fixture_reopen(&f);
	cr_assert(eq(int, fetch_new(f.vault, &fetch, &err), 0));
	cr_assert(eq(int, fetch_index(fetch, &index, &err), 0));
	cr_assert(eq(int, store_list(f.store, "pk/", keep_largest, &size, &err), 0));
	for (size_t i = 0; i < HASH_BYTES; i++)
		cr_assert(eq(int, sscanf(pack + 6 + 2 * i, "%2hhx", &hash[i]), 1));
	cr_assert(eq(int, fetch_footer(f.vault, hash, size, &footer, &err), 0), "%s", err.msg);
	for (count = 0; count < footer.count && count < RECORD_RUN_MAX; count++)
		ids[count] = footer.at[count].id;
	cr_assert(ge(sz, count, 4));
}

static void teardown(void)
{
	fetch_footer_done(&footer);
	fetch_free(fetch);
	vault_fixture_done(&f);
}

TestSuite(fetch, .init = setup, .fini = teardown);

static uint64_t reads(void)
{
	return store_fault_count(f.fault, STORE_FAULT_GET_RANGE);
}

/* Each record of the run is what fetch_record() gives. */
static void expect_same(const struct record_run *run, const uint8_t *const *want)
{
	struct buf cr = BUF_INIT(RECORD_MAX_BYTES);
	for (size_t i = 0; i < run->count; i++) {
		const struct record_run_item *r = &run->at[i];
		buf_clear(&cr);
		cr_assert(eq(int, fetch_record(fetch, want[i], &cr, NULL), 0));
		cr_assert(eq(sz, cr.len, sizeof(r->header) + r->body_len));
		cr_expect(eq(int, memcmp(cr.data, r->header, sizeof(r->header)), 0));
		cr_expect(eq(int, memcmp(cr.data + sizeof(r->header), r->body, r->body_len), 0));
	}
	buf_done(&cr);
}

Test(fetch, records_side_by_side_come_with_one_read_within_a_bound)
{
	struct err err = ERR_INIT;
	struct record_run run = { .count = 0 };
	size_t got = 0, runs = 0;
	for (; got < count; got += run.count, runs++) {
		store_fault_reset(f.fault);
		cr_assert(eq(int, fetch_run(fetch, ids + got, count - got, false, &run, &err), 0),
			"%s", err.msg);
		cr_assert(ge(sz, run.count, 1));
		cr_expect(eq(u64, reads(), 1));
		cr_expect(run.count == 1 || run.span.len <= RECORD_RUN_BYTES);
		expect_same(&run, ids + got);
	}
	cr_expect(lt(sz, runs, count), "some came together");
	buf_done(&run.span);
}

Test(fetch, a_run_ends_where_the_next_record_does_not_follow)
{
	struct err err = ERR_INIT;
	struct record_run run = { .count = 0 };
	const uint8_t unknown[HASH_BYTES] = { 1 };
	const uint8_t *back[] = { ids[1], ids[0] };
	const uint8_t *strange[] = { ids[0], unknown, ids[1] };
	const uint8_t *far[] = { ids[0], ids[count - 1] };
	cr_assert(eq(int, fetch_run(fetch, back, 2, false, &run, &err), 0));
	cr_expect(eq(sz, run.count, 1));
	expect_same(&run, back);
	cr_assert(eq(int, fetch_run(fetch, strange, 3, false, &run, &err), 0));
	cr_expect(eq(sz, run.count, 1));
	cr_assert(eq(int, fetch_run(fetch, far, 2, false, &run, &err), 0));
	cr_expect(eq(sz, run.count, 1));
	cr_expect(eq(int, fetch_run(fetch, strange + 1, 2, false, &run, &err), -ERR_NOT_FOUND));
	cr_expect(eq(sz, run.count, 0));
	buf_done(&run.span);
}

Test(fetch, a_damaged_record_fails_its_run_unless_somebody_else_looks)
{
	struct err err = ERR_INIT;
	struct record_run run = { .count = 0 };
	const uint64_t bit = ((uint64_t)footer.at[1].offset + 9) * 8;
	cr_assert(eq(int, fetch_run(fetch, ids, 2, false, &run, &err), 0));
	const size_t together = run.count;
	cr_assert(eq(int, store_mem_flip(f.mem, pack, bit, &err), 0));
	const uint8_t *const *at = together == 2 ? ids : ids + 1;
	cr_expect(eq(int, fetch_run(fetch, at, 2, false, &run, &err), -ERR_CORRUPT));
	cr_expect(eq(sz, run.count, 0));
	cr_expect(eq(int, fetch_run(fetch, at, 2, true, &run, &err), 0));
	cr_expect(ge(sz, run.count, 1));
	buf_done(&run.span);
}
