#include "agents/sources/source_open.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agents/sources/files.h"
#include "agents/sources/path_filter.h"
#include "agents/sources/pg_conn.h"
#include "agents/sources/postgres_dir.h"
#include "agents/sources/postgres_truth.h"
#include "agents/sources/root_list.h"
#include "agents/sources_conf.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "codec/truth.h"
#include "codec/truth_json.h"
#include "restore/erase_tree.h"
#include "restore/tree_truth.h"

/*
 *   new (truth, staging, files) --> source --> free (staging removed)
 *
 * INVARIANTS
 * (1) staged is not empty exactly while a directory of ours may be there.
 * (2) staging_lock is held from before the directory is touched until it is removed.
 */

#define PG_DIR_NAME "pgdata"
#define OWN_MAX 8

struct source_open {
	struct source_kinds_opts opts;
	const struct sources_conf_source *from;
	struct root_list *roots;
	struct path_filter *own_filter; /* owned; when the caller gave none */
	struct path_filter *filter;     /* in use; NULL = nothing is excluded */
	struct files *files;
	struct files_own own[OWN_MAX];
	size_t own_count;
	struct buf truth;
	char staged[PATH_MAX]; /* invariant 1 */
	int staging_lock;      /* owned; -1 = none */
};

static int conf_filter(struct source_open *s, struct err *err)
{
	int rc = 0;
	s->filter = s->opts.filter;
	if (s->from->exclude_count > 0 && s->filter == NULL) {
		rc = path_filter_new(&s->own_filter, err);
		s->filter = s->own_filter;
	}
	for (size_t i = 0; rc == 0 && i < s->from->exclude_count; i++) {
		rc = path_filter_add(s->filter, s->from->exclude[i], err);
		if (rc != 0)
			rc = err_wrap(err, "source '%s': exclude '%s'", s->from->name,
				s->from->exclude[i]);
	}
	return rc;
}

static int keep_truth(struct source_open *s, const struct truth *t, struct err *err)
{
	return truth_json_format(t, &s->truth, err);
}

static void on_truth_left(void *arg, const char *path, size_t len, const char *why)
{
	const struct source_open *s = arg;
	char text[ERR_MSG_BYTES + 64];
	(void)snprintf(text, sizeof(text), "left out of the truth manifest: %s", why); /* fits */
	s->opts.on_warning(s->opts.arg, path, len, text);
}

/* Facts of the trees, taken at the source before they are read for the backup. */
static int take_tree_truth(struct source_open *s, struct err *err)
{
	struct truth *t = truth_new();
	int rc = t == NULL ? err_set(err, ERR_NOMEM, "out of memory") : 0;
	for (size_t i = 0; rc == 0 && i < root_list_count(s->roots); i++) {
		const struct root_list_root *root = root_list_at(s->roots, i);
		struct tree_truth_opts opts = {
			.prefix = s->from->prefix != NULL ? s->from->prefix
							  : root->path + strspn(root->path, "/"),
			.has_batches = s->from->truth == SOURCES_CONF_TRUTH_BATCHES,
			.on_left = on_truth_left,
			.arg = s
		};
		CLEANUP(cleanup_close_p)
		int fd = open(root->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (fd < 0)
			rc = err_sys(err, ERR_IO, "unable to read '%s'", root->path);
		else
			rc = tree_truth_add(fd, &opts, t, err);
	}
	if (rc == 0)
		rc = truth_seal(t, err);
	if (rc == 0)
		rc = keep_truth(s, t, err);
	truth_free(t);
	return rc == 0 ? 0 : err_wrap(err, "unable to take the truth manifest");
}

static int take_table_truth(struct source_open *s, const struct pg_conn_opts *conn, struct err *err)
{
	struct postgres_truth_opts what = { .tables = s->from->tables, .margin_ms = -1 };
	struct truth *t = truth_new();
	int rc = t == NULL ? err_set(err, ERR_NOMEM, "out of memory")
			   : postgres_truth_take(conn, &what, t, err);
	if (rc == 0)
		rc = keep_truth(s, t, err);
	truth_free(t);
	return rc == 0 ? 0 : err_wrap(err, "unable to take the truth manifest");
}

/* Invariant 2: the cache's lock is no help when another run has another cache, or none. */
static int lock_staging(struct source_open *s, const char *staging, struct err *err)
{
	char path[PATH_MAX];
	if (snprintf(path, sizeof(path), "%s.lock", staging) >= (int)sizeof(path))
		return err_set(err, ERR_LIMIT, "path '%s' is too long", staging);
	s->staging_lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (s->staging_lock < 0)
		return err_sys(err, ERR_IO, "unable to open '%s'", path);
	if (flock(s->staging_lock, LOCK_EX | LOCK_NB) == 0)
		return 0;
	if (errno != EWOULDBLOCK)
		return err_sys(err, ERR_IO, "unable to lock '%s'", path);
	err_set(err, ERR_BUSY, "another backup of source '%s' uses '%s'", s->from->name, staging);
	return err_hint(err, "wait until it has ended, or use another staging directory");
}

/* Only a directory that we have just made is ours alone: one that was there may be anybody's. */
static int make_staging(struct source_open *s, const char *staging, struct err *err)
{
	int rc = erase_tree_run(AT_FDCWD, staging, NULL, err);
	if (rc == 0 && mkdir(staging, 0700) != 0)
		rc = err_sys(err, ERR_IO, "unable to make directory '%s'", staging);
	if (rc == 0)
		(void)snprintf(s->staged, sizeof(s->staged), "%s", staging); /* same size */
	return rc;
}

/* The copy goes to a directory of ours; what a killed run left there is removed first. */
static int stage_postgres(struct source_open *s, const char *staging, struct err *err)
{
	struct pg_conn_opts conn = { .conninfo = s->from->conninfo,
		.passfile = s->from->passfile,
		.arg = s->opts.arg,
		.is_stopped = s->opts.is_stopped };
	int rc = s->from->truth == SOURCES_CONF_TRUTH_TABLES && !s->opts.has_truth
			 ? take_table_truth(s, &conn, err)
			 : 0;
	if (rc == 0)
		rc = lock_staging(s, staging, err);
	if (rc == 0)
		rc = make_staging(s, staging, err);
	if (rc != 0)
		return rc;
	CLEANUP(cleanup_close_p)
	int fd = open(staging, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return err_sys(err, ERR_IO, "unable to open '%s'", staging);
	rc = postgres_dir_capture(&conn, fd, PG_DIR_NAME, NULL, err);
	if (rc != 0)
		return err_wrap(err, "unable to copy the database of source '%s'", s->from->name);
	char path[PATH_MAX];
	if (snprintf(path, sizeof(path), "%s/%s", staging, PG_DIR_NAME) >= (int)sizeof(path))
		rc = err_set(err, ERR_LIMIT, "path '%s' is too long", staging);
	if (rc == 0)
		rc = root_list_new(&s->roots, err);
	if (rc == 0)
		rc = root_list_add(s->roots, path, PG_DIR_NAME, err);
	return rc != 0 ? rc : root_list_resolve(s->roots, s->opts.on_warning, s->opts.arg, err);
}

static int find_roots(struct source_open *s, struct err *err)
{
	int rc = conf_filter(s, err);
	if (rc == 0)
		rc = root_list_new(&s->roots, err);
	for (size_t i = 0; rc == 0 && i < s->from->path_count; i++)
		rc = root_list_add(s->roots, s->from->paths[i], s->from->prefix, err);
	return rc != 0 ? rc : root_list_resolve(s->roots, s->opts.on_warning, s->opts.arg, err);
}

static int make_files(struct source_open *s, struct err *err)
{
	const struct source_kinds_opts *o = &s->opts;
	for (size_t i = 0; i < o->own_count && s->own_count < OWN_MAX; i++) {
		if (o->own[i] != NULL &&
			files_own_find(o->own[i], &s->own[s->own_count], NULL) == 0)
			s->own_count++; /* one that is not there cannot be met */
	}
	struct files_opts opts = { .roots = s->roots,
		.filter = s->filter,
		.is_exclude_caches = o->is_exclude_caches || s->from->is_exclude_caches,
		.exclude_if_present = o->exclude_if_present,
		.exclude_if_present_count = o->exclude_if_present_count,
		.is_one_file_system = o->is_one_file_system || s->from->is_one_file_system,
		.max_file_bytes = o->max_file_bytes,
		.own = s->own,
		.own_count = s->own_count,
		.arg = o->arg,
		.on_warning = o->on_warning,
		.on_note = o->on_note };
	return files_new(&opts, &s->files, err);
}

DEFINE_CLEANUP(struct source_open *, source_open_free)

int source_open_new(const struct source_kinds_opts *opts, struct source_open **out, struct err *err)
{
	CLEANUP(source_open_free_p) struct source_open *s = calloc(1, sizeof(*s));
	if (s == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	s->opts = *opts;
	s->from = opts->from;
	s->staging_lock = -1;
	s->truth = (struct buf)BUF_INIT(TRUTH_JSON_MAX_BYTES);
	int rc = 0;
	if (s->from->type == SOURCES_CONF_POSTGRES) {
		rc = stage_postgres(s, opts->staging, err);
	} else {
		rc = find_roots(s, err);
		if (rc == 0 && s->from->truth != SOURCES_CONF_TRUTH_NONE && !opts->has_truth)
			rc = take_tree_truth(s, err);
	}
	if (rc == 0)
		rc = make_files(s, err);
	if (rc == 0)
		*out = TAKE(s);
	return rc;
}

void source_open_free(struct source_open *s)
{
	if (s == NULL)
		return;
	files_free(s->files);
	path_filter_free(s->own_filter);
	root_list_free(s->roots);
	struct err why = ERR_INIT;
	if (s->staged[0] != '\0' && erase_tree_run(AT_FDCWD, s->staged, NULL, &why) != 0) {
		(void)err_wrap(&why, "the staging directory is left");
		s->opts.on_warning(s->opts.arg, s->staged, strlen(s->staged), why.msg);
	}
	if (s->staging_lock >= 0)
		(void)close(s->staging_lock); /* ends the lock */
	buf_done(&s->truth);
	free(s);
}

const struct source *source_open_source(const struct source_open *s)
{
	return files_source(s->files);
}

const void *source_open_truth(const struct source_open *s, size_t *len)
{
	*len = s->truth.len;
	return s->truth.len > 0 ? s->truth.data : NULL;
}

const char *source_open_path(const struct sources_conf_source *from, size_t i)
{
	if (from->type == SOURCES_CONF_POSTGRES)
		return i == 0 ? PG_DIR_NAME : NULL;
	return i < from->path_count ? from->paths[i] : NULL;
}

const struct source_kinds source_open_kinds = { .open = source_open_new,
	.free = source_open_free,
	.source = source_open_source,
	.truth = source_open_truth,
	.path = source_open_path };
