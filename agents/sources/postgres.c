#include "agents/sources/postgres.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agents/sources/ustar.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/env.h"
#include "base/err.h"
#include "base/log.h"
#include "crypto/hash.h"
#include "restore/pg_manifest.h"

/*
 * The answer to BASE_BACKUP: rows (start), rows (table spaces), CopyData messages, rows (end),
 * done. Each CopyData message begins with its type: n = a new tar archive, m = the manifest begins,
 * d = bytes of whichever began last, p = progress.
 *
 * INVARIANTS
 * (1) `part` says where 'd' goes; it only moves NONE -> ARCHIVE -> MANIFEST.
 * (2) seen holds each file that the sink took whole, with the hash of exactly the bytes it took.
 * (3) The manifest goes to the sink only after everything before it matched.
 * (4) No wait is longer than POSTGRES_IDLE_MS, and none goes on for long after a stop was asked.
 */

#define POSTGRES_WARNING_BYTES 256
#define POSTGRES_STOP_CHECK_MS 500 /* a signal between the question and the wait is seen then */

enum part { PART_NONE, PART_ARCHIVE, PART_MANIFEST };

struct capture {
	PGconn *conn; /* owned */
	const struct pg_conn_opts *opts;
	const struct postgres_sink *sink;
	void *self;
	struct postgres_info info;
	enum part part;
	struct ustar tar;
	struct hash *hash;            /* of the file that is coming in; owned */
	struct pg_manifest_file file; /* the same; path points into path */
	char path[USTAR_PATH_BYTES];
	bool is_file;
	struct pg_manifest_list seen;
	struct buf manifest;
	char warning[POSTGRES_WARNING_BYTES]; /* the server's first */
};

/* ---- tar entries on their way to the sink ---- */

static int take_entry(void *self, const struct ustar_entry *e, struct err *err)
{
	struct capture *c = self;
	if (e->kind == USTAR_SYMLINK)
		return err_set(err, ERR_CONFIG,
			"unable to capture '%s': a link out of the data directory", e->path);
	(void)snprintf(c->path, sizeof(c->path), "%s", e->path); /* same limit */
	c->is_file = e->kind == USTAR_FILE;
	c->file.path = c->path;
	c->file.size = 0;
	struct postgres_entry out = { .kind = c->is_file ? POSTGRES_FILE : POSTGRES_DIR,
		.path = e->path,
		.mode = e->mode,
		.mtime_s = e->mtime_s,
		.size = e->size };
	return c->sink->entry(c->self, &out, err);
}

static int take_data(void *self, const void *data, size_t len, struct err *err)
{
	struct capture *c = self;
	hash_add(c->hash, data, len);
	c->file.size += len;
	c->info.received_bytes += len;
	return c->sink->data(c->self, data, len, err);
}

static int take_end(void *self, struct err *err)
{
	struct capture *c = self;
	int rc = 0;
	if (c->is_file) {
		hash_end(c->hash, c->file.sha256);
		rc = pg_manifest_list_add(&c->seen, &c->file, err);
		c->info.file_count++;
	}
	return rc == 0 ? c->sink->end(c->self, err) : rc;
}

static const struct ustar_ops tar_ops = { take_entry, take_data, take_end };

/* ---- waiting ---- */

/* Wait until the server has sent something, and take it in.  Return 0, -ERR_INTERRUPTED, .. */
static int wait_input(struct capture *c, struct err *err)
{
	const int64_t give_up = env_mono_ns() + POSTGRES_IDLE_MS * INT64_C(1000000);
	for (;;) {
		if (c->opts->is_stopped != NULL && c->opts->is_stopped(c->opts->arg))
			return err_set(err, ERR_INTERRUPTED, "the capture was stopped");
		struct pollfd p = { .fd = libpq.PQsocket(c->conn), .events = POLLIN };
		int64_t left = (give_up - env_mono_ns()) / 1000000;
		int ms = left < POSTGRES_STOP_CHECK_MS ? (int)left : POSTGRES_STOP_CHECK_MS;
		int n = left <= 0 ? 0 : poll(&p, 1, ms);
		if ((n < 0 && errno == EINTR) || (n == 0 && left > 0))
			continue;
		if (n < 0)
			return err_sys(err, ERR_IO, "unable to wait for the database");
		if (n == 0)
			return err_set(err, ERR_UNREACHABLE,
				"unable to capture the database: no answer for %d s",
				POSTGRES_IDLE_MS / 1000);
		if (libpq.PQconsumeInput(c->conn) == 0)
			return pg_conn_error(c->conn, NULL, "capture the database", err);
		return 0;
	}
}

static int next_result(struct capture *c, PGresult **out, struct err *err)
{
	while (libpq.PQisBusy(c->conn)) {
		int rc = wait_input(c, err);
		if (rc != 0)
			return rc;
	}
	*out = libpq.PQgetResult(c->conn);
	return 0;
}

/* The next result must be ${want}. */
static int expect_result(struct capture *c, ExecStatusType want, PGresult **out, struct err *err)
{
	CLEANUP(libpq_clear_p) PGresult *res = NULL;
	int rc = next_result(c, &res, err);
	if (rc != 0)
		return rc;
	if (libpq.PQresultStatus(res) != want) {
		rc = pg_conn_error(c->conn, res, "capture the database", err);
		if (rc == -ERR_CORRUPT && c->warning[0] != '\0')
			rc = err_set(err, ERR_CORRUPT,
				"unable to capture the database, it is damaged at the source: %s",
				c->warning);
		return rc;
	}
	*out = TAKE(res);
	return 0;
}

/* ---- the protocol, in order ---- */

/* Keep the first warning: after a bad page it names the file, and the error does not. */
static void take_notice(void *self, const PGresult *res)
{
	struct capture *c = self;
	const char *severity = libpq.PQresultErrorField(res, PG_DIAG_SEVERITY_NONLOCALIZED);
	const char *text = libpq.PQresultErrorField(res, PG_DIAG_MESSAGE_PRIMARY);
	if (severity == NULL || text == NULL)
		return;
	log_debug("postgres.notice", "severity=%s text=%s", severity, text);
	if (strcmp(severity, "WARNING") == 0 && c->warning[0] == '\0')
		(void)snprintf(c->warning, sizeof(c->warning), "%s", text); /* cut is fine */
}

static bool parse_lsn(const char *text, uint64_t *out)
{
	unsigned high, low;
	char end;
	if (sscanf(text, "%8X/%8X%c", &high, &low, &end) != 2)
		return false;
	*out = (uint64_t)high << 32 | low;
	return true;
}

static int identify(struct capture *c, struct err *err)
{
	c->info.server_version_num = libpq.PQserverVersion(c->conn);
	if (c->info.server_version_num < POSTGRES_MIN_VERSION)
		return err_set(err, ERR_CONFIG, "PostgreSQL %d is too old, 15 or later is needed",
			c->info.server_version_num / 10000);
	CLEANUP(libpq_clear_p) PGresult *res = NULL;
	int rc = pg_conn_rows(c->conn, "IDENTIFY_SYSTEM", "identify the database", &res, err);
	if (rc != 0)
		return rc;
	if (libpq.PQntuples(res) != 1 || libpq.PQnfields(res) < 3)
		return err_set(err, ERR_CORRUPT, "unable to identify the database: strange answer");
	c->info.system_id = strtoull(libpq.PQgetvalue(res, 0, 0), NULL, 10);
	c->info.timeline = (uint32_t)strtoul(libpq.PQgetvalue(res, 0, 1), NULL, 10);
	return 0;
}

/* One row per table space, the data directory itself with a NULL location. */
static int check_spaces(struct capture *c, const PGresult *res, struct err *err)
{
	char names[512] = "";
	size_t len = 0;
	for (int i = 0; i < libpq.PQntuples(res); i++) {
		c->info.estimated_bytes += strtoull(libpq.PQgetvalue(res, i, 2), NULL, 10) * 1024;
		if (libpq.PQgetisnull(res, i, 1) || len >= sizeof(names))
			continue;
		int n = snprintf(names + len, sizeof(names) - len, "%s'%s'", len == 0 ? "" : ", ",
			libpq.PQgetvalue(res, i, 1));
		len += n > 0 ? (size_t)n : 0;
	}
	if (len == 0)
		return 0;
	(void)err_set(err, ERR_CONFIG,
		"unable to capture a database with table spaces of its own: %s", names);
	(void)err_hint(err, "move their tables to pg_default, or back up with pg_dump");
	return -ERR_CONFIG;
}

static int start(struct capture *c, struct err *err)
{
	static const char command[] = "BASE_BACKUP (LABEL '" POSTGRES_LABEL "', PROGRESS, "
				      "CHECKPOINT 'fast', WAL, MANIFEST 'yes', "
				      "MANIFEST_CHECKSUMS 'SHA256')";
	if (libpq.PQsendQuery(c->conn, command) == 0)
		return pg_conn_error(c->conn, NULL, "capture the database", err);
	CLEANUP(libpq_clear_p) PGresult *at = NULL;
	CLEANUP(libpq_clear_p) PGresult *spaces = NULL;
	CLEANUP(libpq_clear_p) PGresult *copy = NULL;
	int rc = expect_result(c, PGRES_TUPLES_OK, &at, err);
	if (rc != 0)
		return rc;
	if (libpq.PQntuples(at) != 1 || libpq.PQnfields(at) < 2 ||
		!parse_lsn(libpq.PQgetvalue(at, 0, 0), &c->info.start_lsn))
		return err_set(err, ERR_CORRUPT, "base backup: strange start");
	rc = expect_result(c, PGRES_TUPLES_OK, &spaces, err);
	if (rc == 0 && libpq.PQnfields(spaces) < 3)
		rc = err_set(err, ERR_CORRUPT, "base backup: strange list of table spaces");
	if (rc == 0)
		rc = check_spaces(c, spaces, err);
	if (rc == 0)
		rc = expect_result(c, PGRES_COPY_OUT, &copy, err);
	return rc == 0 ? c->sink->begin(c->self, &c->info, err) : rc;
}

static int take_message(struct capture *c, const char *msg, size_t len, struct err *err)
{
	switch (len == 0 ? 0 : msg[0]) {
	case 'n':
		if (c->part != PART_NONE)
			return err_set(err, ERR_CORRUPT, "base backup: a second archive");
		c->part = PART_ARCHIVE;
		return 0;
	case 'm':
		if (c->part != PART_ARCHIVE)
			return err_set(err, ERR_CORRUPT, "base backup: a manifest out of order");
		c->part = PART_MANIFEST;
		return ustar_finish(&c->tar, err);
	case 'd':
		if (c->part == PART_ARCHIVE)
			return ustar_feed(&c->tar, msg + 1, len - 1, err);
		if (c->part == PART_MANIFEST)
			return buf_add(&c->manifest, msg + 1, len - 1, err);
		return err_set(err, ERR_CORRUPT, "base backup: data before an archive");
	case 'p':
		return 0;
	default:
		return err_set(err, ERR_UNSUPPORTED, "base backup: unknown message type %d",
			len == 0 ? 0 : msg[0]);
	}
}

static int receive(struct capture *c, struct err *err)
{
	for (;;) {
		char *msg = NULL;
		int n = libpq.PQgetCopyData(c->conn, &msg, 1);
		if (n == -1)
			return 0;
		if (n < -1)
			return pg_conn_error(c->conn, NULL, "capture the database", err);
		int rc = n == 0 ? wait_input(c, err) : take_message(c, msg, (size_t)n, err);
		libpq.PQfreemem(msg);
		if (rc != 0)
			return rc;
	}
}

static int finish(struct capture *c, struct err *err)
{
	CLEANUP(libpq_clear_p) PGresult *at = NULL;
	CLEANUP(libpq_clear_p) PGresult *done = NULL;
	int rc = expect_result(c, PGRES_TUPLES_OK, &at, err);
	if (rc != 0)
		return rc;
	if (libpq.PQntuples(at) != 1 || !parse_lsn(libpq.PQgetvalue(at, 0, 0), &c->info.end_lsn))
		return err_set(err, ERR_CORRUPT, "base backup: strange end");
	rc = expect_result(c, PGRES_COMMAND_OK, &done, err);
	if (rc == 0 && c->part != PART_MANIFEST)
		rc = err_set(err, ERR_CORRUPT, "base backup: the server sent no manifest");
	return rc;
}

DEFINE_CLEANUP(struct pg_manifest *, pg_manifest_free)

/* Compare, then hand the manifest itself over. */
static int deliver_manifest(struct capture *c, struct err *err)
{
	CLEANUP(pg_manifest_free_p) struct pg_manifest *m = NULL;
	int rc = pg_manifest_parse(c->manifest.data, c->manifest.len, &m, err);
	if (rc == 0)
		rc = pg_manifest_match(m, &c->seen, err);
	if (rc != 0)
		return rc;
	struct postgres_entry e = { .kind = POSTGRES_FILE,
		.path = PG_MANIFEST_FILE_NAME,
		.mode = 0600,
		.mtime_s = env_now_ns() / 1000000000,
		.size = c->manifest.len };
	rc = c->sink->entry(c->self, &e, err);
	if (rc == 0)
		rc = c->sink->data(c->self, c->manifest.data, c->manifest.len, err);
	if (rc == 0)
		rc = c->sink->end(c->self, err);
	c->info.received_bytes += c->manifest.len;
	c->info.file_count++;
	return rc;
}

static void capture_done(struct capture *c)
{
	libpq_finish(c->conn);
	hash_free(c->hash);
	pg_manifest_list_done(&c->seen);
	buf_done(&c->manifest);
}

int postgres_capture(const struct pg_conn_opts *opts, const struct postgres_sink *sink, void *self,
	struct postgres_info *info, struct err *err)
{
	CLEANUP(capture_done)
	struct capture c = { .opts = opts,
		.sink = sink,
		.self = self,
		.manifest = BUF_INIT(PG_MANIFEST_MAX_BYTES) };
	int rc = pg_conn_open(opts, PG_CONN_REPLICATION, &c.conn, err);
	if (rc != 0)
		return rc;
	c.hash = hash_new();
	if (c.hash == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	ustar_init(&c.tar, &tar_ops, &c);
	(void)libpq.PQsetNoticeReceiver(c.conn, take_notice, &c); /* returns the one before */
	rc = identify(&c, err);
	if (rc == 0)
		rc = start(&c, err);
	if (rc == 0)
		rc = receive(&c, err);
	if (rc == 0)
		rc = finish(&c, err);
	if (rc == 0)
		rc = deliver_manifest(&c, err);
	if (rc == 0 && info != NULL)
		*info = c.info;
	return rc;
}
