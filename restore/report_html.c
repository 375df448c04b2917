#include "restore/report_html.h"

#include <stdio.h>

#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "codec/text.h"
#include "crypto/hash.h"
#include "restore/report.h"
#include "restore/report_markup.h"
#include "restore/report_sections.h"
#include "restore/report_shape.h"
#include "restore/report_style.h"
#include "restore/report_svg.h"
#include "restore/report_words.h"

/*
 * INVARIANTS
 * (1) All text of the report goes through report_markup_text() or _element().
 * (2) The policy in the head allows the one style sheet by its hash, and nothing else at all.
 * (3) No style= attribute and no script anywhere.
 */

static void put_head(const struct report *r, struct report_markup *m)
{
	uint8_t digest[HASH_BYTES];
	CLEANUP(buf_done) struct buf b64 = BUF_INIT(128);

	hash_sha256(report_style_css, strlen(report_style_css), digest);
	if (m->rc == 0)
		m->rc = text_base64(digest, sizeof(digest), &b64, m->err);
	const char *policy = buf_cstr(&b64);
	report_markup_rawf(m,
		"<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
		"<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
		"style-src 'sha256-%s'; base-uri 'none'; form-action 'none'\">\n"
		"<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
		"<meta name=\"referrer\" content=\"no-referrer\">\n",
		policy == NULL ? "" : policy);
	report_markup_raw(m, "<title>");
	report_markup_text(m, report_words_verdict(r->verdict.overall));
	report_markup_raw(m, ": ");
	report_markup_text(m, r->plan.title);
	report_markup_raw(m, "</title>\n<style>");
	report_markup_raw(m, report_style_css);
	report_markup_raw(m, "</style>\n</head>\n<body>\n");
	report_markup_raw(m, report_style_icons);
	report_markup_raw(m, "<main>\n");
}

static void put_banner(const struct report *r, struct report_markup *m)
{
	static const char *const class[] = { "v-gap", "v-ok", "v-ok", "v-gap", "v-gap", "v-bad" };
	static const char *const icon[] = { "gap", "pass", "pass", "gap", "gap", "fail" };
	unsigned v = r->verdict.overall;

	report_markup_raw(m, "<header>\n<p class=\"kicker\">Recovery drill report</p>\n");
	report_markup_element(m, "h1", r->plan.title);
	report_markup_raw(m, "<p class=\"meta\">Full restore, ");
	report_markup_time(m, r->exercise.t_declared);
	report_markup_raw(m, " · plan ");
	report_markup_text(m, r->plan.id);
	report_markup_rawf(m, " version %lld · exercise <code>", (long long)r->plan.version);
	report_markup_text(m, r->exercise.exercise_id);
	report_markup_rawf(m,
		"</code></p>\n<div class=\"card verdict %s\"><svg aria-hidden=\"true\">"
		"<use href=\"#i-%s\"/></svg><div><strong>",
		class[v], icon[v]);
	report_markup_text(m, report_words_verdict(v));
	report_markup_raw(m, "</strong><p>");
	report_markup_text(m, r->verdict.summary);
	report_markup_raw(m, "</p></div></div>\n</header>\n");
}

static void put_fact(
	struct report_markup *m, const char *name, size_t part, size_t whole, const char *note)
{
	report_markup_raw(m, "<div>");
	report_markup_element(m, "dt", name);
	report_markup_rawf(m, "<dd>%zu of %zu<small>", part, whole);
	report_markup_text(m, note);
	report_markup_raw(m, "</small></dd></div>\n");
}

static void put_facts(const struct report *r, struct report_markup *m)
{
	size_t recovered = 0, passed = 0, checks = 0, blocked = 0, caught = 0, controls = 0;
	const struct report_environment *e = &r->environment;

	for (size_t i = 0; i < r->systems_count; i++) {
		const struct report_system *s = r->systems[i];
		recovered += s->result.verdict == REPORT_PASS ||
			     s->result.verdict == REPORT_PASS_WITH_FINDINGS;
		checks += s->checks_count;
		for (size_t k = 0; k < s->checks_count; k++)
			passed += s->checks[k]->status == REPORT_STATUS_PASS;
		controls += s->negative_control.damage != NULL;
		caught += s->negative_control.verdict == REPORT_DETECTED;
	}
	for (size_t i = 0; i < e->isolation_checks_count; i++)
		blocked += e->isolation_checks[i]->observed == REPORT_UNREACHABLE;
	report_markup_raw(m, "<dl class=\"facts\">\n");
	put_fact(m, "Systems recovered", recovered, r->systems_count, "within their objectives");
	put_fact(m, "Checks passed", passed, checks, "on the restored data");
	if (e->isolation_checks_count > 0)
		put_fact(m, "Forbidden targets", blocked, e->isolation_checks_count,
			"unreachable from the sandbox");
	if (controls > 0)
		put_fact(m, "Damage detected", caught, controls, "when put in on purpose");
	report_markup_rawf(m, "<div><dt>Findings</dt><dd>%zu<small>%s</small></dd></div>\n</dl>\n",
		r->findings_count, r->findings_count == 0 ? "nothing to mend" : "listed below");
}

#define TYPE_BYTES 128

static void put_objective(
	struct report_markup *m, const char *name, int64_t actual, int64_t limit, unsigned met)
{
	report_markup_rawf(
		m, "<td data-is=\"%s\">", name[1] == 'T' ? "Recovery time" : "Age of the data");
	if (actual != REPORT_NONE && limit != REPORT_NONE)
		report_svg_bar(actual, limit, m);
	report_markup_raw(m, "<div class=\"goal\"><span><strong>");
	report_markup_duration(m, actual);
	report_markup_rawf(m, "</strong> · %s ", name);
	report_markup_duration(m, limit);
	report_markup_raw(m, "</span>");
	report_sections_pill(m,
		met == REPORT_MET      ? "ok"
		: met == REPORT_MISSED ? "bad"
				       : "gap",
		report_words_met(met));
	report_markup_raw(m, "</div></td>\n");
}

/* A word of the plan language for people: "batch_records" is "batch records". */
static void put_type(struct report_markup *m, const char *type)
{
	char words[TYPE_BYTES];
	(void)snprintf(words, sizeof(words), "%s", type == NULL ? "" : type); /* cut is fine */
	for (char *c = words; *c != '\0'; c++) {
		if (*c == '_')
			*c = ' ';
	}
	report_markup_text(m, words);
}

static void put_objectives(const struct report *r, struct report_markup *m)
{
	report_markup_raw(m,
		"<section class=\"card\"><h2>Objectives</h2>\n<div class=\"scroll\"><table "
		"class=\"stack\"><caption>Measured recovery against what the plan demands. The "
		"mark in each bar is "
		"the objective.</caption><thead><tr><th scope=\"col\">System</th>"
		"<th scope=\"col\">Recovery time</th><th scope=\"col\">Age of the data</th>"
		"<th scope=\"col\">Result</th></tr></thead>\n<tbody>\n");
	for (size_t i = 0; i < r->systems_count; i++) {
		const struct report_system *s = r->systems[i];
		report_markup_raw(m, "<tr><th scope=\"row\">");
		report_markup_text(m, s->system_id);
		report_markup_raw(m, "<br><small>");
		put_type(m, s->type);
		report_markup_rawf(m, ", tier %lld</small></th>\n", (long long)s->tier);
		put_objective(m, "RTO", s->result.rta_total_ms, s->rto_ms, s->result.rto_met);
		put_objective(m, "RPO", s->result.rpa_ms, s->rpo_ms, s->result.rpo_met);
		report_markup_raw(m, "<td data-is=\"Result\">");
		report_sections_verdict(m, s->result.verdict);
		report_markup_raw(m, "</td></tr>\n");
	}
	report_markup_raw(m, "</tbody></table></div></section>\n");
}

static void put_phase_table(const struct report *r, struct report_markup *m)
{
	report_markup_raw(m, "<details><summary>The times behind the picture</summary>\n"
			     "<div class=\"scroll\"><table><thead><tr><th scope=\"col\">System</th>"
			     "<th scope=\"col\">T0 declared</th>");
	for (unsigned k = 1; k < REPORT_T_COUNT; k++) {
		report_markup_rawf(m, "<th scope=\"col\" class=\"n\">T%u ", k);
		report_markup_text(m, report_words_phase(k));
		report_markup_raw(m, "</th>");
	}
	report_markup_raw(m, "</tr></thead><tbody>\n");
	for (size_t i = 0; i < r->systems_count; i++) {
		int64_t t[REPORT_T_COUNT];
		report_times(&r->systems[i]->timings, t);
		report_markup_raw(m, "<tr>");
		report_markup_element(m, "th scope=\"row\"", r->systems[i]->system_id);
		report_markup_raw(m, "<td class=\"w\">");
		report_markup_time(m, t[0]);
		report_markup_raw(m, "</td>");
		for (unsigned k = 1; k < REPORT_T_COUNT; k++) {
			bool is_there = t[k] != REPORT_NONE && t[0] != REPORT_NONE;
			report_markup_raw(m, is_there ? "<td class=\"n\">+" : "<td class=\"n\">");
			if (is_there)
				report_markup_duration(m, t[k] - t[0]);
			else
				report_markup_raw(m, "not reached");
			report_markup_raw(m, "</td>");
		}
		report_markup_raw(m, "</tr>\n");
	}
	report_markup_raw(m, "</tbody></table></div></details>\n");
}

static void put_timeline(const struct report *r, struct report_markup *m)
{
	report_markup_raw(m, "<section class=\"card\"><h2>Timeline</h2>\n<div class=\"scroll\">");
	report_svg_timeline(r, m);
	report_markup_raw(m, "</div>\n<ul class=\"legend\" aria-label=\"Phases\">");
	for (unsigned k = 1; k < REPORT_T_COUNT; k++) {
		report_markup_rawf(m,
			"<li><svg viewBox=\"0 0 12 12\" aria-hidden=\"true\"><rect class=\"p%u\" "
			"width=\"12\" height=\"12\" rx=\"2\"/></svg>T%u ",
			k, k);
		report_markup_text(m, report_words_phase(k));
		report_markup_raw(m, "</li>");
	}
	report_markup_raw(m, "</ul>\n<p class=\"meta\">T0 is the simulated disruption. A system is "
			     "recovered at T6, when its last mandatory check has passed.</p>\n");
	put_phase_table(r, m);
	report_markup_raw(m, "</section>\n");
}

static void put_verify(const struct report_html_opts *o, struct report_markup *m)
{
	report_markup_raw(m,
		"<section class=\"card\"><h2>How to verify this offline</h2>\n"
		"<p>This page is a rendering. <strong>The signed JSON file is the "
		"evidence</strong>; "
		"check that file, with a public key that you did not get together with it.</p>\n"
		"<dl class=\"pairs\"><dt>Signed file</dt><dd><code>");
	report_markup_text(m, o->json_name);
	report_markup_raw(m, "</code></dd><dt>Its SHA-256</dt><dd><code>");
	report_markup_text(m, o->json_sha256);
	report_markup_raw(m, "</code></dd><dt>Signed by key</dt><dd><code>");
	report_markup_text(m, o->keyid);
	if (o->controller_keyid != NULL) {
		report_markup_raw(m, "</code></dd><dt>And by the controller's</dt><dd><code>");
		report_markup_text(m, o->controller_keyid);
	}
	report_markup_raw(m, "</code></dd></dl>\n<h3>With holdfast-verify</h3>\n"
			     "<p>Checks the signature and that the verdict follows from the "
			     "measurements.</p><pre>holdfast-verify ");
	report_markup_text(m, o->json_name);
	report_markup_raw(m, o->controller_keyid == NULL
				     ? " --key report-key.pub</pre>\n"
				     : " --key report-key.pub --key controller-key.pub</pre>\n");
	report_markup_raw(m,
		"<h3>With stock tools</h3>\n"
		"<p>Checks one signature alone, here the first; <code>report-key.pem</code> is the "
		"same key as PEM.  For the second one write <code>2s</code> where it says "
		"<code>1s</code>.</p><pre>f='");
	report_markup_text(m, o->json_name);
	report_markup_raw(m,
		"'; t=application/vnd.in-toto+json\n"
		"sha256sum \"$f\"\n"
		"sed 's/^{&quot;payload&quot;:&quot;\\([^&quot;]*\\).*/\\1/' \"$f\" | base64 -d "
		"&gt; payload.json\n"
		"grep -o '&quot;sig&quot;:&quot;[^&quot;]*' \"$f\" | "
		"sed -n '1s/.*&quot;//p' | base64 -d &gt; report.sig\n"
		"{ printf 'DSSEv1 %d %s %d ' ${#t} \"$t\" \"$(wc -c &lt; payload.json)\"; "
		"cat payload.json; } &gt; signed.bin\n"
		"openssl pkeyutl -verify -pubin -inkey report-key.pem -rawin -in signed.bin "
		"-sigfile report.sig</pre>\n</section>\n");
}

int report_html_render(const struct report *r, const struct report_html_opts *opts, struct buf *out,
	struct err *err)
{
	struct report_markup m = { .out = out, .err = err };
	if (r->has_failed || r->verdict.overall == 0 || r->verdict.overall > REPORT_FAIL)
		return err_set(err, ERR_FAILED, "unable to render a report that was not judged");
	put_head(r, &m);
	put_banner(r, &m);
	put_facts(r, &m);
	put_objectives(r, &m);
	report_sections_findings(r, &m);
	put_timeline(r, &m);
	report_sections_systems(r, &m);
	report_sections_isolation(r, &m);
	report_sections_control(r, &m);
	report_sections_cleanup(r, &m);
	report_sections_scope(r, &m);
	report_sections_evidence(r, &m);
	put_verify(opts, &m);
	report_sections_limits(r, &m);
	report_markup_raw(&m, "<footer>Made by ");
	report_markup_text(&m, r->environment.tool_version);
	report_markup_raw(&m, ". Rendering of the file with SHA-256 <code>");
	report_markup_text(&m, opts->json_sha256);
	report_markup_raw(&m, "</code></footer>\n</main>\n</body>\n</html>\n");
	return m.rc;
}
