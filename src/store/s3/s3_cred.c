#include "store/s3/s3_cred.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/env.h"
#include "base/err.h"
#include "codec/jsonx.h"
#include "crypto/secret.h"
#include "store/s3/s3_cred_file.h"
#include "store/s3/s3_cred_http.h"

/*
 * INVARIANTS
 * (1) key is whole or all NULL.
 * (2) The place that gave the key is asked again when it has to be renewed, and no other.
 */

#define NS_PER_S INT64_C(1000000000)
#define MIN_RENEW_NS                                                                               \
	(INT64_C(10) * NS_PER_S) /* between two tries to renew a key that still holds */

struct place {
	const char *name;
	int (*get)(const struct s3_cred *c, struct s3_cred_key *out, struct err *err);
};

struct s3_cred {
	char *profile, *credentials; /* owned, may be NULL */
	bool may_ask_host;
	struct s3_cred_key key;
	const struct place *from; /* of key; NULL before the first */
	int64_t tried_ns;         /* when it was last fetched, by a clock that never steps */
};

static void wipe(char *text)
{
	if (text != NULL)
		secret_wipe(text, strlen(text));
	free(text);
}

void s3_cred_key_done(struct s3_cred_key *k)
{
	free(k->access);
	wipe(k->secret);
	wipe(k->token);
	memset(k, 0, sizeof(*k));
}

/* The characters that may stand in a header and in a scope. */
static bool is_header_text(const char *text)
{
	for (; *text != '\0'; text++) {
		if (*text <= ' ' || *text > '~')
			return false;
	}
	return true;
}

int s3_cred_key_set(struct s3_cred_key *k, const char *access, const char *secret,
	const char *token, struct err *err)
{
	if (access == NULL || secret == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	if (access[0] == '\0' || secret[0] == '\0' || !is_header_text(access) ||
		(token != NULL && !is_header_text(token)))
		return err_set(err, ERR_CONFIG,
			"an access key, secret or session token is empty or has a blank in it");
	struct s3_cred_key made = { .access = strdup(access), .secret = strdup(secret) };
	if (token != NULL && token[0] != '\0')
		made.token = strdup(token);
	if (made.access == NULL || made.secret == NULL ||
		(token != NULL && token[0] != '\0' && made.token == NULL)) {
		s3_cred_key_done(&made);
		return err_set(err, ERR_NOMEM, "out of memory");
	}
	s3_cred_key_done(k);
	*k = made;
	return 0;
}

int64_t s3_cred_time(const char *text)
{
	struct tm tm = { .tm_year = 0 };
	const char *rest = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);
	if (rest == NULL)
		return 0;
	if (*rest == '.')
		rest += 1 + strspn(rest + 1, "0123456789");
	if (strcmp(rest, "Z") != 0 && strcmp(rest, "+00:00") != 0)
		return 0;
	time_t at = timegm(&tm);
	if (at <= 0)
		return 0;
	return at > INT64_MAX / NS_PER_S ? INT64_MAX : (int64_t)at * NS_PER_S;
}

static const char *text_at(const json_t *o, const char *name)
{
	return json_string_value(json_object_get(o, name));
}

int s3_cred_from_json(const void *data, size_t len, struct s3_cred_key *out, struct err *err)
{
	json_t *o = NULL;
	struct err why = ERR_INIT; /* it may quote what is secret */
	if (jsonx_parse(data, len, "the answer", &o, &why) != 0 || !json_is_object(o)) {
		json_decref(o);
		return err_set(err, ERR_CONFIG, "the answer is no JSON object");
	}
	const char *access = text_at(o, "AccessKeyId");
	const char *secret = text_at(o, "SecretAccessKey");
	const char *token = text_at(o, "SessionToken");
	const char *expires = text_at(o, "Expiration");
	token = token == NULL ? text_at(o, "Token") : token;
	int rc = access == NULL || secret == NULL
			 ? err_set(err, ERR_CONFIG,
				   "the answer lacks AccessKeyId or SecretAccessKey")
			 : s3_cred_key_set(out, access, secret, token, err);
	if (rc == 0 && expires != NULL) {
		out->expires_ns = s3_cred_time(expires);
		if (out->expires_ns == 0)
			rc = err_set(err, ERR_CONFIG, "the answer's Expiration is no time");
	}
	json_decref(o);
	return rc;
}

static const char *setting(const char *name)
{
	const char *value = getenv(name); // NOLINT(concurrency-mt-unsafe)
	return value != NULL && value[0] != '\0' ? value : NULL;
}

static const char *profile_of(const struct s3_cred *c)
{
	const char *named = c->profile != NULL ? c->profile : setting("AWS_PROFILE");
	return named == NULL ? "default" : named;
}

static int from_named_file(const struct s3_cred *c, struct s3_cred_key *out, struct err *err)
{
	int rc = s3_cred_file_read(c->credentials, profile_of(c), out, err);
	if (rc != -ERR_NOT_FOUND)
		return rc;
	if (err != NULL)
		err->code = ERR_CONFIG; /* it was named: nowhere else is looked */
	return -ERR_CONFIG;
}

static int from_environment(const struct s3_cred *c, struct s3_cred_key *out, struct err *err)
{
	const char *access = setting("AWS_ACCESS_KEY_ID");
	const char *secret = setting("AWS_SECRET_ACCESS_KEY");
	if (c->profile != NULL || access == NULL || secret == NULL)
		return err_set(err, ERR_NOT_FOUND, "no key in the environment");
	return s3_cred_key_set(out, access, secret, setting("AWS_SESSION_TOKEN"), err);
}

static int from_web_identity(const struct s3_cred *c, struct s3_cred_key *out, struct err *err)
{
	(void)c;
	return s3_cred_http_web_identity(out, err);
}

static int from_shared_file(const struct s3_cred *c, struct s3_cred_key *out, struct err *err)
{
	const char *path = setting("AWS_SHARED_CREDENTIALS_FILE");
	const char *home = setting("HOME");
	CLEANUP(cleanup_free_p) char *usual = NULL;
	if (path == NULL && home != NULL && asprintf(&usual, "%s/.aws/credentials", home) < 0)
		usual = NULL;
	path = path == NULL ? usual : path;
	if (path == NULL)
		return err_set(err, ERR_NOT_FOUND, "no home, no file");
	return s3_cred_file_read(path, profile_of(c), out, err);
}

static int from_container(const struct s3_cred *c, struct s3_cred_key *out, struct err *err)
{
	(void)c;
	return s3_cred_http_container(out, err);
}

static int from_instance(const struct s3_cred *c, struct s3_cred_key *out, struct err *err)
{
	bool is_named =
		c->credentials != NULL || setting("AWS_EC2_METADATA_SERVICE_ENDPOINT") != NULL;
	const char *off = setting("AWS_EC2_METADATA_DISABLED");
	if (!(c->may_ask_host || is_named) || (off != NULL && strcmp(off, "true") == 0))
		return err_set(err, ERR_NOT_FOUND, "not asked");
	return s3_cred_http_instance(out, err);
}

static const struct place named_file = { "file", from_named_file };
static const struct place instance = { "instance metadata", from_instance };
static const struct place around[] = {
	{ "environment", from_environment },
	{ "web identity", from_web_identity },
	{ "credentials file", from_shared_file },
	{ "container", from_container },
	{ "instance metadata", from_instance },
};

int s3_cred_new(const struct s3_cred_opts *opts, struct s3_cred **out, struct err *err)
{
	struct s3_cred *c = calloc(1, sizeof(*c));
	if (c == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	c->may_ask_host = opts->may_ask_host;
	c->profile = opts->profile == NULL ? NULL : strdup(opts->profile);
	c->credentials = opts->credentials == NULL ? NULL : strdup(opts->credentials);
	if ((opts->profile != NULL && c->profile == NULL) ||
		(opts->credentials != NULL && c->credentials == NULL)) {
		s3_cred_free(c);
		return err_set(err, ERR_NOMEM, "out of memory");
	}
	*out = c;
	return 0;
}

void s3_cred_free(struct s3_cred *c)
{
	if (c == NULL)
		return;
	s3_cred_key_done(&c->key);
	free(c->profile);
	free(c->credentials);
	free(c);
}

static int look_around(struct s3_cred *c, struct s3_cred_key *out, struct err *err)
{
	for (size_t i = 0; i < sizeof(around) / sizeof(around[0]); i++) {
		int rc = around[i].get(c, out, err);
		if (rc == 0)
			c->from = &around[i];
		if (rc != -ERR_NOT_FOUND)
			return rc;
	}
	(void)err_set(err, ERR_AUTH, "there are no credentials for the object store");
	return err_hint(err, "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or name a file: "
			     "...?credentials=FILE; docs/S3.md has the other ways");
}

static int fetch(struct s3_cred *c, struct s3_cred_key *out, struct err *err)
{
	if (c->credentials != NULL)
		c->from = strcmp(c->credentials, "imds") == 0 ? &instance : &named_file;
	return c->from == NULL ? look_around(c, out, err) : c->from->get(c, out, err);
}

int s3_cred_get(struct s3_cred *c, bool fresh, const struct s3_cred_key **out, struct err *err)
{
	int64_t now_ns = env_now_ns();
	int64_t mono_ns = env_mono_ns();
	const struct s3_cred_key *k = &c->key;
	bool has_key = k->access != NULL;
	bool is_ending = k->expires_ns != 0 && k->expires_ns - now_ns < S3_CRED_RENEW_NS;
	bool is_over = k->expires_ns != 0 && k->expires_ns <= now_ns;
	bool is_due = is_ending && (is_over || mono_ns - c->tried_ns >= MIN_RENEW_NS);
	if (!has_key || fresh || is_due) {
		struct s3_cred_key made = { .access = NULL };
		struct err why = ERR_INIT;
		c->tried_ns = mono_ns;
		int rc = fetch(c, &made, &why);
		if (rc != 0)
			s3_cred_key_done(&made);
		if (rc != 0 && (!has_key || fresh || is_over)) {
			if (err != NULL)
				*err = why;
			return rc == -ERR_NOT_FOUND ? -ERR_AUTH : rc;
		}
		if (rc == 0) {
			s3_cred_key_done(&c->key);
			c->key = made;
		}
	}
	*out = &c->key;
	return 0;
}

const char *s3_cred_source(const struct s3_cred *c)
{
	return c->from == NULL ? "" : c->from->name;
}
