/*
 * gateway_vault: the controller's vault, opened with what controller.key holds; its config, its
 * snapshots.  Thread-safe: no state; an opened vault belongs to one thread.
 */
#ifndef CONTROLLER_GATEWAY_VAULT_H
#define CONTROLLER_GATEWAY_VAULT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf;
struct controller_keys;
struct err;
struct snapshot;
struct store;
struct vault;

/* Another place than the vault's own: of a replica. */
struct gateway_place {
	const char *location;          /* as --vault takes it */
	bool is_new;                   /* it may be made */
	int64_t bytes_per_s;           /* to it and from it; 0 = no limit */
	bool (*is_stopped)(void *arg); /* ends its waiting */
	void *arg;
};

/* Where it lies and what opens it; borrowed as long as it is used. */
struct gateway_vault {
	const struct controller_keys *keys;
	/* Called on many threads. */
	int (*open_store)(void *arg, bool is_read_only, struct store **out, struct err *err);
	/* The same for another place, to be written to; NULL = there is none. */
	int (*open_place)(
		void *arg, const struct gateway_place *place, struct store **out, struct err *err);
	void *arg;
	const char *location; /* for texts; NULL = not told */
	const char *cache;    /* directory where its index is kept and mapped from; NULL = none */
};

/* Open both; end them with vault_close() and store_free(), in this order. */
int gateway_vault_open(const struct gateway_vault *g, bool is_read_only, struct store **store,
	struct vault **vault, struct err *err);

/* The same for a job: a vault that is not there was there when the controller began, so it is
 * -ERR_IO, which is tried again, and the text says on which host. */
int gateway_vault_open_at_work(const struct gateway_vault *g, bool is_read_only,
	struct store **store, struct vault **vault, struct err *err);

/* Open the vault on ${s}, of whatever place, with the same keys; without a cache. */
int gateway_vault_open_on(
	const struct gateway_vault *g, struct store *s, struct vault **out, struct err *err);

/* Hold collection back while ${v} is read, until hold_end(); where that is not possible it is
 * logged, and *${out} stays NULL. */
struct hold;
void gateway_vault_hold(const struct gateway_vault *g, struct vault *v, struct hold **out);

/* Append the newest signed config.  Return 0, -ERR_NOT_FOUND or as vault_open(). */
int gateway_vault_get_config(const struct gateway_vault *g, struct buf *out, struct err *err);
/* Make ${config} the newest; as vault_config_put(). */
int gateway_vault_put_config(
	const struct gateway_vault *g, const void *config, size_t len, struct err *err);

/* Call ${fn} for every readable snapshot, the oldest first; one that is damaged is logged and
 * counted in *${damaged}.  Another value than 0 of ${fn} ends it and is returned. */
int gateway_vault_snapshots(const struct gateway_vault *g,
	int (*fn)(void *arg, const struct snapshot *s, struct err *err), void *arg, size_t *damaged,
	struct err *err);

#endif
