#include "cmd/report_shelf.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/atomic_file.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/fdio.h"
#include "codec/text.h"
#include "crypto/ed25519.h"
#include "crypto/hash.h"
#include "restore/report.h"
#include "restore/report_html.h"
#include "restore/report_json.h"

/*
 * INVARIANTS
 * (1) The page names the hash of the signed file, so that file is written first and never replaced.
 */

static int join(
	char out[PATH_MAX], const char *dir, const char *id, const char *end, struct err *err)
{
	int n = snprintf(out, PATH_MAX, "%s/%s%s", dir, id, end);
	return n < 0 || n >= PATH_MAX ? err_set(err, ERR_LIMIT, "path '%s' is too long", dir) : 0;
}

static int put_page(const struct report *r, const struct buf *json,
	const struct report_shelf_paths *p, struct err *err)
{
	CLEANUP(buf_done) struct buf html = BUF_INIT(REPORT_HTML_MAX);
	uint8_t digest[HASH_BYTES];
	char hex[2 * HASH_BYTES + 1];
	const char *slash = strrchr(p->json, '/');
	hash_sha256(json->data, json->len, digest);
	text_hex(digest, sizeof(digest), hex);
	const struct report_html_opts opts = { .json_name = slash + 1,
		.json_sha256 = hex,
		.keyid = p->keyid,
		.controller_keyid = p->controller_keyid[0] == '\0' ? NULL : p->controller_keyid };
	int rc = report_html_render(r, &opts, &html, err);
	return rc == 0 ? atomic_file_write(AT_FDCWD, p->html, 0644, html.data, html.len, err) : rc;
}

int report_shelf_put(const char *dir, struct report *r, const uint8_t seed[32],
	struct report_shelf_paths *out, struct err *err)
{
	CLEANUP(buf_done) struct buf json = BUF_INIT(REPORT_JSON_MAX);
	struct report_shelf_paths p = { .controller_keyid = "" };
	uint8_t pk[ED25519_KEY_BYTES];
	ed25519_public(seed, pk);
	dsse_keyid(pk, p.keyid);
	int rc = join(p.json, dir, r->exercise.exercise_id, ".json", err);
	if (rc == 0)
		rc = join(p.html, dir, r->exercise.exercise_id, ".html", err);
	if (rc == 0)
		rc = report_json_seal(r, seed, &json, err);
	if (rc == 0)
		rc = atomic_file_create(AT_FDCWD, p.json, 0644, json.data, json.len, err);
	if (rc == 0)
		rc = put_page(r, &json, &p, err);
	if (rc == 0)
		*out = p;
	return rc;
}

/* Write it, unless just these bytes are there. */
static int keep_file(const char *path, const struct buf *json, struct err *err)
{
	CLEANUP(buf_done) struct buf old = BUF_INIT(REPORT_JSON_MAX);
	struct err why = ERR_INIT;
	int rc = atomic_file_create(AT_FDCWD, path, 0644, json->data, json->len, &why);
	if (rc == -ERR_EXISTS && fdio_read_file(AT_FDCWD, path, &old, NULL) == 0 &&
		old.len == json->len && memcmp(old.data, json->data, old.len) == 0)
		return 0;
	if (rc != 0)
		*err = why;
	return rc;
}

int report_shelf_keep(const char *dir, const struct report_check *check, const void *data,
	size_t len, struct report_shelf_paths *out, struct err *err)
{
	CLEANUP(buf_done) struct buf json = BUF_INIT(REPORT_JSON_MAX);
	const char *id = check->report->exercise.exercise_id;
	const char *controller = check->report->environment.controller.keyid;
	struct report_shelf_paths p = { .controller_keyid = "" };
	(void)snprintf(p.keyid, sizeof(p.keyid), "%s", check->signed_by.signers[0].keyid);
	/* whoever else signed is not the controller that the report names */
	if (controller != NULL && !check->is_controller_missing)
		(void)snprintf(p.controller_keyid, sizeof(p.controller_keyid), "%s", controller);
	int rc = join(p.json, dir, id, ".json", err);
	if (rc == 0)
		rc = join(p.html, dir, id, ".html", err);
	if (rc == 0)
		rc = buf_add(&json, data, len, err);
	if (rc == 0)
		rc = keep_file(p.json, &json, err);
	if (rc == 0)
		rc = put_page(check->report, &json, &p, err);
	if (rc == 0)
		*out = p;
	return rc;
}

static int is_report(const struct dirent *de)
{
	size_t len = strlen(de->d_name);
	return len > 5 && de->d_name[0] != '.' && strcmp(de->d_name + len - 5, ".json") == 0;
}

static int read_one(int dirfd, const char *name, report_shelf_fn fn, void *arg)
{
	CLEANUP(buf_done) struct buf file = BUF_INIT(REPORT_JSON_MAX);
	CLEANUP(report_check_done) struct report_check check = { .report = NULL };
	struct err why = ERR_INIT;
	int rc = fdio_read_file(dirfd, name, &file, &why);
	if (rc == 0)
		rc = report_check_envelope(file.data, file.len, NULL, &check, &why);
	return fn(arg, name, rc == 0 ? &check : NULL, &why);
}

int report_shelf_verdict(const char *dir, size_t broken, struct err *err)
{
	if (broken == 0)
		return 0;
	(void)err_set(err, ERR_CORRUPT, "%zu file%s in '%s' %s no intact report%s", broken,
		broken == 1 ? "" : "s", dir, broken == 1 ? "is" : "are", broken == 1 ? "" : "s");
	return err_hint(err, "each is named above with what is wrong: get it again where it came "
			     "from ('holdfast report get'), or take it out of the directory");
}

int report_shelf_walk(const char *dir, report_shelf_fn fn, void *arg, struct err *err)
{
	struct dirent **names = NULL;
	CLEANUP(cleanup_close_p) int dirfd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dirfd < 0)
		return err_sys(err, errno == ENOENT ? ERR_NOT_FOUND : ERR_IO,
			"unable to open directory '%s'", dir);
	int count = scandirat(dirfd, ".", &names, is_report, alphasort);
	if (count < 0)
		return err_sys(err, ERR_IO, "unable to read directory '%s'", dir);
	int rc = count > REPORT_SHELF_MAX
			 ? err_set(err, ERR_LIMIT, "more than %d reports", REPORT_SHELF_MAX)
			 : 0;
	for (int i = 0; i < count; i++) {
		if (rc == 0)
			rc = read_one(dirfd, names[i]->d_name, fn, arg);
		free(names[i]);
	}
	free(names);
	return rc;
}
