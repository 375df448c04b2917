#include "vault/verify.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/env.h"
#include "base/err.h"
#include "base/spill.h"
#include "codec/text.h"
#include "crypto/hash.h"
#include "store/store.h"
#include "vault/chain_links.h"
#include "vault/index.h"
#include "vault/lock_keep.h"
#include "vault/prune.h"
#include "vault/slot.h"
#include "vault/snaprec.h"
#include "vault/vault_internal.h"
#include "vault/verify_ages.h"
#include "vault/verify_internal.h"

/*
 * INVARIANTS
 * (1) A finding never stops the run: everything that can be looked at is looked at.
 * (2) "good" holds a record only when its pack hashes to its name and the record to its ID.
 */

/* The names of all objects, in memory that may lie in a file: there is one for each pack. */
struct name {
	uint64_t size;
	uint64_t at; /* in text */
};

struct names {
	struct spill names; /* struct name */
	struct spill text;  /* each with its NUL */
	size_t count, len;
	uint64_t bytes;
	struct err *err;
};

void verify_problem(struct verify *v, const char *object, const struct err *why)
{
	struct verify_finding f = { .is_warning = false, .object = object, .what = why->msg };
	if (why->code == ERR_NOMEM) {
		v->is_short = true;
		return;
	}
	v->result->problems++;
	if (v->opts->on_finding != NULL)
		v->opts->on_finding(v->opts->arg, &f);
}

void verify_warning(struct verify *v, const char *object, const char *what)
{
	struct verify_finding f = { .is_warning = true, .object = object, .what = what };
	v->result->warnings++;
	if (v->opts->on_finding != NULL)
		v->opts->on_finding(v->opts->arg, &f);
}

int verify_step(struct verify *v, uint64_t bytes, struct err *err)
{
	v->done += bytes;
	if (v->opts->on_progress != NULL)
		v->opts->on_progress(v->opts->arg, v->done, v->total);
	if (v->opts->is_stopped != NULL && v->opts->is_stopped(v->opts->arg))
		return err_set(err, ERR_INTERRUPTED, "verification was stopped");
	return 0;
}

static int keep_name(void *arg, const char *name, uint64_t size)
{
	struct names *n = arg;
	size_t len = strlen(name) + 1;
	int rc = spill_reserve(&n->names, (n->count + 1) * sizeof(struct name), n->err);
	if (rc == 0)
		rc = spill_reserve(&n->text, n->len + len, n->err);
	if (rc != 0)
		return rc;
	((struct name *)n->names.at)[n->count++] = (struct name){ .size = size, .at = n->len };
	memcpy((char *)n->text.at + n->len, name, len);
	n->len += len;
	n->bytes += size;
	return 0;
}

static void names_done(struct names *n)
{
	spill_done(&n->names);
	spill_done(&n->text);
}

static const char *name_at(const struct names *n, size_t i)
{
	return (const char *)n->text.at + ((const struct name *)n->names.at)[i].at;
}

static int64_t now_s(void)
{
	return env_now_ns() / 1000000000;
}

/* The hash in the name of a pack; -1 for another object. */
static int pack_hash(const char *name, uint8_t hash[HASH_BYTES])
{
	const char *end = strrchr(name, '/');
	return strncmp(name, "pk/", 3) != 0 || strlen(end + 1) != 2 * HASH_BYTES
		       ? -1
		       : text_unhex(end + 1, HASH_BYTES, hash);
}

/* Which packs are left for another time; *${out} is owned, one for each name. */
static int choose(struct verify *v, const struct names *n, bool **out, struct err *err)
{
	const struct verify_opts *o = v->opts;
	CLEANUP(cleanup_free_p) uint8_t(*ids)[HASH_BYTES] = calloc(n->count + 1, sizeof(*ids));
	CLEANUP(cleanup_free_p)
	struct verify_ages_item *items = calloc(n->count + 1, sizeof(*items));
	CLEANUP(cleanup_free_p) size_t *at = calloc(n->count + 1, sizeof(*at));
	bool *left = calloc(n->count + 1, sizeof(*left));
	uint64_t total = 0;
	size_t count = 0;
	*out = left;
	if (ids == NULL || items == NULL || at == NULL || left == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	for (size_t i = 0; i < n->count; i++) {
		const uint64_t size = ((const struct name *)n->names.at)[i].size;
		if (pack_hash(name_at(n, i), ids[count]) != 0)
			continue;
		items[count] = (struct verify_ages_item){ .id = ids[count], .size = size };
		at[count++] = i;
		total += size;
	}
	uint64_t budget = o->budget_bytes;
	if (o->budget_percent > 0)
		budget = total / 100 * o->budget_percent + 1;
	int rc = verify_ages_choose(
		o->ages, items, count, o->older_than_ns / 1000000000, budget, now_s(), err);
	for (size_t i = 0; rc == 0 && i < count; i++)
		left[at[i]] = items[i].is_left;
	return rc;
}

static bool is_pack(const char *name)
{
	return strncmp(name, "pk/", 3) == 0;
}

static int check_objects(struct verify *v, const struct names *n, struct err *err)
{
	CLEANUP(cleanup_free_p) bool *left = NULL;
	int rc = v->opts->ages == NULL ? 0 : choose(v, n, &left, err);
	/* the packs at the end: the memory of neither is wanted for the others */
	for (size_t i = 0; rc == 0 && i < n->count; i++) {
		const uint64_t size = ((const struct name *)n->names.at)[i].size;
		v->result->objects++;
		if (is_pack(name_at(n, i)))
			continue;
		rc = verify_objects_one(v, name_at(n, i), size, err);
		if (rc == 0)
			rc = verify_step(v, size, err);
	}
	buf_done(&v->object);
	for (size_t i = 0; rc == 0 && i < n->count; i++) {
		const uint64_t size = ((const struct name *)n->names.at)[i].size;
		if (!is_pack(name_at(n, i)))
			continue;
		if (left == NULL || !left[i]) {
			rc = verify_packs_give(v, name_at(n, i), size, err);
			continue;
		}
		rc = verify_objects_left(v, name_at(n, i), size, err);
		if (rc == 0)
			rc = verify_step(v, size, err);
	}
	return rc != 0 ? rc : verify_packs_end(v, err);
}

static void pass_over(void *arg, const char *object, const struct err *why)
{
	(void)arg;
	(void)object;
	(void)why; /* told when the object itself was checked */
}

/* The chain of one source: every number from 1 on, each naming the one before. */
static void check_chain(struct verify *v, const struct chain_links *links, const struct snapshot *s)
{
	struct err why = ERR_INIT;
	if (s->is_forked) {
		err_set(&why, ERR_FORK, "another snapshot of the source has number %llu too",
			(unsigned long long)s->record.seq);
		verify_problem(v, s->object, &why);
	}
	switch (chain_links_before(links, &s->record)) {
	case CHAIN_LINK_IS_THERE:
		return;
	case CHAIN_LINK_MISSING:
		err_set(&why, ERR_CORRUPT, "snapshot number %llu of this source is missing",
			(unsigned long long)s->record.seq - 1);
		break;
	case CHAIN_LINK_ANOTHER:
		err_set(&why, ERR_CORRUPT, "the snapshot does not name its predecessor");
		break;
	}
	verify_problem(v, s->object, &why);
}

struct refs_check {
	struct verify *v;
	struct index *index;
	uint8_t last[HASH_BYTES];
	uint64_t missing;
	uint8_t first_missing[HASH_BYTES];
};

static int check_ref(void *arg, const uint8_t id[32], uint32_t cr_len, struct err *err)
{
	(void)err; /* a missing record is counted, the walk goes on */
	struct refs_check *c = arg;
	memcpy(c->last, id, sizeof(c->last));
	if (id_marks_find(c->v->good, id) != cr_len) {
		if (c->missing++ == 0)
			memcpy(c->first_missing, id, sizeof(c->first_missing));
	}
	return 0;
}

static int check_refs(struct verify *v, const struct snapshot *s, struct err *err)
{
	struct refs_check c = { .v = v };
	struct err why = ERR_INIT;
	int rc = snapshot_refs(v->vault, s, check_ref, &c, &why);
	if (vault_is_object_loss(rc)) {
		verify_problem(v, s->object, &why);
		return 0;
	}
	if (rc != 0) {
		if (err != NULL)
			*err = why;
		return rc;
	}
	if (c.missing > 0) {
		char hex[2 * HASH_BYTES + 1];
		text_hex(c.first_missing, HASH_BYTES, hex);
		err_set(&why, ERR_CORRUPT,
			"%llu of its records are missing or damaged, the first is %s",
			(unsigned long long)c.missing, hex);
		verify_problem(v, s->object, &why);
	} else if (memcmp(c.last, s->record.root_id, sizeof(c.last)) != 0) {
		err_set(&why, ERR_CORRUPT, "its reference list does not end with its root");
		verify_problem(v, s->object, &why);
	}
	return 0;
}

/* The envelopes object: there, opens, of this snapshot, with a recovery envelope. */
static int check_envelopes(struct verify *v, const struct snapshot *s, struct err *err)
{
	struct err why = ERR_INIT;
	int rc = snapshot_check_envelopes(v->vault, s, &why);
	if (vault_is_object_loss(rc)) {
		verify_problem(v, s->object, &why);
		return 0;
	}
	if (rc != 0 && err != NULL)
		*err = why;
	return rc;
}

static void bad_snapshot(void *arg, const char *object, const struct err *why)
{
	verify_problem(arg, object, why);
}

/* A snapshot that was pruned, or became void, while it was looked at is no finding. */
static int is_live_still(struct verify *v, const struct snapshot *s, struct err *err)
{
	struct snapshot_list now = { .at = NULL };
	int is_live = 0;
	int rc = snapshot_list(v->vault, pass_over, NULL, &now, err);
	for (size_t i = 0; rc == 0 && i < now.count; i++)
		is_live |= memcmp(now.at[i].hash, s->hash, sizeof(s->hash)) == 0;
	snapshot_list_done(&now);
	return rc != 0 ? rc : is_live;
}

/* Findings that wait for the answer. */
struct held {
	struct err at[4]; /* a snapshot has at most two */
	size_t count;
};

static void hold_finding(void *arg, const struct verify_finding *f)
{
	struct held *h = arg;
	if (h->count < sizeof(h->at) / sizeof(h->at[0]))
		err_set(&h->at[h->count++], ERR_CORRUPT, "%s", f->what);
}

/* What a live snapshot needs. */
static int check_live(struct verify *v, const struct snapshot *s, struct err *err)
{
	struct held held = { .count = 0 };
	struct verify trial = *v;
	struct verify_opts holding = *v->opts;
	struct verify_result result = { .problems = 0 };
	holding.on_finding = hold_finding;
	holding.arg = &held;
	trial.opts = &holding;
	trial.result = &result;
	int rc = check_refs(&trial, s, err);
	if (rc == 0)
		rc = check_envelopes(&trial, s, err);
	v->is_short = v->is_short || trial.is_short;
	if (rc != 0 || held.count == 0)
		return rc;
	rc = is_live_still(v, s, err);
	for (size_t i = 0; rc > 0 && i < held.count; i++)
		verify_problem(v, s->object, &held.at[i]);
	return rc < 0 ? rc : 0;
}

/* Everything in it opened and compared, unless that was done lately. */
static int check_content(
	struct verify *v, const struct snapshot *s, struct id_set *seen, struct err *err)
{
	struct verify_ages *ages = v->opts->ages;
	const uint64_t before = v->result->problems;
	int64_t at = ages == NULL ? VERIFY_AGES_NEVER : verify_ages_get(ages, s->hash);
	if (v->opts->sk == NULL)
		return 0;
	if (at > VERIFY_AGES_NEVER && at <= now_s() &&
		now_s() - at < v->opts->older_than_ns / 1000000000) {
		v->result->left_snapshots++;
		return 0;
	}
	int rc = verify_content_snapshot(v, s, seen, err);
	if (rc == 0 && ages != NULL && !v->is_short)
		verify_ages_set(ages, s->hash,
			v->result->problems > before ? VERIFY_AGES_DAMAGED : now_s());
	return rc;
}

static int check_snapshots(struct verify *v, struct err *err)
{
	struct snapshot_list list = { .at = NULL };
	struct chain_links links = { .at = NULL };
	struct id_set *seen = NULL;
	int rc = snapshot_list_all(v->vault, bad_snapshot, v, &list, err);
	if (rc == 0)
		rc = chain_links_load(v->vault, &list, pass_over, NULL, &links, err);
	if (rc == 0 && vault_domain(v->vault)->epoch == 0) { /* init puts one before the header */
		struct err why = ERR_INIT;
		err_set(&why, ERR_NOT_FOUND,
			"the vault has no readable config: no signature can be checked, nothing "
			"can be backed up, and who may read new snapshots is lost");
		verify_problem(v, "cf/", &why);
	}
	if (rc == 0)
		rc = id_set_new(&seen, err);
	for (size_t i = 0; rc == 0 && i < list.count; i++) {
		check_chain(v, &links, &list.at[i]);
		if (list.at[i].fate != SNAPSHOT_LIVE)
			continue;
		v->result->snapshots++;
		rc = check_live(v, &list.at[i], err);
		if (rc == 0)
			rc = check_content(v, &list.at[i], seen, err);
	}
	id_set_free(seen);
	chain_links_done(&links);
	snapshot_list_done(&list);
	return rc;
}

/* Every recovery key of the config has its key slot (docs/FORMAT.md section 7).  The slot is the
 * one that exists for these inputs, so that its name is known without the recovery key. */
static void check_slots(struct verify *v)
{
	const struct domain *d = vault_domain(v->vault);
	const struct sealed_key *key = vault_sealed_key(v->vault);
	for (size_t i = 0; d->epoch != 0 && i < d->recovery_count; i++) {
		struct err why = ERR_INIT;
		uint8_t slot[SLOT_HFKV_BYTES];
		uint8_t hash[HASH_BYTES];
		char name[3 + 2 * HASH_BYTES + 1] = "ks/";
		uint64_t size;
		int rc = slot_hfkv_seal(
			key->vault_id, key->kv_epoch, key->k_vault, d->recovery_pk[i], slot, &why);
		if (rc == 0) {
			hash_sha256(slot, sizeof(slot), hash);
			text_hex(hash, sizeof(hash), name + 3);
			rc = store_stat(vault_store(v->vault), name, &size, &why);
		}
		if (rc == -ERR_NOT_FOUND)
			err_set(&why, ERR_NOT_FOUND,
				"the key slot is missing with which a recovery key opens the "
				"vault");
		if (rc != 0)
			verify_problem(v, name, &why);
	}
}

struct roots {
	struct verify *v;
	struct id_set *there; /* owned; rkids of HFKR slots */
	struct err *err;
};

static int see_root(void *arg, const char *name, uint64_t size)
{
	struct roots *r = arg;
	CLEANUP(buf_done) struct buf slot = BUF_INIT(4096);
	const uint8_t *rkid = size != SLOT_HFKR_BYTES || vault_get_hashed(vault_store(r->v->vault),
								 name, &slot, NULL) != 0
				      ? NULL
				      : slot_hfkr_rkid(slot.data, slot.len);
	return rkid == NULL ? 0 : id_set_add(r->there, rkid, 1, NULL, r->err);
}

/* Every recovery key but the first has a slot that leads it to the officer.  Which is the first
 * cannot be told here: one may be without. */
static int check_roots(struct verify *v, struct err *err)
{
	const struct domain *d = vault_domain(v->vault);
	struct roots r = { .v = v, .err = err };
	size_t without = 0;
	struct err why = ERR_INIT;
	if (d->epoch == 0 || d->recovery_count < 2)
		return 0;
	int rc = id_set_new(&r.there, err);
	if (rc == 0)
		rc = store_list(vault_store(v->vault), "ks/", see_root, &r, err);
	for (size_t i = 0; rc == 0 && i < d->recovery_count; i++) {
		uint8_t rkid[32];
		snaprec_rkid(d->recovery_pk[i], rkid);
		without += id_set_find(r.there, rkid) == 0;
	}
	id_set_free(r.there);
	if (rc != 0 || without < 2)
		return rc;
	err_set(&why, ERR_NOT_FOUND,
		"a key slot (HFKR) is missing or damaged: a recovery key finds no officer without "
		"it, and does not open the vault's config");
	verify_problem(v, "ks/", &why);
	return 0;
}

/* Where objects are to be locked: are those that snapshots need?  Nothing is damaged if not.  It is
 * a request for each of them: a run that reads only a part of the packs does not ask. */
static int check_locks(struct verify *v, struct err *err)
{
	struct store_lock lock;
	const struct lock_keep_opts dry = { .is_dry_run = true };
	struct lock_keep_result r;
	char what[256];
	struct store *s = vault_store(v->vault);
	const struct verify_opts *o = v->opts;
	store_locks_by(s, &lock);
	if (lock.mode == STORE_LOCK_NONE || o->older_than_ns > 0 || o->budget_bytes > 0 ||
		o->budget_percent > 0)
		return 0;
	struct err why = ERR_INIT;
	int rc = lock_keep_run(s, v->vault, &dry, &r, &why);
	if (rc == -ERR_AUTH || rc == -ERR_UNSUPPORTED) { /* this key may not look */
		verify_warning(v, "pk/", why.msg);
		return 0;
	}
	if (rc != 0 && err != NULL)
		*err = why;
	if (rc != 0 || r.unlocked + r.ending + r.hidden == 0)
		return rc;
	(void)snprintf(what, sizeof(what),
		"of %llu objects that snapshots need %llu are not locked and %llu for too short "
		"(see 'holdfast vault lock'), %llu were removed or replaced (see 'holdfast vault "
		"undelete')",
		(unsigned long long)r.objects, (unsigned long long)r.unlocked,
		(unsigned long long)r.ending, (unsigned long long)r.hidden); /* fits */
	verify_warning(v, "pk/", what);
	return 0;
}

/* The index gives the records their numbers, and is believed in nothing; without one (it cannot be
 * read, which is told of its objects) they are kept by their IDs, in ${none}. */
static int begin_good(struct verify *v, struct index **none, struct err *err)
{
	struct index *index = NULL;
	struct err why = ERR_INIT;
	int rc = fetch_new(v->vault, &v->fetch, err);
	if (rc != 0)
		return rc;
	if (fetch_index(v->fetch, &index, &why) != 0) {
		rc = index_new(none, err);
		index = *none;
	}
	return rc != 0 ? rc : id_marks_new(index, &v->good, err);
}

int verify_run(struct vault *vault, const struct verify_opts *opts, struct verify_result *out,
	struct err *err)
{
	struct verify_result result = { .objects = 0 };
	struct verify v = { .vault = vault,
		.opts = opts,
		.result = &result,
		.object = BUF_INIT(STORE_MAX_OBJECT_BYTES) };
	struct names names = { .err = err };
	struct index *none = NULL;
	int rc = begin_good(&v, &none, err);
	if (rc == 0)
		rc = id_set_new(&v.told, err);
	if (rc == 0)
		rc = verify_packs_new(&v, err);
	if (rc == 0)
		rc = block_memo_new(&v.blocks, err);
	if (rc == 0)
		rc = collect_view_look(vault, &v.lists, pass_over, NULL, err);
	if (rc == 0)
		rc = store_list(vault_store(vault), "", keep_name, &names, err);
	v.total = names.bytes;
	const struct err *header = vault_no_header(vault);
	if (rc == 0 && header != NULL && header->code == ERR_NOT_FOUND)
		verify_problem(&v, "vh/", header); /* one that is there is named below */
	if (rc == 0)
		rc = check_objects(&v, &names, err);
	verify_packs_free(&v);
	buf_done(&v.object);
	if (rc == 0)
		check_slots(&v);
	if (rc == 0)
		rc = check_roots(&v, err);
	if (rc == 0)
		rc = check_snapshots(&v, err);
	if (rc == 0)
		rc = verify_parity_tell(&v, err);
	if (rc == 0)
		rc = check_locks(&v, err);
	if (rc == 0 && v.is_short)
		rc = err_set(err, ERR_NOMEM, "out of memory: not everything was verified");
	names_done(&names);
	collect_view_done(&v.lists);
	id_set_free(v.told);
	free(v.damaged);
	if (v.missing != NULL)
		missing_done(v.missing);
	free(v.missing);
	id_marks_free(v.good);
	verify_content_free(&v);
	fetch_free(v.fetch);
	index_free(none);
	block_memo_free(v.blocks);
	if (rc == 0)
		*out = result;
	return rc;
}
