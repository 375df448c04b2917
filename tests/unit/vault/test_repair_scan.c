#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "tests/lib/store_image.h"
#include "tests/lib/vault_fixture.h"
#include "vault/parity_cover.h"
#include "vault/repair_internal.h"

static struct vault_fixture f;
static struct store_image whole;
static struct repair r;
static struct err err;
static const struct repair_opts opts;

static void setup(void)
{
	struct backup_result b;
	const struct parity_cover_opts cover = { .rows = 1 };
	struct parity_cover_result c;
	struct fake_file file = {
		.path = "a", .kind = ENTRY_FILE, .data = (const uint8_t *)"4711", .len = 4
	};
	vault_fixture_init(&f);
	cr_assert(eq(int, vault_fixture_backup(&f, &file, 1, &b, &err), 0));
	cr_assert(eq(int, parity_cover_run(f.vault, &cover, &c, &err), 0));
	store_image_take(f.store, "", &whole);
}

static void done(void)
{
	collect_view_done(&r.view);
	missing_done(&r.missing);
	parity_set_done(&r.set);
	free(r.at);
	memset(&r, 0, sizeof(r));
}

static void teardown(void)
{
	done();
	store_image_done(&whole);
	vault_fixture_done(&f);
}

TestSuite(repair_scan, .init = setup, .fini = teardown);

/* What repair_run() does before it. */
static void scan(struct vault *v)
{
	done();
	r = (struct repair){ .store = f.store, .v = v, .opts = &opts };
	if (v != NULL) {
		cr_assert(eq(int, collect_view_look(v, &r.view, NULL, NULL, &err), 0));
		cr_assert(eq(int, missing_load(v, &r.view, &r.missing, &err), 0));
	}
	cr_assert(eq(int, parity_set_load(f.store, &r.set, &err), 0));
	cr_assert(eq(int, repair_scan_run(&r, &err), 0), "%s", err.msg);
}

static const struct store_image_object *first(const char *prefix)
{
	for (size_t i = 0; i < whole.count; i++) {
		if (strncmp(whole.at[i].name, prefix, strlen(prefix)) == 0)
			return &whole.at[i];
	}
	cr_assert(prefix == NULL, "no %s", prefix);
	return NULL;
}

Test(repair_scan, one_bit_of_any_object_with_a_hash_is_found_without_a_key)
{
	scan(NULL);
	cr_expect(eq(sz, r.count, 0));
	uint64_t seen = r.r.objects;
	for (size_t i = 0; i < whole.count; i++) {
		const struct store_image_object *o = &whole.at[i];
		if (strncmp(o->name, "se/", 3) == 0)
			continue;
		seen--;
		cr_assert(eq(int, store_mem_flip(f.mem, o->name, o->len * 4, &err), 0));
		scan(NULL);
		cr_assert(eq(sz, r.count, 1), "%s", o->name);
		cr_expect(eq(str, r.at[0].name, (char *)(uintptr_t)o->name));
		cr_expect(not(r.at[0].is_lost));
		cr_expect(eq(u64, r.at[0].size, o->len));
		cr_assert(eq(int, store_mem_flip(f.mem, o->name, o->len * 4, &err), 0));
	}
	cr_expect(eq(u64, seen, 0)); /* and all of them were looked at */
}

Test(repair_scan, parity_knows_what_is_gone_and_only_a_key_tells_of_snapshots)
{
	static const char *const prunable[] = { "sn/", "ev/" };
	for (size_t i = 0; i < 2; i++) {
		store_image_remove(f.store, first(prunable[i])->name);
		scan(NULL);
		cr_expect(eq(sz, r.count, 0));
		scan(f.vault);
		cr_expect(eq(sz, r.count, 1), "%s", prunable[i]);
		cr_expect(r.at[0].is_lost);
		store_image_restore(f.store, first(prunable[i]));
	}
	store_image_remove(f.store, first("ks/")->name);
	scan(NULL);
	cr_assert(eq(sz, r.count, 1));
	cr_expect(r.at[0].is_lost);
	cr_expect(eq(u64, r.r.lost, 1));
}

Test(repair_scan, what_the_vault_names_is_missed_without_parity_too)
{
	store_image_remove(f.store, first("pa/")->name);
	for (size_t i = 0; i < whole.count; i++) {
		if (strncmp(whole.at[i].name, "pa/", 3) == 0)
			store_image_remove(f.store, whole.at[i].name);
	}
	store_image_remove(f.store, first("rf/")->name);
	scan(NULL);
	cr_expect(eq(sz, r.count, 0));
	scan(f.vault);
	cr_assert(eq(sz, r.count, 1));
	cr_expect(eq(str, r.at[0].name, (char *)(uintptr_t)first("rf/")->name));
	cr_expect(repair_find(&r, r.at[0].name) == &r.at[0]);
	cr_expect(repair_find(&r, "rf/none") == NULL);
}
