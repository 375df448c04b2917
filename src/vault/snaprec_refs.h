/*
 * snaprec_refs: the reference list of a snapshot: which records it needs, in segments cut by
 * content, under one Merkle root (docs/FORMAT.md section 5).  Pure: no store.
 */
#ifndef VAULT_SNAPREC_REFS_H
#define VAULT_SNAPREC_REFS_H

#include <stddef.h>
#include <stdint.h>

struct err;

#define SNAPREC_SEGMENT_MIN 512
#define SNAPREC_SEGMENT_MAX 8192
#define SNAPREC_REFS_MAX_BYTES (1u << 30) /* one list: some 29 million records */

/* Collects (ID, length) in post-order, cuts segments by content, computes refs_root. */
struct snaprec_refs;
int snaprec_refs_new(struct snaprec_refs **out, struct err *err);
void snaprec_refs_free(struct snaprec_refs *r);
/* Append; an ID that is in the open segment already is skipped.  Return 0, -ERR_CORRUPT (a length
 * no record has, or another one than before), -ERR_LIMIT or -ERR_NOMEM. */
int snaprec_refs_add(
	struct snaprec_refs *r, const uint8_t id[32], uint32_t cr_len, struct err *err);
/* Close the last segment: *${body} borrowed until free; nothing is added afterwards.  Return 0,
 * -ERR_FAILED (an empty list) or -ERR_NOMEM. */
int snaprec_refs_finish(struct snaprec_refs *r, const uint8_t **body, size_t *body_len,
	uint64_t *count, uint8_t refs_root[32], struct err *err);

/* Called for each reference of an rf body; a value other than 0 stops and is returned. */
typedef int (*snaprec_ref_fn)(void *arg, const uint8_t id[32], uint32_t cr_len, struct err *err);
/* Called with each segment's id, offset and length within the body. */
typedef int (*snaprec_segment_fn)(
	void *arg, const uint8_t id[32], uint32_t offset, uint32_t len, struct err *err);
/**
 * snaprec_refs_walk(body, len, on_segment, on_ref, arg, refs_root, count, err):
 * Check the form of an rf body, the cut rule and that no ID is in a segment twice, and walk; each
 * segment is checked before its callbacks.  Either callback may be NULL.  On success store the
 * Merkle root of its segments and the number of references.
 * Return 0, -ERR_CORRUPT, -ERR_NOMEM or what a callback returned.
 */
int snaprec_refs_walk(const uint8_t *body, size_t len, snaprec_segment_fn on_segment,
	snaprec_ref_fn on_ref, void *arg, uint8_t refs_root[32], uint64_t *count, struct err *err);

#endif
