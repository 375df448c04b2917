/*
 * http_retry: the arithmetic of waiting: when to try again, and how fast to send.  Pure functions.
 */
#ifndef NET_HTTP_RETRY_H
#define NET_HTTP_RETRY_H

#include <stddef.h>
#include <stdint.h>

#define HTTP_RETRY_FIRST_MS INT64_C(200)
#define HTTP_RETRY_MAX_MS INT64_C(5000)
#define HTTP_RETRY_AFTER_MAX_MS INT64_C(30000)

/**
 * http_retry_delay_ms(attempt, after_ms, random):
 * How long to wait after failed attempt number ${attempt} (0 = the first): between 0 and 200 ms *
 * 2^attempt, at most 5 s, evenly by ${random} (full jitter); at least what the server asked for
 * (${after_ms}, 0 = nothing, believed up to 30 s).
 */
int64_t http_retry_delay_ms(int attempt, int64_t after_ms, uint64_t random);

/* A token bucket: so many bytes may be sent now.  Zeroed: no limit. */
struct http_retry_bucket {
	int64_t bytes_per_s; /* 0 = no limit */
	int64_t tokens;      /* bytes; never over a quarter of a second's worth, at least 1 */
	int64_t at_ms;       /* when they were counted */
};

/* Count in the time up to ${now_ms} and return how many of ${want} bytes may go (0 = wait). */
size_t http_retry_bucket_take(struct http_retry_bucket *b, int64_t now_ms, size_t want);

#endif
