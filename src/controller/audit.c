#include "controller/audit.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "base/env.h"
#include "base/err.h"
#include "base/escape.h"
#include "controller/catalog_row.h"
#include "crypto/hash.h"
#include "db/db.h"

/*
 * INVARIANTS
 * (1) Numbers are 1, 2, 3 ..; prev is the hash of the record before, zeros for the first.
 * (2) hash = SHA-256("hf1/audit\0" || prev || u64 number || i64 at_ms || six texts, each u32 length
 *     and bytes): a changed, moved or missing record breaks the chain behind it.
 * (3) Texts are printable: what came from outside was escaped before it was hashed.
 */

#define MINUTE_MS 60000

static const char label[] = "hf1/audit"; /* with its 00 */

#define FIELD(member, kind, use) ROW_FIELD(struct audit_record, member, #member, kind, use)

static const struct catalog_row_field fields[] = {
	FIELD(number, ROW_INT, ROW_KEY),
	FIELD(at_ms, ROW_INT, ROW_FIXED),
	FIELD(who, ROW_TEXT, ROW_FIXED),
	FIELD(address, ROW_TEXT, ROW_FIXED),
	FIELD(action, ROW_TEXT, ROW_FIXED),
	FIELD(object, ROW_TEXT, ROW_FIXED),
	FIELD(outcome, ROW_TEXT, ROW_FIXED),
	FIELD(detail, ROW_TEXT, ROW_FIXED),
	FIELD(prev, ROW_BYTES, ROW_FIXED),
	FIELD(hash, ROW_BYTES, ROW_FIXED),
};

static const struct catalog_row row = { "audit", fields, sizeof(fields) / sizeof(fields[0]) };

static void hash_record(const struct audit_record *r, uint8_t out[HASH_BYTES])
{
	const char *const texts[] = { r->who, r->address, r->action, r->object, r->outcome,
		r->detail };
	uint8_t numbers[16], lens[6][4];
	struct hash_part parts[3 + 2 * 6] = { { label, sizeof(label) },
		{ r->prev, sizeof(r->prev) }, { numbers, sizeof(numbers) } };
	bytes_put64(numbers, (uint64_t)r->number);
	bytes_put64(numbers + 8, (uint64_t)r->at_ms);
	for (size_t i = 0; i < 6; i++) {
		bytes_put32(lens[i], (uint32_t)strlen(texts[i]));
		parts[3 + 2 * i] = (struct hash_part){ lens[i], sizeof(lens[i]) };
		parts[4 + 2 * i] = (struct hash_part){ texts[i], strlen(texts[i]) };
	}
	hash_parts(parts, sizeof(parts) / sizeof(parts[0]), out);
}

/* Number and prev of the next record. */
static int find_end(struct db *db, struct audit_record *next, struct err *err)
{
	char sql[CATALOG_ROW_SQL_BYTES];
	struct db_rows *rows = NULL;
	struct audit_record last;
	catalog_row_select(&row, "ORDER BY number DESC LIMIT 1", sql);
	int rc = db_query(db, sql, DB_NO_ARGS, &rows, err);
	if (rc != 0)
		return rc;
	rc = db_rows_next(rows, err);
	next->number = 1;
	if (rc == 1) {
		rc = catalog_row_read(rows, &row, &last, err);
		if (rc == 0) {
			next->number = last.number + 1;
			memcpy(next->prev, last.hash, sizeof(next->prev));
		}
	}
	db_rows_done(rows);
	return rc;
}

static void put_text(char *out, size_t size, const char *text)
{
	(void)escape_str(out, size, text != NULL ? text : ""); /* cut to the field */
}

int audit_add(struct db *db, const char *who, const char *address, const char *action,
	const char *object, const char *outcome, const char *detail, struct err *err)
{
	struct audit_record r = { .at_ms = env_now_ns() / 1000000 };
	put_text(r.who, sizeof(r.who), who);
	put_text(r.address, sizeof(r.address), address);
	put_text(r.action, sizeof(r.action), action);
	put_text(r.object, sizeof(r.object), object);
	put_text(r.outcome, sizeof(r.outcome), outcome);
	put_text(r.detail, sizeof(r.detail), detail);
	int rc = db_begin(db, err);
	if (rc != 0)
		return rc;
	rc = find_end(db, &r, err);
	if (rc == 0) {
		hash_record(&r, r.hash);
		rc = catalog_row_insert(db, &row, &r, err);
	}
	if (rc == 0)
		return db_commit(db, err);
	db_rollback(db);
	return err_wrap(err, "audit record of %s", action);
}

int audit_add_some(struct audit_some *s, struct db *db, const char *who, const char *address,
	const char *action, const char *object, const char *outcome, const char *detail,
	struct err *err)
{
	const int64_t now = env_now_ns() / 1000000;
	char text[sizeof(((struct audit_record *)NULL)->detail)];
	(void)snprintf(text, sizeof(text), "%s", detail); /* cut as the record would be */
	if (now - s->from_ms >= MINUTE_MS || now < s->from_ms) {
		if (s->count > AUDIT_SOME_A_MINUTE)
			(void)snprintf(text, sizeof(text),
				"%.300s; %lld more before this one were not written", detail,
				(long long)(s->count - AUDIT_SOME_A_MINUTE));
		s->from_ms = now;
		s->count = 0;
	}
	if (++s->count > AUDIT_SOME_A_MINUTE)
		return 0;
	return audit_add(db, who, address, action, object, outcome, text, err);
}

int audit_each(struct db *db, int64_t limit, int (*fn)(void *arg, const struct audit_record *r),
	void *arg, struct err *err)
{
	char sql[CATALOG_ROW_SQL_BYTES];
	struct db_rows *rows = NULL;
	catalog_row_select(&row, "ORDER BY number DESC LIMIT $1", sql);
	int rc = db_query(db, sql, DB_ARGS(db_int(limit > 0 ? limit : INT64_MAX)), &rows, err);
	if (rc != 0)
		return rc;
	while ((rc = db_rows_next(rows, err)) == 1) {
		struct audit_record r;
		rc = catalog_row_read(rows, &row, &r, err);
		if (rc == 0)
			rc = fn(arg, &r);
		if (rc != 0)
			break;
	}
	db_rows_done(rows);
	return rc;
}

/* The record that must follow ${before} (zeros: none). */
static int check_next(
	const struct audit_record *before, const struct audit_record *r, struct err *err)
{
	uint8_t hash[HASH_BYTES];
	if (r->number != before->number + 1)
		return err_set(err, ERR_CORRUPT, "audit record %lld is missing",
			(long long)before->number + 1);
	if (memcmp(r->prev, before->hash, sizeof(r->prev)) != 0)
		return err_set(err, ERR_CORRUPT,
			"audit record %lld does not follow the one before it",
			(long long)r->number);
	hash_record(r, hash);
	if (memcmp(r->hash, hash, sizeof(hash)) != 0)
		return err_set(
			err, ERR_CORRUPT, "audit record %lld was changed", (long long)r->number);
	return 0;
}

int audit_check(struct db *db, struct err *err)
{
	char sql[CATALOG_ROW_SQL_BYTES];
	struct db_rows *rows = NULL;
	struct audit_record before = { .number = 0 };
	catalog_row_select(&row, "ORDER BY number", sql);
	int rc = db_query(db, sql, DB_NO_ARGS, &rows, err);
	if (rc != 0)
		return rc;
	while ((rc = db_rows_next(rows, err)) == 1) {
		struct audit_record r;
		rc = catalog_row_read(rows, &row, &r, err);
		if (rc == 0)
			rc = check_next(&before, &r, err);
		if (rc != 0)
			break;
		before = r;
	}
	db_rows_done(rows);
	return rc;
}
