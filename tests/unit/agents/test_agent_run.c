#include "agents/agent_run.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "agents/agent_enrol.h"
#include "agents/agent_state.h"
#include "agents/sources/source_open.h"
#include "base/env.h"
#include "base/err.h"
#include "lib/fake_controller.h"

#define LIMIT_NS INT64_C(20000000000)

static struct fake_controller control;
static char dir[] = "/tmp/agent-run-XXXXXX";
static char conf[64], state[64];
static int64_t began;
static bool asks_reload;
static size_t stop_at_polls, stop_at_hellos, stop_at_bytes;

static void write_file(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");
	cr_assert(ne(ptr, f, NULL));
	(void)fputs(text, f);
	(void)fclose(f);
}

static void write_conf(const char *more)
{
	char text[1024];
	(void)snprintf(text, sizeof(text),
		"state = \"%s\"; name = \"agent-1\";\nlimits = { nice = 0; };\n"
		"sources = ( { name = \"share\"; type = \"files\"; paths = [ \"%s/data\" ]; }%s "
		");\n",
		state, dir, more);
	write_file(conf, text);
}

static void on_fingerprint(void *arg, const char *fingerprint, const char *name)
{
	(void)arg;
	(void)fingerprint;
	(void)name;
}

static void on_wait(void *arg, int ms)
{
	(void)arg;
	(void)ms;
}

static bool never(void *arg)
{
	(void)arg;
	return false;
}

static void set_up(void)
{
	char path[128];
	char token[MSG_TOKEN_TEXT_BYTES];
	struct err err = ERR_INIT;
	cr_assert(ne(ptr, mkdtemp(dir), NULL));
	(void)snprintf(conf, sizeof(conf), "%s/agent.conf", dir);
	(void)snprintf(state, sizeof(state), "%s/state", dir);
	(void)snprintf(path, sizeof(path), "%s/data", dir);
	cr_assert(eq(int, mkdir(path, 0755), 0));
	(void)snprintf(path, sizeof(path), "%s/data/a", dir);
	write_file(path, "batch record 1\n");
	write_conf("");
	fake_controller_start(&control);
	cr_assert(eq(int, msg_enrol_token_format(&control.token, token, NULL), 0));
	struct agent_enrol_opts o = { .dir = state,
		.token = token,
		.role = MSG_ROLE_CAPTURE,
		.name = "agent-1",
		.on_fingerprint = on_fingerprint,
		.on_wait = on_wait,
		.is_stopped = never };
	control.cert_from_s = time(NULL) - 20 * 86400; /* past half of its life */
	cr_assert(eq(int, agent_enrol_run(&o, &err), 0), "%s", err.msg);
	began = env_mono_ns();
}

static void tear_down(void)
{
	char command[128];
	fake_controller_stop(&control);
	(void)snprintf(command, sizeof(command), "rm -rf '%s'", dir);
	cr_expect(eq(int, system(command), 0));
}

TestSuite(agent_run, .init = set_up, .fini = tear_down);

static bool is_done(void *arg)
{
	(void)arg;
	bool is_over = env_mono_ns() - began > LIMIT_NS;
	cr_expect(not(is_over), "the test takes too long");
	return is_over || control.is_done ||
	       (stop_at_polls > 0 && control.polls >= stop_at_polls) ||
	       (stop_at_hellos > 0 && control.hellos >= stop_at_hellos) ||
	       (stop_at_bytes > 0 && control.records_bytes >= stop_at_bytes);
}

static bool has_reload(void *arg)
{
	(void)arg;
	return asks_reload && control.polls > 0;
}

static bool take_reload(void *arg)
{
	bool was = has_reload(arg);
	if (was)
		asks_reload = false;
	return was;
}

static int run(struct err *err)
{
	struct agent_run_opts o = { .kinds = &source_open_kinds,
		.config = conf,
		.host = "host",
		.is_stopped = is_done,
		.has_reload = has_reload,
		.take_reload = take_reload,
		.on_wait = on_wait };
	return agent_run(&o, err);
}

Test(agent_run, says_hello_does_an_order_and_tells_the_result)
{
	struct err err = ERR_INIT;
	control.order_of = "share";
	cr_assert(eq(int, run(&err), 0), "%s", err.msg);
	cr_expect_str_eq(control.hello.name, "agent-1");
	cr_assert(eq(sz, control.hello.source_count, 1));
	cr_expect_str_eq(control.hello.sources[0].name, "share");
	cr_expect(eq(sz, control.commits, 1));
	cr_expect(eq(sz, control.results, 1));
	cr_expect(eq(int, control.result.error.code, 0), "%s", control.result.error.msg);
	cr_expect(eq(sz, strlen(control.result.snapshot), 64));
	cr_expect(eq(i64, control.result.files, 1));
	cr_expect(eq(i64, control.result.bytes, 15));
	cr_expect(ge(sz, control.records_bytes, 1));
	cr_expect(ge(sz, control.progresses, 1));
}

Test(agent_run, renews_its_certificate_at_half_of_its_life_once)
{
	struct agent_state before;
	struct agent_state after;
	struct err err = ERR_INIT;
	stop_at_polls = 3;
	cr_assert(eq(int, agent_state_load(state, &before, NULL), 0));
	cr_assert(eq(int, run(&err), 0), "%s", err.msg);
	cr_expect(eq(sz, control.renewals, 1));
	cr_assert(eq(int, agent_state_load(state, &after, NULL), 0));
	cr_expect_str_neq(before.certificate, after.certificate);
	agent_state_done(&before);
	agent_state_done(&after);
}

Test(agent_run, goes_on_with_the_certificate_it_has_when_it_is_not_renewed)
{
	struct err err = ERR_INIT;
	control.refuse_renewals = true;
	control.order_of = "share";
	cr_assert(eq(int, run(&err), 0), "%s", err.msg);
	cr_expect(eq(sz, control.renewals, 0));
	cr_expect(eq(sz, control.hellos, 1));
	cr_expect(eq(sz, control.commits, 1));
	cr_expect(eq(int, control.result.error.code, 0), "%s", control.result.error.msg);
}

Test(agent_run, stops_a_job_when_the_controller_says_so)
{
	struct err err = ERR_INIT;
	control.order_of = "share";
	control.say_stop = true;
	cr_assert(eq(int, run(&err), 0), "%s", err.msg);
	cr_expect(eq(int, control.result.error.code, ERR_INTERRUPTED));
	cr_expect(ne(ptr, strstr(control.result.error.msg, "told to"), NULL));
	cr_expect(eq(sz, control.commits, 0));
}

Test(agent_run, an_order_for_a_source_that_it_has_not_is_told)
{
	struct err err = ERR_INIT;
	control.order_of = "other";
	cr_assert(eq(int, run(&err), 0), "%s", err.msg);
	cr_expect(eq(int, control.result.error.code, ERR_NOT_FOUND));
}

Test(agent_run, a_reload_tells_the_controller_the_new_sources)
{
	struct err err = ERR_INIT;
	stop_at_polls = 4;
	asks_reload = true;
	write_conf(", { name = \"two\"; type = \"files\"; paths = [ \"/tmp\" ]; }");
	cr_assert(eq(int, run(&err), 0), "%s", err.msg);
	cr_expect(eq(sz, control.hello.source_count, 2));
	cr_expect(eq(sz, control.hellos, 2));
}

Test(agent_run, a_reload_does_not_wait_for_the_end_of_a_poll)
{
	struct err err = ERR_INIT;
	control.hold_polls = true;
	stop_at_hellos = 2;
	asks_reload = true;
	write_conf(", { name = \"two\"; type = \"files\"; paths = [ \"/tmp\" ]; }");
	cr_assert(eq(int, run(&err), 0), "%s", err.msg);
	cr_expect(eq(sz, control.polls, 1));
	cr_expect(eq(sz, control.hello.source_count, 2));
}

Test(agent_run, a_stop_does_not_wait_for_the_end_of_a_poll)
{
	struct err err = ERR_INIT;
	control.hold_polls = true;
	stop_at_polls = 1;
	cr_assert(eq(int, run(&err), 0), "%s", err.msg);
	cr_expect(eq(sz, control.hellos, 1));
}

Test(agent_run, a_stop_in_the_middle_of_a_transfer_ends_the_session_and_tells_the_result)
{
	struct err err = ERR_INIT;
	control.order_of = "share";
	control.hold_batches = true;
	stop_at_bytes = 1;
	cr_assert(eq(int, run(&err), 0), "%s", err.msg);
	cr_expect(eq(sz, control.deletes, 1));
	cr_expect(eq(sz, control.results, 1));
	cr_expect(eq(int, control.result.error.code, ERR_INTERRUPTED));
	cr_expect(ne(ptr, strstr(control.result.error.msg, "asked to end"), NULL), "%s",
		control.result.error.msg);
	cr_expect(eq(sz, control.commits, 0));
}

Test(agent_run, without_an_identity_it_says_what_to_do)
{
	struct err err = ERR_INIT;
	char path[128];
	(void)snprintf(path, sizeof(path), "%s/" AGENT_STATE_FILE, state);
	cr_assert(eq(int, unlink(path), 0));
	cr_expect(eq(int, run(&err), -ERR_NOT_FOUND));
	cr_expect(ne(ptr, strstr(err.hint, "enrol"), NULL));
}
