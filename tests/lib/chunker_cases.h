/*
 * chunker_cases: buffers that are hard to cut alike, and the comparison of all kernels on them.
 * Case ${index} of ${seed} is the same everywhere: a failure is named by these two numbers.
 */
#ifndef CHUNKER_CASES_H
#define CHUNKER_CASES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vault/chunker.h"

struct chunker_cases {
	uint8_t *arena; /* a page that must not be touched follows it: the buffers end there */
	size_t arena_len;
	uint64_t buffers, bytes, chunks,
		planted;  /* what was compared; candidates put in on purpose */
	uint64_t kernels; /* that this machine runs */
	uint64_t runs;    /* buffers times kernels, whole and in pushes */
};

void chunker_cases_init(struct chunker_cases *c);
void chunker_cases_done(struct chunker_cases *c);

/**
 * chunker_cases_compare(c, seed, index, why, why_len):
 * Make case ${index} and cut it with every kernel, from one buffer and in pushes of any size.
 * Return false, and say in ${why} what differs, when one cuts otherwise than the portable kernel
 * (every eighth case: than the plain rule).
 */
bool chunker_cases_compare(
	struct chunker_cases *c, uint64_t seed, uint64_t index, char *why, size_t why_len);

/* The rule as docs/FORMAT.md section 4.2 has it: no tiles, no marks, no memory of windows. */
size_t chunker_cases_plain(const struct chunker *c, const uint8_t *b, size_t n);

uint64_t chunker_cases_random(uint64_t *x);

/* Write 16 bytes that end at ${end} and make its last position a candidate (whatever is before, if
 * the window is inside the chunk).  Return false when this key has no such byte. */
bool chunker_cases_plant(const struct chunker *c, uint8_t *end, uint64_t *x);

#endif
