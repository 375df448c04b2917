#include "agents/demo_historian.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "agents/demo_postgres.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"

/*
 * INVARIANTS
 * (1) (tagid, t_stamp) is unique: within a tag the time of scan i + 1 lies behind that of scan i,
 *     because a row is moved back by less than one scan's distance.
 * (2) Only numbers and names made here go into SQL.
 */

#define DEMO_HISTORIAN_SQL_BYTES 4096
#define DEMO_HISTORIAN_COPY_BYTES 65536
#define DEMO_HISTORIAN_JITTER_MS 60000

static int fail(const PGconn *c, const char *what, struct err *err)
{
	char text[512];
	(void)snprintf(text, sizeof(text), "%s", libpq.PQerrorMessage(c)); /* cut is fine */
	text[strcspn(text, "\n")] = '\0';
	return err_set(err, ERR_FAILED, "unable to %s: %s", what, text);
}

static int run(PGconn *c, const char *sql, const char *what, struct err *err)
{
	CLEANUP(libpq_clear_p) PGresult *res = libpq.PQexec(c, sql);
	ExecStatusType status = libpq.PQresultStatus(res);
	return status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK ? 0 : fail(c, what, err);
}

static int connect_to(const char *conninfo, const char *database, const char *passfile,
	PGconn **out, struct err *err)
{
	const char *const keys[] = { "dbname", "dbname", "passfile", "application_name",
		"connect_timeout", NULL };
	const char *const values[] = { conninfo, database, passfile, "demo plant", "10", NULL };
	int rc = libpq_load(err);
	if (rc != 0)
		return rc;
	PGconn *c = libpq.PQconnectdbParams(keys, values, 1);
	if (c == NULL || libpq.PQstatus(c) != CONNECTION_OK) {
		(void)fail(c, "connect to the demo historian", err); /* the code is set below */
		libpq_finish(c);
		if (err != NULL)
			err->code = ERR_UNREACHABLE;
		return -ERR_UNREACHABLE;
	}
	*out = c;
	return 0;
}

int demo_historian_connect(const struct demo_postgres *p, PGconn **out, struct err *err)
{
	return connect_to(demo_postgres_admin(p), DEMO_POSTGRES_DATABASE, demo_postgres_passfile(p),
		out, err);
}

/* First ms of the month of ${t_ms} and of the one after, and the table's name. */
static void month_of(int64_t t_ms, int64_t *from, int64_t *to, char name[DEMO_HISTORIAN_NAME_BYTES])
{
	time_t s = (time_t)(t_ms / 1000);
	struct tm tm;
	(void)gmtime_r(&s, &tm); /* any time of this era fits */
	(void)snprintf(name, DEMO_HISTORIAN_NAME_BYTES, "sqlt_data_1_%04u_%02u",
		(unsigned)(tm.tm_year + 1900) % 10000, (unsigned)(tm.tm_mon + 1) % 100);
	struct tm first = { .tm_year = tm.tm_year, .tm_mon = tm.tm_mon, .tm_mday = 1 };
	struct tm next = { .tm_year = tm.tm_year, .tm_mon = tm.tm_mon + 1, .tm_mday = 1 };
	*from = (int64_t)timegm(&first) * 1000;
	*to = (int64_t)timegm(&next) * 1000;
}

int demo_historian_partition(
	PGconn *c, int64_t t_ms, char name[DEMO_HISTORIAN_NAME_BYTES], struct err *err)
{
	int64_t from, to;
	char sql[DEMO_HISTORIAN_SQL_BYTES];
	month_of(t_ms, &from, &to, name);
	(void)snprintf(sql, sizeof(sql),
		"SET client_min_messages = warning; "
		"CREATE TABLE IF NOT EXISTS %s (tagid integer NOT NULL, intvalue bigint, "
		"floatvalue double precision, stringvalue varchar(255), datevalue timestamp, "
		"dataintegrity integer, t_stamp bigint NOT NULL, PRIMARY KEY (tagid, t_stamp)); "
		"CREATE INDEX IF NOT EXISTS %s_t_stamp ON %s (t_stamp); "
		"INSERT INTO sqlth_partitions SELECT '%s', 1, %" PRId64 ", %" PRId64 ", 0, 0 "
		"WHERE NOT EXISTS (SELECT FROM sqlth_partitions WHERE pname = '%s')",
		name, name, name, name, from, to, name); /* fits */
	return run(c, sql, "make a table of the demo historian", err);
}

static int make_role(const struct demo_postgres *p, PGconn *c, struct err *err)
{
	char secret[64];
	int rc = demo_postgres_password(
		demo_postgres_passfile(p), DEMO_POSTGRES_BACKUP, secret, sizeof(secret), err);
	if (rc != 0)
		return rc;
	/* hashed here, so that the password itself crosses no log */
	char *hashed =
		libpq.PQencryptPasswordConn(c, secret, DEMO_POSTGRES_BACKUP, "scram-sha-256");
	explicit_bzero(secret, sizeof(secret));
	if (hashed == NULL)
		return fail(c, "hash a password", err);
	char sql[DEMO_HISTORIAN_SQL_BYTES];
	(void)snprintf(sql, sizeof(sql),
		"CREATE ROLE " DEMO_POSTGRES_BACKUP " LOGIN REPLICATION PASSWORD '%s' "
		"IN ROLE pg_read_all_data",
		hashed); /* fits */
	libpq.PQfreemem(hashed);
	return run(c, sql, "make the backup's role", err);
}

static int make_tags(PGconn *c, int64_t created_ms, struct err *err)
{
	static const char *const areas[] = { "Mixing", "Reaction", "Filling", "Packing",
		"Utilities" };
	static const char *const kinds[] = { "Temperature/PV", "State", "Total" };
	int rc = run(c,
		"CREATE TABLE sqlth_te (id integer PRIMARY KEY, tagpath varchar(255), scid "
		"integer, "
		"datatype integer, querymode integer, created bigint, retired bigint); "
		"CREATE TABLE sqlth_partitions (pname varchar(255), drvid integer, "
		"start_time bigint, end_time bigint, blocksize integer, flags integer)",
		"make the tag tables", err);
	for (unsigned tag = 1; rc == 0 && tag <= DEMO_SIGNAL_TAGS; tag++) {
		struct demo_signal s;
		char sql[512];
		demo_signal_init(&s, 0, tag);
		(void)snprintf(sql, sizeof(sql),
			"INSERT INTO sqlth_te VALUES (%u, 'line3/%s/unit%02u/%s', 1, %d, 3, "
			"%" PRId64 ", NULL)",
			tag, areas[tag % 5], tag, kinds[s.kind],
			s.kind == DEMO_SIGNAL_DISCRETE ? 0 : 1, created_ms); /* fits */
		rc = run(c, sql, "describe a tag", err);
	}
	return rc;
}

/* ---- loading ---- */

struct load {
	PGconn *conn;
	char table[DEMO_HISTORIAN_NAME_BYTES]; /* a COPY into it is open; "" = none */
	int64_t from, to;                      /* its month */
	struct buf *lines;                     /* borrowed */
};

static int flush(struct load *l, struct err *err)
{
	if (l->lines->len > 0 &&
		libpq.PQputCopyData(l->conn, (const char *)l->lines->data, (int)l->lines->len) != 1)
		return fail(l->conn, "load samples", err);
	buf_clear(l->lines);
	return 0;
}

static int end_copy(struct load *l, struct err *err)
{
	if (l->table[0] == '\0')
		return 0;
	l->table[0] = '\0';
	int rc = flush(l, err);
	if (rc != 0)
		return rc;
	if (libpq.PQputCopyEnd(l->conn, NULL) != 1)
		return fail(l->conn, "load samples", err);
	PGresult *res;
	bool is_good = true;
	while ((res = libpq.PQgetResult(l->conn)) != NULL) {
		is_good = is_good && libpq.PQresultStatus(res) == PGRES_COMMAND_OK;
		libpq_clear(res);
	}
	return is_good ? 0 : fail(l->conn, "load samples", err);
}

/* See that a COPY into the table for ${t_ms} is open. */
static int turn_to(struct load *l, int64_t t_ms, struct err *err)
{
	if (l->table[0] != '\0' && t_ms >= l->from && t_ms < l->to)
		return 0;
	char name[DEMO_HISTORIAN_NAME_BYTES], sql[160];
	int rc = end_copy(l, err);
	if (rc == 0)
		rc = demo_historian_partition(l->conn, t_ms, name, err);
	if (rc != 0)
		return rc;
	(void)snprintf(sql, sizeof(sql),
		"COPY %s (tagid, intvalue, floatvalue, dataintegrity, t_stamp) FROM STDIN",
		name); /* fits */
	CLEANUP(libpq_clear_p) PGresult *res = libpq.PQexec(l->conn, sql);
	if (libpq.PQresultStatus(res) != PGRES_COPY_IN)
		return fail(l->conn, "load samples", err);
	month_of(t_ms, &l->from, &l->to, l->table);
	return 0;
}

static int add_sample(
	struct load *l, unsigned tag, struct demo_sample s, int64_t t_ms, struct err *err)
{
	int rc = turn_to(l, t_ms, err);
	if (rc != 0)
		return rc;
	if (s.is_float)
		rc = buf_addf(l->lines, err, "%u\t\\N\t%" PRId64 ".%02d\t%d\t%" PRId64 "\n", tag,
			s.value / 100, (int)llabs(s.value % 100), s.quality, t_ms);
	else
		rc = buf_addf(l->lines, err, "%u\t%" PRId64 "\t\\N\t%d\t%" PRId64 "\n", tag,
			s.value, s.quality, t_ms);
	if (rc == 0 && l->lines->len > DEMO_HISTORIAN_COPY_BYTES / 2)
		rc = flush(l, err);
	return rc;
}

/* Load ${scans} scans, the last at ${last_ms}, ${step_ms} apart; rows up to ${jitter_ms} earlier.
 */
static int load_scans(
	PGconn *c, uint64_t seed, unsigned scans, int64_t last_ms, int64_t step_ms, struct err *err)
{
	if (scans > DEMO_HISTORIAN_MAX_SCANS)
		return err_set(err, ERR_LIMIT, "more than %u scans", DEMO_HISTORIAN_MAX_SCANS);
	struct demo_signal signals[DEMO_SIGNAL_TAGS];
	struct demo_rng rng = demo_rng_of(seed, UINT64_C(1) << 32);
	for (unsigned tag = 0; tag < DEMO_SIGNAL_TAGS; tag++)
		demo_signal_init(&signals[tag], seed, tag + 1);
	CLEANUP(buf_done) struct buf lines = BUF_INIT(DEMO_HISTORIAN_COPY_BYTES);
	struct load l = { .conn = c, .lines = &lines };
	const bool has_jitter = step_ms > DEMO_HISTORIAN_JITTER_MS;
	int rc = run(c, "BEGIN", "load samples", err);
	for (unsigned i = 0; i < scans && rc == 0; i++) {
		int64_t t_ms = last_ms - (int64_t)(scans - 1 - i) * step_ms;
		for (unsigned tag = 0; tag < DEMO_SIGNAL_TAGS && rc == 0; tag++) {
			int64_t back = has_jitter && i + 1 < scans
					       ? demo_rng_below(&rng, DEMO_HISTORIAN_JITTER_MS)
					       : 0;
			rc = add_sample(
				&l, tag + 1, demo_signal_next(&signals[tag]), t_ms - back, err);
		}
	}
	if (rc == 0)
		rc = end_copy(&l, err);
	return rc == 0 ? run(c, "COMMIT", "load samples", err) : rc;
}

int demo_historian_fill(
	struct demo_postgres *p, uint64_t seed, unsigned scans, int64_t now_ms, struct err *err)
{
	CLEANUP(libpq_finish_p) PGconn *first = NULL;
	CLEANUP(libpq_finish_p) PGconn *c = NULL;
	int rc = connect_to(
		demo_postgres_admin(p), "postgres", demo_postgres_passfile(p), &first, err);
	if (rc == 0)
		rc = run(
			first, "CREATE DATABASE " DEMO_POSTGRES_DATABASE, "make the database", err);
	if (rc == 0)
		rc = demo_historian_connect(p, &c, err);
	if (rc == 0)
		rc = make_role(p, c, err);
	if (rc == 0)
		rc = make_tags(c, now_ms, err);
	if (rc == 0)
		rc = load_scans(c, seed, scans, now_ms, DEMO_HISTORIAN_SCAN_MS, err);
	return rc == 0 ? run(c, "ANALYZE", "analyze the tables", err) : rc;
}

/* The newest sample of all tables, or 0 when there is none. */
static int get_newest(PGconn *c, int64_t *out, struct err *err)
{
	CLEANUP(libpq_clear_p)
	PGresult *names = libpq.PQexec(c, "SELECT pname FROM sqlth_partitions ORDER BY start_time");
	if (libpq.PQresultStatus(names) != PGRES_TUPLES_OK)
		return fail(c, "list the tables", err);
	int64_t newest = 0;
	for (int i = 0; i < libpq.PQntuples(names); i++) {
		char sql[512];
		(void)snprintf(sql, sizeof(sql), "SELECT coalesce(max(t_stamp), 0) FROM %s",
			libpq.PQgetvalue(names, i, 0)); /* names made by month_of() */
		CLEANUP(libpq_clear_p) PGresult *res = libpq.PQexec(c, sql);
		if (libpq.PQresultStatus(res) != PGRES_TUPLES_OK)
			return fail(c, "find the newest sample", err);
		int64_t t = strtoll(libpq.PQgetvalue(res, 0, 0), NULL, 10);
		newest = t > newest ? t : newest;
	}
	*out = newest;
	return 0;
}

int demo_historian_append(
	struct demo_postgres *p, uint64_t seed, unsigned scans, int64_t now_ms, struct err *err)
{
	CLEANUP(libpq_finish_p) PGconn *c = NULL;
	int64_t newest = 0;
	if (scans == 0)
		return 0;
	int rc = demo_historian_connect(p, &c, err);
	if (rc == 0)
		rc = get_newest(c, &newest, err);
	if (rc != 0)
		return rc;
	int64_t step_ms = (now_ms - newest) / scans;
	if (step_ms < 1)
		step_ms = 1;
	if (step_ms > DEMO_HISTORIAN_JITTER_MS)
		step_ms = DEMO_HISTORIAN_JITTER_MS; /* a long pause is a gap, as in a plant */
	int64_t last_ms = newest + step_ms * scans;
	if (now_ms > last_ms)
		last_ms = now_ms;
	return load_scans(c, seed, scans, last_ms, step_ms, err);
}
