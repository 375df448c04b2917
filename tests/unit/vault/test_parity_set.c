#include "vault/parity_set.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "tests/lib/store_image.h"
#include "tests/lib/vault_fixture.h"
#include "vault/parity_cover.h"

static struct vault_fixture f;
static struct store_image pa;

static void setup(void)
{
	struct err err = ERR_INIT;
	const struct parity_cover_opts opts = { .rows = 2 };
	struct parity_cover_result r;
	vault_fixture_init(&f);
	cr_assert(eq(int, parity_cover_run(f.vault, &opts, &r, &err), 0), "%s", err.msg);
	store_image_take(f.store, "pa/", &pa);
	cr_assert(eq(sz, pa.count, 2)); /* header, slot, config: one group */
}

static void teardown(void)
{
	store_image_done(&pa);
	vault_fixture_done(&f);
}

TestSuite(parity_set, .init = setup, .fini = teardown);

static struct parity_set load(void)
{
	struct err err = ERR_INIT;
	struct parity_set s;
	cr_assert(eq(int, parity_set_load(f.store, &s, &err), 0), "%s", err.msg);
	return s;
}

Test(parity_set, every_object_is_there_by_its_trailer)
{
	struct parity_set s = load();
	cr_assert(eq(sz, s.count, 2));
	cr_expect(lt(int, strcmp(s.at[0].name, s.at[1].name), 0));
	for (size_t i = 0; i < 2; i++) {
		cr_expect(s.at[i].is_readable);
		cr_expect(eq(u64, s.at[i].size, pa.at[i].len));
		cr_expect(eq(ptr, (void *)s.at[i].parity.hashes, NULL)); /* only by its trailer */
		cr_expect(eq(int, s.at[i].parity.class, PARITY_OTHERS));
	}
	cr_expect(ne(int, s.at[0].parity.row, s.at[1].parity.row));
	cr_expect(eq(int, memcmp(s.at[0].parity.group, s.at[1].parity.group, 32), 0));
	struct parity *p = &s.at[0].parity;
	for (size_t i = 0; i < p->count; i++)
		cr_expect(eq(int, parity_set_member(p, p->at[i].name), (int)i));
	cr_expect(eq(int, parity_set_member(p, "ks/none"), -1));
	parity_set_done(&s);
}

Test(parity_set, one_that_cannot_be_read_is_kept_as_such_and_tells_nothing_of_others)
{
	struct err err = ERR_INIT;
	cr_assert(eq(int, store_mem_flip(f.mem, pa.at[0].name, pa.at[0].len * 8 - 1, &err), 0));
	struct parity_set s = load();
	cr_assert(eq(sz, s.count, 2));
	cr_expect(not(s.at[0].is_readable));
	cr_expect(s.at[1].is_readable);
	parity_set_done(&s);
	cr_assert(eq(int, store_mem_truncate(f.mem, pa.at[0].name, 10, &err), 0));
	s = load();
	cr_expect(not(s.at[0].is_readable));
	parity_set_done(&s);
}

Test(parity_set, the_most_rows_of_what_can_be_read)
{
	struct err err = ERR_INIT;
	struct parity_set s = load();
	cr_expect(eq(uint, parity_set_rows(&s), 2));
	parity_set_done(&s);
	for (size_t i = 0; i < 2; i++)
		cr_assert(eq(
			int, store_mem_flip(f.mem, pa.at[i].name, pa.at[i].len * 8 - 1, &err), 0));
	s = load();
	cr_expect(eq(uint, parity_set_rows(&s), 0));
	parity_set_done(&s);
}

Test(parity_set, a_trailer_brings_the_hashes_of_every_stripe)
{
	struct err err = ERR_INIT;
	struct parity p;
	CLEANUP(buf_done) struct buf trailer = BUF_INIT(PARITY_SET_TRAILER_MAX);
	cr_assert(eq(int,
		parity_set_trailer(f.store, pa.at[1].name, pa.at[1].len, &trailer, &p, &err), 0));
	cr_expect(ne(ptr, (void *)p.hashes, NULL));
	cr_expect(eq(sz, parity_hash_count(&p), p.count + parity_stripes(p.len)));
	cr_expect(eq(int, parity_set_trailer(f.store, pa.at[1].name, 20, &trailer, &p, &err),
		-ERR_CORRUPT));
}
