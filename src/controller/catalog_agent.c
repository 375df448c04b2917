#include "controller/catalog_agent.h"

#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "codec/text.h"
#include "controller/catalog_row.h"
#include "db/db.h"

/*
 * INVARIANTS
 * (1) A name belongs to at most one agent that is not revoked (unique index agent_name).
 * (2) A token is spent once: the update names only a row that is not.
 */

#define ID_HEX 33

#define FIELD(member, kind, use) ROW_FIELD(struct catalog_agent, member, #member, kind, use)

static const struct catalog_row_field agent_fields[] = {
	FIELD(id, ROW_ID, ROW_KEY),
	FIELD(name, ROW_TEXT, ROW_VALUE),
	FIELD(role, ROW_ENUM, ROW_VALUE),
	FIELD(state, ROW_ENUM, ROW_VALUE),
	FIELD(version, ROW_TEXT, ROW_VALUE),
	FIELD(csr, ROW_TEXT, ROW_VALUE),
	FIELD(tls_key_hash, ROW_BYTES, ROW_VALUE),
	FIELD(next_key_hash, ROW_BYTES, ROW_VALUE),
	FIELD(ik, ROW_BYTES, ROW_VALUE),
	FIELD(delivery, ROW_BYTES, ROW_VALUE),
	FIELD(dk, ROW_BYTES, ROW_VALUE),
	FIELD(report, ROW_BYTES, ROW_VALUE),
	FIELD(fingerprint, ROW_TEXT, ROW_VALUE),
	ROW_FIELD(struct catalog_agent, group, "drill_group", ROW_TEXT, ROW_VALUE),
	FIELD(address, ROW_TEXT, ROW_VALUE),
	FIELD(enrolled_ms, ROW_INT, ROW_VALUE),
	FIELD(approved_ms, ROW_INT, ROW_VALUE),
	FIELD(seen_ms, ROW_INT, ROW_VALUE),
	FIELD(clock_off_ms, ROW_INT, ROW_VALUE),
	FIELD(certificate_until_s, ROW_INT, ROW_VALUE),
};

static const struct catalog_row agent_row = { "agent", agent_fields,
	sizeof(agent_fields) / sizeof(agent_fields[0]) };

static const struct catalog_row_field token_fields[] = {
	ROW_FIELD(struct catalog_token, hash, "hash", ROW_BYTES, ROW_KEY),
	ROW_FIELD(struct catalog_token, role, "role", ROW_ENUM, ROW_FIXED),
	ROW_FIELD(struct catalog_token, name, "name", ROW_TEXT, ROW_FIXED),
	ROW_FIELD(struct catalog_token, group, "drill_group", ROW_TEXT, ROW_FIXED),
	ROW_FIELD(struct catalog_token, until_ms, "until_ms", ROW_INT, ROW_FIXED),
	ROW_FIELD(struct catalog_token, spent_ms, "spent_ms", ROW_INT, ROW_FIXED),
	ROW_FIELD(struct catalog_token, agent_id, "agent", ROW_ID, ROW_FIXED),
	ROW_FIELD(struct catalog_token, key, "ik", ROW_BYTES, ROW_FIXED),
};

static const struct catalog_row token_row = { "token", token_fields,
	sizeof(token_fields) / sizeof(token_fields[0]) };

const char *catalog_agent_state_name(enum catalog_agent_state s)
{
	switch (s) {
	case AGENT_PENDING:
		return "pending";
	case AGENT_ACTIVE:
		return "active";
	case AGENT_REVOKED:
		return "revoked";
	}
	return "?";
}

int catalog_agent_add(struct db *db, const struct catalog_agent *a, struct err *err)
{
	int rc = catalog_row_insert(db, &agent_row, a, err);
	if (rc == -ERR_EXISTS)
		rc = err_set(err, ERR_EXISTS, "there is an agent '%s' already", a->name);
	return rc;
}

int catalog_agent_get(
	struct db *db, const uint8_t id[16], struct catalog_agent *out, struct err *err)
{
	struct catalog_agent a = { .role = 0 };
	char hex[ID_HEX];
	memcpy(a.id, id, sizeof(a.id));
	int rc = catalog_row_get(db, &agent_row, &a, err);
	if (rc == -ERR_NOT_FOUND) {
		text_hex(id, 16, hex);
		return err_set(err, ERR_NOT_FOUND, "no agent with id %s", hex);
	}
	if (rc == 0)
		*out = a;
	return rc;
}

/* Return 1 and the id when an agent has ${name}, 0 when none has.  Of several, the one that is not
 * revoked, else the newest. */
static int find_name(struct db *db, const char *name, uint8_t id[16], struct err *err)
{
	CLEANUP(buf_done) struct buf keys = BUF_INIT(CATALOG_ROW_MAX_KEYS);
	int rc = catalog_row_keys(db, &agent_row,
		"WHERE name = $1 ORDER BY CASE WHEN state <> $2 THEN 0 ELSE 1 END, "
		"enrolled_ms DESC LIMIT 1",
		DB_ARGS(db_text(name), db_int(AGENT_REVOKED)), &keys, err);
	if (rc != 0 || keys.len == 0)
		return rc;
	memcpy(id, keys.data, 16);
	return 1;
}

int catalog_agent_find(struct db *db, const char *name, struct catalog_agent *out, struct err *err)
{
	uint8_t id[16];
	char hex[ID_HEX];
	int rc = find_name(db, name, id, err);
	if (rc == 1)
		return catalog_agent_get(db, id, out, err);
	if (rc < 0)
		return rc;
	/* a name that is too short to be a prefix is one that nobody has */
	rc = strlen(name) < 4 ? -ERR_NOT_FOUND
			      : catalog_row_find(db, "agent", "id", name, hex, sizeof(hex), err);
	if (rc == -ERR_NOT_FOUND) {
		/* a schedule's reason is this text alone: it says where to look, too */
		return err_set(err, ERR_NOT_FOUND,
			"there is no agent '%s': 'holdfast agent list' shows those there are",
			name);
	}
	if (rc == 0 && text_unhex(hex, 16, id) != 0)
		rc = err_set(err, ERR_CORRUPT, "catalog has an agent with a wrong id");
	return rc != 0 ? rc : catalog_agent_get(db, id, out, err);
}

int catalog_agent_set(struct db *db, const struct catalog_agent *a, struct err *err)
{
	int rc = catalog_row_update(db, &agent_row, a, err);
	if (rc == -ERR_EXISTS)
		rc = err_set(err, ERR_EXISTS, "there is an agent '%s' already", a->name);
	return rc;
}

int catalog_agent_seen(
	struct db *db, const uint8_t id[16], int64_t now_ms, const char *address, struct err *err)
{
	char hex[ID_HEX];
	int64_t changed = 0;
	text_hex(id, 16, hex);
	int rc = db_run(db, "UPDATE agent SET seen_ms = $1, address = $2 WHERE id = $3",
		DB_ARGS(db_int(now_ms), db_text(address != NULL ? address : ""), db_text(hex)),
		&changed, err);
	if (rc == 0 && changed == 0)
		rc = err_set(err, ERR_NOT_FOUND, "no agent with id %s", hex);
	return rc;
}

int catalog_agent_each(struct db *db, int (*fn)(void *arg, const struct catalog_agent *a),
	void *arg, struct err *err)
{
	CLEANUP(buf_done) struct buf keys = BUF_INIT(CATALOG_ROW_MAX_KEYS);
	struct catalog_agent a = { .role = 0 };
	size_t at = 0;
	int rc = catalog_row_keys(db, &agent_row, "ORDER BY name, id", DB_NO_ARGS, &keys, err);
	while (rc == 0 && (rc = catalog_row_next(db, &agent_row, &keys, &at, &a, err)) == 1)
		rc = fn(arg, &a);
	return rc;
}

int catalog_agent_in_state(
	struct db *db, enum catalog_agent_state state, struct buf *out, struct err *err)
{
	return catalog_row_keys(
		db, &agent_row, "WHERE state = $1 ORDER BY id", DB_ARGS(db_int(state)), out, err);
}

/* ---- sources ----------------------------------------------------------------------------------
 */

static int put_sources(struct db *db, const char *agent, const struct msg_source *sources,
	size_t count, struct err *err)
{
	int rc = db_run(db, "DELETE FROM agent_source WHERE agent = $1", DB_ARGS(db_text(agent)),
		NULL, err);
	for (size_t i = 0; rc == 0 && i < count; i++) {
		const struct msg_source *s = &sources[i];
		rc = db_run(db,
			"INSERT INTO agent_source (agent, place, name, type, consistency)"
			" VALUES ($1, $2, $3, $4, $5)",
			DB_ARGS(db_text(agent), db_int((int64_t)i), db_text(s->name),
				db_text(s->type), db_text(s->consistency)),
			NULL, err);
		if (rc == -ERR_EXISTS)
			rc = err_set(err, ERR_EXISTS, "source '%s' is there twice", s->name);
	}
	return rc;
}

int catalog_agent_set_sources(struct db *db, const uint8_t id[16], const struct msg_source *sources,
	size_t count, struct err *err)
{
	char hex[ID_HEX];
	text_hex(id, 16, hex);
	int rc = db_begin(db, err);
	if (rc != 0)
		return rc;
	rc = put_sources(db, hex, sources, count, err);
	if (rc == 0)
		return db_commit(db, err);
	db_rollback(db);
	return rc;
}

int catalog_agent_each_source(struct db *db, const uint8_t id[16],
	int (*fn)(void *arg, const struct msg_source *s), void *arg, struct err *err)
{
	static const struct catalog_row_field fields[] = {
		ROW_FIELD(struct msg_source, name, "name", ROW_TEXT, ROW_KEY),
		ROW_FIELD(struct msg_source, type, "type", ROW_TEXT, ROW_VALUE),
		ROW_FIELD(struct msg_source, consistency, "consistency", ROW_TEXT, ROW_VALUE),
	};
	static const struct catalog_row row = { "agent_source", fields, 3 };
	char sql[CATALOG_ROW_SQL_BYTES];
	char hex[ID_HEX];
	struct db_rows *r = NULL;
	text_hex(id, 16, hex);
	catalog_row_select(&row, "WHERE agent = $1 ORDER BY place", sql);
	int rc = db_query(db, sql, DB_ARGS(db_text(hex)), &r, err);
	if (rc != 0)
		return rc;
	while ((rc = db_rows_next(r, err)) == 1) {
		struct msg_source s;
		rc = catalog_row_read(r, &row, &s, err);
		if (rc == 0)
			rc = fn(arg, &s);
		if (rc != 0)
			break;
	}
	db_rows_done(r);
	return rc;
}

/* ---- tokens -----------------------------------------------------------------------------------
 */

int catalog_agent_token_add(struct db *db, const struct catalog_token *t, struct err *err)
{
	return catalog_row_insert(db, &token_row, t, err);
}

int catalog_agent_token_get(
	struct db *db, const uint8_t hash[32], struct catalog_token *out, struct err *err)
{
	struct catalog_token t = { .role = 0 };
	memcpy(t.hash, hash, sizeof(t.hash));
	int rc = catalog_row_get(db, &token_row, &t, err);
	if (rc == -ERR_NOT_FOUND)
		return err_set(err, ERR_NOT_FOUND, "no such enrolment token");
	if (rc == 0)
		*out = t;
	return rc;
}

int catalog_agent_token_spend(struct db *db, const uint8_t hash[32], int64_t now_ms,
	const uint8_t agent_id[16], const uint8_t key[32], struct err *err)
{
	char hex[ID_HEX];
	int64_t changed = 0;
	text_hex(agent_id, 16, hex);
	int rc = db_run(db,
		"UPDATE token SET spent_ms = $1, agent = $2, ik = $3"
		" WHERE hash = $4 AND spent_ms = 0",
		DB_ARGS(db_int(now_ms), db_text(hex), db_bytes(key, 32), db_bytes(hash, 32)),
		&changed, err);
	if (rc == 0 && changed == 0)
		rc = err_set(err, ERR_EXISTS, "enrolment token is spent or unknown");
	return rc;
}
