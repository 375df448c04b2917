/*
 * repair_back: objects written back under their own names, and damaged ones taken out of the way
 * (docs/FORMAT.md section 10.4).  The bytes to come are durable in wb/ before the damaged ones go;
 * what goes for good is durable in qr/ before.  No key.
 */
#ifndef VAULT_REPAIR_BACK_H
#define VAULT_REPAIR_BACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;
struct store;

#define REPAIR_BACK_LOG "wb/"
#define REPAIR_BACK_QUARANTINE "qr/"

/* Are these the bytes that ${name} stands for: do they hash to it, or are they a text with its
 * own SHA-256?  A name that says nothing of its bytes: false. */
bool repair_back_is_whole(const char *name, const void *data, size_t len);

/* Make ${data} the object called ${name}, whatever is there now.  Broken off at any point, either
 * the old bytes are there or repair_back_resume() brings the new ones.  Return 0, -ERR_FAILED (not
 * whole) or a store's error. */
int repair_back_write(
	struct store *store, const char *name, const void *data, size_t len, struct err *err);

/* Carry out every write that broke off; *${count}: how many.  Return 0 or a store's error. */
int repair_back_resume(struct store *store, uint64_t *count, struct err *err);

/* Keep the ${len} bytes found at ${name} in qr/ and take the object away.  Return 0 or a store's
 * error. */
int repair_back_set_aside(
	struct store *store, const char *name, const void *data, size_t len, struct err *err);

/* Delete what is in qr/; *${count}: how many objects.  Return 0 or a store's error. */
int repair_back_discard(struct store *store, uint64_t *count, struct err *err);

#endif
