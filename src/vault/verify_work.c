#include "vault/verify_work.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "crypto/hash_lanes.h"
#include "vault/fetch.h"
#include "vault/record_reader.h"

/*
 *   message --> is it short? --> its records held --> batch --> lanes
 *                     `---> a record at a time --> hash
 *
 * INVARIANTS
 * (1) A slot that is_used holds bytes that the batch points to; it is given up only behind
 *     run_batch().
 * (2) What a slot holds lies in the region, where no other slot's does, or in memory of its own: a
 *     record that is too long for the region, or that finds no room between those that the batch
 *     uses.  These are of the message at hand.
 * (3) Whatever was read with others, or without its hash, and does not open is read once more
 *     alone, with every check and every place: only that says what is wrong.
 */

#define SLOTS 64
#define BATCH_MESSAGES 32
#define BATCH_PIECES 32                      /* of one message */
#define BATCH_HOLE_BYTES ((uint64_t)1 << 20) /* likewise */
#define ZERO_BYTES ((size_t)65536)
#define STEP_BYTES ((size_t)64) /* of the region; a line of the processor's cache */
/* of each message its pieces, the zeros of its holes, and the 00 of a leaf */
#define BATCH_PARTS (BATCH_MESSAGES * (BATCH_PIECES + 1 + BATCH_HOLE_BYTES / ZERO_BYTES))

struct slot {
	struct ref ref;
	struct buf raw; /* cap 0: none */
	size_t at;      /* in the region, unless is_own */
	bool is_own;    /* raw is memory of its own */
	bool is_used;   /* by the batch */
	uint64_t age;   /* of its last use */
};

struct verify_work_worker {
	struct fetch *fetch; /* borrowed */
	bool is_known;
	struct record_opener *opener;
	struct record_run run;
	struct buf cr;
	struct hash *hash;
	struct slot slots[SLOTS];
	size_t used_count, used, own_used;
	/* one memory for the whole run, so that its pages are asked for once */
	uint8_t *region;          /* owned; max_held bytes */
	size_t max_held, at, top; /* next to be written; most that was */
	uint64_t age;
	struct hash_lanes_item items[BATCH_MESSAGES];
	struct verify_work_message *batch[BATCH_MESSAGES];
	size_t batch_count;
	struct hash_part parts[BATCH_PARTS];
	size_t part_count;
};

DEFINE_CLEANUP(struct verify_work *, verify_work_free)
DEFINE_CLEANUP(struct verify_work_worker *, verify_work_worker_free)

static const uint8_t leaf_prefix = 0;
static const uint8_t zeros[ZERO_BYTES];

int verify_work_new(struct verify_work **out, struct err *err)
{
	CLEANUP(verify_work_free_p) struct verify_work *w = calloc(1, sizeof(*w));
	if (w != NULL)
		w->pieces = calloc(VERIFY_WORK_PIECES, sizeof(*w->pieces));
	if (w != NULL)
		w->messages = calloc(VERIFY_WORK_MESSAGES, sizeof(*w->messages));
	if (w == NULL || w->pieces == NULL || w->messages == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	*out = TAKE(w);
	return 0;
}

void verify_work_clear(struct verify_work *w)
{
	for (size_t i = 0; i < w->message_count; i++)
		free(w->messages[i].why);
	if (w->pieces != NULL)
		explicit_bzero(w->pieces, w->piece_count * sizeof(*w->pieces));
	w->piece_count = 0;
	w->message_count = 0;
	w->bytes = 0;
}

void verify_work_free(struct verify_work *w)
{
	if (w == NULL)
		return;
	verify_work_clear(w);
	free(w->pieces);
	free(w->messages);
	free(w);
}

int verify_work_worker_new(struct fetch *f, unsigned workers, bool is_known,
	struct verify_work_worker **out, struct err *err)
{
	CLEANUP(verify_work_worker_free_p) struct verify_work_worker *w = calloc(1, sizeof(*w));
	if (w == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	w->fetch = f;
	w->is_known = is_known;
	w->cr.max = RECORD_MAX_BYTES;
	w->max_held = VERIFY_WORK_HELD_BYTES / workers;
	w->hash = hash_new();
	w->region = malloc(w->max_held);
	if (w->hash == NULL || w->region == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	int rc = record_opener_new(&w->opener, err);
	if (rc != 0)
		return rc;
	*out = TAKE(w);
	return 0;
}

/* Forget what a slot holds; memory of its own is given back. */
static void drop(struct slot *s)
{
	if (s->is_own)
		buf_wipe(&s->raw);
	s->is_own = false;
	s->raw = (struct buf)BUF_INIT(0);
}

void verify_work_worker_free(struct verify_work_worker *w)
{
	if (w == NULL)
		return;
	for (size_t i = 0; i < SLOTS; i++)
		drop(&w->slots[i]);
	if (w->region != NULL)
		explicit_bzero(w->region, w->top);
	free(w->region);
	explicit_bzero(w->slots, sizeof(w->slots));
	record_opener_free(w->opener);
	hash_free(w->hash);
	buf_done(&w->run.span);
	buf_done(&w->cr);
	free(w);
}

/* ---- the batch --------------------------------------------------------------------------------
 */

static void run_batch(struct verify_work_worker *w)
{
	hash_lanes_run(w->items, w->batch_count);
	for (size_t i = 0; i < w->batch_count; i++)
		memcpy(w->batch[i]->hash, w->items[i].out, sizeof(w->batch[i]->hash));
	for (size_t i = 0; i < SLOTS; i++)
		w->slots[i].is_used = false;
	w->own_used = 0;
	w->batch_count = 0;
	w->part_count = 0;
	w->used_count = 0;
	w->used = 0;
}

static void add_part(struct verify_work_worker *w, const void *data, size_t len)
{
	assert(w->part_count < BATCH_PARTS);
	w->parts[w->part_count++] = (struct hash_part){ data, len };
}

static void add_zeros(struct verify_work_worker *w, uint64_t len)
{
	for (; len > ZERO_BYTES; len -= ZERO_BYTES)
		add_part(w, zeros, ZERO_BYTES);
	add_part(w, zeros, (size_t)len);
}

/* ---- opened records ---------------------------------------------------------------------------
 */

static struct slot *find(struct verify_work_worker *w, const struct ref *ref)
{
	for (size_t i = 0; i < SLOTS; i++) {
		struct slot *s = &w->slots[i];
		if (s->raw.cap > 0 && memcmp(&s->ref, ref, sizeof(*ref)) == 0) {
			s->age = ++w->age;
			return s;
		}
	}
	return NULL;
}

/* An entry that the batch does not use: an empty one, else the one that was not used for longest.
 * What has memory of its own and is not used any more gives it back.  NULL: there is none. */
static struct slot *free_slot(struct verify_work_worker *w)
{
	struct slot *best = NULL;
	for (size_t i = 0; i < SLOTS; i++) {
		struct slot *s = &w->slots[i];
		if (s->is_used)
			continue;
		if (s->is_own)
			drop(s);
		if (best == NULL || (best->raw.cap > 0 && (s->raw.cap == 0 || s->age < best->age)))
			best = s;
	}
	if (best != NULL && best->raw.cap > 0) {
		w->at = best->at; /* of small records only so much is written as the slots hold */
		drop(best);
	}
	return best;
}

/* May the region be used from ${at} to ${end}?  Then what it held is forgotten.  Else *${next} is
 * behind the first that the batch uses there. */
static bool clear_region(struct verify_work_worker *w, size_t at, size_t end, size_t *next)
{
	struct slot *in[SLOTS];
	size_t count = 0;
	for (size_t i = 0; i < SLOTS; i++) {
		struct slot *s = &w->slots[i];
		if (s->raw.cap == 0 || s->is_own || s->at >= end || s->at + s->raw.cap <= at)
			continue;
		if (s->is_used) {
			*next = s->at + s->raw.cap;
			return false;
		}
		in[count++] = s;
	}
	for (size_t i = 0; i < count; i++)
		drop(in[i]);
	return true;
}

/* Where ${room} bytes of the region may be written next, round and round; SIZE_MAX: nowhere. */
static size_t find_room(struct verify_work_worker *w, size_t room)
{
	size_t at = w->at;
	for (unsigned laps = 0; w->region != NULL && room <= w->max_held && laps < 2;) {
		if (at + room > w->max_held) {
			at = 0;
			laps++;
			continue;
		}
		if (clear_region(w, at, at + room, &at)) {
			w->at = at + room;
			return at;
		}
	}
	return SIZE_MAX;
}

/* A slot with memory for ${len} raw bytes; NULL: the batch uses all of them, or there is none. */
static struct slot *make_slot(struct verify_work_worker *w, size_t len)
{
	const size_t room = (len / STEP_BYTES + 1) * STEP_BYTES;
	struct slot *s = free_slot(w);
	if (s == NULL)
		return NULL;
	const size_t at = find_room(w, room);
	if (at != SIZE_MAX) {
		s->at = at;
		s->raw = (struct buf){ .data = w->region + at, .cap = room, .max = room };
		if (w->top < at + room)
			w->top = at + room;
	} else {
		s->is_own = true;
		s->raw.max = RECORD_MAX_RAW_BYTES;
		if (buf_reserve(&s->raw, len > 0 ? len : 1, NULL) != 0) {
			drop(s);
			return NULL;
		}
	}
	s->age = ++w->age;
	return s;
}

/* ${rc} tells whether the record of ${s} was opened. */
static void end_slot(struct slot *s, const struct ref *ref, int rc)
{
	s->ref = *ref;
	if (rc != 0)
		drop(s);
}

/* Open the record at ${piece}, and those that come soon and lie beside it.  What fails here is told
 * by read_alone(). */
static void read_run(struct verify_work_worker *w, const struct verify_work *work, size_t piece)
{
	const uint8_t *ids[RECORD_RUN_MAX] = { NULL };
	const struct ref *refs[RECORD_RUN_MAX] = { NULL };
	size_t count = 0, bytes = 0;
	for (size_t i = piece; i < work->piece_count && count < RECORD_RUN_MAX; i++) {
		const struct extent *x = &work->pieces[i];
		if (x->is_hole ||
			(count > 0 && memcmp(refs[count - 1], &x->ref, sizeof(x->ref)) == 0))
			continue;
		if (count > 0 &&
			(find(w, &x->ref) != NULL || bytes + x->ref.raw_len > RECORD_RUN_BYTES))
			break;
		ids[count] = x->ref.id;
		refs[count++] = &x->ref;
		bytes += x->ref.raw_len;
	}
	if (fetch_run(w->fetch, ids, count, w->is_known, &w->run, NULL) != 0)
		return;
	for (size_t i = 0; i < w->run.count && i < count; i++) {
		const struct record_run_item *item = &w->run.at[i];
		if (refs[i]->raw_len == 0 || refs[i]->raw_len > RECORD_MAX_RAW_BYTES)
			return;
		struct slot *s = make_slot(w, refs[i]->raw_len);
		if (s == NULL)
			return;
		int rc = record_open_body(w->opener, refs[i], RECORD_DATA, item->header, item->body,
			item->body_len, &s->raw, NULL);
		end_slot(s, refs[i], rc);
	}
}

/* The same of one record alone, with every check and every place. */
static int read_alone(
	struct verify_work_worker *w, const struct ref *ref, struct slot **out, struct err *err)
{
	if (ref->raw_len > RECORD_MAX_RAW_BYTES)
		return err_set(err, ERR_CORRUPT, "a record of %u raw bytes", ref->raw_len);
	buf_clear(&w->cr);
	int rc = fetch_record(w->fetch, ref->id, &w->cr, err);
	if (rc != 0)
		return rc;
	struct slot *s = make_slot(w, ref->raw_len);
	if (s == NULL)
		return err_set(err, ERR_NOMEM, "out of memory for a record");
	rc = record_open_checked(w->opener, ref, RECORD_DATA, w->cr.data, w->cr.len, &s->raw, err);
	end_slot(s, ref, rc);
	if (rc == 0)
		*out = s;
	return rc;
}

/* The bytes of a piece that is no hole; they stay until another is asked for, or longer when the
 * slot is marked as used. */
static int get_piece(struct verify_work_worker *w, const struct verify_work *work, size_t piece,
	struct slot **slot, const uint8_t **out, struct err *err)
{
	const struct extent *x = &work->pieces[piece];
	struct slot *s = find(w, &x->ref);
	int rc = 0;
	if (s == NULL) {
		read_run(w, work, piece);
		s = find(w, &x->ref);
	}
	if (s == NULL)
		rc = read_alone(w, &x->ref, &s, err);
	if (rc == 0 && (x->offset > s->raw.len || x->length > s->raw.len - x->offset))
		rc = err_set(err, ERR_CORRUPT, "an extent lies outside its record");
	if (rc != 0)
		return rc;
	*slot = s;
	*out = s->raw.data + x->offset;
	return 0;
}

/* ---- messages ---------------------------------------------------------------------------------
 */

/* One after another, no record kept. */
static int hash_long(struct verify_work_worker *w, const struct verify_work *work,
	struct verify_work_message *m, struct err *err)
{
	int rc = 0;
	if (w->used_count > SLOTS / 2)
		run_batch(w); /* this one needs slots, too */
	if (m->is_leaf)
		hash_add(w->hash, &leaf_prefix, 1);
	for (size_t i = m->first; rc == 0 && i < m->first + m->count; i++) {
		const struct extent *x = &work->pieces[i];
		struct slot *s = NULL;
		const uint8_t *data = zeros;
		uint64_t left = x->length;
		if (!x->is_hole)
			rc = get_piece(w, work, i, &s, &data, err);
		while (rc == 0 && left > 0) {
			uint64_t n = x->is_hole && left > ZERO_BYTES ? ZERO_BYTES : left;
			hash_add(w->hash, data, (size_t)n);
			left -= n;
		}
	}
	hash_end(w->hash, m->hash); /* also to begin anew */
	return rc;
}

/* Do the records of the message fit into a batch?  ${need}: their raw bytes. */
static bool is_short(const struct verify_work_worker *w, const struct verify_work *work,
	const struct verify_work_message *m, uint64_t *need)
{
	const struct extent *before = NULL;
	uint64_t holes = 0;
	*need = 0;
	if (m->count > BATCH_PIECES)
		return false;
	for (size_t i = m->first; i < m->first + m->count; i++) {
		const struct extent *x = &work->pieces[i];
		if (x->is_hole) {
			holes += x->length;
			continue;
		}
		if (before == NULL || memcmp(&before->ref, &x->ref, sizeof(x->ref)) != 0)
			*need += x->ref.raw_len;
		before = x;
	}
	return *need <= w->max_held / 2 && holes <= BATCH_HOLE_BYTES;
}

/* Into the batch; its records stay until the batch is run. */
static int add_short(struct verify_work_worker *w, const struct verify_work *work,
	struct verify_work_message *m, uint64_t need, struct err *err)
{
	if (w->batch_count == BATCH_MESSAGES || w->used + need > w->max_held || w->own_used > 0 ||
		w->used_count + m->count > SLOTS)
		run_batch(w);
	const size_t first = w->part_count;
	int rc = 0;
	if (m->is_leaf)
		add_part(w, &leaf_prefix, 1);
	for (size_t i = m->first; rc == 0 && i < m->first + m->count; i++) {
		const struct extent *x = &work->pieces[i];
		struct slot *s = NULL;
		const uint8_t *data = NULL;
		if (x->is_hole) {
			add_zeros(w, x->length);
			continue;
		}
		rc = get_piece(w, work, i, &s, &data, err);
		if (rc != 0)
			break;
		add_part(w, data, (size_t)x->length);
		if (!s->is_used) {
			s->is_used = true;
			w->used += s->raw.cap;
			w->own_used += s->is_own;
			w->used_count++;
		}
	}
	if (rc != 0) {
		w->part_count = first;
		return rc;
	}
	w->items[w->batch_count] = (struct hash_lanes_item){ .parts = w->parts + first,
		.count = w->part_count - first };
	w->batch[w->batch_count++] = m;
	return 0;
}

void verify_work_do(struct verify_work_worker *w, struct verify_work *work)
{
	for (size_t i = 0; i < work->message_count; i++) {
		struct verify_work_message *m = &work->messages[i];
		struct err why = ERR_INIT;
		uint64_t need;
		if (m->is_known || m->is_zeros)
			continue;
		m->rc = is_short(w, work, m, &need) ? add_short(w, work, m, need, &why)
						    : hash_long(w, work, m, &why);
		if (m->rc == 0)
			continue;
		m->why = malloc(sizeof(*m->why));
		if (m->why != NULL)
			*m->why = why;
	}
	run_batch(w);
}
