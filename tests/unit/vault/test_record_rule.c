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
	cr_assert(eq(int, record_rule_choose(z, class, data, len, &rule, &err), 0));
	return rule;
}

Test(record_rule, bundles_and_metadata_have_fixed_levels)
{
	cr_expect(eq(int, choose(RECORD_CLASS_BUNDLE, sizeof(data)).level, 1));
	cr_expect(eq(int, choose(RECORD_CLASS_META, sizeof(data)).level, 3));
	cr_expect(not(choose(RECORD_CLASS_META, sizeof(data)).has_filter));
}

Test(record_rule, dense_streams_get_level_1_without_trials)
{
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = next_byte();
	cr_expect(record_rule_is_dense(data, sizeof(data)));
	struct record_rule rule = choose(RECORD_CLASS_STREAM, sizeof(data));
	cr_expect(eq(int, rule.level, 1));
	cr_expect(not(rule.has_filter));
}

Test(record_rule, fixed_size_records_are_filtered_at_level_2)
{
	for (size_t i = 0; i + 16 <= sizeof(data); i += 16) {
		uint64_t t = 1700000000000u + i / 16 * 1000 + next_byte() % 7;
		memcpy(data + i, &t, 8);
		double v = 20.0 + (double)next_byte() / 64.0;
		memcpy(data + i + 8, &v, 8);
	}
	struct record_rule rule = choose(RECORD_CLASS_STREAM, sizeof(data));
	cr_expect(rule.has_filter);
	cr_expect(eq(int, rule.level, 2));
	cr_expect(eq(int, rule.filter.stride % 8, 0));
	/* below 64 KiB there is no filter trial */
	cr_expect(not(choose(RECORD_CLASS_STREAM, 65535).has_filter));
}

/* zstd of the middle 64 KiB at both levels, as docs/FORMAT.md tells it. */
static int level_by_sample(size_t len)
{
	static uint8_t out[80000];
	size_t sample = len < 65536 ? len : 65536;
	size_t one = zcodec_compress(z, 1, data + (len - sample) / 2, sample, out, sizeof(out));
	size_t two = zcodec_compress(z, 2, data + (len - sample) / 2, sample, out, sizeof(out));
	return (double)two <= (double)one * 0.985 ? 2 : 1;
}

Test(record_rule, other_streams_get_the_level_their_middle_earns)
{
	static const char *const words[] = { "valve", "pump", "open", "shut", " ", "\n", "0", "17",
		"batch", "tank", "alarm", "ack" };
	int seen[3] = { 0 };
	for (int round = 0; round < 24; round++) {
		size_t at = 0;
		size_t vary = (size_t)round % 12 + 1;
		while (at < 300000) {
			const char *word = words[next_byte() % vary];
			memcpy(data + at, word, strlen(word));
			at += strlen(word);
			if (round >= 12 && next_byte() < 40)
				data[at++] = next_byte();
		}
		struct record_rule rule = choose(RECORD_CLASS_STREAM, 300000);
		if (!rule.has_filter) {
			cr_assert(eq(int, rule.level, level_by_sample(300000)), "round %d", round);
			seen[rule.level]++;
		}
	}
	cr_expect(gt(int, seen[1], 0));
	cr_expect(gt(int, seen[2], 0));
}

/* What the chunk takes by ${rule}, whole. */
static size_t pack_by(const struct record_rule *rule)
{
	static uint8_t filtered[sizeof(data)], out[sizeof(data) + 16384];
	uint8_t param[COL1_MAX_PARAM_BYTES];
	if (!rule->has_filter)
		return zcodec_compress(z, rule->level, data, sizeof(data), out, sizeof(out));
	col1_forward(&rule->filter, data, filtered, sizeof(data));
	return col1_encode(&rule->filter, param) +
	       zcodec_compress(z, rule->level, filtered, sizeof(data), out, sizeof(out));
}

Test(record_rule, a_filter_that_the_whole_chunk_does_not_earn_is_taken_back)
{
	unsigned kept = 0, dropped = 0;
	for (unsigned round = 0; round < MIXED_CHUNK_KINDS; round++) {
		mixed_chunk_fill(data, sizeof(data), round);
		struct record_rule rule = choose(RECORD_CLASS_STREAM, sizeof(data));
		if (!rule.has_filter)
			continue;
		const struct record_rule plain = { .level = level_by_sample(sizeof(data)) };
		size_t with = pack_by(&rule), without = pack_by(&plain);
		struct record_rule last = rule;
		cr_assert(
			eq(int, record_rule_recheck(z, data, sizeof(data), with, &last, &err), 0));
		cr_assert(eq(int, last.has_filter, with <= without), "%zu, %zu", with, without);
		cr_assert(eq(int, last.level, last.has_filter ? rule.level : plain.level));
		if (last.has_filter)
			cr_assert(eq(
				int, memcmp(&last.filter, &rule.filter, sizeof(rule.filter)), 0));
		kept += last.has_filter;
		dropped += !last.has_filter;
	}
	cr_expect(ge(int, (int)kept, 5), "%u", kept);
	cr_expect(ge(int, (int)dropped, 5), "%u", dropped);
}

Test(record_rule, bytes_outside_the_samples_do_not_matter_to_the_level)
{
	for (size_t i = 0; i < 300000; i++)
		data[i] = (uint8_t)("valve pump open shut\n"[i % 21] + next_byte() % 3);
	struct record_rule before = choose(RECORD_CLASS_STREAM, 300000);
	cr_expect(eq(int, before.level, level_by_sample(300000)));
	cr_expect(not(before.has_filter));
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
	cr_expect(gt(int, seen[0], 10));
	cr_expect(gt(int, seen[1], 10));
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
	cr_expect(eq(int, choose(RECORD_CLASS_STREAM, 0).level, 1));
	cr_expect(eq(int, choose(RECORD_CLASS_STREAM, 1).level, 1));
}

Test(record_rule, results_are_kept_below_984_thousandths)
{
	cr_expect(record_rule_is_worth(983, 1000));
	cr_expect(not(record_rule_is_worth(984, 1000)));
	cr_expect(not(record_rule_is_worth(0, 0)));
	cr_expect(not(record_rule_is_worth(13, 12)));
}
