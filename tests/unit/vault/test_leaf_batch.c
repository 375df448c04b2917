#include "vault/leaf_batch.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "vault/digest.h"

#define BYTES ((size_t)40 << 20)

TestSuite(leaf_batch);

static uint64_t next(uint64_t *x)
{
	*x ^= *x << 13;
	*x ^= *x >> 7;
	*x ^= *x << 17;
	return *x;
}

/* The same content given to a digest and to a batch, in pieces of about ${mean} bytes: data, holes
 * of all lengths, flushes; what a batch need not keep is overwritten. */
static void compare(uint64_t seed, size_t total, size_t mean, unsigned holes)
{
	struct err err = ERR_INIT;
	struct digest *plain = NULL, *batched = NULL;
	struct leaf_batch *b = NULL;
	uint64_t x = seed;
	uint8_t want[32], got[32];
	uint8_t *data = malloc(BYTES);
	size_t kept = 0, at = 0;
	cr_assert(data != NULL);
	for (size_t i = 0; i < BYTES; i += 8) {
		const uint64_t word = next(&x);
		memcpy(data + i, &word, 8);
	}
	cr_assert(eq(int, digest_new(ENTRY_DIGEST_BLOCKS, &plain, &err), 0));
	cr_assert(eq(int, digest_new(ENTRY_DIGEST_BLOCKS, &batched, &err), 0));
	cr_assert(eq(int, leaf_batch_new(&b, &err), 0));
	for (unsigned again = 0; again < 2; again++) {
		leaf_batch_begin(b, batched);
		for (size_t done = 0; done < total;) {
			size_t n = 1 + next(&x) % (2 * mean);
			n = n > total - done ? total - done : n;
			done += n;
			if (next(&x) % 16 < holes) {
				digest_add_zeros(plain, n);
				leaf_batch_add_zeros(b, n);
				continue;
			}
			if (at + n > BYTES) {
				leaf_batch_flush(b);
				memset(data, (int)seed, at);
				at = kept = 0;
			}
			digest_add(plain, data + at, n);
			if (leaf_batch_add(b, data + at, n)) {
				memset(data + kept, 0x5a, at - kept);
				kept = at;
			}
			at += n;
		}
		leaf_batch_flush(b);
		cr_assert(eq(int, digest_end(plain, want, &err), 0));
		cr_assert(eq(int, digest_end(batched, got, &err), 0));
		cr_assert(eq(int, memcmp(got, want, 32), 0), "seed %d, pieces of %zu, holes %u",
			(int)seed, mean, holes);
	}
	leaf_batch_free(b);
	digest_free(plain);
	digest_free(batched);
	free(data);
}

Test(leaf_batch, the_digest_is_that_of_the_same_bytes_however_they_come)
{
	compare(1, 35 << 20, 700000, 0);
	compare(2, (35 << 20) + 1, 700000, 5);
	compare(3, 3 << 20, 300, 0); /* more pieces than it keeps */
	compare(4, 3 << 20, 300, 8);
	compare(5, 40 << 20, 1 << 20, 12);
	compare(6, 1 << 20, 1 << 21, 0); /* one block */
	compare(7, 99, 10, 3);
	compare(8, 38 << 20, 3 << 20, 2);
}

Test(leaf_batch, of_nothing_it_is_the_digest_of_nothing)
{
	struct err err = ERR_INIT;
	struct digest *d = NULL;
	struct leaf_batch *b = NULL;
	uint8_t want[32], got[32];
	cr_assert(eq(int, digest_new(ENTRY_DIGEST_BLOCKS, &d, &err), 0));
	cr_assert(eq(int, leaf_batch_new(&b, &err), 0));
	cr_assert(eq(int, digest_end(d, want, &err), 0));
	leaf_batch_begin(b, d);
	leaf_batch_flush(b);
	cr_assert(eq(int, digest_end(d, got, &err), 0));
	cr_expect(eq(int, memcmp(got, want, 32), 0));
	leaf_batch_free(b);
	leaf_batch_free(NULL);
	digest_free(d);
}
