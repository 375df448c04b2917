/*
 * demo_postgres: a PostgreSQL cluster of our own, as a child in the foreground.
 * Knows: initdb, postgres, a free port, readiness.  As uid 0 it runs in a user namespace that shows
 * another id, since PostgreSQL refuses uid 0; the files stay ours.  It listens on 127.0.0.1 only,
 * with SCRAM passwords from a 0600 file, without a Unix socket.
 * Ends with us: the kernel sends it SIGQUIT (immediate shutdown) when the thread that started it
 * dies; that thread must live as long as the server.
 */
#ifndef AGENTS_DEMO_POSTGRES_H
#define AGENTS_DEMO_POSTGRES_H

struct demo_postgres;
struct err;

#define DEMO_POSTGRES_BIN "/usr/lib/postgresql/15/bin"
#define DEMO_POSTGRES_ADMIN "plant"     /* superuser */
#define DEMO_POSTGRES_BACKUP "holdfast" /* the backup's role */
#define DEMO_POSTGRES_DATABASE "historian"
#define DEMO_POSTGRES_DATA "data" /* names inside the cluster's directory */
#define DEMO_POSTGRES_PASSFILE "pgpass"
#define DEMO_POSTGRES_LOG "postgres.log"

/**
 * demo_postgres_init(dir, err):
 * Make the directory ${dir} (must not exist) with an empty cluster in data/, checksums on, and a
 * password file for both roles.  Return 0, -ERR_EXISTS, -ERR_NOT_FOUND (no PostgreSQL here) or
 * -ERR_FAILED (initdb's last line is quoted).
 */
int demo_postgres_init(const char *dir, struct err *err);

/**
 * demo_postgres_start(data, passfile, log, out, err):
 * Start a server on the data directory ${data} on a free port and wait until it answers.  What it
 * says is appended to the file ${log}.  ${passfile} is only remembered.  *${out} is owned.
 * Return 0, -ERR_NOT_FOUND, -ERR_FAILED (it ended; its last line is quoted) or -ERR_BUSY (not
 * ready in time).
 */
int demo_postgres_start(const char *data, const char *passfile, const char *log,
	struct demo_postgres **out, struct err *err);

/* Connection strings of the administrator and of the backup's role; borrowed. */
const char *demo_postgres_admin(const struct demo_postgres *p);
const char *demo_postgres_backup(const struct demo_postgres *p);
const char *demo_postgres_passfile(const struct demo_postgres *p);
int demo_postgres_port(const struct demo_postgres *p);

/**
 * demo_postgres_password(passfile, user, out, size, err):
 * Read ${user}'s password from a file made by demo_postgres_init().  Return 0 or -ERR_NOT_FOUND.
 */
int demo_postgres_password(
	const char *passfile, const char *user, char *out, unsigned size, struct err *err);

/* Shut down (fast), reap.  Return 0 after a clean shutdown, else -ERR_FAILED.  Then free it. */
int demo_postgres_stop(struct demo_postgres *p, struct err *err);

/* Stop if it runs, forget.  NULL is fine. */
void demo_postgres_free(struct demo_postgres *p);

#endif
