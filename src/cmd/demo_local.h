/*
 * demo_local: the demonstration on one host: the vault in a directory, every verb a process.
 */
#ifndef CMD_DEMO_LOCAL_H
#define CMD_DEMO_LOCAL_H

struct cli;
struct demo_stage;
struct err;

#define DEMO_LOCAL_DONE "keys/complete" /* written when vault and keys are whole */

/* All of it in ${dir}; ${s} is zeroed by the caller, who ends it with demo_stage_done(). */
int demo_local_run(struct demo_stage *s, struct cli *cli, const char *dir, struct err *err);

#endif
