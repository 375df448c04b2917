#include "net/http_flight_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/env.h"
#include "net/http_fault_internal.h"
#include "net/http_refusal.h"

/*
 * INVARIANTS
 * (1) An attempt begins with an empty answer and the whole body.
 * (2) Only what is worth it is tried again: not reached, lost, 429, 503; until retry_ms are over.
 * (3) No proxy, no redirect, no CA but ours, whatever the environment says.
 */

#define REFUSAL_MAX_BYTES ((size_t)64 << 10)
#define BUFFER_BYTES 131072L
#define OWN_KEEP_BYTES ((size_t)3 << 20) /* longer copies of a body are rare */
#define NS_PER_MS INT64_C(1000000)
#define TOKEN_MS 20
#define IDLE_TURN_MS 1000

static int64_t now_ms(void)
{
	return env_mono_ns() / NS_PER_MS;
}

static size_t on_send(char *out, size_t size, size_t count, void *arg)
{
	struct http_flight *f = arg;
	size_t want = f->len - f->at;
	if (want > size * count)
		want = size * count;
	f->moved_ms = now_ms();
	if (want == 0)
		return 0;
	size_t n = http_retry_bucket_take(&f->client->bucket, f->moved_ms, want);
	if (n == 0) {
		f->is_paused = true;
		return CURL_READFUNC_PAUSE;
	}
	memcpy(out, f->body + f->at, n);
	f->at += n;
	f->client->sent += n;
	return n;
}

static int on_seek(void *arg, curl_off_t offset, int origin)
{
	struct http_flight *f = arg;
	if (origin != SEEK_SET || offset < 0 || (size_t)offset > f->len)
		return CURL_SEEKFUNC_FAIL;
	f->at = (size_t)offset;
	return CURL_SEEKFUNC_OK;
}

static size_t on_answer(char *data, size_t size, size_t count, void *arg)
{
	struct http_flight *f = arg;
	size_t len = size * count;
	long status = 0;
	(void)curl_easy_getinfo(f->easy, CURLINFO_RESPONSE_CODE, &status); /* 0 is no 2xx */
	f->moved_ms = now_ms();
	bool is_good = status >= 200 && status <= 299;
	if (is_good && !f->is_kept)
		return len;
	size_t most = is_good ? f->max_answer : REFUSAL_MAX_BYTES;
	if (len > most - f->answer.len) { /* never longer than most: checked at every piece */
		f->is_too_long = is_good;
		return is_good ? 0 : len;
	}
	return buf_add(&f->answer, data, len, NULL) == 0 ? len : 0;
}

static size_t on_header(char *data, size_t size, size_t count, void *arg)
{
	(void)data;
	struct http_flight *f = arg;
	f->moved_ms = now_ms();
	return size * count;
}

static CURLcode set_blob(CURL *e, CURLoption option, char *pem)
{
	struct curl_blob blob = { .data = pem, .len = strlen(pem), .flags = CURL_BLOB_NOCOPY };
	return curl_easy_setopt(e, option, &blob);
}

/* What is the same for every request.  Return false when out of memory. */
static bool set_up(struct http_flight *f)
{
	CURL *e = f->easy;
	struct http_client *c = f->client;
	CURLcode bad = CURLE_OK;
#define SET(option, value) bad = bad != CURLE_OK ? bad : curl_easy_setopt(e, option, value)
	SET(CURLOPT_PRIVATE, f);
	SET(CURLOPT_ERRORBUFFER, f->detail);
	SET(CURLOPT_NOSIGNAL, 1L);
	SET(CURLOPT_PROXY, "");
	SET(CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
	SET(CURLOPT_FOLLOWLOCATION, 0L);
	SET(CURLOPT_PROTOCOLS_STR, "https");
	SET(CURLOPT_PATH_AS_IS, 1L);
	SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_3);
	SET(CURLOPT_SSL_SESSIONID_CACHE, 0L);
	SET(CURLOPT_CAINFO, NULL);
	SET(CURLOPT_CAPATH, NULL);
	SET(CURLOPT_SSL_VERIFYPEER, c->ca == NULL ? 0L : 1L);
	SET(CURLOPT_SSL_VERIFYHOST, c->ca == NULL ? 0L : 2L);
	SET(CURLOPT_CONNECTTIMEOUT_MS, (long)c->connect_ms);
	SET(CURLOPT_UPLOAD_BUFFERSIZE, BUFFER_BYTES);
	SET(CURLOPT_BUFFERSIZE, BUFFER_BYTES);
	SET(CURLOPT_TCP_NODELAY, 1L);
	SET(CURLOPT_TCP_KEEPALIVE, 1L);
	SET(CURLOPT_READFUNCTION, on_send);
	SET(CURLOPT_READDATA, f);
	SET(CURLOPT_SEEKFUNCTION, on_seek);
	SET(CURLOPT_SEEKDATA, f);
	SET(CURLOPT_WRITEFUNCTION, on_answer);
	SET(CURLOPT_WRITEDATA, f);
	SET(CURLOPT_HEADERFUNCTION, on_header);
	SET(CURLOPT_HEADERDATA, f);
	if (bad == CURLE_OK && c->ca != NULL)
		bad = set_blob(e, CURLOPT_CAINFO_BLOB, c->ca);
	if (bad == CURLE_OK && c->cert != NULL) {
		bad = set_blob(e, CURLOPT_SSLCERT_BLOB, c->cert);
		if (bad == CURLE_OK)
			bad = set_blob(e, CURLOPT_SSLKEY_BLOB, c->key);
	}
	return bad == CURLE_OK;
}

static bool set_method(struct http_flight *f)
{
	CURL *e = f->easy;
	CURLcode bad = CURLE_OK;
	SET(CURLOPT_CUSTOMREQUEST, NULL);
	SET(CURLOPT_HTTPGET, 1L);
	switch (f->method) {
	case HTTP_GET:
		break;
	case HTTP_DELETE:
		SET(CURLOPT_CUSTOMREQUEST, "DELETE");
		break;
	case HTTP_POST:
		SET(CURLOPT_POST, 1L);
		SET(CURLOPT_POSTFIELDS, NULL);
		SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)f->len);
		break;
	case HTTP_PUT:
		SET(CURLOPT_UPLOAD, 1L);
		SET(CURLOPT_INFILESIZE_LARGE, (curl_off_t)f->len);
		break;
	}
	SET(CURLOPT_URL, f->url);
	SET(CURLOPT_HTTPHEADER, f->headers);
#undef SET
	return bad == CURLE_OK;
}

static bool add_header(struct http_flight *f, const char *line)
{
	struct curl_slist *more = curl_slist_append(f->headers, line);
	if (more != NULL)
		f->headers = more;
	return more != NULL;
}

static bool add_headers(struct http_flight *f, const char *type)
{
	char line[256];
	int n = snprintf(line, sizeof(line), "Content-Type: %s", type == NULL ? "" : type);
	bool fits = n >= 0 && (size_t)n < sizeof(line);
	/* "Name:" without a value keeps the library from adding one of its own */
	return fits && add_header(f, "Expect:") && add_header(f, "Accept:") &&
	       add_header(f, type == NULL ? "Content-Type:" : line) &&
	       (f->client->bearer == NULL || add_header(f, f->client->bearer));
}

static bool is_good_path(const char *path)
{
	if (path[0] != '/')
		return false;
	for (const char *p = path; *p != '\0'; p++) {
		if (*p <= ' ' || *p > '~' || *p == '#')
			return false;
	}
	return true;
}

/* A copy of the body, in the memory of the one before: fresh pages are dear. */
static bool own_body(struct http_flight *f, const struct http_call *call)
{
	f->own.max = SIZE_MAX;
	buf_clear(&f->own);
	return buf_add(&f->own, call->body, call->len, NULL) == 0;
}

int http_flight_start(struct http_flight *f, struct http_client *c, const struct http_call *call,
	bool own, struct err *err)
{
	if (!is_good_path(call->path))
		return err_set(err, ERR_USAGE, "'%.64s' is no path of a request", call->path);
	f->client = c;
	bool is_new = f->easy == NULL;
	if (is_new)
		f->easy = curl_easy_init();
	bool has_body = !own || own_body(f, call);
	if (asprintf(&f->url, "https://%s%s", c->address, call->path) < 0)
		f->url = NULL;
	f->method = call->method;
	f->body = own ? f->own.data : call->body;
	f->len = call->len;
	if (f->easy == NULL || f->url == NULL || !has_body || (is_new && !set_up(f)) ||
		!add_headers(f, call->type) || !set_method(f)) {
		http_flight_done(f); /* not half set up */
		return err_set(err, ERR_NOMEM, "out of memory for a request");
	}
	f->is_kept = false;
	f->max_answer = call->max_answer;
	f->answer = (struct buf)BUF_INIT(
		call->max_answer > REFUSAL_MAX_BYTES ? call->max_answer : REFUSAL_MAX_BYTES);
	f->silence_ms = c->stall_ms + (call->wait_ms > 0 ? call->wait_ms : 0);
	f->first_ms = now_ms();
	f->due_ms = f->first_ms;
	f->attempt = 0;
	f->status = 0;
	err_clear(&f->err);
	f->state = HTTP_FLIGHT_WAITING;
	return 0;
}

static void leave(struct http_flight *f, int64_t now)
{
	f->at = 0;
	f->is_paused = false;
	f->is_too_long = false;
	f->is_stalled = false;
	f->detail[0] = '\0';
	f->moved_ms = now;
	buf_clear(&f->answer);
	f->state = HTTP_FLIGHT_UP;
	if (curl_multi_add_handle(f->client->multi, f->easy) != CURLM_OK) {
		(void)err_set(&f->err, ERR_NOMEM, "out of memory for a request");
		f->state = HTTP_FLIGHT_LANDED;
	}
}

int http_flight_turn(struct http_flight *f)
{
	int64_t now = now_ms();
	if (f->state == HTTP_FLIGHT_WAITING) {
		if (f->due_ms > now)
			return f->due_ms - now < IDLE_TURN_MS ? (int)(f->due_ms - now)
							      : IDLE_TURN_MS;
		leave(f, now);
	}
	if (f->state != HTTP_FLIGHT_UP)
		return IDLE_TURN_MS;
	if (f->is_paused) {
		f->is_paused = false;
		(void)curl_easy_pause(f->easy, CURLPAUSE_CONT); /* its fault ends the transfer */
		if (f->is_paused)
			return TOKEN_MS;
	}
	if (now - f->moved_ms > f->silence_ms) {
		f->is_stalled = true;
		http_flight_land(f, CURLE_OPERATION_TIMEDOUT, true);
	}
	return IDLE_TURN_MS;
}

static int tell_fault(struct http_flight *f, CURLcode code)
{
	if (f->is_too_long)
		return err_set(&f->err, ERR_LIMIT, "the answer of %s is longer than %zu bytes",
			f->client->address, f->max_answer);
	struct http_fault fault = { .curl_code = (int)code,
		.was_connected = f->is_stalled,
		.detail = f->detail,
		.address = f->client->address,
		.ca_from = f->client->ca_from };
	/* what cannot be asked stays 0 */
	(void)curl_easy_getinfo(f->easy, CURLINFO_SSL_VERIFYRESULT, &fault.verify);
	(void)curl_easy_getinfo(f->easy, CURLINFO_OS_ERRNO, &fault.os_errno);
	return http_fault_tell(&fault, &f->err);
}

void http_flight_land(struct http_flight *f, CURLcode code, bool may_retry)
{
	curl_off_t after_s = 0;
	long status = 0;
	bool again = false;
	err_clear(&f->err);
	if (code != CURLE_OK) {
		again = tell_fault(f, code) == -ERR_UNREACHABLE;
	} else {
		/* what cannot be asked stays 0 */
		(void)curl_easy_getinfo(f->easy, CURLINFO_RESPONSE_CODE, &status);
		(void)curl_easy_getinfo(f->easy, CURLINFO_RETRY_AFTER, &after_s);
		again = status == 429 || status == 503;
		if (status < 200 || status > 299)
			(void)http_refusal_decode((int)status, f->answer.data, f->answer.len,
				&f->err); /* the code is in f->err */
	}
	f->status = (int)status;
	(void)curl_multi_remove_handle(f->client->multi, f->easy); /* it was added */
	f->state = HTTP_FLIGHT_LANDED;
	uint64_t random = 0;
	if (!again || !may_retry || f->client->retry_ms <= 0 ||
		env_random(&random, sizeof(random), NULL) != 0)
		return;
	int64_t after_ms = after_s > HTTP_RETRY_AFTER_MAX_MS ? HTTP_RETRY_AFTER_MAX_MS
							     : (int64_t)after_s * 1000;
	f->due_ms = now_ms() + http_retry_delay_ms(f->attempt++, after_ms, random);
	if (f->due_ms - f->first_ms <= f->client->retry_ms)
		f->state = HTTP_FLIGHT_WAITING;
}

void http_flight_abort(struct http_flight *f)
{
	if (f->state == HTTP_FLIGHT_UP)
		(void)curl_multi_remove_handle(f->client->multi, f->easy); /* it was added */
	if (f->easy != NULL)
		(void)curl_easy_setopt(f->easy, CURLOPT_HTTPHEADER, NULL); /* NULL always can */
	curl_slist_free_all(TAKE(f->headers));
	free(TAKE(f->url));
	if (f->own.cap > OWN_KEEP_BYTES)
		buf_done(&f->own);
	f->body = NULL;
	buf_done(&f->answer);
	f->state = HTTP_FLIGHT_NONE;
}

void http_flight_done(struct http_flight *f)
{
	http_flight_abort(f);
	buf_done(&f->own);
	if (f->easy != NULL)
		curl_easy_cleanup(TAKE(f->easy));
}
