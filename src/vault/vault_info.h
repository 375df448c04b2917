/*
 * vault_info: what a vault holds, in numbers: objects, packs and how much of them is needed, the
 * index, open sessions, what collection has under way.  Looks only.
 */
#ifndef VAULT_VAULT_INFO_H
#define VAULT_VAULT_INFO_H

#include <stddef.h>
#include <stdint.h>

struct err;
struct id_set;
struct vault;

#define VAULT_INFO_CLASSES 20 /* the classes of docs/FORMAT.md section 2, texts, others */

struct vault_info_class {
	char name[8]; /* "pk", "text", "other" */
	uint64_t objects, bytes;
};

struct vault_info {
	struct vault_info_class classes[VAULT_INFO_CLASSES];
	uint64_t objects, bytes;
	uint64_t snapshots, sources; /* live ones */
	uint64_t pruned, voided;     /* snapshots on their way out */
	uint64_t records;            /* places in the index */
	uint64_t index_memory;       /* bytes that the index takes in memory */
	uint64_t index_mapped;       /* of these, mapped from files: the kernel may drop them */
	uint64_t index_segments;     /* objects it is read from */
	uint64_t packs, pack_bytes;  /* not dead */
	uint64_t live_bytes;         /* of records that are needed, each once */
	uint64_t waste_bytes;        /* of records that are not, in these packs */
	uint64_t unknown_packs, unknown_bytes; /* collect_mark_unknown() */
	uint64_t missing_records;
	uint64_t sessions, restores;         /* open */
	uint64_t fenced;                     /* sessions given up, known for good */
	uint64_t condemned, condemned_bytes; /* objects in lists that are not decided */
	uint64_t dead, dead_bytes;           /* objects that wait for the end of their grace */
	int64_t oldest_dead_ns; /* wall clock at which the first of them became so; 0 = none */
};

/* Return 0 or what stopped it: as collect_run(), an object that must be read cannot be. */
int vault_info_get(
	struct vault *v, const struct id_set *bad_packs, struct vault_info *out, struct err *err);

#endif
