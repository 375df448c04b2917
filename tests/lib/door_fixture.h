/*
 * door_fixture: a door to a directory, kept by a thread of this process.
 */
#ifndef LIB_DOOR_FIXTURE_H
#define LIB_DOOR_FIXTURE_H

#include <stdbool.h>
#include <stdint.h>

struct door_fixture;
struct err;
struct store;

#define DOOR_FIXTURE_STAGED_MS 1500

/* What it lets its callers put ("ok/shown.." only with the bytes "good"); NULL = everything. */
typedef int (*door_fixture_rule)(
	struct store *s, const char *name, uint64_t len, bool *is_hashed, struct err *err);

/* Aborts when it cannot. */
struct door_fixture *door_fixture_new(const char *directory, door_fixture_rule rule);
/* Whoever is in is put out.  NULL is fine. */
void door_fixture_free(struct door_fixture *f);
/* Of its socket. */
const char *door_fixture_path(const struct door_fixture *f);
/* Callers that came in, and that were not let in, so far. */
int door_fixture_came(const struct door_fixture *f);
int door_fixture_refused(const struct door_fixture *f);
/* Puts that are over. */
int door_fixture_over(const struct door_fixture *f);
/* So many bytes more are taken. */
void door_fixture_set_room(struct door_fixture *f, int64_t bytes);

#endif
