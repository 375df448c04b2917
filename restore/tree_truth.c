#include "restore/tree_truth.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/fdio.h"
#include "base/human.h"
#include "codec/truth.h"
#include "crypto/hash.h"

/*
 * INVARIANTS
 * (1) size and sha256 of a file describe the same bytes: those below the size at open.
 * (2) path is the name of the directory being read, without a '/' at its end, between calls.
 */

#define TREE_TRUTH_PATH_BYTES 65536
#define TREE_TRUTH_READ_BYTES 65536
#define TREE_TRUTH_TAIL_BYTES 1024 /* of a journal; its last lines */

struct walk {
	const struct tree_truth_opts *opts;
	struct truth *truth;
	struct buf path;
	char *bytes; /* TREE_TRUTH_READ_BYTES; owned */
};

static void closedir_p(DIR **d)
{
	if (*d != NULL)
		(void)closedir(*d); /* read side */
}

static int hash_prefix(
	struct walk *w, int fd, const char *path, struct truth_file *f, struct err *err)
{
	struct hash *h = hash_new();
	if (h == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	uint64_t left = f->size;
	while (left > 0) {
		size_t want = left < TREE_TRUTH_READ_BYTES ? (size_t)left : TREE_TRUTH_READ_BYTES;
		ssize_t n = fdio_read_full(fd, w->bytes, want);
		if (n < 0 || (size_t)n < want) {
			hash_free(h);
			if (n < 0)
				return err_sys(err, ERR_IO, "unable to read '%s'", path);
			return err_set(err, ERR_IO, "'%s' became shorter while it was read", path);
		}
		hash_add(h, w->bytes, want);
		left -= want;
	}
	hash_end(h, f->sha256);
	hash_free(h);
	return 0;
}

/* Learn from the last whole line within the first ${size} bytes: its time, and if it is the end. */
static bool read_journal_end(int fd, uint64_t size, int64_t *newest_ms, bool *is_finished)
{
	char tail[TREE_TRUTH_TAIL_BYTES + 1];
	size_t len = size < TREE_TRUTH_TAIL_BYTES ? (size_t)size : TREE_TRUTH_TAIL_BYTES;
	if (fdio_pread_full(fd, tail, len, (off_t)(size - len)) != (ssize_t)len)
		return false;
	while (len > 0 && tail[len - 1] != '\n')
		len--; /* a line still being written */
	if (len == 0)
		return false;
	tail[len - 1] = '\0';
	const char *line = memrchr(tail, '\n', len - 1);
	line = line == NULL ? tail : line + 1;
	*is_finished = strstr(line, TREE_TRUTH_END) != NULL;
	char stamp[HUMAN_BYTES];
	int64_t ns;
	size_t n = strcspn(line, "\t");
	if (n >= sizeof(stamp))
		return false;
	memcpy(stamp, line, n);
	stamp[n] = '\0';
	if (human_parse_time(stamp, &ns) != 0)
		return false;
	*newest_ms = ns / 1000000;
	return true;
}

/* The journal of the batch whose directory is the last component but one of ${path}. */
static int add_batch(
	struct walk *w, int fd, const char *path, struct truth_file *f, struct err *err)
{
	int64_t newest_ms;
	bool is_finished = false;
	if (read_journal_end(fd, f->size, &newest_ms, &is_finished) &&
		(w->truth->newest_ms == TRUTH_NO_TIME || newest_ms > w->truth->newest_ms))
		w->truth->newest_ms = newest_ms;
	f->is_append = !is_finished;
	const char *slash = strrchr(path, '/');
	if (slash == NULL)
		return 0; /* a journal at the top belongs to no batch directory */
	const char *id = memrchr(path, '/', (size_t)(slash - path));
	id = id == NULL ? path : id + 1;
	CLEANUP(cleanup_free_p) char *copy = strndup(id, (size_t)(slash - id));
	if (copy == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	struct truth_batch b = { .id = copy, .is_running = !is_finished };
	return truth_add_batch(w->truth, &b, err);
}

static int add_file(struct walk *w, int dirfd, const char *name, struct err *err)
{
	CLEANUP(cleanup_free_p) char *path = NULL;
	const char *text = buf_cstr(&w->path);
	if (text == NULL || (path = strdup(text)) == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	CLEANUP(cleanup_close_p)
	int fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	struct stat st;
	if (fd < 0 || fstat(fd, &st) != 0)
		return err_sys(err, ERR_IO, "unable to open '%s'", path);
	struct truth_file f = { .path = path, .size = (uint64_t)st.st_size };
	int rc = hash_prefix(w, fd, path, &f, err);
	if (rc == 0 && w->opts->has_batches && strcmp(name, TREE_TRUTH_JOURNAL) == 0)
		rc = add_batch(w, fd, path, &f, err);
	return rc == 0 ? truth_add_file(w->truth, &f, err) : rc;
}

static int walk_dir(struct walk *w, int dirfd, unsigned depth, struct err *err);

static int walk_entry(struct walk *w, int dirfd, const char *name, unsigned depth, struct err *err)
{
	struct stat st;
	if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return err_sys(err, ERR_IO, "unable to look at '%s'", buf_cstr(&w->path));
	if (S_ISREG(st.st_mode))
		return add_file(w, dirfd, name, err);
	if (!S_ISDIR(st.st_mode))
		return 0;
	CLEANUP(cleanup_close_p)
	int sub = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (sub < 0)
		return err_sys(err, ERR_IO, "unable to open '%s'", buf_cstr(&w->path));
	return walk_dir(w, sub, depth + 1, err);
}

/* One entry that is lost does not cost the others: it is told and not in the manifest. */
static int walk_or_leave(
	struct walk *w, int dirfd, const char *name, unsigned depth, struct err *err)
{
	struct err why = ERR_INIT;
	const size_t len = w->path.len;
	int rc = walk_entry(w, dirfd, name, depth, &why);
	w->path.len = len;
	if (rc == -ERR_IO && w->opts->on_left != NULL) {
		const char *path = buf_cstr(&w->path);
		if (path == NULL)
			return err_set(err, ERR_NOMEM, "out of memory");
		w->opts->on_left(w->opts->arg, path, len, why.msg);
		return 0;
	}
	if (rc != 0 && err != NULL)
		*err = why;
	return rc;
}

static int walk_dir(struct walk *w, int dirfd, unsigned depth, struct err *err)
{
	if (depth > TREE_TRUTH_DEPTH)
		return err_set(err, ERR_LIMIT, "directories nest deeper than %d", TREE_TRUTH_DEPTH);
	int copy = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	CLEANUP(closedir_p) DIR *d = copy < 0 ? NULL : fdopendir(copy);
	if (d == NULL) {
		cleanup_close_p(&copy);
		return err_sys(err, ERR_IO, "unable to read a directory");
	}
	const size_t base = w->path.len;
	for (;;) {
		errno = 0;
		const struct dirent *de = readdir(d);
		if (de == NULL)
			break;
		if (strcmp(de->d_name, ".") == 0 || strcmp(de->d_name, "..") == 0)
			continue;
		int rc = buf_addf(&w->path, err, base == 0 ? "%s" : "/%s", de->d_name);
		if (rc == 0)
			rc = walk_or_leave(w, dirfd, de->d_name, depth, err);
		w->path.len = base;
		if (rc != 0)
			return rc;
	}
	return errno == 0 ? 0 : err_sys(err, ERR_IO, "unable to read a directory");
}

int tree_truth_add(int dirfd, const struct tree_truth_opts *opts, struct truth *t, struct err *err)
{
	struct walk w = { .opts = opts,
		.truth = t,
		.path = BUF_INIT(TREE_TRUTH_PATH_BYTES),
		.bytes = malloc(TREE_TRUTH_READ_BYTES) };
	int rc = w.bytes == NULL ? err_set(err, ERR_NOMEM, "out of memory") : 0;
	if (rc == 0 && opts->prefix != NULL)
		rc = buf_addf(&w.path, err, "%s", opts->prefix);
	if (rc == 0)
		rc = walk_dir(&w, dirfd, 0, err);
	free(w.bytes);
	buf_done(&w.path);
	t->has_files = t->has_files || rc == 0;
	t->has_batches = t->has_batches || (rc == 0 && opts->has_batches);
	return rc;
}
