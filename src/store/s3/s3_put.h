/*
 * s3_put: one write-once object: it is written, or it is there already with the same content, or
 * its name is taken.  Where the server can, by one conditional PUT; else by looking first.  A PUT
 * whose answer was lost is settled by reading back.
 * The steps run on the wire's thread.
 */
#ifndef STORE_S3_S3_PUT_H
#define STORE_S3_S3_PUT_H

#include <stdbool.h>
#include <stddef.h>

#include "store/s3/s3_lock.h"
#include "store/s3/s3_wire.h"

enum s3_put_step {
	S3_PUT_LOOK,  /* is it there? */
	S3_PUT_WRITE, /* PUT */
	S3_PUT_CHECK, /* it was there, or somebody's was: whose? */
};

struct s3_put {
	struct s3_wire_call call; /* first: what s3_wire_start() and s3_wire_wait() take */
	enum s3_put_step step;
	bool is_conditional;       /* If-None-Match is believed in */
	bool is_condition_refused; /* the server said that it has no such thing */
	const char *lock_mode;     /* NULL = it is not locked */
	char lock_until[S3_LOCK_TIME_BYTES];
};

/* Fill ${p}; all is borrowed until the call has ended: with 0, -ERR_EXISTS (other content),
 * -ERR_BUSY (the name was taken, and then was not) or as s3_wire_wait(). */
void s3_put_init(
	struct s3_put *p, const char *key, const void *data, size_t len, bool is_conditional);
/* Lock what is written (mode NONE: do not).  Before it is started. */
void s3_put_lock(struct s3_put *p, enum store_lock_mode mode, int64_t until_ns);
/* Write whatever lies under the name.  Before it is started, after s3_put_lock(). */
void s3_put_over(struct s3_put *p);

#endif
