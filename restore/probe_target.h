/*
 * probe_target: the addresses behind one name that must not be reached, as a drill tries and names
 * them.  A name is as reachable as the most reachable of its addresses, so every one counts.
 * No I/O; asking for the addresses is the caller's.  Thread-safe.
 */
#ifndef RESTORE_PROBE_TARGET_H
#define RESTORE_PROBE_TARGET_H

#include <stddef.h>

struct addrinfo;

#define PROBE_TARGET_MAX 16 /* addresses tried of one name */

#define PROBE_TARGET_TEXT 384 /* bytes of its name with its NUL */

struct probe_target {
	char text[PROBE_TARGET_TEXT]; /* "192.0.2.10:502", "plc.example:502 at 192.0.2.10" */
	char address[64];             /* numeric; "" = not tried */
	char detail[96];              /* why not tried; "" when it is */
	int port;
};

/* What the target is called: "HOST:PORT", or "[HOST]:PORT" of an IPv6 address.  The name of every
 * probe of it is this one, or this one and " at ADDRESS". */
void probe_target_name(char out[PROBE_TARGET_TEXT], const char *host, int port);

/**
 * probe_target_expand(host, port, list, out):
 * Fill ${out} with one target for each different address of ${list} (of getaddrinfo(); NULL = the
 * name has none), in their order.  A name without an address, and what is beyond PROBE_TARGET_MAX
 * addresses, is one more target that is not tried.  Return how many there are, at least 1.
 */
size_t probe_target_expand(const char *host, int port, const struct addrinfo *list,
	struct probe_target out[PROBE_TARGET_MAX + 1]);

#endif
