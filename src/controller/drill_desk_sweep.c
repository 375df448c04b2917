#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/log.h"
#include "controller/audit.h"
#include "controller/catalog_report.h"
#include "controller/drill_desk_internal.h"
#include "db/db.h"
#include "restore/report_shape.h"

/*
 * An exercise comes to be in this order: directory, plan, order.json, its row, its job.  Where the
 * controller ended in between, nobody can carry it on: who ordered got no answer, and a schedule
 * orders what is due anew.
 *
 * INVARIANTS
 * (1) What was begun stays: its order.json says when it was handed out, its row by which job.  So
 *     does what has a job, in whatever state, and what has a report.
 * (2) The row goes with its audit record; then the files, so that what is left of a sweep that was
 *     cut off is a directory without a row, which the next one finds.
 * (3) A directory that cannot be judged (a damaged order.json) stays.
 */

/* Of names found at once; the rest at the next start. */
#define SWEEP_MAX_BYTES ((size_t)16 << 20)

static int record(struct drill_desk *d, const char *exercise, const char *what, struct err *err)
{
	log_info("drill_desk_sweep.drop", "exercise=%s text=\"%s\"", exercise, what);
	return audit_add(d->o.db, "controller", "", "drill.drop", exercise, "ok", what, err);
}

static int drop_row(struct drill_desk *d, const char *exercise, struct err *err)
{
	int rc = db_begin(d->o.db, err);
	if (rc != 0)
		return rc;
	rc = catalog_report_drop(d->o.db, exercise, err);
	if (rc == 0)
		rc = record(d, exercise,
			"it was prepared, but the controller ended before its job was recorded",
			err);
	if (rc == 0)
		return db_commit(d->o.db, err);
	db_rollback(d->o.db);
	return rc;
}

/* Invariant 1. */
static bool is_unborn(const struct drill_desk *d, const char *exercise)
{
	struct catalog_report row;
	struct drill_desk_note n;
	char report[DRILL_DESK_ID_BYTES + 8];
	(void)snprintf(report, sizeof(report), "%s.json", exercise); /* fits */
	if (faccessat(d->dirfd, report, F_OK, 0) == 0 ||
		catalog_report_get(d->o.db, exercise, &row, NULL) != -ERR_NOT_FOUND)
		return false;
	int rc = drill_desk_files_get_note(d->dirfd, exercise, &n, NULL);
	return rc == -ERR_NOT_FOUND || (rc == 0 && n.ordered_mono_ms == 0);
}

/* Names of exercises that have a directory, each with its NUL. */
static int list_directories(const struct drill_desk *d, struct buf *out, struct err *err)
{
	int fd = openat(d->dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	int rc = 0;
	if (dir == NULL) {
		cleanup_close_p(&fd);
		return err_sys(err, ERR_IO, "unable to read the directory of reports");
	}
	for (const struct dirent *de = readdir(dir); rc == 0 && de != NULL; de = readdir(dir)) {
		if (drill_desk_files_need_id(de->d_name, NULL) == 0)
			rc = buf_add(out, de->d_name, DRILL_DESK_ID_BYTES, err);
	}
	(void)closedir(dir);
	return rc == -ERR_LIMIT ? 0 : rc;
}

static int note_orphan(void *arg, const struct catalog_report *r)
{
	return buf_add(arg, r->exercise, DRILL_DESK_ID_BYTES, NULL) == 0 ? 0 : 1;
}

int drill_desk_sweep(struct drill_desk *d, size_t *dropped, struct err *err)
{
	CLEANUP(buf_done) struct buf rows = BUF_INIT(SWEEP_MAX_BYTES);
	CLEANUP(buf_done) struct buf dirs = BUF_INIT(SWEEP_MAX_BYTES);
	int rc = catalog_report_each_orphan(d->o.db, note_orphan, &rows, err);
	*dropped = 0;
	rc = rc > 0 ? 0 : rc;
	for (size_t at = 0; rc == 0 && at < rows.len; at += DRILL_DESK_ID_BYTES) {
		const char *exercise = (const char *)rows.data + at;
		rc = drop_row(d, exercise, err);
		if (rc == 0)
			rc = drill_desk_files_erase(d->dirfd, exercise, err);
		*dropped += rc == 0;
	}
	if (rc == 0)
		rc = list_directories(d, &dirs, err);
	for (size_t at = 0; rc == 0 && at < dirs.len; at += DRILL_DESK_ID_BYTES) {
		const char *exercise = (const char *)dirs.data + at;
		if (!is_unborn(d, exercise))
			continue;
		rc = record(d, exercise, "its files were there, but no exercise", err);
		if (rc == 0)
			rc = drill_desk_files_erase(d->dirfd, exercise, err);
		*dropped += rc == 0;
	}
	return rc;
}
