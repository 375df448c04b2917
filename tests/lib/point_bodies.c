#include "tests/lib/point_bodies.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "codec/text.h"
#include "store/store.h"
#include "vault/sealed.h"
#include "vault/snapshot.h"
#include "vault/vault.h"

static void must(int rc, const struct err *err)
{
	if (rc != 0) {
		(void)fprintf(stderr, "point_bodies: %s\n", err->msg);
		abort();
	}
}

static void unseal(struct vault *v, enum sealed_kind kind, const char *name, struct buf *out)
{
	struct err err = ERR_INIT;
	struct buf object = BUF_INIT(SEALED_MAX_BYTES);
	*out = (struct buf)BUF_INIT(SEALED_MAX_BYTES);
	must(store_get(vault_store(v), name, &object, &err), &err);
	must(sealed_open(vault_sealed_key(v), kind, object.data, object.len, out, &err), &err);
	buf_done(&object);
}

/* The config whose epoch is that of the opened vault; there is one object per epoch. */
struct newest {
	struct vault *v;
	struct buf *out;
};

static int look(void *arg, const char *name, uint64_t size)
{
	(void)size;
	struct newest *n = arg;
	struct buf body;
	struct domain d = { .epoch = 0 };
	struct err err = ERR_INIT;
	unseal(n->v, SEALED_CONFIG, name, &body);
	must(domain_decode(body.data, body.len, NULL, &d, &err), &err);
	if (d.epoch == vault_domain(n->v)->epoch && n->out->data == NULL)
		*n->out = body;
	else
		buf_done(&body);
	domain_done(&d);
	return 0;
}

void point_bodies_read(struct vault *v, const struct snapshot *s, struct point_bodies *out)
{
	struct err err = ERR_INIT;
	char name[80] = "ev/";
	unseal(v, SEALED_SNAPSHOT, s->object, &out->snapshot);
	text_hex(s->body.ev, sizeof(s->body.ev), name + 3);
	unseal(v, SEALED_ENVELOPES, name, &out->envelopes);
	out->config = (struct buf)BUF_INIT(SEALED_MAX_BYTES);
	struct newest n = { .v = v, .out = &out->config };
	must(store_list(vault_store(v), "cf/", look, &n, &err), &err);
}

void point_bodies_done(struct point_bodies *b)
{
	buf_done(&b->snapshot);
	buf_done(&b->envelopes);
	buf_done(&b->config);
}
