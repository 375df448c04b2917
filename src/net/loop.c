#include "net/loop.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/thread.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "net/loop_internal.h"

/*
 * INVARIANTS
 * (1) `posts` and `posts_end` are touched under `lock` only; the list is taken whole before any of
 *     its functions runs, so a function may post again without running in the same turn.
 * (2) A stop is kept in `is_stopped` until loop_run() has seen it: a stop before the run counts.
 * (3) A peer that went away is an error of write(), never a signal.
 */

struct post {
	struct post *next;
	loop_fn fn;
	void *arg;
};

struct signal_watch {
	struct signal_watch *next;
	struct event *ev;
	loop_fn fn;
	void *arg;
};

struct loop {
	struct event_base *base;
	struct event *wake;
	struct signal_watch *signals;
	atomic_bool is_stopped;
	pthread_mutex_t lock;
	struct post *posts;
	struct post **posts_end;
};

struct loop_timer {
	struct event *ev;
	loop_fn fn;
	void *arg;
};

DEFINE_CLEANUP(struct loop *, loop_free)

static pthread_once_t threads_once = PTHREAD_ONCE_INIT;
static bool has_threads;

static void set_up_process(void)
{
	has_threads = evthread_use_pthreads() == 0;
	struct sigaction now;
	if (sigaction(SIGPIPE, NULL, &now) == 0 && now.sa_handler == SIG_DFL) {
		now.sa_handler = SIG_IGN;
		(void)sigaction(SIGPIPE, &now, NULL); /* cannot fail with a valid signal */
	}
}

static struct post *take_posts(struct loop *l)
{
	(void)pthread_mutex_lock(&l->lock); /* a plain mutex of ours: cannot fail */
	struct post *first = TAKE(l->posts);
	l->posts_end = &l->posts;
	(void)pthread_mutex_unlock(&l->lock); /* as above */
	return first;
}

static void on_wake(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	struct loop *l = arg;
	for (struct post *p = take_posts(l); p != NULL;) {
		struct post *next = p->next;
		p->fn(p->arg);
		free(p);
		p = next;
	}
	if (atomic_load(&l->is_stopped))
		(void)event_base_loopbreak(l->base); /* only fails without a base */
}

int loop_new(struct loop **out, struct err *err)
{
	(void)pthread_once(&threads_once, set_up_process); /* cannot fail */
	if (!has_threads)
		return err_set(err, ERR_NOMEM, "out of memory for the event loop");
	CLEANUP(loop_free_p) struct loop *l = calloc(1, sizeof(*l));
	if (l == NULL)
		return err_set(err, ERR_NOMEM, "out of memory for the event loop");
	(void)pthread_mutex_init(&l->lock, NULL); /* cannot fail on this platform */
	l->posts_end = &l->posts;
	l->base = event_base_new();
	if (l->base == NULL)
		return err_sys(err, ERR_IO, "unable to make an event loop");
	l->wake = event_new(l->base, -1, 0, on_wake, l);
	if (l->wake == NULL)
		return err_set(err, ERR_NOMEM, "out of memory for the event loop");
	*out = TAKE(l);
	return 0;
}

void loop_free(struct loop *l)
{
	if (l == NULL)
		return;
	for (struct post *p = take_posts(l); p != NULL;) {
		struct post *next = p->next;
		free(p);
		p = next;
	}
	while (l->signals != NULL) {
		struct signal_watch *w = l->signals;
		l->signals = w->next;
		event_free(w->ev);
		free(w);
	}
	if (l->wake != NULL)
		event_free(l->wake);
	if (l->base != NULL) {
		/* what was put off by connections that are gone holds them until it has its turn */
		(void)event_base_loop(l->base, EVLOOP_NONBLOCK); /* else they leak: at the end */
		event_base_free(l->base);
	}
	(void)pthread_mutex_destroy(&l->lock); /* nobody holds it */
	free(l);
}

struct event_base *loop_base(struct loop *l)
{
	return l->base;
}

int loop_run(struct loop *l, struct err *err)
{
	int rc = 0;
	while (rc >= 0 && !atomic_load(&l->is_stopped))
		rc = event_base_loop(l->base, EVLOOP_NO_EXIT_ON_EMPTY);
	atomic_store(&l->is_stopped, false);
	if (rc < 0)
		return err_set(err, ERR_IO, "the event loop failed");
	return 0;
}

void loop_stop(struct loop *l)
{
	atomic_store(&l->is_stopped, true);
	event_active(l->wake, EV_TIMEOUT, 0);
}

int loop_post(struct loop *l, loop_fn fn, void *arg, struct err *err)
{
	struct post *p = malloc(sizeof(*p));
	if (p == NULL)
		return err_set(err, ERR_NOMEM, "out of memory for the event loop");
	*p = (struct post){ .next = NULL, .fn = fn, .arg = arg };
	(void)pthread_mutex_lock(&l->lock); /* a plain mutex of ours: cannot fail */
	*l->posts_end = p;
	l->posts_end = &p->next;
	(void)pthread_mutex_unlock(&l->lock); /* as above */
	event_active(l->wake, EV_TIMEOUT, 0);
	return 0;
}

void loop_unpost(struct loop *l, loop_fn fn, const void *arg)
{
	(void)pthread_mutex_lock(&l->lock); /* as above */
	for (struct post **at = &l->posts; *at != NULL;) {
		struct post *p = *at;
		if (p->fn != fn || p->arg != arg) {
			at = &p->next;
			continue;
		}
		*at = p->next;
		if (l->posts_end == &p->next)
			l->posts_end = at;
		free(p);
	}
	(void)pthread_mutex_unlock(&l->lock); /* as above */
}

static void on_signal(evutil_socket_t sig, short what, void *arg)
{
	(void)sig;
	(void)what;
	struct signal_watch *w = arg;
	w->fn(w->arg);
}

int loop_signal(struct loop *l, int sig, loop_fn fn, void *arg, struct err *err)
{
	struct signal_watch *w = calloc(1, sizeof(*w));
	if (w == NULL)
		return err_set(err, ERR_NOMEM, "out of memory for the event loop");
	*w = (struct signal_watch){ .next = NULL, .ev = NULL, .fn = fn, .arg = arg };
	w->ev = evsignal_new(l->base, sig, on_signal, w);
	if (w->ev == NULL || event_add(w->ev, NULL) != 0) {
		if (w->ev != NULL)
			event_free(w->ev);
		free(w);
		return err_set(err, ERR_IO, "unable to watch for signal %d", sig);
	}
	w->next = l->signals;
	l->signals = w;
	return 0;
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	struct loop_timer *t = arg;
	t->fn(t->arg);
}

int loop_timer_new(struct loop *l, loop_fn fn, void *arg, struct loop_timer **out, struct err *err)
{
	struct loop_timer *t = calloc(1, sizeof(*t));
	if (t == NULL)
		return err_set(err, ERR_NOMEM, "out of memory for a timer");
	*t = (struct loop_timer){ .ev = NULL, .fn = fn, .arg = arg };
	t->ev = evtimer_new(l->base, on_timer, t);
	if (t->ev == NULL) {
		free(t);
		return err_set(err, ERR_NOMEM, "out of memory for a timer");
	}
	*out = t;
	return 0;
}

void loop_timer_set(struct loop_timer *t, int64_t ms)
{
	if (ms < 0) {
		(void)event_del(t->ev); /* fails only on an event that was never made */
		return;
	}
	struct timeval tv = { .tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000 };
	(void)event_add(t->ev, &tv); /* the heap of timers grew when the event was made */
}

void loop_timer_free(struct loop_timer *t)
{
	if (t == NULL)
		return;
	event_free(t->ev);
	free(t);
}
