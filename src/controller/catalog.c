#include "controller/catalog.h"

#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "db/db.h"

/*
 * INVARIANTS
 * (1) A migration that was released never changes; what is new gets the next number.
 * (2) Only SQL that SQLite and PostgreSQL share.
 */

static const char first[] =
	"CREATE TABLE setting (key TEXT PRIMARY KEY, value DB_BLOB NOT NULL);"

	"CREATE TABLE agent (id TEXT PRIMARY KEY, name TEXT NOT NULL, role BIGINT NOT NULL,"
	" state BIGINT NOT NULL, version TEXT NOT NULL, csr TEXT NOT NULL,"
	" tls_key_hash DB_BLOB NOT NULL, next_key_hash DB_BLOB NOT NULL, ik DB_BLOB NOT NULL, "
	"delivery DB_BLOB NOT NULL,"
	" dk DB_BLOB NOT NULL, report DB_BLOB NOT NULL, fingerprint TEXT NOT NULL,"
	" drill_group TEXT NOT NULL, address TEXT NOT NULL, enrolled_ms BIGINT NOT NULL,"
	" approved_ms BIGINT NOT NULL, seen_ms BIGINT NOT NULL, clock_off_ms BIGINT NOT NULL,"
	" certificate_until_s BIGINT NOT NULL);"
	"CREATE UNIQUE INDEX agent_name ON agent (name) WHERE state <> 3;" /* 3: revoked */

	"CREATE TABLE agent_source (agent TEXT NOT NULL REFERENCES agent (id),"
	" place BIGINT NOT NULL, name TEXT NOT NULL, type TEXT NOT NULL,"
	" consistency TEXT NOT NULL, PRIMARY KEY (agent, name));"

	"CREATE TABLE token (hash DB_BLOB PRIMARY KEY, role BIGINT NOT NULL, name TEXT NOT NULL,"
	" drill_group TEXT NOT NULL, until_ms BIGINT NOT NULL, spent_ms BIGINT NOT NULL,"
	" agent TEXT NOT NULL, ik DB_BLOB NOT NULL);"

	"CREATE TABLE job (id TEXT PRIMARY KEY, verb BIGINT NOT NULL, state BIGINT NOT NULL,"
	" agent TEXT NOT NULL, source TEXT NOT NULL, schedule TEXT NOT NULL,"
	" person TEXT NOT NULL, reason TEXT NOT NULL, due_ms BIGINT NOT NULL,"
	" not_before_ms BIGINT NOT NULL, start_by_ms BIGINT NOT NULL,"
	" deadline_ms BIGINT NOT NULL, created_ms BIGINT NOT NULL, started_ms BIGINT NOT NULL,"
	" ended_ms BIGINT NOT NULL, retries BIGINT NOT NULL, retry_after_ms BIGINT NOT NULL,"
	" attempt BIGINT NOT NULL, lease_until_ms BIGINT NOT NULL, drill TEXT NOT NULL,"
	" at_attempt BIGINT NOT NULL, at_phase TEXT NOT NULL, at_files BIGINT NOT NULL,"
	" at_bytes BIGINT NOT NULL, at_read BIGINT NOT NULL, at_sent BIGINT NOT NULL,"
	" at_text TEXT NOT NULL, end_attempt BIGINT NOT NULL, end_code BIGINT NOT NULL,"
	" end_message TEXT NOT NULL, end_hint TEXT NOT NULL, end_warnings BIGINT NOT NULL,"
	" end_first_warning TEXT NOT NULL, end_snapshot TEXT NOT NULL,"
	" end_files BIGINT NOT NULL, end_dirs BIGINT NOT NULL, end_others BIGINT NOT NULL,"
	" end_bytes BIGINT NOT NULL, end_read BIGINT NOT NULL, end_sent BIGINT NOT NULL,"
	" end_records BIGINT NOT NULL, end_verdict TEXT NOT NULL);"
	"CREATE INDEX job_due ON job (due_ms);"
	"CREATE INDEX job_state ON job (state, due_ms);"

	"CREATE TABLE attempt (job TEXT NOT NULL REFERENCES job (id), number BIGINT NOT NULL,"
	" started_ms BIGINT NOT NULL, ended_ms BIGINT NOT NULL, outcome TEXT NOT NULL,"
	" reason TEXT NOT NULL, PRIMARY KEY (job, number));"

	"CREATE TABLE mark (schedule TEXT PRIMARY KEY, due_ms BIGINT NOT NULL);"

	"CREATE TABLE snapshot (hash DB_BLOB PRIMARY KEY, agent TEXT NOT NULL,"
	" source_id TEXT NOT NULL, source TEXT NOT NULL, host TEXT NOT NULL,"
	" seq BIGINT NOT NULL, receipt_ms BIGINT NOT NULL, start_ms BIGINT NOT NULL,"
	" end_ms BIGINT NOT NULL, raw_bytes BIGINT NOT NULL, files BIGINT NOT NULL,"
	" job TEXT NOT NULL);"
	"CREATE INDEX snapshot_source ON snapshot (source, receipt_ms);"
	"CREATE INDEX snapshot_receipt ON snapshot (receipt_ms);"

	"CREATE TABLE drill (exercise TEXT PRIMARY KEY, job TEXT NOT NULL, plan_id TEXT NOT NULL,"
	" plan_version BIGINT NOT NULL, plan_sha256 DB_BLOB NOT NULL, agent TEXT NOT NULL,"
	" declared_ms BIGINT NOT NULL, ended_ms BIGINT NOT NULL, verdict TEXT NOT NULL,"
	" sha256 DB_BLOB NOT NULL);"
	"CREATE INDEX drill_declared ON drill (declared_ms);"

	"CREATE TABLE audit (number BIGINT PRIMARY KEY, at_ms BIGINT NOT NULL, who TEXT NOT NULL,"
	" address TEXT NOT NULL, action TEXT NOT NULL, object TEXT NOT NULL,"
	" outcome TEXT NOT NULL, detail TEXT NOT NULL, prev DB_BLOB NOT NULL,"
	" hash DB_BLOB NOT NULL);"

	"CREATE TABLE person (hash DB_BLOB PRIMARY KEY, name TEXT NOT NULL, role BIGINT NOT NULL,"
	" made_ms BIGINT NOT NULL, until_ms BIGINT NOT NULL, used_ms BIGINT NOT NULL,"
	" revoked_ms BIGINT NOT NULL);"
	"CREATE UNIQUE INDEX person_name ON person (name) WHERE revoked_ms = 0";

static const struct db_migration migrations[] = {
	{ .number = 1, .sql = first },
};

static const char *const tables[] = { "setting", "agent", "agent_source", "token", "job", "attempt",
	"mark", "snapshot", "drill", "audit", "person" };

/* A file can be sound and yet not be all of a catalog. */
static int check_tables(struct db *db, struct err *err)
{
	char sql[64];
	for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
		(void)snprintf(sql, sizeof(sql), "SELECT 1 FROM %s LIMIT 0", tables[i]); /* fits */
		if (db_run(db, sql, DB_NO_ARGS, NULL, NULL) == 0)
			continue;
		(void)err_set(err, ERR_CORRUPT, "the catalog is damaged: no table '%s' to be read",
			tables[i]);
		return err_hint(err, "stop the controller and run 'holdfast catalog rebuild', or "
				     "put back a copy of it");
	}
	return 0;
}

int catalog_open(struct db *db, struct err *err)
{
	int rc = db_migrate(db, migrations, sizeof(migrations) / sizeof(migrations[0]), err);
	return rc == 0 ? check_tables(db, err) : rc;
}

int catalog_get(struct db *db, const char *key, struct buf *out, struct err *err)
{
	struct db_rows *r = NULL;
	int rc = db_query(
		db, "SELECT value FROM setting WHERE key = $1", DB_ARGS(db_text(key)), &r, err);
	if (rc != 0)
		return rc;
	rc = db_rows_next(r, err);
	if (rc == 1) {
		size_t len = 0;
		const void *data = db_rows_bytes(r, 0, &len);
		rc = len > 0 ? buf_add(out, data, len, err) : 0;
	} else if (rc == 0) {
		rc = err_set(err, ERR_NOT_FOUND, "no setting '%s' in the catalog", key);
	}
	db_rows_done(r);
	return rc;
}

int catalog_set(struct db *db, const char *key, const void *data, size_t len, struct err *err)
{
	return db_run(db,
		"INSERT INTO setting (key, value) VALUES ($1, $2)"
		" ON CONFLICT (key) DO UPDATE SET value = excluded.value",
		DB_ARGS(db_text(key), db_bytes(data, len)), NULL, err);
}
