#include "vault/rewrap.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "crypto/hpke.h"
#include "tests/lib/store_image.h"
#include "tests/lib/vault_fixture.h"
#include "vault/keyring.h"
#include "vault/prune.h"
#include "vault/recovery_keys.h"
#include "vault/snapshot.h"
#include "vault/verify.h"

static struct vault_fixture f;
static uint8_t second[32];
static struct fake_file files[] = {
	{ .path = "a",
		.kind = ENTRY_FILE,
		.data = (const uint8_t *)"4711",
		.len = 4,
		.mtime_s = 1 },
};

static void backup(void)
{
	struct err err = ERR_INIT;
	struct backup_result r;
	cr_assert(eq(int, vault_fixture_backup(&f, files, 1, &r, &err), 0), "%s", err.msg);
}

/* Three snapshots, and a recovery key that opens none of them. */
static void setup(void)
{
	struct err err = ERR_INIT;
	uint8_t pk[32];
	struct keyring_root root;
	struct vault_keys keys;
	vault_fixture_init(&f);
	for (int i = 0; i < 3; i++)
		backup();
	cr_assert(eq(int, hpke_generate(second, pk, &err), 0));
	cr_assert(eq(int, vault_keys_of_recovery(f.store, f.rk_sk, &root, &keys, &err), 0));
	cr_assert(eq(int, recovery_keys_add(f.vault, &root, second, &err), 0), "%s", err.msg);
	vault_fixture_reopen(&f);
}

static void teardown(void)
{
	vault_fixture_done(&f);
}

TestSuite(rewrap, .init = setup, .fini = teardown);

static int run(const struct rewrap_opts *opts, struct rewrap_result *r, struct err *err)
{
	return rewrap_run(f.vault, opts, r, err);
}

static struct rewrap_result must_run(const struct rewrap_opts *opts)
{
	struct err err = ERR_INIT;
	struct rewrap_result r;
	cr_assert(eq(int, run(opts, &r, &err), 0), "%s", err.msg);
	return r;
}

static size_t count(const char *prefix)
{
	struct store_image s;
	store_image_take(f.store, prefix, &s);
	size_t n = s.count;
	store_image_done(&s);
	return n;
}

static bool opens(const uint8_t sk[32], size_t nth)
{
	return vault_fixture_differs(f.store, sk, nth, files, 1) == NULL;
}

Test(rewrap, every_snapshot_gets_what_it_lacks_once_and_nothing_else_changes)
{
	const struct rewrap_opts dry = { .sk = f.rk_sk, .is_dry_run = true };
	const struct rewrap_opts opts = { .sk = f.rk_sk };
	struct store_image before;
	store_image_take(f.store, "", &before);
	struct rewrap_result r = must_run(&dry);
	cr_expect(eq(u64, r.envelopes, 3));
	cr_expect(eq(sz, count("rw/"), 0));
	r = must_run(&opts);
	cr_expect(eq(u64, r.snapshots, 3));
	cr_expect(eq(u64, r.rewrapped, 3));
	cr_expect(eq(u64, r.envelopes, 3));
	cr_expect(eq(u64, r.bad, 0));
	cr_expect(eq(sz, count("rw/"), 1)); /* one object for all of them */
	cr_expect(store_image_lacks(f.store, &before) == NULL);
	for (size_t i = 0; i < 3; i++)
		cr_expect(opens(second, i) && opens(f.rk_sk, i), "snapshot %d", (int)i);
	r = must_run(&opts);
	cr_expect(eq(u64, r.envelopes, 0));
	cr_expect(eq(sz, count("rw/"), 1));
	store_image_done(&before);
}

Test(rewrap, a_drill_key_does_it_too_and_gets_old_snapshots_only_when_asked)
{
	struct err err = ERR_INIT;
	struct keyring_root root;
	struct vault_keys keys;
	uint8_t new_drill[32];
	const struct rewrap_opts by_drill = { .sk = f.keys.dk_sk };
	const struct rewrap_opts for_group = { .sk = second, .group = "line4" };
	const struct rewrap_opts for_nobody = { .sk = second, .group = "line5" };
	struct rewrap_result r = must_run(&by_drill);
	cr_expect(eq(u64, r.envelopes, 3));
	cr_expect(opens(second, 0));
	cr_assert(eq(int, vault_keys_of_recovery(f.store, f.rk_sk, &root, &keys, &err), 0));
	cr_assert(eq(int, vault_add_group(f.vault, &root, "line4", new_drill, &err), 0));
	cr_expect(eq(u64, must_run(&by_drill).envelopes, 0));
	cr_expect(not(opens(new_drill, 0)));
	/* it opens none itself: each is named */
	const struct rewrap_opts by_none = { .sk = new_drill, .group = "line4" };
	cr_expect(eq(u64, must_run(&by_none).bad, 3));
	r = must_run(&for_group);
	cr_expect(eq(u64, r.envelopes, 3));
	struct vault *v = NULL;
	struct snapshot_list list;
	cr_assert(eq(int, vault_fixture_open(f.store, f.rk_sk, &v, &err), 0));
	cr_assert(eq(int, snapshot_list(v, NULL, NULL, &list, &err), 0));
	for (size_t i = 0; i < list.count; i++)
		cr_expect(eq(int, snapshot_check_envelopes(v, &list.at[i], &err), 0));
	snapshot_list_done(&list);
	vault_close(v);
	cr_expect(eq(int, run(&for_nobody, &r, &err), -ERR_NOT_FOUND));
	cr_expect(eq(int, vault_fixture_problems(f.store, second), 0));
}

static uint64_t verify_problems(void)
{
	struct err err = ERR_INIT;
	struct verify_opts opts = { .sk = NULL };
	struct verify_result r;
	cr_assert(eq(int, verify_run(f.vault, &opts, &r, &err), 0), "%s", err.msg);
	return r.problems;
}

Test(rewrap, a_damaged_object_is_named_and_made_again)
{
	struct err err = ERR_INIT;
	const struct rewrap_opts opts = { .sk = f.rk_sk };
	struct store_image rw;
	(void)must_run(&opts);
	store_image_take(f.store, "rw/", &rw);
	for (uint64_t bit = 3; bit < rw.at[0].len * 8; bit += rw.at[0].len * 8 / 5) {
		cr_assert(eq(int, store_mem_flip(f.mem, rw.at[0].name, bit, &err), 0));
		vault_fixture_reopen(&f);
		cr_expect(eq(u64, verify_problems(), 1));
		cr_expect(not(opens(second, 1)));
		cr_expect(opens(f.rk_sk, 1));
		cr_assert(eq(int, store_mem_flip(f.mem, rw.at[0].name, bit, &err), 0));
	}
	store_image_remove(f.store, rw.at[0].name);
	vault_fixture_reopen(&f);
	cr_expect(eq(u64, must_run(&opts).envelopes, 3));
	cr_expect(opens(second, 1));
	store_image_done(&rw);
}

Test(rewrap, only_what_is_ordered_and_whole_is_a_body)
{
	struct err err = ERR_INIT;
	const uint8_t *first;
	size_t n;
	uint8_t body[12 + 2 * 192] = { 'H', 'F', 'R', 'W', 1 };
	bytes_put32(body + 8, 2);
	body[12 + 192 + 8] = 1; /* the second's snap_hash is greater */
	cr_expect(eq(int, rewrap_decode(body, sizeof(body), &first, &n, &err), 0));
	cr_expect(eq(sz, n, 2));
	cr_expect(eq(int, rewrap_decode(body, sizeof(body) - 1, &first, &n, &err), -ERR_CORRUPT));
	cr_expect(eq(int, rewrap_decode(body, 11, &first, &n, &err), -ERR_CORRUPT));
	body[12 + 8] = 1; /* one key twice */
	cr_expect(eq(int, rewrap_decode(body, sizeof(body), &first, &n, &err), -ERR_CORRUPT));
	body[12 + 40] = 1; /* descending */
	cr_expect(eq(int, rewrap_decode(body, sizeof(body), &first, &n, &err), -ERR_CORRUPT));
	body[12 + 40] = 0;
	body[12 + 192 + 40] = 1;
	cr_expect(eq(int, rewrap_decode(body, sizeof(body), &first, &n, &err), 0));
	body[4] = 2;
	cr_expect(eq(int, rewrap_decode(body, sizeof(body), &first, &n, &err), -ERR_UNSUPPORTED));
	body[4] = 1;
	body[6] = 1;
	cr_expect(eq(int, rewrap_decode(body, sizeof(body), &first, &n, &err), -ERR_CORRUPT));
	body[6] = 0;
	bytes_put32(body + 8, 0);
	cr_expect(eq(int, rewrap_decode(body, 12, &first, &n, &err), -ERR_CORRUPT));
}

Test(rewrap, an_envelope_that_ev_has_is_not_told_twice)
{
	const struct rewrap_opts opts = { .sk = f.rk_sk };
	struct err err = ERR_INIT;
	CLEANUP(buf_done) struct buf body = BUF_INIT(65536);
	struct snapshot_list list;
	(void)must_run(&opts);
	cr_assert(eq(int, snapshot_list(f.vault, NULL, NULL, &list, &err), 0));
	cr_assert(eq(int, snapshot_envelopes(f.vault, &list.at[0], &body, &err), 0));
	cr_expect(eq(int, bytes_get16(body.data + 32), 3)); /* recovery, drill, recovery */
	cr_expect(eq(sz, body.len, 34 + 3 * 192));
	size_t len = body.len;
	cr_assert(eq(int, rewrap_append(f.vault, &body, &err), 0)); /* as a copy that has it all */
	cr_expect(eq(sz, body.len, len));
	snapshot_list_done(&list);
}

Test(rewrap, broken_off_at_any_operation_the_next_run_does_the_rest)
{
	struct err err = ERR_INIT;
	const struct rewrap_opts opts = { .sk = f.rk_sk };
	struct rewrap_result r;
	int rc = -1;
	for (uint64_t n = 1; rc != 0; n++) {
		store_fault_reset(f.fault);
		store_fault_crash(f.fault, n);
		rc = run(&opts, &r, &err);
		store_fault_reset(f.fault);
		for (size_t i = 0; i < 3; i++)
			cr_expect(opens(f.rk_sk, i), "operation %d", (int)n);
		(void)must_run(&opts);
		cr_expect(opens(second, 2), "operation %d", (int)n);
		if (rc == 0)
			break;
		struct store_image rw;
		store_image_take(f.store, "rw/", &rw);
		for (size_t i = 0; i < rw.count; i++)
			store_image_remove(f.store, rw.at[i].name);
		store_image_done(&rw);
		vault_fixture_reopen(&f);
	}
}
