#include "restore/service_postgres.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/env.h"
#include "base/err.h"
#include "base/fdio.h"
#include "restore/sandbox.h"

/*
 * INVARIANTS
 * (1) What is on the command line beats every configuration file of the copy, postgresql.auto.conf
 *     too, so that it can neither archive, nor follow, nor listen, nor serve another directory.
 *     Settings that the copy holds for a role or a database beat it in turn: those by which damage
 *     is passed over are asked for in a session, and a server that has them otherwise is refused.
 * (2) is_running is true until the service was stopped or seen to have ended.
 * (3) Every service has a socket of its own: no server is ever asked in the place of another.
 */

#define SERVICE_POSTGRES_STEP_MS 20
#define SERVICE_POSTGRES_STOP_MS 60000
#define SERVICE_POSTGRES_NAME_BYTES 128
#define SERVICE_POSTGRES_PATH_BYTES 4096
#define SERVICE_POSTGRES_SOCKET_BYTES (sizeof(SANDBOX_RUN) + SERVICE_POSTGRES_NAME_BYTES)

struct service_postgres {
	struct sandbox *box; /* borrowed */
	char name[SERVICE_POSTGRES_NAME_BYTES];
	char socket_dir[SERVICE_POSTGRES_SOCKET_BYTES]; /* inside */
	char *role, *database;                          /* owned */
	bool is_running;
};

DEFINE_CLEANUP(struct service_postgres *, service_postgres_free)

/* "15" from the data directory. */
static int read_version(int dirfd, char out[16], struct err *err)
{
	CLEANUP(cleanup_close_p)
	int fd = openat(dirfd, "PG_VERSION", O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	ssize_t n = fd < 0 ? -1 : fdio_read_full(fd, out, 15);
	if (n < 0)
		return err_sys(err, ERR_FAILED, "the copy has no PG_VERSION");
	out[n] = '\0';
	out[strcspn(out, "\n")] = '\0';
	if (out[0] == '\0' || strspn(out, "0123456789.") != strlen(out))
		return err_set(err, ERR_FAILED, "the copy's PG_VERSION is damaged");
	return 0;
}

/* A copy of a standby must not wait for its primary; both files only ask for that. */
static int prepare(int dirfd, struct err *err)
{
	static const char *const signals[] = { "standby.signal", "recovery.signal" };
	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
		if (env_unlinkat(dirfd, signals[i], 0) != 0 && errno != ENOENT)
			return err_sys(err, ERR_IO, "unable to remove '%s'", signals[i]);
	}
	/* the server refuses a directory that others may enter */
	if (fchmod(dirfd, 0700) != 0)
		return err_sys(err, ERR_IO, "unable to close the data directory to others");
	return 0;
}

/* The directory of its socket, in the sandbox's memory. */
static int make_socket_dir(const struct service_postgres *p, struct err *err)
{
	const char *const argv[] = { "/usr/bin/mkdir", "-p", "--", p->socket_dir, NULL };
	CLEANUP(buf_done) struct buf said = BUF_INIT(SANDBOX_MAX_OUTPUT_BYTES);
	struct child_end end;
	int rc = sandbox_run(p->box, argv, 10000, &said, &end, err);
	return rc == 0 ? child_check(&end, "mkdir", &said, err) : rc;
}

static int spawn(const struct service_postgres_opts *o, const struct service_postgres *p,
	const char *version, struct err *err)
{
	char program[64], conf[SERVICE_POSTGRES_PATH_BYTES];
	char data[SERVICE_POSTGRES_PATH_BYTES + 32], sockets[sizeof(p->socket_dir) + 32];
	(void)snprintf(program, sizeof(program), "/usr/lib/postgresql/%s/bin/postgres", version);
	(void)snprintf(conf, sizeof(conf), "%s", o->data); /* the server tells a wrong one */
	(void)snprintf(data, sizeof(data), "data_directory=%s", conf); /* fits */
	(void)snprintf(
		sockets, sizeof(sockets), "unix_socket_directories=%s", p->socket_dir); /* fits */
	const char *const argv[] = { program, "-D", conf, "-c", data, "-c",
		"listen_addresses=", "-c", "port=5432", "-c", sockets, "-c",
		"zero_damaged_pages=off", "-c",
		o->ignore_checksums ? "ignore_checksum_failure=on" : "ignore_checksum_failure=off",
		"-c", "ignore_invalid_pages=off", "-c",
		"hba_file=" SANDBOX_ETC "/" SERVICE_POSTGRES_HBA_NAME, "-c", "archive_mode=off",
		"-c", "archive_command=", "-c", "archive_library=", "-c", "restore_command=", "-c",
		"primary_conninfo=", "-c", "primary_slot_name=", "-c", "recovery_target=", "-c",
		"ssl=off", "-c", "logging_collector=off", "-c", "log_destination=stderr", "-c",
		"external_pid_file=", "-c", "max_logical_replication_workers=0", "-c", "jit=off",
		"-c", "huge_pages=off", "-c", "shared_buffers=64MB", "-c", "log_timezone=UTC",
		NULL };
	if (access(program, X_OK) != 0) {
		(void)err_set(
			err, ERR_NOT_FOUND, "there is no PostgreSQL %s on this host", version);
		(void)err_hint(err, "install the package postgresql-%s", version);
		return -ERR_NOT_FOUND;
	}
	return sandbox_start(o->box, o->name, argv, err);
}

/* It ended by itself: say so in its own last words. */
static int explain_end(
	const struct service_postgres_opts *o, const struct child_end *end, struct err *err)
{
	static const char script[] = SANDBOX_LOG "/";
	char path[sizeof(script) + SERVICE_POSTGRES_NAME_BYTES + 8];
	CLEANUP(buf_done) struct buf said = BUF_INIT(SANDBOX_MAX_OUTPUT_BYTES);
	(void)snprintf(path, sizeof(path), "%s%s.log", script, o->name); /* fits */
	const char *const argv[] = { "/usr/bin/tail", "-n", "3", path, NULL };
	int rc = sandbox_run(o->box, argv, 10000, &said, NULL, err);
	if (rc == -ERR_INTERRUPTED || rc == -ERR_UNREACHABLE)
		return rc;
	while (said.len > 0 && said.data[said.len - 1] == '\n')
		said.len--;
	for (size_t i = 0; i < said.len; i++)
		said.data[i] = said.data[i] == '\n' ? '|' : said.data[i];
	return err_set(err, ERR_FAILED, "service did not start: it ended with %s %d: %.*s",
		end->is_signal ? "signal" : "status", end->status, (int)said.len,
		said.data == NULL ? "" : (const char *)said.data);
}

static int pause_step(const struct service_postgres_opts *o, struct err *err)
{
	if (o->is_stopped != NULL && o->is_stopped(o->arg))
		return err_set(err, ERR_INTERRUPTED, "interrupted");
	(void)poll(NULL, 0, SERVICE_POSTGRES_STEP_MS); /* a pause; shorter is fine */
	return 0;
}

/* In every session: settings of the role and the database hold in it (invariant 1). */
static const char *const settings_question[] = {
	"SELECT pg_catalog.current_setting('zero_damaged_pages'), "
	"pg_catalog.current_setting('ignore_checksum_failure')"
};

static int check_settings(
	const struct service_postgres_opts *o, const struct sandbox_rows *rows, struct err *err)
{
	const char *zero = sandbox_rows_at(rows, 0, 0), *ignore = sandbox_rows_at(rows, 0, 1);
	const char *wanted = o->ignore_checksums ? "on" : "off";
	const bool is_zero_off = zero != NULL && strcmp(zero, "off") == 0;
	if (is_zero_off && ignore != NULL && strcmp(ignore, wanted) == 0)
		return 0;
	(void)err_set(err, ERR_FAILED,
		"the copy sets %s for its role or database: damaged pages would go unseen",
		is_zero_off ? "ignore_checksum_failure" : "zero_damaged_pages");
	return err_hint(err, "reset it at the source (ALTER ROLE or ALTER DATABASE .. RESET)");
}

static int wait_ready(
	const struct service_postgres_opts *o, struct service_postgres *p, struct err *err)
{
	const int ms = o->ready_ms > 0 ? o->ready_ms : SERVICE_POSTGRES_READY_MS;
	const int64_t give_up = env_mono_ns() + ms * INT64_C(1000000);
	for (;;) {
		struct child_end end;
		struct sandbox_rows rows = { .cells = NULL };
		int rc = sandbox_look(o->box, o->name, &p->is_running, &end, err);
		if (rc != 0)
			return rc;
		if (!p->is_running)
			return explain_end(o, &end, err);
		rc = service_postgres_ask(p, settings_question, 1, &rows, err);
		if (rc == 0)
			rc = check_settings(o, &rows, err);
		sandbox_rows_done(&rows);
		if (rc != -ERR_BUSY)
			return rc == -ERR_FAILED ? err_wrap(err, "service did not start") : rc;
		if (env_mono_ns() > give_up)
			return err_set(err, ERR_FAILED,
				"service did not start: it took no connections for %d s",
				ms / 1000);
		rc = pause_step(o, err);
		if (rc != 0)
			return rc;
	}
}

int service_postgres_start(
	const struct service_postgres_opts *opts, struct service_postgres **out, struct err *err)
{
	char version[16];
	CLEANUP(service_postgres_free_p) struct service_postgres *p = calloc(1, sizeof(*p));
	if (p == NULL || (p->role = strdup(opts->role)) == NULL ||
		(p->database = strdup(opts->database)) == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	p->box = opts->box;
	int n = snprintf(p->name, sizeof(p->name), "%s", opts->name);
	if (n < 0 || (size_t)n >= sizeof(p->name))
		return err_set(err, ERR_LIMIT, "the name '%s' is too long", opts->name);
	(void)snprintf(p->socket_dir, sizeof(p->socket_dir), SANDBOX_RUN "/%s", p->name); /* fits */
	int rc = read_version(opts->dirfd, version, err);
	if (rc == 0)
		rc = prepare(opts->dirfd, err);
	if (rc == 0)
		rc = make_socket_dir(p, err);
	if (rc == 0)
		rc = spawn(opts, p, version, err);
	if (rc != 0)
		return rc;
	p->is_running = true;
	rc = wait_ready(opts, p, err);
	if (rc == 0)
		*out = TAKE(p);
	return rc;
}

int service_postgres_ask(struct service_postgres *p, const char *const *statements, size_t count,
	struct sandbox_rows *rows, struct err *err)
{
	const struct sandbox_sql q = { .socket_dir = p->socket_dir,
		.role = p->role,
		.database = p->database,
		.statements = statements,
		.statement_count = count,
		.timeout_ms = SERVICE_POSTGRES_QUERY_MS };
	return sandbox_sql(p->box, &q, rows, err);
}

int service_postgres_stop(struct service_postgres *p, struct err *err)
{
	struct child_end end;
	if (!p->is_running)
		return 0;
	p->is_running = false;
	int rc = sandbox_stop(p->box, p->name, SIGINT, SERVICE_POSTGRES_STOP_MS, &end, err);
	if (rc != 0)
		return rc;
	return child_check(&end, "postgres", NULL, err);
}

void service_postgres_free(struct service_postgres *p)
{
	if (p == NULL)
		return;
	if (p->is_running)
		(void)service_postgres_stop(p, NULL); /* the sandbox's end ends it too */
	free(p->role);
	free(p->database);
	free(p);
}
