#include "agents/sources/postgres.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agents/demo_historian.h"
#include "agents/demo_postgres.h"
#include "agents/demo_writer.h"
#include "agents/sources/postgres_dir.h"
#include "agents/sources/postgres_truth.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/env.h"
#include "base/err.h"
#include "base/fdio.h"
#include "codec/truth.h"
#include "restore/pg_manifest.h"
#include "tests/lib/store_scratch.h"

/* A PostgreSQL server of our own on a free port; it dies with the test's process. */

DEFINE_CLEANUP(struct demo_postgres *, demo_postgres_free)
DEFINE_CLEANUP(struct demo_writer *, demo_writer_free)
DEFINE_CLEANUP(struct truth *, truth_free)
DEFINE_CLEANUP(struct pg_manifest *, pg_manifest_free)

static const char *dir;
static int dirfd_ = -1;
static char data[PATH_MAX], passfile[PATH_MAX], log_file[PATH_MAX];

static void setup(void)
{
	dir = store_scratch_new();
	cr_assert(dir != NULL);
	dirfd_ = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	cr_assert(ge(int, dirfd_, 0));
	(void)snprintf(data, sizeof(data), "%s/pg/data", dir);
	(void)snprintf(passfile, sizeof(passfile), "%s/pg/pgpass", dir);
	(void)snprintf(log_file, sizeof(log_file), "%s/pg/postgres.log", dir);
}

static void teardown(void)
{
	cleanup_close_p(&dirfd_);
	store_scratch_done();
}

TestSuite(postgres, .init = setup, .fini = teardown, .timeout = 240);

static struct demo_postgres *start(const char *where)
{
	struct demo_postgres *p = NULL;
	struct err err = ERR_INIT;
	cr_assert(eq(int, demo_postgres_start(where, passfile, log_file, &p, &err), 0), "%s",
		err.msg);
	return p;
}

static struct demo_postgres *make(unsigned scans)
{
	char pg[PATH_MAX];
	struct err err = ERR_INIT;
	(void)snprintf(pg, sizeof(pg), "%s/pg", dir);
	cr_assert(eq(int, demo_postgres_init(pg, &err), 0), "%s", err.msg);
	struct demo_postgres *p = start(data);
	cr_assert(eq(int, demo_historian_fill(p, 1, scans, env_now_ns() / 1000000, &err), 0), "%s",
		err.msg);
	return p;
}

static struct pg_conn_opts backup_role(const struct demo_postgres *p)
{
	return (struct pg_conn_opts){ .conninfo = demo_postgres_backup(p),
		.passfile = demo_postgres_passfile(p) };
}

static void run_sql(const struct demo_postgres *p, const char *sql, char *out, size_t size)
{
	PGconn *c = NULL;
	struct err err = ERR_INIT;
	cr_assert(eq(int, demo_historian_connect(p, &c, &err), 0), "%s", err.msg);
	PGresult *res = libpq.PQexec(c, sql);
	cr_assert(libpq.PQresultStatus(res) == PGRES_TUPLES_OK ||
			  libpq.PQresultStatus(res) == PGRES_COMMAND_OK,
		"%s: %s", sql, libpq.PQerrorMessage(c));
	if (out != NULL)
		(void)snprintf(out, size, "%s", libpq.PQgetvalue(res, 0, 0));
	libpq_clear(res);
	libpq_finish(c);
}

static struct pg_manifest *read_manifest(int stage)
{
	CLEANUP(buf_done) struct buf text = BUF_INIT(PG_MANIFEST_MAX_BYTES);
	struct pg_manifest *m = NULL;
	struct err err = ERR_INIT;
	cr_assert(eq(int, fdio_read_file(stage, PG_MANIFEST_FILE_NAME, &text, &err), 0));
	cr_assert(eq(int, pg_manifest_parse(text.data, text.len, &m, &err), 0), "%s", err.msg);
	return m;
}

static void flip(int at, const char *path, off_t offset)
{
	int fd = openat(at, path, O_RDWR | O_CLOEXEC);
	char byte;
	cr_assert(ge(int, fd, 0), "%s", path);
	cr_assert(eq(int, (int)pread(fd, &byte, 1, offset), 1));
	byte ^= 1;
	cr_assert(eq(int, (int)pwrite(fd, &byte, 1, offset), 1));
	(void)close(fd);
}

static void print_diff(void *ctx, const char *text)
{
	(void)ctx;
	(void)fprintf(stderr, "difference: %s\n", text);
}

Test(postgres, copy_taken_under_load_starts_and_agrees_with_the_truth)
{
	struct err err = ERR_INIT;
	CLEANUP(demo_postgres_free_p) struct demo_postgres *p = make(1000);
	CLEANUP(demo_writer_free_p) struct demo_writer *w = NULL;
	struct pg_conn_opts role = backup_role(p);
	cr_assert(eq(int, demo_writer_start(p, 2, DEMO_WRITER_RATE, &w, &err), 0), "%s", err.msg);
	while (demo_writer_rows(w) < 40)
		(void)poll(NULL, 0, 20); /* it writes for certain now */

	/* no margin is safe only with one writer that stamps and commits at once; 300 ms is */
	const struct postgres_truth_opts what = { .margin_ms = 300 };
	CLEANUP(truth_free_p) struct truth *truth = truth_new();
	cr_assert(eq(int, postgres_truth_take(&role, &what, truth, &err), 0), "%s", err.msg);
	cr_expect(ge(sz, truth->database.table_count, 1));
	cr_expect(truth->database.has_data_checksums);
	const uint64_t before = demo_writer_rows(w);
	struct postgres_info info;
	cr_assert(eq(int, postgres_dir_capture(&role, dirfd_, "stage", &info, &err), 0), "%s",
		err.msg);
	while (demo_writer_rows(w) == before)
		(void)poll(NULL, 0, 20); /* the capture did not stop the plant */
	cr_assert(eq(int, demo_writer_stop(w, &err), 0), "%s", err.msg);
	cr_expect(eq(u64, info.system_id, truth->database.system_id));
	cr_expect(ge(u64, info.end_lsn, info.start_lsn + 1));

	int stage = openat(dirfd_, "stage", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct stat st;
	cr_assert(eq(int, fstat(stage, &st), 0));
	cr_expect(eq(int, (int)(st.st_mode & 07777), 0700));
	CLEANUP(pg_manifest_free_p) struct pg_manifest *m = read_manifest(stage);
	cr_assert(eq(int, pg_manifest_verify(m, stage, &err), 0), "%s", err.msg);
	(void)close(stage);

	char copy[PATH_MAX];
	(void)snprintf(copy, sizeof(copy), "%s/stage", dir);
	CLEANUP(demo_postgres_free_p) struct demo_postgres *r = start(copy);
	cr_expect(ne(int, demo_postgres_port(r), demo_postgres_port(p)));
	struct pg_conn_opts restored = backup_role(r);
	const struct postgres_truth_opts again = { .cutoff_ms = truth->database.cutoff_ms };
	CLEANUP(truth_free_p) struct truth *found = truth_new();
	cr_assert(eq(int, postgres_truth_take(&restored, &again, found, &err), 0), "%s", err.msg);
	cr_expect(eq(sz, truth_compare(truth, found, print_diff, NULL), 0));

	/* and the comparison can fail: one value of one old row */
	char table[80], sql[256];
	run_sql(r, "SELECT pname FROM sqlth_partitions ORDER BY start_time LIMIT 1", table,
		sizeof(table));
	(void)snprintf(sql, sizeof(sql),
		"UPDATE %s SET dataintegrity = 1 WHERE t_stamp = (SELECT min(t_stamp) FROM %s)",
		table, table);
	run_sql(r, sql, NULL, 0);
	CLEANUP(truth_free_p) struct truth *spoilt = truth_new();
	cr_assert(eq(int, postgres_truth_take(&restored, &again, spoilt, &err), 0));
	cr_expect(eq(sz, truth_compare(truth, spoilt, NULL, NULL), 1));
	cr_expect(eq(int, demo_postgres_stop(r, &err), 0), "%s", err.msg);
	cr_expect(eq(int, demo_postgres_stop(p, &err), 0), "%s", err.msg);
}

Test(postgres, damage_in_a_captured_copy_is_found_and_named)
{
	struct err err = ERR_INIT;
	CLEANUP(demo_postgres_free_p) struct demo_postgres *p = make(20);
	struct pg_conn_opts role = backup_role(p);
	cr_assert(eq(int, postgres_dir_capture(&role, dirfd_, "stage", NULL, &err), 0), "%s",
		err.msg);
	int stage = openat(dirfd_, "stage", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	CLEANUP(pg_manifest_free_p) struct pg_manifest *m = read_manifest(stage);
	cr_assert(eq(int, pg_manifest_verify(m, stage, &err), 0), "%s", err.msg);

	flip(stage, "global/pg_control", 17);
	cr_expect(eq(int, pg_manifest_verify(m, stage, &err), -ERR_CORRUPT));
	cr_expect(eq(str, err.msg,
		"base backup: 'global/pg_control' differs from the server's checksum"));
	flip(stage, "global/pg_control", 17);

	cr_assert(eq(int, renameat(stage, "PG_VERSION", stage, "PG_VERSIOM"), 0));
	cr_expect(eq(int, pg_manifest_verify(m, stage, &err), -ERR_CORRUPT));
	cr_expect(ne(ptr, (void *)strstr(err.msg, "'PG_VERSIO"), NULL), "%s", err.msg);
	cr_assert(eq(int, renameat(stage, "PG_VERSIOM", stage, "PG_VERSION"), 0));

	char segment[80];
	(void)snprintf(segment, sizeof(segment), "pg_wal/%08X%08X%08X", 1,
		(unsigned)(m->wal[0].start >> 32), (unsigned)(m->wal[0].start & 0xffffffff) >> 24);
	flip(stage, segment, 9); /* its address */
	cr_expect(eq(int, pg_manifest_verify(m, stage, &err), -ERR_CORRUPT));
	cr_assert(eq(int, unlinkat(stage, segment, 0), 0), "%s", segment);
	cr_expect(eq(int, pg_manifest_verify(m, stage, &err), -ERR_CORRUPT));
	cr_expect(ne(ptr, (void *)strstr(err.msg, "segment"), NULL), "%s", err.msg);
	(void)close(stage);
}

Test(postgres, damaged_page_at_the_source_ends_the_capture)
{
	struct err err = ERR_INIT;
	CLEANUP(demo_postgres_free_p) struct demo_postgres *p = make(20);
	char path[256];
	run_sql(p, "SELECT pg_relation_filepath('sqlth_te')", path, sizeof(path));
	cr_assert(eq(int, demo_postgres_stop(p, &err), 0), "%s", err.msg);
	int fd = open(data, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	flip(fd, path, 8000);
	(void)close(fd);
	CLEANUP(demo_postgres_free_p) struct demo_postgres *again = start(data);
	struct pg_conn_opts role = backup_role(again);
	cr_expect(eq(int, postgres_dir_capture(&role, dirfd_, "stage", NULL, &err), -ERR_CORRUPT));
	cr_expect(ne(ptr, (void *)strstr(err.msg, path), NULL), "%s", err.msg);
}

static int refuse_third(void *self, const struct postgres_entry *e, struct err *err)
{
	(void)e;
	int *count = self;
	return ++*count == 3 ? err_set(err, ERR_NOSPACE, "full") : 0;
}

static int take_info(void *self, const struct postgres_info *info, struct err *err)
{
	(void)self;
	(void)err;
	cr_expect(ge(u64, info->estimated_bytes, 1000001));
	return 0;
}

static int take_bytes(void *self, const void *bytes, size_t len, struct err *err)
{
	(void)self;
	(void)bytes;
	(void)len;
	(void)err;
	return 0;
}

static int take_end(void *self, struct err *err)
{
	(void)self;
	(void)err;
	return 0;
}

static bool is_third_question(void *arg)
{
	int *asked = arg;
	return ++*asked >= 3;
}

Test(postgres, refusals_say_what_is_wrong)
{
	struct err err = ERR_INIT;
	CLEANUP(demo_postgres_free_p) struct demo_postgres *p = make(2);
	struct pg_conn_opts role = backup_role(p);

	CLEANUP(truth_free_p) struct truth *t = truth_new();
	/* the sink's error ends the capture and comes through */
	static const struct postgres_sink sink = { take_info, refuse_third, take_bytes, take_end };
	int count = 0;
	cr_expect(eq(int, postgres_capture(&role, &sink, &count, NULL, &err), -ERR_NOSPACE));
	cr_expect(eq(int, count, 3));
	cr_expect(eq(str, err.msg, "full"));

	cr_assert(eq(int, mkdirat(dirfd_, "taken", 0700), 0));
	cr_expect(eq(int, postgres_dir_capture(&role, dirfd_, "taken", NULL, &err), -ERR_EXISTS));

	/* a stop that is asked ends the capture with the first wait behind it */
	struct pg_conn_opts stopped = role;
	int asked = 0;
	stopped.arg = &asked;
	stopped.is_stopped = is_third_question;
	cr_expect(eq(int, postgres_dir_capture(&stopped, dirfd_, "stopped", NULL, &err),
		-ERR_INTERRUPTED));
	cr_expect(eq(int, asked, 3));

	struct pg_conn_opts bad = { .conninfo = role.conninfo, .passfile = "/nonexistent" };
	cr_expect(eq(int, postgres_capture(&bad, &sink, &count, NULL, &err), -ERR_AUTH));
	bad = (struct pg_conn_opts){ .conninfo = "host=127.0.0.1 port=1 user=x" };
	cr_expect(eq(int, postgres_capture(&bad, &sink, &count, NULL, &err), -ERR_UNREACHABLE));
	cr_expect(eq(ptr, (void *)strstr(err.msg, "Is the server running"), NULL), "%s", err.msg);
	cr_expect(ne(ptr, (void *)strstr(err.msg, "refused"), NULL), "%s", err.msg);
	cr_expect(ne(ptr, (void *)strstr(err.hint, "host and port"), NULL), "%s", err.hint);
	char text[1024];
	(void)snprintf(text, sizeof(text), "%s dbname=nothing", role.conninfo);
	bad = (struct pg_conn_opts){ .conninfo = text, .passfile = role.passfile };
	cr_expect(eq(int, postgres_truth_take(&bad, NULL, t, &err), -ERR_AUTH), "%s", err.msg);
	cr_expect(ne(ptr, (void *)strstr(err.hint, "dbname"), NULL), "%s", err.hint);

	/* a role that may not replicate, and one that may not read */
	run_sql(p, "ALTER ROLE holdfast NOREPLICATION", NULL, 0);
	cr_expect(lt(int, postgres_capture(&role, &sink, &count, NULL, &err), 0));
	cr_expect(ne(ptr, (void *)strstr(err.msg, "unable to connect to the database"), NULL), "%s",
		err.msg);
	run_sql(p, "ALTER ROLE holdfast REPLICATION; REVOKE pg_read_all_data FROM holdfast", NULL,
		0);
	cr_expect(eq(int, postgres_truth_take(&role, NULL, t, &err), -ERR_AUTH), "%s", err.msg);
	cr_expect(not(t->has_database));
	struct postgres_truth_opts none = { .tables = "nothing%" };
	CLEANUP(truth_free_p) struct truth *u = truth_new();
	cr_expect(eq(int, postgres_truth_take(&role, &none, u, &err), -ERR_NOT_FOUND));

	char sql[PATH_MAX + 80];
	cr_assert(eq(int, mkdirat(dirfd_, "space", 0700), 0));
	(void)snprintf(sql, sizeof(sql), "CREATE TABLESPACE s LOCATION '%s/space'", dir);
	run_sql(p, sql, NULL, 0);
	cr_expect(eq(int, postgres_dir_capture(&role, dirfd_, "stage", NULL, &err), -ERR_CONFIG));
	cr_expect(ne(ptr, (void *)strstr(err.msg, "/space'"), NULL), "%s", err.msg);
}

Test(postgres, server_dies_with_the_process_that_started_it)
{
	int p[2];
	CLEANUP(demo_postgres_free_p) struct demo_postgres *first = make(1);
	struct err err = ERR_INIT;
	cr_assert(eq(int, demo_postgres_stop(first, &err), 0), "%s", err.msg);
	cr_assert(eq(int, pipe2(p, O_CLOEXEC), 0));
	pid_t middle = fork();
	cr_assert(ge(int, middle, 0));
	if (middle == 0) {
		struct demo_postgres *second = NULL;
		if (demo_postgres_start(data, passfile, log_file, &second, NULL) != 0)
			_exit(1);
		int port = demo_postgres_port(second);
		if (write(p[1], &port, sizeof(port)) != sizeof(port))
			_exit(1);
		(void)raise(SIGKILL);
	}
	(void)close(p[1]);
	int port = 0, status;
	cr_assert(eq(int, (int)read(p[0], &port, sizeof(port)), (int)sizeof(port)));
	(void)close(p[0]);
	cr_assert(eq(int, waitpid(middle, &status, 0), middle));
	char conninfo[80], pid_file[PATH_MAX + 32];
	(void)snprintf(conninfo, sizeof(conninfo), "host=127.0.0.1 port=%d", port);
	(void)snprintf(pid_file, sizeof(pid_file), "%s/postmaster.pid", data);
	int64_t deadline = env_mono_ns() + 30000000000LL;
	while (access(pid_file, F_OK) == 0 && env_mono_ns() < deadline)
		(void)poll(NULL, 0, 20);
	/* it ended in order: its own clean-up ran */
	cr_expect(ne(int, access(pid_file, F_OK), 0));
	const char *const keys[] = { "dbname", NULL }, *const values[] = { conninfo, NULL };
	cr_assert(eq(int, libpq_load(NULL), 0));
	cr_expect(eq(int, libpq.PQpingParams(keys, values, 1), PQPING_NO_RESPONSE));
}
