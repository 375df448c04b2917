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
#define FILE_MAX_BYTES ((size_t)GC_SIGHTS_MAX * LINE_BYTES + 256)

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

static int parse(char *text, struct collect_sights *out, struct err *err)
{
	char *rest = NULL;
	for (char *line = strtok_r(text, "\n", &rest); line != NULL;
		line = strtok_r(NULL, "\n", &rest)) {
		struct collect_sight s;
		if (out->count == GC_SIGHTS_MAX || parse_line(line, &s) != 0)
			return err_set(err, ERR_CORRUPT,
				"the memory of open sessions is damaged at '%.40s'", line);
		struct collect_sight *grown = reallocarray(out->at, out->count + 1, sizeof(*grown));
		if (grown == NULL)
			return err_set(err, ERR_NOMEM, "out of memory");
		out->at = grown;
		grown[out->count++] = s;
	}
	return 0;
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
	if (rc == 0)
		rc = paths_make(dir, err);
	return rc != 0 ? rc : atomic_file_write(AT_FDCWD, path, 0600, text.data, text.len, err);
}
