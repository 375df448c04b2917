#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/escape.h"
#include "crypto/hash.h"
#include "vault/fetch.h"
#include "vault/repair_internal.h"
#include "vault/snapshot.h"
#include "vault/tree_reader.h"
#include "vault/vault_internal.h"

/*
 * Which records can be read, and which snapshots and files need others.
 *
 * INVARIANTS
 * (1) good holds no record of a pack that is damaged and was not salvaged, and none that lies only
 *     in packs which a collection has condemned or buried: those go.
 */

int repair_loss_add(struct repair *r, const struct fetch_footer *f, struct err *err)
{
	int rc = 0;
	for (size_t i = 0; rc == 0 && i < f->count; i++)
		rc = id_set_add(r->good, f->at[i].id, f->at[i].cr_len, NULL, err);
	return rc;
}

struct walk {
	struct repair *r;
	struct err *err;
};

static int add_pack(void *arg, const char *name, uint64_t size)
{
	struct walk *w = arg;
	struct fetch_footer footer = { .at = NULL };
	struct err why = ERR_INIT;
	uint8_t hash[HASH_BYTES];
	const struct repair_object *o = repair_find(w->r, name);
	bool is_whole = o == NULL ||
			(!w->r->opts->is_dry_run &&
				(o->state == REPAIR_FROM_PARITY || o->state == REPAIR_FROM_COPY));
	if (!is_whole || !parity_is_member(name, hash, NULL) ||
		collect_view_is_absent(&w->r->view, false, hash))
		return 0;
	int rc = fetch_footer(w->r->v, hash, size, &footer, &why);
	if (rc == 0)
		rc = repair_loss_add(w->r, &footer, &why);
	fetch_footer_done(&footer);
	if (vault_is_object_loss(rc))
		return 0; /* of another epoch, or newer: verify names it */
	if (rc != 0 && w->err != NULL)
		*w->err = why;
	return rc;
}

int repair_loss_good(struct repair *r, struct err *err)
{
	struct walk w = { .r = r, .err = err };
	return store_list(r->store, "pk/", add_pack, &w, err);
}

/* ---- losses told ------------------------------------------------------------------------------
 */

struct need {
	struct repair *r;
	uint64_t missing;
};

static int check_ref(void *arg, const uint8_t id[32], uint32_t cr_len, struct err *err)
{
	struct need *n = arg;
	(void)err;
	n->missing += id_set_find(n->r->good, id) != cr_len;
	return 0;
}

static void pass_over(void *arg, const char *object, const struct err *why)
{
	(void)arg;
	(void)object;
	(void)why; /* damaged: told as such */
}

struct telling {
	struct repair *r;
	const struct snapshot *snapshot;
	struct fetch *fetch;
	uint64_t missing; /* records of the file at hand */
};

static void tell(struct telling *t, const char *path, const char *what)
{
	struct repair_loss l = { .object = t->snapshot->object,
		.snap_hash = t->snapshot->hash,
		.path = path,
		.what = what };
	if (t->r->opts->on_loss != NULL)
		t->r->opts->on_loss(t->r->opts->arg, &l);
}

static int check_extent(void *arg, const struct extent *x, struct err *err)
{
	struct telling *t = arg;
	(void)err;
	if (!x->is_hole && id_set_find(t->r->good, x->ref.id) != x->ref.cr_len)
		t->missing++;
	return 0;
}

static void tell_file(struct telling *t, const uint8_t *key, size_t key_len, const char *what)
{
	CLEANUP(buf_done) struct buf path = BUF_INIT(2 * ENTRY_MAX_KEY_BYTES);
	char safe[4096];
	if (entry_key_path(key, key_len, &path, NULL) != 0)
		buf_clear(&path);
	(void)escape_text(safe, sizeof(safe), (const char *)path.data, path.len); /* cut is fine */
	t->r->r.files_hurt++;
	tell(t, safe, what);
}

static int walk_files(struct telling *t, struct tree_reader *reader, struct err *err)
{
	for (;;) {
		const uint8_t *key;
		size_t key_len;
		struct entry e;
		char what[96];
		int rc = tree_reader_next(reader, &key, &key_len, &e, err);
		if (rc <= 0)
			return rc;
		if (e.kind != ENTRY_FILE)
			continue;
		struct err why = ERR_INIT;
		t->missing = 0;
		rc = tree_reader_extents(reader, &e, check_extent, t, &why);
		if (rc == -ERR_NOMEM)
			return err_set(err, ERR_NOMEM, "out of memory");
		if (rc != 0) {
			tell_file(t, key, key_len, why.msg);
			continue;
		}
		(void)snprintf(what, sizeof(what), "%llu of its records are lost",
			(unsigned long long)t->missing); /* fits */
		if (t->missing > 0)
			tell_file(t, key, key_len, what);
	}
}

static int tell_files(struct telling *t, struct err *err)
{
	struct snapshot_opened opened;
	struct tree_reader *reader = NULL;
	struct err why = ERR_INIT;
	int rc = snapshot_open(t->r->v, t->fetch, t->snapshot, t->r->opts->sk, &opened, &why);
	if (rc == 0)
		rc = tree_reader_new(fetch_source(t->fetch), &opened.root.top, &reader, &why);
	if (rc == 0)
		rc = walk_files(t, reader, &why);
	tree_reader_free(reader);
	if (rc == 0)
		return 0;
	if (vault_is_object_loss(rc)) {
		(void)err_wrap(&why, "its tree cannot be read further, more files may be lost");
		tell(t, NULL, why.msg);
		return 0;
	}
	if (err != NULL)
		*err = why;
	return rc;
}

static int tell_snapshot(struct telling *t, struct err *err)
{
	struct need n = { .r = t->r };
	struct err why = ERR_INIT;
	char what[ERR_MSG_BYTES];
	int rc = snapshot_refs(t->r->v, t->snapshot, check_ref, &n, &why);
	if (rc != 0 && !vault_is_object_loss(rc)) {
		if (err != NULL)
			*err = why;
		return rc;
	}
	if (rc == 0 && n.missing == 0)
		return 0;
	if (rc == 0)
		(void)snprintf(what, sizeof(what), "%llu of its records are lost",
			(unsigned long long)n.missing); /* fits */
	t->r->r.snapshots_hurt++;
	tell(t, NULL, rc == 0 ? what : why.msg);
	return t->r->opts->sk == NULL ? 0 : tell_files(t, err);
}

int repair_loss_tell(struct repair *r, struct err *err)
{
	struct snapshot_list list = { .at = NULL };
	struct telling t = { .r = r };
	int rc = snapshot_list(r->v, pass_over, NULL, &list, err);
	if (rc == 0)
		rc = fetch_new(r->v, &t.fetch, err);
	for (size_t i = 0; rc == 0 && i < list.count; i++) {
		t.snapshot = &list.at[i];
		rc = tell_snapshot(&t, err);
	}
	fetch_free(t.fetch);
	snapshot_list_done(&list);
	return rc;
}
