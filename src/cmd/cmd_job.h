/*
 * cmd_job: the verbs `job run|list|show|cancel` and `schedule next`, through a controller.
 */
#ifndef CMD_CMD_JOB_H
#define CMD_CMD_JOB_H

#include <jansson.h>

#include "cmd/cli.h"

struct console;
struct remote;

extern const struct cli_verb cmd_job_run_verb;
extern const struct cli_verb cmd_job_list_verb;
extern const struct cli_verb cmd_job_show_verb;
extern const struct cli_verb cmd_job_cancel_verb;
extern const struct cli_verb cmd_job_schedule_verb;

/* Ask until job ${id} is over, telling its progress; *${out} is the job then, a new reference. */
int cmd_job_wait(struct cli *cli, struct remote *r, const char *id, json_t **out, struct err *err);
/* One line for a job, and what came of it. */
void cmd_job_print(struct console *c, const json_t *job);

#endif
