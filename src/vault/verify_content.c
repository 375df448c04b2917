#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/escape.h"
#include "crypto/hash.h"
#include "vault/block_memo.h"
#include "vault/digest.h"
#include "vault/extent_bytes.h"
#include "vault/tree_reader.h"
#include "vault/vault_internal.h"
#include "vault/verify_internal.h"

/*
 * INVARIANTS
 * (1) A file's content is read once for each distinct (digest, extents), over all snapshots.
 * (2) Every ref that the tree or an extent names is in the snapshot's reference list.
 * (3) Of a file whose digest is one of blocks, pieces holds what is read of the open block and not
 *     given to the digest yet, piece_bytes long; the digest stands at a block's begin.  Only a
 *     block of more than MAX_PIECES is given as it comes (is_direct).
 * (4) A leaf is remembered when all pieces of its block were opened and checked in this run: a
 *     later block of the same pieces has the same bytes.
 */

#define MAX_PIECES 512

struct content {
	struct verify *v;
	const struct snapshot *snapshot;
	struct id_marks *refs; /* the snapshot's reference list */
	struct digest *digest; /* of the file at hand */
	struct hash *shape;    /* over the extents, for invariant 1 */
	struct extent_bytes bytes;
	uint64_t length;       /* of the extents so far */
	struct extent *pieces; /* owned; MAX_PIECES */
	size_t piece_count;
	uint64_t piece_bytes; /* of the open block, given or not */
	bool is_direct;
	bool is_in_blocks; /* the file at hand */
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

/* Into the digest: opened, or zeros. */
static int give_piece(struct content *c, const struct extent *x, struct err *err)
{
	if (x->is_hole) {
		digest_add_zeros(c->digest, x->length);
		return 0;
	}
	const uint8_t *data = NULL;
	int rc = extent_bytes_get(&c->bytes, x, &data, err);
	if (rc != 0)
		return rc;
	digest_add(c->digest, data, (size_t)x->length);
	return verify_step(c->v, 0, err);
}

static int give_pieces(struct content *c, struct err *err)
{
	int rc = 0;
	for (size_t i = 0; rc == 0 && i < c->piece_count; i++)
		rc = give_piece(c, &c->pieces[i], err);
	c->piece_count = 0;
	return rc;
}

/* A whole block: by its leaf if it is known, else by its bytes. */
static int end_block(struct content *c, struct err *err)
{
	uint8_t key[HASH_BYTES];
	const bool is_kept = !c->is_direct;
	if (is_kept) {
		block_memo_key(c->pieces, c->piece_count, key);
		const uint8_t *leaf = block_memo_find(c->v->blocks, key);
		if (leaf != NULL) {
			digest_add_leaf(c->digest, leaf);
			c->piece_count = 0;
			return verify_step(c->v, 0, err);
		}
	}
	int rc = give_pieces(c, err);
	if (rc == 0 && is_kept)
		block_memo_add(c->v->blocks, key, digest_last_leaf(c->digest));
	return rc;
}

/* Cut the extent at the ends of blocks. */
static int add_pieces(struct content *c, const struct extent *x, struct err *err)
{
	struct extent left = *x;
	int rc = 0;
	while (rc == 0 && left.length > 0) {
		const uint64_t room = DIGEST_BLOCK_BYTES - c->piece_bytes;
		const uint64_t n = left.length < room ? left.length : room;
		if (c->piece_count == MAX_PIECES) {
			c->is_direct = true;
			rc = give_pieces(c, err);
		}
		c->pieces[c->piece_count] = left;
		c->pieces[c->piece_count++].length = n;
		c->piece_bytes += n;
		left.offset += n;
		left.length -= n;
		if (rc == 0 && c->piece_bytes == DIGEST_BLOCK_BYTES) {
			rc = end_block(c, err);
			c->piece_bytes = 0;
			c->is_direct = false;
		}
	}
	return rc;
}

static int read_extent(void *arg, const struct extent *x, struct err *err)
{
	struct content *c = arg;
	c->length += x->length;
	int rc = x->is_hole ? 0 : check_listed(c, &x->ref, err);
	if (rc != 0)
		return rc;
	return c->is_in_blocks ? add_pieces(c, x, err) : give_piece(c, x, err);
}

static int check_file(struct content *c, struct tree_reader *reader, const struct entry *e,
	struct id_set *seen, struct err *err)
{
	uint8_t shape[HASH_BYTES];
	bool is_new = false;
	hash_add(c->shape, e->digest, sizeof(e->digest));
	int rc = tree_reader_extents(reader, e, shape_extent, c, err);
	hash_end(c->shape, shape);
	if (rc == 0)
		rc = id_set_add(seen, shape, 1, &is_new, err);
	if (rc != 0 || !is_new)
		return rc;
	digest_begin(c->digest, e->digest_kind);
	c->length = 0;
	c->is_in_blocks = e->digest_kind == ENTRY_DIGEST_BLOCKS;
	c->is_direct = false;
	c->piece_count = 0;
	c->piece_bytes = 0;
	uint8_t digest[HASH_BYTES];
	rc = tree_reader_extents(reader, e, read_extent, c, err);
	if (rc == 0)
		rc = give_pieces(c, err); /* of the last block */
	int ended = digest_end(c->digest, digest, rc == 0 ? err : NULL);
	if (rc == 0)
		rc = ended;
	c->v->result->files++;
	if (rc == 0 && c->length != e->size)
		rc = err_set(err, ERR_CORRUPT, "its extents hold %llu bytes instead of %llu",
			(unsigned long long)c->length, (unsigned long long)e->size);
	if (rc == 0 && e->digest_kind != ENTRY_DIGEST_NONE &&
		memcmp(digest, e->digest, sizeof(digest)) != 0)
		rc = err_set(
			err, ERR_CORRUPT, "its content does not have the digest taken at backup");
	return rc;
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
			rc = check_file(c, reader, &e, seen, &why);
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

int verify_content_snapshot(
	struct verify *v, const struct snapshot *s, struct id_set *seen, struct err *err)
{
	struct fetch *f = v->fetch;
	struct index *index = NULL;
	struct content c = { .v = v, .snapshot = s, .shape = hash_new() };
	struct snapshot_opened opened;
	struct tree_reader *reader = NULL;
	struct err why = ERR_INIT;
	extent_bytes_init(&c.bytes, fetch_source(f));
	int rc = c.shape == NULL ? err_set(&why, ERR_NOMEM, "out of memory")
				 : digest_new(ENTRY_DIGEST_SHA256, &c.digest, &why);
	c.pieces = calloc(MAX_PIECES, sizeof(*c.pieces));
	if (rc == 0 && c.pieces == NULL)
		rc = err_set(&why, ERR_NOMEM, "out of memory");
	if (rc == 0)
		rc = fetch_index(f, &index, &why);
	if (rc == 0)
		rc = id_marks_new(index, &c.refs, &why);
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
	id_marks_free(c.refs);
	hash_free(c.shape);
	extent_bytes_done(&c.bytes);
	digest_free(c.digest);
	if (c.pieces != NULL)
		explicit_bzero(c.pieces, MAX_PIECES * sizeof(*c.pieces));
	free(c.pieces);
	if (vault_is_object_loss(rc)) {
		verify_problem(v, s->object, &why);
		return 0;
	}
	if (rc != 0 && err != NULL)
		*err = why;
	return rc;
}
