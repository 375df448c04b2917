/*
 * unix_wire: the language between a store behind a socket and its door: requests and answers, one
 * after the other.  There is no word for removing or overwriting anything.
 * Both ends are on one host; numbers are in its byte order.
 */
#ifndef STORE_UNIX_UNIX_WIRE_H
#define STORE_UNIX_UNIX_WIRE_H

#include <stddef.h>
#include <stdint.h>

#include "store/store.h"

struct err;

#define UNIX_WIRE_VERSION 1
#define UNIX_WIRE_MAGIC 0x31414648u /* "HFA1" */
#define UNIX_WIRE_PIECE_BYTES ((size_t)256 << 10)
#define UNIX_WIRE_SILENT_S 60 /* who stops in the middle of something for so long is gone */

enum unix_wire_verb {
	UNIX_WIRE_PUT = 1, /* a = bytes, which follow */
	UNIX_WIRE_GET,     /* answer: the bytes */
	UNIX_WIRE_RANGE,   /* a = offset, b = bytes */
	UNIX_WIRE_STAT,    /* answer: a = bytes */
	UNIX_WIRE_LIST,    /* answers: entries, until one without any */
	UNIX_WIRE_BARRIER,
};

struct unix_wire_request {
	uint32_t magic;
	uint8_t verb, reserved;
	uint16_t name_len; /* the name follows; of a list: the prefix */
	uint64_t a, b;
};

/* ${msg_len} and ${hint_len} bytes of text follow, then ${len} bytes. */
struct unix_wire_answer {
	uint32_t magic;
	uint32_t code; /* enum err_code, 0 = good */
	uint16_t msg_len, hint_len;
	uint32_t reserved;
	uint64_t a, len;
};

/* One object of a list. */
struct unix_wire_entry {
	uint64_t size;
	uint16_t name_len; /* the name follows */
	uint16_t reserved[3];
};

/* All of it, or -ERR_UNREACHABLE (the peer is gone, or silent). */
int unix_wire_send(int fd, const void *data, size_t len, struct err *err);
int unix_wire_receive(int fd, void *data, size_t len, struct err *err);

/* The answer's head with the texts of ${why} (NULL = good). */
int unix_wire_send_answer(int fd, const struct err *why, uint64_t a, uint64_t len, struct err *err);

/* Read an answer's head and texts.  Return 0, the code that it carries with its texts in ${err}, or
 * -ERR_UNREACHABLE; *${is_broken}: nothing more can be said on this connection. */
int unix_wire_receive_answer(
	int fd, struct unix_wire_answer *out, bool *is_broken, struct err *err);

#endif
