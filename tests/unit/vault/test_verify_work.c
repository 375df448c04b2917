#include "vault/verify_work.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "crypto/hash.h"
#include "tests/lib/vault_fixture.h"
#include "vault/fetch.h"
#include "vault/snapshot.h"
#include "vault/tree_reader.h"

#define FILES 40
#define BIG_BYTES (5u << 20)

static struct vault_fixture f;
static struct fake_file files[FILES];
static char paths[FILES][16];
static uint8_t *data;
static struct extent extents[FILES][16];
static size_t extent_counts[FILES];
static struct fetch *fetch;

static int keep_extent(void *arg, const struct extent *x, struct err *why)
{
	size_t *file = arg;
	(void)why;
	cr_assert(lt(sz, extent_counts[*file], 16));
	extents[*file][extent_counts[*file]++] = *x;
	return 0;
}

/* Small files in bundles, and a large one at the end; what each is made of. */
static void setup(void)
{
	struct err err = ERR_INIT;
	struct backup_result r;
	struct snapshot_list list = { .at = NULL };
	struct snapshot_opened opened;
	struct tree_reader *reader = NULL;
	const uint8_t *key;
	size_t len;
	struct entry e;
	size_t at = 0, file = 0;
	data = malloc(BIG_BYTES + (FILES << 16));
	cr_assert(data != NULL);
	vault_fixture_init(&f);
	vault_fixture_noise(data, BIG_BYTES + (FILES << 16), 7);
	for (size_t i = 0; i < FILES; i++) {
		(void)snprintf(paths[i], sizeof(paths[i]), "f%02zu", i);
		files[i] = (struct fake_file){ .path = paths[i],
			.kind = ENTRY_FILE,
			.data = data + at,
			.len = i + 1 == FILES ? BIG_BYTES : 1 + i * 1237,
			.mtime_s = 1 };
		at += files[i].len;
	}
	cr_assert(eq(int, vault_fixture_backup(&f, files, FILES, &r, &err), 0), "%s", err.msg);
	vault_fixture_reopen(&f);
	cr_assert(eq(int, fetch_new(f.vault, &fetch, &err), 0));
	cr_assert(eq(int, snapshot_list(f.vault, NULL, NULL, &list, &err), 0));
	cr_assert(eq(int, snapshot_open(f.vault, fetch, &list.at[0], f.rk_sk, &opened, &err), 0));
	cr_assert(
		eq(int, tree_reader_new(fetch_source(fetch), &opened.root.top, &reader, &err), 0));
	while (tree_reader_next(reader, &key, &len, &e, &err) == 1) {
		if (e.kind != ENTRY_FILE)
			continue;
		extent_counts[file] = 0;
		cr_assert(eq(int, tree_reader_extents(reader, &e, keep_extent, &file, &err), 0));
		file++;
	}
	cr_assert(eq(sz, file, FILES));
	tree_reader_free(reader);
	snapshot_list_done(&list);
}

static void teardown(void)
{
	fetch_free(fetch);
	vault_fixture_done(&f);
	free(data);
}

TestSuite(verify_work, .init = setup, .fini = teardown);

/* A message of a file's first ${bytes}, in pieces of at most ${step}. */
static void add(struct verify_work *w, size_t file, bool is_leaf, uint64_t bytes, uint64_t step)
{
	struct verify_work_message *m = &w->messages[w->message_count++];
	*m = (struct verify_work_message){ .is_leaf = is_leaf, .first = w->piece_count };
	for (size_t i = 0; i < extent_counts[file] && bytes > 0; i++) {
		struct extent x = extents[file][i];
		while (x.length > 0 && bytes > 0) {
			struct extent piece = x;
			if (piece.length > step)
				piece.length = step;
			if (piece.length > bytes)
				piece.length = bytes;
			cr_assert(lt(sz, w->piece_count, VERIFY_WORK_PIECES));
			w->pieces[w->piece_count++] = piece;
			m->count++;
			m->bytes += piece.length;
			x.offset += piece.length;
			x.length -= piece.length;
			bytes -= piece.length;
		}
	}
}

static bool is_right(const struct verify_work_message *m, size_t file)
{
	uint8_t want[HASH_BYTES];
	const struct hash_part parts[] = { { "", m->is_leaf ? 1 : 0 },
		{ files[file].data, (size_t)m->bytes } };
	hash_parts(parts, 2, want);
	return m->rc == 0 && m->why == NULL && memcmp(m->hash, want, HASH_BYTES) == 0;
}

static struct verify_work_worker *worker_of(unsigned workers, bool is_known)
{
	struct err err = ERR_INIT;
	struct index *index;
	struct verify_work_worker *w = NULL;
	cr_assert(eq(int, fetch_index(fetch, &index, &err), 0));
	cr_assert(eq(int, verify_work_worker_new(fetch, workers, is_known, &w, &err), 0));
	return w;
}

Test(verify_work, files_and_blocks_have_their_hashes_however_they_are_cut)
{
	struct err err = ERR_INIT;
	struct verify_work *w = NULL;
	const size_t big = FILES - 1;
	cr_assert(eq(int, verify_work_new(&w, &err), 0));
	/* many hold little: records find no room between those in use; of a thousand, each record
	 * passes what it may hold */
	static const unsigned workers[] = { 2, 2, 8, 16, 24, 40, 100, 1000, 1000 };
	for (unsigned round = 0; round < sizeof(workers) / sizeof(workers[0]); round++) {
		struct verify_work_worker *worker = worker_of(workers[round], round % 2 == 0);
		for (unsigned again = 0; again < 3; again++) {
			verify_work_clear(w);
			for (size_t i = 0; i < FILES; i++)
				add(w, i, i % 3 == 0, UINT64_MAX,
					i % 2 == 0 || i == big ? UINT64_MAX : 1500);
			add(w, big, true, 1u << 20, UINT64_MAX);
			add(w, big, true, 1u << 20, 40000);
			add(w, big, false, 1u << 20, 2000);
			add(w, 5, false, 0, 1); /* of nothing */
			verify_work_do(worker, w);
			for (size_t i = 0; i < w->message_count; i++) {
				size_t file = i < FILES ? i : i == FILES + 3 ? 5 : big;
				cr_assert(is_right(&w->messages[i], file), "round %u, message %zu",
					round, i);
			}
		}
		verify_work_worker_free(worker);
	}
	verify_work_free(w);
	verify_work_free(NULL);
}

Test(verify_work, holes_are_zeros_and_what_is_known_is_left)
{
	struct err err = ERR_INIT;
	struct verify_work *w = NULL;
	struct verify_work_worker *worker = worker_of(2, true);
	uint8_t *zeros = calloc(1, 1u << 20);
	uint8_t want[HASH_BYTES];
	cr_assert(zeros != NULL);
	cr_assert(eq(int, verify_work_new(&w, &err), 0));
	add(w, 3, true, 100, UINT64_MAX);
	w->pieces[w->piece_count++] = (struct extent){ .is_hole = true, .length = 200000 };
	w->messages[0].count++;
	w->messages[0].bytes += 200000;
	for (unsigned i = 1; i <= 2; i++) { /* a hash of its own, and of more than a block */
		const uint64_t len = i == 1 ? 1u << 20 : 3u << 20;
		add(w, 3, false, 0, 1);
		w->pieces[w->piece_count++] = (struct extent){ .is_hole = true, .length = len };
		w->messages[i].count = 1;
		w->messages[i].bytes = len;
	}
	add(w, 3, false, UINT64_MAX, UINT64_MAX);
	w->messages[3].is_known = true;
	memset(w->messages[3].hash, 0xa5, HASH_BYTES);
	verify_work_do(worker, w);
	const struct hash_part first[] = { { "", 1 }, { files[3].data, 100 }, { zeros, 200000 } };
	hash_parts(first, 3, want);
	cr_expect(eq(int, memcmp(w->messages[0].hash, want, HASH_BYTES), 0));
	hash_sha256(zeros, 1u << 20, want);
	cr_expect(eq(int, memcmp(w->messages[1].hash, want, HASH_BYTES), 0));
	const struct hash_part more[] = { { zeros, 1u << 20 }, { zeros, 1u << 20 },
		{ zeros, 1u << 20 } };
	hash_parts(more, 3, want);
	cr_expect(eq(int, memcmp(w->messages[2].hash, want, HASH_BYTES), 0));
	cr_expect(eq(u8, w->messages[3].hash[31], 0xa5));
	verify_work_worker_free(worker);
	verify_work_free(w);
	free(zeros);
}

struct largest {
	char name[128];
	uint64_t size;
};

static int keep_largest(void *arg, const char *name, uint64_t size)
{
	struct largest *l = arg;
	if (size > l->size) {
		(void)snprintf(l->name, sizeof(l->name), "%s", name);
		l->size = size;
	}
	return 0;
}

Test(verify_work, a_damaged_record_fails_its_messages_alone_and_says_why)
{
	struct err err = ERR_INIT;
	struct verify_work *w = NULL;
	struct largest pack = { .size = 0 };
	cr_assert(eq(int, verify_work_new(&w, &err), 0));
	cr_assert(eq(int, store_list(f.store, "pk/", keep_largest, &pack, &err), 0));
	cr_assert(eq(int, store_mem_flip(f.mem, pack.name, pack.size * 4, &err), 0));
	for (unsigned round = 0; round < 2; round++) {
		struct verify_work_worker *worker = worker_of(2, round == 0);
		size_t failed = 0, right = 0;
		verify_work_clear(w);
		for (size_t i = 0; i + 1 < FILES; i++)
			add(w, i, false, UINT64_MAX, UINT64_MAX);
		for (size_t i = 0; i < extent_counts[FILES - 1]; i++) { /* each record alone */
			struct verify_work_message *m = &w->messages[w->message_count++];
			*m = (struct verify_work_message){ .first = w->piece_count,
				.count = 1,
				.bytes = extents[FILES - 1][i].length };
			w->pieces[w->piece_count++] = extents[FILES - 1][i];
		}
		verify_work_do(worker, w);
		for (size_t i = 0; i < w->message_count; i++) {
			const struct verify_work_message *m = &w->messages[i];
			failed += m->rc != 0;
			right += m->rc == 0;
			cr_expect(eq(int, m->rc, m->why == NULL ? 0 : -ERR_CORRUPT));
			cr_expect(m->why == NULL || strstr(m->why->msg, "is damaged") != NULL, "%s",
				m->why->msg);
		}
		cr_expect(ge(sz, failed, 1));
		cr_expect(ge(sz, right, FILES / 2));
		verify_work_worker_free(worker);
	}
	verify_work_free(w);
}
