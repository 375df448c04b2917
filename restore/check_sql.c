#include "restore/check_sql.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/human.h"
#include "codec/truth.h"
#include "restore/checks.h"
#include "restore/report_form.h"
#include "restore/report_shape.h"
#include "restore/sandbox.h"
#include "restore/service_postgres.h"

/*
 * INVARIANTS
 * (1) The question about a table is the text of truth_table_query(), the one the source asked.
 * (2) A server that answers with an error has failed the check; one that cannot be asked any more
 *     ends the drill.
 * (3) The server is as hostile as its copy: a value that is missing, no number or one that no
 *     report holds is a fault, never an end of this process.
 */

#define CHECK_SQL_TEXT_BYTES 16384

DEFINE_CLEANUP(struct truth *, truth_free)

/* Append ${text} as an SQL literal. */
static int add_literal(const char *text, struct buf *out, struct err *err)
{
	int rc = buf_add8(out, '\'', err);
	for (const char *p = text; *p != '\0' && rc == 0; p++) {
		if (*p == '\'' || *p == '\\')
			rc = buf_add8(out, (uint8_t)*p, err); /* both doubled in E'' */
		if (rc == 0)
			rc = buf_add8(out, (uint8_t)*p, err);
	}
	return rc == 0 ? buf_add8(out, '\'', err) : rc;
}

/* Append the condition that names the tables of ${object}: "schema.table", "table" or "prefix*". */
static int add_condition(const char *object, struct buf *out, struct err *err)
{
	CLEANUP(cleanup_free_p) char *name = strdup(object);
	if (name == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	char *dot = strchr(name, '.'), *table = dot == NULL ? name : dot + 1;
	size_t len = strlen(table);
	const bool is_prefix = len > 0 && table[len - 1] == '*';
	if (is_prefix)
		table[len - 1] = '\0';
	int rc = 0;
	if (dot != NULL) {
		*dot = '\0';
		rc = buf_addf(out, err, "n.nspname = E");
		if (rc == 0)
			rc = add_literal(name, out, err);
		if (rc == 0)
			rc = buf_addf(out, err, " AND ");
	}
	if (rc == 0)
		rc = buf_addf(out, err, is_prefix ? "starts_with(c.relname, E" : "c.relname = (E");
	if (rc == 0)
		rc = add_literal(table, out, err);
	return rc == 0 ? buf_addf(out, err, ")") : rc;
}

/* One statement in a session set up for the source's question. */
static int ask(
	struct service_postgres *p, const char *sql, struct sandbox_rows *rows, struct err *err)
{
	const char *const statements[] = { truth_session_query(), sql };
	if (p == NULL)
		return err_set(err, ERR_FAILED, "no database runs to be asked");
	return service_postgres_ask(p, statements, 2, rows, err);
}

static const char *tables_sql(const char *object, struct buf *sql, struct err *err)
{
	int rc = buf_addf(sql, err,
		"SELECT n.nspname, c.relname FROM pg_class c "
		"JOIN pg_namespace n ON n.oid = c.relnamespace "
		"JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 't_stamp' "
		"AND a.atttypid = 'int8'::regtype AND NOT a.attisdropped "
		"WHERE c.relkind = 'r' AND n.nspname <> 'information_schema' "
		"AND NOT starts_with(n.nspname, 'pg_') AND ");
	if (rc == 0)
		rc = add_condition(object, sql, err);
	if (rc == 0)
		rc = buf_addf(sql, err, " ORDER BY 1, 2 LIMIT %d", CHECK_SQL_MAX_TABLES + 1);
	const char *text = rc == 0 ? buf_cstr(sql) : NULL;
	if (rc == 0 && text == NULL)
		(void)err_set(err, ERR_NOMEM, "out of memory");
	return text;
}

static bool is_time(int64_t ms)
{
	return report_form_is_number(REPORT_SHAPE_TIME, ms);
}

/* The whole number in a cell of the only row. */
static bool take_number(const struct sandbox_rows *rows, size_t column, int64_t *out)
{
	const char *text = sandbox_rows_at(rows, 0, column);
	char *end = NULL;
	errno = 0;
	const int64_t v = text == NULL ? 0 : strtoll(text, &end, 10);
	if (text == NULL || end == text || *end != '\0' || errno != 0)
		return false;
	*out = v;
	return true;
}

/* The answer about one table: rows, oldest, newest, fingerprint, and the newest of all or NULL. */
static int read_sum(const struct sandbox_rows *rows, struct truth_table *table, int64_t *newest_ms,
	struct err *err)
{
	const char *print = sandbox_rows_at(rows, 0, 3);
	int64_t count;
	*newest_ms = TRUTH_NO_TIME;
	const bool has_newest = sandbox_rows_at(rows, 0, 4) != NULL;
	if (rows->rows != 1 || !take_number(rows, 0, &count) ||
		!report_form_is_number(REPORT_SHAPE_INT, count) ||
		!take_number(rows, 1, &table->min_ms) || !take_number(rows, 2, &table->max_ms) ||
		(has_newest && !take_number(rows, 4, newest_ms)) || print == NULL ||
		strlen(print) >= sizeof(table->fingerprint))
		return err_set(err, ERR_FAILED, "table '%s': a strange answer", table->name);
	table->rows = (uint64_t)count;
	memcpy(table->fingerprint, print, strlen(print) + 1);
	return 0;
}

/* Sum up one table up to ${cutoff_ms} and add it to ${t}. */
static int sum_up(struct service_postgres *p, const char *schema, const char *name,
	int64_t cutoff_ms, struct truth *t, struct err *err)
{
	CLEANUP(buf_done) struct buf sql = BUF_INIT(CHECK_SQL_TEXT_BYTES);
	CLEANUP(sandbox_rows_done) struct sandbox_rows rows = { .cells = NULL };
	CLEANUP(cleanup_free_p) char *own_schema = strdup(schema);
	CLEANUP(cleanup_free_p) char *own_name = strdup(name);
	if (own_schema == NULL || own_name == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	struct truth_table table = { .schema = own_schema, .name = own_name };
	int rc = truth_table_query(&table, cutoff_ms, &sql, err);
	const char *text = rc == 0 ? buf_cstr(&sql) : NULL;
	if (rc == 0 && text == NULL)
		rc = err_set(err, ERR_NOMEM, "out of memory");
	if (rc == 0)
		rc = ask(p, text, &rows, err);
	if (rc != 0)
		return err == NULL ? rc : err_wrap(err, "table '%s'", name);
	int64_t newest_ms;
	rc = read_sum(&rows, &table, &newest_ms, err);
	if (rc != 0)
		return rc;
	if (t->database.newest_ms == TRUTH_NO_TIME || newest_ms > t->database.newest_ms)
		t->database.newest_ms = newest_ms;
	return truth_add_table(t, &table, err);
}

/* Sum up every table of ${object} up to ${cutoff_ms}. */
static int look(struct checks_case *c, const char *object, int64_t cutoff_ms, struct truth *t,
	struct err *err)
{
	CLEANUP(buf_done) struct buf sql = BUF_INIT(CHECK_SQL_TEXT_BYTES);
	CLEANUP(sandbox_rows_done) struct sandbox_rows rows = { .cells = NULL };
	const char *text = tables_sql(object, &sql, err);
	if (text == NULL)
		return err == NULL ? -ERR_NOMEM : -err->code;
	int rc = ask(c->place->database, text, &rows, err);
	if (rc == 0 && rows.rows > CHECK_SQL_MAX_TABLES)
		rc = err_set(err, ERR_LIMIT, "'%s' means more than %d tables", object,
			CHECK_SQL_MAX_TABLES);
	for (size_t i = 0; i < rows.rows && rc == 0; i++) {
		const char *schema = sandbox_rows_at(&rows, i, 0),
			   *name = sandbox_rows_at(&rows, i, 1);
		rc = checks_stop(c, err);
		if (rc == 0 && (schema == NULL || name == NULL))
			rc = err_set(err, ERR_FAILED, "a table without a name");
		if (rc == 0)
			rc = sum_up(c->place->database, schema, name, cutoff_ms, t, err);
	}
	if (rc != 0)
		return rc;
	t->has_database = true;
	t->database.cutoff_ms = cutoff_ms;
	return truth_seal(t, err);
}

/* True if ${object} means the table. */
static bool is_meant(const char *object, const char *schema, const char *table)
{
	const char *dot = strchr(object, '.'), *name = dot == NULL ? object : dot + 1;
	size_t len = strlen(name);
	if (dot != NULL && (strlen(schema) != (size_t)(dot - object) ||
				   strncmp(schema, object, (size_t)(dot - object)) != 0))
		return false;
	if (len > 0 && name[len - 1] == '*')
		return strncmp(table, name, len - 1) == 0;
	return strcmp(table, name) == 0;
}

static bool is_table_meant(const char *object, const struct truth_table *t)
{
	return is_meant(object, t->schema, t->name);
}

static void tell_difference(void *ctx, const char *text)
{
	checks_fault(ctx, "%s", text);
}

/* Add the tables of ${from} that ${object} means; without those that hold nothing unless ${facts},
 * if given, has them: a new month's table may appear behind the cutoff. */
static int add_tables(const struct truth *from, const char *object, const struct truth *facts,
	struct truth *to, struct err *err)
{
	int rc = 0;
	for (size_t i = 0; i < from->database.table_count && rc == 0; i++) {
		const struct truth_table *t = &from->database.tables[i];
		bool is_known = t->rows > 0 || facts == NULL;
		for (size_t k = 0; facts != NULL && k < facts->database.table_count; k++)
			is_known |= strcmp(facts->database.tables[k].name, t->name) == 0 &&
				    strcmp(facts->database.tables[k].schema, t->schema) == 0;
		if (is_known && is_table_meant(object, t))
			rc = truth_add_table(to, t, err);
	}
	to->has_database = true;
	to->database.cutoff_ms = from->database.cutoff_ms;
	return rc == 0 ? truth_seal(to, err) : rc;
}

/* The newest sample the source had among the tables of ${object}, if it can be told. */
static int64_t newest_fact(const struct truth *facts, const char *object)
{
	for (size_t i = 0; i < facts->database.table_count; i++) {
		if (!is_table_meant(object, &facts->database.tables[i]))
			return TRUTH_NO_TIME; /* it may have been in another table */
	}
	return facts->database.newest_ms;
}

/* The facts about the tables of ${object} alone, against what was found. */
static int compare(struct checks_case *c, const struct truth *facts, const struct truth *found,
	const char *object, struct err *err)
{
	CLEANUP(truth_free_p) struct truth *want = truth_new();
	CLEANUP(truth_free_p) struct truth *got = truth_new();
	if (want == NULL || got == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	int rc = add_tables(facts, object, NULL, want, err);
	if (rc == 0)
		rc = add_tables(found, object, facts, got, err);
	if (rc != 0)
		return rc;
	want->database.newest_ms = newest_fact(facts, object);
	got->database.newest_ms = found->database.newest_ms;
	(void)truth_compare(want, got, tell_difference, c); /* counted by the teller */
	return 0;
}

static uint64_t count_rows(const struct truth *t)
{
	uint64_t rows = 0;
	for (size_t i = 0; i < t->database.table_count; i++)
		rows += t->database.tables[i].rows;
	return rows;
}

/* The facts the source wrote down about its database, or NULL. */
static const struct truth *facts_of(const struct checks_case *c)
{
	const struct truth *t = c->place->truth;
	return t != NULL && t->has_database ? t : NULL;
}

/* Up to when rows are counted: what the source wrote down, else the snapshot's end. */
static int find_cutoff(
	const struct checks_case *c, const struct truth *facts, int64_t *out, struct err *err)
{
	const int64_t ms =
		facts == NULL ? c->place->snapshot_ns / 1000000 : facts->database.cutoff_ms;
	if (!is_time(ms))
		return err_set(
			err, ERR_FAILED, "the source's cutoff is no time (%" PRId64 " ms)", ms);
	*out = ms;
	return 0;
}

int check_sql_row_count(struct checks_case *c, struct err *err)
{
	const struct plan_expect *e = &c->check->expect;
	const struct truth *facts = facts_of(c);
	CLEANUP(truth_free_p) struct truth *found = truth_new();
	if (found == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	if (e->is_manifest && facts == NULL) {
		checks_summarize(c, "the source wrote no manifest to compare with");
		return 0;
	}
	int64_t cutoff;
	int rc = find_cutoff(c, facts, &cutoff, err);
	if (rc == 0)
		rc = look(c, c->check->object, cutoff, found, err);
	if (rc != 0)
		return rc;
	const uint64_t rows = count_rows(found);
	c->items = (int64_t)rows;
	if (facts != NULL)
		rc = compare(c, facts, found, c->check->object, err);
	if (rc == 0 && !e->is_manifest && !plan_expect_holds(e, (double)rows, NAN))
		checks_fault(c, "%" PRIu64 " rows, expected %s", rows, c->check->expect_text);
	char time[HUMAN_BYTES];
	checks_summarize(c, "%" PRIu64 " rows in %zu tables up to %s%s", rows,
		found->database.table_count, human_time_utc(time, cutoff * 1000000),
		facts == NULL ? "" : ", counts and fingerprints as the source wrote down");
	return rc;
}

int check_sql_newest_record(struct checks_case *c, struct err *err)
{
	const struct truth *facts = facts_of(c);
	CLEANUP(truth_free_p) struct truth *found = truth_new();
	if (found == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	int64_t cutoff;
	int rc = find_cutoff(c, facts, &cutoff, err);
	if (rc == 0)
		rc = look(c, c->check->object, cutoff, found, err);
	if (rc != 0 || found->database.newest_ms == TRUTH_NO_TIME)
		return rc;
	char time[HUMAN_BYTES], lag_text[HUMAN_BYTES];
	const int64_t newest = found->database.newest_ms;
	if (!is_time(newest))
		return err_set(err, ERR_FAILED, "the newest record is of no time (%" PRId64 " ms)",
			newest);
	const int64_t lag_ns = c->place->snapshot_ns - newest * 1000000;
	c->items = (int64_t)found->database.table_count;
	c->newest_ms = newest;
	(void)human_time_utc(time, newest * 1000000);
	(void)human_duration(lag_text, llabs(lag_ns));
	if (!plan_expect_holds(&c->check->expect, (double)lag_ns, NAN))
		checks_fault(c, "the newest record is of %s, %s %s the snapshot, expected %s", time,
			lag_text, lag_ns < 0 ? "after" : "before", c->check->expect_text);
	if (facts != NULL && newest_fact(facts, c->check->object) != TRUTH_NO_TIME &&
		newest < facts->database.newest_ms)
		checks_fault(c, "the newest record is of %s, the source had a newer one", time);
	checks_summarize(c, "newest record of %s, %s %s the snapshot", time, lag_text,
		lag_ns < 0 ? "after" : "before");
	return 0;
}

int check_sql_query(struct checks_case *c, struct err *err)
{
	CLEANUP(sandbox_rows_done) struct sandbox_rows rows = { .cells = NULL };
	const char *const statements[] = { c->check->query };
	if (c->place->database == NULL)
		return err_set(err, ERR_FAILED, "no database runs to be asked");
	int rc = service_postgres_ask(c->place->database, statements, 1, &rows, err);
	if (rc != 0)
		return rc;
	const char *text = sandbox_rows_at(&rows, 0, 0);
	if (text == NULL) {
		checks_summarize(c, "the query gave no value");
		return 0;
	}
	char *end = NULL;
	double value = strtod(text, &end);
	if (rows.rows != 1 || rows.columns != 1 || end == text || *end != '\0')
		return err_set(err, ERR_FAILED, "the query gave no single number but '%s'", text);
	c->items = 1;
	if (!plan_expect_holds(&c->check->expect, value, NAN))
		checks_fault(c, "the query gave %s, expected %s", text, c->check->expect_text);
	checks_summarize(c, "the query gave %s", text);
	return 0;
}

/* ---- where rows lie ---- */

/* The tables of ${object}, NULL = every table of the database; the largest first. */
static const char *places_sql(const char *object, struct buf *sql, struct err *err)
{
	int rc = buf_addf(sql, err,
		"SELECT n.nspname, c.relname, pg_catalog.format('%%I.%%I', n.nspname, c.relname), "
		"pg_relation_filepath(c.oid), current_setting('block_size'), "
		"(SELECT setting FROM pg_settings WHERE name = 'segment_size') "
		"FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
		"WHERE c.relkind = 'r' AND n.nspname <> 'information_schema' "
		"AND NOT starts_with(n.nspname, 'pg_') AND pg_relation_size(c.oid) > 0 ");
	if (rc == 0 && object != NULL)
		rc = buf_addf(sql, err,
			"AND EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid "
			"AND a.attname = 't_stamp' AND a.atttypid = 'int8'::regtype "
			"AND NOT a.attisdropped) AND ");
	if (rc == 0 && object != NULL)
		rc = add_condition(object, sql, err);
	if (rc == 0)
		rc = buf_addf(sql, err, " ORDER BY pg_relation_size(c.oid) DESC, c.oid LIMIT %d",
			CHECK_SQL_MAX_TABLES);
	const char *text = rc == 0 ? buf_cstr(sql) : NULL;
	if (rc == 0 && text == NULL)
		(void)err_set(err, ERR_NOMEM, "out of memory");
	return text;
}

/* The place of one row of ${table}: the newest up to ${cutoff_ms} where rows have a time. */
static int ask_place(struct service_postgres *p, const char *table, bool has_time,
	int64_t cutoff_ms, struct sandbox_rows *rows, struct err *err)
{
	CLEANUP(buf_done) struct buf sql = BUF_INIT(CHECK_SQL_TEXT_BYTES);
	int rc = buf_addf(&sql, err, "SELECT ctid::text FROM %s", table);
	if (rc == 0 && has_time)
		rc = buf_addf(&sql, err, " WHERE t_stamp <= %" PRId64 " ORDER BY t_stamp DESC",
			cutoff_ms);
	if (rc == 0)
		rc = buf_addf(&sql, err, " LIMIT 1");
	const char *text = rc == 0 ? buf_cstr(&sql) : NULL;
	if (rc == 0 && text == NULL)
		rc = err_set(err, ERR_NOMEM, "out of memory");
	return rc == 0 ? ask(p, text, rows, err) : rc;
}

/* "(page,item)", the table's file and how it is cut into files. */
static int read_place(const struct sandbox_rows *tables, size_t i, const char *ctid,
	struct check_sql_row *out, struct err *err)
{
	const char *path = sandbox_rows_at(tables, i, 3), *schema = sandbox_rows_at(tables, i, 0),
		   *name = sandbox_rows_at(tables, i, 1);
	const char *page_bytes = sandbox_rows_at(tables, i, 4),
		   *segment = sandbox_rows_at(tables, i, 5);
	char *end = NULL;
	if (schema == NULL || name == NULL)
		return err_set(err, ERR_NOT_FOUND, "a table without a name");
	if (path == NULL || page_bytes == NULL || segment == NULL || ctid[0] != '(')
		return err_set(err, ERR_NOT_FOUND, "a table '%s' without a file", name);
	uint64_t page = strtoull(ctid + 1, &end, 10);
	const uint64_t item = *end == ',' ? strtoull(end + 1, NULL, 10) : 0;
	const uint64_t pages = strtoull(segment, NULL, 10); /* of one file */
	struct check_sql_row row = { .at = { .page = page,
					     .page_bytes = (uint32_t)strtoul(page_bytes, NULL, 10),
					     .item = (uint32_t)item } };
	int n;
	if (pages > 0 && page >= pages) {
		row.at.page = page % pages;
		n = snprintf(row.path, sizeof(row.path), "%s.%" PRIu64, path, page / pages);
	} else {
		n = snprintf(row.path, sizeof(row.path), "%s", path);
	}
	int m = snprintf(row.schema, sizeof(row.schema), "%s", schema);
	int k = snprintf(row.name, sizeof(row.name), "%s", name);
	if (n < 0 || (size_t)n >= sizeof(row.path) || m < 0 || (size_t)m >= sizeof(row.schema) ||
		k < 0 || (size_t)k >= sizeof(row.name))
		return err_set(err, ERR_LIMIT, "the names of table '%s' are too long", name);
	*out = row;
	return 0;
}

int check_sql_find_row(struct service_postgres *p, const char *object, int64_t cutoff_ms,
	struct check_sql_row *out, struct err *err)
{
	CLEANUP(buf_done) struct buf sql = BUF_INIT(CHECK_SQL_TEXT_BYTES);
	CLEANUP(sandbox_rows_done) struct sandbox_rows tables = { .cells = NULL };
	const char *text = places_sql(object, &sql, err);
	if (text == NULL)
		return err == NULL ? -ERR_NOMEM : -err->code;
	int rc = ask(p, text, &tables, err);
	if (rc != 0)
		return rc;
	for (size_t i = 0; i < tables.rows; i++) {
		CLEANUP(sandbox_rows_done) struct sandbox_rows rows = { .cells = NULL };
		const char *table = sandbox_rows_at(&tables, i, 2);
		rc = table == NULL ? err_set(err, ERR_FAILED, "a table without a name")
				   : ask_place(p, table, object != NULL, cutoff_ms, &rows, err);
		const char *ctid = rc == 0 ? sandbox_rows_at(&rows, 0, 0) : NULL;
		if (ctid != NULL)
			return read_place(&tables, i, ctid, out, err);
		/* of all tables, some may be closed to this role */
		if (rc != 0 && (object != NULL || rc != -ERR_FAILED))
			return rc;
	}
	return err_set(err, ERR_NOT_FOUND, "there is no table%s%s%s with a row to damage",
		object == NULL ? "" : " '", object == NULL ? "" : object,
		object == NULL ? "" : "'");
}

bool check_sql_is_meant(const char *object, const struct check_sql_row *row)
{
	return is_meant(object, row->schema, row->name);
}
