#include "vault/verify.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "codec/text.h"
#include "crypto/hash.h"
#include "store/store.h"
#include "vault/index.h"
#include "vault/vault_internal.h"
#include "vault/verify_internal.h"

/*
 * INVARIANTS
 * (1) A finding never stops the run: everything that can be looked at is looked at.
 * (2) "good" holds a record only when its pack hashes to its name and the record to its ID.
 */

struct names {
	char **at;
	uint64_t *sizes;
	size_t count, cap;
	uint64_t bytes;
	struct err *err;
};

void verify_problem(struct verify *v, const char *object, const struct err *why)
{
	struct verify_finding f = { .is_warning = false, .object = object, .what = why->msg };
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
	if (n->count == n->cap) {
		size_t cap = n->cap == 0 ? 1024 : n->cap * 2;
		char **at = reallocarray(n->at, cap, sizeof(*at));
		if (at != NULL)
			n->at = at;
		uint64_t *sizes = reallocarray(n->sizes, cap, sizeof(*sizes));
		if (sizes != NULL)
			n->sizes = sizes;
		if (at == NULL || sizes == NULL)
			return err_set(n->err, ERR_NOMEM, "out of memory");
		n->cap = cap;
	}
	n->at[n->count] = strdup(name);
	if (n->at[n->count] == NULL)
		return err_set(n->err, ERR_NOMEM, "out of memory");
	n->sizes[n->count++] = size;
	n->bytes += size;
	return 0;
}

static void names_done(struct names *n)
{
	for (size_t i = 0; i < n->count; i++)
		free(n->at[i]);
	free(n->at);
	free(n->sizes);
}

static int check_objects(struct verify *v, const struct names *n, struct err *err)
{
	for (size_t i = 0; i < n->count; i++) {
		v->result->objects++;
		int rc = verify_objects_one(v, n->at[i], n->sizes[i], err);
		if (rc == 0)
			rc = verify_step(v, n->sizes[i], err);
		if (rc != 0)
			return rc;
	}
	return 0;
}

static bool is_source_of(const struct snapshot *a, const struct snapshot *b)
{
	return memcmp(a->record.agent_id, b->record.agent_id, 16) == 0 &&
	       memcmp(a->record.source_id, b->record.source_id, 16) == 0;
}

/* The chain of one source: every number from 1 on, each naming the one before. */
static void check_chain(struct verify *v, const struct snapshot_list *l, const struct snapshot *s)
{
	struct err why = ERR_INIT;
	uint8_t none[HASH_BYTES] = { 0 };
	const struct snapshot *prev = NULL;
	if (s->is_forked) {
		err_set(&why, ERR_FORK, "another snapshot of the source has number %llu too",
			(unsigned long long)s->record.seq);
		verify_problem(v, s->object, &why);
	}
	for (size_t i = 0; i < l->count; i++) {
		if (is_source_of(&l->at[i], s) && l->at[i].record.seq + 1 == s->record.seq)
			prev = &l->at[i];
	}
	if (s->record.seq == 1 && memcmp(s->record.prev, none, sizeof(none)) == 0)
		return;
	if (s->record.seq != 1 && prev != NULL && memcmp(prev->hash, s->record.prev, 32) == 0)
		return;
	if (s->record.seq == 1 || prev != NULL)
		err_set(&why, ERR_CORRUPT, "the snapshot does not name its predecessor");
	else
		err_set(&why, ERR_CORRUPT, "snapshot number %llu of this source is missing",
			(unsigned long long)s->record.seq - 1);
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
	if (id_set_find(c->v->good, id) != cr_len) {
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

static int check_snapshots(struct verify *v, struct err *err)
{
	struct snapshot_list list = { .at = NULL };
	struct id_set *seen = NULL;
	struct fetch *fetch = NULL;
	int rc = snapshot_list(v->vault, bad_snapshot, v, &list, err);
	if (rc == 0 && vault_domain(v->vault)->epoch == 0)
		verify_warning(v, "cf/", "no readable config: signers cannot be checked");
	if (rc == 0)
		rc = id_set_new(&seen, err);
	if (rc == 0)
		rc = fetch_new(v->vault, &fetch, err);
	for (size_t i = 0; rc == 0 && i < list.count; i++) {
		v->result->snapshots++;
		check_chain(v, &list, &list.at[i]);
		rc = check_refs(v, &list.at[i], err);
		if (rc == 0)
			rc = check_envelopes(v, &list.at[i], err);
		if (rc == 0 && v->opts->sk != NULL)
			rc = verify_content_snapshot(v, fetch, &list.at[i], seen, err);
	}
	fetch_free(fetch);
	id_set_free(seen);
	snapshot_list_done(&list);
	return rc;
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
	int rc = id_set_new(&v.good, err);
	if (rc == 0)
		rc = store_list(vault_store(vault), "", keep_name, &names, err);
	v.total = names.bytes;
	const struct err *header = vault_no_header(vault);
	if (rc == 0 && header != NULL && header->code == ERR_NOT_FOUND)
		verify_problem(&v, "vh/", header); /* one that is there is named below */
	if (rc == 0)
		rc = check_objects(&v, &names, err);
	buf_done(&v.object);
	if (rc == 0)
		rc = check_snapshots(&v, err);
	names_done(&names);
	id_set_free(v.good);
	if (rc == 0)
		*out = result;
	return rc;
}
