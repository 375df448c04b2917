#include "vault/collect_mark.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "codec/text.h"
#include "tests/lib/store_image.h"
#include "tests/lib/vault_fixture.h"
#include "vault/collect_view.h"
#include "vault/id_set.h"
#include "vault/prune.h"
#include "vault/vault_internal.h"

/* Two days: the first has files a and b, the second a alone. */
static struct vault_fixture f;
static uint8_t noise[2][280000];
static struct collect_view view;
static struct collect_mark m;
static struct err err;

static void backup(size_t count)
{
	struct backup_result b;
	struct fake_file files[2] = {
		{ .path = "a", .kind = ENTRY_FILE, .data = noise[0], .len = sizeof(noise[0]) },
		{ .path = "b", .kind = ENTRY_FILE, .data = noise[1], .len = sizeof(noise[1]) },
	};
	cr_assert(eq(int, vault_fixture_backup(&f, files, count, &b, &err), 0), "%s", err.msg);
}

static void setup(void)
{
	vault_fixture_init(&f);
	for (unsigned i = 0; i < 2; i++)
		vault_fixture_noise(noise[i], sizeof(noise[i]), i + 1);
	backup(2);
	backup(1);
}

static void teardown(void)
{
	collect_mark_done(&m);
	collect_view_done(&view);
	vault_fixture_done(&f);
}

TestSuite(collect_mark, .init = setup, .fini = teardown);

static int mark(const struct id_set *bad)
{
	if (m.index != NULL)
		collect_mark_done(&m);
	collect_view_done(&view);
	cr_assert(eq(int, collect_view_look(f.vault, &view, NULL, NULL, &err), 0));
	return collect_mark_run(f.vault, &view, bad, &m, &err);
}

static void must_mark(const struct id_set *bad)
{
	cr_assert(eq(int, mark(bad), 0), "%s", err.msg);
}

/* The number of the pack of the files' records. */
static size_t data_pack(void)
{
	for (size_t i = 0; i < index_pack_count(m.index); i++) {
		if (m.packs[i].body > 500000)
			return i;
	}
	cr_assert(false);
	return 0;
}

static void prune_first(void)
{
	static const struct prune_opts opts = { .cause = PRUNE_ORDER_RETENTION };
	struct snapshot_list list;
	cr_assert(eq(int, snapshot_list(f.vault, NULL, NULL, &list, &err), 0));
	const struct snapshot *going = &list.at[0];
	cr_assert(eq(int, prune_snapshots(f.vault, &opts, &going, 1, &err), 0));
	snapshot_list_done(&list);
}

Test(collect_mark, what_live_snapshots_list_is_marked_and_weighed)
{
	must_mark(NULL);
	const struct collect_mark_pack *p = &m.packs[data_pack()];
	cr_expect(p->is_there && p->is_eligible && !p->is_metadata);
	cr_expect(eq(u64, p->marked, p->body));
	cr_expect(eq(u64, p->kept, p->body));
	cr_expect(eq(sz, id_set_count(m.strays), 0));
	cr_expect(eq(sz, id_set_count(m.there), index_pack_count(m.index)));
	prune_first();
	must_mark(NULL);
	p = &m.packs[data_pack()];
	cr_expect(lt(u64, p->marked, p->body)); /* b is waste now */
	cr_expect(ge(u64, p->marked, 200001));
	cr_expect(eq(sz, id_set_count(m.named), 2)); /* lists and envelopes of the second */
}

Test(collect_mark, a_pack_that_is_condemned_or_known_to_be_bad_keeps_nothing)
{
	CLEANUP(buf_done) struct buf object = BUF_INIT(STORE_MAX_OBJECT_BYTES);
	struct id_set *bad = NULL;
	struct index_place place;
	const uint8_t *id;
	size_t pack;
	uint32_t len;
	must_mark(NULL);
	struct collect_list_item item = { .class = COLLECT_LIST_PACK,
		.cause = COLLECT_LIST_UNUSED };
	memcpy(item.hash, index_pack_at(m.index, data_pack(), &len), 32);
	item.len = len;
	cr_assert(eq(int, id_set_new(&bad, &err), 0));
	cr_assert(eq(int, id_set_add(bad, item.hash, 1, NULL, &err), 0));
	must_mark(bad);
	id_set_free(bad);
	cr_expect(not(m.packs[data_pack()].is_eligible));
	cr_expect(eq(u64, m.packs[data_pack()].kept, 0));
	cr_expect(ge(u64, m.packs[data_pack()].marked, 1));
	struct collect_list l = { .type = COLLECT_LIST_CONDEMNED, .run = { 1 }, .items = &item };
	char name[COLLECT_LIST_NAME_BYTES];
	l.count = 1;
	cr_assert(eq(int, collect_list_seal(&l, &f.vault->key, &object, name, &err), 0));
	cr_assert(eq(int, store_put(f.store, name, object.data, object.len, &err), 0));
	cr_assert(eq(int, store_barrier(f.store, &err), 0));
	must_mark(NULL);
	cr_expect(not(m.packs[data_pack()].is_eligible));
	for (size_t i = 0; i < index_entry_count(m.index); i++) {
		index_at(m.index, i, &place, &id, &pack);
		if (pack != data_pack())
			continue;
		cr_expect(collect_mark_has(&m, id));
		cr_expect(not(collect_mark_is_elsewhere(&m, id, &err) == 1));
		cr_expect(eq(sz, collect_mark_keeper(&m, id), INDEX_NONE));
	}
}

static void remove_all(const char *prefix)
{
	struct store_image s;
	store_image_take(f.store, prefix, &s);
	for (size_t i = 0; i < s.count; i++)
		store_image_remove(f.store, s.at[i].name);
	store_image_done(&s);
}

Test(collect_mark, without_index_the_footers_tell_and_what_nothing_tells_is_a_stray)
{
	remove_all("ix/");
	must_mark(NULL);
	cr_expect(eq(sz, id_set_count(m.strays), 0));
	cr_expect(eq(u64, m.packs[data_pack()].kept, m.packs[data_pack()].body));
	remove_all("pk/");
	must_mark(NULL);
	cr_expect(eq(sz, index_pack_count(m.index), 0));
	cr_expect(ge(sz, id_set_count(m.strays), 5));
}

Test(collect_mark, packs_that_nobody_knows_are_counted_with_their_bytes)
{
	uint64_t packs = 9, bytes = 9;
	struct store_image s;
	store_image_take(f.store, "pk/", &s);
	must_mark(NULL);
	collect_mark_unknown(&m, &packs, &bytes);
	cr_expect(eq(u64, packs + bytes, 0));
	/* the tail is damaged: the index knows it still, until that is gone, too */
	cr_assert(eq(int, store_mem_flip(f.mem, s.at[0].name, s.at[0].len * 8 - 3, &err), 0));
	must_mark(NULL);
	collect_mark_unknown(&m, &packs, &bytes);
	cr_expect(eq(u64, packs + bytes, 0));
	cr_assert(eq(int, store_mem_truncate(f.mem, s.at[0].name, s.at[0].len / 2, &err), 0));
	must_mark(NULL);
	collect_mark_unknown(&m, &packs, &bytes);
	cr_expect(eq(u64, packs + bytes, 0), "known, and of another length");
	remove_all("ix/");
	must_mark(NULL);
	collect_mark_unknown(&m, &packs, &bytes);
	cr_expect(eq(u64, packs, 1));
	cr_expect(eq(u64, bytes, s.at[0].len / 2));
	store_image_done(&s);
}

Test(collect_mark, nothing_that_must_be_read_is_passed_over)
{
	static const char *const needed[] = { "sn/", "rf/" };
	for (size_t i = 0; i < 2; i++) {
		struct store_image s;
		store_image_take(f.store, needed[i], &s);
		cr_assert(eq(int, store_mem_flip(f.mem, s.at[0].name, 50, &err), 0));
		cr_expect(eq(int, mark(NULL), -ERR_CORRUPT));
		cr_assert(eq(int, store_mem_flip(f.mem, s.at[0].name, 50, &err), 0));
		store_image_done(&s);
		memset(&m, 0, sizeof(m));
	}
}
