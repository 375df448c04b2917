/*
 * replica_run: the controller's vault brought to one of its replicas, once, as 'holdfast copy'
 * does it: without a data key, everything read back.  Any thread; opens both ends for itself.
 */
#ifndef CONTROLLER_REPLICA_RUN_H
#define CONTROLLER_REPLICA_RUN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;
struct gateway_vault;
struct replica_conf;

struct replica_run_opts {
	const struct replica_conf *replica; /* borrowed */
	bool is_begun_here; /* where nothing is a replica is begun; else that is an error */
	bool (*is_stopped)(void *arg);
	/* OPTIONAL: references looked at of all. */
	void (*on_progress)(void *arg, uint64_t done, uint64_t total, uint64_t bytes);
	void *arg;
};

struct replica_run_result {
	uint64_t snapshots, there, pruned, failed;
	uint64_t bytes, read_back; /* sent; read back and compared */
	char first[256];           /* why the first that failed did; "" = none */
};

/**
 * replica_run_do(g, opts, out, err):
 * Broken off at any point, the next run goes on.  ${out} is filled also when it fails.
 * Return 0, -ERR_CORRUPT (snapshots could not be brought, the others were), -ERR_IO (what was
 * written reads back different), -ERR_NOT_FOUND (no replica there), -ERR_AUTH (another vault),
 * -ERR_INTERRUPTED, -ERR_UNSUPPORTED (nobody opens places here) or as the vault and the store.
 */
int replica_run_do(const struct gateway_vault *g, const struct replica_run_opts *opts,
	struct replica_run_result *out, struct err *err);

#endif
