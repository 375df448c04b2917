#include "restore/snapshot_files.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "vault/tree_reader.h"

DEFINE_CLEANUP(struct tree_reader *, tree_reader_free)

int snapshot_files_add(struct snapshot_files *f, const struct snapshot_file *file, struct err *err)
{
	if (f->count == SNAPSHOT_FILES_MAX)
		return err_set(err, ERR_LIMIT, "the snapshot has more than %zu files",
			(size_t)SNAPSHOT_FILES_MAX);
	if (f->count == f->cap) {
		size_t cap = f->cap == 0 ? 256 : f->cap * 2;
		struct snapshot_file *items = realloc(f->items, cap * sizeof(*items));
		if (items == NULL)
			return err_set(err, ERR_NOMEM, "out of memory");
		f->items = items;
		f->cap = cap;
	}
	struct snapshot_file copy = *file;
	copy.path = strdup(file->path);
	if (copy.path == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	f->items[f->count++] = copy;
	f->bytes += copy.size;
	return 0;
}

static int add_entry(struct snapshot_files *f, const uint8_t *key, size_t len,
	const struct entry *e, struct err *err)
{
	CLEANUP(cleanup_free_p) char *path = malloc(len + 1);
	if (path == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	for (size_t i = 0; i < len; i++)
		path[i] = key[i] == 0 ? '/' : (char)key[i];
	path[len] = '\0';
	struct snapshot_file file = {
		.path = path, .size = e->size, .mtime_s = e->mtime.s, .digest_kind = e->digest_kind
	};
	memcpy(file.digest, e->digest, sizeof(file.digest));
	return snapshot_files_add(f, &file, err);
}

int snapshot_files_read(const struct record_source *source, const struct ref *top,
	struct snapshot_files *out, struct err *err)
{
	CLEANUP(tree_reader_free_p) struct tree_reader *reader = NULL;
	int rc = tree_reader_new(source, top, &reader, err);
	if (rc == 0)
		rc = tree_reader_seek(reader, NULL, 0, err);
	while (rc == 0) {
		const uint8_t *key;
		size_t len;
		struct entry e;
		int more = tree_reader_next(reader, &key, &len, &e, err);
		if (more <= 0) {
			snapshot_files_sort(out);
			return more;
		}
		if (e.kind == ENTRY_FILE)
			rc = add_entry(out, key, len, &e, err);
	}
	return rc;
}

static int compare(const void *a, const void *b)
{
	const struct snapshot_file *x = a, *y = b;
	return strcmp(x->path, y->path);
}

void snapshot_files_sort(struct snapshot_files *f)
{
	if (f->count > 0)
		qsort(f->items, f->count, sizeof(*f->items), compare);
}

static int compare_path(const void *key, const void *item)
{
	const char *path = key;
	const struct snapshot_file *f = item;
	return strcmp(path, f->path);
}

const struct snapshot_file *snapshot_files_find(const struct snapshot_files *f, const char *path)
{
	if (f->count == 0)
		return NULL;
	return bsearch(path, f->items, f->count, sizeof(*f->items), compare_path);
}

void snapshot_files_done(struct snapshot_files *f)
{
	for (size_t i = 0; i < f->count; i++)
		free(f->items[i].path);
	free(f->items);
	*f = (struct snapshot_files){ .items = NULL };
}
