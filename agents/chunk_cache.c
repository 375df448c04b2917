#include "agents/chunk_cache.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "agents/cache_file.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "crypto/aead.h"
#include "crypto/hmac.h"
#include "crypto/secret.h"
#include "crypto/siphash.h"
#include "vault/snaprec_refs.h"

/*
 * Entry (88 bytes), its key the print's index:
 *	 0 ref (72) xor mask   72 first 8 bytes of the record ID   80 MAC
 * MAC = SipHash of index (16) || 0..80 || check (8): without the chunk nobody can tell a good entry
 * from a bad one.  The 8 bytes of the ID tell, without the chunk, which snapshots use the entry.
 *
 * INVARIANTS
 * (1) A ref is believed only when the MAC is right, the ID begins with the 8 bytes beside it and
 *     the raw length is that of the chunk.
 * (2) The file that is read holds refs of its base snapshot only: an entry comes in as sealed by
 *     the run that made that snapshot, or is carried over because the snapshot lists its record.
 *     8 bytes of two records' IDs that are equal by chance break this; then the commit says that a
 *     record is not there.
 */

#define ID_BYTES 8
#define MAC_AT (REF_BYTES + ID_BYTES)

struct chunk_cache {
	uint8_t k_fp[AEAD_KEY_BYTES];
	struct file_cache_keys keys;
	pthread_mutex_t lock;    /* of finding */
	struct cache_file *file; /* owned */
};

int chunk_cache_open(const char *path, const uint8_t k_fp[32], const uint8_t *base,
	struct chunk_cache **out, struct err *err)
{
	struct chunk_cache *c = calloc(1, sizeof(*c));
	if (c == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	(void)pthread_mutex_init(&c->lock, NULL); /* default attributes: cannot fail */
	memcpy(c->k_fp, k_fp, sizeof(c->k_fp));
	/* 2: prints tell types apart; what lies in an older file is never found */
	hmac_kdf(
		k_fp, 32, NULL, 0, "hf1/chunk-cache-2-id", NULL, 0, c->keys.id, sizeof(c->keys.id));
	hmac_kdf(k_fp, 32, NULL, 0, "hf1/chunk-cache-mac", NULL, 0, c->keys.mac,
		sizeof(c->keys.mac));
	const struct cache_file_opts opts = { .path = path, .keys = &c->keys, .base = base };
	int rc = cache_file_open(&opts, &c->file, err);
	if (rc != 0) {
		chunk_cache_free(c);
		return rc;
	}
	*out = c;
	return 0;
}

void chunk_cache_free(struct chunk_cache *c)
{
	if (c == NULL)
		return;
	cache_file_free(c->file);
	(void)pthread_mutex_destroy(&c->lock);
	secret_wipe(c, sizeof(*c));
	free(c);
}

bool chunk_cache_is_empty(const struct chunk_cache *c)
{
	return cache_file_count(c->file) == 0;
}

/* ---- one chunk ------------------------------------------------------------------------------- */

void chunk_cache_print(const struct chunk_cache *c, enum record_type type, enum record_class class,
	const void *raw, size_t len, struct chunk_print *out)
{
	uint8_t w[AEAD_TAG_BYTES];
	const uint8_t ctx[2] = { (uint8_t) class, (uint8_t)type };
	/* Nothing is encrypted: the tag is AES-256-GMAC of the raw bytes, nonce zero. */
	(void)aead_seal(
		AEAD_AES256GCM, c->k_fp, NULL, raw, len, NULL, 0, w, NULL); /* known suite */
	hmac_kdf(w, sizeof(w), NULL, 0, "hf1/fp-idx", ctx, sizeof(ctx), out->index,
		sizeof(out->index));
	hmac_kdf(w, sizeof(w), NULL, 0, "hf1/fp-mask", ctx, sizeof(ctx), out->mask,
		sizeof(out->mask));
	hmac_kdf(w, sizeof(w), NULL, 0, "hf1/fp-chk", ctx, sizeof(ctx), out->check,
		sizeof(out->check));
	secret_wipe(w, sizeof(w));
}

static struct file_cache_key print_key(const struct chunk_print *print)
{
	return (struct file_cache_key){ bytes_get64(print->index), bytes_get64(print->index + 8) };
}

static uint64_t entry_mac(const struct chunk_cache *c, const struct chunk_print *print,
	const uint8_t entry[CHUNK_CACHE_ENTRY_BYTES])
{
	uint8_t all[sizeof(print->index) + MAC_AT + sizeof(print->check)];
	memcpy(all, print->index, sizeof(print->index));
	memcpy(all + sizeof(print->index), entry, MAC_AT);
	memcpy(all + sizeof(print->index) + MAC_AT, print->check, sizeof(print->check));
	return siphash_key(c->keys.mac, all, sizeof(all));
}

static void apply_mask(uint8_t ref[REF_BYTES], const struct chunk_print *print)
{
	for (size_t i = 0; i < REF_BYTES; i++)
		ref[i] ^= print->mask[i];
}

/* Invariant 1.  Return 1 with the ref or 0. */
static int open_entry(const struct chunk_cache *c, const struct chunk_print *print, size_t len,
	uint8_t entry[CHUNK_CACHE_ENTRY_BYTES], struct ref *out)
{
	struct ref ref;
	if (entry_mac(c, print, entry) != bytes_get64(entry + MAC_AT))
		return 0;
	apply_mask(entry, print);
	ref_decode(entry, &ref);
	if (memcmp(ref.id, entry + REF_BYTES, ID_BYTES) != 0 || ref.raw_len != len)
		return 0;
	*out = ref;
	return 1;
}

int chunk_cache_find(
	struct chunk_cache *c, const struct chunk_print *print, size_t len, struct ref *out)
{
	uint8_t entry[CHUNK_CACHE_ENTRY_BYTES];
	const struct file_cache_key key = print_key(print);
	uint64_t at;
	if (chunk_cache_is_empty(c))
		return 0;
	(void)pthread_mutex_lock(&c->lock);
	int is_found = cache_file_find(c->file, &key, &at);
	(void)pthread_mutex_unlock(&c->lock);
	if (is_found == 0 || cache_file_read(c->file, at, entry, sizeof(entry)) == 0)
		return 0;
	is_found = open_entry(c, print, len, entry, out);
	secret_wipe(entry, sizeof(entry));
	return is_found;
}

int chunk_cache_add(struct chunk_cache *c, const struct chunk_print *print, const struct ref *ref,
	struct err *err)
{
	uint8_t entry[CHUNK_CACHE_ENTRY_BYTES];
	const struct file_cache_key key = print_key(print);
	ref_encode(ref, entry);
	apply_mask(entry, print);
	memcpy(entry + REF_BYTES, ref->id, ID_BYTES);
	bytes_put64(entry + MAC_AT, entry_mac(c, print, entry));
	return cache_file_add(c->file, &key, entry, sizeof(entry), err);
}

/* ---- commit ---------------------------------------------------------------------------------- */

struct used_ids {
	uint64_t *ids; /* ID_BYTES of each; owned */
	size_t count, cap;
};

static void used_ids_done(struct used_ids *u)
{
	free(u->ids);
}

static int note_used(void *arg, const uint8_t id[32], uint32_t cr_len, struct err *err)
{
	struct used_ids *u = arg;
	(void)cr_len;
	if (u->count == u->cap)
		return err_set(err, ERR_CORRUPT, "a reference list of more entries than bytes");
	u->ids[u->count++] = bytes_get64(id);
	return 0;
}

static int compare_ids(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;
	return (*x > *y) - (*x < *y);
}

static int collect_used(const uint8_t *refs, size_t len, struct used_ids *u, struct err *err)
{
	uint8_t root[32];
	uint64_t count;
	u->cap = len / 32; /* each takes its ID at least */
	u->ids = calloc(u->cap + 1, sizeof(*u->ids));
	if (u->ids == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	int rc = snaprec_refs_walk(refs, len, NULL, note_used, u, root, &count, err);
	if (rc == 0)
		qsort(u->ids, u->count, sizeof(*u->ids), compare_ids);
	return rc;
}

/* Invariant 2: what the last run knew and the new snapshot uses. */
static int carry_over(struct chunk_cache *c, const struct used_ids *u, struct err *err)
{
	const uint64_t count = cache_file_count(c->file);
	int rc = 0;
	for (uint64_t i = 0; rc == 0 && i < count; i++) {
		uint8_t entry[CHUNK_CACHE_ENTRY_BYTES];
		struct file_cache_key key;
		uint64_t at;
		if (cache_file_get(c->file, i, &key, &at) == 0 ||
			cache_file_read(c->file, at, entry, sizeof(entry)) == 0)
			continue;
		const uint64_t id = bytes_get64(entry + REF_BYTES);
		if (u->count > 0 && bsearch(&id, u->ids, u->count, sizeof(id), compare_ids) != NULL)
			rc = cache_file_add(c->file, &key, entry, sizeof(entry), err);
	}
	return rc;
}

int chunk_cache_commit(struct chunk_cache *c, const uint8_t snap_hash[32], const uint8_t *refs,
	size_t len, struct err *err)
{
	CLEANUP(used_ids_done) struct used_ids used = { .count = 0 };
	int rc = 0;
	if (!chunk_cache_is_empty(c))
		rc = collect_used(refs, len, &used, err);
	if (rc == 0)
		rc = carry_over(c, &used, err);
	return rc != 0 ? rc : cache_file_commit(c->file, snap_hash, err);
}
