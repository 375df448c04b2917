/*
 * collect_list: the bytes of the objects that a collection keeps on the store: the lists in gc/
 * and the dead objects in dd/ (docs/FORMAT.md section 10.2).  Pure: no store.
 */
#ifndef VAULT_COLLECT_LIST_H
#define VAULT_COLLECT_LIST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vault/sealed.h"

struct buf;
struct err;

#define COLLECT_LIST_MAX 1000000    /* objects, sessions or verdicts in one list */
#define COLLECT_LIST_NAME_BYTES 128 /* with NUL */

enum collect_list_type {
	COLLECT_LIST_CONDEMNED = 1,
	COLLECT_LIST_WAITS = 2,
	COLLECT_LIST_FENCE = 3,
	COLLECT_LIST_DELETE = 4,
	COLLECT_LIST_DEAD = 5, /* a dd/ object */
};

enum collect_list_class {
	COLLECT_LIST_PACK = 1,
	COLLECT_LIST_REFS = 2,
	COLLECT_LIST_ENVELOPES = 3,
};

enum collect_list_cause { COLLECT_LIST_UNUSED = 1, COLLECT_LIST_REPACK = 2 };

/* An object to go. */
struct collect_list_item {
	uint8_t hash[32]; /* the end of its name */
	uint32_t len;
	uint8_t class, cause;
};

/* What became of the snapshot of a fenced session. */
struct collect_list_verdict {
	uint8_t session[16];
	uint8_t snap_hash[32]; /* zeros: none was seen */
};

struct collect_list {
	enum collect_list_type type;
	uint8_t run[16];
	uint32_t number; /* in gc/: part of the name */
	int64_t wall_ns;
	uint8_t about[32]; /* waits, delete: the condemned list; dead: the delete list */
	struct collect_list_item *items; /* owned; condemned, delete, dead */
	size_t count;
	uint8_t (*sessions)[16]; /* owned; waits, and the one of a fence */
	size_t session_count;
	struct collect_list_verdict *verdicts; /* owned; delete */
	size_t verdict_count;
};

/* Append the sealed object and store its name; items, sessions and verdicts are sorted first. */
int collect_list_seal(struct collect_list *l, const struct sealed_key *key, struct buf *out,
	char name[COLLECT_LIST_NAME_BYTES], struct err *err);
/* Open the object called ${name}, which must be the one its body tells.  That it hashes to its name
 * is the caller's to check.  Return 0, -ERR_CORRUPT, -ERR_UNSUPPORTED, -ERR_AUTH or -ERR_NOMEM. */
int collect_list_open(const struct sealed_key *key, const char *name, const void *object,
	size_t len, struct collect_list *out, struct err *err);
void collect_list_done(struct collect_list *l);

/* Is the object among the items? */
bool collect_list_has(
	const struct collect_list *l, enum collect_list_class class, const uint8_t hash[32]);
bool collect_list_has_session(const struct collect_list *l, const uint8_t session[16]);
/* The verdict on a session, or NULL. */
const struct collect_list_verdict *collect_list_verdict(
	const struct collect_list *l, const uint8_t session[16]);

/* The name of the object that an item is about. */
void collect_list_object(const struct collect_list_item *item, char name[COLLECT_LIST_NAME_BYTES]);

#endif
