/*
 * controller: the daemon, put together: catalog, fleet, dispatch, schedule, gateway, drill desk,
 * the agents' port and the people's port, on one loop. Knows: the order of starting and stopping,
 * timers, signals, reload.  One thread, and the gateway's.
 */
#ifndef CONTROLLER_CONTROLLER_H
#define CONTROLLER_CONTROLLER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct conf_problems;
struct controller;
struct controller_conf;
struct db;
struct dispatch;
struct drill_desk;
struct err;
struct fleet;
struct gateway_place;
struct maintenance;
struct http_request;
struct schedule;
struct snapshot;
struct store;

struct controller_opts {
	const char *conf_path;
	const char *version;
	const char *notify_socket; /* of the service manager, or NULL */
	int64_t watchdog_ms;       /* a sign of life at least so often; 0 = none is wanted */
	/* Open the store at ${location}; called on many threads. */
	int (*open_store)(
		const char *location, bool is_read_only, struct store **out, struct err *err);
	/* Open another place, of a replica; NULL = there is none. */
	int (*open_place)(const struct gateway_place *place, struct store **out, struct err *err);
	/* A request of the people's port that is none of enrolment's: the API's. */
	void (*on_people)(void *arg, struct controller *c, struct http_request *q);
	/* The same with its head alone: whether it may be made; if not, it is answered. */
	bool (*on_people_head)(void *arg, struct controller *c, struct http_request *q);
	void *arg;
};

/* Read everything, bring the catalog up to date with the vault, listen.  What is wrong with the
 * configuration goes to ${problems}. */
int controller_new(const struct controller_opts *opts, struct controller **out,
	struct conf_problems *problems, struct err *err);
/* Work until SIGTERM or SIGINT; SIGHUP reads the configuration again.  Return 0 or -ERR_IO. */
int controller_run(struct controller *c, struct err *err);
void controller_free(struct controller *c);

/* The parts; borrowed, the loop's thread only. */
struct db *controller_db(struct controller *c);
struct fleet *controller_fleet(struct controller *c);
struct dispatch *controller_dispatch(struct controller *c);
struct schedule *controller_schedule(struct controller *c);
struct drill_desk *controller_desk(struct controller *c);
struct maintenance *controller_maintenance(struct controller *c);
const struct controller_conf *controller_configuration(const struct controller *c);
const char *controller_version(const struct controller *c);
/* The ports that are listened on, for who asked for any. */
int controller_agents_port(const struct controller *c);
int controller_people_port(const struct controller *c);
/* After anything that may have made work due: look at once. */
void controller_kick(struct controller *c);
/* An agent was revoked: end what it does now. */
void controller_drop_agent(struct controller *c, const uint8_t agent_id[16]);

/**
 * controller_catalog(db, vault, damaged, err):
 * Write what the vault's snapshots say into the catalog (missing ones are added).
 */
struct gateway_vault;
int controller_catalog(
	struct db *db, const struct gateway_vault *vault, size_t *damaged, struct err *err);

#endif
