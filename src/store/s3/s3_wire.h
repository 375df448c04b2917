/*
 * s3_wire: requests to one bucket: signed, several at once over kept connections, tried again with
 * full jitter until they succeed, cannot, or their time is over.
 * Knows: credentials and their renewal, the region, the server's clock, how many at once the server
 * bears.  Hides: libcurl and the thread that drives it.
 * Threading: one caller at a time; the callbacks of a call run on the wire's own thread.
 */
#ifndef STORE_S3_S3_WIRE_H
#define STORE_S3_S3_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "base/err.h"
#include "codec/text.h"
#include "crypto/hash.h"
#include "store/s3/s3_sign.h"
#include "store/s3/s3_uri.h"

struct buf;
struct s3_location;
struct s3_wire;

#define S3_WIRE_MAX_HEADERS 6
#define S3_WIRE_MAX_ANSWER_BYTES ((size_t)16 << 20) /* of what is no object */
#define S3_WIRE_ETAG_BYTES 128
#define S3_WIRE_VERSION_BYTES 256
#define S3_WIRE_MD5_BYTES 25 /* base64 of 16 bytes, and NUL */

enum s3_wire_method { S3_WIRE_GET, S3_WIRE_PUT, S3_WIRE_POST, S3_WIRE_DELETE };

/* One request, zeroed before it is filled.  All pointers are borrowed until it has ended. */
struct s3_wire_call {
	enum s3_wire_method method;
	const char *key; /* NULL = the bucket itself */
	struct s3_uri_pair query[S3_URI_MAX_PAIRS];
	size_t query_count;
	struct s3_sign_header headers[S3_WIRE_MAX_HEADERS]; /* besides what every request has */
	size_t header_count;
	const void *body; /* of PUT and POST */
	size_t len;
	/* Of a GET.  A body that breaks off is gone on with from its last byte. */
	bool is_range; /* bytes ${offset} .. ${offset} + ${want} - 1, ${want} > 0 */
	uint64_t offset;
	size_t want;
	struct buf *answer; /* a good answer's body is appended; NULL = thrown away */
	bool is_compared;   /* instead: is it what ${body} is?  The answer is in is_same */
	/* OPTIONAL.  The request has ended, as rc says: return true to send it again, changed. */
	bool (*next)(struct s3_wire_call *call);
	/* OPTIONAL.  It will be tried again after a fault; it may be changed before. */
	void (*again)(struct s3_wire_call *call);

	/* What came of it. */
	int rc; /* as s3_verdict_tell(), or -ERR_LIMIT (${answer}'s max), -ERR_INTERRUPTED */
	struct err err;
	int status;     /* HTTP's last one, 0 = none */
	uint64_t total; /* of a GET: the object's size */
	bool is_same;
	char etag[S3_WIRE_ETAG_BYTES];
	char version[S3_WIRE_VERSION_BYTES];
	char lock_mode[16], lock_until[40]; /* "" = none */

	/* The wire's own. */
	TAILQ_ENTRY(s3_wire_call) link;
	char sha256[2 * HASH_BYTES + 1], md5[S3_WIRE_MD5_BYTES]; /* of body */
	uint64_t got;                                            /* bytes of the answer so far */
	size_t answer_from;                                      /* where they begin in answer */
	int64_t due_ms, until_ms;
	int attempt;
	bool is_fresh_tried, is_skew_tried, is_region_tried;
	bool is_done; /* under the lock */
};

struct s3_wire_opts {
	const struct s3_location *place; /* borrowed as long as the wire */
	int connections;                 /* at once; 0 = 8 */
	int connect_ms;                  /* 0 = 10 s */
	int stall_s;                     /* no byte for so long ends an attempt; 0 = 30 s */
	int budget_ms;                   /* tried again for so long without a byte; 0 = 5 min */
	int64_t send_bps, receive_bps;   /* of each transfer; 0 = no limit.  With one of them there
					  * is one connection, so that it holds for all */
	bool (*is_stopped)(void *arg);   /* OPTIONAL: true ends what waits for another try */
	void *arg;
};

/* Tries while the server never answered at all: nobody is there, or who is breaks off. */
#define S3_WIRE_FIRST_TRIES 3
#define S3_WIRE_BROKEN_TRIES 8

/* Nothing is sent yet.  Return 0, -ERR_NOMEM or -ERR_CONFIG. */
int s3_wire_new(const struct s3_wire_opts *opts, struct s3_wire **out, struct err *err);
/* Ends what is under way; those calls have -ERR_INTERRUPTED.  NULL is fine. */
void s3_wire_free(struct s3_wire *w);

/* Begin.  ${call} belongs to the wire until s3_wire_wait() has returned for it. */
void s3_wire_start(struct s3_wire *w, struct s3_wire_call *call);
/* Has it ended? */
bool s3_wire_is_done(struct s3_wire *w, struct s3_wire_call *call);
/* Until it has ended.  Return call->rc, with its words. */
int s3_wire_wait(struct s3_wire *w, struct s3_wire_call *call, struct err *err);
/* Both. */
int s3_wire_run(struct s3_wire *w, struct s3_wire_call *call, struct err *err);

/* For people: where the credentials came from ("" before the first request), the region that
 * requests are signed for. */
const char *s3_wire_credentials(const struct s3_wire *w);
const char *s3_wire_region(const struct s3_wire *w);
/* The server's clock, as far as it was found to differ from ours, wall clock ns; and by how much it
 * is ahead. */
int64_t s3_wire_now_ns(struct s3_wire *w);
int64_t s3_wire_skew_ns(struct s3_wire *w);
/* How many requests may be under way now: fewer after SlowDown. */
int s3_wire_width(const struct s3_wire *w);

#endif
