#include "agents/rebundle.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agents/content.h"
#include "base/atomic_file.h"
#include "base/buf.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/fdio.h"
#include "crypto/hash.h"
#include "vault/bundle.h"
#include "vault/id_table.h"

/*
 * INVARIANTS
 * (1) due holds what the run before chose and is not changed; rows are this run's.
 * (2) 0 < live <= raw <= BUNDLE_MAX_BYTES in every row that was counted.
 */

/* The list: magic, version, 3 reserved, u32 count, ids of 32 bytes, SHA-256 of all before. */
#define HEAD_BYTES 12
#define LIST_MAX 65536 /* bundles: 32 GiB of small files */
#define LIST_MAX_BYTES (HEAD_BYTES + LIST_MAX * 32 + HASH_BYTES)
#define VERSION 1
#define FIRST_ROWS 64

static const uint8_t magic[4] = { 'H', 'F', 'R', 'B' };

struct id_list {
	uint8_t (*at)[32]; /* owned */
	size_t count;
	struct id_table table;
};

struct rebundle {
	char *path;
	struct id_list due;
	struct rebundle_row *rows;
	size_t count, cap;
	struct id_table table; /* of rows */
};

static bool is_small(const struct rebundle_row *row)
{
	return row->raw < BUNDLE_MIN_BYTES;
}

static int by_use(const void *a, const void *b)
{
	const struct rebundle_row *x = a, *y = b;
	uint64_t left = (uint64_t)x->live * y->raw, right = (uint64_t)y->live * x->raw;
	if (left != right)
		return left < right ? -1 : 1;
	if (x->raw != y->raw)
		return x->raw < y->raw ? -1 : 1;
	return memcmp(x->id, y->id, sizeof(x->id));
}

size_t rebundle_choose(struct rebundle_row *rows, size_t count, uint64_t new_bytes)
{
	uint64_t all = 0, taken = 0;
	size_t small = 0, chosen = 0;
	for (size_t i = 0; i < count; i++) {
		all += rows[i].live;
		small += is_small(&rows[i]);
	}
	uint64_t most = new_bytes > all / REBUNDLE_SHARE ? new_bytes : all / REBUNDLE_SHARE;
	if (count > 0)
		qsort(rows, count, sizeof(*rows), by_use);
	for (size_t i = 0; i < count; i++) {
		struct rebundle_row row = rows[i];
		bool is_wasteful = 2 * (uint64_t)row.live < row.raw;
		if (!is_wasteful && (small <= REBUNDLE_SMALL_MAX || !is_small(&row)))
			continue;
		if (chosen > 0 && taken + row.live > most)
			break;
		taken += row.live;
		rows[i] = rows[chosen];
		rows[chosen++] = row;
	}
	return chosen;
}

static struct id_table_array ids_of(const struct id_list *l)
{
	return (struct id_table_array){ .base = (const uint8_t *)l->at, .stride = 32 };
}

static struct id_table_array rows_of(const struct rebundle *r)
{
	return (struct id_table_array){ .base = (const uint8_t *)r->rows,
		.stride = sizeof(*r->rows) };
}

static bool is_list(const struct buf *file)
{
	uint8_t sum[HASH_BYTES];
	if (file->len < HEAD_BYTES + HASH_BYTES || memcmp(file->data, magic, sizeof(magic)) != 0 ||
		file->data[4] != VERSION)
		return false;
	size_t len = file->len - HASH_BYTES;
	if (len != HEAD_BYTES + (size_t)bytes_get32(file->data + 8) * 32)
		return false;
	hash_sha256(file->data, len, sum);
	return memcmp(sum, file->data + len, sizeof(sum)) == 0;
}

static int take_list(struct id_list *l, const struct buf *file, struct err *err)
{
	size_t count = bytes_get32(file->data + 8);
	if (count == 0)
		return 0;
	l->at = malloc(count * sizeof(*l->at));
	if (l->at == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	memcpy(l->at, file->data + HEAD_BYTES, count * sizeof(*l->at));
	l->count = count;
	for (size_t i = 0; i < count; i++) {
		int rc = id_table_add(&l->table, ids_of(l), i, err);
		if (rc != 0)
			return rc;
	}
	return 0;
}

int rebundle_open(const char *path, struct rebundle **out, struct err *err)
{
	CLEANUP(buf_done) struct buf file = BUF_INIT(LIST_MAX_BYTES);
	struct rebundle *r = calloc(1, sizeof(*r));
	if (r != NULL)
		r->path = strdup(path);
	int rc = r == NULL || r->path == NULL ? err_set(err, ERR_NOMEM, "out of memory") : 0;
	if (rc == 0 && fdio_read_file(AT_FDCWD, path, &file, NULL) == 0 && is_list(&file))
		rc = take_list(&r->due, &file, err);
	if (rc != 0) {
		rebundle_free(r);
		return rc;
	}
	*out = r;
	return 0;
}

void rebundle_free(struct rebundle *r)
{
	if (r == NULL)
		return;
	id_table_done(&r->due.table);
	id_table_done(&r->table);
	free(r->due.at);
	free(r->rows);
	free(r->path);
	free(r);
}

/* A piece of a small file in a bundle. */
static bool is_bundled(const struct content *c, const struct extent *x)
{
	return !x->is_hole && c->size < BUNDLE_FILE_BYTES && x->ref.raw_len > 0 &&
	       x->ref.raw_len <= BUNDLE_MAX_BYTES;
}

bool rebundle_is_due(const struct rebundle *r, const struct content *c)
{
	if (r == NULL || r->due.count == 0)
		return false;
	for (size_t i = 0; i < c->count; i++) {
		const struct extent *x = &c->extents[i];
		if (is_bundled(c, x) &&
			id_table_find(&r->due.table, ids_of(&r->due), x->ref.id) != ID_TABLE_NONE)
			return true;
	}
	return false;
}

static int add_row(struct rebundle *r, const struct ref *ref, size_t *at, struct err *err)
{
	if (r->count == r->cap) {
		size_t cap = r->cap == 0 ? FIRST_ROWS : 2 * r->cap;
		struct rebundle_row *grown = reallocarray(r->rows, cap, sizeof(*grown));
		if (grown == NULL)
			return err_set(err, ERR_NOMEM, "out of memory");
		r->rows = grown;
		r->cap = cap;
	}
	r->rows[r->count] = (struct rebundle_row){ .raw = ref->raw_len };
	memcpy(r->rows[r->count].id, ref->id, sizeof(ref->id));
	int rc = id_table_add(&r->table, rows_of(r), r->count, err);
	if (rc == 0)
		*at = r->count++;
	return rc;
}

int rebundle_count(struct rebundle *r, const struct content *c, struct err *err)
{
	if (r == NULL)
		return 0;
	for (size_t i = 0; i < c->count; i++) {
		const struct extent *x = &c->extents[i];
		if (!is_bundled(c, x))
			continue;
		size_t at = id_table_find(&r->table, rows_of(r), x->ref.id);
		int rc = at == ID_TABLE_NONE ? add_row(r, &x->ref, &at, err) : 0;
		if (rc != 0)
			return rc;
		struct rebundle_row *row = &r->rows[at];
		uint64_t live = row->live + x->length;
		row->live = live < row->raw ? (uint32_t)live : row->raw;
	}
	return 0;
}

int rebundle_commit(struct rebundle *r, uint64_t new_bytes, struct err *err)
{
	CLEANUP(buf_done) struct buf file = BUF_INIT(LIST_MAX_BYTES);
	uint8_t head[HEAD_BYTES] = { 0 };
	uint8_t sum[HASH_BYTES];
	size_t count = rebundle_choose(r->rows, r->count, new_bytes);
	id_table_clear(&r->table); /* the rows are in another order now */
	if (count > LIST_MAX)
		count = LIST_MAX;
	if (count == 0) {
		if (unlink(r->path) == 0 || errno == ENOENT)
			return 0;
		return err_sys(err, ERR_IO, "unable to remove '%s'", r->path);
	}
	memcpy(head, magic, sizeof(magic));
	head[4] = VERSION;
	bytes_put32(head + 8, (uint32_t)count);
	int rc = buf_add(&file, head, sizeof(head), err);
	for (size_t i = 0; rc == 0 && i < count; i++)
		rc = buf_add(&file, r->rows[i].id, sizeof(r->rows[i].id), err);
	if (rc != 0)
		return rc;
	hash_sha256(file.data, file.len, sum);
	rc = buf_add(&file, sum, sizeof(sum), err);
	return rc != 0 ? rc : atomic_file_write(AT_FDCWD, r->path, 0600, file.data, file.len, err);
}
