#include "base/aside.h"

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/err.h"

/*
 * INVARIANTS
 * (1) fn is not NULL exactly from aside_begin() until the thread has done it; under lock.
 * (2) Without a thread fn is always NULL: work was done where it was begun.
 */

struct aside {
	pthread_mutex_t lock;
	pthread_cond_t changed; /* fn, or is_ending */
	void (*fn)(void *arg);
	void *arg;
	bool is_ending;
	pthread_t thread;
	bool has_thread;
	bool is_alone; /* there is no use in a thread, or none to be had */
};

static void *work(void *self)
{
	struct aside *a = self;
	(void)pthread_mutex_lock(&a->lock); /* fails for bad locks only, here and below */
	for (;;) {
		while (a->fn == NULL && !a->is_ending)
			(void)pthread_cond_wait(&a->changed, &a->lock); /* cannot fail */
		if (a->fn == NULL)
			break;
		(void)pthread_mutex_unlock(&a->lock);
		a->fn(a->arg);
		(void)pthread_mutex_lock(&a->lock);
		a->fn = NULL;
		(void)pthread_cond_broadcast(&a->changed); /* cannot fail */
	}
	(void)pthread_mutex_unlock(&a->lock);
	return NULL;
}

int aside_new(struct aside **out, struct err *err)
{
	struct aside *a = calloc(1, sizeof(*a));
	if (a == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	(void)pthread_mutex_init(&a->lock, NULL); /* default attributes: cannot fail */
	(void)pthread_cond_init(&a->changed, NULL);
	a->is_alone = sysconf(_SC_NPROCESSORS_ONLN) < 2;
	*out = a;
	return 0;
}

void aside_free(struct aside *a)
{
	if (a == NULL)
		return;
	if (a->has_thread) {
		(void)pthread_mutex_lock(&a->lock);
		a->is_ending = true;
		(void)pthread_cond_broadcast(&a->changed);
		(void)pthread_mutex_unlock(&a->lock);
		(void)pthread_join(a->thread, NULL); /* it was started once */
	}
	(void)pthread_cond_destroy(&a->changed);
	(void)pthread_mutex_destroy(&a->lock);
	free(a);
}

static void start(struct aside *a)
{
	sigset_t all, before;
	(void)sigfillset(&all);                          /* cannot fail, neither do the masks */
	(void)pthread_sigmask(SIG_BLOCK, &all, &before); /* signals are for the others */
	a->has_thread = pthread_create(&a->thread, NULL, work, a) == 0;
	a->is_alone = !a->has_thread;
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
}

void aside_begin(struct aside *a, void (*fn)(void *arg), void *arg)
{
	if (!a->has_thread && !a->is_alone)
		start(a);
	if (a->is_alone) {
		fn(arg);
		return;
	}
	aside_wait(a);
	(void)pthread_mutex_lock(&a->lock);
	a->fn = fn;
	a->arg = arg;
	(void)pthread_cond_broadcast(&a->changed);
	(void)pthread_mutex_unlock(&a->lock);
}

void aside_wait(struct aside *a)
{
	if (!a->has_thread)
		return;
	(void)pthread_mutex_lock(&a->lock);
	while (a->fn != NULL)
		(void)pthread_cond_wait(&a->changed, &a->lock); /* cannot fail */
	(void)pthread_mutex_unlock(&a->lock);
}
