#include "tests/lib/locked_vault.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "store/s3/store_s3.h"
#include "vault/lock_class.h"
#include "vault/prune.h"
#include "vault/snapshot.h"

#define BIG 60000

static uint8_t noise[BIG], steady[BIG];

static void must(int rc, const struct err *err)
{
	if (rc != 0) {
		(void)fprintf(stderr, "locked_vault: %s\n", err->msg);
		abort();
	}
}

struct store *locked_vault_store(struct locked_vault *l, bool is_oldest)
{
	char place[256];
	struct err err = ERR_INIT;
	struct store *s = NULL;
	const struct store_s3_opts opts = { .create = !is_oldest,
		.is_read_only = is_oldest,
		.is_oldest = is_oldest,
		.wants_lock = lock_class_wants };
	(void)snprintf(place, sizeof(place), "http://127.0.0.1:%d/" S3_STUB_BUCKET "/plant",
		s3_stub_port(l->stub));
	must(store_s3_open(place, &opts, &s, &err), &err);
	return s;
}

void locked_vault_init(struct locked_vault *l, bool has_policy)
{
	const struct s3_stub_kind kind = { .has_versions = true, .has_lock = true };
	const struct store_lock lock = { STORE_LOCK_COMPLIANCE,
		LOCKED_VAULT_KEEP_S * INT64_C(1000000000) };
	struct err err = ERR_INIT;
	memset(l, 0, sizeof(*l));
	s3_stub_environment();
	l->stub = s3_stub_new(&kind);
	struct store *s = locked_vault_store(l, false);
	if (has_policy)
		must(store_set_lock(s, &lock, &err), &err);
	vault_fixture_init_in(&l->f, s);
}

void locked_vault_done(struct locked_vault *l)
{
	collect_sights_done(&l->sights);
	vault_fixture_done(&l->f);
	s3_stub_free(l->stub);
}

static void fill(int n, struct fake_file files[2])
{
	vault_fixture_noise(noise, sizeof(noise), 1000 + (uint64_t)n);
	vault_fixture_noise(steady, sizeof(steady), 7);
	files[0] = (struct fake_file){
		.path = "a", .kind = ENTRY_FILE, .data = noise, .len = sizeof(noise), .mtime_s = n
	};
	files[1] = (struct fake_file){
		.path = "b", .kind = ENTRY_FILE, .data = steady, .len = sizeof(steady), .mtime_s = 5
	};
}

int locked_vault_backup(struct locked_vault *l, int n, struct err *err)
{
	struct fake_file files[2];
	struct backup_result r;
	fill(n, files);
	return vault_fixture_backup(&l->f, files, 2, &r, err);
}

const char *locked_vault_differs(struct locked_vault *l, struct store *s, size_t nth, int n)
{
	struct fake_file files[2];
	fill(n, files);
	return vault_fixture_differs(s, l->f.rk_sk, nth, files, 2);
}

void locked_vault_prune(struct locked_vault *l)
{
	const struct prune_opts o = { .cause = PRUNE_ORDER_RETENTION };
	struct err err = ERR_INIT;
	struct snapshot_list list;
	must(snapshot_list(l->f.vault, NULL, NULL, &list, &err), &err);
	const struct snapshot *going[16];
	size_t count = list.count - 1;
	must(count < 16 ? 0 : -ERR_LIMIT, &err);
	for (size_t i = 0; i < count; i++)
		going[i] = &list.at[i];
	must(prune_snapshots(l->f.vault, &o, going, count, &err), &err);
	snapshot_list_done(&list);
}

int locked_vault_collect(
	struct locked_vault *l, int64_t grace_ns, struct collect_result *r, struct err *err)
{
	const struct collect_opts o = { .fence_ns = COLLECT_FENCE_NS,
		.grace_ns = grace_ns,
		.repack_bytes = COLLECT_REPACK_BYTES,
		.sights = &l->sights };
	return collect_run(l->f.vault, &o, r, err);
}

struct finding {
	size_t nth, seen;
	char *out;
};

static int see(void *arg, const char *name, uint64_t size)
{
	struct finding *f = arg;
	(void)size;
	if (f->seen++ == f->nth && f->out != NULL)
		(void)snprintf(f->out, 256, LOCKED_VAULT_PREFIX "%s", name);
	return 0;
}

const char *locked_vault_key(struct locked_vault *l, const char *prefix, size_t nth)
{
	static char key[256];
	struct err err = ERR_INIT;
	struct finding f = { .nth = nth, .out = key };
	key[0] = '\0';
	must(store_list(l->f.store, prefix, see, &f, &err), &err);
	must(key[0] != '\0' ? 0 : err_set(&err, ERR_NOT_FOUND, "no object %s", prefix), &err);
	return key;
}

size_t locked_vault_count(struct locked_vault *l, const char *prefix)
{
	struct err err = ERR_INIT;
	struct finding f = { .out = NULL };
	must(store_list(l->f.store, prefix, see, &f, &err), &err);
	return f.seen;
}

void locked_vault_layer(struct locked_vault *l, const char *key, bool is_attacked)
{
	struct err err = ERR_INIT;
	struct buf bytes = BUF_INIT(STORE_MAX_OBJECT_BYTES);
	const char *name = key + strlen(LOCKED_VAULT_PREFIX);
	must(store_get(l->f.store, name, &bytes, &err), &err);
	(void)s3_stub_destroy(l->stub, key, true);
	bytes.data[bytes.len / 2] ^= 1;
	s3_stub_put(l->stub, key, bytes.data, bytes.len);
	must(store_remove(l->f.store, name, &err), &err);
	must(store_barrier(l->f.store, &err), &err);
	bytes.data[bytes.len / 2] ^= 1;
	s3_stub_put(l->stub, key, bytes.data, bytes.len);
	bytes.data[bytes.len / 2] ^= 1;
	if (is_attacked)
		s3_stub_put(l->stub, key, bytes.data, bytes.len);
	buf_done(&bytes);
}
