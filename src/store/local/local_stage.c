#include "store/local/local_stage.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/env.h"
#include "base/err.h"
#include "base/fdio.h"
#include "base/log.h"
#include "store/local/local_dirs.h"
#include "store/local/local_tree.h"

/*
 * INVARIANTS
 * (1) No final name is made before fdatasync() of every file of the set has returned 0 on the
 *     descriptor that wrote it (a later descriptor might miss the error).
 * (2) A barrier returns 0 only after every directory it changed, and every one above, is synced.
 * (3) When a barrier fails, the names it made are removed again and the set is forgotten.  Only a
 *     power cut at that moment can bring such a name back, and then with its whole content.
 * (4) has_tmp is true exactly while the entry's file is in tmp/ under our name.
 * (5) dirs holds the directory of every entry, so that a barrier allocates no memory.
 *
 *   put: written --(fdatasync)--> synced --(link)--> named --(fsync of directories)--> durable
 *        an adopted entry (the name was taken by the same content) starts at named
 */

#define STAGE_FILE_MODE 0400
#define STAGE_DIR_MODE 0700
#define STAGE_RANDOM_BYTES 16
#define STAGE_COMPARE_BYTES 65536
#define STAGE_FIRST 16

struct entry {
	char name[STORE_MAX_NAME_BYTES + 1];
	char tmp[STAGE_RANDOM_BYTES * 2 + 1];
	int fd; /* owned; -1 once synced and closed, or adopted */
	bool has_tmp;
	bool is_adopted; /* somebody else's file has the name and the content */
	bool is_named;   /* we made the final name */
};

struct local_stage {
	int root; /* borrowed */
	int tmp;  /* owned; -1 until it is needed */
	size_t open_count;
	struct entry **entries; /* owned, sorted by name, none twice */
	size_t count;
	size_t cap;
	struct local_dirs dirs;
};

static void entry_free(struct local_stage *s, struct entry *e)
{
	if (e->has_tmp)
		(void)env_unlinkat(s->tmp, e->tmp, 0); /* left over: removed as stale some day */
	if (e->fd >= 0) {
		(void)close(e->fd); /* synced, or given up */
		s->open_count--;
	}
	free(e);
}

static void forget_all(struct local_stage *s)
{
	for (size_t i = 0; i < s->count; i++)
		entry_free(s, s->entries[i]);
	s->count = 0;
	local_dirs_clear(&s->dirs);
}

void local_stage_free(struct local_stage *s)
{
	if (s == NULL)
		return;
	forget_all(s);
	local_dirs_done(&s->dirs);
	if (s->tmp >= 0)
		(void)close(s->tmp); /* read side */
	free(s->entries);
	free(s);
}

static bool is_tmp_name(const char *name)
{
	size_t len = strlen(name);
	return len == STAGE_RANDOM_BYTES * 2 && strspn(name, "0123456789abcdef") == len;
}

/* Remove one file of tmp/ if it is old and no process holds its lock. */
static void remove_if_stale(int tmp, const char *name)
{
	CLEANUP(cleanup_close_p)
	int fd = env_openat(tmp, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0);
	struct stat st;
	if (fd < 0 || fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
		return;
	int64_t born = (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec;
	if (env_now_ns() - born <= LOCAL_STAGE_STALE_NS || flock(fd, LOCK_EX | LOCK_NB) != 0)
		return;
	if (env_unlinkat(tmp, name, 0) == 0)
		log_debug("local_stage.stale", "file=%s", name);
}

static void remove_stale(int tmp)
{
	int copy = env_openat(tmp, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
	DIR *d = copy < 0 ? NULL : fdopendir(copy);
	if (d == NULL) {
		if (copy >= 0)
			(void)close(copy); /* read side */
		return;
	}
	for (const struct dirent *e = readdir(d); e != NULL; e = readdir(d)) {
		if (is_tmp_name(e->d_name))
			remove_if_stale(tmp, e->d_name);
	}
	(void)closedir(d); /* read side */
}

int local_stage_new(int root, struct local_stage **out, struct err *err)
{
	struct local_stage *s = calloc(1, sizeof(*s));
	if (s == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	s->root = root;
	s->tmp = env_openat(
		root, LOCAL_TREE_TMP, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, 0);
	if (s->tmp >= 0)
		remove_stale(s->tmp);
	*out = s;
	return 0;
}

/* tmp/ is made when it is needed: opening a wrong directory must not leave a trace in it. */
static int need_tmp(struct local_stage *s, struct err *err)
{
	if (s->tmp >= 0)
		return 0;
	return local_tree_open_dir(
		s->root, LOCAL_TREE_TMP, strlen(LOCAL_TREE_TMP), true, &s->tmp, err);
}

/* The first place whose name is not below ${name}. */
static size_t place_of(const struct local_stage *s, const char *name)
{
	size_t low = 0;
	size_t high = s->count;
	while (low < high) {
		size_t mid = low + (high - low) / 2;
		if (strcmp(s->entries[mid]->name, name) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

/* The staged entry of ${name}, or NULL. */
static struct entry *find(const struct local_stage *s, const char *name)
{
	size_t i = place_of(s, name);
	return i < s->count && strcmp(s->entries[i]->name, name) == 0 ? s->entries[i] : NULL;
}

static int reserve(struct local_stage *s, struct err *err)
{
	if (s->count >= LOCAL_STAGE_MAX_OBJECTS)
		return err_set(err, ERR_LIMIT, "%zu objects wait for a barrier already", s->count);
	if (s->count < s->cap)
		return 0;
	size_t cap = s->cap == 0 ? STAGE_FIRST : s->cap * 2;
	struct entry **entries = reallocarray(s->entries, cap, sizeof(struct entry *));
	if (entries == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	s->entries = entries;
	s->cap = cap;
	return 0;
}

/* Room must have been reserved. */
static void insert(struct local_stage *s, struct entry *take)
{
	size_t i = place_of(s, take->name);
	memmove(&s->entries[i + 1], &s->entries[i], (s->count - i) * sizeof(struct entry *));
	s->entries[i] = take;
	s->count++;
}

/* Compare the file ${fd} with memory.  Return 0 if equal, -ERR_EXISTS if not, or -ERR_IO. */
static int compare_data(int fd, const void *data, size_t len, struct err *err)
{
	uint8_t chunk[STAGE_COMPARE_BYTES];
	struct stat st;
	if (fstat(fd, &st) != 0)
		return err_sys(err, ERR_IO, "unable to look at the file that is there");
	bool is_same = (uint64_t)st.st_size == len;
	for (size_t at = 0; is_same && at < len; at += sizeof(chunk)) {
		size_t part = len - at < sizeof(chunk) ? len - at : sizeof(chunk);
		ssize_t n = fdio_pread_full(fd, chunk, part, (off_t)at);
		if (n < 0)
			return err_sys(err, ERR_IO, "unable to read the file that is there");
		is_same = (size_t)n == part && memcmp(chunk, (const uint8_t *)data + at, part) == 0;
	}
	return is_same ? 0 : err_set(err, ERR_EXISTS, "the name is taken by other content");
}

/* Compare two files.  Return as compare_data(). */
static int compare_files(int a, int b, struct err *err)
{
	uint8_t chunk[STAGE_COMPARE_BYTES];
	uint8_t other[STAGE_COMPARE_BYTES];
	for (off_t at = 0;; at += STAGE_COMPARE_BYTES) {
		ssize_t n = fdio_pread_full(a, chunk, sizeof(chunk), at);
		ssize_t m = fdio_pread_full(b, other, sizeof(other), at);
		if (n < 0 || m < 0)
			return err_sys(err, ERR_IO, "unable to read the file that is there");
		if (n != m || memcmp(chunk, other, (size_t)n) != 0)
			return err_set(err, ERR_EXISTS, "the name is taken by other content");
		if ((size_t)n < sizeof(chunk))
			return 0;
	}
}

static int open_staged(
	const struct local_stage *s, const struct entry *e, int *out_fd, struct err *err)
{
	int fd = env_openat(s->tmp, e->tmp, O_RDONLY | O_NOFOLLOW | O_CLOEXEC, 0);
	if (fd < 0)
		return err_sys(err, ERR_IO, "unable to open a staged file");
	*out_fd = fd;
	return 0;
}

/* Compare ${data} with what is staged under the name. */
static int compare_staged(const struct local_stage *s, const struct entry *e, const void *data,
	size_t len, struct err *err)
{
	CLEANUP(cleanup_close_p) int fd = -1;
	uint64_t size = 0;
	int rc = e->is_adopted ? local_tree_open_object(s->root, e->name, &fd, &size, err)
			       : open_staged(s, e, &fd, err);
	return rc != 0 ? rc : compare_data(fd, data, len, err);
}

/* Look for ${name} in the store.  *out_taken tells that it is there with the same content. */
static int check_taken(const struct local_stage *s, const char *name, const void *data, size_t len,
	bool *out_taken, struct err *err)
{
	CLEANUP(cleanup_close_p) int fd = -1;
	uint64_t size = 0;
	struct err found = ERR_INIT;
	int rc = local_tree_open_object(s->root, name, &fd, &size, &found);
	if (rc == -ERR_NOT_FOUND) {
		*out_taken = false;
		return 0;
	}
	if (rc == -ERR_CORRUPT)
		return err_set(err, ERR_EXISTS, "%s", found.msg);
	if (rc == 0)
		rc = compare_data(fd, data, len, &found);
	if (rc != 0) {
		if (err != NULL)
			*err = found;
		return rc;
	}
	*out_taken = true;
	return 0;
}

/* Create the entry's file in tmp/, locked so that nobody takes it for stale. */
static int create_tmp(struct local_stage *s, struct entry *e, struct err *err)
{
	uint8_t random[STAGE_RANDOM_BYTES];
	int rc = env_random(random, sizeof(random), err);
	if (rc != 0)
		return rc;
	for (size_t i = 0; i < sizeof(random); i++)
		(void)snprintf(e->tmp + 2 * i, 3, "%02x", random[i]); /* two digits and NUL: fits */
	e->fd = env_openat(s->tmp, e->tmp, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
		STAGE_FILE_MODE);
	if (e->fd < 0)
		return err_sys(err, ERR_IO, "unable to create a file in '%s'", LOCAL_TREE_TMP);
	e->has_tmp = true;
	s->open_count++;
	/* where locks do not work, a cleaner gets none either and removes nothing */
	(void)flock(e->fd, LOCK_SH | LOCK_NB);
	return 0;
}

/* The disk begins with the whole file now: the barrier syncs one file after the other, and would
 * wait for each from its first byte on.  Few files are held open: the others are synced at once. */
static int end_writing(struct local_stage *s, struct entry *e, struct err *err)
{
	(void)sync_file_range(e->fd, 0, 0, SYNC_FILE_RANGE_WRITE); /* proves nothing: (1) does */
	if (s->open_count <= LOCAL_STAGE_MAX_OPEN)
		return 0;
	if (env_fdatasync(e->fd) != 0)
		return err_sys(err, ERR_IO, "unable to sync the file");
	(void)close(e->fd); /* synced */
	e->fd = -1;
	s->open_count--;
	return 0;
}

static int write_entry(
	struct local_stage *s, struct entry *e, const void *data, size_t len, struct err *err)
{
	int rc = need_tmp(s, err);
	if (rc == 0)
		rc = create_tmp(s, e, err);
	if (rc != 0)
		return rc;
	if (env_write_all(e->fd, data, len) != 0)
		return err_sys(err, ERR_IO, "unable to write %zu bytes", len);
	return end_writing(s, e, err);
}

int local_stage_put(
	struct local_stage *s, const char *name, const void *data, size_t len, struct err *err)
{
	const struct entry *staged = find(s, name);
	if (staged != NULL)
		return compare_staged(s, staged, data, len, err);
	bool is_taken = false;
	int rc = reserve(s, err);
	if (rc == 0)
		rc = check_taken(s, name, data, len, &is_taken, err);
	if (rc == 0)
		rc = local_dirs_add(&s->dirs, name, err);
	if (rc != 0)
		return rc;
	struct entry *e = calloc(1, sizeof(*e));
	if (e == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	e->fd = -1;
	e->is_adopted = is_taken;
	(void)snprintf(e->name, sizeof(e->name), "%s", name); /* the grammar's limit fits */
	if (!is_taken)
		rc = write_entry(s, e, data, len, err);
	if (rc != 0) {
		entry_free(s, e);
		return rc;
	}
	insert(s, e);
	return 0;
}

/* ---- objects in pieces ----------------------------------------------------------------------- */

/* An entry that has no name yet. */
struct local_draft {
	struct entry entry; /* first: it is staged as it is */
};

int local_stage_draft(struct local_stage *s, struct local_draft **out, struct err *err)
{
	struct local_draft *d = calloc(1, sizeof(*d));
	if (d == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	d->entry.fd = -1;
	int rc = need_tmp(s, err);
	if (rc == 0)
		rc = create_tmp(s, &d->entry, err);
	if (rc != 0) {
		local_stage_draft_free(s, d);
		return rc;
	}
	*out = d;
	return 0;
}

int local_stage_draft_add(struct local_draft *d, const void *data, size_t len, struct err *err)
{
	return env_write_all(d->entry.fd, data, len) == 0
		       ? 0
		       : err_sys(err, ERR_IO, "unable to write %zu bytes", len);
}

void local_stage_draft_free(struct local_stage *s, struct local_draft *d)
{
	entry_free(s, &d->entry);
}

/* Compare what was written with what is staged under the name. */
static int compare_draft(
	const struct local_stage *s, int fd, const struct entry *staged, struct err *err)
{
	CLEANUP(cleanup_close_p) int other = -1;
	uint64_t size = 0;
	int rc = staged->is_adopted
			 ? local_tree_open_object(s->root, staged->name, &other, &size, err)
			 : open_staged(s, staged, &other, err);
	return rc != 0 ? rc : compare_files(fd, other, err);
}

/* The name is in the store: ours is not needed if it holds the same. */
static int check_draft_taken(
	const struct local_stage *s, int fd, const char *name, bool *out_taken, struct err *err)
{
	CLEANUP(cleanup_close_p) int theirs = -1;
	uint64_t size = 0;
	struct err found = ERR_INIT;
	int rc = local_tree_open_object(s->root, name, &theirs, &size, &found);
	*out_taken = rc == 0;
	if (rc == -ERR_NOT_FOUND)
		return 0;
	if (rc == -ERR_CORRUPT)
		return err_set(err, ERR_EXISTS, "%s", found.msg);
	if (rc == 0)
		rc = compare_files(fd, theirs, &found);
	if (rc != 0 && err != NULL)
		*err = found;
	return rc;
}

/* Take the file out of tmp/ again: somebody else's stands for it. */
static void adopt_draft(struct local_stage *s, struct entry *e)
{
	e->is_adopted = true;
	(void)close(e->fd); /* its bytes are not wanted */
	e->fd = -1;
	s->open_count--;
	if (env_unlinkat(s->tmp, e->tmp, 0) == 0)
		e->has_tmp = false; /* if not: tried again when the entry is forgotten */
}

int local_stage_draft_put(
	struct local_stage *s, struct local_draft *take_draft, const char *name, struct err *err)
{
	struct entry *e = &take_draft->entry;
	const struct entry *staged = find(s, name);
	bool is_taken = false;
	int rc = staged != NULL ? compare_draft(s, e->fd, staged, err) : reserve(s, err);
	if (rc == 0 && staged == NULL)
		rc = check_draft_taken(s, e->fd, name, &is_taken, err);
	if (rc == 0 && staged == NULL)
		rc = local_dirs_add(&s->dirs, name, err);
	if (rc == 0 && staged == NULL && is_taken)
		adopt_draft(s, e);
	else if (rc == 0 && staged == NULL)
		rc = end_writing(s, e, err);
	if (rc != 0 || staged != NULL) {
		local_stage_draft_free(s, take_draft);
		return rc;
	}
	(void)snprintf(e->name, sizeof(e->name), "%s", name); /* the grammar's limit fits */
	insert(s, e);
	return 0;
}

/* ---- removing, and the barrier --------------------------------------------------------------- */

static int unlink_name(int root, const char *name, struct err *err)
{
	CLEANUP(cleanup_close_p) int dir = -1;
	struct err found = ERR_INIT;
	int rc = local_tree_open_dir(root, name, local_tree_dir_len(name), false, &dir, &found);
	if (rc == -ERR_NOT_FOUND)
		return 0;
	if (rc != 0) {
		if (err != NULL)
			*err = found;
		return rc;
	}
	if (env_unlinkat(dir, local_tree_leaf(name), 0) != 0 && errno != ENOENT)
		return err_sys(err, ERR_IO, "unable to unlink its file");
	return 0;
}

int local_stage_remove(struct local_stage *s, const char *name, struct err *err)
{
	int rc = local_dirs_add(&s->dirs, name, err);
	if (rc == 0)
		rc = unlink_name(s->root, name, err);
	if (rc != 0)
		return rc;
	size_t i = place_of(s, name);
	if (i < s->count && strcmp(s->entries[i]->name, name) == 0) {
		entry_free(s, s->entries[i]);
		memmove(&s->entries[i], &s->entries[i + 1],
			(s->count - i - 1) * sizeof(struct entry *));
		s->count--;
	}
	return 0;
}

static int sync_data(const struct local_stage *s, struct err *err)
{
	for (size_t i = 0; i < s->count; i++) {
		const struct entry *e = s->entries[i];
		if (e->fd >= 0 && env_fdatasync(e->fd) != 0)
			return err_sys(err, ERR_IO, "unable to sync the data of '%s'", e->name);
	}
	return 0;
}

/* Somebody made the name since the put: fine with the same content. */
static int adopt(const struct local_stage *s, struct entry *e, struct err *err)
{
	CLEANUP(cleanup_close_p) int ours = -1;
	CLEANUP(cleanup_close_p) int theirs = -1;
	uint64_t size = 0;
	int rc = open_staged(s, e, &ours, err);
	if (rc == 0)
		rc = local_tree_open_object(s->root, e->name, &theirs, &size, err);
	if (rc == 0)
		rc = compare_files(ours, theirs, err);
	if (rc == 0)
		e->is_adopted = true;
	return rc;
}

/* For file systems without hard links.  Between the look and the rename another writer of the same
 * name could be replaced; names carry the hash of the content, so that would change nothing. */
static int rename_entry(const struct local_stage *s, struct entry *e, int dir, struct err *err)
{
	const char *leaf = local_tree_leaf(e->name);
	struct stat st;
	if (fstatat(dir, leaf, &st, AT_SYMLINK_NOFOLLOW) == 0)
		return adopt(s, e, err);
	if (errno != ENOENT || env_renameat(s->tmp, e->tmp, dir, leaf) != 0)
		return err_sys(err, ERR_IO, "unable to name '%s'", e->name);
	e->has_tmp = false;
	e->is_named = true;
	return 0;
}

static int name_entry(const struct local_stage *s, struct entry *e, struct err *err)
{
	CLEANUP(cleanup_close_p) int dir = -1;
	int rc =
		local_tree_open_dir(s->root, e->name, local_tree_dir_len(e->name), true, &dir, err);
	if (rc != 0)
		return rc;
	if (env_linkat(s->tmp, e->tmp, dir, local_tree_leaf(e->name), 0) == 0)
		e->is_named = true;
	else if (errno == EEXIST)
		rc = adopt(s, e, err);
	else if (errno == EPERM || errno == EOPNOTSUPP || errno == ENOSYS)
		rc = rename_entry(s, e, dir, err);
	else
		rc = err_sys(err, ERR_IO, "unable to name '%s'", e->name);
	if (rc == 0 && e->has_tmp && env_unlinkat(s->tmp, e->tmp, 0) == 0)
		e->has_tmp = false; /* if not: tried again when the entry is forgotten */
	return rc;
}

static int name_all(const struct local_stage *s, struct err *err)
{
	for (size_t i = 0; i < s->count; i++) {
		struct entry *e = s->entries[i];
		int rc = e->is_adopted ? 0 : name_entry(s, e, err);
		if (rc != 0)
			return rc;
	}
	return 0;
}

/* The maker of an adopted name may have taken it back because its own barrier failed. */
static int check_adopted(const struct local_stage *s, struct err *err)
{
	for (size_t i = 0; i < s->count; i++) {
		const struct entry *e = s->entries[i];
		uint64_t size = 0;
		int rc = e->is_adopted ? local_tree_stat(s->root, e->name, &size, err) : 0;
		if (rc == -ERR_NOT_FOUND)
			return err_set(err, ERR_BUSY, "'%s' was there and is gone", e->name);
		if (rc != 0)
			return rc;
	}
	return 0;
}

/* Take the names of a failed set back; the error that is told stays the first one. */
static void withdraw(const struct local_stage *s, struct err *err)
{
	for (size_t i = 0; i < s->count; i++) {
		const struct entry *e = s->entries[i];
		if (e->is_named && unlink_name(s->root, e->name, NULL) != 0)
			(void)err_wrap(err, "object '%s' could not be taken back", e->name);
	}
	(void)local_dirs_sync(&s->dirs, s->root, NULL); /* best effort: see invariant 3 */
}

int local_stage_barrier(struct local_stage *s, struct err *err)
{
	int rc = sync_data(s, err);
	if (rc == 0) {
		rc = name_all(s, err);
		if (rc == 0)
			rc = local_dirs_sync(&s->dirs, s->root, err);
		if (rc == 0)
			rc = check_adopted(s, err);
		if (rc != 0)
			withdraw(s, err);
	}
	forget_all(s);
	return rc;
}
