#include "vault/vault.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/env.h"
#include "base/err.h"
#include "base/log.h"
#include "codec/text.h"
#include "crypto/ed25519.h"
#include "crypto/hash.h"
#include "crypto/hpke.h"
#include "crypto/secret.h"
#include "store/store.h"
#include "vault/epoch.h"
#include "vault/header_loss.h"
#include "vault/recovery_keys.h"
#include "vault/rewrap.h"
#include "vault/slot.h"
#include "vault/vault_header.h"
#include "vault/vault_internal.h"

/*
 * INVARIANTS
 * (1) key was checked against the header's HMAC before anything else is believed; without a header
 *     against the tag of another object, and then nothing is written.
 * (2) domain is the highest epoch that is signed by a trusted officer, or epoch 0 and empty.
 */

#define HEADER_PREFIX "vh/"

/* The name that sorts last under a prefix. */
struct newest {
	char name[VAULT_NAME_BYTES];
};

static int keep_newest(void *arg, const char *name, uint64_t size)
{
	(void)size; /* checked when it is read */
	struct newest *n = arg;
	if (strlen(name) < sizeof(n->name) && strcmp(name, n->name) > 0)
		(void)snprintf(n->name, sizeof(n->name), "%s", name); /* checked */
	return 0;
}

int vault_is_there(struct store *store, bool *out, struct err *err)
{
	return store_has_any(store, HEADER_PREFIX, out, err);
}

/* Headers of one vault only? */
struct owner {
	struct store *store;
	uint8_t vault_id[16];
	bool is_known;
	char other[VAULT_NAME_BYTES]; /* the header of another vault */
};

static int look_at_owner(void *arg, const char *name, uint64_t size)
{
	(void)size; /* bounded by the buffer */
	struct owner *o = arg;
	CLEANUP(buf_done) struct buf raw = BUF_INIT(4096);
	struct vault_header h;
	if (vault_get_hashed(o->store, name, &raw, NULL) != 0 ||
		vault_header_decode(raw.data, raw.len, &h, NULL) != 0)
		return 0; /* damaged or newer: told where it counts */
	if (!o->is_known)
		memcpy(o->vault_id, h.vault_id, sizeof(o->vault_id));
	else if (memcmp(o->vault_id, h.vault_id, sizeof(o->vault_id)) != 0)
		(void)snprintf(o->other, sizeof(o->other), "%s", name); /* fits: it was listed */
	o->is_known = true;
	return 0;
}

/* Two vaults in one directory: whichever were taken, the other's objects would count as damage. */
static int check_owner(struct store *store, const struct newest *newest, struct err *err)
{
	struct owner o = { .store = store };
	int rc = look_at_owner(&o, newest->name, 0);
	if (rc == 0 && o.is_known)
		rc = store_list(store, HEADER_PREFIX, look_at_owner, &o, err);
	if (rc != 0 || o.other[0] == '\0')
		return rc;
	err_set(err, ERR_CONFIG,
		"the store holds two vaults: '%s' is the header of one, '%s' of another",
		newest->name, o.other);
	return err_hint(err,
		"somebody put two directories into one: copy all of it elsewhere, keep one "
		"header in each of the two, and see what 'holdfast verify' says of either");
}

static int find_header(struct store *store, struct newest *newest, struct err *err)
{
	int rc = store_list(store, HEADER_PREFIX, keep_newest, newest, err);
	if (rc != 0)
		return rc;
	if (newest->name[0] == '\0') {
		err_set(err, ERR_NOT_FOUND, "there is no vault here");
		return err_hint(err, "check the path, and that its disk or share is mounted; or "
				     "make a vault with 'holdfast init'");
	}
	return check_owner(store, newest, err);
}

int vault_peek_id(struct store *store, uint8_t out[16], struct err *err)
{
	struct newest newest = { .name = "" };
	CLEANUP(buf_done) struct buf raw = BUF_INIT(4096);
	struct vault_header header;
	int rc = find_header(store, &newest, err);
	if (rc == 0)
		rc = vault_get_hashed(store, newest.name, &raw, err);
	if (rc == 0)
		rc = vault_header_decode(raw.data, raw.len, &header, err);
	if (header_loss_is(rc) && header_loss_id(store, header.vault_id, NULL) == 0) {
		err_clear(err);
		rc = 0;
	}
	if (rc != 0)
		return rc;
	memcpy(out, header.vault_id, sizeof(header.vault_id));
	return 0;
}

void vault_keys_of_writer(const struct keyring_writer *w, struct vault_keys *out)
{
	memcpy(out->vault_id, w->vault_id, sizeof(out->vault_id));
	out->kv_epoch = w->kv_epoch;
	out->older_count = 0;
	memcpy(out->k_vault, w->k_vault, sizeof(out->k_vault));
	out->has_officer = true;
	out->is_officer_unsure = false;
	memcpy(out->officer_pk, w->officer_pk, sizeof(out->officer_pk));
}

bool vault_name_is_of(const char *name, const char *prefix)
{
	return strncmp(name, prefix, strlen(prefix)) == 0;
}

bool vault_is_object_loss(int rc)
{
	return rc == -ERR_CORRUPT || rc == -ERR_NOT_FOUND || rc == -ERR_UNSUPPORTED ||
	       rc == -ERR_AUTH || rc == -ERR_IO;
}

/* ${rc} came of getting an object, from ${before} on. */
static int check_hashed(int rc, const char *name, size_t before, struct buf *out, struct err *err)
{
	if (rc == -ERR_LIMIT) /* every caller's buffer holds any object of its kind */
		return err_set(
			err, ERR_CORRUPT, "object '%s' is longer than any of its kind", name);
	if (rc != 0)
		return rc;
	uint8_t hash[HASH_BYTES];
	char hex[2 * HASH_BYTES + 1];
	hash_sha256(out->data + before, out->len - before, hash);
	text_hex(hash, sizeof(hash), hex);
	size_t len = strlen(name);
	if (len < 64 || strcmp(name + len - 64, hex) != 0) {
		out->len = before;
		return err_set(err, ERR_CORRUPT, "object '%s' does not hash to its name", name);
	}
	return 0;
}

int vault_get_hashed(struct store *store, const char *name, struct buf *out, struct err *err)
{
	const size_t before = out->len;
	return check_hashed(store_get(store, name, out, err), name, before, out, err);
}

int vault_get_hashed_anew(struct store *store, const char *name, struct buf *out, struct err *err)
{
	const size_t before = out->len;
	return check_hashed(store_get_anew(store, name, out, err), name, before, out, err);
}

int vault_get_sealed(
	struct vault *v, enum sealed_kind kind, const char *name, struct buf *body, struct err *err)
{
	CLEANUP(buf_done) struct buf object = BUF_INIT(STORE_MAX_OBJECT_BYTES);
	int rc = vault_get_hashed(v->store, name, &object, err);
	if (rc != 0)
		return rc;
	rc = sealed_open(&v->key, kind, object.data, object.len, body, err);
	return rc == 0 ? 0 : err_wrap(err, "object '%s'", name);
}

int vault_put_sealed(struct store *store, const struct sealed_key *key, enum sealed_kind kind,
	const char *prefix, const void *body, size_t len, char name[VAULT_NAME_BYTES],
	uint8_t hash[32], struct err *err)
{
	CLEANUP(buf_done) struct buf object = BUF_INIT(STORE_MAX_OBJECT_BYTES);
	char hex[SEALED_NAME_BYTES];
	int rc = sealed_seal(key, kind, body, len, NULL, &object, hex, err);
	if (rc != 0)
		return rc;
	(void)snprintf(
		name, VAULT_NAME_BYTES, "%s%s", prefix, hex); /* prefixes are ours: it fits */
	if (hash != NULL)
		hash_sha256(object.data, object.len, hash);
	return store_put(store, name, object.data, object.len, err);
}

int vault_put_slot(struct store *store, const void *slot, size_t len, char name[VAULT_NAME_BYTES],
	struct err *err)
{
	uint8_t hash[HASH_BYTES];
	char hex[2 * HASH_BYTES + 1];
	hash_sha256(slot, len, hash);
	text_hex(hash, sizeof(hash), hex);
	(void)snprintf(name, VAULT_NAME_BYTES, "ks/%s", hex); /* fits */
	return store_put(store, name, slot, len, err);
}

int vault_put_slot_checked(struct store *store, const uint8_t *slot, size_t len, struct err *err)
{
	CLEANUP(buf_done) struct buf back = BUF_INIT(4096);
	char name[VAULT_NAME_BYTES];
	int rc = vault_put_slot(store, slot, len, name, err);
	if (rc == 0)
		rc = store_barrier(store, err);
	if (rc == 0)
		rc = vault_get_hashed(store, name, &back, err);
	if (rc == 0 && (back.len != len || memcmp(back.data, slot, len) != 0))
		rc = err_set(err, ERR_CORRUPT, "a key slot reads back different");
	return rc;
}

int vault_put_header(struct vault *v, struct err *err)
{
	uint8_t raw[VAULT_HEADER_BYTES];
	uint8_t hash[HASH_BYTES];
	char hex[2 * HASH_BYTES + 1];
	char name[VAULT_NAME_BYTES];
	vault_header_encode(&v->head, v->key.k_vault, raw);
	hash_sha256(raw, sizeof(raw), hash);
	text_hex(hash, sizeof(hash), hex);
	(void)snprintf(name, sizeof(name), "vh/%08x-%s", v->head.generation, hex); /* fits */
	int rc = store_put(v->store, name, raw, sizeof(raw), err);
	return rc != 0 ? rc : store_barrier(v->store, err);
}

int vault_add_recovery(struct vault *v, const void *slot, size_t len, struct err *err)
{
	char name[VAULT_NAME_BYTES];
	int rc = vault_check_writable(v, err);
	if (rc == 0)
		rc = vault_put_slot(v->store, slot, len, name, err);
	return rc != 0 ? rc : store_barrier(v->store, err);
}

struct slot_search {
	struct store *store;
	const uint8_t *rk_sk;
	struct vault_keys *keys;
	size_t slots;
	bool found;
	int bad; /* why a slot could not be used, 0 = none such */
	struct err *err;
};

/* Keep what this recovery key opens. */
static int try_slot(void *arg, const char *name, uint64_t size)
{
	struct slot_search *s = arg;
	if (size != SLOT_HFKV_BYTES)
		return 0;
	CLEANUP(buf_done) struct buf slot = BUF_INIT(4096);
	s->slots++;
	uint8_t vault_id[16];
	uint8_t k_vault[32];
	uint32_t epoch;
	struct err why = ERR_INIT;
	int rc = vault_get_hashed(s->store, name, &slot, &why);
	if (rc == 0)
		rc = slot_hfkv_open(slot.data, slot.len, s->rk_sk, vault_id, &epoch, k_vault, &why);
	if (rc == -ERR_AUTH)
		return 0;
	if (rc != 0) { /* another slot may do */
		(void)err_wrap(&why, "key slot '%s'", name);
		s->bad = rc;
		if (s->err != NULL)
			*s->err = why;
		return vault_is_object_loss(rc) ? 0 : rc;
	}
	if (s->keys->older_count < VAULT_MAX_EPOCHS) {
		memcpy(s->keys->vault_id, vault_id, sizeof(vault_id));
		memcpy(s->keys->older[s->keys->older_count].k_vault, k_vault, sizeof(k_vault));
		s->keys->older[s->keys->older_count++].epoch = epoch;
		s->found = true;
	}
	secret_wipe(k_vault, sizeof(k_vault));
	return 0;
}

/* Is the key at ${i} the one that the newest header was made with? */
static bool is_of_header(const struct vault_keys *keys, size_t i, const struct buf *header)
{
	struct vault_header h;
	return vault_header_decode(header->data, header->len, &h, NULL) == 0 &&
	       h.kv_epoch == keys->older[i].epoch &&
	       vault_header_verify(header->data, header->len, keys->older[i].k_vault, NULL) == 0;
}

/* Of the keys in older take the one that counts; what is not older than it leads nowhere: a
 * rotation that broke off left it. */
static void choose_epoch(struct store *store, struct vault_keys *keys)
{
	struct newest newest = { .name = "" };
	CLEANUP(buf_done) struct buf header = BUF_INIT(4096);
	size_t best = 0;
	size_t kept = 0;
	bool is_found = false;
	if (find_header(store, &newest, NULL) == 0 &&
		vault_get_hashed(store, newest.name, &header, NULL) != 0)
		buf_clear(&header);
	for (size_t i = 0; i < keys->older_count && !is_found; i++) {
		is_found = is_of_header(keys, i, &header);
		if (is_found || keys->older[i].epoch > keys->older[best].epoch)
			best = i;
	}
	keys->kv_epoch = keys->older[best].epoch;
	memcpy(keys->k_vault, keys->older[best].k_vault, sizeof(keys->k_vault));
	for (size_t i = 0; i < keys->older_count; i++) {
		if (keys->older[i].epoch < keys->kv_epoch)
			keys->older[kept++] = keys->older[i];
	}
	keys->older_count = kept;
}

int vault_keys_of_recovery(struct store *store, const uint8_t rk_sk[32], struct keyring_root *root,
	struct vault_keys *out, struct err *err)
{
	bool is_there = false;
	uint8_t id[16];
	int rc = vault_is_there(store, &is_there, err);
	if (rc != 0)
		return rc;
	if (!is_there && header_loss_id(store, id, NULL) != 0)
		return err_set(err, ERR_NOT_FOUND, "there is no vault here");
	struct vault_keys keys = { .kv_epoch = 0 };
	struct slot_search search = { .store = store, .rk_sk = rk_sk, .keys = &keys, .err = err };
	rc = store_list(store, "ks/", try_slot, &search, err);
	if (rc != 0)
		return rc;
	if (!search.found && search.bad != 0)
		return search.bad; /* err tells of it */
	if (!search.found) {
		err_set(err, ERR_AUTH,
			"no key slot of this vault opens with this recovery key (%zu seen)",
			search.slots);
		return err_hint(
			err, "use the recovery file that 'holdfast init' wrote for this vault");
	}
	if (err != NULL)
		err_clear(err); /* of a slot that was not needed */
	choose_epoch(store, &keys);
	rc = recovery_keys_root(store, keys.vault_id, rk_sk, root, &keys.is_officer_unsure, err);
	keys.has_officer = true;
	memcpy(keys.officer_pk, root->officer_pk, sizeof(keys.officer_pk));
	if (rc == 0)
		*out = keys;
	secret_wipe(&keys, sizeof(keys));
	return rc;
}

static int load_header(struct vault *v, const struct vault_keys *keys, struct err *err)
{
	struct newest newest = { .name = "" };
	int rc = find_header(v->store, &newest, err);
	if (rc != 0)
		return rc;
	CLEANUP(buf_done) struct buf raw = BUF_INIT(4096);
	rc = vault_get_hashed(v->store, newest.name, &raw, err);
	if (rc != 0)
		return rc;
	struct vault_header header;
	rc = vault_header_decode(raw.data, raw.len, &header, err);
	if (rc != 0)
		return err_wrap(err, "vault header '%s'", newest.name);
	if (memcmp(header.vault_id, keys->vault_id, sizeof(header.vault_id)) != 0)
		return err_set(err, ERR_AUTH, "these keys belong to another vault");
	if (header.kv_epoch > keys->kv_epoch) {
		err_set(err, ERR_AUTH, "the vault key was changed (epoch %u, ours is %u)",
			header.kv_epoch, keys->kv_epoch);
		return err_hint(err,
			"this host needs a new writer key: move the old one away, then "
			"'holdfast key writer new'");
	}
	if (header.kv_epoch < keys->kv_epoch) {
		err_set(err, ERR_ROLLBACK,
			"the vault key is of epoch %u here, ours is of epoch %u: the store is "
			"older",
			header.kv_epoch, keys->kv_epoch);
		return err_hint(err, "a replica is brought up to date with 'holdfast copy'; the "
				     "recovery file opens it as it is");
	}
	rc = vault_header_verify(raw.data, raw.len, keys->k_vault, err);
	v->ro_compat = header.ro_compat;
	v->head = header;
	return rc == 0 ? 0 : err_wrap(err, "vault header '%s'", newest.name);
}

const struct err *vault_no_header(const struct vault *v)
{
	return v->header.code == 0 ? NULL : &v->header;
}

int vault_check_writable(const struct vault *v, struct err *err)
{
	if (v->header.code != 0) {
		err_set(err, ERR_CORRUPT, "without a whole vault header nothing is written: %s",
			v->header.msg);
		return err_hint(err,
			"put the vh/ object back from a copy of the store; restore, verify and "
			"every listing work without it");
	}
	if (v->ro_compat != 0)
		return err_set(err, ERR_UNSUPPORTED,
			"the vault asks for a newer version to write to it (features %016llx)",
			(unsigned long long)v->ro_compat);
	return 0;
}

struct config_search {
	struct vault *v;
	const uint8_t *officer_pk; /* NULL = none known */
	bool is_unsure;            /* it may be none of this vault's */
	struct err *err;
};

static int try_config(void *arg, const char *name, uint64_t size)
{
	(void)size; /* bounded by the store */
	struct config_search *s = arg;
	CLEANUP(buf_done) struct buf body = BUF_INIT(SEALED_MAX_BYTES);
	struct err why = ERR_INIT;
	int rc = vault_get_sealed(s->v, SEALED_CONFIG, name, &body, &why);
	struct domain domain = { .epoch = 0 };
	if (rc == 0)
		rc = domain_decode(body.data, body.len, s->officer_pk, &domain, &why);
	if (rc == -ERR_CORRUPT || rc == -ERR_NOT_FOUND || (rc == -ERR_AUTH && s->is_unsure)) {
		log_debug("vault.open", "config=%s error=%s, continuing", name, why.msg);
		return 0; /* verify names it; another config may do */
	}
	if (rc != 0) {
		if (s->err != NULL)
			*s->err = why;
		return rc;
	}
	if (domain.epoch > s->v->domain.epoch) {
		domain_done(&s->v->domain);
		s->v->domain = domain;
	} else {
		domain_done(&domain);
	}
	return 0;
}

DEFINE_CLEANUP(struct vault *, vault_close)

int vault_open(
	struct store *store, const struct vault_keys *keys, struct vault **out, struct err *err)
{
	CLEANUP(vault_close_p) struct vault *v = calloc(1, sizeof(*v));
	if (v == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	v->store = store;
	sealed_key_init(&v->key, keys->vault_id, keys->kv_epoch, keys->k_vault);
	struct err why = ERR_INIT;
	int rc = load_header(v, keys, &why);
	if (rc == -ERR_NOT_FOUND)
		err_set(&v->header, ERR_NOT_FOUND, "there is no vh/ object");
	else if (header_loss_is(rc))
		v->header = why;
	else if (rc != 0) {
		if (err != NULL)
			*err = why;
		return rc;
	}
	rc = epoch_load(store, keys, &v->key, err);
	if (rc != 0)
		return rc;
	struct config_search search = { .v = v,
		.officer_pk = keys->has_officer ? keys->officer_pk : NULL,
		.is_unsure = keys->is_officer_unsure,
		.err = err };
	rc = store_list(store, "cf/", try_config, &search, err);
	if (rc == 0 && v->header.code != 0 && header_loss_prove(v, err) != 0) {
		if (err != NULL)
			*err = why;
		return -v->header.code;
	}
	if (rc != 0)
		return rc;
	*out = TAKE(v);
	return 0;
}

void vault_close(struct vault *v)
{
	if (v == NULL)
		return;
	domain_done(&v->domain);
	epoch_forget(&v->key);
	secret_wipe(&v->key, sizeof(v->key));
	rewrap_free(v->rewrap);
	free(v->cache_dir);
	free(v);
}

int vault_set_cache(struct vault *v, const char *dir, struct err *err)
{
	char *copy = strdup(dir);
	if (copy == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	free(v->cache_dir);
	v->cache_dir = copy;
	return 0;
}

struct store *vault_store(struct vault *v)
{
	return v->store;
}

const struct sealed_key *vault_sealed_key(const struct vault *v)
{
	return &v->key;
}

const struct domain *vault_domain(const struct vault *v)
{
	return &v->domain;
}

const uint8_t *vault_id(const struct vault *v)
{
	return v->key.vault_id;
}

static int fill_writer(const struct vault *v, const struct keyring_root *root,
	struct keyring_writer *w, struct err *err)
{
	memset(w, 0, sizeof(*w));
	memcpy(w->vault_id, v->key.vault_id, sizeof(w->vault_id));
	memcpy(w->domain_id, root->domain_id, sizeof(w->domain_id));
	memcpy(w->agent_id, root->agent_id, sizeof(w->agent_id));
	w->kv_epoch = v->key.kv_epoch;
	memcpy(w->k_vault, v->key.k_vault, sizeof(w->k_vault));
	keyring_epoch_keys(root->k_dom, root->domain_id, v->key.kv_epoch, w->k_mle, w->k_cdc);
	memcpy(w->rk_pk, root->rk_pk, sizeof(w->rk_pk));
	memcpy(w->officer_pk, root->officer_pk, sizeof(w->officer_pk));
	int rc = env_random(w->ik_seed, sizeof(w->ik_seed), err);
	return rc != 0 ? rc : env_random(w->k_fp, sizeof(w->k_fp), err);
}

static int see_any(void *arg, const char *name, uint64_t size)
{
	(void)name;
	(void)size; /* any will do */
	*(bool *)arg = true;
	return 0;
}

/* The first config holds what the recovery key derives.  One that is lost is not begun anew: every
 * snapshot would be of a stranger then. */
static int ensure_config(struct vault *v, const struct keyring_root *root, struct err *err)
{
	bool has_snapshot = false;
	if (v->domain.epoch != 0)
		return 0;
	int rc = store_list(v->store, "sn/", see_any, &has_snapshot, err);
	if (rc != 0)
		return rc;
	if (has_snapshot) {
		err_set(err, ERR_CORRUPT,
			"the vault has no readable config: put its cf/ object back first");
		return err_hint(err, "'holdfast repair' brings it back from parity, or with --from "
				     "from a copy of the store; restore works without it");
	}
	memcpy(v->domain.domain_id, root->domain_id, sizeof(v->domain.domain_id));
	memcpy(v->domain.recovery_pk[0], root->rk_pk, 32);
	v->domain.recovery_count = 1;
	memcpy(v->domain.officer_pk[0], root->officer_pk, 32);
	v->domain.officer_count = 1;
	return 0;
}

int vault_check_signer(const struct vault *v, const struct keyring_root *root, struct err *err)
{
	const struct domain *d = &v->domain;
	for (size_t i = 0; i < d->recovery_count; i++) {
		if (memcmp(d->recovery_pk[i], root->rk_pk, 32) == 0)
			return 0;
	}
	err_set(err, ERR_AUTH, "this recovery key was retired: it changes nothing here");
	return err_hint(err, "take one that 'holdfast key show' lists");
}

int vault_sign_config(struct vault *v, const struct keyring_root *root, struct err *err)
{
	CLEANUP(buf_done) struct buf body = BUF_INIT(SEALED_MAX_BYTES);
	char name[VAULT_NAME_BYTES];
	int rc = vault_check_writable(v, err);
	if (rc == 0)
		rc = vault_check_signer(v, root, err);
	if (rc != 0)
		return rc;
	v->domain.epoch++;
	rc = domain_encode(&v->domain, root->officer_seed, &body, err);
	if (rc == 0)
		rc = vault_put_sealed(v->store, &v->key, SEALED_CONFIG, "cf/", body.data, body.len,
			name, NULL, err);
	return rc != 0 ? rc : store_barrier(v->store, err);
}

int vault_add_writer(struct vault *v, const struct keyring_root *root, struct keyring_writer *out,
	struct err *err)
{
	struct keyring_writer w;
	int rc = fill_writer(v, root, &w, err);
	if (rc == 0)
		rc = ensure_config(v, root, err);
	if (rc != 0)
		return rc;
	uint8_t ik_pk[ED25519_KEY_BYTES];
	ed25519_public(w.ik_seed, ik_pk);
	rc = domain_add_agent(&v->domain, w.agent_id, ik_pk, err);
	if (rc == 0)
		rc = vault_sign_config(v, root, err);
	if (rc != 0)
		return rc;
	w.config_epoch = v->domain.epoch;
	*out = w;
	secret_wipe(&w, sizeof(w));
	return 0;
}

int vault_make_group(struct vault *v, const char *name, uint8_t dk_sk[32], struct err *err)
{
	size_t len = strlen(name);
	if (len == 0 || len >= DOMAIN_NAME_BYTES ||
		strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") != len)
		return err_set(err, ERR_USAGE,
			"'%s' is no name for a drill group: 1 to %d of a-z, 0-9 and '-'", name,
			DOMAIN_NAME_BYTES - 1);
	for (size_t i = 0; i < v->domain.group_count; i++) {
		if (strcmp(v->domain.groups[i].name, name) == 0)
			return err_set(
				err, ERR_EXISTS, "there is a drill group '%s' already", name);
	}
	if (v->domain.group_count + v->domain.recovery_count >= DOMAIN_MAX_KEYS)
		return err_set(err, ERR_LIMIT,
			"a vault has at most %d recovery and drill keys together", DOMAIN_MAX_KEYS);
	struct domain_group *g = &v->domain.groups[v->domain.group_count];
	int rc = hpke_generate(dk_sk, g->dk_pk, err);
	if (rc != 0)
		return rc;
	(void)snprintf(g->name, sizeof(g->name), "%s", name); /* checked */
	v->domain.group_count++;
	return 0;
}

int vault_add_group(struct vault *v, const struct keyring_root *root, const char *name,
	uint8_t dk_sk[32], struct err *err)
{
	uint8_t sk[32];
	int rc = ensure_config(v, root, err);
	if (rc == 0)
		rc = vault_make_group(v, name, sk, err);
	if (rc == 0)
		rc = vault_sign_config(v, root, err);
	if (rc == 0)
		memcpy(dk_sk, sk, sizeof(sk));
	secret_wipe(sk, sizeof(sk));
	return rc;
}
