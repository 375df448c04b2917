#include "store/s3/s3_wire.h"

#include <curl/curl.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/env.h"
#include "base/log.h"
#include "net/http_retry.h"
#include "store/s3/s3_cred.h"
#include "store/s3/s3_flight.h"
#include "store/s3/s3_location.h"

/*
 * INVARIANTS
 * (1) A call is in the list, in one flight, or done; only the thread moves it, but into the list.
 * (2) Every attempt is signed anew, with the key, region and time of that moment.
 * (3) is_done is set last, under the lock; after it the wire does not touch the call.
 * (4) What a signal should reach is not this thread: all are blocked in it.
 */

#define NS_PER_MS INT64_C(1000000)
#define DEFAULT_CONNECTIONS 8
#define DEFAULT_CONNECT_MS 10000
#define DEFAULT_STALL_S 30
#define DEFAULT_BUDGET_MS 300000
#define MAX_CONNECTIONS 64
#define STOP_POLL_MS 200
#define IDLE_POLL_MS 60000
#define SHRINK_MS 500
#define USUAL_REGION "us-east-1"
#define RECEIVE_MIN_BYTES (32 << 10)
#define RECEIVE_MAX_BYTES (4 << 20)

TAILQ_HEAD(call_list, s3_wire_call);

struct s3_wire {
	struct s3_wire_opts opts;
	struct s3_flight_opts flight_opts;
	struct s3_flight_sockets sockets;
	struct http_retry_bucket send, receive;
	struct s3_cred *cred;
	char *region;  /* owned */
	char *ca_file; /* owned; NULL = the system's */
	CURLM *multi;
	struct s3_flight *flights;
	size_t flight_count, flying;
	double width; /* how many may fly */
	int64_t shrunk_ms;
	_Atomic int64_t skew_ns; /* the server's clock less ours */
	bool is_met;             /* it has answered, whatever */
	bool is_fresh_wanted;    /* the key at hand was called too old */
	bool is_started;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t done;
	struct call_list waiting; /* under the lock */
	bool is_ending;           /* under the lock */
};

static int64_t now_ms(void)
{
	return env_mono_ns() / NS_PER_MS;
}

static const char *setting(const char *name)
{
	const char *value = getenv(name); // NOLINT(concurrency-mt-unsafe)
	return value != NULL && value[0] != '\0' ? value : NULL;
}

/* What the kernel may take ahead of us where we are to be slow: a quarter of a second. */
static int receive_buffer(int64_t bps)
{
	const int64_t quarter = bps / 4;
	if (bps <= 0 || quarter > RECEIVE_MAX_BYTES)
		return 0;
	return quarter < RECEIVE_MIN_BYTES ? RECEIVE_MIN_BYTES : (int)quarter;
}

static int set_up(struct s3_wire *w, struct err *err)
{
	const struct s3_location *place = w->opts.place;
	const char *region = place->region != NULL ? place->region : setting("AWS_REGION");
	if (region == NULL)
		region = setting("AWS_DEFAULT_REGION");
	const char *ca = place->ca_file != NULL ? place->ca_file : setting("AWS_CA_BUNDLE");
	w->region = strdup(region == NULL ? USUAL_REGION : region);
	w->ca_file = ca == NULL ? NULL : strdup(ca);
	w->multi = curl_multi_init();
	w->flights = calloc((size_t)w->opts.connections, sizeof(*w->flights));
	if (w->region == NULL || (ca != NULL && w->ca_file == NULL) || w->multi == NULL ||
		w->flights == NULL ||
		curl_multi_setopt(w->multi, CURLMOPT_MAXCONNECTS, (long)w->opts.connections) !=
			CURLM_OK)
		return err_set(err, ERR_NOMEM, "out of memory for the object store");
	w->send.bytes_per_s = w->opts.send_bps;
	w->receive.bytes_per_s = w->opts.receive_bps;
	w->sockets.receive_bytes = receive_buffer(w->opts.receive_bps);
	w->flight_opts = (struct s3_flight_opts){ .place = place,
		.ca_file = w->ca_file,
		.connect_ms = w->opts.connect_ms,
		.stall_s = w->opts.stall_s,
		.send = &w->send,
		.receive = &w->receive,
		.sockets = &w->sockets };
	int rc = 0;
	for (; rc == 0 && w->flight_count < (size_t)w->opts.connections; w->flight_count++)
		rc = s3_flight_init(&w->flights[w->flight_count], &w->flight_opts, err);
	struct s3_cred_opts cred = { .profile = place->profile,
		.credentials = place->credentials,
		.may_ask_host = place->is_amazon };
	return rc == 0 ? s3_cred_new(&cred, &w->cred, err) : rc;
}

int s3_wire_new(const struct s3_wire_opts *opts, struct s3_wire **out, struct err *err)
{
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != 0) /* counted, and thread-safe since 7.84 */
		return err_set(err, ERR_NOMEM, "out of memory for the object store");
	struct s3_wire *w = calloc(1, sizeof(*w));
	if (w == NULL) {
		curl_global_cleanup();
		return err_set(err, ERR_NOMEM, "out of memory for the object store");
	}
	w->opts = *opts;
	if (w->opts.connections <= 0 || w->opts.connections > MAX_CONNECTIONS)
		w->opts.connections = DEFAULT_CONNECTIONS;
	if (w->opts.send_bps > 0 || w->opts.receive_bps > 0)
		w->opts.connections = 1;
	if (w->opts.connect_ms <= 0)
		w->opts.connect_ms = DEFAULT_CONNECT_MS;
	if (w->opts.stall_s <= 0)
		w->opts.stall_s = DEFAULT_STALL_S;
	if (w->opts.budget_ms <= 0)
		w->opts.budget_ms = DEFAULT_BUDGET_MS;
	w->width = w->opts.connections;
	TAILQ_INIT(&w->waiting);
	(void)pthread_mutex_init(&w->lock, NULL); /* cannot fail without attributes */
	(void)pthread_cond_init(&w->done, NULL);  /* cannot fail without attributes */
	int rc = set_up(w, err);
	if (rc != 0) {
		s3_wire_free(w);
		return rc;
	}
	*out = w;
	return 0;
}

/* ---- the thread ----------------------------------------------------------------------------- */

static void put_back(struct s3_wire *w, struct s3_wire_call *call)
{
	(void)pthread_mutex_lock(&w->lock); /* ours, not held */
	TAILQ_INSERT_TAIL(&w->waiting, call, link);
	(void)pthread_mutex_unlock(&w->lock);
}

static void hash_body(struct s3_wire_call *call)
{
	uint8_t sha[HASH_BYTES];
	uint8_t md5[EVP_MAX_MD_SIZE];
	unsigned md5_len = 0;
	CLEANUP(buf_done) struct buf text = BUF_INIT(S3_WIRE_MD5_BYTES - 1);
	if (call->body == NULL)
		call->body = "";
	hash_sha256(call->body, call->len, sha);
	text_hex(sha, sizeof(sha), call->sha256);
	/* without it (a library that has none) servers that want one will say so */
	call->md5[0] = '\0';
	if (EVP_Digest(call->body, call->len, md5, &md5_len, EVP_md5(), NULL) == 1 &&
		text_base64(md5, md5_len, &text, NULL) == 0)
		(void)snprintf(call->md5, sizeof(call->md5), "%.*s", (int)text.len,
			(const char *)text.data);
}

/* Forget what came of the request before.  The time for tries goes on: it is one for all of them.
 */
static void begin_call(struct s3_wire_call *call)
{
	call->rc = 0;
	err_clear(&call->err);
	call->status = 0;
	call->got = call->total = 0;
	call->is_same = false;
	call->answer_from = call->answer == NULL ? 0 : call->answer->len;
	call->etag[0] = call->version[0] = call->lock_mode[0] = call->lock_until[0] = '\0';
	call->is_fresh_tried = call->is_skew_tried = call->is_region_tried = false;
	call->due_ms = now_ms();
}

/* The call has ended as its rc says, unless it goes on as another. */
static void end_call(struct s3_wire *w, struct s3_wire_call *call)
{
	if (call->rc != 0 && call->answer != NULL)
		call->answer->len = call->answer_from;
	if (call->rc != -ERR_INTERRUPTED && call->next != NULL && call->next(call)) {
		begin_call(call);
		put_back(w, call);
		return;
	}
	(void)pthread_mutex_lock(&w->lock); /* ours, not held */
	call->is_done = true;
	(void)pthread_cond_broadcast(&w->done);
	(void)pthread_mutex_unlock(&w->lock);
}

static int fail_call(struct s3_wire_call *call, int rc, const struct err *why)
{
	call->rc = rc;
	call->err = *why;
	return rc;
}

static int load(struct s3_wire *w, struct s3_flight *f, struct s3_wire_call *call)
{
	const struct s3_cred_key *key = NULL;
	struct err why = ERR_INIT;
	int rc = s3_cred_get(w->cred, w->is_fresh_wanted, &key, &why);
	w->is_fresh_wanted = false;
	struct s3_flight_seal seal = {
		.key = key, .region = w->region, .now_ns = env_now_ns() + w->skew_ns
	};
	if (rc == 0)
		rc = s3_flight_load(f, &w->flight_opts, &seal, call, &why);
	if (rc == 0 && curl_multi_add_handle(w->multi, f->easy) != CURLM_OK)
		rc = err_set(&why, ERR_NOMEM, "out of memory for a request");
	if (rc == 0) {
		w->flying++;
		return 0;
	}
	s3_flight_leave(f);
	return fail_call(call, rc, &why);
}

static struct s3_flight *find_free(struct s3_wire *w)
{
	for (size_t i = 0; i < w->flight_count; i++) {
		if (w->flights[i].call == NULL)
			return &w->flights[i];
	}
	return NULL;
}

/* The first call in the list that is due, taken out; or NULL, and when the next one is. */
static struct s3_wire_call *take_due(struct s3_wire *w, int64_t now, int *wait_ms)
{
	struct s3_wire_call *call = NULL;
	(void)pthread_mutex_lock(&w->lock); /* ours, not held */
	TAILQ_FOREACH(call, &w->waiting, link)
	{
		if (call->due_ms <= now)
			break;
		if (call->due_ms - now < *wait_ms)
			*wait_ms = (int)(call->due_ms - now);
	}
	if (call != NULL)
		TAILQ_REMOVE(&w->waiting, call, link);
	(void)pthread_mutex_unlock(&w->lock);
	return call;
}

static bool is_stopped(const struct s3_wire *w)
{
	return w->opts.is_stopped != NULL && w->opts.is_stopped(w->opts.arg);
}

/* Let fly what may.  Return for how long nothing else is due. */
static int launch(struct s3_wire *w)
{
	int wait_ms = IDLE_POLL_MS;
	struct s3_flight *f = NULL;
	while ((double)w->flying + 1 <= w->width && (f = find_free(w)) != NULL) {
		struct s3_wire_call *call = take_due(w, now_ms(), &wait_ms);
		if (call == NULL)
			break;
		if (load(w, f, call) != 0)
			end_call(w, call);
	}
	return wait_ms;
}

/* End what waits for another try when somebody wants us to stop.  Return true if any waits. */
static bool obey_stop(struct s3_wire *w)
{
	struct s3_wire_call *call = NULL;
	struct s3_wire_call *next = NULL;
	struct call_list stopped = TAILQ_HEAD_INITIALIZER(stopped);
	bool is_any = false;
	bool is_asked = is_stopped(w);
	(void)pthread_mutex_lock(&w->lock); /* ours, not held */
	for (call = TAILQ_FIRST(&w->waiting); call != NULL; call = next) {
		next = TAILQ_NEXT(call, link);
		if (call->attempt == 0)
			continue;
		is_any = true;
		if (!is_asked)
			continue;
		TAILQ_REMOVE(&w->waiting, call, link);
		TAILQ_INSERT_TAIL(&stopped, call, link);
	}
	(void)pthread_mutex_unlock(&w->lock);
	while ((call = TAILQ_FIRST(&stopped)) != NULL) {
		TAILQ_REMOVE(&stopped, call, link);
		(void)err_wrap(&call->err, "stopped while waiting for another try");
		call->rc = -ERR_INTERRUPTED;
		call->err.code = ERR_INTERRUPTED;
		end_call(w, call);
	}
	return is_any;
}

static void shrink(struct s3_wire *w)
{
	int64_t now = now_ms();
	if (now - w->shrunk_ms < SHRINK_MS)
		return; /* answers to what was sent before */
	w->shrunk_ms = now;
	w->width = w->width / 2 < 1 ? 1 : w->width / 2;
}

static void grow(struct s3_wire *w)
{
	w->width += 1 / w->width;
	if (w->width > w->opts.connections)
		w->width = w->opts.connections;
}

/* How often to try where nobody answered so far: a place with a mistake in it is said soon, but who
 * takes connections is most likely an object store on a bad line. */
static int first_tries(const struct s3_outcome *o)
{
	switch (o->curl_code) {
	case CURLE_SEND_ERROR:
	case CURLE_RECV_ERROR:
	case CURLE_GOT_NOTHING:
	case CURLE_PARTIAL_FILE:
		return S3_WIRE_BROKEN_TRIES;
	default:
		return S3_WIRE_FIRST_TRIES;
	}
}

/* Wait for another try, if there is time for one.  Return false if not. */
static bool try_later(struct s3_wire *w, struct s3_wire_call *call, const struct s3_outcome *o,
	int64_t after_ms, const struct err *why)
{
	uint64_t random = 0;
	int64_t now = now_ms();
	if ((!w->is_met && call->attempt + 1 >= first_tries(o)) ||
		env_random(&random, sizeof(random), NULL) != 0)
		return false;
	call->due_ms = now + http_retry_delay_ms(call->attempt++, after_ms, random);
	if (call->due_ms > call->until_ms || is_stopped(w))
		return false;
	log_debug("s3_wire.retry", "attempt=%d status=%d in_ms=%lld why=\"%s\"", call->attempt,
		call->status, (long long)(call->due_ms - now), why->msg);
	call->err = *why;
	if (call->again != NULL)
		call->again(call);
	return true;
}

static struct s3_verdict_place place_of(const struct s3_wire *w)
{
	const struct s3_location *place = w->opts.place;
	return (struct s3_verdict_place){ .host = place->host,
		.bucket = place->bucket,
		.region = w->region,
		.is_https = place->is_https,
		.is_region_given = place->region != NULL };
}

/* What one more attempt may put right at once.  Return true if it may. */
static bool put_right(struct s3_wire *w, const struct s3_flight *f, struct s3_wire_call *call,
	const struct s3_outcome *o, enum s3_verdict verdict)
{
	if (verdict == S3_VERDICT_FRESH && !call->is_fresh_tried) {
		call->is_fresh_tried = w->is_fresh_wanted = true;
		return true;
	}
	if (verdict == S3_VERDICT_SKEW && !call->is_skew_tried && f->date_s != 0) {
		call->is_skew_tried = true;
		w->skew_ns = f->date_s * INT64_C(1000000000) - env_now_ns();
		log_debug("s3_wire.skew", "seconds=%lld", (long long)(w->skew_ns / 1000000000));
		return true;
	}
	if (verdict == S3_VERDICT_REGION && !call->is_region_tried &&
		w->opts.place->region == NULL) {
		call->is_region_tried = true;
		char *region = strdup(o->refusal.region);
		if (region == NULL)
			return false;
		free(w->region);
		w->region = region;
		return true;
	}
	return false;
}

/* A good answer: is all of it there?  Return call->rc. */
static int check_good(struct s3_flight *f, struct s3_wire_call *call)
{
	if (call->method != S3_WIRE_GET)
		return 0;
	if (call->is_compared) {
		call->is_same = call->got == call->len;
		return 0;
	}
	if (call->is_range && call->got < call->want)
		return err_set(&call->err, ERR_CORRUPT, "it ends at byte %llu",
			(unsigned long long)(f->from + call->got));
	if (call->is_range && call->got > call->want)
		return err_set(&call->err, ERR_CORRUPT, "the server sent more than was asked for");
	return 0;
}

/* Ends that are the answer's own doing, not the network's.  Return true for such a one. */
static bool is_cut_by_us(struct s3_flight *f, struct s3_wire_call *call)
{
	if (f->is_different) {
		call->is_same = false;
		call->rc = 0;
	} else if (f->is_too_long) {
		call->rc = err_set(&call->err, ERR_LIMIT, "it is longer than allowed here");
	} else if (f->is_misplaced) {
		call->rc = err_set(&call->err, ERR_UNSUPPORTED,
			"the server answers with another part than was asked for");
	}
	return f->is_different || f->is_too_long || f->is_misplaced;
}

/* Return true if the call goes back into the list. */
static bool judge(struct s3_wire *w, struct s3_flight *f, struct s3_wire_call *call, CURLcode code,
	uint64_t got_before)
{
	struct s3_outcome o;
	struct err why = ERR_INIT;
	curl_off_t after_s = 0;
	s3_flight_land(f, code, &o);
	w->is_met |= o.status != 0;
	if (is_cut_by_us(f, call))
		return false;
	enum s3_verdict verdict = s3_verdict_of(&o);
	if (call->got > got_before) { /* it moved: that begins the time anew */
		call->attempt = 0;
		call->until_ms = now_ms() + w->opts.budget_ms;
	}
	if (verdict == S3_VERDICT_OK) {
		grow(w);
		call->rc = check_good(f, call);
		return false;
	}
	if (verdict == S3_VERDICT_SLOW)
		shrink(w);
	if (f->is_resumed && o.status == 412) { /* it is another object by now: all of it again */
		call->got = 0;
		call->etag[0] = '\0';
		if (call->answer != NULL)
			call->answer->len = call->answer_from;
		verdict = S3_VERDICT_AGAIN;
	}
	struct s3_verdict_place place = place_of(w);
	call->rc = s3_verdict_tell(&o, &place, &why);
	if (put_right(w, f, call, &o, verdict))
		return true;
	(void)curl_easy_getinfo(f->easy, CURLINFO_RETRY_AFTER, &after_s); /* stays 0 */
	int64_t after_ms = after_s > HTTP_RETRY_AFTER_MAX_MS / 1000 ? HTTP_RETRY_AFTER_MAX_MS
								    : (int64_t)after_s * 1000;
	if ((verdict == S3_VERDICT_AGAIN || verdict == S3_VERDICT_SLOW) &&
		try_later(w, call, &o, after_ms, &why))
		return true;
	call->err = why;
	return false;
}

static void land(struct s3_wire *w, struct s3_flight *f, CURLcode code)
{
	struct s3_wire_call *call = f->call;
	uint64_t from = f->from - (call->is_range ? call->offset : 0);
	bool is_again = judge(w, f, call, code, from);
	(void)curl_multi_remove_handle(w->multi, f->easy); /* it was added */
	s3_flight_leave(f);
	w->flying--;
	if (is_again)
		put_back(w, call);
	else
		end_call(w, call);
}

/* Return true if anything has. */
static bool take_landed(struct s3_wire *w)
{
	const CURLMsg *msg = NULL;
	bool is_any = false;
	for (int left = 0; (msg = curl_multi_info_read(w->multi, &left)) != NULL;) {
		char *private = NULL;
		if (msg->msg != CURLMSG_DONE)
			continue;
		CURLcode code = msg->data.result;
		(void)curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, &private); /* was set */
		land(w, (struct s3_flight *)(void *)private, code);
		is_any = true;
	}
	return is_any;
}

static void interrupt(struct s3_wire *w, struct s3_wire_call *call)
{
	call->rc = err_set(&call->err, ERR_INTERRUPTED, "given up");
	end_call(w, call);
}

/* Give up all there is. */
static void ground(struct s3_wire *w)
{
	for (size_t i = 0; i < w->flight_count; i++) {
		struct s3_wire_call *call = w->flights[i].call;
		if (call == NULL)
			continue;
		(void)curl_multi_remove_handle(w->multi, w->flights[i].easy); /* it was added */
		s3_flight_leave(&w->flights[i]);
		interrupt(w, call);
	}
	int wait_ms = 0;
	struct s3_wire_call *call = NULL;
	while ((call = take_due(w, INT64_MAX, &wait_ms)) != NULL)
		interrupt(w, call);
}

static bool is_ending(struct s3_wire *w)
{
	(void)pthread_mutex_lock(&w->lock); /* ours, not held */
	bool is = w->is_ending;
	(void)pthread_mutex_unlock(&w->lock);
	return is;
}

static void *work(void *arg)
{
	struct s3_wire *w = arg;
	while (!is_ending(w)) {
		int running = 0;
		int wait_ms = launch(w);
		if (obey_stop(w) && wait_ms > STOP_POLL_MS)
			wait_ms = STOP_POLL_MS;
		/* out of memory: the transfers stall, and their time limits end them */
		(void)curl_multi_perform(w->multi, &running);
		if (!take_landed(w)) /* else there may be room for more at once */
			(void)curl_multi_poll(w->multi, NULL, 0, wait_ms, NULL); /* as above */
	}
	ground(w);
	return NULL;
}

/* ---- the caller's side ------------------------------------------------------------------------
 */

static int start_thread(struct s3_wire *w)
{
	sigset_t all;
	sigset_t before;
	(void)sigfillset(&all);                            /* cannot fail */
	(void)pthread_sigmask(SIG_SETMASK, &all, &before); /* cannot fail */
	int rc = pthread_create(&w->thread, NULL, work, w);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL); /* cannot fail */
	w->is_started = rc == 0;
	return rc;
}

void s3_wire_start(struct s3_wire *w, struct s3_wire_call *call)
{
	call->is_done = false;
	begin_call(call);
	call->attempt = 0;
	call->until_ms = call->due_ms + w->opts.budget_ms;
	/* a GET that compares may become a PUT, of nothing too */
	if (call->body != NULL || call->method == S3_WIRE_PUT || call->method == S3_WIRE_POST)
		hash_body(call);
	if (!w->is_started && start_thread(w) != 0) {
		call->rc = err_set(&call->err, ERR_NOMEM, "no thread for the object store");
		call->is_done = true;
		return;
	}
	put_back(w, call);
	(void)curl_multi_wakeup(w->multi); /* it wakes by itself otherwise */
}

bool s3_wire_is_done(struct s3_wire *w, struct s3_wire_call *call)
{
	(void)pthread_mutex_lock(&w->lock); /* ours, not held */
	bool is = call->is_done;
	(void)pthread_mutex_unlock(&w->lock);
	return is;
}

int s3_wire_wait(struct s3_wire *w, struct s3_wire_call *call, struct err *err)
{
	(void)pthread_mutex_lock(&w->lock); /* ours, not held */
	while (!call->is_done)
		(void)pthread_cond_wait(&w->done, &w->lock); /* cannot fail */
	(void)pthread_mutex_unlock(&w->lock);
	if (call->rc != 0 && err != NULL)
		*err = call->err;
	return call->rc;
}

int s3_wire_run(struct s3_wire *w, struct s3_wire_call *call, struct err *err)
{
	s3_wire_start(w, call);
	return s3_wire_wait(w, call, err);
}

void s3_wire_free(struct s3_wire *w)
{
	if (w == NULL)
		return;
	if (w->is_started) {
		(void)pthread_mutex_lock(&w->lock); /* ours, not held */
		w->is_ending = true;
		(void)pthread_mutex_unlock(&w->lock);
		(void)curl_multi_wakeup(w->multi);   /* it wakes by itself otherwise */
		(void)pthread_join(w->thread, NULL); /* it was started */
	}
	for (size_t i = 0; i < w->flight_count; i++)
		s3_flight_done(&w->flights[i]);
	free(w->flights);
	if (w->multi != NULL)
		(void)curl_multi_cleanup(w->multi); /* nothing of it is in use */
	s3_cred_free(w->cred);
	free(w->region);
	free(w->ca_file);
	(void)pthread_cond_destroy(&w->done);  /* nobody waits */
	(void)pthread_mutex_destroy(&w->lock); /* nobody holds it */
	free(w);
	curl_global_cleanup();
}

const char *s3_wire_credentials(const struct s3_wire *w)
{
	return s3_cred_source(w->cred);
}

const char *s3_wire_region(const struct s3_wire *w)
{
	return w->region;
}

int64_t s3_wire_now_ns(struct s3_wire *w)
{
	return env_now_ns() + w->skew_ns;
}

int64_t s3_wire_skew_ns(struct s3_wire *w)
{
	return w->skew_ns;
}

int s3_wire_width(const struct s3_wire *w)
{
	return (int)w->width;
}
