#include "cmd/demo_jobs.h"

#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/env.h"
#include "base/err.h"
#include "base/human.h"
#include "cmd/cli.h"
#include "cmd/demo_crew.h"
#include "cmd/demo_home.h"
#include "cmd/demo_stage.h"
#include "cmd/demo_verb.h"
#include "cmd/remote.h"
#include "cmd/stop.h"
#include "codec/jsonx.h"

#define JOBS_ANSWER_MAX ((size_t)4 << 20)
#define JOBS_WAIT_MS 120000
#define JOBS_STEP_MS 500
#define JOBS_SOURCES 3

static const char *const sources[JOBS_SOURCES] = { "hist3", "batch3", "plc3" };

/* The jobs now, through the public verb; a new reference. */
static int ask(const struct demo_desk *d, json_t **out, struct err *err)
{
	CLEANUP(buf_done) struct buf text = BUF_INIT(JOBS_ANSWER_MAX);
	const char *const words[] = { "job", "list", "--limit", "100", "--json", "--server",
		d->server, "--token-file", d->token, "--ca", d->ca, NULL };
	const struct demo_verb call = { .words = words, .out = &text, .is_untold = true };
	int status = 0;
	int rc = demo_verb_run(d->stage->home, &d->stage->cli->console, &call, &status, err);
	if (rc == 0 && status != EXIT_STATUS_OK)
		rc = err_set(err, ERR_FAILED, "'holdfast job list' ended with status %d", status);
	return rc == 0 ? jsonx_parse(text.data, text.len, "the list of jobs", out, err) : rc;
}

/* Does ${j} count for this round?  A start that is told in whole seconds lies before the true one,
 * so that none of an earlier round counts. */
static bool is_ours(const json_t *j, int64_t since_ns)
{
	int64_t at_ns;
	return remote_text(j, "schedule")[0] != '\0' &&
	       human_parse_time(remote_text(j, "started"), &at_ns) == 0 && at_ns >= since_ns;
}

static int look(const json_t *answer, int64_t since_ns, bool *is_whole, struct err *err)
{
	bool has[JOBS_SOURCES] = { false };
	size_t i;
	json_t *j;
	json_array_foreach(json_object_get(answer, "jobs"), i, j)
	{
		const char *state = remote_text(j, "state");
		if (!is_ours(j, since_ns))
			continue;
		if (strcmp(state, "failed") == 0)
			return err_set(err, ERR_FAILED, "the backup of '%s' failed: %s",
				remote_text(j, "source"), remote_text(j, "reason"));
		for (size_t k = 0; k < JOBS_SOURCES; k++)
			has[k] = has[k] || (strcmp(remote_text(j, "source"), sources[k]) == 0 &&
						   (strcmp(state, "done") == 0 ||
							   strcmp(state, "warnings") == 0));
	}
	*is_whole = has[0] && has[1] && has[2];
	return 0;
}

static int wait_for(const struct demo_desk *d, int64_t since_ns, struct err *err)
{
	const int64_t give_up = env_mono_ns() + JOBS_WAIT_MS * INT64_C(1000000);
	for (bool is_whole = false;;) {
		json_t *answer = NULL;
		int rc = demo_crew_check(d->crew, err);
		if (rc == 0)
			rc = ask(d, &answer, err);
		if (rc == 0)
			rc = look(answer, since_ns, &is_whole, err);
		json_decref(answer);
		if (rc != 0 || is_whole)
			return rc;
		if (env_mono_ns() > give_up)
			return err_set(err, ERR_BUSY, "not every source was backed up within %d s",
				JOBS_WAIT_MS / 1000);
		(void)poll(NULL, 0, JOBS_STEP_MS); /* a pause; a signal is seen by ask() */
	}
}

int demo_jobs_round(const struct demo_desk *d, int64_t since_ns, struct err *err)
{
	const char *const list[] = { "job", "list", "--limit", "6", "--server", d->server,
		"--token-file", d->token, "--ca", d->ca, NULL };
	const char *const next[] = { "schedule", "next", "--next", "3", "--server", d->server,
		"--token-file", d->token, "--ca", d->ca, NULL };
	console_print(&d->stage->cli->console, "  waiting for the schedules\n");
	(void)fflush(stdout); /* console_flush() tells */
	int rc = demo_stage_verb(d->stage, next, err);
	if (rc == 0)
		rc = wait_for(d, since_ns, err);
	return rc == 0 ? demo_stage_verb(d->stage, list, err) : rc;
}
