#include "agents/sender.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/buf.h"
#include "base/err.h"

/*
 * INVARIANTS
 * (1) A batch's bytes hold count whole records back to back; ids, lens, types describe them in
 *     order.  They are FULL_BYTES at most, or one record; all the room is there from the start.
 * (2) fill is the caller's, busy is the thread's: a batch changes hands under the lock only.
 * (3) After the first failure nothing is sent; every later call gives that error.
 */

/* A question and an answer cost about a millisecond of processors beside it; more is only memory.
 */
#define FULL_BYTES ((size_t)2 << 20)
#define NS_PER_S 1000000000L
#define WAIT_NS 200000000L /* how long a wait lasts before it is asked whether to stop */

struct batch {
	struct buf bytes;
	uint8_t ids[PORT_HAS_IDS][32];
	uint32_t lens[PORT_HAS_IDS];
	enum record_type types[PORT_HAS_IDS];
	size_t count;
	size_t longest; /* bytes since it was trimmed */
};

struct sender {
	struct sender_opts opts;
	struct batch batches[2];
	struct batch *fill;
	pthread_t thread;
	bool has_thread;
	/* under lock */
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct batch *busy; /* given and not sent yet, or NULL */
	bool is_ending;
	bool has_put; /* something may be under way in the port, and it is the thread's to tend */
	bool is_tending;
	struct err broken;
	struct sender_stats stats;
};

/* Close the gaps of what the vault has: what is left is what is sent. */
static void keep_missing(struct batch *b, const uint8_t *present, struct sender_stats *sent)
{
	size_t at = 0, kept = 0;
	for (size_t i = 0; i < b->count; at += b->lens[i], i++) {
		if (present[i])
			continue;
		if (kept != at)
			memmove(b->bytes.data + kept, b->bytes.data + at, b->lens[i]);
		kept += b->lens[i];
		sent->sent_records++;
		sent->sent_bytes += b->lens[i];
		if (b->types[i] == RECORD_DATA) {
			sent->sent_data_records++;
			sent->sent_data_bytes += b->lens[i];
		}
	}
	b->bytes.len = kept;
}

static int send_batch(
	const struct port *port, struct batch *b, struct sender_stats *sent, struct err *err)
{
	uint8_t present[PORT_HAS_IDS];
	int rc = port->has(port->self, (const uint8_t(*)[32])b->ids, b->count, present, err);
	if (rc != 0)
		return rc;
	keep_missing(b, present, sent);
	return b->bytes.len == 0 ? 0 : port->put(port->self, b->bytes.data, b->bytes.len, err);
}

/* With the lock held: wait for the next batch.  What the port has under way moves only when it is
 * looked after, and the next batch may be hours away. */
static void wait_batch(struct sender *s)
{
	const struct port *port = s->opts.port;
	while (s->busy == NULL && !s->is_ending) {
		struct err why = ERR_INIT;
		int rc = 0;
		if (port->tend != NULL && s->has_put && s->broken.code == 0) {
			s->is_tending = true;
			(void)pthread_mutex_unlock(&s->lock);
			rc = port->tend(port->self, &why);
			(void)pthread_mutex_lock(&s->lock);
			s->is_tending = false;
			(void)pthread_cond_broadcast(&s->changed);
		}
		if (rc < 0)
			s->broken = why;
		s->has_put = s->has_put && rc > 0;
		if (rc <= 0 && s->busy == NULL && !s->is_ending)
			(void)pthread_cond_wait(&s->changed, &s->lock);
	}
}

/* What a long record reached into goes back. */
static void clear_batch(struct batch *b)
{
	buf_clear(&b->bytes);
	if (b->longest > FULL_BYTES)
		buf_trim(&b->bytes, FULL_BYTES);
	b->count = 0;
	b->longest = 0;
}

static void *work(void *arg)
{
	struct sender *s = arg;
	(void)pthread_mutex_lock(&s->lock);
	for (;;) {
		wait_batch(s);
		if (s->busy == NULL)
			break;
		struct sender_stats sent = s->stats;
		struct err why = s->broken;
		if (why.code == 0) {
			(void)pthread_mutex_unlock(&s->lock);
			/* the error is in why */
			(void)send_batch(s->opts.port, s->busy, &sent, &why);
			(void)pthread_mutex_lock(&s->lock);
		}
		s->broken = why;
		s->stats = sent;
		s->has_put = true;
		clear_batch(s->busy);
		s->busy = NULL;
		(void)pthread_cond_broadcast(&s->changed);
	}
	(void)pthread_mutex_unlock(&s->lock);
	return NULL;
}

static int start(struct sender *s, struct err *err)
{
	sigset_t all, before; /* signals are for the thread that runs the backup */
	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);
	s->has_thread = pthread_create(&s->thread, NULL, work, s) == 0;
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	return s->has_thread ? 0 : err_set(err, ERR_BUSY, "unable to start a thread");
}

int sender_new(const struct sender_opts *opts, struct sender **out, struct err *err)
{
	struct sender *s = calloc(1, sizeof(*s));
	if (s == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	s->opts = *opts;
	s->fill = &s->batches[0];
	pthread_condattr_t monotonic; /* none of these can fail with what they are given */
	(void)pthread_condattr_init(&monotonic);
	(void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&s->changed, &monotonic);
	(void)pthread_condattr_destroy(&monotonic);
	(void)pthread_mutex_init(&s->lock, NULL);
	int rc = 0;
	for (size_t i = 0; rc == 0 && i < 2; i++) {
		s->batches[i].bytes = (struct buf)BUF_INIT(RECORD_MAX_WRITE_BYTES);
		/* costs only what is written to */
		rc = buf_reserve(&s->batches[i].bytes, RECORD_MAX_WRITE_BYTES, err);
	}
	if (rc == 0)
		rc = start(s, err);
	if (rc != 0) {
		sender_free(s);
		return rc;
	}
	*out = s;
	return 0;
}

void sender_free(struct sender *s)
{
	if (s == NULL)
		return;
	if (s->has_thread) {
		(void)pthread_mutex_lock(&s->lock);
		s->is_ending = true;
		(void)pthread_cond_broadcast(&s->changed);
		(void)pthread_mutex_unlock(&s->lock);
		(void)pthread_join(s->thread, NULL);
	}
	for (size_t i = 0; i < 2; i++)
		buf_done(&s->batches[i].bytes);
	(void)pthread_cond_destroy(&s->changed);
	(void)pthread_mutex_destroy(&s->lock);
	free(s);
}

int sender_add(struct sender *s, const uint8_t id[32], const void *cr, uint32_t cr_len,
	enum record_type type, struct err *err)
{
	const bool is_full = s->fill->count == PORT_HAS_IDS ||
			     (s->fill->count > 0 && s->fill->bytes.len + cr_len > FULL_BYTES);
	int rc = is_full ? sender_give(s, err) : 0;
	struct batch *b = s->fill;
	if (rc == 0)
		rc = buf_add(&b->bytes, cr, cr_len, err);
	if (rc != 0)
		return rc;
	memcpy(b->ids[b->count], id, sizeof(b->ids[0]));
	b->lens[b->count] = cr_len;
	b->types[b->count] = type;
	b->count++;
	b->longest = b->bytes.len;
	return 0;
}

/* Until the thread has nothing; with the lock held.  It is let go to ask whether to stop: the
 * answer may take a request of its own. */
static int wait_idle(struct sender *s, struct err *err)
{
	while (s->busy != NULL) {
		struct timespec until;
		(void)clock_gettime(CLOCK_MONOTONIC, &until); /* lint-ok: the condition's clock */
		until.tv_sec += (until.tv_nsec + WAIT_NS) / NS_PER_S;
		until.tv_nsec = (until.tv_nsec + WAIT_NS) % NS_PER_S;
		if (pthread_cond_timedwait(&s->changed, &s->lock, &until) != ETIMEDOUT ||
			s->opts.is_stopped == NULL)
			continue;
		(void)pthread_mutex_unlock(&s->lock);
		bool is_stopped = s->opts.is_stopped(s->opts.arg);
		(void)pthread_mutex_lock(&s->lock);
		if (is_stopped)
			return err_set(err, ERR_INTERRUPTED, "stopped as asked");
	}
	if (s->broken.code != 0 && err != NULL)
		*err = s->broken;
	return -s->broken.code;
}

int sender_give(struct sender *s, struct err *err)
{
	(void)pthread_mutex_lock(&s->lock);
	int rc = wait_idle(s, err);
	if (rc == 0 && s->fill->count > 0) {
		s->busy = s->fill;
		s->fill = s->fill == &s->batches[0] ? &s->batches[1] : &s->batches[0];
		(void)pthread_cond_broadcast(&s->changed);
	}
	(void)pthread_mutex_unlock(&s->lock);
	return rc;
}

int sender_wait(struct sender *s, struct err *err)
{
	int rc = sender_give(s, err);
	if (rc != 0)
		return rc;
	(void)pthread_mutex_lock(&s->lock);
	rc = wait_idle(s, err);
	s->has_put = false; /* the port is the caller's until the next batch */
	while (s->is_tending)
		(void)pthread_cond_wait(&s->changed, &s->lock);
	if (rc == 0 && s->broken.code != 0)
		rc = wait_idle(s, err); /* what tending found */
	(void)pthread_mutex_unlock(&s->lock);
	return rc;
}

void sender_get_stats(struct sender *s, struct sender_stats *out)
{
	(void)pthread_mutex_lock(&s->lock);
	*out = s->stats;
	(void)pthread_mutex_unlock(&s->lock);
}
