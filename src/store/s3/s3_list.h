/*
 * s3_list: the objects below a prefix of a bucket, page by page.
 * Threading: none of its own.
 */
#ifndef STORE_S3_S3_LIST_H
#define STORE_S3_S3_LIST_H

#include "store/store.h"

struct s3_wire;

/**
 * s3_list_each(w, own, whole, fn, arg, err):
 * Call ${fn} with each key that begins with ${whole}, without the vault's prefix ${own} that it
 * begins with, where the rest is a valid name.  A page is whole before any of it is told.
 * Return 0, what ${fn} returned, -ERR_CORRUPT (an answer to another question), -ERR_NOMEM or as
 * s3_wire_wait().
 */
int s3_list_each(struct s3_wire *w, const char *own, const char *whole, store_list_fn fn, void *arg,
	struct err *err);

#endif
