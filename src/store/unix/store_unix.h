/*
 * store_unix: a store behind a socket of this host, whose door (unix_door) another user keeps: it
 * can be read and added to, and nothing in it can be removed or replaced from here.
 * Threading: any thread, one request after the other.
 */
#ifndef STORE_UNIX_STORE_UNIX_H
#define STORE_UNIX_STORE_UNIX_H

#include <stdbool.h>

struct err;
struct store;
struct store_driver;
struct store_unix;

/* The driver; its self is a struct store_unix. */
extern const struct store_driver store_unix_driver;

/* Connect to the door at ${path}.  Return 0, -ERR_UNREACHABLE (nobody keeps it), -ERR_AUTH (it does
 * not let us in), -ERR_BUSY (we are there too often) or -ERR_NOMEM. */
int store_unix_new(const char *path, struct store_unix **out, struct err *err);

/* store_unix_new() and store_new() in one. */
int store_unix_open(const char *path, bool is_read_only, struct store **out, struct err *err);

#endif
