/*
 * fetch: records out of an opened vault: the index, packs read by range, a bounded cache of opened
 * records.  An ID the index does not know makes it read the footers of packs it does not list (a
 * lost or damaged index object costs time, not data).
 */
#ifndef VAULT_FETCH_H
#define VAULT_FETCH_H

#include <stdint.h>

#include "vault/index.h"
#include "vault/record_io.h"

struct buf;
struct err;
struct fetch;
struct index_place;
struct record_store;
struct vault;
struct record_run;

/* ${v} is borrowed until free. */
int fetch_new(struct vault *v, struct fetch **out, struct err *err);
void fetch_free(struct fetch *f);

/* The records of one pack, by its footer. */
struct fetch_footer {
	struct pack_place *at; /* owned */
	size_t count;
	int class; /* enum pack_class */
};

/**
 * fetch_footer(v, hash, size, out, err):
 * Read the footer of pack ${hash}, ${size} bytes long.  Return 0, -ERR_NOT_FOUND, -ERR_CORRUPT or
 * as the store.
 */
int fetch_footer(struct vault *v, const uint8_t hash[32], uint64_t size, struct fetch_footer *out,
	struct err *err);
void fetch_footer_done(struct fetch_footer *f);
/* "pk/<hh>/<hash>" */
#define FETCH_PACK_NAME_BYTES 128
void fetch_pack_name(const uint8_t hash[32], char name[FETCH_PACK_NAME_BYTES]);

/* Load the index unless it is loaded; *${out} borrowed until free.  */
int fetch_index(struct fetch *f, struct index **out, struct err *err);

/* Add a pack to the index, unsettled, by its footer; a damaged one is passed over.  *${count}: the
 * records it holds. */
int fetch_learn_pack(
	struct fetch *f, const uint8_t hash[32], uint64_t size, size_t *count, struct err *err);

/* Read, once, the footers of the packs that the index does not list, into the index. */
int fetch_footers(struct fetch *f, struct err *err);

/**
 * fetch_record(f, id, cr, err):
 * Append the whole record, its SHA-256 checked against ${id}; every place of it is tried.  May be
 * called by several threads at once, while no other call is under way.
 * Return 0, -ERR_NOT_FOUND, -ERR_CORRUPT or -ERR_IO.
 */
int fetch_record(struct fetch *f, const uint8_t id[32], struct buf *cr, struct err *err);

/* The record at this place of it and no other: append it, its SHA-256 checked.  Return as
 * fetch_record(); any thread. */
int fetch_place(struct fetch *f, const uint8_t id[32], const struct index_place *p, struct buf *cr,
	struct err *err);

/* fetch_record() as a store for a reader or a cache of the caller's; borrowed until free. */
const struct record_store *fetch_store(struct fetch *f);

/**
 * fetch_run(f, ids, count, is_known, out, err):
 * Read the first of ${count} records, and with the same read those behind it that follow it in its
 * pack, with small gaps, within the limits of struct record_run.  Each one's SHA-256 is compared
 * with its id, unless ${is_known} says that whoever asks compares all that the bytes lead to.
 * What is in *${out} is replaced; its memory serves again.  Threading as fetch_record().
 * Return 0, or an error, after which fetch_record() tells of each record what can be had.
 */
int fetch_run(struct fetch *f, const uint8_t *const *ids, size_t count, bool is_known,
	struct record_run *out, struct err *err);

/* A record source; borrowed until free. */
const struct record_source *fetch_source(struct fetch *f);

#endif
