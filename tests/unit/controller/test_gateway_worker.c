#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <pthread.h>
#include <stdatomic.h>

#include "base/err.h"
#include "controller/gateway_worker.h"
#include "net/loop.h"

struct note {
	struct gateway_task task; /* first */
	int number;
	pthread_t ran_on;
};

static struct loop *loop;
static struct gateway_home *home;
static pthread_t here;
static int order[100], done_count;
static atomic_int ran;
static int stop_at;

static void setup(void)
{
	struct err err = ERR_INIT;
	here = pthread_self();
	cr_assert(eq(int, loop_new(&loop, &err), 0), "%s", err.msg);
	cr_assert(eq(int, gateway_worker_home_new(loop, &home, &err), 0), "%s", err.msg);
}

static void teardown(void)
{
	gateway_worker_home_free(home);
	loop_free(loop);
}

TestSuite(gateway_worker, .init = setup, .fini = teardown);

static void run_note(struct gateway_task *t)
{
	struct note *n = (struct note *)t;
	n->ran_on = pthread_self();
	atomic_fetch_add(&ran, 1);
	if (n->number == 3)
		t->rc = err_set(&t->err, ERR_CORRUPT, "three");
}

static void done_note(struct gateway_task *t)
{
	struct note *n = (struct note *)t;
	cr_expect(pthread_equal(pthread_self(), here) != 0, "done() is the loop's");
	cr_expect(pthread_equal(n->ran_on, here) == 0, "run() is the worker's");
	cr_expect(eq(int, t->rc, n->number == 3 ? -ERR_CORRUPT : 0));
	order[done_count++] = n->number;
	free(n);
	if (done_count == stop_at)
		loop_stop(loop);
}

static void post(struct gateway_worker *w, int number)
{
	struct note *n = calloc(1, sizeof(*n));
	cr_assert(n != NULL);
	n->number = number;
	n->task.run = run_note;
	n->task.done = done_note;
	gateway_worker_post(w, &n->task);
}

Test(gateway_worker, tasks_run_in_order_on_a_thread_and_come_back_to_the_loop)
{
	struct gateway_worker *w = NULL;
	struct err err = ERR_INIT;
	cr_assert(eq(int, gateway_worker_new(home, &w, &err), 0), "%s", err.msg);
	for (int i = 0; i < 50; i++)
		post(w, i);
	stop_at = 50;
	cr_assert(eq(int, loop_run(loop, &err), 0));
	gateway_worker_free(w);
	for (int i = 0; i < 50; i++)
		cr_expect(eq(int, order[i], i));
}

Test(gateway_worker, what_is_queued_when_a_worker_is_freed_still_comes_back)
{
	struct gateway_worker *w = NULL;
	struct err err = ERR_INIT;
	cr_assert(eq(int, gateway_worker_new(home, &w, &err), 0), "%s", err.msg);
	for (int i = 0; i < 20; i++)
		post(w, i);
	gateway_worker_free(w);
	cr_expect(eq(int, atomic_load(&ran), 20));
	cr_expect(eq(int, done_count, 0));
	gateway_worker_home_drain(home);
	cr_expect(eq(int, done_count, 20));
}

Test(gateway_worker, a_home_can_be_freed_while_the_loop_still_holds_its_call)
{
	struct gateway_worker *w = NULL;
	struct err err = ERR_INIT;
	cr_assert(eq(int, gateway_worker_new(home, &w, &err), 0), "%s", err.msg);
	post(w, 1);
	gateway_worker_free(w);
	gateway_worker_home_free(home); /* drains; the post to the loop is still there */
	cr_expect(eq(int, done_count, 1));
	home = NULL;
	loop_stop(loop);
	(void)loop_run(loop, &err);
}
