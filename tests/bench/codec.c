/*
 * codec FILE..: what the packing of chunks makes of real files and what it takes.  Each file (its
 * first CODEC_MIB MiB, default 64) is cut as a backup cuts it; every chunk is packed by the rule
 * and, beside it, as if there were no record filter.  One line a file: sizes, their ratio, the
 * worst chunk of those filtered, CPU seconds a GB of both ways, unpacking included.  The last lines
 * divide the rule's time.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "codec/zcodec.h"
#include "vault/chunker.h"
#include "vault/record_rule.h"

#define MIB ((size_t)1 << 20)
#define RAW_MAX (4 * MIB)

enum part {
	PART_CHOOSE,
	PART_FORWARD,
	PART_COMPRESS,
	PART_DECOMPRESS,
	PART_INVERSE,
	PART_RECHECK,
	PARTS
};
static const char *const part_names[PARTS] = { "choose", "forward", "compress", "decompress",
	"inverse", "recheck" };

struct sums {
	size_t raw, plain, ruled, chunks, filtered, wrong;
	double plain_s, ruled_s;
	double worst; /* ruled / plain of one filtered chunk */
};

static struct zcodec *z;
static uint8_t *filtered, *packed, *unpacked, *back;
static size_t room;
static double spent[PARTS];

static double cpu_s(void)
{
	struct timespec t;
	(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t); /* cannot fail with this clock */
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Bytes of the record's payload; the parts' times go to ${spent_at} when it is not NULL. */
static size_t pack(const struct record_rule *rule, const uint8_t *raw, size_t len, double *spent_at)
{
	double t[PARTS + 1] = { 0 };
	const uint8_t *in = raw;
	uint8_t param[COL1_MAX_PARAM_BYTES];
	size_t used = 0;
	t[PART_FORWARD] = cpu_s();
	if (rule->has_filter) {
		used = col1_encode(&rule->filter, param);
		col1_forward(&rule->filter, raw, filtered, len);
		in = filtered;
	}
	t[PART_COMPRESS] = cpu_s();
	size_t n = zcodec_compress(z, rule->effort, in, len, packed, room);
	t[PART_DECOMPRESS] = cpu_s();
	bool is_kept = n > 0 && record_rule_is_worth(used + n, len);
	if (is_kept && zcodec_decompress(z, packed, n, unpacked, len, NULL) != 0)
		abort();
	t[PART_INVERSE] = cpu_s();
	const uint8_t *out = unpacked;
	if (is_kept && rule->has_filter) {
		col1_inverse(&rule->filter, unpacked, back, len);
		out = back;
	}
	t[PART_INVERSE + 1] = cpu_s();
	if (is_kept && memcmp(out, raw, len) != 0)
		abort();
	for (int i = PART_FORWARD; spent_at != NULL && i <= PART_INVERSE; i++)
		spent_at[i] += t[i + 1] - t[i];
	return is_kept ? used + n : len;
}

static void measure_chunk(const uint8_t *raw, size_t len, struct sums *s)
{
	struct record_rule rule, plain = { .effort = ZCODEC_MIDDLE };
	double begin = cpu_s();
	record_rule_choose(z, RECORD_CLASS_STREAM, raw, len, &rule);
	spent[PART_CHOOSE] += cpu_s() - begin;
	size_t ruled = pack(&rule, raw, len, spent);
	bool was_filtered = rule.has_filter;
	if (was_filtered) {
		double recheck = cpu_s();
		if (record_rule_recheck(z, raw, len, ruled, &rule, NULL) != 0)
			abort();
		spent[PART_RECHECK] += cpu_s() - recheck;
		if (!rule.has_filter) {
			ruled = pack(&rule, raw, len, spent);
			s->wrong++;
		}
	}
	s->ruled_s += cpu_s() - begin;
	begin = cpu_s();
	if (record_rule_is_dense(raw, len))
		plain.effort = ZCODEC_LOW;
	size_t without = pack(&plain, raw, len, NULL);
	s->plain_s += cpu_s() - begin;
	s->raw += len;
	s->ruled += ruled;
	s->plain += without;
	s->chunks++;
	s->filtered += rule.has_filter;
	if (was_filtered && (double)ruled > s->worst * (double)without)
		s->worst = (double)ruled / (double)without;
}

static void print(const char *name, const struct sums *s)
{
	double gb = (double)s->raw / 1e9;
	printf("%-26.26s %6.1f %5zu %5zu %5zu %9.3f %9.3f %7.3f %7.3f %6.2f %6.2f\n", name,
		(double)s->raw / 1e6, s->chunks, s->filtered, s->wrong, (double)s->plain / 1e6,
		(double)s->ruled / 1e6, (double)s->ruled / (double)s->plain, s->worst,
		s->plain_s / gb, s->ruled_s / gb);
}

static void add(struct sums *all, const struct sums *s)
{
	all->raw += s->raw;
	all->plain += s->plain;
	all->ruled += s->ruled;
	all->chunks += s->chunks;
	all->filtered += s->filtered;
	all->wrong += s->wrong;
	all->plain_s += s->plain_s;
	all->ruled_s += s->ruled_s;
	all->worst = s->worst > all->worst ? s->worst : all->worst;
}

static int measure_file(
	const struct chunker *c, const char *path, uint8_t *data, size_t cap, struct sums *all)
{
	struct sums s = { 0 };
	FILE *in = fopen(path, "rb");
	size_t len = in == NULL ? 0 : fread(data, 1, cap, in);
	if (in == NULL || fclose(in) != 0 || len == 0) {
		fprintf(stderr, "bench-codec: unable to read '%s'\n", path);
		return 1;
	}
	for (size_t at = 0; at < len;) {
		size_t n = chunker_cut(c, data + at, len - at, true);
		measure_chunk(data + at, n, &s);
		at += n;
	}
	const char *name = strrchr(path, '/');
	print(name == NULL ? path : name + 1, &s);
	add(all, &s);
	return 0;
}

int main(int argc, char **argv)
{
	const char *mib = getenv("CODEC_MIB");
	size_t cap = (mib == NULL ? 64 : strtoul(mib, NULL, 10)) * MIB;
	uint8_t *data = malloc(cap), key[32] = { 1, 2, 3 };
	struct chunker c;
	struct sums all = { 0 };
	int rc = 0;

	room = record_rule_bound(RAW_MAX);
	filtered = malloc(RAW_MAX);
	unpacked = malloc(RAW_MAX);
	back = malloc(RAW_MAX);
	packed = malloc(room);
	if (data == NULL || filtered == NULL || unpacked == NULL || back == NULL ||
		packed == NULL || zcodec_new(&z, NULL) != 0)
		return 2;
	chunker_init(&c, key, CHUNKER_AVERAGE_BYTES);
	printf("%-26s %6s %5s %5s %5s %9s %9s %7s %7s %6s %6s\n", "file", "MB", "cks", "filt",
		"wrong", "plain MB", "rule MB", "ratio", "worst", "s/GB", "rule");
	for (int i = 1; i < argc; i++)
		rc |= measure_file(&c, argv[i], data, cap, &all);
	if (all.raw > 0)
		print("all", &all);
	for (int i = 0; i < PARTS && all.raw > 0; i++)
		printf("%-12s %6.2f s a GB\n", part_names[i], spent[i] / ((double)all.raw / 1e9));
	zcodec_free(z);
	free(data);
	free(filtered);
	free(unpacked);
	free(back);
	free(packed);
	return rc;
}
