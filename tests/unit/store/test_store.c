#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "store/fault/store_fault.h"
#include "store/mem/store_mem.h"
#include "store/store.h"

static struct store *s;
static struct store_fault *fault;
static struct err err;
static unsigned sleeps;
static unsigned longest_ms;

static void count_sleep(unsigned ms)
{
	sleeps++;
	if (ms > longest_ms)
		longest_ms = ms;
}

static void setup(void)
{
	struct store_mem *mem = NULL;
	struct store_opts opts = { .retries = 3, .sleep_ms = count_sleep };
	cr_assert(eq(int, store_mem_new(&mem, &err), 0));
	cr_assert(eq(int, store_fault_new(&store_mem_driver, mem, &fault, &err), 0));
	cr_assert(eq(int, store_new(store_fault_driver(fault), fault, &opts, &s, &err), 0));
	cr_assert(eq(int, store_put(s, "a/b", "content", 7, &err), 0));
	cr_assert(eq(int, store_barrier(s, &err), 0));
	store_fault_reset(fault);
}

static void teardown(void)
{
	store_free(s);
}

TestSuite(store, .init = setup, .fini = teardown);

static int count_name(void *arg, const char *name, uint64_t size)
{
	(void)name;
	(void)size;
	int *count = arg;
	++*count;
	return 0;
}

Test(store, a_read_is_tried_again_and_the_error_is_forgotten)
{
	struct buf got = BUF_INIT(64);
	uint64_t size = 0;
	int count = 0;
	store_fault_fail(fault, STORE_FAULT_GET, 1, 3, ERR_IO);
	cr_expect(eq(int, store_get(s, "a/b", &got, &err), 0));
	cr_expect(eq(int, err.code, 0));
	store_fault_fail(fault, STORE_FAULT_GET_RANGE, 1, 3, ERR_UNREACHABLE);
	cr_expect(eq(int, store_get_range(s, "a/b", 1, 2, &got, &err), 0));
	store_fault_fail(fault, STORE_FAULT_STAT, 1, 3, ERR_BUSY);
	cr_expect(eq(int, store_stat(s, "a/b", &size, &err), 0));
	store_fault_fail(fault, STORE_FAULT_LIST, 1, 3, ERR_IO);
	cr_expect(eq(int, store_list(s, "", count_name, &count, &err), 0));

	cr_expect(eq(sz, got.len, (size_t)9));
	cr_expect(eq(u64, size, (uint64_t)7));
	cr_expect(eq(int, count, 1));
	cr_expect(eq(uint, sleeps, 12u));
	cr_expect(le(uint, longest_ms, 200u), "50, 100, 200 ms are the bounds of three waits");
	buf_done(&got);
}

Test(store, a_read_is_given_up_after_the_retries)
{
	struct buf got = BUF_INIT(64);
	store_fault_fail(fault, STORE_FAULT_GET, 1, 100, ERR_IO);

	cr_expect(eq(int, store_get(s, "a/b", &got, &err), -ERR_IO));
	cr_expect(eq(u64, store_fault_count(fault, STORE_FAULT_GET), (uint64_t)4));
	cr_expect(eq(str, err.msg, "unable to read object 'a/b': injected failure"));
	cr_expect(eq(sz, got.len, (size_t)0));
}

Test(store, what_waiting_cannot_cure_is_not_tried_again)
{
	static const enum err_code codes[] = { ERR_NOSPACE, ERR_NOMEM, ERR_INTERRUPTED, ERR_CORRUPT,
		ERR_NOT_FOUND, ERR_LIMIT };
	struct buf got = BUF_INIT(64);

	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
		store_fault_reset(fault);
		store_fault_fail(fault, STORE_FAULT_GET, 1, 1, codes[i]);
		cr_expect(eq(int, store_get(s, "a/b", &got, &err), -(int)codes[i]));
	}
	cr_expect(eq(uint, sleeps, 0u));
}

Test(store, writes_and_barriers_are_never_tried_again)
{
	store_fault_fail(fault, STORE_FAULT_PUT, 1, 1, ERR_IO);
	cr_expect(eq(int, store_put(s, "a/c", "x", 1, &err), -ERR_IO));
	store_fault_fail(fault, STORE_FAULT_REMOVE, 1, 1, ERR_IO);
	cr_expect(eq(int, store_remove(s, "a/b", &err), -ERR_IO));
	store_fault_fail(fault, STORE_FAULT_BARRIER, 1, 1, ERR_IO);
	cr_expect(eq(int, store_barrier(s, &err), -ERR_IO));

	cr_expect(eq(uint, sleeps, 0u));
	cr_expect(eq(u64, store_fault_count(fault, STORE_FAULT_ANY), (uint64_t)3));
}

Test(store, a_torn_read_leaves_the_buffer_as_it_was)
{
	struct buf got = BUF_INIT(64);
	cr_assert(eq(int, buf_add(&got, "before", 6, &err), 0));
	store_fault_tear(fault, STORE_FAULT_GET, 1, ERR_CORRUPT);
	cr_expect(eq(int, store_get(s, "a/b", &got, &err), -ERR_CORRUPT));
	store_fault_tear(fault, STORE_FAULT_GET_RANGE, 1, ERR_CORRUPT);
	cr_expect(eq(int, store_get_range(s, "a/b", 0, 7, &got, &err), -ERR_CORRUPT));
	cr_expect(eq(sz, got.len, (size_t)6));

	store_fault_reset(fault);
	store_fault_tear(fault, STORE_FAULT_GET, 1, ERR_IO);
	cr_expect(eq(int, store_get(s, "a/b", &got, &err), 0));
	cr_expect(eq(str, (char *)buf_cstr(&got), "beforecontent"));
	buf_done(&got);
}

Test(store, a_list_that_delivered_names_is_not_started_again)
{
	int count = 0;
	cr_assert(eq(int, store_put(s, "a/c", "x", 1, &err), 0));
	cr_assert(eq(int, store_barrier(s, &err), 0));
	store_fault_reset(fault);
	store_fault_tear(fault, STORE_FAULT_LIST, 1, ERR_IO);

	cr_expect(eq(int, store_list(s, "a/", count_name, &count, &err), -ERR_IO));
	cr_expect(eq(int, count, 1));
	cr_expect(eq(str, err.msg, "unable to list objects 'a/*': injected failure"));
	cr_expect(eq(uint, sleeps, 0u));
}

static int answer_io(void *arg, const char *name, uint64_t size)
{
	(void)name;
	(void)size;
	++*(int *)arg;
	return -ERR_IO;
}

Test(store, an_answer_of_the_list_callback_is_no_failure_of_the_store)
{
	int count = 0;
	err_clear(&err);
	cr_expect(eq(int, store_list(s, "", answer_io, &count, &err), -ERR_IO));
	cr_expect(eq(int, count, 1));
	cr_expect(eq(int, err.code, 0));
}

Test(store, whether_anything_is_below_a_prefix)
{
	bool is_there = false;
	cr_expect(eq(int, store_has_any(s, "a/", &is_there, &err), 0));
	cr_expect(is_there);
	cr_expect(eq(int, store_has_any(s, "b/", &is_there, &err), 0));
	cr_expect(not(is_there));
	is_there = true;
	store_fault_fail(fault, STORE_FAULT_LIST, 1, 100, ERR_IO);
	cr_expect(eq(int, store_has_any(s, "a/", &is_there, &err), -ERR_IO));
	cr_expect(is_there, "on failure as before");
}

Test(store, a_size_that_cannot_be_is_refused_before_the_driver_is_asked)
{
	struct buf got = BUF_INIT(64);
	size_t over = (size_t)STORE_MAX_OBJECT_BYTES + 1;

	cr_expect(eq(int, store_put(s, "a/c", "x", over, &err), -ERR_LIMIT));
	cr_expect(eq(int, store_get_range(s, "a/b", 0, over, &got, &err), -ERR_LIMIT));
	cr_expect(eq(int, store_get_range(s, "a/b", UINT64_MAX, 1, &got, &err), -ERR_LIMIT));
	cr_expect(eq(int, store_get_range(s, "a/b", 0, 65, &got, &err), -ERR_LIMIT));
	cr_expect(eq(u64, store_fault_count(fault, STORE_FAULT_ANY), (uint64_t)0));
}

Test(store, a_bad_name_is_shown_without_its_control_characters)
{
	cr_expect(eq(int, store_put(s, "a\x1b[2J", "x", 1, &err), -ERR_USAGE));
	cr_expect(eq(str, err.msg, "'a\\x1b[2J' is not an object name"));
	cr_expect(eq(int, store_put(s, NULL, "x", 1, &err), -ERR_USAGE));
}

Test(store, features_and_name_are_the_drivers)
{
	cr_expect(eq(uint, store_features(s), store_mem_driver.features));
	cr_expect(eq(str, (char *)store_driver_name(s), "fault"));
	cr_expect(eq(int, store_is_read_only(s), 0));
	store_free(NULL);
}

static bool is_stopped_now;

static bool ask_stop(void *arg)
{
	++*(int *)arg;
	return is_stopped_now;
}

static int count_names(void *arg, const char *name, uint64_t size)
{
	(void)name;
	(void)size;
	++*(int *)arg;
	return 0;
}

Test(store, begins_no_operation_once_it_is_told_to_stop)
{
	err_clear(&err);
	struct store_mem *mem = NULL;
	struct store *mine = NULL;
	CLEANUP(buf_done) struct buf out = BUF_INIT(100);
	int asked = 0, names = 0;
	uint64_t size;
	cr_assert(eq(int, store_mem_new(&mem, &err), 0));
	cr_assert(eq(int, store_new(&store_mem_driver, mem, NULL, &mine, &err), 0));
	store_stop_when(mine, ask_stop, &asked);
	cr_assert(eq(int, store_put(mine, "a/b", "x", 1, &err), 0));
	cr_assert(eq(int, store_barrier(mine, &err), 0));
	cr_expect(eq(int, asked, 2));
	is_stopped_now = true;
	cr_expect(eq(int, store_put(mine, "a/c", "x", 1, &err), -ERR_INTERRUPTED));
	cr_expect(eq(int, store_get(mine, "a/b", &out, NULL), -ERR_INTERRUPTED));
	cr_expect(eq(int, store_get_range(mine, "a/b", 0, 1, &out, NULL), -ERR_INTERRUPTED));
	cr_expect(eq(int, store_stat(mine, "a/b", &size, NULL), -ERR_INTERRUPTED));
	cr_expect(eq(int, store_remove(mine, "a/b", NULL), -ERR_INTERRUPTED));
	cr_expect(eq(int, store_barrier(mine, NULL), -ERR_INTERRUPTED));
	cr_expect(eq(int, store_list(mine, "a/", count_names, &names, NULL), -ERR_INTERRUPTED));
	is_stopped_now = false;
	cr_expect(eq(int, store_list(mine, "a/", count_names, &names, NULL), 0));
	cr_expect(eq(int, names, 1));
	store_free(mine);
}

static int count_facts(void *arg, const char *name, const char *value)
{
	cr_expect(ne(str, (char *)name, (char *)value));
	++*(int *)arg;
	return 0;
}

Test(store, a_driver_that_can_keep_nothing_says_so_and_knows_no_facts)
{
	struct store_opts reading = { .is_read_only = true };
	struct store_mem *mem = NULL;
	struct store *mine = NULL;
	bool is_kept = true;
	int facts = 0;
	cr_assert(eq(int, store_mem_new(&mem, &err), 0));
	cr_assert(eq(int, store_new(&store_mem_driver, mem, NULL, &mine, &err), 0));
	cr_expect(eq(int, store_facts(mine, count_facts, &facts), 0));
	cr_expect(eq(int, store_prove(mine, count_facts, &facts, &is_kept, &err), 0));
	cr_expect(eq(int, facts, 0));
	cr_expect(not(is_kept));
	store_free(mine);
	cr_assert(eq(int, store_mem_new(&mem, &err), 0));
	cr_assert(eq(int, store_new(&store_mem_driver, mem, &reading, &mine, &err), 0));
	is_kept = true;
	cr_expect(eq(int, store_prove(mine, count_facts, &facts, &is_kept, &err), -ERR_READONLY));
	cr_expect(is_kept);
	store_free(mine);
}
