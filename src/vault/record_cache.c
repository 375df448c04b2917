#include "vault/record_cache.h"

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "vault/record_reader.h"

/*
 *   hold --> find --> (wait while another thread opens it) --> holds + 1
 *              `---> slot put, lock left, store, record_open(), lock taken --> ready or gone
 *
 * INVARIANTS
 * (1) lock covers everything below; it is never held while the store or the opener works.
 * (2) A slot is in its bucket from before its record is opened: nobody opens it twice.  One whose
 *     record could not be opened leaves the bucket before the lock is left.
 * (3) In the list of idle slots are exactly those that are ready and not held, the last used first
 *     and those that nobody will want again last; only these are given up.
 * (4) bytes is the cost of all slots in buckets: it passes max_bytes only by what is held.
 *     spare_bytes is at most a quarter of max_bytes.
 */
#define MAX_OPENERS 32
#define MAX_SPARE 16
#define KEEP_CR_BYTES ((size_t)2 << 20)
#define AHEAD_QUEUE 32
#define BATCH_RECORDS 4
#define BATCH_BYTES ((size_t)2 << 20) /* raw */
#define SLOT_BYTES_PER_BUCKET 16384
#define MIN_BUCKETS 1024

struct slot {
	struct record_cache_held held; /* first: what callers have */
	uint8_t id[REF_ID_BYTES];
	uint8_t key[32];
	enum record_type type;
	bool is_ready;
	unsigned holds;
	size_t cost;
	struct buf raw;
	struct slot *next;          /* in the bucket */
	struct slot *newer, *older; /* in the idle list */
};

/* What opening a record takes. */
struct tools {
	struct record_opener *opener; /* owned; NULL: not made yet */
	struct buf cr;
	struct buf span; /* of a run */
};

struct wish {
	struct ref ref;
	enum record_type type;
};

struct record_cache {
	const struct record_store *store; /* borrowed */
	struct record_source source;
	size_t max_bytes;
	pthread_mutex_t lock;
	pthread_cond_t opened; /* a slot became ready or went */
	pthread_cond_t wished; /* the queue is not empty, or is_ending */
	struct slot **buckets;
	size_t bucket_count; /* a power of two */
	struct slot *newest, *oldest;
	struct record_cache_stats stats;
	struct tools tools[MAX_OPENERS]; /* idle ones */
	size_t tools_count;
	struct buf spare[MAX_SPARE]; /* of records given up; their memory serves again */
	size_t spare_count, spare_bytes;
	struct wish queue[AHEAD_QUEUE];
	size_t queue_at, queue_len;
	bool is_ending;
	pthread_t threads[RECORD_CACHE_MAX_AHEAD];
	unsigned thread_count, max_threads;
};

DEFINE_CLEANUP(struct record_cache *, record_cache_free)

/* ---- slots; all with the lock ---------------------------------------------------------------- */

static struct slot **bucket_of(struct record_cache *c, const uint8_t *id)
{
	return &c->buckets[bytes_get32(id) & (c->bucket_count - 1)];
}

static struct slot *find(struct record_cache *c, const struct ref *ref, enum record_type type)
{
	struct slot *s = *bucket_of(c, ref->id);
	while (s != NULL && (s->type != type || memcmp(s->id, ref->id, sizeof(s->id)) != 0 ||
				    memcmp(s->key, ref->key, sizeof(s->key)) != 0))
		s = s->next;
	return s;
}

static void idle_add(struct record_cache *c, struct slot *s)
{
	s->newer = NULL;
	s->older = c->newest;
	if (c->newest != NULL)
		c->newest->newer = s;
	else
		c->oldest = s;
	c->newest = s;
}

/* As if it had been used before all others. */
static void idle_add_last(struct record_cache *c, struct slot *s)
{
	s->older = NULL;
	s->newer = c->oldest;
	if (c->oldest != NULL)
		c->oldest->older = s;
	else
		c->newest = s;
	c->oldest = s;
}

static void idle_take(struct record_cache *c, struct slot *s)
{
	if (s->newer != NULL)
		s->newer->older = s->older;
	else
		c->newest = s->older;
	if (s->older != NULL)
		s->older->newer = s->newer;
	else
		c->oldest = s->newer;
}

/* Out of the spare ones; the order of the others stays. */
static struct buf take_spare_at(struct record_cache *c, size_t i)
{
	const struct buf taken = c->spare[i];
	c->spare_count--;
	memmove(&c->spare[i], &c->spare[i + 1], (c->spare_count - i) * sizeof(c->spare[0]));
	c->spare_bytes -= taken.cap;
	return taken;
}

/* The oldest go first: they fitted nothing that was opened since. */
static void keep_spare(struct record_cache *c, struct buf *raw)
{
	const size_t most = c->max_bytes / 4;
	if (raw->cap == 0 || raw->cap > most) {
		buf_wipe(raw);
		return;
	}
	while (c->spare_count == MAX_SPARE || c->spare_bytes + raw->cap > most) {
		struct buf oldest = take_spare_at(c, 0);
		buf_wipe(&oldest);
	}
	c->spare_bytes += raw->cap;
	buf_clear(raw);
	c->spare[c->spare_count++] = *raw;
}

/* The spare memory that fits ${room} bytes best, if one does well. */
static void take_spare(struct record_cache *c, size_t room, struct buf *out)
{
	size_t best = c->spare_count;
	for (size_t i = 0; i < c->spare_count; i++) {
		const struct buf *b = &c->spare[i];
		if (b->cap >= room && b->cap / 2 <= room &&
			(best == c->spare_count || b->cap < c->spare[best].cap))
			best = i;
	}
	if (best < c->spare_count)
		*out = take_spare_at(c, best);
}

/* Out of its bucket and free; it is in no idle list. */
static void drop(struct record_cache *c, struct slot *s)
{
	struct slot **at = bucket_of(c, s->id);
	while (*at != s)
		at = &(*at)->next;
	*at = s->next;
	c->stats.bytes -= s->cost;
	keep_spare(c, &s->raw);
	explicit_bzero(s->key, sizeof(s->key));
	free(s);
}

static void make_room(struct record_cache *c, size_t cost)
{
	while (c->oldest != NULL && c->stats.bytes + cost > c->max_bytes) {
		struct slot *s = c->oldest;
		idle_take(c, s);
		drop(c, s);
	}
}

static struct slot *add(
	struct record_cache *c, const struct ref *ref, enum record_type type, struct err *err)
{
	struct slot *s = calloc(1, sizeof(*s));
	if (s == NULL) {
		err_set(err, ERR_NOMEM, "out of memory");
		return NULL;
	}
	memcpy(s->id, ref->id, sizeof(s->id));
	memcpy(s->key, ref->key, sizeof(s->key));
	s->type = type;
	const size_t room = ref->raw_len;
	s->cost = sizeof(*s) + room;
	s->raw.max = RECORD_MAX_RAW_BYTES;
	make_room(c, s->cost);
	take_spare(c, room, &s->raw);
	if (s->raw.cap > room)
		s->cost = sizeof(*s) + s->raw.cap;
	struct slot **bucket = bucket_of(c, s->id);
	s->next = *bucket;
	*bucket = s;
	c->stats.bytes += s->cost;
	if (c->stats.bytes > c->stats.peak)
		c->stats.peak = c->stats.bytes;
	return s;
}

/* ---- opening --------------------------------------------------------------------------------- */

/* Without the lock. */
static int open_record(struct record_cache *c, struct tools *t, const struct ref *ref,
	struct slot *s, struct err *err)
{
	int rc = t->opener != NULL ? 0 : record_opener_new(&t->opener, err);
	if (rc == 0)
		rc = buf_reserve(&s->raw, ref->raw_len, err);
	buf_clear(&t->cr);
	if (rc == 0)
		rc = c->store->get(c->store->self, ref->id, &t->cr, err);
	if (rc != 0)
		return rc;
	const struct buf *cr = &t->cr;
	return c->store->is_checked
		       ? record_open_checked(
				 t->opener, ref, s->type, cr->data, cr->len, &s->raw, err)
		       : record_open(t->opener, ref, s->type, cr->data, cr->len, &s->raw, err);
}

/* Likewise, of a record that was read with others and is checked. */
static int open_item(struct tools *t, const struct record_run_item *item, const struct ref *ref,
	struct slot *s, struct err *err)
{
	int rc = t->opener != NULL ? 0 : record_opener_new(&t->opener, err);
	if (rc == 0)
		rc = buf_reserve(&s->raw, ref->raw_len, err);
	return rc != 0 ? rc
		       : record_open_body(t->opener, ref, s->type, item->header, item->body,
				 item->body_len, &s->raw, err);
}

static void tools_done(struct tools *t)
{
	record_opener_free(t->opener);
	buf_done(&t->cr);
	buf_done(&t->span);
}

static struct tools take_tools(struct record_cache *c)
{
	struct tools t = { .cr = BUF_INIT(RECORD_MAX_BYTES), .span = BUF_INIT(RECORD_MAX_BYTES) };
	if (c->tools_count > 0)
		t = c->tools[--c->tools_count];
	return t;
}

static void put_tools(struct record_cache *c, struct tools *t)
{
	if (t->cr.cap > KEEP_CR_BYTES)
		buf_done(&t->cr);
	if (t->span.cap > KEEP_CR_BYTES)
		buf_done(&t->span);
	if (t->opener != NULL && c->tools_count < MAX_OPENERS)
		c->tools[c->tools_count++] = *t;
	else
		tools_done(t);
}

/* The record of ${s} was opened, or could not be; with the lock. */
static void finish(struct record_cache *c, struct slot *s, int rc)
{
	(void)pthread_cond_broadcast(&c->opened); /* cannot fail */
	if (rc != 0) {
		drop(c, s);
		return;
	}
	s->held = (struct record_cache_held){ .data = s->raw.data, .len = s->raw.len };
	s->is_ready = true;
}

/* Open the record of ${s}, which has just been added; the lock is left meanwhile. */
static int fill(struct record_cache *c, const struct ref *ref, struct slot *s, struct err *err)
{
	struct tools t = take_tools(c);
	(void)pthread_mutex_unlock(&c->lock); /* ours */
	int rc = open_record(c, &t, ref, s, err);
	(void)pthread_mutex_lock(&c->lock); /* ours until the caller leaves it */
	put_tools(c, &t);
	finish(c, s, rc);
	return rc;
}

/* A slot of ${ref} that is ready and held once more; with the lock. */
static int hold(struct record_cache *c, const struct ref *ref, enum record_type type,
	struct slot **out, struct err *err)
{
	struct slot *s = find(c, ref, type);
	while (s != NULL && !s->is_ready) {
		(void)pthread_cond_wait(&c->opened, &c->lock); /* cannot fail */
		s = find(c, ref, type);
	}
	if (s != NULL) {
		c->stats.hits++;
		if (s->holds++ == 0)
			idle_take(c, s);
		*out = s;
		return 0;
	}
	c->stats.misses++;
	s = add(c, ref, type, err);
	if (s == NULL)
		return -ERR_NOMEM;
	int rc = fill(c, ref, s, err);
	if (rc != 0)
		return rc;
	s->holds = 1;
	*out = s;
	return 0;
}

static void release(struct record_cache *c, struct slot *s)
{
	if (--s->holds > 0)
		return;
	idle_add(c, s);
	make_room(c, 0);
}

int record_cache_hold(struct record_cache *c, const struct ref *ref, enum record_type type,
	const struct record_cache_held **out, struct err *err)
{
	struct slot *s = NULL;
	if (ref->raw_len > RECORD_MAX_RAW_BYTES)
		return err_set(err, ERR_CORRUPT, "a record of %u raw bytes", ref->raw_len);
	(void)pthread_mutex_lock(&c->lock); /* fails for bad locks only, here and below */
	int rc = hold(c, ref, type, &s, err);
	(void)pthread_mutex_unlock(&c->lock);
	if (rc == 0)
		*out = &s->held;
	return rc;
}

void record_cache_release(struct record_cache *c, const struct record_cache_held *held)
{
	struct slot *s = (struct slot *)(uintptr_t)held; /* held is its first member */
	(void)pthread_mutex_lock(&c->lock);
	release(c, s);
	(void)pthread_mutex_unlock(&c->lock);
}

void record_cache_release_first(struct record_cache *c, const struct record_cache_held *held)
{
	struct slot *s = (struct slot *)(uintptr_t)held; /* held is its first member */
	(void)pthread_mutex_lock(&c->lock);
	if (--s->holds == 0) {
		idle_add_last(c, s);
		make_room(c, 0);
	}
	(void)pthread_mutex_unlock(&c->lock);
}

static int source_get(
	void *self, const struct ref *ref, enum record_type type, struct buf *raw, struct err *err)
{
	const struct record_cache_held *held;
	int rc = record_cache_hold(self, ref, type, &held, err);
	if (rc != 0)
		return rc;
	rc = buf_add(raw, held->data, held->len, err);
	record_cache_release(self, held);
	return rc;
}

/* ---- reading ahead --------------------------------------------------------------------------- */

/* Records that one thread opens in turn. */
struct batch {
	struct wish wishes[BATCH_RECORDS];
	struct slot *slots[BATCH_RECORDS];
	size_t count;
	struct record_run run; /* wishes[run_at .. run_at + run.count) */
	size_t run_at;
};

/* The wishes that wait, as many as are for one thread, with slots of their own; with the lock. */
static void take_batch(struct record_cache *c, struct batch *b)
{
	size_t bytes = 0;
	while (c->queue_len > 0 && b->count < BATCH_RECORDS) {
		const struct wish w = c->queue[c->queue_at];
		if (b->count > 0 && bytes + w.ref.raw_len > BATCH_BYTES)
			break;
		c->queue_at = (c->queue_at + 1) % AHEAD_QUEUE;
		c->queue_len--;
		struct slot *s =
			find(c, &w.ref, w.type) != NULL ? NULL : add(c, &w.ref, w.type, NULL);
		if (s == NULL)
			continue;
		bytes += w.ref.raw_len;
		b->wishes[b->count] = w;
		b->slots[b->count++] = s;
	}
}

/* Is record ${i} of the batch in the run, or in one that begins with it? */
static bool has_run(struct record_cache *c, struct batch *b, size_t i)
{
	const uint8_t *ids[BATCH_RECORDS];
	const size_t left = b->count - i;
	if (i - b->run_at < b->run.count)
		return true;
	if (c->store->get_run == NULL || left < 2)
		return false;
	for (size_t k = 0; k < left; k++)
		ids[k] = b->wishes[i + k].ref.id;
	b->run_at = i;
	if (c->store->get_run(c->store->self, ids, left, &b->run, NULL) != 0)
		b->run.count = 0;
	return b->run.count > 0;
}

/* Open what is wished for next; with the lock, which is left meanwhile. */
static void fulfil(struct record_cache *c)
{
	struct batch b = { .count = 0 };
	take_batch(c, &b);
	if (b.count == 0)
		return;
	struct tools t = take_tools(c);
	b.run.span = t.span;
	for (size_t i = 0; i < b.count; i++) {
		struct slot *s = b.slots[i];
		const struct ref *ref = &b.wishes[i].ref;
		(void)pthread_mutex_unlock(&c->lock);
		/* whoever needs it is told why it cannot be had */
		int rc = has_run(c, &b, i) ? open_item(&t, &b.run.at[i - b.run_at], ref, s, NULL)
					   : open_record(c, &t, ref, s, NULL);
		(void)pthread_mutex_lock(&c->lock);
		finish(c, s, rc);
		if (rc != 0)
			continue;
		c->stats.ahead++;
		s->holds = 1;
		release(c, s);
	}
	t.span = b.run.span;
	put_tools(c, &t);
	explicit_bzero(b.wishes, sizeof(b.wishes));
}

static void *read_ahead(void *arg)
{
	struct record_cache *c = arg;
	(void)pthread_mutex_lock(&c->lock);
	while (!c->is_ending) {
		if (c->queue_len == 0) {
			(void)pthread_cond_wait(&c->wished, &c->lock); /* cannot fail */
			continue;
		}
		fulfil(c);
	}
	(void)pthread_mutex_unlock(&c->lock);
	return NULL;
}

/* Begin with the threads when they are first needed; when one cannot be had, less is read ahead. */
static void start_threads(struct record_cache *c)
{
	sigset_t all, before;
	(void)sigfillset(&all);                          /* cannot fail, neither do the masks */
	(void)pthread_sigmask(SIG_BLOCK, &all, &before); /* signals are for the others */
	while (c->thread_count < c->max_threads &&
		pthread_create(&c->threads[c->thread_count], NULL, read_ahead, c) == 0)
		c->thread_count++;
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
}

void record_cache_ahead(struct record_cache *c, const struct ref *ref, enum record_type type)
{
	if (c->max_threads == 0 || ref->raw_len > c->max_bytes / 4)
		return;
	(void)pthread_mutex_lock(&c->lock);
	if (c->queue_len < AHEAD_QUEUE && find(c, ref, type) == NULL) {
		c->queue[(c->queue_at + c->queue_len++) % AHEAD_QUEUE] =
			(struct wish){ .ref = *ref, .type = type };
		if (c->thread_count == 0)
			start_threads(c);
		(void)pthread_cond_signal(&c->wished); /* cannot fail */
	}
	(void)pthread_mutex_unlock(&c->lock);
}

void record_cache_rest(struct record_cache *c)
{
	(void)pthread_mutex_lock(&c->lock);
	const unsigned count = c->thread_count;
	c->is_ending = true;
	c->queue_len = 0;
	(void)pthread_cond_broadcast(&c->wished);
	(void)pthread_mutex_unlock(&c->lock);
	for (unsigned i = 0; i < count; i++)
		(void)pthread_join(c->threads[i], NULL); /* each was started once */
	(void)pthread_mutex_lock(&c->lock);
	c->is_ending = false;
	c->thread_count = 0;
	(void)pthread_mutex_unlock(&c->lock);
}

/* ---- life ------------------------------------------------------------------------------------ */

int record_cache_new(const struct record_store *store, const struct record_cache_opts *opts,
	struct record_cache **out, struct err *err)
{
	CLEANUP(record_cache_free_p) struct record_cache *c = calloc(1, sizeof(*c));
	if (c == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	(void)pthread_mutex_init(&c->lock, NULL); /* with default attributes: cannot fail */
	(void)pthread_cond_init(&c->opened, NULL);
	(void)pthread_cond_init(&c->wished, NULL);
	c->store = store;
	c->source = (struct record_source){ .self = c, .get = source_get };
	c->max_bytes =
		opts->max_bytes < RECORD_CACHE_MIN_BYTES ? RECORD_CACHE_MIN_BYTES : opts->max_bytes;
	c->bucket_count = MIN_BUCKETS;
	while (c->bucket_count < c->max_bytes / SLOT_BYTES_PER_BUCKET)
		c->bucket_count *= 2;
	c->buckets = calloc(c->bucket_count, sizeof(struct slot *));
	if (c->buckets == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	c->max_threads = opts->ahead_threads < RECORD_CACHE_MAX_AHEAD ? opts->ahead_threads
								      : RECORD_CACHE_MAX_AHEAD;
	*out = TAKE(c);
	return 0;
}

void record_cache_free(struct record_cache *c)
{
	if (c == NULL)
		return;
	record_cache_rest(c);
	while (c->oldest != NULL) {
		struct slot *s = c->oldest;
		idle_take(c, s);
		drop(c, s);
	}
	for (size_t i = 0; i < c->tools_count; i++)
		tools_done(&c->tools[i]);
	for (size_t i = 0; i < c->spare_count; i++)
		buf_wipe(&c->spare[i]);
	free(c->buckets);
	explicit_bzero(c->queue, sizeof(c->queue));
	(void)pthread_cond_destroy(&c->wished);
	(void)pthread_cond_destroy(&c->opened);
	(void)pthread_mutex_destroy(&c->lock);
	free(c);
}

const struct record_source *record_cache_source(struct record_cache *c)
{
	return &c->source;
}

size_t record_cache_max_bytes(const struct record_cache *c)
{
	return c->max_bytes;
}

void record_cache_get_stats(struct record_cache *c, struct record_cache_stats *out)
{
	(void)pthread_mutex_lock(&c->lock);
	*out = c->stats;
	(void)pthread_mutex_unlock(&c->lock);
}
