/*
 * catalog: what the controller knows that is not in the vault: agents, tokens, people's tokens,
 * jobs and attempts, schedule marks, drills, audit; and a copy of the list of snapshots.  Tables by
 * numbered migrations; each catalog_<table>.c owns its table.
 * Everything but people, tokens and jobs can be rebuilt from the vault.  One thread.
 */
#ifndef CONTROLLER_CATALOG_H
#define CONTROLLER_CATALOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct db;
struct err;

/* Bring ${db}'s schema up to date.  Return as db_migrate(), or -ERR_CORRUPT (a
 * table is not there). */
int catalog_open(struct db *db, struct err *err);

/* A setting that is there once: "controller_name", "config" .. Bytes appended to ${out}.
 * Return 0 or -ERR_NOT_FOUND. */
struct buf;
int catalog_get(struct db *db, const char *key, struct buf *out, struct err *err);
int catalog_set(struct db *db, const char *key, const void *data, size_t len, struct err *err);

#endif
