/*
 * demo_conf: the configuration files of a demonstration: which sources, which plan, which agents,
 * what runs when.
 */
#ifndef CMD_DEMO_CONF_H
#define CMD_DEMO_CONF_H

struct demo_home;
struct demo_postgres;
struct err;

#define DEMO_CONF_SOURCES "conf/sources.conf"
#define DEMO_CONF_PLAN "conf/line3.plan"
#define DEMO_CONF_CONTROLLER "controller/controller.conf"
#define DEMO_CONF_HISTORIAN "historian" /* agents; conf/NAME.conf, agents/NAME */
#define DEMO_CONF_RECORDS "records"
#define DEMO_CONF_SANDBOX "sandbox1"

/* Write the sources of a single host, with the historian ${pg} as it runs now. */
int demo_conf_sources(struct demo_home *h, const struct demo_postgres *pg, struct err *err);

/**
 * demo_conf_plan(h, pg, err):
 * Write the plan: the example plan, with the historian's own address among those the sandbox must
 * not reach.  Return 0, -ERR_FAILED or -ERR_IO.
 */
int demo_conf_plan(struct demo_home *h, const struct demo_postgres *pg, struct err *err);

/* Write the configuration of the agent ${name}, one of those above. */
int demo_conf_agent(
	struct demo_home *h, const struct demo_postgres *pg, const char *name, struct err *err);

/**
 * demo_conf_controller(h, host, err):
 * Put the schedules into the configuration that 'controller init' wrote; it listens on ${host}
 * (with its quotes).  Return 0, -ERR_FAILED or -ERR_IO.
 */
int demo_conf_controller(struct demo_home *h, const char *host, struct err *err);

#endif
