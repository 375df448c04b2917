/*
 * msg_error: a refusal as JSON and HTTP status, and back (docs/PROTOCOL.md, Transport).
 */
#ifndef MSG_MSG_ERROR_H
#define MSG_MSG_ERROR_H

struct buf;
struct err;

/* The HTTP status that goes with ${err}. */
int msg_error_status(const struct err *err);
/* Append the JSON object. */
int msg_error_encode(const struct err *err, struct buf *out, struct err *why);
/* Fill ${err} from an answer of ${status}; a body that is none of ours is told by its status
 * (-ERR_FAILED). */
int msg_error_decode(int status, const void *data, unsigned long len, struct err *err);

#endif
