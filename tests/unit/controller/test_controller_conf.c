#include "controller/controller_conf.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/err.h"
#include "conf/conf_problems.h"
#include "plans/calendar.h"

static char dir[64], path[96];
static struct controller_conf *conf;
static struct conf_problems problems;
static struct buf told;
static struct err err;

static void setup(void)
{
	(void)snprintf(dir, sizeof(dir), "/tmp/test-controller-conf.XXXXXX");
	cr_assert(mkdtemp(dir) != NULL);
	(void)snprintf(path, sizeof(path), "%s/controller.conf", dir);
	conf = NULL;
	told = (struct buf)BUF_INIT(65536);
	memset(&problems, 0, sizeof(problems));
	err_clear(&err);
}

static void teardown(void)
{
	controller_conf_free(conf);
	conf_problems_done(&problems);
	buf_done(&told);
	(void)unlink(path);
	(void)rmdir(dir);
}

TestSuite(controller_conf, .init = setup, .fini = teardown);

#define HEAD "name = \"plant1\";\nvault = \"vault\";\nhosts = [ \"backup.plant\", \"10.0.0.5\" ];\n"

static int load(const char *text)
{
	FILE *f = fopen(path, "w");
	cr_assert(f != NULL);
	cr_assert(fputs(text, f) >= 0);
	cr_assert(eq(int, fclose(f), 0));
	int rc = controller_conf_load(path, &conf, &problems, &err);
	cr_assert(eq(int, conf_problems_format(&problems, &told, NULL), 0));
	return rc;
}

static void says(const char *text)
{
	const char *all = buf_cstr(&told);
	cr_expect(strstr(all, text) != NULL, "'%s' is not in: %s", text, all);
}

static void is_beside(const char *found, const char *name)
{
	char want[160];
	(void)snprintf(want, sizeof(want), "%s/%s", dir, name);
	cr_expect(eq(str, (char *)found, want));
}

Test(controller_conf, the_smallest_file_has_every_default)
{
	cr_assert(eq(int, load(HEAD), 0), "%s", err.msg);
	cr_expect(eq(str, (char *)conf->name, "plant1"));
	is_beside(conf->vault, "vault");
	is_beside(conf->state, "state");
	is_beside(conf->keys, "keys");
	cr_expect(eq(str, (char *)conf->agents_host, "0.0.0.0"));
	cr_expect(eq(int, conf->agents_port, 7443));
	cr_expect(eq(int, conf->people_port, 7444));
	cr_expect(eq(sz, conf->host_count, 2));
	cr_expect(eq(str, (char *)conf->hosts[1], "10.0.0.5"));
	cr_expect(eq(str, (char *)conf->agents_address, "backup.plant:7443"));
	cr_expect(eq(str, (char *)conf->people_address, "backup.plant:7444"));
	cr_expect(eq(i64, conf->max_running, 4));
	cr_expect(eq(i64, conf->body_memory, INT64_C(64) << 20));
	cr_expect(eq(sz, conf->schedule_count, 0));
}

Test(controller_conf, schedules_are_read_with_their_defaults)
{
	cr_assert(
		eq(int,
			load(HEAD
				"schedules = (\n"
				"{ name = \"nightly\"; agent = \"line3\"; source = \"historian\";\n"
				"  at = \"02:30\"; zone = \"Europe/Berlin\"; },\n"
				"{ name = \"drill\"; agent = \"sandbox1\"; plan = \"line3.plan\";\n"
				"  at = \"weekly\"; catch_up = \"skip\"; splay = \"10m\";\n"
				"  start_within = \"2h\"; deadline = \"8h\"; retries = 0;\n"
				"  retry_after = \"5m\"; paused = true; } );\n"),
			0),
		"%s", err.msg);
	const struct controller_schedule *a = &conf->schedules[0], *b = &conf->schedules[1];
	cr_expect(eq(str, (char *)a->name, "nightly"));
	cr_expect(eq(str, (char *)a->source, "historian"));
	cr_expect(a->plan == NULL);
	cr_expect(eq(str, (char *)calendar_zone(a->calendar), "Europe/Berlin"));
	cr_expect(eq(int, (int)a->catch_up, CATCH_UP_ONCE));
	cr_expect(eq(i64, a->retries, 2));
	cr_expect(eq(i64, a->retry_after_ms, 60000));
	cr_expect(eq(i64, a->start_within_ms, 0));
	cr_expect(not(a->is_paused));
	is_beside(b->plan, "line3.plan");
	cr_expect(b->source == NULL);
	cr_expect(eq(str, (char *)calendar_zone(b->calendar), "UTC"));
	cr_expect(eq(int, (int)b->catch_up, CATCH_UP_SKIP));
	cr_expect(eq(i64, b->splay_ms, 600000));
	cr_expect(eq(i64, b->start_within_ms, 7200000));
	cr_expect(eq(i64, b->deadline_ms, 28800000));
	cr_expect(eq(i64, b->retries, 0));
	cr_expect(eq(i64, b->retry_after_ms, 300000));
	cr_expect(b->is_paused);
}

Test(controller_conf, everything_wrong_is_told_at_once_with_its_line)
{
	cr_expect(eq(int,
		load("name = \"Plant 1\";\n"                                /* 1 */
		     "hosts = [ \"a\" ];\n"                                 /* 2 */
		     "agents_port = 7444;\n"                                /* 3 */
		     "people_address = \"nowhere\";\n"                      /* 4 */
		     "max_runing = 3;\n"                                    /* 5 */
		     "max_connections = 3; body_memory = \"31MiB\";\n"      /* 6 */
		     "schedules = (\n"                                      /* 7 */
		     "{ name = \"a\"; agent = \"x\"; at = \"daily\"; },\n"  /* 8 */
		     "{ name = \"b\"; agent = \"x\"; at = \"Mno 06:00\";\n" /* 9 */
		     "  source = \"s\"; plan = \"p\"; },\n"                 /* 10 */
		     "{ name = \"a\"; agent = \"x\"; source = \"s\";\n"     /* 11 */
		     "  at = \"daily\"; zone = \"Europe/Berln\"; },\n"      /* 12 */
		     "{ name = \"c\"; source = \"s\"; at = \"dayly\";\n"    /* 13 */
		     "  retries = 101; retry_after = \"soon\"; catch_up = \"no\"; } );\n"),
		-ERR_CONFIG));
	cr_expect(conf == NULL);
	says(":1: error: 'Plant 1' is no name");
	says("vault");
	says(":4: error: 'nowhere' is no address");
	says(":5: error");
	says("max_running");
	says(":6: error: unable to use 'max_connections'");
	says(":6: error: unable to use 'body_memory'");
	says(":8: error: a schedule has one of 'source'");
	says(":9: error: calendar expression \"Mno 06:00\", character 1");
	says("did you mean Mon?");
	says(":9: error: a schedule has one of");
	says(":11: error: the schedule 'a' is there twice, first in line 8");
	says(":12: error: there is no time zone 'Europe/Berln'");
	says("did you mean Europe/Berlin?");
	says(":13: error: a backup or a drill needs an 'agent'");
	says("did you mean daily?");
	says(":14: error");
	says("cannot share port 7444");
}

Test(controller_conf, a_schedule_that_is_over_is_a_warning)
{
	cr_expect(eq(int,
			  load(HEAD "schedules = ( { name = \"a\"; agent = \"x\"; source = \"s\";\n"
				    "at = \"2020-01-01\"; } );"),
			  0),
		"%s", err.msg);
	says("warning: \"2020-01-01\" is over");
}

Test(controller_conf, a_vault_with_a_scheme_is_taken_as_it_is)
{
	cr_assert(eq(int, load("name = \"p\"; vault = \"local:/srv/vault\"; hosts = [ \"::1\" ];"),
			  0),
		"%s", err.msg);
	cr_expect(eq(str, (char *)conf->vault, "local:/srv/vault"));
	cr_expect(eq(str, (char *)conf->agents_address, "[::1]:7443"));
}

Test(controller_conf, a_file_that_is_not_there_is_not_found)
{
	cr_expect(eq(int, controller_conf_load("/nonexistent/c.conf", &conf, &problems, &err),
		-ERR_NOT_FOUND));
}

Test(controller_conf, the_controllers_own_tasks_have_no_agent_and_rules)
{
	cr_assert(eq(int,
		load(HEAD "retention = ( { keep_daily = 7; } );\n"
			  "schedules = ( { name = \"a\"; task = \"retention\"; at = \"daily\"; },\n"
			  "{ name = \"b\"; task = \"collect\"; grace = \"2d\"; at = \"daily\"; },\n"
			  "{ name = \"c\"; task = \"scrub\"; older_than = \"1d\"; sample = 5;\n"
			  "at = \"daily\"; } );\n"),
		0));
	cr_assert(eq(sz, conf->schedule_count, 3));
	cr_expect(eq(sz, conf->retention.count, 1));
	cr_expect(eq(int, (int)conf->schedules[0].verb, MSG_VERB_RETENTION));
	cr_expect(eq(ptr, (void *)conf->schedules[0].agent, NULL));
	cr_expect(eq(i64, conf->schedules[1].grace_ns, 2 * INT64_C(86400) * 1000000000));
	cr_expect(eq(i64, conf->schedules[2].older_than_ns, INT64_C(86400) * 1000000000));
	cr_expect(eq(i64, conf->schedules[2].sample_percent, 5));
}

Test(controller_conf, a_copy_goes_to_a_replica_that_is_there)
{
	cr_assert(
		eq(int,
			load(HEAD
				"replicas = ( { name = \"far\"; place = \"s3:https://h/b/p\"; },\n"
				"{ name = \"near\"; place = \"cellar\"; } );\n"
				"schedules = ( { name = \"a\"; task = \"copy\"; replica = "
				"\"near\";\n"
				"at = \"daily\"; } );\n"),
			0),
		"%s", err.msg);
	char want[96];
	(void)snprintf(want, sizeof(want), "%s/cellar", dir);
	cr_expect(eq(int, (int)conf->schedules[0].verb, MSG_VERB_COPY));
	cr_expect(eq(str, (char *)conf->schedules[0].replica, "near"));
	cr_expect(eq(str, replica_conf_find(&conf->replicas, "near")->place, want));
	cr_expect(eq(str, replica_conf_find(&conf->replicas, "far")->place, "s3:https://h/b/p"));
	controller_conf_free(conf);
	conf = NULL;
	cr_expect(eq(int,
		load(HEAD "schedules = ( { name = \"a\"; task = \"copy\"; at = \"daily\"; },\n"
			  "{ name = \"b\"; task = \"copy\"; replica = \"x\"; at = \"daily\"; },\n"
			  "{ name = \"c\"; task = \"scrub\"; replica = \"x\"; at = \"daily\"; } "
			  ");\n"),
		-ERR_CONFIG));
	says("the task copy needs a 'replica'");
	says("there is no replica 'x'");
	says("'replica' goes with the task copy only");
}

Test(controller_conf, what_a_reload_does_not_change_is_named)
{
	cr_assert(eq(int, load(HEAD), 0), "%s", err.msg);
	struct controller_conf *running = conf;
	conf = NULL;
	cr_assert(eq(int, load(HEAD "max_running = 7;\n"), 0), "%s", err.msg);
	cr_expect(eq(ptr, (void *)controller_conf_late(running, conf, 0), NULL));
	cr_expect(controller_conf_has_same_hosts(running, conf));
	controller_conf_free(conf);
	conf = NULL;
	cr_assert(
		eq(int,
			load("name = \"plant1\"; vault = \"vault\"; hosts = [ \"backup.plant\" ];\n"
			     "agents_port = 7000; body_memory = \"128MiB\";\n"),
			0),
		"%s", err.msg);
	static const char *const want[] = { "agents_port", "agents_address", "body_memory" };
	for (size_t i = 0; i < 3; i++)
		cr_expect(eq(str, (char *)controller_conf_late(running, conf, i), (char *)want[i]));
	cr_expect(eq(ptr, (void *)controller_conf_late(running, conf, 3), NULL));
	cr_expect(not(controller_conf_has_same_hosts(running, conf)));
	controller_conf_free(running);
}
