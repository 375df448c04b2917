#include "agents/agent_conf.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "agents/seal_pool.h"
#include "agents/sources_conf.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/fdio.h"
#include "conf/conf.h"
#include "conf/conf_problems.h"
#include "msg/msg_work.h"

/*
 * INVARIANTS
 * (1) A configuration that was returned has sources exactly when its role captures.
 */

/* Slower than this a batch takes so long that the controller takes the job for dead. */
#define BYTES_PER_S_MIN (256 << 10)

static const char *const roles[] = { "capture", "sandbox", NULL };

static const struct conf_option limit_options[] = {
	{ .key = "nice",
		.type = CONF_INT,
		.min = 0,
		.max = 19,
		.fallback = "10",
		.help = "how much the agent stands back for other processes, 0 to 19" },
	{ .key = "cpu_percent",
		.type = CONF_INT,
		.min = 0,
		.max = 6400,
		.fallback = "0",
		.help = "most it uses of one processor; 0 is no limit" },
	{ .key = "bytes_per_s",
		.type = CONF_SIZE,
		.min = BYTES_PER_S_MIN,
		.help = "most it sends a second, 256KiB or more; absent is no limit" },
	{ .key = "connections",
		.type = CONF_INT,
		.min = 1,
		.max = 8,
		.fallback = "2",
		.help = "how many connections send at once" },
	{ .key = "workers",
		.type = CONF_INT,
		.min = 1,
		.max = SEAL_POOL_MAX_WORKERS,
		.fallback = "2",
		.help = "how many threads pack and seal, each on a processor of its own" },
	{ .key = NULL },
};

static const struct conf_option drill_options[] = {
	{ .key = "work", .type = CONF_STRING, .help = "absolute path: where drills restore to" },
	{ .key = "reports", .type = CONF_STRING, .help = "absolute path: where reports are kept" },
	{ .key = NULL },
};

static const struct conf_option file_options[] = {
	{ .key = "state",
		.type = CONF_STRING,
		.fallback = "/var/lib/holdfast-agent",
		.help = "absolute path of the directory with keys, cache and staging" },
	{ .key = "name",
		.type = CONF_STRING,
		.help = "what the agent is called; default: the host's name" },
	{ .key = "role",
		.type = CONF_WORD,
		.words = roles,
		.fallback = "capture",
		.help = "capture or sandbox" },
	{ .key = "limits",
		.type = CONF_GROUP,
		.members = limit_options,
		.help = "what it may use" },
	{ .key = "drill", .type = CONF_GROUP, .members = drill_options, .help = "for a sandbox" },
	{ .key = "sources_file",
		.type = CONF_STRING,
		.help = "absolute path of a file with the list 'sources'" },
	{ .key = "sources",
		.type = CONF_GROUPS,
		.min = 1,
		.max = MSG_MAX_SOURCES,
		.members = sources_conf_members,
		.help = "what this host backs up" },
	{ .key = NULL },
};

struct agent_conf {
	struct agent_conf_values values;
	struct conf *conf;            /* owned: texts lie in it */
	struct sources_conf *sources; /* owned */
};

static void check_path(const struct conf_node *g, const char *key, struct conf_problems *problems)
{
	const char *path = conf_text(g, key);
	if (path != NULL && path[0] != '/')
		conf_problems_add(problems, CONF_ERROR, conf_line(g, key),
			"path '%s' of '%s' is not absolute", path, key);
}

static void check(const struct conf_node *root, struct conf_problems *problems)
{
	bool is_sandbox = conf_number(root, "role", 0) == 1;
	const char *name = conf_text(root, "name");
	const struct conf_node *drill = conf_group(root, "drill");
	int kinds = conf_has(root, "sources") + conf_has(root, "sources_file");
	check_path(root, "state", problems);
	check_path(root, "sources_file", problems);
	if (drill != NULL) {
		check_path(drill, "work", problems);
		check_path(drill, "reports", problems);
		if (!is_sandbox)
			conf_problems_add(problems, CONF_ERROR, conf_line(root, "drill"),
				"'drill' is for the role sandbox");
	}
	if (name != NULL && !msg_enrol_is_name(name))
		conf_problems_add(problems, CONF_ERROR, conf_line(root, "name"),
			"'%s' is no name: a-z, 0-9, '.', '_' and '-', at most %d characters", name,
			MSG_NAME_BYTES - 1);
	if (is_sandbox && kinds > 0)
		conf_problems_add(problems, CONF_ERROR, conf_line(root, "role"),
			"a sandbox backs nothing up: it has neither 'sources' nor 'sources_file'");
	if (!is_sandbox && kinds != 1)
		conf_problems_add(problems, CONF_ERROR, conf_node_line(root),
			"give either 'sources' or 'sources_file'");
}

static void fill(struct agent_conf *c, const struct conf_node *root)
{
	const struct conf_node *limits = conf_group(root, "limits");
	const struct conf_node *drill = conf_group(root, "drill");
	struct agent_conf_values *v = &c->values;
	v->state = conf_text(root, "state");
	v->name = conf_text(root, "name");
	v->role = conf_number(root, "role", 0) == 1 ? MSG_ROLE_SANDBOX : MSG_ROLE_CAPTURE;
	v->nice = limits == NULL ? 10 : (int)conf_number(limits, "nice", 10);
	v->cpu_percent = limits == NULL ? 0 : (int)conf_number(limits, "cpu_percent", 0);
	v->bytes_per_s = limits == NULL ? 0 : conf_number(limits, "bytes_per_s", 0);
	v->connections = limits == NULL ? 2 : (int)conf_number(limits, "connections", 2);
	v->workers = limits == NULL ? 2 : (int)conf_number(limits, "workers", 2);
	v->work = drill == NULL ? NULL : conf_text(drill, "work");
	v->reports = drill == NULL ? NULL : conf_text(drill, "reports");
	v->sources = c->sources;
}

/* Names of sources travel in requests: the grammar is narrower than on the command line. */
static int check_names(const struct agent_conf *c, struct err *err)
{
	for (size_t i = 0; c->sources != NULL && i < sources_conf_count(c->sources); i++) {
		const char *name = sources_conf_at(c->sources, i)->name;
		if (msg_enrol_is_name(name))
			continue;
		int rc = err_set(
			err, ERR_CONFIG, "the source '%s' has a name that no agent may use", name);
		(void)err_hint(err,
			"a source's name is of a-z, 0-9, '.', '_' and '-', at most %d "
			"characters",
			MSG_NAME_BYTES - 1);
		return rc;
	}
	return 0;
}

DEFINE_CLEANUP(struct agent_conf *, agent_conf_free)

int agent_conf_load(
	const char *path, struct agent_conf **out, struct conf_problems *problems, struct err *err)
{
	CLEANUP(agent_conf_free_p) struct agent_conf *c = calloc(1, sizeof(*c));
	CLEANUP(buf_done) struct buf text = BUF_INIT(CONF_MAX_BYTES);
	if (c == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	int rc = fdio_read_file(AT_FDCWD, path, &text, err);
	if (rc == 0)
		rc = conf_parse(path, (const char *)text.data, text.len, file_options, &c->conf,
			problems, err);
	if (rc != 0)
		return rc;
	const struct conf_node *root = conf_root(c->conf);
	check(root, problems);
	if (conf_has(root, "sources"))
		sources_conf_check(root, problems);
	conf_problems_sort(problems);
	rc = conf_problems_verdict(problems, "configuration", err);
	if (rc == 0 && conf_has(root, "sources_file"))
		rc = sources_conf_load(conf_text(root, "sources_file"), &c->sources, problems, err);
	else if (rc == 0 && conf_has(root, "sources"))
		rc = sources_conf_of(root, &c->sources, err);
	if (rc == 0)
		rc = check_names(c, err);
	if (rc != 0)
		return rc;
	fill(c, root);
	*out = TAKE(c);
	return 0;
}

void agent_conf_free(struct agent_conf *c)
{
	if (c == NULL)
		return;
	sources_conf_free(c->sources);
	conf_free(c->conf);
	free(c);
}

const struct agent_conf_values *agent_conf_get(const struct agent_conf *c)
{
	return &c->values;
}
