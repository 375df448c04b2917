/*
 * http_intake: the rest of a long body, read from its TLS connection straight to where it stays.
 * A bufferevent takes one TLS record (16 KiB) a turn of the loop, through memory of its own; this
 * takes what is there, several records a system call, and is not woken up for a few bytes.
 */
#ifndef NET_HTTP_INTAKE_INTERNAL_H
#define NET_HTTP_INTAKE_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>

struct bufferevent;
struct event_base;
struct http_intake;

/* From now on ${be}, of an open TLS connection, does not read; ${fn} is called on the loop whenever
 * there is something to be read; what is there already is read first.  NULL when out of memory;
 * ${be} reads no more then either. */
struct http_intake *http_intake_new(
	struct event_base *base, struct bufferevent *be, void (*fn)(void *arg), void *arg);
/* Give up; NULL is fine.  ${be} does not read. */
void http_intake_free(struct http_intake *i);
/* The body is whole: what was sent behind it goes to the input of ${be}, which may be enabled. */
void http_intake_end(struct http_intake *take_intake);

/**
 * http_intake_read(i, at, left, got):
 * Read what is there, at most the ${left} bytes that the body still lacks, to ${at}; *${got} tells
 * how many.  Return false when the connection has ended or is broken.
 */
bool http_intake_read(struct http_intake *i, void *at, size_t left, size_t *got);
/* Did anything come since the last read?  A few bytes call nobody. */
bool http_intake_has_more(const struct http_intake *i);

#endif
