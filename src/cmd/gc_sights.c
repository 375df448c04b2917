#include "cmd/gc_sights.h"

#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/atomic_file.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/fdio.h"
#include "cmd/paths.h"
#include "codec/text.h"

/*
 * The file: a line "holdfast-sights 1 <boot id>", then one line a session: its id, the number of
 * its newest mark, the monotonic time at which that was seen first.
 *
 * INVARIANTS
 * (1) Times of another boot are never used: the clock they were taken from is gone.
 */

#define FILE_NAME "sights"
#define TITLE "holdfast-sights 1 "
#define BOOT_CHARS 36
#define LINE_BYTES 96 /* 32 + 20 + 20 digits, blanks, newline */
#define FILE_MAX_BYTES ((size_t)GC_SIGHTS_MAX * 3 * LINE_BYTES + 256)

static int read_boot(char boot[BOOT_CHARS + 1], struct err *err)
{
	CLEANUP(cleanup_fclose_p) FILE *f = fopen("/proc/sys/kernel/random/boot_id", "re");
	size_t got = f == NULL ? 0 : fread(boot, 1, BOOT_CHARS, f);
	if (got != BOOT_CHARS)
		return err_sys(err, ERR_IO, "unable to read this boot's id");
	boot[BOOT_CHARS] = '\0';
	return 0;
}

static int parse_line(const char *line, struct collect_sight *out)
{
	char session[33];
	int end = 0;
	if (sscanf(line, "%32s %" SCNu64 " %" SCNi64 "%n", session, &out->number, &out->since_ns,
		    &end) != 3 ||
		line[end] != '\0' || strlen(session) != 32)
		return -1;
	return text_unhex(session, sizeof(out->session), out->session);
}

/* What a text is made into: bytes of one width, one behind the other. */
static int add_hex(const char *hex, size_t width, void **at, size_t *count)
{
	uint8_t *grown;
	if (*count == GC_SIGHTS_MAX || strlen(hex) != 2 * width)
		return -1;
	grown = reallocarray(*at, *count + 1, width);
	if (grown == NULL)
		return -1;
	*at = grown;
	if (text_unhex(hex, width, grown + *count * width) != 0)
		return -1;
	++*count;
	return 0;
}

static int add_sight(const char *line, struct collect_sights *out)
{
	struct collect_sight s;
	if (out->count == GC_SIGHTS_MAX || parse_line(line, &s) != 0)
		return -1;
	struct collect_sight *grown = reallocarray(out->at, out->count + 1, sizeof(*grown));
	if (grown == NULL)
		return -1;
	out->at = grown;
	grown[out->count++] = s;
	return 0;
}

static int parse(char *text, struct collect_sights *out, struct err *err)
{
	char *rest = NULL;
	void *packs = NULL;
	void *sessions = NULL;
	int rc = 0;
	for (char *line = strtok_r(text, "\n", &rest); rc == 0 && line != NULL;
		line = strtok_r(NULL, "\n", &rest)) {
		if (strncmp(line, "pack ", 5) == 0)
			rc = add_hex(line + 5, 32, &packs, &out->pack_count);
		else if (strncmp(line, "open ", 5) == 0)
			rc = add_hex(line + 5, 16, &sessions, &out->session_count);
		else
			rc = add_sight(line, out);
		if (rc != 0)
			err_set(err, ERR_CORRUPT,
				"the memory of open sessions is damaged at '%.40s'", line);
	}
	out->packs = packs;
	out->sessions = sessions;
	return rc == 0 ? 0 : -ERR_CORRUPT;
}

int gc_sights_load(const char *dir, struct collect_sights *out, struct err *err)
{
	char path[PATH_MAX];
	char boot[BOOT_CHARS + 1];
	char title[sizeof(TITLE) + BOOT_CHARS + 1];
	CLEANUP(buf_done) struct buf text = BUF_INIT(FILE_MAX_BYTES);
	if (snprintf(path, sizeof(path), "%s/" FILE_NAME, dir) >= PATH_MAX)
		return err_set(err, ERR_LIMIT, "path '%s' is too long", dir);
	int rc = read_boot(boot, err);
	if (rc == 0)
		rc = fdio_read_file(AT_FDCWD, path, &text, err);
	if (rc == -ERR_NOT_FOUND) {
		if (err != NULL)
			err_clear(err);
		return 0;
	}
	if (rc == 0)
		rc = buf_add8(&text, 0, err);
	if (rc != 0)
		return rc;
	(void)snprintf(title, sizeof(title), TITLE "%s\n", boot); /* fits */
	if (strncmp((char *)text.data, title, strlen(title)) != 0)
		return 0; /* of another boot */
	struct collect_sights s = { .count = 0 };
	rc = parse((char *)text.data + strlen(title), &s, err);
	if (rc == 0)
		*out = s;
	else
		collect_sights_done(&s);
	return rc;
}

int gc_sights_store(const char *dir, const struct collect_sights *s, struct err *err)
{
	char path[PATH_MAX];
	char boot[BOOT_CHARS + 1];
	CLEANUP(buf_done) struct buf text = BUF_INIT(FILE_MAX_BYTES);
	if (snprintf(path, sizeof(path), "%s/" FILE_NAME, dir) >= PATH_MAX)
		return err_set(err, ERR_LIMIT, "path '%s' is too long", dir);
	int rc = read_boot(boot, err);
	if (rc == 0)
		rc = buf_addf(&text, err, TITLE "%s\n", boot);
	for (size_t i = 0; rc == 0 && i < s->count && i < GC_SIGHTS_MAX; i++) {
		char hex[33];
		text_hex(s->at[i].session, sizeof(s->at[i].session), hex);
		rc = buf_addf(&text, err, "%s %" PRIu64 " %" PRId64 "\n", hex, s->at[i].number,
			s->at[i].since_ns);
	}
	for (size_t i = 0; rc == 0 && i < s->session_count && i < GC_SIGHTS_MAX; i++) {
		char hex[33];
		text_hex(s->sessions[i], sizeof(s->sessions[i]), hex);
		rc = buf_addf(&text, err, "open %s\n", hex);
	}
	/* what is left out is put off once more */
	for (size_t i = 0; rc == 0 && i < s->pack_count && i < GC_SIGHTS_MAX; i++) {
		char hex[65];
		text_hex(s->packs[i], sizeof(s->packs[i]), hex);
		rc = buf_addf(&text, err, "pack %s\n", hex);
	}
	if (rc == 0)
		rc = paths_make(dir, err);
	return rc != 0 ? rc : atomic_file_write(AT_FDCWD, path, 0600, text.data, text.len, err);
}
