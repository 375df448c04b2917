#include "agents/sources/pg_conn.h"

#include <stdio.h>
#include <string.h>

#include "base/err.h"

/*
 * INVARIANTS
 * (1) What this program needs overrides the user's connection string, never the other way round,
 *     but for connect_timeout, which stands in front of it.
 */

#define PG_CONN_TEXT_BYTES 512
#define PG_CONN_STATE_DAMAGED "XX001" /* data_corrupted */
#define PG_CONN_STATE_RIGHTS "42501"  /* insufficient_privilege */

/* libpq's messages end in a newline and may hold several lines. */
static void one_line(char *text)
{
	size_t len = strlen(text);
	while (len > 0 && (text[len - 1] == '\n' || text[len - 1] == ' '))
		text[--len] = '\0';
	for (char *p = text; *p != '\0'; p++) {
		if (*p == '\n' || *p == '\t')
			*p = ' ';
	}
}

int pg_conn_error(const PGconn *c, const PGresult *res, const char *what, struct err *err)
{
	char text[PG_CONN_TEXT_BYTES];
	const char *state = res == NULL ? NULL : libpq.PQresultErrorField(res, PG_DIAG_SQLSTATE);
	const char *from = res == NULL ? libpq.PQerrorMessage(c) : libpq.PQresultErrorMessage(res);
	(void)snprintf(text, sizeof(text), "%s", from); /* cut is fine */
	one_line(text);
	enum err_code code = ERR_FAILED;
	if (state != NULL && strcmp(state, PG_CONN_STATE_DAMAGED) == 0)
		code = ERR_CORRUPT;
	else if (state != NULL && strcmp(state, PG_CONN_STATE_RIGHTS) == 0)
		code = ERR_AUTH;
	else if (libpq.PQstatus(c) == CONNECTION_BAD)
		code = ERR_UNREACHABLE;
	return err_set(err, code, "unable to %s: %s", what, text[0] == '\0' ? "no answer" : text);
}

int pg_conn_open(
	const struct pg_conn_opts *opts, enum pg_conn_kind kind, PGconn **out, struct err *err)
{
	char timeout[16];
	(void)snprintf(timeout, sizeof(timeout), "%d", PG_CONN_CONNECT_S); /* fits */
	/* an empty value counts as not given */
	const char *const keys[] = { "connect_timeout", "dbname", "application_name",
		"client_encoding", "passfile", "replication", NULL };
	const char *const values[] = { timeout, opts->conninfo, "holdfast", "UTF8",
		opts->passfile != NULL ? opts->passfile : "",
		kind == PG_CONN_REPLICATION ? "true" : "", NULL };
	int rc = libpq_load(err);
	if (rc != 0)
		return rc;
	PGconn *c = libpq.PQconnectdbParams(keys, values, 1);
	if (c == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	if (libpq.PQstatus(c) == CONNECTION_OK) {
		*out = c;
		return 0;
	}
	rc = pg_conn_error(c, NULL, "connect to the database", err);
	if (libpq.PQconnectionNeedsPassword(c) || libpq.PQconnectionUsedPassword(c)) {
		/* it was reached: waiting will not help */
		rc = -ERR_AUTH;
		if (err != NULL)
			err->code = ERR_AUTH;
	}
	libpq_finish(c);
	return rc;
}

int pg_conn_rows(PGconn *c, const char *sql, const char *what, PGresult **out, struct err *err)
{
	PGresult *res = libpq.PQexec(c, sql);
	if (libpq.PQresultStatus(res) != PGRES_TUPLES_OK) {
		int rc = pg_conn_error(c, res, what, err);
		libpq_clear(res);
		return rc;
	}
	*out = res;
	return 0;
}

int pg_conn_exec(PGconn *c, const char *sql, const char *what, struct err *err)
{
	PGresult *res = libpq.PQexec(c, sql);
	ExecStatusType status = libpq.PQresultStatus(res);
	int rc = 0;
	if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK)
		rc = pg_conn_error(c, res, what, err);
	libpq_clear(res);
	return rc;
}
