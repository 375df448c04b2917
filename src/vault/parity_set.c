#include "vault/parity_set.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/log.h"
#include "store/store.h"

/*
 * INVARIANTS
 * (1) What is damaged in one object says nothing of another.
 */

int parity_set_trailer(struct store *store, const char *name, uint64_t size, struct buf *trailer,
	struct parity *out, struct err *err)
{
	size_t need = 0;
	buf_clear(trailer);
	if (size < PARITY_TAIL_BYTES)
		return err_set(err, ERR_CORRUPT, "a parity object of %llu bytes",
			(unsigned long long)size);
	int rc = store_get_range(
		store, name, size - PARITY_TAIL_BYTES, PARITY_TAIL_BYTES, trailer, err);
	if (rc == 0)
		rc = parity_need(trailer->data, &need, err);
	if (rc == 0 && (need > size || need > PARITY_SET_TRAILER_MAX))
		rc = err_set(err, ERR_CORRUPT, "a parity trailer of %zu bytes", need);
	buf_clear(trailer);
	if (rc == 0)
		rc = store_get_range(store, name, size - need, need, trailer, err);
	return rc != 0 ? rc : parity_decode(trailer->data, trailer->len, size, out, err);
}

struct loading {
	struct parity_set *set;
	struct err *err;
};

static int keep(void *arg, const char *name, uint64_t size)
{
	struct loading *l = arg;
	struct parity_set *s = l->set;
	if (strlen(name) >= PARITY_NAME_BYTES)
		return 0; /* no object of ours */
	if (s->count == s->cap) {
		size_t cap = s->cap == 0 ? 16 : s->cap * 2;
		struct parity_set_object *grown = reallocarray(s->at, cap, sizeof(*grown));
		if (grown == NULL)
			return err_set(l->err, ERR_NOMEM, "out of memory");
		s->at = grown;
		s->cap = cap;
	}
	struct parity_set_object *o = &s->at[s->count++];
	memset(o, 0, sizeof(*o));
	(void)snprintf(o->name, sizeof(o->name), "%s", name); /* checked */
	o->size = size;
	return 0;
}

static int compare(const void *left, const void *right)
{
	return strcmp(((const struct parity_set_object *)left)->name,
		((const struct parity_set_object *)right)->name);
}

int parity_set_load(struct store *store, struct parity_set *out, struct err *err)
{
	struct parity_set s = { .count = 0 };
	struct loading l = { .set = &s, .err = err };
	CLEANUP(buf_done) struct buf trailer = BUF_INIT(PARITY_SET_TRAILER_MAX);
	int rc = store_list(store, PARITY_PREFIX, keep, &l, err);
	if (rc == 0 && s.count > 1)
		qsort(s.at, s.count, sizeof(*s.at), compare);
	for (size_t i = 0; rc == 0 && i < s.count; i++) {
		struct err why = ERR_INIT;
		struct parity_set_object *o = &s.at[i];
		int got = parity_set_trailer(store, o->name, o->size, &trailer, &o->parity, &why);
		o->is_readable = got == 0;
		o->parity.hashes = NULL;
		if (got == -ERR_NOMEM)
			rc = err_set(err, ERR_NOMEM, "out of memory");
		else if (got != 0)
			log_debug("parity_set.load", "object=%s error=%s, continuing", o->name,
				why.msg);
	}
	if (rc == 0)
		*out = s;
	else
		parity_set_done(&s);
	return rc;
}

void parity_set_done(struct parity_set *s)
{
	free(s->at);
	memset(s, 0, sizeof(*s));
}

unsigned parity_set_rows(const struct parity_set *s)
{
	unsigned rows = 0;
	for (size_t i = 0; i < s->count; i++) {
		if (s->at[i].is_readable && s->at[i].parity.rows > rows)
			rows = s->at[i].parity.rows;
	}
	return rows;
}

int parity_set_member(const struct parity *p, const char *name)
{
	for (size_t i = 0; i < p->count; i++) {
		if (strcmp(p->at[i].name, name) == 0)
			return (int)i;
	}
	return -1;
}
