#include "vault/index_cache.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/env.h"
#include "base/err.h"
#include "base/fdio.h"
#include "base/log.h"
#include "base/spill.h"
#include "codec/text.h"
#include "crypto/hash.h"
#include "crypto/hmac.h"
#include "store/store.h"
#include "vault/index_internal.h"
#include "vault/vault_internal.h"

/*
 * INVARIANTS
 * (1) Nothing of a file is used before all of its bytes were read and their MAC was right; a file
 *     is never written to once it has its name, so that what was checked is what is mapped.
 * (2) A file lists exactly the segments whose places it holds, and counts only while the store has
 *     every one of them: what a collection took out of the index is in no file that counts.
 * (3) Segments that could not be read are in no file, so that each run tries them again.
 */

/* docs/FORMAT.md section 11 */
#define VERSION 1
#define HEADER_BYTES 80
#define MAC_AT 48
#define READ_BYTES ((size_t)256 << 10)
#define TEMP_FILE INDEX_CACHE_FILE ".new"

static const char magic[4] = { 'H', 'F', 'X', 'C' };

struct segment {
	uint8_t hash[HASH_BYTES];
	bool is_known; /* the file has its places */
	bool is_read;  /* our own memory has them */
	char name[VAULT_NAME_BYTES];
};

struct loading {
	struct vault *v;
	struct index *index;
	struct segment *segments; /* owned; ascending by hash once listed */
	size_t count, cap;
	struct err *err;
};

DEFINE_CLEANUP(struct index *, index_free)

/* ---- the segments on the store ----------------------------------------------------------------*/

static int note_segment(void *arg, const char *name, uint64_t size)
{
	(void)size; /* bounded by the store */
	struct loading *l = arg;
	struct segment s = { .is_known = false };
	size_t len = strlen(name);
	if (len < 64 || len >= sizeof(s.name) ||
		text_unhex(name + len - 64, sizeof(s.hash), s.hash) != 0)
		return 0; /* no segment of this format */
	if (l->count == l->cap) {
		size_t cap = l->cap == 0 ? 64 : l->cap * 2;
		struct segment *grown = reallocarray(l->segments, cap, sizeof(*grown));
		if (grown == NULL)
			return err_set(l->err, ERR_NOMEM, "out of memory");
		l->segments = grown;
		l->cap = cap;
	}
	memcpy(s.name, name, len + 1);
	l->segments[l->count++] = s;
	return 0;
}

static int compare_segments(const void *left, const void *right)
{
	const struct segment *a = left;
	const struct segment *b = right;
	return memcmp(a->hash, b->hash, sizeof(a->hash));
}

static int read_segment(struct loading *l, struct segment *s, bool is_exact, struct err *err)
{
	CLEANUP(buf_done) struct buf body = BUF_INIT(SEALED_MAX_BYTES);
	struct err why = ERR_INIT;
	int rc = vault_get_sealed(l->v, SEALED_INDEX, s->name, &body, &why);
	if (rc == 0)
		rc = index_add_segment(l->index, body.data, body.len, &why);
	if (rc == 0)
		rc = is_exact ? index_settle(l->index, &why) : index_stack(l->index, &why);
	s->is_read = rc == 0;
	if (vault_is_object_loss(rc) && rc != -ERR_UNSUPPORTED) {
		log_debug("index_cache.load", "segment=%s error=%s, continuing", s->name, why.msg);
		return 0; /* rebuildable: the packs' own footers say the same */
	}
	if (rc != 0 && err != NULL)
		*err = why;
	return rc;
}

/* ---- the file ---------------------------------------------------------------------------------*/

/* The header's MAC: over what stands before it and the hash of all behind the header. */
static void mac_of(const struct vault *v, const uint8_t *header, const uint8_t body[HASH_BYTES],
	uint8_t out[HMAC_BYTES])
{
	uint8_t key[HMAC_BYTES];
	const struct hmac_part parts[] = { { header, MAC_AT }, { body, HASH_BYTES } };
	hmac_kdf(v->key.k_vault, sizeof(v->key.k_vault), v->key.vault_id, sizeof(v->key.vault_id),
		"hf1/index-cache", NULL, 0, key, sizeof(key));
	hmac_sha256(key, sizeof(key), parts, 2, out);
	explicit_bzero(key, sizeof(key));
}

/* What a header says, and where that lies. */
struct layout {
	uint64_t segments, packs, entries, bytes;
};

static bool read_header(const uint8_t *h, struct layout *out)
{
	*out = (struct layout){ .segments = bytes_get64(h + 8),
		.packs = bytes_get64(h + 16),
		.entries = bytes_get64(h + 24) };
	if (memcmp(h, magic, sizeof(magic)) != 0 || bytes_get32(h + 4) != VERSION ||
		out->segments > UINT32_MAX || out->packs > UINT32_MAX || out->entries > UINT32_MAX)
		return false;
	out->bytes = HEADER_BYTES + out->segments * HASH_BYTES +
		     out->packs * sizeof(struct index_pack) +
		     out->entries * sizeof(struct index_entry);
	return true;
}

/* Read all of it once: errors of the disk show here, not as signals later. */
static bool is_whole(const struct vault *v, int fd, const uint8_t *header, uint64_t bytes)
{
	uint8_t sum[HASH_BYTES];
	uint8_t mac[HMAC_BYTES];
	CLEANUP(cleanup_free_p) uint8_t *block = malloc(READ_BYTES);
	struct hash *h = hash_new();
	bool is_read = block != NULL && h != NULL;
	for (uint64_t at = HEADER_BYTES; is_read && at < bytes;) {
		size_t want = bytes - at < READ_BYTES ? (size_t)(bytes - at) : READ_BYTES;
		is_read = fdio_pread_full(fd, block, want, (off_t)at) == (ssize_t)want;
		if (is_read)
			hash_add(h, block, want);
		at += want;
	}
	if (is_read)
		hash_end(h, sum);
	hash_free(h);
	if (!is_read)
		return false;
	mac_of(v, header, sum, mac);
	return hash_is_equal(mac, header + MAC_AT, sizeof(mac));
}

/* Invariant 2: is every segment of the file on the store?  Then they are known. */
static bool match_segments(struct loading *l, const uint8_t *hashes, uint64_t count)
{
	for (uint64_t i = 0; i < count; i++) {
		struct segment key = { .is_known = false };
		memcpy(key.hash, hashes + i * HASH_BYTES, sizeof(key.hash));
		struct segment *s = l->count == 0 ? NULL
						  : bsearch(&key, l->segments, l->count,
							    sizeof(*l->segments), compare_segments);
		if (s == NULL) {
			for (size_t k = 0; k < l->count; k++)
				l->segments[k].is_known = false;
			return false;
		}
		s->is_known = true;
	}
	return true;
}

/* Make the file the base of l->index, which is empty.  Return 1, 0 when the file does not count, or
 * -ERR_NOMEM. */
static int map_file(struct loading *l, int fd, struct err *err)
{
	uint8_t header[HEADER_BYTES];
	struct layout at;
	struct stat st;
	if (fdio_pread_full(fd, header, sizeof(header), 0) != (ssize_t)sizeof(header) ||
		!read_header(header, &at) || fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) ||
		(uint64_t)st.st_size != at.bytes || !is_whole(l->v, fd, header, at.bytes))
		return 0;
	size_t bytes = (size_t)at.bytes;
	uint8_t *map = mmap(NULL, bytes, PROT_READ, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		return 0;
	const uint8_t *packs = map + HEADER_BYTES + at.segments * HASH_BYTES;
	const struct index_parts parts = { .packs = (const struct index_pack *)packs,
		.pack_count = (size_t)at.packs,
		.entries =
			(const struct index_entry *)(packs + at.packs * sizeof(struct index_pack)),
		.count = (size_t)at.entries };
	int rc = match_segments(l, map + HEADER_BYTES, at.segments)
			 ? index_adopt(l->index, map, bytes, &parts, err)
			 : 1;
	if (rc != 0)
		(void)munmap(map, bytes); /* ours: cannot fail */
	return rc < 0 ? rc : rc == 0;
}

static int open_dir(const struct vault *v)
{
	if (v->cache_dir == NULL)
		return -1;
	return env_openat(AT_FDCWD, v->cache_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
}

static int use_file(struct loading *l, struct err *err)
{
	CLEANUP(cleanup_close_p) int dir = open_dir(l->v);
	if (dir < 0)
		return 0;
	CLEANUP(cleanup_close_p)
	int fd = env_openat(
		dir, INDEX_CACHE_FILE, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0);
	return fd < 0 ? 0 : map_file(l, fd, err);
}

/* ---- writing it -------------------------------------------------------------------------------*/

struct writing {
	int fd;
	struct hash *hash; /* owned */
	bool has_failed;
};

static void write_part(struct writing *w, const void *data, size_t len)
{
	if (w->has_failed || len == 0)
		return;
	hash_add(w->hash, data, len);
	w->has_failed = env_write_all(w->fd, data, len) != 0;
}

static bool write_body(const struct loading *l, struct writing *w, uint8_t header[HEADER_BYTES])
{
	struct index_parts parts;
	uint8_t sum[HASH_BYTES];
	uint64_t segments = 0;
	index_raw(l->index, &parts);
	if (env_write_all(w->fd, header, HEADER_BYTES) != 0)
		return false;
	for (size_t i = 0; i < l->count; i++) {
		if (!l->segments[i].is_known && !l->segments[i].is_read)
			continue;
		write_part(w, l->segments[i].hash, HASH_BYTES);
		segments++;
	}
	write_part(w, parts.packs, parts.pack_count * sizeof(*parts.packs));
	write_part(w, parts.entries, parts.count * sizeof(*parts.entries));
	if (w->has_failed)
		return false;
	hash_end(w->hash, sum);
	memcpy(header, magic, sizeof(magic));
	bytes_put32(header + 4, VERSION);
	bytes_put64(header + 8, segments);
	bytes_put64(header + 16, parts.pack_count);
	bytes_put64(header + 24, parts.count);
	memcpy(header + 32, l->v->key.vault_id, sizeof(l->v->key.vault_id));
	mac_of(l->v, header, sum, header + MAC_AT);
	return lseek(w->fd, 0, SEEK_SET) == 0 && env_write_all(w->fd, header, HEADER_BYTES) == 0;
}

/* Give the whole file its name; of two processes one wins, and both files are whole. */
static bool name_file(int dir, int fd)
{
	char path[40];
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd); /* fits */
	(void)env_unlinkat(dir, TEMP_FILE, 0); /* what a killed process left, or none */
	return env_linkat(AT_FDCWD, path, dir, TEMP_FILE, AT_SYMLINK_FOLLOW) == 0 &&
	       env_renameat(dir, TEMP_FILE, dir, INDEX_CACHE_FILE) == 0;
}

/* Write the compacted index.  Return the file's descriptor, or -1. */
static int write_file(const struct loading *l)
{
	uint8_t header[HEADER_BYTES] = { 0 };
	CLEANUP(cleanup_close_p) int dir = open_dir(l->v);
	if (dir < 0)
		return -1;
	CLEANUP(cleanup_close_p)
	int fd = env_openat(dir, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	struct writing w = { .fd = fd, .hash = hash_new() };
	bool is_written = fd >= 0 && w.hash != NULL && write_body(l, &w, header);
	hash_free(w.hash);
	if (!is_written || !name_file(dir, fd)) {
		log_debug("index_cache.write", "directory=%s errno=%d, continuing without",
			l->v->cache_dir, errno);
		return -1;
	}
	return TAKE_FD(fd);
}

/* Does a new file pay?  When what is read anew each time is an eighth of what is mapped. */
static bool is_due(const struct loading *l, size_t mapped)
{
	size_t all = index_entry_count(l->index);
	return l->v->cache_dir != NULL && all >= INDEX_CACHE_MIN_ENTRIES &&
	       all - mapped > mapped / 8;
}

/* Keep the index for the next run, and map it in this one instead of what it was made in. */
static int keep(struct loading *l, struct err *err)
{
	int rc = index_compact(l->index, err);
	CLEANUP(cleanup_close_p) int fd = rc == 0 ? write_file(l) : -1;
	if (fd < 0)
		return rc;
	CLEANUP(index_free_p) struct index *made = l->index;
	l->index = NULL;
	rc = index_new(&l->index, err);
	if (rc == 0)
		rc = map_file(l, fd, err);
	if (rc == 0) { /* no mapping to be had: what it was made in serves */
		index_free(l->index);
		l->index = TAKE(made);
	}
	return rc < 0 ? rc : 0;
}

static int load(struct loading *l, struct err *err)
{
	int rc = store_list(l->v->store, "ix/", note_segment, l, err);
	if (rc == 0)
		rc = index_new(&l->index, err);
	if (rc != 0)
		return rc;
	if (l->count > 1)
		qsort(l->segments, l->count, sizeof(*l->segments), compare_segments);
	rc = use_file(l, err);
	bool has_base = rc > 0;
	size_t mapped = index_entry_count(l->index);
	for (size_t i = 0; rc >= 0 && i < l->count; i++) {
		if (!l->segments[i].is_known)
			rc = read_segment(l, &l->segments[i], has_base, err);
	}
	if (rc >= 0 && is_due(l, mapped))
		return keep(l, err);
	return rc >= 0 && !has_base ? index_compact(l->index, err) : (rc < 0 ? rc : 0);
}

int index_cache_load(struct vault *v, struct index **out, struct err *err)
{
	struct loading l = { .v = v, .err = err };
	int rc = load(&l, err);
	free(l.segments);
	if (rc != 0) {
		index_free(l.index);
		return err_wrap(err, "unable to load the index");
	}
	*out = l.index;
	return 0;
}
