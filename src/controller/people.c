#include "controller/people.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/env.h"
#include "base/err.h"
#include "codec/text.h"
#include "controller/catalog_row.h"
#include "crypto/hash.h"
#include "crypto/secret.h"
#include "db/db.h"

/*
 * INVARIANTS
 * (1) A token's text is known to its holder alone; the catalog finds it by its SHA-256.  It is
 *     random, so neither salt nor slow hash is needed, and a lookup tells nothing by its time.
 */

#define SECRET_BYTES 20
#define USED_EVERY_MS 60000 /* how exactly the last use is kept: it costs a write */

static const char prefix[] = "hfp-";

static const struct {
	enum people_role role;
	const char *name;
} roles[] = {
	{ PEOPLE_VIEWER, "viewer" },
	{ PEOPLE_AUDITOR, "auditor" },
	{ PEOPLE_OPERATOR, "operator" },
	{ PEOPLE_APPROVER, "approver" },
	{ PEOPLE_OFFICER, "officer" },
};
#define ROLES (sizeof(roles) / sizeof(roles[0]))

/* as a row: the token and its hash */
struct person {
	uint8_t hash[HASH_BYTES];
	struct people_token t;
};

#define FIELD(member, use, kind) ROW_FIELD(struct person, t.member, #member, kind, use)

static const struct catalog_row_field fields[] = {
	ROW_FIELD(struct person, hash, "hash", ROW_BYTES, ROW_KEY),
	FIELD(name, ROW_FIXED, ROW_TEXT),
	FIELD(role, ROW_FIXED, ROW_ENUM),
	FIELD(made_ms, ROW_FIXED, ROW_INT),
	FIELD(until_ms, ROW_FIXED, ROW_INT),
	FIELD(used_ms, ROW_VALUE, ROW_INT),
	FIELD(revoked_ms, ROW_VALUE, ROW_INT),
};

static const struct catalog_row row = { "person", fields, sizeof(fields) / sizeof(fields[0]) };

const char *people_role_name(enum people_role r)
{
	for (size_t i = 0; i < ROLES; i++) {
		if (roles[i].role == r)
			return roles[i].name;
	}
	return "?";
}

enum people_role people_role_of(const char *word)
{
	for (size_t i = 0; i < ROLES; i++) {
		if (strcmp(roles[i].name, word) == 0)
			return roles[i].role;
	}
	return 0;
}

int people_may(enum people_role r, enum people_role need)
{
	/* the auditor stands below the operator, and so runs nothing */
	return r >= PEOPLE_VIEWER && r <= PEOPLE_OFFICER && need >= PEOPLE_VIEWER && r >= need;
}

static int make_text(char text[PEOPLE_TOKEN_TEXT_BYTES], struct err *err)
{
	uint8_t secret[SECRET_BYTES];
	CLEANUP(buf_wipe) struct buf b = BUF_INIT(PEOPLE_TOKEN_TEXT_BYTES);
	int rc = env_random(secret, sizeof(secret), err);
	if (rc == 0)
		rc = buf_add(&b, prefix, sizeof(prefix) - 1, err);
	if (rc == 0)
		rc = text_base32(secret, sizeof(secret), &b, err);
	secret_wipe(secret, sizeof(secret));
	if (rc == 0) {
		memcpy(text, b.data, b.len);
		text[b.len] = '\0';
	}
	return rc;
}

int people_add(struct db *db, const struct people_token *t, char text[PEOPLE_TOKEN_TEXT_BYTES],
	struct err *err)
{
	if (!msg_enrol_is_name(t->name)) {
		(void)err_set(err, ERR_USAGE, "'%s' is no name for a person", t->name);
		return err_hint(err, "begin with a-z or 0-9, then also . _ -, at most %d",
			MSG_NAME_BYTES - 1);
	}
	if (t->role < PEOPLE_VIEWER || t->role > PEOPLE_OFFICER)
		return err_set(err, ERR_USAGE, "no such role");
	struct person p = { .t = *t };
	char made[PEOPLE_TOKEN_TEXT_BYTES];
	p.t.used_ms = 0;
	p.t.revoked_ms = 0;
	if (p.t.made_ms == 0)
		p.t.made_ms = env_now_ns() / 1000000;
	int rc = make_text(made, err);
	if (rc != 0)
		return rc;
	hash_sha256(made, strlen(made), p.hash);
	rc = catalog_row_insert(db, &row, &p, err);
	if (rc == -ERR_EXISTS) {
		(void)err_set(err, ERR_EXISTS, "'%s' has a token already", t->name);
		(void)err_hint(err, "revoke it first, or take another name");
	}
	if (rc == 0)
		memcpy(text, made, sizeof(made));
	secret_wipe(made, sizeof(made));
	return rc;
}

int people_find(
	struct db *db, const char *text, int64_t now_ms, struct people_token *out, struct err *err)
{
	struct person p = { .t.role = 0 };
	hash_sha256(text, strlen(text), p.hash);
	int rc = catalog_row_get(db, &row, &p, err);
	if (rc == 0 && (p.t.role < PEOPLE_VIEWER || p.t.role > PEOPLE_OFFICER))
		return err_set(err, ERR_CORRUPT, "catalog has a person with a wrong role");
	if (rc == -ERR_NOT_FOUND ||
		(rc == 0 &&
			(p.t.revoked_ms != 0 || (p.t.until_ms != 0 && now_ms >= p.t.until_ms)))) {
		(void)err_set(err, ERR_AUTH, "token is unknown, revoked or past its time");
		return err_hint(err, "ask an officer for a new one");
	}
	if (rc != 0)
		return rc;
	*out = p.t;
	if (now_ms - p.t.used_ms >= USED_EVERY_MS || now_ms < p.t.used_ms) {
		p.t.used_ms = now_ms;
		(void)catalog_row_update(db, &row, &p, NULL); /* a full disk locks nobody out */
	}
	return 0;
}

int people_revoke(struct db *db, const char *name, int64_t now_ms, struct err *err)
{
	int64_t changed = 0;
	int rc = db_run(db, "UPDATE person SET revoked_ms = $1 WHERE name = $2 AND revoked_ms = 0",
		DB_ARGS(db_int(now_ms > 0 ? now_ms : 1), db_text(name)), &changed, err);
	if (rc == 0 && changed == 0)
		rc = err_set(err, ERR_NOT_FOUND, "'%s' has no token", name);
	return rc;
}

int people_each(struct db *db, int (*fn)(void *arg, const struct people_token *t), void *arg,
	struct err *err)
{
	CLEANUP(buf_done) struct buf keys = BUF_INIT(CATALOG_ROW_MAX_KEYS);
	struct person p = { .t.role = 0 };
	size_t at = 0;
	int rc = catalog_row_keys(
		db, &row, "ORDER BY revoked_ms = 0 DESC, name, made_ms", DB_NO_ARGS, &keys, err);
	while (rc == 0 && (rc = catalog_row_next(db, &row, &keys, &at, &p, err)) == 1)
		rc = fn(arg, &p.t);
	return rc;
}
