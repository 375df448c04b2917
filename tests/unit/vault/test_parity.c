#include "vault/parity.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "codec/text.h"
#include "crypto/hash.h"
#include "store/mem/store_mem.h"
#include "store/store.h"
#include "vault/parity_make.h"
#include "vault/parity_rebuild.h"

/* The group of the known answers (docs/FORMAT.md section 15). */
#define A_LEN 70000
#define B_LEN 1000
static uint8_t a[A_LEN], b[B_LEN];
static struct store *store;
static struct store_mem *mem;
static struct parity group;
static struct parity_make made;

static void add_member(const uint8_t *data, size_t len)
{
	struct err err = ERR_INIT;
	struct parity_member *m = &group.at[group.count];
	uint8_t hash[32];
	char hex[65];
	hash_sha256(data, len, hash);
	text_hex(hash, 32, hex);
	(void)snprintf(m->name, sizeof(m->name), "pk/%.2s/%s", hex, hex);
	m->len = (uint32_t)len;
	m->slot = (uint8_t)group.count++;
	cr_assert(eq(int, store_put(store, m->name, data, len, &err), 0));
}

static void setup(void)
{
	struct err err = ERR_INIT;
	for (size_t i = 0; i < A_LEN; i++)
		a[i] = (uint8_t)(i * 7 + 3);
	for (size_t i = 0; i < B_LEN; i++)
		b[i] = (uint8_t)(i * 13 + 5);
	cr_assert(eq(int, store_mem_new(&mem, &err), 0));
	cr_assert(eq(int, store_new(&store_mem_driver, mem, NULL, &store, &err), 0));
	group = (struct parity){ .rows = 2, .class = PARITY_DATA };
	add_member(a, A_LEN);
	add_member(b, B_LEN);
	cr_assert(eq(int, store_barrier(store, &err), 0));
	cr_assert(eq(int, parity_make_run(store, &group, &made, &err), 0), "%s", err.msg);
	for (size_t r = 0; r < 2; r++)
		cr_assert(eq(int,
			store_put(store, made.names[r], made.objects[r].data, made.objects[r].len,
				&err),
			0));
	cr_assert(eq(int, store_barrier(store, &err), 0));
}

static void teardown(void)
{
	parity_make_done(&made);
	store_free(store);
}

TestSuite(parity, .init = setup, .fini = teardown);

Test(parity, known_answers_of_the_format_page)
{
	cr_expect(eq(sz, made.objects[0].len, 70372));
	cr_expect(eq(str, made.names[0],
		(char *)"pa/07/07eb1e0ba4bacb905a7284147179a848ee74eb8f981080ef52192c7de91f9243"));
	cr_expect(eq(str, made.names[1],
		(char *)"pa/25/2572b11388a96cb0c72971d93adc9c25eb1aaeaf8939a8050632eacb27d69576"));
}

static size_t trailer_of(size_t row)
{
	size_t need = 0;
	const struct buf *o = &made.objects[row];
	struct err err = ERR_INIT;
	cr_assert(eq(int, parity_need(o->data + o->len - PARITY_TAIL_BYTES, &need, &err), 0));
	return need;
}

Test(parity, a_trailer_says_what_the_group_is)
{
	for (size_t r = 0; r < 2; r++) {
		const struct buf *o = &made.objects[r];
		size_t need = trailer_of(r);
		struct err err = ERR_INIT;
		struct parity p;
		uint8_t hash[32];
		cr_assert(
			eq(int, parity_decode(o->data + o->len - need, need, o->len, &p, &err), 0),
			"%s", err.msg);
		cr_expect(p.row == r && p.rows == 2 && p.count == 2);
		cr_expect(eq(u32, p.len, A_LEN));
		cr_expect(eq(str, p.at[0].name, group.at[0].name));
		cr_expect(eq(u32, p.at[1].len, B_LEN));
		cr_expect(eq(sz, parity_hash_count(&p), 2 + 1 + 2));
		hash_sha256(a + PARITY_STRIPE_BYTES, A_LEN - PARITY_STRIPE_BYTES, hash);
		cr_expect(memcmp(parity_stripe_hash(&p, 0, 1), hash, 32) == 0);
		hash_sha256(b, B_LEN, hash);
		cr_expect(memcmp(parity_stripe_hash(&p, 1, 0), hash, 32) == 0);
		hash_sha256(o->data, PARITY_STRIPE_BYTES, hash);
		cr_expect(memcmp(parity_stripe_hash(&p, 2, 0), hash, 32) == 0);
		CLEANUP(buf_done) struct buf again = BUF_INIT(1 << 20);
		cr_assert(eq(int, parity_encode(&p, &again, &err), 0));
		cr_expect(again.len == need &&
			  memcmp(again.data, o->data + o->len - need, need) == 0);
	}
}

Test(parity, any_changed_bit_of_a_trailer_is_damage)
{
	const struct buf *o = &made.objects[1];
	size_t need = trailer_of(1);
	uint8_t *t = o->data + o->len - need;
	for (size_t bit = 0; bit < need * 8; bit++) {
		struct err err = ERR_INIT;
		struct parity p;
		t[bit / 8] ^= (uint8_t)(1u << bit % 8);
		int rc = parity_decode(t, need, o->len, &p, &err);
		cr_expect(rc == -ERR_CORRUPT, "bit %zu: %d", bit, rc);
		t[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	for (size_t len = 0; len < need; len++) {
		struct parity p;
		cr_expect(parity_decode(t + need - len, len, o->len, &p, NULL) == -ERR_CORRUPT);
	}
}

/* Change the trailer, hash it again and see what a reader says. */
static int decode_changed(size_t at, uint8_t value, struct err *err)
{
	const struct buf *o = &made.objects[0];
	size_t need = trailer_of(0);
	uint8_t copy[4096];
	struct parity p;
	cr_assert(lt(sz, need, sizeof(copy)));
	memcpy(copy, o->data + o->len - need, need);
	copy[at] = value;
	hash_sha256(copy, need - PARITY_TAIL_BYTES, copy + need - PARITY_TAIL_BYTES);
	return parity_decode(copy, need, o->len, &p, err);
}

Test(parity, what_cannot_be_is_damage_and_what_is_new_is_newer)
{
	static const struct {
		size_t at;
		uint8_t value;
		int rc;
	} cases[] = {
		{ 0, 'X', -ERR_CORRUPT },
		{ 4, 2, -ERR_UNSUPPORTED },
		{ 5, 2, -ERR_CORRUPT }, /* a row that the group has not */
		{ 6, 3, -ERR_UNSUPPORTED },
		{ 6, 0, -ERR_CORRUPT },
		{ 7, 3, -ERR_UNSUPPORTED },
		{ 7, PARITY_OTHERS, -ERR_CORRUPT }, /* packs in a group of others */
		{ 8, 0, -ERR_CORRUPT },
		{ 8, 1, -ERR_CORRUPT },
		{ 8, 33, -ERR_CORRUPT },
		{ 9, 1, -ERR_CORRUPT },
		{ 15, 0, -ERR_CORRUPT },
		{ 16, 1, -ERR_CORRUPT }, /* slots do not ascend */
		{ 17, 200, -ERR_CORRUPT },
		{ 18, 0xff, -ERR_CORRUPT },
		{ 22, 'q', -ERR_CORRUPT }, /* "qk/.." */
		{ 25, '.', -ERR_CORRUPT },
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct err err = ERR_INIT;
		int rc = decode_changed(cases[i].at, cases[i].value, &err);
		cr_expect(rc == cases[i].rc, "case %zu: %d, %s", i, rc, err.msg);
	}
}

Test(parity, names_of_members)
{
	static const char hex[] =
		"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
	static const struct {
		const char *before;
		bool is_member, is_pack;
	} cases[] = { { "pk/01/", true, true }, { "pk/02/", false, false }, { "pk/", false, false },
		{ "vh/00000001-", true, false }, { "vh/0000000x-", false, false },
		{ "vh/0000/001-", false, false }, { "ks/", true, false }, { "cf/", true, false },
		{ "rf/", true, false }, { "ev/", true, false }, { "sn/0123456789ab-", true, false },
		{ "sn/0123456789ab.", false, false }, { "hs/", true, false },
		{ "ix/", false, false }, { "se/", false, false }, { "gc/", false, false },
		{ "pa/01/", false, false } };
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char name[128];
		bool is_pack = false;
		(void)snprintf(name, sizeof(name), "%s%s", cases[i].before, hex);
		cr_expect(parity_is_member(name, NULL, &is_pack) == cases[i].is_member, "%s", name);
		cr_expect(is_pack == cases[i].is_pack, "%s", name);
		name[strlen(name) - 1] = 'G';
		cr_expect(not(parity_is_member(name, NULL, NULL)), "%s", name);
	}
}

static void rot(const char *name, uint64_t bit)
{
	struct err err = ERR_INIT;
	cr_assert(eq(int, store_mem_flip(mem, name, bit, &err), 0), "%s", err.msg);
}

static bool comes_back(const char *name, const uint8_t *data, size_t len)
{
	struct parity_set set;
	struct err err = ERR_INIT;
	CLEANUP(buf_done) struct buf out = BUF_INIT(STORE_MAX_OBJECT_BYTES);
	cr_assert(eq(int, parity_set_load(store, &set, &err), 0));
	int rc = parity_rebuild_run(store, &set, name, &out, &err);
	parity_set_done(&set);
	return rc == 0 && out.len == len && memcmp(out.data, data, len) == 0;
}

Test(parity, both_members_damaged_in_one_stripe_come_back_from_two_rows)
{
	rot(group.at[0].name, 5 * 8);
	rot(group.at[1].name, 700 * 8);
	cr_expect(comes_back(group.at[0].name, a, A_LEN));
	cr_expect(comes_back(group.at[1].name, b, B_LEN));
	rot(made.names[0], 900 * 8); /* one row less for the first stripe */
	cr_expect(not(comes_back(group.at[0].name, a, A_LEN)));
}

Test(parity, damage_in_different_stripes_needs_one_row_each)
{
	rot(group.at[0].name, (PARITY_STRIPE_BYTES + 9) * 8);
	rot(group.at[1].name, 1);
	rot(made.names[0], 3);
	cr_expect(comes_back(group.at[0].name, a, A_LEN));
	cr_expect(comes_back(group.at[1].name, b, B_LEN));
}

Test(parity, cut_longer_and_missing_members_come_back)
{
	struct err err = ERR_INIT;
	cr_assert(eq(int, store_mem_truncate(mem, group.at[0].name, 100, &err), 0));
	cr_expect(comes_back(group.at[0].name, a, A_LEN));
	cr_assert(eq(int, store_remove(store, group.at[0].name, &err), 0));
	cr_assert(eq(int, store_remove(store, group.at[1].name, &err), 0));
	cr_expect(comes_back(group.at[0].name, a, A_LEN));
	cr_expect(comes_back(group.at[1].name, b, B_LEN));
	cr_assert(eq(int, store_remove(store, made.names[1], &err), 0));
	cr_expect(not(comes_back(group.at[0].name, a, A_LEN)));
}

Test(parity, a_parity_object_comes_back_from_the_members)
{
	struct err err = ERR_INIT;
	rot(made.names[1], 77);
	cr_expect(comes_back(made.names[1], made.objects[1].data, made.objects[1].len));
	/* with a trailer that is damaged itself the other row knows the group */
	rot(made.names[1], (made.objects[1].len - 10) * 8);
	cr_expect(comes_back(made.names[1], made.objects[1].data, made.objects[1].len));
	cr_assert(eq(int, store_remove(store, made.names[1], &err), 0));
	cr_expect(comes_back(made.names[1], made.objects[1].data, made.objects[1].len));
	rot(group.at[0].name, 1);
	cr_expect(not(comes_back(made.names[1], made.objects[1].data, made.objects[1].len)));
}

Test(parity, a_member_that_is_not_its_name_makes_no_parity)
{
	struct err err = ERR_INIT;
	struct parity_make again;
	rot(group.at[1].name, 4);
	cr_expect(eq(int, parity_make_run(store, &group, &again, &err), -ERR_CORRUPT));
	cr_expect(eq(sz, again.bad, 1));
}
