/*
 * node_codec: what the nodes of the main tree and of extent trees have in common
 * (docs/FORMAT.md section 4): header, refs, first use order, keys with shared prefixes; and how a
 * node is fetched.  Internal to the room.
 */
#ifndef VAULT_NODE_CODEC_H
#define VAULT_NODE_CODEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "codec/wire.h"
#include "vault/record_io.h"
#include "vault/tree_reader.h"

struct ref_table;

#define NODE_CODEC_HEADER_BYTES 16
#define NODE_CODEC_MAX_BYTES (1u << 20) /* a reader takes no longer node */
#define NODE_CODEC_MAX_ITEMS 4096
#define NODE_CODEC_MAX_HEIGHT 16

#define NODE_CODEC_TREE "HFTN"
#define NODE_CODEC_EXTENTS "HFXN"

/* Where nodes come from, and who is told. */
struct node_source {
	const struct record_source *source;
	tree_ref_fn watch; /* or NULL */
	void *watch_arg;
	struct ref_table *scratch; /* owned; tells whether an ID comes twice */
};

/* A node being read: borrowed from its raw bytes. */
struct node_view {
	struct wire items; /* what is left of them */
	const uint8_t *refs;
	uint32_t nrefs;
	uint32_t seen; /* refs used so far */
	uint32_t nitems;
	uint32_t taken; /* counted by the reader of the items */
	uint8_t level;
};

int node_codec_source_init(
	struct node_source *ns, const struct record_source *source, struct err *err);
void node_codec_source_done(struct node_source *ns);

/**
 * node_codec_get(ns, ref, type, max, raw, err):
 * Append the ${ref}->raw_len bytes of a record to ${raw} and tell the watch.
 * Return 0, -ERR_CORRUPT (longer than ${max}, or not as long as the ref says), or what the source
 * or the watch says.
 */
int node_codec_get(const struct node_source *ns, const struct ref *ref, enum record_type type,
	size_t max, struct buf *raw, struct err *err);

/**
 * node_codec_load(ns, ref, magic, raw, view, err):
 * Fetch a node into ${raw} (replaced) and read its header and refs.  Return 0, -ERR_CORRUPT,
 * -ERR_UNSUPPORTED (version, flags) or what the source says.
 */
int node_codec_load(const struct node_source *ns, const struct ref *ref, const char *magic,
	struct buf *raw, struct node_view *view, struct err *err);

/* The refs of a node's raw bytes, ${count} * REF_BYTES borrowed from them; false for anything that
 * is no node (its reader says why). */
bool node_codec_peek(const uint8_t *raw, size_t len, const uint8_t **refs, uint32_t *count);

/* Get ref number ${index}; new ones must come in order.  Return 0 or -ERR_CORRUPT. */
int node_codec_ref(struct node_view *view, uint64_t index, struct ref *out, struct err *err);

/* Return 0 if every ref was used and every byte taken, else -ERR_CORRUPT. */
int node_codec_end(const struct node_view *view, struct err *err);

/**
 * node_codec_key(view, is_first, key, err):
 * Take the next key; ${key} holds the one before and then the new one.  Return 0 or -ERR_CORRUPT
 * (not ascending, prefix not the longest, not a key).
 */
int node_codec_key(struct node_view *view, bool is_first, struct buf *key, struct err *err);

/* Append ${key} as the shared prefix with ${last} and the rest.  Return as buf_add(). */
int node_codec_add_key(struct buf *out, const struct buf *last, const uint8_t *key, size_t key_len,
	struct err *err);

/* The bytes of a node with these refs and items. */
size_t node_codec_size(size_t refs, size_t items_len);

/* Append a whole node.  Return as buf_add(). */
int node_codec_encode(const char *magic, unsigned level, const struct ref_table *refs,
	size_t nitems, const struct buf *items, struct buf *out, struct err *err);

#endif
