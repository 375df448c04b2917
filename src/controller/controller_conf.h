/*
 * controller_conf: the controller's configuration file (docs/CONTROLLER.md lists every key).
 * A loaded one does not change; a reload loads another.
 */
#ifndef CONTROLLER_CONTROLLER_CONF_H
#define CONTROLLER_CONTROLLER_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "controller/replica_conf.h"
#include "controller/retention_conf.h"
#include "msg/msg_work.h"

struct calendar;
struct conf_problems;
struct err;

enum controller_catch_up {
	CATCH_UP_ONCE, /* what was missed while down runs once, at once */
	CATCH_UP_SKIP, /* it is recorded as missed */
};

#define CONTROLLER_CONF_RETRIES_MAX 100
#define CONTROLLER_CONF_RUNNING_MAX 64 /* of max_running: each may have a session or a grant */
#define CONTROLLER_CONF_SCRUB_NS (INT64_C(30) * 86400 * 1000000000)

struct controller_schedule {
	const char *name;
	enum msg_verb verb;        /* what it orders */
	const char *agent;         /* name; NULL = the controller itself: retention, collect, .. */
	const char *source;        /* backup; else NULL */
	const char *plan;          /* drill: absolute path of a plan; else NULL */
	const char *replica;       /* copy: name of one of replicas; else NULL */
	int64_t grace_ns;          /* collect: as collect_opts */
	int64_t older_than_ns;     /* scrub: what was read within is left */
	int64_t sample_percent;    /* scrub: part of the packs at most; 0 = all */
	struct calendar *calendar; /* owned by the configuration */
	const char *at;            /* as written */
	enum controller_catch_up catch_up;
	int64_t splay_ms;        /* due times are moved by up to so much, the same for a schedule */
	int64_t start_within_ms; /* else missed; 0 = until the next due time */
	int64_t deadline_ms;     /* longest run */
	int64_t retries, retry_after_ms;
	bool is_paused;
	int line;
};

struct controller_conf {
	const char *name;  /* of the controller, for reports */
	const char *vault; /* location, as --vault takes it */
	const char *state; /* directory: catalog, reports, evidence */
	const char *keys;  /* directory: controller.key, ca.key, ca.pem, report.key */
	const char *agents_host, *people_host;
	int agents_port, people_port;
	const char *const *hosts; /* names and addresses for the server certificate */
	size_t host_count;
	const char *agents_address, *people_address; /* what is told to agents; host:port */
	int64_t max_running;                         /* jobs at once */
	int64_t max_connections;
	int64_t body_memory; /* bytes of requests of agents in memory at once */
	const struct controller_schedule *schedules;
	size_t schedule_count;
	struct retention_conf_list retention; /* its rules */
	struct replica_conf_list replicas;
};

/* Relative paths are taken from the file's directory.  Return as conf_load(). */
int controller_conf_load(const char *path, struct controller_conf **out,
	struct conf_problems *problems, struct err *err);
void controller_conf_free(struct controller_conf *c);

/* What a reload changes and what it does not: the ${nth} key (from 0) that differs and counts from
 * the next start on; NULL = no more. */
const char *controller_conf_late(
	const struct controller_conf *running, const struct controller_conf *fresh, size_t nth);
bool controller_conf_has_same_hosts(
	const struct controller_conf *a, const struct controller_conf *b);

#endif
