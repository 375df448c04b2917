#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/env.h"
#include "base/err.h"
#include "controller/gateway_grant.h"
#include "controller/gateway_vault.h"
#include "crypto/ed25519.h"
#include "crypto/hash.h"
#include "msg/msg_vault.h"
#include "store/store.h"
#include "tests/lib/gateway_fixture.h"
#include "vault/collect_sessions.h"
#include "vault/collect_view.h"
#include "vault/domain.h"
#include "vault/keyring.h"
#include "vault/snapshot_body.h"
#include "vault/vault.h"

static struct gateway_fixture f;

static void setup(void)
{
	gateway_fixture_init(&f);
}

static void teardown(void)
{
	gateway_fixture_done(&f);
}

TestSuite(gateway_grant, .init = setup, .fini = teardown);

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
static const uint8_t text[] = "batch 4711 complete\n", other[] = "another line's secret\n";
static const struct fake_file ours[] = {
	{ .path = "plant", .kind = ENTRY_DIR, .mtime_s = 100 },
	{ .path = "plant/a.evt", .kind = ENTRY_FILE, .data = text, .len = sizeof(text) },
};
static const struct fake_file theirs[] = {
	{ .path = "plant", .kind = ENTRY_DIR, .mtime_s = 200 },
	{ .path = "plant/b.evt", .kind = ENTRY_FILE, .data = other, .len = sizeof(other) },
};

static struct gateway_grant *grant(const char *const *sources, size_t count, int64_t at_ms)
{
	struct err err = ERR_INIT;
	struct gateway_grant *g = NULL;
	const struct gateway_grant_opts opts = {
		.vault = &f.vault, .at_ms = at_ms, .sources = sources, .source_count = count
	};
	cr_assert(eq(int, gateway_grant_new(&opts, &g, &err), 0), "%s", err.msg);
	return g;
}

static void back_up(
	const char *source, const struct fake_file *files, size_t count, struct backup_result *out)
{
	struct err err = ERR_INIT;
	cr_assert(eq(int, gateway_fixture_direct(&f, source, files, count, out, &err), 0), "%s",
		err.msg);
}

static void root_id(struct gateway_grant *g, size_t point, uint8_t out[32])
{
	CLEANUP(buf_done) struct buf json = BUF_INIT((size_t)16 << 20);
	struct msg_points m;
	struct snapshot_body body;
	struct snaprec r;
	struct err err = ERR_INIT;
	cr_assert(eq(int, gateway_grant_points(g, &json, &err), 0), "%s", err.msg);
	cr_assert(
		eq(int, msg_vault_points_decode(json.data, json.len, &m, &err), 0), "%s", err.msg);
	cr_assert(lt(sz, point, m.count));
	cr_assert(eq(int,
		snapshot_body_decode(m.at[point].snapshot, m.at[point].snapshot_len, &body, &err),
		0));
	cr_assert(eq(int, snaprec_decode(body.record, &r, &err), 0));
	memcpy(out, r.root_id, 32);
	snapshot_body_done(&body);
	msg_vault_points_done(&m);
}

Test(gateway_grant, gives_records_of_its_snapshots_and_refuses_all_others_alike)
{
	struct backup_result a, b;
	struct err err = ERR_INIT;
	const char *const one[] = { "ours" }, *const two[] = { "theirs" };
	back_up("ours", ours, COUNT(ours), &a);
	back_up("theirs", theirs, COUNT(theirs), &b);
	struct gateway_grant *g = grant(one, 1, INT64_MAX), *h = grant(two, 1, INT64_MAX);
	CLEANUP(buf_done) struct buf out = BUF_INIT(MSG_MAX_BODY * 2);
	uint8_t id[32], foreign[32], unknown[32];
	root_id(g, 0, id);
	root_id(h, 0, foreign);
	memset(unknown, 0x5a, sizeof(unknown));

	cr_assert(eq(int, gateway_grant_records(g, id, 32, &out, &err), 0), "%s", err.msg);
	const uint8_t *data = out.data, *cr;
	size_t len = out.len, cr_len;
	uint8_t hash[32];
	cr_assert(eq(int, msg_vault_records_next(&data, &len, &cr, &cr_len, &err), 1));
	hash_sha256(cr, cr_len, hash);
	cr_expect(eq(int, memcmp(hash, id, 32), 0));

	struct err why_foreign = ERR_INIT, why_unknown = ERR_INIT;
	out.len = 0;
	cr_expect(
		eq(int, gateway_grant_records(g, foreign, 32, &out, &why_foreign), -ERR_NOT_FOUND));
	cr_expect(
		eq(int, gateway_grant_records(g, unknown, 32, &out, &why_unknown), -ERR_NOT_FOUND));
	cr_expect(eq(str, why_foreign.msg, why_unknown.msg));
	cr_expect(eq(sz, out.len, 0));

	uint8_t mixed[64];
	memcpy(mixed, id, 32);
	memcpy(mixed + 32, foreign, 32);
	cr_expect(eq(int, gateway_grant_records(g, mixed, 64, &out, &err), -ERR_NOT_FOUND));
	cr_expect(eq(sz, out.len, 0), "nothing of a refused request is given");
	gateway_grant_free(g);
	gateway_grant_free(h);
}

Test(gateway_grant, chooses_the_newest_point_that_was_there_at_the_time)
{
	struct backup_result one, two;
	const char *const sources[] = { "ours" };
	back_up("ours", ours, COUNT(ours), &one);
	int64_t between = (int64_t)(one.receipt_ns / 1000000);
	while (env_now_ns() / 1000000 <= between) /* the next one is received later */
		continue;
	back_up("ours", theirs, COUNT(theirs), &two);
	struct gateway_grant *then = grant(sources, 1, between),
			     *now = grant(sources, 1, INT64_MAX), *before = grant(sources, 1, 1);
	uint8_t first[32], second[32];
	root_id(then, 0, first);
	root_id(now, 0, second);
	cr_expect(ne(int, memcmp(first, second, 32), 0));
	CLEANUP(buf_done) struct buf json = BUF_INIT((size_t)16 << 20);
	struct msg_points m;
	struct err err = ERR_INIT;
	cr_assert(eq(int, gateway_grant_points(before, &json, &err), 0));
	cr_assert(eq(int, msg_vault_points_decode(json.data, json.len, &m, &err), 0));
	cr_expect(eq(sz, m.count, 0), "none was there so early");
	msg_vault_points_done(&m);
	gateway_grant_free(then);
	gateway_grant_free(now);
	gateway_grant_free(before);
}

Test(gateway_grant, refuses_counts_that_are_no_ids)
{
	struct backup_result a;
	struct err err = ERR_INIT;
	const char *const sources[] = { "ours" };
	static const uint8_t many[(MSG_READ_IDS + 1) * 32];
	back_up("ours", ours, COUNT(ours), &a);
	struct gateway_grant *g = grant(sources, 1, INT64_MAX);
	CLEANUP(buf_done) struct buf out = BUF_INIT(MSG_MAX_BODY);
	cr_expect(eq(int, gateway_grant_records(g, many, 0, &out, &err), -ERR_CORRUPT));
	cr_expect(eq(int, gateway_grant_records(g, many, 31, &out, &err), -ERR_CORRUPT));
	cr_expect(eq(int, gateway_grant_records(g, many, sizeof(many), &out, &err), -ERR_CORRUPT));
	gateway_grant_free(g);
}

/* A second agent: from now on it is who backs up. */
static void be_another_agent(void)
{
	struct err err = ERR_INIT;
	struct keyring_root root;
	CLEANUP(buf_done) struct buf body = BUF_INIT(65536);
	keyring_root_derive(f.rk_sk, f.init.writer.vault_id, &root);
	memset(f.agent.agent_id, 0x22, 16);
	memset(f.agent.ik_seed, 0x33, 32);
	uint8_t ik[32];
	ed25519_public(f.agent.ik_seed, ik);
	cr_assert(
		eq(int, domain_add_agent(&f.domain, f.agent.agent_id, ik, &err), 0), "%s", err.msg);
	f.domain.epoch++;
	f.agent.config_epoch = f.domain.epoch;
	cr_assert(eq(int, domain_encode(&f.domain, root.officer_seed, &body, &err), 0), "%s",
		err.msg);
	cr_assert(eq(int, gateway_vault_put_config(&f.vault, body.data, body.len, &err), 0), "%s",
		err.msg);
}

static int try_grant(const uint8_t *shut_out, size_t count, uint8_t root[32], struct err *err)
{
	struct gateway_grant *g = NULL;
	const char *const sources[] = { "ours" };
	const struct gateway_grant_opts opts = { .vault = &f.vault,
		.at_ms = INT64_MAX,
		.sources = sources,
		.source_count = 1,
		.shut_out = shut_out,
		.shut_out_count = count };
	int rc = gateway_grant_new(&opts, &g, err);
	if (rc == 0)
		root_id(g, 0, root);
	gateway_grant_free(g);
	return rc;
}

Test(gateway_grant, of_two_agents_with_a_source_the_one_that_is_shut_out_does_not_count)
{
	struct backup_result one, two;
	struct err err = ERR_INIT;
	uint8_t ids[2][16], first[32], second[32], got[32];
	memcpy(ids[0], f.agent.agent_id, 16);
	back_up("ours", ours, COUNT(ours), &one);
	cr_assert(eq(int, try_grant(NULL, 0, first, &err), 0), "%s", err.msg);
	be_another_agent();
	memcpy(ids[1], f.agent.agent_id, 16);
	back_up("ours", theirs, COUNT(theirs), &two);

	cr_expect(eq(int, try_grant(NULL, 0, got, &err), -ERR_USAGE), "both work");
	cr_expect(ne(ptr, strstr(err.msg, "two agents"), NULL), "%s", err.msg);
	cr_assert(eq(int, try_grant(ids[0], 1, second, &err), 0), "%s", err.msg);
	cr_expect(ne(int, memcmp(first, second, 32), 0), "of the one that is not shut out");
	cr_assert(eq(int, try_grant(ids[1], 1, got, &err), 0), "%s", err.msg);
	cr_expect(eq(int, memcmp(first, got, 32), 0), "though that of the other is newer");
	cr_assert(eq(int, try_grant(ids[0], 2, got, &err), 0), "%s", err.msg);
	cr_expect(eq(int, memcmp(second, got, 32), 0), "of those shut out, the newest");
}

static size_t open_readers(void)
{
	struct err err = ERR_INIT;
	struct store *store = NULL;
	struct vault *vault = NULL;
	struct collect_sessions s;
	const struct collect_view none = { .count = 0 };
	size_t open = 0;
	cr_assert(eq(int, gateway_vault_open(&f.vault, true, &store, &vault, &err), 0));
	cr_assert(eq(int, collect_sessions_load(vault, &s, &err), 0), "%s", err.msg);
	for (size_t i = 0; i < s.count; i++)
		open += s.at[i].is_restore && collect_sessions_is_open(&s.at[i], &none);
	collect_sessions_done(&s);
	vault_close(vault);
	store_free(store);
	return open;
}

Test(gateway_grant, holds_collection_back_until_it_ends)
{
	struct backup_result a;
	const char *const one[] = { "ours" };
	back_up("ours", ours, COUNT(ours), &a);
	cr_assert(eq(sz, open_readers(), 0));
	struct gateway_grant *g = grant(one, 1, INT64_MAX);
	cr_expect(eq(sz, open_readers(), 1));
	gateway_grant_free(g);
	cr_expect(eq(sz, open_readers(), 0));
}
