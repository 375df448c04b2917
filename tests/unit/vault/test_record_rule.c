#include "vault/record_rule.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include <math.h>
#include <string.h>

#include "base/err.h"
#include "codec/zcodec.h"
#include "tests/lib/mixed_chunk.h"

static struct zcodec *z;
static struct err err = ERR_INIT;
static uint8_t data[1 << 20];

static void setup(void)
{
	cr_assert(eq(int, zcodec_new(&z, &err), 0));
}

static void teardown(void)
{
	zcodec_free(z);
}

TestSuite(record_rule, .init = setup, .fini = teardown);

static uint64_t state = 88172645463325252u;

static uint8_t next_byte(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (uint8_t)(state >> 32);
}

static struct record_rule choose(enum record_class class, size_t len)
{
	struct record_rule rule;
	record_rule_choose(z, class, data, len, &rule);
	return rule;
}

Test(record_rule, bundles_and_metadata_have_a_fixed_effort)
{
	cr_expect(eq(int, choose(RECORD_CLASS_BUNDLE, sizeof(data)).effort, ZCODEC_LOW));
	cr_expect(eq(int, choose(RECORD_CLASS_META, sizeof(data)).effort, ZCODEC_HIGH));
	cr_expect(not(choose(RECORD_CLASS_META, sizeof(data)).has_filter));
}

Test(record_rule, dense_streams_get_the_low_effort_without_trials)
{
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = next_byte();
	cr_expect(record_rule_is_dense(data, sizeof(data)));
	struct record_rule rule = choose(RECORD_CLASS_STREAM, sizeof(data));
	cr_expect(eq(int, rule.effort, ZCODEC_LOW));
	cr_expect(not(rule.has_filter));
}

Test(record_rule, fixed_size_records_are_filtered)
{
	for (size_t i = 0; i + 16 <= sizeof(data); i += 16) {
		uint64_t t = 1700000000000u + i / 16 * 1000 + next_byte() % 7;
		memcpy(data + i, &t, 8);
		double v = 20.0 + (double)next_byte() / 64.0;
		memcpy(data + i + 8, &v, 8);
	}
	struct record_rule rule = choose(RECORD_CLASS_STREAM, sizeof(data));
	cr_expect(rule.has_filter);
	cr_expect(eq(int, rule.effort, ZCODEC_LOW));
	cr_expect(eq(int, rule.filter.stride % 8, 0));
	/* below 64 KiB there is no filter trial */
	cr_expect(not(choose(RECORD_CLASS_STREAM, 65535).has_filter));
}

Test(record_rule, other_streams_get_the_middle_effort)
{
	static const char text[] = "valve pump open shut\n";
	for (size_t i = 0; i < 300000; i++)
		data[i] = (uint8_t)(text[i % (sizeof(text) - 1)] + next_byte() % 3);
	struct record_rule rule = choose(RECORD_CLASS_STREAM, 300000);
	cr_expect(eq(int, rule.effort, ZCODEC_MIDDLE));
	cr_expect(not(rule.has_filter));
}

/* What the chunk takes by ${rule}, whole. */
static size_t pack_by(const struct record_rule *rule)
{
	static uint8_t filtered[sizeof(data)], out[sizeof(data) + 16384];
	uint8_t param[COL1_MAX_PARAM_BYTES];
	if (!rule->has_filter)
		return zcodec_compress(z, rule->effort, data, sizeof(data), out, sizeof(out));
	col1_forward(&rule->filter, data, filtered, sizeof(data));
	return col1_encode(&rule->filter, param) +
	       zcodec_compress(z, rule->effort, filtered, sizeof(data), out, sizeof(out));
}

Test(record_rule, a_filter_that_the_whole_chunk_does_not_earn_is_taken_back)
{
	unsigned kept = 0, dropped = 0;
	for (unsigned round = 0; round < MIXED_CHUNK_KINDS; round++) {
		mixed_chunk_fill(data, sizeof(data), round);
		struct record_rule rule = choose(RECORD_CLASS_STREAM, sizeof(data));
		if (!rule.has_filter)
			continue;
		const struct record_rule plain = { .effort = ZCODEC_MIDDLE };
		size_t with = pack_by(&rule), without = pack_by(&plain);
		struct record_rule last = rule;
		cr_assert(
			eq(int, record_rule_recheck(z, data, sizeof(data), with, &last, &err), 0));
		cr_assert(eq(int, last.has_filter, with <= without), "%zu, %zu", with, without);
		cr_assert(eq(int, last.effort, last.has_filter ? rule.effort : plain.effort));
		if (last.has_filter)
			cr_assert(eq(
				int, memcmp(&last.filter, &rule.filter, sizeof(rule.filter)), 0));
		kept += last.has_filter;
		dropped += !last.has_filter;
	}
	cr_expect(ge(int, (int)kept, 5), "%u", kept);
	cr_expect(ge(int, (int)dropped, 5), "%u", dropped);
}

/* The definition, with the mathematics library. */
static double entropy(size_t len)
{
	double seen[256] = { 0 };
	double total = 0;
	double bits = 0;
	for (size_t probe = 0; probe < 4; probe++) {
		size_t at = (len - 4096) / 3 * probe;
		for (size_t i = 0; i < 4096; i++)
			seen[data[at + i]]++;
	}
	for (int i = 0; i < 256; i++)
		total += seen[i];
	for (int i = 0; i < 256; i++) {
		if (seen[i] > 0)
			bits -= seen[i] / total * log2(seen[i] / total);
	}
	return bits;
}

Test(record_rule, density_agrees_with_the_definition_on_both_sides_of_the_bound)
{
	int seen[2] = { 0 };
	for (int skew = 0; skew < 120; skew++) {
		for (size_t i = 0; i < 100000; i++) {
			uint8_t b = next_byte();
			data[i] = next_byte() < skew ? b / 2 : b;
		}
		double bits = entropy(100000);
		if (bits > 7.8995 && bits < 7.9005)
			continue; /* the fixed-point sum may round here */
		bool is_dense = record_rule_is_dense(data, 100000);
		cr_assert(eq(int, is_dense, bits >= 7.9), "%f", bits);
		seen[is_dense]++;
	}
	cr_expect(ge(int, seen[0], 11));
	cr_expect(ge(int, seen[1], 11));
}

Test(record_rule, short_and_empty_chunks_have_a_density)
{
	cr_expect(not(record_rule_is_dense(data, 0)));
	cr_expect(not(record_rule_is_dense(data, 1)));
	for (size_t i = 0; i < 16384; i++)
		data[i] = (uint8_t)i;
	cr_expect(record_rule_is_dense(data, 16384));
	cr_expect(record_rule_is_dense(data, 256));
	cr_expect(not(record_rule_is_dense(data, 200)));
	cr_expect(eq(int, choose(RECORD_CLASS_STREAM, 0).effort, ZCODEC_MIDDLE));
	cr_expect(eq(int, choose(RECORD_CLASS_STREAM, 1).effort, ZCODEC_MIDDLE));
}

Test(record_rule, results_are_kept_below_984_thousandths)
{
	cr_expect(record_rule_is_worth(983, 1000));
	cr_expect(not(record_rule_is_worth(984, 1000)));
	cr_expect(not(record_rule_is_worth(0, 0)));
	cr_expect(not(record_rule_is_worth(13, 12)));
}
