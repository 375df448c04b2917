#include "crypto/hash_lanes.h"

#include "unit/crypto/kat.h"

#define SEED UINT64_C(88172645463325252)
#define BYTES 40000
#define ITEMS 40
#define PARTS 5

static uint64_t next(uint64_t *x)
{
	*x ^= *x << 13;
	*x ^= *x >> 7;
	*x ^= *x << 17;
	return *x;
}

static size_t forms(void)
{
	size_t count = 0;
	while (hash_lanes_form(count) != NULL)
		count++;
	return count;
}

/* Compare every form with the library, each message alone. */
static void expect_all(struct hash_lanes_item *items, size_t count, const char *what)
{
	uint8_t want[HASH_BYTES];
	for (size_t f = 0; f <= forms(); f++) {
		for (size_t i = 0; i < count; i++)
			memset(items[i].out, 0xa5, HASH_BYTES);
		if (f < forms())
			hash_lanes_run_in(f, items, count);
		else
			hash_lanes_run(items, count);
		for (size_t i = 0; i < count; i++) {
			hash_parts(items[i].parts, items[i].count, want);
			cr_assert(eq(int, memcmp(items[i].out, want, HASH_BYTES), 0),
				"form %zu, %s: message %zu of %zu", f, what, i, count);
		}
	}
}

Test(hash_lanes, the_first_form_is_the_librarys)
{
	cr_assert(ge(sz, forms(), 1));
	cr_expect(eq(str, (char *)hash_lanes_form(0), "library"));
	cr_expect(eq(ptr, (void *)hash_lanes_form(forms()), NULL));
	hash_lanes_run(NULL, 0);
}

Test(hash_lanes, every_form_knows_abc_and_nothing)
{
	const struct hash_part abc[2] = { { "a", 1 }, { "bc", 2 } };
	for (size_t f = 0; f < forms(); f++) {
		struct hash_lanes_item items[2] = { { .parts = abc, .count = 2 },
			{ .parts = NULL, .count = 0 } };
		hash_lanes_run_in(f, items, 2);
		kat_expect(items[0].out, 32,
			"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
		kat_expect(items[1].out, 32,
			"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
	}
}

Test(hash_lanes, every_length_up_to_three_blocks_is_padded_right)
{
	uint8_t bytes[200];
	uint64_t x = SEED;
	struct hash_part parts[200];
	struct hash_lanes_item items[200];
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)next(&x);
	for (size_t i = 0; i < 200; i++) {
		parts[i] = (struct hash_part){ bytes, i };
		items[i] = (struct hash_lanes_item){ .parts = &parts[i], .count = 1 };
	}
	for (size_t count = 1; count <= 200; count += count < 20 ? 1 : 45)
		expect_all(items + 200 - count, count, "all lengths");
}

Test(hash_lanes, messages_in_pieces_of_any_length_are_hashed_as_the_library_does)
{
	static uint8_t bytes[BYTES];
	uint64_t x = SEED;
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)next(&x);
	for (size_t round = 0; round < 300; round++) {
		struct hash_part parts[ITEMS][PARTS];
		struct hash_lanes_item items[ITEMS];
		const size_t count = 1 + next(&x) % ITEMS;
		const size_t longest = round % 3 == 0 ? BYTES : round % 3 == 1 ? 300 : 70;
		for (size_t i = 0; i < count; i++) {
			items[i] = (struct hash_lanes_item){ .parts = parts[i],
				.count = next(&x) % (PARTS + 1) };
			for (size_t k = 0; k < items[i].count; k++) {
				size_t len = next(&x) % longest;
				if (next(&x) % 4 == 0)
					len = len / 64 * 64;
				parts[i][k] =
					(struct hash_part){ bytes + next(&x) % (BYTES - len), len };
			}
		}
		expect_all(items, count, "random");
	}
}

/* One message in many runs, beside others that end in theirs. */
Test(hash_lanes, a_message_goes_on_from_run_to_run_as_if_it_came_at_once)
{
	static uint8_t bytes[BYTES];
	uint64_t x = SEED;
	uint8_t want[HASH_BYTES];
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)next(&x);
	for (size_t round = 0; round < 60 * (forms() + 1); round++) {
		const size_t form = round % (forms() + 1), len = next(&x) % sizeof(bytes);
		struct hash_lanes_chain chain = { .hash = hash_new() };
		struct hash_lanes_item items[ITEMS];
		struct hash_part parts[ITEMS][2];
		for (size_t at = 0, more; at <= len; at += more) {
			size_t count = 1 + next(&x) % ITEMS;
			more = next(&x) % (len + 1) / HASH_LANES_STEP_BYTES * HASH_LANES_STEP_BYTES;
			bool is_open = at + more < len && next(&x) % 8 > 0;
			if (!is_open)
				more = len - at;
			for (size_t i = 0; i < count; i++) {
				const size_t n = i == 0 ? more : next(&x) % 1000;
				const size_t cut = n > 0 ? next(&x) % n : 0;
				const uint8_t *from = bytes + (i == 0 ? at : 0);
				parts[i][0] = (struct hash_part){ from, cut };
				parts[i][1] = (struct hash_part){ from + cut, n - cut };
				items[i] =
					(struct hash_lanes_item){ .parts = parts[i], .count = 2 };
			}
			items[0].chain = &chain;
			items[0].is_open = is_open;
			if (form < forms())
				hash_lanes_run_in(form, items, count);
			else
				hash_lanes_run(items, count);
			for (size_t i = is_open ? 1 : 0; i < count; i++) {
				hash_sha256(i == 0 ? bytes : parts[i][0].data,
					i == 0 ? len : parts[i][0].len + parts[i][1].len, want);
				cr_assert(eq(int, memcmp(items[i].out, want, HASH_BYTES), 0),
					"form %zu, round %zu: message %zu", form, round, i);
			}
			if (!is_open)
				break;
		}
		hash_free(chain.hash);
	}
}
