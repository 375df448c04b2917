/*
 * canary: listeners outside the sandbox that nobody inside may reach, and the count of who did.
 * One on the loopback, one on an address of this host when it has one.  The kernel completes
 * connections by itself, so nothing has to run: they are counted when somebody asks.
 * Not thread-safe.
 */
#ifndef RESTORE_CANARY_H
#define RESTORE_CANARY_H

#include <stddef.h>
#include <stdint.h>

struct canary;
struct err;

#define CANARY_MAX_PERCHES 2
#define CANARY_ADDRESS_BYTES 64
#define CANARY_BACKLOG 128 /* connections counted between two looks */

/* Where one listener is. */
struct canary_perch {
	char address[CANARY_ADDRESS_BYTES]; /* numeric */
	int port;
};

/* Begin to listen on free ports.  *${out} is owned.  Return 0, -ERR_NOMEM or -ERR_IO. */
int canary_new(struct canary **out, struct err *err);
void canary_free(struct canary *c);

/* The listeners; borrowed. */
const struct canary_perch *canary_perches(const struct canary *c, size_t *count);

/**
 * canary_prove(c, err):
 * Connect to every listener from here and see that it counts, so that silence means something.
 * These connections are not in canary_seen().  Return 0 or -ERR_FAILED (it is not alive).
 */
int canary_prove(struct canary *c, struct err *err);

/* Connections so far, those of canary_prove() left out. */
int64_t canary_seen(struct canary *c);

#endif
