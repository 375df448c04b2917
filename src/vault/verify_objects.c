#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "codec/text.h"
#include "crypto/hash.h"
#include "crypto/secret.h"
#include "store/store.h"
#include "vault/collect_list.h"
#include "vault/fetch.h"
#include "vault/index.h"
#include "vault/prune_order.h"
#include "vault/record.h"
#include "vault/repair_back.h"
#include "vault/rewrap.h"
#include "vault/session_mark.h"
#include "vault/slot.h"
#include "vault/store_text.h"
#include "vault/vault_header.h"
#include "vault/vault_internal.h"
#include "vault/verify_internal.h"

/*
 * INVARIANTS
 * (1) Every check_* gets the bytes as they lie on the store and says nothing of other objects.
 */

typedef int (*check_fn)(
	struct verify *v, const char *name, const struct buf *object, struct err *why);

static int check_sealed(struct verify *v, enum sealed_kind kind, const struct buf *object,
	struct buf *body, struct err *why)
{
	return sealed_open(vault_sealed_key(v->vault), kind, object->data, object->len, body, why);
}

static int check_header(
	struct verify *v, const char *name, const struct buf *object, struct err *why)
{
	struct vault_header h;
	unsigned generation;
	int rc = vault_header_decode(object->data, object->len, &h, why);
	const struct sealed_key *key = NULL;
	if (rc == 0)
		key = sealed_key_of(&v->vault->key, h.kv_epoch);
	if (rc == 0 && key == NULL)
		rc = err_set(why, ERR_AUTH, "a header of a vault key epoch that is not known");
	if (rc == 0)
		rc = vault_header_verify(object->data, object->len, key->k_vault, why);
	if (rc == 0 && (sscanf(name, "vh/%8x-", &generation) != 1 || generation != h.generation))
		rc = err_set(
			why, ERR_CORRUPT, "the header's generation is not the one in its name");
	return rc;
}

/* A slot that leads to the key of the epoch before. */
static void check_link(struct verify *v, const char *name, const struct buf *object)
{
	uint8_t before[32];
	const struct sealed_key *k = sealed_key_of(&v->vault->key, slot_hfkp_epoch(object->data));
	if (k == NULL || slot_hfkp_open(object->data, object->len, k->vault_id, k->k_vault, before,
				 NULL) != 0)
		verify_warning(v, name, "a rotation that broke off left it: it leads to no key");
	secret_wipe(before, sizeof(before));
}

static int check_slot(struct verify *v, const char *name, const struct buf *object, struct err *why)
{
	/* the hash was checked; the rest cannot be without the recovery key */
	if (object->len == SLOT_HFKP_BYTES && slot_hfkp_epoch(object->data) != 0) {
		check_link(v, name, object);
		return 0;
	}
	bool is_known = (object->len == SLOT_HFKV_BYTES && memcmp(object->data, "HFKV", 4) == 0) ||
			(object->len == SLOT_HFBG_BYTES && memcmp(object->data, "HFBG", 4) == 0) ||
			(object->len == SLOT_HFKR_BYTES && memcmp(object->data, "HFKR", 4) == 0);
	return is_known ? 0 : err_set(why, ERR_UNSUPPORTED, "a key slot of an unknown kind");
}

static int check_index(
	struct verify *v, const char *name, const struct buf *object, struct err *why)
{
	(void)name;
	CLEANUP(buf_done) struct buf body = BUF_INIT(SEALED_MAX_BYTES);
	struct index *index = NULL;
	int rc = check_sealed(v, SEALED_INDEX, object, &body, why);
	if (rc == 0)
		rc = index_new(&index, why);
	if (rc == 0)
		rc = index_add_segment(index, body.data, body.len, why);
	index_free(index);
	return rc;
}

static int check_refs_object(
	struct verify *v, const char *name, const struct buf *object, struct err *why)
{
	(void)name;
	CLEANUP(buf_done) struct buf body = BUF_INIT(SEALED_MAX_BYTES);
	uint8_t root[HASH_BYTES];
	uint64_t count;
	int rc = check_sealed(v, SEALED_REFS, object, &body, why);
	return rc != 0 ? rc
		       : snaprec_refs_walk(
				 body.data, body.len, NULL, NULL, NULL, root, &count, why);
}

static int check_envelopes_object(
	struct verify *v, const char *name, const struct buf *object, struct err *why)
{
	(void)name;
	CLEANUP(buf_done) struct buf body = BUF_INIT(SEALED_MAX_BYTES);
	return check_sealed(v, SEALED_ENVELOPES, object, &body, why);
}

static int check_rewrap(
	struct verify *v, const char *name, const struct buf *object, struct err *why)
{
	(void)name;
	CLEANUP(buf_done) struct buf body = BUF_INIT(SEALED_MAX_BYTES);
	const uint8_t *first;
	size_t count;
	int rc = check_sealed(v, SEALED_REWRAP, object, &body, why);
	return rc != 0 ? rc : rewrap_decode(body.data, body.len, &first, &count, why);
}

static int check_snapshot_object(
	struct verify *v, const char *name, const struct buf *object, struct err *why)
{
	CLEANUP(buf_done) struct buf body = BUF_INIT(SEALED_MAX_BYTES);
	struct snapshot_body b;
	unsigned long long ms;
	int rc = check_sealed(v, SEALED_SNAPSHOT, object, &body, why);
	if (rc == 0)
		rc = snapshot_body_decode(body.data, body.len, &b, why);
	if (rc != 0)
		return rc;
	if (sscanf(name, "sn/%12llx-", &ms) != 1 ||
		ms != (unsigned long long)(b.receipt_ns / 1000000))
		rc = err_set(why, ERR_CORRUPT, "the receipt's time is not the one in its name");
	snapshot_body_done(&b);
	return rc;
}

static int check_config(
	struct verify *v, const char *name, const struct buf *object, struct err *why)
{
	(void)name;
	CLEANUP(buf_done) struct buf body = BUF_INIT(SEALED_MAX_BYTES);
	struct domain domain = { .epoch = 0 };
	const struct domain *known = vault_domain(v->vault);
	int rc = check_sealed(v, SEALED_CONFIG, object, &body, why);
	if (rc == 0)
		rc = domain_decode(body.data, body.len,
			known->officer_count > 0 ? known->officer_pk[0] : NULL, &domain, why);
	domain_done(&domain);
	return rc;
}

static int check_mark(struct verify *v, const char *name, const struct buf *object, struct err *why)
{
	struct session_mark mark;
	return session_mark_open(
		vault_sealed_key(v->vault), name, object->data, object->len, &mark, why);
}

static int check_order(
	struct verify *v, const char *name, const struct buf *object, struct err *why)
{
	(void)name;
	CLEANUP(buf_done) struct buf body = BUF_INIT(SEALED_MAX_BYTES);
	struct prune_order order = { .count = 0 };
	int rc = check_sealed(v, SEALED_PRUNE, object, &body, why);
	if (rc == 0)
		rc = prune_order_decode(body.data, body.len, &order, why);
	prune_order_done(&order);
	return rc;
}

/* The records, too, are what somebody of the config signed. */
static int check_pruned(
	struct verify *v, const char *name, const struct buf *object, struct err *why)
{
	(void)name;
	CLEANUP(buf_done) struct buf body = BUF_INIT(SEALED_MAX_BYTES);
	struct prune_order order = { .count = 0 };
	const struct domain *d = vault_domain(v->vault);
	const uint8_t *records = NULL;
	int rc = check_sealed(v, SEALED_PRUNED, object, &body, why);
	if (rc == 0)
		rc = prune_order_decode_pruned(body.data, body.len, &order, &records, why);
	for (size_t i = 0; rc == 0 && d->epoch != 0 && i < order.count; i++) {
		struct snaprec r;
		rc = snaprec_decode(records + i * SNAPREC_BYTES, &r, why);
		const struct domain_agent *a = rc == 0 ? domain_find_kid(d, r.kid) : NULL;
		if (rc == 0 && a == NULL)
			rc = err_set(why, ERR_CORRUPT, "the signer of a pruned record is unknown");
		if (rc == 0)
			rc = snaprec_verify(records + i * SNAPREC_BYTES, a->ik_pk, why);
	}
	prune_order_done(&order);
	return rc;
}

static int check_list(struct verify *v, const char *name, const struct buf *object, struct err *why)
{
	struct collect_list list = { .count = 0 };
	int rc = collect_list_open(
		vault_sealed_key(v->vault), name, object->data, object->len, &list, why);
	collect_list_done(&list);
	return rc;
}

static int check_hash(const char *name, const struct buf *object, struct err *why)
{
	uint8_t hash[HASH_BYTES];
	char hex[2 * HASH_BYTES + 1];
	size_t len = strlen(name);
	hash_sha256(object->data, object->len, hash);
	text_hex(hash, sizeof(hash), hex);
	if (len < 64 || strcmp(name + len - 64, hex) != 0)
		return err_set(why, ERR_CORRUPT, "its bytes do not hash to its name");
	return 0;
}

static const struct {
	const char *prefix;
	bool is_hashed; /* the name ends in the hash of the bytes */
	check_fn check;
} classes[] = {
	{ "ix/", true, check_index },
	{ "rf/", true, check_refs_object },
	{ "ev/", true, check_envelopes_object },
	{ REWRAP_PREFIX, true, check_rewrap },
	{ "sn/", true, check_snapshot_object },
	{ "cf/", true, check_config },
	{ "ks/", true, check_slot },
	{ "vh/", true, check_header },
	{ "pr/", true, check_order },
	{ "hs/", true, check_pruned },
	{ "gc/", true, check_list },
	{ "dd/", true, check_list },
	{ "se/", false, check_mark },
	{ PARITY_PREFIX, true, verify_parity_object },
};

/* Classes of later versions: their bytes still hash to their names. */
static const char *const later[] = { "lg/", "iv/" };

/* An intact text of another version of the program only warns. */
static void check_text(
	struct verify *v, const char *name, const struct buf *object, const char *ours)
{
	struct err why = ERR_INIT;
	switch (store_text_check(object->data, object->len, ours)) {
	case STORE_TEXT_OURS:
		return;
	case STORE_TEXT_OTHER:
		verify_warning(v, name, "the text is intact, and of another version");
		return;
	case STORE_TEXT_DAMAGED:
		err_set(&why, ERR_CORRUPT, "the text does not have the SHA-256 in its last line");
		verify_problem(v, name, &why);
	}
}

static void tell_bad(struct verify *v, const char *name, const struct err *why)
{
	verify_problem(v, name, why);
	verify_parity_note(v, name);
}

static void check_class(struct verify *v, const char *name, const struct buf *object)
{
	struct err why = ERR_INIT;
	for (size_t i = 0; i < sizeof(classes) / sizeof(classes[0]); i++) {
		if (!vault_name_is_of(name, classes[i].prefix))
			continue;
		int rc = classes[i].is_hashed ? check_hash(name, object, &why) : 0;
		if (rc == 0)
			rc = classes[i].check(v, name, object, &why);
		if (rc != 0)
			tell_bad(v, name, &why);
		return;
	}
	for (size_t i = 0; i < sizeof(later) / sizeof(later[0]); i++) {
		if (vault_name_is_of(name, later[i])) {
			verify_warning(v, name, "made by a newer version; only seen, not checked");
			return;
		}
	}
	if (vault_name_is_of(name, REPAIR_BACK_QUARANTINE))
		return; /* damaged bytes, kept on purpose */
	if (vault_name_is_of(name, REPAIR_BACK_LOG)) {
		verify_warning(v, name, "a repair broke off here: 'holdfast repair' carries on");
		return;
	}
	verify_warning(v, name, "no object of this format");
}

int verify_objects_unread(struct verify *v, const char *name, const struct err *why,
	void (*bad)(struct verify *v, const char *name, const struct err *why), struct err *err)
{
	uint64_t still;
	if (why->code == ERR_NOT_FOUND &&
		store_stat(vault_store(v->vault), name, &still, NULL) == -ERR_NOT_FOUND)
		return 0; /* deleted by a collection between list and read; what needs it says so */
	if (why->code == ERR_NOMEM) {
		if (err != NULL)
			*err = *why;
		return -ERR_NOMEM;
	}
	bad(v, name, why);
	return 0;
}

int verify_objects_read(struct verify *v, const char *name, uint64_t size, struct buf *object,
	void (*bad)(struct verify *v, const char *name, const struct err *why), struct err *err)
{
	struct err why = ERR_INIT;
	buf_clear(object);
	int rc = size > STORE_MAX_OBJECT_BYTES
			 ? err_set(&why, ERR_CORRUPT, "longer than any object of this format")
			 : store_get(vault_store(v->vault), name, object, &why);
	return rc == 0 ? 1 : verify_objects_unread(v, name, &why, bad, err);
}

int verify_objects_one(struct verify *v, const char *name, uint64_t size, struct err *err)
{
	const struct buf *object = &v->object;
	int rc = verify_objects_read(v, name, size, &v->object, tell_bad, err);
	if (rc <= 0)
		return rc;
	if (strcmp(name, "README.txt") == 0)
		check_text(v, name, object, store_text_readme);
	else if (strcmp(name, "FORMAT.txt") == 0)
		check_text(v, name, object, store_text_format);
	else
		check_class(v, name, object);
	return 0;
}

int verify_objects_left(struct verify *v, const char *name, uint64_t size, struct err *err)
{
	uint8_t hash[HASH_BYTES];
	struct fetch_footer footer = { .at = NULL };
	struct err why = ERR_INIT;
	uint64_t still;
	int rc = text_unhex(strrchr(name, '/') + 1, sizeof(hash), hash); /* a pack's name */
	if (rc == 0)
		rc = fetch_footer(v->vault, hash, size, &footer, &why);
	if (rc == -ERR_NOT_FOUND &&
		store_stat(vault_store(v->vault), name, &still, NULL) == -ERR_NOT_FOUND)
		return 0; /* as above */
	bool is_dead = collect_view_is_dead(&v->lists, COLLECT_LIST_PACK, hash);
	for (size_t i = 0; rc == 0 && !is_dead && i < footer.count; i++)
		rc = id_marks_add(v->good, footer.at[i].id, footer.at[i].cr_len, &why);
	v->result->left_packs++;
	v->result->left_bytes += size;
	fetch_footer_done(&footer);
	if (rc != 0 && rc != -ERR_NOMEM && vault_is_object_loss(rc)) {
		verify_problem(v, name, &why);
		return 0;
	}
	if (rc != 0 && err != NULL)
		*err = why;
	return rc;
}
