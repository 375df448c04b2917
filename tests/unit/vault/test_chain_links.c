#include "vault/chain_links.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include "base/err.h"
#include "tests/lib/vault_fixture.h"
#include "vault/snapshot.h"

/* A source with four snapshots. */
static struct vault_fixture f;
static struct snapshot_list list;
static struct chain_links links;
static struct err err;

static void setup(void)
{
	static const uint8_t data[] = "x";
	const struct fake_file file = { .path = "a", .kind = ENTRY_FILE, .data = data, .len = 1 };
	vault_fixture_init(&f);
	for (int i = 0; i < 4; i++) {
		struct backup_result r;
		cr_assert(eq(int, vault_fixture_backup(&f, &file, 1, &r, &err), 0), "%s", err.msg);
	}
}

static void teardown(void)
{
	chain_links_done(&links);
	snapshot_list_done(&list);
	vault_fixture_done(&f);
}

TestSuite(chain_links, .init = setup, .fini = teardown);

static void load(void)
{
	chain_links_done(&links);
	snapshot_list_done(&list);
	cr_assert(eq(int, snapshot_list_all(f.vault, NULL, NULL, &list, &err), 0));
	cr_assert(eq(int, chain_links_load(f.vault, &list, NULL, NULL, &links, &err), 0), "%s",
		err.msg);
}

static struct snapshot *number(uint64_t seq)
{
	for (size_t i = 0; i < list.count; i++) {
		if (list.at[i].record.seq == seq)
			return &list.at[i];
	}
	return NULL;
}

static void lose(uint64_t seq)
{
	cr_assert(eq(int, store_remove(f.store, number(seq)->object, &err), 0));
	cr_assert(eq(int, store_barrier(f.store, &err), 0));
}

Test(chain_links, a_whole_chain_has_no_gap)
{
	load();
	cr_expect(eq(sz, links.count, 4));
	for (uint64_t n = 1; n <= 4; n++)
		cr_expect(eq(int, (int)chain_links_before(&links, &number(n)->record),
			CHAIN_LINK_IS_THERE));
	cr_expect(chain_links_gap(&links, &list) == NULL);
}

Test(chain_links, one_that_is_gone_is_a_gap_and_one_that_was_pruned_is_none)
{
	static const struct prune_opts opts = { .cause = PRUNE_ORDER_RETENTION, .policy = "p" };
	load();
	const struct snapshot *going = number(1);
	cr_assert(eq(int, prune_snapshots(f.vault, &opts, &going, 1, &err), 0), "%s", err.msg);
	load();
	cr_expect(eq(sz, list.count, 3));
	cr_expect(chain_links_gap(&links, &list) == NULL);
	lose(3);
	load();
	cr_expect(eq(ptr, (void *)chain_links_gap(&links, &list), (void *)number(4)));
	cr_expect(eq(int, (int)chain_links_before(&links, &number(4)->record), CHAIN_LINK_MISSING));
	cr_expect(
		eq(int, (int)chain_links_before(&links, &number(2)->record), CHAIN_LINK_IS_THERE));
}

Test(chain_links, another_of_the_number_is_not_the_one)
{
	load();
	struct snaprec record = number(3)->record;
	record.prev[5] ^= 1;
	cr_expect(eq(int, (int)chain_links_before(&links, &record), CHAIN_LINK_ANOTHER));
	record = number(1)->record;
	record.prev[5] ^= 1;
	cr_expect(eq(int, (int)chain_links_before(&links, &record), CHAIN_LINK_ANOTHER));
	record = number(3)->record;
	record.source_id[0] ^= 1;
	cr_expect(eq(int, (int)chain_links_before(&links, &record), CHAIN_LINK_MISSING));
}
