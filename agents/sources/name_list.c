#include "agents/sources/name_list.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/err.h"

/*
 * INVARIANTS
 * (1) 0 < at[i] < len for every i < count; the byte before a name is its type, and a NUL follows it
 *     inside len.
 * (2) After name_list_read() the names ascend strictly: a file system that gives a name twice does
 *     not give it twice here.
 */

#define READ_BYTES 65536

void name_list_done(struct name_list *l)
{
	free(l->data);
	free(l->at);
	*l = (struct name_list){ .data = NULL };
}

static int grow(struct name_list *l, size_t more, struct err *err)
{
	if (more > NAME_LIST_MAX_BYTES - l->len)
		return err_set(err, ERR_LIMIT, "the directory has too many names");
	if (l->len + more > l->cap) {
		size_t cap = l->cap + l->cap / 2 + more;
		char *data = realloc(l->data, cap);
		if (data == NULL)
			return err_set(err, ERR_NOMEM, "out of memory for %zu bytes", cap);
		l->data = data;
		l->cap = cap;
	}
	if (l->count == l->at_cap) {
		size_t cap = l->at_cap + l->at_cap / 2 + 16;
		uint32_t *at = reallocarray(l->at, cap, sizeof(*at));
		if (at == NULL)
			return err_set(err, ERR_NOMEM, "out of memory for %zu names", cap);
		l->at = at;
		l->at_cap = cap;
	}
	return 0;
}

static int add(struct name_list *l, const char *name, unsigned char type, struct err *err)
{
	if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return 0;
	size_t size = strlen(name) + 1;
	int rc = grow(l, size + 1, err);
	if (rc != 0)
		return rc;
	l->data[l->len++] = (char)type;
	memcpy(l->data + l->len, name, size);
	l->at[l->count++] = (uint32_t)l->len;
	l->len += size;
	return 0;
}

static int compare(const void *a, const void *b, void *arg)
{
	const char *data = arg;
	return strcmp(data + *(const uint32_t *)a, data + *(const uint32_t *)b);
}

static void sort(struct name_list *l)
{
	if (l->count == 0)
		return;
	qsort_r(l->at, l->count, sizeof(*l->at), compare, l->data);
	size_t kept = 1;
	for (size_t i = 1; i < l->count; i++) {
		if (strcmp(l->data + l->at[i], l->data + l->at[kept - 1]) != 0)
			l->at[kept++] = l->at[i];
	}
	l->count = kept;
}

static int read_all(struct name_list *l, int fd, struct err *err)
{
	CLEANUP(cleanup_free_p) char *block = malloc(READ_BYTES);
	if (block == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	for (;;) {
		ssize_t n = getdents64(fd, block, READ_BYTES);
		if (n < 0)
			return err_sys(err, ERR_IO, "unable to read the directory");
		if (n == 0)
			return 0;
		for (size_t at = 0; at < (size_t)n;) {
			/* malloc() and the kernel align every record for the struct */
			const struct dirent64 *d = (const void *)(block + at);
			int rc = add(l, d->d_name, d->d_type, err);
			if (rc != 0)
				return rc;
			at += d->d_reclen;
		}
	}
}

int name_list_read(struct name_list *l, int fd, struct err *err)
{
	int rc = read_all(l, fd, err);
	sort(l);
	return rc;
}

const char *name_list_at(const struct name_list *l, size_t i)
{
	return l->data + l->at[i];
}

bool name_list_is_file(const struct name_list *l, size_t i)
{
	return l->data[l->at[i] - 1] == DT_REG;
}

bool name_list_is_dir(const struct name_list *l, size_t i)
{
	return l->data[l->at[i] - 1] == DT_DIR;
}

static size_t find(const struct name_list *l, const char *name)
{
	size_t low = 0, high = l->count;
	while (low < high) {
		size_t mid = low + (high - low) / 2;
		int c = strcmp(name, name_list_at(l, mid));
		if (c == 0)
			return mid;
		if (c < 0)
			high = mid;
		else
			low = mid + 1;
	}
	return l->count;
}

bool name_list_has(const struct name_list *l, const char *name)
{
	return find(l, name) < l->count;
}

void name_list_keep(struct name_list *l, const char *name)
{
	size_t i = find(l, name);
	l->count = i < l->count;
	if (l->count == 1)
		l->at[0] = l->at[i];
}
