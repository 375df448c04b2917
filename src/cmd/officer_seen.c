#include "cmd/officer_seen.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>

#include "base/atomic_file.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "cmd/paths.h"
#include "cmd/stop.h"
#include "codec/text.h"

/*
 * The file: a line "holdfast-officer-seen 1", then one line a domain: its id, epoch, hash, and
 * "sent" when the controller's answer is not known.
 *
 * INVARIANTS
 * (1) The file is replaced whole; the lock is that of the key file itself, held by who calls.
 * (2) A remembered epoch never goes down, and of one epoch one config is signed here.  One whose
 *     answer never came gives way to another of its epoch, which the same key signed elsewhere and
 *     the controller took: what is remembered then is what counts.
 */

#define SUFFIX ".seen"
#define TITLE "holdfast-officer-seen 1\n"
#define SENT " sent"
#define LINE_BYTES 117 /* 32 + 10 + 64 digits, blanks, SENT, newline */
#define FILE_MAX_BYTES ((size_t)OFFICER_SEEN_MAX * LINE_BYTES + sizeof(TITLE))

static int find_path(const char *key_path, char out[PATH_MAX], struct err *err)
{
	if (snprintf(out, PATH_MAX, "%s%s", key_path, SUFFIX) >= PATH_MAX)
		return err_set(err, ERR_LIMIT, "path '%s%s' is too long", key_path, SUFFIX);
	return 0;
}

static int damaged(const char *path, struct err *err)
{
	(void)err_set(err, ERR_CORRUPT, "the memory of signed configs, '%s', is damaged", path);
	return err_hint(err, "put back a copy of it; without one compare what 'holdfast key show' "
			     "lists with the approvals you know, then remove it");
}

static int parse_line(const char *line, uint8_t domain_id[16], struct officer_seen *out)
{
	char id[33];
	char hash[65];
	int end = 0;
	if (sscanf(line, "%32s %" SCNu32 " %64s%n", id, &out->epoch, hash, &end) != 3)
		return -1;
	out->is_sent = strncmp(line + end, SENT, strlen(SENT)) == 0;
	end += out->is_sent ? (int)strlen(SENT) : 0;
	if (line[end] != '\n' || strlen(id) != 32 || strlen(hash) != 64)
		return -1;
	return text_unhex(id, 16, domain_id) != 0 ? -1 : text_unhex(hash, 32, out->hash);
}

/* What is remembered of ${domain_id} (epoch 0: nothing) and the lines of the others. */
static int load(const char *path, const uint8_t domain_id[16], struct officer_seen *out,
	struct buf *others, struct err *err)
{
	CLEANUP(buf_done) struct buf text = BUF_INIT(FILE_MAX_BYTES);
	struct err why = ERR_INIT;
	int rc = paths_read_secret(path, "memory of signed configs", &text, &why);
	out->epoch = 0;
	if (rc == -ERR_NOT_FOUND)
		return 0;
	if (rc != 0) {
		if (err != NULL)
			*err = why;
		return rc;
	}
	const char *p = buf_cstr(&text);
	if (p == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	if (strncmp(p, TITLE, strlen(TITLE)) != 0)
		return damaged(path, err);
	for (p += strlen(TITLE); rc == 0 && *p != '\0'; p = strchr(p, '\n') + 1) {
		struct officer_seen seen;
		uint8_t id[16];
		if (strchr(p, '\n') == NULL || parse_line(p, id, &seen) != 0)
			return damaged(path, err);
		if (memcmp(id, domain_id, 16) == 0)
			*out = seen;
		else
			rc = buf_add(others, p, (size_t)(strchr(p, '\n') - p) + 1, err);
	}
	return rc;
}

static bool is_same(const struct officer_seen *a, const struct officer_seen *b)
{
	return a->epoch == b->epoch && memcmp(a->hash, b->hash, sizeof(a->hash)) == 0;
}

static int judge(const struct officer_seen *known, const struct officer_seen *now,
	const struct officer_seen *next, const char *path, struct err *err)
{
	if (now->epoch > known->epoch || is_same(known, now) ||
		(next != NULL && is_same(known, next)) ||
		(now->epoch == known->epoch && known->is_sent))
		return 0;
	if (now->epoch == known->epoch)
		(void)err_set(err, ERR_ROLLBACK,
			"the controller shows another config %" PRIu32
			" than the one signed or seen here",
			now->epoch);
	else
		(void)err_set(err, ERR_ROLLBACK,
			"the controller shows config %" PRIu32 ", but %" PRIu32
			" was signed or seen here",
			now->epoch, known->epoch);
	return err_hint(err,
		"a signature upon it could bring struck keys back: find out who set the controller "
		"back; if only the answer to your last change was lost, repeat that change; if the "
		"vault itself was put back, or another host signs too, see docs/CONTROLLER.md "
		"before you remove '%s'",
		path);
}

int officer_seen_check(const char *key_path, const uint8_t domain_id[16],
	const struct officer_seen *now, const struct officer_seen *next, struct err *err)
{
	CLEANUP(buf_done) struct buf others = BUF_INIT(FILE_MAX_BYTES);
	struct officer_seen known = { .epoch = 0 };
	char path[PATH_MAX];
	int rc = find_path(key_path, path, err);
	if (rc == 0)
		rc = load(path, domain_id, &known, &others, err);
	return rc != 0 ? rc : judge(&known, now, next, path, err);
}

int officer_seen_lock(const char *key_path, int *out, struct err *err)
{
	CLEANUP(cleanup_close_p) int fd = open(key_path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return err_sys(err, ERR_IO, "unable to open '%s'", key_path);
	while (flock(fd, LOCK_EX) != 0) {
		if (errno != EINTR)
			return err_sys(err, ERR_IO, "unable to lock '%s'", key_path);
		if (stop_is_asked(NULL))
			return err_set(err, ERR_INTERRUPTED, "asked to stop");
	}
	*out = TAKE_FD(fd);
	return 0;
}

/* Invariant 1. */
static int write_down(const char *path, const uint8_t domain_id[16],
	const struct officer_seen *newest, const struct buf *others, struct err *err)
{
	CLEANUP(buf_done) struct buf text = BUF_INIT(FILE_MAX_BYTES);
	char id[33];
	char hash[65];
	text_hex(domain_id, 16, id);
	text_hex(newest->hash, 32, hash);
	int rc = buf_addf(&text, err, TITLE "%s %" PRIu32 " %s%s\n", id, newest->epoch, hash,
		newest->is_sent ? SENT : "");
	if (rc == 0 && others->len > 0)
		rc = buf_add(&text, others->data, others->len, err);
	return rc != 0 ? rc : atomic_file_write(AT_FDCWD, path, 0600, text.data, text.len, err);
}

int officer_seen_keep(const char *key_path, const uint8_t domain_id[16],
	const struct officer_seen *now, const struct officer_seen *next, struct err *err)
{
	CLEANUP(buf_done) struct buf others = BUF_INIT(FILE_MAX_BYTES);
	struct officer_seen newest = next != NULL ? *next : *now;
	struct officer_seen known = { .epoch = 0 };
	char path[PATH_MAX];
	int rc = find_path(key_path, path, err);
	if (rc == 0)
		rc = load(path, domain_id, &known, &others, err);
	if (rc != 0)
		return rc;
	if (judge(&known, now, next, path, NULL) != 0) {
		(void)err_set(err, ERR_BUSY,
			"config %" PRIu32 " was signed here since config %" PRIu32 " was fetched",
			known.epoch, now->epoch);
		return err_hint(err, "repeat the change: it is signed upon the newest config then");
	}
	newest.is_sent = next != NULL;
	if (is_same(&known, &newest) && known.is_sent == newest.is_sent)
		return 0;
	return write_down(path, domain_id, &newest, &others, err);
}
