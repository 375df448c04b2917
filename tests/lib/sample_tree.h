/*
 * sample_tree: the entries of the tree tests, the same as in tests/reference/hf1_tree.py.
 */
#ifndef TESTS_SAMPLE_TREE_H
#define TESTS_SAMPLE_TREE_H

#include <stddef.h>
#include <stdint.h>

#include "tests/lib/fake_records.h"
#include "vault/entry.h"
#include "vault/tree_builder.h"

#define SAMPLE_TREE_MAX_EXTENTS 1024
#define SAMPLE_TREE_MAX_XATTRS 64

/* K_tree of the known answers. */
extern const uint8_t sample_tree_key[16];

/* One entry and the memory behind it. */
struct sample_tree {
	uint8_t key[64];
	size_t key_len;
	struct entry entry;
	char user[32];
	uint8_t target[9001];
	struct extent extents[SAMPLE_TREE_MAX_EXTENTS];
	struct entry_xattr xattrs[SAMPLE_TREE_MAX_XATTRS];
	char xattr_names[SAMPLE_TREE_MAX_XATTRS][16];
	uint8_t xattr_values[300000];
};

/* Fill entry number ${i}; its data records are noted on ${f}. */
void sample_tree_fill(struct sample_tree *s, struct fake_records *f, unsigned i);

/* Fill ${count} extents of data records ${seed}.. with a hole each tenth; return their length. */
uint64_t sample_tree_extents(
	struct extent *out, struct fake_records *f, uint32_t seed, size_t count);

/* A small regular file of one extent, 100 + ${size} % 100 bytes, with the key "${path}". */
void sample_tree_file(
	struct sample_tree *s, struct fake_records *f, const char *path, unsigned size);

#endif
