/*
 * rewrap: envelopes made for recipients that were not there when a snapshot was made: a new
 * recovery key, a drill key; the objects in rw/ (docs/FORMAT.md section 5, "Rewrap").
 * Hides: in which object an envelope lies.
 * Threading: one thread, as the vault.
 */
#ifndef VAULT_REWRAP_H
#define VAULT_REWRAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf;
struct err;
struct rewrap;
struct vault;

#define REWRAP_PREFIX "rw/"
#define REWRAP_MAX 65536 /* envelopes in one object */

void rewrap_free(struct rewrap *r);

/**
 * rewrap_append(v, body, err):
 * ${body} is that of an ev/ object: append the envelopes of its snapshot that rw/ has for others
 * than it, and count them in it; at most SNAPREC_MAX_ENVELOPES in all.  What rw/ holds is read
 * once.  Return 0, -ERR_NOMEM or why the store cannot be listed.
 */
int rewrap_append(struct vault *v, struct buf *body, struct err *err);

/* Check the body of an rw/ object; *${first} is borrowed, 192 bytes each.  Return 0, -ERR_CORRUPT
 * or -ERR_UNSUPPORTED (version). */
int rewrap_decode(
	const uint8_t *body, size_t len, const uint8_t **first, size_t *count, struct err *err);

struct rewrap_opts {
	const uint8_t *sk; /* recovery or drill key: opens what has an envelope for it */
	const char *group; /* OPTIONAL: a drill group that gets envelopes, too */
	bool is_dry_run;
	void *arg;
	/* OPTIONAL: told of a snapshot that lacks an envelope and cannot be opened, and why. */
	void (*on_bad)(void *arg, const char *object, const struct err *why);
	/* OPTIONAL progress: snapshots looked at of all. */
	void (*on_progress)(void *arg, uint64_t done, uint64_t total);
	/* OPTIONAL: return true to stop early (-ERR_INTERRUPTED). */
	bool (*is_stopped)(void *arg);
};

struct rewrap_result {
	uint64_t snapshots; /* live ones */
	uint64_t rewrapped; /* that got envelopes (dry run: would) */
	uint64_t envelopes;
	uint64_t bad; /* that lack one and cannot be opened with this key, or not be read */
};

/**
 * rewrap_run(v, opts, out, err):
 * Give every live snapshot an envelope for each recovery key of the config that has none, and for
 * the keys of opts->group.  Nothing that is there changes; broken off, what was put counts and the
 * next run makes the rest.
 * Return 0 (look at out->bad), -ERR_NOT_FOUND (no such group), -ERR_CORRUPT (no readable config),
 * -ERR_LIMIT (a snapshot has as many envelopes as it may), as vault_check_writable() or as the
 * store.
 */
int rewrap_run(struct vault *v, const struct rewrap_opts *opts, struct rewrap_result *out,
	struct err *err);

#endif
