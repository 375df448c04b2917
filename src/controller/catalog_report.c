#include "controller/catalog_report.h"

#include <stdio.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "controller/catalog_row.h"
#include "db/db.h"

/*
 * INVARIANTS
 * (1) What was ordered (exercise, job, plan, agent, T0) is written once; only the end is filled in.
 */

#define FIELD(member, kind, use) ROW_FIELD(struct catalog_report, member, #member, kind, use)

static const struct catalog_row_field fields[] = {
	FIELD(exercise, ROW_TEXT, ROW_KEY),
	FIELD(job, ROW_TEXT, ROW_VALUE),
	FIELD(plan_id, ROW_TEXT, ROW_FIXED),
	FIELD(plan_version, ROW_INT, ROW_FIXED),
	FIELD(plan_sha256, ROW_BYTES, ROW_FIXED),
	ROW_FIELD(struct catalog_report, agent_id, "agent", ROW_ID, ROW_FIXED),
	FIELD(declared_ms, ROW_INT, ROW_FIXED),
	FIELD(ended_ms, ROW_INT, ROW_VALUE),
	FIELD(verdict, ROW_TEXT, ROW_VALUE),
	FIELD(sha256, ROW_BYTES, ROW_VALUE),
};

static const struct catalog_row row = { "drill", fields, sizeof(fields) / sizeof(fields[0]) };

int catalog_report_add(struct db *db, const struct catalog_report *r, struct err *err)
{
	int rc = catalog_row_insert(db, &row, r, err);
	if (rc == -ERR_EXISTS)
		rc = err_set(err, ERR_EXISTS, "there is an exercise %s already", r->exercise);
	return rc;
}

int catalog_report_set(struct db *db, const struct catalog_report *r, struct err *err)
{
	int rc = catalog_row_update(db, &row, r, err);
	if (rc == -ERR_NOT_FOUND)
		rc = err_set(err, ERR_NOT_FOUND, "no exercise '%s'", r->exercise);
	return rc;
}

int catalog_report_get(
	struct db *db, const char *exercise, struct catalog_report *out, struct err *err)
{
	struct catalog_report r = { .plan_version = 0 };
	(void)snprintf(r.exercise, sizeof(r.exercise), "%s", exercise); /* too long: not found */
	int rc = catalog_row_get(db, &row, &r, err);
	if (rc == -ERR_NOT_FOUND)
		return err_set(err, ERR_NOT_FOUND, "no exercise '%s'", exercise);
	if (rc == 0)
		*out = r;
	return rc;
}

int catalog_report_drop(struct db *db, const char *exercise, struct err *err)
{
	struct catalog_report r = { .plan_version = 0 };
	int rc = catalog_report_get(db, exercise, &r, err);
	if (rc == 0 && r.job[0] != '\0')
		rc = err_set(err, ERR_EXISTS, "exercise '%s' was begun by job %s", exercise, r.job);
	return rc == 0 ? db_run(db, "DELETE FROM drill WHERE exercise = $1",
				 DB_ARGS(db_text(exercise)), NULL, err)
		       : rc;
}

static int each(struct db *db, struct buf *keys,
	int (*fn)(void *arg, const struct catalog_report *r), void *arg, struct err *err)
{
	struct catalog_report r = { .plan_version = 0 };
	size_t at = 0;
	int rc = 0;
	while (rc == 0 && (rc = catalog_row_next(db, &row, keys, &at, &r, err)) == 1)
		rc = fn(arg, &r);
	return rc;
}

int catalog_report_each(struct db *db, int64_t limit,
	int (*fn)(void *arg, const struct catalog_report *r), void *arg, struct err *err)
{
	CLEANUP(buf_done) struct buf keys = BUF_INIT(CATALOG_ROW_MAX_KEYS);
	int rc = catalog_row_keys(db, &row, "ORDER BY declared_ms DESC, exercise LIMIT $1",
		DB_ARGS(db_int(limit > 0 ? limit : INT64_MAX)), &keys, err);
	return rc == 0 ? each(db, &keys, fn, arg, err) : rc;
}

int catalog_report_each_orphan(struct db *db, int (*fn)(void *arg, const struct catalog_report *r),
	void *arg, struct err *err)
{
	CLEANUP(buf_done) struct buf keys = BUF_INIT(CATALOG_ROW_MAX_KEYS);
	int rc = catalog_row_keys(db, &row,
		"WHERE job = '' AND ended_ms = 0 AND NOT EXISTS"
		" (SELECT 1 FROM job WHERE job.drill = drill.exercise) ORDER BY exercise",
		DB_NO_ARGS, &keys, err);
	return rc == 0 ? each(db, &keys, fn, arg, err) : rc;
}
