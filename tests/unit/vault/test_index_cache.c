#include "vault/index_cache.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/err.h"
#include "crypto/hash.h"
#include "lib/store_scratch.h"
#include "lib/vault_fixture.h"
#include "vault/index.h"
#include "vault/vault_internal.h"

/*
 * The model: which segments are on the store, and what each of them tells.  A segment has one pack
 * of its own, and one pack that every third segment tells again.
 */
#define SEGMENTS 12
#define PER_PACK 400
#define PACK_LEN (1u << 20)

static struct vault_fixture f;
static struct err err = ERR_INIT;
static char names[SEGMENTS][VAULT_NAME_BYTES];
static bool is_there[SEGMENTS];
static char path[600];

static void setup(void)
{
	const char *dir = store_scratch_new();
	cr_assert(ne(ptr, (void *)dir, NULL));
	vault_fixture_init(&f);
	memset(is_there, 0, sizeof(is_there));
	cr_assert(eq(int, vault_set_cache(f.vault, dir, &err), 0));
	(void)snprintf(path, sizeof(path), "%s/%s", dir, INDEX_CACHE_FILE);
}

static void teardown(void)
{
	vault_fixture_done(&f);
	store_scratch_done();
}

TestSuite(index_cache, .init = setup, .fini = teardown);

static void id_of(uint32_t number, uint8_t out[32])
{
	uint8_t bytes[4];
	bytes_put32(bytes, number);
	hash_sha256(bytes, sizeof(bytes), out);
}

/* Pack ${p} holds the records p * 300 .. p * 300 + 399, so that neighbours share a hundred. */
#define PACK_STEP 300

static void add_pack(struct index *x, uint32_t p)
{
	static struct pack_place places[PER_PACK];
	uint8_t name[32];
	id_of(0x80000000u + p, name);
	for (uint32_t i = 0; i < PER_PACK; i++) {
		places[i] = (struct pack_place){
			.suite = 1, .type = 1, .offset = i * 50, .cr_len = 62
		};
		id_of(p * PACK_STEP + i, places[i].id);
	}
	cr_assert(eq(int, index_add_pack(x, name, PACK_LEN, places, PER_PACK, &err), 0));
}

static void put_segment(uint32_t s)
{
	struct buf body = BUF_INIT(SEALED_MAX_BYTES);
	struct index *x = NULL;
	cr_assert(eq(int, index_new(&x, &err), 0));
	add_pack(x, s);
	if (s % 3 == 0)
		add_pack(x, SEGMENTS);
	cr_assert(eq(int, index_settle(x, &err), 0));
	cr_assert(eq(int, index_encode(x, 0, &body, &err), 0));
	cr_assert(eq(int,
		vault_put_sealed(f.vault->store, &f.vault->key, SEALED_INDEX, "ix/", body.data,
			body.len, names[s], NULL, &err),
		0));
	cr_assert(eq(int, store_barrier(f.store, &err), 0));
	index_free(x);
	buf_done(&body);
	is_there[s] = true;
}

static void drop_segment(uint32_t s)
{
	cr_assert(eq(int, store_remove(f.store, names[s], &err), 0));
	is_there[s] = false;
}

static bool has_pack(uint32_t p)
{
	bool is = p < SEGMENTS && is_there[p];
	for (uint32_t s = 0; p == SEGMENTS && s < SEGMENTS; s += 3)
		is |= is_there[s];
	return is;
}

/* Load the index and compare every answer with the model's. */
static const char *differs(void)
{
	struct index *x = NULL;
	const char *what = index_cache_load(f.vault, &x, &err) == 0 ? NULL : "not loaded";
	size_t all = 0;
	for (uint32_t p = 0; what == NULL && p <= SEGMENTS; p++) {
		uint8_t name[32];
		id_of(0x80000000u + p, name);
		all += has_pack(p) ? PER_PACK : 0;
		if (index_has_pack(x, name) != has_pack(p))
			what = "a pack";
	}
	if (what == NULL && index_entry_count(x) != all)
		what = "the number of places";
	for (uint32_t n = 0; what == NULL && n < SEGMENTS * PACK_STEP + PER_PACK; n++) {
		struct index_place place;
		uint8_t id[32];
		size_t want = 0;
		id_of(n, id);
		for (uint32_t p = 0; p <= SEGMENTS; p++)
			want += has_pack(p) && n >= p * PACK_STEP && n < p * PACK_STEP + PER_PACK;
		for (size_t nth = 0; what == NULL && nth < want; nth++)
			what = index_find(x, id, nth, &place) && place.cr_len == 62 &&
					       place.pack_len == PACK_LEN
				       ? NULL
				       : "a place that is there";
		if (what == NULL && index_find(x, id, want, &place))
			what = "a place that is not there";
	}
	index_free(x);
	return what;
}

/* "" or what differs. */
static const char *difference(void)
{
	const char *what = differs();
	return what == NULL ? "" : what;
}

#define expect_same() cr_expect(eq(str, (char *)difference(), ""))

static long file_size(void)
{
	struct stat st;
	return lstat(path, &st) == 0 && S_ISREG(st.st_mode) ? (long)st.st_size : -1;
}

/* Write ${len} bytes at ${at}, as an owner who means no good would. */
static void overwrite(long at, const void *data, size_t len)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	cr_assert(ge(int, fd, 0));
	cr_assert(eq(long, pwrite(fd, data, len, at), (long)len));
	cr_assert(eq(int, close(fd), 0));
}

static uint8_t byte_at(long at)
{
	uint8_t b = 0;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	cr_assert(eq(long, pread(fd, &b, 1, at), 1));
	cr_assert(eq(int, close(fd), 0));
	return b;
}

Test(index_cache, a_second_load_reads_no_segment)
{
	for (uint32_t s = 0; s < 6; s++)
		put_segment(s);
	expect_same();
	cr_assert(ge(long, file_size(), 1));
	store_fault_reset(f.fault);
	expect_same();
	cr_expect(eq(u64, store_fault_count(f.fault, STORE_FAULT_GET), 0));
	put_segment(6);
	store_fault_reset(f.fault);
	expect_same();
	cr_expect(eq(u64, store_fault_count(f.fault, STORE_FAULT_GET), 1), "the new one alone");
}

Test(index_cache, at_most_48_bytes_a_record_stay_mapped)
{
	struct index *x = NULL;
	for (uint32_t s = 0; s < SEGMENTS; s++)
		put_segment(s);
	for (int round = 0; round < 2; round++) {
		cr_assert(eq(int, index_cache_load(f.vault, &x, &err), 0));
		cr_expect(le(sz, index_memory(x), 48 * index_entry_count(x)));
		cr_expect(ge(sz, index_mapped(x), 44 * index_entry_count(x)));
		index_free(x);
	}
}

Test(index_cache, a_file_with_any_damage_is_made_anew)
{
	for (uint32_t s = 0; s < 4; s++)
		put_segment(s);
	expect_same();
	long size = file_size();
	for (int k = 0; k < 40; k++) {
		long at = k < 20 ? k * 4 : (long)((int64_t)(k - 19) * (size - 1) / 20);
		uint8_t b = (uint8_t)(byte_at(at) ^ 1 << k % 8);
		overwrite(at, &b, 1);
		store_fault_reset(f.fault);
		expect_same();
		cr_expect(eq(u64, store_fault_count(f.fault, STORE_FAULT_GET), 4), "byte %ld", at);
		cr_assert(eq(long, file_size(), size));
	}
	for (long cut = 0; cut < 4; cut++) {
		cr_assert(eq(int, truncate(path, cut * size / 4), 0));
		expect_same();
		cr_expect(eq(long, file_size(), size));
	}
	cr_assert(eq(int, truncate(path, size + 1), 0));
	expect_same();
	cr_expect(eq(long, file_size(), size));
}

Test(index_cache, a_name_that_is_taken_by_something_else_is_no_cache)
{
	for (uint32_t s = 0; s < 4; s++)
		put_segment(s);
	cr_assert(eq(int, mkdir(path, 0700), 0));
	expect_same();
	cr_assert(eq(int, rmdir(path), 0));
	cr_assert(eq(int, symlink("/dev/zero", path), 0));
	expect_same();
	cr_expect(ge(long, file_size(), 1), "replaced, not followed");
}

Test(index_cache, segments_that_went_away_take_their_places_along)
{
	for (uint32_t s = 0; s < 6; s++)
		put_segment(s);
	expect_same();
	drop_segment(2);
	expect_same();
	drop_segment(0);
	drop_segment(3);
	expect_same();
	put_segment(2);
	expect_same();
}

Test(index_cache, a_segment_that_cannot_be_read_is_tried_again_each_time)
{
	for (uint32_t s = 0; s < 5; s++)
		put_segment(s);
	cr_assert(eq(int, store_mem_flip(f.mem, names[4], 3000, &err), 0));
	is_there[4] = false;
	expect_same();
	expect_same();
	cr_assert(eq(int, store_mem_flip(f.mem, names[4], 3000, &err), 0));
	is_there[4] = true;
	expect_same();
	expect_same();
}

Test(index_cache, any_file_operation_may_fail)
{
	static const char *const operations[] = { "o", "w", "l", "r", "u" };
	for (uint32_t s = 0; s < 4; s++)
		put_segment(s);
	for (size_t o = 0; o < 5; o++) {
		for (uint64_t nth = 1; nth < 12; nth++) {
			if (nth % 2 == 1)
				(void)unlink(path);
			store_scratch_watch();
			store_scratch_break(operations[o], nth, 1, nth % 3 == 0 ? ENOSPC : EROFS);
			expect_same();
			store_scratch_break("*", 0, 0, 0);
		}
	}
	expect_same();
	cr_expect(ge(long, file_size(), 1));
}

Test(index_cache, a_directory_that_is_not_there_is_no_cache)
{
	put_segment(0);
	put_segment(1);
	put_segment(2);
	put_segment(3);
	cr_assert(eq(int, vault_set_cache(f.vault, "/nonexistent/cache", &err), 0));
	expect_same();
}

/* Load, and at times make the file anew, in a process of its own. */
static int work(uint32_t seed)
{
	for (int round = 0; round < 25; round++) {
		if (round % 5 == (int)seed)
			(void)unlink(path);
		if (differs() != NULL)
			return 1;
	}
	return 0;
}

Test(index_cache, processes_share_the_file)
{
	pid_t pids[3];
	for (uint32_t s = 0; s < 4; s++)
		put_segment(s);
	for (uint32_t i = 0; i < 3; i++) {
		pids[i] = fork();
		cr_assert(ge(int, pids[i], 0));
		if (pids[i] == 0)
			_exit(work(i));
	}
	for (int i = 0; i < 3; i++) {
		int status = -1;
		cr_assert(eq(int, waitpid(pids[i], &status, 0), pids[i]));
		cr_expect(eq(int, status, 0));
	}
	expect_same();
}

Test(index_cache, random_programs_agree_with_the_model)
{
	uint64_t x = 88172645463325252u;
	for (int step = 0; step < 150; step++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		uint32_t s = (uint32_t)(x >> 8) % SEGMENTS;
		if (x % 4 == 3 && file_size() > 0)
			overwrite((long)(x >> 16) % file_size(), "!", 1);
		else if (is_there[s])
			drop_segment(s);
		else
			put_segment(s);
		cr_assert(eq(str, (char *)difference(), ""), "step %d", step);
	}
}
