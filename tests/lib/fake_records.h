/*
 * fake_records: a record sink and source in memory, without sealing: a record's ref is made from
 * its raw bytes (tests/reference/hf1_tree.py makes the same refs).  Checks post-order.
 */
#ifndef TESTS_FAKE_RECORDS_H
#define TESTS_FAKE_RECORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vault/record_io.h"

struct hash;
struct fake_record;

#define FAKE_RECORDS_BUCKETS 65536

struct fake_records {
	struct record_sink sink;
	struct record_source source;
	struct fake_record *buckets[FAKE_RECORDS_BUCKETS];
	struct hash *all; /* of type, length and bytes of every record put */
	size_t puts;
	size_t new_puts; /* of bytes that were not there yet */
	size_t gets;
	size_t unnoted;  /* refs in nodes that nobody had put or used before */
	size_t fail_put; /* number of the put that fails, from 1; 0 = none */
	size_t fail_get;
	bool is_short; /* give one byte less than the ref says */
};

struct fake_records *fake_records_new(void);
void fake_records_free(struct fake_records *f);
/* The SHA-256 of everything put, as hex. */
const char *fake_records_digest(struct fake_records *f, char hex[65]);
/* Put raw bytes under a ref of their own, whatever they are. */
void fake_records_put(
	struct fake_records *f, int type, const void *raw, size_t len, struct ref *ref);
/* The bytes of a record; NULL when it is not there. */
const uint8_t *fake_records_find(struct fake_records *f, const struct ref *ref, size_t *len);
/* The made-up ref of data record ${n}: 1 MiB. */
struct ref fake_records_data(uint32_t n);
/* The same, noted on the sink. */
struct ref fake_records_use(struct fake_records *f, uint32_t n);
/* ${len} bytes as hex. */
const char *fake_records_hex(const uint8_t *bytes, size_t len, char *hex);

#endif
