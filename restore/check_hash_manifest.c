#include "restore/check_hash_manifest.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/fdio.h"
#include "codec/truth.h"
#include "crypto/hash.h"
#include "restore/checks.h"
#include "restore/pg_manifest.h"
#include "restore/snapshot_files.h"
#include "restore/tree_walk.h"
#include "vault/digest.h"

/*
 * INVARIANTS
 * (1) Every file is read once from end to end; what is compared are hashes of those bytes.
 * (2) A file counts as examined when it was compared with the snapshot or the source's manifest.
 * (3) seen[i] says that file i of the snapshot was found; likewise known[i] of the manifest.
 */

#define CHECK_HASH_MANIFEST_READ_BYTES ((size_t)1 << 18)

struct scan {
	struct checks_case *c;
	uint8_t *bytes; /* CHECK_HASH_MANIFEST_READ_BYTES; owned */
	bool *seen;     /* owned */
	bool *known;    /* owned */
	int64_t equal_to_snapshot;
	int64_t equal_to_truth;
	int64_t changed_since; /* differs from the manifest, changed after it was written */
};

/* What was read of one file. */
struct reading {
	uint64_t size;
	uint64_t prefix;    /* bytes that prefix_sha256 covers */
	uint8_t digest[32]; /* of the kind the snapshot uses */
	uint8_t prefix_sha256[32];
};

static void scan_done(struct scan *s)
{
	free(s->bytes);
	free(s->seen);
	free(s->known);
}

/* Hash the whole file, and its first ${r->prefix} bytes on their own. */
static int read_file(struct scan *s, const struct tree_walk_item *item, enum entry_digest kind,
	struct reading *r, struct err *err)
{
	CLEANUP(cleanup_close_p) int fd = tree_walk_open(item);
	struct digest *whole = NULL;
	if (fd < 0)
		return err_sys(err, ERR_IO, "unable to open '%s'", item->path);
	int rc = digest_new(kind, &whole, err);
	if (rc != 0)
		return rc;
	struct hash *prefix = hash_new();
	if (prefix == NULL) {
		digest_free(whole);
		return err_set(err, ERR_NOMEM, "out of memory");
	}
	ssize_t n;
	while ((n = fdio_read_full(fd, s->bytes, CHECK_HASH_MANIFEST_READ_BYTES)) > 0) {
		digest_add(whole, s->bytes, (size_t)n);
		if (r->size < r->prefix) {
			uint64_t left = r->prefix - r->size;
			hash_add(prefix, s->bytes, left < (uint64_t)n ? (size_t)left : (size_t)n);
		}
		r->size += (uint64_t)n;
	}
	if (n < 0)
		rc = err_sys(err, ERR_IO, "unable to read '%s'", item->path);
	int ended = digest_end(whole, r->digest, rc == 0 ? err : NULL);
	if (rc == 0)
		rc = ended;
	digest_free(whole);
	hash_end(prefix, r->prefix_sha256);
	hash_free(prefix);
	return rc;
}

static const struct truth_file *find_truth(const struct truth *t, const char *path)
{
	size_t low = 0, high = t == NULL || !t->has_files ? 0 : t->file_count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = strcmp(path, t->files[middle].path);
		if (order == 0)
			return &t->files[middle];
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return NULL;
}

/* ${path} as the source names it, below the content's root; NULL = outside of it. */
static const char *below_root(const char *path, const char *root)
{
	size_t len = strlen(root);
	if (len == 0)
		return path;
	return strncmp(path, root, len) == 0 && path[len] == '/' ? path + len + 1 : NULL;
}

static void compare_snapshot(struct scan *s, const struct tree_walk_item *item,
	const struct snapshot_file *want, const struct reading *got)
{
	if (want->size != got->size)
		checks_fault(s->c, "'%s' has %" PRIu64 " bytes, the snapshot says %" PRIu64,
			item->path, got->size, want->size);
	else if (want->digest_kind == ENTRY_DIGEST_NONE)
		checks_fault(s->c, "'%s' has no digest in the snapshot", item->path);
	else if (memcmp(want->digest, got->digest, sizeof(got->digest)) != 0)
		checks_fault(s->c, "the content of '%s' is not what was backed up", item->path);
	else
		s->equal_to_snapshot++;
}

static void compare_truth(struct scan *s, const struct tree_walk_item *item,
	const struct truth_file *want, const struct snapshot_file *file, const struct reading *got)
{
	bool is_longer = want->is_append && got->size > want->size;
	bool is_equal = (want->size == got->size || is_longer) && got->prefix == want->size &&
			memcmp(want->sha256, got->prefix_sha256, sizeof(want->sha256)) == 0;
	if (is_equal)
		s->equal_to_truth++;
	/* whole seconds, and the time a file gets lags a tick behind the clock */
	else if (file != NULL && file->mtime_s + 1 >= s->c->place->truth->taken_ms / 1000)
		s->changed_since++;
	else
		checks_fault(s->c, "'%s' is not what the source wrote down", item->path);
}

static int look_at(void *arg, const struct tree_walk_item *item, struct err *err)
{
	struct scan *s = arg;
	const struct checks_place *p = s->c->place;
	int rc = checks_stop(s->c, err);
	if (rc != 0 || !S_ISREG(item->st->st_mode))
		return rc;
	const struct snapshot_file *file =
		p->files == NULL ? NULL : snapshot_files_find(p->files, item->path);
	const char *name = below_root(item->path, p->root);
	const struct truth_file *fact = name == NULL ? NULL : find_truth(p->truth, name);
	if (p->files != NULL && file == NULL)
		checks_fault(s->c, "'%s' is not in the snapshot", item->path);
	if (file == NULL && fact == NULL)
		return 0;
	struct reading got = { .prefix = fact == NULL ? 0 : fact->size };
	enum entry_digest kind = file != NULL && file->digest_kind != ENTRY_DIGEST_NONE
					 ? file->digest_kind
					 : digest_kind((uint64_t)item->st->st_size);
	rc = read_file(s, item, kind, &got, err);
	if (rc != 0)
		return rc;
	s->c->items++;
	if (file != NULL) {
		s->seen[file - p->files->items] = true;
		compare_snapshot(s, item, file, &got);
	}
	if (fact != NULL) {
		s->known[fact - p->truth->files] = true;
		compare_truth(s, item, fact, file, &got);
	}
	return 0;
}

static void tell_missing(struct scan *s)
{
	const struct checks_place *p = s->c->place;
	for (size_t i = 0; p->files != NULL && i < p->files->count; i++) {
		if (!s->seen[i])
			checks_fault(s->c, "'%s' is missing", p->files->items[i].path);
	}
	const bool has_files = p->truth != NULL && p->truth->has_files;
	for (size_t i = 0; has_files && i < p->truth->file_count; i++) {
		if (!s->known[i])
			checks_fault(s->c, "'%s', which the source wrote down, is missing",
				p->truth->files[i].path);
	}
}

DEFINE_CLEANUP(struct pg_manifest *, pg_manifest_free)

/* The server's own list of a base backup. */
static int compare_backup_manifest(struct checks_case *c, struct err *err)
{
	CLEANUP(cleanup_close_p) int root = checks_open_root(c);
	if (root < 0)
		return err_sys(err, ERR_IO, "unable to open '%s'", c->place->root);
	CLEANUP(cleanup_close_p)
	int fd = tree_walk_open_path(root, PG_MANIFEST_FILE_NAME, O_RDONLY | O_NONBLOCK);
	struct stat st;
	if (fd < 0)
		return err_set(err, ERR_CORRUPT, "the copy has no " PG_MANIFEST_FILE_NAME);
	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
		return err_set(err, ERR_CORRUPT, "the copy's " PG_MANIFEST_FILE_NAME " is no file");
	CLEANUP(buf_done) struct buf text = BUF_INIT(PG_MANIFEST_MAX_BYTES);
	CLEANUP(pg_manifest_free_p) struct pg_manifest *m = NULL;
	int rc = fdio_read_all(fd, &text, err);
	if (rc == 0)
		rc = pg_manifest_parse(text.data, text.len, &m, err);
	return rc == 0 ? pg_manifest_verify(m, root, err) : rc;
}

static int scan(struct scan *s, struct err *err)
{
	const struct checks_place *p = s->c->place;
	size_t files = p->files == NULL ? 0 : p->files->count;
	size_t facts = p->truth == NULL ? 0 : p->truth->file_count;
	s->bytes = malloc(CHECK_HASH_MANIFEST_READ_BYTES);
	s->seen = calloc(files + 1, sizeof(*s->seen));
	s->known = calloc(facts + 1, sizeof(*s->known));
	if (s->bytes == NULL || s->seen == NULL || s->known == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	int rc = tree_walk_run(p->dirfd, look_at, s, err);
	if (rc == 0)
		tell_missing(s);
	return rc;
}

int check_hash_manifest_run(struct checks_case *c, struct err *err)
{
	CLEANUP(scan_done) struct scan s = { .c = c };
	const bool is_database = plan_system_type_is_database(c->place->system->type);
	struct err why = ERR_INIT;
	int rc = scan(&s, err);
	if (rc != 0)
		return rc;
	if (is_database) {
		rc = compare_backup_manifest(c, &why);
		if (rc == -ERR_NOMEM)
			return err_set(err, ERR_NOMEM, "out of memory");
		if (rc != 0)
			checks_fault(c, "%s", why.msg);
	}
	char facts[64] = "";
	if (s.equal_to_truth > 0)
		(void)snprintf(facts, sizeof(facts), ", %" PRId64 " as the source wrote down",
			s.equal_to_truth); /* fits */
	checks_summarize(c, "%" PRId64 " files: %" PRId64 " as in the snapshot%s%s", c->items,
		s.equal_to_snapshot, facts,
		is_database ? "; the server's backup_manifest agrees" : "");
	if (s.changed_since > 0)
		checks_tell(c, "%" PRId64 " files changed after the source wrote them down",
			s.changed_since);
	return 0;
}
