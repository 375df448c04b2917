#include "agents/sources/postgres_truth.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agents/sources/pg_conn.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "codec/truth.h"

/*
 * INVARIANTS
 * (1) The cutoff is fixed by the first statement of the transaction whose snapshot all counts use,
 *     so a row at or before it that is visible to none of them was committed later than the margin.
 * (2) The transaction is read only: a role with more rights than needed does no harm.
 */

#define POSTGRES_TRUTH_SQL_BYTES 8192
#define POSTGRES_TRUTH_DOING "take the database's truth manifest"

static int take_facts(
	PGconn *c, const struct postgres_truth_opts *what, struct truth *t, struct err *err)
{
	CLEANUP(libpq_clear_p) PGresult *res = NULL;
	int rc = pg_conn_rows(c,
		"SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint, "
		"current_setting('server_version'), current_setting('server_version_num'), "
		"system_identifier, current_setting('data_checksums') FROM pg_control_system()",
		POSTGRES_TRUTH_DOING, &res, err);
	if (rc != 0)
		return rc;
	struct truth_database *d = &t->database;
	const int64_t now_ms = strtoll(libpq.PQgetvalue(res, 0, 0), NULL, 10);
	d->server_version = strdup(libpq.PQgetvalue(res, 0, 1));
	d->name = strdup(libpq.PQdb(c));
	d->role = strdup(libpq.PQuser(c));
	if (d->server_version == NULL || d->name == NULL || d->role == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	d->server_version_num = (int)strtol(libpq.PQgetvalue(res, 0, 2), NULL, 10);
	d->system_id = strtoull(libpq.PQgetvalue(res, 0, 3), NULL, 10);
	d->has_data_checksums = strcmp(libpq.PQgetvalue(res, 0, 4), "on") == 0;
	d->cutoff_ms = what->cutoff_ms != 0 ? what->cutoff_ms : now_ms - what->margin_ms;
	t->taken_ms = now_ms;
	return 0;
}

static int take_table(PGconn *c, char *schema, char *name, struct truth *t, struct err *err)
{
	CLEANUP(buf_done) struct buf sql = BUF_INIT(POSTGRES_TRUTH_SQL_BYTES);
	CLEANUP(libpq_clear_p) PGresult *res = NULL;
	struct truth_table table = { .schema = schema, .name = name };
	int rc = truth_table_query(&table, t->database.cutoff_ms, &sql, err);
	if (rc != 0)
		return rc;
	const char *text = buf_cstr(&sql);
	if (text == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	char doing[160];
	(void)snprintf(doing, sizeof(doing), "sum up table '%s'", name); /* cut is fine */
	rc = pg_conn_rows(c, text, doing, &res, err);
	if (rc != 0)
		return rc;
	table.rows = strtoull(libpq.PQgetvalue(res, 0, 0), NULL, 10);
	table.min_ms = strtoll(libpq.PQgetvalue(res, 0, 1), NULL, 10);
	table.max_ms = strtoll(libpq.PQgetvalue(res, 0, 2), NULL, 10);
	int n = snprintf(
		table.fingerprint, sizeof(table.fingerprint), "%s", libpq.PQgetvalue(res, 0, 3));
	if (n < 0 || (size_t)n >= sizeof(table.fingerprint))
		return err_set(err, ERR_LIMIT, "the fingerprint of table '%s' is too long", name);
	if (!libpq.PQgetisnull(res, 0, 4)) {
		int64_t newest = strtoll(libpq.PQgetvalue(res, 0, 4), NULL, 10);
		if (t->database.newest_ms == TRUTH_NO_TIME || newest > t->database.newest_ms)
			t->database.newest_ms = newest;
	}
	return truth_add_table(t, &table, err);
}

static int take_tables(PGconn *c, const char *pattern, struct truth *t, struct err *err)
{
	CLEANUP(libpq_clear_p) PGresult *res = NULL;
	const char *const params[] = { pattern };
	res = libpq.PQexecParams(c,
		"SELECT n.nspname, c.relname FROM pg_class c "
		"JOIN pg_namespace n ON n.oid = c.relnamespace "
		"JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 't_stamp' "
		"AND a.atttypid = 'int8'::regtype AND NOT a.attisdropped "
		"WHERE c.relkind = 'r' AND c.relname LIKE $1 "
		"AND n.nspname <> 'information_schema' AND n.nspname NOT LIKE 'pg\\_%' "
		"ORDER BY 1, 2",
		1, NULL, params, NULL, NULL, 0);
	if (libpq.PQresultStatus(res) != PGRES_TUPLES_OK)
		return pg_conn_error(c, res, POSTGRES_TRUTH_DOING, err);
	if (libpq.PQntuples(res) == 0)
		return err_set(err, ERR_NOT_FOUND,
			"the database has no table like '%s' with a bigint t_stamp", pattern);
	int rc = 0;
	for (int i = 0; i < libpq.PQntuples(res) && rc == 0; i++)
		rc = take_table(
			c, libpq.PQgetvalue(res, i, 0), libpq.PQgetvalue(res, i, 1), t, err);
	return rc;
}

int postgres_truth_take(const struct pg_conn_opts *opts, const struct postgres_truth_opts *what,
	struct truth *t, struct err *err)
{
	struct postgres_truth_opts o = { .margin_ms = -1 };
	if (what != NULL)
		o = *what;
	if (o.tables == NULL)
		o.tables = POSTGRES_TRUTH_TABLES;
	if (o.margin_ms < 0)
		o.margin_ms = POSTGRES_TRUTH_MARGIN_MS;
	CLEANUP(libpq_finish_p) PGconn *c = NULL;
	int rc = pg_conn_open(opts, PG_CONN_SQL, &c, err);
	if (rc == 0)
		rc = pg_conn_exec(c, truth_session_query(), POSTGRES_TRUTH_DOING, err);
	if (rc == 0)
		rc = pg_conn_exec(c, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
			POSTGRES_TRUTH_DOING, err);
	if (rc == 0)
		rc = take_facts(c, &o, t, err);
	if (rc == 0)
		rc = take_tables(c, o.tables, t, err);
	if (rc == 0)
		rc = pg_conn_exec(c, "COMMIT", POSTGRES_TRUTH_DOING, err);
	if (rc != 0)
		return rc;
	t->has_database = true;
	return truth_seal(t, err);
}
