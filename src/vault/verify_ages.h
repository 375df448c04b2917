/*
 * verify_ages: when this host last read each pack whole, and each snapshot's content: so that a
 * verification can leave out what was proven lately, begin with what was not for longest, and go on
 * where one broke off.
 * Hides: the file, a line of text each, replaced whole.  Threading: none.
 */
#ifndef VAULT_VERIFY_AGES_H
#define VAULT_VERIFY_AGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;
struct id_set;
struct verify_ages;

#define VERIFY_AGES_MAX 1000000 /* more are not remembered: they are read again */
#define VERIFY_AGES_NEVER 0
#define VERIFY_AGES_DAMAGED (-1) /* found damaged when it was last read */

int verify_ages_new(struct verify_ages **out, struct err *err);
void verify_ages_free(struct verify_ages *a);

/* The second (since 1970) at which ${id} (a pack, or a snap_hash) was last found whole, or one of
 * the two above. */
int64_t verify_ages_get(struct verify_ages *a, const uint8_t id[32]);
/* Without memory for it, it counts as never read. */
void verify_ages_set(struct verify_ages *a, const uint8_t id[32], int64_t second);

/* Add what was found damaged, each with length 1.  Return 0 or -ERR_NOMEM. */
int verify_ages_damaged(const struct verify_ages *a, struct id_set *out, struct err *err);

/* Read the file at ${path}; none is an empty memory.  Return 0, -ERR_CORRUPT or -ERR_IO. */
int verify_ages_load(struct verify_ages *a, const char *path, struct err *err);
/* Replace it; with ${is_whole} what nobody asked for since the load is forgotten. */
int verify_ages_store(struct verify_ages *a, const char *path, bool is_whole, struct err *err);

struct verify_ages_item {
	const uint8_t *id; /* borrowed */
	uint64_t size;
	bool is_left; /* out: it is not to be read this time */
};

/**
 * verify_ages_choose(a, items, count, older_than_s, budget, now_s, err):
 * Say which packs a verification reads: none that was read within ${older_than_s} (0 = no such
 * rule), and of the others, longest ago first, so many that ${budget} bytes (0 = no limit) are not
 * passed: one at least.  What was found damaged is always read, on top of the budget; a time later
 * than ${now_s} counts as never.  Return 0 or -ERR_NOMEM.
 */
int verify_ages_choose(struct verify_ages *a, struct verify_ages_item *items, size_t count,
	int64_t older_than_s, uint64_t budget, int64_t now_s, struct err *err);

#endif
