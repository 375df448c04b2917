/*
 * store_pace: a store that sends and brings so many bytes a second and no more.
 * Knows: bytes of objects, not of the requests around them; a driver that can spread what it sends
 * within one object is told so when it is opened (store_s3_opts).  What goes in pieces is spread
 * here.  Threading: as the store.
 */
#ifndef STORE_STORE_PACE_H
#define STORE_STORE_PACE_H

#include <stdbool.h>
#include <stdint.h>

struct err;
struct store;

#define STORE_PACE_MIN_BPS (INT64_C(64) << 10) /* a pack of 64 MiB takes 17 minutes then */

struct store_pace_opts {
	int64_t upload_bps, download_bps; /* bytes a second; 0 = no limit */
	bool (*is_stopped)(void *arg);    /* OPTIONAL: ends a rest early */
	void *arg;
	void (*sleep_ms)(unsigned ms); /* NULL = really sleep */
};

/* Return 0 or -ERR_USAGE: a limit is below STORE_PACE_MIN_BPS. */
int store_pace_check(const struct store_pace_opts *opts, struct err *err);

/**
 * store_pace_add(s, opts, err):
 * From now on rest after each object, or part of one, as long as it may take beyond what it took:
 * time that passed unused gives no credit.  Without any limit nothing is added.
 * Return 0, as store_pace_check() or -ERR_NOMEM.
 */
int store_pace_add(struct store *s, const struct store_pace_opts *opts, struct err *err);

#endif
