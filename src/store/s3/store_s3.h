/*
 * store_s3: a store in a bucket of an object store that speaks the S3 protocol, below a prefix.
 * Knows: the driver contract of store/store.h.  Hides: requests, their retries, where the server
 * falls short.
 * One thread at a time; several processes and hosts may use one prefix at once.
 *
 * Objects appear one by one, in the order of their puts where they are small, and not all at the
 * barrier: STORE_NEEDS_BARRIER is not claimed.  What a failed barrier gave up may be there, whole.
 */
#ifndef STORE_S3_STORE_S3_H
#define STORE_S3_STORE_S3_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "store/store.h"

struct err;
struct store_s3;

struct store_s3_opts {
	bool create;       /* find out what the server can, and note it there */
	bool is_read_only; /* change nothing */
	/* Limits; 0 = the usual ones of s3_wire.h. */
	int connections, connect_ms, stall_s, budget_ms;
	size_t window_bytes;           /* of objects under way; 0 = 96 MiB */
	int64_t send_bps, receive_bps; /* spread each transfer so; 0 = as fast as it goes.  With
					* one of them a request follows the other */
	bool (*is_stopped)(void *arg); /* OPTIONAL: ends the waiting for another try */
	void *arg;
};

/**
 * store_s3_new(location, opts, out, err):
 * Open the store at ${location} (s3_location.h); ${opts} may be NULL.  The server is asked once, so
 * that a wrong secret, bucket, region or scheme is found here.  Give ${*out} with store_s3_driver()
 * to store_new(), or end it with the driver's free.
 * Return 0, -ERR_USAGE, -ERR_READONLY (view=oldest to be written), -ERR_AUTH, -ERR_CONFIG,
 * -ERR_UNREACHABLE or -ERR_IO.
 */
int store_s3_new(const char *location, const struct store_s3_opts *opts, struct store_s3 **out,
	struct err *err);

/* The driver with the features that this bucket has; lives as long as ${s}. */
const struct store_driver *store_s3_driver(const struct store_s3 *s);

/* store_s3_new() and store_new() in one; the wire has tried reads again already. */
int store_s3_open(const char *location, const struct store_s3_opts *opts, struct store **out,
	struct err *err);

#endif
