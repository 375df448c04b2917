/*
 * drivers: the store drivers of this program, listed here and nowhere else.
 */
#ifndef CMD_DRIVERS_H
#define CMD_DRIVERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cli;
struct err;
struct store;

enum drivers_mode {
	DRIVERS_READ,   /* nothing is changed, the medium may be read-only */
	DRIVERS_WRITE,  /* an existing store */
	DRIVERS_CREATE, /* made when missing */
};

/* What goes to a store and comes from it, in bytes a second; 0 = no limit. */
struct drivers_limits {
	int64_t upload_bps, download_bps;
	bool (*is_stopped)(void *arg); /* ends a rest; NULL = a signal does */
	void *arg;
};

/**
 * drivers_open(cli, mode, limits, out, err):
 * Open the store that --vault or HOLDFAST_VAULT names; *${out} is ended by store_free().
 * ${limits} may be NULL: none.  Return 0, -ERR_USAGE (none named; a limit too low to be meant),
 * -ERR_NOT_FOUND, -ERR_UNSUPPORTED (no such kind) or -ERR_IO.
 */
int drivers_open(const struct cli *cli, enum drivers_mode mode, const struct drivers_limits *limits,
	struct store **out, struct err *err);

/* The same for a location that a configuration names. */
int drivers_open_location(
	const char *location, enum drivers_mode mode, struct store **out, struct err *err);
int drivers_open_limited(const char *location, enum drivers_mode mode,
	const struct drivers_limits *limits, struct store **out, struct err *err);

/* The directory of --vault when it is a local store, else NULL. */
const char *drivers_directory(const struct cli *cli);

/**
 * drivers_waiting(cli, files, bytes):
 * How many files of a local store wait in its tmp/ for a backup that is running, or for one that
 * was killed: both, since only the next backup can tell.  0 when there are none, or when it cannot
 * be seen.
 */
void drivers_waiting(const struct cli *cli, uint64_t *files, uint64_t *bytes);

/* What --vault names, or NULL. */
const char *drivers_location(const struct cli *cli);

#endif
