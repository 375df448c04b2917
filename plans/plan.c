#include "plans/plan.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/fdio.h"
#include "conf/conf.h"
#include "conf/conf_problems.h"
#include "plans/plan_lint.h"

/*
 * INVARIANTS
 * (1) The words of an enum stand in the order of its values, from 1 on.
 * (2) A plan leaves this file only when the problems hold no error.
 * (3) The digest is of the very bytes that were parsed: the file is read once.
 */

#define DAY_NS (INT64_C(86400) * 1000000000)
#define MAX_OBJECTIVE_NS (3660 * DAY_NS) /* ten years: sums of budgets stay far from 292 */
#define MIN_OBJECTIVE_NS INT64_C(1000000000)
#define SOURCE_PREFIX "source:"

/* ---- the language: keys and words ------------------------------------------------------------ */

static const char *const system_words[] = { "historian", "batch_records", "plc_project", "db",
	"file_store", NULL };
static const char *const action_words[] = { "restore", "start", NULL };
static const char *const check_words[] = { "hash_manifest", "row_count", "newest_record", "sql",
	"open_record", "xml", NULL };
static const char *const cleanup_words[] = { "erase", "keep", NULL };

static const struct conf_option step_table[] = {
	{ .key = "name", .type = CONF_STRING, .is_required = true, .min = 1, .max = 200 },
	{ .key = "do", .type = CONF_WORD, .is_required = true, .words = action_words },
	{ .key = "budget",
		.type = CONF_DURATION,
		.min = MIN_OBJECTIVE_NS,
		.max = MAX_OBJECTIVE_NS,
		.help = "how long the step may take" },
	{ .key = NULL },
};

static const struct conf_option check_table[] = {
	{ .key = "id", .type = CONF_STRING, .is_required = true, .min = 1, .max = PLAN_MAX_ID },
	{ .key = "type", .type = CONF_WORD, .is_required = true, .words = check_words },
	{ .key = "mandatory", .type = CONF_BOOL, .fallback = "false" },
	{ .key = "expect",
		.type = CONF_STRING,
		.is_required = true,
		.min = 1,
		.max = 64,
		.help = "what the check must find, such as \"all\", \">=4200\" or \"lag<=10m\"" },
	{ .key = "object", .type = CONF_STRING, .min = 1, .max = 128 },
	{ .key = "query", .type = CONF_STRING },
	{ .key = "sample", .type = CONF_INT, .min = 1, .max = PLAN_MAX_SAMPLE },
	{ .key = NULL },
};

static const struct conf_option system_table[] = {
	{ .key = "id", .type = CONF_STRING, .is_required = true, .min = 1, .max = PLAN_MAX_ID },
	{ .key = "type", .type = CONF_WORD, .is_required = true, .words = system_words },
	{ .key = "tier",
		.type = CONF_INT,
		.is_required = true,
		.min = 1,
		.max = PLAN_MAX_TIER,
		.help = "1 is recovered first" },
	{ .key = "mtpd",
		.type = CONF_DURATION,
		.is_required = true,
		.min = MIN_OBJECTIVE_NS,
		.max = MAX_OBJECTIVE_NS,
		.help = "how long the plant can be without the system" },
	{ .key = "rto",
		.type = CONF_DURATION,
		.is_required = true,
		.min = MIN_OBJECTIVE_NS,
		.max = MAX_OBJECTIVE_NS,
		.help = "how soon the system must be back" },
	{ .key = "rpo",
		.type = CONF_DURATION,
		.is_required = true,
		.min = MIN_OBJECTIVE_NS,
		.max = MAX_OBJECTIVE_NS,
		.help = "how much of the newest data may be lost" },
	{ .key = "after", .type = CONF_STRINGS, .max = PLAN_MAX_AFTER },
	{ .key = "source",
		.type = CONF_STRING,
		.is_required = true,
		.min = 1,
		.max = 512,
		.help = "\"source:\" and the name its snapshots carry" },
	{ .key = "steps",
		.type = CONF_GROUPS,
		.is_required = true,
		.min = 1,
		.max = PLAN_MAX_STEPS,
		.members = step_table },
	{ .key = "checks", .type = CONF_GROUPS, .max = PLAN_MAX_CHECKS, .members = check_table },
	{ .key = NULL },
};

static const struct conf_option target_table[] = {
	{ .key = "host", .type = CONF_STRING, .is_required = true, .min = 1, .max = 253 },
	{ .key = "port", .type = CONF_INT, .is_required = true, .min = 1, .max = 65535 },
	{ .key = NULL },
};

static const struct conf_option sandbox_table[] = {
	{ .key = "must_not_reach",
		.type = CONF_GROUPS,
		.max = PLAN_MAX_TARGETS,
		.members = target_table },
	{ .key = NULL },
};

static const struct conf_option cleanup_table[] = {
	{ .key = "on_success", .type = CONF_WORD, .words = cleanup_words, .fallback = "erase" },
	{ .key = "on_fail", .type = CONF_WORD, .words = cleanup_words, .fallback = "keep" },
	{ .key = NULL },
};

static const struct conf_option plan_table[] = {
	{ .key = "id", .type = CONF_STRING, .is_required = true, .min = 1, .max = PLAN_MAX_ID },
	{ .key = "version",
		.type = CONF_INT,
		.is_required = true,
		.min = 1,
		.max = INT64_C(1000000000) },
	{ .key = "title", .type = CONF_STRING, .is_required = true, .min = 1, .max = 200 },
	{ .key = "systems",
		.type = CONF_GROUPS,
		.is_required = true,
		.min = 1,
		.max = PLAN_MAX_SYSTEMS,
		.members = system_table },
	{ .key = "sandbox", .type = CONF_GROUP, .members = sandbox_table },
	{ .key = "cleanup", .type = CONF_GROUP, .members = cleanup_table },
	{ .key = NULL },
};

static const struct conf_option file_table[] = {
	{ .key = "plan", .type = CONF_GROUP, .is_required = true, .members = plan_table },
	{ .key = NULL },
};

/* The word of value ${v} (from 1); "?" for anything else. */
static const char *word_of(const char *const *words, int v)
{
	for (int i = 1; words[i - 1] != NULL; i++) {
		if (i == v)
			return words[i - 1];
	}
	return "?";
}

const char *plan_system_type_name(enum plan_system_type type)
{
	return word_of(system_words, (int)type);
}

const char *plan_action_name(enum plan_action action)
{
	return word_of(action_words, (int)action);
}

const char *plan_check_type_name(enum plan_check_type type)
{
	return word_of(check_words, (int)type);
}

const char *plan_cleanup_name(enum plan_cleanup rule)
{
	return word_of(cleanup_words, (int)rule);
}

bool plan_system_type_is_database(enum plan_system_type type)
{
	return type == PLAN_SYSTEM_HISTORIAN || type == PLAN_SYSTEM_DB;
}

/* ---- life ------------------------------------------------------------------------------------ */

static void system_done(struct plan_system *s)
{
	for (size_t i = 0; i < s->after_count; i++)
		free(s->after[i].id);
	for (size_t i = 0; i < s->step_count; i++)
		free(s->steps[i].name);
	for (size_t i = 0; i < s->check_count; i++) {
		free(s->checks[i].id);
		free(s->checks[i].expect_text);
		free(s->checks[i].object);
		free(s->checks[i].query);
	}
	free(s->after);
	free(s->steps);
	free(s->checks);
	free(s->id);
	free(s->source);
}

void plan_free(struct plan *p)
{
	if (p == NULL)
		return;
	for (size_t i = 0; i < p->system_count; i++)
		system_done(&p->systems[i]);
	for (size_t i = 0; i < p->must_not_reach_count; i++)
		free(p->must_not_reach[i].host);
	free(p->systems);
	free(p->must_not_reach);
	free(p->file);
	free(p->id);
	free(p->title);
	free(p);
}

DEFINE_CLEANUP(struct plan *, plan_free)
DEFINE_CLEANUP(struct conf *, conf_free)

size_t plan_find_system(const struct plan *p, const char *id)
{
	for (size_t i = 0; i < p->system_count; i++) {
		if (p->systems[i].id != NULL && strcmp(p->systems[i].id, id) == 0)
			return i;
	}
	return PLAN_NO_INDEX;
}

/* ---- from the file's tree to the plan -------------------------------------------------------- */

/* Copy a text member; none stays NULL. */
static int copy_text(const struct conf_node *n, const char *key, char **out, struct err *err)
{
	const char *text = conf_text(n, key);
	if (text == NULL)
		return 0;
	*out = strdup(text);
	return *out != NULL ? 0 : err_set(err, ERR_NOMEM, "out of memory");
}

/* Zeroed room for the members of a list.  Return NULL only when out of memory. */
static void *new_list(const struct conf_node *n, const char *key, size_t bytes, struct err *err)
{
	size_t members = conf_count(n, key);
	void *list = calloc(members > 0 ? members : 1, bytes);
	if (list == NULL)
		(void)err_set(err, ERR_NOMEM, "out of memory"); /* the caller returns it */
	return list;
}

static int word_number(const struct conf_node *n, const char *key)
{
	return (int)conf_number(n, key, -1) + 1;
}

static int build_after(const struct conf_node *n, struct plan_system *s, struct err *err)
{
	s->after = new_list(n, "after", sizeof(*s->after), err);
	if (s->after == NULL)
		return -ERR_NOMEM;
	s->after_count = conf_count(n, "after");
	int rc = 0;
	for (size_t i = 0; i < s->after_count && rc == 0; i++) {
		s->after[i].index = PLAN_NO_INDEX;
		s->after[i].line = conf_item_line(n, "after", i);
		s->after[i].id = strdup(conf_item_text(n, "after", i));
		if (s->after[i].id == NULL)
			rc = err_set(err, ERR_NOMEM, "out of memory");
	}
	return rc;
}

static int build_steps(const struct conf_node *n, struct plan_system *s, struct err *err)
{
	s->steps = new_list(n, "steps", sizeof(*s->steps), err);
	if (s->steps == NULL)
		return -ERR_NOMEM;
	s->step_count = conf_count(n, "steps");
	int rc = 0;
	for (size_t i = 0; i < s->step_count && rc == 0; i++) {
		const struct conf_node *e = conf_item(n, "steps", i);
		struct plan_step *step = &s->steps[i];
		step->line = conf_node_line(e);
		step->action = (enum plan_action)word_number(e, "do");
		step->budget_ns = conf_number(e, "budget", 0);
		rc = copy_text(e, "name", &step->name, err);
	}
	return rc;
}

static int build_check(const struct conf_node *n, struct plan_check *c,
	struct conf_problems *problems, struct err *err)
{
	c->line = conf_node_line(n);
	c->expect_line = conf_line(n, "expect");
	c->object_line = conf_line(n, "object");
	c->query_line = conf_line(n, "query");
	c->sample_line = conf_line(n, "sample");
	c->type = (enum plan_check_type)word_number(n, "type");
	c->is_mandatory = conf_number(n, "mandatory", 0) != 0;
	c->sample = (int)conf_number(n, "sample", 0);
	int rc = copy_text(n, "id", &c->id, err);
	if (rc == 0)
		rc = copy_text(n, "expect", &c->expect_text, err);
	if (rc == 0)
		rc = copy_text(n, "object", &c->object, err);
	if (rc == 0)
		rc = copy_text(n, "query", &c->query, err);
	if (rc == 0 && c->expect_text != NULL) {
		struct err why = ERR_INIT;
		if (plan_expect_parse(c->expect_text, &c->expect, &why) != 0)
			conf_problems_add(problems, CONF_ERROR, c->expect_line, "%s", why.msg);
	}
	return rc;
}

static int build_checks(const struct conf_node *n, struct plan_system *s,
	struct conf_problems *problems, struct err *err)
{
	s->checks = new_list(n, "checks", sizeof(*s->checks), err);
	if (s->checks == NULL)
		return -ERR_NOMEM;
	s->check_count = conf_count(n, "checks");
	int rc = 0;
	for (size_t i = 0; i < s->check_count && rc == 0; i++)
		rc = build_check(conf_item(n, "checks", i), &s->checks[i], problems, err);
	return rc;
}

static int build_source(const struct conf_node *n, struct plan_system *s,
	struct conf_problems *problems, struct err *err)
{
	const char *text = conf_text(n, "source");
	if (text == NULL)
		return 0;
	size_t prefix = strlen(SOURCE_PREFIX);
	if (strncmp(text, SOURCE_PREFIX, prefix) != 0 || text[prefix] == '\0') {
		conf_problems_add(problems, CONF_ERROR, conf_line(n, "source"),
			"unable to use source \"%.64s\": expected \"source:\" and the name its "
			"snapshots carry",
			text);
		return 0;
	}
	s->source_line = conf_line(n, "source");
	s->source = strdup(text + prefix);
	return s->source != NULL ? 0 : err_set(err, ERR_NOMEM, "out of memory");
}

static int build_system(const struct conf_node *n, struct plan_system *s,
	struct conf_problems *problems, struct err *err)
{
	s->line = conf_node_line(n);
	s->rto_line = conf_line(n, "rto");
	s->steps_line = conf_line(n, "steps");
	s->type = (enum plan_system_type)word_number(n, "type");
	s->tier = (int)conf_number(n, "tier", 0);
	s->mtpd_ns = conf_number(n, "mtpd", 0);
	s->rto_ns = conf_number(n, "rto", 0);
	s->rpo_ns = conf_number(n, "rpo", 0);
	int rc = copy_text(n, "id", &s->id, err);
	if (rc == 0)
		rc = build_source(n, s, problems, err);
	if (rc == 0)
		rc = build_after(n, s, err);
	if (rc == 0)
		rc = build_steps(n, s, err);
	return rc == 0 ? build_checks(n, s, problems, err) : rc;
}

static int build_systems(
	const struct conf_node *n, struct plan *p, struct conf_problems *problems, struct err *err)
{
	p->systems = new_list(n, "systems", sizeof(*p->systems), err);
	if (p->systems == NULL)
		return -ERR_NOMEM;
	p->system_count = conf_count(n, "systems");
	int rc = 0;
	for (size_t i = 0; i < p->system_count && rc == 0; i++)
		rc = build_system(conf_item(n, "systems", i), &p->systems[i], problems, err);
	for (size_t i = 0; i < p->system_count && rc == 0; i++) {
		struct plan_system *s = &p->systems[i];
		for (size_t k = 0; k < s->after_count; k++)
			s->after[k].index = plan_find_system(p, s->after[k].id);
	}
	return rc;
}

static int build_sandbox(const struct conf_node *n, struct plan *p, struct err *err)
{
	if (n == NULL)
		return 0;
	p->must_not_reach = new_list(n, "must_not_reach", sizeof(*p->must_not_reach), err);
	if (p->must_not_reach == NULL)
		return -ERR_NOMEM;
	p->must_not_reach_count = conf_count(n, "must_not_reach");
	int rc = 0;
	for (size_t i = 0; i < p->must_not_reach_count && rc == 0; i++) {
		const struct conf_node *e = conf_item(n, "must_not_reach", i);
		p->must_not_reach[i].line = conf_node_line(e);
		p->must_not_reach[i].port = (int)conf_number(e, "port", 0);
		rc = copy_text(e, "host", &p->must_not_reach[i].host, err);
	}
	return rc;
}

static int build_plan(
	const struct conf_node *n, struct plan *p, struct conf_problems *problems, struct err *err)
{
	p->line = conf_node_line(n);
	p->id_line = conf_line(n, "id");
	p->version = conf_number(n, "version", 0);
	const struct conf_node *cleanup = conf_group(n, "cleanup");
	p->on_success = cleanup != NULL ? (enum plan_cleanup)word_number(cleanup, "on_success")
					: PLAN_CLEANUP_ERASE;
	p->on_fail = cleanup != NULL ? (enum plan_cleanup)word_number(cleanup, "on_fail")
				     : PLAN_CLEANUP_KEEP;
	int rc = copy_text(n, "id", &p->id, err);
	if (rc == 0)
		rc = copy_text(n, "title", &p->title, err);
	if (rc == 0)
		rc = build_sandbox(conf_group(n, "sandbox"), p, err);
	return rc == 0 ? build_systems(n, p, problems, err) : rc;
}

int plan_draft(const char *name, const char *text, size_t len, struct plan **out,
	struct conf_problems *problems, struct err *err)
{
	CLEANUP(conf_free_p) struct conf *conf = NULL;
	int rc = conf_parse(name, text, len, file_table, &conf, problems, err);
	if (rc != 0)
		return rc;
	CLEANUP(plan_free_p) struct plan *p = calloc(1, sizeof(*p));
	if (p == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	p->file = strdup(name);
	if (p->file == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	hash_sha256(text, len, p->sha256);

	const struct conf_node *group = conf_group(conf_root(conf), "plan");
	if (group != NULL) {
		rc = build_plan(group, p, problems, err);
		if (rc == 0)
			rc = plan_lint_check(p, problems, err);
	}
	conf_problems_sort(problems);
	if (rc == 0)
		*out = TAKE(p);
	return rc;
}

/* Only a plan without errors goes out. */
static int judge(struct plan *draft, struct plan **out, const struct conf_problems *problems,
	struct err *err)
{
	CLEANUP(plan_free_p) struct plan *p = draft;
	int rc = conf_problems_verdict(problems, "plan", err);
	if (rc == 0)
		*out = TAKE(p);
	return rc;
}

int plan_parse(const char *name, const char *text, size_t len, struct plan **out,
	struct conf_problems *problems, struct err *err)
{
	struct plan *p = NULL;
	int rc = plan_draft(name, text, len, &p, problems, err);
	return rc == 0 ? judge(p, out, problems, err) : rc;
}

int plan_draft_load(
	const char *path, struct plan **out, struct conf_problems *problems, struct err *err)
{
	CLEANUP(buf_done) struct buf bytes = BUF_INIT(CONF_MAX_BYTES);
	int rc = fdio_read_file(AT_FDCWD, path, &bytes, err);
	if (rc != 0)
		return rc;
	const char *text = bytes.len > 0 ? (const char *)bytes.data : "";
	return plan_draft(path, text, bytes.len, out, problems, err);
}

int plan_load(const char *path, struct plan **out, struct conf_problems *problems, struct err *err)
{
	struct plan *p = NULL;
	int rc = plan_draft_load(path, &p, problems, err);
	return rc == 0 ? judge(p, out, problems, err) : rc;
}
