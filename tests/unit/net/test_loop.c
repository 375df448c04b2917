#include "net/loop.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"

struct trace {
	struct loop *loop;
	struct loop_timer *timer;
	char text[64];
};

static void add(struct trace *t, char c)
{
	size_t len = strlen(t->text);
	t->text[len] = c;
	t->text[len + 1] = '\0';
}

static void stop(void *arg)
{
	struct trace *t = arg;
	add(t, 's');
	loop_stop(t->loop);
}
static void on_a(void *arg)
{
	add(arg, 'a');
}
static void on_b(void *arg)
{
	add(arg, 'b');
}
static void on_signal(void *arg)
{
	add(arg, 'g');
	stop(arg);
}

static void again(void *arg)
{
	struct trace *t = arg;
	add(t, 't');
	if (strlen(t->text) < 3)
		loop_timer_set(t->timer, 0);
	else
		loop_stop(t->loop);
}

static void *post_all(void *arg)
{
	struct trace *t = arg;
	cr_assert(eq(int, loop_post(t->loop, on_a, t, NULL), 0));
	cr_assert(eq(int, loop_post(t->loop, on_b, t, NULL), 0));
	cr_assert(eq(int, loop_post(t->loop, on_a, t, NULL), 0));
	cr_assert(eq(int, loop_post(t->loop, stop, t, NULL), 0));
	return NULL;
}

Test(loop, posts_of_another_thread_run_in_their_order)
{
	struct trace t = { .loop = NULL };
	struct err err = ERR_INIT;
	cr_assert(eq(int, loop_new(&t.loop, &err), 0));
	for (int i = 0; i < 2; i++) { /* and a loop can run again */
		t.text[0] = '\0';
		pthread_t thread;
		cr_assert(eq(int, pthread_create(&thread, NULL, post_all, &t), 0));
		cr_expect(eq(int, loop_run(t.loop, &err), 0));
		(void)pthread_join(thread, NULL);
		cr_expect(eq(str, t.text, "abas"));
	}
	loop_free(t.loop);
}

Test(loop, a_stop_before_the_run_counts_and_posts_that_did_not_run_are_dropped)
{
	struct trace t = { .loop = NULL };
	cr_assert(eq(int, loop_new(&t.loop, NULL), 0));
	loop_stop(t.loop);
	cr_assert(eq(int, loop_post(t.loop, on_a, &t, NULL), 0));
	cr_expect(eq(int, loop_run(t.loop, NULL), 0));
	cr_expect(eq(str, t.text, ""));
	loop_free(t.loop);
	cr_expect(eq(str, t.text, ""));
}

Test(loop, a_timer_fires_once_for_each_setting)
{
	struct trace t = { .loop = NULL };
	cr_assert(eq(int, loop_new(&t.loop, NULL), 0));
	cr_assert(eq(int, loop_timer_new(t.loop, again, &t, &t.timer, NULL), 0));
	struct loop_timer *never = NULL;
	cr_assert(eq(int, loop_timer_new(t.loop, on_a, &t, &never, NULL), 0));
	loop_timer_set(never, 0);
	loop_timer_set(never, -1);
	loop_timer_set(t.timer, 1);
	cr_expect(eq(int, loop_run(t.loop, NULL), 0));
	cr_expect(eq(str, t.text, "ttt"));
	loop_timer_free(never);
	loop_timer_free(t.timer);
	loop_free(t.loop);
}

Test(loop, a_signal_reaches_its_function)
{
	struct trace t = { .loop = NULL };
	cr_assert(eq(int, loop_new(&t.loop, NULL), 0));
	cr_assert(eq(int, loop_signal(t.loop, SIGUSR1, on_signal, &t, NULL), 0));
	cr_assert(eq(int, kill(getpid(), SIGUSR1), 0));
	cr_expect(eq(int, loop_run(t.loop, NULL), 0));
	cr_expect(eq(str, t.text, "gs"));
	loop_free(t.loop);
}

Test(loop, a_broken_pipe_is_an_error_and_no_signal)
{
	struct loop *l = NULL;
	cr_assert(eq(int, loop_new(&l, NULL), 0));
	int fds[2];
	cr_assert(eq(int, pipe(fds), 0));
	(void)close(fds[0]);
	cr_expect(eq(int, (int)write(fds[1], "x", 1), -1));
	(void)close(fds[1]);
	loop_free(l);
}
