/*
 * store_around: what all drivers share that stand around the one of an opened store: every verb
 * handed on as it is.  Who stands around takes its place in the store and replaces the slots that
 * it is there for.
 */
#ifndef STORE_STORE_AROUND_H
#define STORE_STORE_AROUND_H

#include "store/store.h"

/* The first member of whoever stands around. */
struct store_around {
	struct store_driver driver; /* the slots; features and name of the one inside */
	const struct store_driver *inner;
	void *self; /* the inner's, owned */
};

/**
 * store_around_begin(a, s, free):
 * Take the place of what stands in ${s}, with slots that hand everything on.  ${free} gets ${a} at
 * the end of ${s}, and calls store_around_end().  Objects in pieces are handed on where the driver
 * inside has them.  Cannot fail.
 */
void store_around_begin(struct store_around *a, struct store *s, void (*free)(void *self));
/* End the driver inside. */
void store_around_end(struct store_around *a);

#endif
