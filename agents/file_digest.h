/*
 * file_digest: the whole-file digest (vault/digest.h) of what a backup reads, and the memory it is
 * read into.  A small file is hashed on the spot; the blocks of a large one are hashed on a thread
 * of their own, two side by side, while the caller looks at the bytes and reads on.  Where there
 * can be no thread the caller hashes, two side by side as well.  The caller is one thread.
 */
#ifndef AGENTS_FILE_DIGEST_H
#define AGENTS_FILE_DIGEST_H

#include <stddef.h>
#include <stdint.h>

#include "vault/entry.h"

struct err;
struct file_digest;

#define FILE_DIGEST_ROOM_BYTES ((size_t)128 << 10) /* the most that is read at once */

/* Return 0 or -ERR_NOMEM. */
int file_digest_new(struct file_digest **out, struct err *err);
void file_digest_free(struct file_digest *d);

/* Begin a file; the one before was ended.  The first of ENTRY_DIGEST_BLOCKS takes 4 MiB of
 * memory.  Return 0 or -ERR_NOMEM. */
int file_digest_begin(struct file_digest *d, enum entry_digest kind, struct err *err);

/* Where the next *${cap} > 0 bytes may be read to; waits until there is room.  Borrowed until the
 * next call of this function. */
uint8_t *file_digest_room(struct file_digest *d, size_t *cap);
/* The next ${len} bytes of the content: the first ones of the room just given, which the caller
 * only reads from now on. */
void file_digest_add(struct file_digest *d, size_t len);
/* A hole, or zeros. */
void file_digest_add_zeros(struct file_digest *d, uint64_t len);

/* End the file, also after a failure, and store the digest.  Return 0 or -ERR_NOMEM. */
int file_digest_end(struct file_digest *d, uint8_t out[32], struct err *err);

#endif
