/*
 * sandbox_wire: one JSON object at a time over the socket between a drill and its sandbox, each
 * with its length in front.  The other side is not trusted: lengths, forms and times are checked.
 * Hides: framing.  No state; thread-safe for different sockets.
 */
#ifndef RESTORE_SANDBOX_WIRE_H
#define RESTORE_SANDBOX_WIRE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct err;

#define SANDBOX_WIRE_MAX_BYTES ((size_t)16 << 20) /* of one message */

/**
 * sandbox_wire_send(fd, value, err):
 * Send one object.  Return 0, -ERR_LIMIT, -ERR_NOMEM or -ERR_UNREACHABLE (the other side is gone).
 */
int sandbox_wire_send(int fd, const json_t *value, struct err *err);

/**
 * sandbox_wire_recv(fd, timeout_ms, is_stopped, arg, out, err):
 * Wait for one object (${timeout_ms} < 0: for ever).  ${is_stopped}, if not NULL, is asked often
 * and ends the wait with true.  Return 0 and a new reference, -ERR_BUSY (time), -ERR_INTERRUPTED,
 * -ERR_CORRUPT, -ERR_LIMIT or -ERR_UNREACHABLE (the other side is gone).
 */
int sandbox_wire_recv(int fd, int timeout_ms, bool (*is_stopped)(void *arg), void *arg,
	json_t **out, struct err *err);

#endif
