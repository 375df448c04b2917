#include "base/lineup.h"

#include <assert.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/err.h"

/*
 * INVARIANTS
 * (1) places[first .. first + count) modulo the size are given and not taken, in that order; of
 *     them the first begun_count were begun by some thread.
 * (2) first and count change on the caller's thread alone, under lock; begun_count and is_done
 * under lock.
 */

struct place {
	void *piece;
	bool is_done;
};

struct worker {
	struct lineup *lineup;
	unsigned number;
	pthread_t thread;
};

struct lineup {
	void (*fn)(void *piece, unsigned worker);
	struct place places[LINEUP_MAX_PLACES];
	size_t size, first, count, begun_count;
	bool is_ending;
	pthread_mutex_t lock;
	pthread_cond_t given; /* a piece, or is_ending */
	pthread_cond_t done;
	struct worker workers[LINEUP_MAX_THREADS];
	unsigned thread_count;
	bool is_alone; /* there is no use in threads, or none to be had */
};

unsigned lineup_threads(void)
{
	long online = sysconf(_SC_NPROCESSORS_ONLN);
	if (online < 1)
		return 1;
	return online < LINEUP_MAX_THREADS ? (unsigned)online : LINEUP_MAX_THREADS;
}

static void *work(void *arg)
{
	const struct worker *w = arg;
	struct lineup *l = w->lineup;
	(void)pthread_mutex_lock(&l->lock); /* fails for bad locks only, here and below */
	for (;;) {
		while (l->begun_count == l->count && !l->is_ending)
			(void)pthread_cond_wait(&l->given, &l->lock); /* cannot fail */
		if (l->is_ending)
			break;
		struct place *p = &l->places[(l->first + l->begun_count++) % l->size];
		(void)pthread_mutex_unlock(&l->lock);
		l->fn(p->piece, w->number);
		(void)pthread_mutex_lock(&l->lock);
		p->is_done = true;
		(void)pthread_cond_broadcast(&l->done); /* cannot fail */
	}
	(void)pthread_mutex_unlock(&l->lock);
	return NULL;
}

int lineup_new(size_t places, void (*fn)(void *piece, unsigned worker), struct lineup **out,
	struct err *err)
{
	assert(places > 0 && places <= LINEUP_MAX_PLACES);
	struct lineup *l = calloc(1, sizeof(*l));
	if (l == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	l->fn = fn;
	l->size = places;
	(void)pthread_mutex_init(&l->lock, NULL); /* default attributes: cannot fail */
	(void)pthread_cond_init(&l->given, NULL);
	(void)pthread_cond_init(&l->done, NULL);
	l->is_alone = lineup_threads() < 2;
	*out = l;
	return 0;
}

void lineup_free(struct lineup *l)
{
	if (l == NULL)
		return;
	(void)pthread_mutex_lock(&l->lock);
	l->is_ending = true;
	(void)pthread_cond_broadcast(&l->given); /* cannot fail */
	(void)pthread_mutex_unlock(&l->lock);
	for (unsigned i = 0; i < l->thread_count; i++)
		(void)pthread_join(l->workers[i].thread, NULL); /* each was started once */
	(void)pthread_cond_destroy(&l->given);
	(void)pthread_cond_destroy(&l->done);
	(void)pthread_mutex_destroy(&l->lock);
	free(l);
}

static void start(struct lineup *l)
{
	sigset_t all, before;
	(void)sigfillset(&all);                          /* cannot fail, neither do the masks */
	(void)pthread_sigmask(SIG_BLOCK, &all, &before); /* signals are for the others */
	for (unsigned i = 0; i < lineup_threads(); i++) {
		struct worker *w = &l->workers[i];
		*w = (struct worker){ .lineup = l, .number = i };
		if (pthread_create(&w->thread, NULL, work, w) != 0)
			break;
		l->thread_count++;
	}
	l->is_alone = l->thread_count == 0;
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
}

bool lineup_has_room(const struct lineup *l)
{
	return l->count < l->size;
}

void lineup_give(struct lineup *l, void *piece)
{
	assert(lineup_has_room(l));
	if (!l->is_alone && l->thread_count == 0)
		start(l);
	struct place *p = &l->places[(l->first + l->count) % l->size];
	*p = (struct place){ .piece = piece, .is_done = l->is_alone };
	if (l->is_alone)
		l->fn(piece, 0);
	(void)pthread_mutex_lock(&l->lock);
	l->count++;
	if (l->is_alone)
		l->begun_count++;
	(void)pthread_cond_signal(&l->given); /* cannot fail */
	(void)pthread_mutex_unlock(&l->lock);
}

void *lineup_take(struct lineup *l)
{
	if (l->count == 0)
		return NULL;
	struct place *p = &l->places[l->first];
	(void)pthread_mutex_lock(&l->lock);
	while (!p->is_done)
		(void)pthread_cond_wait(&l->done, &l->lock); /* cannot fail */
	l->first = (l->first + 1) % l->size;
	l->count--;
	l->begun_count--;
	(void)pthread_mutex_unlock(&l->lock);
	return p->piece;
}
