#include "agents/agent_conf.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agents/sources_conf.h"
#include "base/err.h"
#include "conf/conf_problems.h"

/* Load ${text}; the number of errors goes to ${errors}. */
static int load(const char *text, struct agent_conf **out, size_t *errors, struct err *err)
{
	char path[] = "/tmp/agent-conf-XXXXXX";
	struct conf_problems problems = CONF_PROBLEMS_INIT;
	int fd = mkstemp(path);
	cr_assert(ge(int, fd, 0));
	cr_assert(eq(sz, (size_t)write(fd, text, strlen(text)), strlen(text)));
	(void)close(fd);
	int rc = agent_conf_load(path, out, &problems, err);
	*errors = problems.errors;
	conf_problems_done(&problems);
	(void)unlink(path);
	return rc;
}

#define SOURCES "sources = ( { name = \"share\"; type = \"files\"; paths = [ \"/srv\" ]; } );\n"

Test(agent_conf, a_short_one_has_defaults)
{
	struct agent_conf *c = NULL;
	size_t errors = 0;
	cr_assert(eq(int, load(SOURCES, &c, &errors, NULL), 0));
	const struct agent_conf_values *v = agent_conf_get(c);
	cr_expect_str_eq(v->state, "/var/lib/holdfast-agent");
	cr_expect(eq(int, v->role, MSG_ROLE_CAPTURE));
	cr_expect(eq(int, v->nice, 10));
	cr_expect(eq(int, v->cpu_percent, 0));
	cr_expect(eq(int, v->workers, 2));
	cr_expect(eq(i64, v->bytes_per_s, 0));
	cr_expect(eq(sz, sources_conf_count(v->sources), 1));
	cr_expect_str_eq(sources_conf_at(v->sources, 0)->paths[0], "/srv");
	agent_conf_free(c);
}

Test(agent_conf, limits_and_a_sandbox_are_read)
{
	struct agent_conf *c = NULL;
	size_t errors = 0;
	cr_assert(eq(int,
		load("role = \"sandbox\"; state = \"/s\"; name = \"box-1\";\n"
		     "limits = { nice = 5; cpu_percent = 50; bytes_per_s = \"4MiB\"; connections = "
		     "3; workers = 8; };\n"
		     "drill = { work = \"/w\"; reports = \"/r\"; };\n",
			&c, &errors, NULL),
		0));
	const struct agent_conf_values *v = agent_conf_get(c);
	cr_expect(eq(int, v->role, MSG_ROLE_SANDBOX));
	cr_expect(eq(int, v->nice, 5));
	cr_expect(eq(int, v->cpu_percent, 50));
	cr_expect(eq(i64, v->bytes_per_s, 4 << 20));
	cr_expect(eq(int, v->connections, 3));
	cr_expect(eq(int, v->workers, 8));
	cr_expect_str_eq(v->work, "/w");
	cr_expect_str_eq(v->reports, "/r");
	cr_expect(eq(ptr, (void *)v->sources, NULL));
	agent_conf_free(c);
}

Test(agent_conf, what_does_not_go_together_is_told)
{
	static const char *const bad[] = { "", "role = \"sandbox\";\n" SOURCES,
		SOURCES "sources_file = \"/x\";\n", SOURCES "state = \"relative\";\n",
		SOURCES "name = \"No Name\";\n", SOURCES "drill = { work = \"/w\"; };\n",
		SOURCES "limits = { nice = 20; };\n", SOURCES "limits = { connections = 0; };\n",
		SOURCES "unknown = 1;\n", SOURCES "limits = { bytes_per_s = \"64KiB\"; };\n",
		"sources = ( { name = \"a\"; type = \"files\"; } );\n" };
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct agent_conf *c = NULL;
		size_t errors = 0;
		cr_expect(eq(int, load(bad[i], &c, &errors, NULL), -ERR_CONFIG), "%s", bad[i]);
		cr_expect(ge(sz, errors, 1), "%s", bad[i]);
	}
}

Test(agent_conf, a_source_whose_name_cannot_travel_is_refused_with_a_hint)
{
	struct agent_conf *c = NULL;
	struct err err = ERR_INIT;
	size_t errors = 0;
	cr_expect(eq(int,
		load("sources = ( { name = \"my share\"; type = \"files\"; paths = "
		     "[ \"/srv\" ]; } );\n",
			&c, &errors, &err),
		-ERR_CONFIG));
	cr_expect(ne(ptr, strstr(err.msg, "my share"), NULL));
	cr_expect(ne(sz, strlen(err.hint), 0));
}
