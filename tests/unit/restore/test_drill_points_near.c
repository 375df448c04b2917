#include "restore/drill_points_near.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "tests/lib/vault_fixture.h"
#include "vault/fetch.h"

/* A vault with two snapshots of source "plant". */
static struct vault_fixture f;
static struct snapshot_list list;
static struct fetch *fetch;
static struct drill_points_near near;
static struct drill_points points;
static struct err err;

static const uint8_t content[] = "batch 4711 complete\n";
static const struct fake_file files[] = {
	{ .path = "a", .kind = ENTRY_FILE, .data = content, .len = sizeof(content), .mtime_s = 5 },
};

static void setup(void)
{
	struct backup_result r;
	vault_fixture_init(&f);
	for (int i = 0; i < 2; i++)
		cr_assert(eq(int, vault_fixture_backup(&f, files, 1, &r, &err), 0), "%s", err.msg);
	cr_assert(eq(int, snapshot_list(f.vault, NULL, NULL, &list, &err), 0), "%s", err.msg);
	cr_assert(eq(int, fetch_new(f.vault, &fetch, &err), 0));
	near = (struct drill_points_near){
		.vault = f.vault, .fetch = fetch, .snapshots = &list, .drill_sk = f.keys.dk_sk
	};
	points = drill_points_near_make(&near);
	list.at[0].body.receipt_ns = 1000000000;
	list.at[1].body.receipt_ns = 2000000000;
}

static void teardown(void)
{
	fetch_free(fetch);
	snapshot_list_done(&list);
	vault_fixture_done(&f);
}

TestSuite(drill_points_near, .init = setup, .fini = teardown);

static int open_at(const char *source, int64_t at_ns, struct drill_point *out)
{
	return points.open(points.self, source, at_ns, out, &err);
}

Test(drill_points_near, the_newest_at_or_before_the_disruption_is_opened)
{
	struct drill_point p;
	cr_assert(eq(int, open_at("plant", 1999999999, &p), 0), "%s", err.msg);
	cr_expect(eq(u64, p.record.seq, 1));
	cr_expect(eq(i64, p.receipt_ns, 1000000000));
	cr_expect(p.opened.is_recovery_recomputed);
	cr_assert(eq(int, open_at("plant", 2000999999, &p), 0), "%s", err.msg);
	cr_expect(eq(u64, p.record.seq, 2));
	cr_expect(eq(int, memcmp(p.hash, list.at[1].hash, 32), 0));
	cr_expect(eq(i64, points.newest(points.self, "plant"), 2000000000));
	cr_expect(eq(i64, points.newest(points.self, "plan"), 0));
}

Test(drill_points_near, none_so_old_and_none_at_all_are_told_apart)
{
	struct drill_point p;
	cr_expect(eq(int, open_at("plant", 999999999, &p), -ERR_NOT_FOUND));
	cr_expect(ne(ptr, strstr(err.msg, "held none yet when the disruption was declared"), NULL),
		"%s", err.msg);
	cr_expect(eq(int, open_at("plan", INT64_MAX, &p), -ERR_NOT_FOUND));
	cr_expect(ne(ptr, strstr(err.msg, "there is no snapshot of source 'plan'"), NULL), "%s",
		err.msg);
}

Test(drill_points_near, sources_of_two_agents_with_one_name_are_refused)
{
	struct drill_point p;
	list.at[1].record.agent_id[0] ^= 1;
	cr_expect(eq(int, open_at("plant", INT64_MAX, &p), -ERR_USAGE));
	cr_expect(ne(ptr, strstr(err.hint, "source:"), NULL), "%s", err.hint);
	cr_expect(eq(int, open_at("plant", 1500000000, &p), 0));
}

Test(drill_points_near, an_agents_id_or_host_says_which_of_two_sources_is_meant)
{
	struct drill_point p;
	char source[64];
	list.at[1].record.agent_id[0] ^= 1;
	for (int i = 0; i < 2; i++) {
		const uint8_t *id = list.at[i].record.agent_id;
		(void)snprintf(source, sizeof(source), "%02x%02x%02x/plant", id[0], id[1],
			id[2]); /* fits */
		cr_assert(eq(int, open_at(source, INT64_MAX, &p), 0), "%s", err.msg);
		cr_expect(eq(i64, p.receipt_ns, list.at[i].body.receipt_ns));
	}
	(void)snprintf(source, sizeof(source), "%02x/plant", list.at[0].record.agent_id[0]);
	cr_expect(eq(int, open_at(source, INT64_MAX, &p), -ERR_NOT_FOUND)); /* too few digits */
	free(list.at[1].label.host);
	list.at[1].label.host = strdup("line3");
	cr_assert(eq(int, open_at("line3/plant", INT64_MAX, &p), 0), "%s", err.msg);
	cr_expect(eq(i64, p.receipt_ns, 2000000000));
}

Test(drill_points_near, snapshots_of_a_revoked_writer_count_only_where_no_other_is)
{
	struct drill_point p;
	list.at[0].record.agent_id[0] ^= 1;
	list.at[1].is_writer_revoked = true; /* though it is the newest */
	cr_assert(eq(int, open_at("plant", INT64_MAX, &p), 0), "%s", err.msg);
	cr_expect(eq(i64, p.receipt_ns, 1000000000));
	list.at[0].is_writer_revoked = true;
	cr_assert(eq(int, open_at("plant", INT64_MAX, &p), 0), "%s", err.msg);
	cr_expect(eq(i64, p.receipt_ns, 2000000000));
}

Test(drill_points_near, a_key_of_another_group_opens_nothing)
{
	struct drill_point p;
	const uint8_t stranger[32] = { 4 };
	near.drill_sk = stranger;
	cr_expect(eq(int, open_at("plant", INT64_MAX, &p), -ERR_AUTH));
}
