#include "agents/sources/look_ahead.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "agents/sources/file_meta.h"
#include "agents/sources/gentle_open.h"
#include "agents/sources/name_list.h"
#include "base/cleanup.h"
#include "base/env.h"
#include "base/err.h"
#include "base/lineup.h"
#include "tests/lib/walker.h"

DEFINE_CLEANUP(struct look_ahead *, look_ahead_free)

/*
 * The looks are faked: file "nNNNN" has the size NNNN, is not there when that is a multiple of 7,
 * and has two names when it is one of 11.  The caller may be held up in a look until the thread has
 * made some, and the thread until it is let go.
 */
#define DIRFD 77

static pthread_t caller;
static atomic_uint by_thread, by_caller, highest; /* looks; the last name */
static atomic_bool is_stopped, was_late, was_open_to_signals;
static unsigned wait_at, wait_until; /* the caller's look at this name waits for so many */
static bool is_held;
static sem_t looked, let_go;

static void count_of_thread(unsigned n)
{
	sigset_t blocked;
	(void)pthread_sigmask(SIG_SETMASK, NULL, &blocked);
	if (sigismember(&blocked, SIGTERM) != 1)
		was_open_to_signals = true;
	if (is_stopped)
		was_late = true;
	if (n > highest)
		highest = n;
	if (is_held)
		(void)sem_wait(&let_go);
	by_thread++;
	(void)sem_post(&looked);
}

static int look(int dirfd, const char *name, struct statx *out)
{
	unsigned n = (unsigned)strtoul(name + 1, NULL, 10);
	cr_assert(eq(int, dirfd, DIRFD));
	if (!pthread_equal(pthread_self(), caller)) {
		count_of_thread(n);
	} else {
		by_caller++;
		for (unsigned i = 0; n == wait_at && i < wait_until; i++)
			(void)sem_wait(&looked);
	}
	if (n % 7 == 0) {
		errno = n % 2 == 0 ? ENOENT : EACCES;
		return -1;
	}
	*out = (struct statx){ .stx_size = n, .stx_ino = n, .stx_nlink = n % 11 == 0 ? 2 : 1 };
	return 0;
}

static struct look_ahead *begin_with(look_ahead_fn fn)
{
	struct look_ahead *a = NULL;
	struct err err = ERR_INIT;
	caller = pthread_self();
	wait_at = UINT32_MAX;
	cr_assert(eq(int, sem_init(&looked, 0, 0), 0));
	cr_assert(eq(int, sem_init(&let_go, 0, 0), 0));
	cr_assert(eq(int, look_ahead_new(fn, &a, &err), 0));
	return a;
}

static struct look_ahead *begin(void)
{
	return begin_with(look);
}

/* Names of which every ${gap}-th is a directory; 0: none. */
static void fill(struct name_list *l, unsigned count, unsigned gap)
{
	enum { ROOM = 8 };
	*l = (struct name_list){
		.data = calloc(count, ROOM), .at = calloc(count, sizeof(*l->at)), .count = count
	};
	cr_assert(l->data != NULL && l->at != NULL);
	for (unsigned i = 0; i < count; i++) {
		char *at = l->data + (size_t)i * ROOM;
		at[0] = gap != 0 && i % gap == gap - 1 ? 4 : 8; /* DT_DIR, DT_REG */
		(void)snprintf(at + 1, ROOM - 1, "n%05u", i);
		l->at[i] = i * ROOM + 1;
	}
}

static void expect_look(struct look_ahead *a, const struct name_list *l, unsigned i)
{
	struct statx sx = { .stx_size = 99999 };
	errno = 0;
	(void)look_ahead_begin(a, DIRFD, l, i);
	int rc = look_ahead_at(a, i, &sx);
	cr_assert(eq(int, rc, i % 7 == 0 ? -1 : 0), "name %u", i);
	if (rc != 0)
		cr_assert(eq(int, errno, i % 2 == 0 ? ENOENT : EACCES), "name %u", i);
	else
		cr_assert(eq(uint, (unsigned)sx.stx_size, i));
}

TestSuite(look_ahead);

Test(look_ahead, every_look_says_what_one_of_our_own_would)
{
	CLEANUP(look_ahead_free_p) struct look_ahead *a = begin();
	static const unsigned gaps[] = { 0, 3, 17, 40, 300, 2000 };
	for (unsigned round = 0; round < 60; round++) {
		struct name_list l;
		unsigned gap = gaps[round % 6];
		unsigned step = 1 + round % 5; /* names left out */
		fill(&l, 3000, gap);
		is_stopped = false;
		for (unsigned i = round; i < l.count; i += step) {
			if (name_list_is_file(&l, i))
				expect_look(a, &l, i);
			else
				look_ahead_stop(a);
			if (round % 10 == 9 && i > 1500)
				break; /* the directory is left in the middle */
		}
		look_ahead_stop(a);
		is_stopped = true;
		name_list_done(&l);
	}
	look_ahead_stop(a);
	cr_expect(not(was_late), "nothing is looked at after a stop");
	cr_expect(not(was_open_to_signals));
	look_ahead_stop(NULL);
	look_ahead_free(NULL);
}

Test(look_ahead, the_thread_goes_ahead_so_far_and_no_farther)
{
	if (lineup_threads() < 2)
		cr_skip_test("one processor");
	CLEANUP(look_ahead_free_p) struct look_ahead *a = begin();
	CLEANUP(name_list_done) struct name_list l;
	fill(&l, 2000, 0);
	wait_at = 1;
	wait_until = LOOK_AHEAD_MAX - 1;
	expect_look(a, &l, 1); /* returns when that many were made */
	cr_expect(eq(uint, by_caller, 1));
	for (unsigned i = 2; i <= LOOK_AHEAD_MAX / 2; i++)
		expect_look(a, &l, i);
	cr_expect(eq(uint, by_caller, 1));
	look_ahead_stop(a);
	cr_expect(ge(uint, highest, LOOK_AHEAD_MAX));
	cr_expect(le(uint, highest, LOOK_AHEAD_MAX / 2 + LOOK_AHEAD_MAX - 1));
}

Test(look_ahead, a_file_that_was_read_under_another_name_is_looked_at_again)
{
	if (lineup_threads() < 2)
		cr_skip_test("one processor");
	CLEANUP(look_ahead_free_p) struct look_ahead *a = begin();
	CLEANUP(name_list_done) struct name_list l;
	fill(&l, LOOK_AHEAD_MAX, 0);
	wait_at = 1;
	wait_until = LOOK_AHEAD_MAX - 2;
	expect_look(a, &l, 1); /* all are looked at then */
	look_ahead_note_read(a, 22);
	look_ahead_note_read(a, 30);
	expect_look(a, &l, 11);
	cr_expect(eq(uint, by_caller, 1));
	expect_look(a, &l, 22);
	cr_expect(eq(uint, by_caller, 2));
	expect_look(a, &l, 30);
	expect_look(a, &l, 33);
	cr_expect(eq(uint, by_caller, 2), "of one name, and not read");
	for (unsigned i = 0; i < 100; i++)
		look_ahead_note_read(a, 1000 + i);
	expect_look(a, &l, 44);
	cr_expect(eq(uint, by_caller, 3), "what was read is remembered no more");
	expect_look(a, &l, 45);
	cr_expect(eq(uint, by_caller, 3));
}

Test(look_ahead, only_names_said_to_be_files_are_looked_at_and_only_when_there_are_some)
{
	if (lineup_threads() < 2)
		cr_skip_test("one processor");
	CLEANUP(look_ahead_free_p) struct look_ahead *a = begin();
	CLEANUP(name_list_done) struct name_list l;
	CLEANUP(name_list_done) struct name_list few;
	fill(&few, 1000, LOOK_AHEAD_MIN_RUN);
	for (unsigned i = 0; i < few.count; i++) {
		if (name_list_is_file(&few, i))
			expect_look(a, &few, i);
		else
			look_ahead_stop(a);
	}
	cr_expect(eq(uint, by_thread, 0));
	fill(&l, 1000, 100);
	wait_at = 5;
	wait_until = 99 - 6;
	expect_look(a, &l, 5);
	look_ahead_stop(a);
	cr_expect(eq(uint, by_thread, 99 - 6));
	cr_expect(eq(uint, highest, 98));
}

Test(look_ahead, a_thread_that_hangs_holds_nobody_up)
{
	if (lineup_threads() < 2)
		cr_skip_test("one processor");
	CLEANUP(look_ahead_free_p) struct look_ahead *a = begin();
	CLEANUP(name_list_done) struct name_list l;
	fill(&l, 1000, 0);
	is_held = true;
	for (unsigned i = 0; i < l.count; i++)
		expect_look(a, &l, i);
	cr_expect(eq(uint, by_thread, 0));
	cr_expect(eq(uint, by_caller, 1000));
	for (unsigned i = 0; i < 10; i++)
		(void)sem_post(&let_go);
	look_ahead_stop(a);
	cr_expect(le(uint, by_thread, 4), "what it had claimed");
}

/* ---- the next directory ---------------------------------------------------------------------- */

static int64_t clock_ns = 1;
static int first_fd;

static int64_t fake_mono(void)
{
	return clock_ns;
}

/* A real look, which tells when the thread is in the next directory. */
static int look_really(int dirfd, const char *name, struct statx *out)
{
	if (dirfd != first_fd && !pthread_equal(pthread_self(), caller))
		(void)sem_post(&looked);
	return file_meta_look(dirfd, name, out);
}

static void make_dir(const char *name, int files)
{
	char path[64];
	walker_make_dir(name);
	for (int i = 0; i < files; i++) {
		(void)snprintf(path, sizeof(path), "%s/n%05d", name, i);
		walker_put(path, name);
	}
}

struct two_dirs {
	struct env_ops ops;
	struct look_ahead *a;
	int top;
	struct name_list names;
	struct look_ahead_dir next;
};

/* "x" of 100 files and "next" of 50; the first is begun, the second read ahead. */
static void two_dirs_init(struct two_dirs *d)
{
	struct statx sx;
	*d = (struct two_dirs){ .ops = *env_real(), .a = begin_with(look_really) };
	d->ops.mono_ns = fake_mono;
	(void)env_swap(&d->ops);
	make_dir("x", 100);
	make_dir("next", 50);
	d->top = gentle_open_dir(-1, walker_now.dir);
	first_fd = gentle_open_dir(d->top, "x");
	cr_assert(ge(int, first_fd, 0));
	cr_assert(eq(int, name_list_read(&d->names, first_fd, NULL), 0));
	cr_assert(eq(sz, look_ahead_begin(d->a, first_fd, &d->names, 0), 100));
	cr_assert(eq(sz, look_ahead_begin(d->a, first_fd, &d->names, 1), 0), "it is told once");
	look_ahead_expect(d->a, d->top, "next");
	for (size_t i = 0; i < 100; i++)
		cr_assert(eq(int, look_ahead_at(d->a, i, &sx), 0));
	(void)sem_wait(&looked);
}

static void two_dirs_done(struct two_dirs *d)
{
	look_ahead_free(d->a);
	(void)env_swap(NULL);
	name_list_done(&d->names);
	close(first_fd);
	close(d->top);
}

TestSuite(look_ahead_dir, .init = walker_setup, .fini = walker_teardown);

Test(look_ahead_dir, the_next_one_is_read_and_looked_at_meanwhile)
{
	if (lineup_threads() < 2)
		WALKER_SKIP("one processor");
	struct two_dirs d;
	struct statx sx;
	two_dirs_init(&d);
	look_ahead_leave(d.a);
	cr_expect(not(look_ahead_take(d.a, d.top, "other", &d.next)));
	cr_expect(not(look_ahead_take(d.a, d.top + 1, "next", &d.next)));
	cr_assert(look_ahead_take(d.a, d.top, "next", &d.next));
	cr_expect(not(look_ahead_take(d.a, d.top, "next", &d.next)));
	cr_expect(eq(uint, d.next.sx.stx_mode & S_IFMT, S_IFDIR));
	cr_assert(eq(sz, d.next.names.count, 50));
	for (size_t i = 0; i < 50; i++) {
		size_t end = look_ahead_begin(d.a, d.next.fd, &d.next.names, i);
		cr_expect(eq(sz, end, i == 0 ? 50 : 0));
		cr_assert(eq(int, look_ahead_at(d.a, i, &sx), 0));
		cr_expect(eq(u64, sx.stx_size, 4));
	}
	look_ahead_leave(d.a);
	close(d.next.fd);
	name_list_done(&d.next.names);
	two_dirs_done(&d);
}

Test(look_ahead_dir, one_read_long_ago_is_not_given_nor_is_one_left_over)
{
	if (lineup_threads() < 2)
		WALKER_SKIP("one processor");
	struct two_dirs d;
	struct statx sx;
	two_dirs_init(&d);
	clock_ns += LOOK_AHEAD_DIR_MAX_MS * INT64_C(1000000);
	look_ahead_leave(d.a);
	clock_ns++;
	cr_expect(not(look_ahead_take(d.a, d.top, "next", &d.next)));
	/* what is left takes nothing for what was forgotten, at whatever place it lies */
	cr_assert(eq(sz, look_ahead_begin(d.a, first_fd, &d.names, 0), 100));
	for (size_t i = 0; i < 100; i++)
		cr_assert(eq(int, look_ahead_at(d.a, i, &sx), 0));
	cr_expect(not(look_ahead_take(d.a, d.top, "next", &d.next)));
	two_dirs_done(&d);
}

Test(look_ahead_dir, one_that_cannot_be_read_is_the_callers_to_read)
{
	if (lineup_threads() < 2)
		WALKER_SKIP("one processor");
	struct two_dirs d;
	struct statx sx;
	two_dirs_init(&d);
	cr_assert(look_ahead_take(d.a, d.top, "next", &d.next));
	cr_assert(eq(sz, look_ahead_begin(d.a, d.next.fd, &d.next.names, 0), 50));
	look_ahead_expect(d.a, d.top, "absent");
	for (size_t i = 0; i < 50; i++)
		cr_assert(eq(int, look_ahead_at(d.a, i, &sx), 0));
	look_ahead_leave(d.a);
	struct look_ahead_dir absent;
	cr_expect(not(look_ahead_take(d.a, d.top, "absent", &absent)));
	look_ahead_stop(d.a);
	close(d.next.fd);
	name_list_done(&d.next.names);
	two_dirs_done(&d);
}
