#include "store/s3/s3_location.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "store/s3/s3_uri.h"

/*
 * INVARIANTS
 * (1) What is signed and what the connection goes to is the one host given here.
 */

#define MIN_BUCKET_BYTES 3
#define MAX_BUCKET_BYTES 63
#define MAX_HOST_BYTES 255
#define MAX_VALUE_BYTES 4096
#define AMAZON ".amazonaws.com"

static int refuse(const char *what, struct err *err)
{
	(void)err_set(err, ERR_USAGE, "the place of an object store: %s", what);
	return err_hint(err, "it is written s3:https://HOST[:PORT]/BUCKET[/PREFIX]"
			     "[?region=R&style=path|virtual&ca=FILE]");
}

/* A new string of what ${text} means; NULL when it is broken, too long or memory is out. */
static char *decoded(const char *text, size_t len, size_t max)
{
	CLEANUP(buf_done) struct buf plain = BUF_INIT(max);
	for (size_t i = 0; i < len; i++) {
		size_t n = 1 + (text[i] == '%' && len - i > 2 ? 2u : 0u);
		/* here, unlike in a list, a plus is a plus */
		int rc = text[i] == '+' ? buf_add8(&plain, '+', NULL)
					: s3_uri_decode(text + i, n, &plain, NULL);
		if (rc != 0)
			return NULL;
		i += n - 1;
	}
	const char *all = buf_cstr(&plain);
	return all == NULL || strlen(all) != plain.len ? NULL : strdup(all);
}

static bool is_legal(const char *text, size_t len, const char *legal)
{
	for (size_t i = 0; i < len; i++) {
		if (strchr(legal, text[i]) == NULL)
			return false;
	}
	return true;
}

#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS "0123456789"

static int take_host(struct s3_location *out, const char *text, size_t len, struct err *err)
{
	if (len == 0 || len > MAX_HOST_BYTES || !is_legal(text, len, LETTERS DIGITS "-._:[]"))
		return refuse("it names no host", err);
	out->host = strndup(text, len);
	if (out->host == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	/* a client leaves out the port that goes without saying, and so must the signature */
	const char *usual = out->is_https ? ":443" : ":80";
	size_t own = strlen(out->host);
	size_t cut = strlen(usual);
	if (own > cut && strcmp(out->host + own - cut, usual) == 0)
		out->host[own - cut] = '\0';
	own = strlen(out->host);
	size_t tail = strlen(AMAZON);
	out->is_amazon = own > tail && strcasecmp(out->host + own - tail, AMAZON) == 0;
	return 0;
}

static int take_bucket(struct s3_location *out, const char *text, size_t len, struct err *err)
{
	if (len < MIN_BUCKET_BYTES || len > MAX_BUCKET_BYTES ||
		!is_legal(text, len, LETTERS DIGITS "-._") || text[0] == '.')
		return refuse("it names no bucket", err);
	out->bucket = strndup(text, len);
	/* the certificate for *.host does not cover a name with dots */
	out->is_virtual = out->is_amazon && memchr(text, '.', len) == NULL;
	return out->bucket == NULL ? err_set(err, ERR_NOMEM, "out of memory") : 0;
}

static int take_prefix(struct s3_location *out, const char *text, size_t len, struct err *err)
{
	while (len > 0 && text[len - 1] == '/')
		len--;
	CLEANUP(cleanup_free_p) char *plain = decoded(text, len, S3_LOCATION_MAX_PREFIX_BYTES - 1);
	if (plain == NULL)
		return refuse("its prefix is too long or has a broken %XX", err);
	size_t own = strlen(plain);
	out->prefix = calloc(1, own + 2);
	if (out->prefix == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	if (own > 0) {
		memcpy(out->prefix, plain, own);
		out->prefix[own] = '/';
	}
	return 0;
}

static int take_style(struct s3_location *out, const char *value, struct err *err)
{
	if (strcmp(value, "path") != 0 && strcmp(value, "virtual") != 0)
		return refuse("style is path or virtual", err);
	out->is_virtual = strcmp(value, "virtual") == 0;
	return 0;
}

static int take_view(struct s3_location *out, const char *value, struct err *err)
{
	if (strcmp(value, "oldest") != 0)
		return refuse("view is oldest, or left out", err);
	out->is_oldest = true;
	return 0;
}

static int take_option(struct s3_location *out, const char *text, size_t len, struct err *err)
{
	struct {
		const char *name;
		char **place;
	} const known[] = { { "region", &out->region }, { "ca", &out->ca_file },
		{ "profile", &out->profile }, { "credentials", &out->credentials } };
	const char *equal = memchr(text, '=', len);
	size_t name = equal == NULL ? len : (size_t)(equal - text);
	if (equal == NULL || name + 1 == len)
		return refuse("an option without a value", err);
	CLEANUP(cleanup_free_p) char *value = decoded(equal + 1, len - name - 1, MAX_VALUE_BYTES);
	if (value == NULL)
		return refuse("an option's value is too long or has a broken %XX", err);
	if (name == strlen("style") && strncmp(text, "style", name) == 0)
		return take_style(out, value, err);
	if (name == strlen("view") && strncmp(text, "view", name) == 0)
		return take_view(out, value, err);
	if (name == strlen("lock") && strncmp(text, "lock", name) == 0) {
		out->has_lock = true;
		return store_lock_parse(value, &out->lock, err);
	}
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		if (strlen(known[i].name) != name || strncmp(text, known[i].name, name) != 0)
			continue;
		if (*known[i].place != NULL)
			return refuse("an option is given twice", err);
		*known[i].place = TAKE(value);
		return 0;
	}
	return refuse("it has an unknown option", err);
}

static int take_options(struct s3_location *out, const char *text, struct err *err)
{
	int rc = 0;
	while (rc == 0 && *text != '\0') {
		size_t len = strcspn(text, "&");
		rc = take_option(out, text, len, err);
		text += len;
		text += *text == '&' ? 1 : 0;
	}
	if (rc == 0 && out->region != NULL &&
		(strlen(out->region) > MAX_BUCKET_BYTES ||
			!is_legal(out->region, strlen(out->region), LETTERS DIGITS "-_")))
		rc = refuse("that is no name of a region", err);
	return rc;
}

int s3_location_parse(const char *text, struct s3_location *out, struct err *err)
{
	memset(out, 0, sizeof(*out));
	if (strncmp(text, "https://", 8) == 0)
		out->is_https = true;
	else if (strncmp(text, "http://", 7) != 0)
		return refuse("it begins with https:// or http://", err);
	text += out->is_https ? 8 : 7;
	size_t host = strcspn(text, "/?");
	int rc = take_host(out, text, host, err);
	text += host;
	text += *text == '/' ? 1 : 0;
	size_t bucket = strcspn(text, "/?");
	if (rc == 0)
		rc = take_bucket(out, text, bucket, err);
	text += bucket;
	text += *text == '/' ? 1 : 0;
	size_t prefix = strcspn(text, "?");
	if (rc == 0)
		rc = take_prefix(out, text, prefix, err);
	text += prefix;
	if (rc == 0 && *text == '?')
		rc = take_options(out, text + 1, err);
	return rc;
}

void s3_location_done(struct s3_location *l)
{
	free(l->host);
	free(l->bucket);
	free(l->prefix);
	free(l->region);
	free(l->ca_file);
	free(l->profile);
	free(l->credentials);
	memset(l, 0, sizeof(*l));
}
