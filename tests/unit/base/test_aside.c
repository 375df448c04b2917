#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

#include "base/aside.h"
#include "base/err.h"

TestSuite(aside);

struct sum {
	const unsigned char *data;
	size_t len;
	unsigned long total;
	sigset_t blocked;
};

static void add(void *arg)
{
	struct sum *s = arg;
	for (size_t i = 0; i < s->len; i++)
		s->total += s->data[i];
	(void)pthread_sigmask(SIG_SETMASK, NULL, &s->blocked);
}

Test(aside, what_was_begun_is_done_when_the_wait_returns_each_time)
{
	struct err err = ERR_INIT;
	struct aside *a = NULL;
	unsigned char data[4096];
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (unsigned char)i;
	cr_assert(eq(int, aside_new(&a, &err), 0));
	aside_wait(a); /* nothing was begun */
	struct sum s = { .data = data, .len = sizeof(data) };
	for (unsigned long round = 1; round <= 1000; round++) {
		aside_begin(a, add, &s);
		if (round % 3 != 0) /* else the next begin waits */
			aside_wait(a);
		if (round % 3 != 0)
			cr_assert(eq(ulong, s.total, round * 4096 / 256 * (255 * 128)));
	}
	aside_free(a);
	cr_expect(eq(ulong, s.total, 1000ul * 4096 / 256 * (255 * 128)));
	aside_free(NULL);
}

Test(aside, free_waits_for_the_work_and_one_that_never_worked_ends)
{
	struct err err = ERR_INIT;
	struct aside *a = NULL;
	struct aside *idle = NULL;
	const size_t len = 1u << 22;
	unsigned char *data = calloc(1, len);
	cr_assert(data != NULL);
	data[len - 1] = 7;
	struct sum s = { .data = data, .len = len };
	cr_assert(eq(int, aside_new(&a, &err), 0));
	cr_assert(eq(int, aside_new(&idle, &err), 0));
	aside_begin(a, add, &s);
	aside_free(a);
	cr_expect(eq(ulong, s.total, 7));
	aside_free(idle);
	free(data);
}
