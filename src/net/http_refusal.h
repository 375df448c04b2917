/*
 * http_refusal: the JSON object of a refused request, {"error", "message", "hint"}, and back
 * (docs/PROTOCOL.md, Transport).  No state; thread-safe.
 */
#ifndef NET_HTTP_REFUSAL_H
#define NET_HTTP_REFUSAL_H

#include <stddef.h>

struct buf;
struct err;

/* Append the object for ${refusal}.  Return 0, -ERR_NOMEM or as buf_add(). */
int http_refusal_encode(const struct err *refusal, struct buf *out, struct err *err);

/**
 * http_refusal_decode(status, data, len, err):
 * Fill ${err} (may be NULL) from an answer of ${status}, which is not 2xx.  Text of the other end
 * is escaped.  A body that is none of ours is told by its status.  Return -(the code of the
 * answer's id), or -ERR_FAILED when there is none.
 */
int http_refusal_decode(int status, const void *data, size_t len, struct err *err);

#endif
