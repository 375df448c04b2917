#include "vault/vault_init.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/env.h"
#include "base/err.h"
#include "crypto/hash.h"
#include "crypto/hpke.h"
#include "crypto/secret.h"
#include "store/store.h"
#include "vault/store_text.h"
#include "vault/vault.h"
#include "vault/vault_header.h"
#include "vault/vault_internal.h"
#include "vault/version_table.h"

/*
 * INVARIANTS
 * (1) The header is the last object written: without it there is no vault, and a new init of a
 *     store where an earlier one broke off is refused by the objects it left, never mixed in.
 * (2) No header before an HFKV slot for the recovery key is on the store and recomputes.
 * (3) Nothing is made where versions of a vault lie that somebody deleted by name: the oldest
 *     versions would show two vaults.  Nor does taking a vault away again touch any such version.
 */

static int refuse_any(void *arg, const char *name, uint64_t size)
{
	(void)size; /* any object counts */
	struct err *err = arg;
	if (strncmp(name, "vh/", 3) == 0) {
		err_set(err, ERR_EXISTS, "there is a vault here already");
		return err_hint(err, "choose an empty directory; a vault is never overwritten");
	}
	err_set(err, ERR_EXISTS, "the store is not empty: it holds '%s'", name);
	return err_hint(err, "choose an empty or a new directory");
}

static int refuse_version(void *arg, const struct store_version *v, struct err *err)
{
	(void)arg; /* any counts */
	if (v->is_marker)
		return 0;
	err_set(err, ERR_EXISTS,
		"a vault that was deleted lies here: the store keeps versions of its objects, as "
		"of '%s'",
		v->name);
	return err_hint(err, "'holdfast vault undelete' brings it back; for another vault choose "
			     "another place");
}

/* Invariant 3. */
static int refuse_hidden(struct store *store, struct err *err)
{
	static const char *const classes[] = { "vh/", "sn/", "pk/" };
	struct err why = ERR_INIT;
	int rc = 0;
	if ((store_features(store) & STORE_HAS_VERSIONS) == 0)
		return 0;
	for (size_t i = 0; rc == 0 && i < sizeof(classes) / sizeof(classes[0]); i++)
		rc = store_versions(store, classes[i], refuse_version, NULL, &why);
	if (rc == -ERR_AUTH || rc == -ERR_UNSUPPORTED)
		return 0; /* who may list none has no way to know, nor to purge any */
	if (rc != 0 && err != NULL)
		*err = why;
	return rc;
}

static int find_probe(void *arg, const char *name, uint64_t size)
{
	if (strcmp(name, VAULT_INIT_PROBE) == 0 && size == 8)
		*(bool *)arg = true;
	return 0;
}

int vault_init_probe(struct store *store, struct err *err)
{
	static const char bytes[8] = "holdfast";
	CLEANUP(buf_done) struct buf back = BUF_INIT(64);
	bool is_listed = false;
	int rc = store_put(store, VAULT_INIT_PROBE, bytes, sizeof(bytes), err);
	if (rc == 0)
		rc = store_barrier(store, err);
	if (rc == 0)
		rc = store_get(store, VAULT_INIT_PROBE, &back, err);
	if (rc == 0)
		rc = store_list(store, "", find_probe, &is_listed, err);
	if (rc == 0)
		rc = store_remove(store, VAULT_INIT_PROBE, err);
	if (rc != 0)
		return err_wrap(err, "unable to use the store");
	if (!is_listed || back.len != sizeof(bytes) || memcmp(back.data, bytes, sizeof(bytes)) != 0)
		return err_set(err, ERR_FAILED,
			"the store does not show at once what was written to it; it cannot hold a "
			"vault");
	return 0;
}

/* Invariant 2: what lies on the store now is the slot, byte for byte, and opens. */
static int check_slot(struct store *store, const char *name, const uint8_t *slot,
	const struct keyring_root *root, const uint8_t k_vault[32], struct err *err)
{
	CLEANUP(buf_done) struct buf back = BUF_INIT(4096);
	int rc = vault_get_hashed(store, name, &back, err);
	if (rc != 0)
		return rc;
	uint8_t vault_id[16];
	uint8_t k[32];
	uint32_t epoch;
	if (back.len != SLOT_HFKV_BYTES || memcmp(back.data, slot, SLOT_HFKV_BYTES) != 0)
		return err_set(err, ERR_CORRUPT, "the key slot reads back different");
	rc = slot_hfkv_open(back.data, back.len, root->rk_sk, vault_id, &epoch, k, err);
	if (rc == 0 && !hash_is_equal(k, k_vault, sizeof(k)))
		rc = err_set(err, ERR_CORRUPT, "the key slot opens to another key");
	secret_wipe(k, sizeof(k));
	return rc;
}

static int put_text(struct store *store, const char *name, const char *text, struct err *err)
{
	CLEANUP(buf_done) struct buf sealed = BUF_INIT(STORE_MAX_OBJECT_BYTES);
	int rc = store_text_seal(text, &sealed, err);
	return rc != 0 ? rc : store_put(store, name, sealed.data, sealed.len, err);
}

int vault_init_texts(struct store *store, struct err *err)
{
	int rc = put_text(store, "README.txt", store_text_readme, err);
	return rc != 0 ? rc : put_text(store, "FORMAT.txt", store_text_format, err);
}

static int put_header(struct vault *v, struct err *err)
{
	v->head = (struct vault_header){ .major = VAULT_HEADER_MAJOR,
		.minor = VAULT_HEADER_MINOR,
		.generation = 1,
		.suites = VAULT_HEADER_SUITE_1,
		.kv_epoch = v->key.kv_epoch };
	memcpy(v->head.vault_id, v->key.vault_id, sizeof(v->head.vault_id));
	return vault_put_header(v, err);
}

static int put_slots(struct vault *v, const struct vault_init_opts *opts,
	const struct keyring_root *root, struct vault_init_result *r, struct err *err)
{
	uint8_t hfkv[SLOT_HFKV_BYTES];
	char name[VAULT_NAME_BYTES];
	char other[VAULT_NAME_BYTES];
	int rc = slot_hfbg_seal(root->rk_sk, opts->pass, opts->pass_len, opts->scrypt_log2n, NULL,
		r->recovery, err);
	if (rc == 0)
		rc = slot_hfkv_seal(
			v->key.vault_id, v->key.kv_epoch, v->key.k_vault, root->rk_pk, hfkv, err);
	if (rc == 0)
		rc = vault_put_slot(v->store, hfkv, sizeof(hfkv), name, err);
	if (rc == 0 && opts->is_recovery_on_store)
		rc = vault_put_slot(v->store, r->recovery, sizeof(r->recovery), other, err);
	if (rc == 0)
		rc = store_barrier(v->store, err);
	return rc != 0 ? rc : check_slot(v->store, name, hfkv, root, v->key.k_vault, err);
}

static int fill(struct vault *v, const struct vault_init_opts *opts,
	const struct keyring_root *root, struct vault_init_result *r, struct err *err)
{
	int rc = vault_init_texts(v->store, err);
	if (rc == 0)
		rc = put_slots(v, opts, root, r, err);
	if (rc == 0 && opts->drill_group != NULL)
		rc = vault_make_group(v, opts->drill_group, r->dk_sk, err);
	if (rc == 0)
		rc = vault_add_writer(v, root, &r->writer, err);
	return rc != 0 ? rc : put_header(v, err);
}

int vault_init(struct store *store, const struct vault_init_opts *opts,
	struct vault_init_result *out, struct err *err)
{
	struct err why = ERR_INIT;
	int rc = store_list(store, "vh/", refuse_any, &why, &why); /* the clearer text first */
	if (rc == 0)
		rc = store_list(store, "", refuse_any, &why, &why);
	if (rc == 0)
		rc = refuse_hidden(store, &why);
	if (rc == 0)
		rc = vault_init_probe(store, &why);
	struct vault v = { .store = store };
	struct keyring_root root = { .rk_sk = { 0 } };
	struct vault_init_result r = { .writer = { .kv_epoch = 0 } };
	uint8_t id[16];
	uint8_t k_vault[32];
	uint8_t pk[32];
	if (rc == 0)
		rc = env_random(id, sizeof(id), &why);
	if (rc == 0)
		rc = env_random(k_vault, sizeof(k_vault), &why);
	if (rc == 0)
		rc = hpke_generate(root.rk_sk, pk, &why);
	if (rc == 0) {
		uint8_t rk_sk[32];
		memcpy(rk_sk, root.rk_sk, sizeof(rk_sk));
		keyring_root_derive(rk_sk, id, &root);
		secret_wipe(rk_sk, sizeof(rk_sk));
		sealed_key_init(&v.key, id, 1, k_vault);
		rc = fill(&v, opts, &root, &r, &why);
	}
	if (rc == 0)
		*out = r;
	else if (err != NULL)
		*err = why;
	domain_done(&v.domain);
	secret_wipe(&v.key, sizeof(v.key));
	secret_wipe(&root, sizeof(root));
	secret_wipe(&r, sizeof(r));
	secret_wipe(k_vault, sizeof(k_vault));
	return rc;
}

/* ---- taken away again ----------------------------------------------------------------------- */

struct names {
	char **at;
	size_t count;
};

static int keep_name(void *arg, const char *name, uint64_t size)
{
	(void)size; /* everything goes */
	struct names *n = arg;
	char **grown = reallocarray(n->at, n->count + 1, sizeof(*grown));
	char *copy = strdup(name);
	if (grown != NULL)
		n->at = grown;
	if (grown == NULL || copy == NULL) {
		free(copy);
		return -ERR_NOMEM;
	}
	n->at[n->count++] = copy;
	return 0;
}

/* Invariant 3: the newest version is what vault_init() put, for nothing was to be seen before it.
 * Return false when there is none to purge, or it must not. */
static bool purge_newest(struct store *store, const struct version_table *t, const char *name)
{
	struct version_table_name n;
	char id[VERSION_PACK_ID_BYTES];
	if (!version_table_find(t, name, &n) || version_table_is_hidden(t, &n))
		return false;
	version_table_id(t, version_table_newest(t, &n), id);
	struct store_item item = { .name = name, .id = id };
	return store_purge(store, &item, 1, NULL) == 0 && item.rc == 0;
}

/* The probe was removed: what it was, and its markers. */
static void purge_probe(struct store *store, const struct version_table *t)
{
	struct version_table_name n = { .count = 0 };
	char id[VERSION_PACK_ID_BYTES];
	(void)version_table_find(t, VAULT_INIT_PROBE, &n); /* count 0: there is none */
	for (size_t i = 0; i < n.count; i++) {
		version_table_id(t, &t->versions[n.first + i], id);
		struct store_item item = { .name = n.name, .id = id };
		(void)store_purge(store, &item, 1, NULL); /* nobody reads it */
	}
}

void vault_init_undo(struct store *store)
{
	struct names n = { .at = NULL };
	struct version_table t = { .count = 0 };
	(void)store_list(store, "vh/", keep_name, &n, NULL); /* what is listed goes */
	(void)store_list(store, "", keep_name, &n, NULL);    /* as above */
	if ((store_features(store) & STORE_HAS_VERSIONS) != 0)
		(void)version_table_load(store, "", &t, NULL); /* without: markers over it */
	for (size_t i = 0; i < n.count; i++) {
		if (!purge_newest(store, &t, n.at[i]))
			(void)store_remove(store, n.at[i], NULL); /* left: the next init says so */
	}
	purge_probe(store, &t);
	(void)store_barrier(store, NULL); /* as above */
	for (size_t i = 0; i < n.count; i++)
		free(n.at[i]);
	free(n.at);
	version_table_done(&t);
}
