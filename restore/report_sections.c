#include "restore/report_sections.h"

#include <stdio.h>
#include <string.h>

#include "base/human.h"
#include "restore/report.h"
#include "restore/report_markup.h"
#include "restore/report_shape.h"
#include "restore/report_words.h"

/*
 * INVARIANTS
 * (1) All text of the report goes through report_markup_text() or _element().
 * (2) A table head cell has a scope; a word that judges has a symbol beside its colour.
 */

static void open_section(struct report_markup *m, const char *title)
{
	report_markup_raw(m, "<section class=\"card\">");
	report_markup_element(m, "h2", title);
}

static void close_section(struct report_markup *m)
{
	report_markup_raw(m, "</section>\n");
}

static void open_table(struct report_markup *m, const char *caption, const char *const *columns)
{
	report_markup_raw(m, "<div class=\"scroll\"><table>");
	if (caption != NULL)
		report_markup_element(m, "caption", caption);
	report_markup_raw(m, "<thead><tr>");
	for (; *columns != NULL; columns++) {
		/* a leading # marks a column of numbers */
		if (**columns == '#')
			report_markup_element(m, "th scope=\"col\" class=\"n\"", *columns + 1);
		else
			report_markup_element(m, "th scope=\"col\"", *columns);
	}
	report_markup_raw(m, "</tr></thead>\n<tbody>\n");
}

static void close_table(struct report_markup *m)
{
	report_markup_raw(m, "</tbody></table></div>\n");
}

/* A cell; what the report does not say is shown as a dash. */
static void cell(struct report_markup *m, const char *text)
{
	report_markup_element(m, "td", text == NULL ? "–" : text);
}

static void cell_duration(struct report_markup *m, int64_t ms)
{
	char text[REPORT_WORDS_BYTES];
	report_markup_element(
		m, "td class=\"n\"", ms == REPORT_NONE ? "–" : report_words_duration(text, ms));
}

static void cell_number(struct report_markup *m, int64_t n)
{
	if (n == REPORT_NONE)
		report_markup_raw(m, "<td class=\"n\">–</td>");
	else
		report_markup_rawf(m, "<td class=\"n\">%lld</td>", (long long)n);
}

static void cell_pill(struct report_markup *m, const char *tone, const char *word)
{
	report_markup_raw(m, "<td>");
	report_sections_pill(m, tone, word);
	report_markup_raw(m, "</td>");
}

static void pair(struct report_markup *m, const char *name, const char *text)
{
	if (text == NULL)
		return;
	report_markup_element(m, "dt", name);
	report_markup_element(m, "dd", text);
}

static void pair_code(struct report_markup *m, const char *name, const char *text)
{
	if (text == NULL)
		return;
	report_markup_element(m, "dt", name);
	report_markup_raw(m, "<dd><code>");
	report_markup_text(m, text);
	report_markup_raw(m, "</code></dd>\n");
}

static void pair_number(struct report_markup *m, const char *name, int64_t n)
{
	char text[32];
	if (n == REPORT_NONE)
		return;
	(void)snprintf(text, sizeof(text), "%lld", (long long)n); /* fits */
	pair(m, name, text);
}

static void pair_size(struct report_markup *m, const char *name, int64_t bytes)
{
	char text[HUMAN_BYTES];
	if (bytes != REPORT_NONE)
		pair(m, name, human_size(text, bytes < 0 ? 0 : (uint64_t)bytes));
}

static void pair_time(struct report_markup *m, const char *name, int64_t ms)
{
	char text[REPORT_WORDS_BYTES];
	if (ms != REPORT_NONE)
		pair(m, name, report_words_time(text, ms));
}

void report_sections_pill(struct report_markup *m, const char *tone, const char *word)
{
	const char *icon = strcmp(tone, "ok") == 0     ? "pass"
			   : strcmp(tone, "bad") == 0  ? "fail"
			   : strcmp(tone, "note") == 0 ? "note"
						       : "gap";
	report_markup_rawf(m,
		"<span class=\"pill s-%s\"><svg aria-hidden=\"true\"><use href=\"#i-%s\"/></svg>",
		tone, icon);
	report_markup_text(m, word);
	report_markup_raw(m, "</span>");
}

void report_sections_verdict(struct report_markup *m, unsigned verdict)
{
	bool is_pass = verdict == REPORT_PASS || verdict == REPORT_PASS_WITH_FINDINGS;
	report_sections_pill(m,
		is_pass                  ? "ok"
		: verdict == REPORT_FAIL ? "bad"
					 : "gap",
		report_words_verdict(verdict));
}

static const char *status_tone(unsigned status)
{
	return status == REPORT_STATUS_PASS ? "ok" : status == REPORT_STATUS_FAIL ? "bad" : "gap";
}

static void put_finding(const struct report_finding *f, struct report_markup *m)
{
	const char *tone = f->grade == REPORT_MAJOR   ? "bad"
			   : f->grade == REPORT_MINOR ? "gap"
						      : "note";
	report_markup_raw(m, "<tr>");
	report_markup_element(m, "th scope=\"row\"", f->id);
	cell_pill(m, tone, report_words_grade(f->grade));
	report_markup_element(m, "td class=\"w\"", f->system == NULL ? "the drill" : f->system);
	cell(m, f->description);
	report_markup_raw(m, "</tr>\n");
}

void report_sections_findings(const struct report *r, struct report_markup *m)
{
	static const char *const columns[] = { "No.", "Grade", "System", "Finding", NULL };
	open_section(m, "Findings");
	if (r->findings_count == 0) {
		report_markup_raw(m, "<p>No findings: every rule of the judgement holds.</p>\n");
		close_section(m);
		return;
	}
	open_table(m, NULL, columns);
	for (unsigned grade = REPORT_MAJOR; grade <= REPORT_OBSERVATION; grade++) {
		for (size_t i = 0; i < r->findings_count; i++) {
			if (r->findings[i]->grade == grade)
				put_finding(r->findings[i], m);
		}
	}
	close_table(m);
	close_section(m);
}

static void put_recovery_point(const struct report_system *s, struct report_markup *m)
{
	const struct report_recovery_point *p = &s->recovery_point;
	char text[REPORT_WORDS_BYTES];

	report_markup_raw(m, "<dl class=\"pairs two\">");
	if (s->depends_on.count > 0) {
		report_markup_raw(m, "<dt>Depends on</dt><dd>");
		for (size_t i = 0; i < s->depends_on.count; i++) {
			report_markup_raw(m, i == 0 ? "" : ", ");
			report_markup_text(m, s->depends_on.items[i]);
		}
		report_markup_raw(m, "</dd>\n");
	}
	pair(m, "Source", p->source);
	pair_time(m, "Snapshot taken", p->snapshot_at);
	pair_number(m, "Snapshot number", p->seq);
	if (p->consistency != 0)
		pair(m, "Captured", report_words_consistency(p->consistency));
	pair_time(m, "Newest data in it", p->data_as_of);
	if (p->rpa_basis == REPORT_RPA_SNAPSHOT_TIME)
		pair(m, "Age of the data", "judged by the time of the snapshot");
	if (p->recovery_envelope != 0)
		pair(m, "Recovery key envelope", report_words_envelope(p->recovery_envelope));
	pair_size(m, "Restored", s->volume.logical_bytes);
	pair_size(m, "Read from the store", s->volume.transferred_bytes);
	pair_number(m, "Files and objects", s->volume.objects);
	if (s->mtpd_ms != REPORT_NONE)
		pair(m, "Tolerated outage (MTPD)", report_words_duration(text, s->mtpd_ms));
	report_markup_raw(m, "</dl><dl class=\"pairs\">\n");
	pair_code(m, "Snapshot hash", p->snapshot_id);
	pair_code(m, "Root", p->root_id);
	report_markup_raw(m, "</dl>\n");
}

static void put_steps(const struct report_system *s, struct report_markup *m)
{
	static const char *const columns[] = { "Step", "Action", "#Took", "#Planned", "Status",
		"Observed", NULL };
	if (s->steps_count == 0)
		return;
	report_markup_raw(m, "<h3>Steps</h3>\n");
	open_table(m, NULL, columns);
	for (size_t i = 0; i < s->steps_count; i++) {
		const struct report_step *p = s->steps[i];
		bool is_timed = p->started != REPORT_NONE && p->ended != REPORT_NONE;
		report_markup_raw(m, "<tr>");
		report_markup_element(m, "th scope=\"row\"", p->name);
		cell(m, p->action);
		cell_duration(m, is_timed ? p->ended - p->started : REPORT_NONE);
		cell_duration(m, p->budget_ms);
		cell_pill(m, status_tone(p->status), report_words_status(p->status));
		cell(m, p->observed);
		report_markup_raw(m, "</tr>\n");
	}
	close_table(m);
}

static void put_checks(const struct report_system *s, struct report_markup *m)
{
	static const char *const columns[] = { "Check", "Type", "Expected", "Observed", "#Examined",
		"#Took", "Status", NULL };
	if (s->checks_count == 0) {
		report_markup_raw(m, "<p>No checks were run.</p>\n");
		return;
	}
	report_markup_raw(m, "<h3>Checks</h3>\n");
	open_table(m, NULL, columns);
	for (size_t i = 0; i < s->checks_count; i++) {
		const struct report_content_check *c = s->checks[i];
		report_markup_raw(m, "<tr><th scope=\"row\">");
		report_markup_text(m, c->id);
		report_markup_raw(
			m, c->is_mandatory ? "</th>" : "<br><small>optional</small></th>");
		cell(m, c->type);
		cell(m, c->expected);
		cell(m, c->observed);
		cell_number(m, c->items_examined);
		cell_duration(m, c->duration_ms);
		cell_pill(m, status_tone(c->status), report_words_status(c->status));
		report_markup_raw(m, "</tr>\n");
	}
	close_table(m);
}

void report_sections_systems(const struct report *r, struct report_markup *m)
{
	for (size_t i = 0; i < r->systems_count; i++) {
		const struct report_system *s = r->systems[i];
		report_markup_raw(m, "<section class=\"card\"><h2>System ");
		report_markup_text(m, s->system_id);
		report_markup_raw(m, " ");
		report_sections_verdict(m, s->result.verdict);
		report_markup_raw(m, "</h2>\n");
		put_recovery_point(s, m);
		put_steps(s, m);
		put_checks(s, m);
		close_section(m);
	}
}

void report_sections_isolation(const struct report *r, struct report_markup *m)
{
	static const char *const columns[] = { "Target", "Expected", "Observed", "Answer", "At",
		NULL };
	const struct report_environment *e = &r->environment;

	open_section(m, "Isolation of the sandbox");
	if (e->isolation_checks_count == 0 && e->canary.address == NULL)
		report_markup_raw(m, "<p>Nothing was tried to show it.</p>\n");
	if (e->isolation_checks_count > 0) {
		open_table(m, "Tried from inside the sandbox.", columns);
		for (size_t i = 0; i < e->isolation_checks_count; i++) {
			const struct report_isolation_check *c = e->isolation_checks[i];
			char text[REPORT_WORDS_BYTES];
			report_markup_raw(m, "<tr><th scope=\"row\"><code>");
			report_markup_text(m, c->target);
			report_markup_raw(m, "</code></th>");
			cell(m, report_words_reach(c->expected));
			cell_pill(m,
				c->observed == REPORT_UNREACHABLE ? "ok"
				: c->observed == REPORT_REACHED   ? "bad"
								  : "gap",
				report_words_reach(c->observed));
			cell(m, c->detail);
			report_markup_element(m, "td class=\"w\"",
				c->at == REPORT_NONE ? "–" : report_words_time(text, c->at));
			report_markup_raw(m, "</tr>\n");
		}
		close_table(m);
	}
	if (e->canary.address != NULL) {
		report_markup_raw(m, "<p>A canary listened outside at <code>");
		report_markup_text(m, e->canary.address);
		if (e->canary.connections_seen == REPORT_NONE)
			report_markup_raw(m, "</code>; what reached it was not counted.</p>\n");
		else
			report_markup_rawf(m, "</code>. Connections it saw: %lld.</p>\n",
				(long long)e->canary.connections_seen);
	}
	close_section(m);
}

void report_sections_control(const struct report *r, struct report_markup *m)
{
	static const char *const columns[] = { "System", "Damage", "Checks that failed", "Result",
		NULL };
	bool has_any = false;
	for (size_t i = 0; i < r->systems_count; i++)
		has_any |= r->systems[i]->negative_control.damage != NULL;
	open_section(m, "Negative control");
	if (!has_any) {
		report_markup_raw(
			m, "<p>None was run: that the checks can fail was not shown.</p>\n");
		close_section(m);
		return;
	}
	open_table(m, "The same checks on a copy damaged on purpose; they must notice.", columns);
	for (size_t i = 0; i < r->systems_count; i++) {
		const struct report_negative_control *n = &r->systems[i]->negative_control;
		if (n->damage == NULL)
			continue;
		report_markup_raw(m, "<tr>");
		report_markup_element(m, "th scope=\"row\"", r->systems[i]->system_id);
		cell(m, n->damage);
		report_markup_raw(m, "<td>");
		for (size_t k = 0; k < n->checks_failed.count; k++) {
			report_markup_raw(m, k == 0 ? "" : ", ");
			report_markup_text(m, n->checks_failed.items[k]);
		}
		report_markup_raw(m, n->checks_failed.count == 0 ? "none</td>" : "</td>");
		cell_pill(m, n->verdict == REPORT_DETECTED ? "ok" : "bad",
			n->verdict == REPORT_DETECTED ? "detected" : "not detected");
		report_markup_raw(m, "</tr>\n");
	}
	close_table(m);
	close_section(m);
}

void report_sections_cleanup(const struct report *r, struct report_markup *m)
{
	const struct report_cleanup *c = &r->cleanup;
	open_section(m, "Cleanup");
	if (c->rule == 0) {
		report_markup_raw(m, "<p>No cleanup was recorded.</p>\n");
		close_section(m);
		return;
	}
	report_markup_raw(m, "<dl class=\"pairs\">");
	pair(m, "Rule",
		c->rule == REPORT_ERASE ? "erase what the drill made" : "keep what the drill made");
	pair(m, "Completed", c->is_completed ? "yes" : "no");
	pair_number(m, "Processes left", c->processes_left);
	pair_number(m, "Mounts left", c->mounts_left);
	pair_number(m, "Namespaces left", c->namespaces_left);
	for (size_t i = 0; i < c->residue.count; i++)
		pair_code(m, "Left behind", c->residue.items[i]);
	if (c->residue.count == 0)
		pair(m, "Files left", "none");
	report_markup_raw(m, "</dl>\n");
	close_section(m);
}

void report_sections_scope(const struct report *r, struct report_markup *m)
{
	const struct report_environment *e = &r->environment;
	open_section(m, "Exercise, plan and environment");
	report_markup_raw(m, "<dl class=\"pairs\">");
	pair_code(m, "Exercise", r->exercise.exercise_id);
	pair(m, "Kind", "full restore");
	pair(m, "Trigger", report_shape_word(report_shape_triggers, r->exercise.trigger));
	pair(m, "Scenario", r->exercise.scenario);
	pair_time(m, "Started", r->exercise.started);
	pair_time(m, "Ended", r->exercise.ended);
	pair(m, "Aborted", r->exercise.abort_reason);
	pair(m, "Plan", r->plan.id);
	pair_number(m, "Plan version", r->plan.version);
	pair_code(m, "Plan file", r->plan.file);
	pair_code(m, "Plan SHA-256", r->plan.sha256);
	pair(m, "Ordered by", r->exercise.ordered_by);
	pair(m, "Approved by", r->exercise.approved_by);
	pair(m, "Run by agent", e->agent.name);
	pair_code(m, "Agent id", e->agent.agent_id);
	pair_code(m, "Agent's report key", e->agent.keyid);
	pair(m, "For controller", e->controller.name);
	pair_code(m, "Controller's report key", e->controller.keyid);
	pair(m, "Sandbox", e->sandbox_kind);
	pair(m, "Network in the sandbox", "none");
	pair(m, "Operating system", e->host.os);
	pair(m, "Kernel", e->host.kernel);
	pair_number(m, "Processors", e->host.cpu_count);
	pair_size(m, "Memory", e->host.memory_bytes);
	pair(m, "Holdfast", e->tool_version);
	report_markup_raw(m, "</dl>\n");
	close_section(m);
}

void report_sections_evidence(const struct report *r, struct report_markup *m)
{
	static const char *const columns[] = { "File", "Kind", "#Size", "SHA-256", NULL };
	if (r->evidence_count == 0)
		return;
	open_section(m, "Evidence kept with the report");
	open_table(m, NULL, columns);
	for (size_t i = 0; i < r->evidence_count; i++) {
		const struct report_evidence *e = r->evidence[i];
		char size[HUMAN_BYTES];
		report_markup_raw(m, "<tr>");
		report_markup_element(m, "th scope=\"row\"", e->ref);
		cell(m, e->kind);
		report_markup_element(m, "td class=\"n\"",
			human_size(size, e->size_bytes < 0 ? 0 : (uint64_t)e->size_bytes));
		report_markup_raw(m, "<td><code>");
		report_markup_text(m, e->sha256);
		report_markup_raw(m, "</code></td></tr>\n");
	}
	close_table(m);
	close_section(m);
}

void report_sections_limits(const struct report *r, struct report_markup *m)
{
	const struct report_texts *limits = &r->verdict.limits_of_this_evidence;
	open_section(m, "Limits of this evidence");
	report_markup_raw(m, "<ul class=\"plain\">");
	for (size_t i = 0; i < limits->count; i++)
		report_markup_element(m, "li", limits->items[i]);
	report_markup_raw(m, "</ul>\n");
	close_section(m);
}
