#include "vault/chunker_kernel.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <string.h>

#include "lib/chunker_cases.h"

#define SEED UINT64_C(20261126)
#define QUICK_BUFFERS 6000
#define BLOCKS_MAX 200

static void init(struct chunker *c, uint64_t *x)
{
	uint8_t key[32];
	for (unsigned i = 0; i < 32; i++)
		key[i] = (uint8_t)chunker_cases_random(x);
	chunker_init(c, key, (size_t)1 << 14);
}

/* The definition: h(t) = K, a position at a time. */
static bool is_marked(const struct chunker_kernel_key *key, const uint8_t *t)
{
	static const uint8_t w[8] = { 1, 3, 5, 15, 3, 9, 15, 45 };
	unsigned h = 0;
	for (int i = 0; i < 8; i++)
		h += w[i] * (unsigned)(key->low[t[-i] & 15] ^ key->high[t[-i] >> 4]);
	return (h & 255) == key->k;
}

Test(chunker_kernel, the_first_is_portable_and_the_last_the_best)
{
	size_t count = 0;
	while (chunker_kernel_at(count) != NULL)
		count++;
	cr_assert(ge(sz, count, 1));
	cr_expect(eq(str, (char *)chunker_kernel_at(0)->name, "portable"));
	cr_expect(eq(ptr, (void *)chunker_kernel_best(), (void *)chunker_kernel_at(count - 1)));
	cr_expect(eq(ptr, (void *)chunker_kernel_at(count + 1), NULL));
#ifdef __x86_64__
	cr_expect(eq(sz, count,
		1u + (__builtin_cpu_supports("ssse3") != 0) +
			(__builtin_cpu_supports("avx2") != 0) +
			(__builtin_cpu_supports("avx512bw") != 0)));
#else
	cr_expect(eq(sz, count, 1));
#endif
}

Test(chunker_kernel, every_kernel_marks_what_the_definition_says_at_every_alignment)
{
	struct chunker_cases cases;
	uint64_t x = SEED, marked = 0, got[BLOCKS_MAX];

	chunker_cases_init(&cases);
	for (size_t round = 0; round < 400; round++) {
		struct chunker c;
		init(&c, &x);
		size_t blocks = round < 130 ? 1 + round % 65 : 1 + round % BLOCKS_MAX;
		size_t slack = round % 64;
		uint8_t *at = cases.arena + cases.arena_len - blocks * 64 - slack;
		for (uint8_t *p = at - 64; p < cases.arena + cases.arena_len; p++)
			*p = (uint8_t)(round % 3 == 0 ? chunker_cases_random(&x) & 0x11
						      : chunker_cases_random(&x));
		for (size_t k = 0; chunker_kernel_at(k) != NULL; k++) {
			memset(got, 0xa5, sizeof(got));
			chunker_kernel_at(k)->mark(&c.key, at, blocks, got);
			for (size_t i = 0; i < blocks * 64; i++) {
				bool has = (got[i / 64] >> (i % 64) & 1) != 0;
				cr_assert(eq(int, has, is_marked(&c.key, at + i)),
					"%s, round %zu, position %zu of %zu blocks",
					chunker_kernel_at(k)->name, round, i, blocks);
				marked += has;
			}
			if (blocks < BLOCKS_MAX)
				cr_assert(eq(u64, got[blocks], UINT64_C(0xa5a5a5a5a5a5a5a5)));
		}
	}
	cr_expect(ge(u64, marked, 10000));
	chunker_cases_done(&cases);
}

Test(chunker_kernel, all_kernels_cut_hard_buffers_alike)
{
	struct chunker_cases cases;
	char why[200] = "";

	chunker_cases_init(&cases);
	for (uint64_t i = 0; i < QUICK_BUFFERS; i++)
		cr_assert(chunker_cases_compare(&cases, SEED, i, why, sizeof(why)),
			"seed %llu, buffer %llu: %s", (unsigned long long)SEED,
			(unsigned long long)i, why);
	cr_expect(ge(u64, cases.chunks, QUICK_BUFFERS));
	cr_expect(ge(u64, cases.planted, QUICK_BUFFERS));
	chunker_cases_done(&cases);
}
