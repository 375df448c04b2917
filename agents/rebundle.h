/*
 * rebundle: which bundles of small files are worth making anew, because most of what they hold is
 * used no more, or because too many of them are small (docs/FORMAT.md section 4.3).  One run counts
 * what it uses and leaves a list; the next reads those files again although they did not change.
 * A lost or damaged list costs nothing but that.  Not thread-safe.
 */
#ifndef AGENTS_REBUNDLE_H
#define AGENTS_REBUNDLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct content;
struct err;
struct rebundle;

#define REBUNDLE_SMALL_MAX 64 /* so many bundles below BUNDLE_MIN_BYTES are let be */
#define REBUNDLE_SHARE 50     /* at most one in this many bytes of small files a run */

/* A bundle as a run found it. */
struct rebundle_row {
	uint8_t id[32];
	uint32_t live; /* bytes of it in use */
	uint32_t raw;  /* bytes in it */
};

/**
 * rebundle_choose(rows, count, new_bytes):
 * Put the bundles that are to be made anew first, worst before better: those less than half in use,
 * and, of more than REBUNDLE_SMALL_MAX small ones, those too.  Their live bytes together are at
 * most ${new_bytes} or 1 / REBUNDLE_SHARE of all live bytes, whichever is more; one may always go.
 * Return how many.  Pure.
 */
size_t rebundle_choose(struct rebundle_row *rows, size_t count, uint64_t new_bytes);

/* ${path} is the list's; a list that is not there or is damaged is empty.  Return 0 or -ERR_NOMEM.
 */
int rebundle_open(const char *path, struct rebundle **out, struct err *err);
void rebundle_free(struct rebundle *r);

/* Does this content lie in a bundle that is to be made anew?  ${r} may be NULL: no. */
bool rebundle_is_due(const struct rebundle *r, const struct content *c);

/* An entry of the new snapshot has this content, whose refs are all there.  A content of several
 * names may be counted for each.  ${r} may be NULL.  Return 0 or -ERR_NOMEM. */
int rebundle_count(struct rebundle *r, const struct content *c, struct err *err);

/* The snapshot exists, of which ${new_bytes} of small files were bundled in this run: leave the
 * list for the next.  Return 0 or -ERR_IO / -ERR_NOSPACE / -ERR_NOMEM (the list before stands). */
int rebundle_commit(struct rebundle *r, uint64_t new_bytes, struct err *err);

#endif
