/*
 * http_head: the head of an HTTP/1.1 request, from the first byte to the empty line, and nothing
 * that could be read in two ways.
 * Knows: RFC 9110 and 9112, read strictly: CRLF only, one Host, one length in digits, no transfer
 * coding, no folded lines, no control characters, paths without "//", "." and "..".
 * Pure functions; no state, no I/O.
 */
#ifndef NET_HTTP_HEAD_H
#define NET_HTTP_HEAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/http_server.h" /* enum http_method */

#define HTTP_HEAD_MAX_BYTES ((size_t)16 << 10)
#define HTTP_HEAD_MAX_FIELDS 64

struct http_head_field {
	const char *name;
	const char *value;
};

/* All texts lie in the memory that was parsed. */
struct http_head {
	enum http_method method;
	const char *path; /* decoded */
	char *query;      /* after the '?', still encoded; "" when there is none */
	struct http_head_field fields[HTTP_HEAD_MAX_FIELDS];
	size_t field_count;
	uint64_t body_len;
	bool is_last;    /* "Connection: close" */
	bool has_expect; /* "Expect: 100-continue" */
};

/**
 * http_head_scan(data, len, pos):
 * Look for the end of a head in ${len} bytes of which *${pos} (0 at first) were looked at before.
 * Return its length, or 0 when it is not all there yet, or -400 (a byte no head may have, a line
 * that does not end with CR LF) or -431 (longer than HTTP_HEAD_MAX_BYTES).
 */
int http_head_scan(const uint8_t *data, size_t len, size_t *pos);

/**
 * http_head_parse(text, len, out, why):
 * Take apart the ${len} bytes of a whole head (as http_head_scan() found it), in place.
 * Return 0, or the HTTP status to refuse it with; then *${why} says what is wrong (borrowed for
 * ever).  After a refusal nothing behind this head can be trusted: the connection must end.
 */
int http_head_parse(char *text, size_t len, struct http_head *out, const char **why);

/* The value of the first field ${name} (any case), or NULL. */
const char *http_head_find(const struct http_head *h, const char *name);

/* The decoded value of query parameter ${name} appended as a C string of ${size} bytes at most to
 * ${out}.  Return false when there is none. */
bool http_head_query(const struct http_head *h, const char *name, char *out, size_t size);

#endif
