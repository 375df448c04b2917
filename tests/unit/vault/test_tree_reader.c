#include "vault/tree_reader.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "codec/wire.h"
#include "tests/lib/sample_tree.h"

static struct fake_records *f;
static struct sample_tree *s;

static void setup(void)
{
	f = fake_records_new();
	s = calloc(1, sizeof(*s));
	cr_assert(s != NULL);
}

static void teardown(void)
{
	fake_records_free(f);
	free(s);
}

TestSuite(tree_reader, .init = setup, .fini = teardown);

static struct tree_builder *begin(void)
{
	struct tree_builder *b = NULL;
	cr_assert(eq(int, tree_builder_new(sample_tree_key, &f->sink, &b, NULL), 0));
	return b;
}

static void add(struct tree_builder *b)
{
	struct err err = ERR_INIT;
	cr_assert(eq(int, tree_builder_add(b, s->key, s->key_len, &s->entry, &err), 0), "%s",
		err.msg);
}

static struct ref end(struct tree_builder *b)
{
	struct tree_summary summary;
	struct ref top;
	cr_assert(eq(int, tree_builder_finish(b, &top, &summary, NULL), 0));
	tree_builder_free(b);
	return top;
}

static struct ref build_sample(unsigned count)
{
	struct tree_builder *b = begin();
	for (unsigned i = 0; i < count; i++) {
		sample_tree_fill(s, f, i);
		add(b);
	}
	return end(b);
}

static struct tree_reader *open_tree(const struct ref *top)
{
	struct tree_reader *r = NULL;
	cr_assert(eq(int, tree_reader_new(&f->source, top, &r, NULL), 0));
	return r;
}

static bool is_text_equal(const char *a, const char *b)
{
	return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

static bool is_extent_equal(const struct extent *a, const struct extent *b)
{
	return a->is_hole == b->is_hole && a->length == b->length &&
	       (a->is_hole ||
		       (a->offset == b->offset && memcmp(&a->ref, &b->ref, sizeof(a->ref)) == 0));
}

struct expected {
	const struct extent *list;
	size_t count;
	size_t at;
};

static int expect_extent(void *arg, const struct extent *x, struct err *err)
{
	struct expected *e = arg;
	(void)err; /* the value tells */
	if (e->at == e->count || !is_extent_equal(x, &e->list[e->at]))
		return 1;
	e->at++;
	return 0;
}

static void expect_xattrs(const struct entry *got, const struct entry *want)
{
	cr_assert(eq(sz, got->xattr_count, want->xattr_count));
	for (size_t i = 0; i < want->xattr_count; i++) {
		const struct entry_xattr *a = &got->xattrs[i], *b = &want->xattrs[i];
		cr_assert(eq(sz, a->name_len, b->name_len));
		cr_assert(eq(sz, a->value_len, b->value_len));
		cr_expect(memcmp(a->name, b->name, a->name_len) == 0);
		cr_expect(memcmp(a->value, b->value, a->value_len) == 0);
	}
}

/* Compare what was read with the entry in ${s}. */
static void expect_entry(
	struct tree_reader *r, const uint8_t *key, size_t key_len, const struct entry *got)
{
	const struct entry *want = &s->entry;

	cr_assert(eq(int, entry_key_compare(key, key_len, s->key, s->key_len), 0));
	cr_expect(eq(int, got->kind, want->kind));
	cr_expect(eq(u32, got->mode, want->mode));
	cr_expect(eq(u32, got->uid, want->uid));
	cr_expect(eq(u32, got->gid, want->gid));
	cr_expect(is_text_equal(got->user, want->user));
	cr_expect(is_text_equal(got->group, want->group));
	cr_expect(eq(i64, got->mtime.s, want->mtime.s));
	cr_expect(eq(u32, got->mtime.ns, want->mtime.ns));
	cr_expect(eq(int, got->has_btime, want->has_btime));
	cr_expect(eq(i64, got->btime.s, want->btime.s));
	cr_expect(eq(u32, got->btime.ns, want->btime.ns));
	cr_expect(eq(u32, got->flags, want->flags));
	cr_assert(eq(sz, got->target_len, want->target_len));
	cr_expect(
		want->target_len == 0 || memcmp(got->target, want->target, want->target_len) == 0);
	cr_expect(eq(u32, got->dev_major, want->dev_major));
	cr_expect(eq(u32, got->dev_minor, want->dev_minor));
	cr_expect(eq(u64, got->size, want->size));
	cr_expect(eq(int, got->digest_kind, want->digest_kind));
	cr_expect(memcmp(got->digest, want->digest, 32) == 0);
	cr_expect(eq(u64, got->hardlink, want->hardlink));
	cr_expect(eq(u32, got->notes, want->notes));
	cr_expect(eq(int, got->has_extent_tree, want->extent_count > 32));
	expect_xattrs(got, want);
	struct expected e = { .list = want->extents, .count = want->extent_count };
	cr_expect(eq(int, tree_reader_extents(r, got, expect_extent, &e, NULL), 0));
	cr_expect(eq(sz, e.at, want->extent_count));
}

Test(tree_reader, every_field_of_every_kind_comes_back)
{
	struct ref top = build_sample(3000);
	struct tree_reader *r = open_tree(&top);
	const uint8_t *key;
	size_t key_len;
	struct entry e;
	struct err err = ERR_INIT;

	for (unsigned i = 0; i < 3000; i++) {
		sample_tree_fill(s, f, i);
		cr_assert(eq(int, tree_reader_next(r, &key, &key_len, &e, &err), 1), "%u: %s", i,
			err.msg);
		expect_entry(r, key, key_len, &e);
	}
	cr_expect(eq(int, tree_reader_next(r, &key, &key_len, &e, &err), 0));
	cr_expect(eq(int, tree_reader_next(r, &key, &key_len, &e, &err), 0));
	tree_reader_free(r);
}

Test(tree_reader, an_empty_tree_has_no_entry)
{
	struct ref top = build_sample(0);
	struct tree_reader *r = open_tree(&top);
	const uint8_t *key;
	size_t key_len;
	struct entry e;

	cr_expect(eq(int, tree_reader_next(r, &key, &key_len, &e, NULL), 0));
	cr_expect(eq(int, tree_reader_seek(r, (const uint8_t *)"a", 1, NULL), 0));
	cr_expect(eq(int, tree_reader_next(r, &key, &key_len, &e, NULL), 0));
	tree_reader_free(r);
}

static void file_number(unsigned i, unsigned size)
{
	char path[64];
	(void)snprintf(path, sizeof(path), "plant/line%02u/batch%06u.xml", i / 5000, i);
	sample_tree_file(s, f, path, size);
}

static struct ref build_files(unsigned count)
{
	struct tree_builder *b = begin();
	for (unsigned i = 0; i < count; i++) {
		file_number(i, i);
		add(b);
	}
	return end(b);
}

Test(tree_reader, two_hundred_thousand_entries_come_back)
{
	struct ref top = build_files(200000);
	struct tree_reader *r = open_tree(&top);
	const uint8_t *key;
	size_t key_len;
	struct entry e;

	for (unsigned i = 0; i < 200000; i++) {
		file_number(i, i);
		cr_assert(eq(int, tree_reader_next(r, &key, &key_len, &e, NULL), 1));
		cr_assert(eq(int, entry_key_compare(key, key_len, s->key, s->key_len), 0));
		cr_assert(eq(u64, e.size, s->entry.size));
		cr_assert(eq(sz, e.extent_count, 1));
		cr_assert(is_extent_equal(&e.extents[0], &s->extents[0]));
	}
	cr_expect(eq(int, tree_reader_next(r, &key, &key_len, &e, NULL), 0));
	tree_reader_free(r);
}

static void expect_seek(struct tree_reader *r, const void *key, size_t len, unsigned want)
{
	const uint8_t *got;
	size_t got_len;
	struct entry e;

	cr_assert(eq(int, tree_reader_seek(r, key, len, NULL), 0));
	int rc = tree_reader_next(r, &got, &got_len, &e, NULL);
	if (want >= 50000) {
		cr_expect(eq(int, rc, 0));
		return;
	}
	file_number(want, want);
	cr_assert(eq(int, rc, 1));
	cr_expect(eq(int, entry_key_compare(got, got_len, s->key, s->key_len), 0), "%u", want);
}

Test(tree_reader, seek_finds_every_key_and_the_next_one_of_a_missing_key)
{
	struct ref top = build_files(50000);
	struct tree_reader *r = open_tree(&top);

	for (unsigned i = 0; i < 50000; i += 371) {
		file_number(i, i);
		expect_seek(r, s->key, s->key_len, i);
		file_number(i, i);
		s->key[s->key_len] = 0; /* just behind it */
		expect_seek(r, s->key, s->key_len + 1, i + 1);
		file_number(i, i);
		s->key[s->key_len - 1]--; /* just before it */
		expect_seek(r, s->key, s->key_len, i);
	}
	expect_seek(r, "", 0, 0);
	expect_seek(r, "a", 1, 0);
	expect_seek(r, "plant", 5, 0);
	expect_seek(r, "plant\0line03", 12, 15000);
	expect_seek(r, "q", 1, 50000);
	tree_reader_free(r);
}

Test(tree_reader, seek_reads_one_path_and_the_walk_goes_on_to_the_end)
{
	struct ref top = build_files(50000);
	struct tree_reader *r = open_tree(&top);
	const uint8_t *key;
	size_t key_len;
	struct entry e;
	unsigned count = 0;

	f->gets = 0;
	file_number(43210, 0);
	expect_seek(r, s->key, s->key_len, 43210);
	cr_expect(le(sz, f->gets, 3));
	while (tree_reader_next(r, &key, &key_len, &e, NULL) > 0)
		count++;
	cr_expect(eq(u32, count, 50000 - 43210 - 1));
	tree_reader_free(r);
}

Test(tree_reader, seek_behind_the_last_leaf_entry_gives_the_next_leaf)
{
	struct ref top = build_files(2000);
	struct tree_reader *r = open_tree(&top);
	const uint8_t *key;
	size_t key_len;
	struct entry e;

	/* every gap between two entries, so also those between leaves */
	for (unsigned i = 1; i < 2000; i++) {
		file_number(i - 1, 0);
		s->key[s->key_len] = 1;
		cr_assert(eq(int, tree_reader_seek(r, s->key, s->key_len + 1, NULL), 0));
		cr_assert(eq(int, tree_reader_next(r, &key, &key_len, &e, NULL), 1));
		file_number(i, 0);
		cr_assert(eq(int, entry_key_compare(key, key_len, s->key, s->key_len), 0));
	}
	tree_reader_free(r);
}

/* Count by type what the watch is told. */
static int count_refs(void *arg, const struct ref *ref, enum record_type type, struct err *err)
{
	size_t *counts = arg;
	size_t len;
	if (fake_records_find(f, ref, &len) == NULL)
		return err_set(err, ERR_FAILED, "told of a record that is not there");
	counts[type]++;
	return 0;
}

Test(tree_reader, the_watch_is_told_every_record_of_the_tree)
{
	struct ref top = build_sample(3000);
	struct tree_reader *r = open_tree(&top);
	const uint8_t *key;
	size_t key_len, counts[5] = { 0 }, ignored = 0;
	struct entry e;
	struct expected none;

	tree_reader_watch(r, count_refs, counts);
	while (tree_reader_next(r, &key, &key_len, &e, NULL) > 0) {
		none = (struct expected){ .count = 0 };
		if (e.has_extent_tree)
			ignored += tree_reader_extents(r, &e, expect_extent, &none, NULL) == 1;
	}
	/* the walks above stop at the first extent: only the path to it was read */
	cr_expect(ge(sz, ignored, 100));
	/* 31 entries with five records of attributes, 30 with a long target, which once shares */
	cr_expect(eq(sz, counts[RECORD_ATTR], 31 * 5 + 30 - 1));
	cr_expect(ge(sz, counts[RECORD_NODE], 2 + ignored));
	cr_expect(eq(sz, counts[RECORD_DATA], 0));
	tree_reader_free(r);
}

Test(tree_reader, thousands_of_attributes_spill_and_come_back)
{
	static struct entry_xattr x[ENTRY_MAX_XATTRS];
	static char names[ENTRY_MAX_XATTRS][16];
	static uint8_t value[ENTRY_MAX_XATTR_BYTES];
	const uint8_t *key;
	size_t key_len;
	struct entry e;
	struct tree_builder *b = begin();

	for (size_t i = 0; i < sizeof(value); i++)
		value[i] = (uint8_t)(i * i >> 3);
	for (size_t i = 0; i < ENTRY_MAX_XATTRS; i++) {
		(void)snprintf(names[i], sizeof(names[i]), "user.%05zu", i);
		x[i] = (struct entry_xattr){ .name = names[i], .name_len = 10 };
		x[i].value = value;
		x[i].value_len = i == 2000 ? sizeof(value) : i * 7 % 600;
	}
	sample_tree_file(s, f, "f", 1);
	s->entry.xattrs = x;
	s->entry.xattr_count = ENTRY_MAX_XATTRS;
	add(b);
	cr_expect(ge(sz, f->puts, 20));
	cr_expect(le(sz, f->puts, 50));
	struct ref top = end(b);
	struct tree_reader *r = open_tree(&top);
	cr_assert(eq(int, tree_reader_next(r, &key, &key_len, &e, NULL), 1));
	expect_entry(r, key, key_len, &e);
	cr_expect(eq(int, tree_reader_next(r, &key, &key_len, &e, NULL), 0));
	tree_reader_free(r);
}

Test(tree_reader, one_attribute_of_the_longest_size_spills_alone)
{
	static uint8_t value[ENTRY_MAX_XATTR_BYTES];
	struct entry_xattr x[2] = { { "user.long", 9, value, sizeof(value) },
		{ "user.short", 10, value, 10 } };
	const uint8_t *key;
	size_t key_len;
	struct entry e;
	struct tree_builder *b = begin();

	sample_tree_file(s, f, "f", 1);
	s->entry.xattrs = x;
	s->entry.xattr_count = 2;
	add(b);
	cr_expect(eq(sz, f->puts, 1));
	struct ref top = end(b);
	struct tree_reader *r = open_tree(&top);
	cr_assert(eq(int, tree_reader_next(r, &key, &key_len, &e, NULL), 1));
	expect_entry(r, key, key_len, &e);
	/* a source that does not give what it should is told */
	f->fail_get = f->gets + 2;
	cr_assert(eq(int, tree_reader_seek(r, NULL, 0, NULL), 0));
	cr_expect(eq(int, tree_reader_next(r, &key, &key_len, &e, NULL), -ERR_IO));
	cr_expect(eq(int, tree_reader_next(r, &key, &key_len, &e, NULL), -ERR_FAILED));
	tree_reader_free(r);
}

/* Read everything, extents included.  Return 0 or the error. */
static int read_all(const struct ref *top)
{
	struct tree_reader *r = open_tree(top);
	const uint8_t *key;
	size_t key_len;
	struct entry e;
	int rc, extents = 0;

	while (extents >= 0 && (rc = tree_reader_next(r, &key, &key_len, &e, NULL)) > 0) {
		struct expected none = { .count = 0 };
		extents = tree_reader_extents(r, &e, expect_extent, &none, NULL);
	}
	tree_reader_free(r);
	return extents < 0 ? extents : rc;
}

Test(tree_reader, failing_and_lying_sources_are_told)
{
	struct ref top = build_files(5000);

	cr_expect(eq(int, read_all(&top), 0));
	for (size_t fail = 1; fail <= 3; fail++) {
		f->gets = 0;
		f->fail_get = fail;
		cr_expect(eq(int, read_all(&top), -ERR_IO));
	}
	f->fail_get = 0;
	f->is_short = true;
	cr_expect(eq(int, read_all(&top), -ERR_CORRUPT));
	f->is_short = false;
	top.raw_len = (1u << 20) + 1;
	f->gets = 0;
	cr_expect(eq(int, read_all(&top), -ERR_CORRUPT));
	cr_expect(eq(sz, f->gets, 0));
	top = fake_records_data(1);
	cr_expect(eq(int, read_all(&top), -ERR_NOT_FOUND));
}

/* Read the node with every ${step}th byte flipped, and cut there.  Return how many flips tell. */
static size_t try_damage(const struct ref *top, size_t step)
{
	struct ref bad;
	size_t len = 0, refused = 0;
	const uint8_t *node = fake_records_find(f, top, &len);
	uint8_t *copy = malloc(len);

	cr_assert(node != NULL && copy != NULL);
	cr_assert(eq(int, read_all(top), 0));
	for (size_t i = 0; i < len; i += step) {
		memcpy(copy, node, len);
		copy[i] ^= i % 9 == 8 ? 0xff : (uint8_t)(1u << i % 9);
		fake_records_put(f, RECORD_NODE, copy, len, &bad);
		refused += read_all(&bad) < 0;
		fake_records_put(f, RECORD_NODE, node, i, &bad);
		cr_expect(lt(int, read_all(&bad), 0), "cut to %zu", i);
	}
	free(copy);
	return refused;
}

Test(tree_reader, no_flipped_byte_or_cut_end_of_a_leaf_crashes_it)
{
	struct tree_builder *b = begin();
	for (unsigned i = 0; i < 30; i++) {
		sample_tree_fill(s, f, i);
		if (i != 5) /* whose attributes are most of the bytes */
			add(b);
	}
	struct ref top = end(b);
	cr_expect(ge(sz, try_damage(&top, 1), 500));
	top = build_sample(40);
	cr_expect(ge(sz, try_damage(&top, 11), 20));
}

Test(tree_reader, any_change_of_an_interior_node_but_in_its_refs_is_refused)
{
	struct ref top = build_files(1500), bad;
	size_t len = 0;
	const uint8_t *node = fake_records_find(f, &top, &len);
	uint8_t *copy = malloc(len);

	cr_assert(node != NULL && copy != NULL);
	cr_assert(eq(u8, node[5], 1));
	size_t refs = bytes_get32(node + 8) * (size_t)REF_BYTES;
	for (size_t i = 0; i < len; i++) {
		bool is_ref = i >= 16 && i < 16 + refs;
		size_t in_ref = (i - 16) % REF_BYTES;
		/* K_c and record length of a ref are for the record layer */
		if (is_ref && ((in_ref >= 32 && in_ref < 64) || in_ref >= 68))
			continue;
		memcpy(copy, node, len);
		copy[i] ^= (uint8_t)(1u << i % 8);
		fake_records_put(f, RECORD_NODE, copy, len, &bad);
		cr_expect(lt(int, read_all(&bad), 0), "byte %zu", i);
	}
	free(copy);
}

/* A node made by hand. */
struct craft {
	struct buf items, node;
	struct ref refs[8];
	unsigned nrefs, nitems;
};

static void craft_init(struct craft *c)
{
	*c = (struct craft){ .items = BUF_INIT(1u << 20), .node = BUF_INIT(1u << 20) };
}

static struct ref craft_put(struct craft *c, unsigned level)
{
	uint8_t head[16] = { 'H', 'F', 'T', 'N', 1, (uint8_t)level }, raw[REF_BYTES];
	struct ref ref;

	bytes_put32(head + 8, c->nrefs);
	bytes_put32(head + 12, c->nitems);
	(void)buf_add(&c->node, head, sizeof(head), NULL);
	for (unsigned i = 0; i < c->nrefs; i++) {
		ref_encode(&c->refs[i], raw);
		(void)buf_add(&c->node, raw, sizeof(raw), NULL);
	}
	(void)buf_add(&c->node, c->items.data, c->items.len, NULL);
	fake_records_put(f, RECORD_NODE, c->node.data, c->node.len, &ref);
	buf_done(&c->node);
	buf_done(&c->items);
	return ref;
}

static void craft_key(struct craft *c, unsigned shared, const char *suffix)
{
	(void)wire_add_varint(&c->items, shared, NULL);
	(void)wire_add_varint(&c->items, strlen(suffix), NULL);
	(void)buf_add(&c->items, suffix, strlen(suffix), NULL);
	c->nitems++;
}

/* The TLVs that every entry has: kind, mode, uid, gid, mtime. */
#define HEAD(kind) "\x01\x01" kind "\x02\x01\0\x03\x01\0\x04\x01\0\x07\x0c\0\0\0\0\0\0\0\0\0\0\0\0"
#define HEX_FILE HEAD("\x01")
#define HEX_DIR HEAD("\x02")
#define HEX_DIR_BYTES (sizeof(HEX_DIR) - 1)

/* An entry with ${len} bytes of TLVs behind the needed ones. */
static void craft_entry(struct craft *c, unsigned shared, const char *suffix, const char *head,
	const void *more, size_t len)
{
	craft_key(c, shared, suffix);
	(void)wire_add_varint(&c->items, HEX_DIR_BYTES + len, NULL);
	(void)buf_add(&c->items, head, HEX_DIR_BYTES, NULL);
	(void)buf_add(&c->items, more, len, NULL);
}

static void craft_child(struct craft *c, unsigned shared, const char *suffix,
	const struct ref *child, unsigned index, uint64_t entries)
{
	c->refs[c->nrefs++] = *child;
	craft_key(c, shared, suffix);
	(void)wire_add_varint(&c->items, index, NULL);
	(void)wire_add_varint(&c->items, entries, NULL);
	(void)wire_add_varint(&c->items, 0, NULL);
}

static struct ref craft_leaf(const char *first, const char *second)
{
	struct craft c;
	craft_init(&c);
	craft_entry(&c, 0, first, HEX_DIR, "", 0);
	if (second != NULL)
		craft_entry(&c, 0, second, HEX_DIR, "", 0);
	return craft_put(&c, 0);
}

static int read_keys(unsigned s1, const char *k1, unsigned s2, const char *k2)
{
	struct craft c;
	craft_init(&c);
	craft_entry(&c, s1, k1, HEX_DIR, "", 0);
	craft_entry(&c, s2, k2, HEX_DIR, "", 0);
	struct ref top = craft_put(&c, 0);
	return read_all(&top);
}

Test(tree_reader, keys_must_ascend_in_their_shortest_form)
{
	cr_expect(eq(int, read_keys(0, "ab", 1, "c"), 0));
	cr_expect(eq(int, read_keys(0, "ab", 2, "c"), 0));
	cr_expect(eq(int, read_keys(0, "ab", 0, "ac"), -ERR_CORRUPT)); /* prefix could be longer */
	cr_expect(eq(int, read_keys(0, "ab", 1, "b"), -ERR_CORRUPT));  /* the same key */
	cr_expect(eq(int, read_keys(0, "ab", 1, "a"), -ERR_CORRUPT));
	cr_expect(eq(int, read_keys(0, "ab", 1, ""), -ERR_CORRUPT));
	cr_expect(eq(int, read_keys(0, "ab", 3, "c"), -ERR_CORRUPT));
	cr_expect(eq(int, read_keys(1, "ab", 0, "c"), -ERR_CORRUPT)); /* shares with nothing */
	cr_expect(eq(int, read_keys(0, "a/b", 0, "c"), -ERR_CORRUPT));
	cr_expect(eq(int, read_keys(0, "..", 0, "c"), -ERR_CORRUPT));
}

/* Two leaves {a, b} and {c, d} under a top that the caller bends. */
static int read_tree(const char *second_key, unsigned first_count, unsigned index)
{
	struct ref one = craft_leaf("a", "b"), two = craft_leaf("c", "d");
	struct craft c;
	craft_init(&c);
	craft_child(&c, 0, "a", &one, 0, first_count);
	craft_child(&c, 0, second_key, &two, index, 2);
	struct ref top = craft_put(&c, 1);
	return read_all(&top);
}

Test(tree_reader, interior_nodes_must_tell_the_truth_about_their_children)
{
	cr_expect(eq(int, read_tree("c", 2, 1), 0));
	cr_expect(eq(int, read_tree("b", 2, 1), -ERR_CORRUPT));
	cr_expect(eq(int, read_tree("d", 2, 1), -ERR_CORRUPT));
	cr_expect(eq(int, read_tree("c", 1, 1), -ERR_CORRUPT));
	cr_expect(eq(int, read_tree("c", 3, 1), -ERR_CORRUPT));
	cr_expect(eq(int, read_tree("c", 2, 0), -ERR_CORRUPT)); /* ref 1 unused */
	cr_expect(eq(int, read_tree("c", 2, 2), -ERR_CORRUPT));
}

Test(tree_reader, children_that_overlap_or_stand_at_the_wrong_level_are_refused)
{
	struct ref one = craft_leaf("a", "x"), two = craft_leaf("c", "d"), top;
	struct craft c;

	craft_init(&c);
	craft_child(&c, 0, "a", &one, 0, 2);
	craft_child(&c, 0, "c", &two, 1, 2);
	top = craft_put(&c, 1);
	cr_expect(eq(int, read_all(&top), -ERR_CORRUPT));

	one = craft_leaf("a", "b");
	for (unsigned level = 0; level < 256; level++) {
		craft_init(&c);
		craft_child(&c, 0, "a", &one, 0, 2);
		craft_child(&c, 0, "c", &two, 1, 2);
		top = craft_put(&c, level);
		cr_expect(eq(int, read_all(&top), level == 1 ? 0 : -ERR_CORRUPT));
	}
}

Test(tree_reader, nodes_without_need_are_refused)
{
	struct ref leaf = craft_leaf("a", "b"), empty, top;
	struct craft c;

	craft_init(&c);
	craft_child(&c, 0, "a", &leaf, 0, 2);
	top = craft_put(&c, 1);
	cr_expect(eq(int, read_all(&top), -ERR_CORRUPT)); /* a top with one child */

	craft_init(&c);
	empty = craft_put(&c, 0);
	cr_expect(eq(int, read_all(&empty), 0));
	craft_init(&c);
	craft_child(&c, 0, "a", &leaf, 0, 2);
	craft_child(&c, 0, "c", &empty, 1, 0);
	top = craft_put(&c, 1);
	cr_expect(eq(int, read_all(&top), -ERR_CORRUPT)); /* an empty child */

	craft_init(&c);
	top = craft_put(&c, 1);
	cr_expect(eq(int, read_all(&top), -ERR_CORRUPT)); /* an empty interior top */
}

static int read_tlvs(const char *head, const void *more, size_t len)
{
	struct craft c;
	craft_init(&c);
	craft_entry(&c, 0, "a", head, more, len);
	struct ref top = craft_put(&c, 0);
	return read_all(&top);
}

Test(tree_reader, entry_fields_must_be_known_and_fit_the_kind)
{
	cr_expect(eq(int, read_tlvs(HEX_DIR, "", 0), 0));
	cr_expect(eq(int, read_tlvs(HEX_DIR, "\x13\x01x", 3), -ERR_UNSUPPORTED));
	cr_expect(eq(int, read_tlvs(HEX_DIR, "\x7f\x00", 2), -ERR_UNSUPPORTED));
	cr_expect(eq(int, read_tlvs(HEX_DIR, "\x80\x01x\x80\x00\xff\x00", 7), 0));
	cr_expect(eq(int, read_tlvs(HEX_DIR, "\x0c\x01\x00", 3), -ERR_CORRUPT)); /* size */
	cr_expect(eq(int, read_tlvs(HEX_DIR, "\x0f\x01\x01", 3), -ERR_CORRUPT)); /* hardlink */
	cr_expect(eq(int, read_tlvs(HEX_DIR, "\x0a\x01t", 3), -ERR_CORRUPT));    /* target */
	cr_expect(eq(int, read_tlvs(HEX_DIR, "\x09\x04\0\0\0\0", 6), -ERR_CORRUPT));
	cr_expect(eq(int, read_tlvs(HEX_DIR, "\x12\x01\x00", 3), -ERR_CORRUPT));
	cr_expect(eq(int, read_tlvs(HEX_DIR, "\x12\x01\x01", 3), 0));
	cr_expect(eq(int, read_tlvs(HEX_DIR, "\x12\x02\x81\x00", 4), -ERR_CORRUPT)); /* minimal */
	cr_expect(eq(int, read_tlvs(HEX_DIR, "\x12\x01\x01\x12\x01\x01", 6), -ERR_CORRUPT));
	cr_expect(eq(int, read_tlvs(HEX_DIR, "\x12\x01\x01\x11\x00", 5), -ERR_CORRUPT));
	cr_expect(eq(int, read_tlvs(HEX_DIR, "\x11\x00", 2), -ERR_CORRUPT)); /* empty spill list */
	cr_expect(eq(int, read_tlvs(HEX_DIR, "\x11\x01\x00", 3), -ERR_CORRUPT)); /* no such ref */
	cr_expect(eq(int, read_tlvs(HEX_FILE, "\x0c\x01\x00", 3), 0));
	cr_expect(eq(int, read_tlvs(HEX_FILE, "", 0), -ERR_CORRUPT));
	cr_expect(eq(int, read_tlvs(HEX_FILE, "\x0c\x01\x05", 3), -ERR_CORRUPT)); /* no extents */
	cr_expect(eq(int, read_tlvs(HEX_FILE, "\x0c\x01\x05\x0e\x03\0\0\x05", 8), 0));
	cr_expect(eq(int, read_tlvs(HEX_FILE, "\x0c\x01\x05\x0e\x03\0\0\x04", 8), -ERR_CORRUPT));
	cr_expect(eq(int, read_tlvs(HEX_FILE, "\x0c\x01\x05\x0e\x03\0\0\x06", 8), -ERR_CORRUPT));
	cr_expect(eq(int, read_tlvs(HEX_FILE, "\x0c\x01\x00\x0e\x01\0", 6), -ERR_CORRUPT));
	cr_expect(eq(int, read_tlvs(HEX_FILE, "\x0c\x01\x05\x0e\x01\x02", 6), -ERR_UNSUPPORTED));
	cr_expect(eq(int, read_tlvs(HEX_FILE, "\x0c\x01\x05\x0e\x04\1\0\1\1", 9), -ERR_CORRUPT));
	cr_expect(eq(int,
		read_tlvs(HEX_DIR,
			"\x10\x04\x01"
			"b2\x10\x03\x01"
			"a1",
			11),
		-ERR_CORRUPT)); /* attributes descend */
	cr_expect(eq(int, read_tlvs(HEX_DIR, "\x10\x02\x00x", 4), -ERR_CORRUPT));
	cr_expect(eq(int, read_tlvs(HEX_DIR, "\x10\x02\x05x", 4), -ERR_CORRUPT));
	cr_expect(eq(int, read_tlvs(HEAD("\x07"), "", 0), -ERR_UNSUPPORTED));
}

/* An entry whose only ref is a type-4 record with these bytes. */
static int read_spill(const void *raw, size_t len)
{
	struct craft c;
	craft_init(&c);
	fake_records_put(f, RECORD_ATTR, raw, len, &c.refs[c.nrefs++]);
	craft_entry(&c, 0, "a", HEX_DIR, "\x11\x01\x00", 3);
	struct ref top = craft_put(&c, 0);
	return read_all(&top);
}

Test(tree_reader, spilled_records_hold_attributes_in_order_and_nothing_else)
{
	cr_expect(eq(int,
		read_spill("\x10\x03\x01"
			   "a1",
			5),
		0));
	cr_expect(eq(int,
		read_spill("\x10\x03\x01"
			   "a1\x10\x03\x01"
			   "b1",
			10),
		0));
	cr_expect(eq(int,
		read_spill("\x10\x03\x01"
			   "b1\x10\x03\x01"
			   "a1",
			10),
		-ERR_CORRUPT));
	cr_expect(eq(int,
		read_spill("\x10\x03\x01"
			   "a1\x10\x03\x01"
			   "a2",
			10),
		-ERR_CORRUPT));
	cr_expect(eq(int, read_spill("", 0), -ERR_CORRUPT));
	cr_expect(eq(int, read_spill("\x0a\x01t", 3), -ERR_CORRUPT)); /* target of a directory */
	cr_expect(eq(int, read_spill("\x0f\x01\x01", 3), -ERR_CORRUPT));
	cr_expect(eq(int,
		read_spill("\x10\x03\x01"
			   "a",
			4),
		-ERR_CORRUPT));
}

Test(tree_reader, a_node_that_lists_a_ref_twice_is_refused)
{
	struct ref one = craft_leaf("a", "b"), two = craft_leaf("c", "d");
	struct craft c;
	craft_init(&c);
	craft_child(&c, 0, "a", &one, 0, 2);
	craft_child(&c, 0, "c", &two, 1, 2);
	c.refs[c.nrefs++] = two;
	struct ref top = craft_put(&c, 1);
	cr_expect(eq(int, read_all(&top), -ERR_CORRUPT));
}
