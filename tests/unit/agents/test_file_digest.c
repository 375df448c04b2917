#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "agents/file_digest.h"
#include "base/err.h"
#include "tests/lib/vault_fixture.h"
#include "vault/digest.h"

#define MIB ((size_t)1 << 20)

TestSuite(file_digest);

/* ${total} bytes of content: data in pieces of at most ${most} bytes, and ${holes} of 16 pieces are
 * zeros of up to four times that. */
struct content {
	enum entry_digest kind;
	size_t total, most;
	unsigned holes;
};

static void compare(struct file_digest *d, const struct content *c, uint64_t seed)
{
	struct digest *plain = NULL;
	uint8_t want[32], got[32], numbers[8];
	cr_assert(eq(int, digest_new(c->kind, &plain, NULL), 0));
	cr_assert(eq(int, file_digest_begin(d, c->kind, NULL), 0));
	for (size_t done = 0; done < c->total; seed++) {
		size_t cap, left = c->total - done;
		vault_fixture_noise(numbers, sizeof(numbers), seed);
		const size_t wish =
			1 +
			(numbers[0] | (size_t)numbers[1] << 8 | (size_t)numbers[2] << 16) % c->most;
		uint8_t *room = file_digest_room(d, &cap);
		cr_assert(cap > 0 && cap <= FILE_DIGEST_ROOM_BYTES);
		if (numbers[3] % 16 < c->holes) {
			size_t n = 4 * wish < left ? 4 * wish : left;
			file_digest_add_zeros(d, n);
			digest_add_zeros(plain, n);
			done += n;
			continue;
		}
		size_t n = wish < left ? wish : left;
		n = n < cap ? n : cap;
		vault_fixture_noise(room, n, seed);
		file_digest_add(d, n);
		digest_add(plain, room, n); /* the caller still reads it */
		done += n;
	}
	cr_assert(eq(int, file_digest_end(d, got, NULL), 0));
	cr_assert(eq(int, digest_end(plain, want, NULL), 0));
	cr_expect(eq(int, memcmp(got, want, sizeof(want)), 0), "%zu bytes by %zu, %u holes",
		c->total, c->most, c->holes);
	digest_free(plain);
}

static void compare_all(struct file_digest *d)
{
	static const struct content contents[] = {
		{ ENTRY_DIGEST_SHA256, 0, 1, 0 },
		{ ENTRY_DIGEST_SHA256, 300000, 200000, 2 },
		{ ENTRY_DIGEST_BLOCKS, 17 * MIB, FILE_DIGEST_ROOM_BYTES, 0 },
		{ ENTRY_DIGEST_BLOCKS, 0, 1, 0 },
		{ ENTRY_DIGEST_BLOCKS, 1, 1, 0 },
		{ ENTRY_DIGEST_SHA256, 5 * MIB, FILE_DIGEST_ROOM_BYTES, 0 },
		{ ENTRY_DIGEST_BLOCKS, 17 * MIB + 5, 2 * FILE_DIGEST_ROOM_BYTES, 0 },
		{ ENTRY_DIGEST_BLOCKS, 40 * MIB, MIB, 4 },
		{ ENTRY_DIGEST_BLOCKS, 3 * MIB, 700, 8 },
		{ ENTRY_DIGEST_BLOCKS, 2 * MIB, 2 * MIB, 16 },
		{ ENTRY_DIGEST_BLOCKS, 6 * MIB, FILE_DIGEST_ROOM_BYTES, 0 },
	};
	for (size_t i = 0; i < sizeof(contents) / sizeof(contents[0]); i++)
		compare(d, &contents[i], 1000 * i);
}

Test(file_digest, is_the_digest_of_the_content_whatever_came_before)
{
	struct file_digest *d = NULL;
	cr_assert(eq(int, file_digest_new(&d, NULL), 0));
	compare_all(d);
	compare_all(d);
	file_digest_free(d);
}

Test(file_digest, needs_no_thread)
{
	pthread_attr_t before, huge;
	struct file_digest *d = NULL;
	cr_assert(eq(int, file_digest_new(&d, NULL), 0));
	cr_assert(eq(int, pthread_getattr_default_np(&before), 0));
	cr_assert(eq(int, pthread_attr_init(&huge), 0));
	cr_assert(eq(int, pthread_attr_setstacksize(&huge, (size_t)1 << 52), 0));
	cr_assert(eq(int, pthread_setattr_default_np(&huge), 0)); /* no stack can be had */
	compare_all(d);
	cr_assert(eq(int, pthread_setattr_default_np(&before), 0));
	(void)pthread_attr_destroy(&huge);
	(void)pthread_attr_destroy(&before);
	file_digest_free(d);
}

Test(file_digest, is_freed_in_the_middle_of_a_file)
{
	struct file_digest *d = NULL;
	cr_assert(eq(int, file_digest_new(&d, NULL), 0));
	cr_assert(eq(int, file_digest_begin(d, ENTRY_DIGEST_BLOCKS, NULL), 0));
	for (size_t i = 0; i < 5 * MIB / FILE_DIGEST_ROOM_BYTES; i++) {
		size_t cap;
		uint8_t *room = file_digest_room(d, &cap);
		memset(room, (int)i, cap);
		file_digest_add(d, cap);
	}
	file_digest_free(d);
}
