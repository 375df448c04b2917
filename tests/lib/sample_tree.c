#include "tests/lib/sample_tree.h"

#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "crypto/hash.h"

const uint8_t sample_tree_key[16] = { 0x86, 0x0a, 0x8d, 0x18, 0x2a, 0x9f, 0x72, 0x37, 0xb2, 0xd8,
	0xaa, 0xb9, 0x70, 0x03, 0x23, 0x49 };

uint64_t sample_tree_extents(
	struct extent *out, struct fake_records *f, uint32_t seed, size_t count)
{
	uint64_t sum = 0;
	for (size_t j = 0; j < count; j++) {
		memset(&out[j], 0, sizeof(out[j]));
		out[j].is_hole = j % 10 == 9;
		out[j].length = out[j].is_hole ? 65536 + j : 1000 + j;
		if (!out[j].is_hole) {
			out[j].offset = j;
			out[j].ref = fake_records_use(f, seed + (uint32_t)j);
		}
		sum += out[j].length;
	}
	return sum;
}

static void add_xattr(struct sample_tree *s, const char *name, uint8_t byte, size_t len)
{
	size_t at = s->entry.xattr_count++, used = 0;
	struct entry_xattr *x = &s->xattrs[at];

	for (size_t i = 0; i < at; i++)
		used += s->xattrs[i].value_len;
	(void)snprintf(s->xattr_names[at], sizeof(s->xattr_names[at]), "%s", name);
	memset(s->xattr_values + used, byte, len);
	*x = (struct entry_xattr){ .name = s->xattr_names[at],
		.name_len = strlen(name),
		.value = s->xattr_values + used,
		.value_len = len };
}

static void fill_xattrs(struct sample_tree *s, unsigned i)
{
	char text[16];

	s->entry.xattrs = s->xattrs;
	if (i % 97 == 5) {
		for (unsigned k = 0; k < 40; k++) {
			(void)snprintf(text, sizeof(text), "user.x%04u", k);
			add_xattr(s, text, (uint8_t)k, k * 37 % 700);
		}
		for (unsigned k = 0; k < 5; k++) {
			(void)snprintf(text, sizeof(text), "user.y%04u", k);
			add_xattr(s, text, (uint8_t)i, 40000 + 5000 * k);
		}
	} else if (i % 9 == 0) {
		int len = snprintf(text, sizeof(text), "v%u", i);
		add_xattr(s, "user.a", 0, (size_t)len);
		memcpy(s->xattr_values, text, (size_t)len);
		add_xattr(s, "user.b", 'B', i % 40);
	}
}

static void fill_file(struct sample_tree *s, struct fake_records *f, unsigned i)
{
	struct entry *e = &s->entry;
	uint8_t message[10] = "digest";

	e->extents = s->extents;
	if (i % 13 == 0) {
		e->extents = NULL;
	} else if (i % 17 == 0 || i % 19 == 0) {
		e->extent_count = i % 17 == 0 ? 33 + i % 900 : 11;
		e->size = sample_tree_extents(s->extents, f, i * 1000, e->extent_count);
	} else {
		s->extents[0] = (struct extent){
			.ref = fake_records_use(f, i / 8), .offset = i % 8 * 5000, .length = 100 + i
		};
		e->extent_count = 1;
		e->size = 100 + i;
	}
	if (i % 3 != 0) {
		e->digest_kind = i % 3;
		bytes_put32(message + 6, i);
		hash_sha256(message, sizeof(message), e->digest);
	}
	if (i % 23 == 0)
		e->hardlink = i / 23 + 1;
	if (i % 29 == 0)
		e->notes = ENTRY_NOTE_CHANGED;
}

static void fill_common(struct sample_tree *s, unsigned i)
{
	struct entry *e = &s->entry;

	e->mode = i * 7 & 07777;
	e->uid = i % 5 * 1000;
	e->gid = i % 3;
	e->mtime.s = i % 7 == 0 ? -(int64_t)i : 1600000000 + (int64_t)i;
	e->mtime.ns = (uint32_t)((uint64_t)i * 1000003 % 1000000000);
	if (i % 2 == 1) {
		(void)snprintf(s->user, sizeof(s->user), "user%u", i % 5);
		e->user = s->user;
	}
	if (i % 3 == 0)
		e->group = "plant";
	if (i % 4 == 0) {
		e->has_btime = true;
		e->btime = (struct entry_time){ .s = i, .ns = i };
	}
	if (i % 11 == 0)
		e->flags = 16;
}

void sample_tree_fill(struct sample_tree *s, struct fake_records *f, unsigned i)
{
	static const enum entry_kind kinds[] = { ENTRY_DIR, ENTRY_SYMLINK, ENTRY_CHAR, ENTRY_FIFO,
		ENTRY_BLOCK };
	struct entry *e = &s->entry;
	char text[32];

	memset(e, 0, sizeof(*e));
	int len = snprintf(text, sizeof(text), "d%03u/f%02u", i / 50, i % 50);
	s->key_len = i % 50 == 0 ? 4 : (size_t)len;
	memcpy(s->key, text, (size_t)len);
	s->key[4] = 0;
	e->kind = i % 50 < 5 ? kinds[i % 50] : ENTRY_FILE;
	fill_common(s, i);
	fill_xattrs(s, i);
	if (e->kind == ENTRY_SYMLINK) {
		memset(s->target, 't', 9000);
		int n = snprintf(text, sizeof(text), "../x%u", i);
		e->target = s->target;
		e->target_len = i % 100 == 51 ? 9000 : (size_t)n;
		if (i % 100 != 51)
			memcpy(s->target, text, (size_t)n);
	}
	if (e->kind == ENTRY_CHAR || e->kind == ENTRY_BLOCK) {
		e->dev_major = i;
		e->dev_minor = i + 1;
	}
	if (e->kind == ENTRY_FILE)
		fill_file(s, f, i);
}

void sample_tree_file(
	struct sample_tree *s, struct fake_records *f, const char *path, unsigned size)
{
	struct buf key = BUF_INIT(sizeof(s->key));

	memset(&s->entry, 0, sizeof(s->entry));
	(void)entry_path_key(path, &key, NULL); /* a bad path gives no key: the builder refuses */
	memcpy(s->key, key.data, key.len);
	s->key_len = key.len;
	buf_done(&key);
	s->entry.kind = ENTRY_FILE;
	s->entry.mode = 0644;
	s->entry.mtime.s = 1600000000;
	s->entry.size = 100 + size % 100;
	s->extents[0] = (struct extent){ .ref = fake_records_use(f, size / 1000),
		.offset = size % 1000 * 200,
		.length = s->entry.size };
	s->entry.extents = s->extents;
	s->entry.extent_count = 1;
}
