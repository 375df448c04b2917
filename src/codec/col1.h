/*
 * col1: the reversible record filter (filter id 1): fixed-size records turned into columns of 8 or
 * 4 bytes, each column as words, byte planes or deltas in byte planes (docs/FORMAT.md section 3).
 * Everything is a pure function of the chunk's own bytes.
 */
#ifndef CODEC_COL1_H
#define CODEC_COL1_H

#include <stddef.h>
#include <stdint.h>

struct err;
struct zcodec;

#define COL1_MAX_COLUMNS 16
#define COL1_MAX_PARAM_BYTES (2 + COL1_MAX_COLUMNS * 2 / 8)

struct col1 {
	uint8_t stride;                 /* S: record size, 4..128, multiple of 4 */
	uint8_t phase;                  /* h: bytes before the first record, 0..S-1 */
	uint8_t mode[COL1_MAX_COLUMNS]; /* 0 words, 1 byte planes, 2 delta + byte planes */
};

/**
 * col1_choose(z, data, len, out):
 * Detector, phase rule and trial on samples of this chunk alone (at least 64 KiB of it).  The phase
 * is below the column width: rows may begin anywhere in a record, columns may not.  Return 1 and
 * fill *${out} when the filter wins by the rule, 0 when the chunk is better plain (or there is no
 * memory for the trial: plain is never wrong).
 */
int col1_choose(struct zcodec *z, const uint8_t *data, size_t len, struct col1 *out);

/* Transform ${len} bytes (same length out; in and out do not overlap). */
void col1_forward(const struct col1 *f, const uint8_t *in, uint8_t *out, size_t len);
void col1_inverse(const struct col1 *f, const uint8_t *in, uint8_t *out, size_t len);

/* Encode S, h, mode bits.  Return the length written to ${out} (at most COL1_MAX_PARAM_BYTES). */
size_t col1_encode(const struct col1 *f, uint8_t out[COL1_MAX_PARAM_BYTES]);

/**
 * col1_decode(data, len, out, used, err):
 * Read parameters from the front of a payload.  Return 0 or -ERR_CORRUPT (a stride, phase, mode or
 * padding bit that the format does not allow).
 */
int col1_decode(const uint8_t *data, size_t len, struct col1 *out, size_t *used, struct err *err);

#endif
