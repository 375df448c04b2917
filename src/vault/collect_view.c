#include "vault/collect_view.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "codec/text.h"
#include "store/store.h"
#include "vault/vault_internal.h"

/*
 * INVARIANTS
 * (1) After a look every gc/ object of one listing, and every dd/ object of a later one, was read
 *     or counted as unreadable: a pack on its way from condemned to gone is seen at some step.
 */

#define LOOKS 16

struct looking {
	struct vault *v;
	struct collect_view *view;
	collect_view_bad_fn on_bad;
	void *arg;
	bool is_missed; /* an object was listed and is no more */
	struct err *err;
};

static struct collect_view_entry *find(struct collect_view *view, const char *name)
{
	for (size_t i = 0; i < view->count; i++) {
		if (strcmp(view->at[i].name, name) == 0)
			return &view->at[i];
	}
	return NULL;
}

static int read_list(
	struct vault *v, const char *name, struct collect_view_entry *e, struct err *err)
{
	CLEANUP(buf_done) struct buf object = BUF_INIT(STORE_MAX_OBJECT_BYTES);
	int rc = vault_get_hashed(v->store, name, &object, err);
	if (rc == 0)
		rc = collect_list_open(&v->key, name, object.data, object.len, &e->list, err);
	e->is_readable = rc == 0;
	return rc;
}

static int see(void *arg, const char *name, uint64_t size)
{
	(void)size; /* bounded by the store */
	struct looking *l = arg;
	struct collect_view_entry *known = find(l->view, name);
	if (known != NULL) {
		known->is_gone = false;
		return 0;
	}
	struct err why = ERR_INIT;
	struct collect_view_entry e = { .is_readable = false };
	size_t len = strlen(name);
	if (len >= sizeof(e.name) || len < 64 ||
		text_unhex(name + len - 64, sizeof(e.hash), e.hash) != 0)
		return 0; /* no name of this format: docs/FORMAT.md section 2 leaves it alone */
	int rc = read_list(l->v, name, &e, &why);
	if (rc == -ERR_NOT_FOUND) {
		l->is_missed = true;
		return 0;
	}
	if (rc != 0 && (l->on_bad == NULL || !vault_is_object_loss(rc))) {
		(void)err_wrap(&why, "collection list '%s'", name);
		if (l->err != NULL)
			*l->err = why;
		return rc;
	}
	struct collect_view_entry *grown =
		reallocarray(l->view->at, l->view->count + 1, sizeof(*grown));
	if (grown == NULL) {
		collect_list_done(&e.list);
		return err_set(l->err, ERR_NOMEM, "out of memory");
	}
	memcpy(e.name, name, len < sizeof(e.name) ? len : sizeof(e.name) - 1);
	grown[l->view->count++] = e;
	l->view->at = grown;
	if (rc != 0) {
		l->view->unreadable++;
		l->on_bad(l->arg, name, &why);
	}
	return 0;
}

static int look(struct looking *l, const char *prefix)
{
	for (int i = 0; i < LOOKS; i++) {
		l->is_missed = false;
		for (size_t k = 0; k < l->view->count; k++) {
			if (strncmp(l->view->at[k].name, prefix, 3) == 0)
				l->view->at[k].is_gone = true;
		}
		int rc = store_list(l->v->store, prefix, see, l, l->err);
		if (rc != 0 || !l->is_missed)
			return rc;
	}
	return err_set(l->err, ERR_BUSY, "the lists below '%s' change too fast to be read", prefix);
}

int collect_view_look(struct vault *v, struct collect_view *view, collect_view_bad_fn on_bad,
	void *arg, struct err *err)
{
	struct looking l = { .v = v, .view = view, .on_bad = on_bad, .arg = arg, .err = err };
	int rc = look(&l, "gc/");
	return rc != 0 ? rc : look(&l, "dd/");
}

void collect_view_done(struct collect_view *view)
{
	for (size_t i = 0; i < view->count; i++)
		collect_list_done(&view->at[i].list);
	free(view->at);
	memset(view, 0, sizeof(*view));
}

bool collect_view_is_absent(const struct collect_view *view, bool is_now, const uint8_t pack[32])
{
	for (size_t i = 0; i < view->count; i++) {
		if (!(is_now && view->at[i].is_gone) &&
			collect_list_has(&view->at[i].list, COLLECT_LIST_PACK, pack))
			return true;
	}
	return false;
}

bool collect_view_is_dead(
	const struct collect_view *view, enum collect_list_class class, const uint8_t hash[32])
{
	for (size_t i = 0; i < view->count; i++) {
		if (view->at[i].list.type == COLLECT_LIST_DEAD &&
			collect_list_has(&view->at[i].list, class, hash))
			return true;
	}
	return false;
}

bool collect_view_is_fenced(const struct collect_view *view, const uint8_t session[16])
{
	for (size_t i = 0; i < view->count; i++) {
		const struct collect_list *l = &view->at[i].list;
		if ((l->type == COLLECT_LIST_FENCE && collect_list_has_session(l, session)) ||
			collect_list_verdict(l, session) != NULL)
			return true;
	}
	return false;
}

bool collect_view_is_void(
	const struct collect_view *view, const uint8_t session[16], const uint8_t snap_hash[32])
{
	for (size_t i = 0; i < view->count; i++) {
		const struct collect_list_verdict *v =
			collect_list_verdict(&view->at[i].list, session);
		if (v != NULL && memcmp(v->snap_hash, snap_hash, 32) != 0)
			return true;
	}
	return false;
}
