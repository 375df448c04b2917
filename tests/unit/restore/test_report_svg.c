#include "restore/report_svg.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <libxml/parser.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "restore/report.h"
#include "restore/report_judge.h"
#include "restore/report_markup.h"
#include "tests/lib/report_fixture.h"

static struct buf out = BUF_INIT(1 << 20);
static struct report_markup m = { .out = &out };
static struct report *r;

static void setup(void)
{
	r = report_fixture_good();
}

static void teardown(void)
{
	report_free(r);
	buf_done(&out);
}

TestSuite(report_svg, .init = setup, .fini = teardown);

/* Draw; the picture must be well-formed and within its view box. */
static const char *draw(void)
{
	buf_clear(&out);
	report_judge_run(r);
	report_svg_timeline(r, &m);
	cr_assert(eq(int, m.rc, 0));
	const char *svg = buf_cstr(&out);
	xmlDocPtr doc = xmlReadMemory(svg, (int)strlen(svg), NULL, "UTF-8", XML_PARSE_NONET);
	cr_assert(ne(ptr, doc, NULL));
	for (xmlNodePtr n = xmlDocGetRootElement(doc)->children; n != NULL; n = n->next) {
		if (n->type != XML_ELEMENT_NODE || strcmp((const char *)n->name, "rect") != 0)
			continue;
		xmlChar *x = xmlGetProp(n, (const xmlChar *)"x");
		xmlChar *w = xmlGetProp(n, (const xmlChar *)"width");
		cr_assert(x != NULL && w != NULL);
		cr_expect(ge(dbl, atof((char *)x), 0.0));
		cr_expect(atof((char *)w) > 0.0);
		cr_expect(le(dbl, atof((char *)x) + atof((char *)w), 1000.1));
		xmlFree(x);
		xmlFree(w);
	}
	xmlFreeDoc(doc);
	xmlCleanupParser();
	return svg;
}

static size_t count(const char *svg, const char *text)
{
	size_t n = 0;
	for (const char *p = svg; (p = strstr(p, text)) != NULL; p += strlen(text))
		n++;
	return n;
}

Test(report_svg, every_phase_of_every_system_is_a_block)
{
	const char *svg = draw();
	for (unsigned k = 1; k < REPORT_T_COUNT; k++) {
		char name[] = "<rect class=\"p0\"";
		name[sizeof(name) - 3] = (char)('0' + k);
		cr_expect(eq(sz, count(svg, name), (size_t)3), "%s", name);
	}
	cr_expect(eq(sz, count(svg, "class=\"lost\""), (size_t)0));
	cr_expect(ne(ptr, strstr(svg, "hist3 was recovered after 33.1 s, the objective is 30 min"),
		NULL));
}

Test(report_svg, waiting_for_other_systems_is_not_drawn_as_restoring)
{
	cr_expect(eq(sz, count(draw(), "class=\"wait\""), (size_t)0));
	r->systems[1]->steps[0]->started += 9000; /* of 12.2 s and more to T4 */
	const char *svg = draw();
	cr_expect(eq(sz, count(svg, "class=\"wait\""), (size_t)1));
	cr_expect(ne(ptr, strstr(svg, "waiting for its turn: 9"), NULL));
	r->systems[1]->steps[0]->started = r->systems[1]->timings.t_restored + 1;
	cr_expect(eq(sz, count(draw(), "class=\"wait\""), (size_t)0));
}

Test(report_svg, the_recovery_time_stands_where_it_ends)
{
	cr_expect(ne(ptr, strstr(draw(), ">recovered after 33.1 s</text>"), NULL));
	r->systems[0]->timings.t_verified = REPORT_NONE;
	cr_expect(eq(ptr, strstr(draw(), ">recovered after 33.1 s</text>"), NULL));
}

Test(report_svg, only_an_objective_within_reach_is_drawn_as_a_limit)
{
	cr_expect(eq(sz, count(draw(), "class=\"rto-far\""), (size_t)3));
	r->systems[0]->rto_ms = 60000;
	const char *svg = draw();
	cr_expect(eq(sz, count(svg, "class=\"rto-far\""), (size_t)2));
	cr_expect(eq(sz, count(svg, "class=\"rto-name\""), (size_t)1));
}

Test(report_svg, a_far_objective_is_pointed_at_and_a_near_one_is_a_line)
{
	cr_expect(eq(sz, count(draw(), "<line class=\"rto\""), (size_t)0));
	r->systems[0]->rto_ms = 60000;
	cr_expect(eq(sz, count(draw(), "<line class=\"rto\""), (size_t)1));
	for (size_t i = 0; i < r->systems_count; i++)
		r->systems[i]->rto_ms = 100000;
	cr_expect(eq(sz, count(draw(), "<line class=\"rto\""), (size_t)3));
}

Test(report_svg, a_system_that_did_not_recover_shows_the_time_lost)
{
	r->systems[1]->timings.t_started = REPORT_NONE;
	r->systems[1]->timings.t_verified = REPORT_NONE;
	const char *svg = draw();
	cr_expect(eq(sz, count(svg, "class=\"lost\""), (size_t)1));
	cr_expect(eq(sz, count(svg, "<rect class=\"p7\""), (size_t)2));
	cr_expect(ne(ptr, strstr(svg, "batch3 was not recovered"), NULL));
}

Test(report_svg, odd_times_are_drawn_inside_the_picture_too)
{
	struct report_timings *t = &r->systems[0]->timings;
	t->t_clean = r->exercise.ended + INT64_C(4000000000);
	(void)draw();
	t->t_clean = t->t_verified;
	t->t_restored = REPORT_FIXTURE_T0 - 99999;
	(void)draw();
	r->exercise.ended = r->exercise.t_declared = REPORT_NONE;
	(void)draw();
	r->systems_count = 0;
	(void)draw();
}

Test(report_svg, long_names_are_cut_at_a_whole_character)
{
	r->systems[0]->system_id =
		report_text(r, "\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4"
			       "-packaging-line-historian");
	const char *svg = draw();
	cr_expect(ne(ptr, strstr(svg, "-packaging-\xe2\x80\xa6</text>"), NULL));
}

Test(report_svg, a_bar_shows_both_the_limit_and_what_is_over_it)
{
	report_svg_bar(50, 100, &m);
	cr_expect(ne(ptr, strstr(buf_cstr(&out), "class=\"within\" x=\"2\" y=\"4\" width=\"98.0\""),
		NULL));
	buf_clear(&out);
	report_svg_bar(200, 100, &m);
	cr_expect(ne(ptr, strstr(buf_cstr(&out), "class=\"over\" x=\"2\" y=\"4\" width=\"196.0\""),
		NULL));
	cr_expect(ne(ptr, strstr(buf_cstr(&out), "x1=\"100.0\""), NULL));
	buf_clear(&out);
	report_svg_bar(0, 0, &m);
	report_svg_bar(-5, 100, &m);
	cr_expect(eq(int, m.rc, 0));
}
