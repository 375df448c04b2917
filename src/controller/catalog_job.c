#include "controller/catalog_job.h"

#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "codec/text.h"
#include "controller/catalog_row.h"
#include "db/db.h"

/*
 * INVARIANTS
 * (1) Which job it is (id, verb, agent, source, schedule, person, created) is written once.
 * (2) Whoever is told of a job may change any job: the keys were read before.
 */

#define FIELD(member, kind, use) ROW_FIELD(struct catalog_job, member, #member, kind, use)
#define FIELD_AS(member, column, kind)                                                             \
	ROW_FIELD(struct catalog_job, member, column, kind, ROW_VALUE)

static const struct catalog_row_field job_fields[] = {
	FIELD(id, ROW_TEXT, ROW_KEY),
	FIELD(verb, ROW_ENUM, ROW_FIXED),
	FIELD(state, ROW_ENUM, ROW_VALUE),
	ROW_FIELD(struct catalog_job, agent_id, "agent", ROW_ID, ROW_FIXED),
	FIELD(source, ROW_TEXT, ROW_FIXED),
	FIELD(schedule, ROW_TEXT, ROW_FIXED),
	FIELD(person, ROW_TEXT, ROW_FIXED),
	FIELD(reason, ROW_TEXT, ROW_VALUE),
	FIELD(due_ms, ROW_INT, ROW_VALUE),
	FIELD(not_before_ms, ROW_INT, ROW_VALUE),
	FIELD(start_by_ms, ROW_INT, ROW_VALUE),
	FIELD(deadline_ms, ROW_INT, ROW_VALUE),
	FIELD(created_ms, ROW_INT, ROW_FIXED),
	FIELD(started_ms, ROW_INT, ROW_VALUE),
	FIELD(ended_ms, ROW_INT, ROW_VALUE),
	FIELD(retries, ROW_INT, ROW_VALUE),
	FIELD(retry_after_ms, ROW_INT, ROW_VALUE),
	FIELD(attempt, ROW_INT, ROW_VALUE),
	FIELD(lease_until_ms, ROW_INT, ROW_VALUE),
	FIELD(drill, ROW_TEXT, ROW_VALUE),
	FIELD_AS(progress.attempt, "at_attempt", ROW_INT),
	FIELD_AS(progress.phase, "at_phase", ROW_TEXT),
	FIELD_AS(progress.files, "at_files", ROW_INT),
	FIELD_AS(progress.bytes, "at_bytes", ROW_INT),
	FIELD_AS(progress.read_bytes, "at_read", ROW_INT),
	FIELD_AS(progress.sent_bytes, "at_sent", ROW_INT),
	FIELD_AS(progress.text, "at_text", ROW_TEXT),
	FIELD_AS(result.attempt, "end_attempt", ROW_INT),
	FIELD_AS(result.error.code, "end_code", ROW_ENUM),
	FIELD_AS(result.error.msg, "end_message", ROW_TEXT),
	FIELD_AS(result.error.hint, "end_hint", ROW_TEXT),
	FIELD_AS(result.warnings, "end_warnings", ROW_INT),
	FIELD_AS(result.first_warning, "end_first_warning", ROW_TEXT),
	FIELD_AS(result.snapshot, "end_snapshot", ROW_TEXT),
	FIELD_AS(result.files, "end_files", ROW_INT),
	FIELD_AS(result.dirs, "end_dirs", ROW_INT),
	FIELD_AS(result.others, "end_others", ROW_INT),
	FIELD_AS(result.bytes, "end_bytes", ROW_INT),
	FIELD_AS(result.read_bytes, "end_read", ROW_INT),
	FIELD_AS(result.sent_bytes, "end_sent", ROW_INT),
	FIELD_AS(result.records, "end_records", ROW_INT),
	FIELD_AS(result.verdict, "end_verdict", ROW_TEXT),
};

static const struct catalog_row job_row = { "job", job_fields,
	sizeof(job_fields) / sizeof(job_fields[0]) };

static const uint8_t task_id[16] = { 0 };
static const uint8_t copy_id[16] = { [15] = 1 };

const uint8_t *catalog_job_own_id(enum msg_verb verb)
{
	if (verb == MSG_VERB_BACKUP || verb == MSG_VERB_DRILL)
		return NULL;
	return verb == MSG_VERB_COPY ? copy_id : task_id;
}

bool catalog_job_is_own_id(const uint8_t agent_id[16])
{
	return memcmp(agent_id, task_id, sizeof(task_id)) == 0 ||
	       memcmp(agent_id, copy_id, sizeof(copy_id)) == 0;
}

const char *catalog_job_state_name(enum catalog_job_state s)
{
	switch (s) {
	case JOB_WAITING:
		return "waiting";
	case JOB_RUNNING:
		return "running";
	case JOB_DONE:
		return "done";
	case JOB_WARNINGS:
		return "warnings";
	case JOB_OBJECTIVE:
		return "objective-not-met";
	case JOB_FAILED:
		return "failed";
	case JOB_MISSED:
		return "missed";
	case JOB_CANCELED:
		return "canceled";
	}
	return "?";
}

bool catalog_job_is_over(enum catalog_job_state s)
{
	return s != JOB_WAITING && s != JOB_RUNNING;
}

int catalog_job_add(struct db *db, const struct catalog_job *j, struct err *err)
{
	int rc = catalog_row_insert(db, &job_row, j, err);
	if (rc == -ERR_EXISTS)
		rc = err_set(err, ERR_EXISTS, "there is a job %s already", j->id);
	return rc;
}

int catalog_job_get(struct db *db, const char *id, struct catalog_job *out, struct err *err)
{
	struct catalog_job j = { .verb = 0 };
	struct err why = ERR_INIT;
	int rc = 0;
	if (strlen(id) == sizeof(j.id) - 1)
		(void)snprintf(j.id, sizeof(j.id), "%s", id);
	else
		rc = catalog_row_find(db, "job", "id", id, j.id, sizeof(j.id), &why);
	if (rc == 0)
		rc = catalog_row_get(db, &job_row, &j, &why);
	if (rc == -ERR_NOT_FOUND) {
		(void)err_set(err, ERR_NOT_FOUND, "no job '%s'", id);
		return err_hint(err, "see 'holdfast job list'");
	}
	if (rc == 0)
		*out = j;
	else if (err != NULL)
		*err = why;
	return rc;
}

int catalog_job_set(struct db *db, const struct catalog_job *j, struct err *err)
{
	int rc = catalog_row_update(db, &job_row, j, err);
	if (rc == -ERR_NOT_FOUND)
		rc = err_set(err, ERR_NOT_FOUND, "no job '%s'", j->id);
	return rc;
}

/* ---- asking -----------------------------------------------------------------------------------
 */

struct question {
	char tail[512];
	size_t len;
	struct db_value args[8];
	size_t count;
	char agent[33];
};

static void add(struct question *q, const char *text)
{
	int more = snprintf(q->tail + q->len, sizeof(q->tail) - q->len, "%s", text);
	q->len += (size_t)more; /* all texts together are shorter than the room */
}

/* " AND column = $n" */
static void add_equal(struct question *q, const char *column, struct db_value v)
{
	char text[64];
	q->args[q->count++] = v;
	(void)snprintf(text, sizeof(text), " AND %s = $%zu", column, q->count);
	add(q, text);
}

static void add_states(struct question *q, uint32_t states)
{
	const char *before = " AND state IN (";
	char text[32];
	for (int s = JOB_WAITING; s <= JOB_CANCELED; s++) {
		if ((states & (1u << s)) == 0)
			continue;
		(void)snprintf(text, sizeof(text), "%s%d", before, s);
		add(q, text);
		before = ", ";
	}
	/* bits that are no state alone: none fits */
	add(q, before[1] == 'A' ? " AND state IN (0)" : ")");
}

static void put_question(struct question *q, const struct catalog_job_query *in)
{
	char text[32];
	add(q, "WHERE 1 = 1");
	if (in->states != 0)
		add_states(q, in->states);
	if (in->agent_id != NULL) {
		text_hex(in->agent_id, 16, q->agent);
		add_equal(q, "agent", db_text(q->agent));
	}
	if (in->source != NULL)
		add_equal(q, "source", db_text(in->source));
	if (in->schedule != NULL)
		add_equal(q, "schedule", db_text(in->schedule));
	if (in->verb != 0)
		add_equal(q, "verb", db_int(in->verb));
	add(q, in->is_oldest_first ? " ORDER BY due_ms, created_ms, id"
				   : " ORDER BY due_ms DESC, created_ms DESC, id DESC");
	if (in->limit > 0) {
		q->args[q->count++] = db_int(in->limit);
		(void)snprintf(text, sizeof(text), " LIMIT $%zu", q->count);
		add(q, text);
	}
}

int catalog_job_each(struct db *db, const struct catalog_job_query *q,
	int (*fn)(void *arg, const struct catalog_job *j), void *arg, struct err *err)
{
	CLEANUP(buf_done) struct buf keys = BUF_INIT(CATALOG_ROW_MAX_KEYS);
	struct question question = { .len = 0 };
	struct catalog_job j = { .verb = 0 };
	size_t at = 0;
	put_question(&question, q);
	int rc = catalog_row_keys(
		db, &job_row, question.tail, question.args, question.count, &keys, err);
	while (rc == 0 && (rc = catalog_row_next(db, &job_row, &keys, &at, &j, err)) == 1)
		rc = fn(arg, &j);
	return rc;
}

/* ---- attempts ---------------------------------------------------------------------------------
 */

int catalog_job_add_attempt(
	struct db *db, const char *job, const struct catalog_attempt *a, struct err *err)
{
	int rc = db_run(db,
		"INSERT INTO attempt (job, number, started_ms, ended_ms, outcome, reason)"
		" VALUES ($1, $2, $3, $4, $5, $6)",
		DB_ARGS(db_text(job), db_int(a->number), db_int(a->started_ms), db_int(a->ended_ms),
			db_text(a->outcome), db_text(a->reason)),
		NULL, err);
	if (rc == -ERR_EXISTS)
		rc = err_set(err, ERR_EXISTS, "job %s has an attempt %lld already", job,
			(long long)a->number);
	return rc;
}

int catalog_job_set_attempt(
	struct db *db, const char *job, const struct catalog_attempt *a, struct err *err)
{
	int64_t changed = 0;
	int rc = db_run(db,
		"UPDATE attempt SET started_ms = $1, ended_ms = $2, outcome = $3, reason = $4"
		" WHERE job = $5 AND number = $6",
		DB_ARGS(db_int(a->started_ms), db_int(a->ended_ms), db_text(a->outcome),
			db_text(a->reason), db_text(job), db_int(a->number)),
		&changed, err);
	if (rc == 0 && changed == 0)
		rc = err_set(err, ERR_NOT_FOUND, "job %s has no attempt %lld", job,
			(long long)a->number);
	return rc;
}

int catalog_job_each_attempt(struct db *db, const char *job,
	int (*fn)(void *arg, const struct catalog_attempt *a), void *arg, struct err *err)
{
	static const struct catalog_row_field fields[] = {
		ROW_FIELD(struct catalog_attempt, number, "number", ROW_INT, ROW_KEY),
		ROW_FIELD(struct catalog_attempt, started_ms, "started_ms", ROW_INT, ROW_VALUE),
		ROW_FIELD(struct catalog_attempt, ended_ms, "ended_ms", ROW_INT, ROW_VALUE),
		ROW_FIELD(struct catalog_attempt, outcome, "outcome", ROW_TEXT, ROW_VALUE),
		ROW_FIELD(struct catalog_attempt, reason, "reason", ROW_TEXT, ROW_VALUE),
	};
	static const struct catalog_row row = { "attempt", fields, 5 };
	char sql[CATALOG_ROW_SQL_BYTES];
	struct db_rows *r = NULL;
	catalog_row_select(&row, "WHERE job = $1 ORDER BY number", sql);
	int rc = db_query(db, sql, DB_ARGS(db_text(job)), &r, err);
	if (rc != 0)
		return rc;
	while ((rc = db_rows_next(r, err)) == 1) {
		struct catalog_attempt a;
		rc = catalog_row_read(r, &row, &a, err);
		if (rc == 0)
			rc = fn(arg, &a);
		if (rc != 0)
			break;
	}
	db_rows_done(r);
	return rc;
}

/* ---- marks of schedules -------------------------------------------------------------------------
 */

int catalog_job_mark(struct db *db, const char *schedule, int64_t due_ms, struct err *err)
{
	return db_run(db,
		"INSERT INTO mark (schedule, due_ms) VALUES ($1, $2)"
		" ON CONFLICT (schedule) DO UPDATE SET due_ms = excluded.due_ms",
		DB_ARGS(db_text(schedule), db_int(due_ms)), NULL, err);
}

int catalog_job_get_mark(struct db *db, const char *schedule, int64_t *due_ms, struct err *err)
{
	struct db_rows *r = NULL;
	int rc = db_query(db, "SELECT due_ms FROM mark WHERE schedule = $1",
		DB_ARGS(db_text(schedule)), &r, err);
	if (rc != 0)
		return rc;
	rc = db_rows_next(r, err);
	if (rc >= 0)
		*due_ms = rc == 1 ? db_rows_int(r, 0) : 0;
	db_rows_done(r);
	return rc < 0 ? rc : 0;
}

int catalog_job_parse_states(const char *word, uint32_t *out, struct err *err)
{
	*out = 0;
	if (word == NULL)
		return 0;
	for (int s = JOB_WAITING; s <= JOB_CANCELED; s++) {
		if (strcmp(word, catalog_job_state_name((enum catalog_job_state)s)) == 0)
			*out = 1u << s;
	}
	if (*out != 0)
		return 0;
	char all[160] = "";
	for (int s = JOB_WAITING; s <= JOB_CANCELED; s++) {
		size_t len = strlen(all);
		(void)snprintf(all + len, sizeof(all) - len, "%s%s", len > 0 ? ", " : "",
			catalog_job_state_name((enum catalog_job_state)s)); /* fits */
	}
	(void)err_set(err, ERR_USAGE, "'%s' is no state of a job", word);
	return err_hint(err, "the states are %s", all);
}
