#include "vault/parity_make.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "codec/text.h"
#include "crypto/hash.h"
#include "store/mem/store_mem.h"
#include "store/store.h"
#include "tests/lib/store_image.h"
#include "tests/lib/vault_fixture.h"

static struct store_mem *mem;
static struct store *store;
static struct parity group;
static uint8_t members[2][100000];
static const size_t lens[2] = { 100000, 70000 };

static void add_member(size_t i)
{
	struct err err = ERR_INIT;
	struct parity_member *m = &group.at[i];
	uint8_t hash[32];
	char hex[65];
	vault_fixture_noise(members[i], lens[i], i + 1);
	hash_sha256(members[i], lens[i], hash);
	text_hex(hash, sizeof(hash), hex);
	(void)snprintf(m->name, sizeof(m->name), "pk/%.2s/%s", hex, hex);
	m->len = (uint32_t)lens[i];
	m->slot = (uint8_t)i;
	cr_assert(eq(int, store_put(store, m->name, members[i], lens[i], &err), 0));
}

static void setup(void)
{
	struct err err = ERR_INIT;
	cr_assert(eq(int, store_mem_new(&mem, &err), 0));
	cr_assert(eq(int, store_new(&store_mem_driver, mem, NULL, &store, &err), 0));
	group = (struct parity){ .rows = 2, .class = PARITY_DATA, .count = 2 };
	add_member(0);
	add_member(1);
	cr_assert(eq(int, store_barrier(store, &err), 0));
}

static void teardown(void)
{
	store_free(store);
}

TestSuite(parity_make, .init = setup, .fini = teardown);

static int make(struct parity_make *out)
{
	struct err err = ERR_INIT;
	return parity_make_run(store, &group, out, &err);
}

Test(parity_make, the_same_group_gives_the_same_objects_of_its_members_sums)
{
	struct parity_make a, b;
	cr_assert(eq(int, make(&a), 0));
	cr_assert(eq(int, make(&b), 0));
	for (size_t r = 0; r < 2; r++) {
		cr_expect(eq(str, a.names[r], b.names[r]));
		cr_assert(eq(sz, a.objects[r].len, b.objects[r].len));
		cr_expect(
			eq(int, memcmp(a.objects[r].data, b.objects[r].data, a.objects[r].len), 0));
	}
	cr_expect(ne(str, a.names[0], a.names[1]));
	size_t wrong = 0;
	for (size_t i = 0; i < lens[0]; i++) /* row 0 is the exclusive or, zeros behind the end */
		wrong +=
			a.objects[0].data[i] != (members[0][i] ^ (i < lens[1] ? members[1][i] : 0));
	cr_expect(eq(sz, wrong, 0));
	parity_make_done(&a);
	parity_make_done(&b);
}

Test(parity_make, a_row_is_what_its_trailer_says)
{
	struct parity_make m;
	struct parity got;
	struct err err = ERR_INIT;
	size_t need = 0;
	cr_assert(eq(int, make(&m), 0));
	for (size_t r = 0; r < 2; r++) {
		const struct buf *o = &m.objects[r];
		cr_assert(
			eq(int, parity_need(o->data + o->len - PARITY_TAIL_BYTES, &need, &err), 0));
		cr_assert(eq(
			int, parity_decode(o->data + o->len - need, need, o->len, &got, &err), 0));
		cr_expect(eq(int, got.row, (int)r));
		cr_expect(eq(int, got.rows, 2));
		cr_expect(eq(u32, got.len, 100000));
		cr_expect(eq(sz, got.count, 2));
	}
	parity_make_done(&m);
}

Test(parity_make, nothing_comes_of_a_group_with_a_bad_member_and_it_is_named)
{
	struct parity_make m;
	struct err err = ERR_INIT;
	cr_assert(eq(int, store_mem_flip(mem, group.at[1].name, 8 * 69999, &err), 0));
	cr_expect(eq(int, make(&m), -ERR_CORRUPT));
	cr_expect(eq(sz, m.bad, 1));
	cr_assert(eq(int, store_mem_flip(mem, group.at[1].name, 8 * 69999, &err), 0));
	cr_assert(eq(int, store_mem_truncate(mem, group.at[0].name, 99999, &err), 0));
	cr_expect(eq(int, make(&m), -ERR_CORRUPT));
	cr_expect(eq(sz, m.bad, 0));
	store_image_remove(store, group.at[0].name);
	cr_expect(eq(int, make(&m), -ERR_NOT_FOUND));
	cr_expect(eq(sz, m.bad, 0));
}
