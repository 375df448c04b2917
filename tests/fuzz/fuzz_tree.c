/*
 * fuzz_tree: nodes and entries of a tree, spilled attributes and extent trees (docs/FORMAT.md
 * section 4).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/err.h"
#include "fuzz/fuzz.h"
#include "vault/record_io.h"
#include "vault/tree_builder.h"
#include "vault/tree_reader.h"

/*
 * Input: records, each u16 length and its raw bytes; the last one is the top node.  A ref's first
 * byte is the number of its record.
 */
#define RECORDS_MAX 64

struct records {
	const uint8_t *at[RECORDS_MAX];
	size_t len[RECORDS_MAX];
	size_t count;
};

static const uint8_t k_tree[16] = { 0x86 };

static void split(const uint8_t *data, size_t len, struct records *out)
{
	out->count = 0;
	while (len >= 2 && out->count < RECORDS_MAX) {
		size_t n = bytes_get16(data);
		if (n > len - 2)
			n = len - 2;
		out->at[out->count] = data + 2;
		out->len[out->count++] = n;
		data += 2 + n;
		len -= 2 + n;
	}
}

static struct ref ref_of(size_t i, size_t len)
{
	struct ref r = { .raw_len = (uint32_t)len, .cr_len = (uint32_t)len + 40 };
	r.id[0] = (uint8_t)i;
	return r;
}

static int get(
	void *self, const struct ref *ref, enum record_type type, struct buf *raw, struct err *err)
{
	const struct records *all = self;
	(void)type;
	if (ref->id[0] >= all->count)
		return err_set(err, ERR_NOT_FOUND, "no such record");
	return buf_add(raw, all->at[ref->id[0]], all->len[ref->id[0]], err);
}

/* ---- building again ---- */

struct written {
	struct buf last; /* the last record put */
	size_t puts;
};

static int put(void *self, enum record_type type, enum record_class class, const void *raw,
	size_t len, struct ref *ref, struct err *err)
{
	struct written *w = self;
	(void)type;
	(void)class;
	*ref = ref_of(w->puts++, len);
	buf_clear(&w->last);
	return buf_add(&w->last, raw, len, err);
}

static int use(void *self, const struct ref *ref, struct err *err)
{
	(void)self;
	(void)ref;
	(void)err;
	return 0;
}

struct extents {
	uint64_t sum;
};

static int on_extent(void *arg, const struct extent *x, struct err *err)
{
	struct extents *e = arg;
	(void)err;
	FUZZ_CHECK(x->length > 0);
	FUZZ_CHECK(x->is_hole || x->offset + x->length <= x->ref.raw_len);
	e->sum += x->length;
	return 0;
}

/* Read the whole tree; give the entries to ${b} as long as one leaf holds them. */
static int read_all(
	struct tree_reader *r, struct tree_builder *b, bool *is_one_leaf, struct err *err)
{
	const uint8_t *key = NULL;
	size_t key_len = 0, count = 0;
	struct entry e;
	int rc;
	while ((rc = tree_reader_next(r, &key, &key_len, &e, err)) == 1 && ++count < 20000) {
		struct extents sum = { 0 };
		FUZZ_CHECK(entry_key_check(key, key_len, err) == 0);
		if (e.has_extent_tree || count >= 60)
			*is_one_leaf = false;
		if (e.kind == ENTRY_FILE) {
			rc = tree_reader_extents(r, &e, on_extent, &sum, err);
			if (rc != 0)
				return rc;
			FUZZ_CHECK(sum.sum == e.size);
		}
		if (*is_one_leaf)
			FUZZ_CHECK(tree_builder_add(b, key, key_len, &e, err) == 0);
	}
	return rc;
}

static void run(const uint8_t *data, size_t len)
{
	struct records all;
	struct written w = { .last = BUF_INIT((size_t)1 << 20) };
	const struct record_source source = { .self = &all, .get = get };
	const struct record_sink sink = { &w, put, use };
	struct err err = ERR_INIT;
	struct tree_builder *b = NULL;
	struct tree_reader *r = NULL;
	bool is_one_leaf = true;
	split(data, len, &all);
	if (all.count == 0)
		return;
	struct ref top = ref_of(all.count - 1, all.len[all.count - 1]);
	FUZZ_CHECK(tree_builder_new(k_tree, &sink, &b, &err) == 0);
	int rc = tree_reader_new(&source, &top, &r, &err);
	if (rc == 0)
		rc = read_all(r, b, &is_one_leaf, &err);
	fuzz_verdict(rc < 0 ? rc : 0, &err);
	if (rc == 0 && is_one_leaf && all.count == 1) {
		/* one leaf without records below: its writer makes the same bytes */
		struct tree_summary summary;
		FUZZ_CHECK(tree_builder_finish(b, &top, &summary, &err) == 0);
		FUZZ_CHECK(w.puts == 1 && w.last.len == all.len[0]);
		FUZZ_CHECK(memcmp(w.last.data, all.at[0], w.last.len) == 0);
	}
	tree_reader_free(r);
	tree_builder_free(b);
	buf_done(&w.last);
}

/* ---- seeds ---- */

static int put_seed(void *self, enum record_type type, enum record_class class, const void *raw,
	size_t len, struct ref *ref, struct err *err)
{
	struct written *w = self;
	(void)type;
	(void)class;
	*ref = ref_of(w->puts++, len);
	FUZZ_CHECK(len < 65536);
	int rc = buf_add16(&w->last, (uint16_t)len, err);
	return rc != 0 ? rc : buf_add(&w->last, raw, len, err);
}

static struct entry file_of(const struct extent *x, size_t count)
{
	struct entry e = { .kind = ENTRY_FILE,
		.mode = 0640,
		.uid = 1000,
		.user = "op",
		.mtime = { 1700000000, 5 },
		.digest_kind = ENTRY_DIGEST_SHA256,
		.extents = x,
		.extent_count = count };
	for (size_t i = 0; i < count; i++)
		e.size += x[i].length;
	return e;
}

static void seed_tree(size_t files, size_t extents, size_t xattr_len)
{
	static uint8_t value[20000];
	static struct extent x[100];
	struct written w = { .last = BUF_INIT(FUZZ_MAX_BYTES) };
	const struct record_sink sink = { &w, put_seed, use };
	const struct entry_xattr attr = { "user.a", 6, value, xattr_len };
	struct entry dir = {
		.kind = ENTRY_DIR, .mode = 0755, .mtime = { 1, 2 }, .has_btime = true
	};
	struct entry link = {
		.kind = ENTRY_SYMLINK, .target = (const uint8_t *)"a", .target_len = 1
	};
	struct err err = ERR_INIT;
	struct tree_builder *b = NULL;
	struct tree_summary summary;
	struct ref top;
	char key[32];
	for (size_t i = 0; i < extents; i++)
		x[i] = (struct extent){ .is_hole = i % 5 == 4,
			.ref = { .id = { 63, (uint8_t)i }, .raw_len = 4096, .cr_len = 2000 },
			.length = 1000 + i };
	for (size_t i = 0; i < extents; i++)
		if (x[i].is_hole)
			x[i].ref = (struct ref){ .raw_len = 0 };
	FUZZ_CHECK(tree_builder_new(k_tree, &sink, &b, &err) == 0);
	FUZZ_CHECK(tree_builder_add(b, (const uint8_t *)"d", 1, &dir, &err) == 0);
	for (size_t i = 0; i < files; i++) {
		struct entry e = file_of(x, extents);
		e.xattrs = &attr;
		e.xattr_count = xattr_len > 0 ? 1 : 0;
		int n = snprintf(key, sizeof(key), "d%c%05zu", 0, i);
		/* the 70th of many ends its leaf (section 4.4.3) */
		for (unsigned try = 0;
			i == 70 && entry_key_prf(k_tree, 0, (uint8_t *)key, (size_t)n) % 512 != 0;
			try++)
			n = snprintf(key, sizeof(key), "d%c%05zu-%u", 0, i, try);
		FUZZ_CHECK(tree_builder_add(b, (const uint8_t *)key, (size_t)n, &e, &err) == 0);
	}
	FUZZ_CHECK(tree_builder_add(b, (const uint8_t *)"e", 1, &link, &err) == 0);
	FUZZ_CHECK(tree_builder_finish(b, &top, &summary, &err) == 0);
	fuzz_seed(w.last.data, w.last.len);
	tree_builder_free(b);
	buf_done(&w.last);
}

static void seeds(void)
{
	seed_tree(0, 0, 0);
	seed_tree(3, 4, 9);
	seed_tree(1, 60, 0);
	seed_tree(1, 2, 9000);
	seed_tree(74, 0, 0);
}

const struct fuzz_target fuzz_tree = { "tree", run, seeds };
