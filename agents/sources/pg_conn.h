/*
 * pg_conn: connections to a PostgreSQL server, and its errors as ours.
 * Hides: libpq's parameters.  The password comes from a file, never from an argument.
 */
#ifndef AGENTS_SOURCES_PG_CONN_H
#define AGENTS_SOURCES_PG_CONN_H

#include <stdbool.h>

#include "db/libpq.h"

struct err;

#define PG_CONN_CONNECT_S 10 /* to reach a server, unless the connection string says otherwise */

enum pg_conn_kind { PG_CONN_SQL, PG_CONN_REPLICATION };

struct pg_conn_opts {
	const char *conninfo; /* "host=127.0.0.1 port=5432 user=.. dbname=.." or a URI */
	const char *passfile; /* libpq password file (0600), or NULL */
	void *arg;
	bool (*is_stopped)(void *arg); /* may be NULL; true ends a capture early */
};

/**
 * pg_conn_open(opts, kind, out, err):
 * Connect; *${out} is ended by libpq_finish().  Return 0, -ERR_AUTH (the server refuses the
 * password), -ERR_UNREACHABLE or -ERR_NOT_FOUND (libpq is not installed).
 */
int pg_conn_open(
	const struct pg_conn_opts *opts, enum pg_conn_kind kind, PGconn **out, struct err *err);

/**
 * pg_conn_error(c, res, what, err):
 * Turn the error in ${res} (or, when NULL, of ${c}) into "unable to ${what}: ..." on one line.
 * Return -ERR_CORRUPT for damaged data at the server, -ERR_AUTH for missing rights,
 * -ERR_UNREACHABLE when the connection is gone, else -ERR_FAILED.
 */
int pg_conn_error(const PGconn *c, const PGresult *res, const char *what, struct err *err);

/* Run ${sql}, which returns rows; *${out} is ended by libpq_clear(). Return as pg_conn_error(). */
int pg_conn_rows(PGconn *c, const char *sql, const char *what, PGresult **out, struct err *err);

/* Run ${sql}, whose result does not matter.  Return as pg_conn_error(). */
int pg_conn_exec(PGconn *c, const char *sql, const char *what, struct err *err);

#endif
