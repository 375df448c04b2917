#include "plans/plan_lint.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/human.h"
#include "conf/conf_problems.h"
#include "plans/plan.h"
#include "plans/plan_order.h"

/*
 * INVARIANTS
 * (1) A rule that compares values speaks only when all of them are known, so that one slip in a
 *     file does not become many messages.
 */

#define CYCLE_TEXT_BYTES 384
#define LABEL_MAX 63 /* of a host name */
#define QUERY_SHOWN_BYTES 64

/* Ids become names of files and of report entries. */
static bool is_id(const char *id)
{
	for (const char *c = id; *c != '\0'; c++) {
		bool fits = isalnum((unsigned char)*c) ||
			    (c != id && (*c == '.' || *c == '_' || *c == '-'));
		if (!fits || (unsigned char)*c > 0x7f)
			return false;
	}
	return *id != '\0';
}

static void check_id(const char *id, int line, struct conf_problems *problems)
{
	if (id != NULL && !is_id(id))
		conf_problems_add(problems, CONF_ERROR, line,
			"unable to use id '%s': expected letters, digits, '.', '_' and '-', a "
			"letter or digit first",
			id);
}

static const char *name_of(const struct plan_system *s)
{
	return s->id != NULL ? s->id : "?";
}

/* ---- ids and dependencies -------------------------------------------------------------------- */

static void check_system_ids(const struct plan *p, struct conf_problems *problems)
{
	check_id(p->id, p->id_line, problems);
	for (size_t i = 0; i < p->system_count; i++) {
		const struct plan_system *s = &p->systems[i];
		check_id(s->id, s->line, problems);
		size_t first = s->id != NULL ? plan_find_system(p, s->id) : i;
		if (first != i)
			conf_problems_add(problems, CONF_ERROR, s->line,
				"system id '%s' is taken by the system in line %d", s->id,
				p->systems[first].line);
	}
}

static void check_check_ids(const struct plan_system *s, struct conf_problems *problems)
{
	for (size_t i = 0; i < s->check_count; i++) {
		const struct plan_check *c = &s->checks[i];
		check_id(c->id, c->line, problems);
		for (size_t k = 0; k < i && c->id != NULL; k++) {
			const struct plan_check *other = &s->checks[k];
			if (other->id == NULL || strcmp(other->id, c->id) != 0)
				continue;
			conf_problems_add(problems, CONF_ERROR, c->line,
				"check id '%s' of system '%s' is taken by the check in line %d",
				c->id, name_of(s), other->line);
			break;
		}
	}
}

static void check_after(
	const struct plan *p, const struct plan_system *s, struct conf_problems *problems)
{
	char mine[HUMAN_BYTES];
	char theirs[HUMAN_BYTES];
	for (size_t i = 0; i < s->after_count; i++) {
		const struct plan_dependency *d = &s->after[i];
		for (size_t k = 0; k < i; k++) {
			if (strcmp(s->after[k].id, d->id) == 0)
				conf_problems_add(problems, CONF_WARNING, d->line,
					"system '%s' names '%s' twice in after", name_of(s), d->id);
		}
		if (d->index == PLAN_NO_INDEX) {
			conf_problems_add(problems, CONF_ERROR, d->line,
				"system '%s' comes after '%s', which is not a system of this plan",
				name_of(s), d->id);
			continue;
		}
		const struct plan_system *other = &p->systems[d->index];
		if (other != s && other->rto_ns != 0 && s->rto_ns != 0 && other->rto_ns > s->rto_ns)
			conf_problems_add(problems, CONF_ERROR, s->rto_line,
				"rto of '%s' is %s, but it comes after '%s', which has %s",
				name_of(s), human_duration(mine, s->rto_ns), d->id,
				human_duration(theirs, other->rto_ns));
	}
}

static void tell_cycle(
	const struct plan *p, const size_t *cycle, size_t len, struct conf_problems *problems)
{
	char text[CYCLE_TEXT_BYTES] = "";
	size_t used = 0;
	for (size_t i = 0; i < len && used < sizeof(text); i++)
		used += (size_t)snprintf(text + used, sizeof(text) - used, "%s -> ",
			name_of(&p->systems[cycle[i]])); /* a long one is cut */
	const struct plan_system *first = &p->systems[cycle[0]];
	conf_problems_add(problems, CONF_ERROR, first->line, "systems wait for each other: %s%s",
		text, name_of(first));
}

/* ---- objectives ------------------------------------------------------------------------------ */

static void check_budgets(
	const struct plan *p, const int64_t *finish_ns, size_t i, struct conf_problems *problems)
{
	char mine[HUMAN_BYTES];
	char needed[HUMAN_BYTES];
	const struct plan_system *s = &p->systems[i];
	if (s->rto_ns != 0 && finish_ns[i] > s->rto_ns)
		conf_problems_add(problems, CONF_ERROR, s->rto_line,
			"rto of '%s' is %s, but the budgets on its critical path add up to %s",
			name_of(s), human_duration(mine, s->rto_ns),
			human_duration(needed, finish_ns[i]));
	size_t without = 0;
	for (size_t k = 0; k < s->step_count; k++)
		without += s->steps[k].budget_ns == 0 ? 1 : 0;
	if (without > 0)
		conf_problems_add(problems, CONF_WARNING, s->steps_line,
			"%zu of %zu steps of '%s' have no budget, so its critical path counts them "
			"as nothing",
			without, s->step_count, name_of(s));
}

/* Cycles, or else the sums along the paths. */
static int check_paths(const struct plan *p, struct conf_problems *problems, struct err *err)
{
	size_t room = p->system_count + 1;
	CLEANUP(cleanup_free_p) bool *done = calloc(room, sizeof(*done));
	CLEANUP(cleanup_free_p) size_t *cycle = calloc(room, sizeof(*cycle));
	CLEANUP(cleanup_free_p) int64_t *finish_ns = calloc(room, sizeof(*finish_ns));
	if (done == NULL || cycle == NULL || finish_ns == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");

	size_t len = plan_order_cycle(p, done, cycle);
	if (len > 0) {
		for (; len > 0; len = plan_order_cycle(p, done, cycle))
			tell_cycle(p, cycle, len, problems);
		return 0;
	}
	int64_t longest;
	int rc = plan_order_critical_path(p, finish_ns, &longest, err);
	for (size_t i = 0; i < p->system_count && rc == 0; i++)
		check_budgets(p, finish_ns, i, problems);
	return rc;
}

static void check_objectives(const struct plan_system *s, struct conf_problems *problems)
{
	char rto[HUMAN_BYTES];
	char mtpd[HUMAN_BYTES];
	if (s->rto_ns != 0 && s->mtpd_ns != 0 && s->rto_ns > s->mtpd_ns)
		conf_problems_add(problems, CONF_ERROR, s->rto_line,
			"rto of '%s' is %s, longer than its mtpd of %s", name_of(s),
			human_duration(rto, s->rto_ns), human_duration(mtpd, s->mtpd_ns));
}

/* ---- steps ----------------------------------------------------------------------------------- */

static void check_steps(const struct plan_system *s, struct conf_problems *problems)
{
	size_t seen[PLAN_ACTION_START + 1] = { 0 };
	for (size_t i = 0; i < s->step_count; i++) {
		const struct plan_step *step = &s->steps[i];
		if (i == 0 && step->action == PLAN_ACTION_START)
			conf_problems_add(problems, CONF_ERROR, step->line,
				"the first step of '%s' does \"%s\", and must do \"restore\"",
				name_of(s), plan_action_name(step->action));
		if (step->action != PLAN_ACTION_NONE && ++seen[step->action] > 1)
			conf_problems_add(problems, CONF_ERROR, step->line,
				"'%s' does \"%s\" twice", name_of(s),
				plan_action_name(step->action));
		if (step->action == PLAN_ACTION_START && s->type != PLAN_SYSTEM_NONE &&
			!plan_system_type_is_database(s->type))
			conf_problems_add(problems, CONF_ERROR, step->line,
				"\"start\" fits a historian or db, and '%s' is of type %s",
				name_of(s), plan_system_type_name(s->type));
	}
}

static bool has_action(const struct plan_system *s, enum plan_action action)
{
	for (size_t i = 0; i < s->step_count; i++) {
		/* a step that was not understood may have been it */
		if (s->steps[i].action == action || s->steps[i].action == PLAN_ACTION_NONE)
			return true;
	}
	return s->step_count == 0;
}

/* ---- checks ---------------------------------------------------------------------------------- */

/* What a type of check is and needs. */
struct check_rule {
	bool is_content; /* shows what the content means, not only that its bytes came back */
	bool needs_database;
	bool needs_object;
	bool needs_query;
	bool needs_sample;
	bool takes_all;
	bool takes_value;
	bool takes_lag;
	const char *forms; /* of expect */
};

static const struct check_rule rules[] = {
	[PLAN_CHECK_HASH_MANIFEST] = { .takes_all = true, .forms = "\"all\"" },
	[PLAN_CHECK_ROW_COUNT] = { .is_content = true,
		.needs_database = true,
		.needs_object = true,
		.takes_value = true,
		.forms = "an operator and a value, such as \">=4200\" or \"==manifest\"" },
	[PLAN_CHECK_NEWEST_RECORD] = { .is_content = true,
		.needs_database = true,
		.needs_object = true,
		.takes_lag = true,
		.forms = "a lag, such as \"lag<=10m\"" },
	[PLAN_CHECK_SQL] = { .is_content = true,
		.needs_database = true,
		.needs_query = true,
		.takes_value = true,
		.forms = "an operator and a number, such as \">=4200\"" },
	[PLAN_CHECK_OPEN_RECORD] = { .is_content = true,
		.needs_sample = true,
		.takes_all = true,
		.takes_value = true,
		.forms = "\"all\", or an operator and a number" },
	[PLAN_CHECK_XML] = { .is_content = true, .takes_all = true, .forms = "\"all\"" },
};

/* A table's name, with its schema if need be; '*' at the end stands for any rest. */
static bool is_object(const char *object)
{
	size_t parts = 1;
	bool is_first = true;
	for (const char *c = object; *c != '\0'; c++) {
		if (*c == '*' && !is_first && c[1] == '\0')
			return true;
		if (*c == '.' && !is_first && parts == 1) {
			parts = 2;
			is_first = true;
			continue;
		}
		bool fits = (unsigned char)*c < 0x80 &&
			    (*c == '_' || isalpha((unsigned char)*c) ||
				    (!is_first && isdigit((unsigned char)*c)));
		if (!fits)
			return false;
		is_first = false;
	}
	return !is_first;
}

static bool is_single_select(const char *query)
{
	static const char word[] = "select";
	query += strspn(query, " \t\n(");
	size_t len = sizeof(word) - 1;
	return strncasecmp(query, word, len) == 0 && query[len] != '\0' &&
	       strchr(" \t\n(", query[len]) != NULL && strchr(query, ';') == NULL;
}

/* A key of a check that must be there, or must not. */
static void check_key(const struct plan_check *c, const char *key, bool is_needed, bool is_there,
	int line, struct conf_problems *problems)
{
	if (is_needed && !is_there)
		conf_problems_add(problems, CONF_ERROR, c->line, "a check of type %s needs '%s'",
			plan_check_type_name(c->type), key);
	if (!is_needed && is_there)
		conf_problems_add(problems, CONF_ERROR, line, "a check of type %s has no '%s'",
			plan_check_type_name(c->type), key);
}

static void check_expect(
	const struct plan_check *c, const struct check_rule *rule, struct conf_problems *problems)
{
	bool fits = true;
	switch (c->expect.kind) {
	case PLAN_EXPECT_NONE:
		return; /* told by the reader */
	case PLAN_EXPECT_ALL:
		fits = rule->takes_all;
		break;
	case PLAN_EXPECT_VALUE:
		/* only row counts are in the manifest */
		fits = rule->takes_value &&
		       (!c->expect.is_manifest || c->type == PLAN_CHECK_ROW_COUNT);
		break;
	case PLAN_EXPECT_LAG:
		fits = rule->takes_lag;
		break;
	}
	if (!fits)
		conf_problems_add(problems, CONF_ERROR, c->expect_line,
			"a check of type %s cannot expect \"%s\": expected %s",
			plan_check_type_name(c->type), c->expect_text, rule->forms);
}

static void check_check(
	const struct plan_system *s, const struct plan_check *c, struct conf_problems *problems)
{
	if (c->type == PLAN_CHECK_NONE)
		return;
	const struct check_rule *rule = &rules[c->type];
	const char *type = plan_check_type_name(c->type);
	if (rule->needs_database && s->type != PLAN_SYSTEM_NONE &&
		!plan_system_type_is_database(s->type))
		conf_problems_add(problems, CONF_ERROR, c->line,
			"a check of type %s fits a historian or db, and '%s' is of type %s", type,
			name_of(s), plan_system_type_name(s->type));
	else if (rule->needs_database && !has_action(s, PLAN_ACTION_START))
		conf_problems_add(problems, CONF_ERROR, c->line,
			"a check of type %s asks the database, but no step of '%s' does \"start\"",
			type, name_of(s));
	check_key(c, "object", rule->needs_object, c->object != NULL, c->object_line, problems);
	check_key(c, "query", rule->needs_query, c->query != NULL, c->query_line, problems);
	check_key(c, "sample", rule->needs_sample, c->sample != 0, c->sample_line, problems);
	if (rule->needs_object && c->object != NULL && !is_object(c->object))
		conf_problems_add(problems, CONF_ERROR, c->object_line,
			"unable to use object \"%s\": expected a table, \"schema.table\", or "
			"\"table*\" for all that begin so",
			c->object);
	if (rule->needs_query && c->query != NULL && !is_single_select(c->query))
		conf_problems_add(problems, CONF_ERROR, c->query_line,
			"unable to use query \"%.*s\"%s: expected a single SELECT without ';'",
			QUERY_SHOWN_BYTES, c->query,
			strlen(c->query) > QUERY_SHOWN_BYTES ? ".." : "");
	check_expect(c, rule, problems);
}

static void check_checks(const struct plan_system *s, struct conf_problems *problems)
{
	bool has_content = false;
	bool has_mandatory = false;
	bool is_understood = true;
	for (size_t i = 0; i < s->check_count; i++) {
		const struct plan_check *c = &s->checks[i];
		check_check(s, c, problems);
		is_understood = is_understood && c->type != PLAN_CHECK_NONE;
		has_mandatory = has_mandatory || c->is_mandatory;
		has_content = has_content || (c->is_mandatory && rules[c->type].is_content);
	}
	if (!is_understood)
		return;
	if (s->tier == 1 && !has_content)
		conf_problems_add(problems, CONF_ERROR, s->line,
			"'%s' is of tier 1 and needs a mandatory check of its content (%s)",
			name_of(s),
			plan_system_type_is_database(s->type) ? "row_count, newest_record, sql"
							      : "open_record, xml");
	else if (!has_mandatory)
		conf_problems_add(problems, CONF_WARNING, s->line,
			"'%s' has no mandatory check, so a drill shows nothing about it",
			name_of(s));
}

/* ---- the sandbox ----------------------------------------------------------------------------- */

static bool is_host_name(const char *host)
{
	size_t label = 0;
	bool has_letter = false;
	for (const char *c = host; *c != '\0'; c++) {
		if (*c == '.') {
			if (label == 0 || c[-1] == '-')
				return false;
			label = 0;
			continue;
		}
		bool is_letter = (unsigned char)*c < 0x80 && isalpha((unsigned char)*c);
		bool is_digit = *c >= '0' && *c <= '9';
		if ((!is_letter && !is_digit && (*c != '-' || label == 0)) || ++label > LABEL_MAX)
			return false;
		has_letter = has_letter || is_letter;
	}
	return has_letter && label > 0 && host[strlen(host) - 1] != '-';
}

static bool is_host(const char *host)
{
	unsigned char address[sizeof(struct in6_addr)];
	return inet_pton(AF_INET, host, address) == 1 || inet_pton(AF_INET6, host, address) == 1 ||
	       is_host_name(host);
}

static void check_sandbox(const struct plan *p, struct conf_problems *problems)
{
	for (size_t i = 0; i < p->must_not_reach_count; i++) {
		const struct plan_target *t = &p->must_not_reach[i];
		if (t->host != NULL && !is_host(t->host))
			conf_problems_add(problems, CONF_ERROR, t->line,
				"unable to use host \"%s\": expected one address or host name",
				t->host);
	}
	if (p->must_not_reach_count == 0)
		conf_problems_add(problems, CONF_WARNING, p->line,
			"sandbox.must_not_reach is empty, so a drill cannot show its isolation");
}

int plan_lint_check(const struct plan *p, struct conf_problems *problems, struct err *err)
{
	check_system_ids(p, problems);
	for (size_t i = 0; i < p->system_count; i++) {
		const struct plan_system *s = &p->systems[i];
		check_check_ids(s, problems);
		check_after(p, s, problems);
		check_objectives(s, problems);
		check_steps(s, problems);
		check_checks(s, problems);
	}
	check_sandbox(p, problems);
	return check_paths(p, problems, err);
}
