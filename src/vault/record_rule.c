#include "vault/record_rule.h"

#include "base/err.h"

/*
 * INVARIANTS
 * (1) No floating point, no clock, no state from an earlier chunk: the decision follows from the
 *     bytes and the class alone.
 * (2) Lengths are those with room enough: room never changes what the library writes.
 */

#define PROBES 4
#define LOG_SHIFT 16
/* 7.9 bits, in units of 2^-16 */
#define DENSE_BITS 517734u

size_t record_rule_bound(size_t len)
{
	return len + len / 128 + 1024;
}

bool record_rule_is_worth(size_t packed, size_t len)
{
	return (uint64_t)packed * 1000 < (uint64_t)len * 984;
}

/* log2(v) in units of 2^-16, rounded down, by squaring: the same on every machine.  v >= 1. */
static uint32_t log2_fixed(uint32_t v)
{
	unsigned whole = 31u - (unsigned)__builtin_clz(v);
	uint64_t x = (uint64_t)v << (31 - whole); /* 1 <= x / 2^31 < 2 */
	uint32_t out = whole;
	for (int bit = 0; bit < LOG_SHIFT; bit++) {
		x = x * x >> 31;
		unsigned carry = (unsigned)(x >> 32);
		x >>= carry;
		out = out << 1 | carry;
	}
	return out;
}

bool record_rule_is_dense(const uint8_t *raw, size_t len)
{
	uint32_t seen[256] = { 0 };
	uint32_t total = 0;
	if (len == 0)
		return false;
	if (len <= (size_t)PROBES * RECORD_RULE_PROBE_BYTES) {
		for (size_t i = 0; i < len; i++)
			seen[raw[i]]++;
		total = (uint32_t)len;
	} else {
		for (size_t probe = 0; probe < PROBES; probe++) {
			size_t at = (len - RECORD_RULE_PROBE_BYTES) / (PROBES - 1) * probe;
			for (size_t i = 0; i < RECORD_RULE_PROBE_BYTES; i++)
				seen[raw[at + i]]++;
		}
		total = PROBES * RECORD_RULE_PROBE_BYTES;
	}
	/* n * entropy = n * log n - sum of c * log c */
	uint64_t sum = 0;
	for (size_t i = 0; i < 256; i++) {
		if (seen[i] > 0)
			sum += (uint64_t)seen[i] * log2_fixed(seen[i]);
	}
	return (uint64_t)total * log2_fixed(total) >= sum + (uint64_t)total * DENSE_BITS;
}

void record_rule_choose(struct zcodec *z, enum record_class class, const uint8_t *raw, size_t len,
	struct record_rule *out)
{
	struct record_rule rule = { .effort = ZCODEC_LOW };
	if (class != RECORD_CLASS_STREAM) {
		rule.effort = class == RECORD_CLASS_META ? ZCODEC_HIGH : ZCODEC_LOW;
	} else if (!record_rule_is_dense(raw, len)) {
		rule.has_filter = len >= RECORD_RULE_FILTER_MIN_BYTES &&
				  col1_choose(z, raw, len, &rule.filter) == 1;
		rule.effort = rule.has_filter ? ZCODEC_LOW : ZCODEC_MIDDLE;
	}
	*out = rule;
}

/* Do samples from all over the chunk, each on its own, say that it would take a quarter more than
 * ${packed} bytes without a filter?  Then it need not be tried.  Return 1, 0 or -ERR_NOMEM. */
static int is_clear(
	struct zcodec *z, const uint8_t *raw, size_t len, size_t packed, struct err *err)
{
	const size_t sample = RECORD_RULE_CLEAR_BYTES;
	uint64_t plain = 0;
	if (len < RECORD_RULE_CLEAR_MIN_BYTES)
		return 0;
	for (size_t i = 0; i < PROBES; i++) {
		size_t n = zcodec_size(
			z, ZCODEC_MIDDLE, raw + (len - sample) / (PROBES - 1) * i, sample);
		if (n == 0)
			return err_set(err, ERR_NOMEM, "out of memory for a trial");
		plain += n;
	}
	return plain * len * 4 >= (uint64_t)packed * PROBES * sample * 5;
}

int record_rule_recheck(struct zcodec *z, const uint8_t *raw, size_t len, size_t packed,
	struct record_rule *rule, struct err *err)
{
	int rc = is_clear(z, raw, len, packed, err);
	if (rc != 0)
		return rc < 0 ? rc : 0;
	if (zcodec_is_below(z, ZCODEC_MIDDLE, raw, len, packed))
		*rule = (struct record_rule){ .effort = ZCODEC_MIDDLE };
	return 0;
}
