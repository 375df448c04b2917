#include "controller/catalog_snapshot.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "controller/catalog_row.h"
#include "db/db.h"

/*
 * INVARIANTS
 * (1) The vault says what a snapshot is: a row is written once; only the job, which the vault does
 *     not know, may be filled in later.
 */

#define FIELD(member, kind, use) ROW_FIELD(struct catalog_snapshot, member, #member, kind, use)

static const struct catalog_row_field fields[] = {
	FIELD(hash, ROW_BYTES, ROW_KEY),
	ROW_FIELD(struct catalog_snapshot, agent_id, "agent", ROW_ID, ROW_FIXED),
	FIELD(source_id, ROW_ID, ROW_FIXED),
	FIELD(source, ROW_TEXT, ROW_FIXED),
	FIELD(host, ROW_TEXT, ROW_FIXED),
	FIELD(seq, ROW_INT, ROW_FIXED),
	FIELD(receipt_ms, ROW_INT, ROW_FIXED),
	FIELD(start_ms, ROW_INT, ROW_FIXED),
	FIELD(end_ms, ROW_INT, ROW_FIXED),
	FIELD(raw_bytes, ROW_INT, ROW_FIXED),
	FIELD(files, ROW_INT, ROW_FIXED),
	FIELD(job, ROW_TEXT, ROW_VALUE),
};

static const struct catalog_row row = { "snapshot", fields, sizeof(fields) / sizeof(fields[0]) };

static int add(struct db *db, const struct catalog_snapshot *s, struct err *err)
{
	struct catalog_snapshot known = *s;
	struct err why = ERR_INIT;
	int rc = catalog_row_get(db, &row, &known, &why);
	if (rc == -ERR_NOT_FOUND)
		return catalog_row_insert(db, &row, s, err);
	if (rc != 0) {
		if (err != NULL)
			*err = why;
		return rc;
	}
	if (known.job[0] != '\0' || s->job[0] == '\0')
		return 0;
	return catalog_row_update(db, &row, s, err);
}

int catalog_snapshot_add(struct db *db, const struct catalog_snapshot *s, struct err *err)
{
	int rc = db_begin(db, err);
	if (rc != 0)
		return rc;
	rc = add(db, s, err);
	if (rc == 0)
		return db_commit(db, err);
	db_rollback(db);
	return rc;
}

int catalog_snapshot_each(struct db *db, const char *source, int64_t limit,
	int (*fn)(void *arg, const struct catalog_snapshot *s), void *arg, struct err *err)
{
	CLEANUP(buf_done) struct buf keys = BUF_INIT(CATALOG_ROW_MAX_KEYS);
	struct catalog_snapshot s = { .seq = 0 };
	size_t at = 0;
	const int64_t most = limit > 0 ? limit : INT64_MAX;
	int rc = source != NULL
			 ? catalog_row_keys(db, &row,
				   "WHERE source = $1 ORDER BY receipt_ms DESC, seq DESC LIMIT $2",
				   DB_ARGS(db_text(source), db_int(most)), &keys, err)
			 : catalog_row_keys(db, &row, "ORDER BY receipt_ms DESC, seq DESC LIMIT $1",
				   DB_ARGS(db_int(most)), &keys, err);
	while (rc == 0 && (rc = catalog_row_next(db, &row, &keys, &at, &s, err)) == 1)
		rc = fn(arg, &s);
	return rc;
}

int catalog_snapshot_remove(struct db *db, const uint8_t hash[32], struct err *err)
{
	return db_run(
		db, "DELETE FROM snapshot WHERE hash = $1", DB_ARGS(db_bytes(hash, 32)), NULL, err);
}

int catalog_snapshot_clear(struct db *db, struct err *err)
{
	return db_run(db, "DELETE FROM snapshot", DB_NO_ARGS, NULL, err);
}
