#include "store/unix/store_unix.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "store/store.h"
#include "tests/lib/door_fixture.h"
#include "tests/lib/store_scratch.h"

/* What every driver does is asked by the contract; here what is this one's own. */

static struct door_fixture *door;
static struct store *s;
static struct err err;

static void setup(void)
{
	door = door_fixture_new(store_scratch_new(), NULL);
	cr_assert(eq(int, store_unix_open(door_fixture_path(door), false, &s, &err), 0), "%s",
		err.msg);
}

static void teardown(void)
{
	store_free(s);
	door_fixture_free(door);
	store_scratch_done();
}

TestSuite(store_unix, .init = setup, .fini = teardown, .timeout = 60);

Test(store_unix, nobody_at_the_door_is_unreachable_with_what_to_do)
{
	struct store *other = NULL;
	cr_expect(eq(int, store_unix_open("/tmp/holdfast-no-such-door", true, &other, &err),
		-ERR_UNREACHABLE));
	cr_expect(ne(ptr, strstr(err.hint, "vault serve"), NULL), "%s", err.hint);
	char path[300];
	memset(path, 'a', sizeof(path));
	path[sizeof(path) - 1] = '\0';
	cr_expect(eq(int, store_unix_open(path, true, &other, &err), -ERR_USAGE));
}

Test(store_unix, a_door_that_closes_is_told_and_not_waited_for)
{
	struct buf got = BUF_INIT(64);
	cr_assert(eq(int, store_put(s, "a", "1", 1, &err), 0));
	door_fixture_free(door);
	door = NULL;
	cr_expect(eq(int, store_barrier(s, &err), -ERR_UNREACHABLE));
	cr_expect(eq(int, store_get(s, "a", &got, &err), -ERR_UNREACHABLE));
	cr_expect(ne(ptr, strstr(err.msg, "is lost"), NULL), "%s", err.msg);
	buf_done(&got);
}

#define MANY 7000 /* more than one answer holds */

static int tally(void *arg, const char *name, uint64_t size)
{
	uint64_t found = 0;
	cr_expect(eq(u64, size, 1));
	if (*(int *)arg % 1000 == 0) /* who is told may ask for more */
		cr_expect(eq(int, store_stat(s, name, &found, &err), 0));
	++*(int *)arg;
	return 0;
}

Test(store_unix, a_long_list_is_whole_and_may_be_asked_within)
{
	int n = 0;
	for (int i = 0; i < MANY; i++) {
		char name[80];
		(void)snprintf(name, sizeof(name), "list/%060d", i);
		cr_assert(eq(int, store_put(s, name, "x", 1, &err), 0), "%s", err.msg);
	}
	cr_assert(eq(int, store_barrier(s, &err), 0), "%s", err.msg);
	cr_expect(eq(int, store_list(s, "list/", tally, &n, &err), 0), "%s", err.msg);
	cr_expect(eq(int, n, MANY));
}

static void *read_much(void *arg)
{
	struct buf got = BUF_INIT(1 << 20);
	const uint8_t want = *(uint8_t *)arg;
	struct err mine = ERR_INIT;
	bool is_right = true;
	for (int i = 0; i < 200; i++) {
		char name[8] = { (char)want };
		buf_clear(&got);
		is_right &= store_get_range(s, name, 1000, 70000, &got, &mine) == 0 &&
			    got.len == 70000 && got.data[0] == want && got.data[69999] == want;
	}
	buf_done(&got);
	return is_right ? NULL : arg;
}

Test(store_unix, several_threads_read_at_once)
{
	pthread_t threads[4];
	uint8_t letters[4] = { 'a', 'b', 'c', 'd' };
	char *data = malloc(100000);
	cr_assert(data != NULL);
	for (int i = 0; i < 4; i++) {
		char name[2] = { (char)letters[i], '\0' };
		memset(data, letters[i], 100000);
		cr_assert(eq(int, store_put(s, name, data, 100000, &err), 0));
	}
	cr_assert(eq(int, store_barrier(s, &err), 0));
	for (int i = 0; i < 4; i++)
		cr_assert(eq(int, pthread_create(&threads[i], NULL, read_much, &letters[i]), 0));
	for (int i = 0; i < 4; i++) {
		void *wrong = NULL;
		(void)pthread_join(threads[i], &wrong);
		cr_expect(eq(ptr, wrong, NULL));
	}
	free(data);
}
