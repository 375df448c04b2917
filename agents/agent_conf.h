/*
 * agent_conf: the agent's configuration file (docs/AGENT.md): what the operator of the host
 * decides, and nobody from the network can change.
 */
#ifndef AGENTS_AGENT_CONF_H
#define AGENTS_AGENT_CONF_H

#include <stdint.h>

#include "msg/msg_enrol.h"

struct agent_conf;
struct conf_problems;
struct err;
struct sources_conf;

struct agent_conf_values {
	const char *state; /* directory, absolute; all texts are borrowed from the configuration */
	const char *name;  /* NULL = the host's */
	enum msg_role role;
	int nice;            /* 0..19 */
	int cpu_percent;     /* of one processor; 0 = no limit */
	int64_t bytes_per_s; /* sent; 0 = no limit */
	int connections;
	int workers;                        /* threads that seal, 1..8 */
	const char *work, *reports;         /* sandbox: directories, absolute, or NULL */
	const struct sources_conf *sources; /* NULL: a sandbox has none */
};

/**
 * agent_conf_load(path, out, problems, err):
 * Return 0 and an owned *${out}, -ERR_CONFIG (see ${problems}, initialised by the caller, who ends
 * it), -ERR_NOT_FOUND, -ERR_LIMIT or -ERR_IO.
 */
int agent_conf_load(
	const char *path, struct agent_conf **out, struct conf_problems *problems, struct err *err);
void agent_conf_free(struct agent_conf *c);
const struct agent_conf_values *agent_conf_get(const struct agent_conf *c);

#endif
