#include "vault/missing.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "codec/text.h"
#include "tests/lib/store_image.h"
#include "tests/lib/vault_fixture.h"
#include "vault/collect_view.h"
#include "vault/prune.h"
#include "vault/repair_back.h"
#include "vault/snapshot.h"
#include "vault/vault_internal.h"

static struct vault_fixture f;
static struct store_image whole;
static struct collect_view view;
static struct missing m;
static struct err err;

static void setup(void)
{
	struct backup_result r;
	struct fake_file file = {
		.path = "a", .kind = ENTRY_FILE, .data = (const uint8_t *)"4711", .len = 4
	};
	vault_fixture_init(&f);
	for (int i = 0; i < 2; i++) {
		file.mtime_s = i;
		cr_assert(eq(int, vault_fixture_backup(&f, &file, 1, &r, &err), 0));
	}
	store_image_take(f.store, "", &whole);
}

static void teardown(void)
{
	missing_done(&m);
	collect_view_done(&view);
	store_image_done(&whole);
	vault_fixture_done(&f);
}

TestSuite(missing, .init = setup, .fini = teardown);

static void look(void)
{
	missing_done(&m);
	collect_view_done(&view);
	cr_assert(eq(int, collect_view_look(f.vault, &view, NULL, NULL, &err), 0));
	cr_assert(eq(int, missing_load(f.vault, &view, &m, &err), 0), "%s", err.msg);
}

static const char *first(const char *prefix)
{
	for (size_t i = 0; i < whole.count; i++) {
		if (strncmp(whole.at[i].name, prefix, strlen(prefix)) == 0)
			return whole.at[i].name;
	}
	cr_assert(prefix == NULL, "no %s", prefix);
	return NULL;
}

Test(missing, a_whole_vault_lacks_nothing)
{
	look();
	cr_expect(eq(sz, m.count, 0));
}

Test(missing, packs_lists_and_envelopes_that_are_named_and_gone_are_told_in_order)
{
	const char *gone[] = { first("ev/"), first("pk/"), first("rf/") };
	for (size_t i = 0; i < 3; i++)
		store_image_remove(f.store, gone[i]);
	look();
	cr_assert(eq(sz, m.count, 3));
	for (size_t i = 0; i < 3; i++) {
		cr_expect(eq(str, m.names[i], (char *)(uintptr_t)gone[i]));
		cr_expect(missing_is_lost(&m, gone[i]));
	}
	/* of a header nothing tells but parity: then it is lost, too */
	cr_expect(missing_is_lost(&m, first("vh/")));
	cr_expect(not(missing_is_lost(&m, "README.txt")));
}

Test(missing, what_a_repair_set_aside_has_a_reason_to_be_gone)
{
	const char *pack = first("pk/");
	cr_assert(eq(int, repair_back_set_aside(f.store, pack, "", 0, &err), 0));
	look();
	cr_expect(eq(sz, m.count, 0));
	cr_expect(not(missing_is_lost(&m, pack)));
}

Test(missing, what_was_pruned_has_one)
{
	static const struct prune_opts opts = { .cause = PRUNE_ORDER_RETENTION };
	struct snapshot_list list;
	char name[128];
	char ev[VAULT_NAME_BYTES] = "ev/";
	cr_assert(eq(int, snapshot_list(f.vault, NULL, NULL, &list, &err), 0));
	const struct snapshot *old = &list.at[0];
	(void)snprintf(name, sizeof(name), "%s", old->object);
	text_hex(old->body.ev, 32, ev + 3);
	cr_assert(eq(int, prune_snapshots(f.vault, &opts, &old, 1, &err), 0), "%s", err.msg);
	snapshot_list_done(&list);
	look();
	cr_expect(eq(sz, m.count, 0));
	cr_expect(not(missing_is_lost(&m, name)));
	cr_expect(not(missing_is_lost(&m, ev)));
}

Test(missing, what_collection_names_has_one)
{
	CLEANUP(buf_done) struct buf object = BUF_INIT(STORE_MAX_OBJECT_BYTES);
	const char *pack = first("pk/");
	struct collect_list_item item = {
		.class = COLLECT_LIST_PACK, .cause = COLLECT_LIST_UNUSED, .len = 4096
	};
	struct collect_list l = { .type = COLLECT_LIST_DEAD, .run = { 1 }, .items = &item };
	char name[COLLECT_LIST_NAME_BYTES];
	l.count = 1;
	cr_assert(eq(int, text_unhex(strrchr(pack, '/') + 1, 32, item.hash), 0));
	cr_assert(eq(int, collect_list_seal(&l, &f.vault->key, &object, name, &err), 0));
	cr_assert(eq(int, store_put(f.store, name, object.data, object.len, &err), 0));
	cr_assert(eq(int, store_barrier(f.store, &err), 0));
	store_image_remove(f.store, pack);
	look();
	cr_expect(eq(sz, m.count, 0));
	cr_expect(not(missing_is_lost(&m, pack)));
	store_image_remove(f.store, name);
	look();
	cr_expect(eq(sz, m.count, 1));
}
