#include "tests/lib/forge_vault.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "codec/text.h"
#include "crypto/hash.h"
#include "vault/fetch.h"
#include "vault/snaprec.h"

static struct plant_model plant;
static struct store_mem *whole, *before;
static struct store *whole_store, *before_store;

static void must(int rc, const struct err *err, const char *what)
{
	if (rc != 0) {
		(void)fprintf(stderr, "forge_vault: %s: %s\n", what, err->msg);
		abort();
	}
}

void forge_vault_prepare(uint64_t seed)
{
	struct err err = ERR_INIT;
	(void)plant_model_env(seed);
	must(store_mem_new(&whole, &err), &err, "mem");
	must(store_new(&store_mem_driver, whole, NULL, &whole_store, &err), &err, "store");
	plant_model_init(&plant, seed, whole_store);
	for (int i = 0; i < 3; i++) {
		if (i == 2) {
			must(store_mem_crash(whole, 0, &before, &err), &err, "copy");
			must(store_new(&store_mem_driver, before, NULL, &before_store, &err), &err,
				"store");
		}
		plant_model_change(&plant);
		must(plant_model_backup(&plant, &err), &err, "backup");
	}
	plant_model_done(&plant);
}

void forge_vault_end(void)
{
	store_free(whole_store);
	store_free(before_store);
}

static void copy_store(struct forge_vault *w, const struct store_mem *from)
{
	struct err err = ERR_INIT;
	must(store_mem_crash(from, 0, &w->mem, &err), &err, "copy");
	must(store_new(&store_mem_driver, w->mem, NULL, &w->store, &err), &err, "store");
	w->plant.f.store = w->store;
}

void forge_vault_begin(struct forge_vault *w)
{
	struct err err = ERR_INIT;
	struct vault_keys keys;
	struct fetch *fetch = NULL;
	memset(w, 0, sizeof(*w));
	w->plant = plant;
	w->before = before;
	copy_store(w, whole);
	vault_keys_of_writer(&plant.f.keys.writer, &keys);
	sealed_key_init(&w->key, keys.vault_id, keys.kv_epoch, keys.k_vault);
	must(vault_open(w->store, &keys, &w->vault, &err), &err, "open");
	must(snapshot_list(w->vault, NULL, NULL, &w->list, &err), &err, "list");
	w->newest = &w->list.at[w->list.count - 1];
	must(fetch_new(w->vault, &fetch, &err), &err, "fetch");
	must(snapshot_open(w->vault, fetch, w->newest, plant.f.rk_sk, &w->opened, &err), &err,
		"snapshot");
	fetch_free(fetch);
}

void forge_vault_done(struct forge_vault *w)
{
	snapshot_list_done(&w->list);
	vault_close(w->vault);
	plant_model_done(&w->plant);
	store_free(w->store);
}

void forge_vault_go_back(struct forge_vault *w)
{
	vault_close(w->vault);
	w->vault = NULL;
	store_free(w->store);
	copy_store(w, before);
}

void forge_vault_remove(struct forge_vault *w, const char *name)
{
	struct err err = ERR_INIT;
	must(store_remove(w->store, name, &err), &err, name);
	must(store_barrier(w->store, &err), &err, "barrier");
}

static int remove_one(void *arg, const char *name, uint64_t size)
{
	(void)size;
	forge_vault_remove(arg, name);
	return 0;
}

void forge_vault_remove_all(struct forge_vault *w, const char *prefix)
{
	struct err err = ERR_INIT;
	must(store_list(w->store, prefix, remove_one, w, &err), &err, prefix);
}

void forge_vault_put(struct forge_vault *w, const char *name, const void *data, size_t len)
{
	struct err err = ERR_INIT;
	must(store_put(w->store, name, data, len, &err), &err, name);
	must(store_barrier(w->store, &err), &err, "barrier");
}

void forge_vault_put_hashed(
	struct forge_vault *w, const char *prefix, const void *data, size_t len, uint8_t hash[32])
{
	char hex[2 * HASH_BYTES + 1];
	char name[160];
	hash_sha256(data, len, hash);
	text_hex(hash, HASH_BYTES, hex);
	(void)snprintf(name, sizeof(name), "%s%s", prefix, hex);
	forge_vault_put(w, name, data, len);
}

void forge_vault_seal(struct forge_vault *w, const struct sealed_key *key, enum sealed_kind kind,
	const char *prefix, const void *body, size_t len, uint8_t hash[32])
{
	CLEANUP(buf_done) struct buf object = BUF_INIT(SEALED_MAX_BYTES);
	char hex[SEALED_NAME_BYTES];
	struct err err = ERR_INIT;
	must(sealed_seal(key, kind, body, len, NULL, &object, hex, &err), &err, "seal");
	forge_vault_put_hashed(w, prefix, object.data, object.len, hash);
}

static int keep_first(void *arg, const char *name, uint64_t size)
{
	(void)size;
	(void)snprintf(arg, 256, "%s", name);
	return 1;
}

void forge_vault_first(struct forge_vault *w, const char *prefix, char name[256])
{
	struct err err = ERR_INIT;
	if (store_list(w->store, prefix, keep_first, name, &err) != 1)
		must(-1, &err, prefix);
}

static void seal_envelopes(struct forge_vault *w, const struct forge_vault_remake *how,
	const uint8_t record[SNAPREC_BYTES], struct snapshot_body *b)
{
	const struct domain *d = vault_domain(w->vault);
	const struct ref *root = how->root != NULL ? how->root : &w->opened.root_ref;
	uint8_t hash[HASH_BYTES], envelope[SNAPREC_ENVELOPE_BYTES];
	CLEANUP(buf_done) struct buf body = BUF_INIT(SEALED_MAX_BYTES);
	struct err err = ERR_INIT;
	size_t count = how->is_drill_only ? 1 : 1 + d->group_count;
	snaprec_hash(record, hash);
	must(buf_add(&body, hash, sizeof(hash), &err), &err, "memory");
	must(buf_add16(&body, (uint16_t)count, &err), &err, "memory");
	for (size_t i = 0; i < count; i++) {
		bool is_drill = how->is_drill_only || i > 0;
		const uint8_t *pk = is_drill             ? d->groups[0].dk_pk
				    : how->rk_pk != NULL ? how->rk_pk
							 : d->recovery_pk[0];
		must(snaprec_envelope(is_drill ? SNAPREC_DRILL : SNAPREC_RECOVERY, d->domain_id,
			     hash, pk, root, envelope, &err),
			&err, "envelope");
		must(buf_add(&body, envelope, sizeof(envelope), &err), &err, "memory");
	}
	forge_vault_seal(w, &w->key, SEALED_ENVELOPES, "ev/", body.data, body.len, b->ev);
}

void forge_vault_remake(struct forge_vault *w, const struct forge_vault_remake *how)
{
	struct err err = ERR_INIT;
	CLEANUP(buf_done) struct buf body = BUF_INIT(SEALED_MAX_BYTES);
	struct snapshot_body b = w->newest->body; /* borrows what it owns */
	struct snaprec r;
	uint8_t hash[HASH_BYTES];
	char prefix[64];
	must(snaprec_decode(b.record, &r, &err), &err, "record");
	if (how->record != NULL)
		how->record(&r, w);
	uint8_t signed_record[SNAPREC_BYTES];
	static const uint8_t nobody[32] = { 7 };
	uint8_t kid[32], sig[64];
	memcpy(kid, r.kid, sizeof(kid));
	memcpy(sig, r.sig, sizeof(sig));
	snaprec_sign(&r, how->ik_seed != NULL ? how->ik_seed : nobody, signed_record);
	if (how->ik_seed == NULL) { /* kid and signature are the last of it */
		memcpy(signed_record + SNAPREC_BYTES - 96, kid, sizeof(kid));
		memcpy(signed_record + SNAPREC_BYTES - 64, sig, sizeof(sig));
	}
	memcpy(b.record, signed_record, SNAPREC_BYTES);
	if (how->has_new_envelopes)
		seal_envelopes(w, how, signed_record, &b);
	if (how->body != NULL)
		how->body(&b, w);
	must(snapshot_body_encode(&b, &body, &err), &err, "body");
	(void)snprintf(prefix, sizeof(prefix), "sn/%012llx-",
		(unsigned long long)(b.receipt_ns / 1000000 + how->receipt_ms_off));
	if (!how->is_beside)
		forge_vault_remove(w, w->newest->object);
	forge_vault_seal(w, &w->key, SEALED_SNAPSHOT, prefix, body.data, body.len, hash);
}
