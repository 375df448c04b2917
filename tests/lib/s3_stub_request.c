#include "tests/lib/s3_stub_request.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "base/buf.h"
#include "codec/text.h"
#include "crypto/hash.h"
#include "crypto/hmac.h"
#include "tests/lib/s3_stub.h"

bool s3_stub_request_send(int fd, const void *data, size_t len)
{
	const char *p = data;
	while (len > 0) {
		ssize_t n = send(fd, p, len, MSG_NOSIGNAL);
		if (n <= 0)
			return false;
		p += n;
		len -= (size_t)n;
	}
	return true;
}

const char *s3_stub_request_header(
	const struct s3_stub_request *r, const char *name, char *out, size_t size)
{
	size_t n = strlen(name);
	out[0] = '\0';
	for (const char *line = strstr(r->head, "\r\n"); line != NULL && line[2] != '\r';
		line = strstr(line + 2, "\r\n")) {
		if (strncasecmp(line + 2, name, n) != 0 || line[2 + n] != ':')
			continue;
		const char *value = line + 3 + n + strspn(line + 3 + n, " ");
		snprintf(out, size, "%.*s", (int)strcspn(value, "\r"), value);
		return out;
	}
	return NULL;
}

static int digit(char c)
{
	return c >= 'a' ? c - 'a' + 10 : c >= 'A' ? c - 'A' + 10 : c - '0';
}

static void decode(const char *text, size_t len, char *out, size_t size)
{
	size_t n = 0;
	for (size_t i = 0; i < len && n + 1 < size; i++) {
		if (text[i] == '%' && len - i > 2) {
			out[n++] = (char)(digit(text[i + 1]) << 4 | digit(text[i + 2]));
			i += 2;
		} else {
			out[n++] = text[i];
		}
	}
	out[n] = '\0';
}

static void split_query(struct s3_stub_request *r)
{
	for (const char *p = r->query; *p != '\0' && r->param_count < MAX_PARAMS;) {
		size_t len = strcspn(p, "&");
		size_t name = strcspn(p, "=&");
		struct s3_stub_param *q = &r->params[r->param_count++];
		decode(p, name, q->name, sizeof(q->name));
		q->value[0] = '\0';
		if (name < len)
			decode(p + name + 1, len - name - 1, q->value, sizeof(q->value));
		p += len + (p[len] == '&' ? 1 : 0);
	}
}

const char *s3_stub_request_param(const struct s3_stub_request *r, const char *name)
{
	for (size_t i = 0; i < r->param_count; i++) {
		if (strcmp(r->params[i].name, name) == 0)
			return r->params[i].value;
	}
	return NULL;
}

/* Read one request.  Return false when the client is gone. */
bool s3_stub_request_take(int fd, struct s3_stub_request *r)
{
	size_t got = 0;
	char *end = NULL;
	memset(r, 0, sizeof(*r));
	while (end == NULL) {
		ssize_t n = got + 1 < sizeof(r->head)
				    ? recv(fd, r->head + got, sizeof(r->head) - 1 - got, 0)
				    : 0;
		if (n <= 0)
			return false;
		got += (size_t)n;
		if (r->head[0] < 'A') { /* TLS, to a plain server */
			s3_stub_request_send(fd, "HTTP/1.1 400 Bad Request\r\n\r\n", 28);
			return false;
		}
		end = strstr(r->head, "\r\n\r\n");
	}
	char text[64];
	size_t head = (size_t)(end - r->head) + 4;
	r->len = s3_stub_request_header(r, "content-length", text, sizeof(text)) == NULL
			 ? 0
			 : strtoul(text, NULL, 10);
	r->body = malloc(r->len + 1);
	size_t have = got - head < r->len ? got - head : r->len;
	memcpy(r->body, r->head + head, have);
	r->head[head] = '\0';
	if (have < r->len && s3_stub_request_header(r, "expect", text, sizeof(text)) != NULL)
		s3_stub_request_send(fd, "HTTP/1.1 100 Continue\r\n\r\n", 25);
	while (have < r->len) {
		ssize_t n = recv(fd, r->body + have, r->len - have, 0);
		if (n <= 0)
			return false;
		have += (size_t)n;
	}
	if (sscanf(r->head, "%15s %4095s", r->method, r->target) != 2)
		return false;
	size_t path = strcspn(r->target, "?");
	snprintf(r->path, sizeof(r->path), "%.*s", (int)path, r->target);
	snprintf(r->query, sizeof(r->query), "%s",
		r->target[path] == '?' ? r->target + path + 1 : "");
	split_query(r);
	size_t bucket = strlen("/" S3_STUB_BUCKET "/");
	if (strlen(r->path) > bucket)
		decode(r->path + bucket, strlen(r->path) - bucket, r->key, sizeof(r->key));
	return true;
}

/* ---- who asks ---- */

static int by_text(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void canonical_query(const struct s3_stub_request *r, struct buf *out)
{
	char copy[4096];
	char *parts[MAX_PARAMS];
	size_t n = 0;
	char *save = NULL;
	snprintf(copy, sizeof(copy), "%s", r->query);
	for (char *p = strtok_r(copy, "&", &save); p != NULL && n < MAX_PARAMS;
		p = strtok_r(NULL, "&", &save))
		parts[n++] = p;
	qsort(parts, n, sizeof(parts[0]), by_text);
	for (size_t i = 0; i < n; i++)
		buf_addf(out, NULL, "%s%s%s", i == 0 ? "" : "&", parts[i],
			strchr(parts[i], '=') == NULL ? "=" : "");
}

static void mac(uint8_t key[32], size_t key_len, const void *first, const char *text)
{
	struct hmac_part part = { text, strlen(text) };
	hmac_sha256(first == NULL ? key : first, key_len, &part, 1, key);
}

/* As a signature sees a value: no blanks at its ends, runs of them as one. */
static void collapse(char *text)
{
	char *to = text;
	for (const char *p = text; *p != '\0'; p++) {
		if (*p != ' ' || (to > text && to[-1] != ' '))
			*to++ = *p;
	}
	to -= to > text && to[-1] == ' ' ? 1 : 0;
	*to = '\0';
}

/* NULL when the signature is good, else the code of the refusal. */
const char *s3_stub_request_signature(const struct s3_stub_request *r)
{
	char auth[2048], value[4096], date[64], scope[256], signed_names[512], hex[65];
	if (s3_stub_request_header(r, "authorization", auth, sizeof(auth)) == NULL)
		return "AccessDenied";
	if (sscanf(auth,
		    "AWS4-HMAC-SHA256 Credential=" S3_STUB_ACCESS
		    "/%255[^,],SignedHeaders=%511[^,]",
		    scope, signed_names) != 2)
		return "InvalidAccessKeyId";
	struct buf text = BUF_INIT(65536);
	buf_addf(&text, NULL, "%s\n%s\n", r->method, r->path);
	canonical_query(r, &text);
	char names[512];
	char *save = NULL;
	snprintf(names, sizeof(names), "%s", signed_names);
	for (char *p = strtok_r(names, ";", &save); p != NULL; p = strtok_r(NULL, ";", &save)) {
		s3_stub_request_header(r, p, value, sizeof(value));
		collapse(value);
		buf_addf(&text, NULL, "\n%s:%s", p, value);
	}
	s3_stub_request_header(r, "x-amz-content-sha256", value, sizeof(value));
	buf_addf(&text, NULL, "\n\n%s\n%s", signed_names, value);
	uint8_t hash[32], key[32];
	hash_sha256(text.data, text.len, hash);
	text_hex(hash, 32, hex);
	s3_stub_request_header(r, "x-amz-date", date, sizeof(date));
	buf_clear(&text);
	buf_addf(&text, NULL, "AWS4-HMAC-SHA256\n%s\n%s\n%s", date, scope, hex);
	char day[9];
	snprintf(day, sizeof(day), "%.8s", scope);
	mac(key, strlen("AWS4" S3_STUB_SECRET), "AWS4" S3_STUB_SECRET, day);
	char region[64] = "";
	sscanf(scope, "%*8s/%63[^/]", region);
	mac(key, 32, NULL, region);
	mac(key, 32, NULL, "s3");
	mac(key, 32, NULL, "aws4_request");
	mac(key, 32, NULL, buf_cstr(&text));
	text_hex(key, 32, hex);
	buf_done(&text);
	const char *given = strstr(auth, "Signature=");
	if (given == NULL || strcmp(given + 10, hex) != 0)
		return "SignatureDoesNotMatch";
	return strcmp(region, S3_STUB_REGION) == 0 ? NULL : "AuthorizationHeaderMalformed";
}

const char *s3_stub_request_body(const struct s3_stub_request *r)
{
	char value[128], hex[65];
	uint8_t hash[64];
	unsigned len = 0;
	hash_sha256(r->body, r->len, hash);
	text_hex(hash, 32, hex);
	if (s3_stub_request_header(r, "x-amz-content-sha256", value, sizeof(value)) == NULL ||
		strcmp(value, hex) != 0)
		return "XAmzContentSHA256Mismatch";
	bool is_body = strcmp(r->method, "PUT") == 0 || strcmp(r->method, "POST") == 0;
	if (!is_body)
		return NULL;
	if (s3_stub_request_header(r, "content-md5", value, sizeof(value)) == NULL)
		return "InvalidRequest";
	struct buf text = BUF_INIT(64);
	EVP_Digest(r->body, r->len, hash, &len, EVP_md5(), NULL);
	text_base64(hash, len, &text, NULL);
	bool is_same = strcmp(value, buf_cstr(&text)) == 0;
	buf_done(&text);
	return is_same ? NULL : "BadDigest";
}
