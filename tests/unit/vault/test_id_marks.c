#include "vault/id_marks.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include "base/bytes.h"
#include "base/err.h"
#include "crypto/hash.h"
#include "vault/index.h"

#define PER_PACK 500
#define PACK_LEN (1u << 20)
#define NUMBERS 3000

static struct index *idx;
static struct id_marks *marks;
static struct err err = ERR_INIT;

static void id_of(uint32_t number, uint8_t out[32])
{
	uint8_t bytes[4];
	bytes_put32(bytes, number);
	hash_sha256(bytes, sizeof(bytes), out);
}

static uint32_t len_of(uint32_t number)
{
	return 40 + number % 60;
}

/* Pack ${p} holds the records p * PER_PACK on. */
static void add_pack(uint32_t p)
{
	static struct pack_place places[PER_PACK];
	uint8_t name[32];
	id_of(0x80000000u + p, name);
	for (uint32_t i = 0; i < PER_PACK; i++) {
		places[i] = (struct pack_place){
			.suite = 1, .type = 1, .offset = i * 100, .cr_len = len_of(p * PER_PACK + i)
		};
		id_of(p * PER_PACK + i, places[i].id);
	}
	cr_assert(eq(int, index_add_pack(idx, name, PACK_LEN, places, PER_PACK, &err), 0));
	cr_assert(eq(int, index_settle(idx, &err), 0));
}

static void setup(void)
{
	cr_assert(eq(int, index_new(&idx, &err), 0));
}

static void teardown(void)
{
	id_marks_free(marks);
	index_free(idx);
}

TestSuite(id_marks, .init = setup, .fini = teardown);

Test(id_marks, random_programs_agree_with_an_array_while_the_index_grows)
{
	static uint32_t model[NUMBERS];
	uint64_t x = 88172645463325252u;
	add_pack(0);
	add_pack(1);
	cr_assert(eq(int, id_marks_new(idx, &marks, &err), 0));
	for (uint32_t step = 0; step < 20000; step++) {
		uint8_t id[32];
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		uint32_t n = (uint32_t)(x >> 20) % NUMBERS;
		uint32_t len = x % 8 == 0 ? 1 + (uint32_t)(x >> 3) % 9 : len_of(n);
		id_of(n, id);
		if (step % 4000 == 3999)
			add_pack(1 + step / 4000); /* records 500 .. come a second time too */
		if (x % 3 == 0) {
			cr_assert(eq(int, id_marks_add(marks, id, len, &err), 0));
			model[n] = model[n] == 0 ? len : model[n];
		}
		cr_assert(eq(u32, id_marks_find(marks, id), model[n]), "step %u, %u", step, n);
	}
	for (uint32_t n = 0; n < NUMBERS; n++) {
		uint8_t id[32];
		id_of(n, id);
		cr_expect(eq(u32, id_marks_find(marks, id), model[n]));
	}
}

Test(id_marks, what_the_index_knows_takes_a_bit_and_no_more)
{
	uint8_t id[32];
	add_pack(0);
	cr_assert(eq(int, id_marks_new(idx, &marks, &err), 0));
	for (uint32_t n = 0; n < PER_PACK; n++) {
		id_of(n, id);
		cr_assert(eq(int, id_marks_add(marks, id, len_of(n), &err), 0));
	}
	cr_expect(eq(sz, id_marks_strays(marks), 0));
	id_of(PER_PACK, id);
	cr_assert(eq(int, id_marks_add(marks, id, 50, &err), 0));
	cr_expect(eq(sz, id_marks_strays(marks), 1));
}
