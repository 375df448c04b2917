#include "controller/gateway_worker.h"

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "net/loop.h"

/*
 * INVARIANTS
 * (1) A task is in one place: a worker's queue, with a running run(), in the home's list, or with
 *     the loop in done().
 * (2) has_post: on_loop() is posted with the home and has not run; a home that is freed takes the
 *     post back.
 */

struct tasks {
	struct gateway_task *first;
	struct gateway_task **last;
};

struct gateway_home {
	struct loop *loop; /* borrowed */
	pthread_mutex_t lock;
	pthread_cond_t came;
	struct tasks finished;
	bool has_post; /* under lock, as finished */
};

struct gateway_worker {
	struct gateway_home *home; /* borrowed */
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t more;
	struct tasks queue;
	bool is_ending;
};

static void tasks_init(struct tasks *q)
{
	q->first = NULL;
	q->last = &q->first;
}

static void tasks_add(struct tasks *q, struct gateway_task *t)
{
	t->next = NULL;
	*q->last = t;
	q->last = &t->next;
}

static struct gateway_task *tasks_take(struct tasks *q)
{
	struct gateway_task *t = q->first;
	if (t == NULL)
		return NULL;
	q->first = t->next;
	if (q->first == NULL)
		q->last = &q->first;
	t->next = NULL;
	return t;
}

/* ---- the way back ---- */

int gateway_worker_home_new(struct loop *loop, struct gateway_home **out, struct err *err)
{
	struct gateway_home *h = calloc(1, sizeof(*h));
	if (h == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	h->loop = loop;
	(void)pthread_mutex_init(&h->lock, NULL); /* default attributes: cannot fail */
	(void)pthread_cond_init(&h->came, NULL);
	tasks_init(&h->finished);
	*out = h;
	return 0;
}

void gateway_worker_home_drain(struct gateway_home *h)
{
	for (;;) {
		(void)pthread_mutex_lock(&h->lock);
		struct gateway_task *t = tasks_take(&h->finished);
		(void)pthread_mutex_unlock(&h->lock);
		if (t == NULL)
			return;
		t->done(t);
	}
}

void gateway_worker_home_wait(struct gateway_home *h)
{
	(void)pthread_mutex_lock(&h->lock);
	while (h->finished.first == NULL)
		(void)pthread_cond_wait(&h->came, &h->lock);
	(void)pthread_mutex_unlock(&h->lock);
}

static void on_loop(void *arg)
{
	struct gateway_home *h = arg;
	(void)pthread_mutex_lock(&h->lock);
	h->has_post = false;
	(void)pthread_mutex_unlock(&h->lock);
	gateway_worker_home_drain(h);
}

void gateway_worker_home_free(struct gateway_home *h)
{
	if (h == NULL)
		return;
	gateway_worker_home_drain(h);
	loop_unpost(h->loop, on_loop, h);
	(void)pthread_cond_destroy(&h->came);
	(void)pthread_mutex_destroy(&h->lock);
	free(h);
}

/* On a worker's thread.  Without memory for a post the task waits for the next one. */
static void bring_home(struct gateway_home *h, struct gateway_task *t)
{
	(void)pthread_mutex_lock(&h->lock);
	tasks_add(&h->finished, t);
	(void)pthread_cond_signal(&h->came);
	if (!h->has_post)
		h->has_post = loop_post(h->loop, on_loop, h, NULL) == 0;
	(void)pthread_mutex_unlock(&h->lock);
}

/* ---- the thread ---- */

static struct gateway_task *wait_task(struct gateway_worker *w)
{
	(void)pthread_mutex_lock(&w->lock);
	while (w->queue.first == NULL && !w->is_ending)
		(void)pthread_cond_wait(&w->more, &w->lock);
	struct gateway_task *t = tasks_take(&w->queue);
	(void)pthread_mutex_unlock(&w->lock);
	return t;
}

static void *work(void *arg)
{
	struct gateway_worker *w = arg;
	for (;;) {
		struct gateway_task *t = wait_task(w);
		if (t == NULL)
			return NULL;
		t->run(t);
		bring_home(w->home, t);
	}
}

int gateway_worker_new(struct gateway_home *home, struct gateway_worker **out, struct err *err)
{
	struct gateway_worker *w = calloc(1, sizeof(*w));
	if (w == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	w->home = home;
	(void)pthread_mutex_init(&w->lock, NULL); /* default attributes: cannot fail */
	(void)pthread_cond_init(&w->more, NULL);
	tasks_init(&w->queue);
	/* signals are the loop's */
	sigset_t all, before;
	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);
	int failed = pthread_create(&w->thread, NULL, work, w);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (failed != 0) {
		(void)pthread_cond_destroy(&w->more);
		(void)pthread_mutex_destroy(&w->lock);
		free(w);
		return err_set(err, ERR_BUSY, "unable to start a thread");
	}
	*out = w;
	return 0;
}

void gateway_worker_post(struct gateway_worker *w, struct gateway_task *t)
{
	t->rc = 0;
	err_clear(&t->err);
	(void)pthread_mutex_lock(&w->lock);
	tasks_add(&w->queue, t);
	(void)pthread_cond_signal(&w->more);
	(void)pthread_mutex_unlock(&w->lock);
}

void gateway_worker_free(struct gateway_worker *w)
{
	if (w == NULL)
		return;
	(void)pthread_mutex_lock(&w->lock);
	w->is_ending = true;
	(void)pthread_cond_signal(&w->more);
	(void)pthread_mutex_unlock(&w->lock);
	(void)pthread_join(w->thread, NULL);
	(void)pthread_cond_destroy(&w->more);
	(void)pthread_mutex_destroy(&w->lock);
	free(w);
}
