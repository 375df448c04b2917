#include "agents/sources/root_list.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/escape.h"

/*
 * INVARIANTS
 * (1) After resolve the keys ascend, none is equal to another or lies inside another, and a first
 *     component is used by mapped roots or by others, never by both: so the walk gives ascending
 *     keys when it takes root after root with its ancestors.
 */

struct root_list {
	size_t missing;               /* given paths that were not there */
	struct root_list_root *roots; /* owned */
	size_t count, cap;
	uint64_t *devs; /* owned, ascending */
	size_t dev_count;
	bool is_resolved;
};

int root_list_new(struct root_list **out, struct err *err)
{
	struct root_list *l = calloc(1, sizeof(*l));
	if (l == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	*out = l;
	return 0;
}

static void root_done(struct root_list_root *r)
{
	free(r->path);
	free(r->key);
}

void root_list_free(struct root_list *l)
{
	if (l == NULL)
		return;
	for (size_t i = 0; i < l->count; i++)
		root_done(&l->roots[i]);
	free(l->roots);
	free(l->devs);
	free(l);
}

static int take_key(struct root_list_root *r, struct buf *key, struct err *err)
{
	r->key = malloc(key->len + 1);
	if (r->key == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	if (key->len > 0)
		memcpy(r->key, key->data, key->len);
	r->key_len = key->len;
	return 0;
}

static int add(
	struct root_list *l, const char *path, size_t len, const char *key_prefix, struct err *err)
{
	if (len == 0 || len >= PATH_MAX)
		return err_set(err, ERR_USAGE, "unable to use a path of %zu bytes", len);
	if (l->count == ROOT_LIST_MAX)
		return err_set(err, ERR_LIMIT, "more than %u paths", ROOT_LIST_MAX);
	if (l->count == l->cap) {
		size_t cap = l->cap == 0 ? 8 : l->cap * 2;
		struct root_list_root *grown = reallocarray(l->roots, cap, sizeof(*grown));
		if (grown == NULL)
			return err_set(err, ERR_NOMEM, "out of memory");
		l->roots = grown;
		l->cap = cap;
	}
	CLEANUP(buf_done) struct buf key = BUF_INIT(ENTRY_MAX_KEY_BYTES);
	struct root_list_root r = { .is_mapped = key_prefix != NULL };
	int rc = 0;
	if (key_prefix != NULL)
		rc = entry_path_key(key_prefix, &key, err);
	if (rc == 0 && key_prefix != NULL && key.len == 0)
		rc = err_set(
			err, ERR_USAGE, "unable to use '%s' as a place in the backup", key_prefix);
	if (rc == 0)
		rc = take_key(&r, &key, err);
	if (rc != 0)
		return rc;
	r.path = strndup(path, len);
	if (r.path == NULL) {
		root_done(&r);
		return err_set(err, ERR_NOMEM, "out of memory");
	}
	l->roots[l->count++] = r;
	l->is_resolved = false;
	return 0;
}

int root_list_add(struct root_list *l, const char *path, const char *key_prefix, struct err *err)
{
	return add(l, path, strlen(path), key_prefix, err);
}

int root_list_add_text(struct root_list *l, const char *text, size_t len, struct err *err)
{
	char separator = len > 0 && memchr(text, '\0', len) != NULL ? '\0' : '\n';
	for (size_t number = 1; len > 0; number++) {
		const char *end = memchr(text, separator, len);
		size_t path_len = end == NULL ? len : (size_t)(end - text);
		if (path_len > 0) {
			int rc = add(l, text, path_len, NULL, err);
			if (rc != 0)
				return err_wrap(err, "entry %zu", number);
		}
		size_t step = path_len + (end != NULL);
		text += step;
		len -= step;
	}
	return 0;
}

/* ---- resolving ------------------------------------------------------------------------------- */

/* True if the last component may be kept as it is: a name, and no '/' behind it. */
static bool has_own_name(const char *last)
{
	return last[0] != '\0' && strcmp(last, ".") != 0 && strcmp(last, "..") != 0;
}

/* Write the absolute path of ${given}.  Return 0, or -1 and errno. */
static int make_absolute(const char *given, char out[PATH_MAX])
{
	const char *slash = strrchr(given, '/');
	const char *last = slash == NULL ? given : slash + 1;
	if (!has_own_name(last))
		return realpath(given, out) == NULL ? -1 : 0;
	char parent[PATH_MAX] = ".";
	if (slash != NULL) /* shorter than PATH_MAX since added */
		(void)snprintf(parent, sizeof(parent), "%.*s", (int)(slash - given) + 1, given);
	char real[PATH_MAX];
	if (realpath(parent, real) == NULL)
		return -1;
	const char *between = strcmp(real, "/") == 0 ? "" : "/";
	int n = snprintf(out, PATH_MAX, "%s%s%s", real, between, last);
	if (n < 0 || n >= PATH_MAX) {
		errno = ENAMETOOLONG;
		return -1;
	}
	return 0;
}

static int add_dev(struct root_list *l, uint64_t dev, struct err *err)
{
	size_t i = l->dev_count;
	while (i > 0 && l->devs[i - 1] > dev)
		i--;
	if (i > 0 && l->devs[i - 1] == dev)
		return 0;
	uint64_t *grown = reallocarray(l->devs, l->dev_count + 1, sizeof(*grown));
	if (grown == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	l->devs = grown;
	memmove(&grown[i + 1], &grown[i], (l->dev_count - i) * sizeof(*grown));
	grown[i] = dev;
	l->dev_count++;
	return 0;
}

/* Return 1 when the root is there and resolved, 0 when not (errno). */
static int resolve(struct root_list *l, struct root_list_root *r, struct err *err)
{
	char path[PATH_MAX];
	struct stat st;
	if (make_absolute(r->path, path) != 0 || lstat(path, &st) != 0)
		return 0;
	char *copy = strdup(path);
	if (copy == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	free(r->path);
	r->path = copy;
	int rc = add_dev(l, st.st_dev, err);
	if (rc == 0 && !r->is_mapped) {
		CLEANUP(buf_done) struct buf key = BUF_INIT(ENTRY_MAX_KEY_BYTES);
		free(TAKE(r->key));
		rc = entry_path_key(r->path, &key, err);
		if (rc == 0)
			rc = take_key(r, &key, err);
	}
	return rc != 0 ? rc : 1;
}

static int compare(const void *a, const void *b)
{
	const struct root_list_root *x = a, *y = b;
	int c = entry_key_compare(x->key, x->key_len, y->key, y->key_len);
	return c != 0 ? c : (int)x->is_mapped - (int)y->is_mapped;
}

/* True if ${b}, which does not sort before ${a}, is ${a} or lies below it. */
static bool is_inside(const struct root_list_root *b, const struct root_list_root *a)
{
	if (a->key_len == 0)
		return true;
	return b->key_len >= a->key_len && memcmp(a->key, b->key, a->key_len) == 0 &&
	       (b->key_len == a->key_len || b->key[a->key_len] == 0);
}

static size_t top_len(const struct root_list_root *r)
{
	const uint8_t *end = r->key_len == 0 ? NULL : memchr(r->key, 0, r->key_len);
	return end == NULL ? r->key_len : (size_t)(end - r->key);
}

static bool is_same_top(const struct root_list_root *a, const struct root_list_root *b)
{
	size_t len = top_len(a);
	return len == top_len(b) && memcmp(a->key, b->key, len) == 0;
}

/* Drop what lies inside another; refuse what would mix. */
static int drop_inner(struct root_list *l, struct err *err)
{
	qsort(l->roots, l->count, sizeof(*l->roots), compare);
	size_t kept = 1;
	for (size_t i = 1; i < l->count; i++) {
		struct root_list_root *last = &l->roots[kept - 1], *r = &l->roots[i];
		bool is_inner = is_inside(r, last), is_either = r->is_mapped || last->is_mapped;
		bool is_mixed = is_same_top(r, last) && r->is_mapped != last->is_mapped;
		if ((is_inner && is_either) || is_mixed) {
			/* the rest stays for free() */
			(void)err_set(err, ERR_USAGE,
				"unable to keep '%s' and '%s' in one backup: their places overlap",
				last->path, r->path);
			memmove(&l->roots[kept], r, (l->count - i) * sizeof(*r));
			l->count -= i - kept;
			return -ERR_USAGE;
		}
		if (is_inner)
			root_done(r);
		else
			l->roots[kept++] = *r;
	}
	l->count = kept;
	return 0;
}

static int tell_none(size_t count, const char *last, struct err *err)
{
	char shown[512];
	(void)escape_str(shown, sizeof(shown), last); /* cut is fine */
	if (count == 1)
		return err_set(err, ERR_USAGE, "none of the given paths exists: '%s'", shown);
	return err_set(err, ERR_USAGE, "none of the given paths exists: '%s' and %zu more", shown,
		count - 1);
}

int root_list_resolve(struct root_list *l, source_warn_fn on_missing, void *arg, struct err *err)
{
	if (l->is_resolved)
		return 0;
	if (l->count == 0)
		return err_set(err, ERR_USAGE, "no path is given");
	size_t kept = 0;
	int rc = 0;
	for (size_t i = 0; i < l->count; i++) {
		struct root_list_root *r = &l->roots[i];
		int found = rc != 0 ? 1 : resolve(l, r, err);
		if (found < 0)
			rc = found;
		if (found != 0) {
			l->roots[kept++] = *r;
			continue;
		}
		struct err why = ERR_INIT;
		(void)err_sys(&why, ERR_NOT_FOUND, "unable to find it"); /* told below */
		if (on_missing != NULL)
			on_missing(arg, r->path, strlen(r->path), why.msg);
		if (kept == 0 && i + 1 == l->count)
			rc = tell_none(l->count, r->path, err);
		root_done(r);
		l->missing++;
	}
	l->count = kept;
	if (rc == 0)
		rc = drop_inner(l, err);
	l->is_resolved = rc == 0;
	return rc;
}

size_t root_list_count(const struct root_list *l)
{
	return l->count;
}

size_t root_list_missing(const struct root_list *l)
{
	return l->missing;
}

const struct root_list_root *root_list_at(const struct root_list *l, size_t i)
{
	return &l->roots[i];
}

bool root_list_has_dev(const struct root_list *l, uint64_t dev)
{
	size_t low = 0, high = l->dev_count;
	while (low < high) {
		size_t mid = low + (high - low) / 2;
		if (l->devs[mid] == dev)
			return true;
		if (l->devs[mid] < dev)
			low = mid + 1;
		else
			high = mid;
	}
	return false;
}
