/*
 * service_postgres: a restored PostgreSQL cluster, started and asked inside a sandbox.
 * Knows: which options keep a copy from acting as the original: nothing archived, nobody followed,
 * no port, a socket and access rules of its own.  Hides: start, readiness, sessions.
 * One thread at a time.
 */
#ifndef RESTORE_SERVICE_POSTGRES_H
#define RESTORE_SERVICE_POSTGRES_H

#include <stdbool.h>
#include <stddef.h>

struct buf;
struct err;
struct sandbox;
struct sandbox_rows;
struct service_postgres;

/* Give this file to the sandbox under this name: who may connect (SANDBOX_ETC). */
#define SERVICE_POSTGRES_HBA_NAME "pg_hba.conf"
#define SERVICE_POSTGRES_HBA_TEXT "local all all trust\n"

#define SERVICE_POSTGRES_READY_MS 120000
#define SERVICE_POSTGRES_QUERY_MS 120000

struct service_postgres_opts {
	struct sandbox *box; /* borrowed until free */
	const char *name;    /* of the service and its log, a file name */
	int dirfd;           /* the data directory on the host, to prepare it */
	const char *data;    /* the same inside the sandbox */
	const char *role;    /* that asks; must exist in the copy */
	const char *database;
	int ready_ms; /* 0 = SERVICE_POSTGRES_READY_MS */
	/* Read pages whose checksum is wrong as they are: what is to see a damage is not the
	 * server. */
	bool ignore_checksums;
	bool (*is_stopped)(void *arg);
	void *arg;
};

/**
 * service_postgres_start(opts, out, err):
 * Start the server of the version that the data directory names and wait until it takes
 * connections, so after its recovery.  *${out} is owned.  Return 0, -ERR_NOT_FOUND (no server of
 * that version here), -ERR_FAILED (it ended, was not ready in time, or passes over damaged pages by
 * settings that its copy holds for the role or the database), -ERR_INTERRUPTED or
 * -ERR_UNREACHABLE (the sandbox is gone).
 */
int service_postgres_start(
	const struct service_postgres_opts *opts, struct service_postgres **out, struct err *err);

/**
 * service_postgres_ask(p, statements, count, rows, err):
 * Run the statements in one session, read only; the rows of the last one go to ${rows}.
 * Return as sandbox_sql().
 */
int service_postgres_ask(struct service_postgres *p, const char *const *statements, size_t count,
	struct sandbox_rows *rows, struct err *err);

/* Shut it down.  Return 0, or -ERR_FAILED when it had ended before or had to be killed. */
int service_postgres_stop(struct service_postgres *p, struct err *err);

/* Stop if it runs (as far as the sandbox can still be asked), forget.  NULL is fine. */
void service_postgres_free(struct service_postgres *p);

#endif
