#include "agents/sources/stdin_source.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agents/sources/owner_names.h"
#include "base/buf.h"
#include "base/env.h"
#include "base/err.h"

/*
 * INVARIANTS
 * (1) given counts every byte that read() gave; ahead[ahead_at..ahead_len) are read, not given.
 * (2) The input is opened once: a second open fails instead of giving the rest of it as the whole.
 */
struct stdin_source {
	struct source source;
	int fd; /* borrowed */
	source_warn_fn on_warning;
	void *arg;
	struct owner_names *owners;
	struct buf key, path;
	bool is_given, is_opened;
	uint8_t *ahead; /* owned */
	size_t ahead_at, ahead_len;
	uint64_t given;
};

static int next_item(void *self, struct source_item *item, struct err *err)
{
	struct stdin_source *s = self;
	if (s->is_given)
		return 0;
	int64_t now = env_now_ns();
	int64_t second = now / 1000000000 - (now % 1000000000 < 0);
	struct entry e = { .kind = ENTRY_FILE,
		.mode = 0600,
		.uid = geteuid(),
		.gid = getegid(),
		.mtime = { .s = second, .ns = (uint32_t)(now - second * 1000000000) } };
	int rc = owner_names_find(s->owners, e.uid, e.gid, &e.user, &e.group, err);
	if (rc != 0)
		return rc;
	s->is_given = true;
	*item = (struct source_item){
		.key = s->key.data, .key_len = s->key.len, .entry = e, .links = 1, .ctime = e.mtime
	};
	return 1;
}

/* Tell that the input failed with errno. */
static int fail(struct stdin_source *s, struct err *err)
{
	struct err why = ERR_INIT;
	(void)err_sys(&why, ERR_IO, "unable to read the input"); /* told and returned */
	if (s->on_warning != NULL)
		s->on_warning(s->arg, (const char *)s->path.data, s->path.len, why.msg);
	return err_set(err, ERR_IO, "%s", why.msg);
}

/* Read until ${len} bytes or the end.  A signal ends it: whoever asked us to stop shall not have to
 * wait for an input that may never come. */
static ssize_t read_run(int fd, void *out, size_t len)
{
	size_t got = 0;
	while (got < len) {
		ssize_t n = read(fd, (char *)out + got, len - got);
		if (n < 0)
			return -1;
		if (n == 0)
			break;
		got += (size_t)n;
	}
	return (ssize_t)got;
}

static int open_content(void *self, uint64_t *size, struct err *err)
{
	struct stdin_source *s = self;
	if (s->is_opened) {
		errno = ESPIPE;
		return fail(s, err);
	}
	s->is_opened = true;
	ssize_t n = read_run(s->fd, s->ahead, STDIN_SOURCE_AHEAD_BYTES);
	if (n < 0)
		return fail(s, err);
	s->ahead_len = (size_t)n;
	*size = s->ahead_len < STDIN_SOURCE_AHEAD_BYTES ? s->ahead_len : SOURCE_SIZE_UNKNOWN;
	return 0;
}

static int read_content(
	void *self, void *data, size_t cap, size_t *len, uint64_t *hole, struct err *err)
{
	struct stdin_source *s = self;
	size_t left = s->ahead_len - s->ahead_at;
	ssize_t n;
	if (left > 0) {
		n = (ssize_t)(left < cap ? left : cap);
		memcpy(data, s->ahead + s->ahead_at, (size_t)n);
		s->ahead_at += (size_t)n;
	} else {
		/* whole runs: a pipe gives a few bytes at a time */
		n = s->ahead_len < STDIN_SOURCE_AHEAD_BYTES ? 0 : read_run(s->fd, data, cap);
	}
	if (n < 0)
		return fail(s, err);
	if (n == 0)
		return 0;
	s->given += (uint64_t)n;
	*len = (size_t)n;
	*hole = 0;
	return 1;
}

static void close_content(void *self, struct source_item *item)
{
	const struct stdin_source *s = self;
	item->entry.size = s->given;
}

int stdin_source_new(int fd, const char *path, source_warn_fn on_warning, void *arg,
	struct stdin_source **out, struct err *err)
{
	struct stdin_source *s = calloc(1, sizeof(*s));
	if (s == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	s->source = (struct source){ .self = s,
		.next = next_item,
		.open = open_content,
		.read = read_content,
		.close = close_content };
	s->fd = fd;
	s->on_warning = on_warning;
	s->arg = arg;
	s->key = (struct buf)BUF_INIT(ENTRY_MAX_KEY_BYTES);
	s->path = (struct buf)BUF_INIT(ENTRY_MAX_KEY_BYTES + 1);
	s->ahead = malloc(STDIN_SOURCE_AHEAD_BYTES);
	int rc = s->ahead == NULL ? err_set(err, ERR_NOMEM, "out of memory")
				  : owner_names_new(&s->owners, err);
	if (rc == 0)
		rc = entry_path_key(path, &s->key, err);
	if (rc == 0 && s->key.len == 0)
		rc = err_set(err, ERR_USAGE, "unable to use '%s' as the name of a file", path);
	if (rc == 0)
		rc = entry_key_path(s->key.data, s->key.len, &s->path, err);
	if (rc != 0) {
		stdin_source_free(s);
		return rc;
	}
	*out = s;
	return 0;
}

void stdin_source_free(struct stdin_source *s)
{
	if (s == NULL)
		return;
	owner_names_free(s->owners);
	buf_done(&s->key);
	buf_done(&s->path);
	free(s->ahead);
	free(s);
}

const struct source *stdin_source_source(struct stdin_source *s)
{
	return &s->source;
}
