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
#include "codec/text.h"
#include "crypto/hash.h"
#include "store/store.h"

/*
 * The file: one line, "holdfast-lock 1 compliance:2592000s".
 *
 * INVARIANTS
 * (1) What is remembered is changed by lock_seen_set() alone.
 */

#define DIRECTORY "locks"
#define TITLE "holdfast-lock 1 "
#define FILE_MAX_BYTES (sizeof(TITLE) + STORE_LOCK_TEXT_BYTES)

/* By the place without its options, which say how it is reached. */
static int path_of(const char *location, char dir[PATH_MAX], char path[PATH_MAX], struct err *err)
{
	char name[2 * HASH_BYTES + 1];
	uint8_t hash[HASH_BYTES];
	size_t len = strcspn(location, "?");
	while (len > 0 && location[len - 1] == '/')
		len--;
	hash_sha256(location, len, hash);
	text_hex(hash, sizeof(hash), name);
	int rc = paths_base(PATHS_STATE, dir, err);
	if (rc == 0)
		rc = paths_join(dir, DIRECTORY, err);
	if (rc != 0)
		return rc;
	memcpy(path, dir, strlen(dir) + 1);
	return paths_join(path, name, err);
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

/* Return 0, -ERR_NOT_FOUND (nothing is remembered), -ERR_CORRUPT or -ERR_IO. */
static int load(const char *path, struct store_lock *out, struct err *err)
{
	CLEANUP(buf_done) struct buf text = BUF_INIT(FILE_MAX_BYTES);
	int rc = fdio_read_file(AT_FDCWD, path, &text, err);
	if (rc != -ERR_LIMIT && (rc != 0 || parse(&text, out) == 0))
		return rc;
	err_set(err, ERR_CORRUPT, "the memory of how objects are locked, '%s', is damaged", path);
	return err_hint(err, "'holdfast vault lock --policy' writes it anew");
}

typedef int (*write_fn)(
	int dirfd, const char *name, mode_t mode, const void *data, size_t len, struct err *err);

static int save(const char *dir, const char *path, write_fn fn, const struct store_lock *lock,
	struct err *err)
{
	char line[FILE_MAX_BYTES + 1];
	char word[STORE_LOCK_TEXT_BYTES];
	int len = snprintf(line, sizeof(line), TITLE "%s\n", store_lock_format(lock, word));
	int rc = paths_make(dir, err);
	return rc != 0 ? rc : fn(AT_FDCWD, path, 0600, line, (size_t)len, err);
}

int lock_seen_set(const char *location, const struct store_lock *lock, struct err *err)
{
	char dir[PATH_MAX];
	char path[PATH_MAX];
	int rc = path_of(location, dir, path, err);
	return rc != 0 ? rc : save(dir, path, atomic_file_write, lock, err);
}

int lock_seen_hold(const char *location, bool may_remember, struct store *s, struct lock_seen *out,
	struct err *err)
{
	char dir[PATH_MAX];
	char path[PATH_MAX];
	struct lock_seen l = { .is_other = false };
	*out = l;
	if (!store_hold_lock(s, NULL))
		return 0;
	store_locks_by(s, &l.noted);
	int rc = path_of(location, dir, path, err);
	if (rc == 0)
		rc = load(path, &l.seen, err);
	if (rc == -ERR_NOT_FOUND) {
		if (err != NULL)
			err_clear(err);
		if (!may_remember)
			return 0;
		rc = save(dir, path, atomic_file_create, &l.noted, err);
		if (rc == -ERR_EXISTS) /* another one was quicker, and may be the owner's word */
			rc = load(path, &l.seen, err);
		else
			l.seen = l.noted;
	}
	if (rc != 0)
		return rc;
	(void)store_hold_lock(s, &l.seen); /* it counts: that was asked */
	l.is_other = !store_lock_is_equal(&l.noted, &l.seen);
	*out = l;
	return 0;
}

/* What is to be said of it; "" = nothing. */
static void say(const struct lock_seen *l, char *out, size_t size)
{
	char noted[STORE_LOCK_TEXT_BYTES];
	char seen[STORE_LOCK_TEXT_BYTES];
	out[0] = '\0';
	if (!l->is_other)
		return;
	(void)store_lock_format(&l->noted, noted);
	(void)store_lock_format(&l->seen, seen);
	(void)snprintf(out, size,
		"the store notes that objects are locked by %s, and this host knows %s: it goes on "
		"with %s; whoever may write there can change the note, so say yourself which it "
		"is: 'holdfast vault lock --policy'",
		noted, seen, seen); /* fits */
}

bool lock_seen_use(struct console *c, const char *location, bool may_remember, struct store *s)
{
	struct lock_seen l;
	struct err why = ERR_INIT;
	char text[ERR_MSG_BYTES];
	const uint64_t before = c == NULL ? 0 : c->warnings;
	int rc = lock_seen_hold(location, may_remember, s, &l, &why);
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

void lock_seen_tell(struct console *c, const char *location, const struct store_lock *lock)
{
	struct err why = ERR_INIT;
	if (lock_seen_set(location, lock, &why) != 0)
		console_warn(c, NULL, 0, "%s; this host does not remember how objects are locked",
			why.msg);
}
