#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/escape.h"
#include "base/lineup.h"
#include "crypto/hash.h"
#include "vault/block_memo.h"
#include "vault/digest.h"
#include "vault/extent_bytes.h"
#include "vault/tree_reader.h"
#include "vault/vault_internal.h"
#include "vault/verify_internal.h"
#include "vault/verify_work.h"

/*
 *   walk --> file --> messages --> work --> lineup (workers) --> messages in order --> file ends
 *
 * INVARIANTS
 * (1) A file's content is read once for each distinct (digest, extents), over all snapshots.
 * (2) Every ref that the tree or an extent names is in the snapshot's reference list.
 * (3) Files that began and did not end are linked from first, in order; every message but those of
 *     the last file, which is file, is in a work, the last of each file is_end.
 * (4) A message of more pieces than a work holds is read here instead (is_direct); all others by
 * the workers. (5) A leaf is remembered when all pieces of its block were opened and checked in
 * this run: a later block of the same pieces has the same bytes.
 */

#define WORK_BYTES ((uint64_t)16 << 20) /* of content; more is another worker's */
#define MAX_TASKS (LINEUP_MAX_THREADS + 3)

struct file {
	struct file *next;
	enum entry_digest kind;
	uint8_t want[HASH_BYTES], hash[HASH_BYTES];
	struct digest *digest; /* owned; of blocks only */
	uint64_t size, length; /* as the entry says; of the extents so far */
	uint64_t fill;         /* of the block at hand */
	int rc;                /* why it is not whole */
	struct err *why;       /* owned; NULL also without memory for it */
	size_t key_len;
	uint8_t key[];
};

struct task {
	struct content *content;
	struct verify_work *work; /* owned */
};

struct content {
	struct verify *v;
	const struct snapshot *snapshot;
	struct id_marks *refs; /* the snapshot's reference list */
	struct hash *shape;    /* over the extents, for invariant 1 */
	struct file *first, **last;
	struct file *file; /* the one at hand */
	struct lineup *lineup;
	struct task tasks[MAX_TASKS];
	struct task *spare[MAX_TASKS];
	size_t spare_count;
	struct task *task;                   /* being filled; NULL: none yet */
	struct verify_work_message *message; /* begun in its work, or NULL */
	bool is_direct;                      /* the message is read here */
	struct hash *hash;
	struct extent_bytes bytes;
};

static int check_listed(struct content *c, const struct ref *ref, struct err *err)
{
	if (id_marks_find(c->refs, ref->id) != ref->cr_len)
		return err_set(
			err, ERR_CORRUPT, "it names a record that is not in the reference list");
	return 0;
}

static int on_tree_ref(void *arg, const struct ref *ref, enum record_type type, struct err *err)
{
	(void)type;
	return check_listed(arg, ref, err);
}

static int shape_extent(void *arg, const struct extent *x, struct err *err)
{
	struct content *c = arg;
	(void)err;
	hash_add(c->shape, &x->is_hole, sizeof(x->is_hole));
	if (!x->is_hole)
		hash_add(c->shape, x->ref.id, sizeof(x->ref.id));
	hash_add(c->shape, &x->offset, sizeof(x->offset));
	hash_add(c->shape, &x->length, sizeof(x->length));
	return 0;
}

/* ---- what the workers have done ----------------------------------------------------------------
 */

static void do_task(void *arg, unsigned worker)
{
	const struct task *t = arg;
	verify_work_do(t->content->v->workers[worker], t->work);
}

static void file_free(struct file *f)
{
	digest_free(f->digest);
	free(f->why);
	free(f);
}

/* The file is not whole: keep the first reason. */
static void fail_file(struct content *c, struct file *f, int rc, const struct err *why)
{
	if (f->rc != 0)
		return;
	f->rc = rc;
	f->why = malloc(sizeof(*f->why));
	if (f->why != NULL)
		*f->why = *why;
	else
		c->v->is_short = true;
}

static void tell_file(struct content *c, const uint8_t *key, size_t key_len, const struct err *why)
{
	CLEANUP(buf_done) struct buf path = BUF_INIT(2 * ENTRY_MAX_KEY_BYTES);
	char safe[ERR_MSG_BYTES / 2];
	struct err told = ERR_INIT;
	if (entry_key_path(key, key_len, &path, NULL) != 0)
		buf_clear(&path);
	(void)escape_text(safe, sizeof(safe), (const char *)path.data, path.len); /* cut is fine */
	err_set(&told, (enum err_code)why->code, "file '%s': %s", safe, why->msg);
	verify_problem(c->v, c->snapshot->object, &told);
}

/* The oldest file has all of its messages back. */
static int end_file(struct content *c, struct file *f, struct err *err)
{
	struct err why = ERR_INIT;
	int rc = f->digest == NULL ? 0 : digest_end(f->digest, f->hash, err);
	if (rc != 0)
		return rc;
	c->v->result->files++;
	if (f->length != f->size) {
		rc = err_set(&why, ERR_CORRUPT, "its extents hold %llu bytes instead of %llu",
			(unsigned long long)f->length, (unsigned long long)f->size);
		fail_file(c, f, rc, &why);
	} else if (f->kind != ENTRY_DIGEST_NONE && memcmp(f->hash, f->want, HASH_BYTES) != 0) {
		rc = err_set(
			&why, ERR_CORRUPT, "its content does not have the digest taken at backup");
		fail_file(c, f, rc, &why);
	}
	if (f->why != NULL)
		tell_file(c, f->key, f->key_len, f->why);
	c->first = f->next;
	if (c->first == NULL)
		c->last = &c->first;
	file_free(f);
	return 0;
}

static int take_message(struct content *c, struct verify_work_message *m, struct err *err)
{
	struct file *f = m->owner;
	if (m->rc != 0 && (m->why == NULL || !vault_is_object_loss(m->rc))) {
		if (m->why == NULL)
			return err_set(err, ERR_NOMEM, "out of memory");
		if (err != NULL)
			*err = *m->why;
		return m->rc;
	}
	if (m->rc != 0)
		fail_file(c, f, m->rc, m->why);
	else if (m->is_zeros && m->bytes > 0)
		digest_add_zeros(f->digest, m->bytes);
	else if (m->is_leaf)
		digest_add_leaf(f->digest, m->hash, (size_t)m->bytes);
	else if (!m->is_zeros)
		memcpy(f->hash, m->hash, sizeof(f->hash));
	if (m->rc == 0 && m->is_leaf && !m->is_known && m->bytes == DIGEST_BLOCK_BYTES)
		block_memo_add(c->v->blocks, m->key, m->hash);
	return m->is_end ? end_file(c, f, err) : 0;
}

/* The oldest work, done: its messages in order. */
static int take_work(struct content *c, struct err *err)
{
	struct task *t = lineup_take(c->lineup);
	int rc = 0;
	if (t == NULL)
		return 0;
	for (size_t i = 0; rc == 0 && i < t->work->message_count; i++)
		rc = take_message(c, &t->work->messages[i], err);
	verify_work_clear(t->work);
	c->spare[c->spare_count++] = t;
	return rc != 0 ? rc : verify_step(c->v, 0, err);
}

/* The work that is being filled goes to the workers. */
static int give_work(struct content *c, struct err *err)
{
	int rc = 0;
	if (c->task == NULL || c->task->work->message_count == 0)
		return 0;
	if (!lineup_has_room(c->lineup))
		rc = take_work(c, err);
	if (rc != 0)
		return rc;
	lineup_give(c->lineup, c->task);
	c->task = NULL;
	return 0;
}

static int take_all(struct content *c, struct err *err)
{
	int rc = give_work(c, err);
	while (rc == 0 && c->first != NULL)
		rc = take_work(c, err);
	return rc;
}

/* ---- messages ----------------------------------------------------------------------------------
 */

static int begin_message(struct content *c, bool is_leaf, struct err *err)
{
	int rc = 0;
	if (c->task != NULL) {
		const struct verify_work *w = c->task->work;
		if (w->message_count == VERIFY_WORK_MESSAGES || w->bytes >= WORK_BYTES ||
			w->piece_count > VERIFY_WORK_PIECES / 2)
			rc = give_work(c, err);
	}
	if (rc != 0)
		return rc;
	if (c->task == NULL)
		c->task = c->spare[--c->spare_count];
	struct verify_work *work = c->task->work;
	c->message = &work->messages[work->message_count++];
	*c->message = (struct verify_work_message){
		.owner = c->file, .is_leaf = is_leaf, .first = work->piece_count
	};
	c->is_direct = false;
	return 0;
}

static void drop_pieces(struct content *c)
{
	struct verify_work *w = c->task->work;
	explicit_bzero(w->pieces + c->message->first, c->message->count * sizeof(*w->pieces));
	w->piece_count -= c->message->count;
	c->message->count = 0;
}

/* Nothing is left of the message but that it is there. */
static void void_message(struct content *c)
{
	drop_pieces(c);
	c->message->is_leaf = false;
	c->message->is_zeros = true;
	c->message->bytes = 0;
}

static void end_message(struct content *c, bool is_end)
{
	struct verify_work *w = c->task->work;
	struct verify_work_message *m = c->message;
	m->is_end = is_end;
	if (c->is_direct) {
		hash_end(c->hash, m->hash);
		m->is_known = true;
	} else if (m->is_leaf && m->bytes == DIGEST_BLOCK_BYTES) {
		block_memo_key(w->pieces + m->first, m->count, m->key);
		const uint8_t *leaf = block_memo_find(c->v->blocks, m->key);
		if (leaf != NULL) {
			memcpy(m->hash, leaf, sizeof(m->hash));
			m->is_known = true;
			drop_pieces(c);
		}
	}
	if (!m->is_known)
		w->bytes += m->bytes;
	c->message = NULL;
	c->file->fill = 0;
}

/* Into the hash of the message that is read here. */
static int read_piece(struct content *c, const struct extent *x, struct err *err)
{
	static const uint8_t zeros[65536];
	const uint8_t *data = zeros;
	int rc = verify_step(c->v, 0, err);
	if (rc == 0 && !x->is_hole)
		rc = extent_bytes_get(&c->bytes, x, &data, err);
	for (uint64_t left = x->length; rc == 0 && left > 0;) {
		uint64_t n = x->is_hole && left > sizeof(zeros) ? sizeof(zeros) : left;
		hash_add(c->hash, data, (size_t)n);
		left -= n;
	}
	return rc;
}

static int begin_direct(struct content *c, struct err *err)
{
	static const uint8_t prefix = 0;
	uint8_t unused[HASH_BYTES];
	struct verify_work *w = c->task->work;
	int rc = 0;
	hash_end(c->hash, unused); /* what an error may have left */
	if (c->message->is_leaf)
		hash_add(c->hash, &prefix, 1);
	for (size_t i = 0; rc == 0 && i < c->message->count; i++)
		rc = read_piece(c, &w->pieces[c->message->first + i], err);
	drop_pieces(c);
	c->is_direct = true;
	return rc;
}

static int add_piece(struct content *c, const struct extent *x, struct err *err)
{
	struct verify_work *w = c->task->work;
	int rc = 0;
	c->message->bytes += x->length;
	if (!c->is_direct && w->piece_count < VERIFY_WORK_PIECES) {
		w->pieces[w->piece_count++] = *x;
		c->message->count++;
		return 0;
	}
	if (!c->is_direct)
		rc = begin_direct(c, err);
	return rc != 0 ? rc : read_piece(c, x, err);
}

/* Whole blocks of zeros have a leaf that is known. */
static int add_zero_blocks(struct content *c, struct extent *left, struct err *err)
{
	const uint64_t bytes = left->length / DIGEST_BLOCK_BYTES * DIGEST_BLOCK_BYTES;
	int rc = begin_message(c, false, err);
	if (rc != 0)
		return rc;
	c->message->is_zeros = true;
	c->message->is_known = true;
	c->message->bytes = bytes;
	c->message = NULL;
	left->length -= bytes;
	return 0;
}

/* Cut the extent at the ends of blocks. */
static int add_blocks(struct content *c, const struct extent *x, struct err *err)
{
	struct extent left = *x;
	int rc = 0;
	while (rc == 0 && left.length > 0) {
		struct file *f = c->file;
		if (f->fill == 0 && left.is_hole && left.length >= DIGEST_BLOCK_BYTES) {
			rc = add_zero_blocks(c, &left, err);
			continue;
		}
		if (c->message == NULL)
			rc = begin_message(c, true, err);
		if (rc != 0)
			return rc;
		struct extent piece = left;
		if (piece.length > DIGEST_BLOCK_BYTES - f->fill)
			piece.length = DIGEST_BLOCK_BYTES - f->fill;
		rc = add_piece(c, &piece, err);
		left.offset += piece.length;
		left.length -= piece.length;
		f->fill += piece.length;
		if (rc == 0 && f->fill == DIGEST_BLOCK_BYTES)
			end_message(c, false);
	}
	return rc;
}

/* ---- files -------------------------------------------------------------------------------------
 */

static int read_extent(void *arg, const struct extent *x, struct err *err)
{
	struct content *c = arg;
	c->file->length += x->length;
	int rc = x->is_hole ? 0 : check_listed(c, &x->ref, err);
	if (rc != 0)
		return rc;
	return c->file->digest != NULL ? add_blocks(c, x, err) : add_piece(c, x, err);
}

static int begin_file(struct content *c, const uint8_t *key, size_t key_len, const struct entry *e,
	struct err *err)
{
	struct file *f = calloc(1, sizeof(*f) + key_len);
	if (f == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	f->kind = e->digest_kind;
	f->size = e->size;
	memcpy(f->want, e->digest, sizeof(f->want));
	memcpy(f->key, key, key_len);
	f->key_len = key_len;
	int rc = f->kind == ENTRY_DIGEST_BLOCKS ? digest_new(f->kind, &f->digest, err) : 0;
	if (rc != 0) {
		file_free(f);
		return rc;
	}
	if (f->digest != NULL)
		digest_expect(f->digest, f->size);
	*c->last = f;
	c->last = &f->next;
	c->file = f;
	return f->digest != NULL ? 0 : begin_message(c, false, err);
}

static int read_file(struct content *c, struct tree_reader *reader, const uint8_t *key,
	size_t key_len, const struct entry *e, struct err *err)
{
	struct err why = ERR_INIT;
	int rc = begin_file(c, key, key_len, e, err);
	if (rc != 0)
		return rc;
	rc = tree_reader_extents(reader, e, read_extent, c, &why);
	if (rc != 0 && !vault_is_object_loss(rc)) {
		if (err != NULL)
			*err = why;
		return rc;
	}
	if (rc != 0)
		fail_file(c, c->file, rc, &why);
	if (c->message != NULL && rc != 0)
		void_message(c);
	if (c->message == NULL) { /* it ended with a block */
		int began = begin_message(c, false, err);
		if (began != 0)
			return began;
		void_message(c);
	}
	if (c->message->is_zeros)
		c->is_direct = false;
	end_message(c, true);
	return 0;
}

/* Only what was not read before, over all snapshots. */
static int check_file(struct content *c, struct tree_reader *reader, const uint8_t *key,
	size_t key_len, const struct entry *e, struct id_set *seen, struct err *err)
{
	uint8_t shape[HASH_BYTES];
	bool is_new = false;
	hash_add(c->shape, e->digest, sizeof(e->digest));
	int rc = tree_reader_extents(reader, e, shape_extent, c, err);
	hash_end(c->shape, shape);
	if (rc == 0)
		rc = id_set_add(seen, shape, 1, &is_new, err);
	if (rc == 0 && is_new)
		rc = read_file(c, reader, key, key_len, e, err);
	return rc;
}

static int walk(struct content *c, struct tree_reader *reader, struct id_set *seen, struct err *err)
{
	for (;;) {
		const uint8_t *key;
		size_t key_len;
		struct entry e;
		struct err why = ERR_INIT;
		int rc = tree_reader_next(reader, &key, &key_len, &e, &why);
		if (rc == 0)
			return 0;
		if (rc > 0 && e.kind == ENTRY_FILE) {
			rc = check_file(c, reader, key, key_len, &e, seen, &why);
			if (vault_is_object_loss(rc)) {
				tell_file(c, key, key_len, &why);
				continue;
			}
		}
		if (rc < 0) {
			if (err != NULL)
				*err = why;
			return rc;
		}
	}
}

static int add_ref(void *arg, const uint8_t id[32], uint32_t cr_len, struct err *err)
{
	return id_marks_add(arg, id, cr_len, err);
}

/* What is needed to read contents. */
static int begin(struct content *c, struct err *err)
{
	struct index *index = NULL;
	const unsigned threads = lineup_threads();
	int rc = fetch_index(c->v->fetch, &index, err);
	c->shape = hash_new();
	c->hash = hash_new();
	if (rc == 0 && (c->shape == NULL || c->hash == NULL))
		rc = err_set(err, ERR_NOMEM, "out of memory");
	if (rc == 0)
		rc = id_marks_new(index, &c->refs, err);
	if (rc == 0)
		rc = lineup_new(threads + 2, do_task, &c->lineup, err);
	/* a record of a pack that was read whole was compared with its ID */
	for (unsigned i = 0; rc == 0 && i < threads; i++) {
		struct verify_work_worker **w = &c->v->workers[i];
		if (*w == NULL)
			rc = verify_work_worker_new(
				c->v->fetch, threads, c->v->result->left_packs == 0, w, err);
	}
	for (unsigned i = 0; rc == 0 && i < threads + 3; i++) {
		struct task *t = &c->tasks[i];
		t->content = c;
		rc = verify_work_new(&t->work, err);
		c->spare[c->spare_count++] = t;
	}
	return rc;
}

static void done(struct content *c)
{
	lineup_free(c->lineup); /* first: the threads work on what follows */
	for (size_t i = 0; i < MAX_TASKS; i++)
		verify_work_free(c->tasks[i].work);
	while (c->first != NULL) {
		struct file *next = c->first->next;
		file_free(c->first);
		c->first = next;
	}
	id_marks_free(c->refs);
	hash_free(c->shape);
	hash_free(c->hash);
	extent_bytes_done(&c->bytes);
}

void verify_content_free(struct verify *v)
{
	for (unsigned i = 0; i < LINEUP_MAX_THREADS; i++)
		verify_work_worker_free(v->workers[i]);
}

int verify_content_snapshot(
	struct verify *v, const struct snapshot *s, struct id_set *seen, struct err *err)
{
	struct fetch *f = v->fetch;
	struct content c = { .v = v, .snapshot = s };
	struct snapshot_opened opened;
	struct tree_reader *reader = NULL;
	struct err why = ERR_INIT;
	c.last = &c.first;
	extent_bytes_init(&c.bytes, fetch_source(f));
	int rc = begin(&c, &why);
	if (rc == 0)
		rc = snapshot_refs(v->vault, s, add_ref, c.refs, &why);
	if (rc == 0)
		rc = snapshot_open(v->vault, f, s, v->opts->sk, &opened, &why);
	if (rc == 0)
		rc = tree_reader_new(fetch_source(f), &opened.root.top, &reader, &why);
	if (rc == 0) {
		tree_reader_watch(reader, on_tree_ref, &c);
		rc = walk(&c, reader, seen, &why);
	}
	tree_reader_free(reader);
	if (rc == 0 || vault_is_object_loss(rc)) {
		struct err later = ERR_INIT;
		int taken = take_all(&c, &later); /* what was found before it */
		if (taken != 0) {
			rc = taken;
			why = later;
		}
	}
	done(&c);
	if (vault_is_object_loss(rc)) {
		verify_problem(v, s->object, &why);
		return 0;
	}
	if (rc != 0 && err != NULL)
		*err = why;
	return rc;
}
