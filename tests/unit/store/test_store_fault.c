#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>

#include "base/buf.h"
#include "base/err.h"
#include "store/fault/store_fault.h"
#include "store/mem/store_mem.h"

static struct store_fault *f;
static const struct store_driver *d;
static struct err err;
static struct buf got = BUF_INIT(4096);

static void setup(void)
{
	struct store_mem *mem = NULL;
	cr_assert(eq(int, store_mem_new(&mem, &err), 0));
	cr_assert(eq(int, store_fault_new(&store_mem_driver, mem, &f, &err), 0));
	d = store_fault_driver(f);
}

static void teardown(void)
{
	d->free(f);
	buf_done(&got);
}

TestSuite(store_fault, .init = setup, .fini = teardown);

static int put(const char *name, const char *text)
{
	return d->put(f, name, text, strlen(text), &err);
}

static int spell(void *arg, const char *name, uint64_t size)
{
	(void)arg;
	(void)size;
	return buf_addf(&got, &err, "%s ", name);
}

/* The names as delivered, each followed by a blank; borrowed until the next call. */
static char *listed(void)
{
	buf_clear(&got);
	cr_expect(eq(int, d->list(f, "", spell, NULL, &err), 0));
	return (char *)buf_cstr(&got);
}

Test(store_fault, each_verb_is_counted_until_the_reset)
{
	uint64_t size = 0;
	(void)put("a", "1");
	(void)put("b", "2");
	(void)d->barrier(f, &err);
	(void)d->get(f, "a", &got, &err);
	(void)d->get_range(f, "a", 0, 1, &got, &err);
	(void)d->stat(f, "a", &size, &err);
	(void)d->remove(f, "a", &err);
	(void)listed();

	cr_expect(eq(u64, store_fault_count(f, STORE_FAULT_PUT), (uint64_t)2));
	for (int v = STORE_FAULT_GET; v <= STORE_FAULT_BARRIER; v++)
		cr_expect(eq(u64, store_fault_count(f, (enum store_fault_verb)v), (uint64_t)1));
	cr_expect(eq(u64, store_fault_count(f, STORE_FAULT_ANY), (uint64_t)8));
	store_fault_reset(f);
	cr_expect(eq(u64, store_fault_count(f, STORE_FAULT_ANY), (uint64_t)0));
}

Test(store_fault, a_driver_without_versions_stays_one)
{
	cr_expect(eq(ptr, (void *)(uintptr_t)d->versions, NULL));
	cr_expect(eq(ptr, (void *)(uintptr_t)d->extend, NULL));
	cr_expect(eq(u64, store_fault_count(f, STORE_FAULT_VERSION), (uint64_t)0));
}

Test(store_fault, only_the_chosen_operations_fail)
{
	store_fault_fail(f, STORE_FAULT_PUT, 2, 2, ERR_NOSPACE);

	cr_expect(eq(int, put("a", "1"), 0));
	cr_expect(eq(int, put("b", "2"), -ERR_NOSPACE));
	cr_expect(eq(int, put("c", "3"), -ERR_NOSPACE));
	cr_expect(eq(int, put("d", "4"), 0));
	cr_expect(eq(int, d->barrier(f, &err), 0));
	cr_expect(eq(str, listed(), "a d "));
}

Test(store_fault, after_a_crash_everything_fails_until_the_reset)
{
	uint64_t size = 0;
	cr_assert(eq(int, put("a", "1"), 0));
	store_fault_crash(f, 2);

	cr_expect(eq(int, put("b", "2"), -ERR_IO));
	cr_expect(eq(int, d->barrier(f, &err), -ERR_IO));
	cr_expect(eq(int, d->stat(f, "a", &size, &err), -ERR_IO));
	cr_expect(eq(int, d->remove(f, "a", &err), -ERR_IO));
	cr_expect(eq(str, err.msg, "injected crash"));
	store_fault_reset(f);
	cr_expect(eq(int, d->barrier(f, &err), 0));
	cr_expect(eq(str, listed(), ""));
}

Test(store_fault, a_torn_put_neither_stays_nor_hurts_what_is_there)
{
	cr_assert(eq(int, put("a", "visible"), 0));
	cr_assert(eq(int, d->barrier(f, &err), 0));
	cr_assert(eq(int, put("b", "staged"), 0));
	const char *names[] = { "a", "b", "c" };
	for (uint64_t i = 0; i < 3; i++) {
		store_fault_tear(f, STORE_FAULT_PUT, 3 + i, ERR_IO);
		cr_expect(eq(int, put(names[i], "torn content"), -ERR_IO));
	}

	cr_expect(eq(int, d->barrier(f, &err), 0));
	cr_expect(eq(str, listed(), "a b "));
}

Test(store_fault, a_list_is_reordered_by_seed_and_complete)
{
	char name[16];
	for (unsigned i = 0; i < 8; i++) {
		(void)snprintf(name, sizeof(name), "%u", i);
		cr_assert(eq(int, put(name, "x"), 0));
	}
	cr_assert(eq(int, d->barrier(f, &err), 0));
	char first[64];
	store_fault_shuffle(f, 1);
	(void)snprintf(first, sizeof(first), "%s", listed());

	cr_expect(eq(sz, strlen(first), (size_t)16));
	cr_expect(ne(str, first, "0 1 2 3 4 5 6 7 "));
	for (char c = '0'; c < '8'; c++)
		cr_expect(ne(ptr, strchr(first, c), NULL));
	cr_expect(eq(str, listed(), first), "the same seed gives the same order");
	store_fault_shuffle(f, 2);
	cr_expect(ne(str, listed(), first));
	store_fault_shuffle(f, 0);
	cr_expect(eq(str, listed(), "0 1 2 3 4 5 6 7 "));
}

Test(store_fault, a_delayed_object_appears_after_some_operations)
{
	uint64_t size = 0;
	cr_assert(eq(int, put("old", "1"), 0));
	cr_assert(eq(int, d->barrier(f, &err), 0));
	store_fault_reset(f);
	store_fault_delay(f, 4);
	cr_assert(eq(int, put("new", "2"), 0));
	cr_assert(eq(int, d->barrier(f, &err), 0));

	cr_expect(eq(int, d->stat(f, "new", &size, &err), -ERR_NOT_FOUND));
	cr_expect(eq(int, d->get(f, "new", &got, &err), -ERR_NOT_FOUND));
	cr_expect(eq(int, d->get_range(f, "new", 0, 1, &got, &err), -ERR_NOT_FOUND));
	cr_expect(eq(str, listed(), "old "));
	cr_expect(eq(str, listed(), "new old "));
	cr_expect(eq(int, d->stat(f, "new", &size, &err), 0));
}
