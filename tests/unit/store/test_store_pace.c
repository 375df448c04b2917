#include "store/store_pace.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/env.h"
#include "base/err.h"
#include "store/mem/store_mem.h"
#include "store/store.h"

#define MIB ((size_t)1 << 20)
#define MS INT64_C(1000000)

/* A clock that only rests move. */
static struct env_ops ops;
static int64_t mono_ns, slept_ms;
static bool is_over;
static struct store *s;
static struct err err;

static int64_t fake_mono(void)
{
	return mono_ns;
}

static void fake_sleep(unsigned ms)
{
	cr_assert(ge(uint, ms, 1));
	mono_ns += ms * MS;
	slept_ms += ms;
}

static bool is_stopped(void *arg)
{
	(void)arg;
	return is_over;
}

static void setup(void)
{
	struct store_mem *mem = NULL;
	ops = *env_real();
	ops.mono_ns = fake_mono;
	(void)env_swap(&ops);
	cr_assert(eq(int, store_mem_new(&mem, &err), 0));
	cr_assert(eq(int, store_new(&store_mem_driver, mem, NULL, &s, &err), 0));
}

static void teardown(void)
{
	store_free(s);
	(void)env_swap(NULL);
}

TestSuite(store_pace, .init = setup, .fini = teardown);

static void limit(int64_t up, int64_t down)
{
	const struct store_pace_opts opts = { .upload_bps = up,
		.download_bps = down,
		.is_stopped = is_stopped,
		.sleep_ms = fake_sleep };
	cr_assert(eq(int, store_pace_add(s, &opts, &err), 0), "%s", err.msg);
}

static void put(const char *name, size_t len)
{
	char *data = calloc(1, len);
	cr_assert(eq(int, store_put(s, name, data, len, &err), 0), "%s", err.msg);
	free(data);
}

static void near(int64_t got, int64_t want)
{
	cr_expect(ge(i64, got, want - 5 * want / 100));
	cr_expect(le(i64, got, want + 5 * want / 100));
}

Test(store_pace, what_is_put_takes_its_time_and_idle_time_is_no_credit)
{
	limit((int64_t)MIB, 0);
	put("a", 2 * MIB);
	near(slept_ms, 2000);
	mono_ns += 60000 * MS;         /* a minute of nothing */
	for (int i = 0; i < 64; i++) { /* small ones as large ones */
		char name[16];
		(void)snprintf(name, sizeof(name), "b%d", i);
		put(name, MIB / 16);
	}
	near(slept_ms, 6000);
	cr_assert(eq(int, store_barrier(s, &err), 0));
	near(slept_ms, 6000);
}

Test(store_pace, what_is_brought_takes_its_time_by_a_limit_of_its_own)
{
	struct buf got = BUF_INIT(8 * MIB);
	limit(0, (int64_t)(4 * MIB));
	put("a", 8 * MIB);
	cr_assert(eq(int, store_barrier(s, &err), 0));
	cr_expect(eq(i64, slept_ms, 0));
	cr_expect(eq(int, store_get(s, "a", &got, &err), 0));
	near(slept_ms, 2000);
	buf_clear(&got);
	for (int i = 0; i < 4; i++)
		cr_expect(eq(int, store_get_range(s, "a", i, MIB, &got, &err), 0));
	near(slept_ms, 3000);
	buf_done(&got);
}

Test(store_pace, the_time_that_the_store_itself_takes_counts)
{
	limit((int64_t)MIB, 0);
	ops.mono_ns = fake_mono;
	put("a", MIB); /* rests for a second; then the clock goes on by itself */
	const int64_t before = slept_ms;
	mono_ns += 400 * MS;
	put("b", MIB);
	near(slept_ms - before, 1000);
}

#define READERS 4
#define READS 50

static void *read_often(void *arg)
{
	(void)arg;
	struct buf out = BUF_INIT(MIB);
	for (int i = 0; i < READS; i++) {
		buf_clear(&out);
		cr_assert(eq(int, store_get_range(s, "a", 0, MIB / 16, &out, NULL), 0));
	}
	buf_done(&out);
	return NULL;
}

Test(store_pace, readers_on_several_threads_stand_in_one_line)
{
	pthread_t threads[READERS];
	limit(0, (int64_t)MIB);
	put("a", MIB);
	cr_assert(eq(int, store_barrier(s, &err), 0));
	is_over = true; /* nobody rests, and the clock stands still */
	for (int i = 0; i < READERS; i++)
		cr_assert(eq(int, pthread_create(&threads[i], NULL, read_often, NULL), 0));
	for (int i = 0; i < READERS; i++)
		(void)pthread_join(threads[i], NULL);
	cr_expect(eq(i64, slept_ms, 0));
	is_over = false;
	struct buf out = BUF_INIT(MIB);
	cr_expect(eq(int, store_get_range(s, "a", 0, MIB / 16, &out, &err), 0));
	buf_done(&out);
	near(slept_ms, 1000 * (READERS * READS + 1) / 16);
}

Test(store_pace, a_stop_ends_a_rest)
{
	limit(STORE_PACE_MIN_BPS, 0);
	is_over = true;
	put("a", 8 * MIB);
	cr_expect(eq(i64, slept_ms, 0));
}

Test(store_pace, limits_that_nobody_means_are_refused)
{
	struct store_pace_opts opts = { .upload_bps = STORE_PACE_MIN_BPS - 1 };
	cr_expect(eq(int, store_pace_add(s, &opts, &err), -ERR_USAGE));
	cr_expect(strstr(err.msg, "64KiB") != NULL, "%s", err.msg);
	opts = (struct store_pace_opts){ .download_bps = -1 };
	cr_expect(eq(int, store_pace_add(s, &opts, &err), -ERR_USAGE));
	opts = (struct store_pace_opts){ .download_bps = 0 };
	cr_expect(eq(int, store_pace_add(s, &opts, &err), 0));
}
