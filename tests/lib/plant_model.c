#include "tests/lib/plant_model.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "codec/text.h"
#include "restore/restore_run.h"
#include "restore/restore_writer.h"
#include "tests/lib/prove_slice.h"
#include "vault/collect.h"
#include "vault/fetch.h"
#include "vault/prune.h"
#include "vault/slot.h"
#include "vault/snapshot.h"

/*
 * INVARIANTS
 * (1) A snapshot is in snaps from the moment its backup returned 0 until a prune of it returned 0.
 * (2) Every file is a piece of the pool, so that a state costs no memory of its own.
 */

#define POOL_BYTES (1u << 20)
#define TABLE_MAX (PLANT_FILES + 1)
#define MAX_HOLE 70000
#define START_NS (INT64_C(1767225600) * 1000000000)

static uint8_t pool[POOL_BYTES];
static struct env_ops fake;
static int64_t passed_ns;
static uint64_t random_row;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char why_text[1400];

static int64_t fake_now(void)
{
	return START_NS + passed_ns;
}

static int64_t fake_mono(void)
{
	return 1000 + passed_ns;
}

static int fake_random(void *out, size_t len)
{
	uint8_t *p = out;
	(void)pthread_mutex_lock(&lock); /* the pipeline has threads */
	for (size_t i = 0; i < len; i++)
		p[i] = (uint8_t)prove_slice_random(&random_row, 256);
	(void)pthread_mutex_unlock(&lock);
	return 0;
}

const struct env_ops *plant_model_env(uint64_t seed)
{
	fake = *env_real();
	fake.now_ns = fake_now;
	fake.mono_ns = fake_mono;
	fake.random = fake_random;
	random_row = seed;
	passed_ns = 0;
	(void)env_swap(&fake);
	return &fake;
}

void plant_model_pass(int64_t ns)
{
	passed_ns += ns;
}

static void fill_pool(void)
{
	if (pool[0] != 0)
		return;
	vault_fixture_noise(pool, sizeof(pool), 5);
	for (size_t i = POOL_BYTES / 2; i + 24 < POOL_BYTES; i += 24) /* what packs well */
		(void)snprintf((char *)pool + i, 25, "%7zu temp=%7zu ok\n", i, i * i % 99991);
	pool[0] = 1;
}

static void must(int rc, const struct err *err, const char *what)
{
	if (rc != 0) {
		(void)fprintf(stderr, "plant_model: %s: %s\n", what, err->msg);
		abort();
	}
}

void plant_model_init(struct plant_model *p, uint64_t seed, struct store *store)
{
	struct err err = ERR_INIT;
	struct vault_init_opts opts = { .pass = VAULT_FIXTURE_PASS,
		.pass_len = strlen(VAULT_FIXTURE_PASS),
		.is_recovery_on_store = true,
		.scrypt_log2n = VAULT_FIXTURE_LOG2N,
		.drill_group = "line3" };
	memset(p, 0, sizeof(*p));
	fill_pool();
	p->row = seed;
	p->max_bytes = 20000;
	p->f.store = store;
	must(vault_init(store, &opts, &p->f.keys, &err), &err, "vault_init");
	must(slot_hfbg_open(p->f.keys.recovery, sizeof(p->f.keys.recovery), VAULT_FIXTURE_PASS,
		     strlen(VAULT_FIXTURE_PASS), p->f.rk_sk, &err),
		&err, "slot_hfbg_open");
}

void plant_model_done(struct plant_model *p)
{
	vault_close(p->f.vault);
	p->f.vault = NULL;
	collect_sights_done(&p->sights);
	memset(&p->sights, 0, sizeof(p->sights));
}

void plant_model_move(struct plant_model *p, struct store *store)
{
	plant_model_done(p);
	p->f.store = store;
}

static int open_vault(struct plant_model *p, struct err *err)
{
	struct vault_keys keys;
	vault_close(p->f.vault);
	p->f.vault = NULL;
	vault_keys_of_writer(&p->f.keys.writer, &keys);
	return vault_open(p->f.store, &keys, &p->f.vault, err);
}

void plant_model_change(struct plant_model *p)
{
	uint64_t changes = 1 + prove_slice_random(&p->row, 4);
	for (uint64_t i = 0; i < changes; i++) {
		struct plant_file *f = &p->now.at[prove_slice_random(&p->row, PLANT_FILES)];
		uint64_t what = prove_slice_random(&p->row, 8);
		f->is_there = what != 0;
		f->len = (uint32_t)prove_slice_random(&p->row, what < 4 ? 600 : p->max_bytes);
		f->from = (uint32_t)prove_slice_random(&p->row, POOL_BYTES - f->len);
		f->hole = what == 1 ? (uint32_t)prove_slice_random(&p->row, MAX_HOLE) : 0;
		f->mtime_s = fake_now() / 1000000000 + (int64_t)i;
	}
}

static size_t table_of(const struct plant_state *s, struct fake_file table[TABLE_MAX])
{
	static const char names[PLANT_FILES][8] = { "srv/a", "srv/b", "srv/c", "srv/d", "srv/e",
		"srv/f", "srv/g", "srv/h", "srv/i", "srv/j", "srv/k", "srv/l" };
	size_t count = 0;
	table[count++] = (struct fake_file){ .path = "srv", .kind = ENTRY_DIR, .mtime_s = 100 };
	for (size_t i = 0; i < PLANT_FILES; i++) {
		const struct plant_file *f = &s->at[i];
		if (f->is_there)
			table[count++] = (struct fake_file){ .path = names[i],
				.kind = ENTRY_FILE,
				.data = pool + f->from,
				.len = f->len,
				.hole = f->hole,
				.mtime_s = f->mtime_s };
	}
	return count;
}

static void add_snapshot(
	struct plant_model *p, const uint8_t hash[32], const struct plant_state *state)
{
	if (p->snap_count == PLANT_SNAPSHOTS) {
		(void)fprintf(stderr, "plant_model: too many snapshots\n");
		abort();
	}
	struct plant_snapshot *s = &p->snaps[p->snap_count++];
	memcpy(s->hash, hash, sizeof(s->hash));
	s->state = *state;
	s->is_going = false;
}

static void add_maybe(struct plant_model *p)
{
	if (p->maybe_count == PLANT_MAYBES) /* the oldest was there or never comes */
		memmove(&p->maybes[0], &p->maybes[1], --p->maybe_count * sizeof(p->maybes[0]));
	p->maybes[p->maybe_count++] = p->now;
}

int plant_model_backup(struct plant_model *p, struct err *err)
{
	struct fake_file table[TABLE_MAX];
	struct backup_result made = { .seq = 0 };
	plant_model_pass(1000000000);
	int rc = open_vault(p, err);
	if (rc != 0)
		return rc;
	rc = vault_fixture_backup(&p->f, table, table_of(&p->now, table), &made, err);
	if (rc != 0) {
		add_maybe(p);
		return rc;
	}
	add_snapshot(p, made.snap_hash, &p->now);
	p->f.host.memory.seq = made.seq;
	memcpy(p->f.host.memory.hash, made.snap_hash, sizeof(made.snap_hash));
	return 0;
}

/* What earlier orders took is taken now: a snapshot that is still listed stays until it is asked
 * for again, whatever an order that a crash lost had said.  */
static void forget_orders(struct plant_model *p, const struct snapshot_list *list)
{
	for (size_t k = 0; k < p->snap_count; k++) {
		for (size_t i = 0; i < list->count; i++) {
			if (memcmp(p->snaps[k].hash, list->at[i].hash, 32) == 0)
				p->snaps[k].is_going = false;
		}
	}
}

/* The snapshots that nothing keeps: those of the model, and what failed backups left. */
static int prune_list(
	struct plant_model *p, const struct snapshot_list *list, size_t keep, struct err *err)
{
	static const struct prune_opts opts = { .cause = PRUNE_ORDER_RETENTION };
	const struct snapshot *going[PLANT_SNAPSHOTS + PLANT_MAYBES];
	size_t count = 0;
	for (size_t i = 0; i + keep < list->count; i++) {
		if (count == sizeof(going) / sizeof(going[0]))
			return err_set(err, ERR_LIMIT, "more snapshots than were made");
		going[count++] = &list->at[i];
		for (size_t k = 0; k < p->snap_count; k++) {
			if (memcmp(p->snaps[k].hash, list->at[i].hash, 32) == 0)
				p->snaps[k].is_going = true;
		}
	}
	return count == 0 ? 0 : prune_snapshots(p->f.vault, &opts, going, count, err);
}

int plant_model_prune(struct plant_model *p, size_t keep, struct err *err)
{
	struct snapshot_list list = { .at = NULL };
	plant_model_pass(1000000000);
	int rc = open_vault(p, err);
	if (rc == 0)
		rc = prune_resume(p->f.vault, NULL, err);
	if (rc == 0)
		rc = snapshot_list(p->f.vault, NULL, NULL, &list, err);
	if (rc != 0)
		return rc;
	forget_orders(p, &list);
	rc = prune_list(p, &list, keep, err);
	snapshot_list_done(&list);
	size_t left = 0;
	for (size_t i = 0; rc == 0 && i < p->snap_count; i++) {
		if (!p->snaps[i].is_going)
			p->snaps[left++] = p->snaps[i];
	}
	if (rc == 0)
		p->snap_count = left;
	return rc;
}

struct packs {
	uint8_t (*at)[32];
	size_t count, cap;
};

static int note_pack(void *arg, const char *name, uint64_t size)
{
	struct packs *all = arg;
	(void)size;
	if (all->count == all->cap) {
		size_t cap = all->cap == 0 ? 64 : all->cap * 2;
		uint8_t(*at)[32] = reallocarray(all->at, cap, sizeof(*at));
		if (at == NULL)
			return -ERR_NOMEM;
		all->at = at;
		all->cap = cap;
	}
	return text_unhex(strrchr(name, '/') + 1, 32, all->at[all->count++]);
}

/* As if every pack that is there had been put off before, and the sessions of then were over. */
static int put_off_all(struct plant_model *p, struct err *err)
{
	struct packs all = { .count = 0 };
	int rc = store_list(p->f.store, "pk/", note_pack, &all, err);
	if (rc == 0)
		rc = collect_sights_defer(
			&p->sights, (const uint8_t(*)[32])all.at, all.count, NULL, NULL, err);
	free(all.at);
	return rc;
}

int plant_model_collect(struct plant_model *p, struct err *err)
{
	struct collect_opts opts = { .repack_bytes = COLLECT_REPACK_BYTES,
		.fence_ns = p->fence_ns,
		.grace_ns = p->grace_ns,
		.sights = &p->sights };
	struct collect_result r;
	plant_model_pass(1000000000);
	int rc = open_vault(p, err);
	if (rc == 0)
		rc = put_off_all(p, err);
	if (rc == 0)
		rc = collect_run(p->f.vault, &opts, &r, err);
	if (rc == 0 && r.missing_records > 0)
		return err_set(err, ERR_CORRUPT, "%llu records are missing",
			(unsigned long long)r.missing_records);
	return rc;
}

static bool is_same_file(int dirfd, const struct fake_file *f)
{
	struct stat st;
	CLEANUP(cleanup_close_p)
	int fd = openat(dirfd, f->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW); /* not through env */
	if (fd < 0 || fstat(fd, &st) != 0)
		return false;
	if (f->kind == ENTRY_DIR)
		return S_ISDIR(st.st_mode);
	size_t len = f->len + (size_t)f->hole;
	uint8_t *got = calloc(1, len + 1);
	bool is_same = got != NULL && (size_t)st.st_size == len &&
		       read(fd, got, len + 1) == (ssize_t)len &&
		       memcmp(got, f->data, f->len) == 0 &&
		       vault_fixture_is_zero(got + f->len, f->hole);
	free(got);
	return is_same;
}

static int restore_snapshot(struct plant_model *p, struct fetch *fetch, const struct snapshot *snap,
	int dirfd, struct restore_run_result *result, struct err *err)
{
	struct restore_writer_opts how = { .overwrite = RESTORE_REPLACE, .no_owner = true };
	struct restore_writer *writer = NULL;
	struct snapshot_opened opened;
	int rc = snapshot_open(p->f.vault, fetch, snap, p->f.rk_sk, &opened, err);
	if (rc == 0)
		rc = restore_writer_new(dirfd, &how, &writer, err);
	if (rc != 0)
		return rc;
	const struct restore_run_opts opts = {
		.source = fetch_source(fetch), .top = &opened.root.top, .writer = writer
	};
	rc = restore_run_tree(&opts, result, err);
	restore_writer_free(writer);
	return rc;
}

int plant_model_restore(struct plant_model *p, int dirfd, struct err *err)
{
	struct fetch *fetch = NULL;
	struct snapshot_list list = { .at = NULL };
	struct restore_run_result result = { .files = 0 };
	struct fake_file table[TABLE_MAX];
	const struct plant_snapshot *newest = &p->snaps[p->snap_count - 1];
	const struct snapshot *snap = NULL;
	int rc = open_vault(p, err);
	if (rc == 0)
		rc = fetch_new(p->f.vault, &fetch, err);
	if (rc == 0)
		rc = snapshot_list(p->f.vault, NULL, NULL, &list, err);
	for (size_t i = 0; rc == 0 && i < list.count; i++) {
		if (memcmp(list.at[i].hash, newest->hash, 32) == 0)
			snap = &list.at[i];
	}
	if (rc == 0 && snap == NULL)
		rc = err_set(err, ERR_NOT_FOUND, "the newest snapshot is not there");
	if (rc == 0)
		rc = restore_snapshot(p, fetch, snap, dirfd, &result, err);
	snapshot_list_done(&list);
	fetch_free(fetch);
	if (rc != 0)
		return rc;
	if (result.damaged + result.failed > 0)
		return err_set(err, ERR_FAILED, "%llu entries left out, and told",
			(unsigned long long)(result.damaged + result.failed));
	size_t count = table_of(&newest->state, table);
	for (size_t i = 0; i < count; i++) {
		if (!is_same_file(dirfd, &table[i]))
			return err_set(err, ERR_CORRUPT, "'%s' differs, and nothing was told",
				table[i].path);
	}
	return 0;
}

static const char *say(const char *text, size_t number, const char *more)
{
	(void)snprintf(why_text, sizeof(why_text), "snapshot %zu: %s%s%s", number, text,
		more == NULL ? "" : ": ", more == NULL ? "" : more);
	return why_text;
}

/* One that is in the store and not in the model: a backup whose answer was lost. */
static const char *check_unknown(struct plant_model *p, struct vault *vault, struct fetch *fetch,
	const struct snapshot *s, size_t number, bool is_own)
{
	struct fake_file table[TABLE_MAX];
	for (size_t i = p->maybe_count; i > 0; i--) {
		size_t count = table_of(&p->maybes[i - 1], table);
		if (vault_fixture_compare(vault, fetch, s, p->f.rk_sk, table, count) != NULL)
			continue;
		if (is_own) {
			add_snapshot(p, s->hash, &p->maybes[i - 1]);
			p->adopted++;
		}
		return NULL;
	}
	return say("nobody made it, or it is not what was read", number, NULL);
}

static const char *check_list(struct plant_model *p, struct vault *vault, struct fetch *fetch,
	const struct snapshot_list *list, unsigned look, bool is_own)
{
	struct fake_file table[TABLE_MAX];
	bool is_seen[PLANT_SNAPSHOTS] = { false };
	size_t known = p->snap_count;
	for (size_t i = 0; i < list->count; i++) {
		const char *why = NULL;
		size_t k = 0;
		while (k < known && memcmp(p->snaps[k].hash, list->at[i].hash, 32) != 0)
			k++;
		if (k == known) {
			why = check_unknown(p, vault, fetch, &list->at[i], i, is_own);
		} else {
			is_seen[k] = true;
			if ((look & PLANT_MODEL_COMPARED) == 0 && i + 1 < list->count)
				continue;
			size_t count = table_of(&p->snaps[k].state, table);
			why = vault_fixture_compare(
				vault, fetch, &list->at[i], p->f.rk_sk, table, count);
			why = why == NULL ? NULL : say(why, i, NULL);
		}
		if (why != NULL)
			return why;
	}
	size_t left = 0;
	for (size_t k = 0; k < p->snap_count; k++) {
		bool is_gone = k < known && !is_seen[k];
		if (is_gone && !p->snaps[k].is_going)
			return say("acknowledged, and lost", k, NULL);
		if (!is_gone || !is_own)
			p->snaps[left++] = p->snaps[k];
	}
	p->snap_count = left;
	return NULL;
}

const char *plant_model_check(struct plant_model *p, struct store *store, unsigned look)
{
	struct err err = ERR_INIT;
	struct vault *vault = NULL;
	struct fetch *fetch = NULL;
	struct snapshot_list list = { .at = NULL };
	const char *why = NULL;
	if (vault_fixture_open(store, p->f.rk_sk, &vault, &err) != 0)
		return say("the vault does not open", 0, err.msg);
	if (fetch_new(vault, &fetch, &err) != 0 ||
		snapshot_list(vault, NULL, NULL, &list, &err) != 0)
		why = say("no list", 0, err.msg);
	else
		why = check_list(p, vault, fetch, &list, look, store == p->f.store);
	snapshot_list_done(&list);
	fetch_free(fetch);
	vault_close(vault);
	if (why == NULL && (look & PLANT_MODEL_VERIFIED) != 0 &&
		vault_fixture_problems(store, p->f.rk_sk) != 0)
		why = say("verify has findings", 0, NULL);
	return why;
}
