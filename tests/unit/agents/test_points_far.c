#include "agents/points_far.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "crypto/ed25519.h"
#include "msg/msg_vault.h"
#include "tests/lib/point_bodies.h"
#include "tests/lib/vault_fixture.h"
#include "vault/domain.h"
#include "vault/fetch.h"
#include "vault/record_reader.h"
#include "vault/snapshot.h"
#include "vault/tree_reader.h"

/* A vault whose one snapshot of source "plant" is granted; records come by id, as from a port. */
static struct vault_fixture f;
static struct snapshot_list list;
static struct point_bodies bodies;
static struct fetch *fetch;
static struct msg_point point;
static struct msg_points points;
static struct points_far_opts opts;
static struct points_far *far;
static struct err err;

static const uint8_t content[] = "batch 4711 complete\n";
static const struct fake_file files[] = {
	{ .path = "a.evt",
		.kind = ENTRY_FILE,
		.data = content,
		.len = sizeof(content),
		.mtime_s = 5 },
};

static int get(void *self, const uint8_t id[32], struct buf *cr, struct err *why)
{
	return fetch_record(self, id, cr, why);
}

static struct record_store store = { .get = get };

static void setup(void)
{
	struct backup_result r;
	vault_fixture_init(&f);
	cr_assert(eq(int, vault_fixture_backup(&f, files, 1, &r, &err), 0), "%s", err.msg);
	cr_assert(eq(int, snapshot_list(f.vault, NULL, NULL, &list, &err), 0), "%s", err.msg);
	point_bodies_read(f.vault, &list.at[0], &bodies);
	cr_assert(eq(int, fetch_new(f.vault, &fetch, &err), 0));
	store.self = fetch;
	point = (struct msg_point){ .source = "plant",
		.snapshot = bodies.snapshot.data,
		.snapshot_len = bodies.snapshot.len,
		.envelopes = bodies.envelopes.data,
		.envelopes_len = bodies.envelopes.len };
	points = (struct msg_points){ .config = bodies.config.data,
		.config_len = bodies.config.len,
		.at = &point,
		.count = 1 };
	opts = (struct points_far_opts){ .points = &points,
		.officer_pk = vault_domain(f.vault)->officer_pk[0],
		.min_epoch = vault_domain(f.vault)->epoch,
		.dk_sk = f.keys.dk_sk,
		.records = &store };
}

static void teardown(void)
{
	points_far_free(far);
	fetch_free(fetch);
	point_bodies_done(&bodies);
	snapshot_list_done(&list);
	vault_fixture_done(&f);
}

TestSuite(points_far, .init = setup, .fini = teardown);

static int make(void)
{
	points_far_free(far);
	far = NULL;
	return points_far_new(&opts, &far, &err);
}

static int open_at(const char *source, int64_t at_ns, struct drill_point *out)
{
	const struct drill_points *p = points_far_points(far);
	return p->open(p->self, source, at_ns, out, &err);
}

Test(points_far, a_granted_point_is_opened_and_read_with_the_drill_key_alone)
{
	struct drill_point p;
	struct tree_reader *tree = NULL;
	const uint8_t *key;
	size_t len;
	struct entry e;
	cr_assert(eq(int, make(), 0), "%s", err.msg);
	cr_assert(eq(int, open_at("plant", INT64_MAX, &p), 0), "%s", err.msg);
	cr_expect(eq(int, p.opened.recipient, SNAPREC_DRILL));
	cr_expect(p.opened.is_recovery_recomputed);
	cr_expect(eq(int, memcmp(p.hash, list.at[0].hash, 32), 0));
	cr_expect(eq(i64, p.receipt_ns, list.at[0].body.receipt_ns));
	cr_assert(eq(int,
		tree_reader_new(points_far_points(far)->content, &p.opened.root.top, &tree, &err),
		0));
	cr_assert(eq(int, tree_reader_seek(tree, NULL, 0, &err), 0));
	cr_assert(eq(int, tree_reader_next(tree, &key, &len, &e, &err), 1));
	cr_expect(eq(u64, e.size, sizeof(content)));
	tree_reader_free(tree);
}

Test(points_far, what_was_not_granted_is_not_there)
{
	struct drill_point p;
	cr_assert(eq(int, make(), 0), "%s", err.msg);
	const struct drill_points *all = points_far_points(far);
	cr_expect(eq(i64, all->newest(all->self, "plant"), list.at[0].body.receipt_ns));
	cr_expect(eq(i64, all->newest(all->self, "plan"), 0));
	cr_expect(eq(int, open_at("hist", INT64_MAX, &p), -ERR_NOT_FOUND));
}

Test(points_far, a_config_of_another_officer_or_an_older_one_is_refused)
{
	const uint8_t seed[32] = { 3 };
	uint8_t other[32];
	ed25519_public(seed, other);
	const uint8_t *officer = opts.officer_pk;
	opts.officer_pk = other;
	cr_expect(eq(int, make(), -ERR_AUTH));
	opts.officer_pk = officer;
	opts.min_epoch++;
	cr_expect(eq(int, make(), -ERR_ROLLBACK));
	opts.min_epoch--;
	bodies.config.data[bodies.config.len / 2] ^= 1;
	cr_expect(ne(int, make(), 0));
}

Test(points_far, a_forged_snapshot_is_refused)
{
	for (size_t i = 0; i < SNAPREC_BYTES; i += 7) {
		bodies.snapshot.data[i] ^= 1;
		cr_expect(ne(int, make(), 0), "byte %zu", i);
		bodies.snapshot.data[i] ^= 1;
	}
	cr_expect(ne(ptr, strstr(err.msg, "granted for source 'plant'"), NULL), "%s", err.msg);
}

Test(points_far, a_snapshot_of_another_source_is_refused)
{
	(void)snprintf(point.source, sizeof(point.source), "hist");
	cr_expect(eq(int, make(), -ERR_CORRUPT));
}

Test(points_far, forged_envelopes_and_another_groups_key_open_nothing)
{
	struct drill_point p;
	const uint8_t stranger[32] = { 9 };
	bodies.envelopes.data[bodies.envelopes.len - 1] ^= 1;
	cr_assert(eq(int, make(), 0), "%s", err.msg);
	cr_expect(eq(int, open_at("plant", INT64_MAX, &p), -ERR_CORRUPT));
	bodies.envelopes.data[bodies.envelopes.len - 1] ^= 1;
	opts.dk_sk = stranger;
	cr_assert(eq(int, make(), 0));
	cr_expect(eq(int, open_at("plant", INT64_MAX, &p), -ERR_AUTH));
}
