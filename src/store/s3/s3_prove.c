#include "store/s3/s3_prove.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/env.h"
#include "base/err.h"
#include "store/s3/s3_lock.h"
#include "store/s3/s3_put.h"
#include "store/s3/s3_wire.h"

/*
 * INVARIANTS
 * (1) Kept is said only after the canary was read back, by its version, when all was tried.
 */

#define CANARY "this canary is to outlive whoever holds the key"
#define RUBBISH "overwritten"
#define TEXT_BYTES 256

struct trial {
	struct s3_wire *wire;
	char *key;                           /* owned */
	char version[S3_WIRE_VERSION_BYTES]; /* of the canary; "" = the bucket keeps none */
	const struct store_lock *lock;
	store_fact_fn fn;
	void *arg;
};

/* As an object of the vault is put. */
static int put_canary(struct trial *t, struct err *err)
{
	struct s3_put p;
	int64_t now = s3_wire_now_ns(t->wire);
	int64_t until = store_lock_until(t->lock, now);
	s3_put_init(&p, t->key, CANARY, strlen(CANARY), false);
	s3_put_lock(
		&p, t->lock->mode, until - now > S3_PROVE_LOCK_NS ? now + S3_PROVE_LOCK_NS : until);
	s3_put_over(&p);
	int rc = s3_wire_run(t->wire, &p.call, err);
	if (rc == 0)
		memcpy(t->version, p.call.version, sizeof(t->version));
	return rc;
}

static int put_rubbish(struct trial *t, struct err *err)
{
	struct s3_wire_call call = {
		.method = S3_WIRE_PUT, .key = t->key, .body = RUBBISH, .len = strlen(RUBBISH)
	};
	return s3_wire_run(t->wire, &call, err);
}

/* Read the canary's own version; ${call} has what came of it. */
static int look(struct trial *t, struct s3_wire_call *call, struct err *err)
{
	*call = (struct s3_wire_call){ .method = S3_WIRE_GET,
		.key = t->key,
		.query = { { "versionId", t->version } },
		.query_count = t->version[0] == '\0' ? 0 : 1,
		.is_compared = true,
		.body = CANARY,
		.len = strlen(CANARY) };
	return s3_wire_run(t->wire, call, err);
}

static int tell(struct trial *t, const char *what, int rc, const struct err *why)
{
	char text[TEXT_BYTES];
	if (rc == 0)
		return t->fn(t->arg, what, "done");
	(void)snprintf(text, sizeof(text), "refused: %.200s", why->msg); /* fits */
	return t->fn(t->arg, what, text);
}

static int tell_lock(struct trial *t, const struct s3_wire_call *seen)
{
	char text[TEXT_BYTES] = "none";
	if (seen->lock_mode[0] != '\0')
		(void)snprintf(text, sizeof(text), "%s until %s", seen->lock_mode,
			seen->lock_until); /* fits */
	return t->fn(t->arg, "lock", text);
}

static int try_delete(struct trial *t, const char *what, const char *version)
{
	struct err why = ERR_INIT;
	struct s3_wire_call call = { .method = S3_WIRE_DELETE,
		.key = t->key,
		.query = { { "versionId", version } },
		.query_count = version == NULL ? 0 : 1 };
	int rc = s3_wire_run(t->wire, &call, &why);
	return tell(t, what, rc, &why);
}

/* As if the lock ended in a minute. */
static int try_shorten(struct trial *t)
{
	char body[S3_LOCK_BODY_BYTES];
	struct err why = ERR_INIT;
	(void)s3_lock_body(
		STORE_LOCK_GOVERNANCE, s3_wire_now_ns(t->wire) + INT64_C(60) * 1000000000, body);
	struct s3_wire_call call = { .method = S3_WIRE_PUT,
		.key = t->key,
		.query = { { "retention", NULL }, { "versionId", t->version } },
		.query_count = 2,
		.body = body,
		.len = strlen(body) };
	int rc = s3_wire_run(t->wire, &call, &why);
	return tell(t, "shortened", rc, &why);
}

static int attack(struct trial *t, const struct s3_wire_call *seen)
{
	struct err why = ERR_INIT;
	int rc = put_rubbish(t, &why);
	rc = tell(t, "overwritten", rc, &why);
	if (rc == 0)
		rc = try_delete(t, "deleted", NULL);
	if (rc == 0 && seen->lock_mode[0] != '\0')
		rc = try_shorten(t);
	if (rc == 0 && t->version[0] != '\0')
		rc = try_delete(t, "version deleted", t->version);
	return rc;
}

int s3_prove(struct s3_wire *w, const char *prefix, const struct store_lock *lock, store_fact_fn fn,
	void *arg, bool *is_kept, struct err *err)
{
	struct trial t = { .wire = w, .lock = lock, .fn = fn, .arg = arg };
	struct s3_wire_call seen;
	uint64_t random = 0;
	int rc = env_random(&random, sizeof(random), err);
	if (rc == 0 &&
		asprintf(&t.key, "%stmp/canary-%016llx", prefix, (unsigned long long)random) < 0)
		rc = err_set(err, ERR_NOMEM, "out of memory");
	if (rc != 0)
		return rc;
	rc = put_canary(&t, err);
	if (rc == 0)
		rc = look(&t, &seen, err);
	if (rc == 0)
		rc = tell_lock(&t, &seen);
	if (rc == 0)
		rc = attack(&t, &seen);
	if (rc == 0) {
		struct err why = ERR_INIT;
		int read = look(&t, &seen, &why);
		*is_kept = read == 0 && seen.is_same;
		rc = fn(arg, "read back", *is_kept ? "whole" : read == 0 ? "other bytes" : why.msg);
	}
	free(t.key);
	return rc;
}
