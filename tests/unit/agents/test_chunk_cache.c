#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "agents/chunk_cache.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "crypto/aead.h"
#include "crypto/hmac.h"
#include "tests/lib/store_scratch.h"
#include "tests/lib/vault_fixture.h"
#include "vault/snaprec_refs.h"

DEFINE_CLEANUP(struct chunk_cache *, chunk_cache_free)

#define CHUNKS 300
#define CHUNK_BYTES 200

static char path[4200];
static const uint8_t k_fp[32] = "the key of the fingerprints ...";
static const uint8_t first[32] = { 1 }, second[32] = { 2 };
static uint8_t raw[CHUNKS][CHUNK_BYTES];
static struct err err;

static void setup(void)
{
	const char *dir = store_scratch_new();
	cr_assert(dir != NULL);
	(void)snprintf(path, sizeof(path), "%s/chunks", dir);
	for (size_t i = 0; i < CHUNKS; i++)
		vault_fixture_noise(raw[i], sizeof(raw[i]), i + 1);
}

static void teardown(void)
{
	store_scratch_done();
}

TestSuite(chunk_cache, .init = setup, .fini = teardown);

static struct chunk_cache *open_cache(const uint8_t *base)
{
	struct chunk_cache *c = NULL;
	cr_assert(eq(int, chunk_cache_open(path, k_fp, base, &c, &err), 0), "%s", err.msg);
	return c;
}

static struct ref ref_of(size_t i)
{
	struct ref ref = { .raw_len = CHUNK_BYTES, .cr_len = 100 + (uint32_t)i };
	vault_fixture_noise(ref.id, sizeof(ref.id), 1000 + i);
	vault_fixture_noise(ref.key, sizeof(ref.key), 2000 + i);
	return ref;
}

static void add(struct chunk_cache *c, size_t i)
{
	struct chunk_print print;
	const struct ref ref = ref_of(i);
	chunk_cache_print(c, RECORD_DATA, RECORD_CLASS_STREAM, raw[i], CHUNK_BYTES, &print);
	cr_assert(eq(int, chunk_cache_add(c, &print, &ref, &err), 0), "%s", err.msg);
}

/* Commit for a snapshot that lists the records of every ${step}th chunk from ${from} on. */
static void commit(struct chunk_cache *c, const uint8_t snap[32], size_t from, size_t step)
{
	struct snaprec_refs *refs = NULL;
	const uint8_t *body;
	size_t len;
	uint64_t count;
	uint8_t root[32];
	cr_assert(eq(int, snaprec_refs_new(&refs, &err), 0));
	for (size_t i = from; i < CHUNKS; i += step) {
		const struct ref ref = ref_of(i);
		cr_assert(eq(int, snaprec_refs_add(refs, ref.id, ref.cr_len, &err), 0));
	}
	cr_assert(eq(int, snaprec_refs_finish(refs, &body, &len, &count, root, &err), 0));
	cr_assert(eq(int, chunk_cache_commit(c, snap, body, len, &err), 0), "%s", err.msg);
	snaprec_refs_free(refs);
}

static void make(size_t count)
{
	CLEANUP(chunk_cache_free_p) struct chunk_cache *c = open_cache(NULL);
	for (size_t i = 0; i < count; i++)
		add(c, i);
	commit(c, first, 0, 1);
}

/* Return whether chunk ${i} is known; its ref must be right. */
static bool knows(struct chunk_cache *c, size_t i)
{
	struct chunk_print print;
	struct ref ref, want = ref_of(i);
	chunk_cache_print(c, RECORD_DATA, RECORD_CLASS_STREAM, raw[i], CHUNK_BYTES, &print);
	if (chunk_cache_find(c, &print, CHUNK_BYTES, &ref) == 0)
		return false;
	cr_expect(eq(int, memcmp(&ref, &want, sizeof(ref)), 0), "chunk %zu", i);
	return true;
}

Test(chunk_cache, the_print_is_derived_as_the_format_page_says)
{
	uint8_t w[AEAD_TAG_BYTES], index[16], mask[72], check[8];
	struct chunk_print print;
	CLEANUP(chunk_cache_free_p) struct chunk_cache *c = open_cache(NULL);
	const uint8_t kind[2] = { RECORD_CLASS_BUNDLE, RECORD_DATA };
	chunk_cache_print(c, RECORD_DATA, RECORD_CLASS_BUNDLE, raw[0], CHUNK_BYTES, &print);
	cr_assert(eq(int,
		aead_seal(AEAD_AES256GCM, k_fp, NULL, raw[0], CHUNK_BYTES, NULL, 0, w, &err), 0));
	hmac_kdf(w, 16, NULL, 0, "hf1/fp-idx", kind, 2, index, 16);
	hmac_kdf(w, 16, NULL, 0, "hf1/fp-mask", kind, 2, mask, 72);
	hmac_kdf(w, 16, NULL, 0, "hf1/fp-chk", kind, 2, check, 8);
	cr_expect(eq(int, memcmp(print.index, index, 16), 0));
	cr_expect(eq(int, memcmp(print.mask, mask, 72), 0));
	cr_expect(eq(int, memcmp(print.check, check, 8), 0));
}

Test(chunk_cache, what_was_sealed_is_known_to_the_next_backup_and_nothing_else)
{
	struct chunk_print print;
	struct ref ref;
	make(CHUNKS - 1);
	CLEANUP(chunk_cache_free_p) struct chunk_cache *c = open_cache(first);
	for (size_t i = 0; i < CHUNKS - 1; i++)
		cr_expect(knows(c, i), "chunk %zu", i);
	cr_expect(not(knows(c, CHUNKS - 1)));
	chunk_cache_print(c, RECORD_DATA, RECORD_CLASS_BUNDLE, raw[0], CHUNK_BYTES, &print);
	cr_expect(eq(int, chunk_cache_find(c, &print, CHUNK_BYTES, &ref), 0), "another class");
	chunk_cache_print(c, RECORD_NODE, RECORD_CLASS_STREAM, raw[0], CHUNK_BYTES, &print);
	cr_expect(eq(int, chunk_cache_find(c, &print, CHUNK_BYTES, &ref), 0), "another type");
	chunk_cache_print(c, RECORD_DATA, RECORD_CLASS_STREAM, raw[0], CHUNK_BYTES - 1, &print);
	cr_expect(eq(int, chunk_cache_find(c, &print, CHUNK_BYTES - 1, &ref), 0), "a part");
}

Test(chunk_cache, another_base_another_key_or_no_base_is_empty)
{
	static const uint8_t other[32] = "another key of fingerprints ...";
	struct chunk_cache *c = NULL;
	make(3);
	c = open_cache(second);
	cr_expect(not(knows(c, 0)));
	chunk_cache_free(c);
	c = open_cache(NULL);
	cr_expect(not(knows(c, 0)));
	chunk_cache_free(c);
	cr_assert(eq(int, chunk_cache_open(path, other, first, &c, &err), 0));
	cr_expect(not(knows(c, 0)));
	chunk_cache_free(c);
}

Test(chunk_cache, what_the_new_snapshot_uses_is_carried_over_and_the_rest_forgotten)
{
	make(CHUNKS - 10);
	struct chunk_cache *c = open_cache(first);
	add(c, CHUNKS - 1);
	commit(c, second, 1, 3);
	chunk_cache_free(c);
	c = open_cache(second);
	for (size_t i = 0; i < CHUNKS - 10; i++)
		cr_expect(eq(int, knows(c, i), i % 3 == 1), "chunk %zu", i);
	cr_expect(knows(c, CHUNKS - 1), "sealed by that run");
	chunk_cache_free(c);
}

Test(chunk_cache, the_file_shows_no_ref_and_stays_small)
{
	static uint8_t data[65536];
	make(CHUNKS);
	CLEANUP(cleanup_fclose_p) FILE *f = fopen(path, "re");
	cr_assert(f != NULL);
	size_t len = fread(data, 1, sizeof(data), f);
	cr_expect(eq(sz, len, 88 + CHUNKS * (size_t)(CHUNK_CACHE_ENTRY_BYTES + 24)));
	for (size_t i = 0; i < CHUNKS; i++) {
		const struct ref ref = ref_of(i);
		cr_expect(eq(ptr, memmem(data, len, ref.key, 8), NULL), "key %zu", i);
	}
}

static size_t slurp(uint8_t *out, size_t cap)
{
	CLEANUP(cleanup_fclose_p) FILE *f = fopen(path, "re");
	cr_assert(f != NULL);
	return fread(out, 1, cap, f);
}

static void put(const uint8_t *data, size_t len)
{
	CLEANUP(cleanup_fclose_p) FILE *f = fopen(path, "we");
	cr_assert(f != NULL);
	cr_assert(eq(sz, fwrite(data, 1, len, f), len));
}

Test(chunk_cache, every_changed_bit_is_a_miss_also_when_it_was_carried_over)
{
	static uint8_t data[1024];
	make(4);
	const size_t len = slurp(data, sizeof(data));
	cr_assert(eq(sz, len, 88 + 4 * 112));
	for (size_t bit = 0; bit < len * 8; bit++) {
		data[bit / 8] ^= (uint8_t)(1u << bit % 8);
		put(data, len);
		data[bit / 8] ^= (uint8_t)(1u << bit % 8);
		struct chunk_cache *c = open_cache(first);
		unsigned known = 0, carried = 0;
		for (size_t i = 0; i < 4; i++)
			known += knows(c, i); /* a hit is compared there */
		cr_expect(lt(uint, known, 4), "bit %zu", bit);
		commit(c, second, 0, 1);
		chunk_cache_free(c);
		c = open_cache(second);
		for (size_t i = 0; i < 4; i++)
			carried += knows(c, i);
		cr_expect(ge(uint, carried, known), "bit %zu", bit);
		if (bit / 8 >= 88 && bit / 8 < 88 + 4 * CHUNK_CACHE_ENTRY_BYTES)
			cr_expect(eq(uint, carried, 3), "damage stays damage: bit %zu", bit);
		chunk_cache_free(c);
	}
}

Test(chunk_cache, a_cut_file_is_empty)
{
	static uint8_t data[1024];
	make(4);
	const size_t len = slurp(data, sizeof(data));
	for (size_t cut = 0; cut < len; cut++) {
		put(data, cut);
		CLEANUP(chunk_cache_free_p) struct chunk_cache *c = open_cache(first);
		cr_expect(not(knows(c, 1)), "cut at %zu", cut);
	}
}

Test(chunk_cache, a_file_that_shrinks_while_it_is_open_is_a_miss)
{
	make(CHUNKS);
	CLEANUP(chunk_cache_free_p) struct chunk_cache *c = open_cache(first);
	cr_assert(eq(int, truncate(path, 0), 0));
	for (size_t i = 0; i < CHUNKS; i++)
		cr_expect(not(knows(c, i)));
}

struct seeker {
	struct chunk_cache *c;
	size_t found;
};

static void *seek_all(void *arg)
{
	struct seeker *s = arg;
	for (size_t i = 0; i < 10 * CHUNKS; i++)
		s->found += knows(s->c, (i * 7) % CHUNKS);
	return NULL;
}

Test(chunk_cache, several_threads_find_while_one_adds)
{
	struct seeker seekers[4];
	pthread_t threads[4];
	make(CHUNKS);
	CLEANUP(chunk_cache_free_p) struct chunk_cache *c = open_cache(first);
	for (size_t t = 0; t < 4; t++) {
		seekers[t] = (struct seeker){ .c = c };
		cr_assert(eq(int, pthread_create(&threads[t], NULL, seek_all, &seekers[t]), 0));
	}
	for (size_t i = 0; i < CHUNKS; i++)
		add(c, i);
	for (size_t t = 0; t < 4; t++) {
		cr_assert(eq(int, pthread_join(threads[t], NULL), 0));
		cr_expect(eq(sz, seekers[t].found, 10 * CHUNKS));
	}
}

Test(chunk_cache, a_cache_that_cannot_be_written_says_so_at_commit)
{
	struct chunk_cache *c = NULL;
	cr_assert(eq(int, chunk_cache_open("/proc/none/chunks", k_fp, NULL, &c, &err), 0));
	struct chunk_print print;
	const struct ref ref = ref_of(0);
	chunk_cache_print(c, RECORD_DATA, RECORD_CLASS_STREAM, raw[0], CHUNK_BYTES, &print);
	cr_expect(eq(int, chunk_cache_add(c, &print, &ref, &err), -ERR_IO));
	cr_expect(eq(int, chunk_cache_add(c, &print, &ref, &err), -ERR_IO));
	cr_expect(eq(int, chunk_cache_commit(c, first, NULL, 0, &err), -ERR_IO));
	chunk_cache_free(c);
	chunk_cache_free(NULL);
}
