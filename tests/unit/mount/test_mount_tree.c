#include "mount/mount_tree.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "mount/mount_snaps.h"
#include "tests/lib/fake_records.h"
#include "tests/lib/sample_tree.h"
#include "vault/tree_builder.h"

/*
 * d000/f000 .. d099/f099 (10,000 files), a directory "lone" of which only "lone/x/y" tells, and
 * hard links: d<i>/f001 are all of group 1, d<i>/f002 of group 2 for even i.
 */
#define DIRS 100
#define FILES 100

static struct fake_records *f;
static struct mount_snap snap;
static struct mount_tree *tree;
static struct err err;

static void add(struct tree_builder *b, const char *path, uint64_t group, bool is_dir)
{
	static struct sample_tree s;
	sample_tree_file(&s, f, path, 1);
	if (is_dir) {
		s.entry = (struct entry){ .kind = ENTRY_DIR, .mode = 0755, .mtime = { .s = 7 } };
	}
	s.entry.hardlink = group;
	cr_assert(eq(int, tree_builder_add(b, s.key, s.key_len, &s.entry, &err), 0), "%s: %s", path,
		err.msg);
}

static void setup(void)
{
	struct tree_builder *b = NULL;
	char path[64];
	f = fake_records_new();
	cr_assert(eq(int, tree_builder_new(sample_tree_key, &f->sink, &b, &err), 0));
	for (int d = 0; d < DIRS; d++) {
		(void)snprintf(path, sizeof(path), "d%03d", d);
		add(b, path, 0, true);
		for (int i = 0; i < FILES; i++) {
			(void)snprintf(path, sizeof(path), "d%03d/f%03d", d, i);
			add(b, path, i == 1 ? 1 : i == 2 && d % 2 == 0 ? 2 : 0, false);
		}
	}
	add(b, "lone/x/y", 0, false);
	add(b, "z", 0, false);
	struct tree_summary summary;
	struct ref top;
	cr_assert(eq(int, tree_builder_finish(b, &top, &summary, &err), 0));
	tree_builder_free(b);
	snap = (struct mount_snap){ .top = top, .received_ns = 3000000000 };
	cr_assert(eq(int, mount_tree_new(&f->source, &tree, &err), 0));
}

static void teardown(void)
{
	mount_tree_free(tree);
	fake_records_free(f);
}

TestSuite(mount_tree, .init = setup, .fini = teardown);

static int find(const char *path, struct entry *e)
{
	struct buf key = BUF_INIT(4096);
	struct mount_lease *lease;
	cr_assert(eq(int, entry_path_key(path, &key, &err), 0));
	int rc = mount_tree_find(tree, &snap, key.data, key.len, &lease, e, &err);
	if (rc == 1)
		mount_tree_return(tree, lease);
	buf_done(&key);
	return rc;
}

Test(mount_tree, finds_what_is_there_in_any_order_and_nothing_else)
{
	struct entry e;
	char path[64];
	uint64_t x = 5;
	for (int i = 0; i < 3000; i++) {
		x = x * UINT64_C(6364136223846793005) + 1442695040888963407u;
		(void)snprintf(path, sizeof(path), "d%03d/f%03d", (int)((x >> 40) % DIRS),
			(int)((x >> 20) % (2ul * FILES)));
		cr_assert(eq(int, find(path, &e), (int)((x >> 20) % (2ul * FILES)) < FILES ? 1 : 0),
			"%s", path);
	}
	for (int i = 0; i < FILES; i++) { /* and in order */
		(void)snprintf(path, sizeof(path), "d042/f%03d", i);
		cr_assert(eq(int, find(path, &e), 1));
		cr_assert(eq(int, find(path, &e), 1), "twice");
		cr_assert(eq(int, e.kind, ENTRY_FILE));
	}
	cr_expect(eq(int, find("d042", &e), 1));
	cr_expect(eq(int, e.kind, ENTRY_DIR));
	cr_expect(eq(int, find("zz", &e), 0));
	cr_expect(eq(int, find("z", &e), 1), "after the end was met");
	cr_expect(eq(int, find("d04", &e), 0));
	cr_expect(eq(int, find("/", &e), 1));
	cr_expect(eq(int, e.kind, ENTRY_DIR));
}

Test(mount_tree, a_directory_that_only_its_entries_tell_of_is_one)
{
	struct entry e;
	cr_expect(eq(int, find("lone", &e), 1));
	cr_expect(eq(int, e.kind, ENTRY_DIR));
	cr_expect(eq(int, (int)e.mode, 0555));
	cr_expect(eq(int, find("lone/x", &e), 1));
	cr_expect(eq(int, e.kind, ENTRY_DIR));
	cr_expect(eq(int, find("lone/x/y", &e), 1));
	cr_expect(eq(int, e.kind, ENTRY_FILE));
	cr_expect(eq(int, find("lone/w", &e), 0));
}

/* List ${path}; the last components joined by blanks. */
static char *list(const char *path, uint64_t step)
{
	static char out[65536];
	struct buf dir = BUF_INIT(4096);
	struct mount_listing *l = NULL;
	cr_assert(eq(int, entry_path_key(path, &dir, &err), 0));
	cr_assert(eq(int, mount_tree_list(tree, &snap, dir.data, dir.len, &l, &err), 0));
	out[0] = '\0';
	size_t from = dir.len == 0 ? 0 : dir.len + 1;
	for (uint64_t nth = 0;; nth++) {
		const uint8_t *key;
		size_t len;
		struct entry e;
		if (step != 0 && nth % step == 0 && nth > 1) /* back and forth */
			cr_assert(eq(int, mount_tree_list_at(l, nth - 2, &key, &len, &e, &err), 1));
		int rc = mount_tree_list_at(l, nth, &key, &len, &e, &err);
		cr_assert(ge(int, rc, 0));
		if (rc == 0)
			break;
		size_t used = strlen(out);
		(void)snprintf(out + used, sizeof(out) - used, "%s%.*s%s", nth == 0 ? "" : " ",
			(int)(len - from), (const char *)key + from,
			e.kind == ENTRY_DIR ? "/" : "");
	}
	mount_tree_list_end(l);
	buf_done(&dir);
	return out;
}

Test(mount_tree, lists_each_name_of_a_directory_once)
{
	char want[65536] = "";
	char *to = want;
	for (int i = 0; i < FILES; i++)
		to += sprintf(to, "%sf%03d", i == 0 ? "" : " ", i);
	cr_expect(eq(str, list("d007", 0), want));
	cr_expect(eq(str, list("d007", 9), want));
	to = want;
	for (int i = 0; i < DIRS; i++)
		to += sprintf(to, "d%03d/ ", i);
	(void)sprintf(to, "lone/ z");
	cr_expect(eq(str, list("/", 0), want));
	cr_expect(eq(str, list("/", 30), want));
	cr_expect(eq(str, list("lone", 0), (char *)"x/"));
	cr_expect(eq(str, list("lone/x", 0), (char *)"y"));
	cr_expect(eq(str, list("nowhere", 0), (char *)""));
}

Test(mount_tree, listing_a_directory_of_directories_does_not_read_what_is_in_them)
{
	f->gets = 0;
	(void)list("/", 0);
	size_t whole = f->gets;
	struct entry e;
	f->gets = 0;
	cr_assert(eq(int, find("z", &e), 1));
	/* at worst: the way down for each of the directories */
	cr_expect(le(sz, whole, (DIRS + 2) * (f->gets + 1)));
}

Test(mount_tree, counts_the_names_of_a_group_once)
{
	uint32_t links = 0;
	cr_assert(eq(int, mount_tree_links(tree, &snap, 1, &links, &err), 0), "%s", err.msg);
	cr_expect(eq(u32, links, DIRS));
	f->gets = 0;
	cr_assert(eq(int, mount_tree_links(tree, &snap, 2, &links, &err), 0));
	cr_expect(eq(u32, links, DIRS / 2));
	cr_expect(eq(sz, f->gets, 0));
}

Test(mount_tree, a_node_that_cannot_be_read_is_an_error_and_the_next_try_a_new_one)
{
	struct entry e;
	uint32_t links = 0;
	f->gets = 0;
	f->fail_get = 2;
	cr_expect(lt(int, find("d050/f050", &e), 0));
	f->fail_get = 0;
	cr_expect(eq(int, find("d050/f050", &e), 1));
	f->gets = 0;
	f->fail_get = 3;
	cr_expect(lt(int, mount_tree_links(tree, &snap, 1, &links, &err), 0));
	f->fail_get = 0;
	cr_expect(eq(int, mount_tree_links(tree, &snap, 1, &links, &err), 0));
	cr_expect(ge(u32, links, 1));
}
