#include "restore/restore_run.h"

#include <stdlib.h>
#include <string.h>

#include "base/aside.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "restore/restore_writer.h"
#include "vault/digest.h"
#include "vault/extent_bytes.h"
#include "vault/leaf_batch.h"
#include "vault/tree_reader.h"

/*
 *   paths --> walk (main reader) --> choose --> ancestors (second reader) --> entry --> content
 *
 * INVARIANTS
 * (1) The writer sees keys that never descend: an entry comes right behind its missing ancestors.
 * (2) last is the key given last; an ancestor of a later key was given exactly when it is a prefix
 *     of last.
 * (3) A file whose content is not what the digest says never gets its name.
 * (4) The bytes of an extent are hashed on another thread while this one writes them: the digest
 *     is that thread's until aside_wait(), behind which nothing reads them any more.
 * (5) Of a file whose digest is one of blocks (is_kept) they wait for each other instead, to be
 * hashed side by side: kept_bytes and kept_records are at least what was asked for since the first
 * of them, and stay below what the source keeps.
 */

#define KEPT_PIECES 128
#define ASIDE_MIN_BYTES 65536 /* below it waking a thread costs more than the hash */

struct run {
	const struct restore_run_opts *opts;
	struct restore_run_result *result;
	struct tree_reader *reader;
	struct tree_reader *ancestors;
	struct buf last; /* invariant 2 */
	struct extent_bytes bytes;
	struct digest *digest; /* of the file at hand */
	struct aside *aside;
	struct piece {
		struct digest *digest;
		const uint8_t *data;
		size_t len;
	} piece; /* invariant 4 */
	struct leaf_batch *leaves;
	bool is_kept; /* the file at hand: invariant 5 */
	struct kept {
		const uint8_t *data;
		size_t len;
		uint64_t offset;
	} kept[KEPT_PIECES];
	size_t kept_count, kept_bytes, kept_records;
	struct ref last_ref;    /* of the record asked for last */
	uint64_t offset;        /* in the file at hand */
	bool is_writer_failure; /* the last content error came from the target */
};

static bool is_damage(int rc)
{
	return rc == -ERR_CORRUPT || rc == -ERR_NOT_FOUND || rc == -ERR_UNSUPPORTED ||
	       rc == -ERR_AUTH;
}

/* Nothing that comes later can go better. */
static bool is_final(int rc)
{
	return rc == -ERR_NOSPACE || rc == -ERR_READONLY || rc == -ERR_NOMEM ||
	       rc == -ERR_INTERRUPTED;
}

static int keep(struct buf *b, const uint8_t *key, size_t len, struct err *err)
{
	buf_clear(b);
	return buf_add(b, key, len, err);
}

static int check_stop(struct run *r, struct err *err)
{
	const struct restore_run_opts *o = r->opts;
	if (o->is_stopped != NULL && o->is_stopped(o->arg))
		return err_set(err, ERR_INTERRUPTED, "the restore was stopped");
	return 0;
}

static void tell_progress(struct run *r)
{
	struct restore_run_progress p = { .files = r->result->files, .bytes = r->result->bytes };
	if (r->opts->on_progress != NULL)
		r->opts->on_progress(r->opts->arg, &p);
}

static void tell_problem(
	struct run *r, const uint8_t *key, size_t len, bool is_damaged, const struct err *why)
{
	if (is_damaged)
		r->result->damaged++;
	else
		r->result->failed++;
	if (r->opts->on_problem != NULL)
		r->opts->on_problem(r->opts->arg, key, len, why);
}

static void hash_piece(void *arg)
{
	const struct piece *p = arg;
	digest_add(p->digest, p->data, p->len);
}

/* Into the digest and the file, both at once where it pays. */
static int give_data(struct run *r, const uint8_t *data, size_t len, struct err *err)
{
	r->piece = (struct piece){ r->digest, data, len };
	if (len >= ASIDE_MIN_BYTES)
		aside_begin(r->aside, hash_piece, &r->piece);
	else
		hash_piece(&r->piece);
	int rc = restore_writer_data(r->opts->writer, r->offset, data, len, err);
	aside_wait(r->aside);
	r->is_writer_failure = rc != 0;
	return rc;
}

static void hash_leaves(void *arg)
{
	leaf_batch_flush(arg);
}

/* What waits goes into the digest and the file, both at once. */
static int give_kept(struct run *r, struct err *err)
{
	int rc = 0;
	aside_begin(r->aside, hash_leaves, r->leaves);
	for (size_t i = 0; rc == 0 && i < r->kept_count; i++) {
		const struct kept *k = &r->kept[i];
		rc = restore_writer_data(r->opts->writer, k->offset, k->data, k->len, err);
	}
	aside_wait(r->aside);
	r->is_writer_failure = rc != 0;
	r->kept_count = 0;
	r->kept_records = 0;
	r->kept_bytes = 0;
	return rc;
}

/* Before a record is asked for: does all that waits stay? */
static int make_room(struct run *r, const struct ref *ref, struct err *err)
{
	int rc = 0;
	if (r->kept_records > 0 && memcmp(&r->last_ref, ref, sizeof(*ref)) == 0)
		return 0;
	if (r->kept_records == RECORD_KEEP_MAX - 1 ||
		r->kept_bytes + ref->raw_len > LEAF_BATCH_BYTES)
		rc = give_kept(r, err);
	r->last_ref = *ref;
	r->kept_bytes += ref->raw_len;
	r->kept_records++;
	return rc;
}

static int keep_data(struct run *r, const uint8_t *data, size_t len, struct err *err)
{
	r->kept[r->kept_count++] = (struct kept){ data, len, r->offset };
	bool is_flushed = leaf_batch_add(r->leaves, data, len);
	if (!is_flushed && r->kept_count < KEPT_PIECES)
		return 0;
	int rc = give_kept(r, err);
	r->kept_bytes = r->last_ref.raw_len; /* more of it may come */
	r->kept_records = 1;
	return rc;
}

static int give_extent(void *arg, const struct extent *x, struct err *err)
{
	struct run *r = arg;
	int rc = check_stop(r, err);
	if (rc != 0)
		return rc;
	if (x->is_hole) {
		if (r->is_kept)
			leaf_batch_add_zeros(r->leaves, x->length);
		else
			digest_add_zeros(r->digest, x->length);
		r->offset += x->length;
		r->result->bytes += x->length;
		return 0;
	}
	const uint8_t *data = NULL;
	rc = r->is_kept ? make_room(r, &x->ref, err) : 0;
	if (rc == 0)
		rc = extent_bytes_get(&r->bytes, x, &data, err);
	if (rc != 0)
		return rc;
	rc = r->is_kept ? keep_data(r, data, (size_t)x->length, err)
			: give_data(r, data, (size_t)x->length, err);
	if (rc != 0)
		return rc;
	r->offset += x->length;
	r->result->bytes += x->length;
	tell_progress(r);
	return 0;
}

/* The content of the begun file.  Return 0 when every byte is what it was. */
static int give_content(struct run *r, const struct entry *e, struct err *err)
{
	uint8_t digest[32];
	digest_begin(r->digest, e->digest_kind);
	r->offset = 0;
	r->is_kept = e->digest_kind == ENTRY_DIGEST_BLOCKS &&
		     extent_bytes_keep(&r->bytes, LEAF_BATCH_BYTES);
	r->kept_bytes = 0;
	r->kept_records = 0;
	leaf_batch_begin(r->leaves, r->digest);
	int rc = tree_reader_extents(r->reader, e, give_extent, r, err);
	if (r->is_kept) {
		if (rc == 0)
			rc = give_kept(r, err);
		leaf_batch_flush(r->leaves); /* also when it failed: the digest has to end */
		r->kept_count = 0;
		(void)extent_bytes_keep(&r->bytes, 0); /* it could before */
	}
	int ended = digest_end(r->digest, digest, rc == 0 ? err : NULL);
	if (rc == 0)
		rc = ended;
	if (rc == 0 && r->offset != e->size)
		rc = err_set(err, ERR_CORRUPT, "its extents hold %llu bytes instead of %llu",
			(unsigned long long)r->offset, (unsigned long long)e->size);
	if (rc == 0 && e->digest_kind != ENTRY_DIGEST_NONE &&
		memcmp(digest, e->digest, sizeof(digest)) != 0)
		rc = err_set(
			err, ERR_CORRUPT, "its content does not have the digest taken at backup");
	return rc;
}

static void count(struct run *r, const struct entry *e)
{
	r->result->files += e->kind == ENTRY_FILE;
	r->result->dirs += e->kind == ENTRY_DIR;
	r->result->others += e->kind != ENTRY_FILE && e->kind != ENTRY_DIR;
}

/* What became of one entry. */
struct outcome {
	int rc;
	bool is_damaged; /* the vault's fault, not the target's */
	bool is_final;   /* the run ends with rc */
	struct err why;
};

static void write_file(struct run *r, const struct entry *e, struct outcome *o)
{
	r->is_writer_failure = false;
	o->rc = give_content(r, e, &o->why);
	if (o->rc == 0) {
		o->rc = restore_writer_end(r->opts->writer, &o->why);
		return;
	}
	o->is_damaged = is_damage(o->rc) && (!r->is_writer_failure || o->rc == -ERR_CORRUPT);
	o->is_final = !o->is_damaged && !r->is_writer_failure;
	if (!r->is_writer_failure)
		restore_writer_cancel(r->opts->writer);
}

/* Return 0 when the run can go on, whatever became of the entry. */
static int write_entry(
	struct run *r, const uint8_t *key, size_t len, const struct entry *e, struct err *err)
{
	enum restore_step step = RESTORE_STEP_SKIPPED;
	struct outcome o = { .rc = 0 };
	o.rc = restore_writer_begin(r->opts->writer, key, len, e, &step, &o.why);
	o.is_damaged = o.rc == -ERR_CORRUPT;
	if (o.rc == 0 && step == RESTORE_STEP_DATA)
		write_file(r, e, &o);
	if (o.rc == 0) {
		if (step != RESTORE_STEP_SKIPPED)
			count(r, e); /* of a skipped one the writer's note says why */
		return 0;
	}
	if (o.is_final || is_final(o.rc)) {
		if (err != NULL)
			*err = o.why;
		return o.rc;
	}
	tell_problem(r, key, len, o.is_damaged, &o.why);
	return 0;
}

static int give(
	struct run *r, const uint8_t *key, size_t len, const struct entry *e, struct err *err)
{
	int rc = keep(&r->last, key, len, err);
	if (rc == 0 && r->opts->writer != NULL)
		rc = write_entry(r, key, len, e, err);
	else if (rc == 0) {
		count(r, e);
		r->result->bytes += e->kind == ENTRY_FILE ? e->size : 0;
	}
	tell_progress(r);
	return rc;
}

/* Give the directories above ${key} that were not given yet, with their own metadata. */
static int give_ancestors(struct run *r, const uint8_t *key, size_t len, struct err *err)
{
	for (size_t i = 0; i < len; i++) {
		const uint8_t *found = NULL;
		size_t found_len = 0;
		struct entry e;
		if (key[i] != 0 || entry_key_is_within(r->last.data, r->last.len, key, i))
			continue;
		int rc = tree_reader_seek(r->ancestors, key, i, err);
		if (rc == 0)
			rc = tree_reader_next(r->ancestors, &found, &found_len, &e, err);
		if (rc < 0)
			return rc;
		if (rc == 0 || found == NULL || found_len != i || memcmp(found, key, i) != 0)
			continue; /* the writer makes it */
		rc = give(r, found, found_len, &e, err);
		if (rc != 0)
			return rc;
	}
	return 0;
}

static int visit(
	struct run *r, const uint8_t *key, size_t len, const struct entry *e, struct err *err)
{
	const struct restore_run_opts *o = r->opts;
	enum restore_run_choice choice = RESTORE_RUN_TAKE;
	if (o->choose != NULL)
		choice = o->choose(o->arg, key, len, e->kind == ENTRY_DIR);
	if (choice == RESTORE_RUN_PASS)
		return 0;
	if (choice == RESTORE_RUN_PRUNE)
		return e->kind == ENTRY_DIR ? tree_reader_skip(r->reader, key, len, err) : 0;
	int rc = give_ancestors(r, key, len, err);
	return rc != 0 ? rc : give(r, key, len, e, err);
}

static int walk_path(struct run *r, struct restore_run_path *path, struct err *err)
{
	int rc = tree_reader_seek(r->reader, path->key, path->key_len, err);
	while (rc == 0) {
		const uint8_t *key = NULL;
		size_t len = 0;
		struct entry e;
		rc = check_stop(r, err);
		if (rc != 0)
			return rc;
		int more = tree_reader_next(r->reader, &key, &len, &e, err);
		if (more < 0)
			return more;
		if (more == 0 || !entry_key_is_within(key, len, path->key, path->key_len))
			return 0;
		path->is_found = true;
		rc = visit(r, key, len, &e, err);
	}
	return rc;
}

static int compare_paths(const void *a, const void *b)
{
	const struct restore_run_path *const *x = a;
	const struct restore_run_path *const *y = b;
	return entry_key_compare((*x)->key, (*x)->key_len, (*y)->key, (*y)->key_len);
}

/* Is there anything at or below the path?  Return 1, 0 or an error. */
static int is_there(struct run *r, const struct restore_run_path *p, struct err *err)
{
	const uint8_t *key = NULL;
	size_t len = 0;
	struct entry e;
	int rc = tree_reader_seek(r->ancestors, p->key, p->key_len, err);
	if (rc == 0)
		rc = tree_reader_next(r->ancestors, &key, &len, &e, err);
	if (rc < 0)
		return rc;
	return rc == 1 && entry_key_is_within(key, len, p->key, p->key_len) ? 1 : 0;
}

/* Walk the paths in key order; one that lies within another was walked with it. */
static int walk_paths(struct run *r, struct err *err)
{
	const struct restore_run_opts *o = r->opts;
	CLEANUP(cleanup_free_p)
	struct restore_run_path **sorted =
		calloc(o->path_count + 1, sizeof(struct restore_run_path *));
	const struct restore_run_path *outer = NULL;
	if (sorted == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	for (size_t i = 0; i < o->path_count; i++)
		sorted[i] = &o->paths[i];
	qsort(sorted, o->path_count, sizeof(struct restore_run_path *), compare_paths);
	for (size_t i = 0; i < o->path_count; i++) {
		struct restore_run_path *p = sorted[i];
		bool is_inner = outer != NULL &&
				entry_key_is_within(p->key, p->key_len, outer->key, outer->key_len);
		int rc = is_inner ? is_there(r, p, err) : walk_path(r, p, err);
		if (rc < 0)
			return rc;
		if (is_inner)
			p->is_found = rc == 1;
		else
			outer = p;
	}
	return 0;
}

static int walk(struct run *r, struct err *err)
{
	struct err why = ERR_INIT;
	struct restore_run_path everything = { .key = NULL };
	int rc = r->opts->paths != NULL ? walk_paths(r, &why) : walk_path(r, &everything, &why);
	if (is_damage(rc)) {
		/* A node of the tree is lost: what lies behind it cannot be found. */
		tell_problem(r, NULL, 0, true, &why);
		return 0;
	}
	if (rc != 0 && err != NULL)
		*err = why;
	return rc;
}

int restore_run_tree(
	const struct restore_run_opts *opts, struct restore_run_result *out, struct err *err)
{
	struct run r = { .opts = opts, .result = out, .last = BUF_INIT(ENTRY_MAX_KEY_BYTES) };
	memset(out, 0, sizeof(*out));
	for (size_t i = 0; i < opts->path_count; i++)
		opts->paths[i].is_found = false;
	extent_bytes_init(&r.bytes, opts->source);
	int rc = digest_new(ENTRY_DIGEST_SHA256, &r.digest, err);
	if (rc == 0)
		rc = aside_new(&r.aside, err);
	if (rc == 0)
		rc = leaf_batch_new(&r.leaves, err);
	if (rc == 0)
		rc = tree_reader_new(opts->source, opts->top, &r.reader, err);
	if (rc == 0)
		rc = tree_reader_new(opts->source, opts->top, &r.ancestors, err);
	if (rc == 0)
		rc = walk(&r, err);
	if (rc == 0 && opts->writer != NULL) {
		struct err why = ERR_INIT;
		if (restore_writer_finish(opts->writer, &why) != 0)
			tell_problem(&r, NULL, 0, false, &why);
	}
	tree_reader_free(r.ancestors);
	tree_reader_free(r.reader);
	extent_bytes_done(&r.bytes);
	aside_free(r.aside);
	leaf_batch_free(r.leaves);
	explicit_bzero(&r.last_ref, sizeof(r.last_ref));
	digest_free(r.digest);
	buf_done(&r.last);
	return rc;
}
