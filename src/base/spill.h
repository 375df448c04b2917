/*
 * spill: one growable block of memory that lies in an unlinked file once it is large, so that what
 * grows with a vault costs no anonymous memory: the kernel may write it out and drop it.
 * Knows: which directory has room and is on a disk.  Hides: the file, and the heap when there is
 * none.  Never for keys or plaintext: they would reach a disk.
 * Threading: a block belongs to one thread at a time.
 */
#ifndef BASE_SPILL_H
#define BASE_SPILL_H

#include <stdbool.h>
#include <stddef.h>

struct err;

#define SPILL_MIN_BYTES ((size_t)4 << 20) /* a smaller block is in the heap */

struct spill {
	void *at;     /* borrowed until the next call; NULL while bytes is 0 */
	size_t bytes; /* how many there are */
	int file;     /* descriptor + 1; 0 = the block is in the heap */
};

/**
 * spill_reserve(s, bytes, err):
 * Make the block at least ${bytes} long; it keeps its contents, may move, and what is new is zero.
 * ${s} begins as zeros.  It grows by a half at least, so that many small steps stay cheap.
 * Return 0 or -ERR_NOMEM (no room in a file and none in memory).
 */
int spill_reserve(struct spill *s, size_t bytes, struct err *err);

/* Give it back; ${s} is empty and usable again. */
void spill_done(struct spill *s);

/* Does the block lie in a file? */
bool spill_is_file(const struct spill *s);

/**
 * spill_open(void):
 * Open a new file without a name for what only this process reads: in the directory TMPDIR names,
 * else /var/tmp, else /tmp; one whose files live in memory is passed over.
 * Return its descriptor, or -1 when there is no such place.
 */
int spill_open(void);

#endif
