#include "cmd/lock_seen.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/atomic_file.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/fdio.h"
#include "base/log.h"
#include "cmd/console.h"
#include "cmd/paths.h"
#include "store/store.h"

/*
 * The file: one line, "holdfast-lock 1 compliance:2592000s".
 *
 * INVARIANTS
 * (1) What is remembered becomes less by lock_seen_set() alone.
 */

#define FILE_NAME "lock"
#define TITLE "holdfast-lock 1 "
#define FILE_MAX_BYTES (sizeof(TITLE) + STORE_LOCK_TEXT_BYTES)

static int path_of(const char *dir, char path[PATH_MAX], struct err *err)
{
	if (snprintf(path, PATH_MAX, "%s/" FILE_NAME, dir) < PATH_MAX)
		return 0;
	return err_set(err, ERR_LIMIT, "path '%s' is too long", dir);
}

static int parse(struct buf *text, struct store_lock *out)
{
	const size_t title = strlen(TITLE);
	char *line = (char *)text->data;
	if (text->len <= title || memcmp(line, TITLE, title) != 0 || line[text->len - 1] != '\n')
		return -1;
	line[text->len - 1] = '\0';
	return store_lock_parse(line + title, out, NULL);
}

/* Nothing remembered is mode NONE. */
static int load(const char *dir, struct store_lock *out, struct err *err)
{
	char path[PATH_MAX];
	struct err why = ERR_INIT;
	CLEANUP(buf_done) struct buf text = BUF_INIT(FILE_MAX_BYTES);
	*out = (struct store_lock){ .mode = STORE_LOCK_NONE };
	int rc = path_of(dir, path, &why);
	if (rc == 0)
		rc = fdio_read_file(AT_FDCWD, path, &text, &why);
	if (rc == -ERR_NOT_FOUND)
		return 0;
	if (rc == -ERR_LIMIT || (rc == 0 && parse(&text, out) != 0)) {
		rc = err_set(&why, ERR_CORRUPT,
			"the memory of how objects are locked, '%s', is "
			"damaged",
			path);
		(void)err_hint(&why, "'holdfast vault lock --policy' writes it anew");
	}
	if (rc != 0 && err != NULL)
		*err = why;
	return rc;
}

int lock_seen_set(const char *dir, const struct store_lock *lock, struct err *err)
{
	char path[PATH_MAX];
	char line[FILE_MAX_BYTES + 1];
	char word[STORE_LOCK_TEXT_BYTES];
	int len = snprintf(line, sizeof(line), TITLE "%s\n", store_lock_format(lock, word));
	int rc = path_of(dir, path, err);
	if (rc == 0)
		rc = paths_make(dir, err);
	return rc != 0 ? rc : atomic_file_write(AT_FDCWD, path, 0600, line, (size_t)len, err);
}

static bool is_same(const struct store_lock *a, const struct store_lock *b)
{
	return a->mode == b->mode && a->keep_ns == b->keep_ns;
}

int lock_seen_hold(const char *dir, struct store *s, struct lock_seen *out, struct err *err)
{
	struct lock_seen l = { .is_less = false };
	*out = l;
	int rc = load(dir, &l.seen, err);
	if (rc != 0)
		return rc;
	store_locks_by(s, &l.noted);
	if (!store_hold_lock(s, &l.seen))
		return 0;
	l.kept = store_lock_both(&l.noted, &l.seen);
	l.is_less = store_lock_is_less(&l.noted, &l.seen);
	l.is_more = l.seen.mode != STORE_LOCK_NONE && !is_same(&l.kept, &l.seen);
	*out = l;
	return is_same(&l.kept, &l.seen) ? 0 : lock_seen_set(dir, &l.kept, err);
}

/* What is to be said of it; "" = nothing. */
static void say(const struct lock_seen *l, char *out, size_t size)
{
	char noted[STORE_LOCK_TEXT_BYTES];
	char seen[STORE_LOCK_TEXT_BYTES];
	char kept[STORE_LOCK_TEXT_BYTES];
	(void)store_lock_format(&l->noted, noted);
	(void)store_lock_format(&l->seen, seen);
	(void)store_lock_format(&l->kept, kept);
	out[0] = '\0';
	if (l->is_less)
		(void)snprintf(out, size,
			"the store notes that objects are locked by %s, and this host has seen "
			"%s: it goes on with %s; whoever may write there can change the note, so "
			"say yourself which it is: 'holdfast vault lock --policy'",
			noted, seen, kept); /* fits */
	else if (l->is_more)
		(void)snprintf(out, size,
			"the store notes that objects are locked by %s, and this host has seen "
			"%s: it goes by the note from now on; if that was not you, see 'holdfast "
			"vault lock --policy'",
			noted, seen); /* fits */
}

bool lock_seen_use(struct console *c, const char *dir, struct store *s)
{
	struct lock_seen l;
	struct err why = ERR_INIT;
	char text[ERR_MSG_BYTES];
	const uint64_t before = c == NULL ? 0 : c->warnings;
	int rc = lock_seen_hold(dir, s, &l, &why);
	say(&l, text, sizeof(text));
	if (c != NULL && text[0] != '\0')
		console_warn(c, NULL, 0, "%s", text);
	else if (text[0] != '\0')
		log_warn("lock_seen.use", "%s", text);
	if (rc == -ERR_CORRUPT && c != NULL)
		console_warn(c, NULL, 0, "%s; going by what the store notes", why.msg);
	else if (rc != 0)
		log_warn("lock_seen.use", "%s, continuing without a memory of it", why.msg);
	return c != NULL && c->warnings > before;
}
