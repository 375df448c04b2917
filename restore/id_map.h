/*
 * id_map: what belongs to a pair of numbers: an inode (device, number), a hard-link group (0, n).
 * Hides: an open-addressed table.  Not thread-safe.
 */
#ifndef RESTORE_ID_MAP_H
#define RESTORE_ID_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;
struct id_map_slot;

#define ID_MAP_MAX_ENTRIES ((size_t)1 << 28)

/* Embedded: {0} is an empty map. */
struct id_map {
	struct id_map_slot *slots; /* owned */
	size_t cap;                /* 0 or a power of two */
	size_t count;
};

/* Free the table (not the values); the map is empty and usable again. */
void id_map_done(struct id_map *m);

/**
 * id_map_put(m, a, b, value, err):
 * Let ${value} (borrowed, may be NULL) belong to (${a}, ${b}); ${b} is never 0.  An older value of
 * the pair is replaced.  Return 0, -ERR_NOMEM or -ERR_LIMIT (ID_MAP_MAX_ENTRIES).
 */
int id_map_put(struct id_map *m, uint64_t a, uint64_t b, void *value, struct err *err);

/* Return true if the pair is there, and its value in *${value} (may be NULL). */
bool id_map_get(const struct id_map *m, uint64_t a, uint64_t b, void **value);

#endif
