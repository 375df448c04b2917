/*
 * store_internal: what stands inside a store, for what is put around it (store_around.h).
 */
#ifndef STORE_STORE_INTERNAL_H
#define STORE_STORE_INTERNAL_H

struct store;
struct store_driver;

/* Let ${driver} with ${self} stand in ${s} from now on; what stood there is the caller's. */
void store_exchange(struct store *s, const struct store_driver *driver, void *self,
	const struct store_driver **was, void **was_self);

#endif
