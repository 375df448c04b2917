#include "controller/controller_files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/atomic_file.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/env.h"
#include "base/err.h"
#include "base/fdio.h"
#include "crypto/ed25519.h"
#include "crypto/secret.h"
#include "crypto/x509.h"
#include "restore/report_key.h"
#include "restore/report_secret.h"

/*
 * INVARIANTS
 * (1) A secret file is 0600 or stricter and a regular file, else it is not used.
 */

#define FILES_MAX 65536
#define FILES_CA_DAYS 3650
#define FILES_BEFORE_S 3600 /* clocks of a plant differ */

static int join(char out[PATH_MAX], const char *dir, const char *name, struct err *err)
{
	int n = snprintf(out, PATH_MAX, "%s/%s", dir, name);
	return n < 0 || n >= PATH_MAX
		       ? err_set(err, ERR_LIMIT, "path '%s/%s' is too long", dir, name)
		       : 0;
}

static int make_dir(const char *path, struct err *err)
{
	if (env_mkdirat(AT_FDCWD, path, 0700) != 0 && errno != EEXIST)
		return err_sys(err, ERR_IO, "unable to create directory '%s'", path);
	return 0;
}

/* Invariant 1. */
static int check_private(const char *path, struct err *err)
{
	struct stat st;
	if (stat(path, &st) != 0) {
		if (errno != ENOENT)
			return err_sys(err, ERR_IO, "unable to read '%s'", path);
		(void)err_set(err, ERR_NOT_FOUND, "there is no '%s'", path);
		return err_hint(err, "make the controller's files with 'holdfast controller init'");
	}
	if (S_ISREG(st.st_mode) && (st.st_mode & 077) == 0)
		return 0;
	(void)err_set(err, ERR_CONFIG, "others can read the key file '%s'", path);
	return err_hint(err, "chmod 600 '%s'", path);
}

static int read_secret(const char *dir, const char *name, struct buf *out, struct err *err)
{
	char path[PATH_MAX];
	int rc = join(path, dir, name, err);
	if (rc == 0)
		rc = check_private(path, err);
	return rc != 0 ? rc : fdio_read_file(AT_FDCWD, path, out, err);
}

static int read_text(const char *dir, const char *name,
	int (*read)(const char *dir, const char *name, struct buf *out, struct err *err),
	char **out, struct err *err)
{
	CLEANUP(buf_wipe) struct buf raw = BUF_INIT(FILES_MAX);
	int rc = read(dir, name, &raw, err);
	if (rc != 0)
		return rc;
	const char *text = buf_cstr(&raw);
	*out = text == NULL ? NULL : strdup(text);
	return *out == NULL ? err_set(err, ERR_NOMEM, "out of memory") : 0;
}

static int read_open(const char *dir, const char *name, struct buf *out, struct err *err)
{
	char path[PATH_MAX];
	int rc = join(path, dir, name, err);
	return rc != 0 ? rc : fdio_read_file(AT_FDCWD, path, out, err);
}

static int load_keys(const char *keys, struct controller_files *f, struct err *err)
{
	CLEANUP(buf_wipe) struct buf raw = BUF_INIT(FILES_MAX);
	CLEANUP(buf_wipe) struct buf report = BUF_INIT(FILES_MAX);
	int rc = read_secret(keys, "controller.key", &raw, err);
	if (rc == 0)
		rc = controller_keys_decode(raw.data, raw.len, &f->keys, err);
	if (rc == 0)
		rc = read_text(keys, "ca.key", read_secret, &f->ca_key_pem, err);
	if (rc == 0)
		rc = read_text(keys, "ca.pem", read_open, &f->ca_pem, err);
	if (rc == 0)
		rc = read_secret(keys, "report.key", &report, err);
	if (rc == 0)
		rc = report_secret_parse(
			(const char *)report.data, report.len, f->report_seed, err);
	return rc;
}

int controller_files_load(
	const char *keys, const char *state, struct controller_files *out, struct err *err)
{
	struct controller_files f = { .ca_pem = NULL };
	int rc = load_keys(keys, &f, err);
	if (rc == 0)
		rc = join(f.reports, state, "reports", err);
	if (rc == 0)
		rc = join(f.cache, state, "cache", err);
	if (rc != 0) {
		controller_files_done(&f);
		return rc;
	}
	*out = f;
	secret_wipe(&f, sizeof(f));
	return 0;
}

int controller_files_make_dirs(struct controller_files *f, const char *state, struct err *err)
{
	int rc = make_dir(state, err);
	if (rc == 0)
		rc = make_dir(f->reports, err);
	if (rc == 0 && make_dir(f->cache, NULL) != 0)
		f->cache[0] = '\0'; /* then the index is read from the store each time */
	return rc;
}

void controller_files_done(struct controller_files *f)
{
	if (f->ca_key_pem != NULL)
		secret_wipe(f->ca_key_pem, strlen(f->ca_key_pem));
	free(f->ca_key_pem);
	free(f->ca_pem);
	secret_wipe(f, sizeof(*f));
}

/* ---- making ---- */

static int write_file(
	const char *dir, const char *name, mode_t mode, const struct buf *data, struct err *err)
{
	char path[PATH_MAX];
	int rc = join(path, dir, name, err);
	return rc != 0 ? rc : atomic_file_create(AT_FDCWD, path, mode, data->data, data->len, err);
}

static int make_ca(const char *keys, const char *name, struct err *err)
{
	CLEANUP(buf_wipe) struct buf key = BUF_INIT(FILES_MAX);
	CLEANUP(buf_done) struct buf cert = BUF_INIT(FILES_MAX);
	char subject[160];
	(void)snprintf(subject, sizeof(subject), "Holdfast CA of %s", name); /* cut is fine */
	int rc = x509_key_new(&key, err);
	if (rc == 0)
		rc = x509_ca_new(buf_cstr(&key), subject,
			env_now_ns() / 1000000000 - FILES_BEFORE_S, FILES_CA_DAYS, &cert, err);
	if (rc == 0)
		rc = write_file(keys, "ca.key", 0600, &key, err);
	return rc != 0 ? rc : write_file(keys, "ca.pem", 0644, &cert, err);
}

static int make_report_key(const char *keys, struct err *err)
{
	CLEANUP(buf_wipe) struct buf secret = BUF_INIT(FILES_MAX);
	CLEANUP(buf_done) struct buf public = BUF_INIT(FILES_MAX);
	uint8_t seed[32], pk[32];
	int rc = env_random(seed, sizeof(seed), err);
	if (rc != 0)
		return rc;
	ed25519_public(seed, pk);
	rc = report_secret_format(seed, &secret, err);
	secret_wipe(seed, sizeof(seed));
	if (rc == 0)
		rc = report_key_format(pk, &public, err);
	if (rc == 0)
		rc = write_file(keys, "report.key", 0600, &secret, err);
	return rc != 0 ? rc : write_file(keys, "report.key.pub", 0644, &public, err);
}

int controller_files_make(const char *keys, const char *name, const struct controller_keys *k,
	const uint8_t officer_seed[32], struct err *err)
{
	CLEANUP(buf_wipe) struct buf own = BUF_INIT(FILES_MAX);
	CLEANUP(buf_wipe) struct buf officer = BUF_INIT(FILES_MAX);
	int rc = make_dir(keys, err);
	if (rc == 0)
		rc = controller_keys_encode(k, &own, err);
	if (rc == 0)
		rc = controller_keys_officer_format(officer_seed, &officer, err);
	/* first the one whose presence says that a controller is here */
	if (rc == 0)
		rc = write_file(keys, "controller.key", 0600, &own, err);
	if (rc == 0)
		rc = write_file(keys, "officer.key", 0600, &officer, err);
	if (rc == 0)
		rc = make_ca(keys, name, err);
	return rc != 0 ? rc : make_report_key(keys, err);
}

int controller_files_rekey(const char *keys, struct controller_keys *k, struct err *err)
{
	CLEANUP(buf_wipe) struct buf raw = BUF_INIT(FILES_MAX);
	CLEANUP(buf_wipe) struct buf next = BUF_INIT(FILES_MAX);
	struct controller_keys before = { .kv_epoch = 0 };
	char path[PATH_MAX];
	struct err why = ERR_INIT;
	int rc = join(path, keys, "ca.key", err);
	if (rc == 0)
		rc = check_private(path, err); /* no controller without it */
	if (rc != 0)
		return rc;
	rc = read_secret(keys, "controller.key", &raw, &why);
	if (rc == 0)
		rc = controller_keys_decode(raw.data, raw.len, &before, &why);
	if (rc == 0 && memcmp(before.vault_id, k->vault_id, sizeof(k->vault_id)) != 0)
		rc = err_set(err, ERR_AUTH, "the controller in '%s' is of another vault", keys);
	else if (rc == 0)
		memcpy(k->gateway, before.gateway, sizeof(k->gateway));
	else if (rc == -ERR_NOT_FOUND || rc == -ERR_CORRUPT)
		rc = env_random(k->gateway, sizeof(k->gateway), err);
	else if (err != NULL)
		*err = why;
	secret_wipe(&before, sizeof(before));
	if (rc == 0)
		rc = controller_keys_encode(k, &next, err);
	if (rc == 0)
		rc = join(path, keys, "controller.key", err);
	return rc != 0 ? rc : atomic_file_write(AT_FDCWD, path, 0600, next.data, next.len, err);
}

int controller_files_server_cert(const struct controller_files *f, const char *name,
	const char *const *hosts, size_t host_count, int64_t now_s, int days, struct buf *cert,
	struct buf *key, struct err *err)
{
	CLEANUP(buf_done) struct buf request = BUF_INIT(FILES_MAX);
	const struct x509_issue what = { .name = name,
		.hosts = hosts,
		.host_count = host_count,
		.is_server = true,
		.from_s = now_s - FILES_BEFORE_S,
		.until_s = now_s + days * INT64_C(86400) };
	int rc = x509_key_new(key, err);
	if (rc == 0)
		rc = x509_request_new(buf_cstr(key), name, &request, err);
	if (rc == 0)
		rc = x509_issue(f->ca_pem, f->ca_key_pem, buf_cstr(&request), &what, cert, err);
	if (rc == 0)
		rc = buf_add(cert, f->ca_pem, strlen(f->ca_pem), err);
	return rc;
}

int controller_files_read_plan(const char *path, struct buf *out, struct err *err)
{
	if (path[0] != '/')
		return err_set(err, ERR_CONFIG, "the plan's path '%s' is not absolute", path);
	return fdio_read_file(AT_FDCWD, path, out, err);
}
