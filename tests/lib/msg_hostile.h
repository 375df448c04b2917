/*
 * msg_hostile: what a decoder must survive: a message cut at every byte, changed in a few thousand
 * random ways (seeded: the same every time), and a JSON member that is missing or of another type.
 */
#ifndef MSG_HOSTILE_H
#define MSG_HOSTILE_H

#include <stddef.h>
#include <stdint.h>

struct buf;
struct err;

/* Decode, encode what came out into ${again} and end it.  Return what the decoder said. */
typedef int (*msg_hostile_fn)(const void *data, size_t len, struct buf *again, struct err *err);

/* The message comes back byte for byte; every beginning of it is refused; changed ones are refused
 * with an error code and a text, or decode to something that decodes to itself. */
void msg_hostile_run(msg_hostile_fn decode, const struct buf *message);
/* Of a JSON object: ${required} members missing or of any other type are refused; a member that is
 * there twice is refused. */
void msg_hostile_members(
	msg_hostile_fn decode, const struct buf *message, const char *const *required);

#endif
