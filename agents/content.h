/*
 * content: where a file's bytes lie, shared by all its names until the snapshot is built.
 * A record that is still being sealed, or a bundle that is still open, gives an extent without a
 * ref: content_settle() and content_resolve() bring it.
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
	uint64_t bundle;  /* ordinal of the bundle that its extents wait for; 0 = none */
	uint64_t waiting; /* extents whose record is being sealed */
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
/* ${length} bytes, the whole of a record that is being sealed; *${index} is for content_settle. */
int content_add_later(struct content *c, uint64_t length, uint64_t *index, struct err *err);
/* Bytes in the bundle with the ordinal ${bundle} (not 0) at ${offset}. */
int content_add_bundled(
	struct content *c, uint64_t bundle, uint64_t offset, uint64_t length, struct err *err);
/* The record of the extent ${index} was sealed as ${ref}. */
void content_settle(struct content *c, uint64_t index, const struct ref *ref);
/* The bundle was sealed as ${ref}. */
void content_resolve(struct content *c, const struct ref *ref);
/* Whether every extent has its ref. */
bool content_is_whole(const struct content *c);

#endif
