/*
 * demo_conf: the configuration files of a demonstration: which sources, which plan.
 */
#ifndef CMD_DEMO_CONF_H
#define CMD_DEMO_CONF_H

struct demo_home;
struct demo_postgres;
struct err;

#define DEMO_CONF_SOURCES "conf/sources.conf"
#define DEMO_CONF_PLAN "conf/line3.plan"

/**
 * demo_conf_write(h, pg, err):
 * Write both files for the historian ${pg} as it runs now.  The plan is the example plan, with the
 * historian's own address among those the sandbox must not reach.  Return 0, -ERR_FAILED or
 * -ERR_IO.
 */
int demo_conf_write(struct demo_home *h, const struct demo_postgres *pg, struct err *err);

#endif
