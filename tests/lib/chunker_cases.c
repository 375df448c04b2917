#include "tests/lib/chunker_cases.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/bytes.h"
#include "crypto/siphash.h"

/*
 * INVARIANTS
 * (1) A buffer ends at the page that must not be touched, so its first byte lies at any alignment
 * and a kernel that reads behind the end stops the program.
 */
#define AVERAGE_MIN ((size_t)1 << 14)
#define LEN_MAX (3 * 4 * AVERAGE_MIN * 4)
#define PUSH_MAX 70000
#define MARKED_BYTES 600

enum kind {
	KIND_RANDOM,
	KIND_ZEROS,
	KIND_RUNS,
	KIND_PERIODIC,
	KIND_FEW_SYMBOLS,
	KIND_PLANTED,
	KIND_MARKED,
	KIND_MIXED,
	KINDS
};

uint64_t chunker_cases_random(uint64_t *x)
{
	*x ^= *x << 13;
	*x ^= *x >> 7;
	*x ^= *x << 17;
	return *x;
}

void chunker_cases_init(struct chunker_cases *c)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	size_t len = (LEN_MAX + page - 1) / page * page;
	void *at =
		mmap(NULL, len + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (at == MAP_FAILED || mprotect((uint8_t *)at + len, page, PROT_NONE) != 0)
		abort();
	*c = (struct chunker_cases){ .arena = at, .arena_len = len };
	while (chunker_kernel_at((size_t)c->kernels) != NULL)
		c->kernels++;
}

void chunker_cases_done(struct chunker_cases *c)
{
	(void)munmap(c->arena, c->arena_len + (size_t)sysconf(_SC_PAGESIZE)); /* test memory */
}

static unsigned hash8(const struct chunker *c, const uint8_t *end)
{
	static const uint8_t w[8] = { 1, 3, 5, 15, 3, 9, 15, 45 };
	unsigned h = 0;
	for (int i = 0; i < 8; i++)
		h += w[i] * (unsigned)c->key.g[end[-1 - i]];
	return h & 255;
}

size_t chunker_cases_plain(const struct chunker *c, const uint8_t *b, size_t n)
{
	size_t last = c->min - 2, best = 0;
	uint64_t best_v = 0;

	if (n <= c->min)
		return n;
	bool is_full = n >= c->max;
	if (is_full)
		n = c->max;
	for (size_t t = c->min - 1; t < n; t++) {
		if (hash8(c, b + t + 1) != c->key.k)
			continue;
		uint64_t x0 = bytes_le64(b + t - 15), x1 = bytes_le64(b + t - 7);
		if (((x0 ^ c->m0) * (x1 ^ c->m1)) >> 59 != 0)
			continue;
		uint64_t v = siphash_24(c->k0, c->k1, b + t - 63, 64) >> 16;
		uint64_t d = t - last;
		last = t;
		if (v < (t + 1 < c->norm ? c->q1 : c->q2) * d)
			return t + 1;
		if (best == 0 || v < best_v) {
			best_v = v;
			best = t + 1;
		}
	}
	return is_full && best != 0 ? best : n;
}

/* Set the byte before ${end} so that h is K there.  Return false when no byte does. */
static bool solve(const struct chunker *c, uint8_t *end)
{
	end[-1] = 0;
	unsigned want = (c->key.g[0] + (unsigned)c->key.k - hash8(c, end)) & 255;
	for (unsigned b = 0; b < 256; b++) {
		if (c->key.g[b] == want) {
			end[-1] = (uint8_t)b;
			return true;
		}
	}
	return false;
}

bool chunker_cases_plant(const struct chunker *c, uint8_t *end, uint64_t *x)
{
	for (unsigned i = 0; i < 8; i++) /* the product is 0 */
		end[-16 + (int)i] = (uint8_t)(c->m0 >> (8 * i));
	for (unsigned tries = 0; tries < 32; tries++) {
		uint64_t noise = chunker_cases_random(x);
		memcpy(end - 8, &noise, 8);
		if (solve(c, end))
			return true;
	}
	return false;
}

static void fill_random(uint8_t *data, size_t len, uint64_t *x)
{
	size_t i = 0;
	for (; i + 8 <= len; i += 8) {
		uint64_t v = chunker_cases_random(x);
		memcpy(data + i, &v, 8);
	}
	for (; i < len; i++)
		data[i] = (uint8_t)chunker_cases_random(x);
}

static void fill_runs(uint8_t *data, size_t len, uint64_t *x)
{
	for (size_t i = 0; i < len;) {
		uint64_t r = chunker_cases_random(x);
		size_t n = (size_t)1 << (r % 13);
		n = n > len - i ? len - i : n;
		memset(data + i, (int)(r >> 32 & 255), n);
		i += n;
	}
}

static void fill_periodic(uint8_t *data, size_t len, uint64_t *x)
{
	size_t period = 1 + chunker_cases_random(x) % 300;
	fill_random(data, period < len ? period : len, x);
	for (size_t i = period; i < len; i++)
		data[i] = data[i - period];
}

/* Candidates where an edge is: of the rule, of a tile, of a block, of the stream, and close by. */
static uint64_t plant_edges(const struct chunker *c, uint8_t *data, size_t len, uint64_t *x)
{
	const size_t edges[] = { c->min, c->norm, c->max, len, c->min + 4095, c->min + 64 };
	uint64_t planted = 0;
	for (unsigned i = 0; i < 24; i++) {
		uint64_t r = chunker_cases_random(x);
		size_t end =
			i < 12 ? edges[r % 6] + (r >> 32) % 5 - 2 : (size_t)(r >> 16) % (len + 1);
		if (end >= CHUNKER_KERNEL_BACK_BYTES && end <= len)
			planted += chunker_cases_plant(c, data + end, x);
	}
	return planted;
}

/* h = K at every position of a stretch where the key has a byte for it. */
static void fill_marked(const struct chunker *c, uint8_t *data, size_t len, uint64_t *x)
{
	for (unsigned stretch = 0; stretch < 4 && len > MARKED_BYTES; stretch++) {
		size_t end = 8 + chunker_cases_random(x) % (len - MARKED_BYTES);
		for (size_t i = 0; i < MARKED_BYTES - 8; i++)
			(void)solve(c, data + end + i); /* without one it stays unmarked */
	}
}

static void fill(struct chunker_cases *cases, const struct chunker *c, uint8_t *data, size_t len,
	enum kind kind, uint64_t *x)
{
	switch (kind) {
	case KIND_ZEROS:
		memset(data, 0, len);
		break;
	case KIND_RUNS:
		fill_runs(data, len, x);
		break;
	case KIND_PERIODIC:
		fill_periodic(data, len, x);
		break;
	case KIND_FEW_SYMBOLS: {
		uint64_t mask = chunker_cases_random(x) & 0x0303030303030303;
		fill_random(data, len, x);
		for (size_t i = 0; i < len; i++)
			data[i] &= (uint8_t)(mask >> (8 * (i % 8)) | 1);
		break;
	}
	case KIND_PLANTED:
		if (chunker_cases_random(x) % 2 == 0)
			fill_random(data, len, x);
		else
			memset(data, (int)(chunker_cases_random(x) & 255), len);
		cases->planted += plant_edges(c, data, len, x);
		break;
	case KIND_MARKED:
		fill_random(data, len, x);
		fill_marked(c, data, len, x);
		break;
	case KIND_MIXED: {
		size_t part = len / 4;
		for (unsigned i = 0; i < 4; i++)
			fill(cases, c, data + i * part, part,
				(enum kind)(chunker_cases_random(x) % KIND_MARKED), x);
		fill_random(data + 4 * part, len - 4 * part, x);
		break;
	}
	case KIND_RANDOM:
	case KINDS:
		fill_random(data, len, x);
		break;
	}
}

static size_t draw_len(const struct chunker *c, uint64_t *x)
{
	const size_t edges[] = { 0, c->min, c->norm, c->max, c->min + 64, c->min + 4096,
		2 * c->max };
	uint64_t r = chunker_cases_random(x);
	size_t noise = (size_t)(r >> 32) % 5;
	if (r % 4 == 0) {
		size_t edge = edges[(r >> 8) % 7];
		return edge < 2 ? noise : edge + noise - 2;
	}
	return (size_t)(r >> 16) % (r % 4 == 1 ? 3 * c->max : r % 4 == 2 ? 2 * c->min : c->max);
}

/* The next cut of ${len} bytes that come in pushes drawn from ${x}. */
static size_t cut_in_pushes(const struct chunker *c, const uint8_t *data, size_t len, uint64_t *x)
{
	struct chunker_search s;
	size_t there = 0, found = 0;
	chunker_search_begin(c, &s);
	while (found == 0) {
		uint64_t r = chunker_cases_random(x);
		size_t push = (size_t)(r >> 32) % (r % 3 == 0 ? 130 : r % 3 == 1 ? 9000 : PUSH_MAX);
		there = push > len - there ? len : there + push;
		found = chunker_search_next(c, &s, data, there, there == len);
		if (found == 0 && there == len)
			return 0;
	}
	return found;
}

/* One kernel over the whole buffer; the first one says where the cuts are. */
static bool compare(struct chunker_cases *cases, struct chunker *c, const uint8_t *data, size_t len,
	bool is_plain, uint64_t *x, char *why, size_t why_len)
{
	for (size_t at = 0; at < len;) {
		c->kernel = chunker_kernel_at(0);
		size_t want = is_plain ? chunker_cases_plain(c, data + at, len - at)
				       : chunker_cut(c, data + at, len - at, true);
		for (size_t i = 0; i < cases->kernels; i++) {
			c->kernel = chunker_kernel_at(i);
			size_t whole = chunker_cut(c, data + at, len - at, true);
			size_t pushed = cut_in_pushes(c, data + at, len - at, x);
			if (whole == want && pushed == want)
				continue;
			snprintf(why, why_len, "%s at %zu of %zu: %zu, in pushes %zu, not %zu",
				c->kernel->name, at, len, whole, pushed, want);
			return false;
		}
		cases->chunks++;
		at += want;
	}
	return true;
}

bool chunker_cases_compare(
	struct chunker_cases *cases, uint64_t seed, uint64_t index, char *why, size_t why_len)
{
	uint64_t x = (seed ^ (index + 1) * UINT64_C(0x9e3779b97f4a7c15)) | 1;
	struct chunker c;
	uint8_t key[32];

	for (unsigned i = 0; i < 8; i++)
		(void)chunker_cases_random(&x); /* spreads a small seed */
	fill_random(key, sizeof(key), &x);
	chunker_init(&c, key, AVERAGE_MIN << (chunker_cases_random(&x) % 8 == 0 ? 1 : 0));
	size_t len = draw_len(&c, &x);
	uint8_t *data = cases->arena + cases->arena_len - len;
	fill(cases, &c, data, len, (enum kind)(index % KINDS), &x);
	if (chunker_cases_random(&x) % 4 == 0) { /* cuts are rare, or at once, instead of common */
		c.q1 = chunker_cases_random(&x) >> 20;
		c.q2 = chunker_cases_random(&x) >> 20;
	}
	cases->buffers++;
	cases->bytes += len;
	cases->runs += 2 * cases->kernels;
	return compare(cases, &c, data, len, index % 8 == index / 8 % 8, &x, why, why_len);
}
