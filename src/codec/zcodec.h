/*
 * zcodec: zstd with contexts that are kept, exact output sizes and no trust in frame headers.
 * Not thread-safe: one struct zcodec per thread.
 */
#ifndef CODEC_ZCODEC_H
#define CODEC_ZCODEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf;
struct err;
struct zcodec;

/* How hard it tries; what each is to the library is part of the format's packing rule
 * (docs/FORMAT.md section 3). */
enum zcodec_effort {
	ZCODEC_LOW,    /* what compresses alike with any: many small files, filtered columns */
	ZCODEC_MIDDLE, /* chunks of unknown content */
	ZCODEC_HIGH,   /* metadata */
};
#define ZCODEC_EFFORTS 3

/* Return 0 or -ERR_NOMEM. */
int zcodec_new(struct zcodec **out, struct err *err);
void zcodec_free(struct zcodec *z);

/**
 * zcodec_compress(z, effort, in, in_len, out, out_cap):
 * Compress into at most ${out_cap} bytes.  Return the length, or 0 when it does not fit (or there
 * is no memory for the room that the library needs). The result depends on the bytes, the effort
 * and the library version only.
 */
size_t zcodec_compress(struct zcodec *z, enum zcodec_effort effort, const void *in, size_t in_len,
	void *out, size_t out_cap);

/* The length that zcodec_compress() would give with room enough; 0 when there is no memory. */
size_t zcodec_size(struct zcodec *z, enum zcodec_effort effort, const void *in, size_t in_len);

/* Whether the bytes compress to less than ${limit} (as far as there is memory for it: else false).
 * Stops once that much is written, so that a clear no costs little. */
bool zcodec_is_below(
	struct zcodec *z, enum zcodec_effort effort, const void *in, size_t in_len, size_t limit);

/* Keep at most ${keep} bytes of memory for what a long trial needed. */
void zcodec_trim(struct zcodec *z, size_t keep);

/* Decompress one frame that fills the input to exactly ${out_len} bytes; on failure what ${out}
 * holds is undefined.  Return 0 or -ERR_CORRUPT. */
int zcodec_decompress(struct zcodec *z, const void *in, size_t in_len, void *out, size_t out_len,
	struct err *err);

#endif
