#include "agents/seal_pool.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

/*
 * INVARIANTS
 * (1) Jobs are linked from first in the order in which they came; todo is the first of them that no
 *     worker has looked at, and all behind it are so too or came finished.
 * (2) A job between a worker's take and its is_finished is touched by that worker alone.
 * (3) inside counts the raw bytes of all linked jobs (of what came finished the record's), and
 *     something for each job itself; loaded counts those with raw bytes.  A job holds them, its
 *     record, and of the ones before at most RAW_KEEP_BYTES and RECORD_KEEP_BYTES.
 */

#define INSIDE_PER_WORKER ((size_t)3 << 19) /* raw bytes: one and a half of a usual chunk */
#define INSIDE_MORE ((size_t)2 << 20)
#define LOADED_PER_WORKER 3 /* one in work and two that wait, however short */
#define JOB_BYTES ((size_t)1024)
/* What a spare job keeps: a usual chunk and its record; the room stays that of the longest. */
#define RAW_KEEP_BYTES ((size_t)1 << 20)
#define RECORD_KEEP_BYTES ((size_t)1 << 19)

struct worker {
	struct seal_pool *pool;
	struct record_sealer *sealer; /* owned */
	pthread_t thread;
	bool has_thread;
};

struct seal_pool {
	struct worker workers[SEAL_POOL_MAX_WORKERS];
	unsigned count;
	struct chunk_cache *cache; /* borrowed; NULL = none */
	/* of the caller's thread */
	size_t inside, max_inside;
	size_t loaded;
	struct seal_job *spare; /* done with; their memory serves again: fresh pages are dear */
	size_t spare_count;     /* with loaded at most count * LOADED_PER_WORKER */
	pthread_mutex_t lock;
	pthread_cond_t more, finished;
	/* under lock */
	struct seal_job *first, **last, *todo;
	bool is_ending;
};

static void job_free(struct seal_job *j)
{
	buf_done(&j->raw);
	buf_done(&j->cr);
	free(j);
}

static void jobs_free(struct seal_job *first)
{
	for (struct seal_job *j = first, *next; j != NULL; j = next) {
		next = j->next;
		if (j->fn != NULL)
			j->fn(j->arg, j->index, NULL);
		job_free(j);
	}
}

/* The memory of an earlier job, or none. */
static struct seal_job *take_spare(struct seal_pool *p)
{
	struct seal_job *j = p->spare;
	if (j == NULL)
		return NULL;
	p->spare = j->next;
	p->spare_count--;
	buf_clear(&j->raw);
	buf_clear(&j->cr);
	return j;
}

struct seal_job *seal_pool_job(struct seal_pool *p, struct buf *raw, size_t len)
{
	struct buf rest = BUF_INIT(0), cr = BUF_INIT(RECORD_MAX_WRITE_BYTES);
	struct seal_job *j = len > 0 ? take_spare(p) : NULL;
	if (j != NULL) {
		rest = j->raw;
		cr = j->cr;
	} else if ((j = malloc(sizeof(*j))) == NULL) {
		return NULL;
	}
	*j = (struct seal_job){ .raw = rest, .cr = cr };
	if (len == 0)
		return j;
	rest.max = raw->max;
	/* all the room at once: only what is written to costs anything */
	if (buf_reserve(&rest, rest.max, NULL) != 0 ||
		(raw->len > len && buf_add(&rest, raw->data + len, raw->len - len, NULL) != 0)) {
		j->raw = rest;
		job_free(j);
		return NULL;
	}
	j->raw = *raw;
	j->raw.len = len;
	j->raw.max = RECORD_MAX_RAW_BYTES;
	*raw = rest;
	return j;
}

void seal_pool_drop(struct seal_pool *p, struct seal_job *take_job)
{
	struct seal_job *j = take_job;
	j->fn = NULL; /* it was told */
	if (j->raw.cap == 0 || p->loaded + p->spare_count >= p->count * LOADED_PER_WORKER) {
		job_free(j);
		return;
	}
	if (j->raw.len > RAW_KEEP_BYTES)
		buf_trim(&j->raw, RAW_KEEP_BYTES);
	if (j->cr.len > RECORD_KEEP_BYTES)
		buf_trim(&j->cr, RECORD_KEEP_BYTES);
	p->spare_count++;
	j->next = p->spare;
	p->spare = j;
}

/* ---- a worker -------------------------------------------------------------------------------- */

static struct seal_job *next_job(struct seal_pool *p)
{
	while (p->todo != NULL && p->todo->is_finished)
		p->todo = p->todo->next;
	struct seal_job *j = p->todo;
	if (j != NULL)
		p->todo = j->next;
	return j;
}

void seal_pool_look(struct chunk_cache *cache, struct seal_job *j, const void *raw, size_t len)
{
	chunk_cache_print(cache, j->type, j->class, raw, len, &j->print);
	j->has_print = true;
	j->is_known = chunk_cache_find(cache, &j->print, len, &j->ref) == 1;
	j->is_use = j->is_known;
}

/* With nothing to be found the fingerprint is taken behind the sealing, which ends with comparing
 * the raw bytes: they are still near the processor. */
static void seal(struct worker *w, struct seal_job *j)
{
	struct chunk_cache *cache = w->pool->cache;
	const bool is_asked = cache != NULL && !chunk_cache_is_empty(cache);
	if (is_asked)
		seal_pool_look(cache, j, j->raw.data, j->raw.len);
	if (!j->is_known)
		j->rc = record_seal(w->sealer, j->type, j->class, j->raw.data, j->raw.len, &j->cr,
			&j->ref, &j->err);
	if (cache != NULL && !is_asked)
		seal_pool_look(cache, j, j->raw.data, j->raw.len);
}

static void *work(void *arg)
{
	struct worker *w = arg;
	struct seal_pool *p = w->pool;
	(void)pthread_mutex_lock(&p->lock);
	while (!p->is_ending) {
		struct seal_job *j = next_job(p);
		if (j == NULL) {
			(void)pthread_cond_wait(&p->more, &p->lock);
			continue;
		}
		(void)pthread_mutex_unlock(&p->lock);
		seal(w, j);
		(void)pthread_mutex_lock(&p->lock);
		j->is_finished = true;
		(void)pthread_cond_signal(&p->finished);
	}
	(void)pthread_mutex_unlock(&p->lock);
	return NULL;
}

/* ---- life ------------------------------------------------------------------------------------ */

static unsigned worker_count(unsigned asked)
{
	long online = asked != 0 ? (long)asked : sysconf(_SC_NPROCESSORS_ONLN);
	if (online < 1)
		return 1;
	return online > SEAL_POOL_MAX_WORKERS ? SEAL_POOL_MAX_WORKERS : (unsigned)online;
}

static int start_worker(struct seal_pool *p, const struct seal_pool_opts *o, struct err *err)
{
	struct worker *w = &p->workers[p->count++];
	w->pool = p;
	int rc = record_sealer_new(1, o->k_mle, o->check, &w->sealer, err);
	if (rc != 0)
		return rc;
	w->has_thread = pthread_create(&w->thread, NULL, work, w) == 0;
	return w->has_thread ? 0 : err_set(err, ERR_BUSY, "unable to start a thread");
}

int seal_pool_new(const struct seal_pool_opts *opts, struct seal_pool **out, struct err *err)
{
	struct seal_pool *p = calloc(1, sizeof(*p));
	if (p == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	p->last = &p->first;
	p->cache = opts->cache;
	(void)pthread_mutex_init(&p->lock, NULL); /* default attributes: cannot fail */
	(void)pthread_cond_init(&p->more, NULL);
	(void)pthread_cond_init(&p->finished, NULL);
	const unsigned workers = worker_count(opts->workers);
	p->max_inside = INSIDE_MORE + workers * INSIDE_PER_WORKER;
	sigset_t all, before; /* signals are for the thread that runs the backup */
	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);
	int rc = 0;
	while (rc == 0 && p->count < workers)
		rc = start_worker(p, opts, err);
	if (rc == -ERR_BUSY && p->count > 1) /* a limit on threads: fewer do it as well */
		rc = 0;
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (rc != 0) {
		seal_pool_free(p);
		return rc;
	}
	*out = p;
	return 0;
}

void seal_pool_free(struct seal_pool *p)
{
	if (p == NULL)
		return;
	(void)pthread_mutex_lock(&p->lock);
	p->is_ending = true;
	(void)pthread_cond_broadcast(&p->more);
	(void)pthread_mutex_unlock(&p->lock);
	for (unsigned i = 0; i < p->count; i++) {
		if (p->workers[i].has_thread)
			(void)pthread_join(p->workers[i].thread, NULL);
		record_sealer_free(p->workers[i].sealer);
	}
	jobs_free(p->first);
	jobs_free(p->spare);
	(void)pthread_cond_destroy(&p->finished);
	(void)pthread_cond_destroy(&p->more);
	(void)pthread_mutex_destroy(&p->lock);
	free(p);
}

/* ---- the caller's thread --------------------------------------------------------------------- */

bool seal_pool_is_empty(const struct seal_pool *p)
{
	return p->inside == 0;
}

bool seal_pool_is_full(const struct seal_pool *p, size_t len)
{
	return p->inside > 0 &&
	       (p->inside + len > p->max_inside || p->loaded >= p->count * LOADED_PER_WORKER);
}

/* The same from its coming to its going. */
static size_t weight(const struct seal_job *j)
{
	return JOB_BYTES + (j->came_finished ? j->cr.len : j->raw.len);
}

static void append(struct seal_pool *p, struct seal_job *j)
{
	p->inside += weight(j);
	p->loaded += j->raw.cap > 0;
	(void)pthread_mutex_lock(&p->lock);
	*p->last = j;
	p->last = &j->next;
	if (p->todo == NULL && !j->is_finished)
		p->todo = j;
	(void)pthread_cond_signal(&p->more);
	(void)pthread_mutex_unlock(&p->lock);
}

void seal_pool_add(struct seal_pool *p, struct seal_job *take_job)
{
	append(p, take_job);
}

void seal_pool_add_finished(struct seal_pool *p, struct seal_job *take_job)
{
	take_job->is_finished = true;
	take_job->came_finished = true;
	append(p, take_job);
}

struct seal_job *seal_pool_take(struct seal_pool *p, bool is_waiting)
{
	(void)pthread_mutex_lock(&p->lock);
	struct seal_job *j = p->first;
	while (is_waiting && j != NULL && !j->is_finished)
		(void)pthread_cond_wait(&p->finished, &p->lock);
	if (j != NULL && j->is_finished) {
		p->first = j->next;
		if (p->first == NULL)
			p->last = &p->first;
		if (p->todo == j)
			p->todo = j->next;
		j->next = NULL;
	} else {
		j = NULL;
	}
	(void)pthread_mutex_unlock(&p->lock);
	if (j != NULL) {
		p->inside -= weight(j);
		p->loaded -= j->raw.cap > 0;
	}
	return j;
}
