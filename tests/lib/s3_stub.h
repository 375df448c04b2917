/*
 * s3_stub: a small object store for tests of the S3 driver: strict where real servers are strict,
 * and broken on request.  Plain HTTP on 127.0.0.1, threads of its own.  It reads signatures from
 * the wire by itself, so that what it accepts is what was sent.
 */
#ifndef LIB_S3_STUB_H
#define LIB_S3_STUB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define S3_STUB_BUCKET "vaults"
#define S3_STUB_ACCESS "STUBACCESSKEY"
#define S3_STUB_SECRET "stub/secret+key"
#define S3_STUB_REGION "eu-stub-1"

struct s3_stub;

/* What kind of server it is; zeros = one that can all and is strict about MD5 and region. */
struct s3_stub_kind {
	bool has_no_condition;       /* If-None-Match: 501 */
	bool ignores_condition;      /* it replaces */
	bool has_no_delete_many;     /* 501 */
	bool refuses_in_delete_many; /* every second key: AccessDenied, until asked for it alone */
	bool sends_no_tags;          /* no ETag */
	unsigned page;               /* keys in a page of a list; 0 = 1000 */
	bool has_empty_pages;        /* before each full one */
	bool has_versions;           /* the bucket keeps them */
	bool has_lock;               /* and Object Lock, which is kept */
	bool ignores_locks;          /* it takes what asks for a lock, and locks nothing */
	bool may_not_purge;          /* the key has no right to delete versions */
	bool may_bypass;             /* the key may end GOVERNANCE */
	const char *token;           /* session token that is wanted; NULL = none */
	int64_t skew_s;              /* its clock is so far ahead */
};

enum s3_stub_break {
	S3_STUB_STATUS,     /* answer ${status} with ${code}, do nothing */
	S3_STUB_LOSE_REPLY, /* do it, then reset the connection */
	S3_STUB_RESET,      /* reset the connection at once */
	S3_STUB_CUT,        /* close after ${at} bytes of the body */
	S3_STUB_HANG,       /* say nothing more until the client gives up */
};

struct s3_stub_fault {
	enum s3_stub_break how;
	const char *method; /* NULL = any */
	const char *part;   /* of the request's target, NULL = any */
	unsigned times;     /* how many requests; counts down */
	int status;
	const char *code;
	size_t at;
};

/* Start on a free port.  Ends the test when it cannot. */
struct s3_stub *s3_stub_new(const struct s3_stub_kind *kind);
/* Close all connections, forget all objects. */
void s3_stub_free(struct s3_stub *s);
int s3_stub_port(const struct s3_stub *s);
void s3_stub_set_kind(struct s3_stub *s, const struct s3_stub_kind *kind);

/* The first fault that fits a request hits it; at most 8 at a time, texts are borrowed. */
void s3_stub_break(struct s3_stub *s, const struct s3_stub_fault *fault);
/* Forget all faults. */
void s3_stub_heal(struct s3_stub *s);

/* Requests with this method and part of their target, since the start. */
unsigned s3_stub_count(struct s3_stub *s, const char *method, const char *part);
/* Connections since the start. */
unsigned s3_stub_connections(struct s3_stub *s);
/* Is an object of this whole key there, with this content? */
bool s3_stub_holds(struct s3_stub *s, const char *key, const void *data, size_t len);
size_t s3_stub_objects(struct s3_stub *s);
/* Versions and markers of all keys. */
size_t s3_stub_versions(struct s3_stub *s);
/* Somebody overwrites every key that begins with ${prefix}, and deletes it then; with ${by_force}
 * he deletes every version by its id in between.  Return how many versions he could not. */
size_t s3_stub_destroy(struct s3_stub *s, const char *prefix, bool by_force);
/* Until when the oldest version of a key is locked, seconds of wall clock; 0 = it is not.  And let
 * every lock end ${s} seconds earlier, and everything be there that much longer. */
int64_t s3_stub_locked(struct s3_stub *s, const char *key);
void s3_stub_age(struct s3_stub *s, int64_t seconds);
/* Put one behind everybody's back. */
void s3_stub_put(struct s3_stub *s, const char *key, const void *data, size_t len);

/* Set the environment variables that hold the key. */
void s3_stub_environment(void);

#endif
