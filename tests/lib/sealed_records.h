/*
 * sealed_records: a record sink that seals in memory, and the store that brings its records, for
 * several threads; a record can be damaged.
 */
#ifndef TESTS_SEALED_RECORDS_H
#define TESTS_SEALED_RECORDS_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "vault/record_io.h"
#include "vault/record_reader.h"

#define SEALED_RECORDS_MAX 8192

struct sealed_records {
	struct record_sink sink;
	struct record_store store;
	struct record_sealer *sealer;
	struct buf cr[SEALED_RECORDS_MAX];
	struct ref ref[SEALED_RECORDS_MAX];
	size_t count;
	size_t asked; /* how often a record was brought */
};

struct sealed_records *sealed_records_new(void);
void sealed_records_free(struct sealed_records *s);

/* Seal ${len} bytes as a data record; return its number. */
size_t sealed_records_put(struct sealed_records *s, const void *raw, size_t len);

/* Flip a bit of record ${nth}; once more: it is whole again. */
void sealed_records_flip(struct sealed_records *s, size_t nth);

#endif
