#include "cmd/rollback.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>

#include "base/atomic_file.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/fdio.h"
#include "cmd/paths.h"
#include "codec/text.h"

/*
 * The file: a line "holdfast-seen 1", then one line a source: agent, source, number, hash.
 *
 * INVARIANTS
 * (1) The file is replaced whole, under the lock of "seen.lock".
 * (2) A remembered number never goes down, unless the user accepted that the store went back.
 */

#define FILE_NAME "seen"
#define LOCK_NAME "seen.lock"
#define TITLE "holdfast-seen 1\n"
#define LINE_BYTES 160 /* 32 + 32 + 20 + 64 digits, blanks, newline */
#define FILE_MAX_BYTES ((size_t)ROLLBACK_MAX_SOURCES * LINE_BYTES)

struct seen {
	uint8_t agent_id[16], source_id[16], hash[32];
	uint64_t seq;
};

struct rollback {
	struct seen *at; /* owned */
	size_t count;
};

DEFINE_CLEANUP(struct rollback *, rollback_free)

static int parse_line(const char *line, size_t len, struct seen *out)
{
	char agent[33];
	char source[33];
	char hash[65];
	char copy[LINE_BYTES];
	int end = 0;
	if (len >= sizeof(copy))
		return -1;
	memcpy(copy, line, len);
	copy[len] = '\0';
	if (sscanf(copy, "%32s %32s %" SCNu64 " %64s%n", agent, source, &out->seq, hash, &end) != 4)
		return -1;
	if (copy[end] != '\0' || strlen(agent) != 32 || strlen(source) != 32 || strlen(hash) != 64)
		return -1;
	if (text_unhex(agent, 16, out->agent_id) != 0)
		return -1;
	return text_unhex(source, 16, out->source_id) != 0 ? -1 : text_unhex(hash, 32, out->hash);
}

static int parse(const struct buf *text, struct rollback *m)
{
	size_t title = strlen(TITLE);
	if (text->len < title || memcmp(text->data, TITLE, title) != 0)
		return -1;
	const char *p = (const char *)text->data + title;
	const char *end = (const char *)text->data + text->len;
	while (p < end) {
		const char *stop = memchr(p, '\n', (size_t)(end - p));
		if (stop == NULL || m->count == ROLLBACK_MAX_SOURCES)
			return -1;
		struct seen *grown = reallocarray(m->at, m->count + 1, sizeof(*grown));
		if (grown == NULL)
			return -1;
		m->at = grown;
		if (parse_line(p, (size_t)(stop - p), &m->at[m->count++]) != 0)
			return -1;
		p = stop + 1;
	}
	return 0;
}

static int load(const char *dir, struct rollback *m, struct err *err)
{
	char path[PATH_MAX];
	struct err why = ERR_INIT;
	CLEANUP(buf_done) struct buf text = BUF_INIT(FILE_MAX_BYTES);
	if (snprintf(path, sizeof(path), "%s/%s", dir, FILE_NAME) >= (int)sizeof(path))
		return err_set(err, ERR_LIMIT, "path '%s/%s' is too long", dir, FILE_NAME);
	int rc = fdio_read_file(AT_FDCWD, path, &text, &why);
	if (rc == -ERR_NOT_FOUND)
		return 0;
	if (rc != 0) {
		if (err != NULL)
			*err = why;
		return rc;
	}
	if (parse(&text, m) == 0)
		return 0;
	free(m->at);
	m->at = NULL;
	m->count = 0;
	err_set(err, ERR_CORRUPT, "the memory of snapshots seen, '%s', is damaged", path);
	return err_hint(err, "check the vault with 'holdfast verify', then remove that file");
}

static bool is_of(const struct seen *s, const struct snapshot *snap)
{
	return memcmp(s->agent_id, snap->record.agent_id, 16) == 0 &&
	       memcmp(s->source_id, snap->record.source_id, 16) == 0;
}

static int went_back(
	const struct seen *s, const char *source, uint64_t newest, bool is_other, struct err *err)
{
	char hex[65];
	text_hex(s->hash, 32, hex);
	if (is_other)
		err_set(err, ERR_ROLLBACK,
			"the store went back: snapshot %" PRIu64 " of source '%s' is not the %.8s "
			"that this host has seen",
			s->seq, source, hex);
	else if (newest > 0)
		err_set(err, ERR_ROLLBACK,
			"the store went back: source '%s' ends with snapshot %" PRIu64
			", this host has seen %" PRIu64 " (%.8s)",
			source, newest, s->seq, hex);
	else
		err_set(err, ERR_ROLLBACK,
			"the store went back: snapshot %" PRIu64 " (%.8s) and its whole source are "
			"gone",
			s->seq, hex);
	return err_hint(err,
		"find out who replaced or cut the store; if you put an older copy there "
		"yourself, repeat with --accept-rollback");
}

/* ${unreadable} is lessened by what is missing. */
static int check_one(const struct seen *s, const struct snapshot_list *list, uint64_t *unreadable,
	struct err *err)
{
	uint64_t newest = 0;
	bool has_number = false;
	bool has_hash = false;
	const char *source = "";
	for (size_t i = 0; i < list->count; i++) {
		const struct snapshot *snap = &list->at[i];
		if (!is_of(s, snap))
			continue;
		source = snap->label.source;
		if (snap->record.seq > newest)
			newest = snap->record.seq;
		has_number |= snap->record.seq == s->seq;
		has_hash |= snap->record.seq == s->seq && memcmp(snap->hash, s->hash, 32) == 0;
	}
	if (newest < s->seq && s->seq - newest <= *unreadable) {
		*unreadable -= s->seq - newest;
		return 0;
	}
	if (newest < s->seq || (has_number && !has_hash))
		return went_back(s, source, newest, newest >= s->seq, err);
	return 0;
}

int rollback_load(const char *dir, struct rollback **out, struct err *err)
{
	CLEANUP(rollback_free_p) struct rollback *r = calloc(1, sizeof(*r));
	int rc = r == NULL ? err_set(err, ERR_NOMEM, "out of memory") : load(dir, r, err);
	if (rc == 0)
		*out = TAKE(r);
	return rc;
}

void rollback_free(struct rollback *r)
{
	if (r == NULL)
		return;
	free(r->at);
	free(r);
}

int rollback_check(const struct rollback *r, const struct snapshot_list *list, uint64_t unreadable,
	struct err *err)
{
	int rc = 0;
	for (size_t i = 0; rc == 0 && i < r->count; i++)
		rc = check_one(&r->at[i], list, &unreadable, err);
	return rc;
}

int rollback_newest(const char *dir, const uint8_t agent_id[16], const uint8_t source_id[16],
	uint64_t *seq, uint8_t hash[32], struct err *err)
{
	struct rollback m = { .at = NULL };
	int rc = load(dir, &m, err);
	if (rc == 0)
		*seq = 0;
	for (size_t i = 0; rc == 0 && i < m.count; i++) {
		if (memcmp(m.at[i].agent_id, agent_id, 16) == 0 &&
			memcmp(m.at[i].source_id, source_id, 16) == 0) {
			*seq = m.at[i].seq;
			memcpy(hash, m.at[i].hash, 32);
		}
	}
	free(m.at);
	return rc;
}

static int learn(struct rollback *m, const struct snapshot *snap, struct err *err)
{
	struct seen *s = NULL;
	for (size_t i = 0; i < m->count && s == NULL; i++)
		s = is_of(&m->at[i], snap) ? &m->at[i] : NULL;
	if (s != NULL && s->seq >= snap->record.seq)
		return 0;
	if (s == NULL) {
		if (m->count == ROLLBACK_MAX_SOURCES)
			return err_set(
				err, ERR_LIMIT, "more than %d sources", ROLLBACK_MAX_SOURCES);
		struct seen *grown = reallocarray(m->at, m->count + 1, sizeof(*grown));
		if (grown == NULL)
			return err_set(err, ERR_NOMEM, "out of memory");
		m->at = grown;
		s = &m->at[m->count++];
		memcpy(s->agent_id, snap->record.agent_id, 16);
		memcpy(s->source_id, snap->record.source_id, 16);
	}
	s->seq = snap->record.seq;
	memcpy(s->hash, snap->hash, 32);
	return 0;
}

static int store_memory(const char *dir, const struct rollback *m, struct err *err)
{
	char path[PATH_MAX];
	CLEANUP(buf_done) struct buf text = BUF_INIT(FILE_MAX_BYTES);
	(void)snprintf(path, sizeof(path), "%s/%s", dir, FILE_NAME); /* load() checked */
	int rc = buf_add(&text, TITLE, strlen(TITLE), err);
	for (size_t i = 0; rc == 0 && i < m->count; i++) {
		char agent[33];
		char source[33];
		char hash[65];
		text_hex(m->at[i].agent_id, 16, agent);
		text_hex(m->at[i].source_id, 16, source);
		text_hex(m->at[i].hash, 32, hash);
		rc = buf_addf(
			&text, err, "%s %s %" PRIu64 " %s\n", agent, source, m->at[i].seq, hash);
	}
	return rc != 0 ? rc : atomic_file_write(AT_FDCWD, path, 0600, text.data, text.len, err);
}

static int lock(const char *dir, int *out, struct err *err)
{
	char path[PATH_MAX];
	int rc = paths_make(dir, err);
	if (rc != 0)
		return rc;
	if (snprintf(path, sizeof(path), "%s/%s", dir, LOCK_NAME) >= (int)sizeof(path))
		return err_set(err, ERR_LIMIT, "path '%s/%s' is too long", dir, LOCK_NAME);
	CLEANUP(cleanup_close_p) int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_sys(err, ERR_IO, "unable to open '%s'", path);
	while (flock(fd, LOCK_EX) != 0) {
		if (errno != EINTR)
			return err_sys(err, ERR_IO, "unable to lock '%s'", path);
	}
	*out = TAKE_FD(fd);
	return 0;
}

int rollback_update(const char *dir, const struct snapshot_list *list, bool is_all, struct err *err)
{
	struct rollback m = { .at = NULL };
	CLEANUP(cleanup_close_p) int fd = -1;
	int rc = lock(dir, &fd, err);
	if (rc == 0 && !is_all)
		rc = load(dir, &m, err);
	bool is_news = is_all;
	for (size_t i = 0; rc == 0 && i < list->count; i++) {
		bool is_known = false;
		for (size_t k = 0; k < m.count && !is_known; k++)
			is_known = is_of(&m.at[k], &list->at[i]) &&
				   m.at[k].seq >= list->at[i].record.seq;
		is_news |= !is_known;
		rc = is_known ? 0 : learn(&m, &list->at[i], err);
	}
	if (rc == 0 && is_news)
		rc = store_memory(dir, &m, err);
	free(m.at);
	return rc;
}
