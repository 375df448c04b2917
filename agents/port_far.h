/*
 * port_far: the vault port (vault/port.h) spoken to a gateway (docs/PROTOCOL.md, The vault port).
 * Batches go out several at a time; begin, has and commit wait for their answers, and are asked
 * again when an answer is lost: the gateway then says the same.
 * The hash of the last record whose commit was sent stays in a file, and the next begin of the same
 * job, whose receipt or result was lost, finds out that its snapshot was made.  One thread.
 */
#ifndef AGENTS_PORT_FAR_H
#define AGENTS_PORT_FAR_H

#include <stddef.h>
#include <stdint.h>

#include "vault/port.h"

struct domain;
struct err;
struct http_client;
struct port_far;

struct port_far_opts {
	struct http_client *client; /* borrowed */
	const char *job;            /* 32 hex digits */
	int64_t attempt;
	const char *source;
	const uint8_t *officer_pk; /* 32: who must have signed the config that begin brings */
	const char *pending_path;  /* where the last commit is kept; NULL = nowhere */
	uint32_t min_epoch;        /* an older config is refused with -ERR_ROLLBACK */
	int retry_ms;              /* first wait before asking again, then doubled; 0 = 1 s */
	void (*on_wait)(void *arg, int ms); /* waits; NULL = sleep */
	void *arg;
};
/* Texts and keys are copied.  Return 0, -ERR_USAGE (a job or source that is none) or -ERR_NOMEM. */
int port_far_new(const struct port_far_opts *opts, struct port_far **out, struct err *err);
/* Aborts an open session: the gateway is told, also after a stop was asked, then for 2 s at most.
 */
void port_far_free(struct port_far *p);
/*
 * begin returns -ERR_EXISTS when an earlier attempt of this very job has made its snapshot and only
 * the answer to it or to the result was lost: port_far_made() has it, and there is nothing left to
 * do.
 */
const struct port *port_far_port(struct port_far *p);
/* Where begin puts the signed config, checked; borrowed until free; epoch 0 before. */
const struct domain *port_far_domain(const struct port_far *p);
/* The snapshot (snap_hash, 32 bytes) that begin found to be made; NULL when it was not so. */
const uint8_t *port_far_made(const struct port_far *p);

#endif
