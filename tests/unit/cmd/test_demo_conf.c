#include "cmd/demo_conf.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "agents/agent_conf.h"
#include "base/err.h"
#include "cmd/demo_home.h"
#include "conf/conf_problems.h"
#include "controller/controller_conf.h"
#include "restore/erase_tree.h"

/* What is written must be read by those it is for, also below a directory with an awkward name. */

static char base[64], dir[128], path[PATH_MAX];
static struct demo_home *home;
static struct err err;

static void setup(void)
{
	char below[192];
	(void)snprintf(base, sizeof(base), "/tmp/test-demo-conf.XXXXXX");
	cr_assert(mkdtemp(base) != NULL);
	(void)snprintf(dir, sizeof(dir), "%s/a \"plant\" \\n", base);
	err_clear(&err);
	cr_assert(eq(int, demo_home_open(dir, &home, &err), 0), "%s", err.msg);
	(void)snprintf(below, sizeof(below), "%s/conf", dir);
	(void)mkdir(below, 0700); /* may be there */
	(void)snprintf(below, sizeof(below), "%s/controller", dir);
	(void)mkdir(below, 0700); /* as above */
}

static void teardown(void)
{
	demo_home_close(home);
	cr_expect(eq(int, erase_tree_run(AT_FDCWD, base, NULL, NULL), 0));
}

TestSuite(demo_conf, .init = setup, .fini = teardown);

static struct agent_conf *agent_of(const char *name)
{
	struct conf_problems problems = CONF_PROBLEMS_INIT;
	struct agent_conf *c = NULL;
	char file[96];
	cr_assert(eq(int, demo_conf_agent(home, NULL, name, &err), 0), "%s", err.msg);
	(void)snprintf(file, sizeof(file), "conf/%s.conf", name);
	cr_assert(eq(int, demo_home_join(home, file, path, &err), 0));
	cr_expect(eq(int, agent_conf_load(path, &c, &problems, &err), 0), "%s: %s", err.msg,
		problems.count > 0 ? problems.items[0].text : "");
	cr_assert(ne(ptr, c, NULL));
	conf_problems_done(&problems);
	return c;
}

Test(demo_conf, agents_read_their_files_with_paths_below_the_home)
{
	static const char *const names[] = { DEMO_CONF_RECORDS, DEMO_CONF_SANDBOX };
	for (size_t i = 0; i < 2; i++) {
		struct agent_conf *c = agent_of(names[i]);
		const struct agent_conf_values *v = agent_conf_get(c);
		cr_expect(eq(str, (char *)(uintptr_t)v->name, (char *)(uintptr_t)names[i]));
		cr_expect(eq(int, strncmp(v->state, dir, strlen(dir)), 0), "%s", v->state);
		agent_conf_free(c);
	}
}

Test(demo_conf, the_controller_reads_its_schedules_and_listens_where_it_is_told)
{
	static const char made[] =
		"name = \"plant\";\nvault = \"/v\";\nhosts = [ \"127.0.0.1\" ];\n"
		"agents_host = \"0.0.0.0\";\npeople_host = \"0.0.0.0\";\n"
		"schedules = ( );\n";
	struct conf_problems problems = CONF_PROBLEMS_INIT;
	struct controller_conf *c = NULL;
	cr_assert(eq(int, demo_home_write(home, DEMO_CONF_CONTROLLER, made, false, &err), 0));
	cr_assert(eq(int, demo_conf_controller(home, "\"198.51.100.1\"", &err), 0), "%s", err.msg);
	cr_assert(eq(int, demo_home_join(home, DEMO_CONF_CONTROLLER, path, &err), 0));
	cr_assert(eq(int, controller_conf_load(path, &c, &problems, &err), 0), "%s: %s", err.msg,
		problems.count > 0 ? problems.items[0].text : "");
	cr_expect(eq(str, (char *)(uintptr_t)c->agents_host, "198.51.100.1"));
	cr_expect(eq(str, (char *)(uintptr_t)c->people_host, "198.51.100.1"));
	cr_assert(eq(sz, c->schedule_count, 3));
	for (size_t i = 0; i < 3; i++) {
		const struct controller_schedule *s = &c->schedules[i];
		cr_expect(ne(ptr, (void *)(uintptr_t)s->source, NULL));
		cr_expect(strcmp(s->agent, DEMO_CONF_HISTORIAN) == 0 ||
				  strcmp(s->agent, DEMO_CONF_RECORDS) == 0,
			"%s", s->agent);
	}
	controller_conf_free(c);
	conf_problems_done(&problems);
	/* a second time there is no place for them: the demonstration would go on without */
	cr_expect(eq(int, demo_conf_controller(home, "\"198.51.100.1\"", &err), -ERR_FAILED));
}
