#include "tests/lib/forge_acts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "codec/text.h"
#include "crypto/ed25519.h"
#include "crypto/hash.h"
#include "crypto/hpke.h"
#include "vault/collect_list.h"
#include "vault/index.h"
#include "vault/pack.h"
#include "vault/prune_order.h"
#include "vault/record.h"
#include "vault/session_mark.h"
#include "vault/slot.h"
#include "vault/vault_header.h"

static const uint8_t stranger_seed[32] = { 0x66, 1 }, stranger_key[32] = { 0x77, 2 };

static void end_later(struct snaprec *r, const struct forge_vault *w)
{
	(void)w;
	r->t_end_ns += 1000000000;
}

/* ---- what else is forged ----------------------------------------------------------------------
 */

void forge_acts_drill_only(struct forge_vault *w)
{
	forge_vault_remake(
		w, &(struct forge_vault_remake){ .ik_seed = w->plant.f.keys.writer.ik_seed,
			   .has_new_envelopes = true,
			   .is_drill_only = true });
}

void forge_acts_envelope_for_stranger(struct forge_vault *w)
{
	uint8_t pk[32];
	hpke_public(stranger_key, pk);
	forge_vault_remake(
		w, &(struct forge_vault_remake){ .ik_seed = w->plant.f.keys.writer.ik_seed,
			   .has_new_envelopes = true,
			   .rk_pk = pk });
}

void forge_acts_envelope_of_other_root(struct forge_vault *w)
{
	struct ref other = w->opened.root.top; /* a node, not the root */
	forge_vault_remake(
		w, &(struct forge_vault_remake){ .ik_seed = w->plant.f.keys.writer.ik_seed,
			   .has_new_envelopes = true,
			   .root = &other });
}

void forge_acts_envelope_of_bad_key(struct forge_vault *w)
{
	struct ref other = w->opened.root_ref;
	other.key[0] ^= 1;
	forge_vault_remake(
		w, &(struct forge_vault_remake){ .ik_seed = w->plant.f.keys.writer.ik_seed,
			   .has_new_envelopes = true,
			   .root = &other });
}

/* By who has the envelopes of the old one opened: he makes new ones. */
void forge_acts_signed_by_stranger(struct forge_vault *w)
{
	forge_vault_remake(w, &(struct forge_vault_remake){
				      .ik_seed = stranger_seed, .has_new_envelopes = true });
}

void forge_acts_signed_by_stranger_only(struct forge_vault *w)
{
	forge_vault_remake(w, &(struct forge_vault_remake){ .ik_seed = stranger_seed });
}

void forge_acts_receipt_of_other_time(struct forge_vault *w)
{
	forge_vault_remake(
		w, &(struct forge_vault_remake){ .ik_seed = NULL, .receipt_ms_off = 5000 });
}

void forge_acts_fork_beside(struct forge_vault *w)
{
	forge_vault_remake(w, &(struct forge_vault_remake){ .record = end_later,
				      .ik_seed = w->plant.f.keys.writer.ik_seed,
				      .has_new_envelopes = true,
				      .is_beside = true });
}

static void plain_rubbish(struct forge_vault *w, const char *prefix)
{
	uint8_t rubbish[4096], hash[32];
	memset(rubbish, 0x5a, sizeof(rubbish));
	forge_vault_put_hashed(w, prefix, rubbish, sizeof(rubbish), hash);
}

void forge_acts_rubbish_snapshot(struct forge_vault *w)
{
	plain_rubbish(w, "sn/0ffffffffff0-");
}

void forge_acts_rubbish_pack(struct forge_vault *w)
{
	uint8_t rubbish[4096], hash[32];
	char prefix[16];
	memset(rubbish, 0x5a, sizeof(rubbish));
	hash_sha256(rubbish, sizeof(rubbish), hash);
	(void)snprintf(prefix, sizeof(prefix), "pk/%02x/", hash[0]);
	forge_vault_put_hashed(w, prefix, rubbish, sizeof(rubbish), hash);
}

void forge_acts_rubbish_index(struct forge_vault *w)
{
	plain_rubbish(w, "ix/");
}

void forge_acts_rubbish_config(struct forge_vault *w)
{
	plain_rubbish(w, "cf/");
}

void forge_acts_rubbish_order(struct forge_vault *w)
{
	plain_rubbish(w, "pr/");
}

void forge_acts_rubbish_list(struct forge_vault *w)
{
	plain_rubbish(w, "gc/00000000000000000000000000000001-00000001-");
}

void forge_acts_rubbish_dead(struct forge_vault *w)
{
	plain_rubbish(w, "dd/");
}

void forge_acts_rubbish_slot(struct forge_vault *w)
{
	plain_rubbish(w, "ks/");
}

void forge_acts_rubbish_mark(struct forge_vault *w)
{
	uint8_t rubbish[4096] = { 1 };
	forge_vault_put(
		w, "se/00000000000000000000000000000001-00000001", rubbish, sizeof(rubbish));
}

/* ---- configs ----------------------------------------------------------------------------------
 */

static void put_config(struct forge_vault *w, struct domain *d, const uint8_t officer_seed[32])
{
	CLEANUP(buf_done) struct buf body = BUF_INIT(SEALED_MAX_BYTES);
	struct err err = ERR_INIT;
	uint8_t hash[32];
	if (domain_encode(d, officer_seed, &body, &err) != 0)
		abort();
	forge_vault_seal(w, &w->key, SEALED_CONFIG, "cf/", body.data, body.len, hash);
}

static struct domain next_domain(struct forge_vault *w)
{
	struct domain d = *vault_domain(w->vault);
	d.epoch++;
	return d;
}

void forge_acts_config_of_stranger(struct forge_vault *w)
{
	struct domain d = next_domain(w);
	ed25519_public(stranger_seed, d.officer_pk[0]);
	put_config(w, &d, stranger_seed);
}

void forge_acts_config_of_stranger_alone(struct forge_vault *w)
{
	struct domain d = next_domain(w);
	forge_vault_remove_all(w, "cf/");
	ed25519_public(stranger_seed, d.officer_pk[0]);
	put_config(w, &d, stranger_seed);
}

void forge_acts_config_changed(struct forge_vault *w)
{
	CLEANUP(buf_done) struct buf body = BUF_INIT(SEALED_MAX_BYTES);
	struct err err = ERR_INIT;
	struct domain d = next_domain(w);
	uint8_t hash[32];
	ed25519_public(stranger_seed, d.officer_pk[0]);
	if (domain_encode(&d, stranger_seed, &body, &err) != 0)
		abort();
	body.data[body.len - 1] ^= 1;
	forge_vault_seal(w, &w->key, SEALED_CONFIG, "cf/", body.data, body.len, hash);
}

void forge_acts_configs_gone(struct forge_vault *w)
{
	forge_vault_remove_all(w, "cf/");
}

/* Without any config, a snapshot that a stranger signed. */
void forge_acts_configs_gone_and_signed_anew(struct forge_vault *w)
{
	forge_vault_remake(w, &(struct forge_vault_remake){
				      .ik_seed = stranger_seed, .has_new_envelopes = true });
	forge_vault_remove_all(w, "cf/");
}

/* ---- headers and slots ------------------------------------------------------------------------
 */

static void put_header(struct forge_vault *w, const struct vault_header *h, const uint8_t key[32])
{
	uint8_t raw[VAULT_HEADER_BYTES], hash[32];
	char prefix[32];
	vault_header_encode(h, key, raw);
	(void)snprintf(prefix, sizeof(prefix), "vh/%08x-", h->generation);
	forge_vault_put_hashed(w, prefix, raw, sizeof(raw), hash);
}

static struct vault_header next_header(struct forge_vault *w)
{
	CLEANUP(buf_done) struct buf raw = BUF_INIT(4096);
	struct err err = ERR_INIT;
	struct vault_header h = { .generation = 0 };
	char name[256];
	forge_vault_first(w, "vh/", name);
	if (store_get(w->store, name, &raw, &err) != 0 ||
		vault_header_decode(raw.data, raw.len, &h, &err) != 0)
		abort();
	h.generation++;
	return h;
}

#define HEADER_FORGERY(name, statement)                                                            \
	void forge_acts_##name(struct forge_vault *w)                                              \
	{                                                                                          \
		struct vault_header h = next_header(w);                                            \
		const uint8_t *key = w->key.k_vault;                                               \
		statement;                                                                         \
		put_header(w, &h, key);                                                            \
	}
HEADER_FORGERY(header_stranger, key = stranger_key)
HEADER_FORGERY(header_major, h.major++)
HEADER_FORGERY(header_incompat, h.incompat |= UINT64_C(1) << 40)
HEADER_FORGERY(header_ro, h.ro_compat |= UINT64_C(1) << 40)
HEADER_FORGERY(header_suites, h.suites = 1u << 9)
HEADER_FORGERY(header_id, h.vault_id[0] ^= 1)
HEADER_FORGERY(header_epoch, h.kv_epoch += 3)

void forge_acts_slot_of_stranger(struct forge_vault *w)
{
	uint8_t slot[SLOT_HFKV_BYTES], hash[32];
	struct err err = ERR_INIT;
	forge_vault_remove_all(w, "ks/");
	if (slot_hfkv_seal(w->key.vault_id, w->key.kv_epoch, stranger_key,
		    w->plant.f.keys.writer.rk_pk, slot, &err) != 0)
		abort();
	forge_vault_put_hashed(w, "ks/", slot, sizeof(slot), hash);
}

/* The whole vault of a stranger, sealed to the recovery key: all he needs is its public half. */
void forge_acts_vault_of_stranger(struct forge_vault *w)
{
	struct vault_header h = next_header(w);
	forge_acts_slot_of_stranger(w);
	forge_vault_remove_all(w, "vh/");
	forge_vault_remove_all(w, "cf/");
	put_header(w, &h, stranger_key);
	struct domain d = next_domain(w);
	sealed_key_init(&w->key, h.vault_id, h.kv_epoch, stranger_key);
	ed25519_public(stranger_seed, d.officer_pk[0]);
	put_config(w, &d, stranger_seed);
}

/* The same without a config, and with a snapshot of his own. */
void forge_acts_vault_of_stranger_unsigned(struct forge_vault *w)
{
	forge_acts_vault_of_stranger(w);
	forge_vault_remove_all(w, "cf/");
	forge_vault_remove_all(w, "sn/");
	forge_vault_remake(w, &(struct forge_vault_remake){
				      .ik_seed = stranger_seed, .has_new_envelopes = true });
}

/* ---- packs, index, lists ----------------------------------------------------------------------
 */

struct poison {
	struct forge_vault *w;
	struct pack *pack;
	unsigned count;
};

static int poison_ref(void *arg, const uint8_t id[32], uint32_t cr_len, struct err *err)
{
	struct poison *x = arg;
	uint8_t *cr = calloc(1, cr_len);
	if (cr == NULL)
		abort();
	record_header(1, RECORD_DATA, cr_len, cr);
	int rc = pack_add(x->pack, id, cr, cr_len, err);
	free(cr);
	x->count++;
	return rc == -ERR_EXISTS ? 0 : rc;
}

/* A pack that holds zeros under the IDs of the newest snapshot's records. */
void forge_acts_poisoned_pack(struct forge_vault *w)
{
	struct poison x = { .w = w };
	struct pack_made made;
	struct err err = ERR_INIT;
	if (pack_new(w->store, PACK_DATA, &x.pack, &err) != 0 ||
		snapshot_refs(w->vault, w->newest, poison_ref, &x, &err) != 0 ||
		pack_put(x.pack, &w->key, NULL, &made, &err) != 0 ||
		store_barrier(w->store, &err) != 0)
		abort();
	pack_free(x.pack);
}

void forge_acts_poisoned_pack_alone(struct forge_vault *w)
{
	forge_vault_remove_all(w, "pk/");
	forge_acts_poisoned_pack(w);
}

/* An index that says of every record that it lies in a pack which is not there. */
static int index_ref(void *arg, const uint8_t id[32], uint32_t cr_len, struct err *err)
{
	struct index *x = arg;
	static const uint8_t nowhere[32] = { 0xee };
	struct pack_place place = {
		.suite = 1, .type = RECORD_DATA, .offset = 0, .cr_len = cr_len
	};
	memcpy(place.id, id, 32);
	return index_add_pack(x, nowhere, 1u << 20, &place, 1, err);
}

void forge_acts_poisoned_index(struct forge_vault *w)
{
	CLEANUP(buf_done) struct buf body = BUF_INIT(SEALED_MAX_BYTES);
	struct err err = ERR_INIT;
	struct index *x = NULL;
	uint8_t hash[32];
	if (index_new(&x, &err) != 0 ||
		snapshot_refs(w->vault, w->newest, index_ref, x, &err) != 0 ||
		index_settle(x, &err) != 0 || index_encode(x, 0, &body, &err) != 0)
		abort();
	index_free(x);
	forge_vault_remove_all(w, "ix/");
	forge_vault_seal(w, &w->key, SEALED_INDEX, "ix/", body.data, body.len, hash);
}

static int condemn_one(void *arg, const char *name, uint64_t size)
{
	struct collect_list *l = arg;
	struct collect_list_item *item = &l->items[l->count++];
	item->len = (uint32_t)size;
	item->class = COLLECT_LIST_PACK;
	item->cause = COLLECT_LIST_UNUSED;
	return text_unhex(strrchr(name, '/') + 1, 32, item->hash);
}

/* Every pack is dead, says who has K_vault. */
void forge_acts_all_dead(struct forge_vault *w)
{
	CLEANUP(buf_done) struct buf object = BUF_INIT(SEALED_MAX_BYTES);
	struct collect_list l = { .type = COLLECT_LIST_DEAD, .wall_ns = env_now_ns() };
	char name[COLLECT_LIST_NAME_BYTES];
	struct err err = ERR_INIT;
	l.items = calloc(64, sizeof(*l.items));
	if (l.items == NULL || store_list(w->store, "pk/", condemn_one, &l, &err) != 0 ||
		collect_list_seal(&l, &w->key, &object, name, &err) != 0)
		abort();
	forge_vault_put(w, name, object.data, object.len);
	collect_list_done(&l);
}

/* An order's records, one of them changed: a link of a chain that nobody signed. */
void forge_acts_pruned_link(struct forge_vault *w)
{
	CLEANUP(buf_done) struct buf body = BUF_INIT(SEALED_MAX_BYTES);
	uint8_t record[SNAPREC_BYTES], hash[32];
	struct prune_order_item item = { .receipt_ns = 1 };
	struct prune_order o = { .cause = PRUNE_ORDER_RETENTION, .items = &item, .count = 1 };
	struct err err = ERR_INIT;
	memcpy(record, w->list.at[0].body.record, sizeof(record));
	record[SNAPREC_BYTES - 1] ^= 1;
	snaprec_hash(record, item.snap_hash);
	if (prune_order_encode_pruned(&o, record, &body, &err) != 0)
		abort();
	forge_vault_seal(w, &w->key, SEALED_PRUNED, "hs/", body.data, body.len, hash);
}

void forge_acts_mark_under_other_name(struct forge_vault *w)
{
	CLEANUP(buf_done) struct buf object = BUF_INIT(SEALED_MAX_BYTES);
	struct session_mark mark = { .state = SESSION_MARK_OPEN, .number = 3 };
	char name[SESSION_MARK_NAME_BYTES];
	struct err err = ERR_INIT;
	if (session_mark_seal(&mark, &w->key, &object, name, &err) != 0)
		abort();
	forge_vault_put(w, "se/00000000000000000000000000000001-00000001", object.data, object.len);
}

/* An object of one class, sealed as it is, put where another class lies. */
void forge_acts_envelopes_as_refs(struct forge_vault *w)
{
	CLEANUP(buf_done) struct buf b = BUF_INIT(SEALED_MAX_BYTES);
	struct err err = ERR_INIT;
	char name[256];
	uint8_t hash[32];
	forge_vault_first(w, "ev/", name);
	if (store_get(w->store, name, &b, &err) != 0)
		abort();
	forge_vault_put_hashed(w, "rf/", b.data, b.len, hash);
}

void forge_acts_sealed_by_stranger(struct forge_vault *w)
{
	struct sealed_key other;
	uint8_t hash[32];
	sealed_key_init(&other, w->key.vault_id, w->key.kv_epoch, stranger_key);
	forge_vault_seal(w, &other, SEALED_ENVELOPES, "ev/", "x", 1, hash);
}

void forge_acts_packs_gone(struct forge_vault *w)
{
	forge_vault_remove_all(w, "pk/");
}

void forge_acts_refs_gone(struct forge_vault *w)
{
	forge_vault_remove_all(w, "rf/");
}

void forge_acts_envelopes_gone(struct forge_vault *w)
{
	forge_vault_remove_all(w, "ev/");
}

void forge_acts_header_gone(struct forge_vault *w)
{
	forge_vault_remove_all(w, "vh/");
}

void forge_acts_slots_gone(struct forge_vault *w)
{
	forge_vault_remove_all(w, "ks/");
}

void forge_acts_all_gone(struct forge_vault *w)
{
	forge_vault_remove_all(w, "");
}

/* ---- rollback and fork ------------------------------------------------------------------------
 */

void forge_acts_newest_gone(struct forge_vault *w)
{
	forge_vault_remove(w, w->newest->object);
}

void forge_acts_oldest_gone(struct forge_vault *w)
{
	forge_vault_remove(w, w->list.at[0].object);
}

void forge_acts_middle_gone(struct forge_vault *w)
{
	forge_vault_remove(w, w->list.at[1].object);
}

void forge_acts_snapshots_gone(struct forge_vault *w)
{
	forge_vault_remove_all(w, "sn/");
}

void forge_acts_older_copy(struct forge_vault *w)
{
	forge_vault_go_back(w);
}

/* The older copy goes on as if nothing had been, and is shown to who knows more. */
void forge_acts_older_copy_that_went_on(struct forge_vault *w)
{
	struct err err = ERR_INIT;
	struct session_base_memory memory = w->plant.f.host.memory;
	forge_vault_go_back(w);
	memset(&w->plant.f.host.memory, 0, sizeof(memory));
	plant_model_change(&w->plant);
	if (plant_model_backup(&w->plant, &err) != 0)
		abort();
	w->plant.f.host.memory = memory;
}

void forge_acts_both_histories(struct forge_vault *w)
{
	CLEANUP(buf_done) struct buf b = BUF_INIT(STORE_MAX_OBJECT_BYTES);
	struct err err = ERR_INIT;
	if (store_get(w->store, w->newest->object, &b, &err) != 0)
		abort();
	forge_acts_older_copy_that_went_on(w);
	forge_vault_put(w, w->newest->object, b.data, b.len);
}

void forge_acts_newest_unreadable_and_older_back(struct forge_vault *w)
{
	struct err err = ERR_INIT;
	uint8_t other[32] = { 5 };
	if (store_mem_flip(w->mem, w->newest->object, 777, &err) != 0)
		abort();
	memcpy(w->plant.f.host.memory.hash, other, 32); /* the host knows of another one */
	w->plant.f.host.memory.seq++;
}
