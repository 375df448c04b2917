/*
 * demo_lan: the demonstration's network: hosts in network namespaces of their own on one bridge,
 *	host 0 198.51.100.1 (holds the bridge), host N 198.51.100.(10 + N)
 * with no way out.  Nothing of it has a name: it goes with the last process in it, whatever ends
 * that.  Uid 0 makes it as it is; others in a user namespace that shows their own id.
 * Threading: a namespace is of the thread that enters it; children of that thread are born there.
 */
#ifndef AGENTS_DEMO_LAN_H
#define AGENTS_DEMO_LAN_H

#include <stddef.h>

struct demo_lan;
struct err;

#define DEMO_LAN_MAX_HOSTS 8

/**
 * demo_lan_new(hosts, out, err):
 * Make the network; the calling thread is in host 0 then.  Needs a process with one thread.  First
 * all of it is tried in a child, packets too, so that a failure leaves us where we were.  *${out}
 * is ended by demo_lan_free().  Return 0, -ERR_FAILED (what this machine refuses), -ERR_LIMIT
 * or -ERR_NOMEM.
 */
int demo_lan_new(size_t hosts, struct demo_lan **out, struct err *err);
/* The calling thread goes to ${host}.  Return 0 or -ERR_IO. */
int demo_lan_enter(const struct demo_lan *l, size_t host, struct err *err);
/* Its IPv4 address as text; borrowed. */
const char *demo_lan_address(const struct demo_lan *l, size_t host);
/* Go back to where we were, if that is allowed, and forget.  NULL is fine. */
void demo_lan_free(struct demo_lan *l);

#endif
