/*
 * mixed_chunk: chunks whose samples look like records while the rest may be something else.
 */
#ifndef TESTS_LIB_MIXED_CHUNK_H
#define TESTS_LIB_MIXED_CHUNK_H

#include <stddef.h>
#include <stdint.h>

#define MIXED_CHUNK_KINDS 56

/* Fill ${len} (1 MiB or more) bytes: records of 24 bytes around the middle, (${kind} % 8 + 1) / 8
 * of all, and where the detector looks; words elsewhere, of 2 to 8 different ones. */
void mixed_chunk_fill(uint8_t *data, size_t len, unsigned kind);

#endif
