/*
 * content: where a file's bytes lie, shared by all its names until the snapshot is built.
 * A file in a bundle that is still open has extents without a ref; content_resolve() gives it.
 */
#ifndef AGENTS_CONTENT_H
#define AGENTS_CONTENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vault/entry.h"

struct err;

struct content {
	struct extent *extents; /* owned */
	size_t count, cap;
	uint64_t size;
	enum entry_digest digest_kind;
	uint8_t digest[32];
	bool is_open; /* some extents wait for the open bundle's ref */
	unsigned users;
};

/* A new content with one user. */
int content_new(struct content **out, struct err *err);
/* One user more. */
struct content *content_share(struct content *c);
/* One user less; freed with the last.  NULL is fine. */
void content_free(struct content *c);

/* Append; neighbours that continue each other (holes; the same record) are joined. */
int content_add_hole(struct content *c, uint64_t length, struct err *err);
int content_add(struct content *c, const struct ref *ref, uint64_t offset, uint64_t length,
	struct err *err);
/* Bytes in the open bundle at ${offset}; marks the content open. */
int content_add_bundled(struct content *c, uint64_t offset, uint64_t length, struct err *err);
/* The bundle was sealed as ${ref}. */
void content_resolve(struct content *c, const struct ref *ref);

#endif
