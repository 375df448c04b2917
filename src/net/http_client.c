#include "net/http_client.h"

#include <curl/curl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/env.h"
#include "base/err.h"
#include "crypto/secret.h"
#include "crypto/x509.h"
#include "net/http_flight_internal.h"

/*
 * INVARIANTS
 * (1) flights[0] is for calls, the others for sends: a call never waits for a send to end.
 * (2) After the first failed send nothing is queued until drain has told the error.
 * (3) Every wait is cut into pieces of POLL_MS at most, and between them is_stopped is asked.
 */

#define POLL_MS 100
#define DEFAULT_CONNECT_MS 10000
#define DEFAULT_STALL_MS 60000
#define DEFAULT_CONNECTIONS 4
#define MAX_CONNECTIONS 64

DEFINE_CLEANUP(struct http_client *, http_client_free)

static pthread_once_t library_once = PTHREAD_ONCE_INIT;
static bool has_library;

static void set_up_library(void)
{
	has_library = curl_global_init(CURL_GLOBAL_DEFAULT) == 0;
	struct sigaction now;
	if (sigaction(SIGPIPE, NULL, &now) == 0 && now.sa_handler == SIG_DFL) {
		now.sa_handler = SIG_IGN;
		(void)sigaction(SIGPIPE, &now, NULL); /* cannot fail with a valid signal */
	}
}

static char *copy(const char *text)
{
	return text == NULL ? NULL : strdup(text);
}

static void wipe(char *text)
{
	if (text != NULL)
		secret_wipe(text, strlen(text));
	free(text);
}

/* Check what would otherwise only be found while connecting. */
static int check_opts(const struct http_client_opts *opts, struct err *err)
{
	static const char legal[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
				    "-._:[]";
	const char *colon = strrchr(opts->address, ':');
	size_t len = strlen(opts->address);
	size_t digits = colon == NULL ? 0 : strspn(colon + 1, "0123456789");
	if (colon == NULL || colon == opts->address || digits == 0 || digits > 5 ||
		colon[1 + digits] != '\0' || len > 300 || strspn(opts->address, legal) != len) {
		(void)err_set(err, ERR_CONFIG, "'%.64s' is no address of a server", opts->address);
		(void)err_hint(err, "write it as host:port, an IPv6 address as [::1]:port");
		return -ERR_CONFIG;
	}
	const char *const texts[] = { opts->ca_pem, opts->cert_pem };
	const char *const names[] = { "our copy of the CA", "our own certificate" };
	const char *const from[] = { opts->ca_from, NULL };
	for (size_t i = 0; i < 2; i++) {
		struct x509_info info;
		struct err why = ERR_INIT;
		if (texts[i] != NULL && x509_inspect(texts[i], &info, &why) != 0)
			return err_set(err, ERR_CONFIG, "%s%s%s%s is no good: %s", names[i],
				from[i] == NULL ? "" : " in '", from[i] == NULL ? "" : from[i],
				from[i] == NULL ? "" : "'", why.msg);
	}
	if ((opts->cert_pem == NULL) != (opts->key_pem == NULL))
		return err_set(err, ERR_CONFIG, "a certificate and its key are given together");
	return 0;
}

static int copy_opts(struct http_client *c, const struct http_client_opts *opts, struct err *err)
{
	c->address = copy(opts->address);
	c->ca = copy(opts->ca_pem);
	c->ca_from = copy(opts->ca_from);
	c->cert = copy(opts->cert_pem);
	c->key = copy(opts->key_pem);
	c->connect_ms = opts->connect_ms > 0 ? opts->connect_ms : DEFAULT_CONNECT_MS;
	c->stall_ms = opts->stall_ms > 0 ? opts->stall_ms : DEFAULT_STALL_MS;
	c->retry_ms = opts->retry_ms;
	c->bucket.bytes_per_s = opts->bytes_per_s;
	c->is_stopped = opts->is_stopped;
	c->arg = opts->arg;
	int n = opts->connections > 0 ? opts->connections : DEFAULT_CONNECTIONS;
	if (n > MAX_CONNECTIONS)
		n = MAX_CONNECTIONS;
	c->count = (size_t)n + 1;
	c->flights = calloc(c->count, sizeof(*c->flights));
	if (opts->bearer != NULL &&
		asprintf(&c->bearer, "Authorization: Bearer %s", opts->bearer) < 0)
		c->bearer = NULL;
	if (c->address == NULL || (opts->ca_pem != NULL && c->ca == NULL) ||
		(opts->ca_from != NULL && c->ca_from == NULL) ||
		(opts->cert_pem != NULL && (c->cert == NULL || c->key == NULL)) ||
		(opts->bearer != NULL && c->bearer == NULL) || c->flights == NULL)
		return err_set(err, ERR_NOMEM, "out of memory for a client");
	return 0;
}

int http_client_new(const struct http_client_opts *opts, struct http_client **out, struct err *err)
{
	(void)pthread_once(&library_once, set_up_library); /* cannot fail */
	int rc = check_opts(opts, err);
	if (rc != 0)
		return rc;
	CLEANUP(http_client_free_p) struct http_client *c = calloc(1, sizeof(*c));
	if (c == NULL || !has_library)
		return err_set(err, ERR_NOMEM, "out of memory for a client");
	if ((rc = copy_opts(c, opts, err)) != 0)
		return rc;
	c->multi = curl_multi_init();
	if (c->multi == NULL ||
		curl_multi_setopt(c->multi, CURLMOPT_MAXCONNECTS, (long)c->count) != CURLM_OK ||
		curl_multi_setopt(c->multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, (long)c->count) !=
			CURLM_OK)
		return err_set(err, ERR_NOMEM, "out of memory for a client");
	*out = TAKE(c);
	return 0;
}

void http_client_free(struct http_client *c)
{
	if (c == NULL)
		return;
	for (size_t i = 0; c->flights != NULL && i < c->count; i++)
		http_flight_done(&c->flights[i]);
	free(c->flights);
	if (c->multi != NULL)
		(void)curl_multi_cleanup(c->multi); /* nothing of it is in use */
	free(c->address);
	free(c->ca);
	free(c->ca_from);
	free(c->cert);
	wipe(c->key);
	wipe(c->bearer);
	free(c);
}

static void keep_first(struct http_client *c, const struct http_flight *f)
{
	if (f != &c->flights[0] && f->state == HTTP_FLIGHT_LANDED && c->first.code == 0)
		c->first = f->err; /* still none when it was answered well */
}

/* Whether a stop ends what is waited for now. */
static bool is_over(struct http_client *c)
{
	if (!http_client_is_stopped(c))
		return false;
	const int64_t now_ms = env_mono_ns() / 1000000;
	if (c->parting_until_ms == 0)
		c->parting_until_ms = now_ms + c->parting_ms;
	return now_ms >= c->parting_until_ms;
}

/* Take what ended.  Return whether anything did. */
static bool land(struct http_client *c)
{
	bool has_landed = false;
	const CURLMsg *msg = NULL;
	for (int left = 0; (msg = curl_multi_info_read(c->multi, &left)) != NULL;) {
		if (msg->msg != CURLMSG_DONE)
			continue;
		char *private = NULL;
		(void)curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, &private); /* was set */
		struct http_flight *f = (struct http_flight *)(void *)private;
		bool may_retry = f == &c->flights[0] || c->first.code == 0;
		http_flight_land(f, msg->data.result, may_retry);
		keep_first(c, f);
		has_landed = true;
	}
	return has_landed;
}

/* Give every flight its turn, take what ended, or else wait a little: whoever waits for what has
 * just ended must not wait for anything more.  Return 0 or -ERR_INTERRUPTED. */
static int pump(struct http_client *c, struct err *err)
{
	if (is_over(c))
		return err_set(err, ERR_INTERRUPTED, "stopped as asked");
	int wait_ms = POLL_MS;
	for (size_t i = 0; i < c->count; i++) {
		int due_ms = http_flight_turn(&c->flights[i]);
		wait_ms = due_ms < wait_ms ? due_ms : wait_ms;
		keep_first(c, &c->flights[i]); /* silence ends a flight in its turn */
	}
	int running = 0;
	bool is_well = curl_multi_perform(c->multi, &running) == CURLM_OK;
	if (is_well && !land(c))
		is_well = curl_multi_poll(c->multi, NULL, 0, wait_ms, NULL) == CURLM_OK;
	return is_well ? 0 : err_set(err, ERR_NOMEM, "out of memory for requests");
}

/* End the sends, and the call too. */
static void ground(struct http_client *c, bool with_call)
{
	for (size_t i = with_call ? 0 : 1; i < c->count; i++)
		http_flight_abort(&c->flights[i]);
}

int http_client_call(struct http_client *c, const struct http_call *call, int *status,
	struct buf *answer, struct err *err)
{
	struct http_flight *f = &c->flights[0];
	if (status != NULL)
		*status = 0;
	int rc = http_flight_start(f, c, call, false, err);
	f->is_kept = answer != NULL;
	c->parting_ms = call->parting_ms;
	c->parting_until_ms = 0;
	while (rc == 0 && f->state != HTTP_FLIGHT_LANDED)
		rc = pump(c, err);
	c->parting_ms = 0;
	c->parting_until_ms = 0;
	if (rc != 0) {
		if (rc == -ERR_INTERRUPTED)
			ground(c, true);
		http_flight_abort(f);
		return rc;
	}
	if (status != NULL)
		*status = f->status;
	if (f->err.code != 0) {
		rc = -f->err.code;
		if (err != NULL)
			*err = f->err;
	} else if (answer != NULL) {
		rc = buf_add(answer, f->answer.data, f->answer.len, err);
	}
	http_flight_abort(f); /* only empties it: it has landed */
	return rc;
}

static struct http_flight *find_free(struct http_client *c)
{
	for (size_t i = 1; i < c->count; i++) {
		struct http_flight *f = &c->flights[i];
		if (f->state == HTTP_FLIGHT_LANDED)
			http_flight_abort(f); /* only empties it */
		if (f->state == HTTP_FLIGHT_NONE)
			return f;
	}
	return NULL;
}

static int tell_first(const struct http_client *c, struct err *err)
{
	if (err != NULL)
		*err = c->first;
	return -c->first.code;
}

int http_client_send(struct http_client *c, const struct http_call *call, struct err *err)
{
	struct http_flight *f = NULL;
	while (c->first.code == 0 && (f = find_free(c)) == NULL) {
		int rc = pump(c, err);
		if (rc != 0) {
			ground(c, false);
			return rc;
		}
	}
	if (f == NULL)
		return tell_first(c, err);
	int rc = http_flight_start(f, c, call, true, err);
	if (rc == 0)
		(void)http_flight_turn(f); /* on its way; its due time does not matter here */
	int running = 0;
	if (rc == 0 && curl_multi_perform(c->multi, &running) != CURLM_OK)
		rc = err_set(err, ERR_NOMEM, "out of memory for requests");
	return rc;
}

int http_client_drain(struct http_client *c, struct err *err)
{
	for (size_t i = 1; i < c->count; i++) {
		struct http_flight *f = &c->flights[i];
		while (f->state == HTTP_FLIGHT_UP || f->state == HTTP_FLIGHT_WAITING) {
			if (f->state == HTTP_FLIGHT_WAITING && c->first.code != 0) {
				http_flight_abort(f);
				break;
			}
			int rc = pump(c, err);
			if (rc != 0) {
				ground(c, false);
				return rc;
			}
		}
	}
	ground(c, false); /* only empties them: all have landed */
	if (c->first.code == 0)
		return 0;
	int rc = tell_first(c, err);
	err_clear(&c->first);
	return rc;
}

static bool is_under_way(const struct http_client *c)
{
	for (size_t i = 1; i < c->count; i++) {
		if (c->flights[i].state == HTTP_FLIGHT_UP ||
			c->flights[i].state == HTTP_FLIGHT_WAITING)
			return true;
	}
	return false;
}

int http_client_tend(struct http_client *c, struct err *err)
{
	if (c->first.code == 0 && is_under_way(c)) {
		int rc = pump(c, err);
		if (rc != 0) {
			ground(c, false);
			return rc;
		}
	}
	if (c->first.code != 0)
		return tell_first(c, err);
	return is_under_way(c);
}

void http_client_drop(struct http_client *c)
{
	ground(c, false);
	err_clear(&c->first);
}

bool http_client_is_stopped(const struct http_client *c)
{
	return c->is_stopped != NULL && c->is_stopped(c->arg);
}

uint64_t http_client_sent(const struct http_client *c)
{
	return c->sent;
}
