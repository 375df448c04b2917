#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <string.h>

#include "agents/seal_pool.h"
#include "base/err.h"
#include "tests/lib/vault_fixture.h"

#define JOBS 60

static struct seal_pool *start(unsigned workers)
{
	static const uint8_t k_mle[32] = { 3 };
	const struct seal_pool_opts opts = {
		.k_mle = k_mle, .check = RECORD_CHECK_FULL, .workers = workers
	};
	struct seal_pool *p = NULL;
	cr_assert(eq(int, seal_pool_new(&opts, &p, NULL), 0));
	return p;
}

static struct seal_job *job(struct seal_pool *p, const void *raw, size_t len)
{
	struct buf from = BUF_INIT(RECORD_MAX_RAW_BYTES);
	if (len > 0)
		cr_assert(eq(int, buf_add(&from, raw, len, NULL), 0));
	struct seal_job *j = seal_pool_job(p, &from, len);
	cr_assert(ne(ptr, j, NULL));
	cr_expect(eq(sz, from.len, 0));
	buf_done(&from);
	j->type = RECORD_DATA;
	j->class = RECORD_CLASS_STREAM;
	return j;
}

/* What one sealer alone makes of it. */
static void seal_alone(const uint8_t *raw, size_t len, struct ref *ref)
{
	static const uint8_t k_mle[32] = { 3 };
	struct record_sealer *s = NULL;
	struct buf cr = BUF_INIT(RECORD_MAX_WRITE_BYTES);
	cr_assert(eq(int, record_sealer_new(1, k_mle, RECORD_CHECK_FULL, &s, NULL), 0));
	cr_assert(eq(int,
		record_seal(s, RECORD_DATA, RECORD_CLASS_STREAM, raw, len, &cr, ref, NULL), 0));
	buf_done(&cr);
	record_sealer_free(s);
}

Test(seal_pool, records_come_back_in_order_and_as_one_sealer_makes_them)
{
	static uint8_t raw[JOBS][20000];
	for (unsigned workers = 1; workers <= 4; workers++) {
		struct seal_pool *p = start(workers);
		for (size_t i = 0; i < JOBS; i++) {
			size_t len = i % 7 == 0 ? sizeof(raw[i]) : i; /* some take far longer */
			vault_fixture_noise(raw[i], len, i);
			struct seal_job *j = job(p, raw[i], len);
			j->index = i;
			seal_pool_add(p, j);
		}
		for (size_t i = 0; i < JOBS; i++) {
			struct ref want;
			struct seal_job *j = seal_pool_take(p, true);
			cr_assert(ne(ptr, j, NULL));
			cr_assert(eq(u64, j->index, i));
			cr_assert(eq(int, j->rc, 0), "%s", j->err.msg);
			seal_alone(raw[i], j->raw.len, &want);
			cr_expect(eq(int, memcmp(&j->ref, &want, sizeof(want)), 0), "job %zu", i);
			seal_pool_drop(p, j);
		}
		cr_expect(seal_pool_is_empty(p));
		cr_expect(eq(ptr, seal_pool_take(p, true), NULL));
		seal_pool_free(p);
	}
}

Test(seal_pool, what_came_finished_waits_for_its_turn)
{
	static uint8_t raw[1u << 20];
	struct seal_pool *p = start(2);
	vault_fixture_noise(raw, sizeof(raw), 1);
	for (uint64_t i = 0; i < 20; i++) {
		struct seal_job *j = i % 3 == 0 ? job(p, raw, sizeof(raw)) : job(p, NULL, 0);
		j->index = i;
		if (i % 3 == 0)
			seal_pool_add(p, j);
		else
			seal_pool_add_finished(p, j);
	}
	for (uint64_t i = 0; i < 20; i++) {
		struct seal_job *j = seal_pool_take(p, true);
		cr_assert(eq(u64, j->index, i));
		cr_expect(eq(int, j->cr.len > 0, i % 3 == 0));
		seal_pool_drop(p, j);
	}
	seal_pool_free(p);
}

Test(seal_pool, it_is_full_by_bytes_but_takes_any_job_alone)
{
	static uint8_t raw[8u << 20];
	struct seal_pool *p = start(1);
	cr_expect(not(seal_pool_is_full(p, 64u << 20)));
	seal_pool_add(p, job(p, raw, sizeof(raw)));
	cr_expect(seal_pool_is_full(p, 1));
	seal_pool_drop(p, seal_pool_take(p, true));
	cr_expect(not(seal_pool_is_full(p, 1)));
	for (int i = 0; i < 1000000 && !seal_pool_is_full(p, 0); i++)
		seal_pool_add_finished(p, job(p, NULL, 0));
	cr_expect(seal_pool_is_full(p, 0), "references alone fill it, too");
	seal_pool_free(p);
}

Test(seal_pool, it_is_full_by_jobs_with_bytes_since_each_holds_memory_of_earlier_ones)
{
	static uint8_t raw[100];
	struct seal_pool *p = start(1);
	int count = 0;
	for (; count < 100 && !seal_pool_is_full(p, 1); count++)
		seal_pool_add(p, job(p, raw, sizeof(raw)));
	cr_expect(eq(int, count, 3));
	seal_pool_add_finished(p, job(p, NULL, 0));
	seal_pool_drop(p, seal_pool_take(p, true));
	cr_expect(not(seal_pool_is_full(p, 1)), "what has none does not count");
	seal_pool_free(p);
}

Test(seal_pool, a_spare_job_serves_the_next_and_keeps_no_long_one_s_bytes)
{
	static uint8_t raw[3u << 20];
	struct seal_pool *p = start(1);
	struct buf from = BUF_INIT(4u << 20);
	vault_fixture_noise(raw, sizeof(raw), 4);
	cr_assert(eq(int, buf_reserve(&from, 4u << 20, NULL), 0));
	cr_assert(eq(int, buf_add(&from, raw, sizeof(raw), NULL), 0));
	struct seal_job *j = seal_pool_job(p, &from, sizeof(raw));
	cr_assert(ne(ptr, j, NULL));
	j->type = RECORD_DATA;
	j->class = RECORD_CLASS_STREAM;
	seal_pool_add(p, j);
	j = seal_pool_take(p, true);
	const uint8_t *raw_was = j->raw.data, *cr_was = j->cr.data;
	seal_pool_drop(p, j);
	cr_assert(eq(int, buf_add(&from, raw, 1000, NULL), 0));
	j = seal_pool_job(p, &from, 1000);
	cr_assert(ne(ptr, j, NULL));
	cr_expect(eq(ptr, from.data, (uint8_t *)(uintptr_t)raw_was), "now it is filled");
	cr_expect(eq(ptr, j->cr.data, (uint8_t *)(uintptr_t)cr_was));
	cr_expect(ge(sz, from.cap, sizeof(raw)));
	cr_expect(eq(int, memcmp(from.data, raw, 1u << 20), 0));
	cr_expect(eq(int, from.data[2u << 20], 0), "this went back to the system");
	cr_expect(eq(int, j->cr.data[2u << 20], 0));
	seal_pool_drop(p, j);
	buf_done(&from);
	seal_pool_free(p);
}

Test(seal_pool, a_record_that_cannot_be_sealed_says_why_in_its_turn)
{
	static uint8_t raw[RECORD_MAX_WRITE_BYTES + 1];
	struct seal_pool *p = start(2);
	vault_fixture_noise(raw, sizeof(raw), 9); /* does not get shorter */
	seal_pool_add(p, job(p, raw, sizeof(raw)));
	seal_pool_add(p, job(p, raw, 100));
	struct seal_job *j = seal_pool_take(p, true);
	cr_expect(eq(int, j->rc, -ERR_LIMIT));
	cr_expect(eq(int, j->err.code, ERR_LIMIT));
	seal_pool_drop(p, j);
	j = seal_pool_take(p, true);
	cr_expect(eq(int, j->rc, 0));
	seal_pool_drop(p, j);
	seal_pool_free(p);
}

static void note_lost(void *arg, uint64_t index, const struct ref *ref)
{
	uint64_t *sum = arg;
	cr_expect(eq(ptr, (void *)(uintptr_t)ref, NULL));
	*sum += index;
}

Test(seal_pool, whoever_waits_is_told_when_it_ends_before)
{
	static uint8_t raw[1000];
	uint64_t sum = 0;
	struct seal_pool *p = start(3);
	for (uint64_t i = 1; i <= 10; i++) {
		struct seal_job *j = job(p, raw, sizeof(raw));
		j->fn = note_lost;
		j->arg = &sum;
		j->index = i;
		seal_pool_add(p, j);
	}
	seal_pool_free(p);
	cr_expect(eq(u64, sum, 55));
}
