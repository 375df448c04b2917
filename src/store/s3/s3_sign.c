#include "store/s3/s3_sign.h"

#include <assert.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "codec/text.h"
#include "crypto/hash.h"
#include "crypto/hmac.h"
#include "crypto/secret.h"

/*
 * INVARIANTS
 * (1) Headers are sorted by name alone; those with one name stay in the order they came in and are
 *     joined by a comma.
 * (2) The secret and what is derived from it is wiped before return.
 */

#define ALGORITHM "AWS4-HMAC-SHA256"
#define TERMINATOR "aws4_request"
#define DAY_BYTES 8
#define CANONICAL_MAX_BYTES ((size_t)256 << 10)
#define SECRET_PREFIX "AWS4"

void s3_sign_date(int64_t now_ns, char out[S3_SIGN_DATE_BYTES])
{
	time_t now = (time_t)(now_ns / 1000000000);
	struct tm tm;
	if (gmtime_r(&now, &tm) == NULL ||
		strftime(out, S3_SIGN_DATE_BYTES, "%Y%m%dT%H%M%SZ", &tm) != S3_SIGN_DATE_BYTES - 1)
		(void)snprintf(out, S3_SIGN_DATE_BYTES, "19700101T000000Z"); /* no such year */
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* Without blanks at the ends, and each run of them inside as one. */
static int add_value(const char *value, struct buf *out, struct err *err)
{
	while (is_blank(*value))
		value++;
	int rc = 0;
	for (; rc == 0 && *value != '\0'; value++) {
		if (!is_blank(*value))
			rc = buf_add8(out, (uint8_t)*value, err);
		else if (value[1] != '\0' && !is_blank(value[1]))
			rc = buf_add8(out, ' ', err);
	}
	return rc;
}

static void sort_headers(const struct s3_sign_request *r, const struct s3_sign_header **sorted)
{
	for (size_t i = 0; i < r->header_count; i++) {
		size_t at = i;
		for (; at > 0 && strcmp(sorted[at - 1]->name, r->headers[i].name) > 0; at--)
			sorted[at] = sorted[at - 1];
		sorted[at] = &r->headers[i];
	}
}

/* "host;x-amz-date" */
static int add_names(
	const struct s3_sign_header *const *sorted, size_t count, struct buf *out, struct err *err)
{
	int rc = 0;
	for (size_t i = 0; rc == 0 && i < count; i++) {
		if (i == 0 || strcmp(sorted[i - 1]->name, sorted[i]->name) != 0)
			rc = buf_addf(out, err, "%s%s", i == 0 ? "" : ";", sorted[i]->name);
	}
	return rc;
}

static int add_canonical(const struct s3_sign_request *r,
	const struct s3_sign_header *const *sorted, struct buf *out, struct err *err)
{
	int rc = buf_addf(out, err, "%s\n%s\n%s", r->method, r->path, r->query);
	for (size_t i = 0; rc == 0 && i < r->header_count; i++) {
		if (i > 0 && strcmp(sorted[i - 1]->name, sorted[i]->name) == 0)
			rc = buf_add8(out, ',', err);
		else
			rc = buf_addf(out, err, "\n%s:", sorted[i]->name);
		if (rc == 0)
			rc = add_value(sorted[i]->value, out, err);
	}
	if (rc == 0)
		rc = buf_addf(out, err, "\n\n");
	if (rc == 0)
		rc = add_names(sorted, r->header_count, out, err);
	return rc == 0 ? buf_addf(out, err, "\n%s", r->payload) : rc;
}

static void mac_text(
	const uint8_t *key, size_t key_len, const char *text, size_t len, uint8_t out[HMAC_BYTES])
{
	const struct hmac_part part = { text, len };
	hmac_sha256(key, key_len, &part, 1, out);
}

/* The key of one day, region and service. */
static int derive(
	const struct s3_sign_key *key, const char *date, uint8_t out[HMAC_BYTES], struct err *err)
{
	CLEANUP(buf_wipe) struct buf first = BUF_INIT(4096);
	int rc = buf_addf(&first, err, SECRET_PREFIX "%s", key->secret_key);
	if (rc != 0)
		return rc;
	mac_text(first.data, first.len, date, DAY_BYTES, out);
	mac_text(out, HMAC_BYTES, key->region, strlen(key->region), out);
	mac_text(out, HMAC_BYTES, key->service, strlen(key->service), out);
	mac_text(out, HMAC_BYTES, TERMINATOR, strlen(TERMINATOR), out);
	return 0;
}

static int sign_text(const struct s3_sign_key *key, const struct s3_sign_request *r,
	const struct buf *canonical, char hex[2 * HMAC_BYTES + 1], struct err *err)
{
	uint8_t hash[HASH_BYTES];
	char hash_hex[2 * HASH_BYTES + 1];
	CLEANUP(buf_done) struct buf text = BUF_INIT(4096);
	hash_sha256(canonical->data, canonical->len, hash);
	text_hex(hash, sizeof(hash), hash_hex);
	int rc = buf_addf(&text, err, ALGORITHM "\n%s\n%.*s/%s/%s/" TERMINATOR "\n%s", r->date,
		DAY_BYTES, r->date, key->region, key->service, hash_hex);
	uint8_t day[HMAC_BYTES];
	uint8_t mac[HMAC_BYTES];
	if (rc == 0)
		rc = derive(key, r->date, day, err);
	if (rc == 0) {
		mac_text(day, sizeof(day), (const char *)text.data, text.len, mac);
		text_hex(mac, sizeof(mac), hex);
	}
	secret_wipe(day, sizeof(day));
	return rc;
}

int s3_sign_request(const struct s3_sign_key *key, const struct s3_sign_request *request,
	struct buf *out, struct err *err)
{
	assert(request->header_count <= S3_SIGN_MAX_HEADERS);
	const struct s3_sign_header *sorted[S3_SIGN_MAX_HEADERS];
	CLEANUP(buf_done) struct buf canonical = BUF_INIT(CANONICAL_MAX_BYTES);
	char signature[2 * HMAC_BYTES + 1];
	sort_headers(request, sorted);
	int rc = add_canonical(request, sorted, &canonical, err);
	if (rc == 0)
		rc = sign_text(key, request, &canonical, signature, err);
	if (rc == 0)
		rc = buf_addf(out, err,
			ALGORITHM " Credential=%s/%.*s/%s/%s/" TERMINATOR ",SignedHeaders=",
			key->access_key, DAY_BYTES, request->date, key->region, key->service);
	if (rc == 0)
		rc = add_names(sorted, request->header_count, out, err);
	return rc == 0 ? buf_addf(out, err, ",Signature=%s", signature) : rc;
}
