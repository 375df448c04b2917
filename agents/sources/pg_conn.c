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

/* libpq's messages end in a newline and may hold several lines, one for each address that was
 * tried; those that begin with a tab are its advice, and ours is a hint.  Joined by "; ". */
static void one_line(const char *from, char out[PG_CONN_TEXT_BYTES])
{
	size_t len = 0;
	out[0] = '\0';
	while (*from != '\0') {
		size_t n = strcspn(from, "\n");
		if (n > 0 && *from != '\t' && len + n + 3 < PG_CONN_TEXT_BYTES)
			len += (size_t)snprintf(out + len, PG_CONN_TEXT_BYTES - len, "%s%.*s",
				len == 0 ? "" : "; ", (int)n, from); /* fits */
		from += n + (from[n] == '\n');
	}
	for (char *p = out; *p != '\0'; p++)
		*p = *p == '\t' ? ' ' : *p;
}

/* Did the server answer, and say that whoever asks may not in?  It gives no code for that. */
static bool is_turned_away(const char *text)
{
	static const char *const words[] = { "no pg_hba.conf entry", "does not exist",
		"authentication failed", "not permitted to log in",
		"permission denied for database" };
	for (size_t i = 0; strstr(text, "FATAL:") != NULL && i < sizeof(words) / sizeof(words[0]);
		i++) {
		if (strstr(text, words[i]) != NULL)
			return true;
	}
	return false;
}

static int hint_connect(int rc, struct err *err)
{
	if (rc == -ERR_AUTH)
		(void)err_hint(err, "the server is there: check user and dbname in the source's "
				    "'conninfo', its 'passfile', and the server's pg_hba.conf");
	else if (rc == -ERR_UNREACHABLE)
		(void)err_hint(err, "check that the server runs, and host and port in the source's "
				    "'conninfo'");
	return rc;
}

int pg_conn_error(const PGconn *c, const PGresult *res, const char *what, struct err *err)
{
	char text[PG_CONN_TEXT_BYTES];
	const char *state = res == NULL ? NULL : libpq.PQresultErrorField(res, PG_DIAG_SQLSTATE);
	const char *from = res == NULL ? libpq.PQerrorMessage(c) : libpq.PQresultErrorMessage(res);
	one_line(from, text);
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
	if (libpq.PQconnectionNeedsPassword(c) || libpq.PQconnectionUsedPassword(c) ||
		is_turned_away(libpq.PQerrorMessage(c))) {
		/* it was reached: waiting will not help */
		rc = -ERR_AUTH;
		if (err != NULL)
			err->code = ERR_AUTH;
	}
	libpq_finish(c);
	return hint_connect(rc, err);
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
