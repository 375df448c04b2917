/*
 * s3_cred: who we are to the object store, from where such things lie: a file that the vault's
 * place names, the environment, a web identity, the shared credentials file (with the program it
 * may name), the metadata of the host.  Refreshed in time.  Nothing of it reaches a log or a text.
 * Threading: one thread at a time per struct s3_cred.
 */
#ifndef STORE_S3_S3_CRED_H
#define STORE_S3_S3_CRED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;
struct s3_cred;

#define S3_CRED_RENEW_NS (INT64_C(300) * 1000000000) /* before they expire */
#define S3_CRED_MAX_BYTES ((size_t)64 << 10)         /* of a file or an answer */

/* Strings are owned; wiped by s3_cred_key_done(). */
struct s3_cred_key {
	char *access, *secret;
	char *token;        /* session token, or NULL */
	int64_t expires_ns; /* wall clock; 0 = never */
};

void s3_cred_key_done(struct s3_cred_key *k);

struct s3_cred_opts {
	const char *profile;     /* NULL = AWS_PROFILE, else "default"; copied, as the next */
	const char *credentials; /* a file, "imds", or NULL = look around */
	bool may_ask_host;       /* the metadata service of the host, unasked */
};

/* Nothing is looked for yet.  Return 0 or -ERR_NOMEM. */
int s3_cred_new(const struct s3_cred_opts *opts, struct s3_cred **out, struct err *err);
void s3_cred_free(struct s3_cred *c);

/**
 * s3_cred_get(c, fresh, out, err):
 * Borrow the key until the next call.  It is fetched again when it expires within S3_CRED_RENEW_NS,
 * or when ${fresh} (the server calls the one at hand too old); an old one that still holds does
 * when that fails.  Return 0, -ERR_AUTH (none to be found: says where it looked) or -ERR_CONFIG (a
 * file or program that is no good).
 */
int s3_cred_get(struct s3_cred *c, bool fresh, const struct s3_cred_key **out, struct err *err);

/* Where the key came from, for a person: "environment"; "" before the first get. */
const char *s3_cred_source(const struct s3_cred *c);

/* For the parts of this file: a key from JSON as programs and services write it (Token or
 * SessionToken, Expiration).  Return 0 or -ERR_CONFIG; no text quotes the JSON. */
int s3_cred_from_json(const void *data, size_t len, struct s3_cred_key *out, struct err *err);
/* Copy three texts (${token} may be NULL).  Return 0 or -ERR_NOMEM. */
int s3_cred_key_set(struct s3_cred_key *k, const char *access, const char *secret,
	const char *token, struct err *err);
/* "2026-11-27T02:00:00Z" to wall clock ns, at most INT64_MAX; 0 when it is no such time. */
int64_t s3_cred_time(const char *text);

#endif
