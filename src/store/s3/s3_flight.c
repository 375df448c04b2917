#include "store/s3/s3_flight.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/env.h"
#include "base/err.h"
#include "net/http_retry.h"
#include "store/s3/s3_cred.h"
#include "store/s3/s3_location.h"
#include "store/s3/s3_wire.h"

/*
 * INVARIANTS
 * (1) Bytes reach call->answer, or are compared, only when the answer says that they begin where
 *     the last good byte ended.
 * (2) What is signed is what is sent: one path, one query, one host.
 * (3) A body that was begun is never sent again by the library on its own (there is no way for it
 * to go back): what to do after a lost reply is for whoever made the call to say. (4) No redirect
 * is followed, no netrc read, nothing unpacked on the way.
 */

#define REFUSAL_MAX_BYTES ((size_t)64 << 10)
#define URL_MAX_BYTES ((size_t)64 << 10)
#define BUFFER_BYTES 524288L
#define EXPECT_BYTES (1u << 20) /* the server may refuse before so much is sent */
#define FEW_BYTES 64
#define NS_PER_MS INT64_C(1000000)
#define TURN_NS 5000000

/* Wait until some of ${want} bytes may pass; how many.  The library's own limit lets 50 MiB pass at
 * once where they come fast enough. */
static size_t wait_for_turn(struct http_retry_bucket *b, size_t want)
{
	const struct timespec t = { .tv_nsec = TURN_NS };
	size_t n = 0;
	while (want > 0 && (n = http_retry_bucket_take(b, env_mono_ns() / NS_PER_MS, want)) == 0)
		(void)nanosleep(&t, NULL); /* a little earlier does no harm */
	return n;
}

static size_t on_send(char *out, size_t size, size_t count, void *arg)
{
	struct s3_flight *f = arg;
	size_t n = f->call->len - f->sent;
	if (n > size * count)
		n = size * count;
	n = wait_for_turn(f->send, n);
	if (n > 0)
		memcpy(out, (const char *)f->call->body + f->sent, n);
	f->sent += n;
	return n;
}

static int status_of(const struct s3_flight *f)
{
	long status = 0;
	(void)curl_easy_getinfo(f->easy, CURLINFO_RESPONSE_CODE, &status); /* stays 0 */
	return (int)status;
}

/* The first bytes of a good answer: is it the part that was asked for?  Return false if not. */
static bool check_place(struct s3_flight *f, int status)
{
	struct s3_wire_call *call = f->call;
	f->is_checked = true;
	if (status == 206) {
		f->is_misplaced = !f->has_begins || f->begins != f->from;
		return !f->is_misplaced;
	}
	if (call->is_range) {
		f->is_misplaced = true; /* the whole, to whoever wants a part */
		return false;
	}
	if (f->is_resumed) { /* the whole again: begin anew */
		call->got = 0;
		if (call->answer != NULL)
			call->answer->len = call->answer_from;
	}
	return true;
}

static size_t take_good(struct s3_flight *f, const char *data, size_t len)
{
	struct s3_wire_call *call = f->call;
	if (call->is_compared) {
		f->is_different = len > call->len - call->got ||
				  memcmp((const char *)call->body + call->got, data, len) != 0;
		if (f->is_different)
			return 0;
	} else if (call->answer != NULL) {
		int rc = buf_add(call->answer, data, len, NULL);
		f->is_too_long = rc == -ERR_LIMIT;
		if (rc != 0)
			return 0;
	}
	call->got += len;
	return len;
}

static size_t on_answer(char *data, size_t size, size_t count, void *arg)
{
	struct s3_flight *f = arg;
	size_t len = size * count;
	int status = status_of(f);
	if (status < 200 || status > 299) {
		size_t room = f->refusal.max - f->refusal.len;
		/* what passes the bound says nothing more */
		return buf_add(&f->refusal, data, len < room ? len : room, NULL) == 0 ? len : 0;
	}
	if (!f->is_checked && !check_place(f, status))
		return 0;
	for (size_t left = len; left > 0;)
		left -= wait_for_turn(f->receive, left);
	return len == 0 ? 0 : take_good(f, data, len);
}

/* The value of the header ${name} in a line, without blanks; NULL when it is another. */
static const char *value_of(const char *line, size_t len, const char *name, size_t *value_len)
{
	size_t n = strlen(name);
	if (len <= n || line[n] != ':' || strncasecmp(line, name, n) != 0)
		return NULL;
	const char *at = line + n + 1;
	const char *end = line + len;
	while (at < end && (*at == ' ' || *at == '\t'))
		at++;
	while (end > at && (end[-1] == '\r' || end[-1] == '\n' || end[-1] == ' '))
		end--;
	*value_len = (size_t)(end - at);
	return at;
}

static void take_value(const char *line, size_t len, const char *name, char *out, size_t size)
{
	size_t n = 0;
	const char *value = value_of(line, len, name, &n);
	if (value == NULL)
		return;
	if (n >= size)
		n = 0; /* longer than any that we would use */
	memcpy(out, value, n);
	out[n] = '\0';
}

/* "bytes 5-9/20" or "bytes * /20" */
static void take_range(struct s3_flight *f, const char *line, size_t len)
{
	char text[FEW_BYTES] = "";
	take_value(line, len, "content-range", text, sizeof(text));
	if (strncmp(text, "bytes ", 6) != 0)
		return;
	char *end = NULL;
	const char *slash = strchr(text, '/');
	if (text[6] != '*') {
		f->begins = strtoull(text + 6, &end, 10);
		f->has_begins = *end == '-';
	}
	if (slash != NULL && slash[1] != '*')
		f->call->total = strtoull(slash + 1, NULL, 10);
}

static curl_socket_t on_open(void *arg, curlsocktype purpose, struct curl_sockaddr *to)
{
	struct s3_flight_sockets *all = arg;
	(void)purpose; /* there is one */
	int fd = socket(to->family, to->socktype | SOCK_CLOEXEC, to->protocol);
	if (fd >= 0 && all->count < S3_FLIGHT_MAX_SOCKETS)
		all->fds[all->count++] = fd;
	if (fd >= 0 && all->receive_bytes > 0) /* else megabytes come before the limit is felt */
		(void)setsockopt(
			fd, SOL_SOCKET, SO_RCVBUF, &all->receive_bytes, sizeof(all->receive_bytes));
	return fd < 0 ? CURL_SOCKET_BAD : fd;
}

static int on_close(void *arg, curl_socket_t fd)
{
	struct s3_flight_sockets *all = arg;
	for (size_t i = 0; i < all->count; i++) {
		if (all->fds[i] == fd) {
			all->fds[i] = all->fds[--all->count];
			break;
		}
	}
	return close(fd);
}

/* Acknowledge at once what came.  Servers that send head and body by themselves (Ceph) hold the
 * body back until the head is acknowledged, and on a kept connection the kernel puts that off for
 * 40 ms.  The library does not tell which socket is this flight's, so all of them hurry. */
static void hurry(const struct s3_flight_sockets *all)
{
	const int on = 1;
	for (size_t i = 0; i < all->count; i++)
		(void)setsockopt(
			all->fds[i], IPPROTO_TCP, TCP_QUICKACK, &on, sizeof(on)); /* only speed */
}

static void begin_answer(struct s3_flight *f)
{
	f->has_begins = false;
	f->is_checked = false;
	f->date_s = 0;
	f->region[0] = '\0';
	buf_clear(&f->refusal);
}

static size_t on_header(char *data, size_t size, size_t count, void *arg)
{
	struct s3_flight *f = arg;
	struct s3_wire_call *call = f->call;
	size_t len = size * count;
	if (len > 5 && memcmp(data, "HTTP/", 5) == 0) {
		begin_answer(f); /* there may be a 100 before the real one */
		hurry(f->sockets);
		return len;
	}
	int status = status_of(f);
	char date[FEW_BYTES] = "";
	take_value(data, len, "date", date, sizeof(date));
	if (date[0] != '\0') {
		time_t at = curl_getdate(date, NULL);
		f->date_s = at > 0 ? (int64_t)at : 0;
	}
	take_value(data, len, "x-amz-bucket-region", f->region, sizeof(f->region));
	take_range(f, data, len);
	if (status < 200 || status > 299)
		return len;
	take_value(data, len, "etag", call->etag, sizeof(call->etag));
	take_value(data, len, "x-amz-version-id", call->version, sizeof(call->version));
	take_value(data, len, "x-amz-object-lock-mode", call->lock_mode, sizeof(call->lock_mode));
	take_value(data, len, "x-amz-object-lock-retain-until-date", call->lock_until,
		sizeof(call->lock_until));
	return len;
}

static bool is_loopback(const char *host)
{
	return strncmp(host, "127.", 4) == 0 || strncmp(host, "[::1]", 5) == 0 ||
	       strstr(host, "localhost") != NULL;
}

int s3_flight_init(struct s3_flight *f, const struct s3_flight_opts *opts, struct err *err)
{
	memset(f, 0, sizeof(*f));
	f->sockets = opts->sockets;
	f->send = opts->send;
	f->receive = opts->receive;
	f->url = (struct buf)BUF_INIT(URL_MAX_BYTES);
	f->refusal = (struct buf)BUF_INIT(REFUSAL_MAX_BYTES);
	CURL *e = f->easy = curl_easy_init();
	if (e == NULL)
		return err_set(err, ERR_NOMEM, "out of memory for a request");
	CURLcode bad = CURLE_OK;
#define SET(option, value) bad = bad != CURLE_OK ? bad : curl_easy_setopt(e, option, value)
	SET(CURLOPT_PRIVATE, f);
	SET(CURLOPT_ERRORBUFFER, f->detail);
	SET(CURLOPT_NOSIGNAL, 1L);
	SET(CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
	SET(CURLOPT_FOLLOWLOCATION, 0L);
	SET(CURLOPT_PROTOCOLS_STR, opts->place->is_https ? "https" : "http");
	SET(CURLOPT_PATH_AS_IS, 1L);
	SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	if (is_loopback(opts->place->host))
		SET(CURLOPT_PROXY, "");
	if (opts->ca_file != NULL)
		SET(CURLOPT_CAINFO, opts->ca_file);
	SET(CURLOPT_CONNECTTIMEOUT_MS, opts->connect_ms);
	SET(CURLOPT_LOW_SPEED_LIMIT, 1L);
	SET(CURLOPT_LOW_SPEED_TIME, opts->stall_s);
	SET(CURLOPT_UPLOAD_BUFFERSIZE, BUFFER_BYTES);
	SET(CURLOPT_BUFFERSIZE, BUFFER_BYTES);
	SET(CURLOPT_TCP_NODELAY, 1L);
	SET(CURLOPT_TCP_KEEPALIVE, 1L);
	SET(CURLOPT_USERAGENT, "holdfast");
	SET(CURLOPT_READFUNCTION, on_send);
	SET(CURLOPT_READDATA, f);
	SET(CURLOPT_WRITEFUNCTION, on_answer);
	SET(CURLOPT_WRITEDATA, f);
	SET(CURLOPT_HEADERFUNCTION, on_header);
	SET(CURLOPT_HEADERDATA, f);
	SET(CURLOPT_OPENSOCKETFUNCTION, on_open);
	SET(CURLOPT_OPENSOCKETDATA, opts->sockets);
	SET(CURLOPT_CLOSESOCKETFUNCTION, on_close);
	SET(CURLOPT_CLOSESOCKETDATA, opts->sockets);
	return bad == CURLE_OK ? 0 : err_set(err, ERR_NOMEM, "out of memory for a request");
}

void s3_flight_done(struct s3_flight *f)
{
	if (f->easy != NULL)
		curl_easy_cleanup(f->easy);
	curl_slist_free_all(f->headers);
	buf_done(&f->url);
	buf_done(&f->refusal);
	memset(f, 0, sizeof(*f));
}

char *s3_flight_host(const struct s3_location *place)
{
	char *host = NULL;
	int n = place->is_virtual ? asprintf(&host, "%s.%s", place->bucket, place->host)
				  : asprintf(&host, "%s", place->host);
	return n < 0 ? NULL : host;
}

bool s3_flight_is_tls_there(const struct s3_location *place)
{
	CLEANUP(cleanup_free_p) char *host = s3_flight_host(place);
	CLEANUP(cleanup_free_p) char *url = NULL;
	CURL *e = curl_easy_init();
	if (e == NULL || host == NULL || asprintf(&url, "https://%s/", host) < 0)
		url = NULL;
	CURLcode bad = url == NULL ? CURLE_OUT_OF_MEMORY : CURLE_OK;
	SET(CURLOPT_URL, url);
	SET(CURLOPT_CONNECT_ONLY, 1L);
	SET(CURLOPT_NOSIGNAL, 1L);
	SET(CURLOPT_SSL_VERIFYPEER, 0L); /* nothing is sent: who it is does not matter */
	SET(CURLOPT_SSL_VERIFYHOST, 0L);
	SET(CURLOPT_TIMEOUT_MS, 3000L);
	if (is_loopback(place->host))
		SET(CURLOPT_PROXY, "");
	if (bad == CURLE_OK)
		bad = curl_easy_perform(e);
	curl_easy_cleanup(e);
	return bad == CURLE_OK;
}

static int add_path(
	const struct s3_location *place, const char *key, struct buf *out, struct err *err)
{
	int rc = buf_addf(out, err, "/");
	if (rc == 0 && !place->is_virtual) {
		rc = s3_uri_encode(place->bucket, strlen(place->bucket), false, out, err);
		if (rc == 0)
			rc = buf_addf(out, err, "/");
	}
	return rc == 0 && key != NULL ? s3_uri_encode(key, strlen(key), true, out, err) : rc;
}

static int add_header(struct s3_flight *f, const char *name, const char *value, struct err *err)
{
	CLEANUP(cleanup_free_p) char *line = NULL;
	/* "Name:" alone keeps the library from sending one of its own */
	int n = value[0] == '\0' ? asprintf(&line, "%s:", name)
				 : asprintf(&line, "%s: %s", name, value);
	if (n < 0)
		line = NULL;
	struct curl_slist *more = line == NULL ? NULL : curl_slist_append(f->headers, line);
	if (more == NULL)
		return err_set(err, ERR_NOMEM, "out of memory for a request");
	f->headers = more;
	return 0;
}

static const char *method_name(enum s3_wire_method method)
{
	switch (method) {
	case S3_WIRE_GET:
		return "GET";
	case S3_WIRE_PUT:
		return "PUT";
	case S3_WIRE_POST:
		return "POST";
	case S3_WIRE_DELETE:
		break;
	}
	return "DELETE";
}

static bool has_body(const struct s3_wire_call *call)
{
	return call->method == S3_WIRE_PUT || call->method == S3_WIRE_POST;
}

/* All headers that are signed, then the signature itself. */
static int seal_request(struct s3_flight *f, const struct s3_flight_seal *seal, const char *host,
	const struct s3_sign_request *what, struct err *err)
{
	const struct s3_wire_call *call = f->call;
	struct s3_sign_header all[S3_SIGN_MAX_HEADERS];
	char date[S3_SIGN_DATE_BYTES];
	size_t n = 0;
	struct s3_sign_request r = *what;
	s3_sign_date(seal->now_ns, date);
	r.date = date;
	r.payload = has_body(call) ? call->sha256 : S3_SIGN_NO_BODY;
	all[n++] = (struct s3_sign_header){ "host", host };
	all[n++] = (struct s3_sign_header){ "x-amz-date", date };
	all[n++] = (struct s3_sign_header){ "x-amz-content-sha256", r.payload };
	if (seal->key->token != NULL)
		all[n++] = (struct s3_sign_header){ "x-amz-security-token", seal->key->token };
	if (has_body(call))
		all[n++] = (struct s3_sign_header){ "content-md5", call->md5 };
	for (size_t i = 0; i < call->header_count; i++)
		all[n++] = call->headers[i];
	r.headers = all;
	r.header_count = n;
	CLEANUP(buf_done) struct buf value = BUF_INIT(8192);
	struct s3_sign_key key = { .access_key = seal->key->access,
		.secret_key = seal->key->secret,
		.region = seal->region,
		.service = "s3" };
	int rc = s3_sign_request(&key, &r, &value, err);
	for (size_t i = 0; rc == 0 && i < n; i++)
		rc = add_header(f, all[i].name, all[i].value, err);
	const char *text = buf_cstr(&value);
	if (rc == 0 && text == NULL)
		rc = err_set(err, ERR_NOMEM, "out of memory for a request");
	return rc == 0 ? add_header(f, "authorization", text, err) : rc;
}

/* Range, and that it is still the same object; neither has to be signed. */
static int add_range(struct s3_flight *f, struct err *err)
{
	const struct s3_wire_call *call = f->call;
	char text[FEW_BYTES];
	if (call->method != S3_WIRE_GET || (!call->is_range && !f->is_resumed))
		return 0;
	if (call->is_range)
		(void)snprintf(text, sizeof(text), "bytes=%llu-%llu", (unsigned long long)f->from,
			(unsigned long long)(call->offset + call->want - 1));
	else
		(void)snprintf(text, sizeof(text), "bytes=%llu-", (unsigned long long)f->from);
	int rc = add_header(f, "range", text, err);
	return rc == 0 && f->is_resumed ? add_header(f, "if-match", call->etag, err) : rc;
}

static int set_request(struct s3_flight *f, const char *url, struct err *err)
{
	CURL *e = f->easy;
	const struct s3_wire_call *call = f->call;
	CURLcode bad = CURLE_OK;
	SET(CURLOPT_CUSTOMREQUEST, NULL);
	SET(CURLOPT_HTTPGET, 1L);
	switch (call->method) {
	case S3_WIRE_GET:
		break;
	case S3_WIRE_DELETE:
		SET(CURLOPT_CUSTOMREQUEST, "DELETE");
		break;
	case S3_WIRE_POST:
		SET(CURLOPT_POST, 1L);
		SET(CURLOPT_POSTFIELDS, NULL);
		SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)call->len);
		break;
	case S3_WIRE_PUT:
		SET(CURLOPT_UPLOAD, 1L);
		SET(CURLOPT_INFILESIZE_LARGE, (curl_off_t)call->len);
		break;
	}
	SET(CURLOPT_URL, url);
	SET(CURLOPT_HTTPHEADER, f->headers);
#undef SET
	return bad == CURLE_OK ? 0 : err_set(err, ERR_NOMEM, "out of memory for a request");
}

/* Where the body of this attempt has to begin. */
static void place(struct s3_flight *f)
{
	struct s3_wire_call *call = f->call;
	/* without a tag nobody can say that it is still the same object */
	if (call->got > 0 && (call->etag[0] == '\0' || call->method != S3_WIRE_GET)) {
		call->got = 0;
		if (call->answer != NULL)
			call->answer->len = call->answer_from;
	}
	f->is_resumed = call->got > 0;
	f->from = (call->is_range ? call->offset : 0) + call->got;
}

int s3_flight_load(struct s3_flight *f, const struct s3_flight_opts *opts,
	const struct s3_flight_seal *seal, struct s3_wire_call *call, struct err *err)
{
	s3_flight_leave(f);
	f->call = call;
	f->sent = 0;
	f->detail[0] = '\0';
	f->is_too_long = f->is_different = f->is_misplaced = false;
	begin_answer(f);
	place(f);
	CLEANUP(cleanup_free_p) char *host = s3_flight_host(opts->place);
	CLEANUP(buf_done) struct buf path = BUF_INIT(URL_MAX_BYTES);
	CLEANUP(buf_done) struct buf query = BUF_INIT(URL_MAX_BYTES);
	if (host == NULL)
		return err_set(err, ERR_NOMEM, "out of memory for a request");
	int rc = add_path(opts->place, call->key, &path, err);
	if (rc == 0)
		rc = s3_uri_query(call->query, call->query_count, &query, err);
	struct s3_sign_request r = { .method = method_name(call->method),
		.path = rc == 0 ? buf_cstr(&path) : NULL,
		.query = rc == 0 ? buf_cstr(&query) : NULL };
	if (rc == 0 && (r.path == NULL || r.query == NULL))
		rc = err_set(err, ERR_NOMEM, "out of memory for a request");
	if (rc == 0)
		rc = seal_request(f, seal, host, &r, err);
	if (rc == 0)
		rc = add_range(f, err);
	if (rc == 0 && call->len <= EXPECT_BYTES)
		rc = add_header(f, "Expect", "", err);
	if (rc == 0 && call->method == S3_WIRE_POST)
		rc = add_header(f, "Content-Type", "application/xml", err);
	if (rc == 0)
		rc = buf_addf(&f->url, err, "http%s://%s%s%s%s", opts->place->is_https ? "s" : "",
			host, r.path, query.len == 0 ? "" : "?", r.query);
	const char *url = rc == 0 ? buf_cstr(&f->url) : NULL;
	if (rc == 0 && url == NULL)
		rc = err_set(err, ERR_NOMEM, "out of memory for a request");
	return rc == 0 ? set_request(f, url, err) : rc;
}

void s3_flight_land(struct s3_flight *f, CURLcode code, struct s3_outcome *out)
{
	struct s3_wire_call *call = f->call;
	long os_errno = 0;
	memset(out, 0, sizeof(*out));
	out->detail = f->detail;
	out->curl_code = (int)code;
	out->status = call->status = status_of(f);
	(void)curl_easy_getinfo(f->easy, CURLINFO_SSL_VERIFYRESULT, &out->verify); /* stays 0 */
	(void)curl_easy_getinfo(f->easy, CURLINFO_OS_ERRNO, &os_errno);            /* stays 0 */
	out->os_errno = (int)os_errno;
	if (f->refusal.len > 0)
		s3_reply_refusal(f->refusal.data, f->refusal.len, &out->refusal);
	if (out->refusal.region[0] == '\0')
		(void)snprintf(out->refusal.region, sizeof(out->refusal.region), "%s", f->region);
	/* without a body nothing was compared; a part of nothing is nothing */
	if (code == CURLE_OK && !f->is_checked &&
		(out->status == 206 || (out->status == 200 && !call->is_range)))
		(void)check_place(f, out->status); /* says so in is_misplaced */
	if (code == CURLE_OK && out->status == 200)
		call->total = call->got;
}

void s3_flight_leave(struct s3_flight *f)
{
	if (f->easy != NULL)
		(void)curl_easy_setopt(f->easy, CURLOPT_HTTPHEADER, NULL); /* NULL always can */
	curl_slist_free_all(f->headers);
	f->headers = NULL;
	f->call = NULL;
	buf_clear(&f->url);
	buf_clear(&f->refusal);
}
