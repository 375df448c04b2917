#include "vault/snaprec_refs.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "lib/vault_kat.h"
#include "vault/record.h"

static struct snaprec_refs *refs;
static struct err err = ERR_INIT;
static const uint8_t *body;
static size_t body_len;
static uint64_t count;
static uint8_t refs_root[32];

static void setup(void)
{
	cr_assert(eq(int, snaprec_refs_new(&refs, &err), 0));
}

static void teardown(void)
{
	snaprec_refs_free(refs);
}

TestSuite(snaprec_refs, .init = setup, .fini = teardown);

static void id_of(uint32_t number, uint8_t out[32])
{
	uint8_t bytes[4];
	bytes_put32(bytes, number);
	hash_sha256(bytes, sizeof(bytes), out);
	out[31] |= 1; /* ends no segment */
}

static void add(const uint8_t id[32])
{
	cr_assert(eq(int, snaprec_refs_add(refs, id, 1000, &err), 0), "%s", err.msg);
}

static void add_many(uint32_t first, uint32_t n)
{
	uint8_t id[32];
	for (uint32_t i = 0; i < n; i++) {
		id_of(first + i, id);
		add(id);
	}
}

static void add_cutting(uint32_t number)
{
	uint8_t id[32];
	id_of(number, id);
	id[30] &= 0xf0;
	id[31] = 0;
	add(id);
}

static void finish(void)
{
	cr_assert(eq(int, snaprec_refs_finish(refs, &body, &body_len, &count, refs_root, &err), 0));
}

/* What a walk saw. */
struct seen {
	size_t segments, refs;
	uint32_t lengths[64]; /* entries of each segment */
	uint64_t count;
	uint8_t root[32];
	size_t stop_at;
};

static int on_segment(void *arg, const uint8_t id[32], uint32_t offset, uint32_t len, struct err *e)
{
	struct seen *s = arg;
	uint8_t digest[32];
	(void)e;
	hash_sha256(body + offset, len, digest);
	cr_assert(memcmp(digest, id, 32) == 0);
	if (s->segments < 64)
		s->lengths[s->segments] = (len - 8) / 36;
	s->segments++;
	return 0;
}

static int on_ref(void *arg, const uint8_t id[32], uint32_t cr_len, struct err *e)
{
	struct seen *s = arg;
	(void)id;
	if (cr_len != 1000 || (s->stop_at > 0 && s->refs + 1 == s->stop_at))
		return err_set(e, ERR_INTERRUPTED, "stopped");
	s->refs++;
	return 0;
}

static int walk(const uint8_t *data, size_t len, struct seen *s)
{
	return snaprec_refs_walk(data, len, on_segment, on_ref, s, s->root, &s->count, &err);
}

Test(snaprec_refs, gives_the_known_answer)
{
	uint8_t id[32];
	cr_assert(eq(int, text_unhex(VAULT_KAT_CHUNK_ID, 32, id), 0));
	cr_assert(eq(int, snaprec_refs_add(refs, id, VAULT_KAT_CHUNK_LEN, &err), 0));
	cr_assert(eq(int, text_unhex(VAULT_KAT_ROOT_ID, 32, id), 0));
	cr_assert(eq(int, snaprec_refs_add(refs, id, VAULT_KAT_ROOT_LEN, &err), 0));
	finish();
	cr_expect(eq(u64, count, 2));
	cr_expect(eq(sz, body_len, 8 + 72));
	cr_expect(eq(str, (char *)vault_kat_hex(refs_root, 32),
		"8283ec9e86594d1cb2974c241c618f689f40b91c41b87cb67d5f72a6374be2d4"));
}

Test(snaprec_refs, segments_end_by_content_between_512_and_8192)
{
	struct seen s = { .segments = 0 };
	add_many(0, 510);
	add_cutting(100000); /* the 511th: too early */
	add_cutting(100001); /* the 512th */
	add_many(1000, 700);
	add_cutting(100002);
	add_many(3000, 8192 + 5);
	finish();
	cr_assert(eq(int, walk(body, body_len, &s), 0), "%s", err.msg);
	cr_expect(eq(sz, s.segments, 4));
	cr_expect(eq(u32, s.lengths[0], 512));
	cr_expect(eq(u32, s.lengths[1], 701));
	cr_expect(eq(u32, s.lengths[2], 8192));
	cr_expect(eq(u32, s.lengths[3], 5));
	cr_expect(eq(sz, s.refs, 512 + 701 + 8192 + 5));
	cr_expect(eq(u64, s.count, count));
	cr_expect(memcmp(s.root, refs_root, 32) == 0);
}

Test(snaprec_refs, an_id_is_once_in_a_segment_and_may_be_in_the_next)
{
	uint8_t id[32];
	id_of(7, id);
	add(id);
	add(id);
	cr_expect(eq(int, snaprec_refs_add(refs, id, 1001, &err), -ERR_CORRUPT));
	add_many(100, 600);
	add_cutting(100000);
	add(id);
	finish();
	cr_expect(eq(u64, count, 603));
	struct seen s = { .segments = 0 };
	cr_assert(eq(int, walk(body, body_len, &s), 0), "%s", err.msg);
	cr_expect(eq(u32, s.lengths[0], 602));
	cr_expect(eq(u32, s.lengths[1], 1));
}

Test(snaprec_refs, a_list_that_ends_with_a_full_segment_has_no_empty_one)
{
	add_many(0, 8192);
	finish();
	struct seen s = { .segments = 0 };
	cr_assert(eq(int, walk(body, body_len, &s), 0));
	cr_expect(eq(sz, s.segments, 1));
}

Test(snaprec_refs, an_early_change_leaves_later_segments_alike)
{
	uint8_t last[2][36];
	for (int round = 0; round < 2; round++) {
		snaprec_refs_free(refs);
		cr_assert(eq(int, snaprec_refs_new(&refs, &err), 0));
		add_many(50000, round == 0 ? 1 : 2);
		add_many(0, 600);
		add_cutting(100000);
		add_many(1000, 600);
		finish();
		cr_assert(eq(sz, body_len, 16 + (size_t)(round == 0 ? 602 : 603) * 36 + 600 * 36));
		hash_sha256(body + body_len - 600 * 36 - 8, 600 * 36 + 8, last[round]);
	}
	cr_expect(memcmp(last[0], last[1], 32) == 0);
}

Test(snaprec_refs, empty_lists_and_impossible_lengths_are_refused)
{
	uint8_t id[32] = { 1 };
	struct seen s = { .segments = 0 };
	cr_expect(eq(int, snaprec_refs_finish(refs, &body, &body_len, &count, refs_root, &err),
		-ERR_FAILED));
	cr_expect(eq(int, snaprec_refs_add(refs, id, 39, &err), -ERR_CORRUPT));
	cr_expect(eq(int, snaprec_refs_add(refs, id, RECORD_MAX_BYTES + 1, &err), -ERR_CORRUPT));
	cr_expect(eq(int, walk(id, 0, &s), -ERR_CORRUPT));
}

Test(snaprec_refs, what_a_callback_returns_ends_the_walk_and_callbacks_are_optional)
{
	struct seen s = { .stop_at = 3 };
	uint8_t root[32];
	uint64_t n = 0;
	add_many(0, 10);
	finish();
	cr_expect(eq(int, walk(body, body_len, &s), -ERR_INTERRUPTED));
	cr_expect(eq(sz, s.refs, 2));
	cr_expect(eq(u64, s.count, 0));
	cr_assert(eq(int, snaprec_refs_walk(body, body_len, NULL, NULL, NULL, root, &n, &err), 0));
	cr_expect(eq(u64, n, 10));
	cr_expect(memcmp(root, refs_root, 32) == 0);
}

Test(snaprec_refs, every_truncation_and_flipped_bit_is_seen)
{
	static uint8_t copy[8 + 3 * 36];
	add_many(0, 3);
	finish();
	cr_assert(eq(sz, body_len, sizeof(copy)));
	const uint8_t *original = body;
	body = copy;
	for (size_t i = 0; i < sizeof(copy) * 8; i++) {
		struct seen s = { .segments = 0 };
		memcpy(copy, original, sizeof(copy));
		copy[i / 8] ^= (uint8_t)(1 << i % 8);
		int rc = walk(copy, sizeof(copy), &s);
		/* an ID or a length that can be: the root tells */
		cr_assert(rc != 0 || memcmp(s.root, refs_root, 32) != 0, "bit %zu", i);
		cr_assert(rc == 0 || rc == -ERR_CORRUPT || rc == -ERR_INTERRUPTED);
	}
	memcpy(copy, original, sizeof(copy));
	for (size_t len = 0; len < sizeof(copy); len++) {
		struct seen s = { .segments = 0 };
		cr_assert(eq(int, walk(copy, len, &s), -ERR_CORRUPT));
	}
}

/* Walk two segments of ${a} and ${b} plain entries, with entry ${twice} made equal to the first. */
static int walk_made(uint32_t a, uint32_t b, size_t twice, bool is_cut_early)
{
	CLEANUP(buf_done) struct buf made = BUF_INIT(1 << 20);
	uint8_t id[32];
	struct seen s = { .segments = 0 };
	uint32_t number = 0;
	for (int segment = 0; segment < (b > 0 ? 2 : 1); segment++) {
		uint32_t n = segment == 0 ? a : b;
		cr_assert(eq(int, buf_add(&made, "HFR1", 4, &err), 0));
		cr_assert(eq(int, buf_add32(&made, n, &err), 0));
		for (uint32_t i = 0; i < n; i++, number++) {
			id_of(twice > 0 && number == twice ? 0 : number, id);
			if (is_cut_early && number == 600)
				memset(id + 30, 0, 2);
			cr_assert(eq(int, buf_add(&made, id, 32, &err), 0));
			cr_assert(eq(int, buf_add32(&made, 1000, &err), 0));
		}
	}
	body = made.data;
	return walk(made.data, made.len, &s);
}

Test(snaprec_refs, lists_that_no_writer_makes_are_refused)
{
	cr_expect(eq(int, walk_made(700, 0, 0, false), 0), "%s", err.msg);
	cr_expect(eq(int, walk_made(8192, 10, 0, false), 0), "%s", err.msg);
	cr_expect(eq(int, walk_made(601, 10, 0, true), 0), "%s", err.msg);
	cr_expect(eq(int, walk_made(8193, 0, 0, false), -ERR_CORRUPT), "too long");
	cr_expect(eq(int, walk_made(700, 10, 0, false), -ERR_CORRUPT), "ends too early");
	cr_expect(eq(int, walk_made(700, 0, 0, true), -ERR_CORRUPT), "ends too late");
	cr_expect(eq(int, walk_made(700, 0, 5, false), -ERR_CORRUPT), "a record twice");
	cr_expect(eq(int, walk_made(0, 5, 0, false), -ERR_CORRUPT), "empty segment");
}
