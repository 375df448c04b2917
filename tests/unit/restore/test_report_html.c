#include "restore/report_html.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <libxml/HTMLparser.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "codec/text.h"
#include "crypto/hash.h"
#include "restore/report.h"
#include "restore/report_judge.h"
#include "restore/report_style.h"
#include "tests/lib/report_fixture.h"

static const struct report_html_opts opts = {
	.json_name = "drill-<1>.json",
	.json_sha256 = "d530d2ecae47d13bb2f5aa3d0c91e030592fcd744cca43005d719609b622494f",
	.keyid = "dc724b5bdcb72baeb74f34e94e7221d0ae942610d7b8fba2fd38a9af445a672b",
};
static struct buf out = BUF_INIT(REPORT_HTML_MAX);
static struct report *r;
static const char *page;

static void teardown(void)
{
	report_free(r);
	buf_done(&out);
}

TestSuite(report_html, .fini = teardown);

static void render(struct report *made)
{
	struct err err = ERR_INIT;
	r = made;
	report_judge_run(r);
	cr_assert(eq(int, report_html_render(r, &opts, &out, &err), 0), "%s", err.msg);
	page = buf_cstr(&out);
	cr_assert(ne(ptr, (void *)page, NULL));
}

static size_t count(const char *text)
{
	size_t n = 0;
	for (const char *p = page; (p = strstr(p, text)) != NULL; p += strlen(text))
		n++;
	return n;
}

static void expect(const char *text)
{
	cr_expect(ge(sz, count(text), ((size_t)0) + 1), "'%s' is not on the page", text);
}

Test(report_html, the_page_says_its_verdict_and_what_the_evidence_is)
{
	render(report_fixture_good());
	expect("<strong>Passed</strong>");
	expect("<title>Passed: Packaging line 3: batch and historian recovery</title>");
	expect("The signed JSON file is the evidence");
	expect(opts.json_sha256);
	expect(opts.keyid);
	expect("No findings");
	expect("log: none");
	expect("openssl pkeyutl -verify");
	expect("nothing to mend");
}

/* A time of approval would be believed: there is none, and who approved is there only when named.
 */
Test(report_html, nobody_approved_unless_somebody_is_named)
{
	render(report_fixture_good());
	expect("T1 begin");
	cr_expect(eq(sz, count("pprov"), 0));
	report_free(r);
	buf_clear(&out);
	struct report *named = report_fixture_good();
	named->exercise.approved_by = report_text(named, "shift lead");
	render(named);
	expect("<dt>Approved by</dt>");
	expect("<dd>shift lead</dd>");
	cr_expect(eq(sz, count("pprov"), 1));
}

Test(report_html, words_of_the_plan_language_are_words_for_people)
{
	struct report *good = report_fixture_good();
	good->systems[1]->type = report_text(good, "batch_records");
	render(good);
	expect("batch records, tier 1");
}

Test(report_html, on_a_phone_the_objectives_carry_the_names_of_their_columns)
{
	render(report_fixture_good());
	expect("<td data-is=\"Recovery time\">");
	expect("<td data-is=\"Age of the data\">");
	expect("<td data-is=\"Result\">");
	expect(".stack td::before{content:attr(data-is)");
	/* paper is no phone, however narrow */
	expect("@media screen and (max-width:760px)");
}

Test(report_html, a_failed_drill_shows_what_failed)
{
	render(report_fixture_bad());
	expect("<strong>Failed</strong>");
	expect("mandatory check b2 (open_record) failed");
	expect("not recovered");
	expect("class=\"over\"");
	expect("the sandbox reached 192.0.2.10:502");
	expect("/var/tmp/holdfast-drill-5e0f3c1a/pg/postmaster.pid");
}

Test(report_html, what_was_not_done_is_said)
{
	render(report_fixture_small());
	expect("<strong>Not demonstrated</strong>");
	expect("None was run: that the checks can fail was not shown.");
	expect("No cleanup was recorded.");
	expect("Nothing was tried to show it.");
}

Test(report_html, text_of_the_report_cannot_become_markup)
{
	struct report *bad = report_fixture_bad();
	static const char evil[] = "</style><script>\"'\x1b]0;x\x07&";
	bad->plan.title = report_text(bad, evil);
	bad->exercise.scenario = report_text(bad, evil);
	for (size_t i = 0; i < bad->systems_count; i++) {
		struct report_system *s = bad->systems[i];
		s->system_id = s->type = report_text(bad, evil);
		s->recovery_point.source = s->negative_control.damage = report_text(bad, evil);
		s->checks[0]->id = s->checks[0]->observed = report_text(bad, evil);
		s->steps[0]->name = s->steps[0]->observed = report_text(bad, evil);
	}
	bad->environment.isolation_checks[0]->target = report_text(bad, evil);
	bad->environment.canary.address = report_text(bad, evil);
	report_add_text(bad, &bad->cleanup.residue, evil);
	bad->evidence[0]->ref = report_text(bad, evil);
	render(bad);
	cr_expect(eq(sz, count("<script"), (size_t)0));
	cr_expect(eq(sz, count("</style>"), (size_t)1));
	cr_expect(eq(sz, count("drill-<1>"), (size_t)0));
	expect("&lt;/style&gt;&lt;script&gt;&quot;&#39;\\x1b]0;x\\x07&amp;");
	for (const char *p = page; *p != '\0'; p++)
		cr_assert(eq(int, (unsigned char)*p < 0x20 && *p != '\n', 0));
}

Test(report_html, nothing_is_loaded_and_only_the_one_style_sheet_is_allowed)
{
	uint8_t digest[HASH_BYTES];
	struct buf policy = BUF_INIT(256);
	render(report_fixture_bad());
	hash_sha256(report_style_css, strlen(report_style_css), digest);
	cr_assert(eq(int, buf_addf(&policy, NULL, "default-src 'none'; style-src 'sha256-"), 0));
	cr_assert(eq(int, text_base64(digest, sizeof(digest), &policy, NULL), 0));
	cr_assert(eq(int, buf_addf(&policy, NULL, "'; base-uri"), 0));
	expect(buf_cstr(&policy));
	const char *style = strstr(page, "<style>");
	cr_assert(ne(ptr, (void *)style, NULL));
	cr_expect(eq(int, strncmp(style + 7, report_style_css, strlen(report_style_css)), 0));
	cr_expect(eq(sz, count(" style="), (size_t)0));
	cr_expect(eq(sz, count("src="), (size_t)0));
	cr_expect(eq(sz, count("href=\""), count("href=\"#i-")));
	cr_expect(eq(sz, count("url("), (size_t)0));
	cr_expect(eq(sz, count("http:"), (size_t)0));
	cr_expect(eq(sz, count("https:"), (size_t)0));
	buf_done(&policy);
}

Test(report_html, heads_have_scopes_and_pictures_have_words)
{
	render(report_fixture_bad());
	cr_expect(eq(sz, count("<th>"), (size_t)0));
	cr_expect(eq(sz, count("<th "), count("<th scope=")));
	expect("role=\"img\" aria-labelledby=\"tl-t tl-d\"");
	expect("<title id=\"tl-t\">");
	expect("<desc id=\"tl-d\">");
}

/* The names of the elements HTML 4 does not know. */
static bool is_newer(const char *message)
{
	static const char *const names[] = { "main", "header", "section", "footer", "details",
		"summary", "svg", "symbol", "circle", "path", "use", "rect", "line", "text",
		"title", "desc" };
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		char text[64];
		(void)snprintf(text, sizeof(text), "Tag %s invalid\n", names[i]);
		if (strcmp(message, text) == 0)
			return true;
	}
	return false;
}

static int malformed;

static void on_error(void *ctx, xmlErrorPtr error)
{
	(void)ctx;
	if (is_newer(error->message))
		return;
	malformed++;
	cr_log_error("line %d: %s", error->line, error->message);
}

Test(report_html, every_element_is_closed_where_it_was_opened)
{
	render(report_fixture_bad());
	xmlSetStructuredErrorFunc(NULL, on_error);
	htmlDocPtr doc = htmlReadMemory(page, (int)strlen(page), NULL, "UTF-8", HTML_PARSE_NONET);
	xmlSetStructuredErrorFunc(NULL, NULL);
	cr_assert(ne(ptr, doc, NULL));
	cr_expect(eq(int, malformed, 0));
	xmlFreeDoc(doc);
	xmlCleanupParser();
}

Test(report_html, a_report_that_was_not_judged_has_no_page)
{
	struct err err = ERR_INIT;
	r = report_fixture_good();
	cr_expect(eq(int, report_html_render(r, &opts, &out, &err), -ERR_FAILED));
	cr_expect(eq(sz, out.len, (size_t)0));
	report_judge_run(r);
	r->has_failed = true;
	cr_expect(eq(int, report_html_render(r, &opts, &out, &err), -ERR_FAILED));
}

Test(report_html, a_page_over_the_limit_of_its_buffer_is_an_error)
{
	struct buf small = BUF_INIT(10000);
	struct err err = ERR_INIT;
	r = report_fixture_good();
	report_judge_run(r);
	cr_expect(eq(int, report_html_render(r, &opts, &small, &err), -ERR_LIMIT));
	buf_done(&small);
}

Test(report_html, the_page_names_agent_controller_and_both_keys)
{
	static char one[65], two[65];
	struct err err = ERR_INIT;
	memset(one, '1', 64);
	memset(two, '2', 64);
	r = report_fixture_good();
	r->exercise.ordered_by = report_text(r, "schedule <weekly>");
	r->exercise.approved_by = report_text(r, "shift lead");
	r->environment.agent =
		(struct report_agent){ .name = "sandbox1", .agent_id = "ab12", .keyid = one };
	r->environment.controller = (struct report_controller){ .name = "plant3", .keyid = two };
	report_judge_run(r);
	const struct report_html_opts both = {
		.json_name = "r.json", .json_sha256 = one, .keyid = one, .controller_keyid = two
	};
	cr_assert(eq(int, report_html_render(r, &both, &out, &err), 0), "%s", err.msg);
	const char *text = buf_cstr(&out);
	static const char *const wanted[] = { "sandbox1", "ab12", "plant3",
		"schedule &lt;weekly&gt;", "shift lead", "And by the controller's",
		"--key controller-key.pub", "With its signature the controller plant3 says" };
	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++)
		cr_expect(ne(ptr, strstr(text, wanted[i]), NULL), "%s", wanted[i]);
	cr_expect(ne(ptr, strstr(text, two), NULL));
}
