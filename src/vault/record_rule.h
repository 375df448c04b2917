/*
 * record_rule: how the bytes of one record are packed (docs/FORMAT.md section 3): a pure function
 * of the bytes and the class.  Integers only, so that every machine decides alike: the same bytes
 * packed in another way would be another record and would not deduplicate.
 * Threading: as the struct zcodec that is passed in.
 */
#ifndef VAULT_RECORD_RULE_H
#define VAULT_RECORD_RULE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "codec/col1.h"
#include "codec/zcodec.h"
#include "vault/record.h"

#define RECORD_RULE_FILTER_MIN_BYTES 65536
#define RECORD_RULE_PROBE_BYTES 4096  /* each of 4 */
#define RECORD_RULE_CLEAR_BYTES 32768 /* each of 4 */
#define RECORD_RULE_CLEAR_MIN_BYTES 262144

/* What to do with the bytes; whether the result is kept is record_rule_is_worth()'s answer. */
struct record_rule {
	enum zcodec_effort effort;
	bool has_filter;
	struct col1 filter; /* when has_filter */
};

/**
 * record_rule_choose(z, class, raw, len, out):
 * Decide for ${len} bytes at ${raw}.
 */
void record_rule_choose(struct zcodec *z, enum record_class class, const uint8_t *raw, size_t len,
	struct record_rule *out);

/**
 * record_rule_recheck(z, raw, len, packed, rule, err):
 * The guess at a filter came from the chunk's middle: now that the filtered chunk has ${packed}
 * bytes, take the filter out of *${rule} (and set the effort) if the chunk is smaller without.  It
 * is packed without to know, unless samples from all over it leave no doubt.  Return 0 or
 * -ERR_NOMEM.
 */
int record_rule_recheck(struct zcodec *z, const uint8_t *raw, size_t len, size_t packed,
	struct record_rule *rule, struct err *err);

/* Is a payload of ${packed} bytes kept for ${len} raw ones?  At 98.4 % and above it is not. */
bool record_rule_is_worth(size_t packed, size_t len);

/* Is the byte entropy of four samples, spread evenly, 7.9 bits or more? */
bool record_rule_is_dense(const uint8_t *raw, size_t len);

/* Room that zcodec_compress() needs so that it never fails for want of it. */
size_t record_rule_bound(size_t len);

#endif
