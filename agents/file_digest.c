#include "agents/file_digest.h"

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "vault/digest.h"
#include "vault/leaf_batch.h"

/*
 *   caller: room, add --> pieces [done, given) --> thread: leaf_batch, hashed two blocks at a time
 *
 * INVARIANTS
 * (1) Piece n lies in slot n % SLOTS.  Those in [done, given) are read by the thread alone, and by
 *     the caller whose room they were; the slot of piece given is the caller's.
 * (2) given - done < SLOTS, and what the thread keeps back (less than HELD pieces) is less than
 *     that: it never waits for what the caller waits for.
 * (3) digest and batch are the thread's between begin and the end of the file, when done == given.
 */

#define SLOTS 32
#define HELD (2 * DIGEST_BLOCK_BYTES / FILE_DIGEST_ROOM_BYTES) /* a pair of blocks */
_Static_assert(SLOTS >= 2 * HELD, "the caller fills one pair while another is hashed");

struct piece {
	size_t len;     /* bytes in the slot, and then */
	uint64_t zeros; /* of them */
};

struct file_digest {
	struct digest *digest; /* owned, as all here */
	enum entry_digest kind;
	uint8_t *small; /* one room, for small files */
	/* large files */
	struct leaf_batch *batch;
	uint8_t *slots; /* SLOTS rooms; NULL until the first large file */
	size_t fill;    /* bytes in the caller's slot */
	pthread_t thread;
	bool has_thread; /* false: there could be none, the caller hashes */
	pthread_mutex_t lock;
	pthread_cond_t more, less;
	/* under lock */
	struct piece pieces[SLOTS];
	uint64_t given, done;
	bool is_hurried; /* hash all there is: the file ends */
	bool is_ending;
};

DEFINE_CLEANUP(struct file_digest *, file_digest_free)

int file_digest_new(struct file_digest **out, struct err *err)
{
	CLEANUP(file_digest_free_p) struct file_digest *d = calloc(1, sizeof(*d));
	if (d == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	d->kind = ENTRY_DIGEST_SHA256;
	(void)pthread_mutex_init(&d->lock, NULL); /* default attributes: cannot fail */
	(void)pthread_cond_init(&d->more, NULL);
	(void)pthread_cond_init(&d->less, NULL);
	d->small = malloc(FILE_DIGEST_ROOM_BYTES);
	if (d->small == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	int rc = digest_new(d->kind, &d->digest, err);
	if (rc != 0)
		return rc;
	*out = TAKE(d);
	return 0;
}

void file_digest_free(struct file_digest *d)
{
	if (d == NULL)
		return;
	if (d->has_thread) {
		(void)pthread_mutex_lock(&d->lock);
		d->is_ending = true;
		(void)pthread_cond_signal(&d->more);
		(void)pthread_mutex_unlock(&d->lock);
		(void)pthread_join(d->thread, NULL);
	}
	digest_free(d->digest);
	leaf_batch_free(d->batch);
	free(d->slots);
	free(d->small);
	(void)pthread_cond_destroy(&d->less);
	(void)pthread_cond_destroy(&d->more);
	(void)pthread_mutex_destroy(&d->lock);
	free(d);
}

/* ---- the thread ------------------------------------------------------------------------------ */

/* Hash the pieces [done, end), which nobody else touches. */
static void hash_pieces(struct file_digest *d, uint64_t end)
{
	for (uint64_t n = d->done; n < end; n++) {
		const struct piece *p = &d->pieces[n % SLOTS];
		const uint8_t *data = d->slots + n % SLOTS * FILE_DIGEST_ROOM_BYTES;
		if (p->len > 0)
			(void)leaf_batch_add(d->batch, data, p->len);
		leaf_batch_add_zeros(d->batch, p->zeros);
	}
	leaf_batch_flush(d->batch);
}

static void *work(void *arg)
{
	struct file_digest *d = arg;
	(void)pthread_mutex_lock(&d->lock);
	while (!d->is_ending) {
		uint64_t end = d->given;
		if (end - d->done < HELD && (end == d->done || !d->is_hurried)) {
			(void)pthread_cond_wait(&d->more, &d->lock);
			continue;
		}
		if (!d->is_hurried)
			end = d->done + HELD; /* whole pairs, whatever more there is */
		(void)pthread_mutex_unlock(&d->lock);
		hash_pieces(d, end);
		(void)pthread_mutex_lock(&d->lock);
		d->done = end;
		(void)pthread_cond_signal(&d->less);
	}
	(void)pthread_mutex_unlock(&d->lock);
	return NULL;
}

static int prepare_large(struct file_digest *d, struct err *err)
{
	sigset_t all, before; /* signals are for the thread that runs the backup */
	int rc = d->batch == NULL ? leaf_batch_new(&d->batch, err) : 0;
	if (rc != 0)
		return rc;
	d->slots = malloc(SLOTS * FILE_DIGEST_ROOM_BYTES);
	if (d->slots == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);
	d->has_thread = pthread_create(&d->thread, NULL, work, d) == 0;
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	return 0;
}

/* ---- the caller's thread --------------------------------------------------------------------- */

/* Give away the slot that is being filled, with ${zeros} behind it; then there is another one. */
static void give(struct file_digest *d, uint64_t zeros)
{
	(void)pthread_mutex_lock(&d->lock);
	d->pieces[d->given % SLOTS] = (struct piece){ .len = d->fill, .zeros = zeros };
	d->given++;
	if (d->given - d->done >= HELD && !d->has_thread) {
		hash_pieces(d, d->given);
		d->done = d->given;
	} else if (d->given - d->done >= HELD) {
		(void)pthread_cond_signal(&d->more);
	}
	while (d->given - d->done >= SLOTS)
		(void)pthread_cond_wait(&d->less, &d->lock);
	(void)pthread_mutex_unlock(&d->lock);
	d->fill = 0;
}

int file_digest_begin(struct file_digest *d, enum entry_digest kind, struct err *err)
{
	int rc = kind == ENTRY_DIGEST_BLOCKS && d->slots == NULL ? prepare_large(d, err) : 0;
	if (rc != 0)
		return rc;
	digest_begin(d->digest, kind);
	d->kind = kind;
	d->fill = 0;
	if (kind == ENTRY_DIGEST_BLOCKS)
		leaf_batch_begin(d->batch, d->digest);
	return 0;
}

uint8_t *file_digest_room(struct file_digest *d, size_t *cap)
{
	*cap = FILE_DIGEST_ROOM_BYTES;
	if (d->kind != ENTRY_DIGEST_BLOCKS)
		return d->small;
	if (d->fill == FILE_DIGEST_ROOM_BYTES)
		give(d, 0);
	*cap -= d->fill;
	return d->slots + d->given % SLOTS * FILE_DIGEST_ROOM_BYTES + d->fill;
}

void file_digest_add(struct file_digest *d, size_t len)
{
	if (d->kind != ENTRY_DIGEST_BLOCKS)
		digest_add(d->digest, d->small, len);
	else
		d->fill += len;
}

void file_digest_add_zeros(struct file_digest *d, uint64_t len)
{
	if (d->kind != ENTRY_DIGEST_BLOCKS)
		digest_add_zeros(d->digest, len);
	else if (len > 0)
		give(d, len);
}

/* Wait until the thread has hashed all it was given, or do it. */
static void settle(struct file_digest *d)
{
	give(d, 0);
	if (!d->has_thread) {
		hash_pieces(d, d->given);
		d->done = d->given;
		return;
	}
	(void)pthread_mutex_lock(&d->lock);
	d->is_hurried = true;
	(void)pthread_cond_signal(&d->more);
	while (d->done < d->given)
		(void)pthread_cond_wait(&d->less, &d->lock);
	d->is_hurried = false;
	(void)pthread_mutex_unlock(&d->lock);
}

int file_digest_end(struct file_digest *d, uint8_t out[32], struct err *err)
{
	if (d->kind == ENTRY_DIGEST_BLOCKS)
		settle(d);
	return digest_end(d->digest, out, err);
}
