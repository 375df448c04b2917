#include "vault/extent_tree.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "tests/lib/sample_tree.h"
#include "vault/node_codec.h"

static struct fake_records *f;
static struct node_source ns;

static void setup(void)
{
	f = fake_records_new();
	cr_assert(eq(int, node_codec_source_init(&ns, &f->source, NULL), 0));
}

static void teardown(void)
{
	node_codec_source_done(&ns);
	fake_records_free(f);
}

TestSuite(extent_tree, .init = setup, .fini = teardown);

static struct extent *make(size_t count, uint64_t *size)
{
	struct extent *list = calloc(count, sizeof(*list));
	cr_assert(list != NULL);
	*size = sample_tree_extents(list, f, 7, count);
	return list;
}

static void build(const struct extent *list, size_t count, struct extent_tree_summary *out)
{
	struct extent_tree *t = NULL;
	cr_assert(eq(int, extent_tree_new(&f->sink, &t, NULL), 0));
	for (size_t i = 0; i < count; i++)
		cr_assert(eq(int, extent_tree_add(t, &list[i], NULL), 0));
	cr_assert(eq(int, extent_tree_finish(t, out, NULL), 0));
	extent_tree_free(t);
}

struct expected {
	const struct extent *list;
	size_t at;
	size_t stop_at; /* 0 = never */
};

static int expect_next(void *arg, const struct extent *x, struct err *err)
{
	struct expected *e = arg;
	const struct extent *want = &e->list[e->at++];
	(void)err; /* not used: the value tells */
	if (x->is_hole != want->is_hole || x->length != want->length)
		return 1;
	if (!x->is_hole &&
		(x->offset != want->offset || memcmp(&x->ref, &want->ref, sizeof(x->ref)) != 0))
		return 2;
	return e->at == e->stop_at ? 77 : 0;
}

static int count_extents(void *arg, const struct extent *x, struct err *err)
{
	size_t *count = arg;
	(void)x;
	(void)err; /* counts only */
	(*count)++;
	return 0;
}

static int walk(const struct extent_tree_summary *s)
{
	size_t count = 0;
	return extent_tree_walk(&ns, &s->top, s->height, s->length, count_extents, &count, NULL);
}

static void expect_known(size_t count, size_t records, unsigned height, const char *top)
{
	uint64_t size;
	struct extent *list = make(count, &size);
	struct extent_tree_summary s;
	struct expected e = { .list = list };
	char hex[65];

	f->puts = 0;
	build(list, count, &s);
	cr_expect(eq(sz, f->puts, records));
	cr_expect(eq(u8, s.height, (uint8_t)height));
	cr_expect(eq(u64, s.count, count));
	cr_expect(eq(u64, s.length, size));
	cr_expect(eq(str, (char *)(uintptr_t)fake_records_hex(s.top.id, 32, hex),
		(char *)(uintptr_t)top));
	cr_expect(eq(sz, f->unnoted, 0));
	cr_expect(eq(int, extent_tree_walk(&ns, &s.top, s.height, size, expect_next, &e, NULL), 0));
	cr_expect(eq(sz, e.at, count));
	free(list);
}

Test(extent_tree, one_leaf_is_that_of_the_reference_and_reads_back)
{
	expect_known(33, 1, 1, "9f2aeef0869ce701210c185252b49974886299833b38081cab893adb0d097ccb");
}

Test(extent_tree, two_levels_are_those_of_the_reference_and_read_back)
{
	expect_known(
		1000, 3, 2, "d7eb8438bffe9cb378de171624bcddbedb5d038c31e141b09065407eb625de8c");
}

Test(extent_tree, a_hundred_thousand_extents_are_those_of_the_reference_and_read_back)
{
	expect_known(
		100000, 298, 2, "e489dbde781d7bd9396a1cdc1b0d4575df6cfcce41623d177199f2564d86b4cf");
}

Test(extent_tree, an_insertion_rewrites_one_path_only)
{
	uint64_t size;
	size_t count = 20000;
	struct extent *list = make(count, &size);
	struct extent_tree_summary s;

	build(list, count, &s);
	f->new_puts = 0;
	memmove(list + 9001, list + 9000, (count - 9001) * sizeof(*list));
	list[9000].is_hole = false;
	list[9000].ref = fake_records_use(f, 1000000);
	list[9000].offset = 0;
	list[9000].length = 12345;
	build(list, count, &s);
	/* leaf, top, and the last leaf, which lost its last extent; one more if a node was cut */
	cr_expect(le(sz, f->new_puts, 4));
	cr_expect(ge(sz, f->new_puts, 2));
	free(list);
}

Test(extent_tree, holes_alone_make_full_nodes_and_three_levels)
{
	struct extent_tree *t = NULL;
	struct extent hole = { .is_hole = true, .length = 65536 };
	struct extent_tree_summary s;
	size_t count = 0;

	cr_assert(eq(int, extent_tree_new(&f->sink, &t, NULL), 0));
	/* holes of one length: equal nodes, one ref many times in the node above */
	for (size_t i = 0; i < 1024 * 1025; i++)
		cr_assert(eq(int, extent_tree_add(t, &hole, NULL), 0));
	cr_assert(eq(int, extent_tree_finish(t, &s, NULL), 0));
	cr_expect(eq(sz, f->new_puts, 4)); /* two full ones, one of a single child, the top */
	cr_expect(eq(u8, s.height, 3));
	cr_expect(eq(int,
		extent_tree_walk(&ns, &s.top, s.height, s.length, count_extents, &count, NULL), 0));
	cr_expect(eq(sz, count, 1024 * 1025));
	extent_tree_free(t);
}

Test(extent_tree, a_finished_tree_can_be_used_for_the_next_file)
{
	uint64_t size;
	struct extent *list = make(3000, &size);
	struct extent_tree_summary first, again, alone;
	struct extent_tree *t = NULL;

	cr_assert(eq(int, extent_tree_new(&f->sink, &t, NULL), 0));
	for (size_t i = 0; i < 3000; i++)
		cr_assert(eq(int, extent_tree_add(t, &list[i], NULL), 0));
	cr_assert(eq(int, extent_tree_finish(t, &first, NULL), 0));
	for (size_t i = 0; i < 40; i++)
		cr_assert(eq(int, extent_tree_add(t, &list[i], NULL), 0));
	cr_assert(eq(int, extent_tree_finish(t, &again, NULL), 0));
	build(list, 40, &alone);
	cr_expect(eq(int, memcmp(&again.top, &alone.top, sizeof(again.top)), 0));
	cr_expect(eq(u64, again.length, alone.length));
	extent_tree_free(t);
	free(list);
}

Test(extent_tree, impossible_extents_are_refused)
{
	struct extent_tree *t = NULL;
	struct extent_tree_summary s;
	struct extent x = { .ref = fake_records_data(1), .offset = 0, .length = 1u << 20 };

	cr_assert(eq(int, extent_tree_new(&f->sink, &t, NULL), 0));
	cr_expect(eq(int, extent_tree_check(&x, NULL), 0));
	x.offset = 1;
	cr_expect(eq(int, extent_tree_add(t, &x, NULL), -ERR_CORRUPT));
	x.offset = UINT64_MAX;
	cr_expect(eq(int, extent_tree_add(t, &x, NULL), -ERR_CORRUPT));
	x.offset = 0;
	x.length = 0;
	cr_expect(eq(int, extent_tree_add(t, &x, NULL), -ERR_CORRUPT));
	x.is_hole = true;
	cr_expect(eq(int, extent_tree_add(t, &x, NULL), -ERR_CORRUPT));
	cr_expect(eq(int, extent_tree_finish(t, &s, NULL), -ERR_CORRUPT));
	x.length = INT64_MAX;
	cr_expect(eq(int, extent_tree_add(t, &x, NULL), 0));
	cr_expect(eq(int, extent_tree_add(t, &x, NULL), -ERR_CORRUPT));
	extent_tree_free(t);
}

Test(extent_tree, a_failing_sink_is_told)
{
	uint64_t size;
	struct extent *list = make(1000, &size);
	for (size_t fail = 1; fail <= 3; fail++) {
		struct extent_tree *t = NULL;
		struct extent_tree_summary s;
		int rc = 0;
		cr_assert(eq(int, extent_tree_new(&f->sink, &t, NULL), 0));
		f->puts = 0;
		f->fail_put = fail;
		for (size_t i = 0; rc == 0 && i < 1000; i++)
			rc = extent_tree_add(t, &list[i], NULL);
		if (rc == 0)
			rc = extent_tree_finish(t, &s, NULL);
		cr_expect(eq(int, rc, -ERR_IO));
		extent_tree_free(t);
	}
	free(list);
}

Test(extent_tree, walk_refuses_another_size_height_or_length)
{
	uint64_t size;
	struct extent *list = make(1000, &size);
	struct extent_tree_summary s, bad;

	build(list, 1000, &s);
	cr_expect(eq(int, walk(&s), 0));
	bad = s;
	bad.length++;
	cr_expect(eq(int, walk(&bad), -ERR_CORRUPT));
	bad.length = s.length - 1;
	cr_expect(eq(int, walk(&bad), -ERR_CORRUPT));
	bad.length = 0;
	cr_expect(eq(int, walk(&bad), -ERR_CORRUPT));
	for (unsigned height = 0; height < 256; height++) {
		bad = s;
		bad.height = (uint8_t)height;
		cr_expect(eq(int, walk(&bad), height == s.height ? 0 : -ERR_CORRUPT));
	}
	bad = s;
	bad.top.raw_len++;
	cr_expect(eq(int, walk(&bad), -ERR_CORRUPT));
	bad.top.raw_len = NODE_CODEC_MAX_BYTES + 1;
	f->gets = 0;
	cr_expect(eq(int, walk(&bad), -ERR_CORRUPT));
	cr_expect(eq(sz, f->gets, 0));
	bad = s;
	bad.top = fake_records_data(99);
	cr_expect(eq(int, walk(&bad), -ERR_NOT_FOUND));
	free(list);
}

Test(extent_tree, a_tree_that_belongs_into_the_entry_is_refused)
{
	uint64_t size;
	struct extent *list = make(32, &size);
	struct extent_tree_summary s;
	build(list, 32, &s);
	cr_expect(eq(int, walk(&s), -ERR_CORRUPT));
	free(list);
}

static int refuse_ref(void *arg, const struct ref *ref, enum record_type type, struct err *err)
{
	size_t *count = arg;
	(void)ref;
	if (type != RECORD_NODE)
		return err_set(err, ERR_FAILED, "type %d", (int)type);
	return ++*count == 2 ? 55 : 0;
}

Test(extent_tree, walk_stops_with_the_value_of_callback_or_watch)
{
	uint64_t size;
	struct extent *list = make(1000, &size);
	struct extent_tree_summary s;
	struct expected e = { .list = list, .stop_at = 500 };
	size_t count = 0;

	build(list, 1000, &s);
	cr_expect(eq(
		int, extent_tree_walk(&ns, &s.top, s.height, s.length, expect_next, &e, NULL), 77));
	cr_expect(eq(sz, e.at, 500));
	ns.watch = refuse_ref;
	ns.watch_arg = &count;
	cr_expect(eq(int, walk(&s), 55));
	free(list);
}

Test(extent_tree, no_flipped_byte_or_cut_end_crashes_a_walk)
{
	uint64_t size;
	struct extent *list = make(100, &size);
	struct extent_tree_summary s, bad;
	size_t len = 0, refused = 0;

	build(list, 100, &s);
	bad = s;
	const uint8_t *node = fake_records_find(f, &s.top, &len);
	uint8_t *copy = malloc(len);
	cr_assert(node != NULL && copy != NULL);
	for (size_t i = 0; i < len; i++) {
		memcpy(copy, node, len);
		copy[i] ^= (uint8_t)(1u << i % 8);
		fake_records_put(f, RECORD_NODE, copy, len, &bad.top);
		/* a changed ref ID or key is for the record layer to find */
		refused += walk(&bad) < 0;
		bad.top.raw_len = (uint32_t)i;
		fake_records_put(f, RECORD_NODE, node, i, &bad.top);
		cr_expect(lt(int, walk(&bad), 0));
	}
	/* header and items: all but few (an offset that stays inside its record) */
	size_t guarded = 16 + len - 16 - 90 * (size_t)REF_BYTES;
	cr_expect(ge(sz, refused, guarded * 3 / 4));
	free(copy);
	free(list);
}
