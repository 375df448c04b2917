/*
 * version_table: every version of every name below a prefix of a store that keeps them, and what
 * lies over what.  Hides: how they are packed: a name that is a hash and has one version takes at
 * most 96 bytes of memory (VERSION_TABLE_BYTES), with an id of 32 characters.
 * Threading: none of its own.
 */
#ifndef VAULT_VERSION_TABLE_H
#define VAULT_VERSION_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "store/store.h"
#include "vault/version_pack.h"

struct err;

#define VERSION_TABLE_BYTES 96

struct version_table_version {
	uint64_t size : 63;
	uint64_t is_marker : 1;
	uint64_t tag;  /* of one name: the same as another's, the same bytes; 0 = not told */
	uint32_t at_s; /* since when it is there, wall clock, rounded up; 0 = not told */
	uint32_t id;   /* version_table_id() */
};

/* A name, unpacked: a copy. */
struct version_table_name {
	char name[STORE_MAX_NAME_BYTES + 1];
	size_t number; /* in the table */
	size_t first, count;
	size_t real; /* of these, no markers */
};

/* Where a name and its first version are. */
struct version_table_place {
	uint32_t name, first;
};

struct version_table {
	struct version_table_place *places; /* owned; ascending by name */
	size_t count, cap;
	struct version_table_version *versions; /* owned; of a name together, the newest first */
	size_t version_count, version_cap;
	uint8_t *text; /* owned; packed names and ids */
	size_t text_len, text_cap;
	uint8_t key[16]; /* of tags */
};

/* Ask for all of them.  On success ${out} is owned: version_table_done().  Return as
 * store_versions(), -ERR_LIMIT (4 GiB of names and ids, or a longer id than any server gives) or
 * -ERR_NOMEM. */
int version_table_load(
	struct store *s, const char *prefix, struct version_table *out, struct err *err);
void version_table_done(struct version_table *t);
/* Bytes that it takes. */
size_t version_table_memory(const struct version_table *t);

/* The ${number}th name, from 0. */
void version_table_name_at(
	const struct version_table *t, size_t number, struct version_table_name *out);
/* The one called so.  Return false when there is none. */
bool version_table_find(
	const struct version_table *t, const char *name, struct version_table_name *out);
/* The id that the store knows ${x} by. */
void version_table_id(const struct version_table *t, const struct version_table_version *x,
	char out[VERSION_PACK_ID_BYTES]);
/* The newest of a name; it may be a marker. */
const struct version_table_version *version_table_newest(
	const struct version_table *t, const struct version_table_name *n);
/* Is the name removed, by whomever? */
bool version_table_is_hidden(const struct version_table *t, const struct version_table_name *n);
/* The oldest that is no marker, or NULL. */
const struct version_table_version *version_table_oldest(
	const struct version_table *t, const struct version_table_name *n);

/* Are all versions of a name that are no markers the same bytes, by the store's word?  One alone
 * is. */
bool version_table_is_same(const struct version_table *t, const struct version_table_name *n);

/* Is what is read the same as the oldest, by the store's word?  That tells something only of names
 * that end in no hash: of the others version_table_true() does. */
bool version_table_is_as_oldest(const struct version_table *t, const struct version_table_name *n);

/* The SHA-256 that a name ends in.  Return false when it ends in none. */
bool version_table_hash(const char *name, uint8_t hash[32]);

/**
 * version_table_is_true(s, t, n, version, is, err):
 * Read a version: does it hash to what its name says?  Return 0, or a store's error; one that is
 * gone is not true.
 */
int version_table_is_true(struct store *s, const struct version_table *t,
	const struct version_table_name *n, const struct version_table_version *version, bool *is,
	struct err *err);

/**
 * version_table_true(s, t, n, out, err):
 * The oldest version that hashes to what its name says: what was put over it later, by whomever,
 * does not count, nor does a damaged one that a repair put the right one over.  Of versions that
 * are all the same one is read.  *${out} is borrowed from ${t}; NULL: there is none, or the name
 * ends in no hash.  Return 0 or a store's error.
 */
int version_table_true(struct store *s, const struct version_table *t,
	const struct version_table_name *n, const struct version_table_version **out,
	struct err *err);

#endif
