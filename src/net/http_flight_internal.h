/*
 * http_flight: one request of a client on its way: body, answer, attempts.
 */
#ifndef NET_HTTP_FLIGHT_INTERNAL_H
#define NET_HTTP_FLIGHT_INTERNAL_H

#include <curl/curl.h>

#include "base/buf.h"
#include "base/err.h"
#include "net/http_client.h"
#include "net/http_retry.h"

enum http_flight_state {
	HTTP_FLIGHT_NONE,
	HTTP_FLIGHT_WAITING, /* for its due time */
	HTTP_FLIGHT_UP,
	HTTP_FLIGHT_LANDED
};

struct http_flight {
	enum http_flight_state state;
	struct http_client *client;
	CURL *easy; /* kept from request to request */
	struct curl_slist *headers;
	enum http_method method;
	char *url;
	const uint8_t *body;
	struct buf own; /* the copy of a send's body; its memory serves the next one */
	size_t len, at;
	bool is_paused; /* out of tokens */
	bool is_kept;   /* the answer is wanted: set after the start */
	size_t max_answer;
	int silence_ms; /* nothing moves for so long: over */
	int64_t moved_ms;
	int64_t first_ms; /* of the first attempt */
	int64_t due_ms;   /* of the next one */
	int attempt;
	bool is_too_long, is_stalled;
	struct buf answer;
	int status;
	struct err err;
	char detail[CURL_ERROR_SIZE];
};

struct http_client {
	CURLM *multi;
	char *address, *ca, *ca_from, *cert, *key, *bearer; /* owned */
	int connect_ms, stall_ms, retry_ms;
	bool (*is_stopped)(void *arg);
	void *arg;
	int parting_ms;           /* of the call that is made */
	int64_t parting_until_ms; /* 0: no stop was seen since it began */
	struct http_flight *flights;
	size_t count;
	struct http_retry_bucket bucket;
	uint64_t sent;
	struct err first; /* of the sends */
};

/* Take in ${call}; its body is copied when ${own}.  It leaves with its next turn.  Return 0,
 * -ERR_NOMEM or -ERR_USAGE. */
int http_flight_start(struct http_flight *f, struct http_client *c, const struct http_call *call,
	bool own, struct err *err);
/* Leave, go on after a pause, or end for silence, if it is time.  Return how many ms until it wants
 * its next turn. */
int http_flight_turn(struct http_flight *f);
/* The transfer ended with ${code}: it has landed, or waits for another attempt when ${may_retry}.
 */
void http_flight_land(struct http_flight *f, CURLcode code, bool may_retry);
/* End it and be empty; also after landing. */
void http_flight_abort(struct http_flight *f);
/* The same, and free what is kept between requests. */
void http_flight_done(struct http_flight *f);

#endif
