/*
 * chunker [MIB]: what finding cuts takes, for each kernel that this machine has, in one run: GB a
 * CPU second (median of ROUNDS; the kernels take turns) and the ratio to the portable one. "mark"
 * is the kernel alone over 1 MiB that stays in the cache; "cut" is chunker_cut() over MIB MiB
 * (default 128) with everything: the jump over the minimum, the candidates, their SipHash.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "vault/chunker.h"

#define MIB ((size_t)1 << 20)
#define ROUNDS 7
#define KERNELS_MAX 8

enum kind { KIND_RANDOM, KIND_RECORDS, KIND_TEXT, KINDS };
static const char *const kind_names[KINDS] = { "random", "records", "text" };

static uint64_t seed = UINT64_C(88172645463325252);

static uint64_t next_random(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

static void fill(uint8_t *data, size_t len, enum kind kind)
{
	for (size_t i = 0; i < len; i += 8) {
		uint64_t x = next_random();
		if (kind == KIND_RECORDS) /* 16 bytes: milliseconds, a value of few bits */
			x = i % 16 == 0 ? UINT64_C(1700000000000) + i * 6 + (x & 7) : x & 0xfff0;
		if (kind == KIND_TEXT)
			x = (x & UINT64_C(0x0f070f070f070f07)) + UINT64_C(0x6161206561616165);
		memcpy(data + i, &x, 8);
	}
}

static double cpu_s(void)
{
	struct timespec t;
	(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t); /* cannot fail with this clock */
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

/* GB a CPU second of the marks alone; ${sum} keeps the compiler honest. */
static double time_mark(const struct chunker *c, const uint8_t *data, uint64_t *sum)
{
	static uint64_t marks[(MIB - 64) / 64];
	const unsigned times = 256;
	double begin = cpu_s();
	for (unsigned i = 0; i < times; i++) {
		c->kernel->mark(&c->key, data + 64, sizeof(marks) / sizeof(marks[0]), marks);
		*sum += marks[i];
	}
	return (double)times * (MIB - 64) / 1e9 / (cpu_s() - begin);
}

static double time_cut(const struct chunker *c, const uint8_t *data, size_t len, uint64_t *sum)
{
	double begin = cpu_s();
	for (size_t at = 0; at < len;) {
		size_t n = chunker_cut(c, data + at, len - at, true);
		*sum = *sum * 31 + n;
		at += n;
	}
	return (double)len / 1e9 / (cpu_s() - begin);
}

/* One line for each kernel; false when two of them cut differently. */
static int measure(struct chunker *c, const uint8_t *data, size_t len, const char *what)
{
	double mark[KERNELS_MAX][ROUNDS], cut[KERNELS_MAX][ROUNDS];
	uint64_t cuts[KERNELS_MAX], sum = 0;
	size_t kernels = 0;
	for (int round = 0; round < ROUNDS; round++) {
		for (kernels = 0; kernels < KERNELS_MAX; kernels++) {
			c->kernel = chunker_kernel_at(kernels);
			if (c->kernel == NULL)
				break;
			cuts[kernels] = 0;
			mark[kernels][round] = time_mark(c, data, &sum);
			cut[kernels][round] = time_cut(c, data, len, &cuts[kernels]);
		}
	}
	for (size_t i = 0; i < kernels; i++) {
		qsort(mark[i], ROUNDS, sizeof(double), compare);
		qsort(cut[i], ROUNDS, sizeof(double), compare);
		printf("%-8s %-9s %7.2f %6.2f %9.2f %6.2f\n", what, chunker_kernel_at(i)->name,
			mark[i][ROUNDS / 2], mark[i][ROUNDS / 2] / mark[0][ROUNDS / 2],
			cut[i][ROUNDS / 2], cut[i][ROUNDS / 2] / cut[0][ROUNDS / 2]);
		if (cuts[i] != cuts[0]) {
			printf("bench-chunker: %s cuts differently\n", chunker_kernel_at(i)->name);
			return 1;
		}
	}
	return sum == 1; /* it is not: the marks were read */
}

int main(int argc, char **argv)
{
	size_t len = (argc > 1 ? strtoul(argv[1], NULL, 10) : 128) * MIB;
	uint8_t *data = len >= MIB ? malloc(len) : NULL;
	uint8_t key[32] = { 1, 2, 3 };
	struct chunker c;
	int rc = 0;

	if (data == NULL) {
		fprintf(stderr, "bench-chunker: no memory for this, or less than 1 MiB\n");
		return 2;
	}
	chunker_init(&c, key, CHUNKER_AVERAGE_BYTES);
	printf("%zu MiB, GB a CPU second, median of %d, x = ratio to portable\n", len / MIB,
		ROUNDS);
	printf("%-8s %-9s %7s %6s %9s %6s\n", "data", "kernel", "mark", "x", "cut", "x");
	for (int kind = 0; kind < KINDS && rc == 0; kind++) {
		fill(data, len, (enum kind)kind);
		rc = measure(&c, data, len, kind_names[kind]);
	}
	free(data);
	return rc;
}
