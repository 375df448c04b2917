#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "tests/lib/store_image.h"
#include "tests/lib/vault_fixture.h"
#include "vault/fetch.h"
#include "vault/repair_internal.h"

static struct vault_fixture f;
static struct repair r;
static struct repair_opts opts;
static struct err err;
static uint8_t noise[2][280000];
static struct store_image packs;
static const struct store_image_object *pack; /* of a and b */

struct told {
	unsigned snapshots, files;
	char path[64], what[64];
};
static struct told told;

static void on_loss(void *arg, const struct repair_loss *l)
{
	struct told *t = arg;
	t->snapshots += l->path == NULL;
	t->files += l->path != NULL;
	if (l->path != NULL)
		(void)snprintf(t->path, sizeof(t->path), "%s", l->path);
	(void)snprintf(t->what, sizeof(t->what), "%s", l->what);
}

static void setup(void)
{
	struct backup_result b;
	struct fake_file files[2] = {
		{ .path = "a", .kind = ENTRY_FILE, .data = noise[0], .len = sizeof(noise[0]) },
		{ .path = "b", .kind = ENTRY_FILE, .data = noise[1], .len = sizeof(noise[1]) },
	};
	vault_fixture_init(&f);
	for (unsigned i = 0; i < 2; i++)
		vault_fixture_noise(noise[i], sizeof(noise[i]), i + 1);
	cr_assert(eq(int, vault_fixture_backup(&f, files, 2, &b, &err), 0));
	store_image_take(f.store, "pk/", &packs);
	cr_assert(eq(sz, packs.count, 2));
	pack = packs.at[0].len > packs.at[1].len ? &packs.at[0] : &packs.at[1];
	memset(&told, 0, sizeof(told));
	opts = (struct repair_opts){ .arg = &told, .on_loss = on_loss };
	r = (struct repair){ .store = f.store, .v = f.vault, .opts = &opts };
	cr_assert(eq(int, id_set_new(&r.good, &err), 0));
}

static void teardown(void)
{
	id_set_free(r.good);
	free(r.at);
	store_image_done(&packs);
	vault_fixture_done(&f);
}

TestSuite(repair_loss, .init = setup, .fini = teardown);

/* As the scan found the pack. */
static void find(enum repair_state state)
{
	r.at = calloc(1, sizeof(*r.at));
	cr_assert(ne(ptr, r.at, NULL));
	r.count = 1;
	(void)snprintf(r.at->name, sizeof(r.at->name), "%s", pack->name);
	r.at->state = state;
}

Test(repair_loss, good_is_what_whole_packs_hold)
{
	cr_assert(eq(int, repair_loss_good(&r, &err), 0), "%s", err.msg);
	size_t all = id_set_count(r.good);
	cr_expect(ge(sz, all, 4));
	cr_assert(eq(int, repair_loss_tell(&r, &err), 0));
	cr_expect(eq(u64, r.r.snapshots_hurt, 0));
	cr_expect(eq(uint, told.snapshots + told.files, 0));
}

Test(repair_loss, what_a_damaged_pack_held_is_missed_by_snapshots_and_with_a_key_by_files)
{
	find(REPAIR_OPEN);
	cr_assert(eq(int, repair_loss_good(&r, &err), 0));
	cr_assert(eq(int, repair_loss_tell(&r, &err), 0));
	cr_expect(eq(u64, r.r.snapshots_hurt, 1));
	cr_expect(eq(u64, r.r.files_hurt, 0));
	cr_expect(eq(str, told.what, "2 of its records are lost"));
	opts.sk = f.rk_sk;
	memset(&told, 0, sizeof(told));
	cr_assert(eq(int, repair_loss_tell(&r, &err), 0));
	cr_expect(eq(uint, told.snapshots, 1));
	cr_expect(eq(uint, told.files, 2));
	cr_expect(eq(str, told.path, "/b"));
}

Test(repair_loss, what_parity_or_a_copy_brought_back_is_good_unless_it_only_would)
{
	find(REPAIR_FROM_PARITY);
	cr_assert(eq(int, repair_loss_good(&r, &err), 0));
	cr_assert(eq(int, repair_loss_tell(&r, &err), 0));
	cr_expect(eq(u64, r.r.snapshots_hurt, 0));
	id_set_free(r.good);
	r.good = NULL;
	cr_assert(eq(int, id_set_new(&r.good, &err), 0));
	opts.is_dry_run = true; /* the store has the damaged bytes still */
	cr_assert(eq(int, repair_loss_good(&r, &err), 0));
	cr_assert(eq(int, repair_loss_tell(&r, &err), 0));
	cr_expect(eq(u64, r.r.snapshots_hurt, 1));
}

Test(repair_loss, a_reference_list_that_cannot_be_read_is_a_loss_of_its_snapshot)
{
	struct store_image rf;
	store_image_take(f.store, "rf/", &rf);
	cr_assert(eq(int, store_mem_flip(f.mem, rf.at[0].name, 99, &err), 0));
	store_image_done(&rf);
	cr_assert(eq(int, repair_loss_good(&r, &err), 0));
	cr_assert(eq(int, repair_loss_tell(&r, &err), 0));
	cr_expect(eq(u64, r.r.snapshots_hurt, 1));
	cr_expect(strstr(told.what, "rf/") != NULL, "%s", told.what);
}
