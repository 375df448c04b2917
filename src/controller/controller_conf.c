#include "controller/controller_conf.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/env.h"
#include "base/err.h"
#include "base/fdio.h"
#include "conf/conf.h"
#include "conf/conf_problems.h"
#include "msg/msg_enrol.h"
#include "msg/msg_enrol_token.h"
#include "plans/calendar.h"
#include "vault/collect.h"

/*
 * INVARIANTS
 * (1) A configuration that was returned has no schedule twice, each has exactly one of source, plan
 *     and task and a calendar that parsed; an agent if it is not a task, a replica that is there
 *     if it is a copy.
 */

#define CONF_SCHEDULES_MAX 1000
#define CONF_HOSTS_MAX 30
#define CONF_BODY_MIN (INT64_C(32) << 20) /* two of the largest */
#define CONF_BODY_MAX (INT64_C(16) << 30)
#define CONF_BODY_DEFAULT (INT64_C(64) << 20)
#define SECOND_NS INT64_C(1000000000)

static const char *const catch_ups[] = { "once", "skip", NULL };
static const char *const tasks[] = { "retention", "collect", "scrub", "copy", NULL };

static const struct conf_option schedule_options[] = {
	{ .key = "name",
		.type = CONF_STRING,
		.is_required = true,
		.max = MSG_NAME_BYTES - 1,
		.help = "what the schedule is called; its memory goes by the name" },
	{ .key = "agent",
		.type = CONF_STRING,
		.max = MSG_NAME_BYTES - 1,
		.help = "the agent that does it; a task has none" },
	{ .key = "source",
		.type = CONF_STRING,
		.max = MSG_NAME_BYTES - 1,
		.help = "back up this source of the agent" },
	{ .key = "plan", .type = CONF_STRING, .help = "drill this continuity plan" },
	{ .key = "task",
		.type = CONF_WORD,
		.words = tasks,
		.help = "what the controller does with the vault: retention, collect, scrub or "
			"copy" },
	{ .key = "replica",
		.type = CONF_STRING,
		.max = MSG_NAME_BYTES - 1,
		.help = "copy: which of replicas it goes to" },
	{ .key = "grace",
		.type = CONF_DURATION,
		.help = "collect: how long dead objects stay before they are deleted; 7d" },
	{ .key = "older_than",
		.type = CONF_DURATION,
		.help = "scrub: leave packs that were read within that time; 30d" },
	{ .key = "sample",
		.type = CONF_INT,
		.min = 1,
		.max = 100,
		.help = "scrub: read at most so many percent, what was not read for longest "
			"first" },
	{ .key = "at",
		.type = CONF_STRING,
		.is_required = true,
		.max = 256,
		.help = "when: an OnCalendar expression, or daily, weekly, .. (docs/SCHEDULE.md)" },
	{ .key = "zone", .type = CONF_STRING, .max = 64, .help = "time zone when 'at' names none" },
	{ .key = "catch_up",
		.type = CONF_WORD,
		.words = catch_ups,
		.fallback = "once",
		.help = "what was missed while the controller was down: once or skip" },
	{ .key = "splay", .type = CONF_DURATION, .fallback = "0s", .help = "move due times" },
	{ .key = "start_within",
		.type = CONF_DURATION,
		.fallback = "0s",
		.help = "not started by then: missed; 0s = until the next due time" },
	{ .key = "deadline",
		.type = CONF_DURATION,
		.fallback = "0s",
		.help = "longest run; 0s = none" },
	{ .key = "retries",
		.type = CONF_INT,
		.min = 0,
		.max = CONTROLLER_CONF_RETRIES_MAX,
		.fallback = "2" },
	{ .key = "retry_after", .type = CONF_DURATION, .fallback = "1m" },
	{ .key = "paused", .type = CONF_BOOL, .fallback = "false", .help = "orders nothing" },
	{ .key = NULL },
};

static const struct conf_option options[] = {
	{ .key = "name",
		.type = CONF_STRING,
		.is_required = true,
		.max = MSG_NAME_BYTES - 1,
		.help = "what the controller is called in reports" },
	{ .key = "vault",
		.type = CONF_STRING,
		.is_required = true,
		.help = "where the vault lies, as --vault takes it" },
	{ .key = "state", .type = CONF_STRING, .fallback = "state", .help = "directory" },
	{ .key = "keys", .type = CONF_STRING, .fallback = "keys", .help = "directory" },
	{ .key = "hosts",
		.type = CONF_STRINGS,
		.is_required = true,
		.min = 1,
		.max = CONF_HOSTS_MAX,
		.help = "names and addresses in the certificate" },
	{ .key = "agents_host", .type = CONF_STRING, .fallback = "0.0.0.0" },
	{ .key = "agents_port", .type = CONF_INT, .min = 1, .max = 65535, .fallback = "7443" },
	{ .key = "people_host", .type = CONF_STRING, .fallback = "0.0.0.0" },
	{ .key = "people_port", .type = CONF_INT, .min = 1, .max = 65535, .fallback = "7444" },
	{ .key = "agents_address",
		.type = CONF_STRING,
		.max = MSG_ADDRESS_BYTES - 1,
		.help = "host:port that agents call; default: the first of hosts and agents_port" },
	{ .key = "people_address",
		.type = CONF_STRING,
		.max = MSG_ADDRESS_BYTES - 1,
		.help = "host:port in enrolment tokens; default as above with people_port" },
	{ .key = "max_running",
		.type = CONF_INT,
		.min = 1,
		.max = CONTROLLER_CONF_RUNNING_MAX,
		.fallback = "4" },
	{ .key = "max_connections", .type = CONF_INT, .min = 8, .max = 8192, .fallback = "512" },
	{ .key = "body_memory",
		.type = CONF_SIZE,
		.min = CONF_BODY_MIN,
		.max = CONF_BODY_MAX,
		.fallback = "64MiB",
		.help = "what agents send and was not dealt with yet, in memory; 32MiB to 16GiB" },
	{ .key = "schedules",
		.type = CONF_GROUPS,
		.max = CONF_SCHEDULES_MAX,
		.members = schedule_options,
		.help = "what runs when" },
	{ .key = "retention",
		.type = CONF_GROUPS,
		.max = RETENTION_CONF_MAX,
		.members = retention_conf_options,
		.help = "which snapshots the task retention keeps" },
	{ .key = "replicas",
		.type = CONF_GROUPS,
		.max = REPLICA_CONF_MAX,
		.members = replica_conf_options,
		.help = "where copies of the vault lie, for the task copy" },
	{ .key = NULL },
};

struct loaded {
	struct controller_conf c;              /* first: what callers hold */
	struct conf *conf;                     /* owned: most texts lie in it */
	const char **hosts;                    /* owned */
	struct controller_schedule *schedules; /* owned, with calendars and plans */
	char *state, *keys, *vault, *agents_address, *people_address; /* owned */
	char **plans; /* owned, one for each schedule or NULL */
};

/* ${name} seen from the directory of ${file}. */
static char *from_file(const char *file, const char *name)
{
	const char *slash = strrchr(file, '/');
	char *out = NULL;
	if (name[0] == '/')
		return strdup(name);
	int dir = slash == NULL ? 1 : (int)(slash - file);
	if (asprintf(&out, "%.*s/%s", dir, slash == NULL ? "." : file, name) < 0)
		return NULL;
	return out;
}

/* The same, made absolute when the directory is there. */
static char *absolute(const char *file, const char *name)
{
	char dir[PATH_MAX];
	CLEANUP(cleanup_free_p) char *top = from_file(file, ".");
	if (name[0] == '/' || top == NULL || realpath(top, dir) == NULL)
		return from_file(file, name);
	char *out = NULL;
	return asprintf(&out, "%s/%s", dir, name) < 0 ? NULL : out;
}

/* A vault may be named "scheme:rest"; only a plain relative path is taken from the file. */
static char *vault_of(const char *file, const char *name)
{
	return strchr(name, ':') != NULL ? strdup(name) : absolute(file, name);
}

static void check_name(const struct conf_node *g, const char *key, struct conf_problems *p)
{
	const char *text = conf_text(g, key);
	if (text != NULL && !msg_enrol_is_name(text))
		conf_problems_add(p, CONF_ERROR, conf_line(g, key),
			"'%s' is no %s: lower-case letters, digits, '.', '_', '-' are allowed",
			text, key);
}

static void take_calendar(
	const struct conf_node *g, struct controller_schedule *s, struct conf_problems *p)
{
	struct err why = ERR_INIT;
	if (s->at == NULL || calendar_parse(s->at, conf_text(g, "zone"), &s->calendar, &why) == 0)
		return;
	conf_problems_add(p, CONF_ERROR, conf_line(g, "at"), "%s%s%s", why.msg,
		why.hint[0] != '\0' ? "; hint: " : "", why.hint);
}

/* What is never due again would be silent for good. */
static void warn_over(
	const struct conf_node *g, const struct controller_schedule *s, struct conf_problems *p)
{
	if (s->calendar != NULL && !s->is_paused &&
		calendar_next(s->calendar, env_now_ns() / 1000000) == INT64_MAX)
		conf_problems_add(p, CONF_WARNING, conf_line(g, "at"),
			"\"%s\" is over: it is never due again", s->at);
}

/* What a schedule orders, and what only goes with it. */
static void take_verb(
	const struct conf_node *g, struct controller_schedule *s, struct conf_problems *p)
{
	static const enum msg_verb verbs[] = { MSG_VERB_RETENTION, MSG_VERB_COLLECT, MSG_VERB_SCRUB,
		MSG_VERB_COPY };
	static const struct {
		const char *key;
		enum msg_verb verb;
	} only[] = { { "grace", MSG_VERB_COLLECT }, { "older_than", MSG_VERB_SCRUB },
		{ "sample", MSG_VERB_SCRUB }, { "replica", MSG_VERB_COPY } };
	const bool has_task = conf_has(g, "task");
	s->verb = s->source != NULL ? MSG_VERB_BACKUP : MSG_VERB_DRILL;
	if (has_task)
		s->verb = verbs[conf_number(g, "task", 0)];
	if ((s->source != NULL) + conf_has(g, "plan") + has_task != 1)
		conf_problems_add(p, CONF_ERROR, s->line,
			"a schedule has one of 'source' (a backup), 'plan' (a drill) and 'task' "
			"(retention, collect, scrub, copy)");
	else if (has_task != (s->agent == NULL))
		conf_problems_add(p, CONF_ERROR, s->line,
			has_task ? "a task is the controller's: it has no 'agent'"
				 : "a backup or a drill needs an 'agent'");
	for (size_t i = 0; i < sizeof(only) / sizeof(only[0]); i++) {
		if (conf_has(g, only[i].key) && s->verb != only[i].verb)
			conf_problems_add(p, CONF_ERROR, conf_line(g, only[i].key),
				"'%s' goes with the task %s only", only[i].key,
				msg_work_verb_name(only[i].verb));
	}
	s->grace_ns = conf_number(g, "grace", COLLECT_GRACE_NS);
	s->older_than_ns = conf_number(g, "older_than", CONTROLLER_CONF_SCRUB_NS);
	s->sample_percent = conf_number(g, "sample", 0);
}

static int take_schedule(struct loaded *l, const char *file, size_t i, const struct conf_node *g,
	struct conf_problems *p, struct err *err)
{
	struct controller_schedule *s = &l->schedules[i];
	s->name = conf_text(g, "name");
	s->agent = conf_text(g, "agent");
	s->source = conf_text(g, "source");
	s->replica = conf_text(g, "replica");
	s->at = conf_text(g, "at");
	s->catch_up = (enum controller_catch_up)conf_number(g, "catch_up", CATCH_UP_ONCE);
	s->splay_ms = conf_number(g, "splay", 0) / 1000000;
	s->start_within_ms = conf_number(g, "start_within", 0) / 1000000;
	s->deadline_ms = conf_number(g, "deadline", 0) / 1000000;
	s->retries = conf_number(g, "retries", 2);
	s->retry_after_ms = conf_number(g, "retry_after", 60 * SECOND_NS) / 1000000;
	s->is_paused = conf_number(g, "paused", 0) != 0;
	s->line = conf_node_line(g);
	check_name(g, "name", p);
	check_name(g, "agent", p);
	check_name(g, "source", p);
	take_verb(g, s, p);
	if (conf_has(g, "plan")) {
		l->plans[i] = absolute(file, conf_text(g, "plan"));
		if (l->plans[i] == NULL)
			return err_set(err, ERR_NOMEM, "out of memory");
		s->plan = l->plans[i];
	}
	for (size_t k = 0; k < i; k++) {
		if (s->name != NULL && l->schedules[k].name != NULL &&
			strcmp(s->name, l->schedules[k].name) == 0)
			conf_problems_add(p, CONF_ERROR, conf_line(g, "name"),
				"the schedule '%s' is there twice, first in line %d", s->name,
				l->schedules[k].line);
	}
	take_calendar(g, s, p);
	warn_over(g, s, p);
	return 0;
}

static int take_schedules(
	struct loaded *l, const char *file, struct conf_problems *p, struct err *err)
{
	const struct conf_node *root = conf_root(l->conf);
	const size_t n = conf_count(root, "schedules");
	int rc = 0;
	l->schedules = calloc(n + 1, sizeof(*l->schedules));
	l->plans = calloc(n + 1, sizeof(*l->plans));
	if (l->schedules == NULL || l->plans == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	for (; rc == 0 && l->c.schedule_count < n; l->c.schedule_count++)
		rc = take_schedule(l, file, l->c.schedule_count,
			conf_item(root, "schedules", l->c.schedule_count), p, err);
	l->c.schedules = l->schedules;
	return rc;
}

static int take_retention(struct loaded *l, struct conf_problems *p, struct err *err)
{
	const struct conf_node *root = conf_root(l->conf);
	int rc = 0;
	for (size_t i = 0; rc == 0 && i < conf_count(root, "retention"); i++)
		rc = retention_conf_take(conf_item(root, "retention", i), &l->c.retention, p, err);
	for (size_t i = 0; rc == 0 && i < l->c.schedule_count; i++) {
		if (l->schedules[i].verb == MSG_VERB_RETENTION && l->c.retention.count == 0)
			conf_problems_add(p, CONF_ERROR, l->schedules[i].line,
				"the task retention needs rules: give 'retention'");
	}
	return rc;
}

static int take_replicas(
	struct loaded *l, const char *file, struct conf_problems *p, struct err *err)
{
	const struct conf_node *root = conf_root(l->conf);
	int rc = 0;
	for (size_t i = 0; rc == 0 && i < conf_count(root, "replicas"); i++)
		rc = replica_conf_take(conf_item(root, "replicas", i), l->vault, vault_of, file,
			&l->c.replicas, p, err);
	for (size_t i = 0; rc == 0 && i < l->c.schedule_count; i++) {
		const struct controller_schedule *s = &l->schedules[i];
		if (s->verb != MSG_VERB_COPY)
			continue;
		if (s->replica == NULL)
			conf_problems_add(p, CONF_ERROR, s->line,
				"the task copy needs a 'replica': which of 'replicas' it goes to");
		else if (replica_conf_find(&l->c.replicas, s->replica) == NULL)
			conf_problems_add(p, CONF_ERROR, s->line,
				"there is no replica '%s' in 'replicas'", s->replica);
	}
	return rc;
}

static char *address_of(const struct loaded *l, const char *key, int port)
{
	const char *text = conf_text(conf_root(l->conf), key);
	const char *host = l->c.host_count > 0 ? l->hosts[0] : "localhost";
	char *out = NULL;
	if (text != NULL)
		return strdup(text);
	return asprintf(&out, strchr(host, ':') != NULL ? "[%s]:%d" : "%s:%d", host, port) < 0
		       ? NULL
		       : out;
}

static void check_address(const struct conf_node *root, const char *key, struct conf_problems *p)
{
	const char *text = conf_text(root, key);
	if (text != NULL && !msg_enrol_token_is_address(text))
		conf_problems_add(p, CONF_ERROR, conf_line(root, key),
			"'%s' is no address such as backup.plant.example:7443", text);
}

static int take(struct loaded *l, const char *file, struct conf_problems *p, struct err *err)
{
	const struct conf_node *root = conf_root(l->conf);
	struct controller_conf *c = &l->c;
	c->name = conf_text(root, "name");
	c->agents_host = conf_text(root, "agents_host");
	c->people_host = conf_text(root, "people_host");
	c->agents_port = (int)conf_number(root, "agents_port", 0);
	c->people_port = (int)conf_number(root, "people_port", 0);
	c->max_running = conf_number(root, "max_running", 4);
	c->max_connections = conf_number(root, "max_connections", 512);
	c->body_memory = conf_number(root, "body_memory", CONF_BODY_DEFAULT);
	check_name(root, "name", p);
	check_address(root, "agents_address", p);
	check_address(root, "people_address", p);
	if (c->agents_port == c->people_port && c->agents_port != 0)
		conf_problems_add(p, CONF_ERROR, conf_line(root, "people_port"),
			"agents and people cannot share port %d", c->people_port);
	const size_t n = conf_count(root, "hosts");
	l->hosts = calloc(n + 1, sizeof(*l->hosts));
	for (size_t i = 0; l->hosts != NULL && i < n; i++)
		l->hosts[i] = conf_item_text(root, "hosts", i);
	c->hosts = l->hosts;
	c->host_count = l->hosts == NULL ? 0 : n;
	if (conf_has(root, "vault"))
		c->vault = l->vault = vault_of(file, conf_text(root, "vault"));
	c->state = l->state = absolute(file, conf_text(root, "state"));
	c->keys = l->keys = absolute(file, conf_text(root, "keys"));
	c->agents_address = l->agents_address = address_of(l, "agents_address", c->agents_port);
	c->people_address = l->people_address = address_of(l, "people_address", c->people_port);
	if (l->hosts == NULL || (l->vault == NULL && conf_has(root, "vault")) || l->state == NULL ||
		l->keys == NULL || l->agents_address == NULL || l->people_address == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	int rc = take_schedules(l, file, p, err);
	if (rc == 0)
		rc = take_retention(l, p, err);
	return rc != 0 ? rc : take_replicas(l, file, p, err);
}

void controller_conf_free(struct controller_conf *c)
{
	struct loaded *l = (struct loaded *)c;
	if (l == NULL)
		return;
	for (size_t i = 0; i < l->c.schedule_count; i++) {
		calendar_free(l->schedules[i].calendar);
		free(l->plans[i]);
	}
	retention_conf_done(&l->c.retention);
	replica_conf_done(&l->c.replicas);
	free(l->schedules);
	free(l->plans);
	free(l->hosts);
	free(l->vault);
	free(l->state);
	free(l->keys);
	free(l->agents_address);
	free(l->people_address);
	conf_free(l->conf);
	free(l);
}

static void free_loaded(struct loaded *l)
{
	controller_conf_free(&l->c);
}

DEFINE_CLEANUP(struct loaded *, free_loaded)

int controller_conf_load(const char *path, struct controller_conf **out,
	struct conf_problems *problems, struct err *err)
{
	CLEANUP(buf_done) struct buf text = BUF_INIT(CONF_MAX_BYTES);
	CLEANUP(free_loaded_p) struct loaded *l = calloc(1, sizeof(*l));
	if (l == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	int rc = fdio_read_file(AT_FDCWD, path, &text, err);
	if (rc == 0)
		rc = conf_parse(
			path, (const char *)text.data, text.len, options, &l->conf, problems, err);
	if (rc == 0)
		rc = take(l, path, problems, err);
	conf_problems_sort(problems);
	if (rc == 0 && conf_problems_has_errors(problems))
		rc = conf_problems_verdict(problems, "configuration", err);
	if (rc != 0)
		return rc;
	*out = &TAKE(l)->c;
	return 0;
}

const char *controller_conf_late(
	const struct controller_conf *running, const struct controller_conf *fresh, size_t nth)
{
	const struct controller_conf *a = running, *b = fresh;
	const struct {
		const char *key;
		bool is_same;
	} once[] = { { "name", strcmp(a->name, b->name) == 0 },
		{ "agents_host", strcmp(a->agents_host, b->agents_host) == 0 },
		{ "agents_port", a->agents_port == b->agents_port },
		{ "people_host", strcmp(a->people_host, b->people_host) == 0 },
		{ "people_port", a->people_port == b->people_port },
		{ "agents_address", strcmp(a->agents_address, b->agents_address) == 0 },
		{ "people_address", strcmp(a->people_address, b->people_address) == 0 },
		{ "max_connections", a->max_connections == b->max_connections },
		{ "body_memory", a->body_memory == b->body_memory } };
	for (size_t i = 0; i < sizeof(once) / sizeof(once[0]); i++) {
		if (!once[i].is_same && nth-- == 0)
			return once[i].key;
	}
	return NULL;
}

bool controller_conf_has_same_hosts(
	const struct controller_conf *a, const struct controller_conf *b)
{
	bool is_same = a->host_count == b->host_count;
	for (size_t i = 0; is_same && i < a->host_count; i++)
		is_same = strcmp(a->hosts[i], b->hosts[i]) == 0;
	return is_same;
}
