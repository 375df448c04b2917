#include "vault/parity_rebuild.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "tests/lib/store_image.h"
#include "tests/lib/vault_fixture.h"
#include "vault/parity_cover.h"

/* Three data packs of several stripes in one group of two rows. */
static struct vault_fixture f;
static uint8_t noise[3][300000];
static struct store_image whole;
static const struct store_image_object *packs[3], *rows[2];

static void setup(void)
{
	struct err err = ERR_INIT;
	const struct parity_cover_opts opts = { .rows = 2 };
	struct parity_cover_result r;
	vault_fixture_init(&f);
	for (unsigned i = 0; i < 3; i++) {
		struct backup_result b;
		vault_fixture_noise(noise[i], sizeof(noise[i]), i + 1);
		struct fake_file file = { .path = "a",
			.kind = ENTRY_FILE,
			.data = noise[i],
			.len = sizeof(noise[i]),
			.mtime_s = i };
		cr_assert(eq(int, vault_fixture_backup(&f, &file, 1, &b, &err), 0));
	}
	cr_assert(eq(int, parity_cover_run(f.vault, &opts, &r, &err), 0), "%s", err.msg);
	store_image_take(f.store, "", &whole);
	size_t n = 0, k = 0;
	for (size_t i = 0; i < whole.count; i++) {
		if (strncmp(whole.at[i].name, "pk/", 3) == 0 && whole.at[i].len > 200000)
			packs[n++] = &whole.at[i];
		if (strncmp(whole.at[i].name, "pa/", 3) == 0 && whole.at[i].len > 200000)
			rows[k++] = &whole.at[i];
	}
	cr_assert(eq(sz, n, 3));
	cr_assert(eq(sz, k, 2));
}

static void teardown(void)
{
	store_image_done(&whole);
	vault_fixture_done(&f);
}

TestSuite(parity_rebuild, .init = setup, .fini = teardown);

static bool is_covered; /* what was said of the last one */

static int rebuild(const struct store_image_object *o, bool *is_same)
{
	struct err err = ERR_INIT;
	struct parity_set set;
	CLEANUP(buf_done) struct buf out = BUF_INIT(STORE_MAX_OBJECT_BYTES);
	cr_assert(eq(int, parity_set_load(f.store, &set, &err), 0));
	int rc = parity_rebuild_run(f.store, &set, o->name, &out, &err);
	is_covered = parity_rebuild_is_covered(&set, o->name);
	parity_set_done(&set);
	*is_same = out.len == o->len && memcmp(out.data, o->data, o->len) == 0;
	if (rc != 0)
		cr_expect(eq(sz, out.len, 0)); /* nothing half made is handed on */
	return rc;
}

static bool comes_back(const struct store_image_object *o)
{
	bool is_same = false;
	return rebuild(o, &is_same) == 0 && is_same && is_covered;
}

static void rot(const struct store_image_object *o, size_t byte)
{
	struct err err = ERR_INIT;
	cr_assert(eq(int, store_mem_flip(f.mem, o->name, byte * 8, &err), 0));
}

Test(parity_rebuild, two_rows_give_any_two_members_back)
{
	for (size_t i = 0; i < 3; i++) {
		store_image_remove(f.store, packs[i]->name);
		store_image_remove(f.store, packs[(i + 1) % 3]->name);
		cr_expect(comes_back(packs[i]), "pack %d", (int)i);
		cr_expect(comes_back(packs[(i + 1) % 3]), "pack %d", (int)i);
		store_image_restore(f.store, packs[i]);
		store_image_restore(f.store, packs[(i + 1) % 3]);
	}
}

Test(parity_rebuild, all_may_be_damaged_if_not_in_one_stripe)
{
	bool is_same;
	for (size_t i = 0; i < 3; i++)
		rot(packs[i], i * PARITY_STRIPE_BYTES + 7);
	rot(rows[0], 7);
	for (size_t i = 0; i < 3; i++)
		cr_expect(comes_back(packs[i]), "pack %d", (int)i);
	/* the third of one stripe is too much */
	rot(packs[1], 7);
	cr_expect(eq(int, rebuild(packs[0], &is_same), -ERR_CORRUPT));
	cr_expect(comes_back(packs[2]));
}

Test(parity_rebuild, a_row_is_made_again_from_the_members_and_the_other)
{
	bool is_same;
	store_image_remove(f.store, rows[1]->name);
	cr_expect(comes_back(rows[1]));
	store_image_restore(f.store, rows[1]);
	rot(rows[0], 100);
	cr_expect(comes_back(rows[0]));
	store_image_remove(f.store, packs[0]->name); /* not without every member */
	cr_expect(ne(int, rebuild(rows[0], &is_same), 0));
}

Test(parity_rebuild, what_is_in_no_group_is_said_to_be)
{
	struct store_image ix;
	bool is_same;
	store_image_take(f.store, "ix/", &ix);
	cr_expect(eq(int, rebuild(&ix.at[0], &is_same), -ERR_NOT_FOUND));
	cr_expect(not(is_covered));
	store_image_done(&ix);
}
