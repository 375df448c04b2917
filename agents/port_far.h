/*
 * port_far: the vault port (vault/port.h) spoken to a gateway (docs/PROTOCOL.md, The vault port).
 * Batches go out several at a time; begin, has and commit wait for their answers.
 * A commit whose answer was lost is asked again; the gateway then gives the same receipt.
 */
#ifndef AGENTS_PORT_FAR_H
#define AGENTS_PORT_FAR_H

#include <stddef.h>
#include <stdint.h>

#include "vault/port.h"

struct err;
struct http_client;
struct port_far;

struct port_far_opts {
	struct http_client *client; /* borrowed */
	const char *job;
	int64_t attempt;
	const char *source;
	const uint8_t *officer_pk; /* 32: who must have signed the config that begin brings */
};
int port_far_new(const struct port_far_opts *opts, struct port_far **out, struct err *err);
void port_far_free(struct port_far *p); /* aborts an open session */
const struct port *port_far_port(struct port_far *p);
/* The signed config that came with begin, checked; borrowed until free; NULL before. */
const struct domain *port_far_domain(const struct port_far *p);

#endif
