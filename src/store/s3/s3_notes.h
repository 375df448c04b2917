/*
 * s3_notes: what is remembered of the server and of how objects are to be locked, in an object of
 * the driver's own (S3_CAPS_NAME).  Removed or damaged, it is looked for among older versions;
 * where objects are locked it is, too.
 */
#ifndef STORE_S3_S3_NOTES_H
#define STORE_S3_S3_NOTES_H

#include <stdbool.h>
#include <stdint.h>

#include "store/s3/s3_caps.h"
#include "store/s3/s3_wire.h"

struct s3_notes {
	struct s3_caps caps;                 /* is_known false: there are none */
	char version[S3_WIRE_VERSION_BYTES]; /* they were read from, or ""; */
	bool is_behind;                      /* it is not the one that is read by name */
	bool is_lost;                        /* there were notes, and none can be read any more */
};

/* Return 0, also when there are none, or as s3_wire_wait(): the first word with the server says all
 * that is wrong with place and key. */
int s3_notes_read(struct s3_wire *w, const char *prefix, struct s3_notes *out, struct err *err);

/* Put them, over whatever is there; n->version is of what was put then. */
int s3_notes_write(struct s3_wire *w, const char *prefix, struct s3_notes *n, struct err *err);

/* Lock them for longer, with the others.  Return 0 or why they are not. */
int s3_notes_extend(struct s3_wire *w, const char *prefix, const struct s3_notes *n,
	int64_t until_ns, struct err *err);

#endif
