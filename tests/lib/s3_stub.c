#include "tests/lib/s3_stub.h"

#include <arpa/inet.h>
#include <assert.h>
#include <netinet/in.h>
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
#include "tests/lib/s3_stub_objects.h"
#include "tests/lib/s3_stub_request.h"

#define MAX_CONNS 128
#define MAX_FAULTS 8
#define MAX_LOG 4096

struct s3_stub {
	struct s3_stub_kind kind;
	int fd, port;
	pthread_t accepter;
	pthread_mutex_t lock;
	struct s3_stub_objects objects;
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

struct conn_arg {
	struct s3_stub *s;
	int slot;
};

/* ---- answers ---- */

static void reset(int fd)
{
	struct linger l = { 1, 0 };
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &l, sizeof(l));
}

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

static void tag_of(const struct s3_stub_version *o, char hex[65])
{
	uint8_t hash[32];
	hash_sha256(o->data, o->len, hash);
	text_hex(hash, 16, hex);
}

static void tag(struct answer *a, const struct s3_stub *s, const struct s3_stub_version *o)
{
	char hex[65];
	size_t n = strlen(a->headers);
	tag_of(o, hex);
	if (!s->kind.sends_no_tags)
		snprintf(a->headers + n, sizeof(a->headers) - n, "ETag: \"%s\"\r\n", hex);
}

static int64_t now_of(const struct s3_stub *s)
{
	return (int64_t)time(NULL) + s->kind.skew_s;
}

static void add_header(struct answer *a, const char *name, const char *value)
{
	size_t n = strlen(a->headers);
	snprintf(a->headers + n, sizeof(a->headers) - n, "%s: %s\r\n", name, value);
}

static void tell_time(int64_t at, char out[32])
{
	time_t t = (time_t)at;
	struct tm tm;
	strftime(out, 32, "%Y-%m-%dT%H:%M:%S.000Z", gmtime_r(&t, &tm));
}

static void tell_version(struct answer *a, const struct s3_stub *s, const struct s3_stub_version *o)
{
	char until[32];
	if (s->kind.has_versions)
		add_header(a, "x-amz-version-id", o->id);
	if (o->until_s == 0)
		return;
	tell_time(o->until_s, until);
	add_header(a, "x-amz-object-lock-mode", o->is_compliance ? "COMPLIANCE" : "GOVERNANCE");
	add_header(a, "x-amz-object-lock-retain-until-date", until);
}

static void do_get(struct s3_stub *s, const struct s3_stub_request *r, struct answer *a)
{
	char range[64], match[128];
	const struct s3_stub_version *o =
		s3_stub_objects_find(&s->objects, r->key, s3_stub_request_param(r, "versionId"));
	if (o == NULL || o->is_marker) {
		refuse(a, 404,
			s3_stub_request_param(r, "versionId") != NULL ? "NoSuchVersion"
								      : "NoSuchKey");
		return;
	}
	size_t from = 0, until = o->len;
	if (s3_stub_request_header(r, "range", range, sizeof(range)) != NULL) {
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
	tell_version(a, s, o);
	if (s3_stub_request_header(r, "if-match", match, sizeof(match)) != NULL &&
		strstr(a->headers, match) == NULL) {
		refuse(a, 412, "PreconditionFailed");
		return;
	}
	buf_add(&a->body, o->data + from, until - from, NULL);
}

/* "2026-11-27T10:00:00Z" */
static int64_t date_of(const char *text)
{
	struct tm tm = { .tm_year = 0 };
	return strptime(text, "%Y-%m-%dT%H:%M:%S", &tm) == NULL ? 0 : (int64_t)timegm(&tm);
}

/* NULL, or the code of the refusal; *${until} stays 0 when nothing asks for a lock. */
static const char *read_lock(const struct s3_stub *s, const struct s3_stub_request *r,
	bool *is_compliance, int64_t *until)
{
	char mode[32], date[64];
	bool has_mode =
		s3_stub_request_header(r, "x-amz-object-lock-mode", mode, sizeof(mode)) != NULL;
	bool has_date = s3_stub_request_header(r, "x-amz-object-lock-retain-until-date", date,
				sizeof(date)) != NULL;
	if (!has_mode && !has_date)
		return NULL;
	if (s->kind.ignores_locks)
		return NULL;
	if (!s->kind.has_lock || has_mode != has_date)
		return "InvalidRequest";
	*is_compliance = strcmp(mode, "COMPLIANCE") == 0;
	if (!*is_compliance && strcmp(mode, "GOVERNANCE") != 0)
		return "InvalidArgument";
	*until = date_of(date);
	return *until <= now_of(s) ? "InvalidArgument" : NULL;
}

static void do_put(struct s3_stub *s, const struct s3_stub_request *r, struct answer *a)
{
	char value[64];
	int64_t until = 0;
	bool is_compliance = false;
	bool is_conditional =
		s3_stub_request_header(r, "if-none-match", value, sizeof(value)) != NULL;
	const char *bad = read_lock(s, r, &is_compliance, &until);
	if (bad != NULL) {
		refuse(a, 400, bad);
		return;
	}
	if (is_conditional && s->kind.has_no_condition) {
		refuse(a, 501, "NotImplemented");
		return;
	}
	if (is_conditional && !s->kind.ignores_condition &&
		s3_stub_objects_find(&s->objects, r->key, NULL) != NULL) {
		refuse(a, 412, "PreconditionFailed");
		return;
	}
	struct s3_stub_version *o = s3_stub_objects_put(&s->objects, r->key, r->body, r->len);
	o->is_compliance = is_compliance;
	o->until_s = until;
	tag(a, s, o);
	tell_version(a, s, o);
}

/* PutObjectRetention */
static void do_retention(struct s3_stub *s, const struct s3_stub_request *r, struct answer *a)
{
	char value[16];
	struct s3_stub_version *o =
		s3_stub_objects_find(&s->objects, r->key, s3_stub_request_param(r, "versionId"));
	char *text = strndup((const char *)r->body, r->len);
	const char *date = strstr(text, "<RetainUntilDate>");
	int64_t until = date == NULL ? 0 : date_of(date + strlen("<RetainUntilDate>"));
	bool is_compliance = strstr(text, "<Mode>COMPLIANCE</Mode>") != NULL;
	bool is_governance = strstr(text, "<Mode>GOVERNANCE</Mode>") != NULL;
	bool may_bypass =
		s->kind.may_bypass && s3_stub_request_header(r, "x-amz-bypass-governance-retention",
					      value, sizeof(value)) != NULL;
	free(text);
	if (!s->kind.has_lock)
		refuse(a, 400, "InvalidRequest");
	else if (o == NULL || o->is_marker)
		refuse(a, 404, "NoSuchKey");
	else if (is_compliance == is_governance || until <= now_of(s))
		refuse(a, 400, "MalformedXML");
	else if (!s3_stub_objects_lock(o, is_compliance, until, now_of(s), may_bypass))
		refuse(a, 403, "AccessDenied");
}

static void do_delete(struct s3_stub *s, const struct s3_stub_request *r, struct answer *a)
{
	char value[16];
	const char *id = s3_stub_request_param(r, "versionId");
	bool may_bypass =
		s->kind.may_bypass && s3_stub_request_header(r, "x-amz-bypass-governance-retention",
					      value, sizeof(value)) != NULL;
	a->status = 204;
	if (id == NULL)
		s3_stub_objects_delete(&s->objects, r->key);
	else if (s->kind.may_not_purge ||
		 !s3_stub_objects_purge(&s->objects, r->key, id, now_of(s), may_bypass))
		refuse(a, 403, "AccessDenied");
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

static void do_list(struct s3_stub *s, const struct s3_stub_request *r, struct answer *a)
{
	const char *prefix = s3_stub_request_param(r, "prefix"),
		   *token = s3_stub_request_param(r, "continuation-token");
	size_t page = s->kind.page == 0 ? 1000 : s->kind.page, told = 0, i = 0;
	if (s->kind.has_empty_pages && s->page_turn++ % 2 == 0)
		page = 0;
	prefix = prefix == NULL ? "" : prefix;
	buf_addf(&a->body, NULL,
		"<?xml version=\"1.0\" encoding=\"UTF-8\"?><ListBucketResult "
		"xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><EncodingType>url"
		"</EncodingType>");
	const struct s3_stub_objects *all = &s->objects;
	i = token == NULL ? 0 : s3_stub_objects_place(all, token + 2);
	for (; i < all->count && told < page; i++) {
		const struct s3_stub_version *o = &all->at[i];
		bool is_current = i == 0 || strcmp(all->at[i - 1].key, o->key) != 0;
		if (!is_current || o->is_marker || strncmp(o->key, prefix, strlen(prefix)) != 0)
			continue;
		told++;
		buf_addf(&a->body, NULL, "<Contents><Key>");
		add_encoded(&a->body, o->key);
		buf_addf(&a->body, NULL, "</Key><Size>%zu</Size></Contents>", o->len);
	}
	while (i > 0 && i < all->count && strcmp(all->at[i - 1].key, all->at[i].key) == 0)
		i++; /* a token names a key */
	buf_addf(
		&a->body, NULL, "<IsTruncated>%s</IsTruncated>", i < all->count ? "true" : "false");
	if (i < all->count) /* a token that has to be encoded on its way */
		buf_addf(&a->body, NULL, "<NextContinuationToken>=+%s</NextContinuationToken>",
			all->at[i].key);
	buf_addf(&a->body, NULL, "</ListBucketResult>");
}

/* Three versions a page, so that there are some, also between two of one key. */
static void do_versions(struct s3_stub *s, const struct s3_stub_request *r, struct answer *a)
{
	const struct s3_stub_objects *all = &s->objects;
	const char *marker = s3_stub_request_param(r, "key-marker"),
		   *id = s3_stub_request_param(r, "version-id-marker");
	const char *prefix = s3_stub_request_param(r, "prefix");
	size_t i = marker == NULL ? 0 : s3_stub_objects_place(all, marker), told = 0;
	while (marker != NULL && i < all->count && strcmp(all->at[i].key, marker) == 0) {
		bool is_last = id != NULL && strcmp(all->at[i++].id, id) == 0;
		if (is_last)
			break;
	}
	prefix = prefix == NULL ? "" : prefix;
	buf_addf(&a->body, NULL, "<ListVersionsResult><EncodingType>url</EncodingType>");
	for (; i < all->count && told < 3; i++) {
		char at[32];
		const struct s3_stub_version *o = &all->at[i];
		bool is_current = i == 0 || strcmp(all->at[i - 1].key, o->key) != 0;
		const char *kind = o->is_marker ? "DeleteMarker" : "Version";
		if (strncmp(o->key, prefix, strlen(prefix)) != 0)
			continue;
		told++;
		tell_time(o->at_s, at);
		buf_addf(&a->body, NULL, "<%s><Key>", kind);
		add_encoded(&a->body, o->key);
		buf_addf(&a->body, NULL,
			"</Key><VersionId>%s</VersionId><IsLatest>%s</IsLatest><LastModified>%s"
			"</LastModified>",
			o->id, is_current ? "true" : "false", at);
		if (!o->is_marker)
			buf_addf(&a->body, NULL, "<Size>%zu</Size>", o->len);
		if (!o->is_marker && !s->kind.sends_no_tags) {
			char hex[65];
			tag_of(o, hex);
			buf_addf(&a->body, NULL, "<ETag>&quot;%s&quot;</ETag>", hex);
		}
		buf_addf(&a->body, NULL, "</%s>", kind);
	}
	buf_addf(
		&a->body, NULL, "<IsTruncated>%s</IsTruncated>", i < all->count ? "true" : "false");
	if (i < all->count) {
		buf_addf(&a->body, NULL, "<NextKeyMarker>");
		add_encoded(&a->body, all->at[i - 1].key);
		buf_addf(&a->body, NULL,
			"</NextKeyMarker><NextVersionIdMarker>%s</NextVersionIdMarker>",
			all->at[i - 1].id);
	}
	buf_addf(&a->body, NULL, "</ListVersionsResult>");
}

static void do_bucket_state(struct s3_stub *s, const struct s3_stub_request *r, struct answer *a)
{
	if (s3_stub_request_param(r, "versioning") != NULL && s->kind.has_versions)
		buf_addf(&a->body, NULL,
			"<VersioningConfiguration><Status>Enabled</Status>"
			"</VersioningConfiguration>");
	else if (s3_stub_request_param(r, "object-lock") != NULL &&
		 (s->kind.has_lock || s->kind.ignores_locks))
		buf_addf(&a->body, NULL,
			"<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled>"
			"</ObjectLockConfiguration>");
	else
		refuse(a, 501, "NotImplemented");
}

static void do_delete_many(struct s3_stub *s, const struct s3_stub_request *r, struct answer *a)
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
			s3_stub_objects_delete(&s->objects, p + 5);
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

static void answer(struct s3_stub *s, const struct s3_stub_request *r, struct answer *a)
{
	char value[2048];
	const char *bad = s3_stub_request_signature(r);
	int64_t now = now_of(s);
	s3_stub_request_header(r, "x-amz-date", value, sizeof(value));
	if (bad == NULL && llabs(time_of(value) - now) > 900)
		bad = "RequestTimeTooSkewed";
	const char *token = s3_stub_request_header(r, "x-amz-security-token", value, sizeof(value));
	if (bad == NULL && s->kind.token != NULL &&
		(token == NULL || strcmp(token, s->kind.token) != 0))
		bad = "ExpiredToken";
	if (bad != NULL) {
		bool is_400 = strcmp(bad, "AuthorizationHeaderMalformed") == 0 ||
			      strcmp(bad, "ExpiredToken") == 0;
		refuse(a, is_400 ? 400 : 403, bad);
		return;
	}
	bad = s3_stub_request_body(r);
	if (bad != NULL)
		refuse(a, 400, bad);
	else if (strncmp(r->path, "/" S3_STUB_BUCKET "/", strlen("/" S3_STUB_BUCKET "/")) != 0)
		refuse(a, 404, "NoSuchBucket");
	else if (r->key[0] == '\0' && strcmp(r->method, "POST") == 0)
		do_delete_many(s, r, a);
	else if (r->key[0] == '\0' && s3_stub_request_param(r, "versions") != NULL)
		do_versions(s, r, a);
	else if (r->key[0] == '\0' && s3_stub_request_param(r, "list-type") != NULL)
		do_list(s, r, a);
	else if (r->key[0] == '\0')
		do_bucket_state(s, r, a);
	else if (strcmp(r->method, "GET") == 0)
		do_get(s, r, a);
	else if (strcmp(r->method, "PUT") == 0 && s3_stub_request_param(r, "retention") != NULL)
		do_retention(s, r, a);
	else if (strcmp(r->method, "PUT") == 0)
		do_put(s, r, a);
	else if (strcmp(r->method, "DELETE") == 0)
		do_delete(s, r, a);
	else
		refuse(a, 405, "MethodNotAllowed");
}

static bool find_fault(
	struct s3_stub *s, const struct s3_stub_request *r, struct s3_stub_fault *out)
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
	struct s3_stub_request *r = malloc(sizeof(*r));
	struct answer a = { .status = 200, .body = BUF_INIT(80u << 20) };
	struct s3_stub_fault f = none;
	bool is_good = s3_stub_request_take(fd, r);
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
		is_good = s3_stub_request_send(fd, head, strlen(head)) &&
			  s3_stub_request_send(fd, a.body.data, is_cut ? f.at : a.body.len) &&
			  !is_cut;
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
	s->objects.has_versions = s->kind.has_versions;
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
	s3_stub_objects_done(&s->objects);
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
	s->objects.has_versions = kind->has_versions;
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
	const struct s3_stub_version *o = s3_stub_objects_find(&s->objects, key, NULL);
	bool is = o != NULL && o->len == len && memcmp(o->data, data, len) == 0;
	pthread_mutex_unlock(&s->lock);
	return is;
}

size_t s3_stub_objects(struct s3_stub *s)
{
	pthread_mutex_lock(&s->lock);
	size_t n = s3_stub_objects_visible(&s->objects);
	pthread_mutex_unlock(&s->lock);
	return n;
}

size_t s3_stub_versions(struct s3_stub *s)
{
	pthread_mutex_lock(&s->lock);
	size_t n = s->objects.count;
	pthread_mutex_unlock(&s->lock);
	return n;
}

/* The first key that is visible and not below ${from}, as a copy; NULL when there is none. */
static char *next_visible(const struct s3_stub_objects *o, const char *from)
{
	for (size_t i = s3_stub_objects_place(o, from); i < o->count; i++) {
		if (s3_stub_objects_find(o, o->at[i].key, NULL) == &o->at[i])
			return strdup(o->at[i].key);
	}
	return NULL;
}

/* Overwrite and delete by name what can be read. */
static void destroy_visible(struct s3_stub_objects *o, const char *prefix)
{
	char *key = next_visible(o, prefix);
	while (key != NULL && strncmp(key, prefix, strlen(prefix)) == 0) {
		s3_stub_objects_put(o, key, "encrypted", 9);
		s3_stub_objects_delete(o, key);
		char *next = next_visible(o, key);
		free(key);
		key = next;
	}
	free(key);
}

size_t s3_stub_destroy(struct s3_stub *s, const char *prefix, bool by_force)
{
	struct s3_stub_objects *o = &s->objects;
	size_t kept = 0;
	pthread_mutex_lock(&s->lock);
	destroy_visible(o, prefix);
	for (size_t i = o->count; by_force && i > 0; i--) {
		struct s3_stub_version *v = &o->at[i - 1];
		if (strncmp(v->key, prefix, strlen(prefix)) == 0)
			kept += !s3_stub_objects_purge(o, v->key, v->id, now_of(s), true);
	}
	if (by_force)
		destroy_visible(o, prefix);
	pthread_mutex_unlock(&s->lock);
	return kept;
}

int64_t s3_stub_locked(struct s3_stub *s, const char *key)
{
	int64_t until = 0;
	pthread_mutex_lock(&s->lock);
	for (size_t i = s3_stub_objects_place(&s->objects, key);
		i < s->objects.count && strcmp(s->objects.at[i].key, key) == 0; i++) {
		if (!s->objects.at[i].is_marker)
			until = s->objects.at[i].until_s;
	}
	pthread_mutex_unlock(&s->lock);
	return until;
}

void s3_stub_age(struct s3_stub *s, int64_t seconds)
{
	pthread_mutex_lock(&s->lock);
	for (size_t i = 0; i < s->objects.count; i++) {
		s->objects.at[i].at_s -= seconds;
		if (s->objects.at[i].until_s > 0)
			s->objects.at[i].until_s -= seconds;
	}
	pthread_mutex_unlock(&s->lock);
}

void s3_stub_put(struct s3_stub *s, const char *key, const void *data, size_t len)
{
	pthread_mutex_lock(&s->lock);
	s3_stub_objects_put(&s->objects, key, data, len);
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
