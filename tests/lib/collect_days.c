#include "tests/lib/collect_days.h"

#include <stdio.h>
#include <string.h>

#include "base/env.h"
#include "base/err.h"
#include "codec/text.h"
#include "vault/prune.h"
#include "vault/snapshot.h"

struct vault_fixture collect_days_vault;
static struct env_ops ops;
static int64_t now_ns, mono_ns;
struct collect_sights collect_days_sights;

static int64_t fake_now(void)
{
	return now_ns;
}

int64_t collect_days_now(void)
{
	return now_ns;
}

static int64_t fake_mono(void)
{
	return mono_ns;
}

void collect_days_pass(int64_t ns)
{
	now_ns += ns;
	mono_ns += ns;
}

static uint8_t noise[4][BIG];

struct fake_file collect_days_file(const char *path, const void *data, size_t len, int64_t mtime)
{
	return (struct fake_file){
		.path = path, .kind = ENTRY_FILE, .data = data, .len = len, .mtime_s = mtime
	};
}

struct fake_file collect_days_tree[4][5];
size_t collect_days_files[4];

void collect_days_setup(void)
{
	ops = *env_real();
	ops.now_ns = fake_now;
	ops.mono_ns = fake_mono;
	now_ns = INT64_C(1767225600) * S;
	mono_ns = 1000 * S;
	(void)env_swap(&ops);
	vault_fixture_init(&collect_days_vault);
	for (unsigned i = 0; i < 4; i++) {
		vault_fixture_noise(noise[i], BIG, 77 + i);
		collect_days_tree[i][0] =
			(struct fake_file){ .path = "plant", .kind = ENTRY_DIR, .mtime_s = 100 };
		collect_days_tree[i][1] = collect_days_file("plant/a", noise[0], BIG, 5);
		collect_days_files[i] = 2;
	}
	collect_days_tree[0][collect_days_files[0]++] =
		collect_days_file("plant/b", noise[1], BIG, 5);
	collect_days_tree[0][collect_days_files[0]++] =
		collect_days_file("plant/c", noise[2], BIG, 5);
	collect_days_tree[1][collect_days_files[1]++] =
		collect_days_file("plant/d", noise[3], BIG, 6);
	collect_days_tree[2][collect_days_files[2]++] =
		collect_days_file("plant/e", noise[3], BIG / 2, 7);
	collect_days_tree[3][collect_days_files[3]++] =
		collect_days_file("plant/f", noise[1], 1000, 8);
}

void collect_days_teardown(void)
{
	vault_fixture_done(&collect_days_vault);
	collect_sights_done(&collect_days_sights);
	(void)env_swap(NULL);
}

int collect_days_backup(int n, struct backup_result *r)
{
	struct err err = ERR_INIT;
	struct backup_result mine;
	collect_days_pass(S);
	int rc = vault_fixture_backup(&collect_days_vault, collect_days_tree[n],
		collect_days_files[n], r == NULL ? &mine : r, &err);
	if (rc != 0)
		(void)fprintf(stderr, "  backup: %s\n", err.msg);
	return rc;
}

int collect_days_prune(size_t keep, struct err *err)
{
	static const struct prune_opts opts = { .cause = PRUNE_ORDER_RETENTION };
	struct snapshot_list list;
	const struct snapshot *going[256];
	size_t count = 0;
	int rc = prune_resume(collect_days_vault.vault, NULL, err);
	if (rc == 0)
		rc = snapshot_list(collect_days_vault.vault, NULL, NULL, &list, err);
	if (rc != 0)
		return rc;
	for (size_t i = 0; i + keep < list.count; i++)
		going[count++] = &list.at[i];
	if (count > 0)
		rc = prune_snapshots(collect_days_vault.vault, &opts, going, count, err);
	snapshot_list_done(&list);
	return rc;
}

int collect_days_collect(struct collect_result *r, int64_t grace_ns, struct err *err)
{
	struct collect_opts opts = { .fence_ns = COLLECT_FENCE_NS,
		.grace_ns = grace_ns,
		.repack_bytes = COLLECT_REPACK_BYTES,
		.sights = &collect_days_sights };
	struct collect_result mine;
	return collect_run(collect_days_vault.vault, &opts, r == NULL ? &mine : r, err);
}

static int note_pack(void *arg, const char *name, uint64_t size)
{
	uint8_t(*packs)[32] = arg;
	(void)size;
	return text_unhex(strrchr(name, '/') + 1, 32, packs[collect_days_sights.pack_count++]);
}

int collect_days_put_off_all(struct err *err)
{
	static uint8_t packs[1024][32];
	collect_days_sights.pack_count = 0;
	int rc = store_list(collect_days_vault.store, "pk/", note_pack, packs, err);
	return rc != 0 ? rc
		       : collect_sights_defer(&collect_days_sights, (const uint8_t(*)[32])packs,
				 collect_days_sights.pack_count, NULL, NULL, err);
}

static int count_name(void *arg, const char *name, uint64_t size)
{
	(void)size;
	(void)name;
	++*(int *)arg;
	return 0;
}

int collect_days_count(struct store *s, const char *prefix)
{
	int n = 0;
	return store_list(s, prefix, count_name, &n, NULL) == 0 ? n : -1;
}

const char *collect_days_differs(struct store *s, int nth, int n)
{
	return vault_fixture_differs(s, collect_days_vault.rk_sk, (size_t)nth, collect_days_tree[n],
		collect_days_files[n]);
}
