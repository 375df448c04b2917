#include "restore/pg_manifest.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/fdio.h"
#include "codec/jsonx.h"
#include "codec/text.h"
#include "crypto/hash.h"

/*
 * INVARIANTS
 * (1) A list's capacity is the power of two at or above its count.
 * (2) Nothing of the JSON is believed before the checksum over its text was right.
 * (3) The walk below dirfd follows no symbolic link; one that is there is an unknown file.
 */

#define PG_MANIFEST_PATH_BYTES 4096
#define PG_MANIFEST_DEPTH 32
#define PG_MANIFEST_READ_BYTES 65536
#define PG_MANIFEST_SUM_KEY "\"Manifest-Checksum\": \""

int pg_manifest_list_add(
	struct pg_manifest_list *list, const struct pg_manifest_file *file, struct err *err)
{
	if (list->count >= PG_MANIFEST_MAX_FILES)
		return err_set(err, ERR_LIMIT, "a base backup of more than %zu files",
			PG_MANIFEST_MAX_FILES);
	CLEANUP(cleanup_free_p) char *path = strdup(file->path);
	if (path == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	if ((list->count & (list->count - 1)) == 0) {
		size_t cap = list->count == 0 ? 1 : list->count * 2;
		void *more = realloc(list->files, cap * sizeof(*list->files));
		if (more == NULL)
			return err_set(err, ERR_NOMEM, "out of memory");
		list->files = more;
	}
	struct pg_manifest_file *slot = &list->files[list->count++];
	*slot = *file;
	slot->path = TAKE(path);
	return 0;
}

void pg_manifest_list_done(struct pg_manifest_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		free(list->files[i].path);
	free(list->files);
	list->files = NULL;
	list->count = 0;
}

void pg_manifest_free(struct pg_manifest *m)
{
	if (m == NULL)
		return;
	pg_manifest_list_done(&m->list);
	free(m->wal);
	free(m);
}

static int compare_paths(const void *a, const void *b)
{
	const struct pg_manifest_file *x = a, *y = b;
	return strcmp(x->path, y->path);
}

static void sort(struct pg_manifest_list *list)
{
	if (list->count > 1)
		qsort(list->files, list->count, sizeof(*list->files), compare_paths);
}

static int bad(const char *what, struct err *err)
{
	return err_set(err, ERR_CORRUPT, "backup_manifest: %s", what);
}

/* The last member is the SHA-256 of all lines before its own. */
static int check_sum(const char *text, size_t len, struct err *err)
{
	const size_t key_len = strlen(PG_MANIFEST_SUM_KEY);
	size_t line = len;
	while (line > 0 && text[line - 1] == '\n')
		line--;
	while (line > 0 && text[line - 1] != '\n')
		line--;
	uint8_t want[HASH_BYTES], have[HASH_BYTES];
	if (len - line < key_len + 2 * HASH_BYTES ||
		memcmp(text + line, PG_MANIFEST_SUM_KEY, key_len) != 0 ||
		text_unhex(text + line + key_len, HASH_BYTES, want) != 0)
		return bad("it does not end with its checksum", err);
	hash_sha256(text, line, have);
	return memcmp(want, have, HASH_BYTES) == 0 ? 0 : bad("its own checksum is wrong", err);
}

/* Append the path and a NUL; names that are not UTF-8 come in hex. */
static int get_path(const json_t *o, struct buf *out, struct err *err)
{
	const json_t *plain = json_object_get(o, "Path");
	const char *hex = json_string_value(json_object_get(o, "Encoded-Path"));
	int rc = 0;
	if (json_is_string(plain)) {
		rc = buf_add(out, json_string_value(plain), json_string_length(plain), err);
	} else if (hex != NULL && hex[0] != '\0' && strlen(hex) % 2 == 0) {
		size_t len = strlen(hex) / 2;
		rc = buf_reserve(out, len, err);
		if (rc == 0 && text_unhex(hex, len, out->data + out->len) != 0)
			rc = bad("an encoded path is not hex", err);
		if (rc == 0)
			out->len += len;
	}
	if (rc == 0 && (out->len == 0 || memchr(out->data, '\0', out->len) != NULL))
		rc = bad("a file has no path", err);
	return rc == 0 ? buf_add8(out, 0, err) : rc;
}

static int add_file(const json_t *o, struct pg_manifest *m, struct err *err)
{
	CLEANUP(buf_done) struct buf path = BUF_INIT(PG_MANIFEST_PATH_BYTES);
	struct pg_manifest_file f = { .size = 0 };
	int rc = get_path(o, &path, err);
	if (rc != 0)
		return rc;
	f.path = (char *)path.data; /* copied below */
	const json_t *size = json_object_get(o, "Size");
	if (!json_is_integer(size) || json_integer_value(size) < 0)
		return bad("a file has no size", err);
	f.size = (uint64_t)json_integer_value(size);
	const char *rule = json_string_value(json_object_get(o, "Checksum-Algorithm"));
	const char *sum = json_string_value(json_object_get(o, "Checksum"));
	if (rule == NULL || strcmp(rule, "SHA256") != 0)
		return err_set(err, ERR_UNSUPPORTED,
			"backup_manifest: '%s' has no SHA-256 checksum", f.path);
	if (sum == NULL || strlen(sum) != sizeof(f.sha256) * 2 ||
		text_unhex(sum, sizeof(f.sha256), f.sha256) != 0)
		return bad("a checksum is not hex", err);
	return pg_manifest_list_add(&m->list, &f, err);
}

/* "16/B374D848" as a byte position. */
static bool parse_lsn(const char *text, uint64_t *out)
{
	unsigned high, low;
	char end;
	if (text == NULL || sscanf(text, "%8X/%8X%c", &high, &low, &end) != 2)
		return false;
	*out = (uint64_t)high << 32 | low;
	return true;
}

static int add_wal(const json_t *ranges, struct pg_manifest *m, struct err *err)
{
	size_t count = json_array_size(ranges);
	if (count == 0 || count > PG_MANIFEST_MAX_FILES)
		return bad("it names no WAL", err);
	m->wal = calloc(count, sizeof(*m->wal));
	if (m->wal == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	for (size_t i = 0; i < count; i++) {
		const json_t *o = json_array_get(ranges, i);
		const json_t *timeline = json_object_get(o, "Timeline");
		struct pg_manifest_wal *w = &m->wal[m->wal_count];
		json_int_t t = json_integer_value(timeline);
		if (!json_is_integer(timeline) || t <= 0 || t > UINT32_MAX ||
			!parse_lsn(json_string_value(json_object_get(o, "Start-LSN")), &w->start) ||
			!parse_lsn(json_string_value(json_object_get(o, "End-LSN")), &w->end) ||
			w->end < w->start)
			return bad("a WAL range is wrong", err);
		w->timeline = (uint32_t)t;
		m->wal_count++;
	}
	return 0;
}

DEFINE_CLEANUP(struct pg_manifest *, pg_manifest_free)
DEFINE_CLEANUP(json_t *, json_decref)

int pg_manifest_parse(const void *data, size_t len, struct pg_manifest **out, struct err *err)
{
	if (len > PG_MANIFEST_MAX_BYTES)
		return err_set(err, ERR_LIMIT, "backup_manifest: %zu bytes are too many", len);
	int rc = check_sum(data, len, err);
	if (rc != 0)
		return rc;
	CLEANUP(json_decref_p) json_t *root = NULL;
	CLEANUP(pg_manifest_free_p) struct pg_manifest *m = calloc(1, sizeof(*m));
	if (m == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	rc = jsonx_parse(data, len, PG_MANIFEST_FILE_NAME, &root, err);
	if (rc != 0)
		return rc;
	json_int_t version =
		json_integer_value(json_object_get(root, "PostgreSQL-Backup-Manifest-Version"));
	if (version != 1 && version != 2)
		return err_set(err, ERR_UNSUPPORTED, "backup_manifest: version %lld is not known",
			(long long)version);
	const json_t *files = json_object_get(root, "Files");
	if (!json_is_array(files) || json_array_size(files) == 0)
		return bad("it lists no files", err);
	for (size_t i = 0; rc == 0 && i < json_array_size(files); i++)
		rc = add_file(json_array_get(files, i), m, err);
	if (rc == 0)
		rc = add_wal(json_object_get(root, "WAL-Ranges"), m, err);
	if (rc != 0)
		return rc;
	sort(&m->list);
	*out = TAKE(m);
	return 0;
}

/* WAL segments come with the backup without being listed (their archive status files are). */
static bool may_be_unlisted(const char *path)
{
	return strncmp(path, "pg_wal/", 7) == 0 || strcmp(path, PG_MANIFEST_FILE_NAME) == 0;
}

static int compare(
	const struct pg_manifest_file *want, const struct pg_manifest_file *got, struct err *err)
{
	if (want->size != got->size)
		return err_set(err, ERR_CORRUPT,
			"base backup: '%s' has %" PRIu64 " bytes, the server sent %" PRIu64,
			want->path, got->size, want->size);
	if (memcmp(want->sha256, got->sha256, sizeof(want->sha256)) != 0)
		return err_set(err, ERR_CORRUPT,
			"base backup: '%s' differs from the server's checksum", want->path);
	return 0;
}

int pg_manifest_match(const struct pg_manifest *m, struct pg_manifest_list *seen, struct err *err)
{
	sort(seen);
	size_t i = 0, j = 0;
	while (i < m->list.count || j < seen->count) {
		const struct pg_manifest_file *want = &m->list.files[i];
		const struct pg_manifest_file *got = &seen->files[j];
		int order = i == m->list.count ? 1
			    : j == seen->count ? -1
					       : strcmp(want->path, got->path);
		if (order < 0)
			return err_set(
				err, ERR_CORRUPT, "base backup: '%s' is missing", want->path);
		if (order > 0 && !may_be_unlisted(got->path))
			return err_set(err, ERR_CORRUPT,
				"base backup: '%s' is not in the server's manifest", got->path);
		int rc = order == 0 ? compare(want, got, err) : 0;
		if (rc != 0)
			return rc;
		i += order == 0;
		j++;
	}
	return 0;
}

/* ---- a directory ---- */

/* A regular file, whatever its name has become meanwhile: a FIFO must not hold us up.  -1 and errno
 * otherwise. */
static int open_file(int dirfd, const char *name)
{
	struct stat st;
	CLEANUP(cleanup_close_p)
	int fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0 || fstat(fd, &st) != 0)
		return -1;
	if (!S_ISREG(st.st_mode)) {
		errno = EINVAL;
		return -1;
	}
	return TAKE_FD(fd);
}

static int hash_file(int dirfd, const char *name, struct pg_manifest_file *f, struct err *err)
{
	CLEANUP(cleanup_close_p) int fd = open_file(dirfd, name);
	if (fd < 0)
		return err_sys(err, ERR_IO, "unable to open '%s'", f->path);
	CLEANUP(cleanup_free_p) char *bytes = malloc(PG_MANIFEST_READ_BYTES);
	if (bytes == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	struct hash *h = hash_new();
	if (h == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	ssize_t n;
	while ((n = fdio_read_full(fd, bytes, PG_MANIFEST_READ_BYTES)) > 0) {
		hash_add(h, bytes, (size_t)n);
		f->size += (uint64_t)n;
	}
	hash_end(h, f->sha256);
	hash_free(h);
	return n < 0 ? err_sys(err, ERR_IO, "unable to read '%s'", f->path) : 0;
}

static void closedir_p(DIR **d)
{
	if (*d != NULL)
		(void)closedir(*d); /* read side */
}

/* A reader of ${dirfd}'s own, so that its position belongs to nobody else; NULL and errno. */
static DIR *open_dir(int dirfd)
{
	int copy = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = copy < 0 ? NULL : fdopendir(copy);
	if (d == NULL)
		cleanup_close_p(&copy);
	return d;
}

static int walk(
	int dirfd, struct buf *path, unsigned depth, struct pg_manifest_list *out, struct err *err);

/* Add ${name} inside ${dirfd}, whose whole name is in ${path}. */
static int walk_entry(int dirfd, const char *name, struct buf *path, unsigned depth,
	struct pg_manifest_list *out, struct err *err)
{
	CLEANUP(cleanup_free_p) char *own = NULL;
	const char *text = buf_cstr(path);
	if (text == NULL || (own = strdup(text)) == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	struct stat st;
	if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return err_sys(err, ERR_IO, "unable to look at '%s'", own);
	if (S_ISDIR(st.st_mode)) {
		CLEANUP(cleanup_close_p)
		int sub = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
		return sub < 0 ? err_sys(err, ERR_IO, "unable to open '%s'", own)
			       : walk(sub, path, depth + 1, out, err);
	}
	struct pg_manifest_file f = { .path = own };
	int rc = S_ISREG(st.st_mode) ? hash_file(dirfd, name, &f, err) : 0;
	return rc == 0 ? pg_manifest_list_add(out, &f, err) : rc;
}

/* Add everything below ${dirfd}; ${path} is its name so far and is given back unchanged. */
static int walk(
	int dirfd, struct buf *path, unsigned depth, struct pg_manifest_list *out, struct err *err)
{
	if (depth > PG_MANIFEST_DEPTH)
		return err_set(
			err, ERR_LIMIT, "directories nest deeper than %d", PG_MANIFEST_DEPTH);
	CLEANUP(closedir_p) DIR *d = open_dir(dirfd);
	if (d == NULL)
		return err_sys(err, ERR_IO, "unable to read a directory");
	const size_t base = path->len;
	for (;;) {
		errno = 0;
		const struct dirent *de = readdir(d);
		if (de == NULL)
			break;
		if (strcmp(de->d_name, ".") == 0 || strcmp(de->d_name, "..") == 0)
			continue;
		int rc = buf_addf(path, err, base == 0 ? "%s" : "/%s", de->d_name);
		if (rc == 0)
			rc = walk_entry(dirfd, de->d_name, path, depth, out, err);
		path->len = base;
		if (rc != 0)
			return rc;
	}
	return errno == 0 ? 0 : err_sys(err, ERR_IO, "unable to read a directory");
}

/* Bytes of one WAL segment, from the first such file; 0 if there is none. */
static uint64_t segment_bytes(int wal_fd)
{
	CLEANUP(closedir_p) DIR *d = open_dir(wal_fd);
	const struct dirent *de;
	while (d != NULL && (de = readdir(d)) != NULL) {
		struct stat st;
		if (strlen(de->d_name) == 24 && strspn(de->d_name, "0123456789ABCDEF") == 24 &&
			fstatat(wal_fd, de->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0)
			return (uint64_t)st.st_size;
	}
	return 0;
}

/* The segment is there, whole, and begins with its own address (xlp_pageaddr). */
static int check_segment(
	int wal_fd, uint32_t timeline, uint64_t number, uint64_t bytes, struct err *err)
{
	char name[32];
	const uint64_t per_id = (UINT64_C(1) << 32) / bytes;
	(void)snprintf(name, sizeof(name), "%08" PRIX32 "%08" PRIX64 "%08" PRIX64, timeline,
		number / per_id, number % per_id); /* fits: 24 digits */
	CLEANUP(cleanup_close_p) int fd = open_file(wal_fd, name);
	struct stat st;
	struct {
		uint16_t magic, info;
		uint32_t timeline;
		uint64_t address; /* native byte order, as the server's machine is ours */
	} head;
	if (fd < 0 || fstat(fd, &st) != 0)
		return err_set(err, ERR_CORRUPT, "base backup: WAL segment '%s' is missing", name);
	if ((uint64_t)st.st_size != bytes ||
		fdio_pread_full(fd, &head, sizeof(head), 0) != (ssize_t)sizeof(head) ||
		head.address != number * bytes)
		return err_set(err, ERR_CORRUPT, "base backup: WAL segment '%s' is damaged", name);
	return 0;
}

static int verify_wal(const struct pg_manifest *m, int dirfd, struct err *err)
{
	CLEANUP(cleanup_close_p)
	int wal = openat(dirfd, "pg_wal", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	uint64_t bytes = wal < 0 ? 0 : segment_bytes(wal);
	if (bytes < (1 << 20) || bytes > (1 << 30) || (bytes & (bytes - 1)) != 0)
		return err_set(err, ERR_CORRUPT, "base backup: pg_wal holds no whole segment");
	int rc = 0;
	for (size_t i = 0; i < m->wal_count; i++) {
		const struct pg_manifest_wal *w = &m->wal[i];
		uint64_t last = w->end > w->start ? (w->end - 1) / bytes : w->start / bytes;
		for (uint64_t n = w->start / bytes; n <= last && rc == 0; n++)
			rc = check_segment(wal, w->timeline, n, bytes, err);
	}
	return rc;
}

int pg_manifest_verify(const struct pg_manifest *m, int dirfd, struct err *err)
{
	CLEANUP(buf_done) struct buf path = BUF_INIT(PG_MANIFEST_PATH_BYTES);
	CLEANUP(pg_manifest_list_done) struct pg_manifest_list seen = { .count = 0 };
	int rc = walk(dirfd, &path, 0, &seen, err);
	if (rc == 0)
		rc = pg_manifest_match(m, &seen, err);
	return rc == 0 ? verify_wal(m, dirfd, err) : rc;
}
