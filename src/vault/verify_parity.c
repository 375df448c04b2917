#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "codec/text.h"
#include "crypto/hash.h"
#include "store/store.h"
#include "vault/missing.h"
#include "vault/parity_rebuild.h"
#include "vault/vault_internal.h"
#include "vault/verify_internal.h"

/*
 * Parity objects checked, and of damaged objects told whether parity brings them back.
 *
 * INVARIANTS
 * (1) "From parity" is said only when the bytes were made again and hashed to the name.
 */

/* A member that is not there: gone for good reason, or lost? */
static int check_member(
	struct verify *v, const char *object, const struct parity_member *m, struct err *why)
{
	uint64_t size = 0;
	int rc = store_stat(vault_store(v->vault), m->name, &size, why);
	if (rc == 0 && size == m->len)
		return 0;
	if (rc == 0)
		return 0; /* damaged: said of the member itself */
	if (rc != -ERR_NOT_FOUND)
		return rc;
	if (v->missing == NULL) {
		v->missing = calloc(1, sizeof(*v->missing));
		if (v->missing == NULL)
			return err_set(why, ERR_NOMEM, "out of memory");
		rc = missing_load(v->vault, &v->lists, v->missing, why);
		if (rc != 0)
			return rc;
	}
	if (!missing_is_lost(v->missing, m->name))
		return 0;
	struct err lost = ERR_INIT;
	err_set(&lost, ERR_NOT_FOUND, "it is not there, and parity object '%s' knows it", object);
	bool is_new = false;
	uint8_t hash[HASH_BYTES];
	hash_sha256(m->name, strlen(m->name), hash);
	rc = id_set_add(v->told, hash, 1, &is_new, why);
	if (rc == 0 && is_new) {
		verify_problem(v, m->name, &lost);
		verify_parity_note(v, m->name);
	}
	return rc;
}

int verify_parity_object(
	struct verify *v, const char *name, const struct buf *object, struct err *why)
{
	struct parity p = { .count = 0 };
	size_t need = 0;
	const char *hex = strrchr(name, '/');
	int rc = object->len < PARITY_TAIL_BYTES
			 ? err_set(why, ERR_CORRUPT, "a parity object of %zu bytes", object->len)
			 : parity_need(object->data + object->len - PARITY_TAIL_BYTES, &need, why);
	if (rc == 0 && need > object->len)
		rc = err_set(why, ERR_CORRUPT, "its trailer is longer than it is");
	if (rc == 0)
		rc = parity_decode(object->data + object->len - need, need, object->len, &p, why);
	if (rc == 0 && (hex == NULL || strlen(name) != 3 + 2 + 1 + 64 ||
			       strncmp(name + 3, hex + 1, 2) != 0))
		rc = err_set(why, ERR_CORRUPT, "the object lies in the wrong folder");
	for (size_t s = 0; rc == 0 && s < parity_stripes(p.len); s++) {
		uint8_t hash[HASH_BYTES];
		hash_sha256(object->data + s * PARITY_STRIPE_BYTES, parity_stripe_bytes(p.len, s),
			hash);
		if (memcmp(hash, parity_stripe_hash(&p, p.count, s), sizeof(hash)) != 0)
			rc = err_set(why, ERR_CORRUPT,
				"its trailer has another hash of its stripe %zu", s);
	}
	for (size_t i = 0; rc == 0 && i < p.count; i++)
		rc = check_member(v, name, &p.at[i], why);
	if (rc == 0)
		v->result->parity_objects++;
	return rc;
}

void verify_parity_note(struct verify *v, const char *name)
{
	char(*grown)[STORE_MAX_NAME_BYTES + 1] =
		reallocarray(v->damaged, v->damaged_count + 1, sizeof(*grown));
	if (grown == NULL)
		return; /* one that is not told; the problem itself was */
	v->damaged = grown;
	(void)snprintf(v->damaged[v->damaged_count++], STORE_MAX_NAME_BYTES + 1, "%s", name);
}

int verify_parity_tell(struct verify *v, struct err *err)
{
	struct parity_set set = { .count = 0 };
	struct buf out = BUF_INIT(STORE_MAX_OBJECT_BYTES);
	int rc = 0;
	if (v->damaged_count > 0 && v->opts->on_repair != NULL)
		rc = parity_set_load(vault_store(v->vault), &set, err);
	for (size_t i = 0; rc == 0 && i < v->damaged_count && v->opts->on_repair != NULL; i++) {
		const char *name = v->damaged[i];
		struct err why = ERR_INIT;
		bool is_parity = strncmp(name, PARITY_PREFIX, strlen(PARITY_PREFIX)) == 0;
		if (!is_parity && !parity_is_member(name, NULL, NULL))
			continue;
		buf_clear(&out);
		int got = parity_rebuild_run(vault_store(v->vault), &set, name, &out, &why);
		if (got == -ERR_NOMEM)
			rc = err_set(err, ERR_NOMEM, "out of memory");
		v->result->repairable += got == 0;
		v->opts->on_repair(v->opts->arg, name, got == 0);
		if (rc == 0)
			rc = verify_step(v, 0, err);
	}
	parity_set_done(&set);
	buf_done(&out);
	return rc;
}
