#include "cmd/bad_packs.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/atomic_file.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/fdio.h"
#include "cmd/paths.h"
#include "codec/text.h"
#include "vault/id_set.h"

/*
 * The file: a line "holdfast-bad-packs 1", then one line a pack: the hash in its name.
 *
 * INVARIANTS
 * (1) No file says the same as an empty list.
 */

#define FILE_NAME "bad-packs"
#define TITLE "holdfast-bad-packs 1\n"
#define LINE_CHARS 65
#define FILE_MAX_BYTES (sizeof(TITLE) + (size_t)BAD_PACKS_MAX * LINE_CHARS)

static int path_of(const char *dir, char out[PATH_MAX], struct err *err)
{
	if (snprintf(out, PATH_MAX, "%s/%s", dir, FILE_NAME) < PATH_MAX)
		return 0;
	return err_set(err, ERR_LIMIT, "path '%s/%s' is too long", dir, FILE_NAME);
}

static int parse(const struct buf *text, struct id_set *out, struct err *err)
{
	const size_t title = strlen(TITLE);
	if (text->len < title || memcmp(text->data, TITLE, title) != 0 ||
		(text->len - title) % LINE_CHARS != 0)
		return -ERR_CORRUPT;
	for (size_t at = title; at < text->len; at += LINE_CHARS) {
		uint8_t hash[32];
		if (text->data[at + LINE_CHARS - 1] != '\n' ||
			text_unhex((const char *)text->data + at, sizeof(hash), hash) != 0)
			return -ERR_CORRUPT;
		int rc = id_set_add(out, hash, 1, NULL, err);
		if (rc != 0)
			return rc;
	}
	return 0;
}

DEFINE_CLEANUP(struct id_set *, id_set_free)

int bad_packs_load(const char *dir, struct id_set **out, struct err *err)
{
	char path[PATH_MAX];
	struct err why = ERR_INIT;
	CLEANUP(buf_done) struct buf text = BUF_INIT(FILE_MAX_BYTES);
	CLEANUP(id_set_free_p) struct id_set *set = NULL;
	int rc = path_of(dir, path, err);
	if (rc == 0)
		rc = id_set_new(&set, err);
	if (rc != 0)
		return rc;
	rc = fdio_read_file(AT_FDCWD, path, &text, &why);
	if (rc == 0)
		rc = parse(&text, set, &why);
	if (rc == -ERR_CORRUPT) {
		err_set(err, ERR_CORRUPT, "the list of damaged packs, '%s', is damaged", path);
		return err_hint(err, "'holdfast verify' writes it anew");
	}
	if (rc != 0 && rc != -ERR_NOT_FOUND) {
		if (err != NULL)
			*err = why;
		return rc;
	}
	*out = TAKE(set);
	return 0;
}

int bad_packs_store(const char *dir, const uint8_t (*hashes)[32], size_t count, struct err *err)
{
	char path[PATH_MAX];
	CLEANUP(buf_done) struct buf text = BUF_INIT(FILE_MAX_BYTES);
	int rc = path_of(dir, path, err);
	if (rc == 0 && count == 0 && access(path, F_OK) != 0)
		return 0;
	if (rc == 0)
		rc = paths_make(dir, err);
	if (rc == 0)
		rc = buf_add(&text, TITLE, strlen(TITLE), err);
	for (size_t i = 0; rc == 0 && i < count; i++) {
		char hex[65];
		text_hex(hashes[i], 32, hex);
		rc = buf_addf(&text, err, "%s\n", hex);
	}
	return rc != 0 ? rc : atomic_file_write(AT_FDCWD, path, 0600, text.data, text.len, err);
}
