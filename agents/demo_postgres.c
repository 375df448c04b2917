#include "agents/demo_postgres.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/atomic_file.h"
#include "base/buf.h"
#include "base/child.h"
#include "base/cleanup.h"
#include "base/env.h"
#include "base/err.h"
#include "base/fdio.h"
#include "db/libpq.h"

/*
 * INVARIANTS
 * (1) server is not NULL exactly while the process is unreaped or was not asked for its end.
 * (2) The password file is 0600 before a byte of a password is in it.
 * (3) Options on the command line beat the data directory's configuration, so a restored copy
 *     cannot listen elsewhere, archive, or replicate.
 */

#define DEMO_POSTGRES_INIT_MS 120000
#define DEMO_POSTGRES_READY_MS 90000
#define DEMO_POSTGRES_STOP_MS 60000
#define DEMO_POSTGRES_STEP_MS 20
#define DEMO_POSTGRES_TRIES 4
#define DEMO_POSTGRES_OUTPUT_BYTES 65536
#define DEMO_POSTGRES_SECRET_BYTES 18
#define DEMO_POSTGRES_INSIDE_ID                                                                    \
	65534 /* nobody: PostgreSQL wants an id that has a name, and every Debian has this one */

struct demo_postgres {
	struct child *server; /* owned */
	int port;
	char *passfile; /* owned */
	char admin[160];
	char backup[160];
};

static const char *const server_env[] = { "PATH=/usr/bin:/bin", "LANG=C.UTF-8", "LC_ALL=C.UTF-8",
	"TZ=UTC", "HOME=/", NULL };

static int join(char out[PATH_MAX], const char *dir, const char *name, struct err *err)
{
	int n = snprintf(out, PATH_MAX, "%s/%s", dir, name);
	if (n < 0 || n >= PATH_MAX)
		return err_set(err, ERR_LIMIT, "path '%s/%s' is too long", dir, name);
	return 0;
}

static void hint_install(struct err *err)
{
	(void)err_hint(err, "install the package postgresql-15");
}

/* Append one random password in hex. */
static int add_secret(struct buf *out, struct err *err)
{
	uint8_t bytes[DEMO_POSTGRES_SECRET_BYTES];
	int rc = env_random(bytes, sizeof(bytes), err);
	for (size_t i = 0; i < sizeof(bytes) && rc == 0; i++)
		rc = buf_addf(out, err, "%02x", bytes[i]);
	return rc;
}

/* Write the password file, and the administrator's password alone for initdb. */
static int write_passwords(const char *dir, const char *pwfile, struct err *err)
{
	char passfile[PATH_MAX];
	CLEANUP(buf_wipe) struct buf all = BUF_INIT(1024);
	CLEANUP(buf_wipe) struct buf admin = BUF_INIT(128);
	int rc = join(passfile, dir, DEMO_POSTGRES_PASSFILE, err);
	if (rc == 0)
		rc = add_secret(&admin, err);
	if (rc == 0)
		rc = buf_addf(&all, err,
			"127.0.0.1:*:*:%s:%.*s\n127.0.0.1:*:*:%s:", DEMO_POSTGRES_ADMIN,
			(int)admin.len, (const char *)admin.data, DEMO_POSTGRES_BACKUP);
	if (rc == 0)
		rc = add_secret(&all, err);
	if (rc == 0)
		rc = buf_add8(&all, '\n', err);
	if (rc == 0)
		rc = atomic_file_create(AT_FDCWD, passfile, 0600, all.data, all.len, err);
	if (rc == 0)
		rc = atomic_file_create(AT_FDCWD, pwfile, 0600, admin.data, admin.len, err);
	return rc;
}

static int run_initdb(const char *data, const char *pwfile, struct err *err)
{
	char pw_option[PATH_MAX + 16];
	(void)snprintf(pw_option, sizeof(pw_option), "--pwfile=%s", pwfile); /* fits */
	const char *const argv[] = { DEMO_POSTGRES_BIN "/initdb", "-D", data, "-U",
		DEMO_POSTGRES_ADMIN, pw_option, "--data-checksums", "--no-sync",
		"--auth=scram-sha-256", "--locale=C.UTF-8", "--encoding=UTF8", NULL };
	CLEANUP(buf_done) struct buf output = BUF_INIT(DEMO_POSTGRES_OUTPUT_BYTES);
	struct child_opts opts = {
		.argv = argv, .envp = server_env, .not_root_id = DEMO_POSTGRES_INSIDE_ID
	};
	struct child_end end;
	int rc = child_run(&opts, DEMO_POSTGRES_INIT_MS, NULL, &output, &end, err);
	if (rc == -ERR_NOT_FOUND)
		hint_install(err);
	return rc == 0 ? child_check(&end, "initdb", &output, err) : rc;
}

int demo_postgres_init(const char *dir, struct err *err)
{
	char data[PATH_MAX], pwfile[PATH_MAX];
	int rc = join(data, dir, DEMO_POSTGRES_DATA, err);
	if (rc == 0)
		rc = join(pwfile, dir, "initdb.pw", err);
	if (rc != 0)
		return rc;
	if (env_mkdirat(AT_FDCWD, dir, 0700) != 0)
		return err_sys(
			err, errno == EEXIST ? ERR_EXISTS : ERR_IO, "unable to create '%s'", dir);
	rc = write_passwords(dir, pwfile, err);
	if (rc == 0)
		rc = run_initdb(data, pwfile, err);
	(void)env_unlinkat(AT_FDCWD, pwfile, 0); /* absent when an earlier step failed */
	return rc;
}

/* Ask the kernel for a port nobody uses now.  Return it, or 0. */
static int free_port(void)
{
	CLEANUP(cleanup_close_p) int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
	socklen_t len = sizeof(a);
	if (fd < 0 || bind(fd, (struct sockaddr *)&a, len) != 0 ||
		getsockname(fd, (struct sockaddr *)&a, &len) != 0)
		return 0;
	return ntohs(a.sin_port);
}

static int spawn(struct demo_postgres *p, const char *data, int log_fd, struct err *err)
{
	char port[16];
	p->port = free_port();
	if (p->port == 0)
		return err_sys(err, ERR_IO, "unable to find a free port");
	(void)snprintf(port, sizeof(port), "%d", p->port); /* fits */
	const char *const argv[] = { DEMO_POSTGRES_BIN "/postgres", "-D", data, "-p", port, "-c",
		"listen_addresses=127.0.0.1", "-c", "unix_socket_directories=", "-c",
		"archive_mode=off", "-c", "primary_conninfo=", "-c", "shared_buffers=32MB", "-c",
		"max_connections=20", "-c", "max_wal_senders=4", "-c", "wal_level=replica", "-c",
		"logging_collector=off", "-c", "jit=off", NULL };
	struct child_opts opts = { .argv = argv,
		.envp = server_env,
		.out = log_fd,
		.err = log_fd,
		.death_signal = SIGQUIT,
		.not_root_id = DEMO_POSTGRES_INSIDE_ID };
	int rc = child_spawn(&opts, &p->server, err);
	if (rc == -ERR_NOT_FOUND)
		hint_install(err);
	return rc;
}

/* What the server wrote to its log since ${from}, for an error message. */
static void read_log(int log_fd, off_t from, struct buf *out)
{
	char bytes[8192];
	ssize_t n = fdio_pread_full(log_fd, bytes, sizeof(bytes), from);
	if (n > 0)
		(void)buf_add(out, bytes, (size_t)n, NULL); /* the message is shorter then */
}

/* Wait until it answers.  -ERR_EXISTS: another took the port, try again. */
static int wait_ready(struct demo_postgres *p, int log_fd, off_t log_from, struct err *err)
{
	char port[16];
	(void)snprintf(port, sizeof(port), "%d", p->port); /* fits */
	const char *const keys[] = { "host", "port", "user", "dbname", "connect_timeout", NULL };
	const char *const values[] = { "127.0.0.1", port, DEMO_POSTGRES_ADMIN, "postgres", "5",
		NULL };
	int64_t give_up = env_mono_ns() + DEMO_POSTGRES_READY_MS * INT64_C(1000000);
	int rc = libpq_load(err);
	if (rc != 0)
		return rc;
	for (;;) {
		struct child_end end;
		/* the pause is a wait for its end, so that a server that died is seen at once */
		if (child_wait(p->server, DEMO_POSTGRES_STEP_MS, &end, NULL) == 0) {
			CLEANUP(buf_done) struct buf said = BUF_INIT(DEMO_POSTGRES_OUTPUT_BYTES);
			read_log(log_fd, log_from, &said);
			const char *text = buf_cstr(&said);
			if (text != NULL && strstr(text, "could not bind") != NULL)
				return -ERR_EXISTS;
			rc = child_check(&end, "postgres", &said, err);
			return rc != 0 ? rc : err_set(err, ERR_FAILED, "postgres ended at once");
		}
		if (libpq.PQpingParams(keys, values, 0) == PQPING_OK &&
			child_wait(p->server, 0, NULL, NULL) != 0)
			return 0;
		if (env_mono_ns() > give_up)
			return err_set(err, ERR_BUSY, "postgres was not ready after %d s",
				DEMO_POSTGRES_READY_MS / 1000);
	}
}

static void remember(struct demo_postgres *p)
{
	(void)snprintf(p->admin, sizeof(p->admin), "host=127.0.0.1 port=%d user=%s dbname=%s",
		p->port, DEMO_POSTGRES_ADMIN, DEMO_POSTGRES_DATABASE); /* fits */
	(void)snprintf(p->backup, sizeof(p->backup), "host=127.0.0.1 port=%d user=%s dbname=%s",
		p->port, DEMO_POSTGRES_BACKUP, DEMO_POSTGRES_DATABASE); /* fits */
}

DEFINE_CLEANUP(struct demo_postgres *, demo_postgres_free)

int demo_postgres_start(const char *data, const char *passfile, const char *log,
	struct demo_postgres **out, struct err *err)
{
	CLEANUP(demo_postgres_free_p) struct demo_postgres *p = calloc(1, sizeof(*p));
	if (p == NULL || (p->passfile = strdup(passfile)) == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	CLEANUP(cleanup_close_p)
	int log_fd = open(log, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (log_fd < 0)
		return err_sys(err, ERR_IO, "unable to open '%s'", log);
	for (int i = 0; i < DEMO_POSTGRES_TRIES; i++) {
		off_t from = lseek(log_fd, 0, SEEK_END);
		int rc = spawn(p, data, log_fd, err);
		if (rc == 0)
			rc = wait_ready(p, log_fd, from, err);
		if (rc == 0) {
			remember(p);
			*out = TAKE(p);
			return 0;
		}
		if (rc != -ERR_EXISTS)
			return rc;
		child_free(TAKE(p->server));
	}
	return err_set(err, ERR_BUSY, "unable to find a port for postgres");
}

const char *demo_postgres_admin(const struct demo_postgres *p)
{
	return p->admin;
}

const char *demo_postgres_backup(const struct demo_postgres *p)
{
	return p->backup;
}

const char *demo_postgres_passfile(const struct demo_postgres *p)
{
	return p->passfile;
}

int demo_postgres_port(const struct demo_postgres *p)
{
	return p->port;
}

int demo_postgres_password(
	const char *passfile, const char *user, char *out, unsigned size, struct err *err)
{
	CLEANUP(buf_wipe) struct buf text = BUF_INIT(4096);
	int rc = fdio_read_file(AT_FDCWD, passfile, &text, err);
	if (rc != 0)
		return rc;
	char *save = NULL;
	char *all = buf_cstr(&text) == NULL ? NULL : (char *)text.data;
	for (char *line = all == NULL ? NULL : strtok_r(all, "\n", &save); line != NULL;
		line = strtok_r(NULL, "\n", &save)) {
		char *secret = strrchr(line, ':');
		if (secret == NULL)
			continue;
		*secret++ = '\0';
		const char *name = strrchr(line, ':');
		if (name == NULL || strcmp(name + 1, user) != 0 || strlen(secret) >= size)
			continue;
		memcpy(out, secret, strlen(secret) + 1);
		return 0;
	}
	return err_set(err, ERR_NOT_FOUND, "'%s' holds no password of '%s'", passfile, user);
}

int demo_postgres_stop(struct demo_postgres *p, struct err *err)
{
	if (p->server == NULL)
		return 0;
	struct child_end end;
	bool in_time = child_stop(p->server, SIGINT, DEMO_POSTGRES_STOP_MS, &end);
	child_free(TAKE(p->server));
	if (!in_time)
		return err_set(err, ERR_FAILED, "postgres did not stop and was killed");
	return child_check(&end, "postgres", NULL, err);
}

void demo_postgres_free(struct demo_postgres *p)
{
	if (p == NULL)
		return;
	if (p->server != NULL) {
		/* immediate shutdown still gives its shared memory back, SIGKILL would not */
		(void)child_stop(p->server, SIGQUIT, DEMO_POSTGRES_STOP_MS, NULL);
		child_free(p->server);
	}
	free(p->passfile);
	free(p);
}
