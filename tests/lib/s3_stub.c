#include "tests/lib/s3_stub.h"

#include <arpa/inet.h>
#include <assert.h>
#include <netinet/in.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "codec/text.h"
#include "crypto/hash.h"
#include "crypto/hmac.h"

#define MAX_HEAD 16384
#define MAX_CONNS 128
#define MAX_FAULTS 8
#define MAX_LOG 4096
#define MAX_PARAMS 16

struct object {
	char *key;
	uint8_t *data;
	size_t len;
};

struct s3_stub {
	struct s3_stub_kind kind;
	int fd, port;
	pthread_t accepter;
	pthread_mutex_t lock;
	struct object *objects; /* sorted by key */
	size_t count, cap;
	struct s3_stub_fault faults[MAX_FAULTS];
	size_t fault_count;
	char *log[MAX_LOG]; /* "GET /vaults/a?b" */
	size_t log_count;
	struct {
		pthread_t thread;
		int fd;
		bool is_used;
	} conns[MAX_CONNS];
	unsigned conn_count, page_turn;
	bool is_ending;
};

struct param {
	char name[64], value[4096];
};

struct request {
	char head[MAX_HEAD];
	char method[16], target[4096], path[4096], query[4096];
	char key[2048]; /* decoded; "" = the bucket */
	struct param params[MAX_PARAMS];
	size_t param_count;
	uint8_t *body;
	size_t len;
};

struct conn_arg {
	struct s3_stub *s;
	int slot;
};

/* ---- objects ---- */

static size_t place(const struct s3_stub *s, const char *key)
{
	size_t i = 0;
	while (i < s->count && strcmp(s->objects[i].key, key) < 0)
		i++;
	return i;
}

static struct object *find(struct s3_stub *s, const char *key)
{
	size_t i = place(s, key);
	return i < s->count && strcmp(s->objects[i].key, key) == 0 ? &s->objects[i] : NULL;
}

static void drop(struct s3_stub *s, const char *key)
{
	struct object *o = find(s, key);
	if (o == NULL)
		return;
	free(o->key);
	free(o->data);
	memmove(o, o + 1, (size_t)(s->objects + s->count - (o + 1)) * sizeof(*o));
	s->count--;
}

static void store(struct s3_stub *s, const char *key, const void *data, size_t len)
{
	drop(s, key);
	if (s->count == s->cap) {
		s->cap = s->cap == 0 ? 64 : 2 * s->cap;
		s->objects = realloc(s->objects, s->cap * sizeof(*s->objects));
		assert(s->objects != NULL);
	}
	size_t i = place(s, key);
	memmove(&s->objects[i + 1], &s->objects[i], (s->count - i) * sizeof(*s->objects));
	s->objects[i] = (struct object){ strdup(key), malloc(len + 1), len };
	memcpy(s->objects[i].data, data, len);
	s->count++;
}

/* ---- the wire ---- */

static bool send_all(int fd, const void *data, size_t len)
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

static void reset(int fd)
{
	struct linger l = { 1, 0 };
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &l, sizeof(l));
}

static const char *header(const struct request *r, const char *name, char *out, size_t size)
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

static void split_query(struct request *r)
{
	for (const char *p = r->query; *p != '\0' && r->param_count < MAX_PARAMS;) {
		size_t len = strcspn(p, "&");
		size_t name = strcspn(p, "=&");
		struct param *q = &r->params[r->param_count++];
		decode(p, name, q->name, sizeof(q->name));
		q->value[0] = '\0';
		if (name < len)
			decode(p + name + 1, len - name - 1, q->value, sizeof(q->value));
		p += len + (p[len] == '&' ? 1 : 0);
	}
}

static const char *param(const struct request *r, const char *name)
{
	for (size_t i = 0; i < r->param_count; i++) {
		if (strcmp(r->params[i].name, name) == 0)
			return r->params[i].value;
	}
	return NULL;
}

/* Read one request.  Return false when the client is gone. */
static bool take(int fd, struct request *r)
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
			send_all(fd, "HTTP/1.1 400 Bad Request\r\n\r\n", 28);
			return false;
		}
		end = strstr(r->head, "\r\n\r\n");
	}
	char text[64];
	size_t head = (size_t)(end - r->head) + 4;
	r->len = header(r, "content-length", text, sizeof(text)) == NULL ? 0
									 : strtoul(text, NULL, 10);
	r->body = malloc(r->len + 1);
	size_t have = got - head < r->len ? got - head : r->len;
	memcpy(r->body, r->head + head, have);
	r->head[head] = '\0';
	if (have < r->len && header(r, "expect", text, sizeof(text)) != NULL)
		send_all(fd, "HTTP/1.1 100 Continue\r\n\r\n", 25);
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

static void canonical_query(const struct request *r, struct buf *out)
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
static const char *check_signature(const struct request *r)
{
	char auth[2048], value[4096], date[64], scope[256], signed_names[512], hex[65];
	if (header(r, "authorization", auth, sizeof(auth)) == NULL)
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
		header(r, p, value, sizeof(value));
		collapse(value);
		buf_addf(&text, NULL, "\n%s:%s", p, value);
	}
	header(r, "x-amz-content-sha256", value, sizeof(value));
	buf_addf(&text, NULL, "\n\n%s\n%s", signed_names, value);
	uint8_t hash[32], key[32];
	hash_sha256(text.data, text.len, hash);
	text_hex(hash, 32, hex);
	header(r, "x-amz-date", date, sizeof(date));
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

static const char *check_body(const struct request *r)
{
	char value[128], hex[65];
	uint8_t hash[64];
	unsigned len = 0;
	hash_sha256(r->body, r->len, hash);
	text_hex(hash, 32, hex);
	if (header(r, "x-amz-content-sha256", value, sizeof(value)) == NULL ||
		strcmp(value, hex) != 0)
		return "XAmzContentSHA256Mismatch";
	bool is_body = strcmp(r->method, "PUT") == 0 || strcmp(r->method, "POST") == 0;
	if (!is_body)
		return NULL;
	if (header(r, "content-md5", value, sizeof(value)) == NULL)
		return "InvalidRequest";
	struct buf text = BUF_INIT(64);
	EVP_Digest(r->body, r->len, hash, &len, EVP_md5(), NULL);
	text_base64(hash, len, &text, NULL);
	bool is_same = strcmp(value, buf_cstr(&text)) == 0;
	buf_done(&text);
	return is_same ? NULL : "BadDigest";
}

/* ---- answers ---- */

struct answer {
	int status;
	char headers[1024];
	struct buf body;
};

static void refuse(struct answer *a, int status, const char *code)
{
	a->status = status;
	buf_clear(&a->body);
	buf_addf(&a->body, NULL,
		"<?xml version=\"1.0\"?><Error><Code>%s</Code><Message>a stub says so</Message>"
		"%s</Error>",
		code,
		strcmp(code, "AuthorizationHeaderMalformed") == 0 ? "<Region>" S3_STUB_REGION
								    "</Region>"
								  : "");
}

static void tag(struct answer *a, const struct s3_stub *s, const struct object *o)
{
	uint8_t hash[32];
	char hex[65];
	hash_sha256(o->data, o->len, hash);
	text_hex(hash, 16, hex);
	if (!s->kind.sends_no_tags)
		snprintf(a->headers + strlen(a->headers), sizeof(a->headers) - strlen(a->headers),
			"ETag: \"%s\"\r\n", hex);
}

static void do_get(struct s3_stub *s, const struct request *r, struct answer *a)
{
	char range[64], match[128];
	const char *version = param(r, "versionId");
	const struct object *o = find(s, r->key);
	bool is_old = version != NULL && strcmp(version, "v1") == 0;
	if (o == NULL || (s->kind.is_destroyed && !is_old && strstr(r->key, "tmp/") == NULL)) {
		refuse(a, 404, "NoSuchKey");
		return;
	}
	size_t from = 0, until = o->len;
	if (header(r, "range", range, sizeof(range)) != NULL) {
		char *end = NULL;
		from = strtoull(range + 6, &end, 10);
		if (end[1] != '\0' && strtoull(end + 1, NULL, 10) + 1 < until)
			until = strtoull(end + 1, NULL, 10) + 1;
		if (from >= o->len) {
			refuse(a, 416, "InvalidRange");
			return;
		}
		a->status = 206;
		snprintf(a->headers, sizeof(a->headers), "Content-Range: bytes %zu-%zu/%zu\r\n",
			from, until - 1, o->len);
	}
	tag(a, s, o);
	if (header(r, "if-match", match, sizeof(match)) != NULL &&
		strstr(a->headers, match) == NULL) {
		refuse(a, 412, "PreconditionFailed");
		return;
	}
	buf_add(&a->body, o->data + from, until - from, NULL);
}

static void do_put(struct s3_stub *s, const struct request *r, struct answer *a)
{
	char value[64];
	bool is_conditional = header(r, "if-none-match", value, sizeof(value)) != NULL;
	if (is_conditional && s->kind.has_no_condition)
		refuse(a, 501, "NotImplemented");
	else if (is_conditional && !s->kind.ignores_condition && find(s, r->key) != NULL)
		refuse(a, 412, "PreconditionFailed");
	else
		store(s, r->key, r->body, r->len);
	if (a->status == 200)
		tag(a, s, find(s, r->key));
}

static void add_encoded(struct buf *out, const char *key)
{
	for (; *key != '\0'; key++) {
		if (strchr("&<>% +", *key) != NULL || (unsigned char)*key > '~')
			buf_addf(out, NULL, "%%%02X", (unsigned)(unsigned char)*key);
		else
			buf_add8(out, (uint8_t)*key, NULL);
	}
}

static void do_list(struct s3_stub *s, const struct request *r, struct answer *a)
{
	const char *prefix = param(r, "prefix"), *token = param(r, "continuation-token");
	size_t page = s->kind.page == 0 ? 1000 : s->kind.page, told = 0, i = 0;
	if (s->kind.has_empty_pages && s->page_turn++ % 2 == 0)
		page = 0;
	prefix = prefix == NULL ? "" : prefix;
	buf_addf(&a->body, NULL,
		"<?xml version=\"1.0\" encoding=\"UTF-8\"?><ListBucketResult "
		"xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><EncodingType>url"
		"</EncodingType>");
	i = token == NULL ? 0 : place(s, token + 2);
	for (; i < s->count && told < page; i++) {
		const struct object *o = &s->objects[i];
		if (strncmp(o->key, prefix, strlen(prefix)) != 0)
			continue;
		told++;
		buf_addf(&a->body, NULL, "<Contents><Key>");
		add_encoded(&a->body, o->key);
		buf_addf(&a->body, NULL, "</Key><Size>%zu</Size></Contents>", o->len);
	}
	buf_addf(&a->body, NULL, "<IsTruncated>%s</IsTruncated>", i < s->count ? "true" : "false");
	if (i < s->count) /* a token that has to be encoded on its way */
		buf_addf(&a->body, NULL, "<NextContinuationToken>=+%s</NextContinuationToken>",
			s->objects[i].key);
	buf_addf(&a->body, NULL, "</ListBucketResult>");
}

/* Two keys a page, so that there are some. */
static void do_versions(struct s3_stub *s, const struct request *r, struct answer *a)
{
	const char *marker = param(r, "key-marker");
	size_t i = marker == NULL ? 0 : place(s, marker) + 1, until = i + 2;
	buf_addf(&a->body, NULL, "<ListVersionsResult>");
	for (; i < s->count && i < until; i++)
		buf_addf(&a->body, NULL,
			"<DeleteMarker><Key>%s</Key><VersionId>v3</VersionId></DeleteMarker>"
			"<Version><Key>%s</Key><VersionId>v2</VersionId><Size>1</Size></Version>"
			"<Version><Key>%s</Key><VersionId>v1</VersionId><Size>%zu</Size></Version>",
			s->objects[i].key, s->objects[i].key, s->objects[i].key, s->objects[i].len);
	buf_addf(&a->body, NULL, "<IsTruncated>%s</IsTruncated>", i < s->count ? "true" : "false");
	if (i < s->count)
		buf_addf(
			&a->body, NULL, "<NextKeyMarker>%s</NextKeyMarker>", s->objects[i - 1].key);
	buf_addf(&a->body, NULL, "</ListVersionsResult>");
}

static void do_delete_many(struct s3_stub *s, const struct request *r, struct answer *a)
{
	unsigned n = 0;
	if (s->kind.has_no_delete_many) {
		refuse(a, 501, "NotImplemented");
		return;
	}
	buf_addf(&a->body, NULL, "<DeleteResult>");
	char *text = strndup((const char *)r->body, r->len);
	for (char *p = strstr(text, "<Key>"); p != NULL; p = strstr(p, "<Key>")) {
		char *end = strstr(p, "</Key>");
		*end = '\0';
		if (s->kind.refuses_in_delete_many && n++ % 2 == 1)
			buf_addf(&a->body, NULL,
				"<Error><Key>%s</Key><Code>InternalError</Code></Error>", p + 5);
		else
			drop(s, p + 5);
		p = end + 1;
	}
	free(text);
	buf_addf(&a->body, NULL, "</DeleteResult>");
}

static int64_t time_of(const char *date)
{
	struct tm tm = { .tm_year = 0 };
	return strptime(date, "%Y%m%dT%H%M%SZ", &tm) == NULL ? 0 : (int64_t)timegm(&tm);
}

static void answer(struct s3_stub *s, const struct request *r, struct answer *a)
{
	char value[2048];
	const char *bad = check_signature(r);
	int64_t now = (int64_t)time(NULL) + s->kind.skew_s;
	header(r, "x-amz-date", value, sizeof(value));
	if (bad == NULL && llabs(time_of(value) - now) > 900)
		bad = "RequestTimeTooSkewed";
	const char *token = header(r, "x-amz-security-token", value, sizeof(value));
	if (bad == NULL && s->kind.token != NULL &&
		(token == NULL || strcmp(token, s->kind.token) != 0))
		bad = "ExpiredToken";
	if (bad != NULL) {
		bool is_400 = strcmp(bad, "AuthorizationHeaderMalformed") == 0 ||
			      strcmp(bad, "ExpiredToken") == 0;
		refuse(a, is_400 ? 400 : 403, bad);
		return;
	}
	bad = check_body(r);
	if (bad != NULL)
		refuse(a, 400, bad);
	else if (strncmp(r->path, "/" S3_STUB_BUCKET "/", strlen("/" S3_STUB_BUCKET "/")) != 0)
		refuse(a, 404, "NoSuchBucket");
	else if (r->key[0] == '\0' && strcmp(r->method, "POST") == 0)
		do_delete_many(s, r, a);
	else if (r->key[0] == '\0' && param(r, "versions") != NULL)
		do_versions(s, r, a);
	else if (r->key[0] == '\0' && param(r, "list-type") != NULL)
		do_list(s, r, a);
	else if (r->key[0] == '\0')
		refuse(a, 501, "NotImplemented");
	else if (strcmp(r->method, "GET") == 0)
		do_get(s, r, a);
	else if (strcmp(r->method, "PUT") == 0)
		do_put(s, r, a);
	else if (strcmp(r->method, "DELETE") == 0)
		drop(s, r->key), a->status = 204;
	else
		refuse(a, 405, "MethodNotAllowed");
}

static bool find_fault(struct s3_stub *s, const struct request *r, struct s3_stub_fault *out)
{
	for (size_t i = 0; i < s->fault_count; i++) {
		struct s3_stub_fault *f = &s->faults[i];
		if (f->times == 0 || (f->method != NULL && strcmp(f->method, r->method) != 0) ||
			(f->part != NULL && strstr(r->target, f->part) == NULL))
			continue;
		f->times--;
		*out = *f;
		return true;
	}
	return false;
}

static bool serve_one(struct s3_stub *s, int fd)
{
	static const struct s3_stub_fault none = { .how = S3_STUB_STATUS };
	struct request *r = malloc(sizeof(*r));
	struct answer a = { .status = 200, .body = BUF_INIT(80u << 20) };
	struct s3_stub_fault f = none;
	bool is_good = take(fd, r);
	if (!is_good) {
		free(r->body);
		free(r);
		return false;
	}
	pthread_mutex_lock(&s->lock);
	bool is_broken = find_fault(s, r, &f);
	char entry[4200];
	snprintf(entry, sizeof(entry), "%s %s", r->method, r->target);
	if (s->log_count < MAX_LOG)
		s->log[s->log_count++] = strdup(entry);
	if (is_broken && f.how == S3_STUB_STATUS)
		refuse(&a, f.status, f.code);
	else if (!is_broken || f.how == S3_STUB_LOSE_REPLY || f.how == S3_STUB_CUT)
		answer(s, r, &a);
	time_t now = time(NULL) + (time_t)s->kind.skew_s;
	pthread_mutex_unlock(&s->lock);
	char head[2048], date[64];
	struct tm tm;
	strftime(date, sizeof(date), "%a, %d %b %Y %H:%M:%S GMT", gmtime_r(&now, &tm));
	snprintf(head, sizeof(head),
		"HTTP/1.1 %d Stub\r\nDate: %s\r\n%sContent-Length: %zu\r\n\r\n", a.status, date,
		a.headers, a.body.len);
	char byte;
	if (is_broken && f.how == S3_STUB_HANG) {
		(void)!recv(fd, &byte, 1, 0);
		is_good = false;
	} else if (is_broken && (f.how == S3_STUB_RESET || f.how == S3_STUB_LOSE_REPLY)) {
		reset(fd);
		is_good = false;
	} else {
		bool is_cut = is_broken && f.how == S3_STUB_CUT && a.body.len > f.at;
		if (a.status == 204)
			snprintf(head, sizeof(head), "HTTP/1.1 204 No Content\r\nDate: %s\r\n\r\n",
				date);
		is_good = send_all(fd, head, strlen(head)) &&
			  send_all(fd, a.body.data, is_cut ? f.at : a.body.len) && !is_cut;
	}
	free(r->body);
	free(r);
	buf_done(&a.body);
	return is_good;
}

static void *serve(void *arg)
{
	struct conn_arg c = *(struct conn_arg *)arg;
	free(arg);
	int fd = c.s->conns[c.slot].fd;
	while (serve_one(c.s, fd))
		;
	pthread_mutex_lock(&c.s->lock);
	close(fd);
	c.s->conns[c.slot].fd = -1;
	pthread_mutex_unlock(&c.s->lock);
	return NULL;
}

static void *accept_all(void *arg)
{
	struct s3_stub *s = arg;
	for (;;) {
		int fd = accept(s->fd, NULL, NULL);
		pthread_mutex_lock(&s->lock);
		if (fd < 0 || s->is_ending) {
			pthread_mutex_unlock(&s->lock);
			if (fd >= 0)
				close(fd);
			return NULL;
		}
		int slot = 0;
		while (slot < MAX_CONNS && s->conns[slot].is_used && s->conns[slot].fd >= 0)
			slot++;
		assert(slot < MAX_CONNS);
		if (s->conns[slot].is_used)
			pthread_join(s->conns[slot].thread, NULL);
		s->conns[slot].is_used = true;
		s->conns[slot].fd = fd;
		s->conn_count++;
		struct conn_arg *c = malloc(sizeof(*c));
		*c = (struct conn_arg){ s, slot };
		int rc = pthread_create(&s->conns[slot].thread, NULL, serve, c);
		assert(rc == 0);
		(void)rc;
		pthread_mutex_unlock(&s->lock);
	}
}

struct s3_stub *s3_stub_new(const struct s3_stub_kind *kind)
{
	struct s3_stub *s = calloc(1, sizeof(*s));
	struct sockaddr_in at = { .sin_family = AF_INET };
	socklen_t len = sizeof(at);
	at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert(s != NULL);
	if (kind != NULL)
		s->kind = *kind;
	pthread_mutex_init(&s->lock, NULL);
	s->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int rc = bind(s->fd, (struct sockaddr *)&at, sizeof(at));
	rc |= listen(s->fd, 64) | getsockname(s->fd, (struct sockaddr *)&at, &len);
	rc |= pthread_create(&s->accepter, NULL, accept_all, s);
	assert(rc == 0);
	(void)rc;
	s->port = ntohs(at.sin_port);
	return s;
}

void s3_stub_free(struct s3_stub *s)
{
	if (s == NULL)
		return;
	pthread_mutex_lock(&s->lock);
	s->is_ending = true;
	shutdown(s->fd, SHUT_RDWR);
	for (int i = 0; i < MAX_CONNS; i++) {
		if (s->conns[i].is_used && s->conns[i].fd >= 0)
			shutdown(s->conns[i].fd, SHUT_RDWR);
	}
	pthread_mutex_unlock(&s->lock);
	pthread_join(s->accepter, NULL);
	close(s->fd);
	for (int i = 0; i < MAX_CONNS; i++) {
		if (s->conns[i].is_used)
			pthread_join(s->conns[i].thread, NULL);
	}
	while (s->count > 0)
		drop(s, s->objects[0].key);
	free(s->objects);
	for (size_t i = 0; i < s->log_count; i++)
		free(s->log[i]);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

int s3_stub_port(const struct s3_stub *s)
{
	return s->port;
}

void s3_stub_set_kind(struct s3_stub *s, const struct s3_stub_kind *kind)
{
	pthread_mutex_lock(&s->lock);
	s->kind = *kind;
	pthread_mutex_unlock(&s->lock);
}

void s3_stub_break(struct s3_stub *s, const struct s3_stub_fault *fault)
{
	pthread_mutex_lock(&s->lock);
	assert(s->fault_count < MAX_FAULTS);
	s->faults[s->fault_count++] = *fault;
	pthread_mutex_unlock(&s->lock);
}

void s3_stub_heal(struct s3_stub *s)
{
	pthread_mutex_lock(&s->lock);
	s->fault_count = 0;
	pthread_mutex_unlock(&s->lock);
}

unsigned s3_stub_count(struct s3_stub *s, const char *method, const char *part)
{
	unsigned n = 0;
	size_t len = strlen(method);
	pthread_mutex_lock(&s->lock);
	for (size_t i = 0; i < s->log_count; i++)
		n += strncmp(s->log[i], method, len) == 0 && s->log[i][len] == ' ' &&
		     strstr(s->log[i], part) != NULL;
	pthread_mutex_unlock(&s->lock);
	return n;
}

unsigned s3_stub_connections(struct s3_stub *s)
{
	pthread_mutex_lock(&s->lock);
	unsigned n = s->conn_count;
	pthread_mutex_unlock(&s->lock);
	return n;
}

bool s3_stub_holds(struct s3_stub *s, const char *key, const void *data, size_t len)
{
	pthread_mutex_lock(&s->lock);
	const struct object *o = find(s, key);
	bool is = o != NULL && o->len == len && memcmp(o->data, data, len) == 0;
	pthread_mutex_unlock(&s->lock);
	return is;
}

size_t s3_stub_objects(struct s3_stub *s)
{
	pthread_mutex_lock(&s->lock);
	size_t n = s->count;
	pthread_mutex_unlock(&s->lock);
	return n;
}

void s3_stub_put(struct s3_stub *s, const char *key, const void *data, size_t len)
{
	pthread_mutex_lock(&s->lock);
	store(s, key, data, len);
	pthread_mutex_unlock(&s->lock);
}

void s3_stub_environment(void)
{
	setenv("AWS_ACCESS_KEY_ID", S3_STUB_ACCESS, 1);
	setenv("AWS_SECRET_ACCESS_KEY", S3_STUB_SECRET, 1);
	unsetenv("AWS_SESSION_TOKEN");
	unsetenv("AWS_PROFILE");
	unsetenv("AWS_REGION");
	unsetenv("AWS_DEFAULT_REGION");
	unsetenv("AWS_CA_BUNDLE");
	setenv("AWS_EC2_METADATA_DISABLED", "true", 1);
}
