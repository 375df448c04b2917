/*
 * demo_net: the demonstration with a controller and three agents: one beside the historian, one
 * with the batch records and controller projects, one sandbox.
 */
#ifndef CMD_DEMO_NET_H
#define CMD_DEMO_NET_H

struct cli;
struct demo_stage;
struct err;

#define DEMO_NET_DONE "controller/complete" /* written when every agent is approved */

/* All of it in ${dir}; ${s} is zeroed by the caller, who ends it with demo_stage_done(). */
int demo_net_run(struct demo_stage *s, struct cli *cli, const char *dir, struct err *err);

#endif
