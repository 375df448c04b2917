#include "vault/vault_config.h"

#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "store/store.h"
#include "vault/domain.h"
#include "vault/vault_internal.h"

struct search {
	struct vault *v;
	struct buf *out;
	size_t begin; /* of the config in out */
	struct err *err;
};

/* The config that vault_open() chose is the one with its epoch and a trusted signature. */
static int try_config(void *arg, const char *name, uint64_t size)
{
	(void)size; /* bounded by the store */
	struct search *s = arg;
	CLEANUP(buf_done) struct buf body = BUF_INIT(SEALED_MAX_BYTES);
	struct domain d = { .epoch = 0 };
	const struct domain *now = &s->v->domain;
	int rc = vault_get_sealed(s->v, SEALED_CONFIG, name, &body, NULL);
	for (size_t i = 0; rc == 0 && s->out->len == s->begin && i < now->officer_count; i++) {
		if (domain_decode(body.data, body.len, now->officer_pk[i], &d, NULL) != 0)
			continue;
		if (d.epoch == now->epoch)
			rc = buf_add(s->out, body.data, body.len, s->err);
		domain_done(&d);
		if (rc != 0)
			return rc;
	}
	return 0; /* damaged ones are verify's affair */
}

int vault_config_get(struct vault *v, struct buf *out, struct err *err)
{
	struct search s = { .v = v, .out = out, .begin = out->len, .err = err };
	int rc = store_list(v->store, "cf/", try_config, &s, err);
	if (rc == 0 && out->len == s.begin)
		rc = err_set(err, ERR_NOT_FOUND, "the vault has no readable config");
	return rc;
}

static int decode_next(
	struct vault *v, const void *body, size_t len, struct domain *out, struct err *err)
{
	int rc = -ERR_AUTH;
	for (size_t i = 0; rc == -ERR_AUTH && i < v->domain.officer_count; i++)
		rc = domain_decode(body, len, v->domain.officer_pk[i], out, err);
	if (rc != 0)
		return rc == -ERR_AUTH && v->domain.officer_count == 0
			       ? err_set(err, ERR_AUTH, "the vault knows no officer")
			       : rc;
	if (memcmp(out->domain_id, v->domain.domain_id, sizeof(out->domain_id)) != 0)
		rc = err_set(err, ERR_AUTH, "the config is of another domain");
	else if (out->epoch != v->domain.epoch + 1) {
		err_set(err, ERR_BUSY, "the config is epoch %u, the next one is %u", out->epoch,
			v->domain.epoch + 1);
		rc = err_hint(err, "another change came first: fetch the config and sign it again");
	}
	if (rc != 0)
		domain_done(out);
	return rc;
}

int vault_config_put(struct vault *v, const void *body, size_t len, struct err *err)
{
	struct domain next = { .epoch = 0 };
	char name[VAULT_NAME_BYTES];
	int rc = decode_next(v, body, len, &next, err);
	if (rc != 0)
		return rc;
	rc = vault_put_sealed(v->store, &v->key, SEALED_CONFIG, "cf/", body, len, name, NULL, err);
	if (rc == 0)
		rc = store_barrier(v->store, err);
	if (rc != 0) {
		domain_done(&next);
		return rc;
	}
	domain_done(&v->domain);
	v->domain = next;
	return 0;
}
