/*
 * s3_flight: one attempt at a call: the request as it is sent, the answer as it comes.
 * Belongs to s3_wire; the wire's thread alone.
 */
#ifndef STORE_S3_S3_FLIGHT_H
#define STORE_S3_S3_FLIGHT_H

#include <curl/curl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "store/s3/s3_verdict.h"

struct err;
struct http_retry_bucket;
struct s3_cred_key;
struct s3_location;
struct s3_wire_call;

#define S3_FLIGHT_MAX_SOCKETS 128

/* Those that are open, of all flights of a wire; outlives their connections. */
struct s3_flight_sockets {
	int fds[S3_FLIGHT_MAX_SOCKETS];
	size_t count;
	int receive_bytes; /* the kernel may hold of what comes; 0 = as it likes */
};

struct s3_flight_opts {
	const struct s3_location *place;
	const char *ca_file; /* NULL = the system's */
	long connect_ms, stall_s;
	struct http_retry_bucket *send, *receive; /* borrowed; how fast bytes may pass */
	struct s3_flight_sockets *sockets;        /* borrowed */
};

struct s3_flight {
	CURL *easy;                /* owned; kept from call to call */
	struct s3_wire_call *call; /* NULL = free */
	struct s3_flight_sockets *sockets;
	struct http_retry_bucket *send, *receive;
	struct curl_slist *headers;
	struct buf url, refusal;
	char detail[CURL_ERROR_SIZE];
	size_t sent;      /* bytes of the body given to the library */
	uint64_t from;    /* where the answer's body must begin in the object */
	bool is_resumed;  /* it goes on behind bytes that are there already */
	uint64_t begins;  /* where it says that it begins, by Content-Range */
	bool has_begins;  /* there was a Content-Range */
	bool is_checked;  /* the two were compared */
	bool is_too_long; /* for call->answer */
	bool is_different;
	bool is_misplaced; /* not the range that was asked for */
	int64_t date_s;    /* the server's clock, 0 = not told */
	char region[S3_REPLY_CODE_BYTES];
};

/* Return 0 or -ERR_NOMEM. */
int s3_flight_init(struct s3_flight *f, const struct s3_flight_opts *opts, struct err *err);
void s3_flight_done(struct s3_flight *f);

/* Who signs, when and for where. */
struct s3_flight_seal {
	const struct s3_cred_key *key;
	const char *region;
	int64_t now_ns; /* by the server's clock */
};

/* Make f->easy ready to be added for ${call}'s next attempt.  Return 0 or -ERR_NOMEM. */
int s3_flight_load(struct s3_flight *f, const struct s3_flight_opts *opts,
	const struct s3_flight_seal *seal, struct s3_wire_call *call, struct err *err);

/* The attempt ended with ${code}: say what came of it; call->status and so on are set. */
void s3_flight_land(struct s3_flight *f, CURLcode code, struct s3_outcome *out);

/* The call is not this flight's any more. */
void s3_flight_leave(struct s3_flight *f);

/* Does somebody speak TLS where we speak plainly?  Asks, with a connection of its own, 3 s at most.
 */
bool s3_flight_is_tls_there(const struct s3_location *place);

/* The host that requests go to: "bucket.host" or "host".  The caller frees; NULL = no memory. */
char *s3_flight_host(const struct s3_location *place);

#endif
