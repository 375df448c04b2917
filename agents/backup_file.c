#include "agents/backup_file.h"

#include <stdlib.h>
#include <string.h>

#include "agents/file_digest.h"
#include "agents/uploader.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "crypto/hash_lanes.h"
#include "vault/digest.h"

/*
 * INVARIANTS (while a file is read)
 * (1) offset is the file offset of the next byte; zeros are the zero bytes just before it that
 *     were not given on yet, whole blocks, all of them at aligned offsets.
 * (2) part holds the begun block, offset - part_len .. offset; offset - part_len is aligned.
 * (3) Large files: window holds the bytes of the current data run that are not cut yet, and search
 *     is where the search for their first cut stands.
 * (4) A small file that is one run of data is hashed when its bundle is closed, with the others of
 *     it side by side: unsummed[] are those of the open bundle.
 */

#define STOP_CHECK_BYTES (8u << 20)

/* A run of a small file: placed in the bundle when the file is whole. */
struct run {
	bool is_hole;
	uint64_t length;
};

/* A small file that is not hashed yet: where it lies in the open bundle. */
struct unsummed {
	struct content *content; /* one user */
	size_t at, len;
};

struct backup_file {
	struct backup_file_opts opts;
	struct file_digest *digest; /* and what is read into */
	struct hash *hash;          /* of a small file with holes */
	struct unsummed *unsummed;  /* invariant 4 */
	size_t unsummed_count, unsummed_cap;
	struct buf window; /* large: the open chunk; small: all data */
	struct chunker_search search;
	struct run *runs;
	size_t run_count, run_cap;
	struct content *content; /* being filled */
	bool is_small;
	uint64_t offset;
	uint64_t zeros;
	uint8_t part[BACKUP_FILE_ZERO_BLOCK];
	size_t part_len;
};

static const uint8_t zero_block[BACKUP_FILE_ZERO_BLOCK];

DEFINE_CLEANUP(struct backup_file *, backup_file_free)
DEFINE_CLEANUP(struct content *, content_free)

int backup_file_new(const struct backup_file_opts *opts, struct backup_file **out, struct err *err)
{
	CLEANUP(backup_file_free_p) struct backup_file *f = calloc(1, sizeof(*f));
	if (f == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	f->opts = *opts;
	f->window = (struct buf)BUF_INIT(opts->chunker->max + FILE_DIGEST_ROOM_BYTES);
	f->hash = hash_new();
	int rc = f->hash == NULL ? err_set(err, ERR_NOMEM, "out of memory")
				 : file_digest_new(&f->digest, err);
	if (rc != 0)
		return rc;
	*out = TAKE(f);
	return 0;
}

void backup_file_free(struct backup_file *f)
{
	if (f == NULL)
		return;
	file_digest_free(f->digest);
	hash_free(f->hash);
	for (size_t i = 0; i < f->unsummed_count; i++)
		content_free(f->unsummed[i].content);
	free(f->unsummed);
	content_free(f->content);
	buf_done(&f->window);
	free(f->runs);
	free(f);
}

static int add_run(struct backup_file *f, bool is_hole, uint64_t length, struct err *err)
{
	if (f->run_count > 0 && f->runs[f->run_count - 1].is_hole == is_hole) {
		f->runs[f->run_count - 1].length += length;
		return 0;
	}
	if (f->run_count == f->run_cap) {
		size_t cap = f->run_cap == 0 ? 16 : f->run_cap * 2;
		struct run *grown = reallocarray(f->runs, cap, sizeof(*grown));
		if (grown == NULL)
			return err_set(err, ERR_NOMEM, "out of memory");
		f->runs = grown;
		f->run_cap = cap;
	}
	f->runs[f->run_count++] = (struct run){ .is_hole = is_hole, .length = length };
	return 0;
}

static void settle(void *arg, uint64_t index, const struct ref *ref)
{
	struct content *c = arg;
	if (ref != NULL)
		content_settle(c, index, ref);
	content_free(c);
}

/* The first ${len} bytes of the window. */
static int put_chunk(struct backup_file *f, size_t len, struct err *err)
{
	uint64_t index;
	int rc = content_add_later(f->content, len, &index, err);
	return rc != 0 ? rc
		       : uploader_put_later(f->opts.uploader, RECORD_DATA, RECORD_CLASS_STREAM,
				 &f->window, len, settle, content_share(f->content), index, err);
}

/* Put the chunks of the window whose ends are certain, or all when the run ends. */
static int cut(struct backup_file *f, bool is_end, struct err *err)
{
	const struct chunker *c = f->opts.chunker;
	while (f->window.len > 0) {
		size_t n =
			chunker_search_next(c, &f->search, f->window.data, f->window.len, is_end);
		if (n == 0)
			break;
		int rc = put_chunk(f, n, err);
		if (rc != 0)
			return rc;
		chunker_search_begin(c, &f->search);
	}
	return 0;
}

static int emit_data(struct backup_file *f, const uint8_t *data, size_t len, struct err *err)
{
	int rc = buf_add(&f->window, data, len, err);
	if (rc != 0)
		return rc;
	if (f->is_small)
		return add_run(f, false, len, err);
	return cut(f, false, err);
}

static int emit_hole(struct backup_file *f, uint64_t len, struct err *err)
{
	if (f->is_small)
		return add_run(f, true, len, err);
	int rc = cut(f, true, err);
	return rc != 0 ? rc : content_add_hole(f->content, len, err);
}

/* A run of zero blocks is over: a hole if it is long enough, else data like any other. */
static int end_zeros(struct backup_file *f, struct err *err)
{
	int rc = 0;
	if (f->zeros >= BACKUP_FILE_ZERO_RUN) {
		rc = emit_hole(f, f->zeros, err);
	} else {
		for (uint64_t n = 0; rc == 0 && n < f->zeros; n += sizeof(zero_block))
			rc = emit_data(f, zero_block, sizeof(zero_block), err);
	}
	f->zeros = 0;
	return rc;
}

/* How many of the ${len} bytes at ${p}, whole blocks, come before the first block of zeros. */
static size_t before_zeros(const uint8_t *p, size_t len)
{
	size_t n = 0;
	while (n < len && memcmp(p + n, zero_block, sizeof(zero_block)) != 0)
		n += sizeof(zero_block);
	return n;
}

/* Whole blocks at an aligned offset. */
static int take_blocks(struct backup_file *f, const uint8_t *p, size_t len, struct err *err)
{
	int rc = 0;
	while (rc == 0 && len > 0) {
		size_t n = before_zeros(p, len);
		if (n > 0) {
			rc = f->zeros > 0 ? end_zeros(f, err) : 0;
			if (rc == 0)
				rc = emit_data(f, p, n, err);
		} else {
			n = sizeof(zero_block);
			f->zeros += n;
		}
		p += n;
		len -= n;
	}
	return rc;
}

static int end_part(struct backup_file *f, struct err *err)
{
	int rc = f->part_len > 0 || f->zeros > 0 ? end_zeros(f, err) : 0;
	if (rc == 0 && f->part_len > 0)
		rc = emit_data(f, f->part, f->part_len, err);
	f->part_len = 0;
	return rc;
}

static int take_data(struct backup_file *f, const uint8_t *p, size_t len, struct err *err)
{
	int rc = 0;
	while (rc == 0 && len > 0) {
		size_t in_block = (size_t)(f->offset % sizeof(zero_block));
		size_t n = sizeof(zero_block) - in_block;
		if (in_block == 0 && len >= n) {
			n = len - len % sizeof(zero_block);
			rc = take_blocks(f, p, n, err);
		} else {
			if (n > len)
				n = len;
			memcpy(f->part + f->part_len, p, n);
			f->part_len += n;
			if (f->part_len == sizeof(zero_block)) {
				f->part_len = 0;
				rc = take_blocks(f, f->part, sizeof(f->part), err);
			} else if (in_block + n == sizeof(zero_block)) {
				rc = end_part(
					f, err); /* began behind a hole that was not aligned */
			}
		}
		f->offset += n;
		p += n;
		len -= n;
	}
	return rc;
}

static int take_hole(struct backup_file *f, uint64_t len, struct err *err)
{
	int rc = end_part(f, err);
	if (rc == 0)
		rc = emit_hole(f, len, err);
	f->offset += len;
	return rc;
}

/* The digest of a small file that was read to its end, from its runs. */
static void sum_runs(struct backup_file *f, uint8_t sum[32])
{
	size_t at = 0;
	for (size_t i = 0; i < f->run_count; i++) {
		uint64_t left = f->runs[i].length;
		if (!f->runs[i].is_hole) {
			hash_add(f->hash, f->window.data + at, (size_t)left);
			at += (size_t)left;
			continue;
		}
		for (size_t n; left > 0; left -= n) {
			n = left < sizeof(zero_block) ? (size_t)left : sizeof(zero_block);
			hash_add(f->hash, zero_block, n);
		}
	}
	hash_end(f->hash, sum);
}

/* Its digest now, or with the others of its bundle. */
static int sum_small(struct backup_file *f, size_t offset, struct err *err)
{
	if (f->run_count != 1 || f->runs[0].is_hole) {
		sum_runs(f, f->content->digest);
		return 0;
	}
	if (f->unsummed_count == f->unsummed_cap) {
		size_t cap = f->unsummed_cap == 0 ? 64 : f->unsummed_cap * 2;
		struct unsummed *grown = reallocarray(f->unsummed, cap, sizeof(*grown));
		if (grown == NULL)
			return err_set(err, ERR_NOMEM, "out of memory");
		f->unsummed = grown;
		f->unsummed_cap = cap;
	}
	f->unsummed[f->unsummed_count++] = (struct unsummed){
		.content = content_share(f->content), .at = offset, .len = f->window.len
	};
	return 0;
}

void backup_file_sum(struct backup_file *f)
{
	const uint8_t *bytes = f->opts.bundle->bytes.data;
	for (size_t at = 0, n; at < f->unsummed_count; at += n) {
		struct hash_part parts[HASH_LANES_MAX];
		struct hash_lanes_item items[HASH_LANES_MAX];
		for (n = 0; n < HASH_LANES_MAX && at + n < f->unsummed_count; n++) {
			const struct unsummed *u = &f->unsummed[at + n];
			parts[n] = (struct hash_part){ bytes + u->at, u->len };
			items[n] = (struct hash_lanes_item){ .parts = &parts[n], .count = 1 };
		}
		hash_lanes_run(items, n);
		for (size_t i = 0; i < n; i++) {
			struct content *c = f->unsummed[at + i].content;
			memcpy(c->digest, items[i].out, sizeof(c->digest));
			content_free(c);
		}
	}
	f->unsummed_count = 0;
}

/* The data of a small file goes to the bundle in one piece; its runs become extents. */
static int end_small(struct backup_file *f, struct err *err)
{
	size_t offset = 0;
	int rc = 0;
	if (f->window.len > 0) {
		if (bundle_must_close_before(f->opts.bundle, f->window.len))
			rc = f->opts.close_bundle(f->opts.arg, err);
		if (rc == 0)
			rc = bundle_add(
				f->opts.bundle, f->window.data, f->window.len, &offset, err);
	}
	if (rc == 0)
		rc = sum_small(f, offset, err);
	for (size_t i = 0; rc == 0 && i < f->run_count; i++) {
		if (f->runs[i].is_hole) {
			rc = content_add_hole(f->content, f->runs[i].length, err);
		} else {
			rc = content_add_bundled(f->content, f->opts.bundle->ordinal, offset,
				f->runs[i].length, err);
			offset += (size_t)f->runs[i].length;
		}
	}
	return rc;
}

/* Read to the end, into records or only into the digest.  *${is_lost}: the source could not read
 * the file, and said so; any other failure is the backup's. */
static int pump(struct backup_file *f, const struct source *source, bool is_stored, bool *is_lost,
	struct err *err)
{
	const bool is_summed = !is_stored || !f->is_small; /* else when all of it is there */
	uint64_t next_check = STOP_CHECK_BYTES;
	uint64_t done = 0;
	for (;;) {
		size_t cap, len = 0;
		uint64_t hole = 0;
		uint8_t *room = file_digest_room(f->digest, &cap);
		int more = source->read(source->self, room, cap, &len, &hole, err);
		if (more == 0)
			return 0;
		if (more < 0) {
			*is_lost = true;
			return more;
		}
		if (is_summed) {
			file_digest_add(f->digest, len);
			file_digest_add_zeros(f->digest, hole);
		}
		*f->opts.read_bytes += len;
		done += len;
		int rc = 0;
		if (is_stored && len > 0)
			rc = take_data(f, room, len, err);
		if (rc == 0 && is_stored && hole > 0)
			rc = take_hole(f, hole, err);
		if (!is_stored)
			f->offset += len + hole;
		if (rc != 0)
			return rc;
		if (done >= next_check) {
			next_check = done + STOP_CHECK_BYTES;
			if (f->opts.is_stopped != NULL && f->opts.is_stopped(f->opts.arg))
				return err_set(err, ERR_INTERRUPTED, "the backup was stopped");
		}
	}
}

/* Read to the end, and store the digest of ${kind} of what was read, that of a small file which is
 * stored apart.  As pump(). */
static int pump_and_sum(struct backup_file *f, const struct source *source, enum entry_digest kind,
	bool is_stored, uint8_t sum[32], bool *is_lost, struct err *err)
{
	int rc = file_digest_begin(f->digest, kind, err);
	if (rc != 0)
		return rc;
	rc = pump(f, source, is_stored, is_lost, err);
	int ended = file_digest_end(f->digest, sum, rc == 0 ? err : NULL);
	return rc != 0 ? rc : ended;
}

/* A file that grew may have been written to at its beginning as well: read that once more.  If it
 * is the same, it was so at the moment when the first reading ended.  ${sum} is its digest, set
 * here for a small one.  As pump(). */
static int check_grown(struct backup_file *f, const struct source *source, struct source_item *item,
	enum entry_digest kind, uint8_t sum[32], bool *is_lost, struct err *err)
{
	uint8_t again[32];
	if (source->again == NULL || !source->again(source->self))
		return 0;
	if (f->is_small)
		sum_runs(f, sum);
	uint64_t length = f->offset;
	f->offset = 0;
	int rc = pump_and_sum(f, source, kind, false, again, is_lost, err);
	if (rc == 0 && (f->offset != length || memcmp(sum, again, sizeof(again)) != 0))
		item->entry.notes |= ENTRY_NOTE_CHANGED;
	f->offset = length;
	return rc;
}

static void begin(struct backup_file *f, uint64_t size)
{
	f->is_small = size < BUNDLE_FILE_BYTES;
	f->offset = 0;
	f->zeros = 0;
	f->part_len = 0;
	f->run_count = 0;
	buf_clear(&f->window);
	chunker_search_begin(f->opts.chunker, &f->search);
}

int backup_file_read(struct backup_file *f, const struct source *source, struct source_item *item,
	struct content **out, struct err *err)
{
	uint64_t size = 0;
	struct err lost = ERR_INIT;
	if (source->open(source->self, &size, &lost) != 0)
		return 0;
	begin(f, size);
	CLEANUP(content_free_p) struct content *content = NULL;
	int rc = content_new(&content, err);
	if (rc != 0) {
		source->close(source->self, item);
		return rc;
	}
	f->content = content;
	struct err why = ERR_INIT;
	uint8_t sum[32];
	bool is_lost = false;
	const enum entry_digest kind = digest_kind(size);
	rc = pump_and_sum(f, source, kind, true, sum, &is_lost, &why);
	if (rc == 0)
		rc = end_part(f, &why);
	if (rc == 0)
		rc = check_grown(f, source, item, kind, sum, &is_lost, &why);
	source->close(source->self, item);
	if (rc == 0)
		rc = f->is_small ? end_small(f, &why) : cut(f, true, &why);
	f->content = NULL;
	if (is_lost)
		return 0;
	if (rc != 0) {
		if (err != NULL)
			*err = why;
		return rc;
	}
	content->size = f->offset;
	content->digest_kind = kind;
	if (!f->is_small)
		memcpy(content->digest, sum, sizeof(sum));
	item->entry.size = f->offset;
	*out = TAKE(content);
	return 1;
}

int backup_file_compare(struct backup_file *f, const struct source *source,
	struct source_item *item, const struct content *want, struct err *err)
{
	uint64_t size = 0;
	uint8_t sum[32];
	struct err lost = ERR_INIT;
	if (source->open(source->self, &size, &lost) != 0)
		return 2;
	begin(f, size);
	bool is_lost = false;
	int rc = pump_and_sum(f, source, want->digest_kind, false, sum, &is_lost, err);
	source->close(source->self, item);
	if (is_lost)
		return 2;
	if (rc != 0)
		return rc;
	return f->offset == want->size && memcmp(sum, want->digest, sizeof(sum)) == 0;
}
