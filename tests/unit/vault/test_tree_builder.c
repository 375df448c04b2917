#include "vault/tree_builder.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "tests/lib/sample_tree.h"
#include "vault/extent_tree.h"
#include "vault/tree_reader.h"

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

TestSuite(tree_builder, .init = setup, .fini = teardown);

static struct tree_builder *begin(void)
{
	struct tree_builder *b = NULL;
	cr_assert(eq(int, tree_builder_new(sample_tree_key, &f->sink, &b, NULL), 0));
	return b;
}

static int add(struct tree_builder *b)
{
	return tree_builder_add(b, s->key, s->key_len, &s->entry, NULL);
}

static void end(struct tree_builder *b, struct ref *top, struct tree_summary *summary)
{
	struct err err = ERR_INIT;
	cr_assert(eq(int, tree_builder_finish(b, top, summary, &err), 0), "%s", err.msg);
	tree_builder_free(b);
}

static void expect_known(unsigned count, size_t puts, const char *all, const char *top_hex)
{
	struct tree_builder *b = begin();
	struct tree_summary summary;
	struct err err = ERR_INIT;
	struct ref top;
	char hex[65];
	uint64_t bytes = 0;

	for (unsigned i = 0; i < count; i++) {
		sample_tree_fill(s, f, i);
		bytes += s->entry.size;
		cr_assert(eq(int, tree_builder_add(b, s->key, s->key_len, &s->entry, &err), 0),
			"%u: %s", i, err.msg);
	}
	end(b, &top, &summary);
	cr_expect(eq(u64, summary.entries, count));
	cr_expect(eq(u64, summary.raw_bytes, bytes));
	cr_expect(eq(sz, f->puts, puts));
	cr_expect(eq(sz, f->unnoted, 0));
	cr_expect(eq(str, (char *)(uintptr_t)fake_records_digest(f, hex), (char *)(uintptr_t)all));
	cr_expect(eq(str, (char *)(uintptr_t)fake_records_hex(top.id, 32, hex),
		(char *)(uintptr_t)top_hex));
}

Test(tree_builder, an_empty_tree_is_one_empty_leaf)
{
	expect_known(0, 1, "678f1081decc2bd603e43de7d622fad3803abaa515e33fe565fee3b774a6baa9",
		"8a169d76b03366058804f26ff4fd5537fc8a4b5778ac2e34bdc994291c95b8b6");
}

Test(tree_builder, one_entry_makes_the_bytes_of_the_reference)
{
	expect_known(1, 1, "11454c4786ff072e4de5448cbbbfae00a3a995337c2a197274465897014ae98c",
		"31a071188cbf7432cc504c729990bd6acac8429a13999b7222cae1a0f1e952c6");
}

Test(tree_builder, every_kind_of_entry_makes_the_bytes_of_the_reference)
{
	expect_known(40, 8, "7abf566027979a9daef7b3e32e85211e42432a617fca195a85d226ffaf6b64f4",
		"ee07a9c55428dd714043d5d77f8b302682d0dfb1f20ae7b262fc912d143ea50b");
}

Test(tree_builder, two_levels_spills_and_extent_trees_make_the_bytes_of_the_reference)
{
	expect_known(6000, 1168, "e88eb1c779e290f4d8038d5ce42eb36d17e8074aee6c2c33bde93db25c25af07",
		"8d240b4121e8e757d6f767090872384b907fa634c5485e6f2fa4afd1e8881d06");
}

/* ${count} files, of which number ${without} is left out and ${changed} is another size. */
static struct ref build_files(unsigned count, unsigned without, unsigned changed)
{
	struct tree_builder *b = begin();
	struct tree_summary summary;
	struct ref top;
	char path[64];

	for (unsigned i = 0; i < count; i++) {
		if (i == without)
			continue;
		(void)snprintf(path, sizeof(path), "plant/line%02u/batch%06u.xml", i / 5000, i);
		sample_tree_file(s, f, path, i == changed ? i + 17 : i);
		cr_assert(eq(int, add(b), 0));
	}
	end(b, &top, &summary);
	return top;
}

Test(tree_builder, a_local_change_rewrites_few_nodes)
{
	struct ref first = build_files(50000, UINT32_MAX, UINT32_MAX), again;
	size_t in_all = f->new_puts;

	cr_expect(ge(sz, in_all, 70));
	again = build_files(50000, UINT32_MAX, UINT32_MAX);
	cr_expect(eq(int, memcmp(&first, &again, sizeof(first)), 0));
	cr_expect(eq(sz, f->new_puts, in_all));
	(void)build_files(50000, UINT32_MAX, 20000);
	cr_expect(eq(sz, f->new_puts, in_all + 2)); /* the leaf and the top */
	in_all = f->new_puts;
	(void)build_files(50000, 30000, UINT32_MAX);
	cr_expect(le(sz, f->new_puts, in_all + 3));
	cr_expect(ge(sz, f->new_puts, in_all + 2));
}

Test(tree_builder, an_extent_tree_made_before_gives_the_same_bytes_as_the_list)
{
	struct extent *list = calloc(5000, sizeof(*list));
	struct extent_tree *x = NULL;
	struct extent_tree_summary made;
	struct tree_summary summary;
	struct ref top[2];

	for (int form = 0; form < 2; form++) {
		struct tree_builder *b = begin();
		sample_tree_file(s, f, "historian.dat", 1);
		s->entry.size = sample_tree_extents(list, f, 0, 5000);
		s->entry.extents = list;
		s->entry.extent_count = 5000;
		if (form == 1) {
			cr_assert(eq(int, extent_tree_new(&f->sink, &x, NULL), 0));
			for (size_t i = 0; i < 5000; i++)
				cr_assert(eq(int, extent_tree_add(x, &list[i], NULL), 0));
			cr_assert(eq(int, extent_tree_finish(x, &made, NULL), 0));
			extent_tree_free(x);
			s->entry.extent_count = 0;
			s->entry.has_extent_tree = true;
			s->entry.extent_tree = made.top;
			s->entry.extent_height = made.height;
		}
		cr_expect(eq(int, add(b), 0));
		end(b, &top[form], &summary);
	}
	cr_expect(eq(int, memcmp(&top[0], &top[1], sizeof(top[0])), 0));
	free(list);
}

Test(tree_builder, a_node_ends_before_it_has_too_many_refs)
{
	struct tree_builder *b = begin();
	struct tree_summary summary;
	struct ref top;
	char path[64];

	/* every file 30 refs of its own: 4096 are reached before 256 KiB are */
	for (unsigned i = 0; i < 400; i++) {
		(void)snprintf(path, sizeof(path), "f%04u", i);
		sample_tree_file(s, f, path, i);
		s->entry.size = 0;
		for (unsigned j = 0; j < 30; j++) {
			s->extents[j] = (struct extent){ .ref = fake_records_use(f, i * 30 + j),
				.length = 1 };
		}
		s->entry.extent_count = 30;
		s->entry.size = 30;
		cr_assert(eq(int, add(b), 0));
	}
	end(b, &top, &summary);
	cr_expect(ge(sz, f->puts, 4));
	size_t len = 0;
	const uint8_t *node = fake_records_find(f, &top, &len);
	cr_assert(node != NULL);
	cr_expect(eq(u8, node[5], 1));
	cr_expect(eq(u64, summary.raw_bytes, 400 * 30));
}

Test(tree_builder, keys_as_long_as_they_may_be_fit)
{
	struct tree_builder *b = begin();
	struct tree_summary summary;
	struct ref top;
	static uint8_t key[ENTRY_MAX_KEY_BYTES];

	sample_tree_file(s, f, "x", 1);
	memset(key, 'k', sizeof(key));
	for (size_t i = 4000; i < sizeof(key); i += 4001)
		key[i] = 0;
	for (unsigned i = 0; i < 200; i++) {
		key[0] = (uint8_t)(i + 48);
		if (key[0] == '/')
			continue;
		cr_assert(eq(int, tree_builder_add(b, key, sizeof(key), &s->entry, NULL), 0));
	}
	end(b, &top, &summary);
	cr_expect(eq(u64, summary.entries, 200));
	cr_expect(ge(sz, f->puts, 200 / 8));
}

Test(tree_builder, refused_entries_leave_no_trace)
{
	struct tree_builder *b = begin();
	struct tree_summary summary;
	struct ref top, want;

	sample_tree_file(s, f, "b", 1);
	cr_assert(eq(int, add(b), 0));
	cr_expect(eq(int, add(b), -ERR_CORRUPT)); /* the same key */
	cr_expect(tree_builder_is_refused(b));
	sample_tree_file(s, f, "a", 1);
	cr_expect(eq(int, add(b), -ERR_CORRUPT));
	cr_expect(tree_builder_is_refused(b));
	s->key_len = 0;
	cr_expect(eq(int, add(b), -ERR_CORRUPT));
	sample_tree_file(s, f, "c", 1);
	s->entry.size++;
	cr_expect(eq(int, add(b), -ERR_CORRUPT));
	cr_expect(tree_builder_is_refused(b));
	s->entry.size--;
	cr_expect(eq(int, add(b), 0));
	cr_expect(not(tree_builder_is_refused(b)));
	end(b, &top, &summary);
	cr_expect(eq(u64, summary.entries, 2));

	b = begin();
	sample_tree_file(s, f, "b", 1);
	cr_assert(eq(int, add(b), 0));
	sample_tree_file(s, f, "c", 1);
	cr_assert(eq(int, add(b), 0));
	end(b, &want, &summary);
	cr_expect(eq(int, memcmp(&top, &want, sizeof(top)), 0));
}

#define EXPECT_REFUSED(code, change)                                                               \
	do {                                                                                       \
		sample_tree_file(s, f, "file", 1);                                                 \
		struct entry *e = &s->entry;                                                       \
		change;                                                                            \
		cr_expect(eq(int, add(b), -(code)), "%s", #change);                                \
	} while (0)

Test(tree_builder, entries_that_contradict_themselves_are_refused)
{
	struct tree_builder *b = begin();
	static struct entry_xattr x[ENTRY_MAX_XATTRS + 1];

	EXPECT_REFUSED(ERR_CORRUPT, e->kind = 0);
	EXPECT_REFUSED(ERR_CORRUPT, e->kind = 7);
	EXPECT_REFUSED(ERR_CORRUPT, e->kind = ENTRY_DIR);
	EXPECT_REFUSED(ERR_CORRUPT, e->mode = 010000);
	EXPECT_REFUSED(ERR_CORRUPT, e->mtime.ns = 1000000000);
	EXPECT_REFUSED(ERR_CORRUPT, e->has_btime = true; e->btime.ns = 1000000000);
	EXPECT_REFUSED(ERR_CORRUPT, e->target = s->target; e->target_len = 1);
	EXPECT_REFUSED(ERR_CORRUPT, e->dev_minor = 1);
	EXPECT_REFUSED(ERR_CORRUPT, e->digest_kind = 3);
	EXPECT_REFUSED(ERR_CORRUPT, e->extent_count = 0);
	EXPECT_REFUSED(ERR_CORRUPT, e->has_extent_tree = true);
	EXPECT_REFUSED(ERR_CORRUPT, e->extent_count = 0; e->has_extent_tree = true);
	EXPECT_REFUSED(ERR_CORRUPT, s->extents[0].offset = 1u << 20);
	EXPECT_REFUSED(ERR_LIMIT, e->size = UINT64_MAX);
	EXPECT_REFUSED(ERR_CORRUPT, e->xattrs = x; e->xattr_count = 1);
	for (size_t i = 0; i <= ENTRY_MAX_XATTRS; i++)
		x[i] = (struct entry_xattr){ .name = "user.a", .name_len = 6 };
	EXPECT_REFUSED(ERR_CORRUPT, e->xattrs = x; e->xattr_count = 2);
	EXPECT_REFUSED(ERR_LIMIT, e->xattrs = x; e->xattr_count = ENTRY_MAX_XATTRS + 1);
	x[0].name = "user\0a";
	EXPECT_REFUSED(ERR_CORRUPT, e->xattrs = x; e->xattr_count = 1);
	x[0] = (struct entry_xattr){ .name = "a",
		.name_len = 1,
		.value = s->xattr_values,
		.value_len = ENTRY_MAX_XATTR_BYTES + 1 };
	EXPECT_REFUSED(ERR_LIMIT, e->xattrs = x; e->xattr_count = 1);
	tree_builder_free(b);
}

Test(tree_builder, other_kinds_must_not_have_content_and_links_need_a_target)
{
	struct tree_builder *b = begin();

	EXPECT_REFUSED(ERR_CORRUPT, e->kind = ENTRY_SYMLINK; e->size = 0; e->extent_count = 0);
	EXPECT_REFUSED(ERR_CORRUPT, e->kind = ENTRY_FIFO; e->size = 0; e->extent_count = 0;
		       e->digest_kind = ENTRY_DIGEST_SHA256);
	EXPECT_REFUSED(ERR_CORRUPT, e->kind = ENTRY_DIR; e->size = 0; e->extent_count = 0;
		       e->hardlink = 1);
	EXPECT_REFUSED(ERR_CORRUPT, e->kind = ENTRY_SYMLINK; e->size = 0; e->extent_count = 0;
		       e->target = (const uint8_t *)"a\0b"; e->target_len = 3);
	EXPECT_REFUSED(ERR_LIMIT, e->kind = ENTRY_SYMLINK; e->size = 0; e->extent_count = 0;
		       e->target = s->xattr_values; e->target_len = 65537);
	tree_builder_free(b);
}

Test(tree_builder, a_failing_sink_ends_the_tree)
{
	for (size_t fail = 1; fail <= 8; fail++) {
		struct tree_builder *b = begin();
		struct tree_summary summary = { .entries = 4711 };
		struct ref top;
		int rc = 0;
		f->puts = 0;
		f->fail_put = fail;
		for (unsigned i = 0; rc == 0 && i < 40; i++) {
			sample_tree_fill(s, f, i);
			rc = add(b);
		}
		if (rc == 0)
			rc = tree_builder_finish(b, &top, &summary, NULL);
		cr_expect(eq(int, rc, -ERR_IO));
		cr_expect(not(tree_builder_is_refused(b)));
		cr_expect(eq(u64, summary.entries, 4711));
		sample_tree_fill(s, f, 100);
		cr_expect(eq(int, add(b), -ERR_FAILED));
		cr_expect(eq(int, tree_builder_finish(b, &top, &summary, NULL), -ERR_FAILED));
		tree_builder_free(b);
	}
}

Test(tree_builder, two_keys_for_one_record_are_refused)
{
	struct tree_builder *b = begin();
	sample_tree_file(s, f, "a", 1);
	cr_assert(eq(int, add(b), 0));
	sample_tree_file(s, f, "b", 1);
	s->extents[0].ref.key[0] ^= 1;
	cr_expect(eq(int, add(b), -ERR_CORRUPT));
	tree_builder_free(b);
}
