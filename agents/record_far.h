/*
 * record_far: records by id from the controller's read port, within one grant.
 */
#ifndef AGENTS_RECORD_FAR_H
#define AGENTS_RECORD_FAR_H

#include "vault/record_reader.h"

struct err;
struct http_client;
struct record_far;

/* ${client} is borrowed until free. */
int record_far_new(
	struct http_client *client, const char *grant, struct record_far **out, struct err *err);
void record_far_free(struct record_far *r);
/* Where record_reader gets its records; borrowed until free. */
const struct record_store *record_far_store(struct record_far *r);

#endif
