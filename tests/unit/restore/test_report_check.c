#include "restore/report_check.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "crypto/dsse.h"
#include "crypto/ed25519.h"
#include "restore/report.h"
#include "restore/report_json.h"
#include "restore/report_judge.h"
#include "restore/report_key.h"
#include "tests/lib/report_fixture.h"

static const uint8_t seed[32] = { 7, 7, 7 };
static char keyid[DSSE_KEYID_BYTES];
static struct buf envelope = BUF_INIT(REPORT_JSON_MAX);
static struct report *r;
static struct report_check check;
static struct err err;

static void setup(void)
{
	uint8_t pk[32];
	ed25519_public(seed, pk);
	dsse_keyid(pk, keyid);
	r = report_fixture_small();
	report_judge_run(r);
}

static void teardown(void)
{
	report_free(r);
	report_check_done(&check);
	buf_done(&envelope);
}

TestSuite(report_check, .init = setup, .fini = teardown);

static void seal(void)
{
	buf_clear(&envelope);
	cr_assert(eq(int, report_json_seal(r, seed, &envelope, &err), 0), "%s", err.msg);
}

static int open_it(const char *expected_key)
{
	struct report_check_keys keys = { .count = expected_key != NULL };
	if (expected_key != NULL)
		(void)snprintf(keys.keyid[0], sizeof(keys.keyid[0]), "%s", expected_key);
	return report_check_envelope(envelope.data, envelope.len, &keys, &check, &err);
}

/* Reports are kept for years: one of an older version is as good as on the day it was signed. */
Test(report_check, a_report_of_an_older_version_stays_valid)
{
	report_free(r);
	r = report_fixture_good();
	r->version = 1;
	r->systems[1]->negative_control.damage = NULL; /* a finding, by the rules of today */
	r->systems[1]->negative_control.checks_failed.count = 0;
	report_judge_run(r);
	seal();
	cr_assert(eq(int, open_it(keyid), 0), "%s", err.msg);
	cr_expect(eq(uint, check.report->version, 1u));
	cr_expect(eq(int, check.report->verdict.overall, REPORT_PASS));
}

/* Sign what is not so; the check must say ${message}. */
static void expect_lie_found(const char *message)
{
	seal();
	cr_expect(eq(int, open_it(keyid), -ERR_CORRUPT));
	cr_expect(ne(ptr, strstr(err.msg, message), NULL), "%s", err.msg);
	cr_expect(eq(ptr, check.report, NULL));
}

Test(report_check, a_report_signed_by_the_expected_key_is_taken)
{
	seal();
	cr_assert(eq(int, open_it(keyid), 0), "%s", err.msg);
	cr_expect(eq(str, check.signed_by.signers[0].keyid, keyid));
	cr_expect(eq(str, (char *)check.report->plan.id, "bcp-line3"));
}

Test(report_check, without_a_key_the_signer_is_told)
{
	seal();
	cr_assert(eq(int, open_it(NULL), 0), "%s", err.msg);
	cr_expect(eq(str, check.signed_by.signers[0].keyid, keyid));
}

Test(report_check, another_signer_is_told_with_both_fingerprints)
{
	char other[DSSE_KEYID_BYTES];
	memset(other, 'a', sizeof(other));
	other[DSSE_KEYID_BYTES - 1] = '\0';
	seal();
	cr_expect(eq(int, open_it(other), -ERR_AUTH));
	cr_expect(ne(ptr, strstr(err.msg, keyid), NULL));
	cr_expect(ne(ptr, strstr(err.msg, other), NULL));
	cr_expect(eq(ptr, check.report, NULL));
}

Test(report_check, every_changed_byte_shows)
{
	seal();
	for (size_t i = 0; i < envelope.len; i++) {
		uint8_t was = envelope.data[i];
		for (int k = 0; k < 2; k++) {
			envelope.data[i] = (uint8_t)(k == 0 ? was ^ 1 : was ^ 0x20);
			int rc = open_it(keyid);
			cr_expect(ne(int, rc, 0), "byte %zu", i);
			cr_expect(ne(chr, err.msg[0], '\0'));
			cr_assert(eq(ptr, check.report, NULL));
		}
		envelope.data[i] = was;
	}
	cr_expect(eq(int, open_it(keyid), 0), "%s", err.msg);
}

Test(report_check, every_truncation_and_anything_appended_shows)
{
	seal();
	for (size_t i = 0; i < envelope.len; i++)
		cr_expect(eq(int, report_check_envelope(envelope.data, i, NULL, &check, &err),
				  -ERR_CORRUPT),
			"length %zu", i);
	cr_assert(eq(int, buf_add8(&envelope, '\n', &err), 0));
	cr_expect(eq(int, open_it(keyid), -ERR_CORRUPT));
}

Test(report_check, a_signed_verdict_that_does_not_follow_is_found)
{
	r->verdict.overall = REPORT_PASS;
	expect_lie_found("verdict.overall says \"pass\", from the measurements follows "
			 "\"not_demonstrated\"");
}

Test(report_check, a_signed_objective_that_was_not_met_is_found)
{
	r->systems[0]->rto_ms = 30000;
	expect_lie_found("verdict does not follow from its measurements: "
			 "systems[0].result.rto_met says \"met\", from the measurements follows "
			 "\"missed\"");
}

Test(report_check, a_signed_recovery_time_that_is_not_t6_less_t0_is_found)
{
	r->systems[0]->result.rta_total_ms -= 1000;
	expect_lie_found("systems[0].result.rta_total_ms says 32150, from the measurements "
			 "follows 33150");
}

Test(report_check, a_signed_pass_that_examined_nothing_is_found)
{
	r->systems[0]->checks[0]->items_examined = 0;
	expect_lie_found("systems[0].checks[0].status says \"pass\"");
}

Test(report_check, a_finding_that_was_left_out_is_found)
{
	r->findings_count--;
	expect_lie_found("findings[");
}

Test(report_check, a_finding_of_a_rule_that_does_not_apply_is_found)
{
	struct report_finding *f = report_add_finding(r);
	f->id = "F9";
	f->grade = REPORT_MINOR;
	f->rule = "rto_missed";
	f->description = "made up";
	expect_lie_found("from the measurements follows nothing");
}

Test(report_check, a_rewritten_summary_or_limit_is_found)
{
	const char *summary = r->verdict.summary;
	r->verdict.summary = "everything went well";
	expect_lie_found("verdict.summary says \"everything went well\"");
	r->verdict.summary = summary;
	r->verdict.limits_of_this_evidence.count = 1;
	expect_lie_found("verdict.limits_of_this_evidence[1] says nothing");
}

Test(report_check, long_texts_in_an_error_are_cut)
{
	char text[2000];
	memset(text, 'x', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	r->verdict.summary = report_text(r, text);
	expect_lie_found("x...,");
}

Test(report_check, signed_times_that_cannot_have_happened_are_found)
{
	struct buf statement = BUF_INIT(REPORT_JSON_MAX);
	r->systems[0]->timings.t_restored = r->systems[0]->timings.t_started + 1;
	cr_assert(eq(int, report_json_encode(r, &statement, &err), 0), "%s", err.msg);
	cr_assert(eq(int,
		dsse_seal(seed, REPORT_JSON_PAYLOAD_TYPE, statement.data, statement.len, &envelope,
			&err),
		0));
	cr_expect(eq(int, open_it(keyid), -ERR_CORRUPT));
	cr_expect(ne(ptr, strstr(err.msg, "t_restored"), NULL), "%s", err.msg);
	buf_done(&statement);
}

Test(report_check, another_kind_of_signed_text_is_no_report)
{
	cr_assert(eq(int,
		dsse_seal(seed, REPORT_JSON_PAYLOAD_TYPE, "{\"a\":1}", 7, &envelope, &err), 0));
	cr_expect(eq(int, open_it(keyid), -ERR_CORRUPT));
	cr_expect(eq(str, err.msg, "the signed text is not a drill report"));
	buf_clear(&envelope);
	cr_assert(eq(int, dsse_seal(seed, "text/plain", "hello", 5, &envelope, &err), 0));
	cr_expect(eq(int, open_it(keyid), -ERR_CORRUPT));
}

Test(report_check, nothing_at_all_is_broken_too)
{
	cr_expect(eq(int, report_check_envelope(NULL, 0, NULL, &check, &err), -ERR_CORRUPT));
	cr_expect(eq(int, report_check_envelope("x", REPORT_JSON_MAX + 1, NULL, &check, &err),
		-ERR_CORRUPT));
}

/* ---- an agent ran it for a controller ---- */

static const uint8_t controller_seed[32] = { 9, 9 };
static char controller_keyid[DSSE_KEYID_BYTES];

static void name_parties(void)
{
	uint8_t pk[32];
	ed25519_public(controller_seed, pk);
	dsse_keyid(pk, controller_keyid);
	r->environment.agent = (struct report_agent){
		.name = "sandbox1", .agent_id = "00112233445566778899aabbccddeeff", .keyid = keyid
	};
	r->environment.controller =
		(struct report_controller){ .name = "plant3", .keyid = controller_keyid };
	report_judge_run(r);
	seal();
}

static void countersign(const uint8_t by[32])
{
	struct buf more = BUF_INIT(REPORT_JSON_MAX);
	cr_assert(eq(int,
		dsse_add_signature(
			envelope.data, envelope.len, REPORT_JSON_PAYLOAD_TYPE, by, &more, &err),
		0));
	buf_done(&envelope);
	envelope = more;
}

static int open_both(void)
{
	struct report_check_keys keys = { .count = 2 };
	memcpy(keys.keyid[0], controller_keyid, sizeof(controller_keyid));
	memcpy(keys.keyid[1], keyid, sizeof(keyid));
	return report_check_envelope(envelope.data, envelope.len, &keys, &check, &err);
}

Test(report_check, both_keys_given_want_both_signatures)
{
	name_parties();
	cr_expect(eq(int, open_both(), -ERR_AUTH));
	cr_assert(eq(int, open_it(keyid), 0), "%s", err.msg);
	cr_expect(check.is_controller_missing);
	report_check_done(&check);
	countersign(controller_seed);
	cr_assert(eq(int, open_both(), 0), "%s", err.msg);
	cr_expect(not(check.is_controller_missing));
	cr_expect(eq(sz, check.signed_by.count, 2));
	cr_expect(eq(str, (char *)check.report->environment.agent.name, "sandbox1"));
	cr_expect(eq(str, (char *)check.report->environment.controller.name, "plant3"));
}

Test(report_check, a_signature_of_an_unknown_key_is_told_apart)
{
	struct report_check_keys keys = { .count = 1 };
	name_parties();
	countersign(controller_seed);
	memcpy(keys.keyid[0], keyid, sizeof(keyid));
	cr_assert(eq(
		int, report_check_envelope(envelope.data, envelope.len, &keys, &check, &err), 0));
	cr_expect(report_check_is_given(&check, 0, &keys));
	cr_expect(not(report_check_is_given(&check, 1, &keys)));
}

Test(report_check, nobody_but_the_agent_signs_first)
{
	name_parties();
	buf_clear(&envelope);
	cr_assert(eq(int, report_json_seal(r, controller_seed, &envelope, &err), 0));
	cr_expect(eq(int, open_it(NULL), -ERR_CORRUPT));
	cr_expect(ne(ptr, strstr(err.msg, "environment.agent.keyid"), NULL), "%s", err.msg);
	countersign(seed);
	cr_expect(eq(int, open_it(NULL), -ERR_CORRUPT));
}

Test(report_check, one_broken_signature_breaks_the_report)
{
	name_parties();
	countersign(controller_seed);
	char *last = strrchr(buf_cstr(&envelope), ':'); /* before the second signature */
	cr_assert(ne(ptr, last, NULL));
	last[10] = last[10] == 'A' ? 'B' : 'A';
	cr_expect(eq(int, open_it(keyid), -ERR_CORRUPT));
	cr_expect(ne(ptr, strstr(err.msg, "signature 2 of 2"), NULL), "%s", err.msg);
}

/* ---- the recipe of docs/REPORT.md, with stock tools; runs in the source tree ---- */

static void write_text(const char *dir, const char *name, const struct buf *text)
{
	char path[128];
	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	FILE *f = fopen(path, "w");
	cr_assert(f != NULL && fwrite(text->data, 1, text->len, f) == text->len);
	cr_assert(eq(int, fclose(f), 0));
}

/* What report_check_read() says of a file ${name} with ${bytes}. */
static int read_back(const char *dir, const char *name, const char *bytes)
{
	char path[128];
	struct buf text = BUF_INIT(64), file = BUF_INIT(REPORT_JSON_MAX);
	cr_assert(eq(int, buf_add(&text, bytes, strlen(bytes), NULL), 0));
	write_text(dir, name, &text);
	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	int rc = report_check_read(path, &file, &err);
	if (rc == 0)
		cr_expect(file.len == text.len && memcmp(file.data, text.data, text.len) == 0);
	buf_done(&text);
	buf_done(&file);
	return rc;
}

Test(report_check, a_page_is_no_broken_report)
{
	char dir[] = "/tmp/report_check.XXXXXX", command[64];
	cr_assert(mkdtemp(dir) != NULL);
	cr_expect(eq(int, read_back(dir, "a.html", "<!DOCTYPE html>\n<html>"), -ERR_USAGE));
	cr_expect(ne(ptr, strstr(err.msg, "a.html' is a page for people"), NULL), "%s", err.msg);
	cr_expect(eq(ptr, strstr(err.hint, "a.json"), NULL), "%s", err.hint);
	cr_expect(ne(ptr, strstr(err.hint, "signed .json"), NULL), "%s", err.hint);
	cr_expect(eq(int, read_back(dir, "a.json", "{}"), 0));
	cr_expect(eq(int, read_back(dir, "a.html", "\xef\xbb\xbf\r\n<HTML>"), -ERR_USAGE));
	cr_expect(ne(ptr, strstr(err.hint, "a.json'"), NULL), "%s", err.hint);
	cr_expect(eq(int, read_back(dir, "b", "<!doctype HTML >"), -ERR_USAGE));
	/* anything else is for the envelope's check */
	cr_expect(eq(int, read_back(dir, "c.html", "{\"payload\":\"<html\"}"), 0));
	cr_expect(eq(int, read_back(dir, "d.html", " "), 0));
	cr_expect(eq(int, read_back(dir, "e.html", "<!DOC"), 0));
	(void)snprintf(command, sizeof(command), "rm -r %s", dir);
	cr_expect(eq(int, system(command), 0));
}

/* Run the recipe for signature ${nth} with the key of ${by}; the exit status of openssl. */
static int run_recipe(const char *dir, char nth, const uint8_t by[32])
{
	char command[512];
	uint8_t pk[32];
	struct buf line = BUF_INIT(REPORT_KEY_FILE_MAX);
	ed25519_public(by, pk);
	cr_assert(eq(int, report_key_format(pk, &line, &err), 0));
	write_text(dir, "report.key.pub", &line);
	buf_done(&line);
	(void)snprintf(command, sizeof(command),
		"awk '/### With stock tools/{on=1} /^    /{if(on)print} /^`payload.json`/{on=0}' "
		"docs/REPORT.md | sed \"s/'1s/'%cs/\" > %s/recipe && grep -q %cs %s/recipe && "
		"cd %s && sh ./recipe >out 2>&1",
		nth, dir, nth, dir, dir);
	return system(command);
}

Test(report_check, stock_tools_check_either_signature)
{
	char dir[] = "/tmp/report_check.XXXXXX", command[64];
	cr_assert(mkdtemp(dir) != NULL);
	name_parties();
	countersign(controller_seed);
	write_text(dir, "report.json", &envelope);
	cr_expect(eq(int, run_recipe(dir, '1', seed), 0));
	cr_expect(eq(int, run_recipe(dir, '2', controller_seed), 0));
	cr_expect(ne(int, run_recipe(dir, '1', controller_seed), 0));
	cr_expect(ne(int, run_recipe(dir, '2', seed), 0));
	(void)snprintf(command, sizeof(command), "rm -r %s", dir);
	cr_expect(eq(int, system(command), 0));
}
